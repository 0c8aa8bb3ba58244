/**
 * Comparison whose time does not tell where two secrets differ.
 *
 * In JavaScript this is a best effort: no branch and no index depends on the contents, which is as much as the language
 * lets one say. It is used for ICVs, which live for one packet; providers that have a compare of their own use that.
 */

/** Whether `length` bytes of `a` from `aStart` are those of `b` from `bStart`. Out of range is not equal. */
export function constantTimeEqual(
  a: Uint8Array,
  aStart: number,
  b: Uint8Array,
  bStart: number,
  length: number,
): boolean {
  if (aStart < 0 || bStart < 0 || aStart + length > a.length || bStart + length > b.length) return false
  let difference = 0
  for (let i = 0; i < length; i++) difference |= a[aStart + i]! ^ b[bStart + i]!
  return difference === 0
}
