/**
 * The article's testbed in one process: a host with a bridge, and alice and bob on it.
 */
import { SeededRandom } from '../base/index.js'
import { LabClock } from './clock.js'
import type { LinkFaults } from './link.js'
import { LabMachine } from './machine.js'

export interface LabOptions {
  /** Same seed, same run, byte for byte. Default 1. */
  readonly seed?: number
  /** What the cables between bridge and machines do to frames. */
  readonly faults?: LinkFaults
}

export class Lab {
  readonly clock: LabClock = new LabClock()
  readonly random: SeededRandom
  readonly host: LabMachine
  /** Machines that run, by name; `host` is one of them. */
  readonly machines: Map<string, LabMachine> = new Map()

  constructor(options: LabOptions = {}) {
    this.random = new SeededRandom(options.seed ?? 1)
    this.host = new LabMachine({
      lab: this,
      name: 'host',
      clock: this.clock,
      random: new SeededRandom(this.random.uint32()),
    })
    this.machines.set('host', this.host)
  }

  machine(name: string): LabMachine | undefined {
    return this.machines.get(name)
  }
}
