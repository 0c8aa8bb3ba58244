/**
 * Transport mode (RFC 4303 section 3.1.1): the packet's own IP header goes outside. What transforms hand on is the
 * carrier's payload, so going out the header becomes metadata, and coming in it is made again: from the header itself
 * where the carrier left it in front of the payload, else from the metadata.
 */
import {
  type Counters,
  IPV4,
  IPV6,
  internetChecksum,
  type PacketBuffer,
  readUint16,
  readUint32,
  writeUint16,
} from '../../base/index.js'
import { isExtensionHeader } from '../../wire/ipv6-extensions.js'
import { IpProtocol } from '../../wire/numbers.js'
import { IPV4_MINIMUM, IPV6_MINIMUM, trafficClassOf, ttlOf } from '../inner.js'

/** Longest outer header that is looked at: IPv6 with extension headers. */
export const OUTER_HEADER_MOST = 256

/**
 * Takes the IP header off a packet between the SA's own ends and puts it into the metadata. Gives the protocol of what
 * is left, or -1: dropped and counted. `name`: esp or ah.
 */
export function stripHeader(
  packet: PacketBuffer,
  local: Uint8Array,
  remote: Uint8Array,
  drops: Counters,
  reasons: TransportReasons,
): number {
  const { bytes, start, kind } = packet
  const family = local.length === 4 ? IPV4 : IPV6
  const length = packet.end - start
  const minimum = family === IPV4 ? IPV4_MINIMUM : IPV6_MINIMUM
  if (kind !== family) return refused(drops, reasons.kind)
  if (length < minimum || bytes[start]! >>> 4 !== family) return refused(drops, 'inner.malformed')
  const source = start + (family === IPV4 ? 12 : 8)
  for (let i = 0; i < local.length; i++)
    if (bytes[source + i] !== local[i] || bytes[source + local.length + i] !== remote[i])
      return refused(drops, reasons.selector)
  let protocol: number
  if (family === IPV4) {
    // Options would have to go outside, where a payload cannot put them.
    if (bytes[start] !== 0x45) return refused(drops, reasons.options)
    // RFC 4303 section 3.3.4: transport mode is for whole datagrams.
    if ((readUint16(bytes, start + 6) & 0x3fff) !== 0) return refused(drops, reasons.fragment)
    const total = readUint16(bytes, start + 2)
    if (total < minimum || total > length) return refused(drops, 'inner.malformed')
    packet.end = start + total
    packet.outerIdentification = readUint16(bytes, start + 4)
    packet.outerDontFragment = (bytes[start + 6]! & 0x40) !== 0
    packet.outerFlowLabel = 0
    protocol = bytes[start + 9]!
  } else {
    const total = minimum + readUint16(bytes, start + 4)
    if (total > length) return refused(drops, 'inner.malformed')
    packet.end = start + total
    packet.outerIdentification = 0
    packet.outerDontFragment = false
    packet.outerFlowLabel = readUint32(bytes, start) & 0xfffff
    protocol = bytes[start + 6]!
    // RFC 4303 section 3.1.1: destination options may stand behind the ESP header, the others have to stand before it.
    if (protocol === IpProtocol.fragment) return refused(drops, reasons.fragment)
    if (protocol === IpProtocol.hopByHop || protocol === IpProtocol.routing)
      return refused(drops, reasons.options)
  }
  packet.outerTrafficClass = trafficClassOf(bytes, start, family)
  packet.outerTtl = ttlOf(bytes, start, family)
  packet.start = start + minimum
  return protocol
}

export interface TransportReasons {
  readonly kind: string
  readonly selector: string
  readonly options: string
  readonly fragment: string
}

function refused(drops: Counters, reason: string): -1 {
  drops.add(reason)
  return -1
}

/**
 * Offset of the byte that names the protocol of the payload at `end`, of the header that starts at `start`; -1 if the
 * header is not whole. Allocates nothing.
 */
export function protocolByteAt(bytes: Uint8Array, start: number, end: number): number {
  if (start < 0 || end - start < IPV4_MINIMUM) return -1
  if (bytes[start]! >>> 4 === 4) return start + 4 * (bytes[start]! & 15) === end ? start + 9 : -1
  let at = start + 6
  let next = start + IPV6_MINIMUM
  while (next < end && isExtensionHeader(bytes[at]!)) {
    // A fragment header has no length; a carrier hands on no fragment.
    const length = bytes[at] === IpProtocol.fragment ? 8 : 8 * (bytes[next + 1]! + 1)
    at = next
    next += length
  }
  return next === end ? at : -1
}

/**
 * Puts an IP header in front of the payload at `packet.start`, between the SA's ends, with `protocol` inside.
 * `outerEnd`: where the carrier's payload began, to which its header reaches if it is there. False: no room.
 */
export function restoreHeader(
  packet: PacketBuffer,
  local: Uint8Array,
  remote: Uint8Array,
  protocol: number,
  outerEnd: number,
): boolean {
  const { bytes, outerHeaderStart } = packet
  const family = local.length === 4 ? IPV4 : IPV6
  const minimum = family === IPV4 ? IPV4_MINIMUM : IPV6_MINIMUM
  const payload = packet.start
  const protocolAt = outerHeaderStart < 0 ? -1 : protocolByteAt(bytes, outerHeaderStart, outerEnd)
  const length = protocolAt < 0 ? minimum : outerEnd - outerHeaderStart
  const at = payload - length
  if (at < 0) return false
  if (protocolAt >= 0) {
    bytes.copyWithin(at, outerHeaderStart, outerEnd)
    bytes[at + protocolAt - outerHeaderStart] = protocol
  } else writeHeader(packet, at, family, local, remote, protocol)
  if (family === IPV4) {
    writeUint16(bytes, at + 2, packet.end - at)
    writeUint16(bytes, at + 10, 0)
    writeUint16(bytes, at + 10, internetChecksum(bytes, at, payload))
  } else writeUint16(bytes, at + 4, packet.end - at - IPV6_MINIMUM)
  packet.start = at
  packet.kind = family
  return true
}

function writeHeader(
  packet: PacketBuffer,
  at: number,
  family: 4 | 6,
  local: Uint8Array,
  remote: Uint8Array,
  protocol: number,
): void {
  const { bytes, outerTrafficClass, outerTtl, outerFlowLabel } = packet
  if (family === IPV4) {
    bytes[at] = 0x45
    bytes[at + 1] = outerTrafficClass
    writeUint16(bytes, at + 4, packet.outerIdentification)
    writeUint16(bytes, at + 6, packet.outerDontFragment ? 0x4000 : 0)
    bytes[at + 8] = outerTtl
    bytes[at + 9] = protocol
  } else {
    bytes[at] = 0x60 | (outerTrafficClass >>> 4)
    bytes[at + 1] = ((outerTrafficClass & 15) << 4) | (outerFlowLabel >>> 16)
    writeUint16(bytes, at + 2, outerFlowLabel & 0xffff)
    bytes[at + 6] = protocol
    bytes[at + 7] = outerTtl
  }
  // Only inbound: the peer is the source.
  copyAddress(remote, bytes, at + (family === IPV4 ? 12 : 8))
  copyAddress(local, bytes, at + (family === IPV4 ? 16 : 24))
}

export function copyAddress(address: Uint8Array, bytes: Uint8Array, at: number): void {
  for (let i = 0; i < address.length; i++) bytes[at + i] = address[i]!
}
