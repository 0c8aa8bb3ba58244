/**
 * A network interface: its addresses, its counters, and the driver beneath it.
 *
 * `transmit` is the one way out to the driver and `Stack.input` the one way in; both count and show the packet to the
 * taps.
 */
import {
  type Instant,
  type InterfaceAddress,
  type IpAddress,
  IpPrefix,
  type MacAddress,
  type PacketBuffer,
} from '../base/index.js'
import type { Driver, InterfaceCounters, InterfaceKind, InterfaceSpec, Tap } from './types.js'

export class NetworkInterface {
  readonly name: string
  /** Counts up in the order of creation; never used again. */
  readonly index: number
  readonly kind: InterfaceKind
  mac?: MacAddress
  mtu: number
  /** The link has a carrier; the driver's owner says so. */
  running = true
  readonly counters: InterfaceCounters = {
    packetsIn: 0,
    bytesIn: 0,
    errorsIn: 0,
    packetsOut: 0,
    bytesOut: 0,
    errorsOut: 0,
  }
  description?: string
  groups: string[] = []
  readonly taps: Set<Tap> = new Set()
  /** A bridge's hook: called with every frame that comes in; true if the bridge took it. */
  intercept?: (packet: PacketBuffer, now: Instant) => boolean
  promiscuous = false

  readonly #driver: Driver
  #up = false
  #addresses: InterfaceAddress[] = []

  constructor(spec: InterfaceSpec, index: number) {
    this.name = spec.name
    this.index = index
    this.kind = spec.kind
    if (spec.mac !== undefined) this.mac = spec.mac
    this.mtu = spec.mtu
    this.#driver = spec.driver
  }

  /** Changed by `Stack.setUp`. */
  get up(): boolean {
    return this.#up
  }

  /** In the order in which they were added; changed by `Stack.addAddress` and `removeAddress`. */
  get addresses(): readonly InterfaceAddress[] {
    return this.#addresses
  }

  /** True for an interface whose frames can be for all: broadcast and multicast below IP. */
  get isBroadcast(): boolean {
    return this.kind === 'ethernet'
  }

  /** Hands a packet to the driver, whether or not IP sent it (a bridge sends frames so). Dropped if not up. */
  transmit(packet: PacketBuffer, now: Instant): void {
    if (!this.#up) {
      this.counters.errorsOut++
      return
    }
    this.counters.packetsOut++
    this.counters.bytesOut += packet.length
    for (const tap of this.taps) tap(packet.view(), 'out', now)
    this.#driver.transmit(packet, now)
  }

  /** Counts a packet that came in and shows it to the taps. */
  received(packet: PacketBuffer, now: Instant): void {
    this.counters.packetsIn++
    this.counters.bytesIn += packet.length
    for (const tap of this.taps) tap(packet.view(), 'in', now)
  }

  hasAddress(address: IpAddress): boolean {
    return this.#addresses.some((own) => own.address.equals(address))
  }

  /** The address of ours whose prefix (or peer) covers `address`. */
  addressFor(address: IpAddress): InterfaceAddress | undefined {
    return this.#addresses.find(
      (own) =>
        own.address.family === address.family &&
        (own.peer?.equals(address) === true ||
          (this.kind === 'ethernet' && prefixOf(own).contains(address)) ||
          own.address.equals(address)),
    )
  }

  /** For `Stack` only: it keeps routes and neighbours in step. */
  assignUp(up: boolean): void {
    this.#up = up
  }

  /** For `Stack` only. */
  assignAddresses(addresses: InterfaceAddress[]): void {
    this.#addresses = addresses
  }
}

const prefixes = new WeakMap<InterfaceAddress, IpPrefix>()

/** The network that an address is configured in. */
export function prefixOf(own: InterfaceAddress): IpPrefix {
  let prefix = prefixes.get(own)
  if (prefix === undefined) {
    prefix = new IpPrefix(own.address, own.prefixLength)
    prefixes.set(own, prefix)
  }
  return prefix
}
