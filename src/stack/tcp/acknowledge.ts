/** What an ACK does (RFC 9293 section 3.10.7.4, fifth step; RFC 5681, 6582, 6675 for loss; RFC 3168 for ECN). */
import { after, type Duration, type Instant, milliseconds, seconds } from '../../base/index.js'
import type { ControlBlock } from './control-block.js'
import { sendChallengeAck } from './output.js'
import { Flag, type Segment } from './segment.js'
import { seqAdd, seqAtMost, seqDiff, seqLess, seqMax } from './sequence.js'

/** RFC 5681 section 3.2. */
const DUPLICATE_ACKS = 3

/** Handles the ACK of `segment`; false if the segment is to be dropped. */
export function acknowledge(b: ControlBlock, segment: Segment, now: Instant): boolean {
  const ack = segment.acknowledgment
  // RFC 5961 section 5: an ACK of what was never sent, or from long ago, was guessed by somebody.
  if (seqLess(b.sndMax, ack) || seqDiff(ack, b.sndUna) < -Math.max(b.maxSndWnd, 0xffff)) {
    b.services.counters.add('tcp.ackRange')
    sendChallengeAck(b, now)
    return false
  }
  if (seqLess(ack, b.sndUna)) return true
  const flight = b.flight
  const sacked =
    b.sackPermitted && segment.sack !== undefined ? b.scoreboard.update(segment.sack, ack, b.sndNxt) : 0
  if (ack !== b.sndUna) advance(b, segment, flight, now)
  else if (flight > 0 && b.recovery !== 'timeout' && isDuplicate(b, segment, sacked)) b.duplicateAcks++
  updateWindow(b, segment)
  if (b.ecn && segment.flags & Flag.ece) echoed(b)
  if (b.recovery === 'none' && b.flight > 0 && lossIsLikely(b)) enterFastRecovery(b)
  return true
}

/** RFC 6675 section 2 with SACK (something new was SACKed), RFC 5681 section 2 without. */
function isDuplicate(b: ControlBlock, segment: Segment, sacked: number): boolean {
  if (b.sackPermitted) return sacked > 0
  const bare = segment.payload.length === 0 && (segment.flags & Flag.fin) === 0
  return bare && segment.window << b.sndScale === b.sndWnd
}

const lossIsLikely = (b: ControlBlock): boolean =>
  b.duplicateAcks >= DUPLICATE_ACKS || (b.sackPermitted && b.scoreboard.firstIsLost(b.smss))

/** New data was acknowledged. */
function advance(b: ControlBlock, segment: Segment, flight: number, now: Instant): void {
  const ack = segment.acknowledgment
  const acked = seqDiff(ack, b.sndUna)
  measure(b, segment, flight, now)
  b.sndUna = ack
  b.sndNxt = seqMax(b.sndNxt, ack) // a window probe was taken
  b.send.acknowledge(ack)
  b.scoreboard.advance(ack)
  b.retransmissions = 0
  b.softError = undefined
  if (b.recovery === 'fast') {
    if (seqAtMost(b.recoveryPoint, ack)) leaveRecovery(b)
    else if (!b.sackPermitted) partial(b, acked)
  } else {
    b.duplicateAcks = 0
    if (b.windowLimited || b.recovery === 'timeout')
      b.congestion.acknowledged(acked, b.rtt.smoothed ?? seconds(0), now)
    if (b.recovery === 'timeout' && seqAtMost(b.recoveryPoint, ack)) leaveRecovery(b)
  }
  // RFC 6298 sections 5.2 and 5.3.
  if (b.flight === 0) b.timers.clear('retransmit')
  else b.timers.set('retransmit', after(now, b.rtt.timeout))
  if (b.owesWritable && b.send.free >= b.send.capacity / 4) {
    b.owesWritable = false
    b.services.raise(b, 'writable')
  }
}

/** A round trip, by the echoed timestamp (RFC 7323 section 4) or by the one timed segment. */
function measure(b: ControlBlock, segment: Segment, flight: number, now: Instant): void {
  const { timed } = b
  const reached = timed !== undefined && seqAtMost(timed.end, segment.acknowledgment)
  if (reached) b.timed = undefined
  if (b.timestamps && segment.timestamp !== undefined) {
    const elapsed = seqDiff(b.timestampAt(now), segment.timestamp.echo)
    if (segment.timestamp.echo !== 0 && elapsed >= 0)
      b.rtt.sample(milliseconds(elapsed), Math.ceil(flight / (2 * b.smss)))
  } else if (reached) {
    b.rtt.sample((now - timed.at) as Duration)
  }
}

/** RFC 9293 section 3.10.7.4: SND.WL1 and SND.WL2 keep an old segment from moving the window. */
function updateWindow(b: ControlBlock, segment: Segment): void {
  const { sequence, acknowledgment } = segment
  if (!seqLess(b.sndWl1, sequence) && !(b.sndWl1 === sequence && seqAtMost(b.sndWl2, acknowledgment))) return
  b.sndWnd = segment.window << b.sndScale
  b.maxSndWnd = Math.max(b.maxSndWnd, b.sndWnd)
  b.sndWl1 = sequence
  b.sndWl2 = acknowledgment
  // The window opened: what waited for the persist timer goes at once.
  if (seqDiff(seqAdd(b.sndUna, b.sndWnd), b.sndNxt) >= Math.min(b.smss, seqDiff(b.send.end, b.sndNxt)))
    b.timers.clear('persist')
}

/** RFC 3168 section 6.1.2: one reduction a window of data, whether for a mark or for a loss. */
function echoed(b: ControlBlock): void {
  if (b.ecnReducedUntil !== undefined && seqLess(b.sndUna, b.ecnReducedUntil)) return
  b.congestion.congestion(b.flight)
  b.ecnReducedUntil = b.sndNxt
  b.cwrPending = true
}

/** RFC 6675 section 5 step 4, RFC 6582 section 3.2 step 2. */
function enterFastRecovery(b: ControlBlock): void {
  b.recovery = 'fast'
  b.recoveryPoint = b.sndNxt
  b.rescued = false
  b.scoreboard.highRxt = b.sndUna
  b.congestion.congestion(b.flight)
  b.ecnReducedUntil = b.sndNxt
  b.cwrPending = b.ecn
  b.repairNow = true
  // Three duplicate ACKs name the first segment; the scoreboard alone might not yet.
  b.scoreboard.lostBelow = seqAdd(b.sndUna, Math.min(b.smss, b.flight))
  b.services.counters.add('tcp.fastRecovery')
}

/** RFC 6582 section 3.2 step 3: a partial acknowledgment names the next hole. */
function partial(b: ControlBlock, acked: number): void {
  b.duplicateAcks = Math.max(0, b.duplicateAcks - Math.ceil(acked / b.smss) + 1)
  b.scoreboard.highRxt = b.sndUna
  b.scoreboard.lostBelow = seqAdd(b.sndUna, Math.min(b.smss, b.flight))
  b.repairNow = true
}

function leaveRecovery(b: ControlBlock): void {
  b.recovery = 'none'
  b.duplicateAcks = 0
  b.repairNow = false
  b.scoreboard.lostBelow = undefined
  b.scoreboard.highRxt = b.sndUna
}
