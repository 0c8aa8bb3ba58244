/** What a segment does to a connection: RFC 9293 section 3.10.7, step by step. */
import { after, type Duration, type Instant, seconds } from '../../base/index.js'
import { acknowledge } from './acknowledge.js'
import type { ControlBlock } from './control-block.js'
import { output, sendAck, sendChallengeAck, sendSyn } from './output.js'
import { Flag, type Segment, segmentLength } from './segment.js'
import { seqAdd, seqAtMost, seqDiff, seqLess } from './sequence.js'

/** RFC 7323 section 5.5: after 24 days of silence TS.Recent says nothing. */
const TIMESTAMP_LIFETIME: Duration = seconds(24 * 86_400)

/** A SYN came to a listener, for which `b` was made: SYN-RECEIVED (section 3.10.7.2, third step). */
export function acceptSyn(b: ControlBlock, segment: Segment, now: Instant): void {
  b.ecn = b.ecn && (segment.flags & (Flag.ece | Flag.cwr)) === (Flag.ece | Flag.cwr)
  adoptSyn(b, segment, now)
  b.become('SYN-RECEIVED', now)
  b.timers.set('connect', after(now, b.services.limits.connectTimeout))
  sendSyn(b, now)
}

/** A segment came for `b`. `congestionExperienced`: the packet bore CE. */
export function segmentArrives(
  b: ControlBlock,
  segment: Segment,
  congestionExperienced: boolean,
  now: Instant,
): void {
  if (b.state === 'SYN-SENT') arrivesInSynSent(b, segment, now)
  else arrives(b, segment, congestionExperienced, now)
  if (b.state === 'CLOSED') return
  output(b, now)
  if (b.ackNow) sendAck(b, now)
  else if (b.unacknowledgedSegments > 0 && b.timers.get('delayed-ack') === undefined)
    b.timers.set('delayed-ack', after(now, b.services.limits.delayedAck))
}

/**
 * True for a new connection's SYN that may take the place of `b`, in TIME-WAIT: RFC 6191 section 2 with timestamps,
 * RFC 9293 section 3.6.1 (by the sequence number) without.
 */
export function reopens(b: ControlBlock, segment: Segment): boolean {
  if (b.state !== 'TIME-WAIT') return false
  if ((segment.flags & (Flag.syn | Flag.ack | Flag.rst)) !== Flag.syn) return false
  if (b.timestamps && segment.timestamp !== undefined) {
    const age = seqDiff(segment.timestamp.value, b.tsRecent)
    if (age !== 0) return age > 0
  }
  return seqLess(b.rcvNxt, segment.sequence)
}

/** Section 3.10.7.3. */
function arrivesInSynSent(b: ControlBlock, segment: Segment, now: Instant): void {
  const { flags, acknowledgment } = segment
  const hasAck = (flags & Flag.ack) !== 0
  if (hasAck && (seqAtMost(acknowledgment, b.iss) || seqLess(b.sndMax, acknowledgment))) {
    if (!(flags & Flag.rst)) b.services.refuse(segment, b.local, b.remote, now)
    return
  }
  if (flags & Flag.rst) {
    if (hasAck) b.close('ECONNREFUSED', now)
    return
  }
  if (!(flags & Flag.syn)) return
  // RFC 3168 section 6.1.1: agreement is ECE without CWR; both, from a host that reflects flags, is none.
  b.ecn = b.ecn && (flags & (Flag.ece | Flag.cwr)) === (hasAck ? Flag.ece : Flag.ece | Flag.cwr)
  adoptSyn(b, segment, now)
  if (!hasAck) {
    // Both sides open at once (section 3.5, figure 8).
    b.become('SYN-RECEIVED', now)
    sendSyn(b, now)
    return
  }
  b.handshakeLost = b.retransmissions > 0
  acknowledge(b, segment, now)
  b.ackNow = true
  establish(b, now)
  arrivesText(b, { ...segment, sequence: seqAdd(segment.sequence, 1) }, now)
}

/** Takes over what the peer's SYN says. */
function adoptSyn(b: ControlBlock, segment: Segment, now: Instant): void {
  const { limits } = b.services
  b.irs = segment.sequence
  b.receive.start(seqAdd(segment.sequence, 1))
  b.rcvAdv = seqAdd(b.rcvNxt, Math.min(0xffff, b.receive.free))
  b.timestamps = b.timestamps && segment.timestamp !== undefined
  if (b.timestamps) noteTimestamp(b, segment.timestamp!.value, now)
  b.sackPermitted = b.sackPermitted && segment.sackPermitted === true
  b.scaling = b.scaling && segment.windowScale !== undefined
  b.sndScale = 0 // the SYN's own window is not scaled
  b.sndWnd = segment.window
  b.maxSndWnd = segment.window
  b.sndWl1 = segment.sequence
  b.sndWl2 = segment.flags & Flag.ack ? segment.acknowledgment : b.iss
  if (segment.mss !== undefined) b.peerMss = Math.max(limits.minimumMss, segment.mss)
  b.congestion.setMss(b.smss, true)
  b.lastHeardAt = now
  // Kept for the segments after this one.
  if (b.scaling) b.pendingScale = segment.windowScale!
}

function noteTimestamp(b: ControlBlock, value: number, now: Instant): void {
  b.tsRecent = value
  b.tsRecentAt = now
}

/** Both SYNs are acknowledged. */
function establish(b: ControlBlock, now: Instant): void {
  b.timers.clear('connect')
  if (b.handshakeLost) {
    // RFC 5681 section 3.1: a lost SYN makes the initial window one segment; RFC 6298 section 5.7.
    b.congestion.window = b.smss
    b.rtt.restartAfterHandshakeLoss()
  }
  b.sndScale = b.pendingScale
  b.retransmissions = 0
  b.become('ESTABLISHED', now)
  if (b.keepAlive) b.timers.set('keep-alive', after(now, b.services.limits.keepAliveIdle))
  if (b.active) b.services.raise(b, 'connected')
  if (b.ending) b.become('FIN-WAIT-1', now)
}

/** Section 3.10.7.4, for every state from SYN-RECEIVED on. */
function arrives(b: ControlBlock, segment: Segment, congestionExperienced: boolean, now: Instant): void {
  const withSyn = (segment.flags & Flag.syn) !== 0
  if (b.state === 'SYN-RECEIVED' && repeatsSyn(b, segment, now)) return
  if (!passesPaws(b, segment, now)) return
  if (!isAcceptable(b, segment)) {
    unacceptable(b, segment, now)
    return
  }
  if (b.timestamps && segment.timestamp !== undefined && !(segment.flags & Flag.rst)) {
    // RFC 7323 section 4.3, R2: only the segment that the next ACK is for.
    if (seqAtMost(segment.sequence, b.lastAckSent) && seqDiff(segment.timestamp.value, b.tsRecent) >= 0)
      noteTimestamp(b, segment.timestamp.value, now)
  }
  // Second step: RST (RFC 5961 section 3).
  if (segment.flags & Flag.rst) {
    if (segment.sequence === b.rcvNxt) reset(b, now)
    else sendChallengeAck(b, now)
    return
  }
  // Fourth step: SYN (RFC 5961 section 4).
  if (segment.flags & Flag.syn) {
    sendChallengeAck(b, now)
    return
  }
  // Fifth step: ACK.
  if (!(segment.flags & Flag.ack)) return
  b.lastHeardAt = now
  b.probes = 0
  b.keepAliveProbes = 0
  if (b.state === 'SYN-RECEIVED') {
    if (seqAtMost(segment.acknowledgment, b.iss) || seqLess(b.sndMax, segment.acknowledgment)) {
      b.services.refuse(segment, b.local, b.remote, now)
      return
    }
    b.handshakeLost ||= b.retransmissions > 0
    b.sndScale = withSyn ? 0 : b.pendingScale
    if (!acknowledge(b, segment, now)) return
    establish(b, now)
  } else if (b.state === 'TIME-WAIT') {
    if (segment.flags & Flag.fin) restartTimeWait(b, now)
    return
  } else if (!acknowledge(b, segment, now)) {
    return
  }
  if (b.finAcknowledged && ourFinAcknowledged(b, now)) return
  if (b.ecn && segment.payload.length > 0) {
    // RFC 3168 section 6.1.3: CWR ends the echo of what came before it.
    if (segment.flags & Flag.cwr) b.ecnEcho = false
    if (congestionExperienced) b.ecnEcho = true
  }
  arrivesText(b, segment, now)
}

/**
 * In SYN-RECEIVED, the peer's SYN once more: our answer was lost. Its SYN and ACK, on a simultaneous open: the SYN
 * is known, the rest is taken as if it were not there.
 */
function repeatsSyn(b: ControlBlock, segment: Segment, now: Instant): boolean {
  if (!(segment.flags & Flag.syn) || segment.sequence !== b.irs) return false
  if (segment.flags & Flag.ack) {
    segment.sequence = seqAdd(segment.sequence, 1)
    segment.flags &= ~Flag.syn
    b.ackNow = true
    return false
  }
  if (b.mayChallenge(now)) {
    b.handshakeLost = true
    sendSyn(b, now)
  }
  return true
}

/** RFC 7323 section 5.3. */
function passesPaws(b: ControlBlock, segment: Segment, now: Instant): boolean {
  if (!b.timestamps || segment.flags & Flag.rst) return true
  if (segment.timestamp === undefined) {
    b.services.counters.add('tcp.timestampMissing') // section 3.2: dropped in silence
    return false
  }
  if (seqDiff(segment.timestamp.value, b.tsRecent) >= 0) return true
  if (b.tsRecentAt === undefined || now - b.tsRecentAt > TIMESTAMP_LIFETIME) {
    noteTimestamp(b, segment.timestamp.value, now)
    return true
  }
  b.services.counters.add('tcp.paws')
  // A bare ACK that says nothing new was overtaken on the way; an answer would only feed the reordering.
  if (segmentLength(segment) > 0 || seqLess(b.sndUna, segment.acknowledgment))
    answerUnacceptable(b, segment, now)
  return false
}

/** First step: the four cases of the acceptability test. */
function isAcceptable(b: ControlBlock, segment: Segment): boolean {
  const offset = seqDiff(segment.sequence, b.rcvNxt)
  const length = segmentLength(segment)
  const window = b.rcvWnd
  // An empty segment at the right edge is what a sender who filled the window says.
  if (length === 0) return offset >= 0 && offset <= window
  if (window === 0) {
    if (offset !== 0) return false
    // A window probe: its ACK counts, its text does not (section 3.10.7.4: valid ACKs are always processed).
    segment.payload = segment.payload.subarray(0, 0)
    segment.flags &= ~Flag.fin
    b.ackNow = true
    return true
  }
  return offset < window && offset + length > 0
}

function unacceptable(b: ControlBlock, segment: Segment, now: Instant): void {
  b.services.counters.add('tcp.outsideWindow')
  if (segment.flags & Flag.rst) return
  if (b.state === 'TIME-WAIT' && segment.flags & Flag.fin) {
    restartTimeWait(b, now)
    return
  }
  answerUnacceptable(b, segment, now)
}

/** Empty segments are answered within a budget, or two confused peers would answer each other for ever. */
function answerUnacceptable(b: ControlBlock, segment: Segment, now: Instant): void {
  if (segment.payload.length > 0) b.ackNow = true
  else sendChallengeAck(b, now)
}

/** A RST that is believed. */
function reset(b: ControlBlock, now: Instant): void {
  switch (b.state) {
    case 'SYN-RECEIVED':
      b.close('ECONNREFUSED', now)
      return
    case 'CLOSING':
    case 'LAST-ACK':
      b.close(undefined, now)
      return
    case 'TIME-WAIT':
      return // RFC 1337: a RST must not end TIME-WAIT early
    default:
      b.services.counters.add('tcp.resetReceived')
      b.close('ECONNRESET', now)
  }
}

/** True if the connection is over. */
function ourFinAcknowledged(b: ControlBlock, now: Instant): boolean {
  switch (b.state) {
    case 'FIN-WAIT-1':
      b.become('FIN-WAIT-2', now)
      return false
    case 'CLOSING':
      enterTimeWait(b, now)
      return true
    case 'LAST-ACK':
      b.close(undefined, now)
      return true
    default:
      return false
  }
}

/** Seventh and eighth step: text, and FIN. */
function arrivesText(b: ControlBlock, segment: Segment, now: Instant): void {
  if (b.finReceived || !mayReceive(b)) return
  const { payload } = segment
  const hadGaps = b.receive.hasGaps
  if (payload.length > 0) {
    const grown = b.receive.insert(segment.sequence, payload)
    if (grown < 0) b.services.counters.add('tcp.reassemblyLimit')
    // RFC 5681 section 4.2: out of order, duplicate, or filling a gap: at once. Else every second segment.
    if (grown <= 0 || hadGaps || ++b.unacknowledgedSegments >= 2) b.ackNow = true
    if (grown > 0) b.services.raise(b, 'readable')
  }
  if (segment.flags & Flag.fin) b.peerFin = seqAdd(segment.sequence, payload.length)
  if (b.peerFin !== undefined && b.peerFin === b.receive.next) arrivesFin(b, now)
}

const mayReceive = (b: ControlBlock): boolean =>
  b.state === 'ESTABLISHED' || b.state === 'FIN-WAIT-1' || b.state === 'FIN-WAIT-2'

function arrivesFin(b: ControlBlock, now: Instant): void {
  b.finReceived = true
  b.ackNow = true
  b.services.raise(b, 'end')
  if (b.state === 'ESTABLISHED') b.become('CLOSE-WAIT', now)
  else if (b.state === 'FIN-WAIT-1') b.become('CLOSING', now)
  else enterTimeWait(b, now)
}

function enterTimeWait(b: ControlBlock, now: Instant): void {
  for (const name of ['retransmit', 'persist', 'keep-alive', 'connect'] as const) b.timers.clear(name)
  b.timers.set('time-wait', after(now, (2 * b.services.limits.segmentLifetime) as Duration))
  b.send.release()
  b.become('TIME-WAIT', now)
  b.services.raise(b, 'closed')
}

/** The peer's FIN again: our last ACK was lost. */
function restartTimeWait(b: ControlBlock, now: Instant): void {
  b.ackNow = true
  b.timers.set('time-wait', after(now, (2 * b.services.limits.segmentLifetime) as Duration))
}
