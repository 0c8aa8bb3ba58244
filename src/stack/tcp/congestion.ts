/**
 * CUBIC (RFC 9438), with the slow start, the initial window and the restart of RFC 5681 and RFC 6928, the byte
 * counting of RFC 3465, and the answer to ECN of RFC 3168. Windows are in bytes; CUBIC's own numbers in segments.
 */
import { type Duration, type Instant, toSeconds } from '../../base/index.js'

const C = 0.4 // RFC 9438 section 4.1
const BETA = 0.7 // section 4.6
const ALPHA = (3 * (1 - BETA)) / (1 + BETA) // section 4.3

export class CongestionControl {
  /** SMSS. */
  mss: number
  /** cwnd, in whole bytes. */
  window: number
  threshold: number = Number.POSITIVE_INFINITY
  /** W_max, in segments. */
  #maximum = 0
  /** Start of the present stage of congestion avoidance. */
  #epoch: Instant | undefined
  #k = 0
  /** W_est, in segments: what Reno would have. */
  #estimate = 0
  /** cwnd before the last reduction, in segments. */
  #prior = 0
  #afterTimeout = false
  /** Parts of a byte by which `window` is behind. */
  #fraction = 0

  constructor(mss: number) {
    this.mss = mss
    this.window = initialWindow(mss)
  }

  get slowStart(): boolean {
    return this.window < this.threshold
  }

  /** The MSS became known, or the path's MTU shrank; before anything was sent the window follows it. */
  setMss(mss: number, fresh: boolean): void {
    this.mss = mss
    if (fresh) this.window = initialWindow(mss)
  }

  /** New data was acknowledged outside of fast recovery, while the window was what held the sender back. */
  acknowledged(bytes: number, smoothedRtt: Duration, now: Instant): void {
    if (this.slowStart) {
      // RFC 3465 section 2.2, L = 2: an ACK that jumps over a repaired hole starts no burst.
      this.window += Math.min(bytes, 2 * this.mss)
      return
    }
    const cwnd = this.window / this.mss
    if (this.#epoch === undefined) this.#startEpoch(cwnd, now)
    const t = toSeconds((now - this.#epoch!) as Duration)
    const acked = bytes / this.mss
    this.#estimate += ((this.#estimate >= this.#prior ? 1 : ALPHA) * acked) / cwnd
    const cubic = C * (t - this.#k) ** 3 + this.#maximum
    if (cubic < this.#estimate) {
      // Section 4.3: the Reno-friendly region.
      this.#grow((this.#estimate - cwnd) * this.mss)
      return
    }
    const ahead = C * (t + toSeconds(smoothedRtt) - this.#k) ** 3 + this.#maximum
    const target = Math.min(1.5 * cwnd, Math.max(cwnd, ahead)) // section 4.2
    this.#grow(((target - cwnd) / cwnd) * acked * this.mss)
  }

  /** Loss was detected by duplicate ACKs, or ECN said so: sections 4.6 and 4.7. */
  congestion(flight: number): void {
    const cwnd = this.window / this.mss
    this.#prior = cwnd
    this.#maximum = cwnd < this.#maximum ? (cwnd * (1 + BETA)) / 2 : cwnd
    this.threshold = Math.max(Math.floor(Math.min(flight, this.window) * BETA), 2 * this.mss)
    this.window = this.threshold
    this.#epoch = undefined
    this.#afterTimeout = false
  }

  /** The retransmission timer ran out (section 4.8; RFC 5681 equation 4 and the loss window). */
  timedOut(flight: number, firstTime: boolean): void {
    if (firstTime) {
      this.#prior = this.window / this.mss
      this.threshold = Math.max(Math.floor(flight * BETA), 2 * this.mss)
    }
    this.window = this.mss
    this.#epoch = undefined
    this.#afterTimeout = true
  }

  /** RFC 5681 section 4.1: after more than an RTO of silence the window says nothing about the path. */
  restartAfterIdle(): void {
    this.window = Math.min(this.window, initialWindow(this.mss))
    this.#epoch = undefined
  }

  #startEpoch(cwnd: number, now: Instant): void {
    this.#epoch = now
    this.#estimate = cwnd
    if (this.#afterTimeout || cwnd >= this.#maximum) {
      this.#maximum = cwnd
      this.#k = 0
    } else {
      this.#k = Math.cbrt((this.#maximum - cwnd) / C) // section 4.2, figure 2
    }
    this.#afterTimeout = false
  }

  #grow(bytes: number): void {
    const grown = this.#fraction + Math.max(0, bytes)
    const whole = Math.floor(grown)
    this.#fraction = grown - whole
    this.window += whole
  }
}

/** RFC 6928 section 2. */
export function initialWindow(mss: number): number {
  return Math.min(10 * mss, Math.max(2 * mss, 14_600))
}
