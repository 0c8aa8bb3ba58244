/** A tunnel's interface on this machine: made through /dev/net/tun, set up through rtnetlink. */
import { concatBytes, type InterfaceAddress } from '../base/index.js'
import type { HostInterface, InterfaceSpec, PathStatus } from '../engine/host.js'
import type { Carrier, Datagram, Packet, PathSpec, PolicySpec, ReachedLifetime } from '../proto/machine.js'
import { libc } from './ffi.js'
import { VNET_LENGTH } from './offload/index.js'
import type { RouteNetlink } from './rtnetlink.js'
import { type OpenedTun, openTun } from './tun.js'

/** Who hears of a path. */
export interface PathHooks {
  readonly onControl: (datagram: Datagram) => void
  readonly onReached?: ((lifetime: ReachedLifetime) => void) | undefined
}

/** What an interface asks of its host. */
export interface InterfaceOwner {
  install(path: PathSpec, hooks: PathHooks): void
  setPolicies(policies: readonly PolicySpec[]): void
  /** Drops that belong to none of its paths, by reason. */
  drops(): Record<string, number>
  remove(pathId: string): void
  running(running: boolean): void
  counts(pathId: string): PathStatus | undefined
  /** An address is to come or to go. */
  address(index: number, name: string, address: InterfaceAddress, up: boolean): void
  destroyed(made: LinuxInterface): void
}

/**
 * An Ethernet device's default. TUN's own, 500, is less than what one TCP connection sends at once, and what is too
 * much for it is lost.
 */
const QUEUE_LENGTH = 1000

/** The virtio header of a packet that is whole. */
const NO_OFFLOAD: Uint8Array = new Uint8Array(VNET_LENGTH)

const NOTHING = { packets: 0, bytes: 0, drops: {} } as const

export class LinuxInterface implements HostInterface {
  readonly name: string
  readonly fd: number
  /** Descriptors of its further queues. */
  readonly queues: readonly number[]
  /** A virtio header stands before every packet, in both directions. */
  readonly offload: boolean
  /** The kernel's number of it. */
  readonly index: number
  readonly paths: Map<string, PathHooks & { readonly carrier: Carrier }> = new Map()
  readonly #netlink: RouteNetlink
  readonly #owner: InterfaceOwner
  #destroyed = false

  private constructor(
    name: string,
    { fd, offload, queues }: OpenedTun,
    index: number,
    netlink: RouteNetlink,
    owner: InterfaceOwner,
  ) {
    this.name = name
    this.fd = fd
    this.queues = queues
    this.offload = offload
    this.index = index
    this.#netlink = netlink
    this.#owner = owner
  }

  /** Makes it with its addresses and routes, or throws and leaves nothing. */
  static create(
    spec: InterfaceSpec,
    netlink: RouteNetlink,
    owner: InterfaceOwner,
    queues: number,
  ): LinuxInterface {
    const opened = openTun(spec.name, spec.layer, queues)
    try {
      const index = libc().if_nametoindex(spec.name)
      setUp(spec, index, netlink)
      return new LinuxInterface(spec.name, opened, index, netlink, owner)
    } catch (error) {
      // The interface goes with its descriptor.
      for (const fd of [opened.fd, ...opened.queues]) libc().close(fd)
      throw error
    }
  }

  install(
    path: PathSpec,
    onControl: (datagram: Datagram) => void,
    onReached?: (lifetime: ReachedLifetime) => void,
  ): void {
    this.#owner.install(path, { onControl, onReached })
  }

  setPolicies(policies: readonly PolicySpec[]): void {
    this.#owner.setPolicies(policies)
  }

  remove(pathId: string): void {
    this.#owner.remove(pathId)
  }

  /** A packet that an interface does not take (it is down) is lost, as the worker's are. */
  deliver(packet: Packet): void {
    if (this.#destroyed) return
    const bytes = this.offload ? concatBytes(NO_OFFLOAD, packet.bytes) : packet.bytes
    libc().write(this.fd, bytes, bytes.length)
  }

  setRunning(running: boolean): void {
    this.#owner.running(running)
  }

  setMtu(mtu: number): void {
    this.#netlink.setLink(this.index, this.name, { mtu })
  }

  addAddress(address: InterfaceAddress): void {
    this.#owner.address(this.index, this.name, address, true)
  }

  removeAddress(address: InterfaceAddress): void {
    if (!this.#destroyed) this.#owner.address(this.index, this.name, address, false)
  }

  drops(): Record<string, number> {
    return this.#owner.drops()
  }

  /** As of the host's last `refresh()`. */
  status(): PathStatus[] {
    return [...this.paths.keys()].map((id) => {
      const counts = this.#owner.counts(id)
      const { sas, inbound = NOTHING, outbound = NOTHING } = counts ?? {}
      return { id, ...(sas === undefined ? {} : { sas }), inbound, outbound }
    })
  }

  destroy(): void {
    if (this.#destroyed) return
    this.#destroyed = true
    try {
      this.#netlink.deleteLink(this.index, this.name)
    } finally {
      this.#owner.destroyed(this)
    }
  }
}

function setUp(spec: InterfaceSpec, index: number, netlink: RouteNetlink): void {
  const { name, addresses, routes = [], mac, mtu, up } = spec
  const hasIpv6 = addresses.some(({ address }) => address.family === 6)
  // OpenBSD gives an interface no inet6 address before it is given one; so a tunnel for IPv4 stays silent in IPv6.
  netlink.setLink(index, name, {
    mtu,
    queueLength: QUEUE_LENGTH,
    ...(mac === undefined ? {} : { mac }),
    noLinkLocal: !hasIpv6,
  })
  // Up first: the kernel makes the route of an IPv6 address with a peer only on an interface that is up.
  if (up) netlink.setLink(index, name, { up })
  for (const address of addresses) netlink.addAddress(index, name, address, spec.layer === 'ip')
  for (const { destination, gateway } of routes)
    netlink.addRoute({ destination, interfaceIndex: index, ...(gateway === undefined ? {} : { gateway }) })
}
