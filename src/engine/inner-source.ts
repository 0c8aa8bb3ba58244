/**
 * The filter that keeps a tunnel without authentication from being an open decapsulator: an inner packet leaves only
 * with a source that the route back would lead into the same tunnel.
 *
 * A host with a routing table at hand asks that (`innerSourceOf`, then its own lookup); one that would have to ask
 * the kernel for every packet compares with the prefixes that lead into the tunnel (`InnerSourceFilter`).
 */
import {
  ETHERNET,
  IPV4,
  IPV6,
  type IpAddress,
  IpPrefix,
  ipAddressFrom,
  type PacketBuffer,
} from '../base/index.js'
import type { TunnelDefinition } from './definition.js'

const LINK_LOCAL = IpPrefix.parse('fe80::/10')!

/** Source address of an inner IP packet, as a view into the packet's bytes; `undefined` for a frame. */
export function innerSourceOf(packet: PacketBuffer): IpAddress | undefined {
  const { bytes, start, kind } = packet
  if (kind === IPV4) return ipAddressFrom(bytes.subarray(start + 12, start + 16))
  if (kind === IPV6) return ipAddressFrom(bytes.subarray(start + 8, start + 24))
  return undefined
}

/** The prefixes that lead into a tunnel: its addresses' networks or other ends, its routes, and fe80::/10. */
export function prefixesInto(definition: Pick<TunnelDefinition, 'addresses' | 'routes'>): IpPrefix[] {
  const prefixes = [LINK_LOCAL]
  for (const { address, prefixLength, peer } of definition.addresses) {
    if (peer === undefined) prefixes.push(new IpPrefix(address, prefixLength))
    else prefixes.push(new IpPrefix(peer, 8 * peer.bytes.length))
  }
  for (const { destination } of definition.routes) prefixes.push(destination)
  return prefixes
}

/** Compares without allocating. Frames pass: they are a bridge's matter. */
export class InnerSourceFilter {
  readonly #v4: { readonly network: number; readonly mask: number }[] = []
  readonly #v6: { readonly network: Uint8Array; readonly length: number }[] = []
  readonly #own: readonly IpAddress[]

  /** `own`: the host's own addresses on the interface, which nobody else may send from. */
  constructor(prefixes: readonly IpPrefix[], own: readonly IpAddress[] = []) {
    for (const { address, length } of prefixes) {
      if (address.family === 6) this.#v6.push({ network: address.bytes, length })
      else {
        const mask = length === 0 ? 0 : (-1 << (32 - length)) >>> 0
        this.#v4.push({ network: address.toUint32(), mask })
      }
    }
    this.#own = own
  }

  static of(definition: Pick<TunnelDefinition, 'addresses' | 'routes'>): InnerSourceFilter {
    return new InnerSourceFilter(
      prefixesInto(definition),
      definition.addresses.map(({ address }) => address),
    )
  }

  admits(packet: PacketBuffer): boolean {
    const { bytes, start, kind } = packet
    if (kind === ETHERNET) return true
    if (kind === IPV4) {
      const source = start + 12
      if (this.#isOwn(bytes, source, 4)) return false
      const first = bytes[source]!
      if (first === 0 || first === 127 || first >= 224) return false
      const value =
        ((first << 24) | (bytes[source + 1]! << 16) | (bytes[source + 2]! << 8) | bytes[source + 3]!) >>> 0
      for (const { network, mask } of this.#v4) if ((value & mask) >>> 0 === network) return true
      return false
    }
    if (kind !== IPV6) return false
    const source = start + 8
    if (this.#isOwn(bytes, source, 16) || bytes[source] === 0xff || isLoopback(bytes, source)) return false
    if (isUnspecified(bytes, source)) return isNeighbourDiscovery(bytes, start)
    for (const { network, length } of this.#v6) if (hasPrefix(bytes, source, network, length)) return true
    return false
  }

  #isOwn(bytes: Uint8Array, at: number, length: number): boolean {
    for (const { bytes: own } of this.#own) {
      if (own.length !== length) continue
      let i = 0
      while (i < length && own[i] === bytes[at + i]) i++
      if (i === length) return true
    }
    return false
  }
}

function hasPrefix(bytes: Uint8Array, at: number, network: Uint8Array, length: number): boolean {
  const whole = length >> 3
  for (let i = 0; i < whole; i++) if (bytes[at + i] !== network[i]) return false
  const rest = length & 7
  return rest === 0 || (bytes[at + whole]! ^ network[whole]!) >> (8 - rest) === 0
}

function isUnspecified(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 16; i++) if (bytes[at + i] !== 0) return false
  return true
}

/** ::1 (RFC 4291 section 2.5.3): never on a link. */
function isLoopback(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 15; i++) if (bytes[at + i] !== 0) return false
  return bytes[at + 15] === 1
}

/** Duplicate address detection comes from :: with a hop limit of 255 (RFC 4862 section 5.4.2). */
const isNeighbourDiscovery = (bytes: Uint8Array, start: number): boolean =>
  bytes[start + 6] === 58 && bytes[start + 7] === 255
