/** Type-length-value options inside a header: IPv4's, TCP's, those of IPv6 extension headers and of ND. */
import { ParseError } from '../base/index.js'
import { type CodeTable, type FieldRange, hexOf } from './field.js'

/** A type-length-value option inside a header, as it stands on the wire. */
export interface WireOption {
  readonly kind: number
  /** Value bytes, without kind and length. */
  readonly data: Uint8Array
}

/** How a header's options are laid out. */
export interface OptionLayout {
  readonly ref: string
  /** Kinds that are one byte alone (end of list, no-operation, Pad1). */
  readonly single: readonly number[]
  /** The kind that ends the list, if there is one; what follows is padding. */
  readonly endKind?: number
  /** Bytes per unit of the length byte: 1, or 8 for neighbour discovery. */
  readonly unit: number
  /** Whether the length counts kind and length bytes too. */
  readonly countsItself: boolean
  /** The whole header's length is a multiple of this many bytes: `emit` pads up to it. Default 1. */
  readonly multiple?: number
  /** Fills `[from, to)` with padding; default: `endKind`, or zeros. */
  readonly pad?: (bytes: Uint8Array, from: number, to: number) => void
  readonly names: CodeTable
  /** Text of one option's value, for `explain`; `undefined` shows hex. */
  readonly describe?: (option: WireOption) => string | undefined
}

/** Whole length of an option, kind and length bytes included, from its length byte. */
const optionLength = (layout: OptionLayout, byte: number): number =>
  byte * layout.unit + (layout.countsItself ? 0 : 2)

/** Length of the option at `at`, or 0 if it does not fit before `to`. */
function lengthAt(layout: OptionLayout, bytes: Uint8Array, at: number, to: number): number {
  if (layout.single.includes(bytes[at]!)) return 1
  const length = at + 1 < to ? optionLength(layout, bytes[at + 1]!) : 0
  return length < 2 || at + length > to ? 0 : length
}

/** The first option in `[from, to)` that does not fit, as an error; `undefined` if all do. */
export function optionsProblem(
  header: string,
  layout: OptionLayout,
  bytes: Uint8Array,
  from: number,
  to: number,
): ParseError | undefined {
  for (let at = from; at < to; ) {
    const kind = bytes[at]!
    if (kind === layout.endKind) return undefined
    const length = lengthAt(layout, bytes, at, to)
    if (length === 0) {
      const found =
        at + 1 < to
          ? `option ${kind} of ${optionLength(layout, bytes[at + 1]!)} bytes`
          : `option ${kind} without a length`
      return new ParseError(header, 'options', at, found, `2 to ${to - at} bytes`)
    }
    at += length
  }
  return undefined
}

/** The options in `[from, to)`, up to the end of the list or the first that does not fit. */
export function readOptions(layout: OptionLayout, bytes: Uint8Array, from: number, to: number): WireOption[] {
  const options: WireOption[] = []
  for (let at = from; at < to; ) {
    const kind = bytes[at]!
    if (kind === layout.endKind) break
    const length = lengthAt(layout, bytes, at, to)
    if (length === 0) break
    options.push({ kind, data: bytes.subarray(Math.min(at + 2, at + length), at + length) })
    at += length
  }
  return options
}

/** Bytes of one option, its value padded up to the unit of its length. */
function sizeOf(layout: OptionLayout, { kind, data }: WireOption): number {
  if (layout.single.includes(kind)) return 1
  return layout.countsItself
    ? Math.ceil((data.length + 2) / layout.unit) * layout.unit
    : Math.ceil(data.length / layout.unit) * layout.unit + 2
}

/** Bytes of all options behind `fixedBytes` of fields, padding included. */
export function optionsLength(
  layout: OptionLayout,
  options: readonly WireOption[],
  fixedBytes: number,
): number {
  let length = fixedBytes
  for (const option of options) length += sizeOf(layout, option)
  const multiple = layout.multiple ?? 1
  return Math.ceil(length / multiple) * multiple - fixedBytes
}

/** Writes the options and the padding, `length` bytes in all, and returns the offset after them. */
export function writeOptions(
  layout: OptionLayout,
  options: readonly WireOption[],
  bytes: Uint8Array,
  from: number,
  length: number,
): number {
  let at = from
  for (const option of options) {
    const size = sizeOf(layout, option)
    bytes[at] = option.kind
    if (!layout.single.includes(option.kind)) {
      bytes[at + 1] = (size - (layout.countsItself ? 0 : 2)) / layout.unit
      bytes.fill(0, at + 2, at + size)
      bytes.set(option.data, at + 2)
    }
    at += size
  }
  if (layout.pad === undefined) bytes.fill(layout.endKind ?? 0, at, from + length)
  else layout.pad(bytes, at, from + length)
  return from + length
}

/** One range an option in `[from, to)`; `truncated` says that more was announced than `to` leaves. */
export function explainOptions(
  layout: OptionLayout,
  bytes: Uint8Array,
  from: number,
  to: number,
  truncated: boolean,
): FieldRange[] {
  const ranges: FieldRange[] = []
  let at = from
  const range = (length: number, label: string, value: string, more: Partial<FieldRange> = {}): void => {
    ranges.push({
      field: 'option',
      label,
      bitStart: at * 8,
      bitLength: length * 8,
      value,
      ref: layout.ref,
      ...more,
    })
    at += length
  }
  while (at < to) {
    const kind = bytes[at]!
    const name = layout.names[kind] ?? `Unknown option ${kind}`
    const length = lengthAt(layout, bytes, at, to)
    if (kind === layout.endKind) {
      range(1, name, '')
      if (at < to) range(to - at, 'Padding', hexOf(bytes, at, to))
    } else if (length === 0) {
      const said = at + 1 < to ? optionLength(layout, bytes[at + 1]!) : undefined
      const cut = truncated && (said === undefined || said >= 2)
      const problem = `found ${said === undefined ? 'no length' : `length ${said}`}, expected 2 to ${to - at}`
      range(to - at, name, hexOf(bytes, at, to), cut ? { truncated: true } : { problem })
    } else if (length === 1) {
      range(1, name, '')
    } else {
      const data = bytes.subarray(at + 2, at + length)
      range(length, name, layout.describe?.({ kind, data }) ?? hexOf(bytes, at + 2, at + length))
    }
  }
  return ranges
}
