import { Ring } from './ring.js'
import { seqAdd, seqAtMost, seqDiff, seqLess, seqMax, seqMin } from './sequence.js'

interface Range {
  start: number
  end: number
}

/**
 * What the peer sent: in-order bytes that wait for the reader, and islands beyond them (RFC 9293 section 3.10.7.4,
 * fourth to eighth step; the islands are what RFC 2018 reports).
 */
export class ReceiveBuffer {
  readonly #ring = new Ring()
  readonly #capacity: number
  readonly #maximumRanges: number
  /** Islands by sequence number, disjoint and not touching. */
  #ranges: Range[] = []
  /** The same islands, the one that changed last first (RFC 2018 section 4). */
  #recent: Range[] = []
  /** Sequence number of the next byte in order. */
  next = 0
  /** Bytes in order that nobody has read. */
  available = 0

  constructor(capacity: number, maximumRanges: number) {
    this.#capacity = capacity
    this.#maximumRanges = maximumRanges
  }

  start(next: number): void {
    this.next = next
  }

  get capacity(): number {
    return this.#capacity
  }

  /** What may be offered as a window. */
  get free(): number {
    return this.#capacity - this.available
  }

  get hasGaps(): boolean {
    return this.#ranges.length > 0
  }

  /**
   * Keeps what is new and fits of `data`, which starts at `sequence`. Returns how far the in-order bytes grew: 0 for
   * a duplicate or an island. -1: an island too many, nothing is kept.
   */
  insert(sequence: number, data: Uint8Array): number {
    let offset = seqDiff(sequence, this.next)
    if (offset < 0) {
      data = data.subarray(Math.min(data.length, -offset))
      offset = 0
    }
    const room = this.free - offset
    if (room <= 0 || data.length === 0) return 0
    if (data.length > room) data = data.subarray(0, room)
    const start = seqAdd(this.next, offset)
    const end = seqAdd(start, data.length)
    if (offset > 0) {
      if (!this.#addIsland(start, end)) return -1
      this.#ring.put(this.available + offset, data)
      return 0
    }
    this.#ring.put(this.available, data)
    let next = end
    while (this.#ranges.length > 0 && seqAtMost(this.#ranges[0]!.start, next)) {
      const reached = this.#ranges.shift()!
      this.#recent.splice(this.#recent.indexOf(reached), 1)
      next = seqMax(next, reached.end)
    }
    const grown = seqDiff(next, this.next)
    this.next = next
    this.available += grown
    return grown
  }

  /** Up to `maximum` islands as a flat list of left and right edges, the latest first. */
  sackBlocks(maximum: number): number[] {
    const edges: number[] = []
    for (let i = 0; i < this.#recent.length && i < maximum; i++)
      edges.push(this.#recent[i]!.start, this.#recent[i]!.end)
    return edges
  }

  /** Takes out up to `maximum` bytes, in a fresh array; `undefined` when there are none. */
  read(maximum: number): Uint8Array | undefined {
    const length = Math.min(maximum, this.available)
    if (length <= 0) return undefined
    const data = new Uint8Array(length)
    this.#ring.copy(0, length, data, 0)
    this.#ring.drop(length)
    this.available -= length
    return data
  }

  release(): void {
    this.#ring.release()
    this.#ranges = []
    this.#recent = []
    this.available = 0
  }

  #addIsland(start: number, end: number): boolean {
    const ranges = this.#ranges
    let first = 0
    while (first < ranges.length && seqLess(ranges[first]!.end, start)) first++
    let last = first
    while (last < ranges.length && seqAtMost(ranges[last]!.start, end)) last++
    if (first === last && ranges.length >= this.#maximumRanges) return false
    const island: Range = { start, end }
    if (first < last) {
      island.start = seqMin(start, ranges[first]!.start)
      island.end = seqMax(end, ranges[last - 1]!.end)
    }
    for (const merged of ranges.splice(first, last - first, island))
      this.#recent.splice(this.#recent.indexOf(merged), 1)
    this.#recent.unshift(island)
    return true
  }
}
