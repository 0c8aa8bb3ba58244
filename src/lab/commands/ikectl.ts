/** ikectl(8): looks into and moves iked(8). What `ikectl ca` does stands beside. */
import { type CommandContext, type CommandResult, type LabCommand, succeed } from '../command.js'
import type { Iked } from '../iked/daemon.js'
import { reloadIked } from '../iked/service.js'
import { showSas, showStatistics } from '../iked/show.js'
import { AuthorityFolder } from './ikectl-ca.js'
import { CommandFailure, getopt, guard, meant } from './net/words.js'

const USAGE = 'usage: ikectl [-q] [-s socket] command [arg ...]'

type Action = (context: CommandContext, words: readonly string[]) => Promise<CommandResult> | CommandResult

type DaemonAction = (
  iked: Iked,
  words: readonly string[],
  context: CommandContext,
) => Promise<CommandResult> | CommandResult

/** What may stand at one place: a word that is known, `<kind>` of one that is not, or `<cr>`: nothing more. */
interface Words {
  readonly [word: string]: Words | Action
}

const NO_DAEMON =
  'ikectl: connect: /var/run/iked.sock: No such file or directory (iked does not run: rcctl start iked)'

const asked =
  (action: DaemonAction): Action =>
  (context, words) => {
    const { iked } = context.host
    if (iked === undefined) throw new CommandFailure(NO_DAEMON)
    return action(iked, words, context)
  }

const reset = (what: (iked: Iked, context: CommandContext) => void): Action =>
  asked((iked, _words, context) => {
    what(iked, context)
    return succeed('reset request sent.\n')
  })

const level = (verbose: boolean): Action =>
  asked((iked) => {
    iked.verbose = verbose
    return succeed('logging request sent.\n')
  })

const quietly = (what: (iked: Iked, context: CommandContext) => void): Action =>
  asked((iked, _words, context) => {
    what(iked, context)
    return succeed()
  })

const reload = async (context: CommandContext, file?: string): Promise<CommandResult> => {
  const { host, lab, fs, cwd } = context
  const problem = await lab.clock.lend(
    reloadIked(host, file === undefined ? {} : { file: fs.resolvePath(cwd, file) }),
  )
  // The original only asks for it, and what is wrong stands in the log.
  return { stdout: '', stderr: problem === undefined ? '' : `${problem}\n`, exitCode: 0 }
}

type AuthorityAction = (authority: AuthorityFolder, words: readonly string[]) => Promise<CommandResult>

/** Words: `ca NAME …`, or `certificate HOST` and `key HOST` behind it. */
const authority =
  (action: AuthorityAction): Action =>
  async (context, words) =>
    action(await AuthorityFolder.open(words[1] ?? '', context), words)

/** `password` and `peer` in any order, as the original takes them. */
function exporting(
  action: (authority: AuthorityFolder, words: readonly string[], peer?: string) => Promise<CommandResult>,
): Words {
  const run = authority((folder, words) => {
    const at = words.lastIndexOf('peer')
    return action(folder, words, at < 0 ? undefined : words[at + 1])
  })
  return {
    '<cr>': run,
    peer: { '<peer>': { '<cr>': run, password: { '<password>': run } } },
    password: { '<password>': { '<cr>': run, peer: { '<peer>': run } } },
  }
}

const withPath = (
  action: (authority: AuthorityFolder, words: readonly string[], path?: string) => Promise<CommandResult>,
  at: number,
): Words => {
  const run = authority((folder, words) => action(folder, words, words[at]))
  return { '<cr>': run, '<path>': run }
}

const CERTIFICATE: Words = {
  create: {
    '<cr>': authority((folder, words) => folder.certify(words[3]!)),
    server: authority((folder, words) => folder.certify(words[3]!, 'server')),
    client: authority((folder, words) => folder.certify(words[3]!, 'client')),
    ocsp: authority((folder, words) => folder.certify(words[3]!, 'ocsp')),
  },
  delete: authority((folder, words) => folder.deleteCertificate(words[3]!)),
  install: withPath((folder, words, path) => folder.installCertificate(words[3]!, path), 5),
  export: exporting((folder, words, peer) => folder.export(words[3], peer)),
  revoke: authority((folder, words) => folder.revoke(words[3]!)),
}

const KEY: Words = {
  create: authority((folder, words) => folder.createKey(words[3]!)),
  delete: authority((folder, words) => folder.deleteKey(words[3]!)),
  install: withPath((folder, words, path) => folder.installKey(words[3]!, path), 5),
  import: { '<path>': authority((folder, words) => folder.importKey(words[3]!, words[5]!)) },
}

const AUTHORITY: Words = {
  create: {
    '<cr>': (context, words) => AuthorityFolder.create(words[1]!, context),
    password: {
      '<password>': (context, words) => AuthorityFolder.create(words[1]!, context, words[4]),
    },
  },
  delete: authority((folder) => folder.delete()),
  install: withPath((folder, _words, path) => folder.install(path), 3),
  certificate: { '<host>': CERTIFICATE },
  key: { '<host>': KEY },
  export: exporting((folder, _words, peer) => folder.export(undefined, peer)),
}

const COMMANDS: Words = {
  active: quietly((iked, { host }) => iked.setPassive(false, host.now())),
  passive: quietly((iked, { host }) => iked.setPassive(true, host.now())),
  couple: quietly((iked, { host }) => iked.couple(host.now())),
  decouple: quietly((iked) => iked.decouple()),
  load: { '<path>': asked((_iked, words, context) => reload(context, words[1])) },
  log: { verbose: level(true), brief: level(false) },
  monitor: asked((iked, _words, context) => monitor(iked, context)),
  reload: asked((_iked, _words, context) => reload(context)),
  reset: {
    all: reset((iked, { host }) => iked.resetAll(host.now())),
    ca: reset((iked) => iked.resetCa()),
    policy: reset((iked, { host }) => iked.resetPolicies(host.now())),
    sa: reset((iked, { host }) => iked.reset(host.now())),
    user: reset(() => undefined),
    id: {
      '<ikeid>': asked((iked, words, { host }) => {
        iked.resetId(words[2] ?? '', host.now())
        return succeed()
      }),
    },
  },
  show: {
    ca: {
      '<caname>': {
        certificates: {
          '<cr>': async (context, words) => (await AuthorityFolder.open(words[2]!, context)).show(),
          '<host>': async (context, words) => (await AuthorityFolder.open(words[2]!, context)).show(words[4]),
        },
      },
    },
    sa: asked((iked) => succeed(lines(showSas(iked)))),
    certstore: asked((iked) => succeed(lines(iked.certificateStore()))),
    stats: asked((iked, words) =>
      succeed(lines(showStatistics(iked.statistics, iked.established, words.includes('-q')))),
    ),
  },
  ca: { '<caname>': AUTHORITY },
}

export const ikectl: LabCommand = (args, context) =>
  guard(async () => {
    const { given, operands } = getopt('ikectl', args, 'qs:', USAGE)
    const { action, words } = find(operands)
    return action(context, given.has('q') ? [...words, '-q'] : words)
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
    const fits = fitting(known, operand)
    if (fits.length !== 1) throw new CommandFailure(wrongWord(operand, known, fits.length))
    if (operand !== undefined) words.push(fits[0]!.startsWith('<') ? operand : fits[0]!)
    place = place[fits[0]!]!
    if (operand === undefined && typeof place === 'function') return { action: place, words }
  }
  throw new CommandFailure(USAGE)
}

/** A keyword before whatever else may stand there. */
function fitting(known: readonly string[], operand: string | undefined): readonly string[] {
  if (operand === undefined || operand === '') return known.filter((word) => word === '<cr>')
  if (known.includes(operand)) return [operand]
  const keywords = known.filter((word) => !word.startsWith('<') && word.startsWith(operand))
  return keywords.length > 0 ? keywords : known.filter((word) => word.startsWith('<') && word !== '<cr>')
}

function wrongWord(operand: string | undefined, known: readonly string[], count: number): string {
  const what =
    operand === undefined || operand === ''
      ? 'missing argument:'
      : count > 1
        ? `ambiguous argument: ${operand}`
        : `unknown argument: ${operand}${meant(operand, known)}`
  return `${what}\nvalid commands/args:\n${known.map((word) => `  ${word}`).join('\n')}`
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
