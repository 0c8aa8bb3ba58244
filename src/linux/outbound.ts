/** From the interfaces to the carriers: what the kernel hands over, through the outbound transform, in batches. */
import { type Counters, ETHERNET, IPV4, IPV6, OPAQUE, PacketBuffer, type PacketKind } from '../base/index.js'
import { PASS } from '../proto/machine.js'
import { type Arena, BATCH, PACKET_LIMIT } from './arena.js'
import type { Carrier } from './carrier.js'
import { Errno, errnoName, type Libc, libc } from './ffi.js'
import type { PlanePath } from './path.js'
import type { PlaneInterface } from './plane-interface.js'

export class Outbound {
  readonly #arena: Arena
  readonly #c: Libc = libc()
  readonly #drops: Counters
  readonly #packet: PacketBuffer
  /** Who has packets to flush. */
  #carrier: Carrier | undefined

  /** `drops`: of what belongs to no path. */
  constructor(arena: Arena, drops: Counters) {
    this.#arena = arena
    this.#drops = drops
    this.#packet = new PacketBuffer(arena.bytes, 0, 0)
  }

  /** Reads one batch. Returns errno's name where the interface is gone. */
  turn(side: PlaneInterface, nowMs: number): string | undefined {
    const { base } = this.#arena
    let lost: string | undefined
    for (let slot = 0; slot < BATCH; slot++) {
      const start = this.#arena.sendSlot(slot)
      const length = this.#c.read(side.spec.fd, base + start, PACKET_LIMIT)
      if (length <= 0) {
        const errno = length < 0 ? this.#c.errno() : Errno.EAGAIN
        if (errno !== Errno.EAGAIN && errno !== Errno.EINTR) lost = errnoName(errno)
        break
      }
      const path = this.#pathFor(side, start, start + length)
      if (path !== undefined) this.#send(path, nowMs)
    }
    this.#carrier?.flush()
    this.#carrier = undefined
    return lost
  }

  /** The path that takes `[start, end)`, which becomes the packet; where none does, the reason is counted. */
  #pathFor(side: PlaneInterface, start: number, end: number): PlanePath | undefined {
    const packet = this.#packet
    packet.reset(start, end, kindOf(side, this.#arena.bytes[start]!))
    let path: PlanePath | undefined
    if (side.policies !== undefined) {
      path = side.policies.choose(packet)
      if (path === undefined) return undefined
    } else {
      path = side.byKind[packet.kind]
      if (path === undefined) {
        this.#drops.add('send.noPath')
        return undefined
      }
    }
    const reason = side.running ? (path.carrier.loops ? 'loop' : undefined) : 'notRunning'
    if (reason === undefined) return path
    path.transforms.outbound.drops.add(reason)
    return undefined
  }

  /** The packet goes through its transform into its carrier's batch. */
  #send(path: PlanePath, nowMs: number): void {
    const packet = this.#packet
    const { carrier } = path
    const length = packet.end - packet.start
    if (path.transforms.outbound.process(packet) !== PASS) return
    path.packetsOut++
    path.bytesOut += length
    if (this.#carrier !== carrier) {
      this.#carrier?.flush()
      this.#carrier = carrier
    }
    carrier.push(path, packet, nowMs)
  }
}

function kindOf(side: PlaneInterface, first: number): PacketKind {
  if (side.spec.layer === 'ethernet') return ETHERNET
  const version = first >>> 4
  return version === 4 ? IPV4 : version === 6 ? IPV6 : OPAQUE
}
