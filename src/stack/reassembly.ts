/**
 * Reassembly of both families (RFC 791 section 3.2, RFC 8200 section 4.5).
 *
 * Every bound is a stranger's budget: bytes, datagrams, fragments of one datagram, age, and the share of one source.
 * Fragments that overlap are refused for both families (RFC 5722): the datagram is dropped, and what of it still
 * comes, too. An exact copy of a fragment is only a duplicate and is ignored. Work per fragment does not grow with
 * the fragments that are there.
 */
import {
  after,
  bytesEqual,
  type Duration,
  type Instant,
  IPV4,
  IPV6,
  PacketBuffer,
  readUint16,
  readUint32,
  seconds,
  writeUint16,
} from '../base/index.js'
import { IcmpType } from '../wire/icmp.js'
import { Icmpv6Type } from '../wire/icmpv6.js'
import { FRAGMENT_HEADER_LENGTH } from '../wire/ipv6-extensions.js'
import type { Core } from './core.js'
import {
  IPV6_HEADER,
  MAX_IPV4_PACKET,
  MAX_IPV6_PAYLOAD,
  sealIpv4,
  V4,
  V4_MORE_FRAGMENTS,
  V4_OFFSET_MASK,
  V6,
} from './headers.js'
import type { NetworkInterface } from './interface.js'
import { chainIsWhole } from './ipv6-input.js'
import {
  claim,
  Datagram,
  EMPTY_COST,
  join,
  lengthProblem,
  OVERHEAD,
  type Piece,
} from './reassembly-datagram.js'

/** OpenBSD's IPFRAGTTL, within RFC 1122 section 3.3.2's advice. */
const AGE_V4: Duration = seconds(30)
/** RFC 8200 section 4.5. */
const AGE_V6: Duration = seconds(60)
/** ECN of the fragments: RFC 3168 section 5.3. */
const ECN_MASK = 3
const ECN_CE = 3

export class Reassembly {
  readonly #core: Core
  /** Oldest first. */
  readonly #datagrams = new Map<string, Datagram>()
  readonly #sources = new Map<string, { datagrams: number; bytes: number }>()
  #bytes = 0

  constructor(core: Core) {
    this.#core = core
  }

  /** What is held: for tests and status. */
  get size(): { readonly datagrams: number; readonly bytes: number } {
    return { datagrams: this.#datagrams.size, bytes: this.#bytes }
  }

  /** Takes an IPv4 fragment (a copy of it is kept); returns the whole packet when it was the last one missing. */
  addIpv4(packet: PacketBuffer, ifc: NetworkInterface, now: Instant): PacketBuffer | undefined {
    const { bytes, start, end } = packet
    const headerLength = 4 * (bytes[start]! & 15)
    const flags = readUint16(bytes, start + V4.flags)
    const offset = 8 * (flags & V4_OFFSET_MASK)
    const more = (flags & V4_MORE_FRAGMENTS) !== 0
    const length = end - start - headerLength
    const problem = lengthProblem(offset, length, more, MAX_IPV4_PACKET - headerLength)
    if (problem !== undefined) return this.#drop(`ipv4.${problem}`)
    // RFC 791: source, destination, protocol and identification tell datagrams apart.
    const source = String(readUint32(bytes, start + V4.source))
    const key = `4 ${source} ${readUint32(bytes, start + V4.destination)} ${bytes[start + V4.protocol]} ${readUint16(bytes, start + V4.identification)}`
    const datagram = this.#insert(4, ifc, now, {
      key,
      source,
      offset,
      more,
      data: bytes.subarray(start + headerLength, end),
      head: bytes.subarray(start, start + headerLength),
      whole: bytes.subarray(start, end),
      ecn: bytes[start + V4.tos]! & ECN_MASK,
      nesting: packet.nesting,
      unauthenticated: packet.unauthenticated,
      nextHeaderAt: 0,
      nextHeader: 0,
    })
    if (datagram === undefined) return undefined
    const whole = join(datagram, IPV4)
    const at = whole.start
    if (whole.length > MAX_IPV4_PACKET) return this.#drop('ipv4.fragmentBeyondEnd')
    writeUint16(whole.bytes, at + V4.totalLength, whole.length)
    writeUint16(
      whole.bytes,
      at + V4.flags,
      readUint16(whole.bytes, at + V4.flags) & ~V4_MORE_FRAGMENTS & ~V4_OFFSET_MASK,
    )
    if (datagram.congestionExperienced) whole.bytes[at + V4.tos] = whole.bytes[at + V4.tos]! | ECN_CE
    sealIpv4(whole.bytes, at)
    return whole
  }

  /** Takes an IPv6 fragment whose fragment header is at `headerAt`, named by the byte at `nextHeaderAt`. */
  addIpv6(
    packet: PacketBuffer,
    ifc: NetworkInterface,
    headerAt: number,
    nextHeaderAt: number,
    now: Instant,
  ): PacketBuffer | undefined {
    const { bytes, start, end } = packet
    const word = readUint16(bytes, headerAt + 2)
    const offset = word & 0xfff8
    const more = (word & 1) !== 0
    const dataAt = headerAt + FRAGMENT_HEADER_LENGTH
    // RFC 6946: an atomic fragment is whole, and is not mixed with others of its identification.
    if (offset === 0 && !more) return withoutFragmentHeader(packet, headerAt, nextHeaderAt)
    const before = headerAt - start - IPV6_HEADER
    const problem = lengthProblem(offset, end - dataAt, more, MAX_IPV6_PAYLOAD - before)
    if (problem !== undefined) {
      this.#drop(`ipv6.${problem}`)
      // RFC 8200 section 4.5: both come with a report; the pointer is at the payload length or the fragment offset.
      const pointer = problem === 'fragmentLength' ? V6.payloadLength : headerAt + 2 - start
      if (problem !== 'fragmentEmpty')
        this.#core.icmpv6.error(packet, ifc, Icmpv6Type.parameterProblem, 0, pointer, now)
      return undefined
    }
    if (offset === 0 && !chainIsWhole(bytes, headerAt, end, this.#core.limits.extensionHeaders)) {
      this.#drop('ipv6.firstFragmentChain')
      this.#core.icmpv6.error(packet, ifc, Icmpv6Type.parameterProblem, 3, 0, now)
      return undefined
    }
    const source = latin1(bytes, start + V6.source, start + V6.destination)
    const datagram = this.#insert(6, ifc, now, {
      key: `6 ${source}${latin1(bytes, start + V6.destination, start + IPV6_HEADER)}${readUint32(bytes, headerAt + 4)}`,
      source,
      offset,
      more,
      data: bytes.subarray(dataAt, end),
      head: bytes.subarray(start, headerAt),
      whole: bytes.subarray(start, end),
      ecn: (bytes[start + 1]! >> 4) & ECN_MASK,
      nesting: packet.nesting,
      unauthenticated: packet.unauthenticated,
      nextHeaderAt: nextHeaderAt - start,
      nextHeader: bytes[headerAt]!,
    })
    if (datagram === undefined) return undefined
    const whole = join(datagram, IPV6)
    const payloadLength = whole.length - IPV6_HEADER
    if (payloadLength > MAX_IPV6_PAYLOAD) return this.#drop('ipv6.fragmentBeyondEnd')
    whole.bytes[whole.start + datagram.nextHeaderAt] = datagram.nextHeader
    writeUint16(whole.bytes, whole.start + V6.payloadLength, payloadLength)
    if (datagram.congestionExperienced)
      whole.bytes[whole.start + 1] = whole.bytes[whole.start + 1]! | (ECN_CE << 4)
    return whole
  }

  /** Keeps a copy of the fragment; returns its datagram, no longer kept, when that is whole. */
  #insert(family: 4 | 6, ifc: NetworkInterface, now: Instant, piece: Piece): Datagram | undefined {
    const datagram = this.#datagrams.get(piece.key) ?? this.#open(family, ifc, piece, now)
    if (datagram.refused) return this.#drop(`ipv${family}.fragmentOfRefused`)
    const { offset, data } = piece
    const twin = datagram.fragments.get(offset)
    if (twin !== undefined && bytesEqual(twin.data, data)) return this.#drop(`ipv${family}.fragmentDuplicate`)
    const end = offset + data.length
    const known = datagram.total
    // The end may not move, and nothing may lie beyond it, whichever came first.
    if (known !== undefined && (end > known || (!piece.more && end !== known)))
      return this.#refuse(datagram, 'fragmentContradiction')
    if (!piece.more && end < datagram.extent) return this.#refuse(datagram, 'fragmentContradiction')
    if (!claim(datagram.map, offset >> 3, (end + 7) >> 3)) return this.#refuse(datagram, 'fragmentOverlap')
    if (datagram.fragments.size >= this.#core.limits.reassemblyFragments)
      return this.#refuse(datagram, 'fragmentsTooMany')
    const cost = data.length + OVERHEAD + (offset === 0 ? piece.whole.length : 0)
    if (!this.#charge(datagram, cost)) return undefined

    datagram.fragments.set(offset, { offset, data: data.slice() })
    datagram.received += data.length
    datagram.nesting = Math.max(datagram.nesting, piece.nesting)
    datagram.unauthenticated ||= piece.unauthenticated
    if (piece.ecn === ECN_CE) datagram.congestionExperienced = true
    if (piece.ecn === 0) datagram.notEct = true
    datagram.extent = Math.max(datagram.extent, end)
    if (!piece.more) datagram.total = end
    if (offset === 0) {
      datagram.head = piece.head.slice()
      datagram.first = piece.whole.slice()
      datagram.nextHeaderAt = piece.nextHeaderAt
      datagram.nextHeader = piece.nextHeader
    }
    if (datagram.total === undefined || datagram.received !== datagram.total) return undefined
    this.#close(datagram)
    // RFC 3168 section 5.3: congestion cannot have been signalled on what is not ECN-capable.
    if (datagram.congestionExperienced && datagram.notEct) return this.#drop(`ipv${family}.fragmentEcn`)
    this.#core.counters.add(`ipv${family}.reassembled`)
    return datagram
  }

  #open(family: 4 | 6, ifc: NetworkInterface, piece: Piece, now: Instant): Datagram {
    const { limits } = this.#core
    const share = this.#sources.get(piece.source)
    // A source that fills its share pushes out its own; only then those of others have to go.
    if (share !== undefined && share.datagrams >= limits.reassemblyDatagrams / limits.reassemblySourceShare)
      this.#evict((datagram) => datagram.source === piece.source)
    if (this.#datagrams.size >= limits.reassemblyDatagrams) this.#evict(() => true)
    const timer = this.#core.timers.schedule(after(now, family === 4 ? AGE_V4 : AGE_V6), (then) =>
      this.#expire(datagram, then),
    )
    const datagram = new Datagram(piece.key, piece.source, family, ifc, timer)
    this.#datagrams.set(piece.key, datagram)
    const count = share ?? { datagrams: 0, bytes: 0 }
    count.datagrams++
    count.bytes += datagram.cost
    this.#sources.set(piece.source, count)
    this.#bytes += datagram.cost
    return datagram
  }

  /** Makes room for `cost` more bytes; false: the datagram itself was what had to go. */
  #charge(datagram: Datagram, cost: number): boolean {
    const { limits } = this.#core
    const share = this.#sources.get(datagram.source)
    if (share === undefined) return false
    while (share.bytes + cost > limits.reassemblyBytes / limits.reassemblySourceShare) {
      const gone = this.#evict((other) => other.source === datagram.source)
      if (gone === undefined || gone === datagram) return false
    }
    while (this.#bytes + cost > limits.reassemblyBytes) {
      const gone = this.#evict(() => true)
      if (gone === undefined || gone === datagram) return false
    }
    datagram.cost += cost
    share.bytes += cost
    this.#bytes += cost
    return true
  }

  /** Drops the oldest datagram of those that may go. */
  #evict(mayGo: (datagram: Datagram) => boolean): Datagram | undefined {
    for (const datagram of this.#datagrams.values()) {
      if (!mayGo(datagram)) continue
      this.#drop(`ipv${datagram.family}.reassemblyFull`)
      this.#close(datagram)
      return datagram
    }
    return undefined
  }

  /** Gives the memory back and remembers, until its time is over, that this datagram is refused (RFC 5722). */
  #refuse(datagram: Datagram, reason: string): undefined {
    datagram.refused = true
    datagram.fragments.clear()
    datagram.first = undefined
    datagram.head = undefined
    this.#refund(datagram, datagram.cost - EMPTY_COST)
    datagram.cost = EMPTY_COST
    return this.#drop(`ipv${datagram.family}.${reason}`)
  }

  #close(datagram: Datagram): void {
    datagram.timer.cancel()
    this.#datagrams.delete(datagram.key)
    this.#refund(datagram, datagram.cost)
    const share = this.#sources.get(datagram.source)
    if (share !== undefined && --share.datagrams === 0) this.#sources.delete(datagram.source)
  }

  #refund({ source }: Datagram, bytes: number): void {
    this.#bytes -= bytes
    const share = this.#sources.get(source)
    if (share !== undefined) share.bytes -= bytes
  }

  /** RFC 792, RFC 8200 section 4.5: the source hears of it if the first fragment came. */
  #expire(datagram: Datagram, now: Instant): void {
    this.#close(datagram)
    if (datagram.refused) return
    this.#drop(`ipv${datagram.family}.reassemblyTimeout`)
    if (datagram.first === undefined) return
    const first = PacketBuffer.copyOf(datagram.first, datagram.family)
    first.nesting = datagram.nesting
    first.unauthenticated = datagram.unauthenticated
    if (datagram.family === 4)
      this.#core.icmp.error(first, datagram.interface, IcmpType.timeExceeded, 1, 0, now)
    else this.#core.icmpv6.error(first, datagram.interface, Icmpv6Type.timeExceeded, 1, 0, now)
  }

  #drop(reason: string): undefined {
    this.#core.counters.add(reason)
    return undefined
  }
}

/** Takes the fragment header out, by moving what stands before it. */
function withoutFragmentHeader(packet: PacketBuffer, headerAt: number, nextHeaderAt: number): PacketBuffer {
  const { bytes, start } = packet
  bytes[nextHeaderAt] = bytes[headerAt]!
  writeUint16(
    bytes,
    start + V6.payloadLength,
    readUint16(bytes, start + V6.payloadLength) - FRAGMENT_HEADER_LENGTH,
  )
  bytes.copyWithin(start + FRAGMENT_HEADER_LENGTH, start, headerAt)
  packet.start = start + FRAGMENT_HEADER_LENGTH
  return packet
}

/** A key of bytes, a character each. */
const latin1 = (bytes: Uint8Array, from: number, to: number): string =>
  String.fromCharCode(...bytes.subarray(from, to))
