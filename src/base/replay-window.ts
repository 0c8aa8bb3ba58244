/**
 * Anti-replay: which of the last sequence numbers were seen. The algorithm is RFC 6479's: a ring of words in which a
 * jump ahead clears whole words and nothing is ever shifted.
 *
 * Ask `check` first, then authenticate, and only then `advance`: a packet that somebody made up must not move the
 * window (CVE-2019-5613 is the same step left out; RFC 4303 section 3.4.3).
 *
 * A sequence number has 64 bits, given as two uint32, the low one first: protocols with 32 bits leave the other out.
 * Zero is a number like any other here; protocols that start at 1 refuse it themselves.
 */

export const REPLAY_WINDOW_LEAST = 64
export const REPLAY_WINDOW_MOST = 8192

export class ReplayWindow {
  /** How many numbers back from the highest are told apart. */
  readonly size: number
  /** Bits of a power of two of numbers: at least `size`, and a word more, whose start is not yet the window's. */
  readonly #words: Uint32Array
  readonly #mask: number
  #low = 0
  #high = 0
  /** False until the first number was seen. */
  #begun = false

  /** `size`: 64 to 8192, any number between. Throws `RangeError`. */
  constructor(size: number) {
    if (!Number.isInteger(size) || size < REPLAY_WINDOW_LEAST || size > REPLAY_WINDOW_MOST)
      throw new RangeError(
        `a replay window has ${REPLAY_WINDOW_LEAST} to ${REPLAY_WINDOW_MOST} numbers, not ${size}`,
      )
    this.size = size
    const words = 2 ** Math.ceil(Math.log2(size / 32 + 1))
    this.#words = new Uint32Array(words)
    this.#mask = words - 1
  }

  /** Low 32 bits of the highest number seen, 0 before the first. */
  get low(): number {
    return this.#low
  }
  /** High 32 bits of the highest number seen. */
  get high(): number {
    return this.#high
  }

  /** True if the number is new: ahead of the window, or in it and not seen. Changes nothing. */
  check(low: number, high = 0): boolean {
    const ahead = this.#ahead(low, high)
    if (ahead > 0 || !this.#begun) return true
    if (ahead <= -this.size) return false
    return (this.#words[(low >>> 5) & this.#mask]! & (1 << (low & 31))) === 0
  }

  /** Marks the number as seen, and moves the window if it is the highest. False: it was not new, nothing changed. */
  advance(low: number, high = 0): boolean {
    if (!this.check(low, high)) return false
    const ahead = this.#ahead(low, high)
    if (ahead > 0) {
      // Words between the old top's and the new one's, and the new one's: they hold what fell out of the window.
      const count = Math.min(Math.floor((ahead + (this.#low & 31)) / 32), this.#words.length)
      for (let i = 0, word = low >>> 5; i < count; i++, word--) this.#words[word & this.#mask] = 0
      this.#low = low >>> 0
      this.#high = high >>> 0
    }
    this.#begun = true
    this.#words[(low >>> 5) & this.#mask]! |= 1 << (low & 31)
    return true
  }

  /** Nothing was seen. With a number: it and all before it were. */
  reset(low?: number, high = 0): void {
    this.#words.fill(low === undefined ? 0 : 0xffffffff)
    this.#low = (low ?? 0) >>> 0
    this.#high = high >>> 0
    this.#begun = low !== undefined
    // The numbers of the top's word that are still to come.
    if (low !== undefined) this.#words[(low >>> 5) & this.#mask] = 0xffffffff >>> (31 - (low & 31))
  }

  /**
   * How far the number is ahead of the highest one. Exact up to 2^53; what is farther is only known to be far, which
   * is all that is asked of it.
   */
  #ahead(low: number, high: number): number {
    return ((high >>> 0) - this.#high) * 0x100000000 + ((low >>> 0) - this.#low)
  }
}
