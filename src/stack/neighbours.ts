/**
 * The neighbour cache that ARP and neighbour discovery share: who on a link has which link-layer address.
 *
 * Strangers can make us look for and hear of any number of addresses, so the table, those that wait for an answer,
 * and the packets that wait with them are bounded; what goes first when the table is full is what nobody has used.
 */
import {
  after,
  type Duration,
  type Instant,
  type IpAddress,
  MacAddress,
  type PacketBuffer,
  type QueuedTimer,
  seconds,
} from '../base/index.js'
import type { Core } from './core.js'
import { addressKey, copyPacket } from './headers.js'
import type { NetworkInterface } from './interface.js'
import type { Neighbour, NeighbourState } from './types.js'

export interface NeighbourRules {
  /** Names the counters: `arp` or `nd`. */
  readonly name: 'arp' | 'nd'
  /** Solicitations before the neighbour counts as failed, one a second. */
  readonly tries: number
  /** How long an address stays reachable without further proof. */
  readonly reachable: Duration
  /** Afterwards it is stale and is asked again when used (RFC 4861 section 7.3); else it is forgotten. */
  readonly staleAfter: boolean
  /** How long no new attempt is made after a failure. */
  readonly down: Duration
  /** Asks for the address: everybody, or (a probe) the one that had it. */
  solicit(ifc: NetworkInterface, target: IpAddress, mac: MacAddress | undefined, now: Instant): void
  /** Puts a held packet into its frame. */
  transmit(ifc: NetworkInterface, packet: PacketBuffer, mac: MacAddress, now: Instant): void
  /** A forwarded packet could not be delivered. */
  unreachable(ifc: NetworkInterface, packet: PacketBuffer, now: Instant): void
}

/** RFC 4861 section 10: DELAY_FIRST_PROBE_TIME, RETRANS_TIMER, MAX_UNICAST_SOLICIT. */
const DELAY_FIRST_PROBE = seconds(5)
const RETRANS = seconds(1)
const MAX_UNICAST_SOLICIT = 3
/** A stale entry that nobody uses goes after a day (OpenBSD's nd6_gctimer). */
const GARBAGE = seconds(86_400)

interface Held {
  readonly packet: PacketBuffer
  readonly forwarded: boolean
}

class Entry {
  readonly key: string
  readonly ifc: NetworkInterface
  readonly address: IpAddress
  state: NeighbourState = 'incomplete'
  mac: MacAddress | undefined
  router = false
  /** Solicitations sent in this state. */
  asked = 0
  hold: Held[] = []
  timer: QueuedTimer | undefined
  /** We sent something to it: it is not there because a stranger said so. */
  used = false

  constructor(key: string, ifc: NetworkInterface, address: IpAddress) {
    this.key = key
    this.ifc = ifc
    this.address = address
  }
}

export class NeighbourCache {
  readonly #core: Core
  readonly #rules: NeighbourRules
  /** The least recently used first. */
  readonly #entries = new Map<string, Entry>()
  #incomplete = 0
  #held = 0

  constructor(core: Core, rules: NeighbourRules) {
    this.#core = core
    this.#rules = rules
  }

  /**
   * The link-layer address of `address`; or `held`: the packet was copied and goes when the answer comes; or `down`:
   * it did not answer lately.
   */
  resolve(
    ifc: NetworkInterface,
    address: IpAddress,
    packet: PacketBuffer,
    forwarded: boolean,
    now: Instant,
  ): Uint8Array | 'held' | 'down' {
    const key = keyOf(ifc, address)
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = this.#create(key, ifc, address)
      entry.used = true
      this.#hold(entry, packet, forwarded)
      this.#ask(entry, now)
      return 'held'
    }
    entry.used = true
    if (entry.state === 'failed') {
      this.#count('down')
      if (forwarded) this.#rules.unreachable(ifc, packet, now)
      return 'down'
    }
    if (entry.mac === undefined) {
      this.#hold(entry, packet, forwarded)
      return 'held'
    }
    if (entry.state === 'stale') {
      // RFC 4861 section 7.3.3: use it, and see after a while whether something proved it right.
      entry.state = 'delay'
      entry.asked = 0
      this.#arm(entry, DELAY_FIRST_PROBE, now)
    }
    return entry.mac.bytes
  }

  /** The entry's state as far as it is known, for the protocols' rules. */
  find(
    ifc: NetworkInterface,
    address: IpAddress,
  ): { state: NeighbourState; mac: MacAddress | undefined } | undefined {
    return this.#entries.get(keyOf(ifc, address))
  }

  /**
   * A neighbour named its address. `state` is what that proves; `create` is for those who asked us something (what
   * nobody asked for never makes an entry). `override` false leaves another address that is already known.
   */
  learn(
    ifc: NetworkInterface,
    address: IpAddress,
    macBytes: Uint8Array,
    how: { state: 'reachable' | 'stale'; create: boolean; override: boolean; router?: boolean },
    now: Instant,
  ): void {
    const key = keyOf(ifc, address)
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      if (!how.create) {
        this.#count('unasked')
        return
      }
      entry = this.#create(key, ifc, address)
    }
    if (entry.state === 'permanent') {
      if (!sameMac(entry.mac, macBytes)) this.#count('permanentKept')
      return
    }
    if (how.router !== undefined) entry.router = how.router
    const known = entry.mac
    if (known !== undefined && !sameMac(known, macBytes)) {
      if (!how.override) {
        // RFC 4861 section 7.2.5: doubt it, but keep it.
        if (entry.state === 'reachable') this.#become(entry, 'stale', now)
        return
      }
      this.#count('overwritten')
    } else if (known !== undefined && how.state === 'stale') {
      return // nothing new, and no proof of a way there and back
    }
    if (!sameMac(known, macBytes)) entry.mac = new MacAddress(macBytes.slice())
    this.#become(entry, how.state, now)
    this.#release(entry, now)
  }

  /** A permanent entry (`arp -s`). */
  set(ifc: NetworkInterface, address: IpAddress, mac: MacAddress, now: Instant): void {
    const key = keyOf(ifc, address)
    const entry = this.#entries.get(key) ?? this.#create(key, ifc, address)
    entry.mac = mac
    this.#setState(entry, 'permanent')
    entry.timer?.cancel()
    entry.timer = undefined
    this.#release(entry, now)
  }

  /** Forgets an address on every interface; false if none had it. */
  remove(address: IpAddress): boolean {
    return this.#removeWhere((entry) => entry.address.equals(address))
  }

  /** Forgets all that was known on an interface. */
  removeInterface(ifc: NetworkInterface): void {
    this.#removeWhere((entry) => entry.ifc === ifc)
  }

  list(): Neighbour[] {
    return [...this.#entries.values()].map((entry) => ({
      address: entry.address,
      ...(entry.mac === undefined ? {} : { mac: entry.mac }),
      interface: entry.ifc,
      state: entry.state,
      ...(entry.timer === undefined ? {} : { expires: entry.timer.at }),
      local: false,
      router: entry.router,
    }))
  }

  #removeWhere(goes: (entry: Entry) => boolean): boolean {
    let any = false
    for (const entry of [...this.#entries.values()]) {
      if (!goes(entry)) continue
      this.#delete(entry)
      any = true
    }
    return any
  }

  #create(key: string, ifc: NetworkInterface, address: IpAddress): Entry {
    if (this.#entries.size >= this.#core.limits.neighbours) this.#evict()
    if (this.#incomplete >= this.#core.limits.neighboursIncomplete) {
      for (const other of this.#entries.values()) {
        if (other.state !== 'incomplete') continue
        this.#count('incompleteFull')
        this.#delete(other)
        break
      }
    }
    const entry = new Entry(key, ifc, address)
    this.#entries.set(key, entry)
    this.#incomplete++
    return entry
  }

  /** Makes room for one: first what has no address, then what we never used, then the oldest. */
  #evict(): void {
    let victim: Entry | undefined
    let worth = Number.POSITIVE_INFINITY
    for (const entry of this.#entries.values()) {
      if (entry.state === 'permanent') continue
      const value = entry.mac === undefined ? 0 : entry.used ? 2 : 1
      if (value < worth) {
        victim = entry
        worth = value
      }
      if (worth === 0) break
    }
    this.#count('full')
    if (victim !== undefined) this.#delete(victim)
  }

  #delete(entry: Entry): void {
    entry.timer?.cancel()
    entry.timer = undefined
    this.#held -= entry.hold.length
    entry.hold = []
    if (entry.state === 'incomplete') this.#incomplete--
    this.#entries.delete(entry.key)
  }

  #hold(entry: Entry, packet: PacketBuffer, forwarded: boolean): void {
    if (entry.hold.length >= this.#core.limits.neighbourHold) {
      // The newest is worth most (RFC 4861 section 7.2.2).
      entry.hold.shift()
      this.#held--
      this.#count('holdFull')
    } else if (this.#held >= this.#core.limits.neighbourHoldTotal) {
      this.#count('holdFull')
      return
    }
    entry.hold.push({ packet: copyPacket(packet), forwarded })
    this.#held++
  }

  #release(entry: Entry, now: Instant): void {
    const held = entry.hold
    entry.hold = []
    this.#held -= held.length
    for (const { packet } of held)
      if (entry.mac !== undefined) this.#rules.transmit(entry.ifc, packet, entry.mac, now)
  }

  #become(entry: Entry, state: 'reachable' | 'stale', now: Instant): void {
    this.#setState(entry, state)
    entry.asked = 0
    if (this.#entries.delete(entry.key)) this.#entries.set(entry.key, entry)
    this.#arm(entry, state === 'reachable' ? this.#rules.reachable : GARBAGE, now)
  }

  #setState(entry: Entry, state: NeighbourState): void {
    if (entry.state === 'incomplete' && state !== 'incomplete') this.#incomplete--
    if (entry.state !== 'incomplete' && state === 'incomplete') this.#incomplete++
    entry.state = state
  }

  #arm(entry: Entry, span: Duration, now: Instant): void {
    entry.timer?.cancel()
    entry.timer = this.#core.timers.schedule(after(now, span), (then) => this.#due(entry, then))
  }

  #ask(entry: Entry, now: Instant): void {
    entry.asked++
    this.#arm(entry, RETRANS, now)
    this.#rules.solicit(entry.ifc, entry.address, entry.state === 'probe' ? entry.mac : undefined, now)
  }

  /** The entry's timer: what comes next depends on the state it is in. */
  #due(entry: Entry, now: Instant): void {
    entry.timer = undefined
    switch (entry.state) {
      case 'incomplete':
        if (entry.asked < this.#rules.tries) this.#ask(entry, now)
        else this.#fail(entry, now)
        return
      case 'reachable':
        if (this.#rules.staleAfter) this.#become(entry, 'stale', now)
        else this.#delete(entry)
        return
      case 'delay':
        entry.state = 'probe'
        this.#ask(entry, now)
        return
      case 'probe':
        if (entry.asked < MAX_UNICAST_SOLICIT) this.#ask(entry, now)
        else this.#delete(entry)
        return
      default:
        this.#delete(entry)
    }
  }

  #fail(entry: Entry, now: Instant): void {
    this.#count('noAnswer')
    this.#setState(entry, 'failed')
    this.#arm(entry, this.#rules.down, now)
    const held = entry.hold
    entry.hold = []
    this.#held -= held.length
    for (const { packet, forwarded } of held) if (forwarded) this.#rules.unreachable(entry.ifc, packet, now)
  }

  #count(what: string): void {
    this.#core.counters.add(`${this.#rules.name}.${what}`)
  }
}

const keyOf = (ifc: NetworkInterface, address: IpAddress): string => `${ifc.index} ${addressKey(address)}`

const sameMac = (known: MacAddress | undefined, bytes: Uint8Array): boolean =>
  known?.bytes.every((byte, i) => byte === bytes[i]) === true
