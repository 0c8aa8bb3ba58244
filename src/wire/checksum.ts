/**
 * The Internet checksum as the transports use it: over a pseudo-header of addresses, protocol and length (RFC 768,
 * RFC 9293 section 3.1, RFC 8200 section 8.1).
 */
import { addToSum, type IpAddress, internetChecksum, readUint16, writeUint16 } from '../base/index.js'

/** A checksum that is not what it has to be. */
export interface ChecksumMismatch {
  readonly found: number
  readonly expected: number
}

/** Unfolded sum of the pseudo-header, for `internetChecksum`'s last argument. `length` is in bytes. */
export function pseudoSum(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  length: number,
): number {
  const sum = protocol + (length >>> 16) + (length & 0xffff)
  return addToSum(
    addToSum(sum, source.bytes, 0, source.bytes.length),
    destination.bytes,
    0,
    destination.bytes.length,
  )
}

/**
 * Compares the checksum at `at` within `bytes[start, end)`; `pseudo` as `pseudoSum` gives it. What sums up right is
 * right, whichever of the two zeros of one's complement its sender chose (RFC 1624 section 3).
 */
export function checksumMismatch(
  bytes: Uint8Array,
  start: number,
  end: number,
  at: number,
  pseudo = 0,
): ChecksumMismatch | undefined {
  if (internetChecksum(bytes, start, end, pseudo) === 0) return undefined
  const found = readUint16(bytes, at)
  // Adding the complement of a word takes it out of the sum, without touching the bytes.
  return { found, expected: internetChecksum(bytes, start, end, pseudo + (~found & 0xffff)) }
}

/** Computes the checksum of `bytes[start, end)` and writes it at `at`. */
export function sealChecksum(bytes: Uint8Array, start: number, end: number, at: number, pseudo = 0): void {
  writeUint16(bytes, at, 0)
  writeUint16(bytes, at, internetChecksum(bytes, start, end, pseudo))
}
