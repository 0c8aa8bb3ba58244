/** The SPIs under which children of this host receive: no two of them the same (RFC 4301 section 4.1). */
import type { Random } from '../../base/index.js'
import type { Session } from './session.js'

export class ChildSpis {
  readonly #random: Random
  readonly #given = new Set<number>()
  /** So many from which on those are looked for that nobody has any more. */
  #forgetFrom = 1024

  constructor(random: Random) {
    this.#random = random
  }

  /** One that none of the sessions' children has. */
  next(sessions: Iterable<Pick<Session, 'children'>>): number {
    for (;;) {
      const spi = this.#random.uint32()
      // RFC 4303 section 2.1: to 255 reserved.
      if (spi < 256 || this.#given.has(spi)) continue
      if (this.#given.size >= this.#forgetFrom) this.#forget(sessions)
      this.#given.add(spi)
      return spi
    }
  }

  /** SPIs of children that are gone may come again. */
  #forget(sessions: Iterable<Pick<Session, 'children'>>): void {
    this.#given.clear()
    for (const { children } of sessions) for (const child of children.values()) this.#given.add(child.spiIn)
    // What was offered and not answered yet is among those that went: the same number in 2^32 again is as good as never.
    this.#forgetFrom = 2 * this.#given.size + 1024
  }
}
