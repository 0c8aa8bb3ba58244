/** GRE and EoIP. */
import { readUint16 } from '../../base/index.js'
import { headerOfGreStart, headers } from '../../wire/bindings.js'
import { eoip } from '../../wire/eoip.js'
import { walkEthernet, walkEtherType } from './link.js'
import type { Extent, Network, Walk } from './walk.js'

export function walkGre(walk: Walk, extent: Extent, network: Network): void {
  const { start, end } = extent
  const bytes = walk.bytes
  const first4 =
    end - start < 4 ? 0 : bytes[start]! * 0x1000000 + (readUint16(bytes, start + 1) << 8) + bytes[start + 3]!
  if (headerOfGreStart[first4] === 'eoip') {
    walkEoip(walk, extent)
    return
  }
  const layer = walk.header(headers.gre, extent)!
  if (end - start < 4) return
  const flags = readUint16(bytes, start)
  const inner = { ...extent, start: layer.end }
  if (flags & 0x8000 && layer.end - start >= 8) greChecksum(walk, extent, network)
  if ((flags & 7) !== 0 || flags & 0x4800) {
    walk.payload(inner, 'Data', 'not followed: this form of GRE is not read here')
    return
  }
  const protocol = readUint16(bytes, start + 2)
  // eoip(4)'s and gre(4)'s keepalives: protocol 0 says that nothing is to be forwarded.
  if (protocol === 0) {
    walk.payload(inner, 'Data', 'keepalive')
    return
  }
  walk.inside(inner, () => walkEtherType(walk, protocol, inner, 'No header is known for this protocol type'))
}

/** RFC 2784 section 2.5: over the GRE header and its payload. */
function greChecksum(walk: Walk, { start, end, claimed }: Extent, network: Network): void {
  if (claimed > end || network.fragment) {
    walk.notChecked(end, claimed, network.fragment)
    return
  }
  walk.checksum('checksum', start, end, start + 4)
}

function walkEoip(walk: Walk, extent: Extent): void {
  const { start, end, claimed } = extent
  const layer = walk.header(eoip, extent)!
  if (end - start < eoip.minimumLength) return
  const length = readUint16(walk.bytes, start + eoip.offset.payloadLength)
  if (length === 0) {
    walk.padding(layer.end, end, 'behind a keepalive')
    return
  }
  const stop = layer.end + length
  const inner = { start: layer.end, end: Math.min(end, stop), claimed: Math.min(claimed, stop) }
  walk.inside(inner, () => walkEthernet(walk, inner))
  walk.padding(inner.end, end, 'behind the frame: not part of it')
}
