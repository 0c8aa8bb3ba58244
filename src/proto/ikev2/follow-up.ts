/**
 * IKE_FOLLOWUP_KE (RFC 9370 section 2.2.4): the additional key exchanges behind a CREATE_CHILD_SA. What that exchange is to
 * make stands when the last of them is answered; a link leads from each to the next.
 */
import { type Duration, type Instant, seconds } from '../../base/index.js'
import {
  KEY_EXCHANGES,
  type KeyExchangeName,
  nodeKeyExchange,
  nodeKeyExchangeAnswer,
  wipe,
} from '../../crypto/index.js'
import { hexOf } from '../../wire/field.js'
import { IkeExchange, type IkePayload, NotifyType } from '../../wire/ike/index.js'
import { isValueOf, methodsOf } from './additional.js'
import { findError, findNotify, findPayload, notify } from './init.js'
import { meaningOf } from './meanings.js'
import type { Session } from './session.js'
import type { Agreed } from './suites.js'

/** What a peer may have begun at once on one IKE SA, and how long it may take: its own retransmissions are over by then. */
export const FOLLOW_UP_LIMIT = 8
const FOLLOW_UP_WAIT: Duration = seconds(240)
const LINK_LENGTH = 16
const NOTHING = new Uint8Array(0)

/** What a peer has begun and not ended. */
export interface FollowUp {
  readonly of: 'ike' | 'child'
  readonly methods: readonly KeyExchangeName[]
  readonly secrets: Uint8Array[]
  /** All are exchanged: in their order. */
  finish(secrets: readonly Uint8Array[], now: Instant): void
  /** The peer did not go on. */
  dropped(now: Instant): void
}

/**
 * The responder's: what is to be added to its answer, none where there is nothing to follow (then it has finished).
 * Undefined: so much is under way that nothing more is begun.
 */
export function awaitFollowUps(
  session: Session,
  agreed: Agreed,
  { of, finish, dropped }: Pick<FollowUp, 'of' | 'finish' | 'dropped'>,
  now: Instant,
): IkePayload[] | undefined {
  const methods = methodsOf(agreed)
  if (methods.length === 0) {
    finish([], now)
    return []
  }
  if (session.followUps.size >= FOLLOW_UP_LIMIT) return undefined
  return [link(session, { of, methods, secrets: [], finish, dropped }, now)]
}

/** Keeps it under a link that only the peer hears. */
function link(session: Session, pending: FollowUp, now: Instant): IkePayload {
  const data = session.context.random.fill(new Uint8Array(LINK_LENGTH))
  const key = hexOf(data, 0, LINK_LENGTH)
  session.followUps.set(key, pending)
  session.timer(`follow-up ${key}`, FOLLOW_UP_WAIT, now, (at) => {
    session.followUps.delete(key)
    wipe(...pending.secrets)
    pending.dropped(at)
  })
  return notify(NotifyType.additionalKeyExchange, data)
}

export const isAwaiting = (session: Session, of: FollowUp['of']): boolean =>
  [...session.followUps.values()].some((one) => one.of === of)

/** The handler of a request. */
export function answerFollowUp(
  session: Session,
  request: readonly IkePayload[],
  now: Instant,
): readonly IkePayload[] {
  const data = findNotify(request, NotifyType.additionalKeyExchange)?.data ?? NOTHING
  const key = hexOf(data, 0, Math.min(data.length, LINK_LENGTH + 1))
  const pending = session.state === 'established' ? session.followUps.get(key) : undefined
  if (pending === undefined) {
    session.context.counters.add('ike.followUp')
    return [notify(NotifyType.stateNotFound)]
  }
  session.followUps.delete(key)
  session.clearTimer(`follow-up ${key}`)
  const name = pending.methods[pending.secrets.length]!
  const ke = findPayload(request, 'KE')
  const exchange = isValueOf(name, ke, false)
    ? nodeKeyExchangeAnswer(name, ke.data, session.context.random)
    : undefined
  if (exchange === undefined) {
    wipe(...pending.secrets)
    pending.dropped(now)
    return [notify(NotifyType.invalidSyntax)]
  }
  pending.secrets.push(exchange.secret)
  const answer: IkePayload = { kind: 'KE', method: KEY_EXCHANGES[name].id, data: exchange.value }
  if (pending.secrets.length < pending.methods.length) return [answer, link(session, pending, now)]
  pending.finish(pending.secrets, now)
  wipe(...pending.secrets)
  return [answer]
}

export interface FollowUpOutcome {
  done(secrets: readonly Uint8Array[], now: Instant): void
  failed(text: string, now: Instant): void
}

/** The initiator's: all that were agreed upon, one after the other. At once where there is none. */
export function followUp(
  session: Session,
  agreed: Agreed,
  answer: readonly IkePayload[],
  outcome: FollowUpOutcome,
  now: Instant,
): void {
  const methods = methodsOf(agreed)
  const secrets: Uint8Array[] = []
  const fail = (text: string, at: Instant): void => {
    wipe(...secrets)
    outcome.failed(text, at)
  }
  const next = (before: readonly IkePayload[], at: Instant): void => {
    const name = methods[secrets.length]
    if (name === undefined) {
      outcome.done(secrets, at)
      wipe(...secrets)
      return
    }
    const leads = findNotify(before, NotifyType.additionalKeyExchange)
    if (leads === undefined) {
      fail(`no link to the additional key exchange ${name}`, at)
      return
    }
    const exchange = nodeKeyExchange(name, session.context.random)
    session.channel.send(
      {
        exchange: IkeExchange.ikeFollowupKe,
        payloads: () => [
          { kind: 'KE', method: exchange.algorithm.id, data: exchange.value },
          notify(NotifyType.additionalKeyExchange, leads.data),
        ],
        answered(reply, later) {
          const error = findError(reply)
          const ke = findPayload(reply, 'KE')
          const secret = isValueOf(name, ke, true) ? exchange.finish(ke.data) : undefined
          if (error !== undefined) fail(meaningOf(error.type).text, later)
          else if (secret === undefined) fail(`the peer’s value of ${name} is none`, later)
          else {
            secrets.push(secret)
            next(reply, later)
          }
        },
        lost(later) {
          wipe(...secrets)
          session.lost(later)
        },
      },
      at,
      // Before all that waits: what is half made holds up other things.
      true,
    )
  }
  next(answer, now)
}
