/** From the carriers to the interfaces: each payload through the inbound transform of the path that claims it. */
import { type Counters, ETHERNET, IPV4, IPV6, PacketBuffer } from '../base/index.js'
import { CONTROL, FOREIGN, PASS } from '../proto/machine.js'
import { EtherType } from '../wire/numbers.js'
import type { Arena } from './arena.js'
import type { PlaneAudit } from './audit.js'
import type { Carrier, Receiver } from './carrier.js'
import { Errno, errnoName, LITTLE_ENDIAN, type Libc, libc } from './ffi.js'
import { Coalescer, type Writer } from './offload/index.js'
import type { PlanePath } from './path.js'
import { IOV_BASE, IOVEC_LENGTH } from './sockaddr.js'

const ETHERNET_LENGTH = 14
const ETHERTYPE = 12

/** Takes a datagram that no transform claims; `payload` is its own. False: it could not be taken. */
export type ControlTaker = (
  path: PlanePath,
  payload: Uint8Array,
  ttl: number,
  trafficClass: number,
) => boolean

export class Inbound {
  readonly #arena: Arena
  readonly #c: Libc = libc()
  readonly #drops: Counters
  readonly #control: ControlTaker
  readonly #audit: PlaneAudit
  readonly #packet: PacketBuffer
  readonly #coalescer: Coalescer
  /** Whose packets wait to be joined. */
  #joining: PlanePath | undefined

  /** `drops`: of what belongs to no path. */
  constructor(arena: Arena, drops: Counters, control: ControlTaker, audit: PlaneAudit) {
    this.#arena = arena
    this.#drops = drops
    this.#control = control
    this.#audit = audit
    this.#packet = new PacketBuffer(arena.bytes, 0, 0)
    this.#coalescer = new Coalescer(arena.block, arena.base, arena.coalescer, this.#writeJoined)
  }

  /** Reads one batch of the carrier. */
  turn(carrier: Carrier, nowMs: number): void {
    carrier.receive(this.#packet, this.#take, nowMs)
    this.#flush()
  }

  /** The received bytes are about to be overwritten. */
  #flush(): void {
    if (this.#joining === undefined) return
    this.#coalescer.flush()
    this.#joining = undefined
  }

  readonly #take: Receiver = (carrier, packet, nowMs): void => {
    const { paths } = carrier
    const { start, end, outerTtl, outerTrafficClass } = packet
    this.#audit.note(carrier, this.#arena.view, start, end)
    for (let i = 0; i < paths.length; i++) {
      const path = paths[i]!
      const verdict = path.transforms.inbound.process(packet)
      if (verdict === FOREIGN) continue
      if (verdict === PASS) {
        const reason = this.#refuses(path, nowMs)
        if (reason === undefined) this.#deliver(path)
        else {
          path.transforms.inbound.drops.add(reason)
          this.#refused(carrier, path, nowMs)
        }
      } else if (verdict === CONTROL) {
        const taken = this.#control(path, this.#arena.bytes.slice(start, end), outerTtl, outerTrafficClass)
        if (!taken) path.transforms.inbound.drops.add('control.queue')
      } else this.#refused(carrier, path, nowMs)
      return
    }
    this.#drops.add('path.none')
    this.#audit.refused(carrier, 'path.none', nowMs)
  }

  /** Of a path with keys: who has sent what, and why it was not taken. */
  #refused(carrier: Carrier, path: PlanePath, nowMs: number): void {
    if (path.isKeyed) this.#audit.refused(carrier, path.transforms.inbound.drops.last ?? 'dropped', nowMs)
  }

  /** The packet goes to the interface. */
  #deliver(path: PlanePath): void {
    const { start, end } = this.#packet
    if (!path.interface.spec.offload) {
      const fd = path.interface.queueFor(this.#arena.view, start)
      this.#account(path, this.#c.writeAt(fd, this.#arena.base + start, end - start), 1, end - start)
      return
    }
    if (this.#joining !== path) {
      this.#flush()
      this.#joining = path
    }
    const { kind } = this.#packet
    if (kind === IPV4 || kind === IPV6) this.#coalescer.add(start, end, kind)
    else if (kind === ETHERNET) this.#addFrame(start, end)
    else this.#coalescer.pass(start, end)
  }

  /** A frame may hold anything. What is joined is IP behind a plain header, as segmentation made it. */
  #addFrame(start: number, end: number): void {
    const ip = start + ETHERNET_LENGTH
    const { bytes, view } = this.#arena
    const type = end > ip ? view.getUint16(start + ETHERTYPE) : 0
    const version = bytes[ip]! >>> 4
    if (type === EtherType.ipv4 && version === 4) this.#coalescer.add(ip, end, IPV4, ETHERNET_LENGTH)
    else if (type === EtherType.ipv6 && version === 6) this.#coalescer.add(ip, end, IPV6, ETHERNET_LENGTH)
    else this.#coalescer.pass(start, end)
  }

  readonly #writeJoined: Writer = (iov, count, packets, length): void => {
    const path = this.#joining!
    const { view, base } = this.#arena
    // Behind the virtio header stand the headers of the first packet.
    const start =
      (view.getUint32(iov + IOVEC_LENGTH + IOV_BASE, LITTLE_ENDIAN) - (base % 0x1_0000_0000)) >>> 0
    const fd = path.interface.queueFor(view, start)
    this.#account(path, this.#c.writev(fd, base + iov, count), packets, length)
  }

  /** Counts what was written: `packets` packets of `bytes` bytes together, or dropped by the interface. */
  #account(path: PlanePath, written: number, packets: number, bytes: number): void {
    if (written >= 0) {
      path.packetsIn += packets
      path.bytesIn += bytes
      return
    }
    const errno = this.#c.errno()
    const reason = errno === Errno.EIO ? 'interface.down' : `interface.${errnoName(errno)}`
    path.transforms.inbound.drops.add(reason, packets)
  }

  /** Why the packet may not come out of `path`: by the policies where there are some, else by its source. */
  #refuses(path: PlanePath, nowMs: number): string | undefined {
    const { policies, filter } = path.interface
    const packet = this.#packet
    if (policies !== undefined) return policies.refuses(path, packet)
    const { kind } = packet
    if (filter === undefined || (kind !== IPV4 && kind !== IPV6)) return undefined
    return filter.refuses(this.#arena.bytes, packet.start, kind, nowMs)
  }
}
