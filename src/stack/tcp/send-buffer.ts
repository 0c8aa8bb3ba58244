import { Ring } from './ring.js'
import { seqAdd, seqDiff } from './sequence.js'

/** Bytes written and not yet acknowledged, by sequence number. */
export class SendBuffer {
  readonly #ring = new Ring()
  readonly #capacity: number
  /** Sequence number of the first byte kept. */
  base: number
  length = 0

  constructor(base: number, capacity: number) {
    this.base = base
    this.#capacity = capacity
  }

  /** Sequence number after the last byte written: the FIN's, when there is one. */
  get end(): number {
    return seqAdd(this.base, this.length)
  }

  get free(): number {
    return this.#capacity - this.length
  }

  get capacity(): number {
    return this.#capacity
  }

  /** Copies as much of `data` as there is room for; returns the number of bytes taken. */
  append(data: Uint8Array): number {
    const taken = Math.min(data.length, this.free)
    if (taken > 0) this.#ring.put(this.length, taken === data.length ? data : data.subarray(0, taken))
    this.length += taken
    return taken
  }

  /** Copies the bytes from sequence number `from` into `target`; they must be kept here. */
  copy(from: number, length: number, target: Uint8Array, at: number): void {
    this.#ring.copy(seqDiff(from, this.base), length, target, at)
  }

  /** Drops what lies before `sequence` (which may be one past the end, when it acknowledges a FIN). */
  acknowledge(sequence: number): void {
    const count = Math.min(this.length, Math.max(0, seqDiff(sequence, this.base)))
    this.#ring.drop(count)
    this.base = seqAdd(this.base, count)
    this.length -= count
  }

  release(): void {
    this.#ring.release()
    this.base = this.end
    this.length = 0
  }
}
