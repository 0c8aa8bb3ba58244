import { WarrenError } from '../../base/index.js'
import { ifconfigWords, parseIfconfigArguments } from '../../config/ifconfig-arguments.js'
import type { CommandContext, LabCommand } from '../command.js'
import { applyActions, noSuchInterface } from './net/ifconfig-apply.js'
import { showInterface } from './net/ifconfig-show.js'
import { groupsOf, interfaceView } from './net/ifconfig-view.js'
import { bridgeMeant } from './net/slips.js'
import { CommandFailure, guard, printText } from './net/words.js'

/** ifconfig(8). */

const USAGE = 'usage: ifconfig [-AaC] [interface] [address_family] [address [dest_address]]\n\t\t[parameters]'

const CLONERS = ['bridge', 'eoip', 'etherip', 'gif', 'gre', 'lo', 'switch', 'vether']

export const ifconfig: LabCommand = (args, context) =>
  guard(() => {
    const [first, ...rest] = args
    if (first === undefined) return show(context, () => true)
    if (first.startsWith('-')) return options(first, rest, context)
    const { host } = context
    if (rest.length === 0) return showNamed(context, first)
    const actions = parse(rest)
    if (actions.length === 0) return showNamed(context, first, rest) // `ifconfig vio0 inet`
    const known = host.device(first) !== undefined || actions[0]?.action === 'create'
    applyActions(host, known ? first : (bridgeMeant(context, 'ifconfig', first) ?? first), actions)
    return 0
  })

function options(first: string, rest: readonly string[], context: CommandContext): number {
  if (first === '-C') {
    context.print(CLONERS.join(' '))
    return 0
  }
  if (first !== '-a' && first !== '-A') {
    const unknown = [...first.slice(1)].find((letter) => !'AaC'.includes(letter)) ?? '-'
    throw new CommandFailure(`ifconfig: unknown option -- ${unknown}\n${USAGE}`)
  }
  for (const word of rest)
    if (word !== 'inet' && word !== 'inet6')
      throw new CommandFailure(`ifconfig: ${first} takes a family (inet, inet6) and no ${word}\n${USAGE}`)
  return show(context, () => true, rest)
}

function showNamed(context: CommandContext, name: string, families: readonly string[] = []): number {
  const { host } = context
  if (host.device(name) !== undefined) return show(context, (other) => other === name, families)
  // A name without a number stands for all interfaces of the kind and of the group.
  const group = [...host.devices.values()].filter(
    (device) => device.kind === name || groupsOf(host, device).includes(name),
  )
  if (group.length > 0) {
    const names = new Set(group.map((device) => device.name))
    return show(context, (other) => names.has(other), families)
  }
  const other = bridgeMeant(context, 'ifconfig', name)
  if (other === undefined) throw noSuchInterface(host, name)
  return show(context, (shown) => shown === other, families)
}

function show(
  context: CommandContext,
  wanted: (name: string) => boolean,
  families: readonly string[] = [],
): number {
  const { host } = context
  const devices = [...host.devices.values()].sort((a, b) => a.interface.index - b.interface.index)
  for (const device of devices) {
    if (!wanted(device.name)) continue
    const text = showInterface(interfaceView(host, device), {
      inet: families.includes('inet'),
      inet6: families.includes('inet6'),
    })
    printText(context, text)
  }
  return 0
}

/** All words are read before the first is obeyed: a word that nobody knows changes nothing. */
function parse(words: readonly string[]): ReturnType<typeof parseIfconfigArguments> {
  try {
    return parseIfconfigArguments(words)
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    throw new CommandFailure(`ifconfig: ${complaint(error)}\n${USAGE}`)
  }
}

/** A word or value that cannot be, in ifconfig's words, and what would have been right. */
function complaint({ code, summary, details: { found = '', expected, mend } }: WarrenError): string {
  const hint = (...parts: (string | undefined)[]): string => {
    const known = parts.filter((part) => part !== undefined)
    return known.length === 0 ? '' : ` (${known.join('; ')})`
  }
  const wanted = expected === undefined ? undefined : `expected ${expected}`
  switch (code) {
    case 'CONFIG_MISSING_VALUE':
      return `'${summary}' requires argument${hint(wanted, mend)}`
    case 'CONFIG_UNKNOWN_WORD':
      // `netmask` and its like belong to an address.
      return ifconfigWords.includes(found)
        ? `${found}: no address before it (write ADDRESS ${found} …)`
        : `${found}: unknown word${hint(mend)}`
    case 'CONFIG_UNSUPPORTED_WORD':
      return `${found}: ${summary}${hint(mend)}`
    default:
      return `${summary} ${found}: bad value${hint(wanted, mend)}`
  }
}
