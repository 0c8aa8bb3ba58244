/**
 * What a host needs for the filter that keeps a tunnel without authentication from being an open decapsulator: an
 * inner packet leaves only with a source that the route back would lead into the same tunnel. The routes are the
 * host's.
 */
import { IPV4, IPV6, type IpAddress, ipAddressFrom, type PacketBuffer } from '../base/index.js'

/**
 * Source address of an inner IP packet, as a view into the packet's bytes; `undefined` for a frame, which is a
 * bridge's matter.
 */
export function innerSourceOf({ bytes, start, kind }: PacketBuffer): IpAddress | undefined {
  if (kind === IPV4) return ipAddressFrom(bytes.subarray(start + 12, start + 16))
  if (kind === IPV6) return ipAddressFrom(bytes.subarray(start + 8, start + 24))
  return undefined
}
