/**
 * Neighbour discovery for a host (RFC 4861): solicitations and advertisements. Router advertisements and redirects
 * are not obeyed. Duplicate address detection is optimistic (RFC 4429): the address serves at once, and one
 * solicitation asks whether another has it.
 */
import {
  type Instant,
  Ipv6Address,
  type MacAddress,
  PacketBuffer,
  ParseError,
  seconds,
} from '../base/index.js'
import { Icmpv6Type } from '../wire/icmpv6.js'
import { neighborAdvertisement, neighborSolicitation } from '../wire/nd.js'
import { readNdOptions, sourceLinkLayerAddress, targetLinkLayerAddress } from '../wire/nd-options.js'
import { EtherType, IpProtocol } from '../wire/numbers.js'
import type { Core, Received } from './core.js'
import { IPV6_HEADER } from './headers.js'
import { type NetworkInterface, prefixOf } from './interface.js'
import { NeighbourCache } from './neighbours.js'

/** RFC 4861 section 7.1: a packet that passed no router. */
const HOP_LIMIT = 255

export class NeighbourDiscovery {
  readonly cache: NeighbourCache
  readonly #core: Core

  constructor(core: Core) {
    this.#core = core
    this.cache = new NeighbourCache(core, {
      name: 'nd',
      tries: 3, // MAX_MULTICAST_SOLICIT
      reachable: seconds(30), // REACHABLE_TIME
      staleAfter: true,
      down: seconds(3),
      solicit: (ifc, target, mac, now) => this.#solicit(ifc, target as Ipv6Address, mac, now),
      transmit: (ifc, packet, mac, now) => core.link.frame(ifc, packet, mac.bytes, EtherType.ipv6, now),
      unreachable: (ifc, packet, now) => core.icmpv6.addressUnreachable(packet, ifc, now),
    })
  }

  /** An ICMPv6 message of types 133 to 137, its checksum right. */
  input(packet: PacketBuffer, received: Received, now: Instant): void {
    const { counters } = this.#core
    if (received.interface.kind !== 'ethernet') {
      counters.add('nd.notOnThisLink')
      return
    }
    if (received.ttl !== HOP_LIMIT) {
      counters.add('nd.hopLimit')
      return
    }
    try {
      switch (packet.bytes[packet.start]) {
        case Icmpv6Type.neighborSolicitation:
          this.#solicited(packet, received, now)
          return
        case Icmpv6Type.neighborAdvertisement:
          this.#advertised(packet, received, now)
          return
        case Icmpv6Type.redirect:
          counters.add('nd.redirectIgnored')
          return
        default:
          counters.add('nd.routerMessageIgnored')
      }
    } catch (error) {
      if (!(error instanceof ParseError)) throw error
      counters.add(error.reason)
    }
  }

  /** Asks whether another has the address (RFC 4862 section 5.4.2). */
  announce(ifc: NetworkInterface, address: Ipv6Address, now: Instant): void {
    if (ifc.mac === undefined || !ifc.up) return
    const message = neighborSolicitation.toBytes({ type: 135, code: 0, target: address, options: [] })
    this.#send(ifc, message, Ipv6Address.unspecified, address.solicitedNode(), now)
  }

  #solicited(packet: PacketBuffer, received: Received, now: Instant): void {
    const { counters } = this.#core
    const ifc = received.interface
    const source = received.source as Ipv6Address
    const destination = received.destination as Ipv6Address
    const message = neighborSolicitation.view(packet.bytes, packet.start, packet.end)
    const target = new Ipv6Address(message.target.bytes.slice())
    const link = readNdOptions(message.options ?? []).sourceLinkLayerAddress
    if (!ifc.hasAddress(target)) return
    if (source.isUnspecified) {
      // RFC 4861 section 7.1.1: a probe goes to the target's group and names no link-layer address.
      if (link !== undefined || !destination.equals(target.solicitedNode())) {
        counters.add('nd.badProbe')
        return
      }
      this.#advertise(ifc, target, Ipv6Address.allNodes, false, now)
      return
    }
    // Off-link senders could plant entries for any address (CVE-2008-2476).
    if (!this.#isOnLink(ifc, source)) {
      counters.add('nd.sourceNotOnLink')
      return
    }
    if (link !== undefined) {
      if (link.isGroup) {
        counters.add('nd.linkAddress')
        return
      }
      this.cache.learn(ifc, source, link.bytes, { state: 'stale', create: true, override: true }, now)
    }
    this.#advertise(ifc, target, source, true, now)
  }

  #advertised(packet: PacketBuffer, received: Received, now: Instant): void {
    const { counters } = this.#core
    const ifc = received.interface
    const message = neighborAdvertisement.view(packet.bytes, packet.start, packet.end)
    const target = new Ipv6Address(message.target.bytes.slice())
    // RFC 4861 section 7.1.2: to a group it cannot be the answer to our question.
    if (message.solicited && received.destination.isMulticast) {
      counters.add('nd.solicitedToGroup')
      return
    }
    if (this.#core.local.owns(target, ifc)) {
      if (ifc.hasAddress(target)) counters.add('nd.duplicateAddress')
      return
    }
    const { targetLinkLayerAddress: link } = readNdOptions(message.options ?? [])
    if (link?.isGroup === true) {
      counters.add('nd.linkAddress')
      return
    }
    const known = this.cache.find(ifc, target)
    if (known === undefined) {
      counters.add('nd.unasked')
      return
    }
    const mac = link ?? known.mac
    if (mac === undefined) {
      counters.add('nd.noLinkAddress')
      return
    }
    this.cache.learn(
      ifc,
      target,
      mac.bytes,
      {
        state: message.solicited ? 'reachable' : 'stale',
        create: false,
        override: message.override || known.mac === undefined,
        router: message.router,
      },
      now,
    )
  }

  #isOnLink(ifc: NetworkInterface, address: Ipv6Address): boolean {
    return (
      address.isLinkLocal ||
      ifc.addresses.some((own) => own.address.family === 6 && prefixOf(own).contains(address)) ||
      this.cache.find(ifc, address) !== undefined
    )
  }

  #advertise(
    ifc: NetworkInterface,
    target: Ipv6Address,
    to: Ipv6Address,
    solicited: boolean,
    now: Instant,
  ): void {
    if (ifc.mac === undefined) return
    const message = neighborAdvertisement.toBytes({
      type: 136,
      code: 0,
      router: this.#core.settings.forwarding6,
      solicited,
      override: true,
      target,
      options: [targetLinkLayerAddress(ifc.mac)],
    })
    this.#send(ifc, message, target, to, now)
  }

  #solicit(ifc: NetworkInterface, target: Ipv6Address, mac: MacAddress | undefined, now: Instant): void {
    if (ifc.mac === undefined) return
    const group = target.solicitedNode()
    const source = this.#core.local.sourceFor(target, ifc, target)
    if (source?.family !== 6) return
    const message = neighborSolicitation.toBytes({
      type: 135,
      code: 0,
      target,
      options: [sourceLinkLayerAddress(ifc.mac)],
    })
    // A probe goes to the neighbour alone; its frame must not ask the cache for the way (that is being probed).
    if (mac === undefined) this.#send(ifc, message, source, group, now)
    else this.#core.ipv6.sendOnLink(ifc, this.#packet(message), source, target, mac.bytes, now)
  }

  #send(
    ifc: NetworkInterface,
    message: Uint8Array,
    source: Ipv6Address,
    destination: Ipv6Address,
    now: Instant,
  ): void {
    this.#core.ipv6.send(
      {
        protocol: IpProtocol.icmpv6,
        source,
        destination,
        payload: this.#packet(message),
        ttl: HOP_LIMIT,
        interface: ifc,
      },
      now,
    )
  }

  #packet(message: Uint8Array): PacketBuffer {
    const headroom = IPV6_HEADER + 24
    const bytes = new Uint8Array(headroom + message.length)
    bytes.set(message, headroom)
    return new PacketBuffer(bytes, headroom)
  }
}

/** The interface identifier of a MAC address (RFC 4291 appendix A), in its link-local address. */
export function linkLocalAddress(mac: MacAddress): Ipv6Address {
  const [a, b, c, d, e, f] = mac.bytes as unknown as [number, number, number, number, number, number]
  return new Ipv6Address(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f))
}
