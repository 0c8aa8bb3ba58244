import type { FieldRange } from '../../wire/layout.js'

/** One header, or one run of bytes that is no header, of a packet. */
export interface Layer {
  /** Name in the wire declarations (`ipv4`, `gre`, …), or `payload`, `padding`, `unknown`. */
  readonly name: string
  readonly title: string
  /** Where the standard draws it; '' for bytes that no standard names. */
  readonly ref: string
  /** Byte range `[start, end)` of the header alone. */
  readonly start: number
  readonly end: number
  /** 0 for the outermost packet, one more inside each tunnel and each quoted packet. */
  readonly depth: number
  /** Cover every bit of the range exactly once, in order. */
  readonly fields: readonly FieldRange[]
  /** What is to be said of the layer as a whole. */
  readonly note?: string
}

/** The range of bytes as one field. */
export function bytesField(
  field: string,
  label: string,
  bytes: Uint8Array,
  start: number,
  end: number,
  more: Partial<FieldRange> = {},
): FieldRange {
  let value = ''
  for (let i = start; i < end; i++) value += bytes[i]!.toString(16).padStart(2, '0')
  return { field, label, bitStart: 8 * start, bitLength: 8 * (end - start), value, ref: '', ...more }
}
