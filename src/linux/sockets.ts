/** The sockets of a host's carriers: opened by the main thread, shared by paths, worked by the data plane. */
import { type Counters, WarrenError } from '../base/index.js'
import type { Carrier, Datagram } from '../proto/machine.js'
import { libc } from './ffi.js'
import type { CarrierSpec } from './messages.js'
import { defaultTtl, openRawSocket } from './raw-socket.js'
import { sendDatagram } from './send.js'

export interface CarrierSocketsOwner {
  /** Of datagrams that did not go out. */
  readonly counters: Counters
  /** A number that nothing else of the data plane has. */
  nextId(): number
  /** A socket was opened, for the data plane to work. */
  opened(spec: CarrierSpec): void
  /** Nobody uses it any more. The data plane says when it is to be closed. */
  released(id: number): void
}

interface SharedSocket {
  readonly id: number
  readonly fd: number
  users: number
}

export class CarrierSockets {
  readonly #owner: CarrierSocketsOwner
  readonly #defaultTtl: number = defaultTtl()
  readonly #sockets = new Map<string, SharedSocket>()

  constructor(owner: CarrierSocketsOwner) {
    this.#owner = owner
  }

  /** The data plane's number of the carrier. Throws `LINUX_*` where the kernel refuses the socket. */
  acquire(carrier: Carrier): number {
    const key = carrierKey(carrier)
    let shared = this.#sockets.get(key)
    if (shared === undefined) {
      const fd = this.#open(carrier)
      shared = { id: this.#owner.nextId(), fd, users: 0 }
      this.#sockets.set(key, shared)
      const { kind, protocol, local, remote } = carrier
      this.#owner.opened({
        id: shared.id,
        kind,
        fd,
        family: local.family,
        protocol,
        local: local.bytes,
        remote: remote.bytes,
        defaultTtl: this.#defaultTtl,
      })
    }
    shared.users++
    return shared.id
  }

  /** The counterpart of one `acquire`. */
  giveBack(carrier: Carrier): void {
    const key = carrierKey(carrier)
    const shared = this.#sockets.get(key)
    if (shared === undefined || --shared.users > 0) return
    this.#sockets.delete(key)
    this.#owner.released(shared.id)
  }

  /** A datagram of a machine's own. What the kernel refuses is counted, not thrown: it is as if lost on the way. */
  transmit(datagram: Datagram): void {
    const { counters } = this.#owner
    const shared = this.#sockets.get(carrierKey(datagram.carrier))
    let fd = shared?.fd
    try {
      fd ??= this.#open(datagram.carrier)
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
  }

  #open({ protocol, local, remote }: Carrier): number {
    return openRawSocket(protocol, local, remote)
  }
}

const carrierKey = ({ protocol, local, remote }: Carrier): string => `${protocol} ${local} ${remote}`
