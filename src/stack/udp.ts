/**
 * UDP (RFC 768, RFC 8200 section 8.1): sockets by port and, if they like, by address.
 */
import {
  type Instant,
  IPV4,
  type IpAddress,
  PacketBuffer,
  readUint16,
  WarrenError,
  writeUint16,
} from '../base/index.js'
import { IpProtocol } from '../wire/numbers.js'
import { sealUdpChecksum, UDP_HEADER_LENGTH, udpChecksum } from '../wire/udp.js'
import type { Core, Received } from './core.js'
import type { IcmpErrorReport, QuotedPacket } from './icmp-quote.js'
import type { NetworkInterface } from './interface.js'
import type { SendResult } from './types.js'
import { findWay } from './way.js'

export interface UdpDatagram {
  readonly source: IpAddress
  readonly sourcePort: number
  readonly destination: IpAddress
  /** Where it came in. */
  readonly interface: NetworkInterface
  readonly ttl: number
  readonly trafficClass: number
  /** The receiver's own copy. */
  readonly data: Uint8Array
}

export interface UdpBinding {
  /** Default: any address of either family. */
  readonly address?: IpAddress
  /** Default (and 0): a free one of 49152 to 65535. */
  readonly port?: number
  /** Connected: nobody else is heard, and what this peer sends goes to no other socket of that port. */
  readonly remote?: { readonly address: IpAddress; readonly port: number }
  /**
   * No policy of IPsec is asked about what goes out or comes in here: the talk that makes the SAs. OpenBSD's
   * IP_IPSEC_LOCAL_BYPASS. Incoming fragments are not meant: only a whole datagram shows its port.
   */
  readonly bypassPolicies?: boolean
  readonly onDatagram: (datagram: UdpDatagram, now: Instant) => void
  /** An ICMP error about a datagram sent from here (unverified: anybody who knows the ports can send one). */
  readonly onError?: (report: IcmpErrorReport & { readonly destinationPort: number }, now: Instant) => void
}

export interface UdpSendOptions {
  readonly source?: IpAddress
  readonly ttl?: number
  readonly trafficClass?: number
  readonly dontFragment?: boolean
  readonly interface?: NetworkInterface
}

export interface UdpSocket {
  readonly address?: IpAddress
  readonly port: number
  send(data: Uint8Array, to: IpAddress, toPort: number, now: Instant, options?: UdpSendOptions): SendResult
  close(): void
}

/** RFC 6335 section 6: dynamic ports (and OpenBSD's net.inet.ip.porthifirst). */
const FIRST_EPHEMERAL_PORT = 49_152
const EPHEMERAL_PORTS = 65_536 - FIRST_EPHEMERAL_PORT
/** Room for Ethernet, IPv6 and a tunnel's headers in front. */
const HEADROOM = 128

export class UdpLayer {
  readonly #core: Core
  readonly #sockets = new Map<number, UdpBinding[]>()
  #count = 0

  constructor(core: Core) {
    this.#core = core
  }

  /**
   * @throws WarrenError STACK_ADDRESS_IN_USE 'Address already in use', STACK_NO_SUCH_ADDRESS "Can't assign requested
   * address", STACK_SOCKETS_FULL 'Too many open files'.
   */
  bind(binding: UdpBinding): UdpSocket {
    const { address } = binding
    if (
      address !== undefined &&
      !address.isUnspecified &&
      !address.isMulticast &&
      !this.#core.local.owns(address)
    )
      throw new WarrenError('STACK_NO_SUCH_ADDRESS', "Can't assign requested address", {
        found: address.toString(),
        expected: 'an address of an interface of this host',
      })
    if (this.#count >= this.#core.limits.udpSockets)
      throw new WarrenError('STACK_SOCKETS_FULL', 'Too many open files', { found: `${this.#count} sockets` })
    const port = binding.port || this.#freePort()
    const bound = port === undefined ? [] : (this.#sockets.get(port) ?? [])
    if (port === undefined || bound.some((other) => sameSocket(other, binding)))
      throw new WarrenError('STACK_ADDRESS_IN_USE', 'Address already in use', {
        found: `${address ?? '*'}:${binding.port ?? 0}`,
      })
    const own: UdpBinding = { ...binding }
    this.#sockets.set(port, [...bound, own])
    this.#count++
    let open = true
    return {
      ...(address === undefined ? {} : { address }),
      port,
      send: (data, to, toPort, now, options = {}) => this.#send(port, own, data, to, toPort, now, options),
      close: () => {
        if (!open) return
        open = false
        this.#count--
        const rest = (this.#sockets.get(port) ?? []).filter((other) => other !== own)
        if (rest.length > 0) this.#sockets.set(port, rest)
        else this.#sockets.delete(port)
      },
    }
  }

  /** What is bound, for `netstat -a`. */
  bindings(): { readonly address: IpAddress | undefined; readonly port: number }[] {
    return [...this.#sockets].flatMap(([port, bound]) => bound.map(({ address }) => ({ address, port })))
  }

  /** True if the datagram, for this host, is one that policies have nothing to say about. */
  bypassesPolicies(source: IpAddress, sourcePort: number, destination: IpAddress, port: number): boolean {
    return (
      mostSpecific(this.#sockets.get(port) ?? [], destination, source, sourcePort)[0]?.bypassPolicies === true
    )
  }

  /** A datagram for this host; false if its port is nobody's. */
  input(packet: PacketBuffer, received: Received, now: Instant): boolean {
    const { counters } = this.#core
    const { bytes, start, end } = packet
    const { source, destination } = received
    const drop = (reason: string): true => {
      counters.add(reason)
      return true
    }
    if (end - start < UDP_HEADER_LENGTH) return drop('udp.short')
    const length = readUint16(bytes, start + 4)
    if (length < UDP_HEADER_LENGTH || length > end - start) return drop('udp.length')
    const stop = start + length
    if (udpChecksum(bytes, start, stop, source, destination) !== undefined) return drop('udp.checksum')
    const sourcePort = readUint16(bytes, start)
    const bound = this.#sockets.get(readUint16(bytes, start + 2)) ?? []
    const takers = received.group
      ? bound.filter(
          ({ address, remote }) => sameOrAny(address, destination) && isFrom(remote, source, sourcePort),
        )
      : mostSpecific(bound, destination, source, sourcePort)
    if (takers.length === 0) return false
    for (const { onDatagram } of takers)
      onDatagram(
        {
          source,
          sourcePort,
          destination,
          interface: received.interface,
          ttl: received.ttl,
          trafficClass: received.trafficClass,
          data: bytes.slice(start + UDP_HEADER_LENGTH, stop),
        },
        now,
      )
    return true
  }

  /** True if a socket stands where the quoted datagram says that it came from. */
  sentFrom(about: QuotedPacket): boolean {
    return (this.#sockets.get(readUint16(about.payload, 0)) ?? []).some(({ address }) =>
      sameOrAny(address, about.source),
    )
  }

  error(report: IcmpErrorReport, now: Instant): void {
    const destinationPort = readUint16(report.payload, 2)
    for (const { address, onError } of this.#sockets.get(readUint16(report.payload, 0)) ?? [])
      if (sameOrAny(address, report.source)) onError?.({ ...report, destinationPort }, now)
  }

  #send(
    port: number,
    { address: bound, bypassPolicies }: UdpBinding,
    data: Uint8Array,
    to: IpAddress,
    toPort: number,
    now: Instant,
    options: UdpSendOptions,
  ): SendResult {
    const length = UDP_HEADER_LENGTH + data.length
    if (length > 0xffff) return 'too-big'
    const source =
      options.source ?? (bound?.isUnspecified === false ? bound : this.#sourceFor(to, now, options))
    if (source === undefined) return 'no-route'
    if (source.family !== to.family) return 'no-source'
    const packet = new PacketBuffer(new Uint8Array(HEADROOM + length), HEADROOM)
    packet.kind = IPV4
    const { bytes, start } = packet
    writeUint16(bytes, start, port)
    writeUint16(bytes, start + 2, toPort)
    writeUint16(bytes, start + 4, length)
    bytes.set(data, start + UDP_HEADER_LENGTH)
    sealUdpChecksum(bytes, start, packet.end, source, to)
    const output = to.family === 4 ? this.#core.ipv4 : this.#core.ipv6
    return output.send(
      {
        ...options,
        protocol: IpProtocol.udp,
        source,
        destination: to,
        payload: packet,
        ...(bypassPolicies === undefined ? {} : { pastPolicies: bypassPolicies }),
      },
      now,
    )
  }

  #sourceFor(to: IpAddress, now: Instant, options: UdpSendOptions): IpAddress | undefined {
    const way = findWay(this.#core, to, now, options.interface)
    return typeof way === 'string' ? undefined : this.#core.local.sourceFor(to, way.interface, way.nextHop)
  }

  /** RFC 6056 section 3.3.1: a random start, then the next that is free. */
  #freePort(): number | undefined {
    const start = this.#core.random.below(EPHEMERAL_PORTS)
    for (let i = 0; i < EPHEMERAL_PORTS; i++) {
      const port = FIRST_EPHEMERAL_PORT + ((start + i) % EPHEMERAL_PORTS)
      if (!this.#sockets.has(port)) return port
    }
    return undefined
  }
}

const isAny = (address: IpAddress | undefined): boolean => address === undefined || address.isUnspecified

function sameAddress(a: IpAddress | undefined, b: IpAddress | undefined): boolean {
  if (isAny(a) || isAny(b)) return isAny(a) && isAny(b) && overlap(a, b)
  return a !== undefined && b !== undefined && a.equals(b)
}

/** Any IPv4 address and any IPv6 address do not meet. */
const overlap = (a: IpAddress | undefined, b: IpAddress | undefined): boolean =>
  a === undefined || b === undefined || a.family === b.family

const sameOrAny = (address: IpAddress | undefined, wanted: IpAddress): boolean =>
  address === undefined ||
  (address.family === wanted.family && (address.isUnspecified || address.equals(wanted)))

const sameSocket = (a: Pick<UdpBinding, 'address' | 'remote'>, b: typeof a): boolean =>
  sameAddress(a.address, b.address) &&
  (a.remote === undefined || b.remote === undefined
    ? a.remote === b.remote
    : isFrom(a.remote, b.remote.address, b.remote.port))

const isFrom = (remote: UdpBinding['remote'], source: IpAddress, sourcePort: number): boolean =>
  remote === undefined || (remote.port === sourcePort && remote.address.equals(source))

/** A connected socket of this peer before the others, then one of that very address before the one of any. */
function mostSpecific(
  bound: readonly UdpBinding[],
  destination: IpAddress,
  source: IpAddress,
  sourcePort: number,
): UdpBinding[] {
  let taker: UdpBinding | undefined
  let best = -1
  for (const one of bound) {
    const { address, remote } = one
    if (!sameOrAny(address, destination) || !isFrom(remote, source, sourcePort)) continue
    const score = (remote === undefined ? 0 : 2) + (isAny(address) ? 0 : 1)
    if (score <= best) continue
    taker = one
    best = score
  }
  return taker === undefined ? [] : [taker]
}
