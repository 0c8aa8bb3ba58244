/**
 * The shapes at the border of the stack: what its callers hand in and what they get back. No code.
 */
import type { Instant, IpAddress, MacAddress, PacketBuffer } from '../base/index.js'
import type { NetworkInterface } from './interface.js'
import type { Policy } from './spd.js'

/** What lies beneath an interface: a cable, a bridge port, a tunnel. */
export interface Driver {
  /**
   * Takes one packet out: an `ETHERNET` frame of an ethernet interface, an `IPV4` or `IPV6` packet of another.
   * The buffer is lent for the call: the driver may change it in place, and copies what it wants to keep.
   */
  transmit(packet: PacketBuffer, now: Instant): void
}

export type InterfaceKind = 'ethernet' | 'point-to-point' | 'loopback'

export interface InterfaceSpec {
  readonly name: string
  readonly kind: InterfaceKind
  /** Of the IP packet, in bytes: 1500 for ethernet. */
  readonly mtu: number
  /** Needed by ethernet interfaces. */
  readonly mac?: MacAddress
  readonly driver: Driver
}

/**
 * What became of a packet that was to be sent; the errno that OpenBSD has for it.
 * `no-route` ENETUNREACH, `unreachable` EHOSTUNREACH (a reject route), `no-source` EADDRNOTAVAIL, `too-big` EMSGSIZE,
 * `down` EHOSTDOWN (the neighbour does not answer), `blocked` EACCES (the filter).
 */
export type SendResult = 'ok' | 'no-route' | 'unreachable' | 'no-source' | 'too-big' | 'down' | 'blocked'

export interface SendRequest {
  /** IANA protocol number of the payload. */
  readonly protocol: number
  readonly destination: IpAddress
  /** Default: chosen by the route. */
  readonly source?: IpAddress
  /** A `PacketBuffer` with room in front is sent in place, and is lent for the call; plain bytes are copied. */
  readonly payload: Uint8Array | PacketBuffer
  /** TTL or hop limit; 0 or absent: `settings.defaultTtl`. */
  readonly ttl?: number
  readonly trafficClass?: number
  readonly dontFragment?: boolean
  readonly flowLabel?: number
  /** IPv4 only; 0 or absent: the stack chooses. AH covers it, so its sender has to know it before. */
  readonly identification?: number
  /** Tunnels that the payload already went through on this host; default: the buffer's own count. */
  readonly nesting?: number
  /** Leave by this interface: for link-local and multicast destinations, which name none themselves. */
  readonly interface?: NetworkInterface
  /** Ignore the routes; the destination must be on a link of ours (SO_DONTROUTE). */
  readonly onLinkOnly?: boolean
  /**
   * No policy is asked about this packet: it is what protects another (ESP, AH), or the talk that makes the SAs (IKE).
   */
  readonly pastPolicies?: boolean
}

/** What an IP header said of the payload that a handler gets. */
export interface PacketInfo {
  readonly source: IpAddress
  readonly destination: IpAddress
  /** Where it came in. */
  readonly interface: NetworkInterface
  readonly ttl: number
}

/**
 * Takes the payload of an IP protocol. The buffer (whose `outer…` members carry the header's traffic class, TTL and DF)
 * is lent for the call and may be changed in place. Returns false, the buffer unchanged, for "no such service here":
 * the sender is told protocol unreachable.
 */
export type ProtocolHandler = (packet: PacketBuffer, info: PacketInfo, now: Instant) => boolean

/** An ICMP or ICMPv6 message that reached this host, its checksum right. */
export interface IcmpMessage {
  readonly family: 4 | 6
  readonly type: number
  readonly code: number
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly ttl: number
  readonly interface: NetworkInterface
  /** The whole message from its type on; the listener's own copy, shared among listeners. */
  readonly bytes: Uint8Array
}
export type IcmpListener = (message: IcmpMessage, now: Instant) => void

/** A packet filter's hook; false drops. `packet` is the IP packet, whole or one fragment as it passes. */
export type PacketFilter = (
  direction: 'in' | 'out',
  ifc: NetworkInterface,
  packet: PacketBuffer,
  now: Instant,
) => boolean

/**
 * Where IPsec stands in the stack (RFC 4301 section 5). The stack asks about every packet that leaves (whole, before it
 * is cut into fragments) and about every one that arrives without protection (before fragments are joined); what the
 * policies say, and the SAs behind them, are the hook's.
 */
export interface IpsecHook {
  /** The policy that a packet on its way out must not pass unasked; `undefined`: it goes in clear. */
  covers(packet: PacketBuffer): Policy | undefined
  /**
   * Sends a packet as `policy` says: protected, by `Stack.send` with `pastPolicies`, or nowhere. `clear`: it may go as it
   * is. `too-big`: `largest` is what would fit.
   */
  protect(policy: Policy, packet: PacketBuffer, now: Instant): 'clear' | SendResult
  /** After `too-big`: the largest packet in bytes that the way through the SA takes. */
  readonly largest: number
  /** A packet that no SA brought; `local`: it is for this host. False: dropped, and counted. */
  admits(packet: PacketBuffer, local: boolean, now: Instant): boolean
}

/** A BPF tap: sees what the driver is handed and what it hands in. The bytes are lent for the call. */
export type Tap = (packet: Uint8Array, direction: 'in' | 'out', now: Instant) => void

/** A neighbour's state; the names of RFC 4861 section 7.3.2, for ARP too. `failed`: it did not answer. */
export type NeighbourState = 'incomplete' | 'reachable' | 'stale' | 'delay' | 'probe' | 'permanent' | 'failed'

/** A row of `arp -a` or `ndp -a`. */
export interface Neighbour {
  readonly address: IpAddress
  /** Absent while incomplete or failed. */
  readonly mac?: MacAddress
  readonly interface: NetworkInterface
  readonly state: NeighbourState
  /** When the entry leaves its state or the table; absent for permanent entries (our own addresses among them). */
  readonly expires?: Instant
  /** True for this host's own address. */
  readonly local: boolean
  /** The neighbour said that it is a router (neighbour discovery's R flag). */
  readonly router: boolean
}

export interface StackSettings {
  /** net.inet.ip.forwarding */
  forwarding4: boolean
  /** net.inet6.ip6.forwarding */
  forwarding6: boolean
  /** net.inet.ip.ttl and net.inet6.ip6.hlim */
  defaultTtl: number
  /** Answer echo requests to broadcast addresses: net.inet.icmp.bmcastecho */
  echoBroadcast: boolean
  /** Ask for ECN in TCP, and agree to it (RFC 3168): net.inet.tcp.ecn */
  tcpEcn: boolean
  /** Announce new addresses: gratuitous ARP, and one neighbour solicitation for duplicate address detection. */
  announceAddresses: boolean
}

export interface InterfaceCounters {
  packetsIn: number
  bytesIn: number
  errorsIn: number
  packetsOut: number
  bytesOut: number
  errorsOut: number
}
