/** IPv4, IPv6 and its extension headers, and what their protocol number leads to. */
import { readUint16 } from '../../base/index.js'
import { type HeaderName, headerOfIpProtocol, headers } from '../../wire/bindings.js'
import { IPV4_HEADER_LENGTH, ipv4 } from '../../wire/ipv4.js'
import { IPV6_HEADER_LENGTH, ipv6 } from '../../wire/ipv6.js'
import { ipProtocolNames } from '../../wire/numbers.js'
import { walkAh, walkEsp } from './ipsec.js'
import { bytesField } from './layer.js'
import { walkEthernet } from './link.js'
import { walkIcmp, walkIcmpv6, walkTcp, walkUdp } from './transport.js'
import { walkGre } from './tunnel.js'
import { type Extent, MAXIMUM_LAYERS, type Network, type Walk } from './walk.js'

export function walkIpv4(walk: Walk, extent: Extent): void {
  const { start, end } = extent
  const bytes = walk.bytes
  const layer = walk.header(ipv4, extent)!
  const headerLength = 4 * (bytes[start]! & 15)
  if (end - start < IPV4_HEADER_LENGTH || layer.end < start + headerLength) return
  if (bytes[start]! >> 4 !== 4 || headerLength < IPV4_HEADER_LENGTH) {
    walk.payload({ ...extent, start: layer.end }, 'Data', 'not followed: the header above is wrong')
    return
  }
  walk.checksum('checksum', start, layer.end, start + ipv4.offset.checksum)
  const totalLength = readUint16(bytes, start + ipv4.offset.totalLength)
  if (totalLength < headerLength) {
    walk.payload({ ...extent, start: layer.end })
    return
  }
  if (start + totalLength > extent.claimed)
    walk.remark('totalLength', {
      problem: `found ${totalLength} bytes, expected at most the ${extent.claimed - start} that its carrier has`,
    })
  const inner: Extent = {
    start: layer.end,
    end: Math.min(end, start + totalLength),
    claimed: Math.min(extent.claimed, start + totalLength),
  }
  const flags = readUint16(bytes, start + ipv4.offset.reserved)
  const offset = 8 * (flags & 0x1fff)
  if (offset > 0) {
    const note = `bytes ${offset} to ${offset + inner.claimed - inner.start - 1} of a fragmented datagram: its first fragment has the header of the next layer`
    walk.payload(inner, 'Fragment data', note)
  } else {
    const network: Network = { family: 4, at: start, fragment: (flags & 0x2000) !== 0 }
    walkProtocol(walk, bytes[start + ipv4.offset.protocol]!, inner, network)
  }
  walk.padding(inner.end, end, 'behind the IP packet: not part of it')
}

export function walkIpv6(walk: Walk, extent: Extent): void {
  const { start, end } = extent
  const bytes = walk.bytes
  const layer = walk.header(ipv6, extent)!
  if (end - start < IPV6_HEADER_LENGTH) return
  if (bytes[start]! >> 4 !== 6) {
    walk.payload({ ...extent, start: layer.end }, 'Data', 'not followed: the header above is wrong')
    return
  }
  const claimed = layer.end + readUint16(bytes, start + ipv6.offset.payloadLength)
  if (claimed > extent.claimed)
    walk.remark('payloadLength', {
      problem: `found ${claimed - layer.end} bytes, expected at most the ${extent.claimed - layer.end} that its carrier has`,
    })
  const inner: Extent = {
    start: layer.end,
    end: Math.min(end, claimed),
    claimed: Math.min(extent.claimed, claimed),
  }
  const network: Network = { family: 6, at: start, fragment: false }
  walkProtocol(walk, bytes[start + ipv6.offset.nextHeader]!, inner, network)
  walk.padding(inner.end, end, 'behind the IP packet: not part of it')
}

/** What follows an IP header or an extension header. */
export function walkProtocol(walk: Walk, protocol: number, extent: Extent, network: Network): void {
  if (extent.start >= extent.end) return
  const name = headerOfIpProtocol[protocol]
  if (network.family === 6 && isExtension(name)) {
    walkExtension(walk, name, extent, network)
    return
  }
  switch (name) {
    case 'icmp':
      walkIcmp(walk, extent, network)
      return
    case 'icmpv6':
      walkIcmpv6(walk, extent, network)
      return
    case 'tcp':
      walkTcp(walk, extent, network)
      return
    case 'udp':
      walkUdp(walk, extent, network)
      return
    case 'ipv4':
      walk.inside(extent, () => walkIpv4(walk, extent))
      return
    case 'ipv6':
      walk.inside(extent, () => walkIpv6(walk, extent))
      return
    case 'gre':
      walkGre(walk, extent, network)
      return
    case 'esp':
      walkEsp(walk, extent, network)
      return
    case 'ah':
      walkAh(walk, extent, network)
      return
    case 'etherip': {
      const layer = walk.header(headers.etherip, extent)!
      const inner = { ...extent, start: layer.end }
      if (layer.fields.some(({ problem }) => problem !== undefined)) {
        walk.payload(inner, 'Data', 'not followed: the header above is wrong')
        return
      }
      walk.inside(inner, () => walkEthernet(walk, inner))
      return
    }
    default: {
      const what = ipProtocolNames[protocol]
      walk.payload(extent, what ?? `Protocol ${protocol}`, 'not looked into')
      return
    }
  }
}

function walkExtension(walk: Walk, name: ExtensionName, extent: Extent, network: Network): void {
  const bytes = walk.bytes
  const { start, end } = extent
  const layer = walk.header(headers[name], extent)!
  if (end - start < 8 || walk.layers.length >= MAXIMUM_LAYERS) {
    walk.payload({ ...extent, start: layer.end })
    return
  }
  const length = name === 'fragmentHeader' ? 8 : 8 * (bytes[start + 1]! + 1)
  const stop = Math.min(end, start + length)
  if (layer.end < stop) {
    // A routing header's data is longer than what the declaration names.
    const rest = bytesField('data', 'Type-specific data', bytes, layer.end, stop, { ref: layer.ref })
    walk.layers[walk.layers.length - 1] = { ...layer, end: stop, fields: [...layer.fields, rest] }
  }
  const inner = { ...extent, start: stop }
  if (start + length > end) return
  if (name !== 'fragmentHeader') {
    walkProtocol(walk, bytes[start]!, inner, network)
    return
  }
  const fragment = readUint16(bytes, start + 2)
  if (fragment >> 3 === 0) {
    walkProtocol(walk, bytes[start]!, inner, { ...network, fragment: (fragment & 1) !== 0 })
    return
  }
  walk.payload(inner, 'Fragment data', `from byte ${fragment & 0xfff8} of a fragmented packet`)
}

type ExtensionName = 'hopByHop' | 'routingHeader' | 'fragmentHeader' | 'destinationOptions'

const isExtension = (name: HeaderName | undefined): name is ExtensionName =>
  name === 'hopByHop' ||
  name === 'routingHeader' ||
  name === 'fragmentHeader' ||
  name === 'destinationOptions'
