/** ICMP echo in whole IP packets, made and read: what a small responder needs of an IP stack. */
import {
  addToSum,
  type IpAddress,
  internetChecksum,
  ipAddressFrom,
  readUint16,
  writeUint16,
} from '../../src/base/index.js'

export interface Echo {
  readonly kind: 'request' | 'reply'
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly identifier: number
  readonly sequence: number
  readonly data: Uint8Array
}

const TYPES = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const

/** Sum of the pseudo-header of ICMPv6 (RFC 8200 section 8.1); ICMP of IPv4 has none. */
function pseudo(source: IpAddress, destination: IpAddress, length: number): number {
  if (source.family === 4) return 0
  return addToSum(addToSum(58 + length, source.bytes, 0, 16), destination.bytes, 0, 16)
}

export function writeEcho({ kind, source, destination, identifier, sequence, data }: Echo): Uint8Array {
  const v4 = source.family === 4
  const at = v4 ? 20 : 40
  const length = 8 + data.length
  const bytes = new Uint8Array(at + length)
  if (v4) {
    bytes.set([0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 1])
    writeUint16(bytes, 2, bytes.length)
    bytes.set(source.bytes, 12)
    bytes.set(destination.bytes, 16)
    writeUint16(bytes, 10, internetChecksum(bytes, 0, 20))
  } else {
    bytes.set([0x60, 0, 0, 0, length >> 8, length & 255, 58, 64])
    bytes.set(source.bytes, 8)
    bytes.set(destination.bytes, 24)
  }
  bytes[at] = TYPES[source.family][kind]
  writeUint16(bytes, at + 4, identifier)
  writeUint16(bytes, at + 6, sequence)
  bytes.set(data, at + 8)
  writeUint16(bytes, at + 2, internetChecksum(bytes, at, bytes.length, pseudo(source, destination, length)))
  return bytes
}

/** The echo in an IP packet, or what is wrong with it. Views into `bytes`. */
export function readEcho(bytes: Uint8Array): Echo | string {
  const v4 = bytes[0]! >>> 4 === 4
  const at = v4 ? 4 * (bytes[0]! & 15) : 40
  if (v4 && internetChecksum(bytes, 0, at) !== 0) return 'checksum of the IP header'
  const total = v4 ? readUint16(bytes, 2) : 40 + readUint16(bytes, 4)
  if (total !== bytes.length) return `length ${total} of ${bytes.length}`
  if (bytes[v4 ? 9 : 6] !== (v4 ? 1 : 58)) return `protocol ${bytes[v4 ? 9 : 6]}`
  const address = (from: number): IpAddress => ipAddressFrom(bytes.slice(from, from + (v4 ? 4 : 16)))
  const [source, destination] = [address(v4 ? 12 : 8), address(v4 ? 16 : 24)]
  if (internetChecksum(bytes, at, total, pseudo(source, destination, total - at)) !== 0) return 'checksum'
  const types = TYPES[v4 ? 4 : 6]
  const kind = bytes[at] === types.request ? 'request' : bytes[at] === types.reply ? 'reply' : undefined
  if (kind === undefined) return `type ${bytes[at]}`
  return {
    kind,
    source,
    destination,
    identifier: readUint16(bytes, at + 4),
    sequence: readUint16(bytes, at + 6),
    data: bytes.subarray(at + 8),
  }
}
