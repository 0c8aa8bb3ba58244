/**
 * For tests: two hosts' TCP layers and a link between them that loses, delays, reorders, duplicates and corrupts by
 * a seed, in virtual time that leaps from one event to the next.
 */
import {
  after,
  Counters,
  type Duration,
  type Instant,
  type IpAddress,
  instantAt,
  milliseconds,
  parseIpAddress,
  type Random,
  SeededRandom,
  seconds,
  TimerQueue,
} from '../../base/index.js'
import type { TcpConnection } from './connection.js'
import type { TcpEvent } from './control-block.js'
import { TcpLayer } from './layer.js'
import type { TcpLimits } from './limits.js'
import { Flag, parseSegment, type Segment } from './segment.js'

/** Chances are fractions of one, each drawn for each segment. */
export interface Faults {
  readonly loss?: number
  readonly duplicate?: number
  /** Chance of an extra delay of up to four times `delay`. */
  readonly reorder?: number
  readonly corrupt?: number
  /** One way. */
  readonly delay?: Duration
  /** Bytes a second; what does not fit the queue is lost. */
  readonly rate?: number
  readonly queue?: number
}

export interface TestNetworkOptions extends Faults {
  readonly seed?: number
  readonly mss?: number
  readonly limits?: Partial<TcpLimits>
  readonly ecn?: boolean
  readonly family?: 4 | 6
  /** False loses the segment, or rewrites it: `side` is the sender's. */
  readonly tamper?: (segment: Uint8Array, side: 'a' | 'b') => boolean
  readonly start?: Instant
}

export interface TracedSegment extends Segment {
  readonly from: 'a' | 'b'
  readonly at: Instant
}

export class TestNetwork {
  readonly random: SeededRandom
  readonly timers: TimerQueue = new TimerQueue()
  readonly a: TcpLayer
  readonly b: TcpLayer
  readonly counters: { a: Counters; b: Counters } = { a: new Counters(), b: new Counters() }
  readonly addresses: { a: IpAddress; b: IpAddress }
  /** Set to record what is sent (before faults). */
  trace: TracedSegment[] | undefined
  now: Instant
  faults: Faults
  tamper: TestNetworkOptions['tamper']
  mss: number
  /** Bears CE on what is ECN-capable (RFC 3168). */
  congested = false
  readonly #busyUntil = { a: 0, b: 0 }

  constructor(options: TestNetworkOptions = {}) {
    this.random = new SeededRandom(options.seed ?? 1)
    this.faults = options
    this.tamper = options.tamper
    this.mss = options.mss ?? 1460
    this.now = options.start ?? instantAt(1_000_000)
    const [a, b] = options.family === 6 ? ['2001:db8::1', '2001:db8::2'] : ['192.0.2.1', '192.0.2.2']
    this.addresses = { a: parseIpAddress(a)!, b: parseIpAddress(b)! }
    this.a = this.#layer('a', options)
    this.b = this.#layer('b', options)
  }

  #layer(side: 'a' | 'b', options: TestNetworkOptions): TcpLayer {
    return new TcpLayer({
      random: new SeededRandom(this.random.uint32()),
      timers: this.timers,
      counters: this.counters[side],
      ...(options.limits ? { limits: options.limits } : {}),
      ecn: options.ecn ?? false,
      transmit: (segment, source, destination, now, capable) =>
        this.#transmit(side, segment, source, destination, now, capable),
      sourceFor: () => this.addresses[side],
      mssFor: () => this.mss,
    })
  }

  #transmit(
    side: 'a' | 'b',
    segment: Uint8Array,
    source: IpAddress,
    destination: IpAddress,
    now: Instant,
    capable: boolean,
  ): void {
    if (this.trace !== undefined) {
      const parsed = parseSegment(segment, source, destination)
      if (typeof parsed === 'string') throw new Error(`a layer sent a malformed segment: ${parsed}`)
      this.trace.push({ ...parsed, from: side, at: now })
    }
    if (this.tamper !== undefined && !this.tamper(segment, side)) return
    const {
      loss = 0,
      duplicate = 0,
      reorder = 0,
      corrupt = 0,
      delay = milliseconds(10),
      rate,
      queue,
    } = this.faults
    if (this.#chance(loss)) return
    if (this.#chance(corrupt)) {
      segment = segment.slice()
      const at = this.random.below(segment.length)
      segment[at] = segment[at]! ^ (1 << this.random.below(8))
    }
    let leaves: number = now
    if (rate !== undefined) {
      const starts = Math.max(now, this.#busyUntil[side])
      if (((starts - now) * rate) / 1e6 > (queue ?? 64_000)) return
      leaves = starts + (segment.length * 1e6) / rate
      this.#busyUntil[side] = leaves
    }
    const copies = this.#chance(duplicate) ? 2 : 1
    for (let i = 0; i < copies; i++) {
      const late = this.#chance(reorder) ? this.random.below(4 * delay + 1) : 0
      const at = instantAt(Math.round(leaves + delay + late))
      this.timers.schedule(at, (then) =>
        this.other(side).receive(segment, source, destination, then, this.congested && capable),
      )
    }
  }

  other(side: 'a' | 'b'): TcpLayer {
    return side === 'a' ? this.b : this.a
  }

  #chance(fraction: number): boolean {
    return fraction > 0 && this.random.below(1_000_000) < fraction * 1_000_000
  }

  /** Runs until `done` holds or nothing is due within `limit`; returns whether it holds. */
  run(done: () => boolean = () => false, limit: Duration = seconds(3600)): boolean {
    const end = after(this.now, limit)
    while (!done()) {
      const next = this.timers.next()
      if (next === undefined) return false
      if (next > end) {
        this.now = end
        return false
      }
      if (next > this.now) this.now = next
      this.timers.runDue(this.now)
    }
    return true
  }

  /** Lets `span` pass. */
  pass(span: Duration): void {
    this.run(() => false, span)
    this.now = after(this.now, 0 as Duration)
  }

  /** A listener at b, and a's connection to it, established. */
  open(port = 80): { client: Peer; server: Peer } {
    const { client, accepted } = this.dial(port)
    if (!this.run(() => client.has('connected') && accepted.length > 0)) throw new Error('no connection')
    return { client, server: accepted[0]! }
  }

  /** A listener at b, and a's SYN under way. */
  dial(port = 80): { client: Peer; accepted: Peer[]; listener: { close(now: Instant): void } } {
    const accepted: Peer[] = []
    const listener = this.b.listen({ port, onConnection: (c) => accepted.push(new Peer(c, this)) })
    const client = new Peer(this.a.connect({ destination: this.addresses.b, port }, this.now), this)
    return { client, accepted, listener }
  }
}

/** A connection with its events written down, and what its reader got. */
export class Peer {
  readonly connection: TcpConnection
  readonly #network: TestNetwork
  readonly events: TcpEvent[] = []
  readonly #seen = new Set<TcpEvent>()
  readonly chunks: Uint8Array[] = []
  received = 0
  /** Reads as soon as there is something. */
  reading = true
  #outgoing: Uint8Array = new Uint8Array(0)
  #endAfter = false

  constructor(connection: TcpConnection, network: TestNetwork) {
    this.connection = connection
    this.#network = network
    connection.onEvent = (event, now) => {
      this.events.push(event)
      this.#seen.add(event)
      if (event === 'readable' && this.reading) this.drain(now)
      if (event === 'writable' || event === 'connected') this.#pump(now)
    }
    if (connection.readableBytes > 0) this.drain(network.now)
  }

  has(event: TcpEvent): boolean {
    return this.#seen.has(event)
  }

  drain(now: Instant = this.#network.now): void {
    for (;;) {
      const data = this.connection.read(65_536, now)
      if (data === undefined) return
      this.chunks.push(data)
      this.received += data.length
    }
  }

  /** Writes all of `data`, as room appears, and then perhaps ends. */
  send(data: Uint8Array, end = false): void {
    this.#outgoing = data
    this.#endAfter = end
    this.#pump(this.#network.now)
  }

  end(): void {
    this.connection.end(this.#network.now)
  }

  text(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  #pump(now: Instant): void {
    if (this.#outgoing.length > 0) {
      const taken = this.connection.write(this.#outgoing, now)
      this.#outgoing = this.#outgoing.subarray(taken)
    }
    if (this.#outgoing.length === 0 && this.#endAfter) {
      this.#endAfter = false
      this.connection.end(now)
    }
  }
}

export const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0))

/** `length` bytes that repeat nowhere near. */
export function pattern(length: number, random: Random = new SeededRandom(42)): Uint8Array {
  return random.fill(new Uint8Array(length))
}

/** Flags in RFC 9293's letters, for traces. */
export function flagsOf(flags: number): string {
  return Object.entries(Flag)
    .filter(([, bit]) => flags & bit)
    .map(([name]) => name)
    .join('+')
}
