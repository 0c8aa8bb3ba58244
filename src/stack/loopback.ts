/**
 * The way from this host to itself: what leaves by a loopback interface comes in by it, a moment later, so that no
 * sender is called back in the middle of its own call.
 */
import { after, type Instant, microseconds, type PacketBuffer } from '../base/index.js'
import type { Core } from './core.js'
import { copyPacket } from './headers.js'
import { driverInput, ipInput } from './input.js'
import type { NetworkInterface } from './interface.js'
import type { Driver } from './types.js'

/** About what the round through a kernel's queue takes; more than nothing, so that time goes on. */
const DELAY = microseconds(20)

export class Loopback {
  readonly #core: Core
  #waiting = 0
  #current: PacketBuffer | undefined

  constructor(core: Core) {
    this.#core = core
  }

  /** True for a packet of this host's own that is being handed back to it. */
  isOwn(packet: PacketBuffer): boolean {
    return packet === this.#current
  }

  /** What lies beneath a loopback interface. */
  readonly driver: Driver = {
    transmit: (packet, now) => {
      const ifc = this.#core.loopbackInterface
      if (ifc !== undefined) this.enqueue(ifc, packet, now)
    },
  }

  /** Copies the packet and brings it in by `ifc`. */
  enqueue(ifc: NetworkInterface, packet: PacketBuffer, now: Instant): void {
    if (this.#waiting >= this.#core.limits.loopbackQueue) {
      this.#core.counters.add('loopback.queueFull')
      return
    }
    this.#waiting++
    const copy = copyPacket(packet)
    this.#core.timers.schedule(after(now, DELAY), (then) => {
      this.#waiting--
      const before = this.#current
      this.#current = copy
      try {
        // A copy of what was sent to a group comes back past the driver, which never had it.
        if (ifc.kind === 'loopback') driverInput(this.#core, ifc, copy, then)
        else if (ifc.up) ipInput(this.#core, ifc, copy, then)
      } finally {
        this.#current = before
      }
    })
  }
}
