/** DER, as far as keys need it to be handed to `node:crypto` (X.690). */

/** One element: a tag and what it holds. */
export function der(tag: number, ...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const head =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff]
  if (length > 0xffff) throw new RangeError(`DER of ${length} bytes`)
  const bytes = new Uint8Array(head.length + length)
  bytes.set(head)
  let at = head.length
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

export const DER_INTEGER = 0x02
export const DER_BIT_STRING = 0x03
export const DER_OCTET_STRING = 0x04
export const DER_SEQUENCE = 0x30

/** An unsigned integer of big-endian bytes. */
export function derInteger(value: Uint8Array): Uint8Array {
  let start = 0
  while (start < value.length - 1 && value[start] === 0) start++
  const digits = value.subarray(start)
  // X.690 section 8.3: the first bit is the sign.
  return (digits[0] ?? 0) >= 0x80 || digits.length === 0
    ? der(DER_INTEGER, [0], digits)
    : der(DER_INTEGER, digits)
}
