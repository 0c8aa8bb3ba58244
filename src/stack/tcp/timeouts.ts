/** What a connection does when a timer runs out (RFC 9293 section 3.10.8, RFC 6298 section 5). */
import { after, type Duration, type Instant } from '../../base/index.js'
import type { ControlBlock, TcpTimer } from './control-block.js'
import { output, sendAck, sendKeepAlive, sendReset, sendSyn, sendWindowProbe } from './output.js'
import { seqDiff } from './sequence.js'

export function timerFired(b: ControlBlock, timer: TcpTimer, now: Instant): void {
  switch (timer) {
    case 'connect':
      b.services.counters.add('tcp.connectTimeout')
      b.close(b.softError ?? 'ETIMEDOUT', now)
      return
    case 'retransmit':
      retransmissionTimeout(b, now)
      return
    case 'persist':
      persist(b, now)
      return
    case 'delayed-ack':
      sendAck(b, now)
      return
    case 'time-wait':
      b.close(undefined, now)
      return
    case 'keep-alive':
      keepAlive(b, now)
  }
}

function retransmissionTimeout(b: ControlBlock, now: Instant): void {
  if (b.sndWnd === 0 && b.state !== 'SYN-SENT' && b.state !== 'SYN-RECEIVED') {
    // The window shut over data in flight: it is the persist timer's now, and no failure (RFC 9293 section 3.8.6.1).
    b.timed = undefined
    b.scoreboard.clear(b.sndUna)
    b.recovery = 'none'
    b.duplicateAcks = 0
    b.sndNxt = b.sndUna
    persist(b, now)
    return
  }
  b.services.counters.add('tcp.retransmitTimeout')
  b.retransmissions++
  if (b.retransmissions > b.services.limits.retransmissions) {
    giveUp(b, now)
    return
  }
  b.rtt.backOff()
  if (b.state === 'SYN-SENT' || b.state === 'SYN-RECEIVED') {
    sendSyn(b, now)
    return
  }
  b.timed = undefined
  b.congestion.timedOut(b.flight, b.retransmissions === 1)
  b.ecnReducedUntil = b.sndNxt
  b.cwrPending = b.ecn
  // RFC 2018 section 8: a peer that is silent twice may have thrown away what it had SACKed.
  if (b.retransmissions > 1) b.scoreboard.clear(b.sndUna)
  b.scoreboard.highRxt = b.sndUna
  b.scoreboard.lostBelow = b.sndNxt
  b.recovery = 'timeout'
  b.recoveryPoint = b.sndNxt
  b.duplicateAcks = 0
  b.repairNow = true
  output(b, now)
  b.timers.set('retransmit', after(now, b.rtt.timeout))
}

/** The window is shut, or too small to be worth a segment. */
function persist(b: ControlBlock, now: Instant): void {
  if (seqDiff(b.sndUna, b.sndNxt) + b.sndWnd > 0) {
    output(b, now, true)
    return
  }
  b.probes++
  if (b.probes > b.services.limits.retransmissions) {
    giveUp(b, now)
    return
  }
  b.services.counters.add('tcp.windowProbe')
  sendWindowProbe(b, now)
  const { maximumRto } = b.services.limits
  const interval = Math.min(maximumRto, b.rtt.timeout * 2 ** b.persistShift) as Duration
  if (interval < maximumRto) b.persistShift++
  b.timers.set('persist', after(now, interval))
}

function keepAlive(b: ControlBlock, now: Instant): void {
  if (!b.keepAlive) return
  const { keepAliveIdle, keepAliveInterval, keepAliveProbes } = b.services.limits
  const due = after(b.lastHeardAt ?? now, keepAliveIdle)
  if (due > now) {
    b.timers.set('keep-alive', due)
    return
  }
  if (b.keepAliveProbes >= keepAliveProbes) {
    giveUp(b, now)
    return
  }
  b.keepAliveProbes++
  sendKeepAlive(b, now)
  b.timers.set('keep-alive', after(now, keepAliveInterval))
}

/** R2 of RFC 9293 section 3.8.3 is reached; a RST lets a peer that still lives know. */
function giveUp(b: ControlBlock, now: Instant): void {
  b.services.counters.add('tcp.givenUp')
  if (b.state !== 'SYN-SENT') sendReset(b, now)
  b.close(b.softError ?? 'ETIMEDOUT', now)
}
