/**
 * ICMPv6 (RFC 4443): echo, errors out, errors in. Neighbour discovery is nd.ts.
 */
import {
  type Instant,
  type Ipv6Address,
  type PacketBuffer,
  pseudoHeaderSum,
  readUint16,
  readUint32,
  writeUint32,
} from '../base/index.js'
import { Icmpv6Type, Icmpv6Unreachable } from '../wire/icmpv6.js'
import { IPV6_MINIMUM_MTU } from '../wire/ipv6.js'
import { walkExtensionHeaders } from '../wire/ipv6-extensions.js'
import { IpProtocol } from '../wire/numbers.js'
import type { Core, Received } from './core.js'
import { checksumHolds, IPV6_HEADER, ipv6At, V6 } from './headers.js'
import { errorSource, tooBigReported } from './icmp-quote.js'
import type { NetworkInterface } from './interface.js'
import { TokenBucket } from './rate-limit.js'

const HEADER = 8

export class Icmpv6 {
  readonly #core: Core
  readonly #errors: TokenBucket
  readonly #echoes: TokenBucket

  constructor(core: Core) {
    this.#core = core
    this.#errors = new TokenBucket(core.limits.icmpErrorsPerSecond)
    this.#echoes = new TokenBucket(core.limits.echoRepliesPerSecond)
  }

  /** A message for this host: the buffer is the message, its IP header at `received.ipStart`. */
  input(packet: PacketBuffer, received: Received, now: Instant): void {
    const { bytes, start, end } = packet
    const { counters } = this.#core
    if (end - start < HEADER) {
      counters.add('icmpv6.short')
      return
    }
    const addressesAt = received.ipStart + V6.source
    const pseudo = pseudoHeaderSum(bytes, addressesAt, 16, IpProtocol.icmpv6, end - start)
    if (!checksumHolds(bytes, start, end, pseudo)) {
      counters.add('icmpv6.checksum')
      return
    }
    this.#core.transport.tellIcmp(packet, received, now)
    const type = bytes[start]!
    if (type === Icmpv6Type.echoRequest) {
      this.#echo(packet, received, now)
      return
    }
    if (type >= Icmpv6Type.routerSolicitation && type <= Icmpv6Type.redirect) {
      this.#core.nd.input(packet, received, now)
      return
    }
    if (type < 128) this.#errorIn(packet, received, now)
  }

  /**
   * Sends an error about the IPv6 packet in the buffer, unless RFC 4443 section 2.4 (e) forbids it or there were too
   * many. `word` is the second word of the message: the MTU or the pointer. The packet is only read.
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
      this.#core.counters.add('icmpv6.unauthenticated')
      return
    }
    if (packet.length < IPV6_HEADER) return
    const source = ipv6At(bytes, start + V6.source)
    const destination = ipv6At(bytes, start + V6.destination)
    if (!mayReport(packet, source, destination, type, code)) return
    if (!this.#errors.take(now)) {
      this.#core.counters.add('icmpv6.rateLimited')
      return
    }
    const quote = packet.view().subarray(0, IPV6_MINIMUM_MTU - IPV6_HEADER - HEADER)
    const message = new Uint8Array(HEADER + quote.length)
    message[0] = type
    message[1] = code
    writeUint32(message, 4, word)
    message.set(quote, HEADER)
    const from = errorSource(this.#core, destination, arrived)
    const result = this.#core.ipv6.send(
      {
        protocol: IpProtocol.icmpv6,
        destination: source,
        ...(from === undefined ? {} : { source: from }),
        ...(source.isLinkLocal ? { interface: arrived } : {}),
        payload: message,
        nesting: packet.nesting,
      },
      now,
    )
    this.#core.counters.add(result === 'ok' ? 'icmpv6.errorsSent' : 'icmpv6.errorNotSent')
  }

  /** A packet that was to be forwarded found nobody at its next hop. */
  addressUnreachable(packet: PacketBuffer, out: NetworkInterface, now: Instant): void {
    this.error(packet, out, Icmpv6Type.destinationUnreachable, Icmpv6Unreachable.address, 0, now)
  }

  #echo(packet: PacketBuffer, received: Received, now: Instant): void {
    const { counters } = this.#core
    const { source, destination } = received
    if (source.isUnspecified) {
      counters.add('icmpv6.echoFromNobody')
      return
    }
    if (!this.#echoes.take(now)) {
      counters.add('icmpv6.echoRateLimited')
      return
    }
    packet.bytes[packet.start] = Icmpv6Type.echoReply
    this.#core.ipv6.send(
      {
        protocol: IpProtocol.icmpv6,
        destination: source,
        ...(received.group ? {} : { source: destination }),
        ...((source as Ipv6Address).isLinkLocal ? { interface: received.interface } : {}),
        payload: packet,
        trafficClass: received.trafficClass,
      },
      now,
    )
  }

  /** An error from outside, about a packet that it quotes. */
  #errorIn({ bytes, start, end }: PacketBuffer, received: Received, now: Instant): void {
    const { counters, local, transport } = this.#core
    const quoted = start + HEADER
    if (end - quoted < IPV6_HEADER || bytes[quoted]! >> 4 !== 6) {
      counters.add('icmpv6.quoteShort')
      return
    }
    const chain = walkExtensionHeaders(bytes, quoted + IPV6_HEADER, end, bytes[quoted + V6.nextHeader]!)
    if (chain.laterFragment) {
      counters.add('icmpv6.quoteFragment')
      return
    }
    if (chain.problem !== undefined || chain.offset + 8 > end) {
      counters.add('icmpv6.quoteShort')
      return
    }
    const source = ipv6At(bytes, quoted + V6.source)
    const destination = ipv6At(bytes, quoted + V6.destination)
    if (!local.owns(source, received.interface)) {
      counters.add('icmpv6.quoteNotOurs')
      return
    }
    const type = bytes[start]!
    const about = {
      family: 6,
      code: bytes[start + 1]!,
      reporter: received.source,
      source,
      destination,
      protocol: chain.protocol,
      payload: bytes.subarray(chain.offset, end),
    } as const
    if (type === Icmpv6Type.packetTooBig) {
      const length = IPV6_HEADER + readUint16(bytes, quoted + V6.payloadLength)
      const told = readUint32(bytes, start + 4)
      // RFC 8201 section 4: less than the minimum is no report at all.
      if (told < IPV6_MINIMUM_MTU) {
        counters.add('icmpv6.tooBigBelowMinimum')
        return
      }
      tooBigReported(this.#core, about, length, told, now)
      return
    }
    const kind = KINDS[type]
    if (kind !== undefined) transport.tellError({ ...about, kind }, now)
  }
}

const KINDS: Readonly<Record<number, 'unreachable' | 'time-exceeded' | 'parameter-problem'>> = {
  1: 'unreachable',
  3: 'time-exceeded',
  4: 'parameter-problem',
}

function mayReport(
  { bytes, start, end }: PacketBuffer,
  source: Ipv6Address,
  destination: Ipv6Address,
  type: number,
  code: number,
): boolean {
  if (source.isUnspecified || source.isMulticast) return false
  // To a group only what path MTU discovery and the options of multicast need (RFC 4443 section 2.4 (e.3)).
  const toGroup = type === Icmpv6Type.packetTooBig || (type === Icmpv6Type.parameterProblem && code === 2)
  if (destination.isMulticast && !toGroup) return false
  const chain = walkExtensionHeaders(bytes, start + IPV6_HEADER, end, bytes[start + V6.nextHeader]!)
  if (chain.protocol !== IpProtocol.icmpv6) return true
  if (chain.laterFragment) return false // of what, nobody can tell
  const about = bytes[chain.offset]
  return chain.offset < end && about !== undefined && about >= 128 && about !== Icmpv6Type.redirect
}
