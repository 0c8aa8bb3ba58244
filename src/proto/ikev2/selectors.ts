/** Traffic selectors as sets (RFC 7296 section 2.9): narrowing is the part that two of them share. */
import { type IpPrefix, ipAddressFrom } from '../../base/index.js'
import { type IkeSelector, SelectorType } from '../../wire/ike/index.js'
import { IpProtocol } from '../../wire/numbers.js'

/** A range of addresses with a range of ports of one protocol; ICMP's type and code stand as a port. */
export interface Selector {
  readonly family: 4 | 6
  /** Both ends included. */
  readonly start: Uint8Array
  readonly end: Uint8Array
  /** 0: any, and then any port. */
  readonly protocol: number
  readonly startPort: number
  readonly endPort: number
}

/** All of a prefix. */
export function selectorOfPrefix(
  { address, length }: IpPrefix,
  protocol = 0,
  ports: { readonly first: number; readonly last: number } = { first: 0, last: 0xffff },
): Selector {
  const start = Uint8Array.from(address.bytes)
  const end = Uint8Array.from(start, (byte, i) => byte | (0xff >> Math.min(8, Math.max(0, length - 8 * i))))
  return { family: address.family, start, end, protocol, startPort: ports.first, endPort: ports.last }
}

/** Undefined: of a type that is not understood, or the ends are the wrong way round. */
export function selectorOf(wire: IkeSelector): Selector | undefined {
  const family =
    wire.type === SelectorType.ipv4Range ? 4 : wire.type === SelectorType.ipv6Range ? 6 : undefined
  const { protocol, startPort, endPort, startAddress: start, endAddress: end } = wire
  if (family === undefined || compare(start, end) > 0) return undefined
  // RFC 7296 section 3.13.1: 65535 to 0 is OPAQUE, packets whose ports cannot be seen. No policy here asks for them.
  if (startPort > endPort) return undefined
  const last = lastPort(protocol, startPort, endPort)
  return last === undefined ? undefined : { family, start, end, protocol, startPort, endPort: last }
}

/** TCP, UDP, DCCP, SCTP, UDP-Lite. */
const WITH_PORTS: readonly number[] = [6, 17, 33, 132, 136]

/**
 * The last port that policies can tell from the others; undefined: none, as no packet of that protocol has ports. RFC 7296
 * section 3.13.1: with any protocol all ports are meant. Of ICMP it is all, one type, or one type and code: a range that
 * is none of these is narrowed to what stands first.
 */
function lastPort(protocol: number, first: number, last: number): number | undefined {
  if (first === 0 && last === 0xffff) return last
  if (WITH_PORTS.includes(protocol)) return last
  if (protocol !== IpProtocol.icmp && protocol !== IpProtocol.icmpv6) return undefined
  if (first === last) return last
  return (first & 0xff) === 0 && last >= first + 0xff ? first + 0xff : first
}

export const wireSelector = ({
  family,
  protocol,
  startPort,
  endPort,
  start,
  end,
}: Selector): IkeSelector => ({
  type: family === 4 ? SelectorType.ipv4Range : SelectorType.ipv6Range,
  protocol,
  startPort,
  endPort,
  startAddress: start,
  endAddress: end,
})

/** What both cover; undefined: nothing. */
export function intersect(a: Selector, b: Selector): Selector | undefined {
  if (a.family !== b.family) return undefined
  if (a.protocol !== 0 && b.protocol !== 0 && a.protocol !== b.protocol) return undefined
  const start = compare(a.start, b.start) >= 0 ? a.start : b.start
  const end = compare(a.end, b.end) <= 0 ? a.end : b.end
  const startPort = Math.max(a.startPort, b.startPort)
  const endPort = Math.min(a.endPort, b.endPort)
  if (compare(start, end) > 0 || startPort > endPort) return undefined
  return { family: a.family, start, end, protocol: a.protocol || b.protocol, startPort, endPort }
}

/** Whether `outer` covers all of `inner`. */
export function covers(outer: Selector, inner: Selector): boolean {
  const common = intersect(outer, inner)
  return common !== undefined && sameSelector(common, inner)
}

export const sameSelector = (a: Selector, b: Selector): boolean =>
  a.family === b.family &&
  a.protocol === b.protocol &&
  a.startPort === b.startPort &&
  a.endPort === b.endPort &&
  compare(a.start, b.start) === 0 &&
  compare(a.end, b.end) === 0

export function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** The prefixes that make up a range, the fewest: what policies of a kernel and routes are made of. */
export function prefixesOf({
  start,
  end,
  family,
}: Selector): { readonly address: Uint8Array; readonly length: number }[] {
  const bits = family === 4 ? 32 : 128
  const toNumber = (bytes: Uint8Array): bigint => bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  const toBytes = (value: bigint): Uint8Array =>
    Uint8Array.from({ length: bits / 8 }, (_, i) => Number((value >> BigInt(bits - 8 - 8 * i)) & 0xffn))
  const prefixes: { address: Uint8Array; length: number }[] = []
  let at = toNumber(start)
  const last = toNumber(end)
  while (at <= last) {
    let size = 0
    // As large as alignment and what is left allow.
    while (size < bits && (at & (1n << BigInt(size))) === 0n && at + (1n << BigInt(size + 1)) - 1n <= last)
      size++
    prefixes.push({ address: toBytes(at), length: bits - size })
    at += 1n << BigInt(size)
  }
  return prefixes
}

/** `10.1.0.0/16`, `192.0.2.1-192.0.2.9[tcp/443]`: for logs and status. */
export function formatSelector(selector: Selector): string {
  const { start, end, protocol, startPort, endPort } = selector
  const prefixes = compare(start, end) === 0 ? [] : prefixesOf(selector)
  const range =
    compare(start, end) === 0
      ? `${ipAddressFrom(start)}`
      : prefixes.length === 1
        ? `${ipAddressFrom(prefixes[0]!.address)}/${prefixes[0]!.length}`
        : `${ipAddressFrom(start)}-${ipAddressFrom(end)}`
  const port =
    startPort === 0 && endPort === 0xffff
      ? ''
      : startPort === endPort
        ? `${startPort}`
        : `${startPort}-${endPort}`
  if (protocol === 0 && port === '') return range
  return `${range}[${protocol === 0 ? 'any' : protocol}${port === '' ? '' : `/${port}`}]`
}
