import type { SequenceNumber } from './sa.js'

/** The sender's sequence numbers (RFC 4303 section 3.3.3): 32 or 64 bits, never one twice. */
export class SequenceCounter {
  /** The number of the packet under way; 0 of an SA that does not count in 64 bits. */
  high: number
  low: number
  readonly #esn: boolean

  /** `last`: what was sent before. */
  constructor(esn: boolean, last: SequenceNumber = { high: 0, low: 0 }) {
    this.#esn = esn
    this.high = last.high
    this.low = last.low
  }

  /** Steps on. False: the last number was sent, the SA is at its end. */
  next(): boolean {
    if (this.low < 0xffffffff) {
      this.low++
      return true
    }
    if (!this.#esn || this.high === 0xffffffff) return false
    this.high++
    this.low = 0
    return true
  }
}
