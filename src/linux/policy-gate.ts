/**
 * The policies of one interface as the kernel is to know them: steering, kept in step with the paths that stand and the
 * carriers that must reach us in clear.
 */
import type { Carrier, PolicySpec } from '../proto/machine.js'
import { IpProtocol } from '../wire/numbers.js'
import { type CarrierPorts, Steering, type SteeringOptions } from './steering/index.js'

/** What the gate asks of steering. */
type Steers = Pick<Steering, 'apply' | 'drops' | 'leave' | 'close'>

export class PolicyGate {
  /** SO_MARK of carriers' sockets: what they send is not steered. */
  readonly mark: number = Steering.mark
  readonly #steering: Steers
  readonly #standing = new Map<string, Carrier>()
  #policies: readonly PolicySpec[] = []
  #applied = ''

  /** Throws `LINUX_*` where the kernel refuses. */
  constructor(options: SteeringOptions, steering: Steers = new Steering(options)) {
    this.#steering = steering
  }

  /** Throws `LINUX_*` where the kernel refuses; then what was in force still is. */
  replace(policies: readonly PolicySpec[]): void {
    const before = this.#policies
    this.#policies = policies
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

  /** What the guard has dropped, by reason. */
  drops(): Record<string, number> {
    return this.#steering.drops()
  }

  /** What they cover stays closed. */
  leave(): void {
    this.#steering.leave()
  }

  /** Removes all of it from the kernel. */
  close(): void {
    this.#steering.close()
  }

  /** Most paths that come and go change nothing for the kernel: then it is left alone. */
  #follow(): void {
    if (this.#applied !== this.#state()) this.#apply()
  }

  #apply(): void {
    const state = this.#state()
    this.#steering.apply(this.#policies, (id) => this.#standing.has(id), this.#carriers())
    this.#applied = state
  }

  /** What the kernel is told beside the policies: whether those that may go in clear do, and who carries. */
  #state(): string {
    const open = this.#policies.map(({ action, paths }) =>
      action === 'use' ? Number(paths.some((id) => this.#standing.has(id))) : '',
    )
    const carriers = this.#carriers().map(({ protocol, local, remote, localPort, remotePort }) =>
      [protocol, local, remote, localPort, remotePort].join(' '),
    )
    return `${open.join('')} ${carriers.sort().join(';')}`
  }

  /** ESP and AH pass the guard always. */
  #carriers(): CarrierPorts[] {
    const carriers: CarrierPorts[] = []
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
