import {
  type InterfaceAddress,
  type IpAddress,
  MacAddress,
  seconds,
  WarrenError,
} from '../../../base/index.js'
import { defaultPrefixLength, type IfconfigAction } from '../../../config/ifconfig-arguments.js'
import { mtuRange } from '../../../proto/index.js'
import { BridgeDevice, type Device, TunnelDevice, type TunnelSettings } from '../../devices.js'
import type { LabMachine } from '../../machine.js'
import { directedBroadcast, INTERFACE_FLAGS, type InterfaceFlag } from './ifconfig-show.js'
import { CommandFailure, meant } from './words.js'

/**
 * What ifconfig(8) does to a machine, one action at a time. An action that the kernel refuses fails as the ioctl
 * behind it would, with the reason that the refusing part gave.
 */

const NOT_THIS_KIND = 'Inappropriate ioctl for device'

/** Flags that are set by hand and that nothing here acts on. */
const handFlags = new WeakMap<Device, Set<InterfaceFlag>>()

export const flagsByHand = (device: Device): ReadonlySet<InterfaceFlag> => handFlags.get(device) ?? new Set()

/** Makes the interface, as `create` and as any first word about a clonable one does. */
export function create(machine: LabMachine, name: string): Device {
  try {
    return machine.createDevice(name)
  } catch (error) {
    throw ioctl('SIOCIFCREATE', error)
  }
}

/** Applies the actions in order. The interface is made if it can be and is not there, as ifconfig does. */
export function applyActions(machine: LabMachine, name: string, actions: readonly IfconfigAction[]): void {
  const [first] = actions
  if (first === undefined) return
  if (first.action === 'destroy') {
    try {
      machine.destroyDevice(name)
    } catch (error) {
      throw ioctl('SIOCIFDESTROY', error)
    }
    return
  }
  const known = machine.device(name) !== undefined
  let device = first.action === 'create' ? create(machine, name) : machine.device(name)
  if (device === undefined) {
    try {
      device = machine.createDevice(name)
    } catch (error) {
      if (error instanceof WarrenError) throw noSuchInterface(machine, name)
      throw error
    }
  }
  try {
    for (const action of actions) applyAction(machine, device, action)
  } catch (error) {
    // What nobody asked to create does not stay behind a mistake.
    if (!known && first.action !== 'create') machine.destroyDevice(name)
    throw error
  }
}

export const noSuchInterface = (machine: LabMachine, name: string): CommandFailure =>
  new CommandFailure(`ifconfig: ${name}: no such interface${meant(name, machine.devices.keys())}`)

function applyAction(machine: LabMachine, device: Device, action: IfconfigAction): void {
  const { stack } = machine
  const { interface: ifc, name } = device
  const now = machine.now()
  switch (action.action) {
    case 'create':
      return
    case 'destroy':
      throw new CommandFailure('ifconfig: destroy stands alone: ifconfig IF destroy')
    case 'up':
    case 'down':
      stack.setUp(ifc, action.action === 'up', now)
      return
    case 'address':
      setAddress(machine, device, action)
      return
    case 'removeAddress': {
      const address = action.address ?? firstAddress(device, action.family)
      if (address === undefined || !ifc.hasAddress(address))
        throw new CommandFailure(
          `ifconfig: SIOCDIFADDR: Can't assign requested address${address === undefined ? '' : ` (${name} has no ${address})`}`,
        )
      stack.removeAddress(ifc, address, now)
      return
    }
    case 'removeFamily':
      for (const own of [...ifc.addresses])
        if (own.address.family === action.family) stack.removeAddress(ifc, own.address, now)
      return
    case 'autoconf':
      if (action.enabled)
        throw new CommandFailure('ifconfig: autoconf: no router or DHCP server in the lab; give an address')
      return
    case 'tunnel':
      configure(device, 'SIOCSLIFPHYADDR', { local: action.local, remote: action.remote })
      return
    case 'removeTunnel':
      configure(device, 'SIOCDIFPHYADDR', { local: undefined, remote: undefined })
      return
    case 'vnetid':
      setVnetid(device, action.id)
      return
    case 'removeVnetid':
      configure(device, 'SIOCDVNETID', { vnetid: undefined }, ['gre', 'eoip'])
      return
    case 'vnetflowid':
      configure(device, 'SIOCSVNETFLOWID', { vnetflowid: action.enabled || undefined }, ['gre'])
      return
    case 'tunnelttl':
      configure(device, 'SIOCSLIFPHYTTL', { ttl: action.ttl })
      return
    case 'tunneldf':
      configure(device, 'SIOCSLIFPHYDF', { dontFragment: action.enabled })
      return
    case 'keepalive': {
      const keepalive = { period: seconds(action.period), count: action.count }
      configure(device, 'SIOCSETKALIVE', { keepalive }, ['gre', 'eoip'])
      return
    }
    case 'removeKeepalive':
      configure(device, 'SIOCSETKALIVE', { keepalive: undefined }, ['gre', 'eoip'])
      return
    case 'mtu':
      setMtu(device, action.mtu)
      return
    case 'description':
      ifc.description = action.text
      return
    case 'removeDescription':
      delete ifc.description
      return
    case 'lladdr':
      if (ifc.mac === undefined) throw new CommandFailure(`ifconfig: SIOCSIFLLADDR: ${NOT_THIS_KIND}`)
      ifc.mac = action.mac === 'random' ? randomStation(machine) : action.mac
      return
    case 'group':
      setGroup(device, action.group, action.member)
      return
    case 'member':
      setMember(machine, device, action.interfaceName, action.member)
      return
    case 'span':
      throw new CommandFailure(
        `ifconfig: ${name}: ${action.interfaceName}: span ports are not part of the lab`,
      )
    case 'debug':
      setFlag(device, 'DEBUG', action.enabled)
      return
    case 'link':
      setFlag(device, `LINK${action.link}`, action.enabled)
      return
  }
}

type AddressAction = Extract<IfconfigAction, { action: 'address' }>

function setAddress(machine: LabMachine, device: Device, action: AddressAction): void {
  const { stack } = machine
  const { interface: ifc, kind } = device
  const { address, peer } = action
  const now = machine.now()
  if (kind === 'bridge' || kind === 'switch')
    throw new CommandFailure(
      `ifconfig: SIOCAIFADDR: ${NOT_THIS_KIND} (a ${kind} has no address; add a vether to it)`,
    )
  const toPeer = ifc.kind === 'point-to-point' ? peer : undefined
  const entry: InterfaceAddress = {
    address,
    prefixLength: action.prefixLength ?? defaultPrefixLength(address, toPeer),
    ...(toPeer === undefined ? {} : { peer: toPeer }),
  }
  if (peer?.family === 6 && toPeer === undefined)
    throw new CommandFailure(
      `ifconfig: SIOCAIFADDR: Invalid argument (${device.name} is no point-to-point link)`,
    )
  // On a broadcast interface a second address is the broadcast address.
  const broadcast = action.broadcast ?? (peer?.family === 4 ? peer : undefined)
  if (broadcast !== undefined && address.family === 4 && toPeer === undefined) {
    const own = directedBroadcast(address, entry.prefixLength)
    if (!own.equals(broadcast))
      throw new CommandFailure(`ifconfig: broadcast ${broadcast}: bad value (the prefix has ${own})`)
  }
  // IPv4 without `alias` takes the place of the first address; IPv6 adds, with and without it.
  const first = address.family === 4 && !action.alias ? firstAddress(device, 4) : undefined
  if (first !== undefined && !first.equals(address)) stack.removeAddress(ifc, first, now)
  try {
    stack.addAddress(ifc, entry, now)
  } catch (error) {
    throw ioctl('SIOCAIFADDR', error)
  }
  // An address brings its interface up, as SIOCSIFADDR does in every driver but eoip's.
  if (kind !== 'eoip') stack.setUp(ifc, true, now)
}

const firstAddress = (device: Device, family: 4 | 6): IpAddress | undefined =>
  device.interface.addresses.find((own) => own.address.family === family)?.address

type TunnelChange = { readonly [K in keyof TunnelSettings]: TunnelSettings[K] | undefined }

function configure(device: Device, request: string, change: TunnelChange, kinds?: readonly string[]): void {
  if (!(device instanceof TunnelDevice) || (kinds !== undefined && !kinds.includes(device.kind)))
    throw new CommandFailure(`ifconfig: ${request}: ${NOT_THIS_KIND} (${device.name} is a ${device.kind})`)
  try {
    device.configure(change)
  } catch (error) {
    throw ioctl(request, error, 'Invalid argument')
  }
}

function setVnetid(device: Device, id: number | 'any'): void {
  if (id === 'any')
    throw new CommandFailure('ifconfig: SIOCSVNETID: Invalid argument (any is for vxlan alone)')
  // MikroTik's tunnel id has 16 bits.
  if (device.kind === 'eoip' && id > 0xffff)
    throw new CommandFailure(`ifconfig: SIOCSVNETID: Invalid argument (eoip takes 0 to 65535, found ${id})`)
  configure(device, 'SIOCSVNETID', { vnetid: id }, ['gre', 'eoip'])
}

function setMtu(device: Device, mtu: number): void {
  const { interface: ifc, kind } = device
  if (kind === 'bridge' || kind === 'switch')
    throw new CommandFailure(`ifconfig: SIOCSIFMTU: ${NOT_THIS_KIND}`)
  const { least, most } = device instanceof TunnelDevice ? mtuRange[device.kind] : { least: 68, most: 65_535 }
  if (mtu < least || mtu > most)
    throw new CommandFailure(`ifconfig: SIOCSIFMTU: Invalid argument (${kind} takes ${least} to ${most})`)
  // RFC 8200 section 5: IPv6 needs 1280.
  if (mtu < 1280 && ifc.addresses.some((own) => own.address.family === 6))
    throw new CommandFailure('ifconfig: SIOCSIFMTU: Invalid argument (an IPv6 address needs 1280 or more)')
  ifc.mtu = mtu
}

function setGroup(device: Device, group: string, member: boolean): void {
  const { interface: ifc } = device
  if (!member) {
    if (!ifc.groups.includes(group))
      throw new CommandFailure('ifconfig: SIOCDIFGROUP: No such file or directory')
    ifc.groups = ifc.groups.filter((other) => other !== group)
    return
  }
  if (/\d$/.test(group)) throw new CommandFailure('ifconfig: setifgroup: group names may not end in a digit')
  if (group.length > 15) throw new CommandFailure('ifconfig: setifgroup: group name too long')
  if (!ifc.groups.includes(group)) ifc.groups = [...ifc.groups, group]
}

function setMember(machine: LabMachine, device: Device, memberName: string, member: boolean): void {
  if (!(device instanceof BridgeDevice))
    throw new CommandFailure(
      `ifconfig: ${device.name}: ${memberName}: ${NOT_THIS_KIND} (${device.name} is no bridge)`,
    )
  const other = machine.device(memberName)
  if (other === undefined)
    throw new CommandFailure(
      `ifconfig: ${device.name}: ${memberName}: No such file or directory${meant(memberName, machine.devices.keys())}`,
    )
  if (!member) {
    if (!device.remove(other))
      throw new CommandFailure(`ifconfig: ${device.name}: ${memberName}: No such file or directory`)
    return
  }
  if (other.bridge === device) return // ifconfig takes EEXIST for done
  try {
    device.add(other)
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    throw new CommandFailure(`ifconfig: ${device.name}: ${memberName}: ${error.summary}`)
  }
}

function setFlag(device: Device, flag: InterfaceFlag, enabled: boolean): void {
  const flags = handFlags.get(device) ?? new Set<InterfaceFlag>()
  if (enabled && flag in INTERFACE_FLAGS) flags.add(flag)
  else flags.delete(flag)
  handFlags.set(device, flags)
}

/** A locally administered station address (IEEE 802). */
function randomStation(machine: LabMachine): MacAddress {
  const bytes = machine.random.fill(new Uint8Array(6))
  bytes[0] = (bytes[0]! & 0xfc) | 2
  return new MacAddress(bytes)
}

/** A refusal as ifconfig prints it: the ioctl, errno's text, and what the refusing part found. */
function ioctl(request: string, error: unknown, errno?: string): CommandFailure {
  if (!(error instanceof WarrenError)) throw error
  const { found, expected, mend } = error.details
  const why = [
    errno === undefined ? undefined : error.summary,
    errno === undefined || found === undefined ? undefined : `found ${found}`,
    expected === undefined ? undefined : `expected ${expected}`,
    mend,
  ].filter((part) => part !== undefined)
  const detail = why.length === 0 ? '' : ` (${why.join(', ')})`
  return new CommandFailure(`ifconfig: ${request}: ${errno ?? error.summary}${detail}`)
}
