/**
 * The structures that UDP carriers hand to the kernel, in native memory of their own, laid out once. What is sent
 * are trains: a message with an iovec for each datagram, which the kernel cuts at UDP_SEGMENT.
 *
 *     mmsghdrs of trains | of single datagrams | of what arrives | iovecs | control messages
 */
import type { Arena } from './arena.js'
import { PACKET_LIMIT } from './arena.js'
import { LITTLE_ENDIAN, NativeMemory } from './ffi.js'
import {
  CMSG_INT_SPACE,
  CMSGHDR_LENGTH,
  cmsgLength,
  IOV_BASE,
  IOV_LEN,
  IOVEC_LENGTH,
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_FLOWINFO,
  IPV6_HOPLIMIT,
  IPV6_TCLASS,
  MMSGHDR_LENGTH,
  MSG_CONTROL,
  MSG_CONTROLLEN,
  MSG_IOV,
  MSG_IOVLEN,
  MSG_LEN,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
  writeCmsgInt,
} from './sockaddr.js'

/** Trains of one batch. */
export const TRAINS = 64
/** Datagrams of one batch. */
export const DATAGRAMS = 512
/** UDP_MAX_SEGMENTS of every kernel that has them. */
export const TRAIN_DATAGRAMS = 64
/** What one IP packet can carry, with room for its headers. */
export const TRAIN_BYTES = 65_000
/** Messages that are read at once; each may hold as many datagrams as the kernel joins. */
export const RECEIVED = 64

/** TTL, traffic class, flow label (IPv6) and UDP_SEGMENT, in this order. */
const CONTROL_LENGTH: number = 4 * CMSG_INT_SPACE
const RECEIVED_CONTROL_LENGTH: number = 6 * CMSG_INT_SPACE

/** Of a message that has arrived. */
export interface Arrived {
  /** Bytes, of all its datagrams. */
  length: number
  /** Of each of them but the last, which may be shorter; 0: it is one. */
  segment: number
  ttl: number
  trafficClass: number
  flowLabel: number
}

export class UdpMessages {
  readonly memory: NativeMemory
  /** Addresses. */
  readonly trains: number
  readonly singles: number
  readonly received: number
  readonly arrived: Arrived = { length: 0, segment: 0, ttl: 0, trafficClass: 0, flowLabel: 0 }
  readonly #v4: boolean
  readonly #view: DataView
  readonly #base: number
  readonly #arenaBase: number
  readonly #trains: number
  readonly #singles: number
  readonly #received: number
  readonly #iovecs: number
  readonly #control: number
  readonly #receivedControl: number
  /** Of the control messages without the last, UDP_SEGMENT. */
  readonly #plainControl: number

  constructor(family: 4 | 6, arena: Arena) {
    let length = 0
    const take = (bytes: number): number => {
      const at = length
      length += (bytes + 63) & ~63
      return at
    }
    this.#v4 = family === 4
    this.#trains = take(TRAINS * MMSGHDR_LENGTH)
    this.#singles = take(TRAIN_DATAGRAMS * MMSGHDR_LENGTH)
    this.#received = take(RECEIVED * MMSGHDR_LENGTH)
    this.#iovecs = take(DATAGRAMS * IOVEC_LENGTH)
    const receivedIovecs = take(RECEIVED * IOVEC_LENGTH)
    this.#control = take(TRAINS * CONTROL_LENGTH)
    this.#receivedControl = take(RECEIVED * RECEIVED_CONTROL_LENGTH)
    const memory = new NativeMemory(length)
    this.memory = memory
    this.#view = memory.view
    this.#base = memory.base
    this.#arenaBase = arena.base
    this.trains = memory.base + this.#trains
    this.singles = memory.base + this.#singles
    this.received = memory.base + this.#received
    this.#plainControl = (this.#v4 ? 2 : 3) * CMSG_INT_SPACE
    for (let i = 0; i < TRAINS; i++) {
      memory.setPointer(this.#trains + i * MMSGHDR_LENGTH + MSG_CONTROL, this.#controlOf(i))
      this.#layControl(this.#controlOf(i))
    }
    for (let i = 0; i < RECEIVED; i++) {
      const message = this.#received + i * MMSGHDR_LENGTH
      const iovec = receivedIovecs + i * IOVEC_LENGTH
      this.#setPointer(iovec + IOV_BASE, arena.base + arena.receiveSlot(i))
      this.#view.setUint32(iovec + IOV_LEN, PACKET_LIMIT, LITTLE_ENDIAN)
      memory.setPointer(message + MSG_IOV, iovec)
      this.#view.setUint32(message + MSG_IOVLEN, 1, LITTLE_ENDIAN)
      memory.setPointer(message + MSG_CONTROL, this.#receivedControl + i * RECEIVED_CONTROL_LENGTH)
      this.#view.setUint32(message + MSG_CONTROLLEN, RECEIVED_CONTROL_LENGTH, LITTLE_ENDIAN)
    }
  }

  /** Datagram `i` of the batch is `[start, end)` of the arena. */
  setDatagram(i: number, start: number, end: number): void {
    const iovec = this.#iovecs + i * IOVEC_LENGTH
    this.#setPointer(iovec + IOV_BASE, this.#arenaBase + start)
    this.#view.setUint32(iovec + IOV_LEN, end - start, LITTLE_ENDIAN)
  }

  /** What all datagrams of a train have in common. */
  setTrain(train: number, ttl: number, trafficClass: number, flowLabel: number): void {
    const control = this.#controlOf(train) + CMSGHDR_LENGTH
    this.#view.setInt32(control, ttl, LITTLE_ENDIAN)
    this.#view.setInt32(control + CMSG_INT_SPACE, trafficClass, LITTLE_ENDIAN)
    if (!this.#v4) this.#view.setUint32(control + 2 * CMSG_INT_SPACE, flowLabel)
  }

  /** The train's message: `count` datagrams from `first` on, cut at `segment` bytes where there are several. */
  layTrain(train: number, first: number, count: number, segment: number): void {
    const message = this.#trains + train * MMSGHDR_LENGTH
    this.#setPointer(message + MSG_IOV, this.#base + this.#iovecs + first * IOVEC_LENGTH)
    this.#view.setUint32(message + MSG_IOVLEN, count, LITTLE_ENDIAN)
    let control = this.#plainControl
    if (count > 1) {
      this.#view.setUint16(this.#controlOf(train) + control + CMSGHDR_LENGTH, segment, LITTLE_ENDIAN)
      control += CMSG_INT_SPACE
    }
    this.#view.setUint32(message + MSG_CONTROLLEN, control, LITTLE_ENDIAN)
  }

  /** The same datagrams as messages of their own. */
  laySingles(train: number, first: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const message = this.#singles + i * MMSGHDR_LENGTH
      this.#setPointer(message + MSG_IOV, this.#base + this.#iovecs + (first + i) * IOVEC_LENGTH)
      this.#view.setUint32(message + MSG_IOVLEN, 1, LITTLE_ENDIAN)
      this.#setPointer(message + MSG_CONTROL, this.#base + this.#controlOf(train))
      this.#view.setUint32(message + MSG_CONTROLLEN, this.#plainControl, LITTLE_ENDIAN)
    }
  }

  /** Reads message `i` into `arrived`, and makes it ready for the next. */
  readArrived(i: number): void {
    const view = this.#view
    const { arrived } = this
    const message = this.#received + i * MMSGHDR_LENGTH
    arrived.length = view.getUint32(message + MSG_LEN, LITTLE_ENDIAN)
    arrived.segment = 0
    arrived.ttl = 0
    arrived.trafficClass = 0
    arrived.flowLabel = 0
    let at = this.#receivedControl + i * RECEIVED_CONTROL_LENGTH
    const end = at + view.getUint32(message + MSG_CONTROLLEN, LITTLE_ENDIAN)
    while (at + CMSGHDR_LENGTH < end) {
      const length = view.getUint32(at, LITTLE_ENDIAN)
      if (length <= CMSGHDR_LENGTH) break
      this.#readControl(at, view.getInt32(at + 8, LITTLE_ENDIAN), view.getInt32(at + 12, LITTLE_ENDIAN))
      at += (length + 7) & ~7
    }
    view.setUint32(message + MSG_CONTROLLEN, RECEIVED_CONTROL_LENGTH, LITTLE_ENDIAN)
  }

  #readControl(at: number, level: number, type: number): void {
    const view = this.#view
    const { arrived } = this
    const data = at + CMSGHDR_LENGTH
    if (level === SOL_UDP) {
      if (type === UDP_GRO) arrived.segment = view.getInt32(data, LITTLE_ENDIAN)
    } else if (level === IPPROTO_IP) {
      // The one that is a byte (ip(7)).
      if (type === IP_TOS) arrived.trafficClass = view.getUint8(data)
      else if (type === IP_TTL) arrived.ttl = view.getInt32(data, LITTLE_ENDIAN)
    } else if (level === IPPROTO_IPV6) {
      if (type === IPV6_TCLASS) arrived.trafficClass = view.getInt32(data, LITTLE_ENDIAN)
      else if (type === IPV6_HOPLIMIT) arrived.ttl = view.getInt32(data, LITTLE_ENDIAN)
      else if (type === IPV6_FLOWINFO) arrived.flowLabel = view.getUint32(data) & 0xfffff
    }
  }

  #controlOf(train: number): number {
    return this.#control + train * CONTROL_LENGTH
  }

  #layControl(control: number): void {
    const view = this.#view
    let at = control
    if (this.#v4) {
      at = writeCmsgInt(view, at, IPPROTO_IP, IP_TTL, 64)
      at = writeCmsgInt(view, at, IPPROTO_IP, IP_TOS, 0)
    } else {
      at = writeCmsgInt(view, at, IPPROTO_IPV6, IPV6_HOPLIMIT, 64)
      at = writeCmsgInt(view, at, IPPROTO_IPV6, IPV6_TCLASS, 0)
      at = writeCmsgInt(view, at, IPPROTO_IPV6, IPV6_FLOWINFO, 0)
    }
    writeCmsgInt(view, at, SOL_UDP, UDP_SEGMENT, 0)
    // A length of 16 bits (udp(7)).
    view.setUint32(at, cmsgLength(2), LITTLE_ENDIAN)
  }

  /** No BigInt: on the data path. */
  #setPointer(at: number, address: number): void {
    this.#view.setUint32(at, address >>> 0, LITTLE_ENDIAN)
    this.#view.setUint32(at + 4, Math.floor(address / 0x1_0000_0000), LITTLE_ENDIAN)
  }
}
