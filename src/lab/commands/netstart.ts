import { IpPrefix, Ipv4Address, Ipv6Address, parseIpAddress, WarrenError } from '../../base/index.js'
import { type HostnameIf, parseHostnameIf } from '../../config/hostname-if.js'
import type { CommandContext, LabCommand } from '../command.js'
import { resolveHost } from './net/hosts.js'
import { applyActions } from './net/ifconfig-apply.js'
import { CommandFailure, getopt, guard, meant } from './net/words.js'

/**
 * netstart(8), which /etc/netstart runs: `sh /etc/netstart [-n] [IF …]`. All files are read before the first is
 * obeyed, so that a mistake in one leaves the machine as it was.
 */

const USAGE = 'usage: sh /etc/netstart [-n] [interface ...]'

/** netstart(8) configures in this order: what others are made of comes first. */
const ORDER = ['lo', 'vio', 'tap', 'vether', 'gif', 'gre', 'eoip', 'etherip', 'bridge', 'switch']

export const netstart: LabCommand = (args, context) =>
  guard(async () => {
    const { given, operands } = getopt('netstart', args, 'n', USAGE)
    const names = await namesOf(operands, context)
    const files: HostnameIf[] = []
    for (const name of names) {
      const file = await readFile(name, operands.length > 0, context)
      if (file !== undefined) files.push(file)
    }
    const gateways = operands.length === 0 ? await readGateways(context) : []
    let failures = 0
    for (const file of files) failures += (await carryOut(file, given.has('n'), context)) ? 0 : 1
    for (const gateway of gateways) failures += await addDefault(gateway, given.has('n'), context)
    return failures > 0 ? 1 : 0
  })

async function namesOf(operands: readonly string[], context: CommandContext): Promise<readonly string[]> {
  const there = (await context.fs.readdir('/etc'))
    .filter((file) => /^hostname\.[a-z]+\d+$/.test(file))
    .map((file) => file.slice('hostname.'.length))
  for (const name of operands) {
    if (/^[a-z]+\d+$/.test(name)) continue
    throw new CommandFailure(
      `netstart: ${name}: not an interface name, as in vio0${meant(name, there)}\n${USAGE}`,
    )
  }
  if (operands.length > 0) return operands
  const rank = (name: string): number => ORDER.indexOf(name.replace(/\d+$/, ''))
  return there.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b, 'en', { numeric: true }))
}

async function readFile(
  name: string,
  named: boolean,
  context: CommandContext,
): Promise<HostnameIf | undefined> {
  const path = `/etc/hostname.${name}`
  let text: string
  try {
    text = await context.fs.readFile(path)
  } catch {
    if (!named) return undefined
    const there = (await context.fs.readdir('/etc')).filter((file) => file.startsWith('hostname.'))
    throw new CommandFailure(
      `netstart: ${path}: No such file or directory${meant(`hostname.${name}`, there)}`,
    )
  }
  try {
    return parseHostnameIf(text, path, name)
  } catch (error) {
    if (error instanceof WarrenError) throw new CommandFailure(`netstart: ${error.message}`)
    throw error
  }
}

/** False: something was refused, and said. */
async function carryOut(file: HostnameIf, dryRun: boolean, context: CommandContext): Promise<boolean> {
  const { host } = context
  const { interfaceName: name } = file
  const missing = host.device(name) === undefined
  if (dryRun) {
    if (missing) context.print(`{ ifconfig ${name} || ifconfig ${name} create; }`)
    for (const line of file.lines)
      context.print(line.kind === 'command' ? line.command : `ifconfig ${name} ${line.args.join(' ')}`)
    return true
  }
  try {
    if (missing) applyActions(host, name, [{ action: 'create', index: 0 }])
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error
    context.warn(`netstart: ${file.file}: ${error.message}`)
    return false
  }
  let good = true
  for (const line of file.lines) {
    if (line.kind === 'command') {
      const result = await context.exec(line.command)
      if (result.stdout !== '') context.print(result.stdout.trimEnd())
      if (result.stderr !== '') context.warn(result.stderr.trimEnd())
      if (result.exitCode !== 0) good = false
      continue
    }
    try {
      applyActions(host, name, line.actions)
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error
      context.warn(`${line.where}: ${error.message}`)
      good = false
    }
  }
  return good
}

/** mygate(5): the addresses of the default routers, one a line. */
async function readGateways(context: CommandContext): Promise<readonly string[]> {
  let text: string
  try {
    text = await context.fs.readFile('/etc/mygate')
  } catch {
    return []
  }
  const gateways: string[] = []
  for (const [i, line] of text.split('\n').entries()) {
    const word = line.replace(/#.*/, '').trim()
    if (word === '') continue
    if (parseIpAddress(word.split('%')[0]!) === undefined)
      throw new CommandFailure(
        `netstart: /etc/mygate:${i + 1}: found ${word}, expected an IP address of a router`,
      )
    gateways.push(word)
  }
  return gateways
}

/** Returns how many routes were refused: 0 or 1. */
async function addDefault(text: string, dryRun: boolean, context: CommandContext): Promise<number> {
  const gateway = await resolveHost(context, text, 0)
  if (gateway === undefined) {
    context.warn(`netstart: /etc/mygate: ${text}: no such interface`)
    return 1
  }
  const { address, zone } = gateway
  if (dryRun) {
    context.print(`route -qn add -host default ${text}`)
    return 0
  }
  const destination = new IpPrefix(
    address.family === 4 ? Ipv4Address.unspecified : Ipv6Address.unspecified,
    0,
  )
  const { routes } = context.host.stack
  routes.remove(destination)
  try {
    routes.add({
      destination,
      gateway: address,
      kind: 'static',
      ...(zone === undefined ? {} : { interface: zone }),
    })
    return 0
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    context.warn(`netstart: add net default: gateway ${text}: ${error.summary}`)
    return 1
  }
}
