/** A host for tests of tunnels: records what is asked of it; its clock moves only by `advance`. */
import {
  Counters,
  type Duration,
  type Instant,
  instantAt,
  PacketBuffer,
  type PacketKind,
  type Random,
  SeededRandom,
  TimerQueue,
  WarrenError,
} from '../base/index.js'
import { CONTROL, type Datagram, PASS, type Packet, type PathSpec, type Verdict } from '../proto/machine.js'
import { DataPath, PathTable, type TableEntry } from './data-path.js'
import type { Host, HostInterface, InterfaceSpec, PathStatus } from './host.js'

interface Installed {
  readonly path: DataPath
  readonly onControl: (datagram: Datagram) => void
}

export class RecordingInterface implements HostInterface {
  readonly spec: InterfaceSpec
  readonly name: string
  readonly delivered: Packet[] = []
  readonly #host: RecordingHost
  readonly #paths = new Map<string, Installed>()
  running = true
  destroyed = false

  constructor(host: RecordingHost, spec: InterfaceSpec) {
    this.#host = host
    this.spec = spec
    this.name = spec.name
  }

  install(spec: PathSpec, onControl: (datagram: Datagram) => void): void {
    const { protocol, remote } = spec.carrier
    if (protocol === this.#host.refusedProtocol || `${remote}` === this.#host.refusedRemote)
      throw new WarrenError('TEST_REFUSED', 'this host takes no such path')
    const installed = { path: new DataPath(spec), onControl }
    this.#paths.set(spec.id, installed)
    this.#host.table.add(installed.path, { interface: this, onControl })
  }

  remove(pathId: string): void {
    const installed = this.#paths.get(pathId)
    if (installed === undefined) throw new Error(`no path ${pathId}`)
    this.#paths.delete(pathId)
    this.#host.table.remove(installed.path)
  }

  deliver(packet: Packet): void {
    this.delivered.push(packet)
  }

  setRunning(running: boolean): void {
    this.running = running
  }

  /** A packet that the host's IP layer sends into the interface. */
  send(bytes: Uint8Array, kind: PacketKind): void {
    const packet = PacketBuffer.copyOf(bytes, kind)
    for (const { path } of this.#paths.values()) {
      if (!path.takes(kind) || path.outbound(packet) !== PASS) continue
      this.#host.transmit({ carrier: path.spec.carrier, payload: packet.copy(), ttl: packet.outerTtl })
    }
  }

  get pathIds(): string[] {
    return [...this.#paths.keys()]
  }

  status(): PathStatus[] {
    return [...this.#paths.values()].map(({ path }) => path.status())
  }

  destroy(): void {
    for (const id of this.pathIds) this.remove(id)
    this.destroyed = true
    this.#host.interfaces.delete(this.name)
  }
}

interface Owner {
  readonly interface: RecordingInterface
  readonly onControl: (datagram: Datagram) => void
}

export class RecordingHost implements Host {
  readonly name = 'test'
  readonly random: Random = new SeededRandom(1)
  readonly counters: Counters = new Counters()
  readonly table: PathTable<Owner> = new PathTable()
  readonly interfaces: Map<string, RecordingInterface> = new Map()
  readonly sent: Datagram[] = []
  /** Paths of this IP protocol are refused, as where a permission is missing. */
  refusedProtocol: number | undefined
  /** So are paths to this peer. */
  refusedRemote: string | undefined
  readonly #timers = new TimerQueue()
  #now = instantAt(0)

  now(): Instant {
    return this.#now
  }

  createInterface(spec: InterfaceSpec): RecordingInterface {
    const made = new RecordingInterface(this, spec)
    this.interfaces.set(spec.name, made)
    return made
  }

  transmit(datagram: Datagram): void {
    this.sent.push(datagram)
  }

  schedule(at: Instant, callback: (now: Instant) => void): () => void {
    const timer = this.#timers.schedule(at, callback)
    return () => timer.cancel()
  }

  /** When the next timer is due. */
  nextTimeout(): Instant | undefined {
    return this.#timers.next()
  }

  advance(span: Duration): void {
    const end = instantAt(this.#now + span)
    for (let at = this.#timers.next(); at !== undefined && at <= end; at = this.#timers.next()) {
      if (at > this.#now) this.#now = at
      this.#timers.runDue(this.#now)
    }
    this.#now = end
  }

  /** A datagram from outside, as the carrier's payload. */
  receive({ carrier, payload }: Datagram): void {
    const packet = PacketBuffer.copyOf(payload, 0)
    const { protocol, local, remote } = carrier
    const ports =
      carrier.kind === 'udp' ? { source: carrier.remotePort, destination: carrier.localPort } : undefined
    const take = ({ owner }: TableEntry<Owner>, verdict: Verdict): void => {
      if (verdict === PASS) owner.interface.deliver({ kind: packet.kind, bytes: packet.copy() })
      else if (verdict === CONTROL) owner.onControl({ carrier, payload })
    }
    const taken = this.table.inbound(protocol, remote, local, packet, take, ports)
    if (!taken) this.counters.add('path.none')
  }
}
