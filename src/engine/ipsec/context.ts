/** What both directions of IPsec on one host share. */
import type { Counters, Instant, IpAddress, PacketBuffer } from '../../base/index.js'
import { IPV4, ipAddressFrom } from '../../base/index.js'
import type { Policy, Spd, Stack } from '../../stack/index.js'
import type { Audit } from './audit.js'
import type { ManualSa, SaProtocol } from './sa.js'
import type { SaEntry, SecurityAssociationDatabase } from './sad.js'

/** RFC 3948 section 2.1. */
export const ENCAPSULATION_PORT = 4500
/** Tunnels of one packet on one host. */
export const NESTING_LIMIT = 16

export type IpsecEvent =
  | { readonly kind: 'add' | 'delete'; readonly sa: ManualSa }
  /** A lifetime has come to its soft or hard end, or the sequence numbers to theirs; the last two end the SA. */
  | { readonly kind: 'soft' | 'hard' | 'overflow'; readonly sa: ManualSa }
  /** A `require` policy had no SA for a packet: whoever makes SAs may make one. */
  | { readonly kind: 'acquire'; readonly policy: Policy }
  | { readonly kind: 'policy-add' | 'policy-delete'; readonly policy: Policy }
  | { readonly kind: 'flush' }

export interface IpsecContext {
  readonly stack: Stack
  readonly spd: Spd
  readonly sad: SecurityAssociationDatabase
  readonly counters: Counters
  readonly audit: Audit
  readonly enabled: Readonly<Record<SaProtocol, boolean>>
  /** Port 4500 is open. */
  readonly encapsulates: boolean
  /** The SA moved a packet: has it come to a limit? */
  used(entry: SaEntry, now: Instant): void
  tell(event: IpsecEvent, now: Instant): void
}

const addressAt = (packet: PacketBuffer, v4: number, v6: number): IpAddress => {
  const { bytes, start, kind } = packet
  const at = start + (kind === IPV4 ? v4 : v6)
  return ipAddressFrom(bytes.subarray(at, at + (kind === IPV4 ? 4 : 16)))
}
/** Views into an IP packet: to compare with, not to keep. */
export const sourceOf = (packet: PacketBuffer): IpAddress => addressAt(packet, 12, 8)
export const destinationOf = (packet: PacketBuffer): IpAddress => addressAt(packet, 16, 24)
