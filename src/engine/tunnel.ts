/** One machine bound to one host: the interface, the drain, the timer, the events. */
import { type Instant, type IpAddress, WarrenError } from '../base/index.js'
import { ManualSaMachine } from '../proto/esp/index.js'
import { Ike2Machine, type IkeEvent, type IkeNews } from '../proto/ikev2/index.js'
import type { Datagram, Machine, Output, PathSpec, PolicySpec } from '../proto/machine.js'
import type { TunnelEvent } from '../proto/tunnel-machine.js'
import { layerOf } from '../proto/tunnel-metadata.js'
import { AssignedAddresses } from './assigned.js'
import { createMachine, ipsecConfigOf, noPolicies, type TunnelDefinition } from './definition.js'
import type { Host, HostInterface, PathStatus } from './host.js'
import { type IkeStatus, ikeStatusOf } from './ike-status.js'
import { type IpsecStatus, ipsecStatusOf } from './ipsec-status.js'
import { networkOf, onHostNow, reachable } from './roaming.js'

/**
 * `stopped`: no interface. `idle`: an interface without tunnel addresses. `down`: paths stand, the peer's
 * keepalives are missing. `up`: carries.
 */
export type TunnelState = 'stopped' | 'idle' | 'down' | 'up'

/** The same facts that `warren status --json` prints. */
export interface TunnelStatus {
  readonly name: string
  readonly kind: string
  readonly state: TunnelState
  /** Why it is down, where the machine said so. */
  readonly reason?: string
  readonly local?: string
  readonly remote?: string
  readonly mtu: number
  readonly where?: string
  /** Microseconds of the host's clock when the state last changed. */
  readonly since?: Instant
  readonly paths: readonly PathStatus[]
  /** Of kind ipsec. */
  readonly ipsec?: IpsecStatus
  /** Of kind ikev2. */
  readonly ike?: IkeStatus
  /** All drops of all paths and what the machine refused, by reason. */
  readonly drops: Readonly<Record<string, number>>
}

/** IKE's own, and that of NAT traversal (RFC 7296 section 2.23). */
const IKE_PORTS = [500, 4500] as const

export interface TunnelOptions {
  readonly onEvent?: (event: TunnelEvent, now: Instant) => void
  /** Of kind ikev2: what IKE tells. */
  readonly onNews?: (news: IkeNews, now: Instant) => void
  /** What the host refused of what IKE wanted in the course of time. */
  readonly onRefused?: (error: WarrenError) => void
}

export class Tunnel {
  readonly host: Host
  readonly #options: TunnelOptions
  #definition: TunnelDefinition
  #interface: HostInterface | undefined
  #machine: Machine<IkeEvent> | undefined
  /** What closes the ports that IKE is heard on, by address. */
  readonly #ports = new Map<string, (() => void)[]>()
  /** What ends being told of changes of the host's addresses. */
  #unfollow: (() => void) | undefined
  /** The host's addresses that peers of IKE may be told of. */
  #reachable: readonly IpAddress[] = []
  /** What gateways have assigned to this host. */
  readonly #assigned: AssignedAddresses
  #starting = false
  #cancelTimer: (() => void) | undefined
  #timerAt: Instant | undefined
  #state: TunnelState = 'stopped'
  #reason: string | undefined
  #since: Instant | undefined
  /** Ids of the paths that stand. */
  readonly #installed = new Set<string>()

  constructor(host: Host, definition: TunnelDefinition, options: TunnelOptions = {}) {
    this.host = host
    this.#definition = definition
    this.#options = options
    this.#assigned = new AssignedAddresses(
      host,
      () => this.#interface,
      (error) => options.onRefused?.(error),
    )
  }

  get definition(): TunnelDefinition {
    return this.#definition
  }

  get state(): TunnelState {
    return this.#state
  }

  /** The interface on the host, while started. */
  get interface(): HostInterface | undefined {
    return this.#interface
  }

  /** The machine of kind ikev2, while started. */
  get ike(): Ike2Machine | undefined {
    return this.#machine instanceof Ike2Machine ? this.#machine : undefined
  }

  /** Makes the interface and starts the machine. If anything is refused, nothing stays. */
  start(): void {
    if (this.#interface !== undefined) return
    const { name, kind, mtu, mac, addresses, routes, description, up } = this.#definition
    // Before anything is made on the host: a definition that no machine takes changes nothing.
    const machine = this.#createMachine(this.#definition)
    this.#interface = this.host.createInterface({
      name,
      layer: layerOf(kind),
      mtu,
      addresses,
      routes,
      up,
      ...(mac === undefined ? {} : { mac }),
      ...(description === undefined ? {} : { description }),
    })
    try {
      this.#run(machine)
    } catch (error) {
      this.#interface.destroy()
      this.#interface = undefined
      this.#enter('stopped')
      throw error
    }
  }

  /** Says goodbye where the protocol has one and removes all that was made. */
  stop(): void {
    if (this.#interface === undefined) return
    this.#halt()
    this.#interface.destroy()
    this.#interface = undefined
    this.#enter('stopped')
  }

  /**
   * Another tunnel behind the same interface (`ifconfig gif0 tunnel …`, `-tunnel`, `vnetid`): the old paths go, the
   * new ones come. Interface, addresses and routes stay as the host has them. If machine or host refuse the
   * definition, the old one goes on. SAs that are in both definitions are not touched.
   */
  reconfigure(definition: TunnelDefinition): void {
    if (this.#machine instanceof ManualSaMachine && definition.ipsec !== undefined) {
      this.#exchangeSas(this.#machine, definition)
      return
    }
    if (this.#machine instanceof Ike2Machine && definition.ike !== undefined) {
      this.#reloadIke(this.#machine, definition)
      return
    }
    const machine = this.#createMachine(definition)
    const before = this.#definition
    this.#definition = definition
    if (this.#interface === undefined) return
    this.#halt()
    try {
      this.#run(machine)
    } catch (error) {
      this.#definition = before
      this.#run(this.#createMachine(before))
      throw error
    }
  }

  #createMachine(definition: TunnelDefinition): Machine<IkeEvent> | undefined {
    return createMachine(definition, this.host, () => this.#reachable)
  }

  /** Ports first: if one is refused, all is as it was. */
  #reloadIke(machine: Ike2Machine, definition: TunnelDefinition): void {
    const { policies, credentials, addresses } = definition.ike!
    const before = this.#definition
    this.#hearOn([...addresses, ...placesOf(machine)])
    if (definition.mtu !== before.mtu) this.#interface?.setMtu?.(definition.mtu)
    this.#definition = definition
    const now = this.host.now()
    machine.reload(policies, credentials, now)
    this.#drain(now)
  }

  #exchangeSas(machine: ManualSaMachine, definition: TunnelDefinition): void {
    const before = this.#definition
    const old = machine.config
    const config = ipsecConfigOf(definition.ipsec!, this.host)
    const now = this.host.now()
    this.#definition = definition
    try {
      if (definition.mtu !== before.mtu) this.#interface?.setMtu?.(definition.mtu)
      machine.reconfigure(config, now)
      this.#drain(now)
    } catch (error) {
      this.#definition = before
      // What it still wanted is of no use: it is asked for the old state as a whole.
      while (machine.poll() !== undefined);
      if (definition.mtu !== before.mtu) this.#interface?.setMtu?.(before.mtu)
      machine.reconfigure(old, now)
      this.#drain(now)
      throw error
    }
  }

  status(): TunnelStatus {
    const { name, kind, outer, ipsec, mtu, where } = this.#definition
    const machine = this.#machine instanceof ManualSaMachine ? this.#machine : undefined
    const paths = this.#interface?.status() ?? []
    const drops: Record<string, number> = {}
    const add = (counts: Readonly<Record<string, number>>): void => {
      for (const [reason, count] of Object.entries(counts)) drops[reason] = (drops[reason] ?? 0) + count
    }
    for (const { inbound, outbound } of paths) {
      add(inbound.drops)
      add(outbound.drops)
    }
    add(this.#interface?.drops?.() ?? {})
    if (this.#machine !== undefined) add(this.#machine.counters.toJSON())
    return {
      name,
      kind,
      state: this.#state,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      ...(outer === undefined ? {} : { local: `${outer.local}`, remote: `${outer.remote}` }),
      mtu,
      ...(where === undefined ? {} : { where }),
      ...(this.#since === undefined ? {} : { since: this.#since }),
      paths,
      ...(ipsec === undefined ? {} : { ipsec: ipsecStatusOf(ipsec, machine, paths, this.host.now()) }),
      ...(this.ike === undefined ? {} : { ike: ikeStatusOf(this.ike, paths, this.host.now()) }),
      drops,
    }
  }

  #run(machine: Machine<IkeEvent> | undefined): void {
    this.#machine = machine
    if (machine === undefined) {
      this.#enter('idle')
      return
    }
    const now = this.host.now()
    this.#starting = true
    try {
      const { ike } = this.#definition
      if (ike !== undefined) {
        this.#hearOn(ike.addresses)
        this.#reachable = reachable(this.host)
        this.#unfollow = this.host.onNetworkChange?.(() => this.#follow())
        this.#enter('down', 'no peer')
      }
      // Of several calls at once the first one's timer serves all.
      machine.onWake = () => {
        if (machine === this.#machine) this.#keepTime(machine.nextTimeout())
      }
      machine.start(now)
      this.#drain(now)
      // Its policies are in force, whether a peer is there or not.
      if (ike !== undefined) this.#interface?.setRunning?.(true)
    } catch (error) {
      // The host refused a path (no such address, no permission): no half of a tunnel stays.
      this.#forgetTimer()
      this.#unfollow?.()
      this.#machine = undefined
      for (const id of this.#installed) this.#interface?.remove(id)
      this.#installed.clear()
      this.#hearOn([])
      this.#enter('idle')
      throw error
    } finally {
      this.#starting = false
    }
  }

  /** The host's addresses or routes have changed: what can go on does so from where the host is now. */
  #follow(): void {
    const { ike: machine, host } = this
    const { ike } = this.#definition
    if (machine === undefined || ike === undefined) return
    const before = this.#reachable.map(String).sort().join()
    this.#reachable = reachable(host)
    const next = onHostNow(ike, host)
    this.#definition = { ...this.#definition, ike: next }
    const network = networkOf(host)
    const targets = machine.sessions().flatMap((session) => network.placeFor(session) ?? [])
    this.#hearAlso([...next.addresses, ...targets].filter(network.isOurs))
    const now = host.now()
    const isNew = next !== ike || before !== this.#reachable.map(String).sort().join()
    machine.roam(network, isNew ? next.policies : undefined, now)
    this.#drain(now)
    const needed = [...next.addresses, ...placesOf(machine)]
    this.#hearOn(needed.filter((address) => this.#ports.has(`${address}`)))
  }

  /** What the host refuses is told: an address may be gone again already. */
  #hearAlso(addresses: readonly IpAddress[]): void {
    for (const address of addresses) {
      try {
        this.#listen(address)
      } catch (error) {
        if (!(error instanceof WarrenError)) throw error
        this.#options.onRefused?.(error)
      }
    }
  }

  /** IKE's two ports on these addresses, and on no others. */
  #hearOn(addresses: readonly IpAddress[]): void {
    const wanted = new Map(addresses.map((address) => [`${address}`, address]))
    const opened: string[] = []
    try {
      for (const [key, address] of wanted) {
        if (this.#ports.has(key)) continue
        this.#listen(address)
        opened.push(key)
      }
    } catch (error) {
      for (const key of opened) this.#deafen(key)
      throw error
    }
    for (const key of [...this.#ports.keys()]) if (!wanted.has(key)) this.#deafen(key)
  }

  /** If one of the two is refused, neither stays. */
  #listen(address: IpAddress): void {
    const key = `${address}`
    if (this.#ports.has(key)) return
    const closers: (() => void)[] = []
    this.#ports.set(key, closers)
    try {
      for (const port of IKE_PORTS)
        closers.push(this.host.openPort!(address, port, (datagram) => this.#receive(datagram)))
    } catch (error) {
      this.#deafen(key)
      throw error
    }
  }

  #deafen(key: string): void {
    for (const close of this.#ports.get(key) ?? []) close()
    this.#ports.delete(key)
  }

  #halt(): void {
    const now = this.host.now()
    this.#unfollow?.()
    this.#machine?.stop(now)
    this.#drain(now)
    this.#assigned.clear()
    this.#forgetTimer()
    this.#machine = undefined
    this.#hearOn([])
  }

  #receive(datagram: Datagram): void {
    const now = this.host.now()
    this.#machine?.receive(datagram, now)
    this.#drain(now)
  }

  /** The drain rule: after every call of the machine. */
  #drain(now: Instant): void {
    const machine = this.#machine
    if (machine === undefined) return
    for (let output = machine.poll(); output !== undefined; output = machine.poll())
      this.#carryOut(output, now)
    // An owner that heard an event may have put another machine in its place.
    if (machine === this.#machine) this.#keepTime(machine.nextTimeout())
  }

  #carryOut(output: Output<IkeEvent>, now: Instant): void {
    switch (output.kind) {
      case 'transmit':
        this.host.transmit(output.datagram)
        break
      case 'deliver':
        this.#interface?.deliver(output.packet)
        break
      case 'install':
        this.#load(() => this.#install(output.path))
        break
      case 'policies':
        this.#load(() => this.#setPolicies(output.policies))
        break
      case 'remove':
        if (this.#installed.delete(output.pathId)) this.#interface?.remove(output.pathId)
        break
      case 'event':
        this.#hear(output.event, now)
        break
    }
  }

  /** What a peer has negotiated may be refused by the host: that is told, and ends nothing else. */
  #load(work: () => void): void {
    const { ike } = this.#definition
    if (ike?.decoupled === true) return
    try {
      work()
    } catch (error) {
      if (ike === undefined || this.#starting || !(error instanceof WarrenError)) throw error
      this.#options.onRefused?.(error)
    }
  }

  #install(path: PathSpec): void {
    this.#interface?.install(
      path,
      (datagram) => this.#receive(datagram),
      (lifetime) => {
        const now = this.host.now()
        this.#machine?.reached?.(path.id, lifetime, now)
        this.#drain(now)
      },
    )
    this.#installed.add(path.id)
  }

  #setPolicies(policies: readonly PolicySpec[]): void {
    const made = this.#interface
    if (made === undefined) return
    if (made.setPolicies === undefined) throw noPolicies(`${this.host.name}: ${made.name}`)
    made.setPolicies(policies)
  }

  #hear(event: IkeEvent, now: Instant): void {
    if (event.name === 'news') {
      const { news } = event
      if (news.kind === 'assigned' && this.#definition.ike?.decoupled !== true) this.#assigned.hear(news)
      this.#options.onNews?.(news, now)
      return
    }
    if (event.name !== 'lifetime') {
      this.#enter(event.name, event.name === 'down' ? event.reason : undefined)
      // Of IKE there may be several peers, and one that is away leaves its policies closed.
      if (this.#definition.ike === undefined) this.#interface?.setRunning?.(event.name === 'up')
    }
    this.#options.onEvent?.(event, now)
  }

  #enter(state: TunnelState, reason?: string): void {
    if (state !== this.#state) this.#since = this.host.now()
    this.#state = state
    this.#reason = reason
  }

  #keepTime(at: Instant | undefined): void {
    if (at === this.#timerAt) return
    this.#forgetTimer()
    if (at === undefined) return
    this.#timerAt = at
    this.#cancelTimer = this.host.schedule(at, (now) => {
      this.#timerAt = undefined
      this.#cancelTimer = undefined
      this.#machine?.timeout(now)
      this.#drain(now)
    })
  }

  #forgetTimer(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.#timerAt = undefined
  }
}

/** Where SAs are. */
const placesOf = (machine: Ike2Machine): IpAddress[] => machine.sessions().map(({ local }) => local.address)
