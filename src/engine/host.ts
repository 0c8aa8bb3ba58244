/**
 * Where machines live. There are two hosts: `VirtualHost` (lab and library, over the IP stack) and `LinuxHost`
 * (TUN/TAP, raw sockets, rtnetlink). A machine and a `Tunnel` cannot tell which one they are on.
 */
import type {
  Counters,
  Instant,
  InterfaceAddress,
  IpAddress,
  IpPrefix,
  MacAddress,
  Random,
} from '../base/index.js'
import type { Datagram, Packet, PathSpec, PolicySpec, ReachedLifetime } from '../proto/machine.js'

/** A tunnel's own interface, as it is to be made on the host. */
export interface InterfaceSpec {
  readonly name: string
  /** `ip`: packets (TUN); `ethernet`: frames (TAP). */
  readonly layer: 'ip' | 'ethernet'
  readonly mtu: number
  readonly mac?: MacAddress
  readonly addresses: readonly InterfaceAddress[]
  /** Routes through this interface; they go with it. */
  readonly routes?: readonly TunnelRoute[]
  readonly description?: string
  readonly up: boolean
}

/** A route through a tunnel's interface. */
export interface TunnelRoute {
  readonly destination: IpPrefix
  /** On the far side; a point-to-point interface needs none. */
  readonly gateway?: IpAddress
}

/** Counts of one direction of a path. */
export interface PathCounters {
  readonly packets: number
  readonly bytes: number
  readonly drops: Record<string, number>
}

/** One SA of a path, as the data path counts it. */
export interface SaCounters {
  readonly direction: 'outbound' | 'inbound'
  readonly spi: number
  readonly packets: number
  readonly bytes: number
}

export interface PathStatus {
  readonly id: string
  /** Of a path with keys. */
  readonly sas?: readonly SaCounters[]
  readonly inbound: PathCounters
  readonly outbound: PathCounters
}

/** A tunnel's interface on the host. */
export interface HostInterface {
  readonly name: string
  /**
   * Starts the data path of an installed path: interface → transform → carrier, carrier → transform → interface.
   * What the inbound transform calls CONTROL is handed to `onControl`; limits that the transforms themselves count are
   * told to `onReached`, each at least once.
   */
  install(
    path: PathSpec,
    onControl: (datagram: Datagram) => void,
    onReached?: (lifetime: ReachedLifetime) => void,
  ): void
  remove(pathId: string): void
  /**
   * From now on these policies, and no others, say which packets go into which path and which may come out of it, and
   * the host sees to it that what they cover goes no other way. Throws where the host cannot. A host without this
   * member has none.
   */
  setPolicies?(policies: readonly PolicySpec[]): void
  /** A packet that a machine delivers itself. */
  deliver(packet: Packet): void
  /**
   * Whether the peer answers (keepalive). An interface that does not run keeps its routes and drops what is sent
   * into it: nothing takes another way in clear.
   */
  setRunning?(running: boolean): void
  /** For another definition behind the same interface. */
  setMtu?(mtu: number): void
  /** An address that comes and goes while the interface stays (configuration payloads). Throws where the host refuses. */
  addAddress?(address: InterfaceAddress): void
  /** One that is gone already is no error. */
  removeAddress?(address: InterfaceAddress): void
  /** Drops that belong to none of its paths (policies, their guard), by reason. */
  drops?(): Record<string, number>
  status(): PathStatus[]
  /** Removes the interface with its addresses and routes. */
  destroy(): void
}

/** What addresses are laid on that configuration payloads assign. */
export type AddressHolder = Required<Pick<HostInterface, 'addAddress' | 'removeAddress'>>

/** An address of the host's own. `loopback`, `tunnel`: of an interface that leads nowhere else, or into what is inside. */
export interface LocalAddress {
  readonly address: IpAddress
  readonly place: 'link' | 'loopback' | 'tunnel'
}

export interface Host {
  readonly name: string
  readonly random: Random
  now(): Instant
  /** Whether an address is one of the host's own. Only of hosts whose interfaces take policies. */
  isLocal?(address: IpAddress): boolean
  /**
   * Those that stand now, without what configuration payloads gave. A host whose addresses never change by themselves has
   * not these three.
   */
  addresses?(): readonly LocalAddress[]
  /** Where the host would send from to reach an address, asked past all policies; undefined: no way leads there. */
  sourceFor?(remote: IpAddress): IpAddress | undefined
  /** Addresses, routes or interfaces are others than before, perhaps; returns what ends it. */
  onNetworkChange?(listener: () => void): () => void
  createInterface(spec: InterfaceSpec): HostInterface
  /** An interface of somebody else's, to lay addresses on; undefined: there is none of that name. */
  borrowInterface?(name: string): AddressHolder | undefined
  transmit(datagram: Datagram): void
  /**
   * Hears on a UDP port of one of the host's own addresses, from whomever; returns what closes it. Its packets, both ways,
   * are asked by no policy. What a carrier of ESP in UDP on the same port has, it keeps. While it is open, `transmit` sends
   * from it what no carrier has a socket of its own for. Throws where the host refuses; a host without this member hears
   * nobody.
   */
  openPort?(local: IpAddress, port: number, onDatagram: (datagram: Datagram) => void): () => void
  /** Runs `callback` at `at`, once; returns what cancels it. */
  schedule(at: Instant, callback: (now: Instant) => void): () => void
  readonly counters: Counters
}
