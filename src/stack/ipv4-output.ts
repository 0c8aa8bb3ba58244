/**
 * IPv4 out: the header, the filter, the fragments.
 */
import { type Instant, IPV4, Ipv4Address, PacketBuffer, readUint16, writeUint16 } from '../base/index.js'
import type { Core } from './core.js'
import { fragmentIpv4 } from './fragment.js'
import {
  IPV4_HEADER,
  MAX_IPV4_PACKET,
  sealIpv4,
  V4,
  V4_DONT_FRAGMENT,
  withHeadroom,
  writeIpv4Header,
} from './headers.js'
import { Identifications } from './identification.js'
import { protectOutput } from './ipsec.js'
import type { SendRequest, SendResult } from './types.js'
import { findWay, type Way } from './way.js'

export class Ipv4Output {
  readonly #core: Core
  readonly #identifications: Identifications

  constructor(core: Core) {
    this.#core = core
    this.#identifications = new Identifications(core.random)
  }

  send(request: SendRequest, now: Instant): SendResult {
    const { destination, payload, protocol } = request
    if (destination.family !== 4) return 'no-route'
    const way = findWay(this.#core, destination, now, request.interface, request.onLinkOnly)
    if (typeof way === 'string') return way === 'blackhole' ? 'ok' : way
    const source = request.source ?? this.#core.local.sourceFor(destination, way.interface, way.nextHop)
    if (source?.family !== 4) return 'no-source'
    const packet =
      payload instanceof Uint8Array ? PacketBuffer.copyOf(payload, IPV4) : withHeadroom(payload, IPV4_HEADER)
    const length = packet.length + IPV4_HEADER
    if (length > MAX_IPV4_PACKET) return 'too-big'
    packet.start -= IPV4_HEADER
    packet.kind = IPV4
    if (request.nesting !== undefined) packet.nesting = request.nesting
    const dontFragment = request.dontFragment === true
    writeIpv4Header(packet.bytes, packet.start, length, {
      trafficClass: request.trafficClass ?? 0,
      identification: request.identification || this.#identifications.next(),
      dontFragment,
      ttl: request.ttl || this.#core.settings.defaultTtl,
      protocol,
      source,
      destination,
    })
    if (request.pastPolicies !== true) {
      const result = protectOutput(this.#core, packet, way, now)
      if (result !== 'clear') return result
    }
    return this.#out(packet, way, now)
  }

  /** A whole packet with a header of its sender's making; its lengths, identification and checksum are put right. */
  sendRaw(packet: PacketBuffer, now: Instant): SendResult {
    const { bytes, start } = packet
    const headerLength = 4 * (bytes[start]! & 15)
    if (packet.length > MAX_IPV4_PACKET) return 'too-big'
    if (headerLength < IPV4_HEADER || headerLength > packet.length) return 'no-route'
    const destination = new Ipv4Address(bytes.slice(start + V4.destination, start + V4.destination + 4))
    const way = findWay(this.#core, destination, now)
    if (typeof way === 'string') return way === 'blackhole' ? 'ok' : way
    writeUint16(bytes, start + V4.totalLength, packet.length)
    if (readUint16(bytes, start + V4.identification) === 0)
      writeUint16(bytes, start + V4.identification, this.#identifications.next())
    packet.kind = IPV4
    sealIpv4(bytes, start)
    const result = protectOutput(this.#core, packet, way, now)
    return result === 'clear' ? this.#out(packet, way, now) : result
  }

  #out(packet: PacketBuffer, way: Way, now: Instant): SendResult {
    const { bytes, start } = packet
    const ifc = way.interface
    if (way.route !== undefined) way.route.use++
    if (this.#core.filter?.('out', ifc, packet, now) === false) {
      this.#core.counters.add('filter.out')
      return 'blocked'
    }
    const dontFragment = (readUint16(bytes, start + V4.flags) & V4_DONT_FRAGMENT) !== 0
    if (dontFragment)
      this.#core.pathMtus.sent(way.destination, bytes[start + V4.protocol]!, packet.length, now)
    // What goes to a group that we are in comes back to us (RFC 1112 section 6.1); so does a broadcast.
    if (ifc.kind !== 'loopback' && this.#isOurGroup(way)) this.#core.loopback.enqueue(ifc, packet, now)
    if (packet.length <= way.mtu) return this.#core.link.send(ifc, packet, way.nextHop, false, now)
    if (dontFragment) {
      this.#core.counters.add('ipv4.tooBig')
      return 'too-big'
    }
    return this.sendFragments(packet, way, false, now)
  }

  /** Sends a packet that does not fit in pieces that do. */
  sendFragments(packet: PacketBuffer, way: Way, forwarded: boolean, now: Instant): SendResult {
    const fragments = fragmentIpv4(packet.view(), way.mtu)
    if (fragments.length === 0) {
      this.#core.counters.add('ipv4.cannotFragment')
      return 'too-big'
    }
    this.#core.counters.add('ipv4.fragmentsSent', fragments.length)
    let result: SendResult = 'ok'
    for (const fragment of fragments) {
      const buffer = PacketBuffer.copyOf(fragment, IPV4)
      buffer.nesting = packet.nesting
      const sent = this.#core.link.send(way.interface, buffer, way.nextHop, forwarded, now)
      if (sent !== 'ok') result = sent
    }
    return result
  }

  #isOurGroup({ destination }: Way): boolean {
    if (destination.family !== 4) return false
    if (destination.isMulticast) return this.#core.local.isMember(destination, false)
    return this.#core.local.isBroadcast(destination)
  }
}
