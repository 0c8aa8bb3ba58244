/**
 * What a selector looks at (RFC 4301 section 4.4.1.1), read out of one IP packet into numbers: nothing is allocated, so
 * that a lookup can be made for every packet.
 */
import { IPV4, type PacketBuffer, readUint16, readUint32 } from '../base/index.js'
import { IpProtocol } from '../wire/numbers.js'
import { IPV6_HEADER, V4, V4_OFFSET_MASK, V6 } from './headers.js'

/** Extension headers that are walked to find the upper layer; a longer chain has none that could be told. */
const CHAIN_LIMIT = 8
/** A value that the packet does not show. */
const NONE = -1

/** ICMPv6 types of neighbour discovery (RFC 4861 section 4): 133 to 137. */
const ND_FIRST = 133
const ND_LAST = 137

export class FlowKey {
  /** 0: not an IP packet. */
  family: 0 | 4 | 6 = 0
  /** Source address as four signed 32-bit words, the highest first; an IPv4 address is the first of them. */
  s0 = 0
  s1 = 0
  s2 = 0
  s3 = 0
  d0 = 0
  d1 = 0
  d2 = 0
  d3 = 0
  /** The upper layer's; -1: it cannot be told (a chain too long or cut off). */
  protocol: number = NONE
  /** TCP, UDP, SCTP, UDP-Lite, DCCP; -1: the packet has none, or (with `opaque`) does not show them. */
  sourcePort: number = NONE
  destinationPort: number = NONE
  icmpType: number = NONE
  icmpCode: number = NONE
  /** The upper layer's header is not in this packet: a fragment but the first, or one cut off (OPAQUE). */
  opaque = false
  /** TTL or hop limit. */
  hops = 0

  /** Reads `packet`, whose bytes begin with an IP header. False if they do not. */
  read(packet: PacketBuffer): boolean {
    const { bytes, start, end } = packet
    this.family = 0
    this.protocol = NONE
    this.sourcePort = NONE
    this.destinationPort = NONE
    this.icmpType = NONE
    this.icmpCode = NONE
    this.opaque = false
    if (packet.kind === IPV4) return this.#readIpv4(bytes, start, end)
    return this.#readIpv6(bytes, start, end)
  }

  /** Neighbour discovery of this link: it must go before any SA can (RFC 4861 section 7.1: hop limit 255). */
  get isNeighbourDiscovery(): boolean {
    return (
      this.protocol === IpProtocol.icmpv6 &&
      this.family === 6 &&
      this.hops === 255 &&
      this.icmpType >= ND_FIRST &&
      this.icmpType <= ND_LAST
    )
  }

  #readIpv4(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start < 20 || bytes[start]! >> 4 !== 4) return false
    this.family = 4
    this.s0 = readUint32(bytes, start + V4.source) | 0
    this.d0 = readUint32(bytes, start + V4.destination) | 0
    this.s1 = this.s2 = this.s3 = this.d1 = this.d2 = this.d3 = 0
    this.hops = bytes[start + V4.ttl]!
    this.protocol = bytes[start + V4.protocol]!
    if ((readUint16(bytes, start + V4.flags) & V4_OFFSET_MASK) !== 0) this.opaque = true
    else this.#readUpper(bytes, start + 4 * (bytes[start]! & 15), end)
    return true
  }

  #readIpv6(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start < IPV6_HEADER || bytes[start]! >> 4 !== 6) return false
    this.family = 6
    const source = start + V6.source
    this.s0 = readUint32(bytes, source) | 0
    this.s1 = readUint32(bytes, source + 4) | 0
    this.s2 = readUint32(bytes, source + 8) | 0
    this.s3 = readUint32(bytes, source + 12) | 0
    const destination = start + V6.destination
    this.d0 = readUint32(bytes, destination) | 0
    this.d1 = readUint32(bytes, destination + 4) | 0
    this.d2 = readUint32(bytes, destination + 8) | 0
    this.d3 = readUint32(bytes, destination + 12) | 0
    this.hops = bytes[start + V6.hopLimit]!
    this.#walk(bytes, start + IPV6_HEADER, end, bytes[start + V6.nextHeader]!)
    return true
  }

  #walk(bytes: Uint8Array, start: number, end: number, first: number): void {
    let protocol = first
    let at = start
    for (let count = 0; count < CHAIN_LIMIT; count++) {
      if (
        protocol !== IpProtocol.hopByHop &&
        protocol !== IpProtocol.routing &&
        protocol !== IpProtocol.fragment &&
        protocol !== IpProtocol.destinationOptions
      ) {
        this.protocol = protocol
        this.#readUpper(bytes, at, end)
        return
      }
      if (at + 8 > end) break
      const next = bytes[at]!
      if (protocol === IpProtocol.fragment) {
        if ((readUint16(bytes, at + 2) & 0xfff8) !== 0) {
          // RFC 8200 section 4.5: what this names is the first header of the whole, which may be another extension.
          this.opaque = true
          const isUpper = next !== IpProtocol.destinationOptions && next !== IpProtocol.routing
          this.protocol = isUpper ? next : NONE
          return
        }
        at += 8
      } else at += 8 * (bytes[at + 1]! + 1)
      protocol = next
    }
    this.opaque = true
  }

  #readUpper(bytes: Uint8Array, at: number, end: number): void {
    switch (this.protocol) {
      case 6:
      case 17:
      case 33:
      case 132:
      case 136:
        if (at + 4 > end) break
        this.sourcePort = readUint16(bytes, at)
        this.destinationPort = readUint16(bytes, at + 2)
        return
      case IpProtocol.icmp:
      case IpProtocol.icmpv6:
        if (at + 2 > end) break
        this.icmpType = bytes[at]!
        this.icmpCode = bytes[at + 1]!
        return
      default:
        return
    }
    this.opaque = true
  }
}
