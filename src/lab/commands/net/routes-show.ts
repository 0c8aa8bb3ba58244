import type { IpAddress, IpPrefix } from '../../../base/index.js'
import { zoned } from './ifconfig-show.js'
import { column } from './words.js'

/** How netstat(1) and route(8) show the routing table, from plain data. */

/** Route flags of netstat(1), with the words of `route get`, in the kernel's order. */
export const ROUTE_FLAGS: readonly (readonly [letter: string, word: string])[] = [
  ['U', 'UP'],
  ['G', 'GATEWAY'],
  ['H', 'HOST'],
  ['R', 'REJECT'],
  ['D', 'DYNAMIC'],
  ['M', 'MODIFIED'],
  ['d', 'DONE'],
  ['C', 'CLONING'],
  ['m', 'MULTICAST'],
  ['L', 'LLINFO'],
  ['S', 'STATIC'],
  ['B', 'BLACKHOLE'],
  ['3', 'PROTO3'],
  ['2', 'PROTO2'],
  ['1', 'PROTO1'],
  ['c', 'CLONED'],
  ['h', 'CACHED'],
  ['P', 'MPATH'],
  ['T', 'MPLS'],
  ['l', 'LOCAL'],
  ['F', 'BFD'],
  ['b', 'BROADCAST'],
  ['n', 'CONNECTED'],
]

export interface RouteView {
  readonly destination: IpPrefix
  /** A router, a link-layer address, or `link#N`. */
  readonly gateway: string
  /** Letters of ROUTE_FLAGS, in any order. */
  readonly flags: string
  readonly references: number
  readonly use: number
  /** 0: the interface's. */
  readonly mtu: number
  readonly priority: number
  readonly interface: string
}

/** Column widths of destination and gateway; an IPv6 prefix needs more room when it is numeric. */
const widths = (family: 4 | 6): { destination: number; gateway: number } =>
  family === 4 ? { destination: 18, gateway: 18 } : { destination: 34, gateway: 30 }

/** `netstat -rn`, with a newline at the end; a family without a route is left out. */
export function showRoutes(routes: readonly RouteView[], families: readonly (4 | 6)[] = [4, 6]): string {
  let text = 'Routing tables\n'
  for (const family of families) {
    const mine = routes.filter((route) => route.destination.family === family)
    if (mine.length === 0) continue
    const { destination, gateway } = widths(family)
    text += `\n${family === 4 ? 'Internet' : 'Internet6'}:\n`
    text += `${column('Destination', destination)} ${column('Gateway', gateway)} Flags  `
    text += ' Refs      Use   Mtu  Prio Iface\n'
    for (const route of [...mine].sort(byDestination)) text += `${showRoute(route, destination, gateway)}\n`
  }
  return text
}

function showRoute(route: RouteView, destinationWidth: number, gatewayWidth: number): string {
  const mtu = route.mtu === 0 ? '-' : `${route.mtu}`
  return [
    `${showDestination(route.destination, route.interface).padEnd(destinationWidth)} ${route.gateway.padEnd(gatewayWidth)} `,
    `${column(orderFlags(route.flags), 6)} ${`${route.references}`.padStart(5)} ${`${route.use}`.padStart(8)} `,
    `${mtu.padStart(5)}    ${`${route.priority}`.padStart(2)} ${route.interface.padEnd(5)}`,
  ].join('')
}

/** The kernel's table is a trie: its walk is by address, the shorter prefix first. */
export function byDestination(a: RouteView, b: RouteView): number {
  const x = a.destination.address.bytes
  const y = b.destination.address.bytes
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i]! - y[i]!
  return a.destination.length - b.destination.length || a.priority - b.priority
}

/** Letters in netstat's order; `DONE` is never shown. */
export const orderFlags = (flags: string): string =>
  ROUTE_FLAGS.map(([letter]) => letter)
    .filter((letter) => letter !== 'd' && flags.includes(letter))
    .join('')

/**
 * A destination as netstat prints it: `default`, `192.168.1/24`, a bare address for a host; a link-local one with its link
 * (`fe80::%vio0/64`), where that is given.
 */
export function showDestination(prefix: IpPrefix, interfaceName?: string): string {
  if (prefix.length === 0) return 'default'
  const bits = prefix.address.bytes.length * 8
  const address = interfaceName === undefined ? `${prefix.address}` : zoned(prefix.address, interfaceName)
  if (prefix.length === bits) return address
  if (prefix.family === 6) return `${address}/${prefix.length}`
  const octets = [...prefix.address.bytes]
  // Zero octets on the right are left out, down to one octet.
  const shown = Math.max(1, Math.ceil(prefix.length / 8))
  return `${octets.slice(0, shown).join('.')}/${prefix.length}`
}

const PRIORITIES: Readonly<Record<number, string>> = {
  0: 'none',
  1: 'local',
  4: 'connected',
  8: 'static',
  32: 'ospf',
  36: 'isis',
  40: 'rip',
  48: 'bgp',
  56: 'default',
}

export interface RouteAnswer {
  /** As printed: an address, or `default`. */
  readonly asked: string
  readonly destination: IpPrefix
  readonly gateway?: IpAddress
  readonly interface: string
  readonly interfaceAddress?: IpAddress
  readonly priority: number
  readonly flags: string
  readonly use: number
  readonly mtu: number
}

/** `route get ADDRESS`. */
export function showRouteGet(answer: RouteAnswer): string {
  const words = ROUTE_FLAGS.filter(([letter]) => `${answer.flags}d`.includes(letter)).map(([, word]) => word)
  const lines = [
    `   route to: ${answer.asked}`,
    `destination: ${answer.destination.length === 0 ? 'default' : answer.destination.address}`,
    // A host route of IPv6 prints its mask as well: all ones.
    `       mask: ${answer.destination.length === 0 ? 'default' : answer.destination.mask}`,
  ]
  if (answer.gateway !== undefined) lines.push(`    gateway: ${answer.gateway}`)
  lines.push(`  interface: ${answer.interface}`)
  if (answer.interfaceAddress !== undefined) lines.push(` if address: ${answer.interfaceAddress}`)
  lines.push(`   priority: ${answer.priority} (${PRIORITIES[answer.priority] ?? ''})`)
  lines.push(`      flags: <${words.join(',')}>`)
  lines.push('     use       mtu    expire')
  lines.push(`${`${answer.use}`.padStart(8)}  ${`${answer.mtu}`.padStart(8)}  ${'0'.padStart(8)} `)
  return `${lines.join('\n')}\n`
}
