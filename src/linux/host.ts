/**
 * LinuxHost: machines on this machine. The main thread makes interfaces, addresses, routes and sockets; a worker
 * moves the packets. All that was made is removed by `close()`; a killed process leaves nothing either, since its
 * interfaces live only as long as its descriptors.
 */
import { randomFillSync, randomInt } from 'node:crypto'
import { hostname } from 'node:os'
import { Worker } from 'node:worker_threads'
import { Counters, type Instant, type IpAddress, instantAt, type Random, WarrenError } from '../base/index.js'
import type { Host, HostInterface, InterfaceSpec } from '../engine/host.js'
import type { Datagram, PathSpec, PolicySpec } from '../proto/machine.js'
import { check, libc } from './ffi.js'
import { LinuxInterface, type PathHooks } from './interface.js'
import type { FromWorker, PathCounts, ToWorker, WorkerData } from './messages.js'
import { PolicyGate } from './policy-gate.js'
import { RouteNetlink } from './rtnetlink.js'
import { CarrierSockets } from './sockets.js'
import { Steering } from './steering/index.js'

const EFD_CLOEXEC = 0o2000000
const EFD_NONBLOCK = 0o4000
/** A route to an address of our own. */
const RTN_LOCAL = 2
/** Longest delay that setTimeout takes. */
const TIMER_LIMIT_MS = 0x7fff_ffff
/** How long a worker may take to stop before its thread is ended. */
const STOP_WAIT_MS = 3000

export interface LinuxHostOptions {
  /** Default: the machine's name. */
  readonly name?: string
  /** The data plane has failed: nothing moves any more, and the owner is to tear everything down. */
  readonly onFailure?: (error: Error) => void
  /** One line for the administrator. */
  readonly log?: (line: string) => void
  /** Somebody else removed the interface of a tunnel. */
  readonly onLost?: (name: string) => void
}

/** Randomness of the operating system. */
const systemRandom: Random = {
  fill: (target) => randomFillSync(target),
  below: (bound) => (bound === 1 ? 0 : randomInt(bound)),
  uint32: () => randomInt(2 ** 32),
}

export class LinuxHost implements Host {
  readonly name: string
  readonly random: Random = systemRandom
  readonly counters: Counters = new Counters()
  readonly #options: LinuxHostOptions
  #netlink: RouteNetlink | undefined
  #worker: Worker | undefined
  #wakeFd = -1
  #workerGone: Promise<void> = Promise.resolve()
  readonly #pendingControl: SharedArrayBuffer = new SharedArrayBuffer(4)
  #closing = false
  #nextId = 1
  readonly #interfaces = new Map<number, LinuxInterface>()
  readonly #carriers: CarrierSockets
  /** Of interfaces with policies. */
  readonly #gates = new Map<number, PolicyGate>()
  /** What policies cover stays closed at the end. */
  #staysClosed = false
  /** Policies of an interface that somebody else removed are still in force. */
  #orphaned = false
  /** SO_MARK of the sockets that are being opened. */
  #mark: number | undefined
  /** Every descriptor that the worker may touch: closed when it has let go, or is gone. */
  readonly #shared = new Set<number>()
  #counts = new Map<string, PathCounts>()
  #planeDrops: Readonly<Record<string, number>> = {}
  #policyDrops = new Map<number, Readonly<Record<string, number>>>()
  #request = 0
  readonly #waiting = new Map<number, () => void>()
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(options: LinuxHostOptions = {}) {
    this.#options = options
    this.name = options.name ?? hostname()
    this.#carriers = new CarrierSockets({
      counters: this.counters,
      nextId: () => this.#nextId++,
      mark: () => this.#mark,
      opened: (spec) => {
        this.#shared.add(spec.fd)
        this.#post({ kind: 'carrier', spec })
      },
      released: (id) => this.#post({ kind: 'remove-carrier', id }),
    })
  }

  /** Microseconds since the Unix epoch, never backwards. */
  now(): Instant {
    return instantAt(Math.floor((performance.timeOrigin + performance.now()) * 1000))
  }

  schedule(at: Instant, callback: (now: Instant) => void): () => void {
    const ms = Math.min(Math.max(0, Math.ceil((at - this.now()) / 1000)), TIMER_LIMIT_MS)
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      callback(this.now())
    }, ms)
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
      clearTimeout(timer)
    }
  }

  /** Throws `WarrenError` LINUX_* where the kernel refuses; then nothing of it stays. */
  createInterface(spec: InterfaceSpec): HostInterface {
    const id = this.#nextId++
    const made = LinuxInterface.create(spec, this.#routes(), {
      install: (path, hooks) => this.#install(id, path, hooks),
      setPolicies: (policies) => this.#setPolicies(id, policies),
      drops: () => this.#dropsOf(id),
      remove: (pathId) => this.#remove(id, pathId),
      running: (running) => this.#post({ kind: 'running', id, running }),
      counts: (pathId) => this.#counts.get(`${id} ${pathId}`),
      destroyed: (owner) => this.#destroyed(id, owner),
    })
    this.#interfaces.set(id, made)
    this.#shared.add(made.fd)
    this.#post({
      kind: 'interface',
      spec: {
        id,
        name: spec.name,
        fd: made.fd,
        index: made.index,
        layer: spec.layer,
        mtu: spec.mtu,
        offload: made.offload,
      },
    })
    return made
  }

  isLocal(address: IpAddress): boolean {
    return this.#routes().routeTo(address)?.type === RTN_LOCAL
  }

  transmit(datagram: Datagram): void {
    this.#carriers.transmit(datagram)
  }

  /** Brings what `status()` of the interfaces says up to date. */
  async refresh(): Promise<void> {
    if (this.#worker === undefined || this.#closing) return
    const request = ++this.#request
    await new Promise<void>((resolve) => {
      this.#waiting.set(request, resolve)
      this.#post({ kind: 'counters', request })
    })
  }

  /** Drops that belong to no path: of the data plane and of this host, by reason. */
  drops(): Record<string, number> {
    const drops = { ...this.#planeDrops }
    for (const [reason, count] of Object.entries(this.counters.toJSON()))
      drops[reason] = (drops[reason] ?? 0) + count
    return drops
  }

  /**
   * From now on what policies cover stays closed, whatever is removed: as the kernel's own policies outlive a daemon that
   * died. True if there are any.
   */
  keepClosed(): boolean {
    this.#staysClosed = true
    return this.#gates.size > 0 || this.#orphaned
  }

  /** Removes every interface, ends the worker and closes every descriptor. */
  async close(): Promise<void> {
    if (this.#closing) return this.#workerGone
    this.#closing = true
    this.removeInterfaces()
    if (this.#orphaned && !this.#staysClosed) Steering.clearLeftovers()
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    const worker = this.#worker
    if (worker !== undefined) {
      this.#post({ kind: 'stop' })
      const timer = setTimeout(() => {
        this.#wake()
        void worker.terminate()
      }, STOP_WAIT_MS)
      await this.#workerGone
      clearTimeout(timer)
    }
    this.#closeAll()
  }

  /** The part of `close()` that takes no time: for who must not wait. */
  removeInterfaces(): void {
    for (const made of [...this.#interfaces.values()]) {
      try {
        made.destroy()
      } catch {
        // The descriptor is closed below, and the interface goes with it.
      }
    }
  }

  #routes(): RouteNetlink {
    this.#netlink ??= new RouteNetlink()
    return this.#netlink
  }

  /** The kernel is closed for what they cover before the data plane hears of them. */
  #setPolicies(id: number, policies: readonly PolicySpec[]): void {
    const made = this.#interfaces.get(id)
    if (made === undefined) return
    let gate = this.#gates.get(id)
    if (gate === undefined) {
      gate = new PolicyGate({
        interfaceIndex: made.index,
        interfaceName: made.name,
        netlink: this.#routes(),
        log: (line) => this.#options.log?.(`${made.name}: ${line}`),
      })
      this.#gates.set(id, gate)
      this.#orphaned = false
    }
    gate.replace(policies)
    this.#post({ kind: 'policies', interfaceId: id, policies })
  }

  #dropsOf(id: number): Record<string, number> {
    return { ...this.#policyDrops.get(id), ...this.#gates.get(id)?.drops() }
  }

  #install(id: number, path: PathSpec, hooks: PathHooks): void {
    const made = this.#interfaces.get(id)
    if (made === undefined) return
    const gate = this.#gates.get(id)
    this.#mark = gate?.mark
    let carrierId: number
    try {
      carrierId = this.#carriers.acquire(path)
    } finally {
      this.#mark = undefined
    }
    const replaced = made.paths.get(path.id)
    made.paths.set(path.id, { carrier: path.carrier, ...hooks })
    gate?.stands(path.id, path.carrier)
    const { takes, transform } = path
    this.#post({
      kind: 'path',
      spec: { id: path.id, interfaceId: id, carrierId, takes, transform },
    })
    if (replaced !== undefined) this.#carriers.giveBack(replaced.carrier)
  }

  #remove(id: number, pathId: string): void {
    const made = this.#interfaces.get(id)
    const path = made?.paths.get(pathId)
    if (made === undefined || path === undefined) return
    made.paths.delete(pathId)
    this.#counts.delete(`${id} ${pathId}`)
    this.#gates.get(id)?.ends(pathId)
    this.#post({ kind: 'remove-path', interfaceId: id, id: pathId })
    this.#carriers.giveBack(path.carrier)
  }

  #destroyed(id: number, made: LinuxInterface): void {
    if (!this.#staysClosed) this.#gates.get(id)?.close()
    this.#gates.delete(id)
    this.#policyDrops.delete(id)
    for (const pathId of [...made.paths.keys()]) this.#remove(id, pathId)
    this.#interfaces.delete(id)
    this.#post({ kind: 'remove-interface', id })
  }

  #post(message: ToWorker): void {
    if (this.#worker === undefined) {
      if (this.#closing || message.kind === 'stop') return
      this.#startWorker()
    }
    this.#worker?.postMessage(message)
    this.#wake()
  }

  #wake(): void {
    if (this.#wakeFd < 0) return
    // struct eventfd's counter: any value but 0 wakes.
    libc().write(this.#wakeFd, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 8)
  }

  #startWorker(): void {
    this.#wakeFd = check(libc().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 'make an eventfd')
    const workerData: WorkerData = { wakeFd: this.#wakeFd, pendingControl: this.#pendingControl }
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData, name: 'data plane' })
    this.#worker = worker
    worker.on('message', (message: FromWorker) => this.#hear(message))
    let failure: Error | undefined
    worker.on('error', (error) => {
      failure = error instanceof Error ? error : new Error(String(error))
    })
    this.#workerGone = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.#worker = undefined
        for (const done of this.#waiting.values()) done()
        this.#waiting.clear()
        resolve()
        if (this.#closing) return
        const found = failure === undefined ? `it ended with ${code}` : `${failure.message}`
        this.#options.onFailure?.(
          new WarrenError('LINUX_DATA_PLANE', 'the thread that moves the packets has ended', { found }),
        )
      })
    })
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case 'control': {
        Atomics.sub(new Int32Array(this.#pendingControl), 0, 1)
        const path = this.#interfaces.get(message.interfaceId)?.paths.get(message.pathId)
        const { payload, ttl, trafficClass } = message
        path?.onControl({ carrier: path.carrier, payload, ttl, trafficClass })
        return
      }
      case 'released':
        if (this.#shared.delete(message.fd)) libc().close(message.fd)
        return
      case 'counters': {
        const counts = message.paths.map((path) => [`${path.interfaceId} ${path.id}`, path] as const)
        this.#counts = new Map(counts)
        this.#planeDrops = message.drops
        this.#policyDrops = new Map(message.policies.map(({ interfaceId, drops }) => [interfaceId, drops]))
        this.#waiting.get(message.request)?.()
        this.#waiting.delete(message.request)
        return
      }
      case 'reached':
        this.#interfaces.get(message.interfaceId)?.paths.get(message.pathId)?.onReached?.(message.lifetime)
        return
      case 'lost': {
        const made = this.#interfaces.get(message.id)
        if (made !== undefined) {
          if (this.#shared.delete(made.fd)) libc().close(made.fd)
          if (this.#gates.delete(message.id)) this.#orphaned = true
          this.#options.onLost?.(made.name)
        }
        return
      }
      case 'stopped':
        return
    }
  }

  #closeAll(): void {
    const c = libc()
    for (const fd of this.#shared) c.close(fd)
    this.#shared.clear()
    this.#carriers.clear()
    if (this.#wakeFd >= 0) c.close(this.#wakeFd)
    this.#wakeFd = -1
    this.#netlink?.close()
    this.#netlink = undefined
  }
}
