/**
 * LinuxHost: machines on this machine. The main thread makes interfaces, addresses, routes and sockets; workers
 * move the packets. All that was made is removed by `close()`; a killed process leaves nothing either, since its
 * interfaces live only as long as its descriptors.
 */
import { randomFillSync, randomInt } from 'node:crypto'
import { hostname } from 'node:os'
import {
  Counters,
  type Instant,
  type InterfaceAddress,
  type IpAddress,
  instantAt,
  ipAddressFrom,
  type Random,
  WarrenError,
} from '../base/index.js'
import type { AddressHolder, Host, HostInterface, InterfaceSpec, LocalAddress } from '../engine/host.js'
import { auditLine } from '../engine/index.js'
import type { Datagram, PathSpec, PolicySpec } from '../proto/machine.js'
import { sumDrops, sumStatus } from './counts.js'
import { libc } from './ffi.js'
import { type InterfaceOwner, LinuxInterface, type PathHooks } from './interface.js'
import { LentAddresses } from './lent-addresses.js'
import type { FromWorker, PathCounts } from './messages.js'
import { NetworkState } from './network-state.js'
import { PolicyGate } from './policy-gate.js'
import { UdpPort } from './port.js'
import { transformsFor } from './queues.js'
import { RouteNetlink } from './rtnetlink.js'
import { defaultTtl } from './socket-options.js'
import { CarrierSockets } from './sockets.js'
import { type CarrierPorts, Steering } from './steering/index.js'
import { defaultWorkers, PlaneWorkers } from './workers.js'

/** A route to an address of our own. */
const RTN_LOCAL = 2
/** Longest delay that setTimeout takes. */
const TIMER_LIMIT_MS = 0x7fff_ffff

export interface LinuxHostOptions {
  /** Default: the machine's name. */
  readonly name?: string
  /** Threads that move packets, at most. Default: one on two cores; else a core less than there are, but no more than 4. */
  readonly workers?: number
  /**
   * The threads share the SAs of a tunnel as well. Packets of several threads overtake each other, and a peer drops what
   * its replay window has left behind: it needs one of thousands, where OpenBSD has 64 and Linux 32. Default: one thread
   * an IPsec tunnel.
   */
  readonly sharesSas?: boolean
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
  readonly #workers: PlaneWorkers
  /** Threads at most. */
  readonly #limit: number
  /** Of an interface. */
  readonly #queues: number
  /** Interfaces have several queues. */
  #sharesWork = false
  #closing: Promise<void> | undefined
  #nextId = 1
  readonly #interfaces = new Map<number, LinuxInterface>()
  readonly #carriers: CarrierSockets
  /** UDP ports where anybody is heard. */
  readonly #ports = new Map<string, UdpPort>()
  /** Who is told of changes of addresses and routes. */
  readonly #network: NetworkState
  readonly #lent: LentAddresses = new LentAddresses(() => this.#routes())
  /** Of interfaces with policies. */
  readonly #gates = new Map<number, PolicyGate>()
  /** What policies cover stays closed at the end. */
  #staysClosed = false
  /** Policies of an interface that somebody else removed are still in force. */
  #orphaned = false
  /** SO_MARK of the sockets that are being opened. */
  #mark: number | undefined
  /** Every descriptor that a worker may touch: closed when it has let go, or is gone. */
  readonly #shared = new Map<number, number>()
  /** By worker. */
  readonly #counts = new Map<string, PathCounts[]>()
  /** By worker. */
  readonly #planeDrops: Readonly<Record<string, number>>[] = []
  readonly #policyDrops = new Map<number, Readonly<Record<string, number>>[]>()
  /** Interfaces that somebody else removed. */
  readonly #lost = new Set<number>()
  #request = 0
  /** Who waits for an answer, and how many workers have yet to give one. */
  readonly #waiting = new Map<number, { readonly done: () => void; missing: number }>()
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(options: LinuxHostOptions = {}) {
    this.#options = options
    this.name = options.name ?? hostname()
    this.#limit = Math.max(1, options.workers ?? defaultWorkers())
    // A thread costs some 20 MB: an only tunnel gets several when they are asked for.
    this.#queues = options.workers === undefined ? 1 : this.#limit
    this.#network = new NetworkState(
      () => this.#routes(),
      () => {
        for (const [id, gate] of this.#gates) this.#tellNetwork(id, gate)
      },
      (line) => options.log?.(line),
    )
    this.#workers = new PlaneWorkers({
      limit: this.#limit,
      watch: () => this.#network.open(),
      hear: (message, worker) => this.#hear(message, worker),
      failed: (error) => {
        for (const { done } of this.#waiting.values()) done()
        this.#waiting.clear()
        options.onFailure?.(error)
      },
    })
    this.#carriers = new CarrierSockets({
      counters: this.counters,
      nextId: () => this.#nextId++,
      mark: () => this.#mark,
      opened: (spec, worker) => {
        const threads = this.#sendersBeside(worker)
        this.#shared.set(spec.fd, 1 + threads.length)
        this.#workers.post(worker, { kind: 'carrier', spec })
        for (const thread of threads)
          this.#workers.post(thread, { kind: 'carrier', spec: { ...spec, sendOnly: true } })
      },
      released: (id, worker) => {
        for (const thread of [worker, ...this.#sendersBeside(worker)])
          this.#workers.post(thread, { kind: 'remove-carrier', id })
      },
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
    const owner: InterfaceOwner = {
      install: (path, hooks) => this.#install(id, path, hooks),
      setPolicies: (policies) => this.#setPolicies(id, policies),
      drops: () => this.#dropsOf(id),
      remove: (pathId) => this.#remove(id, pathId),
      running: (running) => this.#setRunning(id, running),
      counts: (pathId) => sumStatus((this.#counts.get(`${id} ${pathId}`) ?? []).filter(Boolean)),
      address: (index, name, address, up) => this.#lend(index, name, address, up),
      destroyed: (gone) => this.#destroyed(id, gone),
    }
    const made = LinuxInterface.create(spec, this.#routes(), owner, this.#queues)
    this.#interfaces.set(id, made)
    this.#shared.set(made.fd, 1)
    // The thread that writes has them, and the one that reads each.
    for (const fd of made.queues) this.#shared.set(fd, 2)
    if (made.queues.length > 0) this.#sharesWork = true
    this.#workers.addInterface(
      {
        id,
        name: spec.name,
        fd: made.fd,
        index: made.index,
        layer: spec.layer,
        mtu: spec.mtu,
        offload: made.offload,
      },
      made.queues,
    )
    return made
  }

  isLocal(address: IpAddress): boolean {
    return this.#routes().routeTo(address)?.type === RTN_LOCAL
  }

  addresses(): LocalAddress[] {
    const own = new Set([...this.#interfaces.values()].map(({ index }) => index))
    return this.#network.addresses(own).filter(({ address }) => !this.#lent.has(address))
  }

  borrowInterface(name: string): AddressHolder | undefined {
    const link = this.#routes().link(name)
    if (link === undefined) return undefined
    return {
      addAddress: (address) => this.#lend(link.index, name, address, true),
      removeAddress: (address) => this.#lend(link.index, name, address, false),
    }
  }

  /** Which source a packet gets that has none hangs on it: the policies' rules follow at once. */
  #lend(index: number, name: string, address: InterfaceAddress, up: boolean): void {
    if (up) this.#lent.add(index, name, address)
    else this.#lent.remove(index, name, address)
    for (const [id, gate] of this.#gates) this.#tellNetwork(id, gate)
  }

  sourceFor(remote: IpAddress): IpAddress | undefined {
    return this.#routes().routeTo(remote, Steering.mark)?.source
  }

  /** Throws `WarrenError` LINUX_* where the kernel does not tell. */
  onNetworkChange(listener: () => void): () => void {
    return this.#network.listen(listener)
  }

  transmit(datagram: Datagram): void {
    const { carrier } = datagram
    const port = carrier.kind === 'udp' ? this.#ports.get(`${carrier.local} ${carrier.localPort}`) : undefined
    if (port === undefined) this.#carriers.transmit(datagram)
    else port.transmit(datagram)
  }

  /** Throws `WarrenError` LINUX_* where the kernel refuses, or the port is open here already. */
  openPort(local: IpAddress, port: number, onDatagram: (datagram: Datagram) => void): () => void {
    const key = `${local} ${port}`
    if (this.#ports.has(key))
      throw new WarrenError(
        'LINUX_EADDRINUSE',
        `open UDP port ${port} at ${local}: it is open here already`,
        {
          mend: 'let one file have all policies of this machine',
        },
      )
    const opened = new UdpPort(local, port, onDatagram, {
      mark: Steering.mark,
      counters: this.counters,
      defaultTtl: defaultTtl(),
    })
    this.#ports.set(key, opened)
    this.#tellPorts()
    return () => {
      if (this.#ports.get(key) !== opened) return
      this.#ports.delete(key)
      opened.close()
      this.#tellPorts()
    }
  }

  #tellPorts(): void {
    for (const gate of this.#gates.values()) gate.hears(this.#portList())
  }

  #portList(): CarrierPorts[] {
    return [...this.#ports.values()].map(({ local, port }) => ({
      family: local.family,
      local: local.bytes,
      localPort: port,
    }))
  }

  /** Brings what `status()` of the interfaces says up to date. */
  async refresh(): Promise<void> {
    if (this.#workers.count === 0 || this.#closing !== undefined) return
    const request = ++this.#request
    await new Promise<void>((done) => {
      this.#waiting.set(request, { done, missing: this.#workers.count })
      this.#workers.postAll({ kind: 'counters', request })
    })
  }

  /** Drops that belong to no path: of the data plane and of this host, by reason. */
  drops(): Record<string, number> {
    const drops: Record<string, number> = {}
    for (const counted of [...this.#planeDrops, this.counters.toJSON()])
      for (const [reason, count] of Object.entries(counted)) drops[reason] = (drops[reason] ?? 0) + count
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

  /** Removes every interface, ends the workers and closes every descriptor. */
  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  async #end(): Promise<void> {
    this.removeInterfaces()
    if (this.#orphaned && !this.#staysClosed) Steering.clearLeftovers()
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    await this.#workers.stop()
    for (const { done } of this.#waiting.values()) done()
    this.#waiting.clear()
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

  #setPolicies(id: number, policies: readonly PolicySpec[]): void {
    const made = this.#interfaces.get(id)
    if (made === undefined) return
    let gate = this.#gates.get(id)
    if (gate === undefined) {
      if (this.#options.sharesSas !== true) this.#keepWhole(id, made)
      gate = new PolicyGate({
        interfaceIndex: made.index,
        interfaceName: made.name,
        netlink: this.#routes(),
        log: (line) => this.#options.log?.(`${made.name}: ${line}`),
      })
      this.#gates.set(id, gate)
      gate.hears(this.#portList())
      this.#tellNetwork(id, gate)
    }
    // The data plane first: what comes by a path that has just been made is not to wait for the kernel. Nothing is steered
    // to it by that alone.
    this.#workers.postTo(id, { kind: 'policies', interfaceId: id, policies })
    try {
      gate.replace(policies)
    } catch (error) {
      this.#workers.postTo(id, { kind: 'policies', interfaceId: id, policies: gate.policies })
      throw error
    }
  }

  #tellNetwork(id: number, gate: PolicyGate): void {
    const made = this.#interfaces.get(id)
    if (made !== undefined) gate.network(this.#network.textFor(made.index))
  }

  #setRunning(id: number, running: boolean): void {
    const gate = this.#gates.get(id)
    if (running && gate !== undefined) {
      gate.confirm()
      this.#orphaned = false
    }
    this.#workers.postTo(id, { kind: 'running', id, running })
  }

  #dropsOf(id: number): Record<string, number> {
    return { ...sumDrops((this.#policyDrops.get(id) ?? []).filter(Boolean)), ...this.#gates.get(id)?.drops() }
  }

  #install(id: number, path: PathSpec, hooks: PathHooks): void {
    const made = this.#interfaces.get(id)
    if (made === undefined) return
    const gate = this.#gates.get(id)
    this.#mark = gate?.mark
    const worker = this.#workers.settle(id, this.#carriers.workerOf(path.carrier))
    let carrierId: number
    try {
      carrierId = this.#carriers.acquire(path, worker)
    } finally {
      this.#mark = undefined
    }
    const replaced = made.paths.get(path.id)
    made.paths.set(path.id, { carrier: path.carrier, ...hooks })
    gate?.stands(path.id, path.carrier)
    const { takes, transform } = path
    const threads = this.#workers.threadsOf(id)
    const transforms = transformsFor(transform, threads.length)
    for (const [i, thread] of threads.entries())
      this.#workers.post(thread, {
        kind: 'path',
        spec: { id: path.id, interfaceId: id, carrierId, takes, transform: transforms[i]! },
      })
    if (replaced !== undefined) this.#carriers.giveBack(replaced.carrier, worker)
    this.#tellOthers()
  }

  /** Before its threads have been chosen: it has one. */
  #keepWhole(id: number, made: LinuxInterface): void {
    if (!this.#workers.keepWhole(id)) return
    for (const fd of made.queues) {
      this.#shared.delete(fd)
      libc().close(fd)
    }
  }

  /** Threads that send on the sockets which another one works. */
  #sendersBeside(worker: number): number[] {
    if (!this.#sharesWork) return []
    return Array.from({ length: this.#limit }, (_, thread) => thread).filter((thread) => thread !== worker)
  }

  /** A thread has let go of it. */
  #release(fd: number): void {
    const holders = this.#shared.get(fd)
    if (holders === undefined) return
    if (holders > 1) {
      this.#shared.set(fd, holders - 1)
      return
    }
    this.#shared.delete(fd)
    libc().close(fd)
  }

  #remove(id: number, pathId: string): void {
    const made = this.#interfaces.get(id)
    const path = made?.paths.get(pathId)
    if (made === undefined || path === undefined) return
    made.paths.delete(pathId)
    this.#counts.delete(`${id} ${pathId}`)
    this.#gates.get(id)?.ends(pathId)
    this.#workers.postTo(id, { kind: 'remove-path', interfaceId: id, id: pathId })
    this.#carriers.giveBack(path.carrier, this.#workers.settle(id))
    this.#tellOthers()
  }

  #tellOthers(): void {
    if (this.#workers.count < 2) return
    this.#workers.tellOthers(
      [...this.#interfaces].map(([interfaceId, { index, paths }]) => {
        const mark = this.#gates.get(interfaceId)?.mark
        const carriers = [...paths.values()].map(({ carrier }) => ({
          remote: carrier.remote.bytes,
          ...(mark === undefined ? {} : { mark }),
        }))
        return { interfaceId, index, carriers }
      }),
    )
  }

  #destroyed(id: number, made: LinuxInterface): void {
    if (this.#staysClosed) this.#gates.get(id)?.leave()
    else this.#gates.get(id)?.close()
    this.#gates.delete(id)
    this.#policyDrops.delete(id)
    for (const pathId of [...made.paths.keys()]) this.#remove(id, pathId)
    this.#interfaces.delete(id)
    this.#lost.delete(id)
    this.#workers.removeInterface(id)
  }

  #hear(message: FromWorker, worker: number): void {
    switch (message.kind) {
      case 'control': {
        Atomics.sub(new Int32Array(this.#workers.pendingControl), 0, 1)
        const path = this.#interfaces.get(message.interfaceId)?.paths.get(message.pathId)
        const { payload, ttl, trafficClass } = message
        path?.onControl({ carrier: path.carrier, payload, ttl, trafficClass })
        return
      }
      case 'released':
        this.#release(message.fd)
        return
      case 'counters': {
        for (const path of message.paths)
          if (this.#interfaces.get(path.interfaceId)?.paths.has(path.id))
            put(this.#counts, `${path.interfaceId} ${path.id}`, worker, path)
        for (const { interfaceId, drops } of message.policies)
          if (this.#interfaces.has(interfaceId)) put(this.#policyDrops, interfaceId, worker, drops)
        this.#planeDrops[worker] = message.drops
        const waiting = this.#waiting.get(message.request)
        if (waiting !== undefined && --waiting.missing === 0) {
          this.#waiting.delete(message.request)
          waiting.done()
        }
        return
      }
      case 'refused': {
        const { source, destination, ...rest } = message.packet
        const ends = { source: ipAddressFrom(source), destination: ipAddressFrom(destination) }
        this.#options.log?.(auditLine({ at: this.now(), ...rest, ...ends }))
        return
      }
      case 'reached':
        this.#interfaces.get(message.interfaceId)?.paths.get(message.pathId)?.onReached?.(message.lifetime)
        return
      case 'lost': {
        const made = this.#interfaces.get(message.id)
        for (const fd of message.fds) this.#release(fd)
        if (made !== undefined && !this.#lost.has(message.id)) {
          this.#lost.add(message.id)
          this.#gates.get(message.id)?.leave()
          if (this.#gates.delete(message.id)) this.#orphaned = true
          this.#options.onLost?.(made.name)
        }
        return
      }
      case 'network':
        this.#network.changed()
        return
      case 'stopped':
        return
    }
  }

  #closeAll(): void {
    const c = libc()
    for (const fd of this.#shared.keys()) c.close(fd)
    this.#shared.clear()
    this.#carriers.clear()
    for (const port of this.#ports.values()) port.close()
    this.#ports.clear()
    this.#network.close()
    this.#netlink?.close()
    this.#netlink = undefined
  }
}

/** What one worker says, beside what the others said. */
function put<K, V>(map: Map<K, V[]>, key: K, worker: number, value: V): void {
  const list = map.get(key) ?? []
  list[worker] = value
  map.set(key, list)
}
