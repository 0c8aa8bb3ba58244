/**
 * The policies of one interface as the kernel is to know them: steering, kept in step with the paths that stand and the
 * carriers that must reach us in clear.
 */
import type { Carrier, PolicySpec } from '../proto/machine.js'
import { IpProtocol } from '../wire/numbers.js'
import type { RouteNetlink } from './rtnetlink.js'
import { type CarrierPorts, Steering, type SteeringOptions } from './steering/index.js'
import { listRules } from './steering/rules.js'

/** What the gate asks of steering. */
type Steers = Pick<Steering, 'apply' | 'drops' | 'leave' | 'close'>

export class PolicyGate {
  /** SO_MARK of carriers' sockets: what they send is not steered. */
  readonly mark: number = Steering.mark
  readonly #steering: Steers
  readonly #standing = new Map<string, Carrier>()
  #policies: readonly PolicySpec[] = []
  /** Whether the interface is up, and the machine's addresses, as text. */
  #network = ''
  /** Where anybody may speak to us in clear. */
  #ports: readonly CarrierPorts[] = []
  /** What stands; undefined: nothing yet. */
  #applied: string | undefined
  #following = false
  #ended = false
  readonly #log: (line: string) => void
  /** What a killed process left was in force before, and nothing has taken its place that works. */
  #holds: boolean

  /** Throws `LINUX_*` where the kernel refuses. */
  constructor(
    options: SteeringOptions,
    steering: Steers = new Steering(options),
    leftovers: boolean = hasLeftovers(options.netlink),
  ) {
    this.#log = options.log
    this.#steering = steering
    this.#holds = leftovers
  }

  /** What is in force. */
  get policies(): readonly PolicySpec[] {
    return this.#policies
  }

  /** Its tunnel is up: from now on it is the administrator's word that ends the policies. */
  confirm(): void {
    this.#holds = false
  }

  /** Throws `LINUX_*` where the kernel refuses; then what was in force still is. */
  replace(policies: readonly PolicySpec[]): void {
    const before = this.#policies
    this.#policies = policies
    // Most changes are of paths behind policies that stand, which the kernel knows nothing of.
    if (this.#applied !== undefined && sameForKernel(before, policies)) {
      this.#follow()
      return
    }
    try {
      this.#apply()
    } catch (error) {
      this.#policies = before
      throw error
    }
  }

  stands(pathId: string, carrier: Carrier): void {
    this.#standing.set(pathId, carrier)
    this.#follow()
  }

  ends(pathId: string): void {
    if (this.#standing.delete(pathId)) this.#follow()
  }

  /** UDP ports of our own that anybody may speak to, in the place of those before. */
  hears(ports: readonly CarrierPorts[]): void {
    this.#ports = ports
    this.#follow()
  }

  /** What the kernel has forgotten with an interface that was down, and what sources are preferred, is told anew. */
  network(state: string): void {
    this.#network = state
    this.#follow()
  }

  /** What the guard has dropped, by reason. */
  drops(): Record<string, number> {
    return this.#steering.drops()
  }

  /** What they cover stays closed. */
  leave(): void {
    this.#ended = true
    this.#steering.leave()
  }

  /**
   * Removes all of it from the kernel; not so what took the place of a killed process's policies and never came up: an
   * error in a file must not open what was closed.
   */
  close(): void {
    this.#ended = true
    if (this.#holds) this.#steering.leave()
    else this.#steering.close()
  }

  /**
   * Once for all paths that come and go together. Until then it is closed: what a new carrier brings waits, and `use` is
   * what it was. Most paths change nothing for the kernel; then it is left alone.
   */
  #follow(): void {
    if (this.#following) return
    this.#following = true
    queueMicrotask(() => {
      this.#following = false
      if (this.#ended || this.#applied === this.#state()) return
      try {
        this.#apply()
      } catch (error) {
        this.#log(`policies stand as they were: ${error instanceof Error ? error.message : String(error)}`)
      }
    })
  }

  #apply(): void {
    const state = this.#state()
    this.#steering.apply(this.#policies, (id) => this.#standing.has(id), this.#carriers())
    this.#applied = state
  }

  /** What the kernel is told beside the policies: whether those that may go in clear do, who carries, and what it has. */
  #state(): string {
    const open = this.#policies.map(({ action, paths }) =>
      action === 'use' ? Number(paths.some((id) => this.#standing.has(id))) : '',
    )
    const carriers = this.#carriers().map(({ protocol, local, remote, localPort, remotePort }) =>
      [protocol, local, remote, localPort, remotePort].join(' '),
    )
    return `${open.join('')} ${carriers.sort().join(';')} ${this.#network}`
  }

  /** ESP and AH pass the guard always. */
  #carriers(): CarrierPorts[] {
    const carriers: CarrierPorts[] = [...this.#ports]
    for (const carrier of this.#standing.values()) {
      const { protocol, local, remote } = carrier
      if (protocol === IpProtocol.esp || protocol === IpProtocol.ah) continue
      const ports =
        carrier.kind === 'udp' ? { localPort: carrier.localPort, remotePort: carrier.remotePort } : {}
      carriers.push({ family: local.family, protocol, local: local.bytes, remote: remote.bytes, ...ports })
    }
    return carriers
  }
}

/** Whether two lists say the same in the same order, whatever paths are behind them. */
function sameForKernel(a: readonly PolicySpec[], b: readonly PolicySpec[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i] || textOf(one) === textOf(b[i]!))
}

const textOf = ({ paths: _paths, source, destination, ...rest }: PolicySpec): string =>
  `${source.address}/${source.length} ${destination.address}/${destination.length} ${JSON.stringify(rest)}`

const hasLeftovers = ({ socket }: RouteNetlink): boolean =>
  ([4, 6] as const).some((family) => listRules(socket, family).length > 0)
