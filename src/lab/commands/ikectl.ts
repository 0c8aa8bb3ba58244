/** ikectl(8): looks into and moves iked(8); `ikectl ca` stands beside. */
import { type CommandContext, type CommandResult, type LabCommand, succeed } from '../command.js'
import type { Iked } from '../iked/daemon.js'
import { reloadIked } from '../iked/service.js'
import { showSas, showStatistics } from '../iked/show.js'
import { CommandFailure, getopt, guard, meant } from './net/words.js'

const USAGE = 'usage: ikectl [-q] [-s socket] command [arg ...]'

type Action = (
  iked: Iked,
  words: readonly string[],
  context: CommandContext,
) => Promise<CommandResult> | CommandResult

/** What may stand at one place: a word that is known, or `<kind>` of one that is not. */
interface Words {
  readonly [word: string]: Words | Action
}

const reset =
  (what: (iked: Iked, context: CommandContext) => void): Action =>
  (iked, _words, context) => {
    what(iked, context)
    return succeed('reset request sent.\n')
  }

const level =
  (verbose: boolean): Action =>
  (iked) => {
    iked.verbose = verbose
    return succeed('logging request sent.\n')
  }

const quietly =
  (what: (iked: Iked, context: CommandContext) => void): Action =>
  (iked, _words, context) => {
    what(iked, context)
    return succeed()
  }

const reload = async (context: CommandContext, file?: string): Promise<CommandResult> => {
  const { host, lab, fs, cwd } = context
  const problem = await lab.clock.lend(
    reloadIked(host, file === undefined ? {} : { file: fs.resolvePath(cwd, file) }),
  )
  // The original only asks for it, and what is wrong stands in the log.
  return { stdout: '', stderr: problem === undefined ? '' : `${problem}\n`, exitCode: 0 }
}

const COMMANDS: Words = {
  active: quietly((iked, { host }) => iked.setPassive(false, host.now())),
  passive: quietly((iked, { host }) => iked.setPassive(true, host.now())),
  couple: quietly((iked, { host }) => iked.couple(host.now())),
  decouple: quietly((iked) => iked.decouple()),
  load: { '<path>': (_iked, words, context) => reload(context, words[1]) },
  log: { verbose: level(true), brief: level(false) },
  monitor: (iked, _words, context) => monitor(iked, context),
  reload: (_iked, _words, context) => reload(context),
  reset: {
    all: reset((iked, { host }) => iked.resetAll(host.now())),
    ca: reset((iked) => iked.resetCa()),
    policy: reset((iked, { host }) => iked.resetPolicies(host.now())),
    sa: reset((iked, { host }) => iked.reset(host.now())),
    user: reset(() => undefined),
    id: {
      '<ikeid>': (iked, words, { host }) => {
        iked.resetId(words[2] ?? '', host.now())
        return succeed()
      },
    },
  },
  show: {
    sa: (iked) => succeed(lines(showSas(iked))),
    stats: (iked, words) =>
      succeed(lines(showStatistics(iked.statistics, iked.established, words.includes('-q')))),
  },
}

export const ikectl: LabCommand = (args, context) =>
  guard(async () => {
    const { given, operands } = getopt('ikectl', args, 'qs:', USAGE)
    if (operands.length === 0) throw new CommandFailure(USAGE)
    const { action, words } = find(operands)
    const { iked } = context.host
    if (iked === undefined)
      throw new CommandFailure(
        'ikectl: connect: /var/run/iked.sock: No such file or directory (iked does not run: rcctl start iked)',
      )
    return action(iked, given.has('q') ? [...words, '-q'] : words, context)
  })

/** Words may be cut short, as long as they are one. */
function find(operands: readonly string[]): { action: Action; words: string[] } {
  let place: Words | Action = COMMANDS
  const words: string[] = []
  for (const operand of [...operands, undefined]) {
    if (typeof place === 'function') {
      if (operand === undefined) return { action: place, words }
      throw new CommandFailure(`superfluous argument: ${operand}`)
    }
    const known: readonly string[] = Object.keys(place)
    const fits: readonly string[] = known.includes(operand ?? '')
      ? [operand!]
      : known.filter((word) => operand !== undefined && (word.startsWith('<') || word.startsWith(operand)))
    if (fits.length !== 1 || operand === '')
      throw new CommandFailure(
        `${operand === undefined ? '' : `${fits.length > 1 ? `ambiguous argument: ${operand}` : `unknown argument: ${operand}${meant(operand, known)}`}\n`}valid commands/args:\n${known.map((word) => `  ${word}`).join('\n')}`,
      )
    words.push(fits[0]!.startsWith('<') ? operand! : fits[0]!)
    place = place[fits[0]!]!
  }
  throw new CommandFailure(USAGE)
}

/** Until ^C: what the daemon says, at whatever level. */
async function monitor(iked: Iked, context: CommandContext): Promise<CommandResult> {
  const listener = (text: string): void => {
    const unix = context.lab.clock.toUnix() / 1e6
    context.print(`ctl_log: pid ${iked.pid} ${text}`)
    context.print(`\ttimestamp: ${Math.floor(unix)}, ${new Date(unix * 1000).toUTCString()}`)
  }
  iked.listeners.add(listener)
  await context.wait<never>(() => () => iked.listeners.delete(listener))
  iked.listeners.delete(listener)
  return succeed()
}

const lines = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join('')
