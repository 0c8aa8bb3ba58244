/**
 * The contract of every protocol machine.
 *
 * A machine has no I/O. What happens to it is an argument: bytes, who sent them, the time. What it wants is an
 * output. The drain rule: after every call of `receive`, `send`, `timeout` or `start`/`stop`, call `poll()` until
 * it returns `undefined`, then ask `nextTimeout()` again. A machine may buffer outputs between calls; it never
 * changes state in `poll()`.
 */
import type { Counters, Instant, IpAddress, PacketBuffer, PacketKind } from '../base/index.js'

/** Who carries a tunnel's packets outside: an IP protocol or UDP between two addresses. */
export interface IpCarrier {
  readonly kind: 'ip'
  /** IANA protocol number: 4, 41, 47, 50, 51, 97. */
  readonly protocol: number
  readonly local: IpAddress
  readonly remote: IpAddress
}
/** A pair of UDP ports: ESP in UDP (RFC 3948). The host writes and takes off the UDP header. */
export interface UdpCarrier {
  readonly kind: 'udp'
  /** UDP's own protocol number. */
  readonly protocol: 17
  readonly local: IpAddress
  readonly remote: IpAddress
  readonly localPort: number
  readonly remotePort: number
}
export type Carrier = IpCarrier | UdpCarrier

/** A control datagram: the payload of the carrier (no outer IP header), from or to the peer. */
export interface Datagram {
  readonly carrier: Carrier
  readonly payload: Uint8Array
  /** TTL or hop limit outside; 0 or absent: the host's default. */
  readonly ttl?: number
  readonly trafficClass?: number
}

/** An inner packet that the machine itself delivers (slow path only). */
export interface Packet {
  readonly kind: PacketKind
  readonly bytes: Uint8Array
}

/**
 * What the data path does to one packet in one direction, in place. The numbers are the verdict.
 * The transforms of one path share its keys and counters, nothing else.
 */
export type Verdict = 0 | 1 | 2 | 3
/** Send it on. */
export const PASS = 0
/** Drop it; the reason has been counted. */
export const DROP = 1
/** Not data: hand the payload to the machine (`receive`). */
export const CONTROL = 2
/**
 * Inbound only: another path's, of the same carrier (another key, tunnel id or version of GRE). Untouched and not
 * counted: the host asks the next path of this carrier, and counts `path.none` where none takes it.
 */
export const FOREIGN = 3

export interface Transform {
  /**
   * Outbound: from the inner packet `[start, end)` to the carrier's payload, outer metadata set.
   * Inbound: from the carrier's payload, with outer metadata set by the carrier, to the inner packet, `kind` set.
   * Allocates nothing. Never throws on a stranger's bytes: counts a reason in `drops` and returns DROP. A packet
   * that it calls CONTROL or FOREIGN is as it was.
   */
  process(packet: PacketBuffer): Verdict
  /** Drops by reason. */
  readonly drops: Counters
}

/**
 * A transform as plain data: what an `install` carries, so that it can be sent to a worker thread and made there.
 * `createTransforms` in transforms.ts turns it into code.
 */
export interface PathSpec {
  /** Unique within the tunnel. */
  readonly id: string
  readonly carrier: Carrier
  /**
   * The kinds of packet that the path takes from the interface: a gif has a path for IPv4 (protocol 4) and another
   * for IPv6 (protocol 41). No two paths of a tunnel take the same kind.
   */
  readonly takes: readonly PacketKind[]
  readonly transform: TransformSpec
}

/**
 * One policy as plain data (RFC 4301 section 4.4.1): which packets are protected, dropped or left alone. `use`:
 * protected where a path stands, in clear where none does. `require`: protected, or dropped.
 */
export interface PolicySpec {
  readonly direction: 'in' | 'out'
  readonly action: 'use' | 'require' | 'deny' | 'bypass'
  readonly family: 4 | 6
  /** The packet's addresses: network order, and how many leading bits count. */
  readonly source: { readonly address: Uint8Array; readonly length: number }
  readonly destination: { readonly address: Uint8Array; readonly length: number }
  /** IANA number; absent: any. */
  readonly protocol?: number
  /** Both ends included; they need a protocol that has ports. */
  readonly sourcePorts?: { readonly first: number; readonly last: number }
  readonly destinationPorts?: { readonly first: number; readonly last: number }
  /** They need ICMP or ICMPv6. */
  readonly icmpType?: number
  readonly icmpCode?: number
  /** Ids of the paths that protect such a packet (out), or that it may come by (in). */
  readonly paths: readonly string[]
  /** `file:line:column` of the rule. */
  readonly where?: string
}

/** Extended by every protocol; `protocol` selects the factory. All members are structured-cloneable. */
export interface TransformSpec {
  readonly protocol: string
  readonly [member: string]: unknown
}

/** Which limit of an SA was reached. Soft: time for another. Hard, overflow: it carries nothing any more. */
export interface ReachedLifetime {
  readonly direction: 'outbound' | 'inbound'
  readonly spi: number
  readonly kind: 'soft' | 'hard' | 'overflow'
}

export type Output<Event> =
  | { readonly kind: 'transmit'; readonly datagram: Datagram }
  | { readonly kind: 'deliver'; readonly packet: Packet }
  | { readonly kind: 'install'; readonly path: PathSpec }
  | { readonly kind: 'remove'; readonly pathId: string }
  /**
   * The whole list, in place of what stood. It is emitted before the paths that it names are installed: what it covers
   * is closed first. Policies stay until the interface goes, whatever becomes of the paths.
   */
  | { readonly kind: 'policies'; readonly policies: readonly PolicySpec[] }
  | { readonly kind: 'event'; readonly event: Event }

export interface Machine<Event> {
  /** What the machine refused, by reason. */
  readonly counters: Counters
  /** Called once, before anything else. */
  start(now: Instant): void
  /** The tunnel is going down: say goodbye where the protocol has one, remove what was installed. */
  stop(now: Instant): void
  /** From outside: a datagram that no transform claimed. */
  receive(datagram: Datagram, now: Instant): void
  /** From inside, only where no transform is installed. */
  send(packet: Packet, now: Instant): void
  /** The data path says that an SA has come to a limit that it counts: bytes, packets, sequence numbers. */
  reached?(pathId: string, lifetime: ReachedLifetime, now: Instant): void
  /** The time that `nextTimeout()` named has come. */
  timeout(now: Instant): void
  poll(): Output<Event> | undefined
  nextTimeout(): Instant | undefined
  /**
   * Set by the owner: `nextTimeout()` has become earlier outside of any call, or within one. Of machines that have something
   * worked at elsewhere (TLS), whose answer then waits to be taken up by `timeout`.
   */
  onWake?: () => void
}
