/**
 * CREATE_CHILD_SA and INFORMATIONAL on an established SA (RFC 7296 sections 1.3, 1.4, 2.8, 2.25): children and the IKE SA
 * itself made anew, before the old ones go, and what happens where both sides begin at once.
 */
import { type Duration, type Instant, seconds } from '../../base/index.js'
import {
  KEY_EXCHANGES,
  type KeyExchangeName,
  nodeKeyExchange,
  nodeKeyExchangeAnswer,
  wipe,
} from '../../crypto/index.js'
import { IkeExchange, type IkePayload, IkeProtocol, NotifyType } from '../../wire/ike/index.js'
import { methodsOf } from './additional.js'
import { type Child, type RivalChild, showSpi, spiBytes, spiNumber } from './children.js'
import { answerConfiguration } from './configuration.js'
import { createChild, lower, lowestOf, NONCE_LENGTH, rekeyChild, wantedGroup } from './create-child.js'
import { refusedAuth } from './doctor.js'
import { answerFollowUp, awaitFollowUps, followUp, isAwaiting } from './follow-up.js'
import { findError, findNotify, findPayload, notify } from './init.js'
import { deriveRekeyedIkeKeys, type IkeNonces } from './keys.js'
import { meaningOf } from './meanings.js'
import { announce, answerMobike } from './mobike.js'
import { checkChoice, negotiate } from './negotiate.js'
import { answerChild } from './negotiate-child.js'
import { REKEYED_LIMIT, type RequestHandler, type Rival, Session } from './session.js'
import { type Agreed, PROTOCOL_IDS, proposalsOf, transformsOf } from './suites.js'

/** Behind the answer that is under way. */
const AT_ONCE: Duration = seconds(0)
/** An exchange of ours is over by then, answered or not; then as `REKEYED_LIMIT`. */
const RIVAL_LIMIT: Duration = seconds(240)

/** The handlers of an established SA. */
export const requests: Readonly<Record<number, RequestHandler>> = {
  [IkeExchange.createChildSa]: answerCreate,
  [IkeExchange.ikeFollowupKe]: answerFollowUp,
  [IkeExchange.informational]: answerInformational,
}

/** Has a session make its children and itself anew when their time has come. */
export function keepFresh(session: Session): void {
  session.onChildSoft = (child, now) => rekeyChild(session, child, now)
  session.onChildMissing = (now) => createChild(session, now)
  session.onRekeyDue = (now) => rekeyIke(session, now)
}

function answerCreate(session: Session, request: readonly IkePayload[], now: Instant): readonly IkePayload[] {
  const sa = findPayload(request, 'SA')
  const nonce = findPayload(request, 'Nonce')
  if (sa === undefined || nonce === undefined) return [notify(NotifyType.invalidSyntax)]
  // RFC 7296 section 2.25.2: an SA on its way out makes nothing new.
  if (session.state !== 'established') return [notify(NotifyType.temporaryFailure)]
  if (sa.proposals[0]?.protocol === IkeProtocol.ike) return answerRekeyIke(session, request, now)
  if (session.rekeying !== undefined || isAwaiting(session, 'ike'))
    return [notify(NotifyType.temporaryFailure)]

  const rekey = findNotify(request, NotifyType.rekeySa)
  let old: Child | undefined
  if (rekey !== undefined) {
    // CVE-2023-23009, CVE-2023-38710: a protocol that is none, an SPI of another length.
    if ((rekey.protocol !== IkeProtocol.esp && rekey.protocol !== IkeProtocol.ah) || rekey.spi.length !== 4)
      return [notify(NotifyType.invalidSyntax)]
    const spi = spiNumber(rekey.spi)
    // What the peer sends with is what it calls its own inbound: our outbound.
    old = [...session.children.values()].find(({ spiOut }) => spiOut === spi)
    if (old === undefined) {
      session.tell(
        { kind: 'problem', text: `the peer wants child ${showSpi(spi)} made anew, which is not there` },
        now,
      )
      return [
        {
          kind: 'N',
          protocol: rekey.protocol,
          spi: rekey.spi,
          type: NotifyType.childSaNotFound,
          data: new Uint8Array(0),
        },
      ]
    }
    // Made anew once already, or going: what replaces it is the one to ask for.
    if (old.state === 'closing' || old.rival !== undefined) return [notify(NotifyType.temporaryFailure)]
  }
  const ours = session.context.random.fill(new Uint8Array(NONCE_LENGTH))
  const nonces = { initiator: nonce.data, responder: ours }
  const made = answerChild(session, request, false, nonces, now)
  if ('notify' in made) {
    session.tell({ kind: 'problem', text: `no child: ${made.text}`, mend: made.mend }, now)
    return [notify(made.notify, made.data)]
  }
  const pending: RivalChild = { lowestNonce: lowestOf(nonces) }
  const more = awaitFollowUps(
    session,
    made.child.agreed,
    {
      of: 'child',
      finish(secrets, later) {
        const child = made.child.complete?.(secrets) ?? made.child
        if (old !== undefined) {
          if (old.state === 'rekeying') old.rival = { ...pending, child }
          else {
            // Packets go by the old one until the peer has the new one: its delete says so.
            if (old.state !== 'closing') old.state = 'installed'
            old.rival = undefined
          }
          session.supersede(old)
        }
        session.addChild(child, later)
      },
      dropped() {
        if (old?.rival === pending) old.rival = undefined
      },
    },
    now,
  )
  if (more === undefined) return [notify(NotifyType.temporaryFailure)]
  if (more.length > 0 && old !== undefined) old.rival = pending
  return [...made.payloads, ...more]
}

// --- the IKE SA -------------------------------------------------------------------------------------------------

/** A new IKE SA with all children of this one (RFC 7296 section 2.18). */
export function rekeyIke(session: Session, now: Instant, wanted?: KeyExchangeName): void {
  if (session.state !== 'established' || session.rekeying !== undefined) return
  const { context, policy } = session
  const { random } = context
  const spi = random.fill(new Uint8Array(8))
  const nonce = random.fill(new Uint8Array(NONCE_LENGTH))
  const proposals = policy.ikeSuites.flatMap((suite, i) => proposalsOf(suite, 'ike', spi, i * 2 + 1))
  // What was agreed upon before will be again.
  const exchange = nodeKeyExchange(wanted ?? session.agreed.keyExchange!, random)
  const rekeying: NonNullable<Session['rekeying']> = {}
  session.channel.send(
    {
      exchange: IkeExchange.createChildSa,
      payloads(later) {
        if (
          session.state !== 'established' ||
          isAwaiting(session, 'ike') ||
          [...session.children.values()].some(({ state }) => state === 'rekeying' || state === 'closing')
        ) {
          if (session.state === 'established') session.tryLater(undefined, later)
          return undefined
        }
        session.rekeying = rekeying
        return [
          { kind: 'SA', proposals },
          { kind: 'Nonce', data: nonce },
          { kind: 'KE', method: exchange.algorithm.id, data: exchange.value },
        ]
      },
      answered(answer, later) {
        const sa = findPayload(answer, 'SA')
        const theirs = findPayload(answer, 'Nonce')
        const ke = findPayload(answer, 'KE')
        if (sa === undefined || theirs === undefined || ke === undefined) {
          const error = findError(answer)
          const group = wanted === undefined ? wantedGroup(error, policy.ikeSuites) : undefined
          if (group !== undefined && session.rekeying?.rival === undefined) {
            session.rekeying = undefined
            rekeyIke(session, later, group)
            return
          }
          const meaning =
            error === undefined ? { text: 'an answer without SA, nonce or KE' } : meaningOf(error.type)
          session.tell({ kind: 'problem', text: `no new IKE SA: ${meaning.text}` }, later)
          // The peer's own of the same time was answered, and the peer goes over to it.
          if (!inheritRival(session, later)) session.tryLater(undefined, later)
          return
        }
        const choice = checkChoice(sa.proposals, proposals, policy.ikeSuites, 'ike', { spiLength: 8 })
        const secret = ke.method === exchange.algorithm.id ? exchange.finish(ke.data) : undefined
        if (!('agreed' in choice) || secret === undefined) {
          session.tell(
            { kind: 'problem', text: 'no new IKE SA: the answer does not fit what was offered' },
            later,
          )
          if (!inheritRival(session, later)) session.tryLater(undefined, later)
          return
        }
        const nonces = { initiator: nonce, responder: theirs.data }
        const spis = { initiator: spi, responder: choice.proposal.spi }
        const lowest = lowestOf(nonces)
        const { rival } = rekeying
        if (
          methodsOf(choice.agreed).length > 0 &&
          rival !== undefined &&
          lower(lowest, rival.lowestNonce) === lowest
        ) {
          // Ours lost before anything was made of it: the peer's goes on.
          inheritRival(session, later)
          return
        }
        followUp(
          session,
          choice.agreed,
          answer,
          {
            done(secrets, at) {
              session.rekeying = undefined
              const next = successor(session, true, choice.agreed, secret, nonces, spis, at, secrets)
              settleIke(session, next, rekeying.rival, lowest, at)
            },
            failed(text, at) {
              session.tell({ kind: 'problem', text: `no new IKE SA: ${text}` }, at)
              if (!inheritRival(session, at)) session.tryLater(undefined, at)
            },
          },
          later,
        )
      },
      lost: (later) => session.lost(later),
    },
    now,
  )
}

function answerRekeyIke(
  session: Session,
  request: readonly IkePayload[],
  now: Instant,
): readonly IkePayload[] {
  const { context, policy } = session
  const [sa, nonce, ke] = [
    findPayload(request, 'SA')!,
    findPayload(request, 'Nonce')!,
    findPayload(request, 'KE'),
  ]
  // One rival is all that an exchange of ours can have.
  if (session.rekeying?.rival !== undefined) return [notify(NotifyType.temporaryFailure)]
  // RFC 7296 section 2.25.2: children under way would be lost.
  const isBusy = [...session.children.values()].some(
    ({ state }) => state === 'rekeying' || state === 'closing',
  )
  if (isBusy || session.isMakingChild) return [notify(NotifyType.temporaryFailure)]
  const choice = negotiate(sa.proposals, policy.ikeSuites, 'ike', {
    spiLength: 8,
    ...(ke === undefined ? {} : { preferredKeyExchange: ke.method }),
  })
  if (!('agreed' in choice)) return [notify(NotifyType.noProposalChosen)]
  const { id } = KEY_EXCHANGES[choice.agreed.keyExchange!]
  if (ke === undefined || ke.method !== id)
    return [notify(NotifyType.invalidKePayload, Uint8Array.of(id >> 8, id & 0xff))]
  const exchange = nodeKeyExchangeAnswer(choice.agreed.keyExchange!, ke.data, context.random)
  if (exchange === undefined) return [notify(NotifyType.invalidSyntax)]
  const nonces = { initiator: nonce.data, responder: context.random.fill(new Uint8Array(NONCE_LENGTH)) }
  const spis = { initiator: choice.proposal.spi, responder: context.random.fill(new Uint8Array(8)) }
  const pending: Rival = { lowestNonce: lowestOf(nonces) }
  const more = awaitFollowUps(
    session,
    choice.agreed,
    {
      of: 'ike',
      finish(secrets, later) {
        const next = successor(session, false, choice.agreed, exchange.secret, nonces, spis, later, secrets)
        if (session.rekeying === undefined) handOver(session, next, later)
        else {
          session.rekeying.rival = { ...pending, session: next }
          // Whichever stays, the peer does not leave the other behind.
          next.timer('rekeyed', RIVAL_LIMIT, later, (at) => next.close('the peer did not end it', false, at))
        }
      },
      dropped(later) {
        wipe(exchange.secret)
        if (session.rekeying?.rival === pending) delete session.rekeying.rival
        else if (session.state === 'established') session.tryLater(undefined, later)
      },
    },
    now,
  )
  if (more === undefined) return [notify(NotifyType.temporaryFailure)]
  if (more.length > 0 && session.rekeying !== undefined) session.rekeying.rival = pending
  const { number } = choice.proposal
  return [
    {
      kind: 'SA',
      proposals: [
        { number, protocol: IkeProtocol.ike, spi: spis.responder, transforms: transformsOf(choice.agreed) },
      ],
    },
    { kind: 'Nonce', data: nonces.responder },
    { kind: 'KE', method: id, data: exchange.value },
    ...more,
  ]
}

function successor(
  session: Session,
  isInitiator: boolean,
  agreed: Agreed,
  secret: Uint8Array,
  nonces: IkeNonces,
  spis: { readonly initiator: Uint8Array; readonly responder: Uint8Array },
  now: Instant,
  additional: readonly Uint8Array[],
): Session {
  const keys = deriveRekeyedIkeKeys(
    agreed,
    { prf: session.agreed.prf!, d: session.keys.d },
    secret,
    nonces,
    spis,
    additional,
  )
  const { policy, local, remote, udp, behindNat, options } = session
  const { opening: _opening, ...kept } = options
  const next = new Session(
    { ...kept, isInitiator, spis, agreed, keys, policy, local, remote, udp, behindNat },
    'established',
    { ours: 0, theirs: 0 },
    now,
  )
  next.peerId = session.peerId
  next.mobike = session.mobike
  next.places = session.places
  next.peerBehindNat = session.peerBehindNat
  next.user = session.user
  next.singlePair = session.singlePair
  next.refusedFlows = session.refusedFlows
  keepFresh(next)
  session.options.owner.adopt(next)
  return next
}

function settleIke(
  session: Session,
  next: Session,
  rival: Rival | undefined,
  lowest: Uint8Array,
  now: Instant,
): void {
  if (rival !== undefined && rival.session === undefined && lower(lowest, rival.lowestNonce) === lowest) {
    // Ours lost to one that is not made yet: the old one serves until it is.
    next.delete('both sides made one, and the other stays', now)
    return
  }
  if (rival?.session === undefined || rival.session.state !== 'established') {
    handOver(session, next, now)
    session.delete('another IKE SA has taken its place', now)
    return
  }
  if (lower(lowest, rival.lowestNonce) === lowest) {
    // Ours lost: we end it; the peer ends the old one.
    handOver(session, rival.session, now)
    next.delete('both sides made one, and the other stays', now)
    return
  }
  handOver(session, next, now)
  const late = rival.session
  late.timer('rekeyed', REKEYED_LIMIT, now, (at) => late.close('the peer did not end it', false, at))
  session.delete('another IKE SA has taken its place', now)
}

/** The peer's new SA of the same time takes over, where there is one and ours will not come about. */
function inheritRival(session: Session, now: Instant): boolean {
  const heir = session.rekeying?.rival?.session
  session.rekeying = undefined
  if (heir?.state !== 'established' || session.state !== 'established') return false
  handOver(session, heir, now)
  return true
}

/** All children go over; the old SA only waits for its end. */
function handOver(session: Session, next: Session, now: Instant): void {
  for (const child of session.children.values()) next.inherit(child)
  session.children.clear()
  session.handAssigned(next)
  for (const one of [session, next]) one.context.policiesChanged(one)
  session.enter('rekeyed', now)
  next.clearTimer('rekeyed')
  next.start(now)
  if (next.children.size === 0) next.missChild(now)
  if (session.announcing) announce(next, now)
  // What waited its turn on the old one is asked on the new one.
  for (const child of next.children.values()) {
    const { state } = child
    if (state !== 'rekeying' && state !== 'closing') continue
    child.state = 'installed'
    if (state === 'closing') next.deleteChild(child, now)
    // At once: it may have come to its soft limit, and its hard one is not far.
    else next.onChildSoft?.(child, now)
  }
  session.timer('rekeyed', REKEYED_LIMIT, now, (at) => session.close('the peer did not end it', false, at))
}

// --- INFORMATIONAL ----------------------------------------------------------------------------------------------

function answerInformational(
  session: Session,
  request: readonly IkePayload[],
  now: Instant,
): readonly IkePayload[] | undefined {
  const answer: IkePayload[] = answerMobike(session, request, now)
  for (const payload of request) {
    if (payload.kind === 'D') {
      if (payload.protocol === IkeProtocol.ike) {
        // Who deletes it has seen its own new one win, and does not wait for what we have asked at the same time.
        inheritRival(session, now)
        // RFC 7296 section 1.4.1: an empty answer, and it is gone.
        session.timer('deleted', AT_ONCE, now, (at) =>
          session.close(
            'deleted by the peer',
            session.state === 'established' && session.policy.initiate,
            at,
          ),
        )
        return []
      }
      const ours = deleted(session, payload.protocol, payload.spis, now)
      if (ours.length > 0) answer.push({ kind: 'D', protocol: payload.protocol, spis: ours })
    } else if (payload.kind === 'CP') {
      const told = answerConfiguration(session, payload)
      if (told !== undefined) answer.push(told)
    } else if (payload.kind === 'N' && payload.type === NotifyType.authenticationFailed) {
      session.tell(
        { kind: 'problem', ...refusedAuth(payload.type, session.policy, session.context.credentials) },
        now,
      )
      session.timer('deleted', AT_ONCE, now, (at) =>
        session.close('the peer does not believe who we are', false, at),
      )
      return []
    }
  }
  return answer
}

/** Ends the children that the peer sends with these SPIs; gives what we send with in answer. */
function deleted(
  session: Session,
  protocol: number,
  spis: readonly Uint8Array[],
  now: Instant,
): Uint8Array[] {
  const answer: Uint8Array[] = []
  for (const bytes of spis) {
    if (bytes.length !== 4) continue
    const spi = spiNumber(bytes)
    const child = [...session.children.values()].find((one) => one.spiOut === spi)
    if (child === undefined || PROTOCOL_IDS[child.agreed.protocol] !== protocol) continue
    // RFC 7296 section 1.4.1: where both delete it at once, the answer leaves it out.
    if (child.state !== 'closing') answer.push(spiBytes(child.spiIn))
    session.dropChild(child, now)
  }
  return answer
}
