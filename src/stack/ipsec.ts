/**
 * The three places at which the stack asks IPsec's policies (RFC 4301 section 5): out, onward, in. Without a hook nothing
 * is asked.
 */
import { type Instant, IPV4, type IpAddress, type PacketBuffer, readUint16 } from '../base/index.js'
import { IpProtocol } from '../wire/numbers.js'
import type { Core } from './core.js'
import { IPV6_HEADER, ipv4At, ipv6At, V4, V4_MORE_FRAGMENTS, V4_OFFSET_MASK, V6 } from './headers.js'
import { tooBigReported } from './icmp-quote.js'
import type { NetworkInterface } from './interface.js'
import type { SendResult } from './types.js'
import type { Way } from './way.js'

/** A packet of this host is about to leave. `clear`: on with it; anything else is what became of it. */
export function protectOutput(
  core: Core,
  packet: PacketBuffer,
  way: Way,
  now: Instant,
): 'clear' | SendResult {
  const { ipsec } = core
  // What stays on this host is seen by nobody else.
  if (ipsec === undefined || way.interface.kind === 'loopback') return 'clear'
  const policy = ipsec.covers(packet)
  if (policy === undefined) return 'clear'
  // Asked before it is sealed, as OpenBSD does on enc(4): the answer is let in by the state that this makes.
  if (core.filter?.('out', way.interface, packet, now) === false) {
    core.counters.add('filter.out')
    return 'blocked'
  }
  const { start, end, kind } = packet
  const result = ipsec.protect(policy, packet, now)
  // `too-big` leaves the packet as it was: whoever sent it (TCP) hears what would fit.
  if (result === 'too-big' && packet.start === start && packet.end === end && packet.kind === kind)
    learn(core, packet, way.destination, ipsec.largest, now)
  return result
}

/**
 * The sender is on this host: an SA's overhead makes its path narrower, as a router's report would. Kept apart from the
 * path's own MTU: in transport mode both are of one destination.
 */
function learn(
  core: Core,
  packet: PacketBuffer,
  destination: IpAddress,
  largest: number,
  now: Instant,
): void {
  const { bytes, start, end, kind } = packet
  const isV4 = kind === IPV4
  const protocol = bytes[start + (isV4 ? V4.protocol : V6.nextHeader)]!
  const payloadAt = start + (isV4 ? 4 * (bytes[start]! & 15) : 40)
  const source = isV4 ? ipv4At(bytes, start + V4.source) : ipv6At(bytes, start + V6.source)
  core.protectedMtus.sent(destination, protocol, end - start, now)
  tooBigReported(
    core,
    {
      family: isV4 ? 4 : 6,
      code: isV4 ? 4 : 0,
      reporter: source,
      source,
      destination,
      protocol,
      payload: bytes.slice(payloadAt, Math.min(end, payloadAt + 64)),
    },
    end - start,
    largest,
    now,
    core.protectedMtus,
  )
}

/** A packet came in by `ifc` without protection. False: dropped. */
export function admitted(
  core: Core,
  ifc: NetworkInterface,
  packet: PacketBuffer,
  destination: IpAddress,
  now: Instant,
): boolean {
  const { ipsec } = core
  if (ipsec === undefined || ifc.kind === 'loopback') return true
  const local = core.local.has(destination)
  if (local && isPastPolicies(core, packet, destination)) return true
  return ipsec.admits(packet, local, now)
}

/** A whole UDP datagram for a socket that bypasses policies. A fragment is not: what it completes is seen too late. */
function isPastPolicies({ udp }: Core, packet: PacketBuffer, destination: IpAddress): boolean {
  const { bytes, start, end, kind } = packet
  const isV4 = kind === IPV4
  if (bytes[start + (isV4 ? V4.protocol : V6.nextHeader)] !== IpProtocol.udp) return false
  if (isV4 && (readUint16(bytes, start + V4.flags) & (V4_MORE_FRAGMENTS | V4_OFFSET_MASK)) !== 0) return false
  const at = start + (isV4 ? 4 * (bytes[start]! & 15) : IPV6_HEADER)
  if (at + 4 > end) return false
  const source = isV4 ? ipv4At(bytes, start + V4.source) : ipv6At(bytes, start + V6.source)
  return udp.bypassesPolicies(source, readUint16(bytes, at), destination, readUint16(bytes, at + 2))
}
