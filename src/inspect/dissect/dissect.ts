/**
 * From bytes to layers. The bindings of src/wire say which header follows which, the declarations say what each byte
 * is; here is only the walk: where a header's payload ends, what is verified, and what the bytes left over are.
 *
 * Every byte belongs to exactly one layer. Nothing here throws on a stranger's bytes.
 */
import { pseudoHeaderSum, readUint16 } from '../../base/index.js'
import {
  type AnyHeader,
  type HeaderName,
  headerOfEtherType,
  headerOfGreStart,
  headerOfIcmpv6Type,
  headerOfIpProtocol,
  headers,
  ICMPV6_FIRST_INFORMATIONAL,
  icmpErrorTypes,
} from '../../wire/bindings.js'
import { checksumMismatch } from '../../wire/checksum.js'
import { eoip } from '../../wire/eoip.js'
import { ethernet, vlan } from '../../wire/ethernet.js'
import { ICMP_HEADER_LENGTH, IcmpType, icmp } from '../../wire/icmp.js'
import { Icmpv6Type, icmpv6 } from '../../wire/icmpv6.js'
import { IPV4_HEADER_LENGTH, ipv4 } from '../../wire/ipv4.js'
import { IPV6_HEADER_LENGTH, ipv6 } from '../../wire/ipv6.js'
import type { FieldRange } from '../../wire/layout.js'
import { IpProtocol, ipProtocolNames } from '../../wire/numbers.js'
import { tcp } from '../../wire/tcp.js'
import { udp } from '../../wire/udp.js'
import { etherTypeOfVersion, LinkType, linkHeaderLength, networkEtherType } from '../link-type.js'
import { bytesField, type Layer } from './layer.js'
import { linuxSll, loopbackBig, loopbackLittle } from './link-headers.js'
import { echoData, plainData } from './payload.js'

/** Packets inside packets that are followed: what is deeper is shown as bytes. */
export const MAXIMUM_DEPTH = 16
/** Headers in one packet, VLAN tags and IPv6 extension headers included. */
const MAXIMUM_LAYERS = 200

/** Bytes of a packet as their carrier sees them. */
interface Extent {
  readonly start: number
  /** One past the last byte that is there. */
  readonly end: number
  /** One past the last byte that the carrier says there is; beyond `end` if bytes are missing. */
  readonly claimed: number
}

/** The network header that a transport's checksum covers, and why a checksum may not be checkable. */
interface Network {
  readonly family: 4 | 6
  readonly at: number
  readonly fragment: boolean
}

/**
 * The layers of a packet, outermost first. `originalLength`: its length on the wire, where more than what is here
 * (without it, a header that claims more than there is counts as cut off).
 */
export function dissect(bytes: Uint8Array, linkType: number, originalLength?: number): Layer[] {
  const walk = new Walk(bytes)
  walk.link(linkType, { start: 0, end: bytes.length, claimed: Math.max(bytes.length, originalLength ?? 0) })
  return walk.layers
}

class Walk {
  readonly layers: Layer[] = []
  readonly #bytes: Uint8Array
  #depth = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  link(linkType: number, extent: Extent): void {
    const { start, end } = extent
    if (start === end) return
    switch (linkType) {
      case LinkType.ethernet:
        this.#ethernet(extent)
        return
      case LinkType.null:
      case LinkType.loop: {
        const big = this.#bytes[start] === 0 && this.#bytes[start + 1] === 0
        this.#behindLink(big ? loopbackBig : loopbackLittle, linkType, extent)
        return
      }
      case LinkType.linuxSll:
        this.#behindLink(linuxSll, linkType, extent)
        return
      case LinkType.raw:
      case LinkType.ipv4:
      case LinkType.ipv6:
        this.#etherType(etherTypeOfVersion(this.#bytes[start]), extent, 'The first byte names no IP version')
        return
      default:
        this.#payload(extent, 'Data', `link type ${linkType} is not known`)
        return
    }
  }

  #behindLink(header: AnyHeader, linkType: number, extent: Extent): void {
    this.#header(header, extent)
    const start = extent.start + linkHeaderLength(linkType)
    const etherType = networkEtherType(this.#bytes, linkType, extent.start, extent.end)
    if (start < extent.end)
      this.#etherType(etherType, { ...extent, start }, 'No header is known for this protocol')
  }

  /** Adds the header at the extent's start and returns its layer; `undefined` if there is no byte of it. */
  #header(header: AnyHeader, { start, end }: Extent): Layer | undefined {
    if (start >= end) return undefined
    const fields = header.explain(this.#bytes, start, end)
    const last = fields.at(-1)
    const layerEnd = last === undefined ? start : Math.ceil((last.bitStart + last.bitLength) / 8)
    if (layerEnd === start) return undefined
    const { name, title, ref } = header
    return this.#add({ name, title, ref, start, end: layerEnd, depth: this.#depth, fields })
  }

  #add(layer: Layer): Layer {
    this.layers.push(layer)
    return layer
  }

  /** Changes a field of the layer added last. */
  #remark(name: string, remark: Partial<FieldRange>): void {
    const index = this.layers.length - 1
    const layer = this.layers[index]!
    const fields = layer.fields.map((field) =>
      field.field === name && field.problem === undefined ? { ...field, ...remark } : field,
    )
    this.layers[index] = { ...layer, fields }
  }

  #note(note: string): void {
    const index = this.layers.length - 1
    this.layers[index] = { ...this.layers[index]!, note }
  }

  #payload({ start, end, claimed }: Extent, label = 'Data', note?: string): void {
    if (start >= end) return
    this.#bytesLayer('payload', 'Payload', plainData(this.#bytes, start, end, label), start, end, note)
    if (note === undefined && claimed > end) this.#note(`${claimed - end} more bytes are not here`)
  }

  #bytesLayer(
    name: string,
    title: string,
    fields: readonly FieldRange[],
    start: number,
    end: number,
    note?: string,
  ): void {
    if (start >= end) return
    this.#add({
      name,
      title,
      ref: '',
      start,
      end,
      depth: this.#depth,
      fields,
      ...(note === undefined ? {} : { note }),
    })
  }

  #padding(start: number, end: number, note: string): void {
    this.#bytesLayer('padding', 'Padding', plainData(this.#bytes, start, end, 'Padding'), start, end, note)
  }

  /** Follows a packet inside a packet. */
  #inside(extent: Extent, follow: () => void): void {
    if (this.#depth >= MAXIMUM_DEPTH || this.layers.length >= MAXIMUM_LAYERS) {
      this.#payload(extent, 'Data', 'not followed: packets are nested too deep here')
      return
    }
    this.#depth++
    follow()
    this.#depth--
  }

  #ethernet(extent: Extent): void {
    const layer = this.#header(ethernet, extent)
    if (layer === undefined || layer.end - layer.start < ethernet.minimumLength) return
    const etherType = readUint16(this.#bytes, extent.start + ethernet.offset.etherType)
    if (etherType <= 1500) {
      // IEEE 802.3 clause 3.2.6: up to 1500 it is the length of an LLC frame.
      this.#remark('etherType', { meaning: `IEEE 802.3 length: ${etherType} bytes` })
      this.#payload({ ...extent, start: layer.end }, 'LLC frame')
      return
    }
    this.#etherType(etherType, { ...extent, start: layer.end }, 'No header is known for this EtherType')
  }

  #etherType(etherType: number, extent: Extent, unknown: string): void {
    if (extent.start >= extent.end) return
    const name = headerOfEtherType[etherType]
    switch (name) {
      case 'ipv4':
        this.#ipv4(extent)
        return
      case 'ipv6':
        this.#ipv6(extent)
        return
      case 'arp': {
        const layer = this.#header(headers.arp, extent)!
        this.#padding(layer.end, extent.end, 'behind the ARP packet, to fill the frame')
        return
      }
      case 'vlan': {
        const layer = this.#header(vlan, extent)!
        if (layer.end - layer.start < vlan.minimumLength || this.layers.length >= MAXIMUM_LAYERS) {
          this.#payload({ ...extent, start: layer.end })
          return
        }
        const inner = readUint16(this.#bytes, extent.start + vlan.offset.etherType)
        this.#etherType(inner, { ...extent, start: layer.end }, unknown)
        return
      }
      case 'ethernet':
        this.#ethernet(extent)
        return
      default:
        this.#payload(extent, 'Data', unknown)
        return
    }
  }

  #ipv4(extent: Extent): void {
    const { start, end } = extent
    const bytes = this.#bytes
    const layer = this.#header(ipv4, extent)!
    const headerLength = 4 * (bytes[start]! & 15)
    if (end - start < IPV4_HEADER_LENGTH || layer.end < start + headerLength) return
    if (bytes[start]! >> 4 !== 4 || headerLength < IPV4_HEADER_LENGTH) {
      this.#payload({ ...extent, start: layer.end }, 'Data', 'not followed: the header above is wrong')
      return
    }
    this.#checksum('checksum', start, layer.end, start + ipv4.offset.checksum)
    const totalLength = readUint16(bytes, start + ipv4.offset.totalLength)
    if (totalLength < headerLength) {
      this.#payload({ ...extent, start: layer.end })
      return
    }
    if (start + totalLength > extent.claimed && extent.claimed > end)
      this.#remark('totalLength', {
        problem: `found ${totalLength} bytes, expected at most the ${extent.claimed - start} that its carrier has`,
      })
    const inner: Extent = {
      start: layer.end,
      end: Math.min(end, start + totalLength),
      claimed: start + totalLength,
    }
    const flags = readUint16(bytes, start + ipv4.offset.reserved)
    const offset = 8 * (flags & 0x1fff)
    if (offset > 0) {
      const note = `bytes ${offset} to ${offset + inner.claimed - inner.start - 1} of a fragmented datagram: its first fragment has the header of the next layer`
      this.#payload(inner, 'Fragment data', note)
    } else {
      const network: Network = { family: 4, at: start, fragment: (flags & 0x2000) !== 0 }
      this.#protocol(bytes[start + ipv4.offset.protocol]!, inner, network)
    }
    this.#padding(inner.end, end, 'behind the IP packet: not part of it')
  }

  #ipv6(extent: Extent): void {
    const { start, end } = extent
    const bytes = this.#bytes
    const layer = this.#header(ipv6, extent)!
    if (end - start < IPV6_HEADER_LENGTH) return
    if (bytes[start]! >> 4 !== 6) {
      this.#payload({ ...extent, start: layer.end }, 'Data', 'not followed: the header above is wrong')
      return
    }
    const claimed = layer.end + readUint16(bytes, start + ipv6.offset.payloadLength)
    if (claimed > extent.claimed && extent.claimed > end)
      this.#remark('payloadLength', {
        problem: `found ${claimed - layer.end} bytes, expected at most the ${extent.claimed - layer.end} that its carrier has`,
      })
    const inner: Extent = { start: layer.end, end: Math.min(end, claimed), claimed }
    const network: Network = { family: 6, at: start, fragment: false }
    this.#protocol(bytes[start + ipv6.offset.nextHeader]!, inner, network)
    this.#padding(inner.end, end, 'behind the IP packet: not part of it')
  }

  /** What follows an IP header or an extension header. */
  #protocol(protocol: number, extent: Extent, network: Network): void {
    if (extent.start >= extent.end) return
    const name = headerOfIpProtocol[protocol]
    if (network.family === 6 && isExtension(name)) {
      this.#extension(name, extent, network)
      return
    }
    switch (name) {
      case 'icmp':
        this.#icmp(extent, network)
        return
      case 'icmpv6':
        this.#icmpv6(extent, network)
        return
      case 'tcp':
        this.#tcp(extent, network)
        return
      case 'udp':
        this.#udp(extent, network)
        return
      case 'ipv4':
        this.#inside(extent, () => this.#ipv4(extent))
        return
      case 'ipv6':
        this.#inside(extent, () => this.#ipv6(extent))
        return
      case 'gre':
        this.#gre(extent, network)
        return
      case 'etherip': {
        const layer = this.#header(headers.etherip, extent)!
        const inner = { ...extent, start: layer.end }
        if (layer.fields.some(({ problem }) => problem !== undefined)) {
          this.#payload(inner, 'Data', 'not followed: the header above is wrong')
          return
        }
        this.#inside(inner, () => this.#ethernet(inner))
        return
      }
      default: {
        if (protocol === IpProtocol.esp) {
          this.#esp(extent)
          return
        }
        const what = ipProtocolNames[protocol]
        this.#payload(extent, what ?? `Protocol ${protocol}`, 'not looked into')
        return
      }
    }
  }

  /** RFC 4303 section 2: what is in clear of ESP. */
  #esp({ start, end }: Extent): void {
    const ref = 'RFC 4303 section 2'
    const fields: FieldRange[] = []
    const stops = [start, Math.min(end, start + 4), Math.min(end, start + 8), end]
    const labels = [
      'Security parameters index (SPI)',
      'Sequence number',
      'Encrypted data and integrity check',
    ]
    for (const [i, label] of labels.entries()) {
      const [from, to] = [stops[i]!, stops[i + 1]!]
      if (from >= to) continue
      const number =
        i === 1 && to - from === 4 ? { value: String(Number.parseInt(hexOf(this.#bytes, from, to), 16)) } : {}
      const name = ['spi', 'sequenceNumber', 'data'][i]!
      fields.push(bytesField(name, label, this.#bytes, from, to, { ref, ...number }))
    }
    const title = 'Encapsulating Security Payload'
    this.#add({
      name: 'esp',
      title,
      ref,
      start,
      end,
      depth: this.#depth,
      fields,
      note: 'its content needs the key',
    })
  }

  #extension(name: ExtensionName, extent: Extent, network: Network): void {
    const bytes = this.#bytes
    const { start, end } = extent
    const layer = this.#header(headers[name], extent)!
    if (end - start < 8 || this.layers.length >= MAXIMUM_LAYERS) {
      this.#payload({ ...extent, start: layer.end })
      return
    }
    const length = name === 'fragmentHeader' ? 8 : 8 * (bytes[start + 1]! + 1)
    const stop = Math.min(end, start + length)
    if (layer.end < stop) {
      // A routing header's data is longer than what the declaration names.
      const rest = bytesField('data', 'Type-specific data', bytes, layer.end, stop, { ref: layer.ref })
      this.layers[this.layers.length - 1] = { ...layer, end: stop, fields: [...layer.fields, rest] }
    }
    const inner = { ...extent, start: stop }
    if (start + length > end) return
    if (name !== 'fragmentHeader') {
      this.#protocol(bytes[start]!, inner, network)
      return
    }
    const fragment = readUint16(bytes, start + 2)
    if (fragment >> 3 === 0) {
      this.#protocol(bytes[start]!, inner, { ...network, fragment: (fragment & 1) !== 0 })
      return
    }
    this.#payload(inner, 'Fragment data', `from byte ${fragment & 0xfff8} of a fragmented packet`)
  }

  #icmp(extent: Extent, network: Network): void {
    const { start, end } = extent
    const layer = this.#header(icmp, extent)!
    this.#transportChecksum(extent, { ...network, family: 4 }, icmp.offset.checksum, undefined)
    if (end - start < ICMP_HEADER_LENGTH) return
    const type = this.#bytes[start]!
    const inner = { ...extent, start: layer.end }
    if (icmpErrorTypes.includes(type)) {
      this.#quote(inner, 4, 4 * this.#bytes[start + icmp.offset.length]!)
      return
    }
    if (type === IcmpType.echo || type === IcmpType.echoReply) {
      this.#echo(inner)
      return
    }
    this.#payload(inner)
  }

  #icmpv6(extent: Extent, network: Network): void {
    const { start, end } = extent
    const type = this.#bytes[start]!
    const name = headerOfIcmpv6Type[type]
    const layer = this.#header(name === undefined ? icmpv6 : headers[name], extent)!
    this.#transportChecksum(extent, network, icmpv6.offset.checksum, IpProtocol.icmpv6)
    if (end - start < 8) return
    const inner = { ...extent, start: layer.end }
    if (name !== undefined) {
      this.#payload(inner)
      return
    }
    if (type < ICMPV6_FIRST_INFORMATIONAL) {
      const words = type === Icmpv6Type.destinationUnreachable || type === Icmpv6Type.timeExceeded
      this.#quote(inner, 6, words ? 8 * this.#bytes[start + icmpv6.offset.length]! : 0)
      return
    }
    if (type === Icmpv6Type.echoRequest || type === Icmpv6Type.echoReply) {
      this.#echo(inner)
      return
    }
    this.#payload(inner)
  }

  #echo({ start, end, claimed }: Extent): void {
    const note = claimed > end ? `${claimed - end} more bytes are not here` : undefined
    this.#bytesLayer('payload', 'Ping data', echoData(this.#bytes, start, end), start, end, note)
  }

  /** The start of the packet that an ICMP error is about; `length` bytes of it if extensions follow (RFC 4884). */
  #quote(extent: Extent, family: 4 | 6, length: number): void {
    if (extent.start >= extent.end) return
    const quoteEnd = length === 0 ? extent.end : Math.min(extent.end, extent.start + length)
    const quoted = { start: extent.start, end: quoteEnd, claimed: quoteEnd }
    const before = this.layers.length
    this.#inside(quoted, () => (family === 4 ? this.#ipv4(quoted) : this.#ipv6(quoted)))
    const first = this.layers[before]
    if (first !== undefined && first.name !== 'payload')
      this.layers[before] = { ...first, note: 'quoted: the start of the packet that the error is about' }
    this.#payload({ ...extent, start: quoteEnd }, 'ICMP extensions', 'RFC 4884 section 7')
  }

  #tcp(extent: Extent, network: Network): void {
    const layer = this.#header(tcp, extent)!
    this.#transportChecksum(extent, network, tcp.offset.checksum, IpProtocol.tcp)
    this.#payload({ ...extent, start: layer.end })
  }

  #udp(extent: Extent, network: Network): void {
    const { start, end, claimed } = extent
    const layer = this.#header(udp, extent)!
    if (end - start < udp.minimumLength) return
    const length = readUint16(this.#bytes, start + udp.offset.length)
    const stop = length < udp.minimumLength ? claimed : start + length
    if (stop > claimed && !network.fragment && claimed <= end)
      this.#remark('length', {
        problem: `found ${length} bytes, expected at most the ${claimed - start} in its packet`,
      })
    const datagram = { start, end: Math.min(end, stop), claimed: Math.min(claimed, stop) }
    if (readUint16(this.#bytes, start + udp.offset.checksum) !== 0)
      this.#transportChecksum(datagram, network, udp.offset.checksum, IpProtocol.udp)
    else if (network.family === 6)
      this.#remark('checksum', {
        problem: 'found 0, expected a checksum: over IPv6 it must be there (RFC 8200 section 8.1)',
      })
    else this.#remark('checksum', { meaning: 'none was computed' })
    this.#payload({ ...datagram, start: layer.end })
    this.#padding(datagram.end, end, 'behind the UDP datagram: not part of it')
  }

  #gre(extent: Extent, network: Network): void {
    const { start, end } = extent
    const bytes = this.#bytes
    const first4 =
      end - start < 4
        ? 0
        : bytes[start]! * 0x1000000 + (readUint16(bytes, start + 1) << 8) + bytes[start + 3]!
    if (headerOfGreStart[first4] === 'eoip') {
      this.#eoip(extent)
      return
    }
    const layer = this.#header(headers.gre, extent)!
    if (end - start < 4) return
    const flags = readUint16(bytes, start)
    const inner = { ...extent, start: layer.end }
    if (flags & 0x8000 && layer.end - start >= 8) this.#greChecksum(extent, network)
    if ((flags & 7) !== 0 || flags & 0x4800) {
      this.#payload(inner, 'Data', 'not followed: this form of GRE is not read here')
      return
    }
    const protocol = readUint16(bytes, start + 2)
    // eoip(4)'s and gre(4)'s keepalives: protocol 0 says that nothing is to be forwarded.
    if (protocol === 0) {
      this.#payload(inner, 'Data', 'keepalive')
      return
    }
    this.#inside(inner, () => this.#etherType(protocol, inner, 'No header is known for this protocol type'))
  }

  /** RFC 2784 section 2.5: over the GRE header and its payload. */
  #greChecksum({ start, end, claimed }: Extent, network: Network): void {
    if (claimed > end || network.fragment) {
      this.#notChecked(end, claimed, network.fragment)
      return
    }
    this.#checksum('checksum', start, end, start + 4)
  }

  #eoip(extent: Extent): void {
    const { start, end, claimed } = extent
    const layer = this.#header(eoip, extent)!
    if (end - start < eoip.minimumLength) return
    const length = readUint16(this.#bytes, start + eoip.offset.payloadLength)
    if (length === 0) {
      this.#padding(layer.end, end, 'behind a keepalive')
      return
    }
    const stop = layer.end + length
    const inner = { start: layer.end, end: Math.min(end, stop), claimed: Math.min(claimed, stop) }
    this.#inside(inner, () => this.#ethernet(inner))
    this.#padding(inner.end, end, 'behind the frame: not part of it')
  }

  #checksum(field: string, start: number, end: number, at: number, pseudo = 0): void {
    const wrong = checksumMismatch(this.#bytes, start, end, at, pseudo)
    this.#remark(
      field,
      wrong === undefined
        ? { meaning: 'correct' }
        : { problem: `found 0x${hex4(wrong.found)}, expected 0x${hex4(wrong.expected)}` },
    )
  }

  #notChecked(end: number, claimed: number, fragment: boolean): void {
    const meaning = fragment
      ? 'not checked: it covers all fragments'
      : `not checked: ${claimed - end} of the bytes that it covers are not here`
    this.#remark('checksum', { meaning })
  }

  /** Checks a checksum over `extent`, with the pseudo-header of `network` if a protocol is given. */
  #transportChecksum(
    { start, end, claimed }: Extent,
    network: Network,
    field: number,
    protocol: number | undefined,
  ): void {
    if (end < start + field + 2) return
    if (claimed > end || network.fragment) {
      this.#notChecked(end, claimed, network.fragment)
      return
    }
    const { offset } = network.family === 4 ? ipv4 : ipv6
    const pseudo =
      protocol === undefined
        ? 0
        : pseudoHeaderSum(
            this.#bytes,
            network.at + offset.source,
            network.family === 4 ? 4 : 16,
            protocol,
            claimed - start,
          )
    this.#checksum('checksum', start, end, start + field, pseudo)
  }
}

type ExtensionName = 'hopByHop' | 'routingHeader' | 'fragmentHeader' | 'destinationOptions'

const isExtension = (name: HeaderName | undefined): name is ExtensionName =>
  name === 'hopByHop' ||
  name === 'routingHeader' ||
  name === 'fragmentHeader' ||
  name === 'destinationOptions'

const hex4 = (value: number): string => value.toString(16).padStart(4, '0')

const hexOf = (bytes: Uint8Array, from: number, to: number): string =>
  Array.from(bytes.subarray(from, to), (byte) => byte.toString(16).padStart(2, '0')).join('')
