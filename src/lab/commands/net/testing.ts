import { milliseconds, SeededRandom } from '../../../base/index.js'
import type { CommandResult } from '../../command.js'
import { Lab } from '../../lab.js'
import { Link } from '../../link.js'
import { LabMachine } from '../../machine.js'

/** Two machines on one cable, for the tests of commands: the article's alice and bob without the host between. */

export interface Pair {
  readonly lab: Lab
  readonly alice: LabMachine
  readonly bob: LabMachine
  /** Runs a command line to its end. */
  run(machine: LabMachine, text: string): Promise<CommandResult>
  /** Runs it and expects success; gives its standard output. */
  ok(machine: LabMachine, text: string): Promise<string>
  /** Starts a command line on a terminal of its own and lets it come to its first wait. `stop` is ^C. */
  start(machine: LabMachine, text: string): Promise<Started>
}

/** A command line that runs by itself. */
export interface Started {
  readonly result: Promise<CommandResult>
  stop(): void
}

export async function pair(seed = 1): Promise<Pair> {
  const lab = await Lab.bare({ seed })
  const machine = async (name: string, last: number): Promise<LabMachine> => {
    const made = new LabMachine({ lab, name, clock: lab.clock, random: new SeededRandom(seed + last) })
    made.plugIn('vio', 'vio0', link.ends[last - 1]!, Uint8Array.of(0xfe, 0xe1, 0xbb, 0xd1, 0x2a, last))
    await lab.clock.run(made.boot())
    return made
  }
  const link = new Link(lab.clock, lab.faults, seed)
  const alice = await machine('alice', 1)
  const bob = await machine('bob', 2)
  const run = (on: LabMachine, text: string): Promise<CommandResult> =>
    lab.clock.run(on.freeTerminal().exec(text))
  return {
    lab,
    alice,
    bob,
    run,
    ok: async (on, text) => {
      const { stdout, stderr, exitCode } = await run(on, text)
      if (exitCode !== 0) throw new Error(`${on.name}# ${text}: exit ${exitCode}\n${stdout}${stderr}`)
      return stdout
    },
    start: async (on, text) => {
      const terminal = on.newTerminal()
      const result = terminal.exec(text)
      await lab.clock.advance(milliseconds(1))
      return { result, stop: () => terminal.interrupt() }
    },
  }
}

/** The pair with the article's addresses on vio0. */
export async function addressedPair(seed = 1): Promise<Pair> {
  const made = await pair(seed)
  for (const [machine, last] of [
    [made.alice, 1],
    [made.bob, 2],
  ] as const)
    await made.ok(
      machine,
      `echo "inet 192.168.1.${last}/24" >> /etc/hostname.vio0
echo "inet6 fd3e:62ee:99db:bb1a::${last}/64" >> /etc/hostname.vio0
echo "up" >> /etc/hostname.vio0
sh /etc/netstart vio0`,
    )
  return made
}
