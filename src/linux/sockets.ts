/** The sockets of a host's carriers: opened by the main thread, shared by paths, worked by the data plane. */
import { type Counters, WarrenError } from '../base/index.js'
import type { SaSpec } from '../proto/esp/index.js'
import type { Carrier, Datagram, PathSpec, TransformSpec } from '../proto/machine.js'
import { IpProtocol } from '../wire/numbers.js'
import { libc } from './ffi.js'
import type { CarrierSpec } from './messages.js'
import { QuietSockets } from './quiet-socket.js'
import { openRawSocket } from './raw-socket.js'
import { sendDatagram } from './send.js'
import { defaultTtl } from './socket-options.js'
import { openUdpSocket, setJoined } from './udp-socket.js'

export interface CarrierSocketsOwner {
  /** Of datagrams that did not go out. */
  readonly counters: Counters
  /** A number that nothing else of the data plane has. */
  nextId(): number
  /** A socket was opened, for a thread of the data plane to work. */
  opened(spec: CarrierSpec, worker: number): void
  /** SO_MARK of a carrier's socket. Default: none. */
  mark?(carrier: Carrier): number | undefined
  /** Nobody uses it any more. The data plane says when it is to be closed. */
  released(id: number, worker: number): void
}

interface SharedSocket {
  /** The thread that works it. */
  readonly worker: number
  readonly id: number
  readonly fd: number
  users: number
  /** Datagrams may arrive joined. */
  joined: boolean
}

export class CarrierSockets {
  readonly #owner: CarrierSocketsOwner
  readonly #defaultTtl: number = defaultTtl()
  readonly #sockets = new Map<string, SharedSocket[]>()
  readonly #quiet = new QuietSockets()

  constructor(owner: CarrierSocketsOwner) {
    this.#owner = owner
  }

  /** The thread that works the carrier already. */
  workerOf(carrier: Carrier): number | undefined {
    return this.#sockets.get(carrierKey(carrier))?.[0]?.worker
  }

  /**
   * The data plane's number of the path's carrier in a thread. Two threads have a socket each, where the tunnels of
   * both come to share a carrier only later. Throws `LINUX_*` where the kernel refuses the socket.
   */
  acquire({ carrier, transform }: Pick<PathSpec, 'carrier' | 'transform'>, worker = 0): number {
    const key = carrierKey(carrier)
    const joined = !needsRoom(transform)
    const sockets = this.#sockets.get(key) ?? []
    let shared = sockets.find((socket) => socket.worker === worker)
    if (shared === undefined) {
      const fd = this.#open(carrier, joined)
      if (isSealed(carrier)) this.#keepQuiet(carrier, fd)
      shared = { worker, id: this.#owner.nextId(), fd, users: 0, joined }
      this.#sockets.set(key, [...sockets, shared])
      const { kind, protocol, local, remote } = carrier
      const mark = this.#owner.mark?.(carrier)
      const spec: CarrierSpec = {
        id: shared.id,
        kind,
        fd,
        family: local.family,
        protocol,
        local: local.bytes,
        remote: remote.bytes,
        defaultTtl: this.#defaultTtl,
        ...(mark === undefined ? {} : { mark }),
      }
      this.#owner.opened(spec, worker)
    } else if (shared.joined && !joined && carrier.kind === 'udp') {
      setJoined(shared.fd, false)
      shared.joined = false
    }
    shared.users++
    return shared.id
  }

  /** The counterpart of one `acquire`. */
  giveBack(carrier: Carrier, worker = 0): void {
    const key = carrierKey(carrier)
    const sockets = this.#sockets.get(key) ?? []
    const shared = sockets.find((socket) => socket.worker === worker)
    if (shared === undefined || --shared.users > 0) return
    const rest = sockets.filter((socket) => socket !== shared)
    if (rest.length > 0) this.#sockets.set(key, rest)
    else this.#sockets.delete(key)
    if (isSealed(carrier)) this.#quiet.giveBack(carrier.protocol, carrier.local)
    this.#owner.released(shared.id, worker)
  }

  /** A datagram of a machine's own. What the kernel refuses is counted, not thrown: it is as if lost on the way. */
  transmit(datagram: Datagram): void {
    const { counters } = this.#owner
    const shared = this.#sockets.get(carrierKey(datagram.carrier))?.[0]
    let fd = shared?.fd
    try {
      fd ??= this.#open(datagram.carrier, false)
      const reason = sendDatagram(fd, datagram, this.#defaultTtl)
      if (reason !== undefined) counters.add(`transmit.${reason}`)
    } catch (error) {
      counters.add(`transmit.${error instanceof WarrenError ? error.code : 'failed'}`)
    } finally {
      if (shared === undefined && fd !== undefined) libc().close(fd)
    }
  }

  /** Forgets them all; the descriptors are the owner's to close. */
  clear(): void {
    this.#sockets.clear()
    this.#quiet.clear()
  }

  /** With a carrier of ESP or AH: nobody else is answered by the kernel. */
  #keepQuiet({ protocol, local }: Carrier, fd: number): void {
    try {
      this.#quiet.acquire(protocol, local)
    } catch (error) {
      libc().close(fd)
      throw error
    }
  }

  #open(carrier: Carrier, joined: boolean): number {
    const mark = this.#owner.mark?.(carrier)
    if (carrier.kind === 'udp')
      return openUdpSocket(carrier, { joined, ...(mark === undefined ? {} : { mark }) })
    return openRawSocket(carrier.protocol, carrier.local, carrier.remote, mark)
  }
}

/** Transport mode makes an IP header again in front of the payload: of joined datagrams another one stands there. */
function needsRoom({ protocol, inbound }: TransformSpec): boolean {
  if (protocol !== 'esp') return false
  const sas: readonly unknown[] = Array.isArray(inbound) ? inbound : [inbound]
  return sas.some((sa) => (sa as SaSpec | undefined)?.mode === 'transport')
}

const isSealed = ({ protocol }: Carrier): boolean => protocol === IpProtocol.esp || protocol === IpProtocol.ah

function carrierKey(carrier: Carrier): string {
  const { protocol, local, remote } = carrier
  const ports = carrier.kind === 'udp' ? ` ${carrier.localPort} ${carrier.remotePort}` : ''
  return `${protocol} ${local} ${remote}${ports}`
}
