/**
 * Where the fields of the IP headers stand, for the paths that every packet takes. `headers.test.ts` holds these
 * numbers against the declarations in wire/.
 */
import {
  addToSum,
  foldSum,
  Ipv4Address,
  Ipv6Address,
  internetChecksum,
  PacketBuffer,
  pseudoHeaderSum,
  readUint16,
  writeUint16,
  writeUint32,
} from '../base/index.js'

export const IPV4_HEADER = 20
export const IPV6_HEADER = 40
export const ETHERNET_HEADER = 14

export const V4 = {
  tos: 1,
  totalLength: 2,
  identification: 4,
  /** Reserved, DF, MF and the fragment offset. */
  flags: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
} as const
export const V4_DONT_FRAGMENT = 0x4000
export const V4_MORE_FRAGMENTS = 0x2000
export const V4_OFFSET_MASK = 0x1fff

export const V6 = {
  payloadLength: 4,
  nextHeader: 6,
  hopLimit: 7,
  source: 8,
  destination: 24,
} as const

/** The largest datagram of both families: what the 16-bit length can say (RFC 791, RFC 8200 section 3). */
export const MAX_IPV4_PACKET = 65_535
export const MAX_IPV6_PAYLOAD = 65_535

export interface Ipv4Fields {
  readonly trafficClass: number
  readonly identification: number
  readonly dontFragment: boolean
  readonly ttl: number
  readonly protocol: number
  readonly source: Ipv4Address
  readonly destination: Ipv4Address
}

/** Writes a 20-byte header at `at` for a packet of `totalLength` bytes, checksum included. */
export function writeIpv4Header(
  bytes: Uint8Array,
  at: number,
  totalLength: number,
  fields: Ipv4Fields,
): void {
  bytes[at] = 0x45
  bytes[at + V4.tos] = fields.trafficClass
  writeUint16(bytes, at + V4.totalLength, totalLength)
  writeUint16(bytes, at + V4.identification, fields.identification)
  writeUint16(bytes, at + V4.flags, fields.dontFragment ? V4_DONT_FRAGMENT : 0)
  bytes[at + V4.ttl] = fields.ttl
  bytes[at + V4.protocol] = fields.protocol
  bytes.set(fields.source.bytes, at + V4.source)
  bytes.set(fields.destination.bytes, at + V4.destination)
  sealIpv4(bytes, at)
}

/** Puts the header checksum right (RFC 791 section 3.1). */
export function sealIpv4(bytes: Uint8Array, at: number): void {
  writeUint16(bytes, at + V4.checksum, 0)
  writeUint16(bytes, at + V4.checksum, internetChecksum(bytes, at, at + 4 * (bytes[at]! & 15)))
}

export interface Ipv6Fields {
  readonly trafficClass: number
  readonly flowLabel: number
  readonly nextHeader: number
  readonly hopLimit: number
  readonly source: Ipv6Address
  readonly destination: Ipv6Address
}

export function writeIpv6Header(
  bytes: Uint8Array,
  at: number,
  payloadLength: number,
  fields: Ipv6Fields,
): void {
  writeUint32(
    bytes,
    at,
    ((6 << 28) | ((fields.trafficClass & 0xff) << 20) | (fields.flowLabel & 0xfffff)) >>> 0,
  )
  writeUint16(bytes, at + V6.payloadLength, payloadLength)
  bytes[at + V6.nextHeader] = fields.nextHeader
  bytes[at + V6.hopLimit] = fields.hopLimit
  bytes.set(fields.source.bytes, at + V6.source)
  bytes.set(fields.destination.bytes, at + V6.destination)
}

export const ipv6TrafficClass = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! & 15) << 4) | (bytes[at + 1]! >> 4)

/** An address out of a packet: its own copy, since the packet's bytes are only lent. */
export const ipv4At = (bytes: Uint8Array, at: number): Ipv4Address => new Ipv4Address(bytes.slice(at, at + 4))
export const ipv6At = (bytes: Uint8Array, at: number): Ipv6Address =>
  new Ipv6Address(bytes.slice(at, at + 16))

/** Computes the ICMPv6 checksum of the message that fills the IPv6 packet's payload (RFC 4443 section 2.3). */
export function sealIcmpv6(bytes: Uint8Array, ipStart: number, messageStart: number, end: number): void {
  writeUint16(bytes, messageStart + 2, 0)
  const pseudo = pseudoHeaderSum(bytes, ipStart + V6.source, 16, 58, end - messageStart)
  writeUint16(bytes, messageStart + 2, internetChecksum(bytes, messageStart, end, pseudo))
}

/** True if `bytes[start, end)` with its checksum in place, plus the pseudo-header, sums to all ones. */
export const checksumHolds = (bytes: Uint8Array, start: number, end: number, pseudo = 0): boolean =>
  foldSum(addToSum(pseudo, bytes, start, end)) === 0xffff

/** One less hop, the checksum put right by the difference alone (RFC 1624). */
export function decrementTtl(bytes: Uint8Array, at: number): void {
  bytes[at + V4.ttl] = bytes[at + V4.ttl]! - 1
  const sum = readUint16(bytes, at + V4.checksum) + 0x100
  writeUint16(bytes, at + V4.checksum, (sum + (sum >>> 16)) & 0xffff)
}

/** A buffer whose packet has at least `headroom` bytes in front: the same one, or a copy. */
export function withHeadroom(packet: PacketBuffer, headroom: number): PacketBuffer {
  return packet.start >= headroom ? packet : copyPacket(packet)
}

/** A copy of a packet with its metadata. */
export function copyPacket(packet: PacketBuffer): PacketBuffer {
  const copy = PacketBuffer.copyOf(packet.view(), packet.kind)
  copy.outerTrafficClass = packet.outerTrafficClass
  copy.outerTtl = packet.outerTtl
  copy.outerDontFragment = packet.outerDontFragment
  copy.outerFlowLabel = packet.outerFlowLabel
  copy.outerIdentification = packet.outerIdentification
  copy.nesting = packet.nesting
  copy.unauthenticated = packet.unauthenticated
  return copy
}

/** A key that two equal addresses share, cheaper than their text. */
export function addressKey(address: Ipv4Address | Ipv6Address): number | string {
  if (address.family === 4) return address.toUint32()
  const b = address.bytes
  return String.fromCharCode(
    readUint16(b, 0),
    readUint16(b, 2),
    readUint16(b, 4),
    readUint16(b, 6),
    readUint16(b, 8),
    readUint16(b, 10),
    readUint16(b, 12),
    readUint16(b, 14),
  )
}
