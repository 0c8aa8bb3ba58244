import {
  type Counters,
  type Instant,
  type IpAddress,
  seconds,
  TimerTable,
  type WarrenError,
} from '../../base/index.js'
import { CongestionControl } from './congestion.js'
import { type TcpErrorCode, tcpError } from './errors.js'
import type { TcpLimits } from './limits.js'
import { endName } from './ports.js'
import { ReceiveBuffer } from './reassembly.js'
import { RttEstimator } from './rtt.js'
import { Scoreboard } from './sack.js'
import type { Segment } from './segment.js'
import { SendBuffer } from './send-buffer.js'
import { seqAdd, seqDiff } from './sequence.js'

/** RFC 9293 section 3.3.2. A listener is no connection: LISTEN is not among them. */
export type TcpState =
  | 'CLOSED'
  | 'SYN-SENT'
  | 'SYN-RECEIVED'
  | 'ESTABLISHED'
  | 'FIN-WAIT-1'
  | 'FIN-WAIT-2'
  | 'CLOSE-WAIT'
  | 'CLOSING'
  | 'LAST-ACK'
  | 'TIME-WAIT'

export type TcpEvent = 'connected' | 'readable' | 'writable' | 'end' | 'closed' | 'error'

export type TcpTimer = 'connect' | 'retransmit' | 'persist' | 'delayed-ack' | 'time-wait' | 'keep-alive'

/** What a connection needs of its layer. */
export interface Services {
  readonly limits: TcpLimits
  readonly counters: Counters
  /** `ecnCapable`: the packet may carry ECT(0) (RFC 3168 section 6.1.2). */
  transmit(segment: Uint8Array, block: ControlBlock, ecnCapable: boolean, now: Instant): void
  /** The event is handed out when the present call is done with its work. */
  raise(block: ControlBlock, event: TcpEvent): void
  /** `block.state` changed: the layer keeps its tables in step. */
  changed(block: ControlBlock, before: TcpState, now: Instant): void
  /** Answers a segment that belongs to no connection's window with RST (RFC 9293 section 3.10.7.1). */
  refuse(segment: Segment, local: IpAddress, remote: IpAddress, now: Instant): void
}

/** What the two ends of a connection are called, and what it starts from. */
export interface BlockOptions {
  readonly services: Services
  readonly local: IpAddress
  readonly localPort: number
  readonly remote: IpAddress
  readonly remotePort: number
  /** ISS. */
  readonly initialSequence: number
  /** Added to the millisecond clock (RFC 7323 section 5.4: it should not tell the uptime). */
  readonly timestampOffset: number
  /** The MSS that the path allows, without options (RFC 6691). */
  readonly mss: number
}

const TIMESTAMPS_LENGTH = 12

/**
 * The transmission control block (RFC 9293 section 3.3.1): the state that the functions of input.ts, acknowledge.ts,
 * output.ts and timeouts.ts work on. Its names are those of the standards: SND.UNA is `sndUna`.
 */
export class ControlBlock {
  readonly services: Services
  readonly local: IpAddress
  readonly localPort: number
  readonly remote: IpAddress
  readonly remotePort: number
  #state: TcpState = 'CLOSED'
  /** Made by an active OPEN: its user waits for 'connected'. */
  active = false
  error: WarrenError | undefined
  /** What an ICMP message said, which becomes the error only if retransmission fails, too (RFC 9293 section 3.9.2.2). */
  softError: TcpErrorCode | undefined
  readonly timers: TimerTable<TcpTimer> = new TimerTable()

  // Options of the handshake.
  ownMss: number
  peerMss: number
  timestamps = true
  sackPermitted = true
  scaling = true
  sndScale = 0
  /** The peer's shift, in force once the handshake is done. */
  pendingScale = 0
  /** A SYN of either side had to be repeated. */
  handshakeLost = false
  readonly rcvScale: number
  ecn = false

  // Send sequence.
  readonly iss: number
  sndUna: number
  /** HighData of RFC 6675; the zero-window probe lies beyond it. */
  sndNxt: number
  /** The highest number ever sent: what an ACK may name. */
  sndMax: number
  sndWnd = 0
  sndWl1 = 0
  sndWl2 = 0
  maxSndWnd = 0
  readonly send: SendBuffer
  /** A FIN stands at `send.end`. */
  ending = false
  /** A `write` was cut short: 'writable' is owed. */
  owesWritable = false
  noDelay = false

  // Receive sequence.
  irs = 0
  readonly receive: ReceiveBuffer
  /** The right edge of the window that was offered: never moves left. */
  rcvAdv = 0
  /** Where the peer's FIN stands, once it was seen. */
  peerFin: number | undefined
  finReceived = false
  ackNow = false
  /** Full segments and a bit that wait for a delayed ACK. */
  unacknowledgedSegments = 0
  lastAckSent = 0
  tsRecent = 0
  tsRecentAt: Instant | undefined
  readonly timestampOffset: number

  // Loss recovery and congestion.
  readonly scoreboard: Scoreboard
  recovery: 'none' | 'fast' | 'timeout' = 'none'
  recoveryPoint = 0
  /** RFC 6675's RescueRxt: one rescue a recovery. */
  rescued = false
  duplicateAcks = 0
  /** The next repair goes out whatever the window says (RFC 6675 section 5 step 4.3, RFC 6582 section 3.2). */
  repairNow = false
  /** Retransmissions of the same data in a row. */
  retransmissions = 0
  /** Unanswered probes of a zero window. */
  probes = 0
  persistShift = 0
  /** The segment whose round trip is measured where there are no timestamps (Karn's rule: never one sent twice). */
  timed: { readonly end: number; readonly at: Instant } | undefined
  readonly rtt: RttEstimator
  readonly congestion: CongestionControl
  /** The congestion window, not the application or the peer, held the sender back. */
  windowLimited = false
  lastSentAt: Instant | undefined

  // ECN (RFC 3168 section 6.1).
  ecnEcho = false
  ecnReducedUntil: number | undefined
  cwrPending = false

  keepAlive = false
  keepAliveProbes = 0
  lastHeardAt: Instant | undefined
  #challengeSecond = -1
  #challenges = 0

  constructor(o: BlockOptions) {
    const { limits } = o.services
    this.services = o.services
    this.local = o.local
    this.localPort = o.localPort
    this.remote = o.remote
    this.remotePort = o.remotePort
    this.iss = o.initialSequence
    this.sndUna = this.iss
    this.sndNxt = this.iss
    this.sndMax = this.iss
    this.timestampOffset = o.timestampOffset
    this.ownMss = o.mss
    // RFC 9293 section 3.7.1: what holds when the peer names no MSS.
    this.peerMss = o.remote.family === 4 ? 536 : 1220
    this.send = new SendBuffer(seqAdd(this.iss, 1), limits.sendBuffer)
    this.receive = new ReceiveBuffer(limits.receiveBuffer, limits.reassemblyRanges)
    this.rcvScale = scaleFor(limits.receiveBuffer)
    this.scoreboard = new Scoreboard(limits.sackRanges)
    this.scoreboard.clear(this.iss)
    this.rtt = new RttEstimator(limits.minimumRto, limits.maximumRto)
    this.congestion = new CongestionControl(this.smss)
  }

  get state(): TcpState {
    return this.#state
  }

  become(state: TcpState, now: Instant): void {
    const before = this.#state
    this.#state = state
    this.services.changed(this, before, now)
  }

  /** `address:port` of the other end, an IPv6 address in brackets. */
  get peerName(): string {
    return endName(this.remote, this.remotePort)
  }

  /** SMSS: data bytes of a segment that carries no SACK blocks. */
  get smss(): number {
    return Math.min(this.ownMss, this.peerMss) - (this.timestamps ? TIMESTAMPS_LENGTH : 0)
  }

  /** RCV.NXT. */
  get rcvNxt(): number {
    return this.finReceived ? seqAdd(this.receive.next, 1) : this.receive.next
  }

  /** RCV.WND: what of the offered window is left. */
  get rcvWnd(): number {
    return Math.max(0, seqDiff(this.rcvAdv, this.rcvNxt))
  }

  get flight(): number {
    return seqDiff(this.sndNxt, this.sndUna)
  }

  /** Octets thought to be in the network (RFC 6675 section 4); without SACK, each duplicate ACK tells of one segment less. */
  get pipe(): number {
    const pipe = this.scoreboard.pipe(this.sndUna, this.sndNxt, this.smss)
    return this.sackPermitted ? pipe : Math.max(0, pipe - this.duplicateAcks * this.smss)
  }

  get finAcknowledged(): boolean {
    return this.ending && seqDiff(this.sndUna, this.send.end) > 0
  }

  /** Data or a FIN that was never sent. */
  get hasUnsent(): boolean {
    const left = seqDiff(this.send.end, this.sndNxt)
    return left > 0 || (left === 0 && this.ending)
  }

  /** The timestamp clock: milliseconds (RFC 7323 section 5.4). */
  timestampAt(now: Instant): number {
    return (Math.floor(now / 1000) + this.timestampOffset) >>> 0
  }

  /** RFC 5961 section 7: true while this second's budget lasts. */
  mayChallenge(now: Instant): boolean {
    const second = Math.floor(now / seconds(1))
    if (second !== this.#challengeSecond) {
      this.#challengeSecond = second
      this.#challenges = 0
    }
    if (this.#challenges >= this.services.limits.challengeAcksPerSecond) {
      this.services.counters.add('tcp.challengeLimit')
      return false
    }
    this.#challenges++
    return true
  }

  /** The connection is over. Without an error it ended as both sides wished. */
  close(error: TcpErrorCode | undefined, now: Instant): void {
    if (this.#state === 'CLOSED') return
    const told = this.#state === 'TIME-WAIT' // its user heard 'closed' when it came here
    for (const name of ALL_TIMERS) this.timers.clear(name)
    this.send.release()
    if (error !== undefined && !told) {
      this.error = tcpError(error, this.peerName)
      this.services.raise(this, 'error')
    }
    if (!told) this.services.raise(this, 'closed')
    this.become('CLOSED', now)
  }
}

const ALL_TIMERS: readonly TcpTimer[] = [
  'connect',
  'retransmit',
  'persist',
  'delayed-ack',
  'time-wait',
  'keep-alive',
]

/** The least shift with which 16 bits express `capacity` (RFC 7323 section 2.3). */
function scaleFor(capacity: number): number {
  let shift = 0
  while (shift < 14 && capacity >> shift > 0xffff) shift++
  return shift
}
