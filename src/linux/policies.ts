/**
 * IPsec policies in the data plane (RFC 4301 section 5): which path protects a packet of the interface, and whether what
 * came out of a path may have come by it. Nothing is allocated a packet.
 */
import { Counters, IpPrefix, ipAddressFrom, type PacketBuffer, readUint32 } from '../base/index.js'
import type { EspSpec } from '../proto/esp/index.js'
import type { PolicySpec } from '../proto/machine.js'
import { FlowKey } from '../stack/flow-key.js'
import { type Policy, type PolicyAction, Spd, type TrafficSelector } from '../stack/spd.js'
import type { PlanePath } from './path.js'
import type { InterfacePolicies } from './plane-interface.js'

/** A path that stands, and what it takes. */
class Way {
  readonly path: PlanePath
  readonly #transport: boolean
  readonly #local: Int32Array
  readonly #remote: Int32Array

  constructor(path: PlanePath) {
    this.path = path
    const { transform } = path.spec
    const { outbound, inbound } = transform as EspSpec
    const sa = outbound ?? [inbound].flat()[0]
    this.#transport = transform.protocol === 'esp' && sa?.mode === 'transport'
    this.#local = wordsOf(path.carrier.spec.local)
    this.#remote = wordsOf(path.carrier.spec.remote)
  }

  /** Of transport mode, the packets between its ends alone. */
  takes(packet: PacketBuffer, key: FlowKey): boolean {
    const { takes } = this.path.spec
    let fits = false
    for (let i = 0; i < takes.length; i++) if (takes[i] === packet.kind) fits = true
    if (!fits || !this.#transport) return fits
    const [local, remote] = [this.#local, this.#remote]
    return (
      key.s0 === local[0] &&
      key.s1 === local[1] &&
      key.s2 === local[2] &&
      key.s3 === local[3] &&
      key.d0 === remote[0] &&
      key.d1 === remote[1] &&
      key.d2 === remote[2] &&
      key.d3 === remote[3]
    )
  }
}

/** A policy of the database with the paths behind it. */
class PlanePolicy implements Policy {
  readonly direction: 'in' | 'out'
  readonly action: PolicyAction
  readonly selector: TrafficSelector
  /** Not asked for here: the paths are named. */
  readonly protocol = 'esp'
  readonly ids: readonly string[]
  /** Shared with the database's own copy of the policy. */
  readonly ways: Way[] = []

  constructor(spec: PolicySpec) {
    this.direction = spec.direction
    this.action = spec.action
    this.selector = selectorOf(spec)
    this.ids = spec.paths
  }
}

export class PlanePolicies implements InterfacePolicies {
  /** Of packets that no path was found for. */
  readonly drops: Counters = new Counters()
  readonly #spd = new Spd()
  readonly #key = new FlowKey()
  readonly #paths: ReadonlyMap<string, PlanePath>
  #policies: readonly PlanePolicy[] = []
  /** Paths came or went since the policies were last joined with them. */
  #stale = false

  /** `paths`: of the interface, by id. */
  constructor(paths: ReadonlyMap<string, PlanePath>) {
    this.#paths = paths
  }

  /** In the place of all that were. Throws `STACK_POLICY` where the database does not take one. */
  replace(specs: readonly PolicySpec[]): void {
    this.#policies = specs.map((spec) => new PlanePolicy(spec))
    this.#spd.clear()
    for (const policy of this.#policies) this.#spd.add(policy)
    this.#stale = true
  }

  /** A path came or went. */
  changed(): void {
    this.#stale = true
  }

  choose(packet: PacketBuffer): PlanePath | undefined {
    const policy = this.#lookup('out', packet)
    if (policy === undefined) return this.#drop('spd.none')
    const { action, ways } = policy
    if (action === 'deny') return this.#drop(policy.unreadable === true ? 'spd.unreadable' : 'spd.deny')
    if (action === 'bypass') return this.#drop('spd.none')
    for (let i = 0; i < ways.length; i++) if (ways[i]!.takes(packet, this.#key)) return ways[i]!.path
    return this.#drop(action === 'require' ? 'spd.require' : 'spd.none')
  }

  /** RFC 4301 section 5.2 step 4: what came out must be what this path was made for. */
  refuses(path: PlanePath, packet: PacketBuffer): string | undefined {
    const policy = this.#lookup('in', packet)
    if (policy === undefined || (policy.action !== 'require' && policy.action !== 'use'))
      return 'ipsec.policy'
    const { ways } = policy
    for (let i = 0; i < ways.length; i++) if (ways[i]!.path === path) return undefined
    return 'ipsec.policy'
  }

  #lookup(direction: 'in' | 'out', packet: PacketBuffer): (PlanePolicy & Policy) | undefined {
    if (this.#stale) this.#join()
    // Every policy of this database is a PlanePolicy, or the database's copy of one with another action.
    return this.#key.read(packet)
      ? (this.#spd.lookup(direction, this.#key) as (PlanePolicy & Policy) | undefined)
      : undefined
  }

  #join(): void {
    this.#stale = false
    const ways = new Map([...this.#paths].map(([id, path]) => [id, new Way(path)]))
    for (const policy of this.#policies) {
      policy.ways.length = 0
      for (const id of policy.ids) {
        const way = ways.get(id)
        if (way !== undefined) policy.ways.push(way)
      }
    }
  }

  #drop(reason: string): undefined {
    this.drops.add(reason)
    return undefined
  }
}

function selectorOf(spec: PolicySpec): TrafficSelector {
  const { source, destination, protocol, sourcePorts, destinationPorts, icmpType, icmpCode } = spec
  const prefix = ({ address, length }: PolicySpec['source']): IpPrefix =>
    new IpPrefix(ipAddressFrom(address), length)
  return {
    source: prefix(source),
    destination: prefix(destination),
    ...(protocol === undefined ? {} : { protocol }),
    ...(sourcePorts === undefined ? {} : { sourcePorts }),
    ...(destinationPorts === undefined ? {} : { destinationPorts }),
    ...(icmpType === undefined ? {} : { icmpType }),
    ...(icmpCode === undefined ? {} : { icmpCode }),
  }
}

function wordsOf(address: Uint8Array): Int32Array {
  const words = new Int32Array(4)
  for (let i = 0; i < address.length; i += 4) words[i / 4] = readUint32(address, i)
  return words
}
