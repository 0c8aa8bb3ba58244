/**
 * A connected UDP socket in the data plane. Going out, datagrams of one length and one kind of outer header are one
 * message that the kernel or the card cuts (UDP_SEGMENT); coming in, the kernel joins them again (UDP_GRO), and they are
 * cut where they lie.
 *
 * Over IPv4 RFC 3948 section 2.1 would rather have a checksum of zero, and has receivers accept any. They are
 * computed here: the kernel cuts and joins no datagrams without, and computes most of them in the card.
 */
import { Counters, OPAQUE, type PacketBuffer } from '../base/index.js'
import type { Arena } from './arena.js'
import { type Carrier, type MtuLookup, PathMtu, type Receiver, waitForRoom } from './carrier.js'
import { Errno, errnoName, type Libc, libc } from './ffi.js'
import type { CarrierSpec } from './messages.js'
import { uint32 } from './netlink.js'
import type { PlanePath } from './path.js'
import { IP_MTU_DISCOVER, IPPROTO_IP, MMSGHDR_LENGTH, PMTUDISC_DO, PMTUDISC_DONT } from './sockaddr.js'
import { DATAGRAMS, RECEIVED, TRAIN_BYTES, TRAIN_DATAGRAMS, TRAINS, UdpMessages } from './udp-messages.js'

const UDP_HEADER_LENGTH = 8
const IPV4_OVERHEAD: number = 20 + UDP_HEADER_LENGTH
const IPV6_OVERHEAD: number = 40 + UDP_HEADER_LENGTH
const IP_LIMIT = 65_535
/** Messages that are read at once where they are joined: some 700 datagrams, for others have their turn as well. */
const RECEIVED_JOINED = 16

/** What a kernel or a device says that cuts no datagrams. */
const CUTS_NOTHING: readonly number[] = [Errno.EIO, Errno.EINVAL, Errno.EOPNOTSUPP, Errno.ENOPROTOOPT]

const DO: Uint8Array = uint32(PMTUDISC_DO)
const DONT: Uint8Array = uint32(PMTUDISC_DONT)

export interface UdpCarrierOptions {
  /** Default: the kernel. */
  readonly mtuOf?: MtuLookup
  readonly libc?: Libc
  readonly messages?: UdpMessages
}

export class UdpCarrier implements Carrier {
  readonly spec: CarrierSpec
  readonly paths: PlanePath[] = []
  readonly drops: Counters = new Counters()
  loops = false
  readonly #arena: Arena
  readonly #c: Libc
  readonly #fd: number
  readonly #v4: boolean
  readonly #overhead: number
  readonly #limit: number
  readonly #messages: UdpMessages
  readonly #mtu: PathMtu
  /** By datagram of the batch. */
  readonly #paths: (PlanePath | undefined)[] = new Array<PlanePath | undefined>(DATAGRAMS).fill(undefined)
  /** By train: its first datagram, how many, and the length of each but the last. */
  readonly #first: Int32Array = new Int32Array(TRAINS)
  readonly #count: Int32Array = new Int32Array(TRAINS)
  readonly #segment: Int32Array = new Int32Array(TRAINS)
  #trains = 0
  #datagrams = 0
  /** Of the last train: its bytes, and whether another datagram may follow. */
  #bytes = 0
  #open = false
  #ttl = 0
  #trafficClass = 0
  #flowLabel = 0
  /** As the socket has it; unknown before the first packet. */
  #dontFragment: boolean | undefined
  #cuts = true
  /** The last batch had joined datagrams. */
  #joins = false
  #nowMs = 0

  constructor(spec: CarrierSpec, arena: Arena, options: UdpCarrierOptions = {}) {
    this.spec = spec
    this.#arena = arena
    this.#c = options.libc ?? libc()
    this.#fd = spec.fd
    this.#v4 = spec.family === 4
    this.#overhead = this.#v4 ? IPV4_OVERHEAD : IPV6_OVERHEAD
    // The length of an IPv6 packet does not count its own header.
    this.#limit = this.#v4 ? IP_LIMIT - IPV4_OVERHEAD : IP_LIMIT - UDP_HEADER_LENGTH
    this.#messages = options.messages ?? new UdpMessages(spec.family, arena)
    this.#mtu = new PathMtu(spec, options.mtuOf)
  }

  /** False once the kernel has refused to cut: each datagram is a message of its own then. */
  get cuts(): boolean {
    return this.#cuts
  }

  mtu(nowMs: number): number {
    return this.#mtu.knownAt(nowMs)
  }

  push(path: PlanePath, packet: PacketBuffer, nowMs: number): void {
    const { start, end, outerTrafficClass, outerFlowLabel, outerDontFragment } = packet
    const length = end - start
    this.#nowMs = nowMs
    const fits = length + this.#overhead <= this.#mtu.at(nowMs)
    if (!fits && (outerDontFragment || length > this.#limit)) {
      path.transforms.outbound.drops.add('outer.tooBig')
      return
    }
    if (outerDontFragment !== this.#dontFragment) this.#setDontFragment(outerDontFragment)
    const ttl = packet.outerTtl || this.spec.defaultTtl
    if (
      !this.#open ||
      !fits ||
      length > this.#segment[this.#trains - 1]! ||
      this.#bytes + length > TRAIN_BYTES ||
      ttl !== this.#ttl ||
      outerTrafficClass !== this.#trafficClass ||
      outerFlowLabel !== this.#flowLabel ||
      this.#datagrams === DATAGRAMS
    ) {
      if (this.#trains === TRAINS || this.#datagrams === DATAGRAMS) this.flush()
      this.#begin(length, ttl, outerTrafficClass, outerFlowLabel)
      // What the kernel makes fragments of, it does not cut.
      this.#open = fits && this.#cuts
    }
    const train = this.#trains - 1
    const count = ++this.#count[train]!
    this.#bytes += length
    if (length < this.#segment[train]! || count === TRAIN_DATAGRAMS) this.#open = false
    const i = this.#datagrams++
    this.#messages.setDatagram(i, start, end)
    this.#paths[i] = path
  }

  #begin(length: number, ttl: number, trafficClass: number, flowLabel: number): void {
    const train = this.#trains++
    this.#first[train] = this.#datagrams
    this.#count[train] = 0
    this.#segment[train] = length
    this.#bytes = 0
    this.#ttl = ttl
    this.#trafficClass = trafficClass
    this.#flowLabel = flowLabel
    this.#messages.setTrain(train, ttl, trafficClass, flowLabel)
  }

  /** DF is an option of the socket: what was pushed before goes out with what it had. IPv6 packets have none. */
  #setDontFragment(dontFragment: boolean): void {
    this.flush()
    this.#dontFragment = dontFragment
    if (this.#v4) this.#c.setsockopt(this.#fd, IPPROTO_IP, IP_MTU_DISCOVER, dontFragment ? DO : DONT, 4)
  }

  flush(): void {
    const trains = this.#trains
    if (trains === 0) return
    for (let i = 0; i < trains; i++)
      this.#messages.layTrain(i, this.#first[i]!, this.#count[i]!, this.#segment[i]!)
    this.#trains = 0
    this.#datagrams = 0
    this.#open = false
    this.#send(this.#messages.trains, trains, -1)
  }

  /** Sends `count` messages: trains, or the single datagrams of one train from `first` on. */
  #send(messages: number, count: number, first: number): void {
    let at = 0
    /** Where it failed last, and why: the first time it may be the error of an earlier datagram, told once. */
    let failedAt = -1
    let failure = 0
    while (at < count) {
      const sent = this.#c.sendmmsg(this.#fd, messages + at * MMSGHDR_LENGTH, count - at, 0)
      if (sent > 0) {
        if (failedAt === at) this.drops.add(`outer.icmp.${errnoName(failure)}`)
        at += sent
        continue
      }
      const errno = this.#c.errno()
      if (errno === Errno.EINTR) continue
      const isFull = errno === Errno.EAGAIN || errno === Errno.ENOBUFS
      if (errno === Errno.EAGAIN && waitForRoom(this.#c, this.#arena, this.#fd)) continue
      if (errno === Errno.EMSGSIZE) this.#mtu.forget()
      if (!isFull && failedAt !== at) {
        failedAt = at
        failure = errno
        continue
      }
      if (first >= 0) this.#drop(first + at, 1, errno)
      else if (this.#count[at]! === 1 || isFull) this.#drop(this.#first[at]!, this.#count[at]!, errno)
      else this.#sendSingly(at, errno)
      at++
    }
  }

  /** Nobody cut this train. */
  #sendSingly(train: number, errno: number): void {
    const first = this.#first[train]!
    const count = this.#count[train]!
    if (CUTS_NOTHING.includes(errno)) {
      // Before Linux 6.14 a path MTU that has become too small for the segments was EINVAL as well.
      this.#mtu.forget()
      if (this.#segment[train]! + this.#overhead <= this.#mtu.at(this.#nowMs)) this.#cuts = false
    }
    this.#messages.laySingles(train, first, count)
    this.#send(this.#messages.singles, count, first)
  }

  #drop(first: number, count: number, errno: number): void {
    const reason =
      errno === Errno.EMSGSIZE
        ? 'outer.tooBig'
        : errno === Errno.EAGAIN || errno === Errno.ENOBUFS
          ? 'outer.queue'
          : `outer.${errnoName(errno)}`
    for (let i = first; i < first + count; i++) this.#paths[i]?.transforms.outbound.drops.add(reason)
  }

  receive(packet: PacketBuffer, take: Receiver, nowMs: number): boolean {
    const messages = this.#messages
    const limit = this.#joins ? RECEIVED_JOINED : RECEIVED
    const count = this.#c.recvmmsg(this.#fd, messages.received, limit, 0, 0)
    if (count < 0) {
      const errno = this.#c.errno()
      // The peer's host said by ICMP that nobody listens there, or a router that there is no way.
      if (errno !== Errno.EAGAIN && errno !== Errno.EINTR) this.drops.add(`outer.icmp.${errnoName(errno)}`)
      return false
    }
    const { arrived } = messages
    this.#joins = false
    for (let i = 0; i < count; i++) {
      messages.readArrived(i)
      const { length, ttl, trafficClass, flowLabel } = arrived
      const segment = arrived.segment > 0 ? arrived.segment : length
      if (segment < length) this.#joins = true
      const start = this.#arena.receiveSlot(i)
      const end = start + length
      if (length === 0) this.drops.add('outer.empty')
      for (let at = start; at < end; at += segment) {
        packet.reset(at, Math.min(at + segment, end), OPAQUE)
        packet.outerTtl = ttl
        packet.outerTrafficClass = trafficClass
        packet.outerFlowLabel = flowLabel
        take(this, packet, nowMs)
      }
    }
    return count === limit
  }
}
