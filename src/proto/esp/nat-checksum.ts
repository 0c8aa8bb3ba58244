/**
 * RFC 3948 section 3.1.2: a NAT changed the header outside, which in transport mode is the header over which the sender
 * made the checksum of its TCP or UDP. The packet is authentic, so the checksum is made to fit the header that it has now.
 */
import {
  addToSum,
  foldSum,
  IPV4,
  internetChecksum,
  type PacketBuffer,
  pseudoHeaderSum,
  readUint16,
  writeUint16,
} from '../../base/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import { IPV4_MINIMUM, IPV6_MINIMUM } from '../inner.js'

/** Source and destination as the peer's own header had them (NAT-OA, RFC 3947 section 5.2). */
export interface OriginalEnds {
  readonly source: Uint8Array
  readonly destination: Uint8Array
}

/** Where the checksum stands in the header of `protocol`, and how long that header is at least; -1: it has none. */
const checksumAt = (protocol: number): number =>
  protocol === IpProtocol.tcp ? 16 : protocol === IpProtocol.udp ? 6 : protocol === IpProtocol.icmpv6 ? 2 : -1
const leastOf = (protocol: number): number => (protocol === IpProtocol.tcp ? 20 : 8)

/**
 * For a whole IP packet whose payload, `protocol`, starts at `payload`. With `original` the checksum is changed by what the
 * addresses differ, so that damage behind the sender's checksum is still found; without it is made anew. A UDP checksum that
 * is left out stays so. Allocates nothing.
 */
export function mendChecksum(
  packet: PacketBuffer,
  payload: number,
  protocol: number,
  original: OriginalEnds | undefined,
): void {
  const { bytes, start, end, kind } = packet
  const at = checksumAt(protocol)
  const length = end - payload
  if (at < 0 || length < leastOf(protocol)) return
  const isUdp = protocol === IpProtocol.udp
  const before = readUint16(bytes, payload + at)
  if (isUdp && before === 0) return
  const addressLength = kind === IPV4 ? 4 : 16
  const addresses = kind === IPV4 ? start + IPV4_MINIMUM - 8 : start + IPV6_MINIMUM - 32
  let checksum: number
  if (original === undefined) {
    // What is longer or shorter than it says is for the stack to refuse.
    if (isUdp && readUint16(bytes, payload + 4) !== length) return
    writeUint16(bytes, payload + at, 0)
    checksum = internetChecksum(
      bytes,
      payload,
      end,
      pseudoHeaderSum(bytes, addresses, addressLength, protocol, length),
    )
  } else {
    // RFC 1624 equation 3: HC' = ~(~HC + ~m + m').
    let sum = ~before & 0xffff
    sum = addToSum(sum, bytes, addresses, addresses + 2 * addressLength)
    for (let i = 0; i < addressLength; i += 2)
      sum += (~readUint16(original.source, i) & 0xffff) + (~readUint16(original.destination, i) & 0xffff)
    checksum = ~foldSum(sum) & 0xffff
  }
  writeUint16(bytes, payload + at, isUdp && checksum === 0 ? 0xffff : checksum)
}
