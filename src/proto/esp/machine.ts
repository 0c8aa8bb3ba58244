/**
 * Security associations with keys made by hand, and the policies that lead packets into them. Each path stands as long as
 * its lifetimes last. Nothing is negotiated, so nothing takes the place of an SA that has come to its end; what the
 * policies cover stays closed then.
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
import type {
  Carrier,
  Datagram,
  Machine,
  Output,
  Packet,
  PathSpec,
  PolicySpec,
  ReachedLifetime,
  TransformSpec,
} from '../machine.js'
import type { TunnelEvent } from '../tunnel-machine.js'
import { checkSa, type SaSpec } from './sa.js'
import type { EspSpec } from './transforms.js'

/** SAs of one carrier: one direction, or both. */
export interface ManualSaPath {
  readonly id: string
  readonly carrier: Carrier
  readonly outbound?: SaSpec
  readonly inbound: readonly SaSpec[]
  /** Kinds of packet that go into it. Default: IPv4 and IPv6; in transport mode the carrier's family. */
  readonly takes?: readonly PacketKind[]
  /** RFC 3948 section 4: what keeps a NAT's mapping, in UDP only. Default: 20 s. */
  readonly keepalive?: Duration
}

/** A path without keys (IP in IP): it has no lifetime. */
export interface PlainPath {
  readonly id: string
  readonly carrier: Carrier
  readonly takes: readonly PacketKind[]
  readonly transform: TransformSpec
}

export interface ManualSaConfig {
  readonly policies?: readonly PolicySpec[]
  readonly paths: readonly (ManualSaPath | PlainPath)[]
}

/** RFC 3948 section 4. */
export const NAT_KEEPALIVE: Duration = seconds(20)
const KEEPALIVE_PAYLOAD = 0xff

/** An SA as the machine sees it. What is counted in packets and bytes the data path knows. */
export interface ManualSaState {
  readonly path: string
  readonly direction: 'outbound' | 'inbound'
  readonly spec: SaSpec
  /** RFC 2367 section 2.2: dying is past its soft lifetime, dead past its hard one, or at its last sequence number. */
  readonly state: 'mature' | 'dying' | 'dead'
  /** When seconds end it. */
  readonly hardAt?: Instant
}

interface Deadline extends ReachedLifetime {
  readonly at: Instant
}

/** A path that stands. */
interface Standing {
  readonly path: ManualSaPath | PlainPath
  deadlines: Deadline[]
  /** Lifetimes that were told, by direction, SPI and kind. */
  readonly told: Set<string>
  keepaliveAt: Instant | undefined
}

export class ManualSaMachine implements Machine<TunnelEvent> {
  readonly counters: Counters = new Counters()
  #config: ManualSaConfig
  readonly #outputs: Output<TunnelEvent>[] = []
  readonly #standing = new Map<string, Standing>()
  /** Paths whose lifetime is over, with what they were: as long as they are wanted like this, they stay away. */
  readonly #over = new Map<string, ManualSaPath | PlainPath>()
  #up = false

  /** Throws `WarrenError` SA_*. */
  constructor(config: ManualSaConfig) {
    checkConfig(config)
    this.#config = config
  }

  start(now: Instant): void {
    const { policies, paths } = this.#config
    // What they cover is closed before anything could pass.
    if (policies !== undefined) this.#outputs.push({ kind: 'policies', policies })
    for (const path of paths) this.#install(path, now)
    this.#settle('no security association')
  }

  stop(_now: Instant): void {
    for (const id of [...this.#standing.keys()]) this.#remove(id)
    this.#over.clear()
    if (!this.#up) return
    this.#up = false
    this.#event({ name: 'down', reason: 'stopped' })
  }

  /**
   * Other SAs and policies. A path that is wanted as it stands is not touched: its sequence numbers, replay window and
   * lifetimes go on. What ends goes first: another key may have the same SPI. Throws `WarrenError` SA_*, and changes
   * nothing then.
   */
  reconfigure(config: ManualSaConfig, now: Instant): void {
    checkConfig(config)
    this.#config = config
    const wanted = new Map(config.paths.map((path) => [path.id, path]))
    const asBefore = (id: string, path: ManualSaPath | PlainPath): boolean => {
      const other = wanted.get(id)
      return other !== undefined && samePath(path, other)
    }
    this.#outputs.push({ kind: 'policies', policies: config.policies ?? [] })
    for (const [id, path] of [...this.#over]) if (!asBefore(id, path)) this.#over.delete(id)
    for (const [id, { path }] of [...this.#standing]) if (!asBefore(id, path)) this.#remove(id)
    for (const path of config.paths)
      if (!this.#standing.has(path.id) && !this.#over.has(path.id)) this.#install(path, now)
    this.#settle('no security association')
  }

  /** From outside, by its carrier: IKE behind a non-ESP marker (RFC 3948 section 2.2), which nobody here speaks. */
  receive(_datagram: Datagram, _now: Instant): void {
    this.counters.add('control.unexpected')
  }

  send(_packet: Packet, _now: Instant): void {
    this.counters.add('send.noPath')
  }

  /** Told twice, a lifetime counts once. */
  reached(pathId: string, { direction, spi, kind }: ReachedLifetime, _now: Instant): void {
    const standing = this.#standing.get(pathId)
    if (standing === undefined || !('inbound' in standing.path)) return
    const key = `${direction} ${spi} ${kind}`
    if (standing.told.has(key)) return
    const { outbound, inbound } = standing.path
    const sas = direction === 'inbound' ? inbound : outbound === undefined ? [] : [outbound]
    if (!sas.some((sa) => sa.spi === spi)) return
    standing.told.add(key)
    this.#event({ name: 'lifetime', path: pathId, direction, spi, kind })
    if (kind === 'soft') return
    // The pair goes as one: what answers would have no way back. Installed again it would count from 1 again.
    this.#remove(pathId)
    this.#over.set(pathId, standing.path)
    this.#settle(kind === 'overflow' ? 'the sequence numbers are at their end' : 'the lifetime is over')
  }

  timeout(now: Instant): void {
    const due: (readonly [string, Deadline])[] = []
    for (const [id, standing] of this.#standing) {
      for (const deadline of standing.deadlines) if (deadline.at <= now) due.push([id, deadline])
      standing.deadlines = standing.deadlines.filter(({ at }) => at > now)
    }
    due.sort(([, a], [, b]) => a.at - b.at)
    for (const [id, deadline] of due) this.reached(id, deadline, now)
    this.#keepMappings(now)
  }

  /** Paths and policies as they are wanted. */
  get config(): ManualSaConfig {
    return this.#config
  }

  /** The SAs of all paths, in their order. */
  sas(): ManualSaState[] {
    return this.#config.paths.flatMap((path): ManualSaState[] => {
      if (!('inbound' in path)) return []
      const standing = this.#standing.get(path.id)
      const of = (spec: SaSpec, direction: 'outbound' | 'inbound'): ManualSaState => {
        const isOf = (one: ReachedLifetime): boolean => one.direction === direction && one.spi === spec.spi
        const hard = standing?.deadlines.find((one) => one.kind === 'hard' && isOf(one))
        const dying = standing?.told.has(`${direction} ${spec.spi} soft`) === true
        return {
          path: path.id,
          direction,
          spec,
          state: standing === undefined ? 'dead' : dying ? 'dying' : 'mature',
          ...(hard === undefined ? {} : { hardAt: hard.at }),
        }
      }
      const { outbound, inbound } = path
      return [
        ...(outbound === undefined ? [] : [of(outbound, 'outbound')]),
        ...inbound.map((spec) => of(spec, 'inbound')),
      ]
    })
  }

  poll(): Output<TunnelEvent> | undefined {
    return this.#outputs.shift()
  }

  nextTimeout(): Instant | undefined {
    let next: Instant | undefined
    for (const { deadlines, keepaliveAt } of this.#standing.values()) {
      if (keepaliveAt !== undefined && (next === undefined || keepaliveAt < next)) next = keepaliveAt
      for (const { at } of deadlines) if (next === undefined || at < next) next = at
    }
    return next
  }

  /** Paths of one carrier share a mapping: one keepalive is enough for all of them. */
  #keepMappings(now: Instant): void {
    const kept = new Set<string>()
    for (const standing of this.#standing.values()) {
      const { keepaliveAt, path } = standing
      if (keepaliveAt === undefined || keepaliveAt > now) continue
      standing.keepaliveAt = after(now, keepaliveOf(path))
      const { carrier } = path
      const ends = `${carrier.local} ${carrier.remote} ${carrier.kind === 'udp' ? carrier.remotePort : ''}`
      if (kept.has(ends)) continue
      kept.add(ends)
      this.#outputs.push({
        kind: 'transmit',
        datagram: { carrier, payload: Uint8Array.of(KEEPALIVE_PAYLOAD) },
      })
    }
  }

  #install(path: ManualSaPath | PlainPath, now: Instant): void {
    this.#standing.set(path.id, {
      path,
      deadlines: 'inbound' in path ? deadlinesOf(path, now) : [],
      told: new Set(),
      keepaliveAt: path.carrier.kind === 'udp' ? after(now, keepaliveOf(path)) : undefined,
    })
    this.#outputs.push({ kind: 'install', path: pathSpecOf(path) })
  }

  #remove(id: string): void {
    this.#standing.delete(id)
    this.#outputs.push({ kind: 'remove', pathId: id })
  }

  /** Up while a path stands, or where no policy asks for one. */
  #settle(reason: string): void {
    const { policies = [] } = this.#config
    const asks = policies.some(({ action }) => action === 'use' || action === 'require')
    const up = this.#standing.size > 0 || (policies.length > 0 && !asks)
    if (up === this.#up && up) return
    this.#up = up
    this.#event(up ? { name: 'up' } : { name: 'down', reason })
  }

  #event(event: TunnelEvent): void {
    this.#outputs.push({ kind: 'event', event })
  }
}

function checkConfig({ paths }: ManualSaConfig): void {
  for (const path of paths)
    if ('inbound' in path) for (const sa of [path.outbound ?? [], path.inbound].flat()) checkSa(sa)
}

function pathSpecOf(path: ManualSaPath | PlainPath): PathSpec {
  const { id, carrier } = path
  if ('transform' in path) return { id, carrier, takes: path.takes, transform: path.transform }
  const { outbound, inbound } = path
  const family: PacketKind = carrier.local.family === 4 ? IPV4 : IPV6
  const isTunnel = (outbound ?? inbound[0])?.mode === 'tunnel'
  const transform: EspSpec = {
    protocol: 'esp',
    ...(outbound === undefined ? {} : { outbound }),
    inbound,
  }
  return { id, carrier, takes: path.takes ?? (isTunnel ? [IPV4, IPV6] : [family]), transform }
}

const keepaliveOf = (path: ManualSaPath | PlainPath): Duration =>
  ('inbound' in path ? path.keepalive : undefined) ?? NAT_KEEPALIVE

function deadlinesOf({ outbound, inbound }: ManualSaPath, now: Instant): Deadline[] {
  const of = (
    { spi, lifetimes }: SaSpec,
    direction: 'outbound' | 'inbound',
  ): (Deadline | readonly never[])[] => {
    const deadline = (kind: 'soft' | 'hard', span: number | undefined): Deadline | readonly never[] =>
      span === undefined ? [] : { at: after(now, seconds(span)), kind, direction, spi }
    return [deadline('soft', lifetimes.softSeconds), deadline('hard', lifetimes.hardSeconds)]
  }
  return [
    ...(outbound === undefined ? [] : of(outbound, 'outbound')),
    ...inbound.flatMap((sa) => of(sa, 'inbound')),
  ].flat()
}

/**
 * Whether two paths are the same SAs. The seed of their IVs is drawn anew each time that a configuration is read, and
 * tells nothing.
 */
function samePath(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  names.delete('ivSeed')
  for (const name of names) {
    const [one, other] = [a, b].map((value) => (value as Readonly<Record<string, unknown>>)[name])
    if (!samePath(one, other)) return false
  }
  return true
}
