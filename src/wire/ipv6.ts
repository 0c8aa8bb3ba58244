/** IPv6 (RFC 8200): the fixed header. What may stand between it and the payload is ipv6-extensions.ts. */
import type { Ipv6Address } from '../base/index.js'
import { defineHeader, type Header, ipv6Address, uint } from './layout.js'
import { dscpNames, ecnNames, ipProtocolNames } from './numbers.js'

export interface Ipv6Header {
  /** Always 6. */
  version?: number
  dscp?: number
  ecn?: number
  flowLabel?: number
  /** Bytes after this header, extension headers included. The caller's. */
  payloadLength: number
  nextHeader: number
  hopLimit: number
  source: Ipv6Address
  destination: Ipv6Address
}

export const IPV6_HEADER_LENGTH = 40
/** Every link carries packets of this many bytes (RFC 8200 section 5). */
export const IPV6_MINIMUM_MTU = 1280

export const ipv6: Header<Ipv6Header> = defineHeader<Ipv6Header>({
  name: 'ipv6',
  title: 'Internet Protocol version 6',
  ref: 'RFC 8200 section 3',
  fields: {
    version: uint(4, 'Version', { must: 6 }),
    dscp: uint(6, 'Differentiated services', { codes: dscpNames, ref: 'RFC 2474 section 3' }),
    ecn: uint(2, 'Congestion notification', { codes: ecnNames, ref: 'RFC 3168 section 5' }),
    flowLabel: uint(20, 'Flow label', { show: 'hex', ref: 'RFC 6437' }),
    payloadLength: uint(16, 'Payload length', { meaning: () => 'bytes after this header' }),
    nextHeader: uint(8, 'Next header', { codes: ipProtocolNames, ref: 'IANA protocol numbers' }),
    hopLimit: uint(8, 'Hop limit', { meaning: () => 'hops left' }),
    source: ipv6Address('Source address'),
    destination: ipv6Address('Destination address'),
  },
  extent: { field: 'payloadLength', of: ({ payloadLength }) => IPV6_HEADER_LENGTH + payloadLength },
})
