/** The block that packets lie in: as bytes, as numbers, and as aligned words to sum fast. */
import { foldSum } from '../../base/index.js'

/** Words that may be added up in 32 bits, as halves of 16 bits each, before the sums are folded. */
const WORDS_AT_ONCE = 0x4000

export class PacketBlock {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly #words: Uint32Array

  /** `bytes` has to begin at a multiple of 4 of its buffer. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2)
  }

  /**
   * One's complement sum of `[start, end)` in 16 bits. The sum does not depend on the byte order of the words, but for
   * a swap at the end (RFC 1071 section 2 B); and bytes that begin at an odd address count as swapped.
   */
  sum(start: number, end: number): number {
    const { bytes } = this
    const words = this.#words
    const aligned = Math.min((start + 3) & ~3, end)
    const last = end >>> 2
    let low = 0
    let high = 0
    // `low` and `high` are of the machine's order: byte address parity is the weight.
    for (let i = start; i < aligned; i++) {
      if ((i & 1) === 0) low += bytes[i]!
      else low += bytes[i]! << 8
    }
    let at = (start + 3) >>> 2
    while (at < last) {
      const stop = Math.min(last, at + WORDS_AT_ONCE)
      for (const four = stop - 3; at < four; at += 4) {
        const a = words[at]!
        const b = words[at + 1]!
        const c = words[at + 2]!
        const d = words[at + 3]!
        low = (low + (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)) | 0
        high = (high + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0
      }
      for (; at < stop; at++) {
        const a = words[at]!
        low = (low + (a & 0xffff)) | 0
        high = (high + (a >>> 16)) | 0
      }
      low = (low & 0xffff) + (low >>> 16)
      high = (high & 0xffff) + (high >>> 16)
    }
    for (let i = Math.max(4 * last, aligned); i < end; i++) {
      if ((i & 1) === 0) low += bytes[i]!
      else low += bytes[i]! << 8
    }
    const folded = foldSum(low + high)
    return (start & 1) === 1 ? folded : ((folded & 0xff) << 8) | (folded >>> 8)
  }
}
