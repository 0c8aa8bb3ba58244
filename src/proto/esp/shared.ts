/**
 * What the threads that send on one SA have in common: its sequence number, and how far its lifetimes have come. IVs are
 * made of the sequence number, so that it alone keeps nonces apart (RFC 4106 section 3.1).
 *
 *     int32: low, high, lock, reached, told      (one cache line)
 *     a thread: float64 bytes, packets           (a cache line each, written by that thread alone)
 */
import type { SaSpec } from './sa.js'

/** A thread's view of it. It can be sent to a worker as it is. */
export interface SharedSa {
  readonly memory: SharedArrayBuffer
  /** Which of the threads this one is, from 0. */
  readonly thread: number
}

export const LOW = 0
export const HIGH = 1
export const LOCK = 2
export const REACHED = 3
/** Limits that somebody has told of, a bit each. */
export const TOLD = 4
const LINE = 64

export const sharedWords = ({ memory }: SharedSa): Int32Array => new Int32Array(memory, 0, LINE / 4)

/** An outbound SA for `threads` threads: its spec for each of them. */
export function shareSa(spec: SaSpec, threads: number): SaSpec[] {
  const memory = new SharedArrayBuffer(LINE * (1 + threads))
  const words = new Int32Array(memory)
  words[LOW] = spec.sequence?.low ?? 0
  words[HIGH] = spec.sequence?.high ?? 0
  return Array.from({ length: threads }, (_, thread) => ({ ...spec, shared: { memory, thread } }))
}

/** Bytes and packets of all threads. */
export class SharedUse {
  readonly #words: Int32Array
  readonly #counts: Float64Array
  readonly #own: number

  constructor(shared: SharedSa) {
    this.#words = sharedWords(shared)
    this.#counts = new Float64Array(shared.memory)
    this.#own = (LINE / 8) * (1 + shared.thread)
  }

  /** What this thread has used. */
  set(bytes: number, packets: number): void {
    this.#counts[this.#own] = bytes
    this.#counts[this.#own + 1] = packets
  }

  get bytes(): number {
    return this.#sum(0)
  }

  get packets(): number {
    return this.#sum(1)
  }

  get reached(): number {
    return Atomics.load(this.#words, REACHED)
  }

  /** Only grows, whoever says so. */
  reach(kind: number): void {
    for (;;) {
      const before = Atomics.load(this.#words, REACHED)
      if (before >= kind || Atomics.compareExchange(this.#words, REACHED, before, kind) === before) return
    }
  }

  /** True for the first thread that asks. */
  tells(kind: number): boolean {
    return (Atomics.or(this.#words, TOLD, 1 << kind) & (1 << kind)) === 0
  }

  #sum(which: number): number {
    let sum = 0
    for (let at = LINE / 8; at < this.#counts.length; at += LINE / 8) sum += this.#counts[at + which]!
    return sum
  }
}
