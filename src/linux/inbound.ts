/** From the carriers to the interfaces: each payload through the inbound transform of the path that claims it. */
import { type Counters, IPV4, IPV6, OPAQUE, PacketBuffer } from '../base/index.js'
import { CONTROL, FOREIGN, PASS } from '../proto/machine.js'
import type { Arena } from './arena.js'
import type { Carrier, Receiver } from './carrier.js'
import { Errno, errnoName, type Libc, libc } from './ffi.js'
import type { PlanePath } from './path.js'

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
  readonly #packet: PacketBuffer

  /** `drops`: of what belongs to no path. */
  constructor(arena: Arena, drops: Counters, control: ControlTaker) {
    this.#arena = arena
    this.#drops = drops
    this.#control = control
    this.#packet = new PacketBuffer(arena.bytes, 0, 0)
  }

  /** Reads one batch of the carrier. */
  turn(carrier: Carrier, nowMs: number): void {
    carrier.receive(this.#take, nowMs)
  }

  readonly #take: Receiver = (carrier, start, end, ttl, trafficClass, nowMs): void => {
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
        const taken = this.#control(path, this.#arena.bytes.slice(start, end), ttl, trafficClass)
        if (!taken) path.transforms.inbound.drops.add('control.queue')
      }
      return
    }
    this.#drops.add('path.none')
  }

  /** The packet goes to the interface, if it may come from there. */
  #deliver(path: PlanePath, nowMs: number): void {
    const { start, end } = this.#packet
    const reason = this.#refuses(path, nowMs)
    if (reason !== undefined) {
      path.transforms.inbound.drops.add(reason)
      return
    }
    if (this.#c.writeAt(path.interface.spec.fd, this.#arena.base + start, end - start) < 0) {
      const errno = this.#c.errno()
      path.transforms.inbound.drops.add(
        errno === Errno.EIO ? 'interface.down' : `interface.${errnoName(errno)}`,
      )
      return
    }
    path.packetsIn++
    path.bytesIn += end - start
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
