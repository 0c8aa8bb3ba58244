/** A tunnel's interface in the data plane: who takes its packets, and what may come out of it. */
import type { Counters, PacketBuffer } from '../base/index.js'
import type { PolicySpec } from '../proto/machine.js'
import type { PlaneInterfaceSpec } from './messages.js'
import type { PlanePath } from './path.js'
import { queueOf } from './queues.js'
import { type RouteLookup, SourceFilter } from './source-filter.js'

/** What decides in place of kinds and of the source filter, where an interface has IPsec policies. */
export interface PacketPolicies {
  /**
   * The path that a packet of the interface takes. `undefined`: it is dropped, and the reason has been counted. Asked
   * once for what the kernel hands over in one piece: all its segments have the same selectors.
   */
  choose(packet: PacketBuffer): PlanePath | undefined
  /** The reason to count, unless the packet may have come by `path`. */
  refuses(path: PlanePath, packet: PacketBuffer): string | undefined
}

/** Those of an interface, which change with its paths. */
export interface InterfacePolicies extends PacketPolicies {
  /** Of packets that no path was found for. */
  readonly drops: Counters
  replace(policies: readonly PolicySpec[]): void
  /** A path came or went. */
  changed(): void
}

export class PlaneInterface {
  readonly spec: PlaneInterfaceSpec
  readonly paths: Map<string, PlanePath> = new Map()
  /** By `PacketKind`. */
  readonly byKind: (PlanePath | undefined)[] = new Array<PlanePath | undefined>(7).fill(undefined)
  /** Only for IP packets: frames are a bridge's matter. */
  readonly filter: SourceFilter | undefined
  policies: InterfacePolicies | undefined
  running = true
  /** Descriptors that are written to. */
  readonly queues: readonly number[]

  /** Where a packet that came in is written: `start` is where it begins. */
  queueFor(view: DataView, start: number): number {
    const { queues, spec } = this
    if (queues.length === 1) return queues[0]!
    return queues[queueOf(view, start, spec.layer === 'ethernet', queues.length)]!
  }

  constructor(spec: PlaneInterfaceSpec, lookup: RouteLookup) {
    this.spec = spec
    this.queues = spec.queues ?? [spec.fd]
    this.filter = spec.layer === 'ip' ? new SourceFilter(spec.index, lookup) : undefined
  }
}
