/** Policies as `iked -nv` prints them; what it prints is read again as the same. */
import { protocolName } from '../grammar/operands.js'
import type { IkedProposal } from './algorithms.js'
import { DEFAULT_OPTIONS, type IkedAuth, type IkedConf, type IkedOptions, type IkedPolicy } from './conf.js'
import { hostText } from './hosts.js'
import { needsQuotes } from './operands.js'

export interface DescribeOptions {
  /** Keys and passwords as well, as iked prints them; else how long they are, and the lines cannot be read again. */
  readonly secrets?: boolean
  /** `set …` lines before the policies, which iked does not print. */
  readonly settings?: boolean
}

/** A line for each user and each policy of the file, in its order. */
export function describeIked(
  { policies, users, options }: Pick<IkedConf, 'policies'> & Partial<IkedConf>,
  { secrets = false, settings = false }: DescribeOptions = {},
): string[] {
  return [
    ...(settings && options !== undefined ? settingLines(options) : []),
    ...(users ?? []).map(
      ({ name, password }) =>
        `user ${quote(name)} ${secrets ? quote(password) : `(${password.length} characters)`}`,
    ),
    ...policies.map((policy) => describePolicy(policy, secrets)),
  ]
}

export function describePolicy(policy: IkedPolicy, secrets = false): string {
  const { evaluation, family, protocols, rdomain, ikeLifetime, lifetime, iface, tag, tap } = policy
  return [
    `ikev2 ${quote(policy.name)}`,
    ...(evaluation === undefined ? [] : [evaluation]),
    policy.active ? 'active' : 'passive',
    ...(policy.ipcomp ? ['ipcomp'] : []),
    policy.mode,
    policy.protocol,
    // iked prints proto first, which its own grammar does not read.
    ...(family === undefined ? [] : [family === 4 ? 'inet' : 'inet6']),
    ...(protocols.length === 0 ? [] : [`proto { ${protocols.map(protocolName).join(', ')} }`]),
    ...(rdomain === undefined ? [] : [`rdomain ${rdomain}`]),
    ...policy.flows.map(
      ({ from, fromPort, sourceNat, to, toPort }) =>
        `from ${hostText(from)}${portText(fromPort)}${sourceNat === undefined ? '' : ` (${hostText({ kind: 'prefix', prefix: sourceNat })})`} to ${hostText(to)}${portText(toPort)}`,
    ),
    `local ${hostText(policy.local)} peer ${hostText(policy.peer)}`,
    ...policy.ikesa.map((proposal) => proposalText('ikesa', proposal)),
    ...policy.childsa.map((proposal) => proposalText('childsa', proposal)),
    ...(policy.srcid === undefined ? [] : [`srcid ${word(policy.srcid)}`]),
    ...(policy.dstid === undefined ? [] : [`dstid ${word(policy.dstid)}`]),
    ...(ikeLifetime === 0 ? [] : [`ikelifetime ${ikeLifetime}`]),
    `lifetime ${lifetime.seconds} bytes ${lifetime.bytes}`,
    authText(policy.auth, secrets),
    ...(policy.ppks ?? []).map(
      ({ name, secret, optional }) =>
        `ppk ${optional ? 'optional ' : ''}${quote(name)} ${keyText(secret, secrets)}`,
    ),
    ...policy.configuration.map(
      ({ action, option, address, prefixLength }) =>
        `${action} ${option} ${address ?? 'any'}${prefixLength === undefined ? '' : `/${prefixLength}`}`,
    ),
    ...(iface === undefined ? [] : [`iface ${word(iface)}`]),
    ...(tag === undefined ? [] : [`tag ${quote(tag)}`]),
    ...(tap === undefined ? [] : [`tap "enc${tap}"`]),
  ].join(' ')
}

const portText = (port: number | undefined): string => (port === undefined ? '' : ` port ${port}`)

/** In the order of IANA's transform types, as iked prints them. */
function proposalText(phase: string, { enc, prf, auth, group, esn, additional = [] }: IkedProposal): string {
  const list = (kind: string, names: readonly string[]): string[] => names.map((name) => `${kind} ${name}`)
  return [
    phase,
    ...list('enc', enc),
    ...list('prf', prf),
    ...list('auth', auth),
    ...list('group', group),
    ...additional.flatMap((names, i) => list(`addke${i + 1}`, names)),
    ...esn.map((is) => (is ? 'esn' : 'noesn')),
  ].join(' ')
}

function authText(auth: IkedAuth, secrets: boolean): string {
  if (auth.kind === 'signature') return auth.method
  if (auth.kind === 'eap') return auth.method === 'tls' ? 'eap "TLS"' : 'eap "MSCHAP_V2"'
  return `psk ${keyText(auth.secret, secrets)}`
}

function keyText(secret: Uint8Array, secrets: boolean): string {
  const hex = Array.from(secret, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return secrets ? `0x${hex}` : `(${secret.length} bytes)`
}

/** Those that are not iked's defaults. */
function settingLines(options: IkedOptions): string[] {
  const { ocsp, dpdCheckInterval } = options
  const standard = DEFAULT_OPTIONS
  return [
    ...(options.passive ? ['set passive'] : []),
    ...(options.decouple ? ['set decouple'] : []),
    ...(options.fragmentation ? ['set fragmentation'] : []),
    ...(options.mobike ? [] : ['set nomobike']),
    ...(options.vendorId ? [] : ['set novendorid']),
    ...(options.enforceSingleIkeSa ? ['set enforcesingleikesa'] : []),
    ...(options.stickyAddress ? ['set stickyaddress'] : []),
    ...(options.certPartialChain ? ['set cert_partial_chain'] : []),
    ...(dpdCheckInterval === standard.dpdCheckInterval ? [] : [`set dpd_check_interval ${dpdCheckInterval}`]),
    ...(ocsp === undefined
      ? []
      : [
          `set ocsp ${quote(ocsp.url)} tolerate ${ocsp.tolerate}${ocsp.maxAge === undefined ? '' : ` maxage ${ocsp.maxAge}`}`,
        ]),
  ]
}

const word = (text: string): string => (needsQuotes(text) ? quote(text) : text)

/** So that the lexer reads it back: a backslash keeps a quote, and a blank only where another one is before it. */
const quote = (text: string): string => {
  // A backslash at the end would keep the closing quote: the lexer takes one away that joins two lines.
  const end = text.endsWith('\\') ? '\\\n' : ''
  return `"${text.replaceAll(/"|(?<=\\)[ \t]/g, (char) => `\\${char}`)}${end}"`
}
