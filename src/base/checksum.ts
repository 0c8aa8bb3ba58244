/**
 * The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words.
 *
 * Sums are kept as plain numbers and folded once: a double takes 2^37 words of 16 bits before it loses one.
 */

/** Adds the 16-bit words of `bytes[start, end)` to `sum`; an odd last byte is padded with zero on the right. */
export function addToSum(sum: number, bytes: Uint8Array, start: number, end: number): number {
  let at = start
  let low = 0
  // Four words at a time: the byte sums stay far below 2^31 for anything an IP packet can hold.
  let high = 0
  for (const stop = end - 7; at < stop; at += 8) {
    high += bytes[at]! + bytes[at + 2]! + bytes[at + 4]! + bytes[at + 6]!
    low += bytes[at + 1]! + bytes[at + 3]! + bytes[at + 5]! + bytes[at + 7]!
  }
  for (; at + 1 < end; at += 2) {
    high += bytes[at]!
    low += bytes[at + 1]!
  }
  if (at < end) high += bytes[at]!
  return sum + high * 256 + low
}

/** Folds a sum into 16 bits (without complementing it). */
export function foldSum(sum: number): number {
  let folded = sum
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000)
  return folded
}

/** The checksum to put on the wire for `bytes[start, end)` with its checksum field zero. */
export function internetChecksum(bytes: Uint8Array, start: number, end: number, pseudo = 0): number {
  return ~foldSum(addToSum(pseudo, bytes, start, end)) & 0xffff
}

/**
 * Sum of the pseudo-header (RFC 9293 section 3.1 for IPv4, RFC 8200 section 8.1 for IPv6) over addresses that
 * stand in `bytes` one after the other from `at`, `addressLength` (4 or 16) bytes each.
 */
export function pseudoHeaderSum(
  bytes: Uint8Array,
  at: number,
  addressLength: 4 | 16,
  protocol: number,
  length: number,
): number {
  return addToSum(protocol + (length >>> 16) + (length & 0xffff), bytes, at, at + 2 * addressLength)
}
