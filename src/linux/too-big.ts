/**
 * Path MTU discovery through an SA (RFC 4301 section 8.2): what fits by the path MTU of its carrier, and the ICMP error
 * for what does not and must not be cut.
 */
import {
  IPV4,
  IPV6,
  internetChecksum,
  type PacketBuffer,
  pseudoHeaderSum,
  readUint16,
  writeUint16,
  writeUint32,
} from '../base/index.js'
import { largestInside, type SaSpec } from '../proto/esp/index.js'
import { IcmpType, IcmpUnreachable } from '../wire/icmp.js'
import { Icmpv6Type } from '../wire/icmpv6.js'
import { IpProtocol } from '../wire/numbers.js'

const IPV4_HEADER = 20
const IPV6_HEADER = 40
const ICMP_HEADER = 8
const TTL = 64
/** RFC 1812 section 4.3.2.3, RFC 4443 section 2.4: the whole error is at most that long. */
const LONGEST_ERROR = 576
const LONGEST_ERROR6 = 1280
/** RFC 791 section 3.2; RFC 8200 section 5: less nobody has to make of a packet. */
const LEAST = 68
const LEAST6 = 1280

export class SaLimit {
  /** The largest inner packet that fits whole, as of the last question. */
  largest: number = Number.POSITIVE_INFINITY
  readonly #sa: SaSpec
  readonly #copiesDf: boolean
  #mtu = 0

  constructor(sa: SaSpec) {
    this.#sa = sa
    this.#copiesDf = sa.copyDf === true || sa.mode === 'transport'
  }

  /** Whether the inner packet does not fit and would go with DF, where the path takes `mtu` bytes. */
  refuses({ bytes, start, end, kind }: PacketBuffer, mtu: number): boolean {
    if (mtu !== this.#mtu) {
      this.#mtu = mtu
      this.largest = largestInside(this.#sa, mtu)
    }
    if (end - start <= this.largest) return false
    if (this.#copiesDf && kind === IPV4) return (bytes[start + 6]! & 0x40) !== 0
    return this.#sa.mode === 'tunnel' && this.#sa.outer.dontFragment
  }
}

/**
 * The error that says of an inner packet that at most `largest` bytes fit, as from where it was going; `undefined` where
 * none may be made (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e).
 */
export function tooBigError(
  { bytes, start, end, kind }: PacketBuffer,
  largest: number,
): Uint8Array | undefined {
  if (kind === IPV4) return largest < LEAST ? undefined : tooBig4(bytes.subarray(start, end), largest)
  if (kind === IPV6) return largest < LEAST6 ? undefined : tooBig6(bytes.subarray(start, end), largest)
  return undefined
}

function tooBig4(packet: Uint8Array, largest: number): Uint8Array | undefined {
  const headerLength = 4 * ((packet[0] ?? 0) & 15)
  if (headerLength < IPV4_HEADER || packet.length < headerLength + ICMP_HEADER) return undefined
  // A fragment behind the first; a group.
  if ((readUint16(packet, 6) & 0x1fff) !== 0 || packet[16]! >= 224) return undefined
  const type = packet[headerLength]!
  if (packet[9] === IpProtocol.icmp && type !== IcmpType.echo && type !== IcmpType.echoReply) return undefined
  const quoted = packet.subarray(0, LONGEST_ERROR - IPV4_HEADER - ICMP_HEADER)
  const error = new Uint8Array(IPV4_HEADER + ICMP_HEADER + quoted.length)
  error[0] = 0x45
  writeUint16(error, 2, error.length)
  error[8] = TTL
  error[9] = IpProtocol.icmp
  error.set(packet.subarray(16, 20), 12)
  error.set(packet.subarray(12, 16), 16)
  writeUint16(error, 10, internetChecksum(error, 0, IPV4_HEADER))
  error[IPV4_HEADER] = IcmpType.destinationUnreachable
  error[IPV4_HEADER + 1] = IcmpUnreachable.fragmentationNeeded
  writeUint16(error, IPV4_HEADER + 6, largest)
  error.set(quoted, IPV4_HEADER + ICMP_HEADER)
  writeUint16(error, IPV4_HEADER + 2, internetChecksum(error, IPV4_HEADER, error.length))
  return error
}

function tooBig6(packet: Uint8Array, largest: number): Uint8Array | undefined {
  if (packet.length < IPV6_HEADER + ICMP_HEADER) return undefined
  // RFC 4443 section 3.2: of this error alone a group's packet may have one; of an error none may.
  if (packet[6] === IpProtocol.icmpv6 && packet[IPV6_HEADER]! < Icmpv6Type.echoRequest) return undefined
  if (packet[24] === 0xff) return undefined
  const quoted = packet.subarray(0, LONGEST_ERROR6 - IPV6_HEADER - ICMP_HEADER)
  const length = ICMP_HEADER + quoted.length
  const error = new Uint8Array(IPV6_HEADER + length)
  error[0] = 0x60
  writeUint16(error, 4, length)
  error[6] = IpProtocol.icmpv6
  error[7] = TTL
  error.set(packet.subarray(24, 40), 8)
  error.set(packet.subarray(8, 24), 24)
  error[IPV6_HEADER] = Icmpv6Type.packetTooBig
  writeUint32(error, IPV6_HEADER + 4, largest)
  error.set(quoted, IPV6_HEADER + ICMP_HEADER)
  const pseudo = pseudoHeaderSum(error, 8, 16, IpProtocol.icmpv6, length)
  writeUint16(error, IPV6_HEADER + 2, internetChecksum(error, IPV6_HEADER, error.length, pseudo))
  return error
}
