import {
  concatBytes,
  type IpAddress,
  internetChecksum,
  pseudoHeaderSum,
  writeUint16,
  writeUint32,
} from '../../../base/index.js'

/**
 * The echo request that OpenBSD's ping(8) sends (RFC 792, RFC 4443 section 4.1): a time stamp that only the sender can
 * read, a MAC over it, then bytes that count up.
 */

/** ICMP type, code, checksum, identifier, sequence number. */
export const PING_HEADER = 8
/** Seconds and nanoseconds, 8 bytes each, XORed with a random mask. */
export const TIME_STAMP = 16
/** The MAC behind the time stamp. */
export const MAC_LENGTH = 8

export interface EchoFields {
  readonly family: 4 | 6
  readonly identifier: number
  readonly sequence: number
  /** Bytes behind the header; less than 24 leave no room for a time stamp. */
  readonly dataLength: number
  /** Unix time, microseconds. */
  readonly time: number
  readonly mask: Uint8Array
  readonly mac: Uint8Array
  readonly pattern?: Uint8Array
  /** For the pseudo-header of ICMPv6. */
  readonly source: IpAddress | undefined
  readonly destination: IpAddress
}

export function echoRequest(fields: EchoFields): Uint8Array {
  const { family, dataLength, mask, mac, pattern } = fields
  const message = new Uint8Array(PING_HEADER + dataLength)
  message[0] = family === 4 ? 8 : 128
  writeUint16(message, 4, fields.identifier)
  writeUint16(message, 6, fields.sequence)
  const behind = stampLength(dataLength)
  for (let i = behind; i < dataLength; i++)
    message[PING_HEADER + i] = pattern === undefined ? i : pattern[(i - behind) % pattern.length]!
  if (behind > 0) {
    const stamp = new Uint8Array(TIME_STAMP)
    const whole = Math.floor(fields.time / 1e6)
    writeUint32(stamp, 0, Math.floor(whole / 2 ** 32))
    writeUint32(stamp, 4, whole % 2 ** 32)
    writeUint32(stamp, 12, (fields.time % 1e6) * 1_000)
    for (let i = 0; i < TIME_STAMP; i++) message[PING_HEADER + i] = stamp[i]! ^ mask[i]!
    message.set(mac.subarray(0, MAC_LENGTH), PING_HEADER + TIME_STAMP)
  }
  writeUint16(message, 2, checksumOf(message, fields))
  return message
}

const stampLength = (dataLength: number): number =>
  dataLength >= TIME_STAMP + MAC_LENGTH ? TIME_STAMP + MAC_LENGTH : 0

function checksumOf(message: Uint8Array, { family, source, destination }: EchoFields): number {
  if (family === 4) return internetChecksum(message, 0, message.length)
  // Without a source there is no route, and the stack refuses the packet whatever its checksum.
  if (source === undefined) return 0
  const addresses = concatBytes(source.bytes, destination.bytes)
  return internetChecksum(message, 0, message.length, pseudoHeaderSum(addresses, 0, 16, 58, message.length))
}
