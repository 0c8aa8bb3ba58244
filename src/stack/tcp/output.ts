/** What a connection sends: the segments of RFC 9293 sections 3.8.6 and 3.10, under RFC 5681's and RFC 6675's rule. */
import { after, type Instant } from '../../base/index.js'
import type { ControlBlock } from './control-block.js'
import type { Hole } from './sack.js'
import { Flag, optionsLength, payloadStart, type SegmentSpec, seal, startSegment } from './segment.js'
import { seqAdd, seqDiff, seqLess, seqMax } from './sequence.js'

/** SYN, or SYN and ACK, according to the state. */
export function sendSyn(b: ControlBlock, now: Instant): void {
  const answering = b.state === 'SYN-RECEIVED'
  let flags: number = answering ? Flag.syn | Flag.ack : Flag.syn
  // RFC 3168 section 6.1.1: asking sets both, agreeing sets ECE alone.
  if (b.ecn) flags |= answering ? Flag.ece : Flag.ece | Flag.cwr
  // RFC 7323 section 2.2: the window of a SYN is never scaled.
  const window = Math.min(0xffff, b.receive.free)
  const spec: SegmentSpec = {
    ...ports(b),
    sequence: b.iss,
    acknowledgment: answering ? b.rcvNxt : 0,
    flags,
    window,
    mss: b.ownMss,
    sackPermitted: b.sackPermitted,
    windowScale: b.scaling ? b.rcvScale : undefined,
    timestamp: b.timestamps ? { value: b.timestampAt(now), echo: answering ? b.tsRecent : 0 } : undefined,
  }
  if (answering) {
    b.rcvAdv = seqAdd(b.rcvNxt, window)
    b.lastAckSent = b.rcvNxt
    b.ackNow = false
  }
  // Karn: a SYN sent twice measures nothing.
  b.timed = b.sndMax === b.iss ? { end: seqAdd(b.iss, 1), at: now } : undefined
  b.sndNxt = seqAdd(b.iss, 1)
  b.sndMax = b.sndNxt
  b.timers.set('retransmit', after(now, b.rtt.timeout))
  b.services.transmit(seal(startSegment(spec, 0), b.local, b.remote), b, false, now)
}

/** An empty segment `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`. */
export function sendAck(b: ControlBlock, now: Instant): void {
  emit(b, Flag.ack, b.sndNxt, 0, false, now)
}

/** RFC 5961: asks a peer that seems out of step to prove itself. */
export function sendChallengeAck(b: ControlBlock, now: Instant): void {
  if (!b.mayChallenge(now)) return
  b.services.counters.add('tcp.challengeAck')
  sendAck(b, now)
}

/** An ACK from before the window, which any live peer answers (RFC 9293 section 3.8.4). */
export function sendKeepAlive(b: ControlBlock, now: Instant): void {
  emit(b, Flag.ack, seqAdd(b.sndUna, -1), 0, false, now)
}

/** `<SEQ=SND.NXT><CTL=RST,ACK>` of an ABORT (RFC 9293 section 3.10.5). */
export function sendReset(b: ControlBlock, now: Instant): void {
  emit(b, Flag.rst | Flag.ack, b.sndNxt, 0, false, now)
}

/** One octet, or the FIN, beyond the window (RFC 9293 section 3.8.6.1). SND.NXT stays: it may be refused. */
export function sendWindowProbe(b: ControlBlock, now: Instant): void {
  const hasData = seqDiff(b.send.end, b.sndNxt) > 0
  emit(b, hasData ? Flag.ack : Flag.ack | Flag.fin, b.sndNxt, hasData ? 1 : 0, false, now)
  b.sndMax = seqMax(b.sndMax, seqAdd(b.sndNxt, 1))
}

/**
 * Sends what windows and timers allow: repairs first, then new data. `force` lets one segment go that silly-window
 * avoidance would hold back (its override timer, RFC 9293 section 3.8.6.2.1).
 */
export function output(b: ControlBlock, now: Instant, force = false): void {
  if (!sends(b)) return
  const idle = b.flight === 0
  if (idle && b.lastSentAt !== undefined && now - b.lastSentAt > b.rtt.timeout)
    b.congestion.restartAfterIdle()
  let pipe = b.pipe
  b.windowLimited = false
  for (;;) {
    const window = b.congestion.window
    const repair = nextRepair(b)
    if (repair !== undefined) {
      if (!b.repairNow && pipe > 0 && window - pipe < b.smss) break
      pipe += retransmit(b, repair, now)
      continue
    }
    b.repairNow = false
    const length = newLength(b, force)
    if (length > 0) {
      if (pipe > 0 && pipe + length > window) {
        b.windowLimited = true
        break
      }
      force = false
      pipe += transmitNew(b, length, now)
      continue
    }
    const sent = b.recovery === 'fast' && window - pipe >= b.smss ? sendSpare(b, now) : 0
    if (sent === 0) break
    pipe += sent
  }
  armSendTimers(b, now)
}

const sends = (b: ControlBlock): boolean =>
  b.state === 'ESTABLISHED' ||
  b.state === 'CLOSE-WAIT' ||
  b.state === 'FIN-WAIT-1' ||
  b.state === 'CLOSING' ||
  b.state === 'LAST-ACK'

/** Either the retransmission timer runs, or the persist timer, or none (RFC 6298 section 5, RFC 9293 section 3.8.6.1). */
function armSendTimers(b: ControlBlock, now: Instant): void {
  if (b.flight > 0) {
    b.timers.clear('persist')
    b.persistShift = 0
    if (b.timers.get('retransmit') === undefined) b.timers.set('retransmit', after(now, b.rtt.timeout))
  } else {
    b.timers.clear('retransmit')
    if (!b.hasUnsent) b.timers.clear('persist')
    else if (b.timers.get('persist') === undefined) b.timers.set('persist', after(now, b.rtt.timeout))
  }
}

function nextRepair(b: ControlBlock): Hole | undefined {
  return b.recovery === 'none' ? undefined : b.scoreboard.nextLost(b.sndUna, b.sndNxt, b.smss)
}

/** NextSeg() rules 3 and 4 (RFC 6675 section 4), when there is nothing new to send. Returns the length sent. */
function sendSpare(b: ControlBlock, now: Instant): number {
  if (!b.sackPermitted) return 0
  const unsacked = b.scoreboard.nextUnsacked(b.sndUna)
  if (unsacked !== undefined) return retransmit(b, unsacked, now)
  const last = b.rescued ? undefined : b.scoreboard.last(b.sndUna, b.sndNxt, b.smss)
  if (last === undefined) return 0
  b.rescued = true
  const { highRxt } = b.scoreboard
  const length = retransmit(b, last, now)
  b.scoreboard.highRxt = highRxt // rule 4: a rescue does not move it
  return length
}

/** Sends the head of `hole` again; returns its length in the sequence space. */
function retransmit(b: ControlBlock, hole: Hole, now: Instant): number {
  b.repairNow = false
  const data = Math.min(hole.length, roomFor(b), seqDiff(b.send.end, hole.sequence))
  const fin = b.ending && hole.length > data && seqAdd(hole.sequence, data) === b.send.end
  const length = data + (fin ? 1 : 0)
  b.scoreboard.highRxt = seqMax(b.scoreboard.highRxt, seqAdd(hole.sequence, length))
  b.timed = undefined // Karn
  b.services.counters.add('tcp.retransmitted')
  emit(b, fin ? Flag.ack | Flag.fin : Flag.ack, hole.sequence, data, false, now)
  return length
}

function transmitNew(b: ControlBlock, length: number, now: Instant): number {
  const left = seqDiff(b.send.end, b.sndNxt)
  const data = Math.min(length, left)
  const sequence = b.sndNxt
  let flags: number = Flag.ack
  if (length > data) flags |= Flag.fin
  if (data > 0 && data === left) flags |= Flag.psh
  if (b.cwrPending && data > 0) {
    flags |= Flag.cwr
    b.cwrPending = false
  }
  const again = seqLess(sequence, b.sndMax) // a probe, or what a window shut over, goes once more
  b.sndNxt = seqAdd(sequence, length)
  b.sndMax = seqMax(b.sndMax, b.sndNxt)
  if (again) b.timed = undefined
  else b.timed ??= { end: b.sndNxt, at: now }
  b.lastSentAt = now
  emit(b, flags, sequence, data, b.ecn && data > 0, now)
  return length
}

/** How much of the sequence space the next new segment may take; 0 if it must wait (RFC 9293 section 3.8.6.2.1). */
function newLength(b: ControlBlock, force: boolean): number {
  const left = seqDiff(b.send.end, b.sndNxt)
  const unsentFin = b.ending && left >= 0
  const usable = seqDiff(seqAdd(b.sndUna, b.sndWnd), b.sndNxt)
  if (usable <= 0 || (left <= 0 && !unsentFin)) return 0
  const room = roomFor(b)
  const data = Math.max(0, Math.min(left, usable, room))
  const fin = unsentFin && data === left && usable > data
  const length = data + (fin ? 1 : 0)
  if (data === room || fin || force) return length
  // Nagle (RFC 9293 section 3.7.4): a small segment waits while anything is unacknowledged.
  if (data === left && (b.noDelay || b.flight === 0)) return length
  return data < left && data >= b.maxSndWnd / 2 ? length : 0
}

/** Data bytes that fit a segment beside the SACK blocks it will carry. */
function roomFor(b: ControlBlock): number {
  if (!b.sackPermitted || !b.receive.hasGaps) return b.smss
  return Math.max(1, b.smss - optionsLength({ ...EMPTY, sack: sackBlocks(b) }))
}

const EMPTY: SegmentSpec = {
  sourcePort: 0,
  destinationPort: 0,
  sequence: 0,
  acknowledgment: 0,
  flags: 0,
  window: 0,
}

/** 40 bytes of options hold four blocks, or three beside timestamps (RFC 2018 section 3). */
const sackBlocks = (b: ControlBlock): number[] => b.receive.sackBlocks(b.timestamps ? 3 : 4)

const ports = (b: ControlBlock): { sourcePort: number; destinationPort: number } => ({
  sourcePort: b.localPort,
  destinationPort: b.remotePort,
})

/** Builds and transmits one segment; whatever carries an ACK settles the ACK that was owed. */
function emit(
  b: ControlBlock,
  flags: number,
  sequence: number,
  dataLength: number,
  ecnCapable: boolean,
  now: Instant,
): void {
  if (b.ecnEcho && !(flags & Flag.rst)) flags |= Flag.ece
  const withSack = b.sackPermitted && b.receive.hasGaps && !(flags & Flag.rst)
  const bytes = startSegment(
    {
      ...ports(b),
      sequence,
      acknowledgment: b.rcvNxt,
      flags,
      window: offerWindow(b),
      timestamp: b.timestamps ? { value: b.timestampAt(now), echo: b.tsRecent } : undefined,
      sack: withSack ? sackBlocks(b) : undefined,
    },
    dataLength,
  )
  if (dataLength > 0) b.send.copy(sequence, dataLength, bytes, payloadStart(bytes))
  b.lastAckSent = b.rcvNxt
  b.ackNow = false
  b.unacknowledgedSegments = 0
  b.timers.clear('delayed-ack')
  b.services.transmit(seal(bytes, b.local, b.remote), b, ecnCapable, now)
}

/** What the window would be if an ACK went out now, by the rule of RFC 9293 section 3.8.6.2.2. */
export function windowToOffer(b: ControlBlock): number {
  const current = b.rcvWnd
  const grown = b.receive.free - current
  return grown >= Math.min(b.receive.capacity / 2, b.smss) ? b.receive.free : current
}

/** The window field; moves the right edge that was offered. */
function offerWindow(b: ControlBlock): number {
  const shift = b.scaling ? b.rcvScale : 0
  const field = Math.min(0xffff, windowToOffer(b) >> shift)
  // Rounding must not move the edge left: what was offered is still accepted.
  b.rcvAdv = seqMax(b.rcvAdv, seqAdd(b.rcvNxt, field << shift))
  return field
}
