/**
 * What AH covers of the IP header (RFC 4302 section 3.3.3.1): a header as the receiver will see it where that can be
 * foretold, zero where it cannot. `zeroMutable` changes the header in place; whoever needs it keeps a copy.
 */
import { writeUint16, writeUint32 } from '../base/index.js'
import { IpProtocol } from './numbers.js'

/** RFC 4302 appendix A1: IPv4 options that do not change on the way. Security, extended security, commercial security, router alert, sender-directed delivery. */
const IMMUTABLE_OPTIONS: readonly number[] = [130, 133, 134, 148, 149]

/**
 * Zeroes what is mutable in the IP header `bytes[start, end)`, extension headers included. False: it is not whole, or
 * of a kind that cannot be covered.
 */
export function zeroMutable(bytes: Uint8Array, start: number, end: number): boolean {
  const version = bytes[start]! >>> 4
  if (version === 4) return zeroIpv4(bytes, start, end)
  return version === 6 && end - start >= 40 && zeroIpv6(bytes, start, end)
}

function zeroIpv4(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 20 || start + 4 * (bytes[start]! & 15) !== end) return false
  // DSCP and ECN; flags and fragment offset; TTL; checksum.
  bytes[start + 1] = 0
  writeUint16(bytes, start + 6, 0)
  bytes[start + 8] = 0
  writeUint16(bytes, start + 10, 0)
  for (let at = start + 20; at < end; ) {
    const kind = bytes[at]!
    if (kind === 0) {
      // End of the list: what stands behind it is padding and stays (it is covered as it is).
      break
    }
    if (kind === 1) {
      at++
      continue
    }
    const length = at + 1 < end ? bytes[at + 1]! : 0
    if (length < 2 || at + length > end) return false
    // RFC 4302 section 3.3.3.1.1.2: the whole option, its kind and length too.
    if (!IMMUTABLE_OPTIONS.includes(kind)) bytes.fill(0, at, at + length)
    at += length
  }
  return true
}

function zeroIpv6(bytes: Uint8Array, start: number, end: number): boolean {
  // Traffic class and flow label; hop limit.
  writeUint32(bytes, start, 0x60000000)
  bytes[start + 7] = 0
  let protocol = bytes[start + 6]!
  let at = start + 40
  while (at < end) {
    if (end - at < 8) return false
    const length = 8 * (bytes[at + 1]! + 1)
    if (at + length > end) return false
    if (protocol === IpProtocol.hopByHop || protocol === IpProtocol.destinationOptions) {
      if (!zeroOptions(bytes, at + 2, at + length)) return false
    } else if (protocol !== IpProtocol.routing || bytes[at + 3] !== 0) {
      // A routing header with segments left would have to be foretold; a fragment is no whole datagram.
      return false
    }
    protocol = bytes[at]!
    at += length
  }
  return true
}

/** RFC 4302 section 3.3.3.1.2.2: of an option that may change (the third bit) the data, not its kind and length. */
function zeroOptions(bytes: Uint8Array, from: number, end: number): boolean {
  for (let at = from; at < end; ) {
    const kind = bytes[at]!
    if (kind === 0) {
      at++
      continue
    }
    const length = at + 1 < end ? 2 + bytes[at + 1]! : 0
    if (length < 2 || at + length > end) return false
    if ((kind & 0x20) !== 0) bytes.fill(0, at + 2, at + length)
    at += length
  }
  return true
}
