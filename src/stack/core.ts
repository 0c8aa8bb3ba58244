/**
 * What the parts of a stack share: they find each other here. `Stack` shows the public half of it.
 */
import {
  Counters,
  type Instant,
  type IpAddress,
  instantAt,
  type PacketBuffer,
  type QueuedTimer,
  type Random,
  TimerQueue,
} from '../base/index.js'
import { ArpCache } from './arp.js'
import { Icmp } from './icmp.js'
import { Icmpv6 } from './icmpv6.js'
import type { NetworkInterface } from './interface.js'
import { Ipv4Output } from './ipv4-output.js'
import { Ipv6Output } from './ipv6-output.js'
import type { StackLimits } from './limits.js'
import { LinkOutput } from './link.js'
import { LocalAddresses } from './local-addresses.js'
import { Loopback } from './loopback.js'
import { NeighbourDiscovery } from './nd.js'
import { PathMtuTable } from './pmtu.js'
import { Reassembly } from './reassembly.js'
import { extraRoutes, RouteTable } from './routes.js'
import { TcpLayer } from './tcp/index.js'
import { tcpOptions } from './tcp-binding.js'
import { TransportDemux } from './transport.js'
import type { IpsecHook, PacketFilter, StackSettings } from './types.js'
import { UdpLayer } from './udp.js'

/** A timer queue that tells when its earliest deadline moves forward. */
export class WakingTimers extends TimerQueue {
  onEarlier?: () => void

  override schedule(at: Instant, run: (now: Instant) => void): QueuedTimer {
    const before = this.next()
    const timer = super.schedule(at, run)
    if (before === undefined || at < before) this.onEarlier?.()
    return timer
  }
}

export class Core {
  readonly random: Random
  readonly limits: StackLimits
  readonly settings: StackSettings = {
    forwarding4: false,
    forwarding6: false,
    defaultTtl: 64,
    echoBroadcast: false,
    tcpEcn: false,
    announceAddresses: true,
  }
  readonly counters: Counters = new Counters()
  readonly timers: WakingTimers = new WakingTimers()
  readonly interfaces: Map<string, NetworkInterface> = new Map()
  /** lo0, unless it was removed. */
  loopbackInterface: NetworkInterface | undefined
  /** The latest time that anybody told us: for questions that come without one. */
  now: Instant = instantAt(0)
  filter: PacketFilter | undefined
  translate: ((packet: PacketBuffer, now: Instant) => void) | undefined
  ipsec: IpsecHook | undefined

  readonly local: LocalAddresses
  readonly routes: RouteTable
  readonly pathMtus: PathMtuTable
  /** What fits into the protection of IPsec on the way to a destination: the path itself may take more. */
  readonly protectedMtus: PathMtuTable
  readonly loopback: Loopback
  readonly link: LinkOutput
  readonly arp: ArpCache
  readonly nd: NeighbourDiscovery
  readonly ipv4: Ipv4Output
  readonly ipv6: Ipv6Output
  readonly icmp: Icmp
  readonly icmpv6: Icmpv6
  readonly reassembly: Reassembly
  readonly udp: UdpLayer
  readonly tcp: TcpLayer
  readonly transport: TransportDemux

  constructor(random: Random, limits: StackLimits) {
    this.random = random
    this.limits = limits
    this.local = new LocalAddresses(this.interfaces)
    this.routes = new RouteTable(limits.routes, () => extraRoutes(this))
    this.pathMtus = new PathMtuTable(limits)
    this.protectedMtus = new PathMtuTable(limits)
    this.loopback = new Loopback(this)
    this.link = new LinkOutput(this)
    this.arp = new ArpCache(this)
    this.nd = new NeighbourDiscovery(this)
    this.ipv4 = new Ipv4Output(this)
    this.ipv6 = new Ipv6Output(this)
    this.icmp = new Icmp(this)
    this.icmpv6 = new Icmpv6(this)
    this.reassembly = new Reassembly(this)
    this.udp = new UdpLayer(this)
    this.tcp = new TcpLayer(tcpOptions(this))
    this.transport = new TransportDemux(this, this.udp, this.tcp)
  }
}

/** A packet on its way in: what its IP header said, and where its parts stand in the buffer. */
export interface Received {
  readonly family: 4 | 6
  readonly interface: NetworkInterface
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly ttl: number
  readonly trafficClass: number
  readonly dontFragment: boolean
  /** Offset of the IP header in the buffer. */
  readonly ipStart: number
  /** Offset of the byte that names the payload's protocol (for parameter problems). */
  readonly protocolAt: number
  /** It was sent to more than this host: multicast or broadcast, of IP or below. */
  readonly group: boolean
}
