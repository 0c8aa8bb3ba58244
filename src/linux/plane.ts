/**
 * The data plane: packets between interfaces and carriers through the installed transforms, in batches, with nothing
 * allocated a packet. It blocks in poll() and runs in a thread of its own (worker.ts).
 *
 *     interface ── read ──▶ outbound transform ──▶ carrier's batch ── sendmmsg ──▶
 *     interface ◀─ write ── source filter ◀── inbound transform ◀── recvmmsg ── carrier
 */
import { availableParallelism } from 'node:os'
import { Counters } from '../base/index.js'
import { type CryptoProvider, nodeProvider } from '../crypto/index.js'
import type { PolicySpec, ReachedLifetime } from '../proto/machine.js'
import { Arena, POLL_LIMIT, POLLFD_LENGTH } from './arena.js'
import { PlaneAudit, type RefusedPacket } from './audit.js'
import type { Carrier, MtuLookup } from './carrier.js'
import { createCarrier } from './carriers.js'
import { LITTLE_ENDIAN, type Libc, libc } from './ffi.js'
import { type ControlTaker, Inbound } from './inbound.js'
import { loadLibcrypto } from './libcrypto.js'
import { findLoops } from './loops.js'
import type {
  CarrierSpec,
  OtherTunnel,
  PathCounts,
  PlaneInterfaceSpec,
  PlanePathSpec,
  PolicyDrops,
} from './messages.js'
import { Outbound } from './outbound.js'
import { PlanePath } from './path.js'
import { Patience } from './patience.js'
import { PlaneInterface } from './plane-interface.js'
import { PlanePolicies } from './policies.js'
import { POLLERR, POLLHUP, POLLIN, POLLNVAL } from './sockaddr.js'
import type { RouteLookup } from './source-filter.js'

/** How often the routes are asked for loops. */
const LOOP_CHECK_MS = 1000
/** Paths whose lifetimes are looked at a round; the others have their turn in the next. */
const LIFETIMES_A_ROUND = 64
/** The wake descriptor and the watched one. */
const FIXED_FDS = 2
/** Enough to know what one costs: half a millisecond. */
const MEASURED_LOOKS = 200

export interface PlaneEvents {
  readonly control: ControlTaker
  /** IPsec has refused a packet; told at a bounded rate. */
  refused(packet: RefusedPacket): void
  /** An SA has come to a limit that its transform counts. */
  reached(path: PlanePath, lifetime: ReachedLifetime): void
  /** The interface was removed by somebody else. */
  lost(id: number, reason: string, fds: readonly number[]): void
  /** There is something to read from the descriptor that is watched. */
  watched?(): void
}

export class DataPlane {
  /** What belongs to no path. */
  readonly drops: Counters = new Counters()
  readonly #arena: Arena = new Arena()
  readonly #c: Libc = libc()
  readonly #outbound: Outbound
  readonly #inbound: Inbound
  readonly #wakeFd: number
  readonly #lookup: RouteLookup
  readonly #events: PlaneEvents
  readonly #crypto: CryptoProvider
  readonly #interfaces = new Map<number, PlaneInterface>()
  readonly #carriers = new Map<number, Carrier>()
  /** Below zero: none, and poll(2) passes it over. */
  readonly #watchFd: number
  /** What stands at each place of the poll table, behind the wake descriptor and the watched one. */
  #polled: (PlaneInterface | Carrier)[] = []
  /** Paths with SAs. */
  readonly #keyed: PlanePath[] = []
  #nextKeyed = 0
  #stale = true
  #others: readonly OtherTunnel[] = []
  #loopsUntil = 0
  readonly #patience: Patience
  /** The last round had something to do, and when one had. */
  #worked = false
  #lastMs = 0

  constructor(wakeFd: number, lookup: RouteLookup, events: PlaneEvents, watchFd = -1) {
    this.#wakeFd = wakeFd
    this.#watchFd = watchFd
    this.#lookup = lookup
    this.#events = events
    this.#patience = new Patience(this.#measureLook())
    const libcrypto = loadLibcrypto()
    libcrypto?.lend(this.#arena.memory)
    this.#crypto = libcrypto ?? nodeProvider
    this.#outbound = new Outbound(this.#arena, this.drops)
    const audit = new PlaneAudit((packet) => events.refused(packet))
    this.#inbound = new Inbound(this.#arena, this.drops, events.control, audit)
  }

  addInterface(spec: PlaneInterfaceSpec): void {
    this.#interfaces.set(spec.id, new PlaneInterface(spec, this.#lookup))
    this.#stale = true
  }

  /** Returns the descriptors, which are not touched any more. */
  removeInterface(id: number): readonly number[] {
    const removed = this.#interfaces.get(id)
    if (removed === undefined) return []
    for (const pathId of [...removed.paths.keys()]) this.removePath(id, pathId)
    this.#interfaces.delete(id)
    this.#stale = true
    return removed.queues
  }

  setRunning(id: number, running: boolean): void {
    const found = this.#interfaces.get(id)
    if (found !== undefined) found.running = running
  }

  /** Tunnels that other threads work. */
  setOthers(tunnels: readonly OtherTunnel[]): void {
    this.#others = tunnels
    this.#loopsUntil = 0
  }

  /** In the place of those that the interface had; an interface that has had some keeps to policies. */
  setPolicies(interfaceId: number, policies: readonly PolicySpec[]): void {
    const owner = this.#interfaces.get(interfaceId)
    if (owner === undefined) return
    owner.policies ??= new PlanePolicies(owner.paths)
    owner.policies.replace(policies)
  }

  addCarrier(spec: CarrierSpec, identification: number, mtuOf?: MtuLookup): void {
    this.#carriers.set(spec.id, createCarrier(spec, this.#arena, identification, mtuOf))
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
    const path = new PlanePath(spec, owner, carrier, this.#crypto)
    owner.paths.set(spec.id, path)
    for (const kind of spec.takes) owner.byKind[kind] = path
    carrier.paths.push(path)
    owner.policies?.changed()
    if (path.isKeyed) this.#keyed.push(path)
    this.#loopsUntil = 0
  }

  removePath(interfaceId: number, id: string): void {
    const owner = this.#interfaces.get(interfaceId)
    const path = owner?.paths.get(id)
    if (owner === undefined || path === undefined) return
    owner.paths.delete(id)
    for (const [kind, taker] of owner.byKind.entries()) if (taker === path) owner.byKind[kind] = undefined
    path.carrier.paths.splice(path.carrier.paths.indexOf(path), 1)
    owner.policies?.changed()
    if (path.isKeyed) this.#keyed.splice(this.#keyed.indexOf(path), 1)
    path.destroy()
  }

  counts(): { paths: PathCounts[]; policies: PolicyDrops[]; drops: Record<string, number> } {
    const paths: PathCounts[] = []
    const policies: PolicyDrops[] = []
    for (const [interfaceId, owner] of this.#interfaces) {
      if (owner.policies !== undefined) policies.push({ interfaceId, drops: owner.policies.drops.toJSON() })
      for (const path of owner.paths.values()) paths.push({ interfaceId, ...path.status() })
    }
    const drops = this.drops.toJSON()
    for (const carrier of this.#carriers.values())
      for (const [reason, count] of Object.entries(carrier.drops.toJSON()))
        drops[reason] = (drops[reason] ?? 0) + count
    return { paths, policies, drops }
  }

  /** Waits up to `timeoutMs` for something to do, and does one batch of it on every side. */
  round(timeoutMs: number): void {
    if (this.#stale) this.#buildPollTable()
    const { view, base, pollFds } = this.#arena
    const ready = this.#wait(base + pollFds, timeoutMs)
    this.#worked = ready > 0
    if (ready <= 0) return
    const nowMs = Date.now()
    this.#lastMs = nowMs
    if (nowMs >= this.#loopsUntil) this.#findLoops(nowMs)
    if ((view.getUint16(pollFds + 6, LITTLE_ENDIAN) & POLLIN) !== 0) this.#takeWake()
    if (view.getUint16(pollFds + POLLFD_LENGTH + 6, LITTLE_ENDIAN) !== 0) this.#events.watched?.()
    const polled = this.#polled
    for (let i = 0; i < polled.length; i++) {
      const events = view.getUint16(pollFds + (i + FIXED_FDS) * POLLFD_LENGTH + 6, LITTLE_ENDIAN)
      if (events === 0) continue
      const side = polled[i]!
      if (!(side instanceof PlaneInterface)) this.#inbound.turn(side, nowMs)
      else if ((events & POLLIN) !== 0) {
        const lost = this.#outbound.turn(side, nowMs)
        if (lost !== undefined) this.#lose(side, lost)
      } else if ((events & (POLLERR | POLLHUP | POLLNVAL)) !== 0) this.#lose(side, 'removed')
    }
    this.#lookAtLifetimes()
  }

  /** poll(2); after work it is looked some times more before the thread sleeps. */
  #wait(fds: number, timeoutMs: number): number {
    const c = this.#c
    const count = this.#polled.length + FIXED_FDS
    const looks = this.#worked ? this.#patience.looks(this.#lastMs) : 0
    for (let i = 0; i < looks; i++) {
      const ready = c.poll(fds, count, 0)
      if (ready !== 0) return ready
      c.sched_yield()
    }
    this.#patience.inVain(looks)
    return c.poll(fds, count, timeoutMs)
  }

  /** Microseconds of one look. With one core there is nobody to look for: who would answer has to run. */
  #measureLook(): number {
    if (availableParallelism() < 2) return Number.POSITIVE_INFINITY
    const { view, base, waitFd } = this.#arena
    view.setInt32(waitFd, this.#wakeFd, LITTLE_ENDIAN)
    view.setUint32(waitFd + 4, 0, LITTLE_ENDIAN)
    const from = performance.now()
    for (let i = 0; i < MEASURED_LOOKS; i++) {
      this.#c.poll(base + waitFd, 1, 0)
      this.#c.sched_yield()
    }
    return (1000 * (performance.now() - from)) / MEASURED_LOOKS
  }

  #lookAtLifetimes(): void {
    const keyed = this.#keyed
    for (let i = Math.min(keyed.length, LIFETIMES_A_ROUND); i > 0; i--) {
      if (this.#nextKeyed >= keyed.length) this.#nextKeyed = 0
      keyed[this.#nextKeyed++]!.tellReached(this.#tellReached)
    }
  }

  readonly #tellReached = (path: PlanePath, lifetime: ReachedLifetime): void =>
    this.#events.reached(path, lifetime)

  #findLoops(nowMs: number): void {
    this.#loopsUntil = nowMs + LOOP_CHECK_MS
    findLoops(this.#carriers.values(), this.#interfaces.values(), this.#others, this.#lookup)
  }

  #buildPollTable(): void {
    this.#stale = false
    this.#loopsUntil = 0
    const { view, pollFds } = this.#arena
    this.#polled = [
      ...[...this.#carriers.values()].filter(({ spec }) => spec.sendOnly !== true),
      ...this.#interfaces.values(),
    ].slice(0, POLL_LIMIT - FIXED_FDS)
    const fds = [this.#wakeFd, this.#watchFd, ...this.#polled.map((side) => side.spec.fd)]
    for (const [i, fd] of fds.entries()) {
      view.setInt32(pollFds + i * POLLFD_LENGTH, fd, LITTLE_ENDIAN)
      view.setUint32(pollFds + i * POLLFD_LENGTH + 4, POLLIN, LITTLE_ENDIAN)
    }
  }

  #takeWake(): void {
    this.#c.read(this.#wakeFd, this.#arena.base + this.#arena.waitFd, 8)
  }

  #lose(side: PlaneInterface, reason: string): void {
    const fds = this.removeInterface(side.spec.id)
    this.#events.lost(side.spec.id, reason, fds)
  }
}
