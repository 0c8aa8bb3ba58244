import type { SequenceNumber } from './sa.js'
import { HIGH, LOCK, LOW, type SharedSa, sharedWords } from './shared.js'

/** The sender's sequence numbers (RFC 4303 section 3.3.3): 32 or 64 bits, never one twice, in however many threads. */
export class SequenceCounter {
  /** The number of the packet under way; 0 of an SA that does not count in 64 bits. */
  high: number
  low: number
  readonly #esn: boolean
  /** Of an SA that several threads send on. */
  readonly #words: Int32Array | undefined

  /** `last`: what was sent before; of a shared SA its own memory knows it. */
  constructor(esn: boolean, last: SequenceNumber = { high: 0, low: 0 }, shared?: SharedSa) {
    this.#esn = esn
    this.high = last.high
    this.low = last.low
    this.#words = shared === undefined ? undefined : sharedWords(shared)
  }

  /** Steps on. False: the last number was sent, the SA is at its end. */
  next(): boolean {
    if (this.#words !== undefined) return this.#nextShared(this.#words)
    if (this.low < 0xffffffff) {
      this.low++
      return true
    }
    if (!this.#esn || this.high === 0xffffffff) return false
    this.high++
    this.low = 0
    return true
  }

  /**
   * A number is whose exchange of the low half succeeds. The high half only grows: read before and after the exchange,
   * and the same, it is that of the exchange. Where it is not, the number is given up: a peer does not mind gaps.
   */
  #nextShared(words: Int32Array): boolean {
    for (;;) {
      const high = Atomics.load(words, HIGH)
      const low = Atomics.load(words, LOW)
      if (low !== -1) {
        const next = (low + 1) | 0
        if (Atomics.compareExchange(words, LOW, low, next) !== low || Atomics.load(words, HIGH) !== high)
          continue
        this.high = high >>> 0
        this.low = next >>> 0
        return true
      }
      if (!this.#esn) return false
      const carried = this.#carry(words)
      if (carried !== undefined) return carried
    }
  }

  /** As long as the low half stands at its last number nobody takes one, and one thread alone steps over. */
  #carry(words: Int32Array): boolean | undefined {
    if (Atomics.compareExchange(words, LOCK, 0, 1) !== 0) return undefined
    const high = Atomics.load(words, HIGH)
    const stands = Atomics.load(words, LOW) === -1
    const ends = stands && high === -1
    if (stands && !ends) {
      Atomics.store(words, HIGH, (high + 1) | 0)
      Atomics.store(words, LOW, 0)
    }
    Atomics.store(words, LOCK, 0)
    if (!stands) return undefined
    this.high = (high + 1) >>> 0
    this.low = 0
    return !ends
  }
}
