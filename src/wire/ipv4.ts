/** IPv4 (RFC 791), with the DS field of RFC 2474 and ECN of RFC 3168. */
import { type Ipv4Address, internetChecksum, readUint16, writeUint16 } from '../base/index.js'
import { defineHeader, flag, type Header, ipv4Address, uint, type WireOption } from './layout.js'
import { dscpNames, ecnNames, ipProtocolNames } from './numbers.js'

export interface Ipv4Header {
  /** Always 4. */
  version?: number
  /** Header length in 4-byte words; derived when emitted. */
  ihl?: number
  dscp?: number
  ecn?: number
  /** Header and payload in bytes. The caller's: the header does not know its payload. */
  totalLength: number
  identification: number
  reserved?: boolean
  dontFragment: boolean
  moreFragments: boolean
  /** In units of 8 bytes. */
  fragmentOffset: number
  ttl: number
  protocol: number
  /** 0 until `sealIpv4Checksum` fills it. */
  checksum?: number
  source: Ipv4Address
  destination: Ipv4Address
  options?: readonly WireOption[]
}

export const IPV4_HEADER_LENGTH = 20

export const ipv4: Header<Ipv4Header> = defineHeader<Ipv4Header>({
  name: 'ipv4',
  title: 'Internet Protocol version 4',
  ref: 'RFC 791 section 3.1',
  fields: {
    version: uint(4, 'Version', { must: 4 }),
    ihl: uint(4, 'Header length', { meaning: (words) => `${4 * words} bytes` }),
    dscp: uint(6, 'Differentiated services', { codes: dscpNames, ref: 'RFC 2474 section 3' }),
    ecn: uint(2, 'Congestion notification', { codes: ecnNames, ref: 'RFC 3168 section 5' }),
    totalLength: uint(16, 'Total length', { meaning: () => 'bytes, header and payload' }),
    identification: uint(16, 'Identification'),
    reserved: flag('Reserved flag', { meaning: (bit) => (bit ? 'must be zero' : undefined) }),
    dontFragment: flag("Don't fragment (DF)", {
      meaning: (bit) => (bit ? 'may not be fragmented' : 'may be fragmented'),
    }),
    moreFragments: flag('More fragments (MF)', {
      meaning: (bit) => (bit ? 'more fragments follow' : 'last or only fragment'),
    }),
    fragmentOffset: uint(13, 'Fragment offset', { meaning: (units) => `byte ${8 * units} of the datagram` }),
    ttl: uint(8, 'Time to live', { meaning: () => 'hops left' }),
    protocol: uint(8, 'Protocol', { codes: ipProtocolNames, ref: 'IANA protocol numbers' }),
    checksum: uint(16, 'Header checksum', { show: 'hex' }),
    source: ipv4Address('Source address'),
    destination: ipv4Address('Destination address'),
  },
  length: { field: 'ihl', of: (bytes, start) => 4 * (bytes[start]! & 15) },
  extent: { field: 'totalLength', of: (header) => header.totalLength },
  options: {
    ref: 'RFC 791 section 3.1',
    single: [0, 1],
    endKind: 0,
    unit: 1,
    countsItself: true,
    multiple: 4,
    names: {
      0: 'End of options',
      1: 'No operation',
      7: 'Record route',
      68: 'Timestamp',
      130: 'Security',
      131: 'Loose source route',
      136: 'Stream identifier',
      137: 'Strict source route',
      148: 'Router alert',
    },
  },
  derive: (_, optionBytes) => ({ ihl: (IPV4_HEADER_LENGTH + optionBytes) / 4 }),
})

/** Computes and writes the checksum of the header at `start` (RFC 791 section 3.1, RFC 1071). */
export function sealIpv4Checksum(bytes: Uint8Array, start: number): void {
  const end = start + 4 * (bytes[start]! & 15)
  writeUint16(bytes, start + 10, 0)
  writeUint16(bytes, start + 10, internetChecksum(bytes, start, end))
}

/** What the checksum of the header at `start` is and what it would have to be. */
export function ipv4Checksum(bytes: Uint8Array, start: number): { found: number; expected: number } {
  const end = start + 4 * (bytes[start]! & 15)
  const found = readUint16(bytes, start + 10)
  // 0xffff and 0 are the same to who sums: what verifies is right (RFC 1624 section 3).
  if (internetChecksum(bytes, start, end) === 0) return { found, expected: found }
  // Taking the field out of the sum, without touching the bytes (RFC 1624).
  const withZero = (~internetChecksum(bytes, start, end) & 0xffff) + (~found & 0xffff)
  const folded = (withZero & 0xffff) + (withZero >>> 16)
  return { found, expected: ~folded & 0xffff }
}
