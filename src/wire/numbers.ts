import type { CodeTable } from './field.js'

/** Numbers that several headers share, under their IANA names. */

/** IANA "Assigned Internet Protocol Numbers". */
export const IpProtocol = {
  hopByHop: 0,
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  routing: 43,
  fragment: 44,
  gre: 47,
  esp: 50,
  ah: 51,
  icmpv6: 58,
  noNextHeader: 59,
  destinationOptions: 60,
  etherip: 97,
} as const

export const ipProtocolNames: CodeTable = {
  0: 'IPv6 hop-by-hop options',
  1: 'ICMP',
  2: 'IGMP',
  4: 'IPv4 encapsulation (IP in IP)',
  6: 'TCP',
  17: 'UDP',
  41: 'IPv6 encapsulation',
  43: 'IPv6 routing header',
  44: 'IPv6 fragment header',
  47: 'GRE',
  50: 'ESP',
  51: 'AH',
  58: 'ICMPv6',
  59: 'no next header',
  60: 'IPv6 destination options',
  97: 'EtherIP',
  108: 'IPComp',
  112: 'CARP or VRRP',
  132: 'SCTP',
}

/** IEEE 802 Numbers, "Ether Types". */
export const EtherType = {
  ipv4: 0x0800,
  arp: 0x0806,
  transparentEthernetBridging: 0x6558,
  eoip: 0x6400,
  vlan: 0x8100,
  ipv6: 0x86dd,
  qinq: 0x88a8,
} as const

export const etherTypeNames: CodeTable = {
  2048: 'IPv4',
  2054: 'ARP',
  25600: 'EoIP (MikroTik)',
  25944: 'transparent Ethernet bridging',
  33024: '802.1Q VLAN tag',
  34525: 'IPv6',
  34984: '802.1ad service tag',
  34887: 'MPLS',
  34915: 'PPPoE discovery',
  34916: 'PPPoE session',
}

/** RFC 3168 section 5. */
export const ecnNames: CodeTable = { 0: 'Not-ECT', 1: 'ECT(1)', 2: 'ECT(0)', 3: 'CE' }

/** RFC 2474, RFC 2597, RFC 3246, RFC 8622. */
export const dscpNames: CodeTable = {
  0: 'CS0, best effort',
  1: 'LE, lower effort',
  8: 'CS1',
  10: 'AF11',
  12: 'AF12',
  14: 'AF13',
  16: 'CS2',
  18: 'AF21',
  20: 'AF22',
  22: 'AF23',
  24: 'CS3',
  26: 'AF31',
  28: 'AF32',
  30: 'AF33',
  32: 'CS4',
  34: 'AF41',
  36: 'AF42',
  38: 'AF43',
  40: 'CS5',
  46: 'EF, expedited forwarding',
  48: 'CS6, network control',
  56: 'CS7',
}

/** IANA service names of the ports that this project's protocols meet, as /etc/services of OpenBSD has them. */
export const portNames: CodeTable = {
  7: 'echo',
  9: 'discard',
  13: 'daytime',
  22: 'ssh',
  53: 'domain',
  67: 'bootps',
  68: 'bootpc',
  80: 'www',
  123: 'ntp',
  443: 'https',
  500: 'isakmp',
  514: 'syslog',
  655: 'tinc',
  1194: 'openvpn',
  4500: 'ipsec-nat-t',
}
