/** Flows and SAs as ipsecctl(8) prints them. */
import type { IpPrefix } from '../../base/index.js'
import { type IpsecFlow, protocolName, serviceName } from '../../config/index.js'
import type { ManualSa, Policy, PortRange, SaEntry } from '../../engine/index.js'

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

const spiOf = ({ spi }: ManualSa): string => `0x${spi.toString(16).padStart(8, '0')}`
const hex = (key: Uint8Array): string =>
  Array.from(key, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** The kernel keeps an AES by its key alone, and `aes` is what one of 128 bits is called. */
function encryptionName({ encryption }: ManualSa): string | undefined {
  if (encryption?.id !== 'ENCR_AES_CBC') return encryption?.name
  return encryption.key.length === 16 ? 'aes' : `aes-${8 * encryption.key.length}`
}

const algorithms = (sa: ManualSa, enc: string | undefined): string =>
  `${sa.authentication === undefined ? '' : ` auth ${sa.authentication.name}`}${enc === undefined ? '' : ` enc ${enc}`}`

/** `rule`: as the file has it; else as the kernel has it. Keys only where `-k` asks for them. */
export function saLine(
  sa: ManualSa,
  { rule = false, keys = false }: { rule?: boolean; keys?: boolean } = {},
): string {
  const mode = sa.protocol === 'ipip' ? '' : ` ${sa.mode}`
  const enc = rule ? sa.encryption?.name : encryptionName(sa)
  let line = `${sa.protocol}${mode} from ${sa.source} to ${sa.destination} spi ${spiOf(sa)}${algorithms(sa, enc)}`
  if (!keys) return line
  if (sa.authentication !== undefined) line += ` \\\n\tauthkey 0x${hex(sa.authentication.key)}`
  if (sa.encryption !== undefined && sa.encryption.key.length > 0)
    line += ` \\\n\tenckey 0x${hex(sa.encryption.key)}`
  return line
}

/** What `-v` adds to a line of the SAD. `unix`: microseconds since 1970 of the lab's time 0. */
export function saDetails(
  { sa, packets, bytes, addedAt, lastUsed }: SaEntry,
  unix: (at: number) => number,
): string[] {
  const flags = sa.mode === 'tunnel' ? 'flags 0x4<tunnel>' : 'flags 0x0<>'
  const first = lastUsed === undefined ? 0 : unix(lastUsed)
  return [
    `\tsa: spi ${spiOf(sa)}${algorithms(sa, encryptionName(sa))}`,
    `\t\tstate mature replay 64 ${flags}`,
    `\tlifetime_cur: alloc 0 bytes ${bytes} add ${unix(addedAt)} first ${first}`,
    `\tlifetime_lastuse: alloc 0 bytes 0 add 0 first ${first}`,
    `\taddress_src: ${sa.source}`,
    `\taddress_dst: ${sa.destination}`,
    `\tcounter: packets ${packets}`,
    ...(sa.udpPort === undefined ? [] : [`\tudpencap: udpencap port ${sa.udpPort}`]),
  ]
}

/** A message of PF_KEY, as `-m` shows it. */
export function saMessage(kind: string, sa: ManualSa, sequence: number): string[] {
  return [
    `sadb_${kind}: satype ${sa.protocol} vers 2 len 0 seq ${sequence} pid 0`,
    `\tsa: spi ${spiOf(sa)}${algorithms(sa, encryptionName(sa))}`,
    `\t\tstate mature replay 64 flags ${sa.mode === 'tunnel' ? '0x4<tunnel>' : '0x0<>'}`,
    `\taddress_src: ${sa.source}`,
    `\taddress_dst: ${sa.destination}`,
  ]
}

export function flowMessage(kind: string, policy: Policy, sequence: number): string[] {
  const { selector, direction, peer, action, protocol } = policy
  return [
    `sadb_${kind}: satype ${protocol} vers 2 len 0 seq ${sequence} pid 0`,
    `\tflow_type: type ${action} direction ${direction}`,
    `\tsrc_flow: ${selector.source.address}`,
    `\tsrc_mask: ${selector.source.mask}`,
    `\tdst_flow: ${selector.destination.address}`,
    `\tdst_mask: ${selector.destination.mask}`,
    ...(peer === undefined ? [] : [`\taddress_dst: ${peer}`]),
  ]
}

export const unixSeconds = (microseconds: number): number => Math.floor(microseconds / 1e6)
