/** The words that filters know. */
import { EtherType, IpProtocol } from '../../wire/numbers.js'
import { REVARP } from './primitives.js'

/** Names of IP protocols, alone or behind `proto`. */
export const protocols: Readonly<Record<string, number>> = {
  icmp: IpProtocol.icmp,
  igmp: 2,
  ipip: IpProtocol.ipip,
  tcp: IpProtocol.tcp,
  udp: IpProtocol.udp,
  gre: IpProtocol.gre,
  esp: IpProtocol.esp,
  ah: IpProtocol.ah,
  icmp6: IpProtocol.icmpv6,
  etherip: IpProtocol.etherip,
  carp: 112,
  vrrp: 112,
  sctp: 132,
}
export const etherTypes: Readonly<Record<string, number>> = {
  ip: EtherType.ipv4,
  ip6: EtherType.ipv6,
  arp: EtherType.arp,
  rarp: REVARP,
}
export const types: readonly string[] = ['host', 'net', 'port', 'portrange', 'proto']
export const keywords: readonly string[] = [
  ...Object.keys(protocols),
  ...Object.keys(etherTypes),
  ...types,
  ...['ether', 'src', 'dst', 'and', 'or', 'not', 'vlan', 'less', 'greater', 'len', 'broadcast', 'multicast'],
]

/** The entry of a table for a word of the user's, who may write `constructor`. */
export const own = (table: Readonly<Record<string, number>>, word: string): number | undefined =>
  Object.hasOwn(table, word) ? table[word] : undefined
