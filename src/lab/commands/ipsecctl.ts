/** ipsecctl(8): loads, shows, removes and watches the flows and security associations of a machine. */
import { WarrenError } from '../../base/index.js'
import { flowLine, type IpsecConf, loadIpsecConf, saLine } from '../../config/index.js'
import type { IpsecEvent } from '../../engine/index.js'
import { type CommandContext, type CommandResult, fail, type LabCommand } from '../command.js'
import { flowMessage, saDetails, saMessage, unixSeconds } from './ipsecctl-show.js'

const USAGE = 'usage: ipsecctl [-cdFkmnv] [-D macro=value] [-f file] [-i fifo] [-s modifier]'
const SHOWN = ['flow', 'sa', 'all'] as const

interface Options {
  file?: string
  show?: (typeof SHOWN)[number]
  readonly macros: Map<string, string>
  remove: boolean
  flush: boolean
  keys: boolean
  monitor: boolean
  onlyParse: boolean
  verbose: number
}

export const ipsecctl: LabCommand = async (args, context) => {
  const options: Options = {
    macros: new Map(),
    remove: false,
    flush: false,
    keys: false,
    monitor: false,
    onlyParse: false,
    verbose: 0,
  }
  const problem = readOptions(args, options)
  if (problem !== undefined) return fail(problem)
  const { ipsec } = context.host
  if (options.flush && !options.onlyParse) ipsec.flush()
  let result: CommandResult = { stdout: '', stderr: '', exitCode: 0 }
  if (options.file !== undefined) result = await load(options.file, options, context)
  if (result.exitCode !== 0) return result
  if (options.show !== undefined) result = { ...result, stdout: result.stdout + show(options, context) }
  if (!options.monitor) return result
  if (result.stdout !== '') for (const line of result.stdout.trimEnd().split('\n')) context.print(line)
  await monitor(context)
  return { ...result, stdout: '' }
}

function readOptions(args: string[], options: Options): string | undefined {
  let used = false
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!
    if (!arg.startsWith('-') || arg === '-')
      return `ipsecctl: unknown command line argument: ${arg} ...\n${USAGE}`
    for (let i = 1; i < arg.length; i++) {
      const letter = arg[i]!
      used = true
      if (letter === 'd') options.remove = true
      else if (letter === 'F') options.flush = true
      else if (letter === 'k') options.keys = true
      else if (letter === 'm') options.monitor = true
      else if (letter === 'n') options.onlyParse = true
      else if (letter === 'v') options.verbose++
      else if ('Dfis'.includes(letter)) {
        const value = i + 1 < arg.length ? arg.slice(i + 1) : args[++at]
        if (value === undefined) return `ipsecctl: option requires an argument -- ${letter}\n${USAGE}`
        if (letter === 'f') options.file = value
        if (letter === 'D') {
          const [name = '', text = ''] = value.split(/=(.*)/s)
          options.macros.set(name, text)
        }
        if (letter === 's') {
          const shown = SHOWN.find((one) => value !== '' && one.startsWith(value))
          if (shown === undefined) return `ipsecctl: Unknown show modifier '${value}'\n${USAGE}`
          options.show = shown
        }
        break
      } else if (letter !== 'c') return `ipsecctl: unknown option -- ${letter}\n${USAGE}`
    }
  }
  return used ? undefined : USAGE
}

async function load(name: string, options: Options, context: CommandContext): Promise<CommandResult> {
  const { fs, cwd, stdin, host } = context
  const read = async (file: string): Promise<{ text: string; mode: number }> => {
    const path = fs.resolvePath(cwd, file)
    if (!(await fs.exists(path))) throw new WarrenError('CONFIG_FILE', `${file}: No such file or directory`)
    return { text: await fs.readFile(path), mode: (await fs.stat(path)).mode }
  }
  let conf: IpsecConf
  try {
    const { text, mode } = name === '-' ? { text: stdin, mode: 0o600 } : await read(name)
    conf = await loadIpsecConf(text, name === '-' ? 'stdin' : name, read, {
      mode,
      macros: options.macros,
      staticCounters: 'refuse',
    })
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    return fail(`${error.message}\nipsecctl: Syntax error in config file: ipsec rules not loaded`)
  }
  const stderr = conf.warnings.map((line) => `${line}\n`).join('')
  const stdout = options.verbose > 0 ? ruleLines(conf, options).join('') : ''
  if (options.onlyParse) return { stdout, stderr, exitCode: 0 }
  const failed: string[] = []
  let number = 0
  for (const rule of conf.rules) {
    if (rule.kind === 'macro') continue
    try {
      if (rule.kind === 'sa') {
        if (!options.remove) host.ipsec.addSa(rule.sa)
        else if (!host.ipsec.removeSa(rule.sa)) failed.push(`ipsecctl: failed to delete rule ${number}`)
      } else {
        const { policy } = rule.flow
        if (!options.remove) host.ipsec.addPolicy(policy)
        else if (!host.ipsec.removePolicy(policy.direction, policy.selector))
          failed.push(`ipsecctl: failed to delete rule ${number}`)
      }
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error
      failed.push(`${error.message}\nipsecctl: failed to add rule ${number}`)
    }
    number++
  }
  return {
    stdout,
    stderr: stderr + failed.map((line) => `${line}\n`).join(''),
    exitCode: failed.length > 0 ? 1 : 0,
  }
}

function ruleLines({ rules }: IpsecConf, { verbose, keys }: Options): string[] {
  let number = 0
  return rules.map((rule) => {
    if (rule.kind === 'macro') return `${rule.name} = "${rule.value}"\n`
    const mark = verbose > 1 ? `@${number++} ` : ''
    const line =
      rule.kind === 'flow' ? flowLine(rule.flow.policy, rule.flow) : saLine(rule.sa, { rule: true, keys })
    return `${mark}${line}\n`
  })
}

function show({ show: what, verbose, keys }: Options, { host }: CommandContext): string {
  const { spd, sad } = host.ipsec
  const start = host.clock.toUnix() - host.now()
  const flows = spd.list().map((policy) => `${flowLine(policy)}\n`)
  const sas = sad
    .list()
    .flatMap((entry) => [
      `${saLine(entry.sa, { keys })}\n`,
      ...(verbose > 0 ? saDetails(entry, (at) => unixSeconds(start + at)).map((line) => `${line}\n`) : []),
    ])
  if (what === 'flow') return flows.join('')
  if (what === 'sa') return sas.join('')
  const section = (title: string, lines: string[], none: string): string =>
    `${title}\n${lines.length === 0 ? `${none}\n` : lines.join('')}`
  return `${section('FLOWS:', flows, 'No flows')}\n${section('SAD:', sas, 'No entries')}`
}

/** Until ^C: what changes, as messages of PF_KEY. */
async function monitor(context: CommandContext): Promise<void> {
  const { ipsec } = context.host
  let sequence = 0
  const listener = (event: IpsecEvent): void => {
    for (const line of messageOf(event, ++sequence)) context.print(line)
  }
  await context.wait<never>(() => {
    ipsec.listeners.add(listener)
    return () => ipsec.listeners.delete(listener)
  })
  ipsec.listeners.delete(listener)
}

function messageOf(event: IpsecEvent, sequence: number): string[] {
  switch (event.kind) {
    case 'add':
    case 'delete':
      return saMessage(event.kind, event.sa, sequence)
    case 'policy-add':
      return flowMessage('x_addflow', event.policy, sequence)
    case 'policy-delete':
      return flowMessage('x_delflow', event.policy, sequence)
    case 'acquire':
      return flowMessage('acquire', event.policy, sequence)
    case 'flush':
      return [`sadb_flush: satype unspec vers 2 len 2 seq ${sequence} pid 0`]
    default:
      return saMessage('expire', event.sa, sequence)
  }
}
