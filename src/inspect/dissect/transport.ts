/** ICMP, ICMPv6, TCP and UDP: checksums over their pseudo-headers, and what follows the header. */
import { readUint16 } from '../../base/index.js'
import {
  headerOfIcmpv6Type,
  headerOfUdpPort,
  headers,
  ICMPV6_FIRST_INFORMATIONAL,
  icmpErrorTypes,
} from '../../wire/bindings.js'
import { UDP_ENCAPSULATION_PORT, udpEncapsulated } from '../../wire/esp.js'
import { ICMP_HEADER_LENGTH, IcmpType, icmp } from '../../wire/icmp.js'
import { Icmpv6Type, icmpv6 } from '../../wire/icmpv6.js'
import { IpProtocol } from '../../wire/numbers.js'
import { tcp } from '../../wire/tcp.js'
import { udp } from '../../wire/udp.js'
import { walkIke } from './ike.js'
import { walkIpv4, walkIpv6 } from './ip.js'
import { walkEsp } from './ipsec.js'
import { bytesField } from './layer.js'
import { echoData } from './payload.js'
import type { Extent, Network, Walk } from './walk.js'

export function walkIcmp(walk: Walk, extent: Extent, network: Network): void {
  const { start, end } = extent
  const layer = walk.header(icmp, extent)!
  walk.transportChecksum(extent, { ...network, family: 4 }, icmp.offset.checksum, undefined)
  if (end - start < ICMP_HEADER_LENGTH) return
  const type = walk.bytes[start]!
  const inner = { ...extent, start: layer.end }
  if (icmpErrorTypes.includes(type)) {
    walkQuote(walk, inner, 4, 4 * walk.bytes[start + icmp.offset.length]!)
    return
  }
  if (type === IcmpType.echo || type === IcmpType.echoReply) {
    walkEcho(walk, inner)
    return
  }
  walk.payload(inner)
}

export function walkIcmpv6(walk: Walk, extent: Extent, network: Network): void {
  const { start, end } = extent
  const type = walk.bytes[start]!
  const name = headerOfIcmpv6Type[type]
  const layer = walk.header(name === undefined ? icmpv6 : headers[name], extent)!
  walk.transportChecksum(extent, network, icmpv6.offset.checksum, IpProtocol.icmpv6)
  if (end - start < 8) return
  const inner = { ...extent, start: layer.end }
  if (name !== undefined) {
    walk.payload(inner)
    return
  }
  if (type < ICMPV6_FIRST_INFORMATIONAL) {
    const words = type === Icmpv6Type.destinationUnreachable || type === Icmpv6Type.timeExceeded
    walkQuote(walk, inner, 6, words ? 8 * walk.bytes[start + icmpv6.offset.length]! : 0)
    return
  }
  if (type === Icmpv6Type.echoRequest || type === Icmpv6Type.echoReply) {
    walkEcho(walk, inner)
    return
  }
  walk.payload(inner)
}

function walkEcho(walk: Walk, { start, end, claimed }: Extent): void {
  const note = claimed > end ? `${claimed - end} more bytes are not here` : undefined
  walk.bytesLayer('payload', 'Ping data', echoData(walk.bytes, start, end), start, end, note)
}

/** The start of the packet that an ICMP error is about; `length` bytes of it if extensions follow (RFC 4884). */
function walkQuote(walk: Walk, extent: Extent, family: 4 | 6, length: number): void {
  if (extent.start >= extent.end) return
  const quoteEnd = length === 0 ? extent.end : Math.min(extent.end, extent.start + length)
  const quoted = { start: extent.start, end: quoteEnd, claimed: Number.POSITIVE_INFINITY }
  const before = walk.layers.length
  walk.inside(quoted, () => (family === 4 ? walkIpv4(walk, quoted) : walkIpv6(walk, quoted)))
  const first = walk.layers[before]
  if (first !== undefined && first.name !== 'payload')
    walk.layers[before] = { ...first, note: 'quoted: the start of the packet that the error is about' }
  walk.payload({ ...extent, start: quoteEnd }, 'ICMP extensions', 'RFC 4884 section 7')
}

export function walkTcp(walk: Walk, extent: Extent, network: Network): void {
  const layer = walk.header(tcp, extent)!
  walk.transportChecksum(extent, network, tcp.offset.checksum, IpProtocol.tcp)
  walk.payload({ ...extent, start: layer.end })
}

export function walkUdp(walk: Walk, extent: Extent, network: Network): void {
  const { start, end, claimed } = extent
  const layer = walk.header(udp, extent)!
  if (end - start < udp.minimumLength) return
  const length = readUint16(walk.bytes, start + udp.offset.length)
  const stop = length < udp.minimumLength ? claimed : start + length
  if (stop > claimed && !network.fragment)
    walk.remark('length', {
      problem: `found ${length} bytes, expected at most the ${claimed - start} in its packet`,
    })
  const datagram = { start, end: Math.min(end, stop), claimed: Math.min(claimed, stop) }
  if (readUint16(walk.bytes, start + udp.offset.checksum) !== 0)
    walk.transportChecksum(datagram, network, udp.offset.checksum, IpProtocol.udp)
  else if (network.family === 6)
    walk.remark('checksum', {
      problem: 'found 0, expected a checksum: over IPv6 it must be there (RFC 8200 section 8.1)',
    })
  else walk.remark('checksum', { meaning: 'none was computed' })
  const inner = { ...datagram, start: layer.end }
  const ports = [readUint16(walk.bytes, start), readUint16(walk.bytes, start + 2)]
  if (ports.includes(UDP_ENCAPSULATION_PORT)) walkEncapsulated(walk, inner, network, start)
  else if (ports.some((port) => headerOfUdpPort[port] === 'ike')) walkIke(walk, inner, network, start)
  else walk.payload(inner)
  walk.padding(datagram.end, end, 'behind the UDP datagram: not part of it')
}

/** RFC 3948 section 2: ESP, IKE behind four zeros, or one byte that keeps a NAT's mapping. */
function walkEncapsulated(walk: Walk, extent: Extent, network: Network, udpAt: number): void {
  const { start, end } = extent
  switch (udpEncapsulated(walk.bytes, start, end)) {
    case 'esp':
      walkEsp(walk, extent, network)
      return
    case 'keepalive':
      walk.payload(extent, 'NAT-keepalive', 'RFC 3948 section 2.3')
      return
    case 'ike':
      walk.bytesLayer(
        'marker',
        'Non-ESP marker',
        [bytesField('marker', 'Zero', walk.bytes, start, start + 4, { ref: 'RFC 3948 section 2.2' })],
        start,
        start + 4,
      )
      walkIke(walk, { ...extent, start: start + 4 }, network, udpAt)
      return
    case 'short':
      walk.payload(extent)
  }
}
