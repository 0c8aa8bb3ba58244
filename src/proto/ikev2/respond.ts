/** IKE_SA_INIT as the responder (RFC 7296 sections 1.2, 2.6): the dear part only for who may come, and at an address that is proved. */
import type { Instant } from '../../base/index.js'
import { KEY_EXCHANGES, nodeKeyExchangeAnswer } from '../../crypto/index.js'
import {
  emitIkeMessage,
  IKE_FLAG_RESPONSE,
  IkeExchange,
  type IkeHeader,
  type IkePayload,
  NotifyType,
} from '../../wire/ike/index.js'
import { methodsOf, speaksIntermediate } from './additional.js'
import { answerAuth } from './answer-auth.js'
import type { Endpoint, IkeContext } from './context.js'
import { noProposal, otherGroup, type Problem } from './doctor.js'
import {
  certificateRequests,
  findNat,
  findNotify,
  findPayload,
  natPayloads,
  notify,
  peerHashes,
  signatureHashes,
} from './init.js'
import { answerIntermediate } from './intermediate.js'
import { deriveIkeKeys } from './keys.js'
import { type Mismatch, negotiate } from './negotiate.js'
import type { IkePolicy } from './policy.js'
import { keepFresh, requests } from './rekey.js'
import { Session, type SessionOwner } from './session.js'
import { transformsOf } from './suites.js'

const NONCE_LENGTH = 32
/** Room for twenty authorities: IKE_SA_INIT has no fragments of its own. */
const REQUESTS_LENGTH = 405

export interface InitAnswer {
  readonly bytes: Uint8Array
  /** What was made of it; none where the request is refused or to be repeated. */
  readonly session?: Session
  readonly problem?: Problem & { readonly verbose?: boolean }
}

/** A plain answer to a request of IKE_SA_INIT, without an SPI of ours: a refusal, or a cookie. */
export function plainAnswer(
  header: IkeHeader,
  payloads: readonly IkePayload[],
  spi: Uint8Array = new Uint8Array(8),
): Uint8Array {
  return emitIkeMessage({
    header: {
      initiatorSpi: header.initiatorSpi,
      responderSpi: spi,
      majorVersion: 2,
      minorVersion: 0,
      exchangeType: IkeExchange.ikeSaInit,
      flags: IKE_FLAG_RESPONSE,
      messageId: header.messageId,
    },
    payloads,
  })
}

/**
 * `candidates`: what the two addresses allow, at least one. `room`: bytes that may be answered with; undefined: an SA
 * takes more, and nothing has been computed for it (CVE-2002-20001).
 */
export function answerInit(
  context: IkeContext,
  candidates: readonly IkePolicy[],
  header: IkeHeader,
  payloads: readonly IkePayload[],
  request: Uint8Array,
  local: Endpoint,
  remote: Endpoint,
  owner: SessionOwner,
  now: Instant,
  room: number,
): InitAnswer | undefined {
  const [sa, ke, theirs] = [
    findPayload(payloads, 'SA'),
    findPayload(payloads, 'KE'),
    findPayload(payloads, 'Nonce'),
  ]
  if (sa === undefined || ke === undefined || theirs === undefined)
    return { bytes: plainAnswer(header, [notify(NotifyType.invalidSyntax)]) }
  let chosen: { policy: IkePolicy; choice: Exclude<ReturnType<typeof negotiate>, Mismatch> } | undefined
  let mismatch: Mismatch | undefined
  for (const policy of candidates) {
    const choice = negotiate(sa.proposals, policy.ikeSuites, 'ike', {
      spiLength: 0,
      preferredKeyExchange: ke.method,
      withoutAdditional: !speaksIntermediate(payloads),
    })
    if ('agreed' in choice) {
      chosen = { policy, choice }
      break
    }
    mismatch ??= choice
  }
  if (chosen === undefined) {
    return {
      bytes: plainAnswer(header, [notify(NotifyType.noProposalChosen)]),
      problem: noProposal(mismatch!, 'ikesa', candidates[0]!),
    }
  }
  const { policy, choice } = chosen
  const group = KEY_EXCHANGES[choice.agreed.keyExchange!]
  if (group.id !== ke.method)
    return {
      bytes: plainAnswer(header, [
        notify(NotifyType.invalidKePayload, Uint8Array.of(group.id >> 8, group.id & 0xff)),
      ]),
      problem: otherGroup(ke.method, group.id, policy),
    }
  const noValue = {
    bytes: plainAnswer(header, [notify(NotifyType.invalidSyntax)]),
    problem: { text: 'the peer’s key exchange value is none', mend: 'mend the peer' },
  }
  if (ke.data.length !== group.valueLength) return noValue
  const spis = { initiator: header.initiatorSpi, responder: context.random.fill(new Uint8Array(8)) }
  const nonces = { initiator: theirs.data, responder: context.random.fill(new Uint8Array(NONCE_LENGTH)) }
  const peerFragments = findNotify(payloads, NotifyType.fragmentationSupported) !== undefined
  const hashes = peerHashes(payloads)
  const ppkSpoken =
    findNotify(payloads, NotifyType.usePpk) !== undefined &&
    candidates.some(({ ppks = [] }) => ppks.length > 0)
  const nat = findNat(payloads, spis.initiator, new Uint8Array(8), local, remote)
  const { number, protocol, spi } = choice.proposal
  const answer = (value: Uint8Array, asked: readonly IkePayload[]): Uint8Array =>
    plainAnswer(
      header,
      [
        { kind: 'SA', proposals: [{ number, protocol, spi, transforms: transformsOf(choice.agreed) }] },
        { kind: 'KE', method: group.id, data: value },
        { kind: 'Nonce', data: nonces.responder },
        ...(nat.supported ? natPayloads(spis.initiator, spis.responder, local, remote, policy.forceUdp) : []),
        ...(peerFragments && policy.fragmentation ? [notify(NotifyType.fragmentationSupported)] : []),
        ...(methodsOf(choice.agreed).length > 0 ? [notify(NotifyType.intermediateExchangeSupported)] : []),
        ...(ppkSpoken ? [notify(NotifyType.usePpk)] : []),
        ...asked,
        ...(hashes === undefined ? [] : [signatureHashes()]),
      ],
      spis.responder,
    )
  const asked =
    policy.remoteAuth.kind === 'signature' ? certificateRequests(context.credentials, REQUESTS_LENGTH) : []
  if (answer(new Uint8Array(group.answerLength), asked).length > room) return undefined
  const exchange = nodeKeyExchangeAnswer(group.name, ke.data, context.random)
  if (exchange === undefined) return noValue
  const bytes = answer(exchange.value, asked)
  const session = new Session(
    {
      context,
      isInitiator: false,
      spis,
      local,
      remote,
      policy,
      agreed: choice.agreed,
      keys: deriveIkeKeys(choice.agreed, exchange.secret, nonces, spis),
      peerFragments,
      udp: nat.supported && (nat.here || nat.there || policy.forceUdp),
      behindNat: nat.here,
      opening: {
        nonces,
        initRequest: request,
        initResponse: bytes,
        peerHashes: hashes,
        ppkSpoken,
        candidates: [policy, ...candidates.filter((other) => other !== policy)],
      },
      requests: {
        ...requests,
        [IkeExchange.ikeAuth]: answerAuth,
        [IkeExchange.ikeIntermediate]: answerIntermediate,
      },
      owner,
    },
    'half-open',
    { ours: 0, theirs: 1 },
    now,
  )
  session.peerBehindNat = nat.there
  keepFresh(session)
  return { bytes, session }
}
