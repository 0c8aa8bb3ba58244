/** UDP (RFC 768; over IPv6, RFC 8200 section 8.1). */
import type { IpAddress } from '../base/index.js'
import { readUint16, writeUint16 } from '../base/index.js'
import { type ChecksumMismatch, checksumMismatch, pseudoSum, sealChecksum } from './checksum.js'
import { defineHeader, type Header, uint } from './layout.js'
import { IpProtocol, portNames } from './numbers.js'

export interface UdpHeader {
  sourcePort: number
  destinationPort: number
  /** Header and data in bytes. The caller's: the header does not know its payload. */
  length: number
  /** 0 until `sealUdpChecksum` fills it; 0 on the wire is "none", over IPv4 only. */
  checksum?: number
}

export const UDP_HEADER_LENGTH = 8

export const udp: Header<UdpHeader> = defineHeader<UdpHeader>({
  name: 'udp',
  title: 'User Datagram Protocol',
  ref: 'RFC 768',
  fields: {
    sourcePort: uint(16, 'Source port', { meaning: (port) => portNames[port] }),
    destinationPort: uint(16, 'Destination port', { meaning: (port) => portNames[port] }),
    length: uint(16, 'Length', { meaning: () => 'bytes, header and data' }),
    checksum: uint(16, 'Checksum', {
      show: 'hex',
      meaning: (sum) => (sum === 0 ? 'none (not allowed over IPv6)' : undefined),
    }),
  },
  extent: { field: 'length', of: ({ length }) => length },
})

/**
 * What is wrong with the checksum of the datagram `bytes[start, end)`, `end` being where its length field says;
 * `undefined` if nothing is, or if it has none and goes over IPv4.
 */
export function udpChecksum(
  bytes: Uint8Array,
  start: number,
  end: number,
  source: IpAddress,
  destination: IpAddress,
): ChecksumMismatch | undefined {
  const pseudo = pseudoSum(source, destination, IpProtocol.udp, end - start)
  if (readUint16(bytes, start + 6) !== 0) return checksumMismatch(bytes, start, end, start + 6, pseudo)
  if (source.family === 4) return undefined
  // RFC 8200 section 8.1: a receiver discards and counts a zero checksum. It may sum up right all the same.
  const mismatch = checksumMismatch(bytes, start, end, start + 6, pseudo)
  return { found: 0, expected: mismatch?.expected ?? 0xffff }
}

/** Computes and writes the checksum of the datagram `bytes[start, end)`; a zero goes out as its other form, 0xffff. */
export function sealUdpChecksum(
  bytes: Uint8Array,
  start: number,
  end: number,
  source: IpAddress,
  destination: IpAddress,
): void {
  sealChecksum(bytes, start, end, start + 6, pseudoSum(source, destination, IpProtocol.udp, end - start))
  if (readUint16(bytes, start + 6) === 0) writeUint16(bytes, start + 6, 0xffff)
}
