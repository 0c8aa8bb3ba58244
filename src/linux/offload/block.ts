/** The block that packets lie in: as bytes, as numbers, and as aligned words to sum fast. */
import { foldSum } from '../../base/index.js'
import type { FastSum } from './fast-sum.js'

/** Words whose halves of 16 bits may be added up in 31 bits before the sums are folded. */
const WORDS_AT_ONCE = 0x4000

export class PacketBlock {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly #words: Int32Array
  readonly #fast: FastSum | undefined

  /** `bytes` has to begin at a multiple of 4 of its buffer. `fast`: a sum that sees the same bytes at the same offsets. */
  constructor(bytes: Uint8Array, fast?: FastSum) {
    this.bytes = bytes
    this.#fast = fast
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2)
  }

  /**
   * One's complement sum of `[start, end)` in 16 bits. The sum does not depend on the byte order of the words, but for
   * a swap at the end (RFC 1071 section 2 B); and bytes that begin at an odd address count as swapped.
   */
  sum(start: number, end: number): number {
    if (this.#fast !== undefined) {
      const swapped = this.#fast(start, end)
      return ((swapped & 0xff) << 8) | (swapped >>> 8)
    }
    const { bytes } = this
    const words = this.#words
    const aligned = Math.min((start + 3) & ~3, end)
    const last = end >>> 2
    // Of the machine's order: byte address parity is the weight.
    let low = 0
    let high = 0
    for (let i = start; i < aligned; i++) {
      if ((i & 1) === 0) low += bytes[i]!
      else low += bytes[i]! << 8
    }
    let at = (start + 3) >>> 2
    while (at < last) {
      const stop = Math.min(last, at + WORDS_AT_ONCE)
      // The sum of whole words modulo 2^32, and that of their upper halves: the lower halves' is the difference.
      let whole = 0
      let upper = 0
      for (const eight = stop - 7; at < eight; at += 8) {
        const a = words[at]!
        const b = words[at + 1]!
        const c = words[at + 2]!
        const d = words[at + 3]!
        const e = words[at + 4]!
        const f = words[at + 5]!
        const g = words[at + 6]!
        const h = words[at + 7]!
        whole = (whole + a + b + c + d + e + f + g + h) | 0
        upper = (upper + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0
        upper = (upper + (e >>> 16) + (f >>> 16) + (g >>> 16) + (h >>> 16)) | 0
      }
      for (; at < stop; at++) {
        const a = words[at]!
        whole = (whole + a) | 0
        upper = (upper + (a >>> 16)) | 0
      }
      const lower = (whole - (upper << 16)) >>> 0
      low += (lower & 0xffff) + (lower >>> 16)
      high += (upper & 0xffff) + (upper >>> 16)
    }
    for (let i = Math.max(4 * last, aligned); i < end; i++) {
      if ((i & 1) === 0) low += bytes[i]!
      else low += bytes[i]! << 8
    }
    const folded = foldSum(low + high)
    return (start & 1) === 1 ? folded : ((folded & 0xff) << 8) | (folded >>> 8)
  }
}
