/** rcctl(8): enables, starts and asks after services. The lab plays vmd; the others of the base system are names. */
import { didYouMean, seconds, WarrenError } from '../../base/index.js'
import { type CommandContext, type CommandResult, fail, type LabCommand, succeed } from '../command.js'
import { reloadIked, startIked, stopIked } from '../iked/service.js'

const VERBS = [
  'ls',
  'order',
  'enable',
  'disable',
  'check',
  'start',
  'stop',
  'reload',
  'restart',
  'get',
  'getdef',
  'set',
]

const USAGE = `usage:	rcctl get|getdef|set service | daemon [variable [arguments]]
	rcctl [-df] check|reload|restart|stop|start daemon ...
	rcctl disable|enable service | daemon ...
	rcctl order [daemon ...]
	rcctl ls all|failed|off|on|started|stopped`

/** Services of OpenBSD's base system that the article or its readers may name. */
const SERVICES = [
  'cron',
  'dhcpd',
  'httpd',
  'iked',
  'ipsec',
  'isakmpd',
  'ntpd',
  'pf',
  'pflogd',
  'relayd',
  'sasyncd',
  'slaacd',
  'smtpd',
  'sndiod',
  'snmpd',
  'sshd',
  'switchd',
  'syslogd',
  'unbound',
  'vmd',
]
/** Not daemons: `rcctl` can only enable them. */
const SPECIAL = new Set(['ipsec', 'pf'])
/** In the lab these run in name only: nothing listens. */
const NAMES_ONLY = new Set(['cron', 'ntpd', 'pflogd', 'smtpd', 'sshd', 'syslogd', 'sndiod', 'slaacd'])

export const rcctl: LabCommand = async (args, context) => {
  const words = args.filter((arg) => !/^-[df]+$/.test(arg))
  const forced = args.some((arg) => /^-d?f/.test(arg))
  const [verb = '', ...names] = words
  switch (verb) {
    case 'ls':
      return list(names[0] ?? '', context)
    case 'order':
      return succeed()
    case 'enable':
    case 'disable':
      return each(names, context, (name) => enable(name, verb === 'enable', context))
    case 'check':
    case 'start':
    case 'stop':
    case 'reload':
    case 'restart':
      return each(names, context, (name) => act(verb, name, forced, context))
    case 'get':
    case 'getdef':
      return get(names, context)
    case 'set':
      return set(names, context)
    default:
      return fail(verb === '' ? USAGE : `rcctl: unknown command ${verb}${hint(verb, VERBS)}\n${USAGE}`)
  }
}

async function each(
  names: string[],
  context: CommandContext,
  action: (name: string) => Promise<CommandResult>,
): Promise<CommandResult> {
  if (names.length === 0) return fail(USAGE)
  const whole = { stdout: '', stderr: '', exitCode: 0 }
  for (const name of names) {
    const one = isKnown(name, context) ? await action(name) : noSuchService(name)
    whole.stdout += one.stdout
    whole.stderr += one.stderr
    if (one.exitCode !== 0) whole.exitCode = one.exitCode
  }
  return whole
}

const isKnown = (name: string, { host, lab }: CommandContext): boolean =>
  SERVICES.includes(name) && (name !== 'vmd' || host === lab.host)

function noSuchService(name: string): CommandResult {
  const why = name === 'vmd' ? ' here: vmd runs on the host' : hint(name, SERVICES)
  return fail(`rcctl: service ${name} does not exist${why}`)
}

async function enable(name: string, on: boolean, { host }: CommandContext): Promise<CommandResult> {
  if (on) host.enabledServices.add(name)
  else host.enabledServices.delete(name)
  const path = '/etc/rc.conf.local'
  const text = (await host.fs.exists(path)) ? await host.fs.readFile(path) : ''
  const others = text.split('\n').filter((line) => line !== '' && !line.startsWith(`${name}_flags=`))
  await host.fs.writeFile(path, [...others, ...(on ? [`${name}_flags=`] : []), ''].join('\n'))
  return succeed()
}

async function act(
  verb: string,
  name: string,
  forced: boolean,
  context: CommandContext,
): Promise<CommandResult> {
  const { host, lab } = context
  if (SPECIAL.has(name))
    return fail(`rcctl: ${name} is not a daemon; pfctl(8) and ipsecctl(8) load its rules`)
  const running = host.runningServices
  const told = (ok: boolean, why = ''): CommandResult => ({
    stdout: `${name}(${ok ? 'ok' : 'failed'})\n`,
    stderr: why === '' ? '' : `${why}\n`,
    exitCode: ok ? 0 : 1,
  })
  if (verb === 'check') return told(running.has(name))
  if (name === 'iked') return actOnIked(verb, told, context)
  if (verb === 'stop') {
    if (!running.has(name)) return succeed()
    running.delete(name)
    if (name === 'vmd') lab.vmd.stopAll()
    return told(true)
  }
  if (verb === 'start' && running.has(name)) return succeed()
  if (verb === 'reload' && !running.has(name))
    return told(false, `${name} is not running: rcctl start ${name}`)
  if (!forced && verb !== 'reload' && !host.enabledServices.has(name) && !NAMES_ONLY.has(name))
    return fail(`/etc/rc.d/${name}: need -f to force start since ${name}_flags=NO (or: rcctl enable ${name})`)
  if (name === 'vmd') {
    try {
      if (verb === 'restart') lab.vmd.stopAll()
      await lab.clock.lend(lab.vmd.load())
    } catch (error) {
      if (!(error instanceof WarrenError)) throw error
      await host.log('vmd[40000]', error.message, '/var/log/daemon')
      return told(false, error.message)
    }
    running.add(name)
    return told(true)
  }
  if (!NAMES_ONLY.has(name)) return told(false, `${name} is not played in this lab yet`)
  running.add(name)
  return told(true)
}

/** rc.subr(8) gives the daemon this long to come up: by then what it begins has begun. */
const STARTING = seconds(1)

async function actOnIked(
  verb: string,
  told: (ok: boolean, why?: string) => CommandResult,
  context: CommandContext,
): Promise<CommandResult> {
  const { host, lab } = context
  if (verb === 'reload') {
    if (host.iked === undefined) return told(false, 'iked is not running: rcctl start iked')
    const problem = await lab.clock.lend(reloadIked(host))
    return told(problem === undefined, problem)
  }
  if (verb === 'stop' || verb === 'restart') {
    const ran = host.iked !== undefined
    stopIked(host)
    if (verb === 'stop') return ran ? told(true) : succeed()
  }
  if (host.iked !== undefined) return succeed()
  // The article starts it without enabling it. docs/errata.md.
  const note =
    verb !== 'start' || host.enabledServices.has('iked')
      ? ''
      : 'rcctl: iked is not enabled: OpenBSD asks for "rcctl enable iked" first; started all the same\n'
  const flags = await flagsOf('iked', context)
  const said = await lab.clock.lend(startIked(host, { verbose: /(^|\s)-\w*v/.test(flags) }))
  const text = `${note}${said.map((line) => `${line}\n`).join('')}`
  if (host.iked !== undefined) await context.sleep(STARTING)
  const ok = host.iked !== undefined
  return { stdout: `iked(${ok ? 'ok' : 'failed'})\n`, stderr: text, exitCode: ok ? 0 : 1 }
}

async function list(which: string, context: CommandContext): Promise<CommandResult> {
  const { host } = context
  const known = SERVICES.filter((name) => isKnown(name, context))
  const isOn = (name: string): boolean =>
    host.enabledServices.has(name) || NAMES_ONLY.has(name) || name === 'pf'
  const filters: Record<string, (name: string) => boolean> = {
    all: () => true,
    on: isOn,
    off: (name) => !isOn(name),
    started: (name) => host.runningServices.has(name),
    stopped: (name) => !SPECIAL.has(name) && !host.runningServices.has(name),
    failed: (name) => host.enabledServices.has(name) && !SPECIAL.has(name) && !host.runningServices.has(name),
  }
  const filter = filters[which]
  if (filter === undefined) return fail(USAGE)
  const names = known.filter(filter)
  return succeed(names.map((name) => `${name}\n`).join(''))
}

async function get(names: string[], context: CommandContext): Promise<CommandResult> {
  const [name, variable] = names
  if (name === undefined) return fail(USAGE)
  if (!isKnown(name, context)) return noSuchService(name)
  const flags = await flagsOf(name, context)
  if (variable === 'flags') return { stdout: `${flags}\n`, stderr: '', exitCode: flags === 'NO' ? 1 : 0 }
  const values = { class: 'daemon', flags, logger: '', rtable: '0', timeout: '30', user: 'root' }
  const lines = Object.entries(values).map(([key, value]) => `${name}_${key}=${value}`)
  return { stdout: `${lines.join('\n')}\n`, stderr: '', exitCode: flags === 'NO' ? 1 : 0 }
}

async function set(names: string[], context: CommandContext): Promise<CommandResult> {
  const [name, variable, ...values] = names
  if (name === undefined || variable === undefined) return fail(USAGE)
  if (!isKnown(name, context)) return noSuchService(name)
  if (variable === 'status') return enable(name, values[0] === 'on', context)
  if (variable !== 'flags') return fail(`rcctl: ${variable} is not played in the lab; flags and status are`)
  if ((await flagsOf(name, context)) === 'NO') return fail(`rcctl: ${name} is not enabled`)
  await enable(name, true, context)
  const path = '/etc/rc.conf.local'
  const text = await context.host.fs.readFile(path)
  await context.host.fs.writeFile(
    path,
    text.replace(`${name}_flags=\n`, `${name}_flags=${values.join(' ')}\n`),
  )
  return succeed()
}

async function flagsOf(name: string, { host }: CommandContext): Promise<string> {
  const path = '/etc/rc.conf.local'
  const text = (await host.fs.exists(path)) ? await host.fs.readFile(path) : ''
  const line = text.split('\n').find((one) => one.startsWith(`${name}_flags=`))
  if (line !== undefined) return line.slice(name.length + 7)
  return NAMES_ONLY.has(name) ? '' : 'NO'
}

/** ` (did you mean start?)`, or nothing. */
function hint(word: string, known: readonly string[]): string {
  const meant = didYouMean(word, known)
  return meant === undefined ? '' : ` (${meant})`
}
