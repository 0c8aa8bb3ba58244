/**
 * IKE_INTERMEDIATE (RFC 9242) between IKE_SA_INIT and IKE_AUTH: there are as many as additional key exchanges were agreed
 * upon (RFC 9370 section 2.2.2), each with keys of its own behind it, and all of them are part of what both sides sign.
 */
import { type Instant, seconds } from '../../base/index.js'
import {
  KEY_EXCHANGES,
  type KeyExchangeName,
  nodeKeyExchange,
  nodeKeyExchangeAnswer,
  nodePrf,
  type PrfName,
  wipe,
} from '../../crypto/index.js'
import {
  IKE_HEADER_LENGTH,
  IKE_PAYLOAD_HEADER_LENGTH,
  IkeExchange,
  type IkePayload,
  IkePayloadType,
  ike,
  ikePayload,
  joined,
  NotifyType,
} from '../../wire/ike/index.js'
import { isValueOf, methodsOf } from './additional.js'
import type { PlainMessage } from './channel.js'
import { spiBytes } from './children.js'
import { at, type Problem, refusedInit } from './doctor.js'
import { findError, findPayload, notify } from './init.js'
import { deriveRekeyedIkeKeys } from './keys.js'
import type { Session } from './session.js'
import type { Agreed } from './suites.js'

const EMPTY = new Uint8Array(0)

/** What an IKE SA has yet to exchange before IKE_AUTH, and what it has said until now. */
export class Intermediate {
  readonly methods: readonly KeyExchangeName[]
  readonly #prf: PrfName
  #done = 0
  /** IntAuth_iN and IntAuth_rN. */
  #initiator: Uint8Array = EMPTY
  #responder: Uint8Array = EMPTY

  constructor(agreed: Agreed) {
    this.methods = methodsOf(agreed)
    this.#prf = agreed.prf!
  }

  get next(): KeyExchangeName | undefined {
    return this.methods[this.#done]
  }

  advance(): void {
    this.#done++
  }

  /** Of each message, under the SK_pi or SK_pr of that time (RFC 9242 section 3.3.2). */
  record({ header, first, plain }: PlainMessage, byInitiator: boolean, key: Uint8Array): void {
    const before = byInitiator ? this.#initiator : this.#responder
    const after = nodePrf(this.#prf)(key, before, associated(header, first, plain.length), plain)
    if (byInitiator) this.#initiator = after
    else this.#responder = after
  }

  /** What is signed behind all else; nothing where there was no such exchange. */
  signed(): Uint8Array {
    return this.#done === 0 ? EMPTY : joined(this.#initiator, this.#responder, spiBytes(this.#done + 1))
  }
}

/** The header of IKE and that of SK, as if the message had neither IV nor padding nor ICV, and were no fragments. */
function associated(header: PlainMessage['header'], first: number, length: number): Uint8Array {
  const bytes = new Uint8Array(IKE_HEADER_LENGTH + IKE_PAYLOAD_HEADER_LENGTH)
  const whole = bytes.length + length
  ike.emit({ ...header, nextPayload: IkePayloadType.encrypted, length: whole }, bytes)
  ikePayload.emit(
    { nextPayload: first, critical: false, length: whole - IKE_HEADER_LENGTH },
    bytes,
    IKE_HEADER_LENGTH,
  )
  return bytes
}

/** The keys that follow upon an exchange (RFC 9370 section 2.2.2). */
function follow(session: Session, secret: Uint8Array): void {
  const { agreed, keys, opening, spis } = session
  const next = deriveRekeyedIkeKeys(agreed, { prf: agreed.prf!, d: keys.d }, secret, opening!.nonces, spis)
  wipe(secret)
  session.intermediate!.advance()
  session.renew(next)
}

/** The initiator's: one after the other, then `done`. */
export function exchangeIntermediate(session: Session, done: (now: Instant) => void, now: Instant): void {
  const name = session.intermediate?.next
  if (name === undefined) {
    done(now)
    return
  }
  const exchange = nodeKeyExchange(name, session.context.random)
  const fail = (problem: Problem, later: Instant): void => {
    exchange.destroy()
    session.tell({ kind: 'problem', ...problem }, later)
    session.close(problem.text, true, later)
  }
  session.channel.send(
    {
      exchange: IkeExchange.ikeIntermediate,
      payloads: () => [{ kind: 'KE', method: exchange.algorithm.id, data: exchange.value }],
      answered(answer, later) {
        const error = findError(answer)
        const ke = findPayload(answer, 'KE')
        const secret = isValueOf(name, ke, true) ? exchange.finish(ke.data) : undefined
        if (error !== undefined) fail(refusedInit(error.type, session.policy), later)
        else if (secret === undefined) fail(noValue(session, name), later)
        else {
          follow(session, secret)
          exchangeIntermediate(session, done, later)
        }
      },
      lost(later) {
        exchange.destroy()
        session.lost(later)
      },
    },
    now,
  )
}

const noValue = ({ policy }: Session, name: KeyExchangeName): Problem => ({
  text: `the peer’s value of the additional key exchange ${name} is none`,
  mend: `mend the peer, or take addke out of ikesa on both sides${at(policy)}`,
})

/**
 * The responder's. Nobody has authenticated, but who comes here has answered to its address and knows the keys of
 * IKE_SA_INIT; there are as many as were agreed upon and not one more, of values of one length.
 */
export function answerIntermediate(
  session: Session,
  request: readonly IkePayload[],
  now: Instant,
): readonly IkePayload[] {
  const name = session.intermediate?.next
  const ke = findPayload(request, 'KE')
  const exchange =
    name !== undefined && isValueOf(name, ke, false)
      ? nodeKeyExchangeAnswer(name, ke.data, session.context.random)
      : undefined
  if (name === undefined || exchange === undefined) {
    session.context.counters.add('ike.intermediate')
    const problem =
      name === undefined
        ? { text: 'IKE_INTERMEDIATE that nobody has agreed upon', mend: `mend the peer${at(session.policy)}` }
        : noValue(session, name)
    session.tell({ kind: 'problem', ...problem }, now)
    session.timer('refused', seconds(0), now, (later) => session.close(problem.text, false, later))
    return [notify(NotifyType.invalidSyntax)]
  }
  // The answer itself is still of the keys before.
  session.channel.onceAnswered(() => follow(session, exchange.secret))
  return [{ kind: 'KE', method: KEY_EXCHANGES[name].id, data: exchange.value }]
}
