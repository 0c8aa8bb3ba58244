/**
 * Consecutive TCP segments of a connection joined into what the kernel takes in one piece (generic receive offload):
 * one system call and one way through its stack instead of forty.
 *
 * Nothing is copied: the joined packet is a list of pieces of memory for writev, its headers those of the first
 * segment. So the packets' bytes have to stay until `flush()`, which ends a batch. Only what segmentation would cut
 * into the very same packets again is joined; everything else goes alone and unchanged, in its place in its
 * connection.
 */
import { foldSum } from '../../base/index.js'
import { LITTLE_ENDIAN } from '../ffi.js'
import { IOV_BASE, IOV_LEN, IOVEC_LENGTH } from '../sockaddr.js'
import type { PacketBlock } from './block.js'
import {
  VNET_CSUM_OFFSET,
  VNET_CSUM_START,
  VNET_F_DATA_VALID,
  VNET_F_NEEDS_CSUM,
  VNET_FLAGS,
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_SIZE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_TYPE,
  VNET_HDR_LEN,
  VNET_LENGTH,
} from './vnet-header.js'

/** Connections that are joined at the same time; one more has the oldest written. */
const FLOW_LIMIT = 8
/** Segments of one joined packet, each an iovec; the kernel takes 1,024 of them. */
const SEGMENT_LIMIT = 128
const PACKET_LIMIT = 65_535

const IPV4_LENGTH = 20
const IPV6_LENGTH = 40
const TCP = 6
const TCP_LENGTH = 20
const TCP_CHECKSUM = 16
const FIN = 0x01
const PSH = 0x08
const ACK = 0x10
const ECE = 0x40
const CWR = 0x80
const DONT_FRAGMENT = 0x4000
/** MF and the offset: what makes a packet a fragment. */
const FRAGMENT = 0x3fff

const VNET_ROOM = 16
const FLOW_ROOM: number = VNET_ROOM + (SEGMENT_LIMIT + 1) * IOVEC_LENGTH
/** Bytes that a coalescer takes for itself in the block: the last room is of packets that go alone. */
export const COALESCER_ROOM: number = (FLOW_LIMIT + 1) * FLOW_ROOM

/** Writes `count` iovecs at `iov`: what became of `packets` packets, whose lengths add up to `length`. */
export type Writer = (iov: number, count: number, packets: number, length: number) => void

/** A connection whose segments wait. */
class Flow {
  readonly room: number
  /** Segments that wait; 0: free. */
  count = 0
  v4 = false
  /** Bytes before the IP header: those of Ethernet. */
  link = 0
  /** The first packet's IP header. */
  start = 0
  /** Of all, without `link`. */
  length = 0
  transport = 0
  headers = 0
  /** Payload of every segment but the last. */
  size = 0
  sequence = 0
  /** What the identification of the next has to be, where it means anything (RFC 6864 section 4). */
  identification = 0
  age = 0

  constructor(room: number) {
    this.room = room
  }
}

export class Coalescer {
  readonly #block: PacketBlock
  readonly #base: number
  readonly #write: Writer
  readonly #flows: readonly Flow[]
  readonly #single: number
  #waiting = 0
  #clock = 0

  /** `room`: offset of `COALESCER_ROOM` bytes of the block, a multiple of 8. `base`: address of the block's byte 0. */
  constructor(block: PacketBlock, base: number, room: number, write: Writer) {
    this.#block = block
    this.#base = base
    this.#write = write
    this.#flows = Array.from({ length: FLOW_LIMIT }, (_, i) => new Flow(room + i * FLOW_ROOM))
    this.#single = room + FLOW_LIMIT * FLOW_ROOM
    for (let i = 0; i <= FLOW_LIMIT; i++) {
      const at = room + i * FLOW_ROOM
      this.#setIov(at + VNET_ROOM, at, at + VNET_LENGTH)
    }
  }

  /** Writes `[start, end)` as it is, before what waits. */
  pass(start: number, end: number): void {
    this.#writeAlone(start, end, 0)
  }

  /**
   * Takes the IP packet `[start, end)`: it is written now, or by `flush()` at the latest. `link` bytes stand before it:
   * only what has the same there is joined with it.
   */
  add(start: number, end: number, kind: 4 | 6, link = 0): void {
    const { bytes, view } = this.#block
    const v4 = kind === 4
    const transport = v4 ? 4 * (bytes[start]! & 15) : IPV6_LENGTH
    if (end - start < transport + TCP_LENGTH || bytes[start + (v4 ? 9 : 6)] !== TCP) {
      this.#writeAlone(start - link, end, 0)
      return
    }
    if (v4 && (transport < IPV4_LENGTH || (view.getUint16(start + 6) & FRAGMENT) !== 0)) {
      // Whose it is stands only in the first fragment.
      this.flush()
      this.#writeAlone(start - link, end, 0)
      return
    }
    const flow = this.#waiting === 0 ? undefined : this.#find(start, v4, transport, link)
    if (!this.#isPlain(start, end, v4, transport)) {
      if (flow !== undefined) this.#finish(flow)
      this.#writeAlone(start - link, end, 0)
      return
    }
    if (flow !== undefined) {
      if (this.#fits(flow, start, end, transport)) {
        this.#append(flow, start, end)
        return
      }
      this.#finish(flow)
    }
    const flags = bytes[start + transport + 13]!
    // Nothing can follow it.
    if ((flags & (PSH | FIN)) !== 0) this.#writeAlone(start - link, end, VNET_F_DATA_VALID)
    else this.#open(start, end, v4, transport, link)
  }

  /** Writes all that waits. */
  flush(): void {
    if (this.#waiting === 0) return
    const flows = this.#flows
    for (let i = 0; i < flows.length; i++) if (flows[i]!.count > 0) this.#finish(flows[i]!)
  }

  #find(start: number, v4: boolean, transport: number, link: number): Flow | undefined {
    const { view } = this.#block
    const flows = this.#flows
    const ports = view.getUint32(start + transport)
    for (let i = 0; i < flows.length; i++) {
      const flow = flows[i]!
      if (flow.count === 0 || flow.v4 !== v4 || flow.link !== link) continue
      if (view.getUint32(flow.start + flow.transport) !== ports) continue
      if (!this.#same(flow.start, start, v4 ? 12 : 8, v4 ? 20 : 40)) continue
      if (this.#same(flow.start, start, -link, 0)) return flow
    }
    return undefined
  }

  /** A segment with payload and nothing out of the ordinary, both of whose checksums are right. */
  #isPlain(start: number, end: number, v4: boolean, transport: number): boolean {
    const { bytes, view } = this.#block
    const tcp = start + transport
    const headers = 4 * (bytes[tcp + 12]! >>> 4)
    if (headers < TCP_LENGTH || tcp + headers >= end) return false
    // Reserved bits may mean something to the ends (AccECN's AE).
    if ((bytes[tcp + 12]! & 15) !== 0 || (bytes[tcp + 13]! & ~(FIN | PSH | ECE | CWR)) !== ACK) return false
    const length = v4 ? view.getUint16(start + 2) : view.getUint16(start + 4) + IPV6_LENGTH
    if (length !== end - start || (v4 && transport !== IPV4_LENGTH)) return false
    // Those who come later lose their IP header: nobody would look at its checksum any more.
    if (v4 && this.#block.sum(start, tcp) !== 0xffff) return false
    const sum = this.#pseudoSum(start, end, v4, transport) + this.#block.sum(tcp, end)
    return foldSum(sum) === 0xffff
  }

  #pseudoSum(start: number, end: number, v4: boolean, transport: number): number {
    const addresses = v4 ? this.#block.sum(start + 12, start + 20) : this.#block.sum(start + 8, start + 40)
    return addresses + TCP + (end - start - transport)
  }

  #fits(flow: Flow, start: number, end: number, transport: number): boolean {
    const { bytes, view } = this.#block
    const first = flow.start
    const tcp = start + transport
    const headers = transport + 4 * (bytes[tcp + 12]! >>> 4)
    const payload = end - start - headers
    if (view.getUint32(tcp + 4) !== flow.sequence || headers !== flow.headers || payload > flow.size)
      return false
    if (flow.count === SEGMENT_LIMIT || flow.length + payload > PACKET_LIMIT) return false
    if (flow.v4) {
      // Version, header length and traffic class; flags; TTL.
      if (view.getUint16(start) !== view.getUint16(first) || bytes[start + 8] !== bytes[first + 8])
        return false
      const fragment = view.getUint16(start + 6)
      if (fragment !== view.getUint16(first + 6)) return false
      if ((fragment & DONT_FRAGMENT) === 0 && view.getUint16(start + 4) !== flow.identification) return false
    } else if (view.getUint32(start) !== view.getUint32(first) || bytes[start + 7] !== bytes[first + 7])
      return false
    // CWR belongs to the first only; FIN and PSH are free.
    const flags = bytes[tcp + 13]!
    if ((flags & CWR) !== 0 || ((flags ^ bytes[first + transport + 13]!) & ECE) !== 0) return false
    const firstTcp = first + transport
    if (view.getUint32(tcp + 8) !== view.getUint32(firstTcp + 8)) return false
    if (view.getUint16(tcp + 14) !== view.getUint16(firstTcp + 14)) return false
    return this.#same(firstTcp, tcp, 18, headers - transport)
  }

  #same(a: number, b: number, from: number, to: number): boolean {
    const { bytes } = this.#block
    for (let i = from; i < to; i++) if (bytes[a + i] !== bytes[b + i]) return false
    return true
  }

  #open(start: number, end: number, v4: boolean, transport: number, link: number): void {
    const { bytes, view } = this.#block
    let flow = this.#flows[0]!
    for (let i = 0; i < this.#flows.length; i++) {
      const other = this.#flows[i]!
      if (other.count === 0) {
        flow = other
        break
      }
      if (other.age < flow.age) flow = other
    }
    if (flow.count > 0) this.#finish(flow)
    const tcp = start + transport
    flow.v4 = v4
    flow.link = link
    flow.start = start
    flow.length = end - start
    flow.transport = transport
    flow.headers = transport + 4 * (bytes[tcp + 12]! >>> 4)
    flow.size = flow.length - flow.headers
    flow.sequence = (view.getUint32(tcp + 4) + flow.size) >>> 0
    flow.identification = v4 ? (view.getUint16(start + 4) + 1) & 0xffff : 0
    flow.age = this.#clock++
    flow.count = 1
    this.#waiting++
    this.#setIov(flow.room + VNET_ROOM + IOVEC_LENGTH, start - link, end)
  }

  #append(flow: Flow, start: number, end: number): void {
    const { bytes } = this.#block
    const at = start + flow.headers
    flow.count++
    this.#setIov(flow.room + VNET_ROOM + flow.count * IOVEC_LENGTH, at, end)
    flow.length += end - at
    flow.sequence = (flow.sequence + end - at) >>> 0
    flow.identification = (flow.identification + 1) & 0xffff
    const flags = bytes[start + flow.transport + 13]! & (FIN | PSH)
    bytes[flow.start + flow.transport + 13]! |= flags
    // A shorter one can only be the last, as can one that ends something.
    if (flags !== 0 || end - at < flow.size) this.#finish(flow)
  }

  /** Writes what waits of one connection. */
  #finish(flow: Flow): void {
    const { bytes, view } = this.#block
    const { room, link, start, transport, count, length } = flow
    flow.count = 0
    this.#waiting--
    if (count === 1) {
      this.#writeHeader(room, VNET_F_DATA_VALID, VNET_GSO_NONE, 0, 0, 0, 0)
      this.#write(room + VNET_ROOM, 2, 1, link + length)
      return
    }
    const tcp = start + transport
    if (flow.v4) {
      view.setUint16(start + 2, length)
      view.setUint16(start + 10, 0)
      view.setUint16(start + 10, ~this.#block.sum(start, tcp) & 0xffff)
    } else view.setUint16(start + 4, length - IPV6_LENGTH)
    const ecn = (bytes[tcp + 13]! & CWR) === 0 ? 0 : VNET_GSO_ECN
    const type = (flow.v4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6) | ecn
    view.setUint16(tcp + TCP_CHECKSUM, foldSum(this.#pseudoSum(start, start + length, flow.v4, transport)))
    const headers = link + flow.headers
    this.#writeHeader(room, VNET_F_NEEDS_CSUM, type, headers, flow.size, link + transport, TCP_CHECKSUM)
    this.#write(room + VNET_ROOM, count + 1, count, link + length + (count - 1) * headers)
  }

  #writeAlone(start: number, end: number, flags: number): void {
    this.#writeHeader(this.#single, flags, VNET_GSO_NONE, 0, 0, 0, 0)
    this.#setIov(this.#single + VNET_ROOM + IOVEC_LENGTH, start, end)
    this.#write(this.#single + VNET_ROOM, 2, 1, end - start)
  }

  #writeHeader(
    at: number,
    flags: number,
    type: number,
    headers: number,
    size: number,
    checksumStart: number,
    checksumOffset: number,
  ): void {
    const { bytes, view } = this.#block
    bytes[at + VNET_FLAGS] = flags
    bytes[at + VNET_GSO_TYPE] = type
    view.setUint16(at + VNET_HDR_LEN, headers, LITTLE_ENDIAN)
    view.setUint16(at + VNET_GSO_SIZE, size, LITTLE_ENDIAN)
    view.setUint16(at + VNET_CSUM_START, checksumStart, LITTLE_ENDIAN)
    view.setUint16(at + VNET_CSUM_OFFSET, checksumOffset, LITTLE_ENDIAN)
  }

  #setIov(iov: number, start: number, end: number): void {
    const { view } = this.#block
    const address = this.#base + start
    view.setUint32(iov + IOV_BASE, address >>> 0, LITTLE_ENDIAN)
    view.setUint32(iov + IOV_BASE + 4, Math.floor(address / 0x1_0000_0000), LITTLE_ENDIAN)
    view.setUint32(iov + IOV_LEN, end - start, LITTLE_ENDIAN)
    view.setUint32(iov + IOV_LEN + 4, 0, LITTLE_ENDIAN)
  }
}
