/**
 * What went wrong between two ends, for the log: what was found, what was expected, and what to write in iked.conf(5). Who
 * refuses knows both values. Who is refused hears a number (RFC 7296 section 3.10.1), and is told what it most likely means
 * beside what it had said itself. No secret, and nothing made of one, is ever among the values.
 */
import type { IpPrefix } from '../../base/index.js'
import { NotifyType, TransformType } from '../../wire/ike/index.js'
import { ADDITIONAL_LIMIT, slotType } from './additional.js'
import { type Credentials, type Endpoint, formatEndpoint, IKE_PORT } from './context.js'
import { formatIdentity, type Identity } from './identity.js'
import { meaningOf } from './meanings.js'
import { describeTransform, GROUP_WORDS, listOf } from './names.js'
import type { Mismatch } from './negotiate.js'
import type { Authentication, Flow, IkePolicy } from './policy.js'
import { formatSelector, type Selector } from './selectors.js'
import { proposalsOf, type SaProtocol, type Suite } from './suites.js'

/** What is wrong, and what to do about it. */
export interface Problem {
  readonly text: string
  readonly mend: string
}

/** ` (file:line)`. */
export const at = ({ where }: Pick<IkePolicy, 'where'>): string => (where === undefined ? '' : ` (${where})`)

/** The one shape of two values that differ. */
export const differs = (what: string, found: string, expected: string): string =>
  `${what}: found ${found}, expected ${expected}`

const KINDS: readonly (readonly [string, number])[] = [
  ['enc', TransformType.encr],
  ['auth', TransformType.integ],
  ['prf', TransformType.prf],
  ['group', TransformType.ke],
  ...Array.from({ length: ADDITIONAL_LIMIT }, (_, i) => [`addke${i + 1}`, slotType(i + 1)] as const),
  ['esn', TransformType.esn],
]
const NO_SPI = new Uint8Array(0)

/** `enc aes-256-gcm | aes-256, auth hmac-sha2-256, group curve25519`. */
export function describeSuites(suites: readonly Suite[], protocol: SaProtocol): string {
  const transforms = suites.flatMap((suite) =>
    proposalsOf(suite, protocol, NO_SPI, 1).flatMap((one) => one.transforms),
  )
  return KINDS.flatMap(([word, type]) => {
    const ours = transforms.filter((one) => one.type === type).map(describeTransform)
    return ours.length === 0 ? [] : `${word} ${listOf(ours)}`
  }).join(', ')
}

export const describeSelectors = (selectors: readonly Selector[]): string =>
  selectors.length === 0 ? 'nothing' : selectors.map(formatSelector).join(', ')

/** `from A to B`, as the file has it. */
export const describeFlows = (flows: readonly Flow[]): string =>
  flows.length === 0
    ? 'no flow'
    : flows.map((flow) => `from ${describeEnd(flow, 'local')} to ${describeEnd(flow, 'remote')}`).join(', ')

const describeEnd = (flow: Flow, side: 'local' | 'remote'): string =>
  flow.dynamic === side ? 'dynamic' : formatSelector(flow[side])

/** How somebody proves who they are, as a file says it. */
function describeAuthentication(auth: Authentication): string {
  switch (auth.kind) {
    case 'psk':
      return 'psk'
    case 'eap':
      return 'EAP'
    case 'signature':
      return 'a signature'
  }
}

// --- who refuses ------------------------------------------------------------------------------------------------

/** None of the peer's proposals fits. `word`: of the file. */
export function noProposal(
  { what, offered, accepted }: Mismatch,
  word: 'ikesa' | 'childsa',
  policy: IkePolicy,
): Problem {
  const first = offered.split(' | ')[0]!
  return {
    text: `no proposal chosen: ${differs(what, `${offered} at the peer`, `${accepted} of our ${word}`)}`,
    mend:
      what === 'protocol' || what === 'transform' || first === 'nothing'
        ? `write the same ${word} on both sides${at(policy)}`
        : `add ${what} ${first} to ${word}${at(policy)}, or write ${what} ${accepted.split(' | ')[0]} there`,
  }
}

/** The peer is another than a policy wants, or asks for another than we are. */
export function wrongIdentity(
  id: Identity,
  asked: Identity | undefined,
  policies: readonly IkePolicy[],
): Problem {
  const listed = (list: readonly string[]): string => [...new Set(list)].join(' | ')
  const wanted = listed(
    policies.map(({ remoteId }) => (remoteId === undefined ? 'anybody' : formatIdentity(remoteId))),
  )
  const own = listed(policies.map(({ localId }) => formatIdentity(localId)))
  const where = policies[0] === undefined ? '' : at(policies[0])
  const name = formatIdentity(id)
  const isWanted = wanted.split(' | ').some((one) => one === 'anybody' || one === name)
  // What is not as it should be comes first.
  if (isWanted && asked !== undefined)
    return {
      text: differs(
        `${name} asks for another than we are`,
        `dstid ${formatIdentity(asked)} there`,
        `srcid ${own}`,
      ),
      mend: `write dstid ${own.split(' | ')[0]} there, or srcid ${formatIdentity(asked)} here${where}`,
    }
  return {
    text: `${differs('the peer is another', `srcid ${name} there`, `dstid ${wanted}`)}${asked === undefined ? '' : `; it asks for ${formatIdentity(asked)}`}`,
    mend: `write dstid ${name} here${where}, if that is who may come; else srcid ${wanted.split(' | ')[0]} there`,
  }
}

/** The peer's flows and ours have nothing in common. */
export const noTraffic = (
  theirs: readonly Selector[],
  ours: readonly Selector[],
  flows: readonly Flow[],
  policy: IkePolicy,
): Problem => ({
  text: differs(
    'traffic selectors',
    `from ${describeSelectors(theirs)} to ${describeSelectors(ours)} at the peer`,
    flows.map((flow) => `from ${describeEnd(flow, 'remote')} to ${describeEnd(flow, 'local')}`).join(', '),
  ),
  mend: `what is from here has to be to there: write from ${describeSelectors(ours)} to ${describeSelectors(theirs)} here${at(policy)}, or mend the peer`,
})

/** The mode of the data, which the two sides' files say differently. */
export const wrongMode = (found: 'transport' | 'tunnel', policy: IkePolicy): Problem => ({
  text: differs('mode', `${found} at the peer`, policy.mode),
  mend: `write ${found} here${at(policy)}, or ${policy.mode} there`,
})

/** As a file has it: `any`, an address, a network. */
const describePlace = (prefix: IpPrefix): string =>
  prefix.length === 0
    ? 'any'
    : prefix.length === 8 * prefix.address.bytes.length
      ? `${prefix.address}`
      : `${prefix}`

/** A first message from somebody whom no policy is for. */
export const nobodyExpected = (
  local: Endpoint,
  remote: Endpoint,
  policies: readonly IkePolicy[],
): Problem => {
  const peers = [...new Set(policies.map(({ peer }) => describePlace(peer)))].slice(0, 8)
  const locals = [
    ...new Set(policies.flatMap((one) => one.locals?.map(describePlace) ?? `${one.local}`)),
  ].slice(0, 8)
  return {
    text: `${differs('no policy is for this peer', `peer ${remote.address} to local ${local.address}`, policies.length === 0 ? 'nobody: there is no policy' : `peer ${peers.join(' | ')} to local ${locals.join(' | ')}`)}; it is not answered`,
    mend: `write peer ${remote.address} local ${local.address}${policies[0] === undefined ? '' : at(policies[0])}, if it may come`,
  }
}

/** The value that came is of another group than is taken of those that were offered (RFC 7296 section 1.2). */
export function otherGroup(found: number, wanted: number, policy: IkePolicy): Problem & { verbose: true } {
  const name = (group: number): string => GROUP_WORDS[group] ?? `${group}`
  return {
    text: `INVALID_KE_PAYLOAD: ${differs('group', `a value of ${name(found)}`, name(wanted))}`,
    mend: `nothing: the peer begins again with it; group ${name(wanted)} as its first spares a round, or ${name(found)} here${at(policy)}`,
    verbose: true,
  }
}

export const otherVersion = (found: number): Problem => ({
  text: differs('version of IKE', `${found} at the peer`, '2'),
  mend: found === 1 ? 'write ikev2 there: IKEv1 (isakmpd) is not spoken here' : 'have the peer speak IKEv2',
})

// --- who is refused ---------------------------------------------------------------------------------------------

/** IKE_SA_INIT was answered with an error. */
export function refusedInit(type: number, policy: IkePolicy): Problem {
  const { text, mend } = meaningOf(type)
  if (type !== NotifyType.noProposalChosen) return { text, mend: `${mend}${at(policy)}` }
  return {
    text: `${text}: ikesa here is ${describeSuites(policy.ikeSuites, 'ike')}`,
    mend: `write behind ikesa what the peer has${at(policy)}; its log names what differs`,
  }
}

/** IKE_AUTH, or what proves it, was refused. */
export function refusedAuth(type: number, policy: IkePolicy, credentials: Credentials): Problem {
  const { text, mend } = meaningOf(type)
  if (type === NotifyType.noProposalChosen || type === NotifyType.tsUnacceptable)
    return refusedChild(type, policy)
  if (type !== NotifyType.authenticationFailed) return { text, mend: `${mend}${at(policy)}` }
  const { localAuth, localId, remoteId } = policy
  const id = formatIdentity(localId)
  const said = `we said srcid ${id} by ${describeAuthentication(localAuth)}${remoteId === undefined ? '' : `, and asked for dstid ${formatIdentity(remoteId)}`}`
  const place =
    localAuth.kind === 'psk' ? `write the same psk on both sides${at(policy)}` : proofMend(policy, id)
  const unfit = localAuth.kind === 'signature' ? credentials.own(localId)?.unfit : undefined
  return {
    text: `${text}: ${said}${unfit === undefined ? '' : `; ${unfit}`}`,
    mend: `${place}; dstid there has to be ${id}${remoteId === undefined ? '' : ` and srcid there ${formatIdentity(remoteId)}`}; its log says which`,
  }
}

function proofMend(policy: IkePolicy, id: string): string {
  if (policy.localAuth.kind === 'eap' && policy.localAuth.method === 'tls')
    return `let the peer trust the authority of our certificate${at(policy)}`
  if (policy.localAuth.kind === 'eap') return `compare user and password with those of the peer${at(policy)}`
  const [kind = '', name = ''] = id.split(/\/(.*)/s)
  const folder = kind.toLowerCase()
  const key = ['ipv4', 'ipv6', 'fqdn', 'ufqdn'].includes(folder)
    ? `copy our /etc/iked/local.pub to /etc/iked/pubkeys/${folder}/${name} there`
    : 'show a certificate that the peer trusts'
  return `${key}, or look there whether it trusts the authority of our certificate, and at both clocks${at(policy)}`
}

/** The IKE SA stands, or would; its child was refused. */
export function refusedChild(type: number, policy: IkePolicy): Problem {
  const { text, mend } = meaningOf(type)
  const flows = describeFlows(policy.flows)
  switch (type) {
    case NotifyType.noProposalChosen:
      return {
        text: `${text}: childsa here is ${describeSuites(policy.childSuites, policy.childProtocol)}, ${policy.childProtocol} ${policy.mode}`,
        mend: `write behind childsa what the peer has, and ${policy.mode} on both sides${at(policy)}; its log names what differs`,
      }
    case NotifyType.tsUnacceptable:
      return {
        text: `${text}: we asked for ${flows}`,
        mend: `the peer’s policy has to have these turned round: what is from here${at(policy)} is to there`,
      }
    case NotifyType.singlePairRequired:
    case NotifyType.noAdditionalSas:
      return { text: `${text}: we asked for ${flows}`, mend: `${mend}${at(policy)}` }
    case NotifyType.internalAddressFailure:
    case NotifyType.failedCpRequired: {
      const asked = (policy.requests ?? []).map(({ option }) => option).join(', ')
      return { text: `${text}: we asked for ${asked === '' ? 'none' : asked}`, mend: `${mend}${at(policy)}` }
    }
    default:
      return { text, mend: `${mend}${at(policy)}` }
  }
}

/** Nothing came back. `second`: the first exchange was answered, so the peer is there. */
export function silence(local: Endpoint, remote: Endpoint, second: boolean, policy: IkePolicy): Problem {
  const ends = `from ${formatEndpoint(local)} to ${formatEndpoint(remote)}`
  if (second)
    return {
      text: `the peer does not answer IKE_AUTH ${ends}, though it answered IKE_SA_INIT`,
      mend:
        remote.port === IKE_PORT
          ? `look whether large datagrams pass: set fragmentation on both sides, and let fragments of IP through${at(policy)}`
          : `let UDP port ${remote.port} through both ways, on both sides and between${at(policy)}; then look at the peer’s log`,
    }
  return {
    text: `the peer does not answer IKE_SA_INIT ${ends}`,
    mend: `is peer ${remote.address} right${at(policy)}, does IKE run there with a policy for peer ${local.address}, and does every firewall between let UDP ports 500 and 4500 through both ways?`,
  }
}
