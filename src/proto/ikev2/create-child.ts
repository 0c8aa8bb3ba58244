/**
 * CREATE_CHILD_SA for a child, as the one who begins (RFC 7296 sections 1.3.1, 1.3.3, 2.8, 2.25): for flows that have none,
 * and in the place of one that stands.
 */
import { type Instant, readUint16, seconds } from '../../base/index.js'
import { type KeyExchangeName, keyExchangeById } from '../../crypto/index.js'
import {
  IkeExchange,
  type IkePayload,
  IkeProtocol,
  NotifyType,
  type PayloadOf,
} from '../../wire/ike/index.js'
import { type Child, spiBytes } from './children.js'
import { flowsOf } from './configuration.js'
import { followUp } from './follow-up.js'
import { findPayload } from './init.js'
import type { IkeNonces } from './keys.js'
import { type ChildRequest, completeChild, type Failure, offerChild } from './negotiate-child.js'
import { missingFlows, type Pair, wantedTraffic } from './pairs.js'
import type { Flow } from './policy.js'
import { compare, formatSelector } from './selectors.js'
import type { Session } from './session.js'
import type { Suite } from './suites.js'

export const NONCE_LENGTH = 32

/** Bytes are compared as numbers of one length; of two lengths the shorter is extended with nothing (RFC 7296 section 2.8.1). */
export function lower(a: Uint8Array, b: Uint8Array): Uint8Array {
  const length = Math.min(a.length, b.length)
  const order = compare(a.subarray(0, length), b.subarray(0, length))
  return order < 0 || (order === 0 && a.length < b.length) ? a : b
}

export const lowestOf = ({ initiator, responder }: IkeNonces): Uint8Array => lower(initiator, responder)

/** RFC 7296 section 1.3: the key exchange that INVALID_KE_PAYLOAD asks for, if the suites allow it. */
export function wantedGroup(
  error: Pick<PayloadOf<'N'>, 'type' | 'data'> | undefined,
  suites: readonly Suite[],
): KeyExchangeName | undefined {
  if (error?.type !== NotifyType.invalidKePayload || error.data.length !== 2) return undefined
  const name = keyExchangeById(readUint16(error.data, 0))?.name
  return name !== undefined && suites.some(({ keyExchange }) => keyExchange.includes(name)) ? name : undefined
}

interface Wish {
  readonly traffic: NonNullable<ChildRequest['traffic']>
  /** What stands before the child's own payloads. */
  readonly before: readonly IkePayload[]
  /** Asked when its turn has come. */
  isWanted(): boolean
  made(child: Child, nonces: IkeNonces, now: Instant): void
  /** It is given up before its additional key exchanges are made. */
  isLost?(nonces: IkeNonces, now: Instant): boolean
  refused(failure: Failure, now: Instant): void
}

/** One exchange; a second one where the peer wants the value of another group, and no third. */
function ask(session: Session, wish: Wish, now: Instant, group?: KeyExchangeName): void {
  const nonce = session.context.random.fill(new Uint8Array(NONCE_LENGTH))
  const { traffic } = wish
  const offer = offerChild(session, { nonce, traffic, ...(group === undefined ? {} : { group }) })
  session.channel.send(
    {
      exchange: IkeExchange.createChildSa,
      payloads() {
        if (session.state !== 'established' || !wish.isWanted()) return undefined
        session.isMakingChild = true
        return [...wish.before, ...offer.payloads]
      },
      answered(answer, later) {
        session.isMakingChild = false
        const theirs = findPayload(answer, 'Nonce')?.data
        const nonces = { initiator: nonce, responder: theirs ?? nonce }
        const child = completeChild(session, offer, answer, nonces, later)
        if (!('notify' in child)) {
          const { complete } = child
          if (complete === undefined) {
            wish.made(child, nonces, later)
            return
          }
          if (wish.isLost?.(nonces, later) === true) return
          session.isMakingChild = true
          const outcome = {
            done(secrets: readonly Uint8Array[], at: Instant) {
              session.isMakingChild = false
              wish.made(complete(secrets), nonces, at)
            },
            failed(text: string, at: Instant) {
              session.isMakingChild = false
              wish.refused({ text, mend: 'look at the peer’s log', notify: NotifyType.invalidSyntax }, at)
            },
          }
          followUp(session, child.agreed, answer, outcome, later)
          return
        }
        const { notify: type, data = new Uint8Array(0) } = child
        const wanted = wantedGroup({ type, data }, session.policy.childSuites)
        if (group === undefined && wanted !== undefined) ask(session, wish, later, wanted)
        else wish.refused(child, later)
      },
      lost: (later) => session.lost(later),
    },
    now,
    group !== undefined,
  )
}

/** When flows are asked for again that the peer refused, beside a child and without one. */
const REFUSED_AGAIN = seconds(300)
const CHILDLESS_AGAIN = seconds(10)

const textOf = ({ local, remote }: Pair): string => `${formatSelector(local)} ${formatSelector(remote)}`

/** Flows that no child of this SA carries and that have not been refused. */
function lackingFlows(session: Session): Flow[] {
  const pairs = [...session.children.values()].flatMap(({ state, traffic }) =>
    state === 'closing' ? [] : traffic.pairs,
  )
  const missing = missingFlows(flowsOf(session), pairs)
  if (pairs.length === 0) return missing
  return missing.filter((flow) => !session.refusedFlows.has(textOf(flow)))
}

/** A child for what none stands for (RFC 7296 sections 1.3.1, 2.9). */
export function createChild(session: Session, now: Instant): void {
  const lacking = lackingFlows(session)
  const flows = session.singlePair ? lacking.slice(0, 1) : lacking
  if (flows.length === 0 || session.state !== 'established') return
  ask(
    session,
    {
      traffic: wantedTraffic(flows),
      before: [],
      isWanted: () => lackingFlows(session).some((flow) => flows.some((one) => textOf(one) === textOf(flow))),
      made: (child, _nonces, later) => session.addChild(child, later),
      refused(failure, later) {
        if (failure.notify === NotifyType.singlePairRequired && !session.singlePair) {
          session.singlePair = true
          createChild(session, later)
          return
        }
        session.tell({ kind: 'problem', text: `no child: ${failure.text}`, mend: failure.mend }, later)
        const isChildless = session.children.size === 0
        if (!isChildless) for (const flow of flows) session.refusedFlows.add(textOf(flow))
        session.timer('child', isChildless ? CHILDLESS_AGAIN : REFUSED_AGAIN, later, (at) => {
          session.refusedFlows.clear()
          createChild(session, at)
        })
        // Others may be had all the same.
        if (!isChildless && session.singlePair) createChild(session, later)
      },
    },
    now,
  )
}

/** A child in the place of another; the old one goes when the new one stands. */
export function rekeyChild(session: Session, old: Child, now: Instant): void {
  if (old.state !== 'installed' || session.state !== 'established') return
  old.state = 'rekeying'
  const rekeySa: IkePayload = {
    kind: 'N',
    protocol: old.agreed.protocol === 'ah' ? IkeProtocol.ah : IkeProtocol.esp,
    spi: spiBytes(old.spiIn),
    type: NotifyType.rekeySa,
    data: new Uint8Array(0),
  }
  ask(
    session,
    {
      // RFC 7296 section 2.9.2: as it stands, and no less.
      traffic: old.traffic,
      before: [rekeySa],
      // The peer may have deleted it while this waited.
      isWanted: () => session.children.get(old.id) === old,
      isLost(nonces, later) {
        const lowest = lowestOf(nonces)
        if (old.rival === undefined || lower(lowest, old.rival.lowestNonce) !== lowest) return false
        // Nothing is made of it yet that would have to be ended; the peer's goes on.
        old.state = 'installed'
        if (old.rival.child === undefined) session.tryLater(old, later)
        return true
      },
      made(child, nonces, later) {
        session.addChild(child, later)
        settle(session, old, child, lowestOf(nonces), later)
      },
      refused(failure, later) {
        old.state = 'installed'
        session.tell({ kind: 'problem', text: `no new child: ${failure.text}`, mend: failure.mend }, later)
        // RFC 7296 section 2.25: busy, or it is gone there. The old one serves until its end.
        if (failure.notify === NotifyType.childSaNotFound) session.dropChild(old, later)
        else session.tryLater(old, later)
      },
    },
    now,
  )
}

/** RFC 7296 section 2.8.1: of two children made at once, the one with the lowest of the four nonces is given up. */
function settle(session: Session, old: Child, ours: Child, lowest: Uint8Array, now: Instant): void {
  const { rival } = old
  const isGone = rival?.child !== undefined && !session.children.has(rival.child.id)
  if (rival === undefined || isGone) {
    old.state = 'installed'
    session.deleteChild(old, now)
    return
  }
  if (lower(lowest, rival.lowestNonce) === lowest) {
    // Ours lost; the peer ends the old one, which serves while its own is still under way.
    old.state = rival.child === undefined ? 'installed' : 'old'
    session.deleteChild(ours, now)
    if (rival.child === undefined) session.tryLater(old, now)
    return
  }
  // The peer's lost, and the peer ends it. The old one is ours to end.
  old.state = 'installed'
  session.deleteChild(old, now)
}
