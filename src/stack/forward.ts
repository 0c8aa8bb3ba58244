/**
 * Forwarding (RFC 1812 section 5, RFC 8200): one hop less, errors back to the source. Redirects are never sent.
 */
import {
  type Instant,
  type Ipv4Address,
  type Ipv6Address,
  type PacketBuffer,
  readUint16,
} from '../base/index.js'
import { IcmpType, IcmpUnreachable } from '../wire/icmp.js'
import { Icmpv6Type, Icmpv6Unreachable } from '../wire/icmpv6.js'
import type { Core } from './core.js'
import { decrementTtl, V4, V4_DONT_FRAGMENT, V6 } from './headers.js'
import type { NetworkInterface } from './interface.js'
import { findWay } from './way.js'

export function forwardIpv4(
  core: Core,
  ifc: NetworkInterface,
  packet: PacketBuffer,
  source: Ipv4Address,
  destination: Ipv4Address,
  now: Instant,
): void {
  const { bytes, start } = packet
  if (!core.settings.forwarding4) {
    core.counters.add('ipv4.notForUs')
    return
  }
  // RFC 3927 section 7: link-local addresses stay on their link; 0/8 is no source (RFC 1122 section 3.2.1.3).
  if (source.bytes[0] === 0 || source.isLinkLocal || destination.isLinkLocal) {
    core.counters.add('ipv4.cannotForward')
    return
  }
  if (core.filter?.('in', ifc, packet, now) === false) {
    core.counters.add('filter.in')
    return
  }
  if (bytes[start + V4.ttl]! <= 1) {
    core.counters.add('ipv4.ttlExpired')
    core.icmp.error(packet, ifc, IcmpType.timeExceeded, 0, 0, now)
    return
  }
  const way = findWay(core, destination, now)
  if (typeof way === 'string') {
    core.counters.add('ipv4.noRoute')
    if (way === 'blackhole') return
    const code = way === 'unreachable' ? IcmpUnreachable.host : IcmpUnreachable.net
    core.icmp.error(packet, ifc, IcmpType.destinationUnreachable, code, 0, now)
    return
  }
  // RFC 4301 section 5.1: the policy before the tunnel, the hop before the policy (section 5.1.2.1, note 5).
  const policy = core.ipsec?.covers(packet)
  if (policy !== undefined) {
    decrementTtl(bytes, start)
    const result = core.ipsec!.protect(policy, packet, now)
    if (result !== 'clear') {
      if (result === 'ok') core.counters.add('ipv4.forwarded')
      if (result === 'too-big') {
        const code = IcmpUnreachable.fragmentationNeeded
        core.icmp.error(packet, ifc, IcmpType.destinationUnreachable, code, core.ipsec!.largest, now)
      }
      return
    }
  }
  if (core.filter?.('out', way.interface, packet, now) === false) {
    core.counters.add('filter.out')
    return
  }
  const fits = packet.length <= way.mtu
  if (!fits && (readUint16(bytes, start + V4.flags) & V4_DONT_FRAGMENT) !== 0) {
    core.counters.add('ipv4.tooBig')
    const code = IcmpUnreachable.fragmentationNeeded
    core.icmp.error(packet, ifc, IcmpType.destinationUnreachable, code, way.mtu, now)
    return
  }
  if (policy === undefined) decrementTtl(bytes, start)
  core.counters.add('ipv4.forwarded')
  if (way.route !== undefined) way.route.use++
  if (fits) core.link.send(way.interface, packet, way.nextHop, true, now)
  else core.ipv4.sendFragments(packet, way, true, now)
}

export function forwardIpv6(
  core: Core,
  ifc: NetworkInterface,
  packet: PacketBuffer,
  source: Ipv6Address,
  destination: Ipv6Address,
  now: Instant,
): void {
  const { bytes, start } = packet
  if (!core.settings.forwarding6) {
    core.counters.add('ipv6.notForUs')
    return
  }
  // RFC 4291 section 2.5.6: link-local addresses stay on their link, and nobody answers the unspecified one.
  if (source.isUnspecified || source.isLinkLocal || destination.isLinkLocal) {
    core.counters.add('ipv6.cannotForward')
    return
  }
  if (core.filter?.('in', ifc, packet, now) === false) {
    core.counters.add('filter.in')
    return
  }
  if (bytes[start + V6.hopLimit]! <= 1) {
    core.counters.add('ipv6.hopLimitExpired')
    core.icmpv6.error(packet, ifc, Icmpv6Type.timeExceeded, 0, 0, now)
    return
  }
  const way = findWay(core, destination, now)
  if (typeof way === 'string') {
    core.counters.add('ipv6.noRoute')
    if (way === 'blackhole') return
    const code = way === 'unreachable' ? Icmpv6Unreachable.address : Icmpv6Unreachable.noRoute
    core.icmpv6.error(packet, ifc, Icmpv6Type.destinationUnreachable, code, 0, now)
    return
  }
  // RFC 4443 section 3.1: what came over a point-to-point link would be tossed to and fro on it.
  if (way.interface === ifc && ifc.kind === 'point-to-point' && way.route?.gateway === undefined) {
    core.counters.add('ipv6.pingPong')
    const code = Icmpv6Unreachable.address
    core.icmpv6.error(packet, ifc, Icmpv6Type.destinationUnreachable, code, 0, now)
    return
  }
  const policy = core.ipsec?.covers(packet)
  if (policy !== undefined) {
    bytes[start + V6.hopLimit] = bytes[start + V6.hopLimit]! - 1
    const result = core.ipsec!.protect(policy, packet, now)
    if (result !== 'clear') {
      if (result === 'ok') core.counters.add('ipv6.forwarded')
      if (result === 'too-big')
        core.icmpv6.error(packet, ifc, Icmpv6Type.packetTooBig, 0, Math.max(1280, core.ipsec!.largest), now)
      return
    }
  }
  if (core.filter?.('out', way.interface, packet, now) === false) {
    core.counters.add('filter.out')
    return
  }
  if (packet.length > way.mtu) {
    core.counters.add('ipv6.tooBig')
    core.icmpv6.error(packet, ifc, Icmpv6Type.packetTooBig, 0, way.mtu, now)
    return
  }
  if (policy === undefined) bytes[start + V6.hopLimit] = bytes[start + V6.hopLimit]! - 1
  core.counters.add('ipv6.forwarded')
  if (way.route !== undefined) way.route.use++
  core.link.send(way.interface, packet, way.nextHop, true, now)
}
