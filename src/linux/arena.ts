/**
 * The data plane's memory: one block that the kernel reads and writes, laid out once.
 *
 *     poll fds | iovecs and mmsghdrs to send | the same to receive | slots to send | slots to receive | segments
 *
 * Every structure's constant parts are written here; the data path only sets lengths.
 */
import { HEADROOM, TAILROOM } from '../base/index.js'
import { LITTLE_ENDIAN, NativeMemory } from './ffi.js'
import { COALESCER_ROOM, fastSum, PacketBlock } from './offload/index.js'
import {
  CMSG_INT_SPACE,
  CMSGHDR_LENGTH,
  IOV_BASE,
  IOV_LEN,
  IOVEC_LENGTH,
  IP_PROTOCOL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_HOPLIMIT,
  IPV6_TCLASS,
  MMSGHDR_LENGTH,
  MSG_CONTROL,
  MSG_CONTROLLEN,
  MSG_IOV,
  MSG_IOVLEN,
  MSG_NAME,
  MSG_NAMELEN,
  SOCKADDR_IN6_LENGTH,
  writeCmsgInt,
} from './sockaddr.js'

/** Packets of one batch. */
export const BATCH = 64
/** Messages of one batch to send: fragments make them more than the packets. */
export const SEND_BATCH = 128
/** The longest packet that IP can carry. */
export const PACKET_LIMIT = 65_535
/** In front: the outer IPv4 header and the transforms' headroom. */
export const SLOT_HEADROOM: number = HEADROOM + 64
/** Not a multiple of a page: slots would else all fall into the same lines of the cache. */
const SLOT_STRIDE = 66_240
/** Of what was cut from longer packets: some 2,000 segments of an Ethernet's length with their room. */
const SEGMENTS_LENGTH: number = 4 << 20
export const POLL_LIMIT = 4096
export const POLLFD_LENGTH = 8

const NAME_LENGTH = 32
/** Of a fragment after the first: its own outer header, apart from the payload that it points into. */
const FRAGMENT_HEADER_LENGTH = 32
/** Hop limit and traffic class. */
const SEND_CONTROL_LENGTH: number = 2 * CMSG_INT_SPACE
/** Hop limit and traffic class, with reserve. */
const RECEIVE_CONTROL_LENGTH = 96

/** Where the ints of a sent packet's control messages stand, from its control's start. */
export const CONTROL_HOPLIMIT = 16
export const CONTROL_TCLASS: number = CONTROL_HOPLIMIT + CMSG_INT_SPACE

if (SLOT_HEADROOM + PACKET_LIMIT + TAILROOM > SLOT_STRIDE)
  throw new RangeError('a slot holds no whole packet')

export class Arena {
  readonly memory: NativeMemory
  readonly bytes: Uint8Array
  readonly view: DataView
  /** The same as numbers and sums. */
  readonly block: PacketBlock
  readonly base: number
  readonly pollFds: number
  /** One pollfd more, for who waits for one descriptor alone. */
  readonly waitFd: number
  /** Arrays of mmsghdr, for IPv4 (no name) and IPv6: `SEND_BATCH` to send, `BATCH` to receive. */
  readonly send4: number
  readonly send6: number
  readonly receive4: number
  readonly receive6: number
  readonly #sendIov: number
  readonly #fragmentHeaders: number
  readonly #sendName: number
  readonly #sendControl: number
  readonly #sendProtocol: number
  readonly #receiveName: number
  readonly #receiveControl: number
  readonly #sendSlots: number
  readonly #receiveSlots: number
  /** `COALESCER_ROOM` bytes. */
  readonly coalescer: number
  /** Where segments are placed, one behind the other: `[segments, segmentsEnd)`. */
  readonly segments: number
  readonly segmentsEnd: number

  /** `segments`: bytes for what is cut from longer packets. */
  constructor(segments: number = SEGMENTS_LENGTH) {
    if (segments < SLOT_STRIDE) throw new RangeError('the longest segment has no room')
    let length = 0
    const take = (bytes: number): number => {
      const at = length
      length += (bytes + 63) & ~63
      return at
    }
    this.pollFds = take(POLL_LIMIT * POLLFD_LENGTH)
    this.waitFd = take(POLLFD_LENGTH)
    this.send4 = take(SEND_BATCH * MMSGHDR_LENGTH)
    this.send6 = take(SEND_BATCH * MMSGHDR_LENGTH)
    this.receive4 = take(BATCH * MMSGHDR_LENGTH)
    this.receive6 = take(BATCH * MMSGHDR_LENGTH)
    this.#sendIov = take(SEND_BATCH * 2 * IOVEC_LENGTH)
    this.#fragmentHeaders = take(SEND_BATCH * FRAGMENT_HEADER_LENGTH)
    const receiveIov = take(BATCH * IOVEC_LENGTH)
    this.#sendName = take(SEND_BATCH * NAME_LENGTH)
    this.#receiveName = take(BATCH * NAME_LENGTH)
    this.#sendControl = take(SEND_BATCH * SEND_CONTROL_LENGTH)
    this.#sendProtocol = take(CMSG_INT_SPACE)
    this.#receiveControl = take(BATCH * RECEIVE_CONTROL_LENGTH)
    this.#sendSlots = take(BATCH * SLOT_STRIDE)
    this.#receiveSlots = take(BATCH * SLOT_STRIDE)
    this.coalescer = take(COALESCER_ROOM)
    this.segments = take(segments)
    this.segmentsEnd = length
    this.memory = new NativeMemory(length, true)
    this.bytes = this.memory.bytes
    this.view = this.memory.view
    const { wasm } = this.memory
    this.block = new PacketBlock(this.bytes, wasm === undefined ? undefined : fastSum(wasm))
    this.base = this.memory.base
    writeCmsgInt(this.view, this.#sendProtocol, IPPROTO_IP, IP_PROTOCOL, 0)
    for (let i = 0; i < SEND_BATCH; i++) {
      this.memory.setPointer(this.send4 + i * MMSGHDR_LENGTH + MSG_CONTROL, this.#sendProtocol)
      this.#layMessage(this.send4, i, this.#sendIov + 2 * i * IOVEC_LENGTH)
      this.#layMessage(this.send6, i, this.#sendIov + 2 * i * IOVEC_LENGTH)
      this.memory.setPointer(this.send6 + i * MMSGHDR_LENGTH + MSG_NAME, this.sendName(i))
      this.memory.setPointer(this.send6 + i * MMSGHDR_LENGTH + MSG_CONTROL, this.sendControl(i))
      this.#setSize(this.send6 + i * MMSGHDR_LENGTH + MSG_CONTROLLEN, SEND_CONTROL_LENGTH)
      const at = writeCmsgInt(this.view, this.sendControl(i), IPPROTO_IPV6, IPV6_HOPLIMIT, 64)
      writeCmsgInt(this.view, at, IPPROTO_IPV6, IPV6_TCLASS, 0)
    }
    for (let i = 0; i < BATCH; i++) {
      this.memory.setPointer(receiveIov + i * IOVEC_LENGTH + IOV_BASE, this.receiveSlot(i))
      this.#setSize(receiveIov + i * IOVEC_LENGTH + IOV_LEN, PACKET_LIMIT)
      this.#layMessage(this.receive4, i, receiveIov + i * IOVEC_LENGTH)
      this.#layMessage(this.receive6, i, receiveIov + i * IOVEC_LENGTH)
      this.memory.setPointer(this.receive6 + i * MMSGHDR_LENGTH + MSG_NAME, this.receiveName(i))
      this.memory.setPointer(this.receive6 + i * MMSGHDR_LENGTH + MSG_CONTROL, this.receiveControl(i))
      this.resetReceived(i)
    }
  }

  /** Offset of the first byte that a packet to send is read into. */
  sendSlot(i: number): number {
    return this.#sendSlots + i * SLOT_STRIDE + SLOT_HEADROOM
  }

  receiveSlot(i: number): number {
    return this.#receiveSlots + i * SLOT_STRIDE + SLOT_HEADROOM
  }

  sendName(i: number): number {
    return this.#sendName + i * NAME_LENGTH
  }

  receiveName(i: number): number {
    return this.#receiveName + i * NAME_LENGTH
  }

  sendControl(i: number): number {
    return this.#sendControl + i * SEND_CONTROL_LENGTH
  }

  receiveControl(i: number): number {
    return this.#receiveControl + i * RECEIVE_CONTROL_LENGTH
  }

  /**
   * Routing of the first `count` packets of `send4` is to be by this protocol; 0: by none in particular, as it was before
   * kernels knew the control message.
   */
  routeBy(protocol: number, count: number): void {
    this.view.setInt32(this.#sendProtocol + CMSGHDR_LENGTH, protocol, LITTLE_ENDIAN)
    const length = protocol === 0 ? 0 : CMSG_INT_SPACE
    for (let i = 0; i < count; i++)
      this.view.setUint32(this.send4 + i * MMSGHDR_LENGTH + MSG_CONTROLLEN, length, LITTLE_ENDIAN)
  }

  /** Lengths that the kernel overwrote in an IPv6 message. */
  resetReceived(i: number): void {
    const message = this.receive6 + i * MMSGHDR_LENGTH
    this.view.setUint32(message + MSG_NAMELEN, SOCKADDR_IN6_LENGTH, LITTLE_ENDIAN)
    this.view.setUint32(message + MSG_CONTROLLEN, RECEIVE_CONTROL_LENGTH, LITTLE_ENDIAN)
  }

  /** Has message `i` of the array at `messages` carry `[start, end)`. */
  setSent(messages: number, i: number, start: number, end: number): void {
    this.#setIov(this.#sendIov + 2 * i * IOVEC_LENGTH, start, end)
    this.view.setUint32(messages + i * MMSGHDR_LENGTH + MSG_IOVLEN, 1, LITTLE_ENDIAN)
  }

  /** The same with a header of `headerLength` bytes before it; returns where that is to be written. */
  setSentWithHeader(messages: number, i: number, headerLength: number, start: number, end: number): number {
    const header = this.#fragmentHeaders + i * FRAGMENT_HEADER_LENGTH
    const iov = this.#sendIov + 2 * i * IOVEC_LENGTH
    this.#setIov(iov, header, header + headerLength)
    this.#setIov(iov + IOVEC_LENGTH, start, end)
    this.view.setUint32(messages + i * MMSGHDR_LENGTH + MSG_IOVLEN, 2, LITTLE_ENDIAN)
    return header
  }

  #setIov(iov: number, start: number, end: number): void {
    const address = this.base + start
    this.view.setUint32(iov + IOV_BASE, address >>> 0, LITTLE_ENDIAN)
    this.view.setUint32(iov + IOV_BASE + 4, Math.floor(address / 0x1_0000_0000), LITTLE_ENDIAN)
    this.view.setUint32(iov + IOV_LEN, end - start, LITTLE_ENDIAN)
  }

  #layMessage(messages: number, i: number, iov: number): void {
    const message = messages + i * MMSGHDR_LENGTH
    this.memory.setPointer(message + MSG_IOV, iov)
    this.#setSize(message + MSG_IOVLEN, 1)
  }

  #setSize(at: number, value: number): void {
    this.view.setBigUint64(at, BigInt(value), LITTLE_ENDIAN)
  }
}
