/**
 * IPv6 out: the header, the filter, the fragments (which only the source makes: RFC 8200 section 5).
 */
import { type Instant, IPV6, Ipv6Address, PacketBuffer, writeUint16 } from '../base/index.js'
import { EtherType, IpProtocol } from '../wire/numbers.js'
import type { Core } from './core.js'
import { fragmentIpv6 } from './fragment.js'
import { IPV6_HEADER, MAX_IPV6_PAYLOAD, sealIcmpv6, V6, withHeadroom, writeIpv6Header } from './headers.js'
import type { NetworkInterface } from './interface.js'
import { protectOutput } from './ipsec.js'
import type { SendRequest, SendResult } from './types.js'
import { findWay, type Way } from './way.js'

export class Ipv6Output {
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
  }

  /** The checksum of an ICMPv6 payload is computed here, as RFC 3542 section 3.1 has it for raw sockets. */
  send(request: SendRequest, now: Instant): SendResult {
    const { destination, payload } = request
    if (destination.family !== 6) return 'no-route'
    // A link-local destination is on the link of the link-local source, where no interface is named (RFC 4007).
    const { source: given } = request
    const scoped = given?.family === 6 && given.isLinkLocal && destination.isLinkLocal
    const via = request.interface ?? (scoped ? this.#core.local.interfaceOf(given) : undefined)
    const way = findWay(this.#core, destination, now, via, request.onLinkOnly)
    if (typeof way === 'string') return way === 'blackhole' ? 'ok' : way
    const source = request.source ?? this.#core.local.sourceFor(destination, way.interface, way.nextHop)
    if (source?.family !== 6) return 'no-source'
    const packet =
      payload instanceof Uint8Array ? PacketBuffer.copyOf(payload, IPV6) : withHeadroom(payload, IPV6_HEADER)
    if (packet.length > MAX_IPV6_PAYLOAD) return 'too-big'
    if (request.nesting !== undefined) packet.nesting = request.nesting
    this.#prepend(packet, request, source, destination)
    if (request.pastPolicies !== true) {
      const result = protectOutput(this.#core, packet, way, now)
      if (result !== 'clear') return result
    }
    return this.#out(packet, way, request.dontFragment === true, now)
  }

  /** Sends to a neighbour whose link-layer address is known, past the cache (which is what asks). */
  sendOnLink(
    ifc: NetworkInterface,
    packet: PacketBuffer,
    source: Ipv6Address,
    destination: Ipv6Address,
    mac: Uint8Array,
    now: Instant,
  ): void {
    this.#prepend(packet, { protocol: IpProtocol.icmpv6, ttl: 255 }, source, destination)
    this.#core.link.frame(ifc, packet, mac, EtherType.ipv6, now)
  }

  /** A whole packet with a header of its sender's making; its length is put right. */
  sendRaw(packet: PacketBuffer, now: Instant): SendResult {
    const { bytes, start } = packet
    if (packet.length < IPV6_HEADER) return 'no-route'
    if (packet.length - IPV6_HEADER > MAX_IPV6_PAYLOAD) return 'too-big'
    const destination = new Ipv6Address(bytes.slice(start + V6.destination, start + V6.destination + 16))
    const way = findWay(this.#core, destination, now)
    if (typeof way === 'string') return way === 'blackhole' ? 'ok' : way
    writeUint16(bytes, start + V6.payloadLength, packet.length - IPV6_HEADER)
    packet.kind = IPV6
    const result = protectOutput(this.#core, packet, way, now)
    return result === 'clear' ? this.#out(packet, way, false, now) : result
  }

  #prepend(
    packet: PacketBuffer,
    request: Pick<SendRequest, 'protocol' | 'ttl' | 'trafficClass' | 'flowLabel'>,
    source: Ipv6Address,
    destination: Ipv6Address,
  ): void {
    const payloadLength = packet.length
    packet.start -= IPV6_HEADER
    packet.kind = IPV6
    writeIpv6Header(packet.bytes, packet.start, payloadLength, {
      trafficClass: request.trafficClass ?? 0,
      flowLabel: request.flowLabel ?? 0,
      nextHeader: request.protocol,
      hopLimit: request.ttl || this.#core.settings.defaultTtl,
      source,
      destination,
    })
    if (request.protocol === IpProtocol.icmpv6 && payloadLength >= 4)
      sealIcmpv6(packet.bytes, packet.start, packet.start + IPV6_HEADER, packet.end)
  }

  #out(packet: PacketBuffer, way: Way, dontFragment: boolean, now: Instant): SendResult {
    const ifc = way.interface
    if (way.route !== undefined) way.route.use++
    if (this.#core.filter?.('out', ifc, packet, now) === false) {
      this.#core.counters.add('filter.out')
      return 'blocked'
    }
    const protocol = packet.bytes[packet.start + V6.nextHeader]!
    this.#core.pathMtus.sent(way.destination, protocol, packet.length, now)
    if (
      ifc.kind !== 'loopback' &&
      way.destination.isMulticast &&
      protocolLoops(packet) &&
      this.#core.local.isMember(way.destination, this.#core.settings.forwarding6)
    )
      this.#core.loopback.enqueue(ifc, packet, now)
    if (packet.length <= way.mtu) return this.#core.link.send(ifc, packet, way.nextHop, false, now)
    if (dontFragment) {
      this.#core.counters.add('ipv6.tooBig')
      return 'too-big'
    }
    const fragments = fragmentIpv6(packet.view(), way.mtu, this.#core.random.uint32())
    if (fragments.length === 0) {
      this.#core.counters.add('ipv6.cannotFragment')
      return 'too-big'
    }
    this.#core.counters.add('ipv6.fragmentsSent', fragments.length)
    let result: SendResult = 'ok'
    for (const fragment of fragments) {
      const buffer = PacketBuffer.copyOf(fragment, IPV6)
      buffer.nesting = packet.nesting
      const sent = this.#core.link.send(ifc, buffer, way.nextHop, false, now)
      if (sent !== 'ok') result = sent
    }
    return result
  }
}

/** Neighbour discovery is not talked with oneself. */
function protocolLoops({ bytes, start, end }: PacketBuffer): boolean {
  if (bytes[start + V6.nextHeader] !== IpProtocol.icmpv6 || end - start < IPV6_HEADER + 4) return true
  const type = bytes[start + IPV6_HEADER]!
  return type < 133 || type > 137
}
