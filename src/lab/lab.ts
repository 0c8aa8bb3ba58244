/**
 * The article's testbed in one process: a host with a bridge, and the virtual machines that its vmd(8) runs.
 *
 * `bare` is a host where nothing is configured yet; `Lab.testbed` is what the article has after its
 * post-installation section. Everything is driven by the lab's own clock.
 */
import { type Instant, microseconds, parseIpAddress, SeededRandom } from '../base/index.js'
import type { ManualSa } from '../engine/ipsec/sa.js'
import { type IkeSaKeys, ikeKeysOf, type KnownIkeSa } from '../inspect/keys/ikev2-table.js'
import { hexOf } from '../wire/field.js'
import { LabClock } from './clock.js'
import type { BridgeDevice } from './devices.js'
import type { LinkFaults } from './link.js'
import { LabMachine } from './machine.js'
import { Vmd } from './vmd.js'

export interface LabOptions {
  /** Same seed, same run, byte for byte. Default 1. */
  readonly seed?: number
  /** What the cables between bridge and machines do to frames. Default: `CABLE`. */
  readonly faults?: LinkFaults
}

/**
 * A cable of the testbed: some time on the way, as between real virtual machines, and no loss. The rate is what keeps a
 * broadcast storm (a loop of bridges that a user may build) from growing without end.
 */
export const CABLE: LinkFaults = {
  delay: microseconds(180),
  jitter: microseconds(60),
  rate: 100_000_000,
}

/** A frame that one of the host's bridges took in. */
export interface BridgeFrame {
  readonly at: Instant
  readonly bridge: string
  readonly bytes: Uint8Array
}

/** Frames that are kept; later ones are only counted. */
const FRAME_LIMIT = 200_000
/** Security associations that are kept. */
const SA_LIMIT = 10_000

export class Lab {
  readonly clock: LabClock = new LabClock()
  readonly random: SeededRandom
  readonly faults: LinkFaults
  readonly host: LabMachine
  readonly vmd: Vmd
  /** Machines that run, by name; `host` is one of them. */
  readonly machines: Map<string, LabMachine> = new Map()
  /** Every frame that a bridge of the host took in, in order. */
  readonly frames: BridgeFrame[] = []
  frameCount = 0
  /** Every security association that a machine had: with their keys the frames are opened. */
  readonly securityAssociations: ManualSa[] = []
  readonly #ikeSas = new Map<string, IkeSaKeys>()
  /** Called with each frame as it is taken in. */
  onFrame?: (frame: BridgeFrame) => void

  private constructor(options: LabOptions) {
    this.random = new SeededRandom(options.seed ?? 1)
    this.faults = options.faults ?? CABLE
    this.vmd = new Vmd(this)
    this.host = new LabMachine({
      lab: this,
      name: 'host',
      clock: this.clock,
      random: new SeededRandom(this.random.uint32()),
    })
    this.machines.set('host', this.host)
  }

  /** A host on which nothing is configured yet, and no virtual machine. */
  static async bare(options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(options)
    await lab.clock.run(lab.host.boot())
    return lab
  }

  machine(name: string): LabMachine | undefined {
    return this.machines.get(name)
  }

  /** The machine of that name, or with that address. */
  named(text: string): LabMachine | undefined {
    const name = text.replace(/\.my\.domain$/, '')
    const address = parseIpAddress(text)
    return (
      this.machines.get(name) ??
      (address === undefined
        ? undefined
        : [...this.machines.values()].find(({ stack }) => stack.isLocal(address) && !address.isLoopback))
    )
  }

  remember(sa: ManualSa): void {
    if (this.securityAssociations.length < SA_LIMIT) this.securityAssociations.push(sa)
  }

  /** Every IKE SA that a machine had, with its keys. */
  get ikeSas(): IkeSaKeys[] {
    return [...this.#ikeSas.values()]
  }

  rememberIke(sas: readonly KnownIkeSa[]): void {
    for (const sa of sas) {
      const name = hexOf(sa.spis.initiator, 0, 8) + hexOf(sa.spis.responder, 0, 8)
      if (!this.#ikeSas.has(name) && this.#ikeSas.size < SA_LIMIT) this.#ikeSas.set(name, ikeKeysOf(sa))
    }
  }

  /** Keeps what passes a bridge of the host. */
  watch(bridge: BridgeDevice): void {
    if (bridge.machine.name !== 'host') return
    bridge.table.taps.add((bytes, at) => {
      this.frameCount++
      const frame = { at, bridge: bridge.name, bytes: bytes.slice() }
      if (this.frames.length < FRAME_LIMIT) this.frames.push(frame)
      this.onFrame?.(frame)
    })
  }
}
