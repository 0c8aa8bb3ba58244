/**
 * Fragmentation, as pure functions from packet to packets: RFC 791 section 3.2 and RFC 8200 section 4.5.
 */
import { readUint16, writeUint16, writeUint32 } from '../base/index.js'
import { IpProtocol } from '../wire/numbers.js'
import {
  IPV4_HEADER,
  IPV6_HEADER,
  sealIpv4,
  V4,
  V4_DONT_FRAGMENT,
  V4_MORE_FRAGMENTS,
  V4_OFFSET_MASK,
  V6,
} from './headers.js'

/** The copied flag of an IPv4 option's type: it goes into every fragment (RFC 791 section 3.1). */
const COPIED = 0x80
const FRAGMENT_HEADER = 8

/**
 * Cuts an IPv4 packet (which may itself be a fragment) into packets of at most `mtu` bytes, each with its checksum.
 * A packet that fits comes back alone, unchanged. DF is the caller's matter. Empty if there is no way: the packet is
 * no IPv4 packet, or `mtu` does not hold its header and 8 bytes.
 */
export function fragmentIpv4(packet: Uint8Array, mtu: number): Uint8Array[] {
  if (packet.length < IPV4_HEADER) return []
  const headerLength = 4 * (packet[0]! & 15)
  const totalLength = readUint16(packet, V4.totalLength)
  if (headerLength < IPV4_HEADER || totalLength < headerLength || totalLength > packet.length) return []
  if (totalLength <= mtu) return [packet.subarray(0, totalLength)]

  const laterHeader = laterFragmentHeader(packet, headerLength)
  const flags = readUint16(packet, V4.flags)
  const fragments: Uint8Array[] = []
  let header = packet.subarray(0, headerLength)
  let at = headerLength
  while (at < totalLength) {
    const room = mtu - header.length
    const rest = totalLength - at
    // Every fragment but the last carries a multiple of 8 bytes.
    const length = rest <= room ? rest : room & ~7
    if (length <= 0) return []
    const fragment = new Uint8Array(header.length + length)
    fragment.set(header)
    fragment.set(packet.subarray(at, at + length), header.length)
    const last = at + length === totalLength && (flags & V4_MORE_FRAGMENTS) === 0
    const offset = (flags & V4_OFFSET_MASK) + ((at - headerLength) >> 3)
    writeUint16(fragment, V4.totalLength, fragment.length)
    writeUint16(
      fragment,
      V4.flags,
      (flags & ~V4_OFFSET_MASK & ~V4_MORE_FRAGMENTS & ~V4_DONT_FRAGMENT) |
        (last ? 0 : V4_MORE_FRAGMENTS) |
        offset,
    )
    sealIpv4(fragment, 0)
    fragments.push(fragment)
    at += length
    header = laterHeader
  }
  return fragments
}

/** The header of the fragments after the first: only the options with the copied flag. */
function laterFragmentHeader(packet: Uint8Array, headerLength: number): Uint8Array {
  if (headerLength === IPV4_HEADER) return packet.subarray(0, IPV4_HEADER)
  const header = new Uint8Array(60)
  header.set(packet.subarray(0, IPV4_HEADER))
  let length = IPV4_HEADER
  for (let at = IPV4_HEADER; at < headerLength; ) {
    const type = packet[at]!
    if (type === 0) break
    const optionLength = type === 1 ? 1 : (packet[at + 1] ?? 0)
    if (optionLength === 0 || at + optionLength > headerLength) break
    if ((type & COPIED) !== 0) {
      header.set(packet.subarray(at, at + optionLength), length)
      length += optionLength
    }
    at += optionLength
  }
  length = (length + 3) & ~3 // zeros are "end of options"
  header[0] = 0x40 | (length / 4)
  return header.subarray(0, length)
}

/**
 * Cuts an IPv6 packet into packets of at most `mtu` bytes, a fragment header in each. A packet that fits comes back
 * alone, unchanged. Empty if there is no way.
 */
export function fragmentIpv6(packet: Uint8Array, mtu: number, identification: number): Uint8Array[] {
  if (packet.length < IPV6_HEADER) return []
  const totalLength = IPV6_HEADER + readUint16(packet, V6.payloadLength)
  if (totalLength > packet.length) return []
  if (totalLength <= mtu) return [packet.subarray(0, totalLength)]

  const { length: headLength, nextHeaderAt } = perFragmentHeaders(packet, totalLength)
  const room = (mtu - headLength - FRAGMENT_HEADER) & ~7
  if (room <= 0) return []
  const nextHeader = packet[nextHeaderAt]!
  const fragments: Uint8Array[] = []
  for (let at = headLength; at < totalLength; at += room) {
    const length = Math.min(room, totalLength - at)
    const fragment = new Uint8Array(headLength + FRAGMENT_HEADER + length)
    fragment.set(packet.subarray(0, headLength))
    fragment[nextHeaderAt] = IpProtocol.fragment
    writeUint16(fragment, V6.payloadLength, fragment.length - IPV6_HEADER)
    fragment[headLength] = nextHeader
    writeUint16(fragment, headLength + 2, (at - headLength) | (at + length < totalLength ? 1 : 0))
    writeUint32(fragment, headLength + 4, identification)
    fragment.set(packet.subarray(at, at + length), headLength + FRAGMENT_HEADER)
    fragments.push(fragment)
  }
  return fragments
}

/** The Per-Fragment headers: IPv6, hop-by-hop options, and up to a routing header (RFC 8200 section 4.5). */
function perFragmentHeaders(packet: Uint8Array, end: number): { length: number; nextHeaderAt: number } {
  let kept = { length: IPV6_HEADER, nextHeaderAt: V6.nextHeader as number }
  let at = IPV6_HEADER
  let nextHeader = packet[V6.nextHeader]!
  while (
    (nextHeader === IpProtocol.hopByHop ||
      nextHeader === IpProtocol.routing ||
      nextHeader === IpProtocol.destinationOptions) &&
    at + 8 <= end
  ) {
    const length = 8 * (packet[at + 1]! + 1)
    if (at + length > end) break
    const mustBeFirst = nextHeader !== IpProtocol.destinationOptions
    nextHeader = packet[at]!
    if (mustBeFirst) kept = { length: at + length, nextHeaderAt: at }
    at += length
  }
  return kept
}
