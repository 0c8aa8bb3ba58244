/**
 * The network devices of a machine: what lies beneath the stack's interfaces. Clonable ones come and go with
 * `ifconfig IF create` and `destroy`; vio(4) and tap(4) are the two ends of a virtual machine's cable.
 *
 * A bridge stands between an interface's wire and its stack, so that a member's own stack is a port like any other:
 * frames for it, from it and for all find their way by the same table.
 */
import {
  type Duration,
  type Instant,
  type IpAddress,
  type MacAddress,
  PacketBuffer,
  readUint16,
  WarrenError,
} from '../base/index.js'
import { type Host, Tunnel, type TunnelDefinition, type TunnelStatus } from '../engine/index.js'
import { defaultMtu, layerOf, type TunnelKind } from '../proto/index.js'
import { Bridge, type BridgePort } from '../stack/bridge.js'
import type { Driver, InterfaceKind, NetworkInterface } from '../stack/index.js'
import { EtherType } from '../wire/numbers.js'
import { randomMac, TunnelPort } from './host.js'
import type { LinkEnd } from './link.js'
import type { LabMachine } from './machine.js'

export type DeviceKind = 'lo' | 'vio' | 'tap' | 'vether' | 'bridge' | 'switch' | TunnelKind

export interface DeviceOptions {
  readonly kind: DeviceKind
  readonly name: string
  readonly interfaceKind: InterfaceKind
  readonly mtu: number
  readonly mac?: MacAddress
}

export abstract class Device implements Driver {
  readonly machine: LabMachine
  readonly kind: DeviceKind
  readonly name: string
  readonly interface: NetworkInterface
  /** The bridge that it is a member of. */
  bridge?: BridgeDevice

  protected constructor(machine: LabMachine, { kind, name, interfaceKind, mtu, mac }: DeviceOptions) {
    this.machine = machine
    this.kind = kind
    this.name = name
    // The stack has made lo0 itself, for packets to its own addresses.
    this.interface =
      machine.stack.interfaces.get(name) ??
      machine.stack.addInterface(
        { name, kind: interfaceKind, mtu, driver: this, ...(mac === undefined ? {} : { mac }) },
        machine.now(),
      )
    if (kind !== 'vio') this.interface.groups = [kind]
  }

  /** From the stack. */
  abstract transmit(packet: PacketBuffer, now: Instant): void

  /** The ports it has on a bridge; `undefined`: it can be no member. The first one has the device's name. */
  ports(_bridge: BridgeDevice): readonly BridgePort[] | undefined {
    return undefined
  }

  destroy(): void {
    this.bridge?.remove(this)
    this.machine.stack.removeInterface(this.name, this.machine.now())
  }
}

/** An interface whose frames leave the machine: bridged, its wire and its stack are two ports. */
abstract class WireDevice extends Device {
  #local: BridgePort | undefined
  #fromBridge = false

  protected abstract toWire(packet: PacketBuffer, now: Instant): void

  override transmit(packet: PacketBuffer, now: Instant): void {
    const { bridge } = this
    if (bridge === undefined || this.#local === undefined || this.#fromBridge || !bridge.interface.up) {
      this.toWire(packet, now)
      return
    }
    bridge.table.receive(this.#local, packet, now)
  }

  override ports(bridge: BridgeDevice): readonly BridgePort[] | undefined {
    if (this.interface.kind !== 'ethernet') return undefined
    const wire: BridgePort = {
      name: this.name,
      transmit: (frame, now) => {
        this.#fromBridge = true
        try {
          this.interface.transmit(frame, now)
        } finally {
          this.#fromBridge = false
        }
      },
    }
    const local: BridgePort = {
      name: `${this.name} (local)`,
      transmit: (frame, now) => this.machine.stack.inputLocal(this.interface, copyOf(frame), now),
    }
    this.#local = local
    this.interface.intercept = (frame, now) => {
      if (!bridge.interface.up) return false
      bridge.table.receive(wire, frame, now)
      return true
    }
    return [wire, local]
  }
}

/** vio(4) of a guest and tap(4) of its host: an end of a link. */
export class CableDevice extends WireDevice {
  readonly end: LinkEnd

  constructor(machine: LabMachine, kind: 'vio' | 'tap', name: string, mac: MacAddress, end: LinkEnd) {
    super(machine, { kind, name, interfaceKind: 'ethernet', mtu: 1500, mac })
    this.end = end
    end.onFrame = (frame, now) => machine.stack.input(this.interface, frame, now)
  }

  protected override toWire(packet: PacketBuffer, now: Instant): void {
    this.end.transmit(packet.view(), now)
  }

  override destroy(): void {
    delete this.end.onFrame
    super.destroy()
  }
}

/** vether(4): an interface with nothing beneath it but the bridge that it joins. */
export class VetherDevice extends Device {
  #port: BridgePort | undefined

  constructor(machine: LabMachine, name: string) {
    super(machine, {
      kind: 'vether',
      name,
      interfaceKind: 'ethernet',
      mtu: 1500,
      mac: randomMac(machine.random),
    })
  }

  override transmit(packet: PacketBuffer, now: Instant): void {
    if (this.bridge?.interface.up && this.#port !== undefined)
      this.bridge.table.receive(this.#port, packet, now)
  }

  override ports(): readonly BridgePort[] {
    this.#port = {
      name: this.name,
      transmit: (frame, now) => this.machine.stack.input(this.interface, copyOf(frame), now),
    }
    return [this.#port]
  }
}

/** lo(4): what it is given comes back by the stack itself. */
export class LoopbackDevice extends Device {
  constructor(machine: LabMachine, name: string) {
    super(machine, { kind: 'lo', name, interfaceKind: 'loopback', mtu: 32_768 })
  }

  override transmit(packet: PacketBuffer, now: Instant): void {
    this.machine.stack.input(this.interface, copyOf(packet), now)
  }
}

/** bridge(4), and switch(4) as far as it is a bridge: no OpenFlow here. */
export class BridgeDevice extends Device {
  readonly table: Bridge = new Bridge()
  readonly #members = new Map<Device, readonly BridgePort[]>()

  constructor(machine: LabMachine, kind: 'bridge' | 'switch', name: string) {
    super(machine, { kind, name, interfaceKind: 'ethernet', mtu: 1500 })
    const { interface: ifc } = this
    this.table.filter = (direction, port, frame, now) => this.#filter(direction, port, frame, now)
    this.table.taps.add((frame, now) => {
      ifc.counters.packetsIn++
      ifc.counters.bytesIn += frame.length
      for (const tap of ifc.taps) tap(frame, 'in', now)
    })
  }

  /** pf(4) sees the IP packets that pass a member's wire; what is for a member's own stack, the stack filters. */
  #filter(direction: 'in' | 'out', port: BridgePort, frame: PacketBuffer, now: Instant): boolean {
    const ifc = this.machine.stack.interfaces.get(port.name)
    if (ifc === undefined) return true
    const { bytes, start, end } = frame
    const etherType = readUint16(bytes, start + 12)
    if (etherType !== EtherType.ipv4 && etherType !== EtherType.ipv6) return true
    return this.machine.pf.passesBytes(direction, ifc, bytes, start + 14, end, now)
  }

  /** bridge(4) has no address and no IP: there is nothing to send. */
  override transmit(): void {}

  get members(): readonly Device[] {
    return [...this.#members.keys()]
  }

  /** The port of a member, for its flags and its learned addresses. */
  portOf(member: Device): BridgePort | undefined {
    return this.#members.get(member)?.[0]
  }

  /** @throws WarrenError LAB_BRIDGE_MEMBER 'File exists', 'Device busy', 'Invalid argument' */
  add(member: Device): void {
    const refuse = (reason: string): never => {
      throw new WarrenError('LAB_BRIDGE_MEMBER', reason, { found: member.name, where: this.name })
    }
    if (member.bridge === this) refuse('File exists')
    if (member.bridge !== undefined) refuse('Device busy')
    const ports = member.ports(this) ?? refuse('Invalid argument')
    member.bridge = this
    this.#members.set(member, ports)
    for (const port of ports) this.table.addPort(port)
  }

  /** False: it was no member. */
  remove(member: Device): boolean {
    const ports = this.#members.get(member)
    if (ports === undefined) return false
    for (const port of ports) this.table.removePort(port)
    this.#members.delete(member)
    delete member.bridge
    delete member.interface.intercept
    return true
  }

  override destroy(): void {
    for (const member of this.members) this.remove(member)
    super.destroy()
  }
}

/** How ifconfig has configured a tunnel. */
export interface TunnelSettings {
  readonly local?: IpAddress
  readonly remote?: IpAddress
  readonly ttl?: number | 'copy'
  readonly dontFragment?: boolean
  /** gre: the key; eoip: the tunnel id. */
  readonly vnetid?: number
  /** gre: the key's low byte tells flows. */
  readonly vnetflowid?: boolean
  readonly keepalive?: { readonly period: Duration; readonly count: number }
}

/** gif(4), gre(4), eoip(4), etherip(4): engine's tunnel behind an interface that outlives its settings. */
export class TunnelDevice extends WireDevice {
  declare readonly kind: TunnelKind
  readonly port: TunnelPort
  readonly tunnel: Tunnel
  #settings: TunnelSettings = {}

  constructor(machine: LabMachine, kind: TunnelKind, name: string) {
    const ethernet = layerOf(kind) === 'ethernet'
    super(machine, {
      kind,
      name,
      interfaceKind: ethernet ? 'ethernet' : 'point-to-point',
      mtu: defaultMtu[kind],
      ...(ethernet ? { mac: randomMac(machine.random) } : {}),
    })
    const port = new TunnelPort(machine, name)
    port.attach(this.interface)
    port.setRunning(false)
    this.port = port
    // ifconfig has made the interface already: the tunnel is to take it as it is.
    const host: Host = {
      name: machine.name,
      random: machine.random,
      counters: machine.counters,
      now: () => machine.now(),
      schedule: (at, callback) => machine.schedule(at, callback),
      transmit: (datagram) => {
        if (this.interface.up) machine.transmit(datagram)
      },
      createInterface: () => port,
    }
    this.tunnel = new Tunnel(host, this.#definition({}))
    this.tunnel.start()
  }

  get settings(): TunnelSettings {
    return this.#settings
  }

  /**
   * Changes what `change` names (`undefined` takes a setting away) and runs the tunnel anew with it. Nothing is
   * changed if the protocol refuses.
   * @throws WarrenError of the protocol: TUNNEL_OUTER, TUNNEL_KEY, TUNNEL_ID, TUNNEL_KEEPALIVE
   */
  configure(change: { readonly [K in keyof TunnelSettings]: TunnelSettings[K] | undefined }): void {
    const settings = Object.fromEntries(
      Object.entries({ ...this.#settings, ...change }).filter(([, value]) => value !== undefined),
    ) as TunnelSettings
    this.tunnel.reconfigure(this.#definition(settings))
    this.#settings = settings
    if (this.tunnel.state === 'idle') this.port.setRunning(false)
  }

  status(): TunnelStatus {
    return this.tunnel.status()
  }

  override destroy(): void {
    this.bridge?.remove(this)
    this.tunnel.stop()
  }

  protected override toWire(packet: PacketBuffer, now: Instant): void {
    this.port.transmit(packet, now)
  }

  #definition({ local, remote, ...rest }: TunnelSettings): TunnelDefinition {
    const { ttl, dontFragment, vnetid, vnetflowid, keepalive } = rest
    return {
      kind: this.kind,
      name: this.name,
      mtu: this.interface.mtu,
      addresses: [],
      routes: [],
      up: this.interface.up,
      ...(local === undefined || remote === undefined
        ? {}
        : {
            outer: {
              local,
              remote,
              ...(ttl === undefined ? {} : { ttl }),
              ...(dontFragment === undefined ? {} : { dontFragment }),
            },
          }),
      ...(vnetid === undefined ? {} : this.kind === 'eoip' ? { tunnelId: vnetid } : { key: vnetid }),
      ...(vnetflowid === undefined ? {} : { flowInKey: vnetflowid }),
      ...(keepalive === undefined ? {} : { keepalive }),
    }
  }
}

/** Headroom for a tunnel's headers, and bytes of its own: a local stack may change what it is given. */
function copyOf(frame: PacketBuffer): PacketBuffer {
  const copy = PacketBuffer.copyOf(frame.view(), frame.kind)
  copy.nesting = frame.nesting
  return copy
}
