import { WarrenError } from '../../base/index.js'
import type { CommandContext, LabCommand } from '../command.js'
import type { Sysctl } from '../sysctls.js'
import { findVariables } from './net/sysctl-tree.js'
import { CommandFailure, getopt, guard, meant, strtonum } from './net/words.js'

/** sysctl(8) over the variables of a machine. */

const USAGE = 'usage: sysctl [-Aan]\n       sysctl [-n] name ...\n       sysctl [-nq] name=value ...'

export const sysctl: LabCommand = (args, context) =>
  guard(() => {
    const { given, operands } = getopt('sysctl', args, 'Aaf:nqw', USAGE)
    const style = { names: !given.has('n'), quiet: given.has('q') }
    if (operands.length === 0) {
      if (!given.has('a') && !given.has('A')) throw new CommandFailure(USAGE)
      show(context.host.sysctls.list(), style, context)
      return 0
    }
    let failures = 0
    for (const word of operands) failures += one(word, style, context) ? 0 : 1
    return failures > 0 ? 1 : 0
  })

interface Style {
  readonly names: boolean
  readonly quiet: boolean
}

function one(word: string, style: Style, context: CommandContext): boolean {
  const tree = context.host.sysctls.list()
  const equals = word.indexOf('=')
  const name = (equals < 0 ? word : word.slice(0, equals)).trim()
  const found = findVariables(tree, name)
  if ('error' in found) {
    const hint = meant(
      name,
      tree.map((variable) => variable.name),
    )
    context.warn(`sysctl: ${found.error}${hint}`)
    return false
  }
  if (equals < 0) {
    show(found.variables, style, context)
    return true
  }
  const [variable] = found.variables
  if (variable === undefined || variable.name !== name) {
    context.warn(`sysctl: ${name}: specification is incomplete`)
    return false
  }
  return set(variable, word.slice(equals + 1).trim(), style, context)
}

function show(variables: readonly Sysctl[], style: Style, context: CommandContext): void {
  for (const variable of variables)
    context.print(style.names ? `${variable.name}=${variable.read()}` : variable.read())
}

function set(variable: Sysctl, value: string, style: Style, context: CommandContext): boolean {
  if (variable.write === undefined) {
    context.warn(`sysctl: ${variable.name}: Operation not permitted`)
    return false
  }
  const before = variable.read()
  try {
    variable.write(value)
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    const reason = /^-?\d+$/.test(before) ? strtonum(value, -0x80000000, 0x7fffffff) : 'invalid'
    const { expected } = error.details
    context.warn(
      typeof reason === 'string'
        ? `sysctl: ${variable.name}: value is ${reason}: ${value}`
        : `sysctl: ${variable.name}: Invalid argument${expected === undefined ? '' : ` (it takes ${expected})`}`,
    )
    return false
  }
  if (!style.quiet) {
    const change = `${before} -> ${variable.read()}`
    context.print(style.names ? `${variable.name}: ${change}` : change)
  }
  return true
}
