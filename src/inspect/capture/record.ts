import type { Instant } from '../../base/index.js'
import { instantAt } from '../../base/index.js'

/** One packet of a capture file. */
export interface CapturedPacket {
  /** What was captured; may be less than was on the wire. */
  readonly bytes: Uint8Array
  /** Length on the wire. */
  readonly originalLength: number
  readonly linkType: number
  /** Seconds since the Unix epoch. */
  readonly seconds: number
  /** Nanoseconds within the second. */
  readonly nanoseconds: number
  /** pcapng: number of the interface in its section. */
  readonly interfaceId?: number
}

/** Microseconds since the Unix epoch, as the printers take them. */
export const timeOf = (packet: { seconds: number; nanoseconds: number }): Instant =>
  instantAt(packet.seconds * 1_000_000 + Math.floor(packet.nanoseconds / 1000))

/**
 * Where a reader stands: the current packet's place in the reader's own buffer. Valid until the next `advance` or
 * `push`; nothing is allocated a packet.
 */
export interface PacketCursor {
  readonly buffer: Uint8Array
  readonly start: number
  readonly end: number
  readonly originalLength: number
  readonly linkType: number
  readonly seconds: number
  readonly nanoseconds: number
  readonly interfaceId: number
}

/**
 * A reader fed with chunks of a file. `push` a chunk (it is copied: the caller may use its memory again), then
 * `advance` until it returns false, and so on; `finish` at the end of the file throws if a packet was cut off.
 */
export interface CaptureReader extends PacketCursor {
  push(chunk: Uint8Array): void
  /** Instead of `push`, to save the copy: space for `size` bytes to be read into; then `filled(how many came)`. */
  room(size: number): Uint8Array
  filled(length: number): void
  /** True: the cursor stands on the next packet. False: more bytes are needed. Throws `WarrenError` on a bad file. */
  advance(): boolean
  /** Throws `WarrenError` if the file ends inside a header or packet; every packet before was delivered. */
  finish(): void
}

/** The packet under the cursor, with bytes of its own. */
export function copyPacket(cursor: PacketCursor): CapturedPacket {
  return {
    bytes: cursor.buffer.slice(cursor.start, cursor.end),
    originalLength: cursor.originalLength,
    linkType: cursor.linkType,
    seconds: cursor.seconds,
    nanoseconds: cursor.nanoseconds,
    interfaceId: cursor.interfaceId,
  }
}
