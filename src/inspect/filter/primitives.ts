/** The tests that filters are made of, as closures over a `FilterContext`; offsets from the wire declarations. */
import type { IpAddress, IpPrefix, MacAddress } from '../../base/index.js'
import { arp } from '../../wire/arp.js'
import { ethernet } from '../../wire/ethernet.js'
import { ipv4 } from '../../wire/ipv4.js'
import { IPV6_HEADER_LENGTH, ipv6 } from '../../wire/ipv6.js'
import { EtherType, IpProtocol } from '../../wire/numbers.js'
import { LinkType } from '../link-type.js'
import type { FilterContext } from './context.js'

export type Test = (packet: FilterContext) => boolean

/** Which addresses or ports count: `src`, `dst`, either, both. */
export type Direction = 'src' | 'dst' | 'or' | 'and'

/** Network layers that a `host` or `net` may be limited to. */
export type NetworkName = 'ip' | 'ip6' | 'arp' | 'rarp'

const at4 = ipv4.offset
const at6 = ipv6.offset
export const REVARP: number = 0x8035

const everyTest =
  (tests: readonly Test[]): Test =>
  (packet) =>
    tests.every((test) => test(packet))
const anyTest =
  (tests: readonly Test[]): Test =>
  (packet) =>
    tests.some((test) => test(packet))

export const both =
  (a: Test, b: Test): Test =>
  (packet) =>
    a(packet) && b(packet)
export const either =
  (a: Test, b: Test): Test =>
  (packet) =>
    a(packet) || b(packet)
export const negate =
  (a: Test): Test =>
  (packet) =>
    !a(packet)

const inDirection = (direction: Direction, source: Test, destination: Test): Test => {
  switch (direction) {
    case 'src':
      return source
    case 'dst':
      return destination
    case 'or':
      return either(source, destination)
    case 'and':
      return both(source, destination)
  }
}

export const etherTypeTest =
  (etherType: number, tags: number): Test =>
  (packet) =>
    packet.etherType(tags) === etherType

/** IP protocol in IPv4, or in IPv6 directly or behind a fragment header, as BPF does; no other extension header. */
export function protocolTest(protocol: number, family: 4 | 6 | undefined, tags: number): Test {
  const in4: Test = (packet) =>
    packet.isIp4(tags) && packet.load8(packet.network(tags) + at4.protocol) === protocol
  const in6: Test = (packet) => {
    if (!packet.isIp6(tags)) return false
    const network = packet.network(tags)
    const next = packet.load8(network + at6.nextHeader)
    if (next === protocol) return true
    return next === IpProtocol.fragment && packet.load8(network + IPV6_HEADER_LENGTH) === protocol
  }
  return family === 4 ? in4 : family === 6 ? in6 : either(in4, in6)
}

/** `undefined` network: every one that an address of this family can stand in. */
export function addressTest(
  wanted: IpAddress | IpPrefix,
  direction: Direction,
  network: NetworkName | undefined,
  tags: number,
): Test {
  const { bytes, mask } = maskOf(wanted)
  const tests: Test[] = []
  const compare =
    (offset: number): Test =>
    (packet) =>
      packet.matches(packet.network(tags) + offset, bytes, mask)
  const add = (name: NetworkName, etherType: number, source: number, destination: number): void => {
    if (network !== undefined && network !== name) return
    tests.push(
      both(etherTypeTest(etherType, tags), inDirection(direction, compare(source), compare(destination))),
    )
  }
  if (bytes.length === 4) {
    add('ip', EtherType.ipv4, at4.source, at4.destination)
    add('arp', EtherType.arp, arp.offset.senderProtocol, arp.offset.targetProtocol)
    add('rarp', REVARP, arp.offset.senderProtocol, arp.offset.targetProtocol)
  } else add('ip6', EtherType.ipv6, at6.source, at6.destination)
  return anyTest(tests)
}

function maskOf(wanted: IpAddress | IpPrefix): { bytes: Uint8Array; mask?: Uint8Array } {
  if ('bytes' in wanted) return { bytes: wanted.bytes }
  return { bytes: wanted.address.bytes, mask: wanted.mask.bytes }
}

export function macTest(wanted: MacAddress, direction: Direction): Test {
  const compare =
    (offset: number): Test =>
    (packet) =>
      packet.matches(offset, wanted.bytes)
  return both(
    (packet) => packet.linkType === LinkType.ethernet,
    inDirection(direction, compare(ethernet.offset.source), compare(ethernet.offset.destination)),
  )
}

export const etherGroupTest: Test = (packet) =>
  packet.linkType === LinkType.ethernet && (packet.load8(ethernet.offset.destination) & 1) === 1

/** Transports that have ports. */
const portProtocols: readonly number[] = [IpProtocol.tcp, IpProtocol.udp, 132]

/** A port from `low` to `high` in TCP, UDP or SCTP, or only in `protocol`; never in later fragments. */
export function portTest(
  low: number,
  high: number,
  direction: Direction,
  protocol: number | undefined,
  tags: number,
): Test {
  const fits = (value: number): boolean => value >= low && value <= high
  const transport = (packet: FilterContext): number => {
    const network = packet.network(tags)
    if (packet.isIp4(tags)) {
      const found = packet.load8(network + at4.protocol)
      if (protocol === undefined ? !portProtocols.includes(found) : found !== protocol) return -1
      if (packet.load16(network + at4.reserved) & 0x1fff) return -1
      return network + 4 * (packet.load8(network) & 15)
    }
    if (!packet.isIp6(tags)) return -1
    const found = packet.load8(network + at6.nextHeader)
    if (protocol === undefined ? !portProtocols.includes(found) : found !== protocol) return -1
    return network + IPV6_HEADER_LENGTH
  }
  return (packet) => {
    const ports = transport(packet)
    if (ports < 0) return false
    const source = direction !== 'dst' && fits(packet.load16(ports))
    if (direction === 'src' || (direction === 'or' && source)) return source
    if (direction === 'and' && !source) return false
    return fits(packet.load16(ports + 2))
  }
}

/** A VLAN tag behind `tags` others, of this identifier if one is given. */
export const vlanTest =
  (identifier: number | undefined, tags: number): Test =>
  (packet) => {
    if (packet.linkType !== LinkType.ethernet) return false
    const etherType = packet.etherType(tags)
    if (etherType !== EtherType.vlan && etherType !== EtherType.qinq && etherType !== 0x9100) return false
    return identifier === undefined || (packet.load16(packet.network(tags)) & 0xfff) === identifier
  }

export const multicastTest = (family: 4 | 6, tags: number): Test =>
  family === 4
    ? (packet) => packet.isIp4(tags) && packet.load8(packet.network(tags) + at4.destination) >= 224
    : (packet) => packet.isIp6(tags) && packet.load8(packet.network(tags) + at6.destination) === 0xff

/** Where `name[offset]` counts from; -1: this packet has no such header, and the comparison is false. */
export type Base = (packet: FilterContext) => number

export function baseOf(name: string, tags: number): Base | undefined {
  switch (name) {
    case 'ether':
    case 'link':
      return () => 0
    case 'ip':
      return (packet) => (packet.isIp4(tags) ? packet.network(tags) : -1)
    case 'ip6':
      return (packet) => (packet.isIp6(tags) ? packet.network(tags) : -1)
    case 'arp':
    case 'rarp': {
      const etherType = name === 'arp' ? EtherType.arp : REVARP
      return (packet) => (packet.etherType(tags) === etherType ? packet.network(tags) : -1)
    }
    case 'icmp6':
      return (packet) => {
        if (!packet.isIp6(tags)) return -1
        const network = packet.network(tags)
        return packet.load8(network + at6.nextHeader) === IpProtocol.icmpv6
          ? network + IPV6_HEADER_LENGTH
          : -1
      }
  }
  const protocol = Object.hasOwn(ip4Bases, name) ? ip4Bases[name] : undefined
  if (protocol === undefined) return undefined
  // As in BPF: over IPv4 only, and only where the header is: in the first fragment.
  return (packet) => {
    if (!packet.isIp4(tags)) return -1
    const network = packet.network(tags)
    if (packet.load8(network + at4.protocol) !== protocol) return -1
    if (packet.load16(network + at4.reserved) & 0x1fff) return -1
    return network + 4 * (packet.load8(network) & 15)
  }
}

const ip4Bases: Readonly<Record<string, number>> = {
  tcp: IpProtocol.tcp,
  udp: IpProtocol.udp,
  icmp: IpProtocol.icmp,
  igmp: 2,
  gre: IpProtocol.gre,
  esp: IpProtocol.esp,
  ah: IpProtocol.ah,
  etherip: IpProtocol.etherip,
}

export { anyTest, everyTest }
