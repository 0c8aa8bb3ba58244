/** pfctl(8): loads, checks and shows the rules of pf(4), with anchors. */
import { didYouMean, WarrenError } from '../../base/index.js'
import { type CommandContext, type CommandResult, fail, type LabCommand } from '../command.js'
import {
  PF_STATE_LIMIT,
  type PfRuleset,
  type PfStatement,
  parsePfConf,
  showState,
  showStatement,
} from '../pf/index.js'

const USAGE = `usage: pfctl [-deghNnPqrvz] [-a anchor] [-D macro=value] [-F modifier]
	[-f file] [-i interface] [-K key] [-k key] [-L statefile] [-o level]
	[-p device] [-S statefile] [-s modifier [-R id]]
	[-t table -T command [address ...]] [-V rdomain] [-x level]`

/** What `-s` shows; a beginning of the word is enough. */
const SHOWN = [
  'rules',
  'states',
  'all',
  'info',
  'Anchors',
  'Interfaces',
  'memory',
  'timeouts',
  'Tables',
  'labels',
  'queue',
]

interface Options {
  anchor?: string
  file?: string
  show?: string
  flush?: string
  macros: string[]
  onlyParse: boolean
  enable: boolean
  disable: boolean
  quiet: boolean
  verbose: number
}

export const pfctl: LabCommand = async (args, context) => {
  const options: Options = {
    macros: [],
    onlyParse: false,
    enable: false,
    disable: false,
    quiet: false,
    verbose: 0,
  }
  const problem = readOptions(args, options)
  if (problem !== undefined) return fail(problem)
  const { pf, clock } = context.host
  const result = { stdout: '', stderr: '', exitCode: 0 }
  const say = (line: string): void => {
    if (!options.quiet) result.stderr += `${line}\n`
  }
  if (options.disable) {
    if (!pf.enabled) return fail('pfctl: pf not enabled')
    pf.enabled = false
    say('pf disabled')
  }
  if (options.flush !== undefined) {
    const done = flush(options.flush, options, context)
    if (done.exitCode !== 0) return done
    if (!options.quiet) result.stderr += done.stderr
  }
  if (options.file !== undefined) {
    const loaded = await load(options, context)
    result.stdout += loaded.stdout
    result.stderr += loaded.stderr
    if (loaded.exitCode !== 0) return { ...result, exitCode: loaded.exitCode }
  }
  if (options.enable) {
    if (pf.enabled) return { ...result, stderr: `${result.stderr}pfctl: pf already enabled\n`, exitCode: 1 }
    pf.enabled = true
    pf.enabledSince = clock.now()
    say('pf enabled')
  }
  if (options.show !== undefined) {
    const shown = show(options.show, options, context)
    if (shown === undefined) {
      const meant = didYouMean(options.show, SHOWN)
      return fail(
        `pfctl: Unknown show modifier '${options.show}'${meant === undefined ? '' : ` (${meant})`}\n${USAGE}`,
      )
    }
    result.stdout += shown
  }
  return result
}

function readOptions(args: string[], options: Options): string | undefined {
  let used = false
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!
    if (!arg.startsWith('-') || arg === '-') return USAGE
    for (let i = 1; i < arg.length; i++) {
      const letter = arg[i]!
      used = true
      if (letter === 'n') options.onlyParse = true
      else if (letter === 'e') options.enable = true
      else if (letter === 'd') options.disable = true
      else if (letter === 'q') options.quiet = true
      else if (letter === 'v') options.verbose++
      else if ('gNPrz'.includes(letter)) continue
      else if ('aDFfs'.includes(letter)) {
        const value = i + 1 < arg.length ? arg.slice(i + 1) : args[++at]
        if (value === undefined) return `pfctl: option requires an argument -- ${letter}\n${USAGE}`
        if (letter === 'a') options.anchor = value.replace(/^\//, '')
        else if (letter === 'D') options.macros.push(value)
        else if (letter === 'F') options.flush = value
        else if (letter === 'f') options.file = value
        else options.show = value
        break
      } else if ('iKkLopRSTtVx'.includes(letter)) return `pfctl: option -${letter} is not played in the lab`
      else return `pfctl: unknown option -- ${letter}\n${USAGE}`
    }
  }
  return used ? undefined : USAGE
}

async function load(options: Options, { host, fs, cwd, stdin }: CommandContext): Promise<CommandResult> {
  const name = options.file ?? '-'
  const shown = name === '-' ? 'stdin' : name
  let text = stdin
  if (name !== '-') {
    const path = fs.resolvePath(cwd, name)
    if (!(await fs.exists(path)))
      return fail(
        `pfctl: ${name}: No such file or directory\npfctl: cannot open the main config file!: No such file or directory`,
      )
    text = await fs.readFile(path)
  }
  const macros = options.macros.map((macro) => {
    const [key = '', value = ''] = macro.split(/=(.*)/s)
    return `${key} = "${value}"\n`
  })
  let ruleset: PfRuleset
  try {
    ruleset = parsePfConf(text, shown)
    if (macros.length > 0) ruleset = parsePfConf(macros.join('') + text, shown)
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    return fail(`${error.message}\npfctl: Syntax error in config file: pf rules not loaded`)
  }
  const stdout = options.verbose > 0 ? list(ruleset.statements, 0).join('') : ''
  if (!options.onlyParse && !host.pf.load(ruleset, options.anchor))
    return fail('pfctl: too many anchors: flush one with pfctl -a NAME -F rules')
  return { stdout, stderr: '', exitCode: 0 }
}

function flush(what: string, options: Options, { host }: CommandContext): CommandResult {
  const { pf } = host
  const kind = ['all', 'rules', 'states', 'info', 'Sources', 'Tables', 'osfp', 'Reset', 'nat', 'queue'].find(
    (one) => one.toLowerCase().startsWith(what.toLowerCase()),
  )
  const ok = (stderr: string): CommandResult => ({ stdout: '', stderr, exitCode: 0 })
  if (kind === 'rules') {
    pf.flushRules(options.anchor)
    return ok('rules cleared\n')
  }
  if (kind === 'states') return ok(`${pf.flushStates()} states cleared\n`)
  if (kind === 'all') {
    pf.flushRules(options.anchor)
    return ok(`rules cleared\n${pf.flushStates()} states cleared\n`)
  }
  return kind === undefined ? fail(`pfctl: Unknown flush modifier '${what}'\n${USAGE}`) : ok('')
}

function show(what: string, options: Options, context: CommandContext): string | undefined {
  const { pf, clock, stack } = context.host
  const kind = SHOWN.find((one) => one === what || (what.length <= one.length && one.startsWith(what)))
  const statements =
    options.anchor === undefined ? pf.main.statements : (pf.anchor(options.anchor)?.statements ?? [])
  const rules = (): string => list(statements, options.verbose).join('')
  const states = (): string =>
    pf
      .states(clock.now())
      .map((state) => `${showState(state)}\n`)
      .join('')
  switch (kind) {
    case 'rules':
      return rules()
    case 'states':
      return states()
    case 'info':
      return info(context)
    case 'memory':
      return `states        hard limit ${String(PF_STATE_LIMIT).padStart(8)}\n`
    case 'timeouts':
      return TIMEOUT_LINES
    case 'Anchors':
      return pf.anchors
        .filter((name) => options.anchor === undefined || name.startsWith(`${options.anchor}/`))
        .map((name) => `  ${name}\n`)
        .join('')
    case 'Interfaces':
      return [...stack.interfaces.keys()].map((name) => `${name}\n`).join('')
    case 'Tables':
      return [...pf.main.tables.keys()].map((name) => `${name}\n`).join('')
    case 'labels':
    case 'queue':
      return ''
    case 'all':
      return [
        `FILTER RULES:\n${rules()}`,
        ...(states() === '' ? [] : [`STATES:\n${states()}`]),
        `INFO:\n${info(context)}`,
        ...pf.anchors.map((name) => {
          const inner = list(pf.anchor(name)?.statements ?? [], 0).join('')
          return `ANCHOR ${name}:\n${inner === '' ? '(no rules loaded)\n' : inner}`
        }),
        `LIMITS:\nstates        hard limit ${String(PF_STATE_LIMIT).padStart(8)}\n`,
        `TIMEOUTS:\n${TIMEOUT_LINES}`,
      ].join('\n')
    default:
      return undefined
  }
}

function list(statements: readonly PfStatement[], verbose: number, indent = ''): string[] {
  return statements.flatMap((statement) => {
    const line = `${indent}${showStatement(statement)}`
    if (statement.action === 'anchor') {
      if (statement.inline === undefined) return [`${line}\n`]
      return [`${line} {\n`, ...list(statement.inline, verbose, `${indent}  `), `${indent}}\n`]
    }
    if (verbose === 0) return [`${line}\n`]
    const { evaluations, packets, bytes } = statement.hits
    const counts = [
      `[ Evaluations: ${String(evaluations).padEnd(8)}`,
      `Packets: ${String(packets).padEnd(8)}`,
      `Bytes: ${String(bytes).padEnd(11)} ]`,
    ]
    return [`${line}\n`, `${indent}  ${counts.join('  ')}\n`]
  })
}

function info({ host }: CommandContext): string {
  const { pf, clock } = host
  const total = Math.floor((clock.now() - pf.enabledSince) / 1e6)
  const two = (value: number): string => String(value).padStart(2, '0')
  const time = `${two(Math.floor(total / 3600) % 24)}:${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`
  const status = pf.enabled ? `Enabled for ${Math.floor(total / 86_400)} days ${time}` : 'Disabled'
  const count = (name: string, value: number): string => `  ${name.padEnd(26)}${String(value).padStart(14)}\n`
  return [
    `Status: ${status.padEnd(44)} Debug: err\n\n`,
    'State Table                          Total             Rate\n',
    count('current entries', pf.states(clock.now()).length),
    'Counters\n',
    count('match', pf.counters.get('pass') + pf.counters.get('block')),
    count('blocked', pf.counters.get('block')),
    count('short', pf.counters.get('short')),
    count('state-limit', pf.counters.get('state-limit')),
  ].join('')
}

const TIMEOUT_LINES = [
  ['tcp.opening', 30],
  ['tcp.established', 86_400],
  ['tcp.closing', 90],
  ['udp.single', 60],
  ['udp.multiple', 60],
  ['icmp.first', 20],
  ['other.first', 60],
]
  .map(([name, value]) => `${String(name).padEnd(20)}${String(value).padStart(10)}s\n`)
  .join('')
