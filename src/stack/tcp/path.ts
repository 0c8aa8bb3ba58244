/** What ICMP errors do to a connection (RFC 9293 section 3.9.2.2, RFC 5927, RFC 1191, RFC 8201). */
import type { Instant, IpAddress } from '../../base/index.js'
import type { ControlBlock } from './control-block.js'
import type { TcpErrorCode } from './errors.js'
import { output } from './output.js'
import { seqAtMost, seqDiff, seqLess } from './sequence.js'

/** A segment of ours, as an ICMP error quotes it. */
export interface QuotedSegment {
  /** The quoted packet's source: this host. */
  readonly source: IpAddress
  readonly destination: IpAddress
  /** The quoted TCP header, 8 bytes at least. */
  readonly segment: Uint8Array
  /** `too-big`: the MTU of the next hop, the IP header included; 0 if the router did not say. */
  readonly mtu?: number
  /** `unreachable`: what could not be reached; a host, if it is left out. */
  readonly reason?: 'network' | 'host' | 'protocol' | 'port' | 'prohibited'
}

/** What a router that names no MTU is taken to mean (RFC 791: every host takes 576). */
const UNNAMED_MTU = 576
/** Below this an MTU is an attack or a mistake: RFC 1191 section 7.1's lowest plateau but one, RFC 8200 section 5. */
const LEAST_MTU = { 4: 296, 6: 1280 }
/** IP and TCP header without options. */
const HEADERS = { 4: 40, 6: 60 }

/**
 * Whether the report is believed: `sequence` is the quoted one. RFC 5927 section 4: only who saw the connection's
 * packets knows a number that is in flight; and an MTU is believed only if it is news. Changes nothing.
 */
export function isBelievable(
  b: ControlBlock,
  kind: 'unreachable' | 'too-big',
  quote: QuotedSegment,
  sequence: number,
): boolean {
  const { counters } = b.services
  if (!(seqAtMost(b.sndUna, sequence) && seqLess(sequence, b.sndMax))) {
    counters.add('tcp.icmpSequence')
    return false
  }
  if (kind === 'too-big' && mssWithin(b, quote) >= b.ownMss) {
    counters.add('tcp.icmpMtu')
    return false
  }
  counters.add(kind === 'too-big' ? 'tcp.mtuShrunk' : 'tcp.icmpUnreachable')
  return true
}

/** What a report that is believed does. */
export function pathError(
  b: ControlBlock,
  kind: 'unreachable' | 'too-big',
  quote: QuotedSegment,
  now: Instant,
): void {
  if (kind === 'too-big') tooBig(b, mssWithin(b, quote), now)
  else unreachable(b, quote.reason ?? 'host', now)
}

function mssWithin(b: ControlBlock, quote: QuotedSegment): number {
  const { family } = b.remote
  const named = quote.mtu ?? 0
  return Math.max(LEAST_MTU[family], named === 0 ? UNNAMED_MTU : named) - HEADERS[family]
}

function tooBig(b: ControlBlock, mss: number, now: Instant): void {
  if (mss >= b.ownMss) return
  b.ownMss = mss
  b.congestion.setMss(b.smss, false)
  if (b.state === 'SYN-SENT' || b.state === 'SYN-RECEIVED' || b.flight === 0) return
  // What is in flight was too big: it goes again, cut smaller. No congestion is meant (RFC 1191 section 6.5).
  b.scoreboard.highRxt = b.sndUna
  b.scoreboard.lostBelow = b.sndNxt
  if (b.recovery === 'none') b.recoveryPoint = b.sndNxt
  b.recovery = 'timeout'
  b.duplicateAcks = 0
  b.repairNow = true
  output(b, now)
}

/**
 * Hard errors end a handshake only; an established connection keeps them for its obituary (RFC 5927 section 5.2),
 * as do all soft ones (RFC 1122 section 4.2.3.9).
 */
function unreachable(b: ControlBlock, reason: NonNullable<QuotedSegment['reason']>, now: Instant): void {
  const code: TcpErrorCode =
    reason === 'port' || reason === 'protocol'
      ? 'ECONNREFUSED'
      : reason === 'network'
        ? 'ENETUNREACH'
        : 'EHOSTUNREACH'
  const hard = reason === 'port' || reason === 'protocol'
  const opening = b.state === 'SYN-SENT' || b.state === 'SYN-RECEIVED'
  if (opening && seqDiff(b.sndUna, b.iss) === 0 && (hard || b.retransmissions > SOFT_PATIENCE))
    b.close(code, now)
  else b.softError = code
}

/** SYNs sent again before a soft error ends the handshake (as OpenBSD's `tcp_notify`). */
const SOFT_PATIENCE = 3
