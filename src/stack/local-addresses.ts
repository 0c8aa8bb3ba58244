/**
 * Which addresses are this host's, and which of them a packet is sent from.
 */
import { type InterfaceAddress, type IpAddress, Ipv4Address, Ipv6Address } from '../base/index.js'
import { addressKey } from './headers.js'
import type { NetworkInterface } from './interface.js'

interface Owned {
  readonly ifc: NetworkInterface
  readonly own: InterfaceAddress
}

export class LocalAddresses {
  readonly #interfaces: ReadonlyMap<string, NetworkInterface>
  /** By address; one address may be on several interfaces (link-local ones are). */
  readonly #owned = new Map<number | string, Owned[]>()
  /** Directed broadcast addresses, by address. */
  readonly #broadcasts = new Map<number, number>()
  /** Solicited-node groups that we are in. */
  readonly #solicited = new Map<number | string, number>()

  constructor(interfaces: ReadonlyMap<string, NetworkInterface>) {
    this.#interfaces = interfaces
  }

  add(ifc: NetworkInterface, own: InterfaceAddress): void {
    const key = addressKey(own.address)
    this.#owned.set(key, [...(this.#owned.get(key) ?? []), { ifc, own }])
    const broadcast = directedBroadcast(ifc, own)
    if (broadcast !== undefined) raise(this.#broadcasts, broadcast.toUint32())
    if (joinsGroup(ifc, own.address)) raise(this.#solicited, addressKey(own.address.solicitedNode()))
  }

  remove(ifc: NetworkInterface, own: InterfaceAddress): void {
    const key = addressKey(own.address)
    const rest = (this.#owned.get(key) ?? []).filter((owned) => owned.ifc !== ifc)
    if (rest.length > 0) this.#owned.set(key, rest)
    else this.#owned.delete(key)
    const broadcast = directedBroadcast(ifc, own)
    if (broadcast !== undefined) lower(this.#broadcasts, broadcast.toUint32())
    if (joinsGroup(ifc, own.address)) lower(this.#solicited, addressKey(own.address.solicitedNode()))
  }

  /** True if it is an address of an interface that is up; a link-local one only on `arrived`, if that is given. */
  has(address: IpAddress, arrived?: NetworkInterface): boolean {
    const owned = this.#owned.get(addressKey(address))
    if (owned === undefined) return false
    const scoped = arrived !== undefined && address.family === 6 && address.isLinkLocal
    return owned.some(({ ifc }) => ifc.up && (!scoped || ifc === arrived || arrived.kind === 'loopback'))
  }

  /**
   * True if it is an address of ours, up or down. A link-local one seen on `link` is ours only if it stands there: on
   * another link the same address is somebody else (RFC 4007 section 5).
   */
  owns(address: IpAddress, link?: NetworkInterface): boolean {
    const owned = this.#owned.get(addressKey(address))
    if (owned === undefined || link === undefined || address.family === 4 || !address.isLinkLocal)
      return owned !== undefined
    return link.kind === 'loopback' || owned.some(({ ifc }) => ifc === link)
  }

  /** The one interface that has the address; `undefined` if there is none, or more than one. */
  interfaceOf(address: IpAddress): NetworkInterface | undefined {
    const owned = this.#owned.get(addressKey(address))
    return owned?.length === 1 ? owned[0]?.ifc : undefined
  }

  /** 255.255.255.255 or the directed broadcast address of a network of ours. */
  isBroadcast(address: IpAddress): boolean {
    return address.family === 4 && (address.isBroadcast || this.#broadcasts.has(address.toUint32()))
  }

  /** True for the groups that every host is in: 224.0.0.1, ff02::1, its solicited-node groups; ff02::2 for a router. */
  isMember(group: IpAddress, router: boolean): boolean {
    if (group.family === 4) return group.toUint32() === 0xe0000001
    if (group.equals(Ipv6Address.allNodes) || (router && group.equals(Ipv6Address.allRouters))) return true
    return this.#solicited.has(addressKey(group))
  }

  /**
   * The address from which a packet leaves `out` for `destination` by way of `hop`.
   *
   * IPv4: the one in the next hop's network, else the interface's first, else any interface's (an unnumbered link).
   * IPv6: RFC 6724 section 5, of its rules the same address, the scope, the interface and the longest prefix.
   */
  sourceFor(destination: IpAddress, out: NetworkInterface, hop: IpAddress): IpAddress | undefined {
    // What is ours is reached from itself.
    if (out.kind === 'loopback' && this.has(destination)) return destination
    return destination.family === 4 ? this.#ipv4Source(out, hop) : this.#ipv6Source(destination, out)
  }

  #ipv4Source(out: NetworkInterface, hop: IpAddress): IpAddress | undefined {
    const near = out.addressFor(hop)
    if (near !== undefined) return near.address
    const first = out.addresses.find(({ address }) => address.family === 4)
    if (first !== undefined) return first.address
    for (const ifc of this.#interfaces.values()) {
      if (!ifc.up || ifc.kind === 'loopback') continue
      const other = ifc.addresses.find(({ address }) => address.family === 4)
      if (other !== undefined) return other.address
    }
    return undefined
  }

  #ipv6Source(destination: Ipv6Address, out: NetworkInterface): Ipv6Address | undefined {
    const wanted = scopeOf(destination)
    let best: { address: Ipv6Address; score: number } | undefined
    for (const ifc of this.#interfaces.values()) {
      if (!ifc.up) continue
      for (const { address } of ifc.addresses) {
        if (address.family !== 6) continue
        const scope = scopeOf(address)
        // A link-local address means nothing on another link, and ::1 nothing off the host.
        if (ifc !== out && (scope < GLOBAL || ifc.kind === 'loopback')) continue
        // Rule 2: the smallest scope that is at least the destination's; else the largest there is.
        const fits = scope >= wanted ? 32 - scope : scope - 32
        const score = fits * 1024 + (ifc === out ? 512 : 0) + commonPrefix(address, destination)
        if (best === undefined || score > best.score) best = { address, score }
      }
    }
    return best?.address
  }
}

/** RFC 4291 section 2.8: a node joins the solicited-node group of each address, on the link where that stands. */
const joinsGroup = (ifc: NetworkInterface, address: IpAddress): address is Ipv6Address =>
  address.family === 6 && ifc.kind !== 'loopback'

/** The directed broadcast address of an address on a broadcast link; a /31 and a /32 have none (RFC 3021). */
export function directedBroadcast(ifc: NetworkInterface, own: InterfaceAddress): Ipv4Address | undefined {
  if (own.address.family !== 4 || !ifc.isBroadcast || own.prefixLength > 30) return undefined
  const host = own.prefixLength === 0 ? 0xffffffff : 2 ** (32 - own.prefixLength) - 1
  return Ipv4Address.fromUint32((own.address.toUint32() | host) >>> 0)
}

const GLOBAL = 14
/** Multicast scope values (RFC 4291 section 2.7), by which RFC 6724 section 3.1 compares unicast scopes too. */
function scopeOf(address: Ipv6Address): number {
  if (address.isMulticast) return address.bytes[1]! & 15
  return address.isLinkLocal || address.isLoopback ? 2 : GLOBAL
}

function commonPrefix(a: Ipv6Address, b: Ipv6Address): number {
  for (let i = 0; i < 16; i++) {
    const differs = a.bytes[i]! ^ b.bytes[i]!
    if (differs !== 0) return 8 * i + Math.clz32(differs) - 24
  }
  return 128
}

function raise<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function lower<K>(counts: Map<K, number>, key: K): void {
  const count = counts.get(key) ?? 0
  if (count <= 1) counts.delete(key)
  else counts.set(key, count - 1)
}
