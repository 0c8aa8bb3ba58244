import { IPV6, type Ipv4Address, writeUint16 } from '../../base/index.js'
import { IPV4_HEADER_LENGTH, ipv4, sealIpv4Checksum } from '../../wire/ipv4.js'
import { EtherType, IpProtocol } from '../../wire/numbers.js'
import { IPV6_MINIMUM } from '../inner.js'
import type { IpCarrier } from '../machine.js'
import { KEEPALIVE, writeGreHeader } from './transforms.js'

/** TTL of the packet that is to come back: one hop of the far end is enough, but Cisco's routers write 255. */
const RETURN_TTL = 255

/**
 * The carrier's payload of a keepalive: a GRE header, an IP packet from the peer to us, and in it the GRE packet
 * of protocol 0 with `data` that the peer sends back by forwarding it.
 */
export function buildKeepalive(carrier: IpCarrier, key: number | undefined, data: Uint8Array): Uint8Array {
  const { local, remote } = carrier
  const greLength = key === undefined ? 4 : 8
  const ipLength = local.family === IPV6 ? IPV6_MINIMUM : IPV4_HEADER_LENGTH
  const bytes = new Uint8Array(greLength + ipLength + greLength + data.length)
  const ip = writeGreHeader(bytes, 0, local.family === IPV6 ? EtherType.ipv6 : EtherType.ipv4, key)
  if (local.family === IPV6) {
    bytes[ip] = 0x60
    writeUint16(bytes, ip + 4, greLength + data.length)
    bytes[ip + 6] = IpProtocol.gre
    bytes[ip + 7] = RETURN_TTL
    bytes.set(remote.bytes, ip + 8)
    bytes.set(local.bytes, ip + 24)
  } else {
    ipv4.emit(
      {
        dscp: 48,
        totalLength: ipLength + greLength + data.length,
        identification: 0,
        dontFragment: false,
        moreFragments: false,
        fragmentOffset: 0,
        ttl: RETURN_TTL,
        protocol: IpProtocol.gre,
        source: remote as Ipv4Address,
        destination: local as Ipv4Address,
      },
      bytes,
      ip,
    )
    sealIpv4Checksum(bytes, ip)
  }
  const returned = writeGreHeader(bytes, ip + ipLength, KEEPALIVE, key)
  bytes.set(data, returned)
  return bytes
}
