/**
 * Transport mode through a NAT (RFC 7296 section 2.23.1). Each end writes the addresses that it knows into the selectors, and
 * a NAT changes those of the packets. So selectors are held against policies with the addresses that the packets have here;
 * those that the peer wrote are what it makes checksums of (RFC 3948 section 3.1.2).
 */
import { compare, type Selector } from './selectors.js'
import type { Session } from './session.js'

/** Source and destination as the peer's own header has them. */
export interface OriginalEnds {
  readonly source: Uint8Array
  readonly destination: Uint8Array
}

export interface SeenTraffic {
  readonly local: readonly Selector[]
  readonly remote: readonly Selector[]
  /** As the header of what the peer sends is where the peer makes it. */
  readonly originalEnds?: OriginalEnds
}

const isOne = ({ start, end }: Selector): boolean => compare(start, end) === 0

/** `local`, `remote`: the selectors of our side and of the peer's, as the peer wrote them. */
export function throughNat(
  { policy, udp, behindNat, peerBehindNat, local: here, remote: there }: Session,
  transport: boolean,
  local: readonly Selector[],
  remote: readonly Selector[],
): SeenTraffic {
  const isTranslated = udp && transport && policy.mode === 'transport' && (behindNat || peerBehindNat)
  const [ours, theirs] = [local[0], remote[0]]
  if (!isTranslated || ours === undefined || theirs === undefined) return { local, remote }
  // Of ranges and of several addresses nobody can say which one a packet had.
  if (![...local, ...remote].every(isOne)) return { local, remote }
  if ([local, remote].some((side) => side.some((one) => compare(one.start, side[0]!.start) !== 0)))
    return { local, remote }
  const at = (selectors: readonly Selector[], bytes: Uint8Array): Selector[] =>
    selectors.map((one) => (one.start.length === bytes.length ? { ...one, start: bytes, end: bytes } : one))
  return {
    local: behindNat ? at(local, here.address.bytes) : local,
    remote: peerBehindNat ? at(remote, there.address.bytes) : remote,
    originalEnds: { source: theirs.start, destination: ours.start },
  }
}
