import type { Instant } from '../../base/index.js'

/**
 * One thing at a time: what is asked for while a piece of work is under way waits until that is done. It keeps a
 * loopback from delivering into the middle of a transmission, and a handler's calls out of a half-made change.
 */
export class Agenda {
  readonly #owed: ((now: Instant) => void)[] = []
  /** How many of `#owed` are done. */
  #done = 0
  #depth = 0
  #draining = false

  /** True while a piece of work is under way. */
  get busy(): boolean {
    return this.#depth > 0
  }

  /** Does `work` now, within the piece that is under way or as one of its own; what is owed follows. */
  run(now: Instant, work: () => void): void {
    this.#depth++
    try {
      work()
    } finally {
      this.#depth--
    }
    if (this.#depth === 0 && !this.#draining) this.#drain(now)
  }

  /** Runs `task` once nothing is under way, after what was owed before. */
  owe(task: (now: Instant) => void): void {
    this.#owed.push(task)
  }

  #drain(now: Instant): void {
    this.#draining = true
    try {
      // By index: what a task throws leaves the rest for the next time.
      while (this.#done < this.#owed.length) this.#owed[this.#done++]!(now)
      this.#owed.length = 0
      this.#done = 0
    } finally {
      this.#draining = false
    }
  }
}
