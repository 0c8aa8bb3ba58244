/** What carries a tunnel's packets outside, as the data plane sees it: batches out and in. */
import type { Counters, PacketBuffer } from '../base/index.js'
import type { Arena } from './arena.js'
import { LITTLE_ENDIAN, type Libc } from './ffi.js'
import type { CarrierSpec } from './messages.js'
import type { PlanePath } from './path.js'
import { POLLOUT } from './sockaddr.js'
import { pathMtu } from './socket-options.js'

/** What is done with each payload that came: `packet` is it, in the arena, with the outer metadata set. */
export type Receiver = (carrier: Carrier, packet: PacketBuffer, nowMs: number) => void

/** Path MTU between the ends of a carrier; `undefined` where there is no way now. */
export type MtuLookup = (spec: CarrierSpec) => number | undefined

export interface Carrier {
  readonly spec: CarrierSpec
  /** In the order of their installation: the order in which they are asked. */
  readonly paths: PlanePath[]
  /** What belongs to none of them. */
  readonly drops: Counters
  /** What is sent comes back into the tunnels that send it: the plane's finding, renewed by it. */
  loops: boolean
  /** Adds a payload (in the arena, and left alone until `flush`) to the batch. */
  push(path: PlanePath, packet: PacketBuffer, nowMs: number): void
  /** Sends what is batched. What the kernel refuses is dropped and counted by errno. */
  flush(): void
  /** What the way to the peer takes, in bytes of the outer packet; as long as nobody knows, all that IP can carry. */
  mtu(nowMs: number): number
  /** Reads one batch; `packet` is set to each payload in turn. True: there may be more. */
  receive(packet: PacketBuffer, take: Receiver, nowMs: number): boolean
}

/** How long a full send buffer is waited for before the rest of a batch is dropped. */
const SEND_WAIT_MS = 10
/** How often the kernel is asked for the path MTU. */
const MTU_CHECK_MS = 1000
/** RFC 1122 section 3.3.3: every destination takes this much. */
const FALLBACK_MTU = 576
/** RFC 8200 section 5. */
const FALLBACK_MTU6 = 1280
const IP_LIMIT = 65_535
/** No link has less (RFC 791). */
const LEAST_MTU = 68

/** The path MTU of one carrier, asked for now and then. */
export class PathMtu {
  readonly #spec: CarrierSpec
  readonly #lookup: MtuLookup
  #mtu: number
  #until = 0
  #isKnown = false

  constructor(spec: CarrierSpec, lookup: MtuLookup = pathMtu) {
    this.#spec = spec
    this.#lookup = lookup
    this.#mtu = spec.family === 4 ? FALLBACK_MTU : FALLBACK_MTU6
  }

  at(nowMs: number): number {
    if (nowMs >= this.#until) {
      this.#until = nowMs + MTU_CHECK_MS
      const mtu = this.#lookup(this.#spec)
      if (mtu !== undefined && mtu >= LEAST_MTU) {
        this.#mtu = mtu
        this.#isKnown = true
      }
    }
    return this.#mtu
  }

  /** The same for who would tell others of it: as long as nobody knows, all that IP can carry. */
  knownAt(nowMs: number): number {
    const mtu = this.at(nowMs)
    return this.#isKnown ? mtu : IP_LIMIT
  }

  /** The kernel knows better: it is asked again before the next packet. */
  forget(): void {
    this.#until = 0
  }
}

/** True: the socket takes packets again. */
export function waitForRoom(c: Libc, { view, base, waitFd }: Arena, fd: number): boolean {
  view.setInt32(waitFd, fd, LITTLE_ENDIAN)
  view.setUint32(waitFd + 4, POLLOUT, LITTLE_ENDIAN)
  return c.poll(base + waitFd, 1, SEND_WAIT_MS) > 0
}
