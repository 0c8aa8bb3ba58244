/** Names of ports and EtherTypes as OpenBSD's services(5) and tcpdump have them, for output without -n. */

const both: Readonly<Record<number, string>> = {
  7: 'echo',
  9: 'discard',
  13: 'daytime',
  19: 'chargen',
  37: 'time',
  49: 'tacacs',
  53: 'domain',
  88: 'kerberos',
  111: 'sunrpc',
  123: 'ntp',
  161: 'snmp',
  162: 'snmp-trap',
  389: 'ldap',
  443: 'https',
  464: 'kpasswd',
  514: 'syslog',
  546: 'dhcpv6-client',
  547: 'dhcpv6-server',
  636: 'ldaps',
  655: 'tinc',
  1194: 'openvpn',
  1701: 'l2tp',
  1723: 'pptp',
  2049: 'nfsd',
  3306: 'mysql',
  5060: 'sip',
  5353: 'mdns',
  5432: 'postgresql',
}

const tcpOnly: Readonly<Record<number, string>> = {
  20: 'ftp-data',
  21: 'ftp',
  22: 'ssh',
  23: 'telnet',
  25: 'smtp',
  43: 'whois',
  70: 'gopher',
  79: 'finger',
  80: 'www',
  110: 'pop3',
  113: 'auth',
  119: 'nntp',
  143: 'imap',
  179: 'bgp',
  514: 'shell',
  515: 'printer',
  543: 'klogin',
  587: 'submission',
  853: 'domain-s',
  873: 'rsync',
  993: 'imaps',
  995: 'pop3s',
  1080: 'socks',
  5222: 'xmpp-client',
  8080: 'http-alt',
}

const udpOnly: Readonly<Record<number, string>> = {
  67: 'bootps',
  68: 'bootpc',
  69: 'tftp',
  137: 'netbios-ns',
  138: 'netbios-dgm',
  500: 'isakmp',
  520: 'router',
  521: 'ripng',
  1645: 'old-radius',
  1812: 'radius',
  1813: 'radacct',
  4500: 'ipsec-nat-t',
  4789: 'vxlan',
}

const table = (own: Readonly<Record<number, string>>): ReadonlyMap<number, string> =>
  new Map([...Object.entries(both), ...Object.entries(own)].map(([port, name]) => [Number(port), name]))

export const tcpPortNames: ReadonlyMap<number, string> = table(tcpOnly)
export const udpPortNames: ReadonlyMap<number, string> = table(udpOnly)

export const tcpPort = (port: number, numeric: boolean): string =>
  (numeric ? undefined : tcpPortNames.get(port)) ?? String(port)
export const udpPort = (port: number, numeric: boolean): string =>
  (numeric ? undefined : udpPortNames.get(port)) ?? String(port)

/** Port of a service's name for a filter; `undefined` if no table has it. */
export function portOfName(name: string): { tcp?: number; udp?: number } | undefined {
  const find = (names: ReadonlyMap<number, string>): number | undefined =>
    [...names].find(([, known]) => known === name)?.[0]
  const asked = (Object.hasOwn(serviceAliases, name) ? serviceAliases[name] : undefined) ?? name
  const tcp = find(tcpPortNames) ?? [...tcpPortNames].find(([, known]) => known === asked)?.[0]
  const udp = find(udpPortNames) ?? [...udpPortNames].find(([, known]) => known === asked)?.[0]
  if (tcp === undefined && udp === undefined) return undefined
  return { ...(tcp === undefined ? {} : { tcp }), ...(udp === undefined ? {} : { udp }) }
}

const serviceAliases: Readonly<Record<string, string>> = {
  http: 'www',
  dns: 'domain',
  rip: 'router',
  ike: 'isakmp',
  dhcps: 'bootps',
  dhcpc: 'bootpc',
}

const etherTypes: ReadonlyMap<number, string> = new Map([
  [0x0800, 'ip'],
  [0x0806, 'arp'],
  [0x8035, 'rarp'],
  [0x86dd, 'ip6'],
  [0x8100, '8021q'],
  [0x88a8, 'qinq'],
  [0x9000, 'loopback'],
])

export const etherTypeText = (etherType: number, numeric: boolean): string =>
  (numeric ? undefined : etherTypes.get(etherType)) ?? etherType.toString(16).padStart(4, '0')
