/**
 * Link types of capture files: what the first byte of a packet is. Numbers are those of the LINKTYPE registry that
 * pcap and pcapng share, not the DLT numbers of one operating system.
 */
import { readUint16, readUint32 } from '../base/index.js'
import { EtherType } from '../wire/numbers.js'

export const LinkType = {
  /** BSD loopback: the address family in 4 bytes, in the byte order of the machine that wrote it. */
  null: 0,
  ethernet: 1,
  /** A bare IPv4 or IPv6 packet. */
  raw: 101,
  /** OpenBSD loopback: the address family in 4 bytes, network order. */
  loop: 108,
  /** Linux "cooked" capture. */
  linuxSll: 113,
  ipv4: 228,
  ipv6: 229,
} as const

export type LinkTypeName = keyof typeof LinkType

/** DLT_RAW and DLT_LOOP of systems that wrote their own number into a file. */
const aliases: Readonly<Record<number, number>> = { 12: LinkType.raw, 14: LinkType.raw }

/** The registry's number for a number found in a file. */
export const normalLinkType = (found: number): number => aliases[found] ?? found

/** Names as tcpdump's `-y` takes them, and ours. */
const byName: Readonly<Record<string, number>> = {
  null: LinkType.null,
  ethernet: LinkType.ethernet,
  en10mb: LinkType.ethernet,
  eth: LinkType.ethernet,
  raw: LinkType.raw,
  ip: LinkType.raw,
  loop: LinkType.loop,
  linux_sll: LinkType.linuxSll,
  sll: LinkType.linuxSll,
  ipv4: LinkType.ipv4,
  ipv6: LinkType.ipv6,
}

export const linkTypeNames: readonly string[] = [
  'ethernet',
  'raw',
  'ipv4',
  'ipv6',
  'null',
  'loop',
  'linux_sll',
]

/** A link type by name or number; `undefined` if it is neither. */
export function parseLinkType(text: string): number | undefined {
  if (/^\d+$/.test(text)) return normalLinkType(Number(text))
  const name = text.toLowerCase().replace(/-/g, '_')
  return Object.hasOwn(byName, name) ? byName[name] : undefined
}

/** The name that tcpdump prints: EN10MB, RAW, … */
export function linkTypeLabel(linkType: number): string {
  switch (linkType) {
    case LinkType.null:
      return 'NULL'
    case LinkType.ethernet:
      return 'EN10MB'
    case LinkType.raw:
      return 'RAW'
    case LinkType.loop:
      return 'LOOP'
    case LinkType.linuxSll:
      return 'LINUX_SLL'
    case LinkType.ipv4:
      return 'IPV4'
    case LinkType.ipv6:
      return 'IPV6'
    default:
      return `LINKTYPE ${linkType}`
  }
}

export const isKnownLinkType = (linkType: number): boolean =>
  (Object.values(LinkType) as readonly number[]).includes(linkType)

export const LINUX_SLL_HEADER_LENGTH = 16
export const NULL_HEADER_LENGTH = 4

/** Bytes before the network layer, VLAN tags not counted. */
export function linkHeaderLength(linkType: number): number {
  switch (linkType) {
    case LinkType.ethernet:
      return 14
    case LinkType.null:
    case LinkType.loop:
      return NULL_HEADER_LENGTH
    case LinkType.linuxSll:
      return LINUX_SLL_HEADER_LENGTH
    default:
      return 0
  }
}

/** EtherType of a packet whose first byte is its IP version; 0 if it is neither. */
export function etherTypeOfVersion(firstByte: number | undefined): number {
  if (firstByte === undefined) return 0
  return firstByte >> 4 === 4 ? EtherType.ipv4 : firstByte >> 4 === 6 ? EtherType.ipv6 : 0
}

/** Address families that mean IPv6 in a loopback header: OpenBSD and NetBSD 24, FreeBSD 28, macOS 30, Linux 10. */
const inet6Families: readonly number[] = [24, 28, 30, 10]

/** EtherType that a 4-byte loopback header announces; 0 if the family is another. */
export function etherTypeOfFamily(bytes: Uint8Array, at: number): number {
  const family = loopbackFamily(bytes, at)
  return family === 2 ? EtherType.ipv4 : inet6Families.includes(family) ? EtherType.ipv6 : 0
}

/** The family, whichever byte order wrote it: families are small, so a large number was written the other way. */
export function loopbackFamily(bytes: Uint8Array, at: number): number {
  const family = readUint32(bytes, at)
  if (family <= 0xffff) return family
  return ((bytes[at + 3]! << 24) | (bytes[at + 2]! << 16) | (bytes[at + 1]! << 8) | bytes[at]!) >>> 0
}

/** EtherType of the network layer, or 0 where the link header is cut off or names none. */
export function networkEtherType(bytes: Uint8Array, linkType: number, start: number, end: number): number {
  const header = linkHeaderLength(linkType)
  if (end - start < header) return 0
  switch (linkType) {
    case LinkType.ethernet:
      return readUint16(bytes, start + 12)
    case LinkType.null:
    case LinkType.loop:
      return etherTypeOfFamily(bytes, start)
    case LinkType.linuxSll:
      return readUint16(bytes, start + 14)
    case LinkType.raw:
    case LinkType.ipv4:
    case LinkType.ipv6:
      return start < end ? etherTypeOfVersion(bytes[start]) : 0
    default:
      return 0
  }
}

/**
 * Which link type bare bytes most likely have: an IP packet if the version nibble and the lengths agree, an
 * Ethernet frame if its EtherType is one we know. `undefined` if neither is plausible.
 */
export function guessLinkType(bytes: Uint8Array): number | undefined {
  const first = bytes[0]
  if (first === undefined) return undefined
  const asIp = plausibleIp(bytes, 0)
  const etherType = bytes.length >= 14 ? readUint16(bytes, 12) : 0
  const asEthernet = knownEtherTypes.includes(etherType)
  if (asEthernet) {
    const carriesIp = etherType === EtherType.ipv4 || etherType === EtherType.ipv6
    // A MAC address may begin with 45 or 60: the inner header decides.
    if (!asIp || !carriesIp || plausibleIp(bytes, 14)) return LinkType.ethernet
  }
  if (asIp) return LinkType.raw
  if (asEthernet) return LinkType.ethernet
  if (bytes.length >= 5 && etherTypeOfFamily(bytes, 0) !== 0 && plausibleIp(bytes, 4)) return LinkType.loop
  return undefined
}

const knownEtherTypes: readonly number[] = [
  EtherType.ipv4,
  EtherType.ipv6,
  EtherType.arp,
  EtherType.vlan,
  EtherType.qinq,
  0x8847,
  0x8863,
  0x8864,
  0x88cc,
]

/** Whether an IP header at `at` has lengths that could be true; a packet cut short is allowed, one too long is not. */
function plausibleIp(bytes: Uint8Array, at: number): boolean {
  const first = bytes[at]
  if (first === undefined) return false
  if (first >> 4 === 4) {
    const headerLength = 4 * (first & 15)
    if (headerLength < 20) return false
    if (bytes.length < at + 4) return true
    return readUint16(bytes, at + 2) >= headerLength
  }
  if (first >> 4 !== 6) return false
  // The next header is one that can follow: what is no protocol at all speaks for another link type.
  return bytes.length < at + 7 || ipv6NextHeaders.includes(bytes[at + 6]!)
}

const ipv6NextHeaders: readonly number[] = [0, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 89, 97, 132]
