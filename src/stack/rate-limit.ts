import { between, type Instant, toSeconds } from '../base/index.js'

/** A token bucket: `perSecond` on average, as many at once. */
export class TokenBucket {
  readonly perSecond: number
  #tokens: number
  #filled: Instant | undefined

  constructor(perSecond: number) {
    this.perSecond = perSecond
    this.#tokens = perSecond
  }

  /** Takes one token, or says that there is none. */
  take(now: Instant): boolean {
    if (this.#filled !== undefined && now > this.#filled)
      this.#tokens = Math.min(
        this.perSecond,
        this.#tokens + toSeconds(between(this.#filled, now)) * this.perSecond,
      )
    this.#filled = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
