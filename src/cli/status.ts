/** `warren status`: what the running one says of its tunnels. */
import type { IkeAssignedStatus, IkeStatus, IpsecStatus } from '../engine/index.js'
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
  const { name, kind, state, reason, local, remote, mtu, addresses, where, paths, drops, ipsec, ike } = tunnel
  const ends =
    local === undefined
      ? ipsec === undefined && ike === undefined
        ? ' no tunnel addresses'
        : ''
      : ` ${local} --> ${remote}`
  const lines = [
    `${name}: ${state}${reason === undefined ? '' : ` (${reason})`}, ${kind}${ends}, mtu ${mtu}`,
    ...addresses.map((address) => `\t${address.includes(':') ? 'inet6' : 'inet'} ${address}`),
  ]
  if (where !== undefined) lines.push(`\tfrom ${where}`)
  if (ike !== undefined) lines.push(...formatIke(ike))
  for (const { id, inbound, outbound } of ike === undefined ? paths : [])
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

/** An IKE SA with its children beneath it. */
function formatIke({ sas }: IkeStatus): string[] {
  if (sas.length === 0) return ['\tno IKE SA']
  return sas.flatMap((sa) => {
    const { policy, state, initiator, initiatorSpi, responderSpi, remoteId = 'nobody yet' } = sa
    const how = sa.udp ? `, ESP in UDP${sa.behindNat ? ', behind a NAT' : ''}` : ''
    return [
      `\tIKE SA ${policy}: ${state}, ${initiator ? 'initiator' : 'responder'}, ${initiatorSpi} ${responderSpi}`,
      `\t\t${sa.local} (${sa.localId}) --> ${sa.remote} (${remoteId})${how}`,
      `\t\t${sa.algorithms}; ${sa.ageSeconds} s old, heard ${sa.silentSeconds} s ago`,
      ...(sa.assigned === undefined ? [] : formatAssigned(sa.assigned)),
      ...sa.children.flatMap((child) => [
        `\t\t${child.protocol} ${child.mode} ${child.flows.join(', ')}`,
        `\t\t\t${child.state}, spi in ${child.spiIn} out ${child.spiOut}, ${child.algorithms}`,
        `\t\t\tin ${child.packetsIn} packets ${child.bytesIn} bytes, out ${child.packetsOut} packets ${child.bytesOut} bytes`,
        `\t\t\t${child.ageSeconds} s old${child.rekeySeconds === undefined ? '' : `, made anew in ${child.rekeySeconds} s`}`,
      ]),
    ]
  })
}

function formatAssigned({ toPeer, addresses, nameServers, subnets, others }: IkeAssignedStatus): string[] {
  const parts = [
    ...addresses.map((address) => `address ${address}`),
    ...nameServers.map((address) => `name-server ${address}`),
    ...subnets.map((prefix) => `protected-subnet ${prefix}`),
    ...others,
  ]
  return parts.length === 0 ? [] : [`\t\t${toPeer ? 'given' : 'assigned to us'}: ${parts.join(', ')}`]
}

const formatDrops = (drops: readonly [string, number][]): string[] =>
  drops.map(([reason, count]) => `\tdropped ${reason}: ${count}`)
