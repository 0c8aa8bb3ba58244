/** From the interfaces to the carriers: what the kernel hands over, through the outbound transform, in batches. */
import {
  type Counters,
  concatBytes,
  ETHERNET,
  IPV4,
  IPV6,
  OPAQUE,
  PacketBuffer,
  type PacketKind,
  TAILROOM,
} from '../base/index.js'
import { PASS } from '../proto/machine.js'
import { EtherType } from '../wire/numbers.js'
import { type Arena, BATCH, PACKET_LIMIT, SLOT_HEADROOM } from './arena.js'
import type { Carrier } from './carrier.js'
import { Errno, errnoName, type Libc, libc } from './ffi.js'
import { isFragment, Joiner } from './joiner.js'
import { Segmenter, VNET_LENGTH } from './offload/index.js'
import type { PlanePath } from './path.js'
import type { PlaneInterface } from './plane-interface.js'
import { tooBigError } from './too-big.js'

/** Where it stands in a frame, and how many bytes each tag before it takes. */
const ETHERTYPE = 12
const TAG_LENGTH = 4

/** Packets of one turn: as many go out before the others are heard again, and no more than a core keeps in its cache. */
const TURN_LIMIT = 256
/** RFC 1812 section 4.3.2.8: ICMP errors have a rate. */
const TELL_EACH_MS = 5

export class Outbound {
  readonly #arena: Arena
  readonly #c: Libc = libc()
  readonly #drops: Counters
  readonly #packet: PacketBuffer
  readonly #segmenter: Segmenter
  readonly #joiner: Joiner
  /** Where the next segment is placed. */
  #room: number
  /** Packets that went out in this turn. */
  #count = 0
  /** Before that nobody is told that a packet is too big. */
  #tellAgain = 0
  /** Who has packets to flush. */
  #carrier: Carrier | undefined

  /** `drops`: of what belongs to no path. */
  constructor(arena: Arena, drops: Counters) {
    this.#arena = arena
    this.#drops = drops
    this.#packet = new PacketBuffer(arena.bytes, 0, 0)
    this.#segmenter = new Segmenter(arena.block)
    this.#joiner = new Joiner(drops)
    this.#room = arena.segments
  }

  /** Reads one batch. Returns errno's name where the interface is gone. */
  turn(side: PlaneInterface, nowMs: number): string | undefined {
    const { base } = this.#arena
    const { fd, offload } = side.spec
    const header = offload ? VNET_LENGTH : 0
    let lost: string | undefined
    this.#count = 0
    this.#room = this.#arena.segments
    for (let slot = 0; slot < BATCH && this.#count < TURN_LIMIT; ) {
      const start = this.#arena.sendSlot(slot)
      const length = this.#c.read(fd, base + start - header, header + PACKET_LIMIT) - header
      if (length <= 0) {
        const errno = length < -header ? this.#c.errno() : Errno.EAGAIN
        if (errno !== Errno.EAGAIN && errno !== Errno.EINTR) lost = errnoName(errno)
        break
      }
      this.#count++
      const path = this.#pathFor(side, start, start + length)
      if (path === undefined) continue
      if (path.wantsWhole && isFragment(this.#packet)) {
        // It is copied out: the next packet is read into the same place.
        if (this.#join(nowMs)) this.#send(path, nowMs)
      } else if (!offload) {
        this.#send(path, nowMs)
        slot++
      } else if (!this.#segmenter.begin(start, start + length, this.#linkOf(start))) {
        path.transforms.outbound.drops.add('interface.offload')
      } else if (this.#segmenter.cuts) {
        // Its segments are copied out: the next packet is read into the same place.
        this.#sendSegments(path, nowMs)
      } else {
        this.#send(path, nowMs)
        slot++
      }
    }
    this.#carrier?.flush()
    this.#carrier = undefined
    return lost
  }

  #sendSegments(path: PlanePath, nowMs: number): void {
    const { bytes } = this.#arena
    const packet = this.#packet
    const segmenter = this.#segmenter
    const { kind } = packet
    while (segmenter.next()) {
      const { start, end } = segmenter
      const at = this.#place(end - start)
      bytes.copyWithin(at, start, end)
      packet.reset(at, at + end - start, kind)
      this.#send(path, nowMs)
      this.#count++
    }
  }

  /** Takes a fragment. True: the datagram that it was of is the packet now. */
  #join(nowMs: number): boolean {
    const packet = this.#packet
    if (!this.#joiner.add(packet, nowMs)) return false
    const { bytes, length } = this.#joiner
    const at = this.#place(length)
    this.#arena.bytes.set(bytes.subarray(0, length), at)
    packet.reset(at, at + length, packet.kind)
    return true
  }

  /** Bytes before the IP header of the packet, which begins at `start`: none, or those of Ethernet with its tags. */
  #linkOf(start: number): number {
    if (this.#packet.kind !== ETHERNET) return 0
    const { view } = this.#arena
    let type = start + ETHERTYPE
    for (let tags = 0; tags < 2; tags++) {
      const value = view.getUint16(type)
      if (value !== EtherType.vlan && value !== EtherType.qinq) break
      type += TAG_LENGTH
    }
    return type + 2 - start
  }

  /** Offset of `length` free bytes with room on both sides. */
  #place(length: number): number {
    const taken = (SLOT_HEADROOM + length + TAILROOM + 63) & ~63
    if (this.#room + taken > this.#arena.segmentsEnd) {
      this.#carrier?.flush()
      this.#room = this.#arena.segments
    }
    const at = this.#room + SLOT_HEADROOM
    this.#room += taken
    return at
  }

  /** The path that takes `[start, end)`, which becomes the packet; where none does, the reason is counted. */
  #pathFor(side: PlaneInterface, start: number, end: number): PlanePath | undefined {
    const packet = this.#packet
    packet.reset(start, end, kindOf(side, this.#arena.bytes[start]!))
    let path: PlanePath | undefined
    if (side.policies !== undefined) {
      path = side.policies.choose(packet)
      if (path === undefined) return undefined
    } else {
      path = side.byKind[packet.kind]
      if (path === undefined) {
        this.#drops.add('send.noPath')
        return undefined
      }
    }
    const reason = side.running ? (path.carrier.loops ? 'loop' : undefined) : 'notRunning'
    if (reason === undefined) return path
    path.transforms.outbound.drops.add(reason)
    return undefined
  }

  /** The packet goes through its transform into its carrier's batch. */
  #send(path: PlanePath, nowMs: number): void {
    const packet = this.#packet
    const { carrier } = path
    const length = packet.end - packet.start
    if (path.limit?.refuses(packet, carrier.mtu(nowMs)) === true) {
      path.transforms.outbound.drops.add('outer.tooBig')
      this.#tellTooBig(path, path.limit.largest, nowMs)
      return
    }
    if (path.transforms.outbound.process(packet) !== PASS) return
    path.packetsOut++
    path.bytesOut += length
    if (this.#carrier !== carrier) {
      this.#carrier?.flush()
      this.#carrier = carrier
    }
    carrier.push(path, packet, nowMs)
  }

  /** Who sent the packet hears how large it may be: out of the interface that it went into. */
  #tellTooBig(path: PlanePath, largest: number, nowMs: number): void {
    // All segments of a piece would say the same.
    if (nowMs < this.#tellAgain) return
    const error = tooBigError(this.#packet, largest)
    if (error === undefined) return
    this.#tellAgain = nowMs + TELL_EACH_MS
    const { fd, offload } = path.interface.spec
    const bytes = offload ? concatBytes(new Uint8Array(VNET_LENGTH), error) : error
    this.#c.write(fd, bytes, bytes.length)
  }
}

function kindOf(side: PlaneInterface, first: number): PacketKind {
  if (side.spec.layer === 'ethernet') return ETHERNET
  const version = first >>> 4
  return version === 4 ? IPV4 : version === 6 ? IPV6 : OPAQUE
}
