/**
 * At most so many lines of a log in a row, and so many a second: whoever speaks to us chooses how much there would be to
 * write, and a full disk is a way to silence the rest. What was left out is counted, and said.
 */
import type { Instant } from '../../base/index.js'

/** Lines in a row; an honest start of a hundred tunnels is not cut. */
export const LOG_BURST = 1_000
export const LOG_PER_SECOND = 50

const SECOND = 1_000_000

export class LogLimit {
  #tokens = LOG_BURST
  #since: Instant | undefined
  #left = 0

  /** Those of these lines that are to be written. */
  take(lines: readonly string[], now: Instant): string[] {
    const passed = this.#since === undefined ? 0 : Math.max(0, now - this.#since)
    this.#tokens = Math.min(LOG_BURST, this.#tokens + (passed * LOG_PER_SECOND) / SECOND)
    this.#since = now
    const written: string[] = []
    for (const line of lines) {
      // Not one by one from now on: first a second's worth has to come together.
      const isOpen = this.#left === 0 ? this.#tokens >= 1 : this.#tokens >= LOG_PER_SECOND
      if (!isOpen) {
        this.#left++
        continue
      }
      if (this.#left > 0) written.push(`${this.#left} lines of the log were left out: they came too fast`)
      this.#left = 0
      this.#tokens--
      written.push(line)
    }
    return written
  }
}
