/**
 * ICMPv6 (RFC 4443): errors and echo. The messages of neighbour discovery are nd.ts; seen through this header they
 * have a `rest`.
 */
import type { Ipv6Address } from '../base/index.js'
import { type ChecksumMismatch, checksumMismatch, pseudoSum, sealChecksum } from './checksum.js'
import { type CodeTable, defineHeader, type Header, uint } from './layout.js'
import { IpProtocol } from './numbers.js'

export const Icmpv6Type = {
  destinationUnreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echoRequest: 128,
  echoReply: 129,
  mldQuery: 130,
  mldReport: 131,
  mldDone: 132,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighborSolicitation: 135,
  neighborAdvertisement: 136,
  redirect: 137,
  mldv2Report: 143,
} as const

/** Codes of destination unreachable (RFC 4443 section 3.1). */
export const Icmpv6Unreachable = {
  noRoute: 0,
  administrativelyProhibited: 1,
  beyondScope: 2,
  address: 3,
  port: 4,
} as const

export const icmpv6TypeNames: CodeTable = {
  1: 'destination unreachable',
  2: 'packet too big',
  3: 'time exceeded',
  4: 'parameter problem',
  128: 'echo request',
  129: 'echo reply',
  130: 'multicast listener query',
  131: 'multicast listener report',
  132: 'multicast listener done',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbor solicitation',
  136: 'neighbor advertisement',
  137: 'redirect',
  143: 'multicast listener report v2',
}

/** Names of the codes of each type that has some. */
export const icmpv6CodeNames: Readonly<Record<number, CodeTable>> = {
  1: {
    0: 'no route to destination',
    1: 'administratively prohibited',
    2: 'beyond scope of source address',
    3: 'address unreachable',
    4: 'port unreachable',
    5: 'source address failed ingress/egress policy',
    6: 'reject route to destination',
  },
  3: { 0: 'hop limit exceeded in transit', 1: 'fragment reassembly time exceeded' },
  4: {
    0: 'erroneous header field',
    1: 'unrecognized next header type',
    2: 'unrecognized IPv6 option',
    3: 'first fragment has an incomplete header chain (RFC 7112)',
  },
}

export interface Icmpv6Header {
  type: number
  code: number
  /** 0 until `sealIcmpv6Checksum` fills it. */
  checksum?: number
  /** Echo. */
  identifier?: number
  /** Echo. */
  sequence?: number
  /** Packet too big: MTU of the next hop. */
  mtu?: number
  /** Parameter problem: byte of the original packet. */
  pointer?: number
  /** Unreachable, time exceeded: 8-byte words of the original packet; 0 if no extensions follow (RFC 4884). */
  length?: number
  /** Unreachable, time exceeded. */
  unused?: number
  /** The second word of any other type. */
  rest?: number
}

export const ICMPV6_HEADER_LENGTH = 8

const isOneOf =
  (...types: readonly number[]) =>
  ({ type }: Icmpv6Header): boolean =>
    types.includes(type)

export const icmpv6: Header<Icmpv6Header> = defineHeader<Icmpv6Header>({
  name: 'icmpv6',
  title: 'Internet Control Message Protocol version 6',
  ref: 'RFC 4443 section 2.1',
  fields: {
    type: uint(8, 'Type', { codes: icmpv6TypeNames }),
    code: uint(8, 'Code', { codes: ({ type }: Icmpv6Header) => icmpv6CodeNames[type] }),
    checksum: uint(16, 'Checksum', { show: 'hex', ref: 'RFC 4443 section 2.3' }),
    identifier: uint(16, 'Identifier', {
      show: 'hex',
      when: isOneOf(128, 129),
      at: 4,
      ref: 'RFC 4443 section 4.1',
    }),
    sequence: uint(16, 'Sequence number', { when: isOneOf(128, 129), at: 6, ref: 'RFC 4443 section 4.1' }),
    mtu: uint(32, 'MTU', {
      when: isOneOf(2),
      at: 4,
      ref: 'RFC 4443 section 3.2',
      meaning: () => 'bytes, of the next hop',
    }),
    pointer: uint(32, 'Pointer', {
      when: isOneOf(4),
      at: 4,
      ref: 'RFC 4443 section 3.4',
      meaning: (at) => `byte ${at} of the original packet`,
    }),
    length: uint(8, 'Length of the original packet', {
      when: isOneOf(1, 3),
      at: 4,
      ref: 'RFC 4884 section 4.4',
      meaning: (words) => (words === 0 ? 'no extensions' : `${8 * words} bytes, extensions follow`),
    }),
    unused: uint(24, 'Unused', {
      when: isOneOf(1, 3),
      at: 5,
      meaning: (value) => (value === 0 ? undefined : 'should be zero'),
    }),
    rest: uint(32, 'Rest of header', {
      show: 'hex',
      when: ({ type }: Icmpv6Header) => ![1, 2, 3, 4, 128, 129].includes(type),
      at: 4,
    }),
  },
})

/** What is wrong with the checksum of the message `bytes[start, end)`; `undefined` if nothing is. */
export const icmpv6Checksum = (
  bytes: Uint8Array,
  start: number,
  end: number,
  source: Ipv6Address,
  destination: Ipv6Address,
): ChecksumMismatch | undefined =>
  checksumMismatch(
    bytes,
    start,
    end,
    start + 2,
    pseudoSum(source, destination, IpProtocol.icmpv6, end - start),
  )

/** Computes and writes the checksum of the message `bytes[start, end)` (RFC 4443 section 2.3). */
export const sealIcmpv6Checksum = (
  bytes: Uint8Array,
  start: number,
  end: number,
  source: Ipv6Address,
  destination: Ipv6Address,
): void =>
  sealChecksum(bytes, start, end, start + 2, pseudoSum(source, destination, IpProtocol.icmpv6, end - start))
