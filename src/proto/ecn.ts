/**
 * Explicit congestion notification through a tunnel: RFC 6040, with DSCP beside it (RFC 2983).
 *
 * A traffic class here is the whole byte: DSCP in the high six bits, ECN in the low two.
 */

/** RFC 3168 section 5. */
export const NOT_ECT = 0
export const ECT_1 = 1
export const ECT_0 = 2
export const CE = 3

/** RFC 6040 section 4.1: normal copies the inner field; compatibility is for a far end that knows no ECN. */
export type EcnMode = 'normal' | 'compatibility'

/** The ECN field outside, of the one inside (RFC 6040 section 4.1, figure 3). */
export const encapsulatedEcn = (mode: EcnMode, inner: number): number =>
  mode === 'normal' ? inner & 3 : NOT_ECT

/** What `decapsulatedEcn` gives where the packet must be dropped. */
export const ECN_DROP = -1

// RFC 6040 section 4.2, figure 4: a row an inner field, a column an outer one, both in the order of their codes
// (Not-ECT, ECT(1), ECT(0), CE).
const DECAPSULATED: Int8Array = Int8Array.of(
  ...[NOT_ECT, NOT_ECT, NOT_ECT, ECN_DROP],
  ...[ECT_1, ECT_1, ECT_1, CE],
  ...[ECT_0, ECT_1, ECT_0, CE],
  ...[CE, CE, CE, CE],
)

/**
 * The ECN field that leaves the tunnel, of the inner and the outer one: `ECN_DROP` where congestion was marked
 * outside on a packet whose transport would not hear of it.
 */
export const decapsulatedEcn = (inner: number, outer: number): number =>
  DECAPSULATED[((inner & 3) << 2) | (outer & 3)]!
