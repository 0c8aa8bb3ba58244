/**
 * IPv6 in: the header's checks, martians, the chain of extension headers (RFC 8200 section 4), and then here, onward
 * or nowhere.
 */
import { type Instant, IPV6, type Ipv6Address, type PacketBuffer, readUint16 } from '../base/index.js'
import { Icmpv6Type } from '../wire/icmpv6.js'
import { FRAGMENT_HEADER_LENGTH, unknownIpv6OptionAction } from '../wire/ipv6-extensions.js'
import { IpProtocol } from '../wire/numbers.js'
import type { Core } from './core.js'
import { forwardIpv6 } from './forward.js'
import { IPV6_HEADER, ipv6At, ipv6TrafficClass, V6 } from './headers.js'
import type { NetworkInterface } from './interface.js'
import { admitted } from './ipsec.js'

/**
 * Takes a packet that starts at `packet.start`. `linkGroup`: its frame was for more than this host; `isProtected`: an SA
 * brought it, and its policy was checked.
 */
export function ipv6Input(
  core: Core,
  ifc: NetworkInterface,
  packet: PacketBuffer,
  linkGroup: boolean,
  now: Instant,
  isProtected = false,
): void {
  const { bytes, start } = packet
  const malformed = headerProblem(packet)
  if (malformed !== undefined) {
    core.counters.add(malformed)
    return
  }
  packet.end = start + IPV6_HEADER + readUint16(bytes, start + V6.payloadLength)
  packet.kind = IPV6
  const source = ipv6At(bytes, start + V6.source)
  const destination = ipv6At(bytes, start + V6.destination)
  const martian = martianReason(core, ifc, packet, source, destination)
  if (martian !== undefined) {
    core.counters.add(martian)
    return
  }
  if (linkGroup && !destination.isMulticast) {
    core.counters.add('ipv6.unicastInGroupFrame')
    return
  }
  if (!isProtected && !admitted(core, ifc, packet, destination, now)) return
  const walk = new ChainWalk(core, ifc, packet, destination.isMulticast, now)

  if (destination.isMulticast) {
    if (!core.local.isMember(destination, core.settings.forwarding6)) {
      core.counters.add('ipv6.notMember')
      return
    }
  } else if (!core.local.has(destination, ifc)) {
    // A router looks at hop-by-hop options too, and at nothing behind them (RFC 8200 section 4).
    if (bytes[start + V6.nextHeader] === IpProtocol.hopByHop && !walk.options(start + IPV6_HEADER)) return
    forwardIpv6(core, ifc, packet, source, destination, now)
    return
  }
  arrive(core, ifc, packet, walk, source, destination, now)
}

/** It is for this host: walk the chain, reassemble, deliver. */
function arrive(
  core: Core,
  ifc: NetworkInterface,
  packet: PacketBuffer,
  walk: ChainWalk,
  source: Ipv6Address,
  destination: Ipv6Address,
  now: Instant,
): void {
  let whole = packet
  let found = walk.run(true)
  if (found === undefined) return
  if (found.protocol === IpProtocol.fragment) {
    const joined = core.reassembly.addIpv6(packet, ifc, found.at, found.protocolAt, now)
    if (joined === undefined) return
    whole = joined
    // The chain again, of the whole this time; another fragment header in it would be a game (RFC 8200 section 4.5).
    const again = new ChainWalk(core, ifc, whole, destination.isMulticast, now)
    found = again.run(false)
    if (found === undefined) return
  }
  if (core.filter?.('in', ifc, whole, now) === false) {
    core.counters.add('filter.in')
    return
  }
  if (found.protocol === IpProtocol.noNextHeader) {
    core.counters.add('ipv6.noNextHeader')
    return
  }
  const { bytes, start: ipStart } = whole
  whole.start = found.at
  core.transport.deliver(
    whole,
    found.protocol,
    {
      family: 6,
      interface: ifc,
      source,
      destination,
      ttl: bytes[ipStart + V6.hopLimit]!,
      trafficClass: ipv6TrafficClass(bytes, ipStart),
      dontFragment: false,
      ipStart,
      protocolAt: found.protocolAt,
      group: destination.isMulticast,
    },
    now,
  )
}

function headerProblem({ bytes, start, end }: PacketBuffer): string | undefined {
  if (end - start < IPV6_HEADER) return 'ipv6.short'
  if (bytes[start]! >> 4 !== 6) return 'ipv6.version'
  const payloadLength = readUint16(bytes, start + V6.payloadLength)
  return payloadLength > end - start - IPV6_HEADER ? 'ipv6.payloadLength' : undefined
}

/** Addresses that no honest packet has on a wire (RFC 4291 section 2, RFC 4443 section 2.4). */
function martianReason(
  core: Core,
  ifc: NetworkInterface,
  packet: PacketBuffer,
  source: Ipv6Address,
  destination: Ipv6Address,
): string | undefined {
  if (source.isMulticast) return 'ipv6.sourceGroup'
  if (destination.isUnspecified) return 'ipv6.destinationUnspecified'
  if (ifc.kind === 'loopback') return undefined
  if (source.isLoopback || destination.isLoopback) return 'ipv6.loopbackOnWire'
  if (source.isIpv4Mapped || destination.isIpv4Mapped) return 'ipv6.mappedOnWire'
  // Scope 0 is reserved and 1 does not leave a host (RFC 4291 section 2.7).
  if (destination.isMulticast && (destination.bytes[1]! & 15) < 2) return 'ipv6.groupScope'
  if (source.isUnspecified && !destination.isMulticast) return 'ipv6.sourceUnspecified'
  if (core.local.owns(source, ifc) && !core.loopback.isOwn(packet)) return 'ipv6.sourceOurs'
  return undefined
}

interface UpperLayer {
  readonly protocol: number
  /** Offset of its first byte. */
  readonly at: number
  /** Offset of the next-header byte that named it. */
  readonly protocolAt: number
}

/** One walk through the extension headers of a packet. What is wrong is counted and, where it must, reported. */
class ChainWalk {
  readonly #core: Core
  readonly #ifc: NetworkInterface
  readonly #packet: PacketBuffer
  readonly #group: boolean
  readonly #now: Instant

  constructor(core: Core, ifc: NetworkInterface, packet: PacketBuffer, group: boolean, now: Instant) {
    this.#core = core
    this.#ifc = ifc
    this.#packet = packet
    this.#group = group
    this.#now = now
  }

  /** To the upper layer, or to a fragment header if `fragments`; `undefined`: dropped. */
  run(fragments: boolean): UpperLayer | undefined {
    const { bytes, start, end } = this.#packet
    let protocolAt = start + V6.nextHeader
    let at = start + IPV6_HEADER
    for (let count = 0; ; count++) {
      const protocol = bytes[protocolAt]!
      if (!isPassed(protocol)) return { protocol, at, protocolAt }
      if (count >= this.#core.limits.extensionHeaders) return this.#drop('ipv6.chainTooLong')
      if (at + 8 > end) return this.#drop('ipv6.chainShort')
      if (protocol === IpProtocol.fragment) {
        if (!fragments) return this.#drop('ipv6.fragmentInFragment')
        return { protocol, at, protocolAt }
      }
      const length = 8 * (bytes[at + 1]! + 1)
      if (at + length > end) return this.#drop('ipv6.chainShort')
      if (protocol === IpProtocol.routing) {
        if (!this.#routing(at)) return undefined
      } else {
        // RFC 8200 section 4.1: hop-by-hop options stand first or nowhere.
        if (protocol === IpProtocol.hopByHop && at !== start + IPV6_HEADER)
          return this.#problem('ipv6.hopByHopNotFirst', 1, protocolAt)
        if (!this.options(at)) return undefined
      }
      protocolAt = at
      at += length
    }
  }

  /** The options of the header at `at`; false: dropped. */
  options(at: number): boolean {
    const { bytes, end } = this.#packet
    if (at + 8 > end || at + 8 * (bytes[at + 1]! + 1) > end) {
      this.#drop('ipv6.chainShort')
      return false
    }
    const stop = at + 8 * (bytes[at + 1]! + 1)
    let count = 0
    for (let option = at + 2; option < stop; ) {
      const kind = bytes[option]!
      if (kind === 0) {
        option++
        continue
      }
      const length = option + 1 < stop ? 2 + bytes[option + 1]! : Number.POSITIVE_INFINITY
      if (option + length > stop) {
        this.#drop('ipv6.options')
        return false
      }
      if (++count > this.#core.limits.extensionOptions) {
        this.#drop('ipv6.tooManyOptions')
        return false
      }
      if (!KNOWN_OPTIONS.includes(kind) && !this.#unknownOption(kind, option)) return false
      option += length
    }
    return true
  }

  /** RFC 8200 section 4.2: the two high bits say what is done; false: dropped. */
  #unknownOption(kind: number, at: number): boolean {
    const action = unknownIpv6OptionAction(kind)
    if (action === 'skip') return true
    if (action === 'discard' || (action === 'report-unicast' && this.#group)) this.#drop('ipv6.unknownOption')
    else this.#problem('ipv6.unknownOption', 2, at)
    return false
  }

  /** RFC 5095: type 0 is not obeyed. Of others, those with segments left are not for us; false: dropped. */
  #routing(at: number): boolean {
    const { bytes } = this.#packet
    if (bytes[at + 2] === 0) {
      this.#drop('ipv6.routingType0')
      return false
    }
    if (bytes[at + 3] === 0) return true
    this.#problem('ipv6.routingType', 0, at + 2)
    return false
  }

  #drop(reason: string): undefined {
    this.#core.counters.add(reason)
    return undefined
  }

  #problem(reason: string, code: number, at: number): undefined {
    this.#core.counters.add(reason)
    const pointer = at - this.#packet.start
    this.#core.icmpv6.error(this.#packet, this.#ifc, Icmpv6Type.parameterProblem, code, pointer, this.#now)
    return undefined
  }
}

/** Pad1, PadN, tunnel encapsulation limit, router alert. */
const KNOWN_OPTIONS = [0, 1, 4, 5]

const isPassed = (protocol: number): boolean =>
  protocol === IpProtocol.hopByHop ||
  protocol === IpProtocol.routing ||
  protocol === IpProtocol.fragment ||
  protocol === IpProtocol.destinationOptions

/**
 * True if the header chain behind the fragment header at `at` ends inside this packet, as a first fragment's must
 * (RFC 7112 section 5).
 */
export function chainIsWhole(bytes: Uint8Array, at: number, end: number, limit: number): boolean {
  let protocol = bytes[at]!
  let offset = at + FRAGMENT_HEADER_LENGTH
  for (let count = 0; isPassed(protocol); count++) {
    if (count >= limit || offset + 8 > end) return false
    protocol = bytes[offset]!
    offset += 8 * (bytes[offset + 1]! + 1)
  }
  const needed = UPPER_HEADER[protocol] ?? 0
  return protocol === IpProtocol.noNextHeader || offset + needed <= end
}

/** The part of an upper layer's header that a first fragment has to hold. */
const UPPER_HEADER: Readonly<Record<number, number>> = {
  [IpProtocol.tcp]: 20,
  [IpProtocol.udp]: 8,
  [IpProtocol.icmpv6]: 4,
}
