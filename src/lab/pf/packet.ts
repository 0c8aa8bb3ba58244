/** What a packet filter looks at: read once, with the lengths checked; no byte of a stranger throws. */
import { type IpAddress, ipAddressFrom, readUint16 } from '../../base/index.js'

export interface PfPacket {
  readonly family: 4 | 6
  readonly protocol: number
  readonly source: IpAddress
  readonly destination: IpAddress
  /** TCP and UDP ports; the echo identifier of ICMP stands in both. 0 where there are none. */
  readonly sourcePort: number
  readonly destinationPort: number
  readonly tcpFlags: number
  readonly icmpType: number
  /** A fragment other than the first: it has no ports. */
  readonly laterFragment: boolean
  /** Tells the fragments of one datagram; `undefined` for a whole one. */
  readonly fragmentId?: string
  /** The packet that an ICMP error quotes, as far as it goes. */
  readonly quoted?: PfPacket
  readonly length: number
  /** The upper layer's header is there as far as its checksum. */
  readonly headerEnd: boolean
  /** Offset in the packet's buffer of what the IP headers carry. */
  readonly payloadStart: number
}

const EXTENSION_HEADERS = 8

/** `undefined`: too short to be IP. */
export function readPacket(bytes: Uint8Array, start: number, end: number, depth = 0): PfPacket | undefined {
  const length = end - start
  if (length < 20) return undefined
  const version = bytes[start]! >>> 4
  let protocol: number
  let payload: number
  let source: IpAddress
  let destination: IpAddress
  let laterFragment = false
  let fragment: number | undefined
  if (version === 4) {
    payload = start + 4 * (bytes[start]! & 15)
    if (payload < start + 20 || payload > end) return undefined
    protocol = bytes[start + 9]!
    source = ipAddressFrom(bytes.slice(start + 12, start + 16))
    destination = ipAddressFrom(bytes.slice(start + 16, start + 20))
    const offset = readUint16(bytes, start + 6)
    laterFragment = (offset & 0x1fff) !== 0
    if ((offset & 0x3fff) !== 0) fragment = readUint16(bytes, start + 4)
  } else if (version === 6 && length >= 40) {
    protocol = bytes[start + 6]!
    payload = start + 40
    source = ipAddressFrom(bytes.slice(start + 8, start + 24))
    destination = ipAddressFrom(bytes.slice(start + 24, start + 40))
    for (let i = 0; i < EXTENSION_HEADERS && !laterFragment; i++) {
      if (![0, 43, 44, 60].includes(protocol) || payload + 8 > end) break
      if (protocol === 44) {
        fragment = readUint16(bytes, payload + 6)
        laterFragment = (readUint16(bytes, payload + 2) & 0xfff8) !== 0
      }
      const size = protocol === 44 ? 8 : 8 * (bytes[payload + 1]! + 1)
      protocol = bytes[payload]!
      payload += size
    }
  } else return undefined
  const there = laterFragment ? 0 : end - payload
  let sourcePort = 0
  let destinationPort = 0
  let tcpFlags = 0
  let icmpType = -1
  let quoted: PfPacket | undefined
  if ((protocol === 6 || protocol === 17) && there >= 4) {
    sourcePort = readUint16(bytes, payload)
    destinationPort = readUint16(bytes, payload + 2)
    if (protocol === 6 && there >= 14) tcpFlags = bytes[payload + 13]!
  } else if ((protocol === 1 || protocol === 58) && there >= 8) {
    icmpType = bytes[payload]!
    if (isEcho(protocol, icmpType)) sourcePort = destinationPort = readUint16(bytes, payload + 4)
    else if (isError(protocol, icmpType) && depth === 0) quoted = readPacket(bytes, payload + 8, end, 1)
  }
  return {
    family: version,
    protocol,
    source,
    destination,
    sourcePort,
    destinationPort,
    tcpFlags,
    payloadStart: payload,
    icmpType,
    laterFragment,
    ...(fragment === undefined ? {} : { fragmentId: `${source}|${destination}|${protocol}|${fragment}` }),
    ...(quoted === undefined ? {} : { quoted }),
    length,
    headerEnd: there >= (protocol === 6 ? 18 : 8),
  }
}

const isEcho = (protocol: number, type: number): boolean =>
  protocol === 1 ? type === 0 || type === 8 : type === 128 || type === 129

const isError = (protocol: number, type: number): boolean =>
  protocol === 1 ? type === 3 || type === 11 || type === 12 : type >= 1 && type <= 4
