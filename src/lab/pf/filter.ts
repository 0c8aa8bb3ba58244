/**
 * The packet filter of one machine, as pf(4): a state first, then the rules, of which the last that matches decides
 * unless one says `quick`. What no rule matches passes.
 */
import { after, Counters, type Instant, type PacketBuffer, seconds } from '../../base/index.js'
import type { NetworkInterface } from '../../stack/index.js'
import { isNamed, Matcher, type PfSurroundings } from './match.js'
import { type PfPacket, readPacket } from './packet.js'
import { type Refusal, refusalOf } from './refusal.js'
import { emptyRuleset, type PfRule, type PfRuleset, type PfStatement } from './rules.js'
import { keyOf, lifetime, type PfState, reverseKeyOf, TIMEOUTS } from './states.js'

/** pf.conf's `set limit states`. A packet that would need one more is dropped, as in pf. */
export const PF_STATE_LIMIT = 100_000
const FRAGMENT_LIMIT = 2_000
/** Resets and unreachables that `block return` sends; a flood is not answered one for one. */
const REFUSALS_PER_SECOND = 100
const ANCHOR_LIMIT = 64
const ANCHOR_DEPTH = 8

export class PacketFilter {
  enabled = true
  /** Sends what `block return` says; what it sends is not filtered. */
  onRefusal?: (refusal: Refusal, now: Instant) => void
  enabledSince: Instant
  /** Called with the main rules when they change. */
  onLoad?: (ruleset: PfRuleset) => void
  readonly counters: Counters = new Counters()
  readonly #matcher: Matcher
  #main: PfRuleset = emptyRuleset
  readonly #anchors = new Map<string, PfRuleset>()
  /** Both directions of a connection lead to its state. */
  readonly #states = new Map<string, PfState>()
  #stateCount = 0
  /** The rule that blocked the packet in hand. */
  #blockedBy: PfRule | undefined
  #refusing = false
  #refusals = 0
  #refusalsUntil: Instant
  /** Verdicts on first fragments, for those that follow. */
  readonly #fragments = new Map<string, { pass: boolean; expires: Instant }>()

  constructor(around: PfSurroundings, now: Instant) {
    this.#matcher = new Matcher(around)
    this.enabledSince = now
    this.#refusalsUntil = now
  }

  get main(): PfRuleset {
    return this.#main
  }

  /** Names of the anchors that have rules loaded or are named by the main rules. */
  get anchors(): string[] {
    const named = this.#main.statements.flatMap((one) =>
      one.action === 'anchor' && one.name !== '' && !one.name.includes('*') ? [one.name] : [],
    )
    return [...new Set([...named, ...this.#anchors.keys()])].sort()
  }

  anchor(name: string): PfRuleset | undefined {
    return this.#anchors.get(name)
  }

  /** Replaces the main rules, or an anchor's; states stay. False: too many anchors. */
  load(ruleset: PfRuleset, anchor?: string): boolean {
    if (anchor === undefined) {
      this.#main = ruleset
      this.#matcher.tables = ruleset.tables
      this.onLoad?.(ruleset)
    } else {
      if (!this.#anchors.has(anchor) && this.#anchors.size >= ANCHOR_LIMIT) return false
      this.#anchors.set(anchor, ruleset)
    }
    return true
  }

  /** Takes the rules away; an anchor without rules is gone. */
  flushRules(anchor?: string): void {
    if (anchor === undefined) this.load({ ...emptyRuleset, skip: this.#main.skip })
    else this.#anchors.delete(anchor)
  }

  flushStates(): number {
    const count = this.#stateCount
    this.#states.clear()
    this.#stateCount = 0
    return count
  }

  states(now: Instant): PfState[] {
    this.#sweep(now)
    return [...new Set(this.#states.values())]
  }

  /** False: drop it. `start` and `end` of `packet` span the IP packet. */
  passes(direction: 'in' | 'out', ifc: NetworkInterface, packet: PacketBuffer, now: Instant): boolean {
    return this.passesBytes(direction, ifc, packet.bytes, packet.start, packet.end, now)
  }

  passesBytes(
    direction: 'in' | 'out',
    ifc: NetworkInterface,
    bytes: Uint8Array,
    start: number,
    end: number,
    now: Instant,
  ): boolean {
    if (!this.enabled || this.#refusing || this.#main.skip.some((name) => isNamed(ifc, name))) return true
    const read = readPacket(bytes, start, end)
    if (read === undefined) {
      this.counters.add('short')
      return false
    }
    const verdict = this.#decide(direction, ifc, read, now)
    this.counters.add(verdict ? 'pass' : 'block')
    const kind = this.#blockedBy?.blockReturn
    this.#blockedBy = undefined
    if (!verdict && direction === 'in' && kind !== undefined && kind !== 'drop')
      this.#refuse(refusalOf(kind, read, bytes, start, end), now)
    return verdict
  }

  #refuse(refusal: Refusal | undefined, now: Instant): void {
    if (refusal === undefined || this.onRefusal === undefined) return
    if (now >= this.#refusalsUntil) {
      this.#refusalsUntil = after(now, seconds(1))
      this.#refusals = 0
    }
    if (++this.#refusals > REFUSALS_PER_SECOND) {
      this.counters.add('refusal-limit')
      return
    }
    this.#refusing = true
    try {
      this.onRefusal(refusal, now)
    } finally {
      this.#refusing = false
    }
  }

  #decide(direction: 'in' | 'out', ifc: NetworkInterface, packet: PfPacket, now: Instant): boolean {
    const { fragmentId } = packet
    if (fragmentId !== undefined && packet.laterFragment) {
      const first = this.#fragments.get(fragmentId)
      if (first !== undefined && first.expires > now) return first.pass
    }
    const verdict = this.#hasState(packet, now) || this.#askRules(direction, ifc, packet, now)
    if (fragmentId !== undefined && !packet.laterFragment) {
      if (this.#fragments.size >= FRAGMENT_LIMIT) this.#fragments.clear()
      this.#fragments.set(fragmentId, { pass: verdict, expires: after(now, TIMEOUTS.fragment) })
    }
    return verdict
  }

  #hasState(packet: PfPacket, now: Instant): boolean {
    if (packet.laterFragment) return false
    // An error belongs to the connection that it quotes, whichever side of it is the error's sender.
    const about = packet.quoted ?? packet
    const key = keyOf(about)
    const state = this.#states.get(key)
    if (state === undefined) return false
    if (state.expires <= now) {
      this.#forget(state)
      return false
    }
    state.packets++
    state.bytes += packet.length
    state.rule.hits.packets++
    state.rule.hits.bytes += packet.length
    if (packet.quoted !== undefined) return true
    if (!packet.source.equals(state.source) || packet.sourcePort !== state.sourcePort) state.answered = true
    if ((packet.tcpFlags & 0x05) !== 0) state.closing = true
    state.expires = after(now, lifetime(state))
    return true
  }

  #askRules(direction: 'in' | 'out', ifc: NetworkInterface, packet: PfPacket, now: Instant): boolean {
    const decision: { rule?: PfRule } = {}
    this.#walk(this.#main.statements, '', direction, ifc, packet, decision, 0)
    const { rule } = decision
    if (rule === undefined) return true
    rule.hits.packets++
    rule.hits.bytes += packet.length
    if (rule.action === 'block') {
      this.#blockedBy = rule
      return false
    }
    if (
      !rule.keepState ||
      packet.laterFragment ||
      (packet.icmpType >= 0 && packet.sourcePort === 0 && packet.protocol === 58)
    )
      return true
    return this.#remember(direction, packet, rule, now)
  }

  /** True: a quick rule has decided. */
  #walk(
    statements: readonly PfStatement[],
    path: string,
    direction: 'in' | 'out',
    ifc: NetworkInterface,
    packet: PfPacket,
    decision: { rule?: PfRule },
    depth: number,
  ): boolean {
    for (const statement of statements) {
      if (statement.action !== 'anchor') statement.hits.evaluations++
      if (!this.#matcher.matches(statement, direction, ifc, packet)) continue
      if (statement.action !== 'anchor') {
        if (statement.action === 'match') continue
        decision.rule = statement
        if (statement.quick) return true
        continue
      }
      if (depth >= ANCHOR_DEPTH) continue
      const before = decision.rule
      for (const [name, inner] of this.#rulesetsOf(statement, path))
        if (this.#walk(inner, name, direction, ifc, packet, decision, depth + 1)) return true
      // pf.conf(5): an anchor marked quick ends the evaluation if a rule in it has matched.
      if (statement.quick && decision.rule !== before) return true
    }
    return false
  }

  #rulesetsOf(
    { name, inline }: { name: string; inline?: readonly PfStatement[] },
    path: string,
  ): [string, readonly PfStatement[]][] {
    const full = name.startsWith('/') ? name.slice(1) : path === '' ? name : `${path}/${name}`
    const found: [string, readonly PfStatement[]][] = inline === undefined ? [] : [[full, inline]]
    if (name === '') return found
    if (!full.endsWith('*')) {
      const loaded = this.#anchors.get(full)
      if (loaded !== undefined) found.push([full, loaded.statements])
      return found
    }
    const stem = full.slice(0, -1)
    const names = [...this.#anchors.keys()].filter(
      (one) => one.startsWith(stem) && !one.slice(stem.length).includes('/'),
    )
    for (const one of names.sort()) found.push([one, this.#anchors.get(one)?.statements ?? []])
    return found
  }

  #remember(direction: 'in' | 'out', packet: PfPacket, rule: PfRule, now: Instant): boolean {
    if (this.#stateCount >= PF_STATE_LIMIT) this.#sweep(now)
    if (this.#stateCount >= PF_STATE_LIMIT) {
      this.counters.add('state-limit')
      return false
    }
    const { protocol, source, sourcePort, destination, destinationPort } = packet
    const state: PfState = {
      protocol,
      source,
      sourcePort,
      destination,
      destinationPort,
      direction,
      rule,
      packets: 1,
      bytes: packet.length,
      answered: false,
      closing: false,
      expires: now,
    }
    state.expires = after(now, lifetime(state))
    this.#states.set(keyOf(packet), state)
    this.#states.set(reverseKeyOf(packet), state)
    this.#stateCount++
    return true
  }

  #forget(state: PfState): void {
    this.#states.delete(keyOf(state))
    this.#states.delete(reverseKeyOf(state))
    this.#stateCount--
  }

  #sweep(now: Instant): void {
    for (const state of new Set(this.#states.values())) if (state.expires <= now) this.#forget(state)
  }
}
