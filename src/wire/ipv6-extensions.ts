/** IPv6's extension headers (RFC 8200 section 4) and the walk through a chain of them. */
import { ParseError } from '../base/index.js'
import { defineHeader, flag, type Header, octets, uint, type WireOption } from './layout.js'
import { IpProtocol, ipProtocolNames } from './numbers.js'
import type { OptionLayout } from './options.js'

/** Hop-by-hop and destination options share one form. */
export interface Ipv6OptionsHeader {
  nextHeader: number
  /** In units of 8 bytes, the first not counted; derived when emitted. */
  length?: number
  options?: readonly WireOption[]
}

export const Ipv6Option = { pad1: 0, padN: 1, routerAlert: 5 } as const

const ipv6OptionLayout: OptionLayout = {
  ref: 'RFC 8200 section 4.2',
  single: [Ipv6Option.pad1],
  unit: 1,
  countsItself: false,
  multiple: 8,
  pad: (bytes, from, to) => {
    bytes.fill(0, from, to)
    if (to - from < 2) return // Pad1 is a zero
    bytes[from] = Ipv6Option.padN
    bytes[from + 1] = to - from - 2
  },
  names: {
    0: 'Pad1',
    1: 'PadN',
    4: 'Tunnel encapsulation limit (RFC 2473)',
    5: 'Router alert (RFC 2711)',
    194: 'Jumbo payload (RFC 2675)',
    201: 'Home address (RFC 6275)',
  },
}

const length8 = {
  field: 'length',
  of: (bytes: Uint8Array, start: number) => 8 * (bytes[start + 1]! + 1),
} as const
const nextHeader = uint(8, 'Next header', { codes: ipProtocolNames, ref: 'IANA protocol numbers' })
const lengthField = uint(8, 'Header extension length', { meaning: (units) => `${8 * (units + 1)} bytes` })
const derive = (_: Ipv6OptionsHeader, optionBytes: number): Partial<Ipv6OptionsHeader> => ({
  length: (optionBytes + 2) / 8 - 1,
})

export const hopByHop: Header<Ipv6OptionsHeader> = defineHeader<Ipv6OptionsHeader>({
  name: 'hopByHop',
  title: 'IPv6 hop-by-hop options',
  ref: 'RFC 8200 section 4.3',
  fields: { nextHeader, length: lengthField },
  length: length8,
  options: ipv6OptionLayout,
  derive,
})

export const destinationOptions: Header<Ipv6OptionsHeader> = defineHeader<Ipv6OptionsHeader>({
  name: 'destinationOptions',
  title: 'IPv6 destination options',
  ref: 'RFC 8200 section 4.6',
  fields: { nextHeader, length: lengthField },
  length: length8,
  options: ipv6OptionLayout,
  derive,
})

/**
 * The part that all routing headers share; type-specific data follows up to `8 * (length + 1)` bytes. Type 0 is
 * deprecated (RFC 5095); none is obeyed here.
 */
export interface RoutingHeader {
  nextHeader: number
  /** In units of 8 bytes, the first not counted. */
  length: number
  routingType: number
  segmentsLeft: number
  /** First four bytes of the type-specific data. */
  data: Uint8Array
}

export const routingHeader: Header<RoutingHeader> = defineHeader<RoutingHeader>({
  name: 'routingHeader',
  title: 'IPv6 routing header',
  ref: 'RFC 8200 section 4.4',
  fields: {
    nextHeader,
    length: lengthField,
    routingType: uint(8, 'Routing type', {
      codes: { 0: 'source route (deprecated, RFC 5095)', 2: 'Mobile IPv6', 3: 'RPL', 4: 'segment routing' },
    }),
    segmentsLeft: uint(8, 'Segments left'),
    data: octets(4, 'Type-specific data'),
  },
  extent: { field: 'length', of: ({ length }) => 8 * (length + 1) },
})

export interface FragmentHeader {
  nextHeader: number
  reserved?: number
  /** In units of 8 bytes. */
  fragmentOffset: number
  reserved2?: number
  moreFragments: boolean
  identification: number
}

export const FRAGMENT_HEADER_LENGTH = 8

export const fragmentHeader: Header<FragmentHeader> = defineHeader<FragmentHeader>({
  name: 'fragmentHeader',
  title: 'IPv6 fragment header',
  ref: 'RFC 8200 section 4.5',
  fields: {
    nextHeader,
    reserved: uint(8, 'Reserved'),
    fragmentOffset: uint(13, 'Fragment offset', {
      meaning: (units) => `byte ${8 * units} of the fragmentable part`,
    }),
    reserved2: uint(2, 'Reserved'),
    moreFragments: flag('More fragments (M)', {
      meaning: (bit) => (bit ? 'more fragments follow' : 'last or only fragment'),
    }),
    identification: uint(32, 'Identification', { show: 'hex' }),
  },
})

/**
 * What a node does with an option that it does not know, by the kind's two highest bits (RFC 8200 section 4.2).
 * 'report' discards and sends a parameter problem; 'report-unicast' sends it only if the destination was unicast.
 */
export function unknownIpv6OptionAction(kind: number): 'skip' | 'discard' | 'report' | 'report-unicast' {
  return (['skip', 'discard', 'report', 'report-unicast'] as const)[(kind >>> 6) & 3]!
}

/** One extension header of a chain. */
export interface ExtensionHeader {
  readonly protocol: number
  readonly start: number
  readonly end: number
}

/** Where a walk ended. */
export interface ExtensionChain {
  /** Protocol number of what stands at `offset`: the upper layer, or the header at which the walk had to stop. */
  readonly protocol: number
  readonly offset: number
  /** Offset of the next-header byte that names `protocol`: what a parameter problem points at; -1 if none was passed. */
  readonly nextHeaderAt: number
  /** Offset of the fragment header, if there is one. */
  readonly fragmentHeaderAt?: number
  /** True after a fragment header of offset 0 < n: what stands at `offset` is the middle of something. */
  readonly laterFragment: boolean
  /** The headers passed, in order. */
  readonly headers: readonly ExtensionHeader[]
  /** Why the walk stopped before the upper layer. */
  readonly problem?: ParseError
}

/** More extension headers than this are a stranger's game: RFC 8200 section 4.1 knows six places. */
export const MAX_EXTENSION_HEADERS = 8

/** True for the protocol numbers that the walk passes. AH and ESP are upper layers here. */
export function isExtensionHeader(protocol: number): boolean {
  return (
    protocol === IpProtocol.hopByHop ||
    protocol === IpProtocol.routing ||
    protocol === IpProtocol.fragment ||
    protocol === IpProtocol.destinationOptions
  )
}

/**
 * Walks the chain in `bytes[start, end)`, where `start` is just after the IPv6 header whose next header is
 * `firstNextHeader`. Never throws. Options inside the headers are not looked at: `hopByHop.view` does that.
 */
export function walkExtensionHeaders(
  bytes: Uint8Array,
  start: number,
  end: number,
  firstNextHeader: number,
): ExtensionChain {
  const headers: ExtensionHeader[] = []
  let protocol = firstNextHeader
  let offset = start
  let nextHeaderAt = -1
  let fragmentHeaderAt: number | undefined
  let laterFragment = false
  let problem: ParseError | undefined
  const stop = Math.min(end, bytes.length)

  while (isExtensionHeader(protocol) && !laterFragment) {
    problem = problemAt(bytes, protocol, offset, stop, headers.length, fragmentHeaderAt)
    if (problem !== undefined) break
    const isFragment = protocol === IpProtocol.fragment
    const length = isFragment ? FRAGMENT_HEADER_LENGTH : 8 * (bytes[offset + 1]! + 1)
    headers.push({ protocol, start: offset, end: offset + length })
    if (isFragment) {
      fragmentHeaderAt = offset
      laterFragment = ((bytes[offset + 2]! << 8) | (bytes[offset + 3]! & 0xf8)) !== 0
    }
    nextHeaderAt = offset
    protocol = bytes[offset]!
    offset += length
  }
  return {
    protocol,
    offset,
    nextHeaderAt,
    laterFragment,
    headers,
    ...(fragmentHeaderAt === undefined ? {} : { fragmentHeaderAt }),
    ...(problem === undefined ? {} : { problem }),
  }
}

function problemAt(
  bytes: Uint8Array,
  protocol: number,
  offset: number,
  end: number,
  passed: number,
  fragmentHeaderAt: number | undefined,
): ParseError | undefined {
  const malformed = (field: string, found: string, expected: string): ParseError =>
    new ParseError('ipv6Extension', field, offset, found, expected)
  if (passed >= MAX_EXTENSION_HEADERS)
    return malformed('count', 'another extension header', `at most ${MAX_EXTENSION_HEADERS}`)
  // RFC 8200 section 4.1: hop-by-hop options stand directly behind the IPv6 header and nowhere else.
  if (protocol === IpProtocol.hopByHop && passed > 0)
    return malformed('hopByHop', `hop-by-hop options as header ${passed + 1}`, 'first, or not at all')
  if (protocol === IpProtocol.fragment && fragmentHeaderAt !== undefined)
    return malformed('fragment', 'a second fragment header', 'one')
  const have = end - offset
  const needed = protocol === IpProtocol.fragment || have < 2 ? 8 : 8 * (bytes[offset + 1]! + 1)
  return needed > have
    ? malformed('length', `${needed} bytes`, `at most the ${have} that are there`)
    : undefined
}
