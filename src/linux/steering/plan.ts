/**
 * From policies to rules of routing and the tables that they lead into. Pure: what it returns is put in force by
 * Steering.
 *
 * Linux asks its rules in the order of their priority, and the first table with a route for the packet decides:
 *
 *     0       local                        the kernel's own: what is for this machine
 *     5099    fwmark MARK goto END         what our own sockets send outside
 *     5100 …  a policy each, the narrower first
 *               require, use   lookup a table of ours: `default dev enc0`
 *               bypass         goto END
 *               deny           blackhole
 *     END     nop                          behind it what was there before
 *     32766   main
 *
 * A `require` table has `blackhole default metric 4294967295` beneath: when the interface is gone, so is the traffic. A
 * `use` rule is followed by a `goto END`, which counts when its table is empty.
 *
 * A packet whose source is not chosen yet must meet the policy that it will fall under. IPv4 asks with source 0.0.0.0:
 * where one of this machine's addresses lies in the policy's source prefix, a second rule for that source leads into a
 * table whose route names the address (RTA_PREFSRC). IPv6 has FIB_RULE_FIND_SADDR for it.
 *
 * Rules stand in one of three generations, each with priorities and tables of its own, so that a new set is complete
 * before the old one goes (and one is free when a process was killed in between).
 */
import { type IpAddress, IpPrefix, Ipv4Address } from '../../base/index.js'
import type { PolicySpec } from '../../proto/machine.js'
import { POLICY_LIMIT } from '../../stack/spd.js'
import type { OrderedPolicy } from './order.js'
import type { RuleAction, RuleSpec } from './rules.js'

/** Rule for what our own sockets send. */
export const MARK_PRIORITY = 5099
/** First priority of generation 0. */
export const POLICY_PRIORITY = 5100
/** Priorities of a generation. */
export const GENERATION_SIZE: number = POLICY_LIMIT
export const GENERATIONS = 3
/** Where rules go to that leave a packet alone. */
export const END_PRIORITY: number = POLICY_PRIORITY + GENERATIONS * GENERATION_SIZE
/** First table of generation 0; the others follow at the distance of the priorities. */
export const TABLE_BASE = 5100

/** First priority of a generation. */
export const firstPriority = (generation: number): number => POLICY_PRIORITY + generation * GENERATION_SIZE

/** The generation that a rule of this priority is of; -1: one of those that all share. */
export function generationOf(priority: number): number {
  if (priority < POLICY_PRIORITY || priority >= END_PRIORITY) return -1
  return Math.floor((priority - POLICY_PRIORITY) / GENERATION_SIZE)
}

/** The generation that a table is of; -1: none. */
export function generationOfTable(table: number): number {
  const generation = Math.floor((table - TABLE_BASE) / GENERATION_SIZE)
  return generation >= 0 && generation < GENERATIONS ? generation : -1
}

/** A table to make: a default route to the interface. */
export interface TablePlan {
  readonly family: 4 | 6
  readonly table: number
  /** With a blackhole beneath. */
  readonly closed: boolean
  readonly preferredSource?: IpAddress
}

export interface SteeringPlan {
  readonly tables: readonly TablePlan[]
  /** In their order, without the rules that all generations share. */
  readonly rules: readonly RuleSpec[]
  readonly families: ReadonlySet<4 | 6>
  /** What the rules cannot say exactly: one line each. */
  readonly remarks: readonly string[]
}

const UNCHOSEN = new IpPrefix(Ipv4Address.unspecified, 32)

const UNROUTABLE_PORT =
  'routing knows neither port 0 nor port 65535: what is for such a port is not protected'

/** ICMP types are unknown to the rules of routing: all of ICMP goes the way of `require`, and none that of the others. */
function remarkOnIcmp({ icmpType, action }: PolicySpec): string | undefined {
  if (icmpType === undefined || action === 'deny') return undefined
  return action === 'require'
    ? 'routing knows no ICMP types: other ICMP between these addresses is dropped'
    : `routing knows no ICMP types: ${action} has no effect where a wider policy counts`
}

/** `policies` in their order, those of the other direction among them. `own`: the addresses of this machine. */
export function planSteering(
  policies: readonly OrderedPolicy[],
  standing: (pathId: string) => boolean,
  own: readonly IpAddress[],
  generation: number,
): SteeringPlan {
  const tables = new Map<string, TablePlan>()
  const rules: RuleSpec[] = []
  const families = new Set<4 | 6>()
  const remarks: string[] = []

  const tableFor = (family: 4 | 6, closed: boolean, preferredSource?: IpAddress): RuleAction => {
    const key = `${family} ${closed} ${preferredSource ?? ''}`
    let plan = tables.get(key)
    if (plan === undefined) {
      plan = {
        family,
        table: TABLE_BASE + generation * GENERATION_SIZE + tables.size,
        closed,
        ...(preferredSource === undefined ? {} : { preferredSource }),
      }
      tables.set(key, plan)
    }
    return { kind: 'table', table: plan.table }
  }

  const next: Record<4 | 6, number> = { 4: firstPriority(generation), 6: firstPriority(generation) }
  for (const { spec, source, destination } of policies) {
    if (spec.direction !== 'out') continue
    const { family } = spec
    const protect = spec.action === 'require' || (spec.action === 'use' && spec.paths.some(standing))
    const ports = portsOf(spec)
    const remark = ports === undefined ? UNROUTABLE_PORT : remarkOnIcmp(spec)
    if (remark !== undefined) remarks.push(`${spec.where ?? 'policy'}: ${remark}`)
    // Left to the guard, which sees ports and types.
    if (ports === undefined || (spec.icmpType !== undefined && spec.action !== 'require')) continue
    families.add(family)
    const priority = next[family]++
    const selector = {
      family,
      priority,
      ...(destination.length === 0 ? {} : { destination }),
      ...(spec.protocol === undefined ? {} : { protocol: spec.protocol }),
      ...ports,
    }
    /** What becomes of a packet; several rules where the first may find nothing. */
    const actionsWith = (preferredSource?: IpAddress): RuleAction[] => {
      const past: RuleAction = { kind: 'goto', priority: END_PRIORITY }
      if (spec.action === 'deny') return [{ kind: 'blackhole' }]
      if (!protect) return [past]
      const closed = spec.action === 'require'
      const into = tableFor(family, closed, preferredSource)
      return closed ? [into] : [into, past]
    }
    const named = source.length === 0 ? {} : { source }
    const findSource = family === 6 && source.length > 0 ? { findSource: true } : {}
    for (const action of actionsWith()) rules.push({ ...selector, ...named, ...findSource, action })
    if (family === 6 || source.length === 0) continue
    const inside = own.find((address) => source.contains(address))
    if (inside !== undefined)
      for (const action of actionsWith(inside)) rules.push({ ...selector, source: UNCHOSEN, action })
  }
  return { tables: [...tables.values()], rules, families, remarks }
}

/** The ports as the kernel takes them, 1 to 65534; `undefined`: it takes none of these. */
function portsOf({
  sourcePorts,
  destinationPorts,
}: PolicySpec): Pick<RuleSpec, 'sourcePorts' | 'destinationPorts'> | undefined {
  const from = cut(sourcePorts)
  const to = cut(destinationPorts)
  if (from === 'none' || to === 'none') return undefined
  return {
    ...(from === undefined ? {} : { sourcePorts: from }),
    ...(to === undefined ? {} : { destinationPorts: to }),
  }
}

function cut(range: PolicySpec['sourcePorts']): { first: number; last: number } | undefined | 'none' {
  if (range === undefined || (range.first === 0 && range.last === 0xffff)) return undefined
  const first = Math.max(range.first, 1)
  const last = Math.min(range.last, 0xfffe)
  return first > last ? 'none' : { first, last }
}
