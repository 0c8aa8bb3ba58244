/**
 * Looking again before sleeping. A thread that sleeps in poll() is woken in some 30 µs, more than a packet's whole work: an
 * answer that comes at once would wait longer for the thread than it was under way. So a thread looks a little longer, and
 * lets others run between two looks. What that may cost is bounded: looks that found nothing take a tenth of the time at most.
 */

/** How long it is looked. */
export const PATIENCE_US = 200
/** Of the time, for looks in vain. */
const SHARE = 0.1
/** What may be saved up: for the beginning of a conversation. */
const SAVINGS_US: number = 20 * PATIENCE_US

export class Patience {
  readonly #lookUs: number
  readonly #looks: number
  #credit: number = SAVINGS_US
  #lastMs = 0

  /** `lookUs`: what one look costs, in microseconds. */
  constructor(lookUs: number) {
    this.#lookUs = Math.max(lookUs, 0.1)
    this.#looks = Math.round(PATIENCE_US / this.#lookUs)
  }

  /** How often to look before sleeping. `nowMs`: of any clock. */
  looks(nowMs: number): number {
    const passed = nowMs - this.#lastMs
    this.#lastMs = nowMs
    if (passed > 0) this.#credit = Math.min(SAVINGS_US, this.#credit + 1000 * SHARE * passed)
    return this.#credit >= PATIENCE_US ? this.#looks : 0
  }

  /** As many looks found nothing. */
  inVain(looks: number): void {
    this.#credit -= looks * this.#lookUs
  }
}
