/**
 * The threads that move packets. Tunnels are spread over them; those that share a socket share a thread, so a thread
 * is chosen for an interface when its first socket is known. What is said to it before that waits.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { WarrenError } from '../base/index.js'
import { check, libc } from './ffi.js'
import type { FromWorker, OtherTunnel, PlaneInterfaceSpec, ToWorker, WorkerData } from './messages.js'

const EFD_CLOEXEC = 0o2000000
const EFD_NONBLOCK = 0o4000
/** How long a worker may take to stop before its thread is ended. */
const STOP_WAIT_MS = 3000
/** More would wait for the kernel rather than for each other. */
const MOST_WORKERS = 4

/** One thread leaves a core to the kernel's own work; two cores have none to spare. */
export function defaultWorkers(cores: number = availableParallelism()): number {
  return cores <= 2 ? 1 : Math.min(cores - 1, MOST_WORKERS)
}

export interface PlaneWorkersOptions {
  /** At most that many threads: each is started when there is something for it to do. */
  readonly limit: number
  hear(message: FromWorker, worker: number): void
  /** What the first thread watches beside its packets; asked when that is started. */
  watch?(): number | undefined
  /** A thread has ended that was not told to. */
  failed(error: WarrenError): void
}

/** A thread, and how it is woken from its poll. */
class PlaneThread {
  readonly gone: Promise<void>
  readonly #worker: Worker
  readonly #wakeFd: number
  isGone = false

  constructor(
    pendingControl: SharedArrayBuffer,
    hear: (message: FromWorker) => void,
    ended: (how: string) => void,
    watchFd?: number,
  ) {
    this.#wakeFd = check(libc().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 'make an eventfd')
    const workerData: WorkerData = {
      wakeFd: this.#wakeFd,
      pendingControl,
      ...(watchFd === undefined ? {} : { watchFd }),
    }
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData, name: 'data plane' })
    this.#worker = worker
    worker.on('message', hear)
    let failure: Error | undefined
    worker.on('error', (error) => {
      failure = error instanceof Error ? error : new Error(String(error))
    })
    this.gone = new Promise((resolve) => {
      worker.on('exit', (code) => {
        this.isGone = true
        resolve()
        ended(failure === undefined ? `it ended with ${code}` : failure.message)
      })
    })
  }

  post(message: ToWorker): void {
    if (this.isGone) return
    this.#worker.postMessage(message)
    this.#wake()
  }

  async stop(): Promise<void> {
    this.post({ kind: 'stop' })
    const timer = setTimeout(() => {
      this.#wake()
      void this.#worker.terminate()
    }, STOP_WAIT_MS)
    await this.gone
    clearTimeout(timer)
  }

  /** Once it is gone. */
  close(): void {
    libc().close(this.#wakeFd)
  }

  #wake(): void {
    // struct eventfd's counter: any value but 0 wakes.
    libc().write(this.#wakeFd, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), 8)
  }
}

export class PlaneWorkers {
  /** One int32 shared with the threads: control messages that nobody has taken yet. */
  readonly pendingControl: SharedArrayBuffer = new SharedArrayBuffer(4)
  readonly #options: PlaneWorkersOptions
  readonly #threads: PlaneThread[] = []
  /** Interfaces of each thread. */
  readonly #loads: number[] = []
  /** Which thread works an interface. */
  readonly #homes = new Map<number, number>()
  /** Which others send what it has on further queues. */
  readonly #helpers = new Map<number, readonly number[]>()
  /** Those queues. */
  readonly #queues = new Map<number, readonly number[]>()
  /** What waits for a thread to be chosen. */
  readonly #unsettled = new Map<number, ToWorker[]>()
  #closing = false

  constructor(options: PlaneWorkersOptions) {
    this.#options = options
  }

  /** Threads that run. */
  get count(): number {
    return this.#threads.filter(({ isGone }) => !isGone).length
  }

  /** An interface without a socket is settled, too, once what brings it up has had its say. */
  addInterface(spec: PlaneInterfaceSpec, queues: readonly number[] = []): void {
    this.#unsettled.set(spec.id, [{ kind: 'interface', spec }])
    if (queues.length > 0) this.#queues.set(spec.id, queues)
    if (this.#options.limit === 1) this.settle(spec.id)
    else setImmediate(() => this.settle(spec.id))
  }

  /** The thread of an interface: the one it has, else `preferred`, else the one with the least to do. */
  settle(interfaceId: number, preferred?: number): number {
    const home = this.#homes.get(interfaceId)
    if (home !== undefined) return home
    const waiting = this.#unsettled.get(interfaceId)
    if (waiting === undefined || this.#closing) return preferred ?? 0
    this.#unsettled.delete(interfaceId)
    const chosen = preferred ?? this.#least()
    this.#homes.set(interfaceId, chosen)
    this.#loads[chosen] = (this.#loads[chosen] ?? 0) + 1
    const queues = this.#queues.get(interfaceId) ?? []
    if (queues.length > 0) while (this.#threads.length < this.#options.limit) this.#start()
    const others = [...this.#threads.keys()].filter((worker) => worker !== chosen).slice(0, queues.length)
    this.#helpers.set(interfaceId, others)
    for (const message of waiting) {
      if (message.kind !== 'interface') {
        this.postTo(interfaceId, message)
        continue
      }
      const { spec } = message
      this.post(
        chosen,
        queues.length === 0
          ? message
          : { kind: 'interface', spec: { ...spec, queues: [spec.fd, ...queues] } },
      )
      for (const [i, worker] of others.entries())
        this.post(worker, { kind: 'interface', spec: { ...spec, fd: queues[i]! } })
    }
    return chosen
  }

  /** The interface is for one thread. False: it has some already, or has one queue alone. */
  keepWhole(interfaceId: number): boolean {
    return this.#unsettled.has(interfaceId) && this.#queues.delete(interfaceId)
  }

  /** The threads of an interface that is settled: who works it, then who helps. */
  threadsOf(interfaceId: number): readonly number[] {
    const home = this.#homes.get(interfaceId)
    return home === undefined ? [] : [home, ...(this.#helpers.get(interfaceId) ?? [])]
  }

  /** To the threads of an interface, in the order of the calls. */
  postTo(interfaceId: number, message: ToWorker): void {
    if (this.#homes.has(interfaceId))
      for (const worker of this.threadsOf(interfaceId)) this.post(worker, message)
    else this.#unsettled.get(interfaceId)?.push(message)
  }

  post(worker: number, message: ToWorker): void {
    this.#threads[worker]?.post(message)
  }

  postAll(message: ToWorker): void {
    for (const thread of this.#threads) thread.post(message)
  }

  removeInterface(interfaceId: number): void {
    this.settle(interfaceId)
    const home = this.#homes.get(interfaceId)
    if (home === undefined) return
    this.postTo(interfaceId, { kind: 'remove-interface', id: interfaceId })
    this.#homes.delete(interfaceId)
    this.#helpers.delete(interfaceId)
    this.#queues.delete(interfaceId)
    this.#loads[home]!--
  }

  /** Each thread hears of the tunnels of the others: a way round may lead through them. */
  tellOthers(tunnels: readonly (OtherTunnel & { readonly interfaceId: number })[]): void {
    if (this.#threads.length < 2) return
    for (const [worker, thread] of this.#threads.entries()) {
      const others = tunnels.filter(({ interfaceId }) => !this.threadsOf(interfaceId).includes(worker))
      thread.post({ kind: 'others', tunnels: others.map(({ index, carriers }) => ({ index, carriers })) })
    }
  }

  /** Ends all threads. */
  async stop(): Promise<void> {
    this.#closing = true
    await Promise.all(this.#threads.map((thread) => thread.stop()))
    for (const thread of this.#threads.splice(0)) thread.close()
  }

  /** The thread with the fewest interfaces; one more where all have some and there may be more. */
  #least(): number {
    const loads = this.#loads
    const least = loads.indexOf(Math.min(...loads))
    if (this.#threads.length > 0 && (loads[least] === 0 || this.#threads.length >= this.#options.limit))
      return least
    return this.#start()
  }

  #start(): number {
    const worker = this.#threads.length
    const thread = new PlaneThread(
      this.pendingControl,
      (message) => this.#options.hear(message, worker),
      (found) => {
        if (this.#closing) return
        this.#options.failed(
          new WarrenError('LINUX_DATA_PLANE', 'the thread that moves the packets has ended', { found }),
        )
      },
      worker === 0 ? this.#options.watch?.() : undefined,
    )
    this.#threads.push(thread)
    this.#loads.push(0)
    return worker
  }
}
