/**
 * ICMP (RFC 792), with the next-hop MTU of RFC 1191 and the length of RFC 4884.
 *
 * The second word of the header is one of several, by type. What follows the 8 bytes is the payload: an echo's data,
 * or the start of the datagram that an error is about.
 */
import type { Ipv4Address } from '../base/index.js'
import { type ChecksumMismatch, checksumMismatch, sealChecksum } from './checksum.js'
import { type CodeTable, defineHeader, type Header, ipv4Address, uint } from './layout.js'

export const IcmpType = {
  echoReply: 0,
  destinationUnreachable: 3,
  sourceQuench: 4,
  redirect: 5,
  echo: 8,
  routerAdvertisement: 9,
  routerSolicitation: 10,
  timeExceeded: 11,
  parameterProblem: 12,
  timestamp: 13,
  timestampReply: 14,
} as const

/** Codes of destination unreachable (RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1). */
export const IcmpUnreachable = {
  net: 0,
  host: 1,
  protocol: 2,
  port: 3,
  fragmentationNeeded: 4,
  sourceRouteFailed: 5,
  administrativelyProhibited: 13,
} as const

export const icmpTypeNames: CodeTable = {
  0: 'echo reply',
  3: 'destination unreachable',
  4: 'source quench (deprecated, RFC 6633)',
  5: 'redirect',
  8: 'echo request',
  9: 'router advertisement',
  10: 'router solicitation',
  11: 'time exceeded',
  12: 'parameter problem',
  13: 'timestamp request',
  14: 'timestamp reply',
}

/** Names of the codes of each type that has some. */
export const icmpCodeNames: Readonly<Record<number, CodeTable>> = {
  3: {
    0: 'net unreachable',
    1: 'host unreachable',
    2: 'protocol unreachable',
    3: 'port unreachable',
    4: 'fragmentation needed and DF set',
    5: 'source route failed',
    6: 'destination network unknown',
    7: 'destination host unknown',
    8: 'source host isolated',
    9: 'network administratively prohibited',
    10: 'host administratively prohibited',
    11: 'network unreachable for this type of service',
    12: 'host unreachable for this type of service',
    13: 'communication administratively prohibited',
    14: 'host precedence violation',
    15: 'precedence cutoff in effect',
  },
  5: {
    0: 'redirect for the network',
    1: 'redirect for the host',
    2: 'redirect for the type of service and network',
    3: 'redirect for the type of service and host',
  },
  11: { 0: 'time to live exceeded in transit', 1: 'fragment reassembly time exceeded' },
  12: { 0: 'pointer indicates the error', 1: 'missing a required option', 2: 'bad length' },
}

export interface IcmpHeader {
  type: number
  code: number
  /** 0 until `sealIcmpChecksum` fills it. */
  checksum?: number
  /** Echo and timestamp. */
  identifier?: number
  /** Echo and timestamp. */
  sequence?: number
  /** Redirect: the gateway to use instead. */
  gateway?: Ipv4Address
  /** Parameter problem: byte of the original datagram. */
  pointer?: number
  /** First unused byte of unreachable and time exceeded. */
  unused?: number
  /** Unreachable, time exceeded, parameter problem: 4-byte words of the original datagram; 0 if no extensions follow. */
  length?: number
  /** Unreachable: the MTU that was too small, for code 4; 0 from a router older than RFC 1191. */
  nextHopMtu?: number
  /** Last two unused bytes of time exceeded and parameter problem. */
  unusedTail?: number
  /** The second word of a type that is not known. */
  rest?: number
}

export const ICMP_HEADER_LENGTH = 8

const isOneOf =
  (...types: readonly number[]) =>
  ({ type }: IcmpHeader): boolean =>
    types.includes(type)
const isUnknown = ({ type }: IcmpHeader): boolean => ![0, 3, 5, 8, 11, 12, 13, 14].includes(type)
const zero = { meaning: (value: number) => (value === 0 ? undefined : 'should be zero') }

export const icmp: Header<IcmpHeader> = defineHeader<IcmpHeader>({
  name: 'icmp',
  title: 'Internet Control Message Protocol',
  ref: 'RFC 792',
  fields: {
    type: uint(8, 'Type', { codes: icmpTypeNames }),
    code: uint(8, 'Code', { codes: ({ type }: IcmpHeader) => icmpCodeNames[type] }),
    checksum: uint(16, 'Checksum', { show: 'hex' }),
    identifier: uint(16, 'Identifier', { show: 'hex', when: isOneOf(0, 8, 13, 14), at: 4 }),
    sequence: uint(16, 'Sequence number', { when: isOneOf(0, 8, 13, 14), at: 6 }),
    gateway: ipv4Address('Gateway Internet address', { when: isOneOf(5), at: 4 }),
    pointer: uint(8, 'Pointer', {
      when: isOneOf(12),
      at: 4,
      meaning: (at) => `byte ${at} of the original datagram`,
    }),
    unused: uint(8, 'Unused', { when: isOneOf(3, 11), at: 4, ...zero }),
    length: uint(8, 'Length of the original datagram', {
      when: isOneOf(3, 11, 12),
      at: 5,
      ref: 'RFC 4884 section 4',
      meaning: (words) => (words === 0 ? 'no extensions' : `${4 * words} bytes, extensions follow`),
    }),
    nextHopMtu: uint(16, 'Next-hop MTU', {
      when: isOneOf(3),
      at: 6,
      ref: 'RFC 1191 section 4',
      meaning: (mtu, { code }: IcmpHeader) =>
        code === 4 ? (mtu === 0 ? 'not told' : 'bytes') : mtu === 0 ? undefined : 'should be zero',
    }),
    unusedTail: uint(16, 'Unused', { when: isOneOf(11, 12), at: 6, ...zero }),
    rest: uint(32, 'Rest of header', { show: 'hex', when: isUnknown, at: 4 }),
  },
})

/** What is wrong with the checksum of the ICMP message `bytes[start, end)`; `undefined` if nothing is. */
export const icmpChecksum = (bytes: Uint8Array, start: number, end: number): ChecksumMismatch | undefined =>
  checksumMismatch(bytes, start, end, start + 2)

/** Computes and writes the checksum of the ICMP message `bytes[start, end)`. */
export const sealIcmpChecksum = (bytes: Uint8Array, start: number, end: number): void =>
  sealChecksum(bytes, start, end, start + 2)
