/**
 * From a packet's payload to who takes it: a registered handler, ICMP, UDP, TCP, or nobody, of which the sender is
 * told.
 */
import { type Instant, OPAQUE, type PacketBuffer } from '../base/index.js'
import { IcmpType, IcmpUnreachable } from '../wire/icmp.js'
import { Icmpv6Type, Icmpv6Unreachable } from '../wire/icmpv6.js'
import { IpProtocol } from '../wire/numbers.js'
import type { Core, Received } from './core.js'
import type { IcmpErrorReport, QuotedPacket } from './icmp-quote.js'
import type { QuotedSegment, TcpLayer } from './tcp/index.js'
import type { IcmpListener, ProtocolHandler } from './types.js'
import type { UdpLayer } from './udp.js'

/** Counter by which TCP says that it believed a "too big". */
const TCP_BELIEVED = 'tcp.mtuShrunk'
/** RFC 3168 section 5: congestion experienced. */
const CE = 3

export class TransportDemux {
  readonly #core: Core
  readonly #udp: UdpLayer
  readonly #tcp: TcpLayer
  readonly #handlers = new Map<number, ProtocolHandler>()
  readonly #icmpListeners = new Set<IcmpListener>()

  constructor(core: Core, udp: UdpLayer, tcp: TcpLayer) {
    this.#core = core
    this.#udp = udp
    this.#tcp = tcp
  }

  handle(protocol: number, handler: ProtocolHandler | undefined): void {
    if (handler === undefined) this.#handlers.delete(protocol)
    else this.#handlers.set(protocol, handler)
  }

  onIcmp(listener: IcmpListener): () => void {
    // Wrapped, so that who listens twice hears twice.
    const entry: IcmpListener = (message, now) => listener(message, now)
    this.#icmpListeners.add(entry)
    return () => {
      this.#icmpListeners.delete(entry)
    }
  }

  /** The buffer is the payload of `protocol`, its IP header at `received.ipStart`. */
  deliver(packet: PacketBuffer, protocol: number, received: Received, now: Instant): void {
    packet.kind = OPAQUE
    packet.outerTrafficClass = received.trafficClass
    packet.outerTtl = received.ttl
    packet.outerDontFragment = received.dontFragment
    packet.outerHeaderStart = received.ipStart
    const { start, end } = packet
    if (protocol === IpProtocol.icmp && received.family === 4) {
      this.#core.icmp.input(packet, received, now)
      return
    }
    if (protocol === IpProtocol.icmpv6 && received.family === 6) {
      this.#core.icmpv6.input(packet, received, now)
      return
    }
    const handler = this.#handlers.get(protocol)
    if (handler?.(packet, received, now) === true) return
    packet.start = start
    packet.end = end
    if (handler === undefined && protocol === IpProtocol.tcp) {
      this.#tcpSegment(packet, received, now)
      return
    }
    const portUnreachable = handler === undefined && protocol === IpProtocol.udp
    if (portUnreachable && this.#udp.input(packet, received, now)) return
    this.#unreachable(packet, received, portUnreachable, now)
  }

  /** Tells the listeners of an ICMP message: the buffer is the message. */
  tellIcmp(packet: PacketBuffer, received: Received, now: Instant): void {
    if (this.#icmpListeners.size === 0) return
    const bytes = packet.copy()
    const message = {
      family: received.family,
      type: bytes[0]!,
      code: bytes[1]!,
      source: received.source,
      destination: received.destination,
      ttl: received.ttl,
      interface: received.interface,
      bytes,
    }
    for (const listener of [...this.#icmpListeners]) listener(message, now)
  }

  /** Whether who sent the quoted packet takes the report for genuine (RFC 5927 section 4 for TCP). */
  believes(about: QuotedPacket, told: number, now: Instant): boolean {
    if (about.protocol === IpProtocol.udp) return this.#udp.sentFrom(about)
    if (about.protocol !== IpProtocol.tcp) return true
    const { counters } = this.#core
    const before = counters.get(TCP_BELIEVED)
    this.#tcp.icmpError('too-big', { ...quotedSegment(about), mtu: told }, now)
    return counters.get(TCP_BELIEVED) > before
  }

  /** Passes an error on to who sent the packet. */
  tellError(report: IcmpErrorReport, now: Instant): void {
    if (report.protocol === IpProtocol.udp) this.#udp.error(report, now)
    // TCP heard of a "too big" when it was asked whether it believes it.
    if (report.protocol !== IpProtocol.tcp || report.kind === 'too-big') return
    const reason = reasonOf(report)
    if (reason !== undefined) this.#tcp.icmpError('unreachable', { ...quotedSegment(report), reason }, now)
  }

  #tcpSegment(packet: PacketBuffer, received: Received, now: Instant): void {
    // RFC 1122 section 4.2.3.10: a segment to a group is for nobody.
    if (received.group) {
      this.#core.counters.add('tcp.group')
      return
    }
    const experienced = (received.trafficClass & 3) === CE
    this.#tcp.receive(packet.view(), received.source, received.destination, now, experienced)
  }

  #unreachable(packet: PacketBuffer, received: Received, port: boolean, now: Instant): void {
    const { counters, icmp, icmpv6 } = this.#core
    counters.add(`ipv${received.family}.${port ? 'noPort' : 'noProtocol'}`)
    if (received.group) return
    const arrived = received.interface
    packet.start = received.ipStart
    if (received.family === 4) {
      const code = port ? IcmpUnreachable.port : IcmpUnreachable.protocol
      icmp.error(packet, arrived, IcmpType.destinationUnreachable, code, 0, now)
    } else if (port) {
      icmpv6.error(packet, arrived, Icmpv6Type.destinationUnreachable, Icmpv6Unreachable.port, 0, now)
    } else {
      // RFC 4443 section 3.4: an unrecognized next header is a parameter problem.
      const pointer = received.protocolAt - received.ipStart
      icmpv6.error(packet, arrived, Icmpv6Type.parameterProblem, 1, pointer, now)
    }
  }
}

const quotedSegment = (about: QuotedPacket): QuotedSegment => ({
  source: about.source,
  destination: about.destination,
  segment: about.payload,
})

const REASONS_V4: Readonly<Record<number, QuotedSegment['reason']>> = {
  0: 'network',
  1: 'host',
  2: 'protocol',
  3: 'port',
  6: 'network',
  7: 'host',
  9: 'prohibited',
  10: 'prohibited',
  11: 'network',
  12: 'host',
  13: 'prohibited',
}
const REASONS_V6: Readonly<Record<number, QuotedSegment['reason']>> = {
  0: 'network',
  1: 'prohibited',
  2: 'host',
  3: 'host',
  4: 'port',
  5: 'prohibited',
  6: 'prohibited',
}

function reasonOf({ family, kind, code }: IcmpErrorReport): QuotedSegment['reason'] {
  if (kind === 'unreachable') return (family === 4 ? REASONS_V4 : REASONS_V6)[code]
  return kind === 'parameter-problem' && family === 6 && code === 1 ? 'protocol' : undefined
}
