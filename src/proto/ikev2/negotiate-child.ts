/** A child in an exchange (RFC 7296 sections 1.2, 1.3.1): what is offered and answered, the same in both of its exchanges. */
import type { Instant } from '../../base/index.js'
import {
  KEY_EXCHANGES,
  type KeyExchange,
  type KeyExchangeAnswer,
  type KeyExchangeName,
  nodeKeyExchange,
  nodeKeyExchangeAnswer,
} from '../../crypto/index.js'
import { type IkePayload, NotifyType } from '../../wire/ike/index.js'
import { methodsOf } from './additional.js'
import {
  asksTransport,
  CHILD_LIMIT,
  type Child,
  isWithin,
  readTraffic,
  spiBytes,
  spiNumber,
  trafficPayloads,
} from './children.js'
import { flowsOf, grantableFlows } from './configuration.js'
import { at, describeSelectors, noProposal, noTraffic, refusedChild, wrongMode } from './doctor.js'
import { findError, findPayload, notify } from './init.js'
import { deriveChildKeys, type IkeNonces } from './keys.js'
import { checkChoice, type Mismatch, negotiate } from './negotiate.js'
import { isTooFine, narrow, PAIR_LIMIT, wantedTraffic } from './pairs.js'
import type { IkePolicy } from './policy.js'
import type { Selector } from './selectors.js'
import type { Session } from './session.js'
import { type Agreed, proposalsOf, type Suite, transformsOf } from './suites.js'
import { throughNat } from './transport-nat.js'

/** Our half of a child under way. */
export interface ChildOffer {
  readonly spi: number
  readonly suites: readonly Suite[]
  readonly payloads: readonly IkePayload[]
  /** What is asked for. */
  readonly local: readonly Selector[]
  readonly remote: readonly Selector[]
  /** CREATE_CHILD_SA with a key exchange of its own. */
  readonly exchange?: KeyExchange
}

/** IKE_AUTH makes no key exchange for its child (RFC 7296 section 1.2). */
const withoutExchange = (suites: readonly Suite[]): Suite[] =>
  suites.map((suite) => ({ ...suite, keyExchange: [], additional: [] }))

/** Of CREATE_CHILD_SA. */
export interface ChildRequest {
  readonly nonce: Uint8Array
  /** Of the child that is to be made anew, or of the flows that have none; absent: all flows. */
  readonly traffic?: { readonly local: readonly Selector[]; readonly remote: readonly Selector[] }
  /** With a value of this key exchange rather than of the one that we prefer. */
  readonly group?: KeyExchangeName
}

/** Without a request: of IKE_AUTH. */
export function offerChild(session: Session, request?: ChildRequest): ChildOffer {
  const { policy, context } = session
  const first = request === undefined
  const nonce = request?.nonce
  const spi = context.childSpi()
  const suites = first ? withoutExchange(policy.childSuites) : policy.childSuites
  const proposals = []
  for (const suite of suites)
    proposals.push(...proposalsOf(suite, policy.childProtocol, spiBytes(spi), proposals.length + 1))
  const preferred = suites.find(({ keyExchange }) => keyExchange.length > 0)?.keyExchange[0]
  const group = request?.group ?? preferred
  const exchange = group === undefined ? undefined : nodeKeyExchange(group, context.random)
  const { local, remote } = request?.traffic ?? wantedTraffic(flowsOf(session))
  return {
    spi,
    suites,
    local,
    remote,
    ...(exchange === undefined ? {} : { exchange }),
    payloads: [
      ...(policy.mode === 'transport' ? [notify(NotifyType.useTransportMode)] : []),
      { kind: 'SA', proposals },
      ...(nonce === undefined ? [] : [{ kind: 'Nonce' as const, data: nonce }]),
      ...(exchange === undefined
        ? []
        : [{ kind: 'KE' as const, method: exchange.algorithm.id, data: exchange.value }]),
      ...trafficPayloads(local, remote),
    ],
  }
}

export interface Failure {
  readonly text: string
  readonly mend: string
  /** The notify to answer with. */
  readonly notify: number
  /** What stands in it: of INVALID_KE_PAYLOAD the group that is wanted. */
  readonly data?: Uint8Array
}

const mismatchFailure = (mismatch: Mismatch, policy: IkePolicy): Failure => ({
  ...noProposal(mismatch, 'childsa', policy),
  notify: NotifyType.noProposalChosen,
})

const TOO_FINE: Failure = {
  text: `traffic selectors that come to more than ${PAIR_LIMIT} pairs of prefixes`,
  mend: 'write fewer networks, or whole prefixes instead of ranges',
  notify: NotifyType.tsUnacceptable,
}
const RESERVED_SPI: Failure = {
  text: 'a reserved SPI',
  mend: 'mend the peer',
  notify: NotifyType.invalidSyntax,
}

/** What the responder has made of our offer: a child, or what went wrong. */
export function completeChild(
  session: Session,
  offer: ChildOffer,
  answer: readonly IkePayload[],
  nonces: IkeNonces,
  now: Instant,
): Child | Failure {
  const { policy } = session
  const sa = findPayload(answer, 'SA')
  const [tsi, tsr] = [findPayload(answer, 'TSi'), findPayload(answer, 'TSr')]
  if (sa === undefined || tsi === undefined || tsr === undefined) {
    const error = findError(answer)
    return error === undefined
      ? {
          text: 'the answer has no SA or no traffic selectors',
          mend: 'look at the peer’s log',
          notify: NotifyType.invalidSyntax,
        }
      : { ...refusedChild(error.type, policy), notify: error.type, data: error.data }
  }
  const offered = findPayload(offer.payloads, 'SA')!.proposals
  const choice = checkChoice(sa.proposals, offered, offer.suites, policy.childProtocol, {
    spiLength: 4,
    ignoreKeyExchange: offer.exchange === undefined,
  })
  if (!('agreed' in choice)) return mismatchFailure(choice, policy)
  if (spiNumber(choice.proposal.spi) < 256) return RESERVED_SPI
  const secret = exchangeSecret(offer, answer, choice.agreed.keyExchange !== undefined)
  if (secret === 'refused')
    return {
      text: 'the peer’s key exchange value is none',
      mend: 'look at the peer',
      notify: NotifyType.invalidSyntax,
    }
  const seen = throughNat(session, asksTransport(answer), readTraffic(tsi), readTraffic(tsr))
  const { local: given, remote, originalEnds } = seen
  const common = narrow(flowsOf(session), given, remote)
  // Of a dynamic end our address alone is ours, whatever else the peer allows.
  const local = session.assigned === undefined ? given : (common?.local ?? [])
  if (common === undefined || !isWithin(offer.local, local) || !isWithin(offer.remote, remote))
    return {
      text: `the peer answers with other networks than were asked for: ${describeSelectors(given)} to ${describeSelectors(remote)}`,
      mend: 'a peer may narrow, not widen (RFC 7296 section 2.9): mend the peer',
      notify: NotifyType.tsUnacceptable,
    }
  const { pairs } = common
  if (isTooFine(pairs)) return TOO_FINE
  const transport = asksTransport(answer)
  if (transport !== (policy.mode === 'transport'))
    return {
      ...wrongMode(transport ? 'transport' : 'tunnel', policy),
      notify: NotifyType.noProposalChosen,
    }
  const derive = keysOf(session, choice.agreed, nonces, secret)
  const keys = derive([])
  const child: Child = {
    id: session.nextChildId(),
    spiIn: offer.spi,
    spiOut: spiNumber(choice.proposal.spi),
    agreed: choice.agreed,
    traffic: { local, remote, pairs, mode: policy.mode },
    keys: { outbound: keys.initiator, inbound: keys.responder },
    ...(originalEnds === undefined ? {} : { originalEnds }),
    since: now,
    state: 'installed',
  }
  return completing(child, (secrets) => {
    const { initiator, responder } = derive(secrets)
    return { outbound: initiator, inbound: responder }
  })
}

/** Keys of a child, with the secrets of what follows (RFC 9370 section 2.2.4). SK_d is the one of now. */
function keysOf(
  session: Session,
  agreed: Agreed,
  nonces: IkeNonces,
  secret: Uint8Array | undefined,
): (additional: readonly Uint8Array[]) => ReturnType<typeof deriveChildKeys> {
  return (additional) =>
    deriveChildKeys(session.agreed.prf!, session.keys.d, agreed, nonces, secret, additional)
}

function completing(child: Child, keys: (secrets: readonly Uint8Array[]) => Child['keys']): Child {
  return methodsOf(child.agreed).length === 0
    ? child
    : { ...child, complete: (secrets) => ({ ...child, keys: keys(secrets) }) }
}

function exchangeSecret(
  { exchange }: ChildOffer,
  answer: readonly IkePayload[],
  agreed: boolean,
): Uint8Array | undefined | 'refused' {
  const ke = findPayload(answer, 'KE')
  if (exchange === undefined) return undefined
  if (!agreed) return ke === undefined ? undefined : 'refused'
  if (ke === undefined || ke.method !== exchange.algorithm.id) return 'refused'
  return exchange.finish(ke.data) ?? 'refused'
}

/**
 * Answers a request for a child. `nonces`: the responder's is ours, made by the caller, who answers with it where this
 * is CREATE_CHILD_SA.
 */
export function answerChild(
  session: Session,
  request: readonly IkePayload[],
  first: boolean,
  nonces: IkeNonces,
  now: Instant,
): { readonly child: Child; readonly payloads: readonly IkePayload[] } | Failure {
  const { policy, context } = session
  if (session.children.size >= CHILD_LIMIT)
    return {
      text: `${CHILD_LIMIT} children stand already`,
      mend: 'have the peer end what it no longer uses',
      notify: NotifyType.noAdditionalSas,
    }
  const sa = findPayload(request, 'SA')
  const [tsi, tsr] = [findPayload(request, 'TSi'), findPayload(request, 'TSr')]
  if (sa === undefined || tsi === undefined || tsr === undefined)
    return {
      text: 'a request without SA or traffic selectors',
      mend: 'mend the peer',
      notify: NotifyType.invalidSyntax,
    }
  const ke = first ? undefined : findPayload(request, 'KE')
  const suites = first ? withoutExchange(policy.childSuites) : policy.childSuites
  const choice = negotiate(sa.proposals, suites, policy.childProtocol, {
    spiLength: 4,
    ignoreKeyExchange: first,
    ...(ke === undefined ? {} : { preferredKeyExchange: ke.method }),
  })
  if (!('agreed' in choice)) return mismatchFailure(choice, policy)
  const spiOut = spiNumber(choice.proposal.spi)
  // RFC 4303 section 2.1: reserved.
  if (spiOut < 256) return RESERVED_SPI
  const group = choice.agreed.keyExchange
  let exchange: KeyExchangeAnswer | undefined
  if (group !== undefined) {
    const { id } = KEY_EXCHANGES[group]
    if (ke === undefined || ke.method !== id)
      return {
        text: `the peer sent no value for ${group}`,
        mend: 'nothing: it is asked to try again',
        notify: NotifyType.invalidKePayload,
        data: Uint8Array.of(id >> 8, id & 0xff),
      }
    exchange = nodeKeyExchangeAnswer(group, ke.data, context.random)
    if (exchange === undefined)
      return {
        text: 'the peer’s key exchange value is none',
        mend: 'mend the peer',
        notify: NotifyType.invalidSyntax,
      }
  }
  const seen = throughNat(session, asksTransport(request), readTraffic(tsr), readTraffic(tsi))
  const { local: ours, remote: theirs, originalEnds } = seen
  const flows = grantableFlows(session)
  if (flows.length === 0)
    return {
      text: 'the peer asks for no address, and the policy is for those that have one of us',
      mend: `have the peer ask for an address, as \`request address any\` does, or write networks instead of dynamic${at(policy)}`,
      notify: NotifyType.failedCpRequired,
    }
  const common = narrow(flows, ours, theirs)
  if (common === undefined)
    return { ...noTraffic(theirs, ours, flows, policy), notify: NotifyType.tsUnacceptable }
  if (isTooFine(common.pairs)) return TOO_FINE
  const transport = asksTransport(request) && policy.mode === 'transport'
  if (policy.mode === 'transport' && !transport)
    return { ...wrongMode('tunnel', policy), notify: NotifyType.noProposalChosen }
  const { local, remote, pairs, more } = common
  const spiIn = context.childSpi()
  const derive = keysOf(session, choice.agreed, nonces, exchange?.secret)
  const keys = derive([])
  const child: Child = {
    id: session.nextChildId(),
    spiIn,
    spiOut,
    agreed: choice.agreed,
    traffic: { local, remote, pairs, mode: policy.mode },
    keys: { inbound: keys.initiator, outbound: keys.responder },
    ...(originalEnds === undefined ? {} : { originalEnds }),
    since: now,
    state: 'installed',
  }
  const { number, protocol } = choice.proposal
  const answer = { number, protocol, spi: spiBytes(spiIn), transforms: transformsOf(choice.agreed) }
  return {
    child: completing(child, (secrets) => {
      const { initiator, responder } = derive(secrets)
      return { inbound: initiator, outbound: responder }
    }),
    payloads: [
      ...(transport ? [notify(NotifyType.useTransportMode)] : []),
      { kind: 'SA', proposals: [answer] },
      ...(first ? [] : [{ kind: 'Nonce' as const, data: nonces.responder }]),
      ...(exchange === undefined
        ? []
        : [{ kind: 'KE' as const, method: KEY_EXCHANGES[group!].id, data: exchange.value }]),
      ...trafficPayloads(remote, local),
      ...(more ? [notify(NotifyType.additionalTsPossible)] : []),
    ],
  }
}
