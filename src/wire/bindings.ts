/** Which header follows which, as data: what a dissector walks. */
import { ah } from './ah.js'
import { arp } from './arp.js'
import { eoip } from './eoip.js'
import { esp, espTrailer } from './esp.js'
import { etherip } from './etherip.js'
import { ethernet, vlan } from './ethernet.js'
import { gre } from './gre.js'
import { icmp } from './icmp.js'
import { icmpv6 } from './icmpv6.js'
import {
  ike,
  ikeAttribute,
  ikeAuth,
  ikeCert,
  ikeConfig,
  ikeConfigAttribute,
  ikeDelete,
  ikeEap,
  ikeFragment,
  ikeId,
  ikeKeyExchange,
  ikeNotify,
  ikePayload,
  ikeProposal,
  ikeSelector,
  ikeTransform,
  ikeTs,
} from './ike/layouts.js'
import { ipv4 } from './ipv4.js'
import { ipv6 } from './ipv6.js'
import { destinationOptions, fragmentHeader, hopByHop, routingHeader } from './ipv6-extensions.js'
import type { FieldRange, HeaderView } from './layout.js'
import {
  ndRedirect,
  neighborAdvertisement,
  neighborSolicitation,
  routerAdvertisement,
  routerSolicitation,
} from './nd.js'
import { tcp } from './tcp.js'
import { udp } from './udp.js'

/** A header as far as it is the same for all: what a dissector needs of one whose type it does not know. */
export interface AnyHeader {
  readonly name: string
  readonly title: string
  readonly ref: string
  readonly minimumLength: number
  view(bytes: Uint8Array, start?: number, end?: number): HeaderView
  parse(bytes: Uint8Array, start?: number, end?: number): object
  explain(bytes: Uint8Array, start?: number, end?: number): FieldRange[]
}

export type HeaderName =
  | 'ethernet'
  | 'vlan'
  | 'arp'
  | 'ipv4'
  | 'ipv6'
  | 'hopByHop'
  | 'routingHeader'
  | 'fragmentHeader'
  | 'destinationOptions'
  | 'icmp'
  | 'icmpv6'
  | 'routerSolicitation'
  | 'routerAdvertisement'
  | 'neighborSolicitation'
  | 'neighborAdvertisement'
  | 'ndRedirect'
  | 'udp'
  | 'tcp'
  | 'gre'
  | 'eoip'
  | 'etherip'
  | 'esp'
  | 'espTrailer'
  | 'ah'
  | 'ike'
  | 'ikePayload'
  | 'ikeProposal'
  | 'ikeTransform'
  | 'ikeAttribute'
  | 'ikeKeyExchange'
  | 'ikeId'
  | 'ikeCert'
  | 'ikeAuth'
  | 'ikeNotify'
  | 'ikeDelete'
  | 'ikeTs'
  | 'ikeSelector'
  | 'ikeConfig'
  | 'ikeConfigAttribute'
  | 'ikeFragment'
  | 'ikeEap'

/** Every header by its name. */
export const headers: Readonly<Record<HeaderName, AnyHeader>> = {
  ethernet,
  vlan,
  arp,
  ipv4,
  ipv6,
  hopByHop,
  routingHeader,
  fragmentHeader,
  destinationOptions,
  icmp,
  icmpv6,
  routerSolicitation,
  routerAdvertisement,
  neighborSolicitation,
  neighborAdvertisement,
  ndRedirect,
  udp,
  tcp,
  gre,
  eoip,
  etherip,
  esp,
  espTrailer,
  ah,
  ike,
  ikePayload,
  ikeProposal,
  ikeTransform,
  ikeAttribute,
  ikeKeyExchange,
  ikeId,
  ikeCert,
  ikeAuth,
  ikeNotify,
  ikeDelete,
  ikeTs,
  ikeSelector,
  ikeConfig,
  ikeConfigAttribute,
  ikeFragment,
  ikeEap,
}

/** By EtherType: of an Ethernet frame, a VLAN tag, and a GRE packet of version 0. */
export const headerOfEtherType: Readonly<Record<number, HeaderName>> = {
  2048: 'ipv4',
  2054: 'arp',
  25944: 'ethernet', // 0x6558, transparent Ethernet bridging
  33024: 'vlan',
  34525: 'ipv6',
  34984: 'vlan',
}

/** By IP protocol number, or IPv6's next header. */
export const headerOfIpProtocol: Readonly<Record<number, HeaderName>> = {
  0: 'hopByHop',
  1: 'icmp',
  4: 'ipv4',
  6: 'tcp',
  17: 'udp',
  41: 'ipv6',
  43: 'routingHeader',
  44: 'fragmentHeader',
  47: 'gre',
  50: 'esp',
  51: 'ah',
  58: 'icmpv6',
  60: 'destinationOptions',
  97: 'etherip',
}

/** By UDP port, either one. On 4500 IKE stands behind the non-ESP marker, which `udpEncapsulated` tells (RFC 3948). */
export const headerOfUdpPort: Readonly<Record<number, HeaderName>> = { 500: 'ike', 4500: 'ike' }

/** By ICMPv6 type, where a message has a header of its own instead of `icmpv6`. */
export const headerOfIcmpv6Type: Readonly<Record<number, HeaderName>> = {
  133: 'routerSolicitation',
  134: 'routerAdvertisement',
  135: 'neighborSolicitation',
  136: 'neighborAdvertisement',
  137: 'ndRedirect',
}

/** By the first four bytes of IP protocol 47, as a number: what is not in it is `gre`. */
export const headerOfGreStart: Readonly<Record<number, HeaderName>> = { 536962048: 'eoip' } // 0x20016400

/** ICMP types whose payload is the start of an IPv4 datagram. */
export const icmpErrorTypes: readonly number[] = [3, 4, 5, 11, 12]
/** ICMPv6 types below this are errors, whose payload is the start of an IPv6 packet (RFC 4443 section 2.1). */
export const ICMPV6_FIRST_INFORMATIONAL = 128
