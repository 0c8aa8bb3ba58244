import type { Random } from '../base/index.js'

const SIZE = 0x10000
const MASK = SIZE - 1

/**
 * IPv4 identifications: not guessable, and none twice within 32,768 packets (RFC 6864 section 4.1 asks for no
 * repetition while fragments can live).
 *
 * The numbers stand in a ring; each that is drawn swaps places with a random one of the half of the ring that was
 * drawn longest ago.
 */
export class Identifications {
  readonly #random: Random
  #ring: Uint16Array | undefined
  #at = 0

  constructor(random: Random) {
    this.#random = random
  }

  next(): number {
    this.#ring ??= this.#shuffled()
    const ring = this.#ring
    const other = (this.#at + this.#random.below(SIZE / 2)) & MASK
    const drawn = ring[other]!
    ring[other] = ring[this.#at]!
    ring[this.#at] = drawn
    this.#at = (this.#at + 1) & MASK
    return drawn
  }

  #shuffled(): Uint16Array {
    const ring = Uint16Array.from({ length: SIZE }, (_, i) => i)
    for (let i = SIZE - 1; i > 0; i--) {
      const j = this.#random.below(i + 1)
      const held = ring[i]!
      ring[i] = ring[j]!
      ring[j] = held
    }
    return ring
  }
}
