/** Link layers: Ethernet and its tags, and the headers that capture files put in front. */
import { readUint16 } from '../../base/index.js'
import { type AnyHeader, headerOfEtherType, headers } from '../../wire/bindings.js'
import { ethernet, vlan } from '../../wire/ethernet.js'
import { etherTypeOfVersion, LinkType, linkHeaderLength, networkEtherType } from '../link-type.js'
import { walkIpv4, walkIpv6 } from './ip.js'
import { linuxSll, loopbackBig, loopbackLittle } from './link-headers.js'
import { type Extent, MAXIMUM_LAYERS, type Walk } from './walk.js'

export function walkLink(walk: Walk, linkType: number, extent: Extent): void {
  const { start, end } = extent
  if (start === end) return
  switch (linkType) {
    case LinkType.ethernet:
      walkEthernet(walk, extent)
      return
    case LinkType.null:
    case LinkType.loop: {
      const big = walk.bytes[start] === 0 && walk.bytes[start + 1] === 0
      behindLink(walk, big ? loopbackBig : loopbackLittle, linkType, extent)
      return
    }
    case LinkType.linuxSll:
      behindLink(walk, linuxSll, linkType, extent)
      return
    case LinkType.raw:
    case LinkType.ipv4:
    case LinkType.ipv6:
      walkEtherType(walk, etherTypeOfVersion(walk.bytes[start]), extent, 'The first byte names no IP version')
      return
    default:
      walk.payload(extent, 'Data', `link type ${linkType} is not known`)
      return
  }
}

function behindLink(walk: Walk, header: AnyHeader, linkType: number, extent: Extent): void {
  walk.header(header, extent)
  const start = extent.start + linkHeaderLength(linkType)
  const etherType = networkEtherType(walk.bytes, linkType, extent.start, extent.end)
  if (start < extent.end)
    walkEtherType(walk, etherType, { ...extent, start }, 'No header is known for this protocol')
}

export function walkEthernet(walk: Walk, extent: Extent): void {
  const layer = walk.header(ethernet, extent)
  if (layer === undefined || layer.end - layer.start < ethernet.minimumLength) return
  const etherType = readUint16(walk.bytes, extent.start + ethernet.offset.etherType)
  if (etherType <= 1500) {
    // IEEE 802.3 clause 3.2.6: up to 1500 it is the length of an LLC frame.
    walk.remark('etherType', { meaning: `IEEE 802.3 length: ${etherType} bytes` })
    walk.payload({ ...extent, start: layer.end }, 'LLC frame')
    return
  }
  walkEtherType(walk, etherType, { ...extent, start: layer.end }, 'No header is known for this EtherType')
}

export function walkEtherType(walk: Walk, etherType: number, extent: Extent, unknown: string): void {
  if (extent.start >= extent.end) return
  const name = headerOfEtherType[etherType]
  switch (name) {
    case 'ipv4':
      walkIpv4(walk, extent)
      return
    case 'ipv6':
      walkIpv6(walk, extent)
      return
    case 'arp': {
      const layer = walk.header(headers.arp, extent)!
      walk.padding(layer.end, extent.end, 'behind the ARP packet, to fill the frame')
      return
    }
    case 'vlan': {
      const layer = walk.header(vlan, extent)!
      if (layer.end - layer.start < vlan.minimumLength || walk.layers.length >= MAXIMUM_LAYERS) {
        walk.payload({ ...extent, start: layer.end })
        return
      }
      const inner = readUint16(walk.bytes, extent.start + vlan.offset.etherType)
      walkEtherType(walk, inner, { ...extent, start: layer.end }, unknown)
      return
    }
    case 'ethernet':
      walkEthernet(walk, extent)
      return
    default:
      walk.payload(extent, 'Data', unknown)
      return
  }
}
