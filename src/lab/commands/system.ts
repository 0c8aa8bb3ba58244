/** Small commands of the base system that the shell lacks or that must keep the lab's time and not the process's. */
import { after, microseconds, seconds } from '../../base/index.js'
import { type CommandResult, fail, type LabCommand, succeed } from '../command.js'
import { quote } from './xargs.js'

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** date(1): the lab's clock, in UTC; `+format` with the usual letters. */
export const date: LabCommand = async (args, { lab }) => {
  const now = new Date(lab.clock.toUnix() / 1_000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const time = `${two(now.getUTCHours())}:${two(now.getUTCMinutes())}:${two(now.getUTCSeconds())}`
  const day = DAYS[now.getUTCDay()]!
  const month = MONTHS[now.getUTCMonth()]!
  const letters: Record<string, string> = {
    Y: String(now.getUTCFullYear()),
    m: two(now.getUTCMonth() + 1),
    d: two(now.getUTCDate()),
    e: String(now.getUTCDate()).padStart(2),
    H: two(now.getUTCHours()),
    M: two(now.getUTCMinutes()),
    S: two(now.getUTCSeconds()),
    T: time,
    F: now.toISOString().slice(0, 10),
    s: String(Math.floor(lab.clock.toUnix() / 1e6)),
    a: day,
    b: month,
    Z: 'UTC',
    z: '+0000',
    n: '\n',
    '%': '%',
  }
  const [format] = args.filter((arg) => arg !== '-u')
  if (format === undefined)
    return succeed(`${day} ${month} ${letters.e} ${time} UTC ${now.getUTCFullYear()}\n`)
  if (!format.startsWith('+')) return fail('date: settimeofday: the clock of the lab goes by itself')
  return succeed(
    `${format.slice(1).replace(/%([a-zA-Z%])/g, (whole, letter: string) => letters[letter] ?? whole)}\n`,
  )
}

export const id: LabCommand = async (args) => {
  if (args.length === 0) return succeed('uid=0(root) gid=0(wheel) groups=0(wheel)\n')
  if (/^-[ug]$/.test(args[0]!)) return succeed('0\n')
  if (/^-(un|nu)$/.test(args[0]!)) return succeed('root\n')
  return fail('usage: id [user]')
}

export const whoami: LabCommand = async () => succeed('root\n')

export const dmesg: LabCommand = async (_, { fs }) => succeed(await fs.readFile('/var/run/dmesg.boot'))

/** sleep(1) by the lab's clock, however long. */
export const sleep: LabCommand = async (args, context) => {
  const [text = ''] = args
  if (args.length !== 1 || !/^\d+(\.\d+)?$/.test(text)) return fail('usage: sleep seconds')
  return { stdout: '', stderr: '', exitCode: (await context.sleep(seconds(Number(text)))) ? 0 : 130 }
}

/** timeout(1) by the lab's clock: what it runs is interrupted. */
export const timeout: LabCommand = async (args, context) => {
  const operands = args.filter(
    (arg, i) => !(arg.startsWith('-') && args.slice(0, i).every((a) => a.startsWith('-'))),
  )
  const [limit = '', ...utility] = operands
  const [, digits, unit = 's'] = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(limit) ?? []
  if (digits === undefined || utility.length === 0)
    return fail('usage: timeout [-fp] [-k time] [-s signal] duration command [arg ...]', 125)
  const span = seconds(Number(digits) * ({ s: 1, m: 60, h: 3_600, d: 86_400 }[unit || 's'] ?? 1))
  let expired = false
  const { clock } = context.lab
  const cancel = clock.schedule(after(clock.now(), span), () => {
    expired = true
    context.interrupt()
  })
  try {
    const result = await context.bounded(() => context.exec(utility.map(quote).join(' ')))
    return expired ? { ...result, exitCode: 124 } : result
  } finally {
    cancel()
  }
}

/** `pkill NAME` and `kill`: what runs on another terminal of the machine ends as by ^C. */
export const pkill: LabCommand = async (args, { host }) => {
  const names = args.filter((arg) => !arg.startsWith('-'))
  if (names.length !== 1) return fail('usage: pkill [-signal] pattern', 2)
  const hit = host.terminals.filter((terminal) => terminal.waiting && terminal.command.includes(names[0]!))
  for (const terminal of hit) terminal.interrupt()
  return { stdout: '', stderr: '', exitCode: hit.length > 0 ? 0 : 1 }
}

/** reboot(8): a virtual machine goes down and comes up with what its files say. */
export const reboot: LabCommand = async (_, { host, lab }) => {
  if (host === lab.host) return fail('reboot: the host of the lab stays up: its machines would be gone')
  lab.vmd.stop(host.name)
  await lab.clock.lend(lab.vmd.start(host.name))
  return succeed()
}

/** tail(1) with -f: the end of a file, and what is appended until ^C. */
export const tail: LabCommand = async (args, context) => {
  const follows = args.some((arg) => /^-\w*f/.test(arg))
  const rest = args
    .map((arg) => (/^-\w*f/.test(arg) ? arg.replace('f', '') : arg))
    .filter((arg) => arg !== '-')
  if (!follows) return context.original(rest)
  const path = rest.find((arg) => !arg.startsWith('-'))
  if (path === undefined)
    return fail('usage: tail [-f | -r] [-b number | -c number | -n number | -number] [file ...]')
  const full = context.fs.resolvePath(context.cwd, path)
  if (!(await context.fs.exists(full))) return fail(`tail: ${path}: No such file or directory`)
  let seen = (await context.fs.readFile(full)).split('\n')
  for (const line of seen.slice(-11, -1)) context.print(line)
  // Half a second of the lab's time between two looks; without an end of its own, so a script goes on.
  while (!context.interrupted) {
    context.endless()
    if (!(await context.sleep(microseconds(500_000)))) break
    const now = (await context.fs.readFile(full)).split('\n')
    for (const line of now.slice(seen.length - 1, -1)) context.print(line)
    seen = now
  }
  return succeed()
}

/** ls(1): everything here is root's. */
export const ls: LabCommand = async (args, context) => {
  const result = await context.original(args)
  if (!args.some((arg) => /^-\w*l/.test(arg))) return result
  return {
    ...result,
    stdout: result.stdout.replace(/^([bcdlps-][rwxstST-]{9} +\d+) user user/gm, '$1 root  wheel'),
  }
}

/** What exists on OpenBSD and has no part to play here, with what to do instead. */
export const notPlayed =
  (name: string, instead: string): LabCommand =>
  async (): Promise<CommandResult> =>
    fail(`${name}: not played in the lab: ${instead}`)
