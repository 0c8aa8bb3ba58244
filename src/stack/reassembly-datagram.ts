/**
 * One datagram on its way to be whole: what is there of it, and the arithmetic of its fragments.
 */
import { PacketBuffer, type QueuedTimer } from '../base/index.js'
import type { NetworkInterface } from './interface.js'

/** What a fragment and a datagram cost beyond their bytes, so that tiny ones are not free. */
export const OVERHEAD = 128
/** A bit for each of 8192 units of 8 bytes. */
const MAP_BYTES = 1024
/** What a datagram costs before its first fragment. */
export const EMPTY_COST: number = OVERHEAD + MAP_BYTES

export interface Fragment {
  /** In bytes from the start of the fragmentable part. */
  readonly offset: number
  readonly data: Uint8Array
}

export class Datagram {
  readonly key: string
  readonly source: string
  readonly family: 4 | 6
  readonly interface: NetworkInterface
  readonly timer: QueuedTimer
  readonly fragments: Map<number, Fragment> = new Map()
  /** Units that are there. */
  readonly map: Uint8Array = new Uint8Array(MAP_BYTES)
  /** Headers of the first fragment, up to the fragmentable part. */
  head: Uint8Array | undefined
  /** IPv6: offset in `head` of the next-header byte that becomes `nextHeader`. */
  nextHeaderAt = 0
  nextHeader = 0
  /** The whole first fragment, for the error of a datagram that times out. */
  first: Uint8Array | undefined
  /** Length of the fragmentable part, once its last fragment is there. */
  total: number | undefined
  received = 0
  /** The farthest byte that is there. */
  extent = 0
  /** Bytes that it is charged with. */
  cost: number = EMPTY_COST
  /** Overlap or contradiction: the rest of it is dropped unseen. */
  refused = false
  congestionExperienced = false
  notEct = false
  nesting = 0
  /** One fragment at least is. */
  unauthenticated = false

  constructor(key: string, source: string, family: 4 | 6, ifc: NetworkInterface, timer: QueuedTimer) {
    this.key = key
    this.source = source
    this.family = family
    this.interface = ifc
    this.timer = timer
  }
}

/** One fragment as either family has it. */
export interface Piece {
  readonly key: string
  readonly source: string
  readonly offset: number
  readonly more: boolean
  readonly data: Uint8Array
  readonly head: Uint8Array
  readonly whole: Uint8Array
  readonly ecn: number
  readonly nesting: number
  readonly unauthenticated: boolean
  /** IPv6. */
  readonly nextHeaderAt: number
  readonly nextHeader: number
}

/** Lengths that no honest fragment has; `limit` is the longest fragmentable part (the "ping of death" is beyond). */
export function lengthProblem(
  offset: number,
  length: number,
  more: boolean,
  limit: number,
): 'fragmentEmpty' | 'fragmentLength' | 'fragmentBeyondEnd' | undefined {
  if (length <= 0) return 'fragmentEmpty'
  if (more && length % 8 !== 0) return 'fragmentLength'
  return offset + length > limit ? 'fragmentBeyondEnd' : undefined
}

/** Marks the units `[from, to)`; false, and nothing marked, if one is marked already. */
export function claim(map: Uint8Array, from: number, to: number): boolean {
  for (let unit = from; unit < to; unit++) if ((map[unit >> 3]! & (1 << (unit & 7))) !== 0) return false
  for (let unit = from; unit < to; unit++) map[unit >> 3] = map[unit >> 3]! | (1 << (unit & 7))
  return true
}

export function join(datagram: Datagram, kind: 4 | 6): PacketBuffer {
  const head = datagram.head ?? new Uint8Array(0)
  const whole = new PacketBuffer(new Uint8Array(128 + head.length + (datagram.total ?? 0)), 128)
  whole.kind = kind
  whole.nesting = datagram.nesting
  whole.unauthenticated = datagram.unauthenticated
  whole.bytes.set(head, 128)
  for (const { offset, data } of datagram.fragments.values())
    whole.bytes.set(data, 128 + head.length + offset)
  return whole
}
