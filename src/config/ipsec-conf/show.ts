/** Flows and SAs as ipsecctl(8) prints them. */
import type { IpPrefix } from '../../base/index.js'
import type { ManualSa, Policy, PortRange } from '../../engine/index.js'
import { protocolName, serviceName } from '../grammar/operands.js'
import type { IpsecFlow } from './rules.js'

const addresses = (prefix: IpPrefix): string =>
  prefix.length === 8 * prefix.address.bytes.length ? prefix.address.toString() : prefix.toString()

const ports = (range: PortRange | undefined): string => {
  if (range === undefined) return ''
  const { first, last } = range
  return first === last ? ` port ${serviceName(first)}` : ` port ${first}:${last}`
}

export function flowLine(policy: Policy, flow?: Pick<IpsecFlow, 'type' | 'srcid' | 'dstid'>): string {
  const { selector, direction, protocol, local, peer, action } = policy
  return [
    `flow ${protocol} ${direction}`,
    ...(selector.protocol === undefined ? [] : [`proto ${protocolName(selector.protocol)}`]),
    `from ${addresses(selector.source)}${ports(selector.sourcePorts)}`,
    `to ${addresses(selector.destination)}${ports(selector.destinationPorts)}`,
    ...(selector.icmpType === undefined ? [] : [`icmp-type ${selector.icmpType}`]),
    ...(selector.icmpCode === undefined ? [] : [`code ${selector.icmpCode}`]),
    ...(local === undefined ? [] : [`local ${local}`]),
    ...(peer === undefined ? [] : [`peer ${peer}`]),
    ...(flow?.srcid === undefined ? [] : [`srcid ${flow.srcid}`]),
    ...(flow?.dstid === undefined ? [] : [`dstid ${flow.dstid}`]),
    `type ${flow?.type ?? action}`,
  ].join(' ')
}

export const spiText = ({ spi }: ManualSa): string => `0x${spi.toString(16).padStart(8, '0')}`
const hex = (key: Uint8Array): string =>
  Array.from(key, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** The kernel keeps an AES by its key alone, and `aes` is what one of 128 bits is called. */
export function encryptionName({ encryption }: ManualSa): string | undefined {
  if (encryption?.id !== 'ENCR_AES_CBC') return encryption?.name
  return encryption.key.length === 16 ? 'aes' : `aes-${8 * encryption.key.length}`
}

export const algorithmsText = (sa: ManualSa, enc: string | undefined): string =>
  `${sa.authentication === undefined ? '' : ` auth ${sa.authentication.name}`}${enc === undefined ? '' : ` enc ${enc}`}`

/** `rule`: as the file has it; else as the kernel has it. Keys only where `-k` asks for them. */
export function saLine(
  sa: ManualSa,
  { rule = false, keys = false }: { rule?: boolean; keys?: boolean } = {},
): string {
  const mode = sa.protocol === 'ipip' ? '' : ` ${sa.mode}`
  const enc = rule ? sa.encryption?.name : encryptionName(sa)
  let line = `${sa.protocol}${mode} from ${sa.source} to ${sa.destination} spi ${spiText(sa)}${algorithmsText(sa, enc)}`
  if (!keys) return line
  if (sa.authentication !== undefined) line += ` \\\n\tauthkey 0x${hex(sa.authentication.key)}`
  if (sa.encryption !== undefined && sa.encryption.key.length > 0)
    line += ` \\\n\tenckey 0x${hex(sa.encryption.key)}`
  return line
}
