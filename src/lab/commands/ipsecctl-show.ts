/** What ipsecctl(8) shows beside the lines of flows and SAs. */

import type { Instant } from '../../base/index.js'
import { algorithmsText, encryptionName, spiText } from '../../config/index.js'
import type { ManualSa, Policy, SaEntry } from '../../engine/index.js'

/** What `-v` adds to a line of the SAD. `unix`: microseconds since 1970 of the lab's time 0. */
export function saDetails(
  { sa, direction, packets, bytes, addedAt, firstUsed, lastUsed }: SaEntry,
  unix: (at: number) => number,
): string[] {
  const flags = sa.mode === 'tunnel' ? 'flags 0x4<tunnel>' : 'flags 0x0<>'
  const time = (at: Instant | undefined): number => (at === undefined ? 0 : unix(at))
  const count = (value: number, what: string): string[] =>
    value === 0 ? [] : [`\t\t${value} ${direction}put ${what}${value === 1 ? '' : 's'}`]
  return [
    `\tsa: spi ${spiText(sa)}${algorithmsText(sa, encryptionName(sa))}`,
    `\t\tstate mature replay 64 ${flags}`,
    `\tlifetime_cur: alloc 0 bytes ${bytes} add ${unix(addedAt)} first ${time(firstUsed)}`,
    `\tlifetime_lastuse: alloc 0 bytes 0 add 0 first ${time(lastUsed)}`,
    `\taddress_src: ${sa.source}`,
    `\taddress_dst: ${sa.destination}`,
    '\tcounter:',
    ...count(packets, 'packet'),
    ...count(bytes, 'byte'),
    ...(sa.udpPort === undefined ? [] : [`\tudpencap: udpencap port ${sa.udpPort}`]),
  ]
}

/** A message of PF_KEY, as `-m` shows it. */
export function saMessage(kind: string, sa: ManualSa, sequence: number): string[] {
  return [
    `sadb_${kind}: satype ${sa.protocol} vers 2 len 0 seq ${sequence} pid 0`,
    `\tsa: spi ${spiText(sa)}${algorithmsText(sa, encryptionName(sa))}`,
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
