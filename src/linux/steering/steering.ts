/**
 * Steering: how packets that policies cover come to the interface whose data plane protects them. The kernel has no
 * IPsec here; it has routes, rules of routing (plan.ts) and nf_tables (guard.ts).
 *
 * All of it is removed by `close()`. What a killed process leaves stays as it is, closed: covered traffic has nowhere
 * to go, as it has not where the kernel's own policies outlive a daemon. The next `apply()` takes that over without a
 * gap; `clearLeftovers()` is for who applies nothing more.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type IpAddress, IpPrefix, Ipv4Address, Ipv6Address, WarrenError } from '../../base/index.js'
import type { PolicySpec } from '../../proto/machine.js'
import { Errno, systemError } from '../ffi.js'
import { RouteNetlink, type RouteSpec } from '../rtnetlink.js'
import { type CarrierPorts, Guard } from './guard.js'
import { orderPolicies } from './order.js'
import {
  END_PRIORITY,
  GENERATIONS,
  generationOf,
  generationOfTable,
  MARK_PRIORITY,
  planSteering,
  type SteeringPlan,
  type TablePlan,
} from './plan.js'
import { addRule, deleteRule, listRules, type RuleSpec, STEERING_PROTOCOL } from './rules.js'

const FAMILIES = [4, 6] as const
type Family = (typeof FAMILIES)[number]

/** The last that is asked: whatever else the table has comes first. */
const LAST_METRIC = 0xffff_ffff

const EVERYWHERE: Readonly<Record<Family, IpPrefix>> = {
  4: new IpPrefix(Ipv4Address.unspecified, 0),
  6: new IpPrefix(Ipv6Address.unspecified, 0),
}

/** SO_MARK of the sockets whose packets go past the policies; an unlikely number, since others have marks too. */
const STEERING_MARK = 0x5741_5252

/** How the kernel refuses a route to an interface that is down, gone, or has not this family. */
const NO_ROUTES: readonly string[] = [Errno.ENETDOWN, Errno.ENODEV, Errno.EINVAL].map(
  (errno) => systemError('', errno).code,
)

export interface SteeringOptions {
  /** The interface that leads into the tunnels: the kernel's number and name of it. */
  readonly interfaceIndex: number
  readonly interfaceName: string
  /** Lent: `close()` leaves it open. */
  readonly netlink: RouteNetlink
  /** One line for the administrator. */
  readonly log: (line: string) => void
  /** What the sockets of carriers have for SO_MARK; default `Steering.mark`. */
  readonly mark?: number
}

export class Steering {
  /** SO_MARK that every socket of a carrier must have. */
  static readonly mark: number = STEERING_MARK

  readonly #options: SteeringOptions
  readonly #mark: number
  readonly #guard: Guard
  readonly #said = new Set<string>()
  #closed = false

  constructor(options: SteeringOptions) {
    this.#options = options
    this.#mark = options.mark ?? STEERING_MARK
    this.#guard = new Guard({ interfaceIndex: options.interfaceIndex, mark: this.#mark }, options.log)
    this.#allowAnySource()
  }

  /**
   * Puts these policies in force, in the place of those that were. In no moment does a packet that both cover go in
   * clear. To be called again when a path begins or ceases to stand (`use` counts only while one does), when carriers
   * or the machine's addresses change.
   *
   * Throws `LINUX_*` where the kernel refuses, `STACK_POLICY`: then what was in force still is, and the guard may hold
   * the new policies already.
   */
  apply(
    policies: readonly PolicySpec[],
    standing: (pathId: string) => boolean,
    carriers: readonly CarrierPorts[],
  ): void {
    if (this.#closed) return
    const { netlink } = this.#options
    const ordered = orderPolicies(policies)
    if (ordered.length === 0) {
      removeAll(netlink)
      this.#guard.remove()
      return
    }
    this.#guard.replace(ordered, carriers)
    const old = FAMILIES.flatMap((family) => listRules(netlink.socket, family))
    const used = new Set(old.map(({ priority }) => generationOf(priority)))
    let generation = 0
    while (generation < GENERATIONS - 1 && used.has(generation)) generation++
    const own = ordered.some(({ spec }) => spec.family === 4 && spec.direction === 'out')
      ? this.#ownAddresses()
      : []
    const plan = planSteering(ordered, standing, own, generation)
    for (const remark of plan.remarks) this.#say(remark)
    this.#warnOfStrictFilters(plan)
    this.#install(plan, generation, old)
    removeRules(
      netlink,
      old.filter((rule) =>
        isShared(rule)
          ? !plan.families.has(rule.family) || (rule.mark ?? this.#mark) !== this.#mark
          : generationOf(rule.priority) !== generation,
      ),
    )
    removeTables(netlink, (table) => generationOfTable(table) !== generation)
  }

  /** What the guard has dropped: packets by reason, `guard.in` and `guard.out`. */
  drops(): Record<string, number> {
    return this.#guard.drops()
  }

  /** Removes all of it; covered traffic then goes where the routes say. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    try {
      removeAll(this.#options.netlink)
      this.#guard.remove()
    } finally {
      this.#guard.close()
    }
  }

  /**
   * Lets go and removes nothing: covered traffic has nowhere to go once the interface is gone. For who makes the
   * interface again (its `apply()` takes over without a gap), or ends because of a fault.
   */
  leave(): void {
    if (this.#closed) return
    this.#closed = true
    this.#guard.close()
  }

  /** Removes what a killed process has left. False: nothing was there. */
  static clearLeftovers(): boolean {
    const netlink = new RouteNetlink()
    const guard = new Guard({ interfaceIndex: 0, mark: 0 }, () => {})
    try {
      const found = FAMILIES.some((family) => listRules(netlink.socket, family).length > 0)
      removeAll(netlink)
      return guard.remove() || found
    } finally {
      netlink.close()
      guard.close()
    }
  }

  #install(plan: SteeringPlan, generation: number, old: readonly RuleSpec[]): void {
    const { netlink } = this.#options
    // Tables first: no rule leads into them yet.
    removeRules(
      netlink,
      old.filter(({ priority }) => generationOf(priority) === generation),
    )
    removeTables(netlink, (table) => generationOfTable(table) === generation)
    try {
      for (const table of plan.tables) this.#makeTable(table)
      for (const family of plan.families)
        for (const rule of sharedRules(family, this.#mark)) addRule(netlink.socket, rule)
      // In their order: whatever part of them stands, what it decides is what the whole will decide.
      for (const rule of plan.rules) addRule(netlink.socket, rule)
    } catch (error) {
      removeRules(netlink, plan.rules)
      removeTables(netlink, (table) => generationOfTable(table) === generation)
      throw error
    }
  }

  #makeTable({ family, table, closed, preferredSource }: TablePlan): void {
    const { netlink, interfaceIndex, interfaceName } = this.#options
    const common = { destination: EVERYWHERE[family], table, protocol: STEERING_PROTOCOL }
    if (closed) netlink.addRoute({ ...common, kind: 'blackhole', metric: LAST_METRIC })
    try {
      netlink.addRoute({
        ...common,
        interfaceIndex,
        ...(preferredSource === undefined ? {} : { preferredSource }),
      })
    } catch (error) {
      // An interface that is down or gone has no routes: then what must be protected is dropped.
      const code = error instanceof WarrenError ? error.code : ''
      if (!NO_ROUTES.includes(code)) throw error
      const what = closed ? 'require is dropped' : 'use goes in clear'
      this.#say(`${interfaceName} takes no packets of IPv${family} now (${code}): what policies of ${what}`)
    }
  }

  /** The first is preferred. Those of our own interface are for what has no other. */
  #ownAddresses(): IpAddress[] {
    const { netlink, interfaceIndex } = this.#options
    const all = netlink.addresses()
    const others = all.filter((one) => one.interfaceIndex !== interfaceIndex)
    const ours = all.filter((one) => one.interfaceIndex === interfaceIndex)
    return [...others, ...ours].map(({ address }) => address)
  }

  /**
   * What comes out of a tunnel is held against the policies, which say more than the route back: the kernel's check of
   * it would drop what arrives by policies that are not each other's mirror.
   */
  #allowAnySource(): void {
    const { interfaceName } = this.#options
    try {
      writeFileSync(`/proc/sys/net/ipv4/conf/${interfaceName}/rp_filter`, '0')
    } catch {
      this.#say(`could not set net.ipv4.conf.${interfaceName}.rp_filter to 0`)
    }
  }

  /** RFC 3704's strict mode asks for the route back, which policies may lead into the tunnel. */
  #warnOfStrictFilters({ rules }: SteeringPlan): void {
    if (!rules.some(({ family, action }) => family === 4 && action.kind === 'table')) return
    for (const name of strictInterfaces())
      this.#say(
        `net.ipv4.conf.${name}.rp_filter is 1 (strict): packets of hosts that policies cover, a peer of its own ` +
          `address among them, are dropped by the kernel; set it to 2`,
      )
  }

  /** Once each. */
  #say(line: string): void {
    if (this.#said.has(line)) return
    this.#said.add(line)
    this.#options.log(line)
  }
}

/** The rules that every generation has in common, in the order in which they are to come. */
function sharedRules(family: Family, mark: number): RuleSpec[] {
  return [
    { family, priority: END_PRIORITY, action: { kind: 'nop' } },
    { family, priority: MARK_PRIORITY, mark, action: { kind: 'goto', priority: END_PRIORITY } },
  ]
}

const isShared = ({ priority }: RuleSpec): boolean => priority === END_PRIORITY || priority === MARK_PRIORITY

/**
 * Removes them from the last to the first: what still stands decides as before, and a packet never meets a wider rule
 * in the place of the narrower one. What they have in common goes at the end.
 */
function removeRules(netlink: RouteNetlink, rules: readonly RuleSpec[]): void {
  const backwards = rules.filter((rule) => !isShared(rule)).sort((a, b) => a.priority - b.priority)
  const shared = rules.filter(isShared).sort((a, b) => b.priority - a.priority)
  for (const rule of [...shared, ...backwards].reverse()) deleteRule(netlink.socket, rule)
}

function removeTables(netlink: RouteNetlink, which: (table: number) => boolean): void {
  const isOurs = ({ table = 0 }: RouteSpec): boolean => generationOfTable(table) >= 0 && which(table)
  for (const family of FAMILIES)
    for (const route of netlink.routesOf(family, STEERING_PROTOCOL).filter(isOurs)) netlink.deleteRoute(route)
}

function removeAll(netlink: RouteNetlink): void {
  for (const family of FAMILIES) removeRules(netlink, listRules(netlink.socket, family))
  removeTables(netlink, () => true)
}

/** Names of interfaces (or `all`) that have a strict filter. */
function strictInterfaces(): string[] {
  const folder = '/proc/sys/net/ipv4/conf'
  try {
    return readdirSync(folder).filter(
      (name) =>
        name !== 'default' &&
        name !== 'lo' &&
        readFileSync(`${folder}/${name}/rp_filter`, 'utf8').trim() === '1',
    )
  } catch {
    return []
  }
}
