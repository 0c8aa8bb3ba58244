/** For tests: one TCP layer, and a hand that writes every segment of its peer. */
import {
  Counters,
  type Instant,
  type IpAddress,
  instantAt,
  parseIpAddress,
  SeededRandom,
  seconds,
  TimerQueue,
} from '../../base/index.js'
import type { TcpConnection } from './connection.js'
import type { TcpEvent } from './control-block.js'
import { TcpLayer } from './layer.js'
import type { TcpLimits } from './limits.js'
import {
  Flag,
  parseSegment,
  payloadStart,
  type Segment,
  type SegmentSpec,
  seal,
  startSegment,
} from './segment.js'
import { seqAdd } from './sequence.js'

export interface Strings extends Partial<Omit<SegmentSpec, 'flags'>> {
  /** Flags by name: `syn`, `ack+fin`. */
  readonly flags?: string
  readonly payload?: Uint8Array
}

export class Puppet {
  readonly timers: TimerQueue = new TimerQueue()
  readonly counters: Counters = new Counters()
  readonly layer: TcpLayer
  readonly local: IpAddress = parseIpAddress('192.0.2.2')!
  readonly remote: IpAddress = parseIpAddress('192.0.2.1')!
  /** What the layer sent. */
  readonly sent: Segment[] = []
  readonly events: TcpEvent[] = []
  connection!: TcpConnection
  now: Instant = instantAt(5_000_000)
  /** Ports: the layer's and the puppet's. */
  port = 80
  peerPort = 40_000
  /** The puppet's next sequence number, and what it acknowledges. */
  sequence = 1000
  acknowledgment = 0
  /** Segments carry this timestamp option, if set. */
  timestamp: { value: number; echo: number } | undefined

  constructor(limits: Partial<TcpLimits> = {}, ecn = false) {
    this.layer = new TcpLayer({
      random: new SeededRandom(7),
      timers: this.timers,
      counters: this.counters,
      limits,
      ecn,
      transmit: (bytes, source, destination) => {
        const segment = parseSegment(bytes, source, destination)
        if (typeof segment === 'string') throw new Error(`the layer sent a malformed segment: ${segment}`)
        this.sent.push(segment)
      },
      sourceFor: () => this.local,
      mssFor: () => 1460,
    })
  }

  /** A segment of the puppet; what is left out is as it should be. */
  bytes(strings: Strings): Uint8Array {
    const { payload = new Uint8Array(0), flags = 'ack', ...rest } = strings
    const bytes = startSegment(
      {
        sourcePort: this.peerPort,
        destinationPort: this.port,
        sequence: this.sequence,
        acknowledgment: this.acknowledgment,
        window: 60_000,
        timestamp: this.timestamp,
        ...rest,
        flags: flags
          .split('+')
          .reduce((bits, name) => bits | (name in Flag ? Flag[name as keyof typeof Flag] : 0), 0),
      },
      payload.length,
    )
    bytes.set(payload, payloadStart(bytes))
    return seal(bytes, this.remote, this.local)
  }

  /** Sends it to the layer, and returns what the layer sent in answer. */
  say(strings: Strings = {}): Segment[] {
    const before = this.sent.length
    this.layer.receive(this.bytes(strings), this.remote, this.local, this.now)
    return this.sent.slice(before)
  }

  /** The handshake, passive for the layer; `syn` may carry options. Data follows from `sequence`. */
  open(syn: Strings = {}): this {
    this.listen()
    const [answer] = this.say({ flags: 'syn', ...syn })
    this.sequence = seqAdd(this.sequence, 1)
    this.acknowledgment = seqAdd(answer!.sequence, 1)
    this.say()
    return this
  }

  listen(): { close(now: Instant): void } {
    return this.layer.listen({
      port: this.port,
      onConnection: (connection) => {
        this.connection = connection
        connection.onEvent = (event) => this.events.push(event)
      },
    })
  }

  /** Lets time pass; returns what the layer sent meanwhile. */
  pass(span: number): Segment[] {
    const before = this.sent.length
    const end = instantAt(this.now + span)
    for (let next = this.timers.next(); next !== undefined && next <= end; next = this.timers.next()) {
      if (next > this.now) this.now = next
      this.timers.runDue(this.now)
    }
    this.now = end
    return this.sent.slice(before)
  }

  /** Forgets what was sent so far. */
  quiet(): void {
    this.sent.length = 0
  }

  static readonly second: number = seconds(1)
}
