/** `warren status`: what the running one says of its tunnels. */
import type { IpsecStatus } from '../engine/index.js'
import { askControl, type DaemonStatus, type DaemonTunnelStatus } from '../linux/index.js'
import { controlArguments } from './control-arguments.js'
import type { CliIo } from './io.js'

export const help: string = `usage: warren status [--json] [--socket PATH]

Says how the tunnels of the running \`warren up\` are: their ends and addresses (of IPsec its flows and SAs, never a key),
what they carried, and what was dropped, by reason.

  --json         the same facts, one JSON value
  --socket PATH  the control socket (default: /run/warren.sock)

Example:
  warren status
`

export async function run(args: string[], io: CliIo): Promise<number> {
  const parsed = controlArguments('status', args, io, { json: true })
  if (parsed === undefined) return 2
  const status = (await askControl(parsed.socket, 'status')) as DaemonStatus
  io.stdout.write(parsed.json ? `${JSON.stringify(status)}\n` : formatStatus(status))
  return 0
}

export function formatStatus({ tunnels, drops }: DaemonStatus): string {
  const lines = tunnels.flatMap(formatTunnel)
  if (tunnels.length === 0) lines.push('no tunnels')
  const dropped = Object.entries(drops)
  if (dropped.length > 0) lines.push('of no tunnel:', ...formatDrops(dropped))
  return `${lines.join('\n')}\n`
}

function formatTunnel(tunnel: DaemonTunnelStatus): string[] {
  const { name, kind, state, reason, local, remote, mtu, addresses, where, paths, drops, ipsec } = tunnel
  const ends =
    local === undefined ? (ipsec === undefined ? ' no tunnel addresses' : '') : ` ${local} --> ${remote}`
  const lines = [
    `${name}: ${state}${reason === undefined ? '' : ` (${reason})`}, ${kind}${ends}, mtu ${mtu}`,
    ...addresses.map((address) => `\t${address.includes(':') ? 'inet6' : 'inet'} ${address}`),
  ]
  if (where !== undefined) lines.push(`\tfrom ${where}`)
  for (const { id, inbound, outbound } of paths)
    lines.push(
      `\t${id}: in ${inbound.packets} packets ${inbound.bytes} bytes, out ${outbound.packets} packets ${outbound.bytes} bytes`,
    )
  if (ipsec !== undefined) lines.push(...formatIpsec(ipsec))
  return [...lines, ...formatDrops(Object.entries(drops))]
}

function formatIpsec({ policies, sas }: IpsecStatus): string[] {
  return [
    ...policies.map(({ flow }) => `\t${flow}`),
    ...sas.flatMap(({ sa, direction, state, packets, bytes, left = {} }) => {
      const limits = Object.entries(left).map(([unit, amount]) => `${amount} ${unit}`)
      const rest = limits.length === 0 ? '' : `, ends after ${limits.join(' or ')}`
      return [`\t${sa}`, `\t\t${direction}, ${state}, ${packets} packets ${bytes} bytes${rest}`]
    }),
  ]
}

const formatDrops = (drops: readonly [string, number][]): string[] =>
  drops.map(([reason, count]) => `\tdropped ${reason}: ${count}`)
