import { type Duration, milliseconds, seconds } from '../../base/index.js'

/**
 * Everything of TCP that is our choice, under a name: the bounds on what a stranger can fill, and the times that
 * the standards leave open. Numbers that the standards fix stand beside the code that uses them.
 */
export interface TcpLimits {
  /** Connections in SYN-RECEIVED that one listener keeps; a SYN beyond that drops the oldest. */
  readonly halfOpen: number
  /** Connections of the whole layer, half-open and TIME-WAIT ones aside; a SYN beyond that is dropped. */
  readonly connections: number
  /** Connections in TIME-WAIT; one more drops the oldest. */
  readonly timeWait: number
  /** Islands of out-of-order data that one connection keeps; a segment that would make another is dropped. */
  readonly reassemblyRanges: number
  /** SACKed ranges that one connection remembers of its peer (unbounded, they are a CPU sink: CVE-2019-11477). */
  readonly sackRanges: number
  /** Segments that wait while another one is handled (a loopback delivers in the middle of a transmission). */
  readonly inbox: number
  /**
   * Challenge ACKs (RFC 5961 section 7) and ACKs of unacceptable empty segments, a connection and second. The
   * budget is a connection's own: one shared by all is a side channel (CVE-2016-5696).
   */
  readonly challengeAcksPerSecond: number
  /** RSTs in reply to segments of no connection, the layer's total a second. */
  readonly resetsPerSecond: number
  /** Bytes that `write` takes before it says "full". */
  readonly sendBuffer: number
  /** Bytes kept for a reader: the largest window offered. */
  readonly receiveBuffer: number
  /** The least MSS taken from a peer: less is a request for a flood of headers. */
  readonly minimumMss: number
  /** Time for a handshake to complete, from either side (OpenBSD's `TCPTV_KEEP_INIT`). */
  readonly connectTimeout: Duration
  /** Retransmissions of the same data, or unanswered probes of a zero window, before ETIMEDOUT (`TCP_MAXRXTSHIFT`). */
  readonly retransmissions: number
  /** The least RTO: RFC 6298 section 2.4 asks for one second. */
  readonly minimumRto: Duration
  /** The greatest RTO (RFC 6298 section 2.5: at least 60 seconds). */
  readonly maximumRto: Duration
  /** How long an ACK may be delayed (RFC 9293 section 3.8.6.3: less than 0.5 s). */
  readonly delayedAck: Duration
  /** The maximum segment lifetime: TIME-WAIT lasts twice that. 30 s as on OpenBSD and Linux, not RFC 9293's 2 min. */
  readonly segmentLifetime: Duration
  /** Silence before the first keep-alive probe (RFC 9293 section 3.8.4: not less than two hours by default). */
  readonly keepAliveIdle: Duration
  readonly keepAliveInterval: Duration
  readonly keepAliveProbes: number
}

export const defaultTcpLimits: TcpLimits = {
  halfOpen: 128,
  connections: 4096,
  timeWait: 1024,
  reassemblyRanges: 128,
  sackRanges: 256,
  inbox: 4096,
  challengeAcksPerSecond: 10,
  resetsPerSecond: 200,
  sendBuffer: 1 << 20,
  receiveBuffer: 1 << 20,
  minimumMss: 64,
  connectTimeout: seconds(75),
  retransmissions: 12,
  minimumRto: seconds(1),
  maximumRto: seconds(60),
  delayedAck: milliseconds(100),
  segmentLifetime: seconds(30),
  keepAliveIdle: seconds(7200),
  keepAliveInterval: seconds(75),
  keepAliveProbes: 9,
}
