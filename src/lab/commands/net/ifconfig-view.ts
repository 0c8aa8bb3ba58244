import { between, toSeconds } from '../../../base/index.js'
import { DEFAULT_TUNNEL_TTL } from '../../../proto/tunnel-metadata.js'
import { BridgeDevice, type Device, type DeviceKind, TunnelDevice } from '../../devices.js'
import type { LabMachine } from '../../machine.js'
import { flagsByHand } from './ifconfig-apply.js'
import type { BridgeView, EncapsulationView, InterfaceFlag, InterfaceView } from './ifconfig-show.js'

/** A device of a machine as ifconfig(8) shows it. */

/** Flags that a driver sets when it attaches. */
const KIND_FLAGS: Readonly<Record<DeviceKind, readonly InterfaceFlag[]>> = {
  lo: ['LOOPBACK', 'MULTICAST'],
  vio: ['BROADCAST', 'SIMPLEX', 'MULTICAST'],
  tap: ['BROADCAST', 'SIMPLEX', 'MULTICAST'],
  vether: ['BROADCAST', 'SIMPLEX', 'MULTICAST'],
  eoip: ['BROADCAST', 'SIMPLEX', 'MULTICAST'],
  etherip: ['BROADCAST', 'SIMPLEX', 'MULTICAST'],
  gif: ['POINTOPOINT', 'MULTICAST'],
  gre: ['POINTOPOINT', 'MULTICAST'],
  bridge: [],
  switch: [],
}

/** Drivers with an ifmedia(4) of their own. */
const WITH_MEDIA: ReadonlySet<DeviceKind> = new Set(['vio', 'vether', 'eoip', 'etherip'])

export function interfaceView(machine: LabMachine, device: Device): InterfaceView {
  const { interface: ifc, kind, name } = device
  const isBridge = kind === 'bridge' || kind === 'switch'
  const flags: InterfaceFlag[] = [...KIND_FLAGS[kind], ...flagsByHand(device)]
  if (ifc.up) flags.push('UP')
  if (ifc.up && ifc.running) flags.push('RUNNING')
  if (ifc.promiscuous || device.bridge !== undefined) flags.push('PROMISC')
  return {
    name,
    flags,
    mtu: ifc.mtu,
    ...(ifc.mac === undefined || isBridge ? {} : { lladdr: ifc.mac }),
    ...(ifc.description === undefined ? {} : { description: ifc.description }),
    index: ifc.index,
    ...(isBridge ? {} : { priority: 0 }),
    // gre(4) marks its keepalives with the precedence of internetwork control.
    llprio: kind === 'gre' ? 6 : 3,
    ...keepaliveOf(device),
    ...encapsulationOf(device),
    groups: groupsOf(machine, device),
    ...(WITH_MEDIA.has(kind) ? { media: 'Ethernet autoselect' } : {}),
    ...statusOf(device),
    ...tunnelOf(device),
    ...(device instanceof BridgeDevice && kind === 'bridge' ? { bridge: bridgeOf(device) } : {}),
    ...(device instanceof BridgeDevice && kind === 'switch'
      ? { switch: { datapath: BigInt(ifc.index), ports: bridgeOf(device).ports } }
      : {}),
    addresses: ifc.addresses,
  }
}

function keepaliveOf(device: Device): Pick<InterfaceView, 'keepalive'> {
  const keepalive = device instanceof TunnelDevice ? device.settings.keepalive : undefined
  if (keepalive === undefined) return {}
  return { keepalive: { timeout: toSeconds(keepalive.period), count: keepalive.count } }
}

function encapsulationOf(device: Device): { encapsulation?: EncapsulationView } {
  if (!(device instanceof TunnelDevice)) return {}
  const { vnetid } = device.settings
  switch (device.kind) {
    case 'gif':
      return { encapsulation: { txprio: 'payload', rxprio: 'payload' } }
    case 'gre':
      return { encapsulation: { vnetid: vnetid ?? 'none', txprio: 'payload', rxprio: 'packet' } }
    case 'eoip':
      return { encapsulation: { vnetid: vnetid ?? 0, txprio: 0, rxprio: 'packet' } }
    case 'etherip':
      return { encapsulation: { txprio: 'packet', rxprio: 'packet' } }
  }
}

/** `egress` is the group of the interface that the default route leaves by. */
export function groupsOf(machine: LabMachine, { interface: ifc }: Device): readonly string[] {
  const egress = machine.stack.routes
    .entries()
    .some((route) => route.destination.length === 0 && route.interface === ifc)
  return egress && !ifc.groups.includes('egress') ? [...ifc.groups, 'egress'] : ifc.groups
}

function statusOf(device: Device): { status?: string } {
  if (WITH_MEDIA.has(device.kind) || device.kind === 'tap')
    return { status: device.kind === 'tap' && !device.interface.up ? 'no carrier' : 'active' }
  // A gre without keepalives cannot know whether anybody is there.
  if (device instanceof TunnelDevice && device.settings.keepalive !== undefined)
    return { status: device.tunnel.state === 'up' ? 'active' : 'no carrier' }
  return {}
}

function tunnelOf(device: Device): Pick<InterfaceView, 'tunnel'> {
  if (!(device instanceof TunnelDevice)) return {}
  const { local, remote, ttl, dontFragment } = device.settings
  return {
    tunnel: {
      ...(local === undefined ? {} : { local }),
      ...(remote === undefined ? {} : { remote }),
      ttl: ttl ?? DEFAULT_TUNNEL_TTL,
      dontFragment: dontFragment ?? false,
      ...(device.kind === 'gif' || device.kind === 'gre' ? { ecn: true } : {}),
    },
  }
}

function bridgeOf(device: BridgeDevice): BridgeView {
  const now = device.machine.now()
  const names = new Set(device.members.map((member) => member.name))
  return {
    ports: device.members.map((member) => ({ name: member.name, span: false, port: member.interface.index })),
    addresses: device.table
      .addresses(now)
      // A member's own stack is a port too, which bridge(4) does not show.
      .filter((entry) => names.has(entry.port.name))
      .map(({ address, port, expires }) => ({
        mac: address,
        port: port.name,
        age: expires === undefined || toSeconds(between(now, expires)) > 0 ? 1 : 0,
      })),
    maxCache: device.table.maxAddresses,
    timeout: toSeconds(device.table.timeout),
  }
}
