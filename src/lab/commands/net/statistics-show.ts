import { TunnelDevice } from '../../devices.js'
import type { LabMachine } from '../../machine.js'
import { CommandFailure, meant } from './words.js'

/** `netstat -s`: what was counted, by protocol and reason; lines that are zero are left out, as OpenBSD does. */

/** The prefix of a counter's name to the protocol's name in netstat. */
const SECTIONS: Readonly<Record<string, string>> = {
  ipv4: 'ip',
  icmp: 'icmp',
  tcp: 'tcp',
  udp: 'udp',
  ipv6: 'ip6',
  icmpv6: 'icmp6',
  nd: 'nd6',
  arp: 'arp',
  ipip: 'ipencap',
  gre: 'gre',
  etherip: 'etherip',
  esp: 'esp',
  udpencap: 'esp',
  ah: 'ah',
  spd: 'ipsec',
  ipsec: 'ipsec',
}

/** Counters that OpenBSD words itself. */
const PHRASES: Readonly<Record<string, string>> = {
  'ipv4.forwarded': 'packets forwarded',
  'ipv4.cannotForward': 'packets not forwardable',
  'ipv4.checksum': 'bad header checksums',
  'ipv4.version': 'packets with bad version number',
  'ipv4.reassembled': 'packets reassembled ok',
  'ipv4.fragmentsSent': 'fragments created',
  'ipv4.cannotFragment': "datagrams that can't be fragmented",
  'ipv4.noRoute': 'output packets discarded due to no route',
  'ipv6.forwarded': 'packets forwarded',
  'ipv6.cannotForward': 'packets not forwardable',
  'ipv6.version': 'packets with incorrect version number',
  'ipv6.reassembled': 'packets reassembled ok',
  'ipv6.fragmentsSent': 'fragments created',
  'ipv6.cannotFragment': "datagrams that can't be fragmented",
  'ipv6.noRoute': 'output packets discarded due to no route',
  'icmp.checksum': 'bad checksums',
  'icmpv6.checksum': 'bad checksums',
  'udp.checksum': 'with bad checksum',
  'udp.noPort': 'dropped due to no socket',
  'tcp.checksum': 'discarded for bad checksums',
  'tcp.retransmitted': 'data packets retransmitted',
  'tcp.retransmitTimeout': 'retransmit timeouts',
  'tcp.givenUp': 'connections dropped by rexmit timeout',
  'ipip.input': 'total input packets',
  'ipip.output': 'total output packets',
  'esp.input': 'input ESP packets',
  'esp.output': 'output ESP packets',
  'esp.short': 'packets shorter than header shows',
  'esp.spi': 'packets for which no TDB was found',
  'esp.icv': 'packets that failed verification processing received',
  'esp.overflow': 'packets where counter wrapping was detected',
  'esp.replay': 'possibly replayed packets received',
  'esp.length': 'packets with bad payload size or padding received',
  'esp.padding': 'packets with bad payload size or padding received',
  'esp.lifetime': 'packets attempted to use an invalid TDB',
  'esp.udpInput': 'input UDP encapsulated ESP packets',
  'esp.udpOutput': 'output UDP encapsulated ESP packets',
  'esp.encapsulation': 'UDP packets for non-encapsulating TDB received',
  'ah.input': 'input AH packets',
  'ah.output': 'output AH packets',
  'ah.short': 'packets shorter than header shows',
  'ah.spi': 'packets for which no TDB was found',
  'ah.icv': 'packets that failed verification processing received',
  'ah.overflow': 'packets where counter wrapping was detected',
  'ah.replay': 'possibly replayed packets received',
  'ah.lifetime': 'packets attempted to use an invalid TDB',
  'spd.require': 'output packets dropped: a flow requires an SA, and none stands',
  'spd.deny': 'packets dropped by a flow of type deny',
  'spd.clear': 'input packets dropped: in clear where a flow requires an SA',
  'spd.unreadable': 'packets dropped: ports that a flow names cannot be seen',
  'ipsec.policy': 'input packets dropped: no flow of the SA that they came by covers them',
}

export interface StatisticsSection {
  readonly name: string
  /** A count and what was counted. */
  readonly lines: readonly (readonly [count: number, text: string])[]
}

/** With a newline at the end; nothing where nothing was counted. */
export const showSections = (sections: readonly StatisticsSection[]): string =>
  sections
    .filter(({ lines }) => lines.some(([count]) => count > 0))
    .map(({ name, lines }) => {
      const rows = lines.filter(([count]) => count > 0).map(([count, text]) => `\t${count} ${text}\n`)
      return `${name}:\n${rows.join('')}`
    })
    .join('')

export function statisticsOf(machine: LabMachine): StatisticsSection[] {
  const sections = new Map<string, [number, string][]>()
  const counts = { ...machine.stack.counters.toJSON() }
  for (const more of [machine.counters, machine.ipsec.counters])
    for (const [name, count] of Object.entries(more.toJSON())) counts[name] = (counts[name] ?? 0) + count
  for (const [name, count] of Object.entries(counts)) {
    const [prefix = '', ...reason] = name.split('.')
    const section = SECTIONS[prefix] ?? prefix
    const lines = sections.get(section) ?? []
    const text = PHRASES[name] ?? spoken(reason.join('.'))
    const same = lines.find(([, other]) => other === text)
    if (same === undefined) lines.push([count, text])
    else same[0] += count
    sections.set(section, lines)
  }
  const order = Object.values(SECTIONS)
  const place = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length)
  const all = [...sections]
    .sort(([a], [b]) => place(a) - place(b) || (a < b ? -1 : 1))
    .map(([name, lines]): StatisticsSection => ({ name, lines }))
  for (const device of machine.devices.values()) {
    if (!(device instanceof TunnelDevice)) continue
    const { paths, drops } = device.status()
    const sum = (direction: 'inbound' | 'outbound'): number =>
      paths.reduce((total, path) => total + path[direction].packets, 0)
    all.push({
      name: device.name,
      lines: [
        [sum('inbound'), 'packets decapsulated'],
        [sum('outbound'), 'packets encapsulated'],
        ...Object.entries(drops).map(([reason, count]): [number, string] => [
          count,
          `dropped: ${spoken(reason)}`,
        ]),
      ],
    })
  }
  return all
}

/** `ttlExpired` and `not-the-peer` as words. */
const spoken = (reason: string): string =>
  reason
    .replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`)
    .replaceAll('-', ' ')

/** `netstat -s`, or with `-p` one protocol. */
export function showStatistics(machine: LabMachine, protocol: string | undefined): string {
  const sections = statisticsOf(machine)
  if (protocol === undefined) return showSections(sections)
  const known = [...new Set([...Object.values(SECTIONS), ...sections.map(({ name }) => name)])]
  if (!known.includes(protocol))
    throw new CommandFailure(`netstat: ${protocol}: unknown protocol${meant(protocol, known)}`)
  return showSections(sections.filter(({ name }) => name === protocol))
}
