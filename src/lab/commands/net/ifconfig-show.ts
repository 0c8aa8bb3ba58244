import type { IpAddress, Ipv4Address, MacAddress } from '../../../base/index.js'
import { Ipv4Address as Inet, IpPrefix } from '../../../base/index.js'

/** How ifconfig(8) shows an interface, from plain data. */

/** Interface flags, with the bits of OpenBSD's net/if.h, in the order in which ifconfig names them. */
export const INTERFACE_FLAGS = {
  UP: 0x1,
  BROADCAST: 0x2,
  DEBUG: 0x4,
  LOOPBACK: 0x8,
  POINTOPOINT: 0x10,
  STATICARP: 0x20,
  RUNNING: 0x40,
  NOARP: 0x80,
  PROMISC: 0x100,
  ALLMULTI: 0x200,
  OACTIVE: 0x400,
  SIMPLEX: 0x800,
  LINK0: 0x1000,
  LINK1: 0x2000,
  LINK2: 0x4000,
  MULTICAST: 0x8000,
} as const
export type InterfaceFlag = keyof typeof INTERFACE_FLAGS

export interface AddressView {
  readonly address: IpAddress
  readonly prefixLength: number
  readonly peer?: IpAddress
  /** IPv4 on a broadcast interface; absent: the one that the prefix gives. */
  readonly broadcast?: Ipv4Address
}

export interface TunnelView {
  readonly local?: IpAddress
  readonly remote?: IpAddress
  /** `copy`: the inner TTL. */
  readonly ttl: number | 'copy'
  readonly dontFragment?: boolean
  readonly ecn?: boolean
}

export interface EncapsulationView {
  /** Absent: the interface knows no network id. */
  readonly vnetid?: number | 'none'
  readonly txprio?: 'packet' | 'payload' | number
  readonly rxprio?: 'packet' | 'payload' | 'outer' | number
}

export interface BridgePortView {
  readonly name: string
  readonly span: boolean
  readonly port: number
}

export interface BridgeView {
  readonly ports: readonly BridgePortView[]
  readonly addresses: readonly { readonly mac: MacAddress; readonly port: string; readonly age: number }[]
  readonly maxCache: number
  /** Seconds. */
  readonly timeout: number
}

export interface SwitchView {
  readonly datapath: bigint
  readonly ports: readonly BridgePortView[]
}

export interface InterfaceView {
  readonly name: string
  readonly flags: readonly InterfaceFlag[]
  readonly mtu?: number
  readonly lladdr?: MacAddress
  readonly description?: string
  readonly index: number
  /** Absent on a bridge, which has none. */
  readonly priority?: number
  readonly llprio: number
  readonly keepalive?: { readonly timeout: number; readonly count: number }
  readonly encapsulation?: EncapsulationView
  readonly groups: readonly string[]
  readonly media?: string
  readonly status?: string
  readonly tunnel?: TunnelView
  readonly bridge?: BridgeView
  readonly switch?: SwitchView
  readonly addresses: readonly AddressView[]
}

/** `ifconfig IF`, with a newline at the end. */
export function showInterface(
  view: InterfaceView,
  families: { inet?: boolean; inet6?: boolean } = {},
): string {
  const lines: string[] = []
  const bits = view.flags.reduce((sum, flag) => sum | INTERFACE_FLAGS[flag], 0)
  const words = Object.keys(INTERFACE_FLAGS).filter((flag) => view.flags.includes(flag as InterfaceFlag))
  lines.push(
    `${view.name}: flags=${bits.toString(16)}<${words.join(',')}>${view.mtu === undefined ? '' : ` mtu ${view.mtu}`}`,
  )
  if (view.lladdr !== undefined) lines.push(`\tlladdr ${view.lladdr}`)
  if (view.description !== undefined && view.description !== '')
    lines.push(`\tdescription: ${view.description}`)
  const priority = view.priority === undefined ? '' : ` priority ${view.priority}`
  lines.push(`\tindex ${view.index}${priority} llprio ${view.llprio}`)
  if (view.keepalive !== undefined)
    lines.push(`\tkeepalive: timeout ${view.keepalive.timeout} count ${view.keepalive.count}`)
  if (view.encapsulation !== undefined) lines.push(showEncapsulation(view.encapsulation))
  if (view.groups.length > 0) lines.push(`\tgroups: ${view.groups.join(' ')}`)
  if (view.media !== undefined) lines.push(`\tmedia: ${view.media}`)
  if (view.status !== undefined) lines.push(`\tstatus: ${view.status}`)
  if (view.tunnel !== undefined) lines.push(showTunnel(view.tunnel))
  if (view.bridge !== undefined) lines.push(...showBridge(view.bridge))
  if (view.switch !== undefined) lines.push(...showSwitch(view.switch))
  for (const address of view.addresses) {
    if (address.address.family === 4 && families.inet6 === true && families.inet !== true) continue
    if (address.address.family === 6 && families.inet === true && families.inet6 !== true) continue
    lines.push(showAddress(address, view))
  }
  return `${lines.join('\n')}\n`
}

function showEncapsulation(encapsulation: EncapsulationView): string {
  let text = '\tencap:'
  if (encapsulation.vnetid !== undefined) text += ` vnetid ${encapsulation.vnetid}`
  if (encapsulation.txprio !== undefined) text += ` txprio ${encapsulation.txprio}`
  if (encapsulation.rxprio !== undefined) text += ` rxprio ${encapsulation.rxprio}`
  return text
}

function showTunnel(tunnel: TunnelView): string {
  let text = '\ttunnel: '
  if (tunnel.local === undefined) text += '(unset)'
  else {
    text += `inet${tunnel.local.family === 6 ? '6' : ''} ${tunnel.local}`
    if (tunnel.remote !== undefined) text += ` -> ${tunnel.remote}`
  }
  if (tunnel.ttl === 'copy' || tunnel.ttl > 0) text += ` ttl ${tunnel.ttl}`
  if (tunnel.dontFragment !== undefined) text += tunnel.dontFragment ? ' df' : ' nodf'
  if (tunnel.ecn !== undefined) text += tunnel.ecn ? ' ecn' : ' noecn'
  return text
}

function showPorts(ports: readonly BridgePortView[]): string[] {
  return ports.flatMap((port) =>
    port.span
      ? [`\t${port.name} flags=8<SPAN>`]
      : [`\t${port.name} flags=3<LEARNING,DISCOVER>`, `\t\tport ${port.port} ifpriority 0 ifcost 0`],
  )
}

function showBridge(bridge: BridgeView): string[] {
  const lines = [
    '\tpriority 32768 hellotime 2 fwddelay 15 maxage 20 holdcnt 6 proto rstp',
    '\tdesignated: id 00:00:00:00:00:00 priority 0',
    ...showPorts(bridge.ports),
    `\tAddresses (max cache: ${bridge.maxCache}, timeout: ${bridge.timeout}):`,
  ]
  for (const entry of bridge.addresses) lines.push(`\t\t${entry.mac} ${entry.port} ${entry.age} flags=0<>`)
  return lines
}

function showSwitch(view: SwitchView): string[] {
  return [
    `\tdatapath 0x${view.datapath.toString(16).padStart(16, '0')} maxflow 10000 maxgroup 1000`,
    ...view.ports.map((port) => `\t${port.name} flags=0<>\n\t\tport ${port.port} ifpriority 0 ifcost 0`),
  ]
}

function showAddress(entry: AddressView, view: InterfaceView): string {
  const { address, prefixLength } = entry
  const toPeer = view.flags.includes('POINTOPOINT')
  if (address.family === 4) {
    let text = `\tinet ${address}`
    if (toPeer) text += ` --> ${entry.peer ?? Inet.unspecified}`
    text += ` netmask 0x${maskOf(prefixLength).toString(16)}`
    if (view.flags.includes('BROADCAST') && !toPeer)
      text += ` broadcast ${entry.broadcast ?? directedBroadcast(address, prefixLength)}`
    return text
  }
  let text = `\tinet6 ${zoned(address, view.name)}`
  // A point-to-point interface without a destination prints the arrow and nothing behind it.
  if (toPeer) text += ` -> ${entry.peer === undefined ? '' : zoned(entry.peer, view.name)}`
  text += ` prefixlen ${prefixLength}`
  if (address.isLinkLocal) text += ` scopeid 0x${view.index.toString(16)}`
  return text
}

/** A link-local address with its zone, as OpenBSD prints it: `fe80::1%lo0`. */
export const zoned = (address: IpAddress, interfaceName: string): string =>
  address.family === 6 && address.isLinkLocal ? `${address}%${interfaceName}` : `${address}`

const maskOf = (length: number): number => (length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0)

/** The highest address of the prefix (RFC 919). */
export function directedBroadcast(address: Ipv4Address, prefixLength: number): Ipv4Address {
  const network = new IpPrefix(address, prefixLength).address as Ipv4Address
  return Inet.fromUint32((network.toUint32() | (~maskOf(prefixLength) >>> 0)) >>> 0)
}
