/**
 * The lines of the common packets, written as bytes: Ethernet or bare IP, IPv4 and IPv6, ICMP echo, UDP, TCP, and
 * the same inside IP in IP and GRE, without -v, -e, -q, -x.
 *
 * It prints exactly what the general printer prints, which a property test holds, or nothing at all: `write` returns
 * false, before it has changed anything, for a packet that it does not know, and the general printer takes over.
 * Offsets come from the wire declarations, read once into constants.
 */
import { ETHERNET_HEADER_LENGTH, ethernet } from '../../wire/ethernet.js'
import { GRE_HEADER_LENGTH } from '../../wire/gre.js'
import { IPV4_HEADER_LENGTH, ipv4 } from '../../wire/ipv4.js'
import { IPV6_HEADER_LENGTH, ipv6 } from '../../wire/ipv6.js'
import { EtherType, IpProtocol } from '../../wire/numbers.js'
import type { FlowTable } from '../flows.js'
import { etherTypeOfVersion, LinkType } from '../link-type.js'
import { ascii, type ByteWriter, isMapped, uint32 } from './byte-writer.js'
import { FastTransports } from './fast-transports.js'

const etherTypeAt = ethernet.offset.etherType
const totalLengthAt = ipv4.offset.totalLength
const fragmentAt = ipv4.offset.reserved
const tosAt = ipv4.offset.dscp
const ttlAt = ipv4.offset.ttl
const protocolAt = ipv4.offset.protocol
const source4At = ipv4.offset.source
const destination4At = ipv4.offset.destination
const payloadLengthAt = ipv6.offset.payloadLength
const nextHeaderAt = ipv6.offset.nextHeader
const hopLimitAt = ipv6.offset.hopLimit
const source6At = ipv6.offset.source
const destination6At = ipv6.offset.destination

const PROTOCOL_TCP: number = IpProtocol.tcp
const PROTOCOL_UDP: number = IpProtocol.udp
const PROTOCOL_ICMP: number = IpProtocol.icmp
const PROTOCOL_ICMPV6: number = IpProtocol.icmpv6
const PROTOCOL_IPIP: number = IpProtocol.ipip
const PROTOCOL_IPV6: number = IpProtocol.ipv6
const PROTOCOL_GRE: number = IpProtocol.gre
const TYPE_IPV4: number = EtherType.ipv4
const TYPE_IPV6: number = EtherType.ipv6

/** Tunnels in tunnels that are printed here; deeper ones are rare enough for the general printer. */
const FAST_NESTING = 3
/** Longer than any line written here: three tunnels of IPv6 and a segment with 40 bytes of options. */
export const LONGEST_FAST_LINE = 2048

const text = {
  to: ascii(' > '),
  colon: ascii(': '),
  encap: ascii(' (encap)'),
  df: ascii(' (DF)'),
  tos: ascii(' [tos 0x'),
  class: ascii(' [class 0x'),
  flowLabel: ascii(' [flowlabel 0x'),
  echoRequest: ascii('icmp: echo request'),
  echoReply: ascii('icmp: echo reply'),
  echoRequest6: ascii('icmp6: echo request'),
  echoReply6: ascii('icmp6: echo reply'),
  gre: ascii('gre'),
  key: ascii(' key='),
  sequence: ascii(' seq '),
  keepAlive: ascii('keep-alive'),
}

export interface FastLineOptions {
  readonly numeric: boolean
  readonly absolute: boolean
  /** False: no time stamps. */
  readonly stamps: boolean
  readonly utcOffset: (epochSeconds: number) => number
}

export class FastLines {
  readonly #out: ByteWriter
  readonly #transports: FastTransports
  readonly #options: FastLineOptions
  /** The second whose clock text is in `#clock`. */
  #second = -1
  readonly #clock = new Uint8Array(9)

  /** `out` must have `LONGEST_FAST_LINE` bytes of room at every `write`. */
  constructor(out: ByteWriter, flows: FlowTable, options: FastLineOptions) {
    this.#out = out
    this.#transports = new FastTransports(out, flows, options)
    this.#options = options
  }

  /** Writes the line of the packet at `[start, end)` with its newline; false: it did nothing. */
  write(
    bytes: Uint8Array,
    start: number,
    end: number,
    linkType: number,
    originalLength: number,
    seconds: number,
    nanoseconds: number,
  ): boolean {
    const out = this.#out
    const begun = out.at
    // A damaged file may have a time of more than a second's nanoseconds.
    if (nanoseconds >= 1_000_000_000) return false
    if (this.#options.stamps) this.#stamp(seconds, nanoseconds)
    if (this.#network(bytes, start, end, linkType, originalLength)) {
      out.byte(0x0a)
      return true
    }
    out.at = begun
    return false
  }

  #stamp(seconds: number, nanoseconds: number): void {
    const out = this.#out
    if (seconds !== this.#second) this.#tick(seconds)
    out.text(this.#clock)
    const microseconds = (nanoseconds / 1000) | 0
    const high = (microseconds / 1000) | 0
    out.triple(high)
    out.triple(microseconds - 1000 * high)
    out.byte(0x20)
  }

  #tick(seconds: number): void {
    this.#second = seconds
    const local = seconds + this.#options.utcOffset(seconds)
    const second = ((local % 86_400) + 86_400) % 86_400
    const parts = [Math.floor(second / 3600), Math.floor(second / 60) % 60, second % 60]
    this.#clock.set(ascii(`${parts.map((part) => String(part).padStart(2, '0')).join(':')}.`))
  }

  #network(bytes: Uint8Array, start: number, end: number, linkType: number, length: number): boolean {
    if (linkType === LinkType.ethernet) {
      if (end - start < ETHERNET_HEADER_LENGTH) return false
      const etherType = (bytes[start + etherTypeAt]! << 8) | bytes[start + etherTypeAt + 1]!
      return this.#byEtherType(
        bytes,
        start + ETHERNET_HEADER_LENGTH,
        end,
        length - ETHERNET_HEADER_LENGTH,
        etherType,
        0,
      )
    }
    if (linkType !== LinkType.raw && linkType !== LinkType.ipv4 && linkType !== LinkType.ipv6) return false
    return start < end && this.#byEtherType(bytes, start, end, length, etherTypeOfVersion(bytes[start]), 0)
  }

  #byEtherType(
    bytes: Uint8Array,
    at: number,
    end: number,
    length: number,
    etherType: number,
    depth: number,
  ): boolean {
    if (etherType === TYPE_IPV4) return this.#ip4(bytes, at, end, length, depth)
    return etherType === TYPE_IPV6 && this.#ip6(bytes, at, end, length, depth)
  }

  #ip4(bytes: Uint8Array, at: number, end: number, length: number, depth: number): boolean {
    if (at + IPV4_HEADER_LENGTH > end || bytes[at]! >> 4 !== 4) return false
    const totalLength = (bytes[at + totalLengthAt]! << 8) | bytes[at + totalLengthAt + 1]!
    const headerLength = 4 * (bytes[at]! & 15)
    if (headerLength < IPV4_HEADER_LENGTH || headerLength > totalLength || totalLength > length) return false
    const fragment = (bytes[at + fragmentAt]! << 8) | bytes[at + fragmentAt + 1]!
    if ((fragment & 0x3fff) !== 0 || bytes[at + ttlAt]! <= 1) return false
    const payload = at + headerLength
    const rest = totalLength - headerLength
    const out = this.#out
    switch (bytes[at + protocolAt]!) {
      case PROTOCOL_TCP:
        if (!this.#transports.tcp(bytes, payload, end, rest, at, false)) return false
        break
      case PROTOCOL_UDP:
        if (!this.#transports.udp(bytes, payload, end, rest, at, false)) return false
        break
      case PROTOCOL_ICMP: {
        const type = bytes[payload]!
        // Two bytes are all that the line needs; the message itself may be cut off.
        if (payload + 2 > end || (type !== 0 && type !== 8)) return false
        this.#addresses4(bytes, at)
        out.text(type === 0 ? text.echoReply : text.echoRequest)
        break
      }
      case PROTOCOL_IPIP:
      case PROTOCOL_IPV6: {
        if (depth >= FAST_NESTING) return false
        const type = bytes[at + protocolAt] === PROTOCOL_IPIP ? TYPE_IPV4 : TYPE_IPV6
        if (!this.#byEtherType(bytes, payload, end, rest, type, depth + 1)) return false
        out.text(text.encap)
        return true
      }
      case PROTOCOL_GRE:
        if (depth >= FAST_NESTING) return false
        this.#addresses4(bytes, at)
        return this.#gre(bytes, payload, end, rest, depth)
      default:
        return false
    }
    if (fragment & 0x4000) out.text(text.df)
    const tos = bytes[at + tosAt]!
    if (tos !== 0) {
      out.text(text.tos)
      out.hex16(tos)
      if (tos & 3) {
        out.byte(0x20)
        out.byte(0x28)
        if (tos & 2) out.byte(0x45)
        if (tos & 1) out.byte(0x43)
        out.byte(0x29)
      }
      out.byte(0x5d)
    }
    return true
  }

  #ip6(bytes: Uint8Array, at: number, end: number, length: number, depth: number): boolean {
    if (at + IPV6_HEADER_LENGTH > end || length < IPV6_HEADER_LENGTH || bytes[at]! >> 4 !== 6) return false
    const payloadLength = (bytes[at + payloadLengthAt]! << 8) | bytes[at + payloadLengthAt + 1]!
    if (length < payloadLength + IPV6_HEADER_LENGTH || bytes[at + hopLimitAt]! <= 1) return false
    if (isMapped(bytes, at + source6At) || isMapped(bytes, at + destination6At)) return false
    const payload = at + IPV6_HEADER_LENGTH
    const out = this.#out
    switch (bytes[at + nextHeaderAt]!) {
      case PROTOCOL_TCP:
        if (!this.#transports.tcp(bytes, payload, end, payloadLength, at, true)) return false
        break
      case PROTOCOL_UDP:
        if (!this.#transports.udp(bytes, payload, end, payloadLength, at, true)) return false
        break
      case PROTOCOL_ICMPV6: {
        const type = bytes[payload]!
        if (payload + 2 > end || (type !== 128 && type !== 129)) return false
        this.#addresses6(bytes, at)
        out.text(type === 129 ? text.echoReply6 : text.echoRequest6)
        break
      }
      case PROTOCOL_IPIP:
      case PROTOCOL_IPV6: {
        if (depth >= FAST_NESTING) return false
        const type = bytes[at + nextHeaderAt] === PROTOCOL_IPIP ? TYPE_IPV4 : TYPE_IPV6
        this.#addresses6(bytes, at)
        if (!this.#byEtherType(bytes, payload, end, payloadLength, type, depth + 1)) return false
        break
      }
      case PROTOCOL_GRE:
        if (depth >= FAST_NESTING) return false
        this.#addresses6(bytes, at)
        if (!this.#gre(bytes, payload, end, payloadLength, depth)) return false
        break
      default:
        return false
    }
    const trafficClass = ((bytes[at]! & 15) << 4) | (bytes[at + 1]! >> 4)
    if (trafficClass !== 0) {
      out.text(text.class)
      out.hex16(trafficClass)
      out.byte(0x5d)
    }
    const label = ((bytes[at + 1]! & 15) << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    if (label !== 0) {
      out.text(text.flowLabel)
      if (label > 0xffff) {
        out.hex16(label >>> 16)
        out.hex8((label >>> 8) & 0xff)
        out.hex8(label & 0xff)
      } else out.hex16(label)
      out.byte(0x5d)
    }
    return true
  }

  #addresses4(bytes: Uint8Array, at: number): void {
    const out = this.#out
    out.ip4(bytes, at + source4At)
    out.text(text.to)
    out.ip4(bytes, at + destination4At)
    out.text(text.colon)
  }

  #addresses6(bytes: Uint8Array, at: number): void {
    const out = this.#out
    out.ip6(bytes, at + source6At)
    out.text(text.to)
    out.ip6(bytes, at + destination6At)
    out.text(text.colon)
  }

  #gre(bytes: Uint8Array, at: number, end: number, length: number, depth: number): boolean {
    if (at + GRE_HEADER_LENGTH > end) return false
    const flags = (bytes[at]! << 8) | bytes[at + 1]!
    // Version 0, of the options only key and sequence number (and bits that the general printer ignores too).
    if (flags & 0xc007) return false
    const protocol = (bytes[at + 2]! << 8) | bytes[at + 3]!
    const out = this.#out
    let next = at + GRE_HEADER_LENGTH
    out.text(text.gre)
    if (flags & 0x2000) {
      if (next + 4 > end) return false
      out.text(text.key)
      out.decimal(uint32(bytes, next))
      out.byte(0x7c)
      out.decimal((bytes[next]! << 16) | (bytes[next + 1]! << 8) | bytes[next + 2]!)
      out.byte(0x2b)
      out.hex8(bytes[next + 3]!)
      next += 4
    }
    if (flags & 0x1000) {
      if (next + 4 > end) return false
      out.text(text.sequence)
      out.decimal(uint32(bytes, next))
      next += 4
    }
    out.byte(0x20)
    if (protocol === 0) {
      out.text(text.keepAlive)
      return true
    }
    return this.#byEtherType(bytes, next, end, length - (next - at), protocol, depth + 1)
  }
}
