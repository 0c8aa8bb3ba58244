/**
 * Sequence numbers of the SAs that a capture shows: whether they are extended, and which high half the next packet has
 * (RFC 4303 appendix A2.2, without a window: a capture may begin anywhere and miss packets).
 */

/** The high halves that are tried for an SA that was not seen before. */
const FIRST_GUESSES: readonly number[] = [0, 1, 2, 3]
/** SAs that are remembered; a capture of a scan must not fill the memory. */
const MOST_SAS = 4096
const HALF = 0x80000000

interface Seen {
  /** Undefined: the numbers are not extended. */
  high: number | undefined
  low: number
}

export class SequenceNumbers {
  readonly #seen = new Map<string, Seen>()

  /** High halves in the order in which they are to be tried; undefined among them: not extended. */
  candidates(sa: string, low: number): readonly (number | undefined)[] {
    const seen = this.#seen.get(sa)
    if (seen === undefined) return [undefined, ...FIRST_GUESSES]
    const { high } = seen
    if (high === undefined) return [undefined, 0, 1]
    const near = seen.low - low > HALF ? high + 1 : low - seen.low > HALF ? high - 1 : high
    return [...new Set([near, high, high + 1, high - 1])].filter((half) => half >= 0 && half <= 0xffffffff)
  }

  /** What the ICV proved. */
  proved(sa: string, low: number, high: number | undefined): void {
    const seen = this.#seen.get(sa)
    if (seen === undefined) {
      if (this.#seen.size >= MOST_SAS) this.#seen.delete(this.#seen.keys().next().value!)
      this.#seen.set(sa, { high, low })
      return
    }
    if (high !== undefined && seen.high !== undefined && high < seen.high) return
    if (high === seen.high && low < seen.low) return
    seen.high = high
    seen.low = low
  }
}
