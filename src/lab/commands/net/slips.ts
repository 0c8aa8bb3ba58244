import type { CommandContext } from '../../command.js'

/**
 * The article makes bridge1 and then listens on bridge0. Where a machine has exactly one bridge and another number is
 * asked for, that one is meant: it is said, and done.
 */
export function bridgeMeant(context: CommandContext, program: string, name: string): string | undefined {
  if (!/^bridge\d+$/.test(name)) return undefined
  const bridges = [...context.host.devices.values()].filter((device) => device.kind === 'bridge')
  const [only] = bridges
  if (only === undefined || bridges.length > 1) return undefined
  context.warn(`${program}: ${name}: no such interface; the only bridge here is ${only.name}: taking that`)
  return only.name
}
