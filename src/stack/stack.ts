/**
 * The IP stack of a virtual host, with no I/O of its own.
 *
 * What arrives is handed to `input`; what leaves goes to the interfaces' drivers during the call. Time is an
 * argument. Between calls the owner asks `nextTimeout()` and calls `timeout()` when that time has come; `onWake` says
 * that it may have become earlier. Whatever a stranger sends is answered as the standards say or counted by reason in
 * `counters`; it never throws.
 */
import {
  type Counters,
  type Instant,
  type InterfaceAddress,
  type IpAddress,
  Ipv4Address,
  Ipv6Address,
  type MacAddress,
  type PacketBuffer,
  type Random,
  WarrenError,
} from '../base/index.js'
import { addAddress, announce, ensureLinkLocal, removeAddress } from './addressing.js'
import { Core } from './core.js'
import { driverInput, ipInput, localInput } from './input.js'
import { NetworkInterface } from './interface.js'
import { defaultLimits, type StackLimits } from './limits.js'
import type { RouteTable } from './routes.js'
import type { TcpLayer } from './tcp/index.js'
import { pathMtu, senderMtu, sourceFor } from './tcp-binding.js'
import type {
  IcmpListener,
  InterfaceSpec,
  IpsecHook,
  Neighbour,
  PacketFilter,
  ProtocolHandler,
  SendRequest,
  SendResult,
  StackSettings,
} from './types.js'
import type { UdpLayer } from './udp.js'

export interface StackOptions {
  readonly name: string
  readonly random: Random
  readonly limits?: Partial<StackLimits>
}

/** The neighbour caches of both families: what `arp` and `ndp` show and change. */
export interface NeighbourTable {
  /** This host's own addresses among them, IPv4 before IPv6. */
  list(): Neighbour[]
  /** Forgets an address on every interface; false if it was not there, or is ours. */
  remove(address: IpAddress): boolean
  /** A permanent entry. */
  set(ifc: NetworkInterface, address: IpAddress, mac: MacAddress, now: Instant): void
}

/** OpenBSD's lo0. */
const LOOPBACK_NAME = 'lo0'
const LOOPBACK_MTU = 32_768
/** fe80::1, which OpenBSD gives lo0. */
const LOOPBACK_LINK_LOCAL = new Ipv6Address(
  Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
)

/** Timers that one `timeout` call runs before it gives the word back. */
const TIMERS_PER_CALL = 100_000

export class Stack {
  readonly name: string
  readonly interfaces: ReadonlyMap<string, NetworkInterface>
  readonly routes: RouteTable
  readonly neighbours: NeighbourTable
  readonly settings: StackSettings
  readonly counters: Counters
  readonly udp: UdpLayer
  readonly tcp: TcpLayer
  /** `nextTimeout()` may have become earlier. */
  onWake?: () => void
  readonly #core: Core
  #nextIndex = 1

  constructor(options: StackOptions) {
    this.name = options.name
    const core = new Core(options.random, { ...defaultLimits, ...options.limits })
    this.#core = core
    this.interfaces = core.interfaces
    this.routes = core.routes
    this.settings = core.settings
    this.counters = core.counters
    this.udp = core.udp
    this.tcp = core.tcp
    this.neighbours = {
      list: () => this.#neighbours(),
      remove: (address) => (address.family === 4 ? core.arp : core.nd).cache.remove(address),
      set: (ifc, address, mac, now) =>
        (address.family === 4 ? core.arp : core.nd).cache.set(ifc, address, mac, now),
    }
    core.timers.onEarlier = () => this.onWake?.()
    this.#addLoopback()
  }

  /** A packet filter; false drops. Locally destined fragments pass it as the whole that they make. */
  get filter(): PacketFilter | undefined {
    return this.#core.filter
  }
  set filter(filter: PacketFilter | undefined) {
    this.#core.filter = filter
  }

  /** Called with each IPv4 packet that comes in, before anybody asks whom it is for: a NAT may change it, in place. */
  get translate(): ((packet: PacketBuffer, now: Instant) => void) | undefined {
    return this.#core.translate
  }
  set translate(translate: ((packet: PacketBuffer, now: Instant) => void) | undefined) {
    this.#core.translate = translate
  }

  /** IPsec's policies; `undefined`: none, everything goes in clear. */
  get ipsec(): IpsecHook | undefined {
    return this.#core.ipsec
  }
  set ipsec(hook: IpsecHook | undefined) {
    this.#core.ipsec = hook
    if (hook === undefined) this.#core.protectedMtus.clear()
  }

  /** The interface is down until `setUp`. @throws WarrenError STACK_INTERFACE_EXISTS. */
  addInterface(spec: InterfaceSpec, now: Instant): NetworkInterface {
    this.#core.now = now
    if (this.interfaces.has(spec.name))
      throw new WarrenError('STACK_INTERFACE_EXISTS', 'File exists', {
        found: `interface ${spec.name}`,
        expected: 'a name that no interface of this host has',
      })
    const ifc = new NetworkInterface(spec, this.#nextIndex++)
    this.#core.interfaces.set(spec.name, ifc)
    return ifc
  }

  /** Its addresses and routes go with it. Nothing happens if there is none of that name. */
  removeInterface(name: string, now: Instant): void {
    const ifc = this.interfaces.get(name)
    if (ifc === undefined) return
    this.setUp(ifc, false, now)
    for (const own of ifc.addresses) removeAddress(this.#core, ifc, own)
    this.routes.removeWhere((route) => route.interface === ifc)
    this.#core.interfaces.delete(name)
    if (this.#core.loopbackInterface === ifc) this.#core.loopbackInterface = undefined
  }

  /** Down: its routes stay, but nothing takes them; its neighbours are forgotten. */
  setUp(ifc: NetworkInterface, up: boolean, now: Instant): void {
    this.#core.now = now
    if (ifc.up === up) return
    ifc.assignUp(up)
    if (!up) {
      this.#core.arp.cache.removeInterface(ifc)
      this.#core.nd.cache.removeInterface(ifc)
      return
    }
    for (const own of ifc.addresses) announce(this.#core, ifc, own, now)
    ensureLinkLocal(this.#core, ifc, now)
  }

  /** Adds an address, or changes the prefix or peer of one that is there. */
  addAddress(ifc: NetworkInterface, address: InterfaceAddress, now: Instant): void {
    this.#core.now = now
    addAddress(this.#core, ifc, address, now)
  }

  /** @throws WarrenError STACK_NO_SUCH_ADDRESS "Can't assign requested address". */
  removeAddress(ifc: NetworkInterface, address: IpAddress, now: Instant): void {
    this.#core.now = now
    const own = ifc.addresses.find((other) => other.address.equals(address))
    if (own === undefined)
      throw new WarrenError('STACK_NO_SUCH_ADDRESS', "Can't assign requested address", {
        found: address.toString(),
        expected: `an address of ${ifc.name}`,
      })
    removeAddress(this.#core, ifc, own)
  }

  /** A packet from a driver. The buffer is the stack's during the call; its bytes may change. */
  input(ifc: NetworkInterface, packet: PacketBuffer, now: Instant): void {
    this.#core.now = now
    driverInput(this.#core, ifc, packet, now)
  }

  /** A frame that a bridge gives to the stack itself: as `input`, past counters, taps and `intercept`. */
  inputLocal(ifc: NetworkInterface, packet: PacketBuffer, now: Instant): void {
    this.#core.now = now
    if (ifc.up) localInput(this.#core, ifc, packet, now)
  }

  /** The IP packet that an SA brought in by `ifc`, its policy checked: past counters, taps and policies. */
  inputProtected(ifc: NetworkInterface, packet: PacketBuffer, now: Instant): void {
    this.#core.now = now
    if (ifc.up) ipInput(this.#core, ifc, packet, now, true)
  }

  /** Builds the IP header, chooses the way, fragments if it must and may. */
  send(request: SendRequest, now: Instant): SendResult {
    this.#core.now = now
    const output = request.destination.family === 4 ? this.#core.ipv4 : this.#core.ipv6
    return output.send(request, now)
  }

  /** Sends a whole IP packet whose header the caller wrote (IP_HDRINCL); lengths and checksum are put right. */
  sendRaw(packet: PacketBuffer, now: Instant): SendResult {
    this.#core.now = now
    const version = packet.length > 0 ? packet.bytes[packet.start]! >> 4 : 0
    if (version === 4) return this.#core.ipv4.sendRaw(packet, now)
    return version === 6 ? this.#core.ipv6.sendRaw(packet, now) : 'no-route'
  }

  /** Registers or (without a handler) removes what takes the payload of an IP protocol, of either family. */
  handle(protocol: number, handler?: ProtocolHandler): void {
    this.#core.transport.handle(protocol, handler)
  }

  /** Hears every ICMP and ICMPv6 message that reaches this host; returns what ends that. */
  onIcmp(listener: IcmpListener): () => void {
    return this.#core.transport.onIcmp(listener)
  }

  /** The address a packet to `destination` would carry; `undefined` without a route. */
  sourceFor(destination: IpAddress): IpAddress | undefined {
    return sourceFor(this.#core, destination)
  }

  /** Largest IP packet that goes to `destination` unfragmented, as far as known; `undefined` without a route. */
  pathMtu(destination: IpAddress, now: Instant): number | undefined {
    return pathMtu(this.#core, destination, now)
  }

  /** The same for a sender on this host: what is left of it by the SAs that its packets go through, as far as known. */
  senderMtu(destination: IpAddress, now: Instant): number | undefined {
    return senderMtu(this.#core, destination, now)
  }

  /** True if the address is one of an interface of this host that is up. */
  isLocal(address: IpAddress): boolean {
    return this.#core.local.has(address)
  }

  nextTimeout(): Instant | undefined {
    return this.#core.timers.next()
  }

  timeout(now: Instant): void {
    this.#core.now = now
    for (let i = 0; i < TIMERS_PER_CALL && this.#core.timers.runDue(now); i++);
  }

  #addLoopback(): void {
    const { now, loopback } = this.#core
    const spec = {
      name: LOOPBACK_NAME,
      kind: 'loopback',
      mtu: LOOPBACK_MTU,
      driver: loopback.driver,
    } as const
    const ifc = this.addInterface(spec, now)
    ifc.groups = ['lo']
    this.#core.loopbackInterface = ifc
    this.setUp(ifc, true, now)
    this.addAddress(ifc, { address: Ipv6Address.loopback, prefixLength: 128 }, now)
    this.addAddress(ifc, { address: LOOPBACK_LINK_LOCAL, prefixLength: 64 }, now)
    this.addAddress(ifc, { address: Ipv4Address.loopback, prefixLength: 8 }, now)
  }

  #neighbours(): Neighbour[] {
    const own = [...this.interfaces.values()].flatMap((ifc) =>
      ifc.kind !== 'ethernet'
        ? []
        : ifc.addresses.map(
            ({ address }): Neighbour => ({
              address,
              ...(ifc.mac === undefined ? {} : { mac: ifc.mac }),
              interface: ifc,
              state: 'permanent',
              local: true,
              router: false,
            }),
          ),
    )
    return [...own, ...this.#core.arp.cache.list(), ...this.#core.nd.cache.list()].sort(
      (a, b) => a.address.family - b.address.family,
    )
  }
}
