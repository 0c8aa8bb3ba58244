import { type Duration, milliseconds, seconds } from '../../base/index.js'

/** The clock's granularity G of RFC 6298: timestamps tick in milliseconds. */
const GRANULARITY = milliseconds(1)

/** The retransmission timer's value (RFC 6298 section 2), with back-off (section 5.5). */
export class RttEstimator {
  readonly #minimum: Duration
  readonly #maximum: Duration
  #smoothed: Duration | undefined
  #variation = milliseconds(0)
  #timeout: Duration = seconds(1)

  constructor(minimum: Duration, maximum: Duration) {
    this.#minimum = minimum
    this.#maximum = maximum
    this.#timeout = this.#clamp(seconds(1)) // section 2.1
  }

  /** SRTT; `undefined` before the first sample. */
  get smoothed(): Duration | undefined {
    return this.#smoothed
  }

  /** RTO, backed off as often as `backOff` was called since the last sample. */
  get timeout(): Duration {
    return this.#timeout
  }

  /**
   * A round trip was measured. `perWindow` is how many samples a window gives: with timestamps every ACK is one,
   * and the gains are divided so that the history stays as long as RFC 6298 meant (RFC 7323 appendix G).
   */
  sample(measured: Duration, perWindow = 1): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = measured // section 2.2
      this.#variation = (measured / 2) as Duration
    } else {
      const divisor = Math.max(1, perWindow)
      const beta = 1 / 4 / divisor
      const alpha = 1 / 8 / divisor
      const error = Math.abs(this.#smoothed - measured)
      this.#variation = ((1 - beta) * this.#variation + beta * error) as Duration // section 2.3
      this.#smoothed = ((1 - alpha) * this.#smoothed + alpha * measured) as Duration
    }
    this.#timeout = this.#clamp((this.#smoothed + Math.max(GRANULARITY, 4 * this.#variation)) as Duration)
  }

  /** The timer ran out: section 5.5 doubles it. */
  backOff(): void {
    this.#timeout = this.#clamp((2 * this.#timeout) as Duration)
  }

  /** Section 5.7: a SYN that had to be repeated makes data start with three seconds. */
  restartAfterHandshakeLoss(): void {
    if (this.#smoothed === undefined) this.#timeout = this.#clamp(seconds(3))
  }

  #clamp(value: Duration): Duration {
    return Math.min(this.#maximum, Math.max(this.#minimum, Math.round(value))) as Duration
  }
}
