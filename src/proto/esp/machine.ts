/**
 * Security associations with keys made by hand: a path of one outbound SA and of the inbound ones, installed as long as
 * its lifetimes last. Nothing is negotiated, so nothing takes the place of an SA that has come to its end.
 */
import {
  after,
  Counters,
  type Duration,
  type Instant,
  IPV4,
  IPV6,
  type PacketKind,
  seconds,
} from '../../base/index.js'
import type { Carrier, Datagram, Machine, Output, Packet } from '../machine.js'
import { checkSa, type SaSpec } from './sa.js'
import type { EspSpec } from './transforms.js'

export type LifetimeKind = 'soft' | 'hard' | 'overflow'

export type SaEvent =
  | { readonly name: 'up' }
  | { readonly name: 'down'; readonly reason: string }
  /** Soft: time to make new keys. Hard and overflow: the path is removed. */
  | {
      readonly name: 'lifetime'
      readonly kind: LifetimeKind
      readonly direction: 'outbound' | 'inbound'
      readonly spi: number
    }

export interface ManualSaConfig {
  /** Of the path. Default: `sa`. */
  readonly id?: string
  readonly carrier: Carrier
  readonly outbound: SaSpec
  readonly inbound: readonly SaSpec[]
  /** Kinds of packet that go into it. Default: IPv4 and IPv6; in transport mode the carrier's family. */
  readonly takes?: readonly PacketKind[]
  /** RFC 3948 section 4: what keeps a NAT's mapping, in UDP only. Default: 20 s. */
  readonly keepalive?: Duration
}

/** RFC 3948 section 4. */
export const NAT_KEEPALIVE: Duration = seconds(20)
const KEEPALIVE_PAYLOAD = 0xff

interface Deadline {
  readonly at: Instant
  readonly kind: 'soft' | 'hard'
  readonly direction: 'outbound' | 'inbound'
  readonly spi: number
}

export class ManualSaMachine implements Machine<SaEvent> {
  readonly counters: Counters = new Counters()
  readonly #config: ManualSaConfig
  readonly #id: string
  readonly #outputs: Output<SaEvent>[] = []
  readonly #keepalive: Duration | undefined
  #deadlines: Deadline[] = []
  #keepaliveAt: Instant | undefined
  #up = false
  /** Soft lifetimes that were told, by direction and SPI. */
  readonly #told = new Set<string>()

  /** Throws `WarrenError` SA_*. */
  constructor(config: ManualSaConfig) {
    for (const sa of [config.outbound, ...config.inbound]) checkSa(sa)
    this.#config = config
    this.#id = config.id ?? 'sa'
    this.#keepalive = config.carrier.kind === 'udp' ? (config.keepalive ?? NAT_KEEPALIVE) : undefined
  }

  start(now: Instant): void {
    const { carrier, outbound, inbound } = this.#config
    const family: PacketKind = carrier.local.family === 4 ? IPV4 : IPV6
    const takes = this.#config.takes ?? (outbound.mode === 'tunnel' ? [IPV4, IPV6] : [family])
    const transform: EspSpec = { protocol: 'esp', outbound, inbound }
    this.#outputs.push({ kind: 'install', path: { id: this.#id, carrier, takes, transform } })
    this.#up = true
    this.#event({ name: 'up' })
    this.#deadlines = [
      ...deadlinesOf(outbound, 'outbound', now),
      ...inbound.flatMap((sa) => deadlinesOf(sa, 'inbound', now)),
    ]
    if (this.#keepalive !== undefined) this.#keepaliveAt = after(now, this.#keepalive)
  }

  stop(_now: Instant): void {
    this.#down('stopped')
  }

  /** From outside, by its carrier: IKE behind a non-ESP marker (RFC 3948 section 2.2), which nobody here speaks. */
  receive(_datagram: Datagram, _now: Instant): void {
    this.counters.add('control.unexpected')
  }

  send(_packet: Packet, _now: Instant): void {
    this.counters.add('send.noPath')
  }

  /**
   * The data path says that an SA has reached a lifetime in bytes or packets, or its last sequence number. Told twice,
   * it counts once.
   */
  reached(direction: 'outbound' | 'inbound', spi: number, kind: LifetimeKind, _now: Instant): void {
    if (!this.#up) return
    const key = `${direction} ${spi} ${kind}`
    if (this.#told.has(key)) return
    const sas = direction === 'outbound' ? [this.#config.outbound] : this.#config.inbound
    if (!sas.some((sa) => sa.spi === spi)) return
    this.#told.add(key)
    this.#event({ name: 'lifetime', kind, direction, spi })
    if (kind === 'soft') return
    // The pair goes as one: what answers would have no way back. Installed again it would count from 1 again.
    this.#down(kind === 'overflow' ? 'the sequence numbers are at their end' : 'the lifetime is over')
  }

  timeout(now: Instant): void {
    const due = this.#deadlines.filter(({ at }) => at <= now).sort((a, b) => a.at - b.at)
    this.#deadlines = this.#deadlines.filter(({ at }) => at > now)
    for (const { direction, spi, kind } of due) this.reached(direction, spi, kind, now)
    if (this.#keepaliveAt === undefined || this.#keepaliveAt > now) return
    this.#keepaliveAt = after(now, this.#keepalive!)
    const payload = Uint8Array.of(KEEPALIVE_PAYLOAD)
    this.#outputs.push({ kind: 'transmit', datagram: { carrier: this.#config.carrier, payload } })
  }

  poll(): Output<SaEvent> | undefined {
    return this.#outputs.shift()
  }

  nextTimeout(): Instant | undefined {
    let next = this.#keepaliveAt
    for (const { at } of this.#deadlines) if (next === undefined || at < next) next = at
    return next
  }

  #down(reason: string): void {
    if (!this.#up) return
    this.#up = false
    this.#deadlines = []
    this.#keepaliveAt = undefined
    this.#outputs.push({ kind: 'remove', pathId: this.#id })
    this.#event({ name: 'down', reason })
  }

  #event(event: SaEvent): void {
    this.#outputs.push({ kind: 'event', event })
  }
}

function deadlinesOf(
  { spi, lifetimes }: SaSpec,
  direction: 'outbound' | 'inbound',
  now: Instant,
): Deadline[] {
  const { softSeconds, hardSeconds } = lifetimes
  const deadline = (kind: 'soft' | 'hard', span: number | undefined): Deadline[] =>
    span === undefined ? [] : [{ at: after(now, seconds(span)), kind, direction, spi }]
  return [...deadline('soft', softSeconds), ...deadline('hard', hardSeconds)]
}
