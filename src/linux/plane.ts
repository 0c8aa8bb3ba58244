/**
 * The data plane: packets between interfaces and carriers through the installed transforms, in batches, with nothing
 * allocated a packet. It blocks in poll() and runs in a thread of its own (worker.ts).
 *
 *     interface ── read ──▶ outbound transform ──▶ carrier's batch ── sendmmsg ──▶
 *     interface ◀─ write ── source filter ◀── inbound transform ◀── recvmmsg ── carrier
 */
import {
  Counters,
  ETHERNET,
  IPV4,
  IPV6,
  ipAddressFrom,
  OPAQUE,
  PacketBuffer,
  type PacketKind,
} from '../base/index.js'
import { CONTROL, FOREIGN, PASS } from '../proto/machine.js'
import { Arena, BATCH, PACKET_LIMIT, POLL_LIMIT, POLLFD_LENGTH } from './arena.js'
import { Carrier, type MtuLookup } from './carrier.js'
import { Errno, errnoName, LITTLE_ENDIAN, type Libc, libc } from './ffi.js'
import type { CarrierSpec, PathCounts, PlaneInterfaceSpec, PlanePathSpec } from './messages.js'
import { PlanePath } from './path.js'
import { pathMtu } from './raw-socket.js'
import { POLLERR, POLLHUP, POLLIN, POLLNVAL } from './sockaddr.js'
import { type RouteLookup, SourceFilter } from './source-filter.js'

/** How often the routes are asked for loops. */
const LOOP_CHECK_MS = 1000

/** A tunnel's interface in the data plane. */
export class PlaneInterface {
  readonly spec: PlaneInterfaceSpec
  readonly paths: Map<string, PlanePath> = new Map()
  /** By `PacketKind`. */
  readonly byKind: (PlanePath | undefined)[] = new Array<PlanePath | undefined>(7).fill(undefined)
  /** Only for IP packets: frames are a bridge's matter. */
  readonly filter: SourceFilter | undefined
  running = true

  constructor(spec: PlaneInterfaceSpec, lookup: RouteLookup) {
    this.spec = spec
    this.filter = spec.layer === 'ip' ? new SourceFilter(spec.index, lookup) : undefined
  }
}

export interface PlaneEvents {
  /** A datagram that no transform claims; `payload` is the receiver's own. False: it could not be taken. */
  control(path: PlanePath, payload: Uint8Array, ttl: number, trafficClass: number): boolean
  /** The interface was removed by somebody else. */
  lost(id: number, reason: string): void
}

export class DataPlane {
  /** What belongs to no path. */
  readonly drops: Counters = new Counters()
  readonly #arena: Arena = new Arena()
  readonly #c: Libc = libc()
  readonly #packet: PacketBuffer
  readonly #wakeFd: number
  readonly #lookup: RouteLookup
  readonly #events: PlaneEvents
  readonly #interfaces = new Map<number, PlaneInterface>()
  readonly #carriers = new Map<number, Carrier>()
  /** What stands at each place of the poll table, behind the wake descriptor. */
  #polled: (PlaneInterface | Carrier)[] = []
  #stale = true
  #loopsUntil = 0

  constructor(wakeFd: number, lookup: RouteLookup, events: PlaneEvents) {
    this.#wakeFd = wakeFd
    this.#lookup = lookup
    this.#events = events
    this.#packet = new PacketBuffer(this.#arena.bytes, 0, 0)
  }

  addInterface(spec: PlaneInterfaceSpec): void {
    this.#interfaces.set(spec.id, new PlaneInterface(spec, this.#lookup))
    this.#stale = true
  }

  /** Returns the descriptor, which is not touched any more. */
  removeInterface(id: number): number | undefined {
    const removed = this.#interfaces.get(id)
    if (removed === undefined) return undefined
    for (const pathId of [...removed.paths.keys()]) this.removePath(id, pathId)
    this.#interfaces.delete(id)
    this.#stale = true
    return removed.spec.fd
  }

  setRunning(id: number, running: boolean): void {
    const found = this.#interfaces.get(id)
    if (found !== undefined) found.running = running
  }

  addCarrier(spec: CarrierSpec, identification: number, mtuOf: MtuLookup = pathMtu): void {
    this.#carriers.set(spec.id, new Carrier(spec, this.#arena, identification, mtuOf))
    this.#stale = true
  }

  removeCarrier(id: number): number | undefined {
    const removed = this.#carriers.get(id)
    this.#carriers.delete(id)
    this.#stale = true
    return removed?.spec.fd
  }

  addPath(spec: PlanePathSpec): void {
    const owner = this.#interfaces.get(spec.interfaceId)
    const carrier = this.#carriers.get(spec.carrierId)
    if (owner === undefined || carrier === undefined) return
    this.removePath(spec.interfaceId, spec.id)
    const path = new PlanePath(spec, owner, carrier)
    owner.paths.set(spec.id, path)
    for (const kind of spec.takes) owner.byKind[kind] = path
    carrier.paths.push(path)
    this.#loopsUntil = 0
  }

  removePath(interfaceId: number, id: string): void {
    const owner = this.#interfaces.get(interfaceId)
    const path = owner?.paths.get(id)
    if (owner === undefined || path === undefined) return
    owner.paths.delete(id)
    for (const [kind, taker] of owner.byKind.entries()) if (taker === path) owner.byKind[kind] = undefined
    path.carrier.paths.splice(path.carrier.paths.indexOf(path), 1)
  }

  counts(): { paths: PathCounts[]; drops: Record<string, number> } {
    const paths: PathCounts[] = []
    for (const [interfaceId, owner] of this.#interfaces)
      for (const path of owner.paths.values()) paths.push({ interfaceId, ...path.status() })
    const drops = this.drops.toJSON()
    for (const carrier of this.#carriers.values())
      for (const [reason, count] of Object.entries(carrier.drops.toJSON()))
        drops[reason] = (drops[reason] ?? 0) + count
    return { paths, drops }
  }

  /** Waits up to `timeoutMs` for something to do, and does one batch of it on every side. */
  round(timeoutMs: number): void {
    if (this.#stale) this.#buildPollTable()
    const { view, base, pollFds } = this.#arena
    const ready = this.#c.poll(base + pollFds, this.#polled.length + 1, timeoutMs)
    if (ready <= 0) return
    const nowMs = Date.now()
    if (nowMs >= this.#loopsUntil) this.#findLoops(nowMs)
    if ((view.getUint16(pollFds + 6, LITTLE_ENDIAN) & POLLIN) !== 0) this.#takeWake()
    const polled = this.#polled
    for (let i = 0; i < polled.length; i++) {
      const events = view.getUint16(pollFds + (i + 1) * POLLFD_LENGTH + 6, LITTLE_ENDIAN)
      if (events === 0) continue
      const side = polled[i]!
      if (side instanceof Carrier) side.receive(this.#inbound, nowMs)
      else if ((events & POLLIN) !== 0) this.#outbound(side, nowMs)
      else if ((events & (POLLERR | POLLHUP | POLLNVAL)) !== 0) this.#lose(side, 'removed')
    }
  }

  /**
   * A packet's nesting is forgotten when it crosses the kernel. So loops are found in the routes: a carrier whose
   * way to the peer leads, over however many tunnels of this host, into a tunnel that it carries.
   */
  #findLoops(nowMs: number): void {
    this.#loopsUntil = nowMs + LOOP_CHECK_MS
    const tunnels = new Map([...this.#interfaces.values()].map((side) => [side.spec.index, side]))
    const next = new Map<Carrier, PlaneInterface | undefined>()
    for (const carrier of this.#carriers.values()) {
      const route = this.#lookup(ipAddressFrom(carrier.spec.remote))
      next.set(carrier, route === undefined ? undefined : tunnels.get(route.interfaceIndex))
    }
    const leadsTo = (from: Carrier, wanted: Carrier, seen: Set<Carrier>): boolean => {
      for (const { carrier } of next.get(from)?.paths.values() ?? []) {
        if (carrier === wanted) return true
        if (seen.has(carrier)) continue
        seen.add(carrier)
        if (leadsTo(carrier, wanted, seen)) return true
      }
      return false
    }
    for (const carrier of this.#carriers.values()) carrier.loops = leadsTo(carrier, carrier, new Set())
  }

  #buildPollTable(): void {
    this.#stale = false
    this.#loopsUntil = 0
    const { view, pollFds } = this.#arena
    this.#polled = [...this.#carriers.values(), ...this.#interfaces.values()].slice(0, POLL_LIMIT - 1)
    const fds = [this.#wakeFd, ...this.#polled.map((side) => side.spec.fd)]
    for (const [i, fd] of fds.entries()) {
      view.setInt32(pollFds + i * POLLFD_LENGTH, fd, LITTLE_ENDIAN)
      view.setUint32(pollFds + i * POLLFD_LENGTH + 4, POLLIN, LITTLE_ENDIAN)
    }
  }

  #takeWake(): void {
    this.#c.read(this.#wakeFd, this.#arena.base + this.#arena.waitFd, 8)
  }

  #lose(side: PlaneInterface, reason: string): void {
    this.removeInterface(side.spec.id)
    this.#events.lost(side.spec.id, reason)
  }

  #outbound(side: PlaneInterface, nowMs: number): void {
    const { bytes, base } = this.#arena
    const { fd, layer } = side.spec
    const packet = this.#packet
    let carrier: Carrier | undefined
    for (let slot = 0; slot < BATCH; slot++) {
      const start = this.#arena.sendSlot(slot)
      const length = this.#c.read(fd, base + start, PACKET_LIMIT)
      if (length <= 0) {
        const errno = length < 0 ? this.#c.errno() : Errno.EAGAIN
        if (errno !== Errno.EAGAIN && errno !== Errno.EINTR) this.#lose(side, errnoName(errno))
        break
      }
      packet.reset(start, start + length, layer === 'ethernet' ? ETHERNET : ipKind(bytes[start]! >>> 4))
      const path = side.byKind[packet.kind]
      if (path === undefined) {
        this.drops.add('send.noPath')
        continue
      }
      if (!side.running) {
        path.transforms.outbound.drops.add('notRunning')
        continue
      }
      if (path.carrier.loops) {
        path.transforms.outbound.drops.add('loop')
        continue
      }
      if (path.transforms.outbound.process(packet) !== PASS) continue
      path.packetsOut++
      path.bytesOut += length
      if (carrier !== path.carrier) {
        carrier?.flush()
        carrier = path.carrier
      }
      carrier.push(path, packet, nowMs)
    }
    carrier?.flush()
  }

  readonly #inbound = (
    carrier: Carrier,
    start: number,
    end: number,
    ttl: number,
    trafficClass: number,
    nowMs: number,
  ): void => {
    const packet = this.#packet
    const { paths } = carrier
    packet.reset(start, end, OPAQUE)
    packet.outerTtl = ttl
    packet.outerTrafficClass = trafficClass
    for (let i = 0; i < paths.length; i++) {
      const path = paths[i]!
      const verdict = path.transforms.inbound.process(packet)
      if (verdict === FOREIGN) continue
      if (verdict === PASS) this.#deliver(path, nowMs)
      else if (verdict === CONTROL) {
        const taken = this.#events.control(path, this.#arena.bytes.slice(start, end), ttl, trafficClass)
        if (!taken) path.transforms.inbound.drops.add('control.queue')
      }
      return
    }
    this.drops.add('path.none')
  }

  /** The packet goes to the interface, if its source may come from there. */
  #deliver(path: PlanePath, nowMs: number): void {
    const { start, end, kind } = this.#packet
    const { spec, filter } = path.interface
    if (filter !== undefined && (kind === IPV4 || kind === IPV6)) {
      const reason = filter.refuses(this.#arena.bytes, start, kind, nowMs)
      if (reason !== undefined) {
        path.transforms.inbound.drops.add(reason)
        return
      }
    }
    if (this.#c.write(spec.fd, this.#arena.base + start, end - start) < 0) {
      const errno = this.#c.errno()
      path.transforms.inbound.drops.add(
        errno === Errno.EIO ? 'interface.down' : `interface.${errnoName(errno)}`,
      )
      return
    }
    path.packetsIn++
    path.bytesIn += end - start
  }
}

const ipKind = (version: number): PacketKind => (version === 4 ? IPV4 : version === 6 ? IPV6 : OPAQUE)
