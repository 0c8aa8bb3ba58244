/**
 * ICMP for IPv4 (RFC 792, RFC 1122 section 3.2.2, RFC 1812 section 4.3): echo, errors out, errors in.
 */
import {
  type Instant,
  type IpAddress,
  internetChecksum,
  type PacketBuffer,
  readUint16,
  writeUint16,
  writeUint32,
} from '../base/index.js'
import { IcmpType, IcmpUnreachable, sealIcmpChecksum } from '../wire/icmp.js'
import { IpProtocol } from '../wire/numbers.js'
import type { Core, Received } from './core.js'
import { checksumHolds, IPV4_HEADER, ipv4At, V4, V4_OFFSET_MASK } from './headers.js'
import { errorSource, tooBigReported } from './icmp-quote.js'
import type { NetworkInterface } from './interface.js'
import { TokenBucket } from './rate-limit.js'

const HEADER = 8
/** RFC 1812 section 4.3.2.3: as much of the packet as fits into 576 bytes. */
const MAX_ERROR = 576
/** OpenBSD's MAXTTL, for replies and errors. */
const TTL = 255
const ERRORS: readonly number[] = [
  IcmpType.destinationUnreachable,
  IcmpType.sourceQuench,
  IcmpType.redirect,
  IcmpType.timeExceeded,
  IcmpType.parameterProblem,
]

export class Icmp {
  readonly #core: Core
  readonly #errors: TokenBucket
  readonly #echoes: TokenBucket

  constructor(core: Core) {
    this.#core = core
    this.#errors = new TokenBucket(core.limits.icmpErrorsPerSecond)
    this.#echoes = new TokenBucket(core.limits.echoRepliesPerSecond)
  }

  /** A message for this host: the buffer is the message. */
  input(packet: PacketBuffer, received: Received, now: Instant): void {
    const { bytes, start, end } = packet
    const { counters } = this.#core
    if (end - start < HEADER) {
      counters.add('icmp.short')
      return
    }
    if (!checksumHolds(bytes, start, end)) {
      counters.add('icmp.checksum')
      return
    }
    this.#core.transport.tellIcmp(packet, received, now)
    const type = bytes[start]!
    if (type === IcmpType.echo) {
      this.#echo(packet, received, now)
      return
    }
    if (type === IcmpType.redirect) {
      counters.add('icmp.redirectIgnored')
      return
    }
    if (ERRORS.includes(type)) this.#errorIn(packet, received, now)
  }

  /**
   * Sends an error about the IPv4 packet in the buffer, unless RFC 1122 section 3.2.2 forbids it or there were too
   * many. `word` is the second word of the message (of which the MTU is the lower half). The packet is only read.
   */
  error(
    packet: PacketBuffer,
    arrived: NetworkInterface,
    type: number,
    code: number,
    word: number,
    now: Instant,
  ): void {
    const { bytes, start } = packet
    if (packet.unauthenticated) {
      this.#core.counters.add('icmp.unauthenticated')
      return
    }
    const source = ipv4At(bytes, start + V4.source)
    const destination = ipv4At(bytes, start + V4.destination)
    if (!this.#mayReport(packet, source, destination)) return
    if (!this.#errors.take(now)) {
      this.#core.counters.add('icmp.rateLimited')
      return
    }
    const quote = packet.view().subarray(0, MAX_ERROR - IPV4_HEADER - HEADER)
    const message = new Uint8Array(HEADER + quote.length)
    message[0] = type
    message[1] = code
    writeUint32(message, 4, word)
    message.set(quote, HEADER)
    sealIcmpChecksum(message, 0, message.length)
    const from = errorSource(this.#core, destination, arrived)
    const result = this.#core.ipv4.send(
      {
        protocol: IpProtocol.icmp,
        destination: source,
        ...(from === undefined ? {} : { source: from }),
        payload: message,
        ttl: TTL,
        nesting: packet.nesting,
      },
      now,
    )
    this.#core.counters.add(result === 'ok' ? 'icmp.errorsSent' : 'icmp.errorNotSent')
  }

  /** A packet that was to be forwarded found nobody at its next hop (RFC 1812 section 4.3.3.1). */
  hostUnreachable(packet: PacketBuffer, out: NetworkInterface, now: Instant): void {
    this.error(packet, out, IcmpType.destinationUnreachable, IcmpUnreachable.host, 0, now)
  }

  #mayReport({ bytes, start, end }: PacketBuffer, source: IpAddress, destination: IpAddress): boolean {
    if (end - start < IPV4_HEADER || source.family !== 4) return false
    // Only the first fragment, and only from and to somebody in particular.
    if ((readUint16(bytes, start + V4.flags) & V4_OFFSET_MASK) !== 0) return false
    if (source.isUnspecified || source.isMulticast || source.bytes[0]! >= 240) return false
    if (destination.isMulticast || this.#core.local.isBroadcast(destination)) return false
    if (this.#core.local.isBroadcast(source)) return false
    if (bytes[start + V4.protocol] !== IpProtocol.icmp) return true
    const message = start + 4 * (bytes[start]! & 15)
    return message < end && !ERRORS.includes(bytes[message]!)
  }

  #echo(packet: PacketBuffer, received: Received, now: Instant): void {
    const { counters, settings } = this.#core
    if (received.group && !settings.echoBroadcast) {
      counters.add('icmp.echoToGroup')
      return
    }
    if (received.source.isUnspecified) {
      counters.add('icmp.echoFromNobody')
      return
    }
    if (!this.#echoes.take(now)) {
      counters.add('icmp.echoRateLimited')
      return
    }
    const { bytes, start } = packet
    bytes[start] = IcmpType.echoReply
    writeUint16(bytes, start + 2, 0)
    writeUint16(bytes, start + 2, internetChecksum(bytes, start, packet.end))
    this.#core.ipv4.send(
      {
        protocol: IpProtocol.icmp,
        destination: received.source,
        ...(received.group ? {} : { source: received.destination }),
        payload: packet,
        ttl: TTL,
        trafficClass: received.trafficClass,
      },
      now,
    )
  }

  /** An error from outside, about a packet that it quotes. */
  #errorIn({ bytes, start, end }: PacketBuffer, received: Received, now: Instant): void {
    const { counters, local, transport } = this.#core
    const quoted = start + HEADER
    if (end - quoted < IPV4_HEADER || bytes[quoted]! >> 4 !== 4) {
      counters.add('icmp.quoteShort')
      return
    }
    const payloadAt = quoted + 4 * (bytes[quoted]! & 15)
    if (payloadAt < quoted + IPV4_HEADER || payloadAt + 8 > end) {
      counters.add('icmp.quoteShort')
      return
    }
    // A later fragment does not say whose it was.
    if ((readUint16(bytes, quoted + V4.flags) & V4_OFFSET_MASK) !== 0) {
      counters.add('icmp.quoteFragment')
      return
    }
    const source = ipv4At(bytes, quoted + V4.source)
    const destination = ipv4At(bytes, quoted + V4.destination)
    if (!local.owns(source) || received.group) {
      counters.add('icmp.quoteNotOurs')
      return
    }
    const type = bytes[start]!
    const code = bytes[start + 1]!
    const protocol = bytes[quoted + V4.protocol]!
    const about = {
      family: 4,
      code,
      reporter: received.source,
      source,
      destination,
      protocol,
      payload: bytes.subarray(payloadAt, end),
    } as const
    if (type === IcmpType.destinationUnreachable && code === IcmpUnreachable.fragmentationNeeded) {
      const length = readUint16(bytes, quoted + V4.totalLength)
      tooBigReported(this.#core, about, length, readUint16(bytes, start + 6), now)
      return
    }
    const kind =
      type === IcmpType.destinationUnreachable
        ? 'unreachable'
        : type === IcmpType.timeExceeded
          ? 'time-exceeded'
          : type === IcmpType.parameterProblem
            ? 'parameter-problem'
            : undefined
    if (kind !== undefined) transport.tellError({ ...about, kind }, now)
  }
}
