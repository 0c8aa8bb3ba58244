/** A raw socket in the data plane: batches out and in. The outer header of IPv4 is written here. */
import { Counters, OPAQUE, type PacketBuffer, readUint32 } from '../base/index.js'
import { type Arena, BATCH, CONTROL_HOPLIMIT, CONTROL_TCLASS, SEND_BATCH } from './arena.js'
import { type Carrier, type MtuLookup, PathMtu, type Receiver, waitForRoom } from './carrier.js'
import { Errno, errnoName, LITTLE_ENDIAN, type Libc, libc } from './ffi.js'
import type { CarrierSpec } from './messages.js'
import type { PlanePath } from './path.js'
import { IPV4_OUTER_LENGTH, IPV6_OUTER_LENGTH } from './raw-socket.js'
import {
  IPPROTO_IPV6,
  IPV6_FLOWINFO,
  IPV6_HOPLIMIT,
  IPV6_TCLASS,
  MMSGHDR_LENGTH,
  MSG_CONTROLLEN,
  MSG_LEN,
  MSG_NAMELEN,
  SIN6_ADDR,
  SOCKADDR_IN6_LENGTH,
} from './sockaddr.js'

const IP_DONT_FRAGMENT = 0x4000
const IP_MORE_FRAGMENTS = 0x2000

export class RawCarrier implements Carrier {
  readonly spec: CarrierSpec
  /** In the order of their installation: the order in which they are asked. */
  readonly paths: PlanePath[] = []
  readonly drops: Counters = new Counters()
  /** What is sent comes back into the tunnels that send it: the plane's finding, renewed by it. */
  loops = false
  readonly #arena: Arena
  readonly #c: Libc
  readonly #fd: number
  readonly #v4: boolean
  readonly #messages: number
  readonly #received: number
  readonly #local: number
  readonly #remote: number
  readonly #batchPaths: (PlanePath | undefined)[] = new Array<PlanePath | undefined>(SEND_BATCH).fill(
    undefined,
  )
  readonly #mtu: PathMtu
  #batched = 0
  #identification: number
  /**
   * The header is ours, and the kernel does not look into it: rules of routing that ask for the protocol (IPsec policies
   * among them) know it only if it is told. Marked packets meet no such rule.
   */
  #tellsProtocol: boolean

  constructor(spec: CarrierSpec, arena: Arena, identification: number, mtuOf?: MtuLookup, c: Libc = libc()) {
    this.#mtu = new PathMtu(spec, mtuOf)
    this.spec = spec
    this.#arena = arena
    this.#c = c
    this.#fd = spec.fd
    this.#v4 = spec.family === 4
    this.#messages = this.#v4 ? arena.send4 : arena.send6
    this.#received = this.#v4 ? arena.receive4 : arena.receive6
    this.#local = this.#v4 ? readUint32(spec.local, 0) : 0
    this.#remote = this.#v4 ? readUint32(spec.remote, 0) : 0
    this.#identification = identification
    this.#tellsProtocol = this.#v4 && spec.mark === undefined
  }

  mtu(nowMs: number): number {
    return this.#mtu.knownAt(nowMs)
  }

  push(path: PlanePath, packet: PacketBuffer, nowMs: number): void {
    if (this.#batched === SEND_BATCH) this.flush()
    if (this.#v4) this.#push4(path, packet, nowMs)
    else this.#push6(path, packet, nowMs)
  }

  #push4(path: PlanePath, packet: PacketBuffer, nowMs: number): void {
    const length = IPV4_OUTER_LENGTH + packet.end - packet.start
    const mtu = this.#mtu.at(nowMs)
    if (length > mtu) {
      if (packet.outerDontFragment || length > 65_535) path.transforms.outbound.drops.add('outer.tooBig')
      else this.#pushFragments(path, packet, mtu)
      return
    }
    const start = packet.start - IPV4_OUTER_LENGTH
    // The kernel fills in an identification of its own where it is 0. AH has covered one.
    this.#writeHeader(
      start,
      length,
      packet,
      packet.outerIdentification,
      packet.outerDontFragment ? IP_DONT_FRAGMENT : 0,
    )
    const i = this.#batched++
    this.#arena.setSent(this.#messages, i, start, packet.end)
    this.#batchPaths[i] = path
  }

  /** RFC 791 section 3.2: every part but the last a multiple of 8 bytes. */
  #pushFragments(path: PlanePath, packet: PacketBuffer, mtu: number): void {
    const chunk = (mtu - IPV4_OUTER_LENGTH) & ~7
    let identification = packet.outerIdentification
    if (identification === 0) {
      this.#identification = (this.#identification + 1) & 0xffff || 1
      identification = this.#identification
    }
    for (let at = packet.start; at < packet.end; at += chunk) {
      if (this.#batched === SEND_BATCH) this.flush()
      const end = Math.min(at + chunk, packet.end)
      const i = this.#batched++
      const header = this.#arena.setSentWithHeader(this.#messages, i, IPV4_OUTER_LENGTH, at, end)
      const fragment = ((at - packet.start) >>> 3) | (end < packet.end ? IP_MORE_FRAGMENTS : 0)
      this.#writeHeader(header, IPV4_OUTER_LENGTH + end - at, packet, identification, fragment)
      this.#batchPaths[i] = path
    }
  }

  /** RFC 791 section 3.1. The kernel fills in the checksum (raw(7), IP_HDRINCL). */
  #writeHeader(
    at: number,
    length: number,
    packet: PacketBuffer,
    identification: number,
    fragment: number,
  ): void {
    const { view } = this.#arena
    view.setUint32(at, 0x45000000 | (packet.outerTrafficClass << 16) | length)
    view.setUint32(at + 4, (identification << 16) | fragment)
    view.setUint32(at + 8, ((packet.outerTtl || this.spec.defaultTtl) << 24) | (this.spec.protocol << 16))
    view.setUint32(at + 12, this.#local)
    view.setUint32(at + 16, this.#remote)
  }

  #push6(path: PlanePath, packet: PacketBuffer, nowMs: number): void {
    const { view } = this.#arena
    if (packet.outerDontFragment) {
      // The kernel cuts what is too long, and heeds IPV6_DONTFRAG for few protocols.
      if (IPV6_OUTER_LENGTH + packet.end - packet.start > this.#mtu.at(nowMs)) {
        path.transforms.outbound.drops.add('outer.tooBig')
        return
      }
    }
    const i = this.#batched++
    this.#arena.setSent(this.#messages, i, packet.start, packet.end)
    const control = this.#arena.sendControl(i)
    view.setInt32(control + CONTROL_HOPLIMIT, packet.outerTtl || this.spec.defaultTtl, LITTLE_ENDIAN)
    view.setInt32(control + CONTROL_TCLASS, packet.outerTrafficClass, LITTLE_ENDIAN)
    const label = packet.outerFlowLabel
    // A flow label goes beside the address (RFC 3542 leaves it out; Linux's IPV6_FLOWINFO_SEND).
    if (label !== 0) this.#writeName(i, label)
    const nameLength = label === 0 ? 0 : SOCKADDR_IN6_LENGTH
    view.setUint32(this.#messages + i * MMSGHDR_LENGTH + MSG_NAMELEN, nameLength, LITTLE_ENDIAN)
    this.#batchPaths[i] = path
  }

  #writeName(i: number, label: number): void {
    const { view, bytes } = this.#arena
    const name = this.#arena.sendName(i)
    view.setUint32(name, 10, LITTLE_ENDIAN)
    view.setUint32(name + 4, label)
    for (let k = 0; k < 16; k++) bytes[name + SIN6_ADDR + k] = this.spec.remote[k]!
    view.setUint32(name + 24, 0)
  }

  flush(): void {
    const count = this.#batched
    this.#batched = 0
    if (this.#v4) this.#arena.routeBy(this.#tellsProtocol ? this.spec.protocol : 0, count)
    let at = 0
    let retried = -1
    while (at < count) {
      const sent = this.#c.sendmmsg(
        this.#fd,
        this.#arena.base + this.#messages + at * MMSGHDR_LENGTH,
        count - at,
        0,
      )
      if (sent > 0) {
        at += sent
        continue
      }
      const errno = this.#c.errno()
      if (errno === Errno.EINTR) continue
      if (errno === Errno.EAGAIN && waitForRoom(this.#c, this.#arena, this.#fd)) continue
      if (errno === Errno.EINVAL && this.#tellsProtocol) {
        // Kernels before 6.4 do not know the message.
        this.#tellsProtocol = false
        this.#arena.routeBy(0, count)
        continue
      }
      if (errno === Errno.EMSGSIZE) this.#mtu.forget()
      else if (errno !== Errno.EAGAIN && errno !== Errno.ENOBUFS && retried !== at) {
        // It may be the ICMP error of an earlier packet, told once: this one was not tried yet.
        retried = at
        continue
      }
      const reason =
        errno === Errno.EMSGSIZE
          ? 'outer.tooBig'
          : errno === Errno.EAGAIN || errno === Errno.ENOBUFS
            ? 'outer.queue'
            : `outer.${errnoName(errno)}`
      this.#batchPaths[at]?.transforms.outbound.drops.add(reason)
      at++
    }
  }

  receive(packet: PacketBuffer, take: Receiver, nowMs: number): boolean {
    const count = this.#c.recvmmsg(this.#fd, this.#arena.base + this.#received, BATCH, 0, 0)
    if (count < 0) {
      const errno = this.#c.errno()
      // The peer's host said by ICMP that it has no such tunnel, or a router that there is no way.
      if (errno !== Errno.EAGAIN && errno !== Errno.EINTR) this.drops.add(`outer.icmp.${errnoName(errno)}`)
      return false
    }
    for (let i = 0; i < count; i++) {
      if (this.#v4 ? this.#take4(i, packet) : this.#take6(i, packet)) take(this, packet, nowMs)
    }
    return count === BATCH
  }

  /** IPv4 sockets hand over the outer header too: it stays in front of the payload. False: not the peer's. */
  #take4(i: number, packet: PacketBuffer): boolean {
    const { view, bytes } = this.#arena
    const length = view.getUint32(this.#received + i * MMSGHDR_LENGTH + MSG_LEN, LITTLE_ENDIAN)
    const start = this.#arena.receiveSlot(i)
    const headerLength = 4 * (bytes[start]! & 15)
    if (length < headerLength || headerLength < IPV4_OUTER_LENGTH) {
      this.drops.add('outer.ipv4')
      return false
    }
    if (view.getUint32(start + 12) !== this.#remote || view.getUint32(start + 16) !== this.#local) {
      this.drops.add('outer.source')
      return false
    }
    packet.reset(start + headerLength, start + length, OPAQUE)
    packet.outerTtl = bytes[start + 8]!
    packet.outerTrafficClass = bytes[start + 1]!
    packet.outerDontFragment = (bytes[start + 6]! & 0x40) !== 0
    packet.outerIdentification = view.getUint16(start + 4)
    packet.outerHeaderStart = start
    return true
  }

  /**
   * IPv6 sockets hand over none. What is told of it beside is enough for transport mode, and for AH, which covers no
   * more of a header without extensions than the addresses, the length and the protocol (RFC 4302 section 3.3.3.1.2).
   */
  #take6(i: number, packet: PacketBuffer): boolean {
    const { view, bytes } = this.#arena
    const message = this.#received + i * MMSGHDR_LENGTH
    const length = view.getUint32(message + MSG_LEN, LITTLE_ENDIAN)
    const control = this.#arena.receiveControl(i)
    const controlEnd = control + view.getUint32(message + MSG_CONTROLLEN, LITTLE_ENDIAN)
    const source = this.#arena.receiveName(i) + SIN6_ADDR
    const start = this.#arena.receiveSlot(i)
    packet.reset(start, start + length, OPAQUE)
    for (let at = control; at + 20 <= controlEnd; at += 24) {
      if (view.getInt32(at + 8, LITTLE_ENDIAN) !== IPPROTO_IPV6) continue
      const type = view.getInt32(at + 12, LITTLE_ENDIAN)
      if (type === IPV6_HOPLIMIT) packet.outerTtl = view.getInt32(at + 16, LITTLE_ENDIAN)
      else if (type === IPV6_TCLASS) packet.outerTrafficClass = view.getInt32(at + 16, LITTLE_ENDIAN)
      else if (type === IPV6_FLOWINFO) packet.outerFlowLabel = view.getUint32(at + 16) & 0xfffff
    }
    this.#arena.resetReceived(i)
    for (let k = 0; k < 16; k++) {
      if (bytes[source + k] === this.spec.remote[k]) continue
      this.drops.add('outer.source')
      return false
    }
    return true
  }
}
