/** What `block return` tells the sender of a blocked packet: a reset, or that the port is unreachable. */
import { type IpAddress, Ipv6Address, readUint16, readUint32 } from '../../base/index.js'
import {
  IcmpType,
  IcmpUnreachable,
  Icmpv6Type,
  Icmpv6Unreachable,
  IpProtocol,
  icmp,
  icmpv6,
  sealIcmpChecksum,
  sealIcmpv6Checksum,
  sealTcpChecksum,
  TcpFlag,
  tcp,
} from '../../wire/index.js'
import type { PfPacket } from './packet.js'

/** A payload to send back, from the blocked packet's destination to its source. */
export interface Refusal {
  readonly protocol: number
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly payload: Uint8Array
}

/** Bytes of the blocked packet that an ICMP error quotes behind its IP header (RFC 792). */
const QUOTED = 8

/** `kind` is the rule's word; `undefined`: nobody is to be told. `bytes[start, end)` is the packet. */
export function refusalOf(
  kind: string,
  packet: PfPacket,
  bytes: Uint8Array,
  start: number,
  end: number,
): Refusal | undefined {
  const { protocol, laterFragment, destination } = packet
  // No error about an error, nor about what was sent to many (RFC 1122 section 3.2.2, RFC 4443 section 2.4).
  if (protocol === IpProtocol.icmp || protocol === IpProtocol.icmpv6) return undefined
  if (laterFragment || destination.isMulticast) return undefined
  if (protocol === IpProtocol.tcp && kind !== 'return-icmp' && kind !== 'return-icmp6')
    return resetOf(packet, bytes, start, end)
  return kind === 'return-rst' ? undefined : unreachableOf(packet, bytes, start, end)
}

/** RFC 9293 section 3.10.7.1: for a segment to a port where nobody listens. */
function resetOf(packet: PfPacket, bytes: Uint8Array, start: number, end: number): Refusal | undefined {
  const { tcpFlags, sourcePort, destinationPort, source, destination } = packet
  if ((tcpFlags & TcpFlag.rst) !== 0 || packet.family !== bytes[start]! >> 4) return undefined
  const at = packet.payloadStart
  if (end - at < 20) return undefined
  const length = end - at - 4 * (bytes[at + 12]! >> 4)
  const counted = Math.max(length, 0) + (tcpFlags & TcpFlag.syn ? 1 : 0) + (tcpFlags & TcpFlag.fin ? 1 : 0)
  const answers = (tcpFlags & TcpFlag.ack) !== 0
  const payload = tcp.toBytes({
    sourcePort: destinationPort,
    destinationPort: sourcePort,
    sequenceNumber: answers ? readUint32(bytes, at + 8) : 0,
    acknowledgmentNumber: answers ? 0 : (readUint32(bytes, at + 4) + counted) >>> 0,
    rst: true,
    ack: !answers,
    window: 0,
  })
  sealTcpChecksum(payload, 0, payload.length, destination, source)
  return { protocol: IpProtocol.tcp, source: destination, destination: source, payload }
}

function unreachableOf(packet: PfPacket, bytes: Uint8Array, start: number, end: number): Refusal {
  const { source, destination } = packet
  if (packet.family === 4) {
    const whole = Math.min(end, start + readUint16(bytes, start + 2))
    const quoted = bytes.subarray(start, Math.min(whole, packet.payloadStart + QUOTED))
    const header = icmp.toBytes({ type: IcmpType.destinationUnreachable, code: IcmpUnreachable.port })
    const payload = append(header, quoted)
    sealIcmpChecksum(payload, 0, payload.length)
    return { protocol: IpProtocol.icmp, source: destination, destination: source, payload }
  }
  // As much as fits a packet of 1280 bytes (RFC 4443 section 2.4).
  const quoted = bytes.subarray(start, Math.min(end, start + 1280 - 48))
  const header = icmpv6.toBytes({ type: Icmpv6Type.destinationUnreachable, code: Icmpv6Unreachable.port })
  const payload = append(header, quoted)
  if (source instanceof Ipv6Address && destination instanceof Ipv6Address)
    sealIcmpv6Checksum(payload, 0, payload.length, destination, source)
  return { protocol: IpProtocol.icmpv6, source: destination, destination: source, payload }
}

function append(header: Uint8Array, rest: Uint8Array): Uint8Array {
  const whole = new Uint8Array(header.length + rest.length)
  whole.set(header)
  whole.set(rest, header.length)
  return whole
}
