/**
 * IPv4 in: the header's checks, martians, options, and then here, onward or nowhere.
 */
import { type Instant, IPV4, type Ipv4Address, type PacketBuffer, readUint16 } from '../base/index.js'
import type { Core } from './core.js'
import { forwardIpv4 } from './forward.js'
import {
  checksumHolds,
  IPV4_HEADER,
  ipv4At,
  V4,
  V4_DONT_FRAGMENT,
  V4_MORE_FRAGMENTS,
  V4_OFFSET_MASK,
} from './headers.js'
import type { NetworkInterface } from './interface.js'
import { admitted } from './ipsec.js'

/** Loose and strict source route (RFC 791 section 3.1): not obeyed, as OpenBSD's ip.sourceroute=0. */
const SOURCE_ROUTES = [131, 137]

/**
 * Takes a packet that starts at `packet.start`. `linkGroup`: its frame was for more than this host; `isProtected`: an SA
 * brought it, and its policy was checked.
 */
export function ipv4Input(
  core: Core,
  ifc: NetworkInterface,
  packet: PacketBuffer,
  linkGroup: boolean,
  now: Instant,
  isProtected = false,
): void {
  const { bytes, start } = packet
  const malformed = headerProblem(packet)
  if (malformed !== undefined) {
    core.counters.add(malformed)
    return
  }
  // A frame may be padded beyond its packet.
  packet.end = start + readUint16(bytes, start + V4.totalLength)
  packet.kind = IPV4
  core.translate?.(packet, now)
  const source = ipv4At(bytes, start + V4.source)
  const destination = ipv4At(bytes, start + V4.destination)
  const martian = ifc.kind === 'loopback' ? undefined : martianReason(core, packet, source, destination)
  if (martian !== undefined) {
    core.counters.add(martian)
    return
  }
  const badOption = optionProblem(bytes, start)
  if (badOption !== undefined) {
    core.counters.add(badOption)
    return
  }

  const broadcast = core.local.isBroadcast(destination)
  const group = broadcast || destination.isMulticast
  // RFC 1122 section 3.3.6: a unicast address in a broadcast frame is no way to reach every host.
  if (linkGroup && !group) {
    core.counters.add('ipv4.unicastInGroupFrame')
    return
  }
  if (!isProtected && !admitted(core, ifc, packet, destination, now)) return
  if (destination.isMulticast && !core.local.isMember(destination, false)) {
    core.counters.add('ipv4.notMember')
    return
  }
  if (!group && !core.local.has(destination)) {
    forwardIpv4(core, ifc, packet, source, destination, now)
    return
  }
  if (source.isUnspecified && !group) {
    core.counters.add('ipv4.sourceUnspecified')
    return
  }

  const flags = readUint16(bytes, start + V4.flags)
  let whole: PacketBuffer | undefined = packet
  if ((flags & (V4_MORE_FRAGMENTS | V4_OFFSET_MASK)) !== 0) {
    whole = core.reassembly.addIpv4(packet, ifc, now)
    if (whole === undefined) return
  }
  if (core.filter?.('in', ifc, whole, now) === false) {
    core.counters.add('filter.in')
    return
  }
  deliver(core, ifc, whole, source, destination, group || linkGroup, now)
}

function deliver(
  core: Core,
  ifc: NetworkInterface,
  packet: PacketBuffer,
  source: Ipv4Address,
  destination: Ipv4Address,
  group: boolean,
  now: Instant,
): void {
  const { bytes, start: ipStart } = packet
  packet.start = ipStart + 4 * (bytes[ipStart]! & 15)
  core.transport.deliver(
    packet,
    bytes[ipStart + V4.protocol]!,
    {
      family: 4,
      interface: ifc,
      source,
      destination,
      ttl: bytes[ipStart + V4.ttl]!,
      trafficClass: bytes[ipStart + V4.tos]!,
      dontFragment: (readUint16(bytes, ipStart + V4.flags) & V4_DONT_FRAGMENT) !== 0,
      ipStart,
      protocolAt: ipStart + V4.protocol,
      group,
    },
    now,
  )
}

function headerProblem({ bytes, start, end }: PacketBuffer): string | undefined {
  const length = end - start
  if (length < IPV4_HEADER) return 'ipv4.short'
  if (bytes[start]! >> 4 !== 4) return 'ipv4.version'
  const headerLength = 4 * (bytes[start]! & 15)
  if (headerLength < IPV4_HEADER || headerLength > length) return 'ipv4.ihl'
  const totalLength = readUint16(bytes, start + V4.totalLength)
  if (totalLength < headerLength || totalLength > length) return 'ipv4.totalLength'
  return checksumHolds(bytes, start, start + headerLength) ? undefined : 'ipv4.checksum'
}

/** Addresses that no honest packet has on a wire (RFC 1122 section 3.2.1.3, RFC 1812 section 5.3.7). */
function martianReason(
  core: Core,
  packet: PacketBuffer,
  source: Ipv4Address,
  destination: Ipv4Address,
): string | undefined {
  if (source.isLoopback || destination.isLoopback) return 'ipv4.loopbackOnWire'
  if (source.isMulticast || core.local.isBroadcast(source)) return 'ipv4.sourceGroup'
  if (isReserved(source) || (isReserved(destination) && !destination.isBroadcast))
    return 'ipv4.reservedAddress'
  if (destination.isUnspecified) return 'ipv4.destinationUnspecified'
  // Ours comes back from the wire only if somebody says it is his, or by way of a loop.
  if (core.local.owns(source) && !core.loopback.isOwn(packet)) return 'ipv4.sourceOurs'
  return undefined
}

/** 240.0.0.0/4 (RFC 1112 section 4). */
const isReserved = (address: Ipv4Address): boolean => address.bytes[0]! >= 240

/** Walks the options; the reason if they are malformed or are a source route. */
function optionProblem(bytes: Uint8Array, start: number): string | undefined {
  const end = start + 4 * (bytes[start]! & 15)
  for (let at = start + IPV4_HEADER; at < end; ) {
    const type = bytes[at]!
    if (type === 0) break
    if (type === 1) {
      at++
      continue
    }
    const length = at + 1 < end ? bytes[at + 1]! : 0
    if (length < 2 || at + length > end) return 'ipv4.options'
    if (SOURCE_ROUTES.includes(type)) return 'ipv4.sourceRoute'
    at += length
  }
  return undefined
}
