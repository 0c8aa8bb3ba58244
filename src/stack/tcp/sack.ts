import { seqAtMost, seqDiff, seqLess, seqMax, seqMin } from './sequence.js'

interface Range {
  start: number
  end: number
}

/** A stretch of the sequence space to send again. */
export interface Hole {
  readonly sequence: number
  readonly length: number
}

/** RFC 6675 section 2. */
const DUP_THRESH = 3

/**
 * The scoreboard of RFC 6675: which octets between SND.UNA and SND.NXT the peer holds, which are taken for lost, and
 * how many are thought to be in the network. Kept as ranges, so that every question costs a walk over the holes.
 *
 * A peer without SACK never adds a range; `lostBelow` then carries what its duplicate ACKs and the timer say.
 */
export class Scoreboard {
  readonly #maximumRanges: number
  /** SACKed ranges, disjoint and in order, all above SND.UNA. */
  readonly #ranges: Range[] = []
  #sackedBytes = 0
  /** HighRxt: what lies below and is not SACKed was sent again in this recovery. */
  highRxt = 0
  /** Everything below that is not SACKed counts as lost: set by a time-out. */
  lostBelow: number | undefined

  constructor(maximumRanges: number) {
    this.#maximumRanges = maximumRanges
  }

  get sackedBytes(): number {
    return this.#sackedBytes
  }

  /** Section 4, Update(): takes the flat `edges` of an ACK. Returns how many octets are newly SACKed. */
  update(edges: readonly number[], una: number, next: number): number {
    const before = this.#sackedBytes
    for (let i = 0; i + 1 < edges.length; i += 2) {
      const start = edges[i]!
      const end = edges[i + 1]!
      // A D-SACK (RFC 2883) lies at or below SND.UNA or inside another block: it says nothing new here.
      if (seqLess(start, end) && seqLess(una, start) && seqAtMost(end, next)) this.#add(start, end)
    }
    return this.#sackedBytes - before
  }

  /** SND.UNA moved. */
  advance(una: number): void {
    const ranges = this.#ranges
    while (ranges.length > 0 && seqAtMost(ranges[0]!.end, una)) {
      const gone = ranges.shift()!
      this.#sackedBytes -= seqDiff(gone.end, gone.start)
    }
    const first = ranges[0]
    if (first !== undefined && seqLess(first.start, una)) {
      this.#sackedBytes -= seqDiff(una, first.start)
      first.start = una
    }
    this.highRxt = seqMax(this.highRxt, una)
    if (this.lostBelow !== undefined && seqAtMost(this.lostBelow, una)) this.lostBelow = undefined
  }

  /** Forgets what was SACKed: after a time-out the peer may have reneged (RFC 2018 section 8). */
  clear(una: number): void {
    this.#ranges.length = 0
    this.#sackedBytes = 0
    this.highRxt = una
    this.lostBelow = undefined
  }

  /** IsLost() for the octet at SND.UNA (section 4). */
  firstIsLost(mss: number): boolean {
    return this.#isLost(this.#ranges.length, this.#sackedBytes, mss)
  }

  /** SetPipe() (section 4). */
  pipe(una: number, next: number, mss: number): number {
    const ranges = this.#ranges
    let pipe = 0
    let bytesAbove = 0
    let top = next
    for (let i = ranges.length - 1; i >= 0; i--) {
      const range = ranges[i]!
      pipe += this.#inFlight(range.end, top, this.#isLost(ranges.length - 1 - i, bytesAbove, mss))
      bytesAbove += seqDiff(range.end, range.start)
      top = range.start
    }
    return pipe + this.#inFlight(una, top, this.#isLost(ranges.length, bytesAbove, mss))
  }

  /** NextSeg() rule 1: the first octets taken for lost and not yet sent again. */
  nextLost(una: number, next: number, mss: number): Hole | undefined {
    const ranges = this.#ranges
    let bytesAbove = this.#sackedBytes
    let start = una
    for (let i = 0; i <= ranges.length; i++) {
      const range = ranges[i]
      const end = range === undefined ? next : range.start
      const from = seqMax(start, this.highRxt)
      if (seqLess(from, end)) {
        if (range !== undefined && this.#isLost(ranges.length - i, bytesAbove, mss))
          return { sequence: from, length: seqDiff(end, from) }
        if (this.lostBelow === undefined || !seqLess(from, this.lostBelow)) return undefined
        return { sequence: from, length: seqDiff(seqMin(end, this.lostBelow), from) }
      }
      if (range === undefined) return undefined
      bytesAbove -= seqDiff(range.end, range.start)
      start = range.end
    }
    return undefined
  }

  /** NextSeg() rule 3: the first octets below the highest SACKed one that were not sent again, lost or not. */
  nextUnsacked(una: number): Hole | undefined {
    let start = una
    for (const range of this.#ranges) {
      const from = seqMax(start, this.highRxt)
      if (seqLess(from, range.start)) return { sequence: from, length: seqDiff(range.start, from) }
      start = range.end
    }
    return undefined
  }

  /** NextSeg() rule 4: the last segment outstanding, if it is not SACKed. */
  last(una: number, next: number, mss: number): Hole | undefined {
    const highest = this.#ranges.at(-1)
    const start = seqMax(highest === undefined ? una : highest.end, (next - mss) >>> 0)
    return seqLess(start, next) ? { sequence: start, length: seqDiff(next, start) } : undefined
  }

  /** Are at least DupThresh ranges, or more than (DupThresh - 1) * SMSS octets, SACKed above? */
  #isLost(rangesAbove: number, bytesAbove: number, mss: number): boolean {
    return rangesAbove >= DUP_THRESH || bytesAbove > (DUP_THRESH - 1) * mss
  }

  /** Octets of the hole `[start, end)` that are in the network: not lost, or sent again (which counts beside it). */
  #inFlight(start: number, end: number, lost: boolean): number {
    const length = seqDiff(end, start)
    if (length <= 0) return 0
    let count = 0
    if (!lost) {
      const alive = this.lostBelow === undefined ? start : seqMax(start, this.lostBelow)
      count += Math.max(0, seqDiff(end, alive))
    }
    return count + Math.max(0, seqDiff(seqMin(end, this.highRxt), start))
  }

  #add(start: number, end: number): void {
    const ranges = this.#ranges
    let first = 0
    while (first < ranges.length && seqLess(ranges[first]!.end, start)) first++
    let last = first
    let merged = 0
    while (last < ranges.length && seqAtMost(ranges[last]!.start, end)) {
      merged += seqDiff(ranges[last]!.end, ranges[last]!.start)
      last++
    }
    if (first === last && ranges.length >= this.#maximumRanges) return
    const range: Range = { start, end }
    if (first < last) {
      range.start = seqMin(start, ranges[first]!.start)
      range.end = seqMax(end, ranges[last - 1]!.end)
    }
    ranges.splice(first, last - first, range)
    this.#sackedBytes += seqDiff(range.end, range.start) - merged
  }
}
