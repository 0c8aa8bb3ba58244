/**
 * The inner packet, as the transforms of every tunnel see it: checked before it leaves the tunnel, and its ECN
 * field joined with the one outside. Hand-written offsets; inner.test.ts holds them against the headers' tables.
 */
import { type Counters, IPV4, IPV6, type PacketBuffer, readUint16, writeUint16 } from '../base/index.js'
import { decapsulatedEcn, ECN_DROP } from './ecn.js'

export const IPV4_MINIMUM = 20
export const IPV6_MINIMUM = 40
/** Two addresses and an EtherType. */
export const ETHERNET_MINIMUM = 14

/** Traffic class of the IP packet at `start`. */
export const trafficClassOf = (bytes: Uint8Array, start: number, kind: 4 | 6): number =>
  kind === IPV4 ? bytes[start + 1]! : ((bytes[start]! & 15) << 4) | (bytes[start + 1]! >>> 4)

/** TTL or hop limit of the IP packet at `start`. */
export const ttlOf = (bytes: Uint8Array, start: number, kind: 4 | 6): number =>
  bytes[start + (kind === IPV4 ? 8 : 7)]!

/**
 * Checks that `[start, end)` is a whole IP packet of `kind` and cuts off what stands behind it, then joins the ECN
 * field outside into the one inside. False: it is dropped, and the reason counted.
 */
export function admitIp(packet: PacketBuffer, kind: 4 | 6, drops: Counters): boolean {
  const reason = kind === IPV4 ? trimIpv4(packet) : trimIpv6(packet)
  if (reason !== undefined) {
    drops.add(reason)
    return false
  }
  packet.kind = kind
  const { bytes, start } = packet
  const inner = trafficClassOf(bytes, start, kind)
  const ecn = decapsulatedEcn(inner, packet.outerTrafficClass)
  if (ecn === ECN_DROP) {
    drops.add('ecn.ceOverNotEct')
    return false
  }
  if (ecn !== (inner & 3)) setTrafficClass(bytes, start, kind, (inner & 0xfc) | ecn)
  return true
}

/** Checks that `[start, end)` can be an Ethernet frame. */
export function admitFrame(packet: PacketBuffer, drops: Counters): boolean {
  if (packet.end - packet.start >= ETHERNET_MINIMUM) return true
  drops.add('inner.ethernet.length')
  return false
}

/** RFC 791 section 3.1. */
function trimIpv4(packet: PacketBuffer): string | undefined {
  const { bytes, start } = packet
  const length = packet.end - start
  if (length < IPV4_MINIMUM) return 'inner.ipv4.length'
  const first = bytes[start]!
  if (first >>> 4 !== 4) return 'inner.ipv4.version'
  const headerLength = 4 * (first & 15)
  if (headerLength < IPV4_MINIMUM || headerLength > length) return 'inner.ipv4.ihl'
  const totalLength = readUint16(bytes, start + 2)
  if (totalLength < headerLength || totalLength > length) return 'inner.ipv4.totalLength'
  packet.end = start + totalLength
  return undefined
}

/** RFC 8200 section 3. */
function trimIpv6(packet: PacketBuffer): string | undefined {
  const { bytes, start } = packet
  const length = packet.end - start
  if (length < IPV6_MINIMUM) return 'inner.ipv6.length'
  if (bytes[start]! >>> 4 !== 6) return 'inner.ipv6.version'
  const totalLength = IPV6_MINIMUM + readUint16(bytes, start + 4)
  if (totalLength > length) return 'inner.ipv6.payloadLength'
  packet.end = start + totalLength
  return undefined
}

/** Writes a traffic class, keeping IPv4's checksum right (RFC 1624 equation 3). */
export function setTrafficClass(bytes: Uint8Array, start: number, kind: 4 | 6, trafficClass: number): void {
  if (kind === IPV6) {
    bytes[start] = 0x60 | (trafficClass >>> 4)
    bytes[start + 1] = ((trafficClass & 15) << 4) | (bytes[start + 1]! & 15)
    return
  }
  const before = readUint16(bytes, start)
  bytes[start + 1] = trafficClass
  const after = readUint16(bytes, start)
  // HC' = ~(~HC + ~m + m')
  let sum = (~readUint16(bytes, start + 10) & 0xffff) + (~before & 0xffff) + after
  sum = (sum & 0xffff) + (sum >>> 16)
  sum = (sum & 0xffff) + (sum >>> 16)
  writeUint16(bytes, start + 10, ~sum & 0xffff)
}
