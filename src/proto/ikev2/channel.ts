/**
 * The exchanges of one IKE SA (RFC 7296 sections 2.1 to 2.3): one request of ours at a time, sent again until it is
 * answered; one of the peer's at a time, answered once and the answer kept. What is in a message is its owner's.
 */
import {
  after,
  type Counters,
  type Duration,
  type Instant,
  ParseError,
  type QueuedTimer,
  type Random,
  seconds,
  type TimerQueue,
} from '../../base/index.js'
import {
  emitIkePayloads,
  firstPayloadType,
  IKE_FLAG_INITIATOR,
  IKE_FLAG_RESPONSE,
  IKE_HEADER_LENGTH,
  IKE_PAYLOAD_HEADER_LENGTH,
  IkeExchange,
  type IkeHeader,
  type IkePayload,
  isKnownPayload,
  NotifyType,
  parseIkePayloads,
} from '../../wire/ike/index.js'
import type { EncryptedPayloads, OutgoingHeader } from './encrypted.js'
import { type FragmentBudget, Reassembly } from './fragments.js'

/** RFC 7296 section 2.4: at least a dozen times over several minutes is advice; these are the daemons' own habits. */
export const RETRANSMIT_FIRST: Duration = seconds(2)
export const RETRANSMIT_LIMIT = 6
/** RFC 7296 section 2.2: numbers never come again; an SA that has used them all is over. */
const LAST_MESSAGE_ID = 0xffffffff
/** Requests of ours that wait for their turn. */
export const QUEUE_LIMIT = 256

/** A request of ours. */
export interface Request {
  readonly exchange: number
  /** Asked when its turn has come: the SA may be another by then. Undefined: it is no longer needed. */
  payloads(now: Instant): readonly IkePayload[] | undefined
  answered(payloads: readonly IkePayload[], now: Instant): void
  /** Nobody has answered: the peer is dead. */
  lost(now: Instant): void
}

export interface ChannelOptions {
  readonly isInitiator: boolean
  readonly initiatorSpi: Uint8Array
  responderSpi: Uint8Array
  readonly random: Random
  readonly timers: TimerQueue
  readonly counters: Counters
  /** Bytes of the largest message that goes whole; absent: the peer takes no fragments. */
  fragmentSize?: number
  /** What fragments are counted against while the peer has not proved who it is. */
  fragmentBudget?(): FragmentBudget | undefined
  transmit(bytes: Uint8Array, now: Instant): void
  /**
   * A request of the peer: its payloads, authentic. Gives those of the answer, or undefined: the answer comes later by
   * `answer()`, or not at all.
   */
  request(exchange: number, payloads: readonly IkePayload[], now: Instant): readonly IkePayload[] | undefined
  /** An IKE_INTERMEDIATE, whole and in the clear, sent or received: it is part of what is signed (RFC 9242). */
  intermediate?(message: PlainMessage, isOurs: boolean): void
  /** Something authentic has arrived. */
  alive(now: Instant): void
  /** A request was sent that often and not answered: true, if it goes another way from now on. */
  elsewhere?(attempts: number, now: Instant): boolean
}

/** A message as it is before it is encrypted. */
export interface PlainMessage {
  readonly header: OutgoingHeader
  /** Type of the first payload inside. */
  readonly first: number
  readonly plain: Uint8Array
}

interface Outstanding {
  readonly request: Request
  readonly id: number
  readonly packets: readonly Uint8Array[]
  attempts: number
  timer: QueuedTimer | undefined
}

const NOTHING = new Uint8Array(0)

export class Channel {
  readonly options: ChannelOptions
  #sender: EncryptedPayloads | undefined
  #receiver: EncryptedPayloads | undefined
  readonly #queue: Request[] = []
  #outstanding: Outstanding | undefined
  #nextId: number
  #expectedId: number
  /** The peer's last request: how it ended (its ICV, whole), and what was answered. */
  #lastRequest: { readonly id: number; readonly tail: Uint8Array; answer: readonly Uint8Array[] } | undefined
  #pending: { readonly id: number; readonly exchange: number; readonly tail: Uint8Array } | undefined
  /** How the first fragment of the peer's request under way ended: what a repetition is known by. */
  #firstTail = NOTHING
  readonly #requests = new Reassembly()
  readonly #responses = new Reassembly()
  #afterAnswer: (() => void) | undefined
  #closed = false

  /** `firstIds`: of the first request of ours and of the peer's behind the keys. */
  constructor(options: ChannelOptions, firstIds: { readonly ours: number; readonly theirs: number }) {
    this.options = options
    this.#nextId = firstIds.ours
    this.#expectedId = firstIds.theirs
  }

  /** From now on messages are encrypted, with these. */
  install(sender: EncryptedPayloads, receiver: EncryptedPayloads): void {
    this.#sender?.destroy()
    this.#receiver?.destroy()
    this.#sender = sender
    this.#receiver = receiver
  }

  /** Runs when the request that is being answered has its answer. */
  onceAnswered(run: () => void): void {
    this.#afterAnswer = run
  }

  get isIdle(): boolean {
    return this.#outstanding === undefined && this.#queue.length === 0
  }

  /** Message ids as the next of each side, for status. */
  get ids(): { readonly ours: number; readonly theirs: number } {
    return { ours: this.#nextId, theirs: this.#expectedId }
  }

  /** Puts a request into the queue; `first`: before all others. False: the queue is full. */
  send(request: Request, now: Instant, first = false): boolean {
    if (this.#closed || this.#queue.length >= QUEUE_LIMIT) return false
    if (first) this.#queue.unshift(request)
    else this.#queue.push(request)
    this.#next(now)
    return true
  }

  /** The answer to a request that `options.request` gave none for. */
  answer(payloads: readonly IkePayload[], now: Instant): void {
    const pending = this.#pending
    if (pending === undefined || this.#closed) return
    this.#pending = undefined
    this.#answer(pending.id, pending.exchange, pending.tail, payloads, now)
  }

  /** The answer to the peer's last request, if this is that request once more; also when all is over. */
  repeated(bytes: Uint8Array): readonly Uint8Array[] | undefined {
    const last = this.#lastRequest
    const tail = bytes.subarray(-32)
    if (last === undefined || tail.length !== last.tail.length) return undefined
    return tail.every((byte, i) => byte === last.tail[i]) ? last.answer : undefined
  }

  /** Sends what is outstanding once more: the peer's address, or ours, is another. */
  resend(now: Instant): void {
    for (const packet of this.#outstanding?.packets ?? []) this.options.transmit(packet, now)
  }

  /** Nothing is sent or heard any more; keys are wiped. */
  close(): void {
    this.#closed = true
    this.#outstanding?.timer?.cancel()
    this.#outstanding = undefined
    this.#queue.length = 0
    this.#requests.clear()
    this.#responses.clear()
    this.#sender?.destroy()
    this.#receiver?.destroy()
  }

  #next(now: Instant): void {
    while (this.#outstanding === undefined && this.#sender !== undefined && !this.#closed) {
      const request = this.#queue.shift()
      if (request === undefined) return
      const payloads = request.payloads(now)
      if (payloads === undefined) continue
      if (this.#nextId > LAST_MESSAGE_ID) {
        request.lost(now)
        return
      }
      const id = this.#nextId++
      const packets = this.#seal(request.exchange, id, 0, payloads)
      this.#outstanding = { request, id, packets, attempts: 0, timer: undefined }
      this.#transmit(now)
    }
  }

  #transmit(now: Instant): void {
    const outstanding = this.#outstanding
    if (outstanding === undefined) return
    const wait = (RETRANSMIT_FIRST * 2 ** outstanding.attempts) as Duration
    outstanding.attempts++
    for (const packet of outstanding.packets) this.options.transmit(packet, now)
    outstanding.timer = this.options.timers.schedule(after(now, wait), (at) => {
      if (this.#outstanding !== outstanding) return
      if (this.options.elsewhere?.(outstanding.attempts, at) === true) outstanding.attempts = 0
      if (outstanding.attempts < RETRANSMIT_LIMIT) {
        this.options.counters.add('ike.retransmit')
        this.#transmit(at)
        return
      }
      this.#outstanding = undefined
      outstanding.request.lost(at)
      this.#next(at)
    })
  }

  #seal(exchange: number, id: number, response: number, payloads: readonly IkePayload[]): Uint8Array[] {
    const { isInitiator, initiatorSpi, responderSpi, random, fragmentSize } = this.options
    const header = {
      initiatorSpi,
      responderSpi,
      majorVersion: 2,
      minorVersion: 0,
      exchangeType: exchange,
      flags: (isInitiator ? IKE_FLAG_INITIATOR : 0) | response,
      messageId: id,
    }
    if (exchange === IkeExchange.ikeIntermediate)
      this.options.intermediate?.(
        { header, first: firstPayloadType(payloads), plain: emitIkePayloads(payloads) },
        true,
      )
    return this.#sender!.seal(header, payloads, random, fragmentSize)
  }

  /** A message of this SA, whole; the bytes are the channel's to change. */
  receive(header: IkeHeader, bytes: Uint8Array, now: Instant): void {
    const reason = this.#receive(header, bytes, now)
    if (reason !== undefined) this.options.counters.add(reason)
  }

  /** The reason why it is dropped. */
  #receive(header: IkeHeader, bytes: Uint8Array, now: Instant): string | undefined {
    const receiver = this.#receiver
    if (receiver === undefined || this.#closed) return 'ike.state'
    const fromInitiator = (header.flags & IKE_FLAG_INITIATOR) !== 0
    if (fromInitiator === this.options.isInitiator) return 'ike.flags'
    const isResponse = (header.flags & IKE_FLAG_RESPONSE) !== 0
    const { messageId } = header
    // Before any work: a number that is not expected is of nobody's request.
    if (isResponse ? messageId !== this.#outstanding?.id : !this.#isDue(messageId)) return 'ike.messageId'
    if (isResponse && header.exchangeType !== this.#outstanding?.request.exchange) return 'ike.exchange'

    let encrypted: { payload: IkePayload; start: number } | undefined
    try {
      encrypted = parseIkePayloads(bytes, header.nextPayload, IKE_HEADER_LENGTH, header.length).at(-1)
    } catch (error) {
      return reasonOf(error)
    }
    const payload = encrypted?.payload
    if (encrypted === undefined || (payload?.kind !== 'SK' && payload?.kind !== 'SKF')) return 'ike.clear'
    const isFragment = payload.kind === 'SKF'
    const at = encrypted.start + IKE_PAYLOAD_HEADER_LENGTH + (isFragment ? 4 : 0)
    if (!isResponse && messageId < this.#expectedId)
      return this.#repeat(bytes, isFragment && payload.number > 1, now)
    if (!isResponse && this.#pending?.id === messageId) return 'ike.pending'
    let tail = bytes.slice(-32)
    const plain = receiver.open(bytes, at)
    if (plain === undefined) return 'ike.icv'
    this.options.alive(now)

    let first = payload.first
    let whole = plain
    if (payload.kind === 'SKF') {
      if (!isResponse && payload.number === 1) this.#firstTail = tail
      const reassembly = isResponse ? this.#responses : this.#requests
      const budget = this.options.fragmentBudget?.()
      const outcome = reassembly.add(messageId, payload.number, payload.total, first, plain, budget)
      if (outcome === 'more') return undefined
      if ('dropped' in outcome) return outcome.dropped
      first = outcome.first
      whole = outcome.plain
      tail = this.#firstTail
    }
    let payloads: IkePayload[]
    try {
      payloads = parseIkePayloads(whole, first, 0, whole.length).map((placed) => placed.payload)
    } catch (error) {
      if (!isResponse) this.#refuse(header, tail, NotifyType.invalidSyntax, NOTHING, now)
      return reasonOf(error)
    }
    const strange = payloads.find((one) => one.critical === true && one.kind === 'unknown')
    if (strange?.kind === 'unknown' && !isKnownPayload(strange.type)) {
      // RFC 7296 section 2.5: told by its type, and nothing else of the message is heeded.
      if (!isResponse)
        this.#refuse(header, tail, NotifyType.unsupportedCriticalPayload, Uint8Array.of(strange.type), now)
      return 'ike.critical'
    }
    if (header.exchangeType === IkeExchange.ikeIntermediate)
      this.options.intermediate?.({ header, first, plain: whole }, false)
    if (isResponse) this.#answered(payloads, now)
    else this.#asked(header, tail, payloads, now)
    return undefined
  }

  /** The one expected, or the one before, which is answered again. */
  #isDue(id: number): boolean {
    return id === this.#expectedId || (id === this.#expectedId - 1 && this.#lastRequest?.id === id)
  }

  /** RFC 7296 section 2.1: the same request brings the same answer, and only the same. */
  #repeat(bytes: Uint8Array, later: boolean, now: Instant): string | undefined {
    // RFC 7383 section 2.6.1: of a message in fragments the first one stands for all.
    if (later) return 'ike.repeated'
    for (const packet of this.repeated(bytes) ?? []) this.options.transmit(packet, now)
    return 'ike.repeated'
  }

  #answered(payloads: readonly IkePayload[], now: Instant): void {
    const outstanding = this.#outstanding!
    outstanding.timer?.cancel()
    this.#outstanding = undefined
    outstanding.request.answered(payloads, now)
    this.#next(now)
  }

  #asked(header: IkeHeader, tail: Uint8Array, payloads: readonly IkePayload[], now: Instant): void {
    const { messageId: id, exchangeType: exchange } = header
    this.#pending = { id, exchange, tail }
    const answer = this.options.request(exchange, payloads, now)
    if (answer === undefined || this.#pending === undefined) return
    this.#pending = undefined
    this.#answer(id, exchange, tail, answer, now)
  }

  #refuse(header: IkeHeader, tail: Uint8Array, type: number, data: Uint8Array, now: Instant): void {
    const notify: IkePayload = { kind: 'N', protocol: 0, spi: NOTHING, type, data }
    this.#answer(header.messageId, header.exchangeType, tail, [notify], now)
  }

  #answer(
    id: number,
    exchange: number,
    tail: Uint8Array,
    payloads: readonly IkePayload[],
    now: Instant,
  ): void {
    if (this.#closed || this.#sender === undefined) return
    const answer = this.#seal(exchange, id, IKE_FLAG_RESPONSE, payloads)
    this.#lastRequest = { id, tail, answer }
    this.#expectedId = id + 1
    for (const packet of answer) this.options.transmit(packet, now)
    const then = this.#afterAnswer
    this.#afterAnswer = undefined
    then?.()
  }
}

const reasonOf = (error: unknown): string => {
  if (error instanceof ParseError) return error.reason
  throw error
}

/** Whether a request of this exchange may come before the SA is established. */
export const isEarly = (exchange: number): boolean =>
  exchange === IkeExchange.ikeAuth || exchange === IkeExchange.ikeIntermediate
