/**
 * The IP stack of a virtual host, with no I/O of its own.
 *
 * What arrives is handed to `input`; what leaves goes to the interfaces' drivers during the call. Time is an
 * argument. Between calls the owner asks `nextTimeout()` and calls `timeout()` when that time has come; `onWake` says
 * that it may have become earlier. Whatever a stranger sends is answered as the standards say or counted by reason in
 * `counters`; it never throws.
 */
import {
  Counters,
  type Instant,
  type InterfaceAddress,
  type IpAddress,
  type PacketBuffer,
  type Random,
} from '../base/index.js'
import type { NetworkInterface } from './interface.js'
import type { StackLimits } from './limits.js'
import { RouteTable } from './routes.js'
import type {
  IcmpListener,
  InterfaceSpec,
  Neighbour,
  PacketFilter,
  ProtocolHandler,
  SendRequest,
  SendResult,
  StackSettings,
} from './types.js'
import { UdpLayer } from './udp.js'

export interface StackOptions {
  readonly name: string
  readonly random: Random
  readonly limits?: Partial<StackLimits>
}

export class Stack {
  readonly name: string
  readonly interfaces: ReadonlyMap<string, NetworkInterface> = new Map()
  readonly routes: RouteTable = new RouteTable()
  readonly neighbours: { list(): Neighbour[]; remove(address: IpAddress): boolean } = {
    list: () => [],
    remove: () => false,
  }
  readonly settings: StackSettings = {
    forwarding4: false,
    forwarding6: false,
    defaultTtl: 64,
    echoBroadcast: false,
    announceAddresses: true,
  }
  readonly counters: Counters = new Counters()
  readonly udp: UdpLayer = new UdpLayer()
  filter?: PacketFilter
  /** `nextTimeout()` may have become earlier. */
  onWake?: () => void

  constructor(options: StackOptions) {
    this.name = options.name
  }

  /** @throws WarrenError STACK_INTERFACE_EXISTS */
  addInterface(_spec: InterfaceSpec, _now: Instant): NetworkInterface {
    throw new Error('not yet')
  }
  /** Its addresses and routes go with it. */
  removeInterface(_name: string, _now: Instant): void {}
  setUp(_ifc: NetworkInterface, _up: boolean, _now: Instant): void {}
  /** Adds an address, or changes the prefix or peer of one that is there. */
  addAddress(_ifc: NetworkInterface, _address: InterfaceAddress, _now: Instant): void {}
  /** @throws WarrenError STACK_NO_SUCH_ADDRESS 'Can't assign requested address' */
  removeAddress(_ifc: NetworkInterface, _address: IpAddress, _now: Instant): void {}

  /** A packet from a driver. The buffer is the stack's during the call; its bytes may change. */
  input(_ifc: NetworkInterface, _packet: PacketBuffer, _now: Instant): void {}
  /** A frame that a bridge gives to the stack itself: as `input`, past counters, taps and `intercept`. */
  inputLocal(_ifc: NetworkInterface, _packet: PacketBuffer, _now: Instant): void {}
  /** Builds the IP header, chooses the way, fragments if it must and may. */
  send(_request: SendRequest, _now: Instant): SendResult {
    return 'no-route'
  }
  /** Sends a whole IP packet whose header the caller wrote (IP_HDRINCL); lengths and checksum are put right. */
  sendRaw(_packet: PacketBuffer, _now: Instant): SendResult {
    return 'no-route'
  }
  /** Registers or (without a handler) removes what takes the payload of an IP protocol. */
  handle(_protocol: number, _handler?: ProtocolHandler): void {}
  /** Hears every ICMP and ICMPv6 message that reaches this host; returns what ends that. */
  onIcmp(_listener: IcmpListener): () => void {
    return () => {}
  }
  /** The address a packet to `destination` would carry. */
  sourceFor(_destination: IpAddress): IpAddress | undefined {
    return undefined
  }
  /** Largest IP packet that goes to `destination` unfragmented, as far as known; `undefined` without a route. */
  pathMtu(_destination: IpAddress, _now: Instant): number | undefined {
    return undefined
  }
  /** True if the address is one of this host's. */
  isLocal(_address: IpAddress): boolean {
    return false
  }

  nextTimeout(): Instant | undefined {
    return undefined
  }
  timeout(_now: Instant): void {}
}
