/**
 * What path MTU discovery has found (RFC 1191, RFC 8201), and what it takes to believe a report.
 *
 * Anybody can send a "too big". It is believed only if it is about a packet that we did send lately: large, and to
 * that destination with that protocol. It only ever lowers the MTU, and not below the standards' floors.
 */
import { after, between, type Instant, type IpAddress, seconds } from '../base/index.js'
import { addressKey } from './headers.js'
import type { StackLimits } from './limits.js'

/** RFC 791 section 3.2: every link carries that much. */
const FLOOR_V4 = 68
/** RFC 8200 section 5. */
const FLOOR_V6 = 1280
/** RFC 1191 section 6.3, RFC 8201 section 5.2: what was learned is forgotten after that. */
const AGE = seconds(600)
/** A report that comes later than this after the last such packet is not about one. */
const RECENT = seconds(60)
const REMEMBER_AGAIN = seconds(1)

/** RFC 1191 section 7.1: what to try when the router does not say the MTU. */
const PLATEAUS = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, FLOOR_V4]

interface Learned {
  readonly destination: IpAddress
  readonly mtu: number
  readonly expires: Instant
}

export class PathMtuTable {
  readonly #limits: StackLimits
  readonly #learned = new Map<number | string, Learned>()
  /** When we last sent a packet that some path could refuse, by destination and protocol; oldest first. */
  readonly #recent = new Map<string, Instant>()
  #last: { destination: IpAddress; protocol: number; at: Instant } | undefined

  constructor(limits: StackLimits) {
    this.#limits = limits
  }

  get(destination: IpAddress, now: Instant): number | undefined {
    if (this.#learned.size === 0) return undefined
    const key = addressKey(destination)
    const learned = this.#learned.get(key)
    if (learned === undefined) return undefined
    if (learned.expires > now) return learned.mtu
    this.#learned.delete(key)
    return undefined
  }

  /** A packet goes out that must not be fragmented on its way. */
  sent(destination: IpAddress, protocol: number, length: number, now: Instant): void {
    if (length <= (destination.family === 4 ? FLOOR_V4 : FLOOR_V6)) return
    const last = this.#last
    if (
      last?.destination === destination &&
      last.protocol === protocol &&
      between(last.at, now) < REMEMBER_AGAIN
    )
      return
    this.#last = { destination, protocol, at: now }
    const key = `${addressKey(destination)} ${protocol}`
    this.#recent.delete(key)
    this.#recent.set(key, now)
    if (this.#recent.size > this.#limits.recentDestinations)
      for (const oldest of this.#recent.keys()) {
        this.#recent.delete(oldest)
        break
      }
  }

  /**
   * A router says that a packet of ours, `length` bytes to `destination`, is larger than `mtu` (0: it does not say).
   * Returns the path's new MTU, or the reason why the report counts for nothing.
   */
  report(
    destination: IpAddress,
    protocol: number,
    length: number,
    mtu: number,
    now: Instant,
  ): number | 'unasked' | 'notSmaller' {
    const sent = this.#recent.get(`${addressKey(destination)} ${protocol}`)
    if (sent === undefined || between(sent, now) > RECENT) return 'unasked'
    const floor = destination.family === 4 ? FLOOR_V4 : FLOOR_V6
    const told = mtu !== 0 ? mtu : (PLATEAUS.find((plateau) => plateau < length) ?? floor)
    const lower = Math.max(told, floor)
    if (lower >= length || lower >= (this.get(destination, now) ?? Number.POSITIVE_INFINITY))
      return 'notSmaller'
    const key = addressKey(destination)
    this.#learned.delete(key)
    this.#learned.set(key, { destination, mtu: lower, expires: after(now, AGE) })
    if (this.#learned.size > this.#limits.pathMtus)
      for (const oldest of this.#learned.keys()) {
        this.#learned.delete(oldest)
        break
      }
    return lower
  }

  clear(): void {
    this.#learned.clear()
    this.#recent.clear()
    this.#last = undefined
  }

  /** What is known, for the rows of the routing table. */
  rows(): Iterable<{ readonly destination: IpAddress; readonly mtu: number; readonly expires: Instant }> {
    return this.#learned.values()
  }
}
