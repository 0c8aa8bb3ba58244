/** Randomness is an argument, like time: a machine is given a `Random` and never draws from elsewhere. */
export interface Random {
  /** Fills the whole of `target` and returns it. */
  fill(target: Uint8Array): Uint8Array
  /** A uniform integer in `[0, bound)`; `bound` is at most 2^32. */
  below(bound: number): number
  /** A uniform unsigned 32-bit integer. */
  uint32(): number
}

/**
 * A seeded generator (xoshiro128**, seeded through splitmix32) for the lab and for tests: the same seed is
 * the same run. It is not for keys; a real host's `Random` comes from the operating system.
 */
export class SeededRandom implements Random {
  readonly seed: number
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(seed: number) {
    this.seed = seed >>> 0
    let state = this.seed
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return (z ^ (z >>> 15)) >>> 0
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next() | 1 // the all-zero state is the one that the generator never leaves
  }

  uint32(): number {
    const product = Math.imul(this.#b, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0
    const shifted = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= shifted
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result
  }

  below(bound: number): number {
    if (!(bound > 0 && bound <= 2 ** 32)) throw new RangeError(`bound ${bound} is not in 1..2^32`)
    // Rejection keeps it uniform: the tail that does not hold a whole multiple of bound is drawn again.
    const limit = 2 ** 32 - (2 ** 32 % bound)
    let drawn = this.uint32()
    while (drawn >= limit) drawn = this.uint32()
    return drawn % bound
  }

  fill(target: Uint8Array): Uint8Array {
    for (let at = 0; at < target.length; at += 4) {
      const word = this.uint32()
      for (let i = 0; i < 4 && at + i < target.length; i++) target[at + i] = word >>> (8 * i)
    }
    return target
  }
}
