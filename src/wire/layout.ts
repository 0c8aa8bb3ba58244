/**
 * One declaration a header.
 *
 * A header is declared once, as a table of its fields in wire order. From that table come the checked view, the
 * parsed value, the emitter, the accessors of the fast paths, and what `explain` says of every byte.
 *
 * The order inside each file of this folder is the same: constants and code tables, the value's interface (the
 * names are the standard's), the declaration, and the checks that a table cannot express.
 */
import {
  Ipv4Address,
  Ipv6Address,
  MacAddress,
  ParseError,
  readUint16,
  readUint32,
  writeUint16,
  writeUint32,
} from '../base/index.js'

/** Meanings of codes: code to name. What is not in it is unknown, and survives a round trip all the same. */
export type CodeTable = Readonly<Record<number, string>>

type FieldKind = 'uint' | 'ipv4' | 'ipv6' | 'mac' | 'bytes'

/** One field as declared. Made by `uint`, `flag`, `ipv4`, `ipv6`, `mac`, `octets`. */
export interface Field<V> {
  readonly kind: FieldKind
  readonly bits: number
  readonly label: string
  readonly options: FieldOptions
  /** Phantom: ties the declaration to the value's interface. */
  readonly value?: V
}

export interface FieldOptions {
  /** Section that defines it, if it is not the header's own: "RFC 3168 section 5". */
  readonly ref?: string
  readonly codes?: CodeTable
  readonly show?: 'dec' | 'hex'
  /** What `explain` adds after the value: units, or what the value means here. */
  readonly meaning?: (value: number) => string | undefined
  /** The only value the standard allows; another is a `ParseError` in views, and 'must be' in `explain`. */
  readonly must?: number
  /** Name of a one-bit field earlier in the header that announces this one. */
  readonly when?: string
  /** The value `emit` writes when the value object leaves it out. */
  readonly default?: number
}

export const uint = (bits: number, label: string, options: FieldOptions = {}): Field<number> => ({
  kind: 'uint',
  bits,
  label,
  options,
})
/** A one-bit field, as a boolean. */
export const flag = (label: string, options: FieldOptions = {}): Field<boolean> =>
  ({ kind: 'uint', bits: 1, label, options }) as Field<boolean>
export const ipv4 = (label: string, options: FieldOptions = {}): Field<Ipv4Address> => ({
  kind: 'ipv4',
  bits: 32,
  label,
  options,
})
export const ipv6 = (label: string, options: FieldOptions = {}): Field<Ipv6Address> => ({
  kind: 'ipv6',
  bits: 128,
  label,
  options,
})
export const mac = (label: string, options: FieldOptions = {}): Field<MacAddress> => ({
  kind: 'mac',
  bits: 48,
  label,
  options,
})
export const octets = (count: number, label: string, options: FieldOptions = {}): Field<Uint8Array> => ({
  kind: 'bytes',
  bits: 8 * count,
  label,
  options,
})

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
  readonly names: CodeTable
  /** Text of one option's value, for `explain`; `undefined` shows hex. */
  readonly describe?: (option: WireOption) => string | undefined
}

/** The field table of a value `T`: every member of it, in wire order. */
export type FieldTable<T> = { readonly [K in keyof Omit<T, 'options'>]-?: Field<NonNullable<T[K]>> }

export interface HeaderDeclaration<T> {
  readonly name: string
  readonly title: string
  /** Where the standard draws it. */
  readonly ref: string
  readonly fields: FieldTable<T>
  /** Length of the whole header with its options, in bytes, from its fixed part; default: the fields' own. */
  readonly headerLength?: (bytes: Uint8Array, start: number) => number
  readonly options?: OptionLayout
  /** Further checks on a header whose bytes are all there; returns the problem or undefined. */
  readonly check?: (view: HeaderView & Readonly<T>) => ParseError | undefined
  /** Sets fields that follow from others (lengths, offsets) before they are written. */
  readonly derive?: (value: T, optionBytes: number) => Partial<T>
}

/** A checked header in place: accessors read the bytes, none can fail. */
export interface HeaderView {
  readonly bytes: Uint8Array
  /** Offset of the header. */
  readonly start: number
  /** Offset one past the header and its options: where the payload starts. */
  readonly payloadStart: number
  /** Offset one past what belongs to this header's datagram as far as its carrier knows. */
  readonly end: number
}

/** What `explain` says of one range of bits. */
export interface FieldRange {
  readonly field: string
  readonly label: string
  /** Bit offset from the start of the buffer. */
  readonly bitStart: number
  readonly bitLength: number
  /** The value as text, in the form people use for it. */
  readonly value: string
  /** What the value means, if a table or rule knows. */
  readonly meaning?: string
  readonly ref: string
  /** What is wrong with it, with both values. */
  readonly problem?: string
}

interface LaidField {
  readonly name: string
  readonly field: Field<unknown>
  /** Bit offset from the header's start if every field before it is always there. */
  readonly bitOffset: number
}

export interface Header<T> {
  readonly name: string
  readonly title: string
  readonly ref: string
  readonly declaration: HeaderDeclaration<T>
  /** Bytes of the fields that are always there. */
  readonly minimumLength: number
  /** Byte offset of each always-there field from the header's start (of its first bit): for hand-written fast paths. */
  readonly offset: { readonly [K in keyof T]-?: number }
  /** Checks lengths and required values once; throws `ParseError`, and nothing else, on a stranger's bytes. */
  view(bytes: Uint8Array, start?: number, end?: number): HeaderView & Readonly<T>
  /** The header as a value of its own; the same checks as `view`. */
  parse(bytes: Uint8Array, start?: number, end?: number): T
  /** Bytes that `emit` will write for this value. */
  lengthOf(value: T): number
  /** Writes the header at `at` and returns the offset after it. Lengths are derived; checksums are the caller's. */
  emit(value: T, bytes: Uint8Array, at?: number): number
  /** The header alone in bytes of its own. */
  toBytes(value: T): Uint8Array
  /** Every range of the header that is there, in order; a cut-off header explains as far as it goes. Never throws. */
  explain(bytes: Uint8Array, start?: number, end?: number): FieldRange[]
  /** True if an optional field is present in the header at `start`. */
  has(bytes: Uint8Array, start: number, name: keyof T & string): boolean
}

/** Makes a `Header` of its declaration. */
export function defineHeader<T extends object>(declaration: HeaderDeclaration<T>): Header<T> {
  const laid = layOut(declaration)
  const fixed = laid.filter(({ field }) => field.options.when === undefined)
  const minimumLength = fixed.reduce((bits, { field }) => bits + field.bits, 0) / 8
  const byName = new Map(laid.map((entry) => [entry.name, entry]))
  const optional = laid.length > fixed.length

  const isPresent = (bytes: Uint8Array, start: number, { field }: LaidField): boolean => {
    if (field.options.when === undefined) return true
    const announcer = byName.get(field.options.when)!
    return readBits(bytes, start * 8 + announcer.bitOffset, 1) === 1
  }
  /** Bit offset of a field from the header's start; earlier optional fields count only where present. */
  const bitOffsetOf = (bytes: Uint8Array, start: number, name: string): number => {
    let offset = 0
    for (const entry of laid) {
      if (entry.name === name) return offset
      if (isPresent(bytes, start, entry)) offset += entry.field.bits
    }
    return offset
  }
  const fieldsLength = (bytes: Uint8Array, start: number): number => {
    if (!optional) return minimumLength
    let bits = 0
    for (const entry of laid) if (isPresent(bytes, start, entry)) bits += entry.field.bits
    return bits / 8
  }

  class View implements HeaderView {
    readonly bytes: Uint8Array
    readonly start: number
    readonly payloadStart: number
    readonly end: number
    constructor(bytes: Uint8Array, start: number, end: number) {
      this.bytes = bytes
      this.start = start
      this.end = end
      this.payloadStart = checkLengths(bytes, start, end)
      checkRequired(bytes, start)
      const problem = declaration.check?.(this as unknown as HeaderView & Readonly<T>)
      if (problem !== undefined) throw problem
    }
  }
  for (const entry of laid) {
    const { name, field, bitOffset } = entry
    Object.defineProperty(View.prototype, name, {
      enumerable: true,
      get(this: View) {
        if (!optional) return readField(this.bytes, this.start * 8 + bitOffset, field)
        if (!isPresent(this.bytes, this.start, entry)) return undefined
        return readField(this.bytes, this.start * 8 + bitOffsetOf(this.bytes, this.start, name), field)
      },
    })
  }
  const optionLayout = declaration.options
  if (optionLayout !== undefined) {
    Object.defineProperty(View.prototype, 'options', {
      enumerable: true,
      get(this: View) {
        return readOptions(
          declaration.name,
          optionLayout,
          this.bytes,
          this.start + fieldsLength(this.bytes, this.start),
          this.payloadStart,
        )
      },
    })
  }

  function checkLengths(bytes: Uint8Array, start: number, end: number): number {
    const have = end - start
    if (have < minimumLength) {
      const cut = laid.find((entry) => entry.bitOffset + entry.field.bits > have * 8) ?? laid[0]!
      throw new ParseError(
        declaration.name,
        cut.name,
        start + (cut.bitOffset >> 3),
        `${have} bytes in all`,
        `at least ${minimumLength}`,
      )
    }
    const needed = fieldsLength(bytes, start)
    if (have < needed)
      throw new ParseError(
        declaration.name,
        'length',
        start,
        `${have} bytes in all`,
        `${needed} for the fields it announces`,
      )
    const length = declaration.headerLength?.(bytes, start) ?? needed
    if (length < needed)
      throw new ParseError(declaration.name, 'headerLength', start, `${length} bytes`, `at least ${needed}`)
    if (length > have)
      throw new ParseError(
        declaration.name,
        'headerLength',
        start,
        `${length} bytes`,
        `at most the ${have} that are there`,
      )
    if (optionLayout !== undefined)
      readOptions(declaration.name, optionLayout, bytes, start + needed, start + length)
    return start + length
  }
  const required = laid.filter(
    ({ field }) => field.options.must !== undefined && field.options.when === undefined,
  )
  function checkRequired(bytes: Uint8Array, start: number): void {
    for (const { name, field, bitOffset } of required) {
      const value = readBits(bytes, start * 8 + bitOffset, field.bits)
      if (value !== field.options.must)
        throw new ParseError(
          declaration.name,
          name,
          start + (bitOffset >> 3),
          String(value),
          String(field.options.must),
        )
    }
  }

  const view = (bytes: Uint8Array, start = 0, end: number = bytes.length): HeaderView & Readonly<T> =>
    new View(bytes, start, end) as unknown as HeaderView & Readonly<T>

  const parse = (bytes: Uint8Array, start = 0, end: number = bytes.length): T => {
    const checked = view(bytes, start, end) as Record<string, unknown>
    const value: Record<string, unknown> = {}
    for (const { name } of laid) {
      const read = checked[name]
      if (read !== undefined) value[name] = detach(read)
    }
    if (optionLayout !== undefined) {
      value['options'] = (checked['options'] as WireOption[]).map(({ kind, data }) => ({
        kind,
        data: data.slice(),
      }))
    }
    return value as T
  }

  const present = (value: T): LaidField[] =>
    laid.filter(
      ({ name, field }) =>
        field.options.when === undefined || (value as Record<string, unknown>)[name] !== undefined,
    )
  const optionsOf = (value: T): readonly WireOption[] =>
    (value as { options?: readonly WireOption[] }).options ?? []

  const lengthOf = (value: T): number =>
    present(value).reduce((bits, { field }) => bits + field.bits, 0) / 8 +
    (optionLayout === undefined ? 0 : optionsLength(optionLayout, optionsOf(value)))

  const emit = (value: T, bytes: Uint8Array, at = 0): number => {
    const optionBytes = optionLayout === undefined ? 0 : optionsLength(optionLayout, optionsOf(value))
    const whole = { ...value, ...declaration.derive?.(value, optionBytes) } as Record<string, unknown>
    // A field that is there raises the flag that announces it.
    for (const { name, field } of laid)
      if (field.options.when !== undefined) whole[field.options.when] = whole[name] !== undefined
    let bit = at * 8
    for (const { name, field } of laid) {
      if (field.options.when !== undefined && whole[name] === undefined) continue
      writeField(bytes, bit, field, whole[name] ?? field.options.must ?? field.options.default ?? 0)
      bit += field.bits
    }
    let offset = bit / 8
    if (optionLayout !== undefined)
      offset = writeOptions(optionLayout, optionsOf(value), bytes, offset, optionBytes)
    return offset
  }

  const explain = (bytes: Uint8Array, start = 0, end: number = bytes.length): FieldRange[] => {
    const ranges: FieldRange[] = []
    let bit = start * 8
    for (const entry of laid) {
      const { name, field } = entry
      if (bit + field.bits > end * 8) return ranges
      if (!isPresent(bytes, start, entry)) continue
      ranges.push(explainField(bytes, bit, name, field, declaration.ref))
      bit += field.bits
    }
    if (optionLayout === undefined) return ranges
    const from = bit / 8
    const length = declaration.headerLength?.(bytes, start) ?? from - start
    ranges.push(...explainOptions(optionLayout, bytes, from, Math.min(end, start + length)))
    return ranges
  }

  return {
    name: declaration.name,
    title: declaration.title,
    ref: declaration.ref,
    declaration,
    minimumLength,
    offset: Object.fromEntries(laid.map(({ name, bitOffset }) => [name, bitOffset >> 3])) as {
      readonly [K in keyof T]-?: number
    },
    view,
    parse,
    lengthOf,
    emit,
    toBytes(value) {
      const bytes = new Uint8Array(lengthOf(value))
      emit(value, bytes)
      return bytes
    },
    explain,
    has: (bytes, start, name) => isPresent(bytes, start, byName.get(name)!),
  }
}

function layOut<T>(declaration: HeaderDeclaration<T>): LaidField[] {
  const laid: LaidField[] = []
  let bitOffset = 0
  for (const [name, field] of Object.entries(declaration.fields) as [string, Field<unknown>][]) {
    if (field.kind !== 'uint' && bitOffset % 8 !== 0)
      throw new TypeError(`${declaration.name}.${name} does not start on a byte`)
    laid.push({ name, field, bitOffset })
    bitOffset += field.bits
  }
  if (bitOffset % 8 !== 0) throw new TypeError(`${declaration.name} does not end on a byte`)
  return laid
}

/** Reads up to 32 bits at any bit offset. */
export function readBits(bytes: Uint8Array, bitStart: number, count: number): number {
  const at = bitStart >>> 3
  if ((bitStart & 7) === 0) {
    if (count === 8) return bytes[at]!
    if (count === 16) return readUint16(bytes, at)
    if (count === 32) return readUint32(bytes, at)
  }
  let value = 0
  for (let bit = bitStart; bit < bitStart + count; ) {
    const left = 8 - (bit & 7)
    const take = Math.min(left, bitStart + count - bit)
    value = value * 2 ** take + ((bytes[bit >>> 3]! >>> (left - take)) & (2 ** take - 1))
    bit += take
  }
  return value
}

/** Writes up to 32 bits at any bit offset, leaving the bits around them. */
export function writeBits(bytes: Uint8Array, bitStart: number, count: number, value: number): void {
  const at = bitStart >>> 3
  if ((bitStart & 7) === 0) {
    if (count === 8) return void (bytes[at] = value)
    if (count === 16) return writeUint16(bytes, at, value)
    if (count === 32) return writeUint32(bytes, at, value)
  }
  let left = count
  for (let bit = bitStart; left > 0; ) {
    const room = 8 - (bit & 7)
    const take = Math.min(room, left)
    const part = Math.floor(value / 2 ** (left - take)) % 2 ** take
    const shift = room - take
    const mask = (2 ** take - 1) << shift
    bytes[bit >>> 3] = (bytes[bit >>> 3]! & ~mask) | (part << shift)
    left -= take
    bit += take
  }
}

function readField(bytes: Uint8Array, bit: number, field: Field<unknown>): unknown {
  const at = bit >>> 3
  switch (field.kind) {
    case 'uint': {
      const value = readBits(bytes, bit, field.bits)
      return field.bits === 1 ? value === 1 : value
    }
    case 'ipv4':
      return new Ipv4Address(bytes.subarray(at, at + 4))
    case 'ipv6':
      return new Ipv6Address(bytes.subarray(at, at + 16))
    case 'mac':
      return new MacAddress(bytes.subarray(at, at + 6))
    case 'bytes':
      return bytes.subarray(at, at + field.bits / 8)
  }
}

/** What a view hands out still lies in the packet; a parsed value owns its bytes. */
function detach(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.slice()
  if (value instanceof Ipv4Address) return new Ipv4Address(value.bytes.slice())
  if (value instanceof Ipv6Address) return new Ipv6Address(value.bytes.slice())
  if (value instanceof MacAddress) return new MacAddress(value.bytes.slice())
  return value
}

function writeField(bytes: Uint8Array, bit: number, field: Field<unknown>, value: unknown): void {
  if (field.kind === 'uint') return writeBits(bytes, bit, field.bits, Number(value))
  const source = value instanceof Uint8Array ? value : (value as { bytes?: Uint8Array }).bytes
  const at = bit >>> 3
  bytes.fill(0, at, at + field.bits / 8)
  if (source !== undefined) bytes.set(source.subarray(0, field.bits / 8), at)
}

function explainField(
  bytes: Uint8Array,
  bit: number,
  name: string,
  field: Field<unknown>,
  headerRef: string,
): FieldRange {
  const { codes, show, meaning, must, ref } = field.options
  const raw = readField(bytes, bit, field)
  let value: string
  let means: string | undefined
  let problem: string | undefined
  if (field.kind === 'uint') {
    const number = Number(raw)
    value =
      show === 'hex' ? `0x${number.toString(16).padStart(Math.ceil(field.bits / 4), '0')}` : String(number)
    means = meaning?.(number) ?? (codes === undefined ? undefined : (codes[number] ?? 'unknown'))
    if (must !== undefined && number !== must) problem = `found ${number}, must be ${must}`
  } else if (field.kind === 'bytes') {
    value = Array.from(raw as Uint8Array, (byte) => byte.toString(16).padStart(2, '0')).join('')
  } else {
    value = String(raw)
  }
  return {
    field: name,
    label: field.label,
    bitStart: bit,
    bitLength: field.bits,
    value,
    ...(means === undefined ? {} : { meaning: means }),
    ref: ref ?? headerRef,
    ...(problem === undefined ? {} : { problem }),
  }
}

/** Walks the options in `[from, to)`; throws `ParseError` where one does not fit. */
export function readOptions(
  header: string,
  layout: OptionLayout,
  bytes: Uint8Array,
  from: number,
  to: number,
): WireOption[] {
  const options: WireOption[] = []
  let at = from
  while (at < to) {
    const kind = bytes[at]!
    if (kind === layout.endKind) break
    if (layout.single.includes(kind)) {
      options.push({ kind, data: bytes.subarray(at, at) })
      at++
      continue
    }
    const length = at + 1 < to ? optionLength(layout, bytes[at + 1]!) : 0
    if (length < 2 || at + length > to) {
      throw new ParseError(
        header,
        'options',
        at,
        at + 1 < to ? `option ${kind} of ${length} bytes` : `option ${kind} without a length`,
        `2 to ${to - at} bytes`,
      )
    }
    options.push({ kind, data: bytes.subarray(at + 2, at + length) })
    at += length
  }
  return options
}

/** Whole length of an option, kind and length bytes included, from its length byte. */
const optionLength = (layout: OptionLayout, byte: number): number =>
  byte * layout.unit + (layout.countsItself ? 0 : 2)

/** Bytes of all options; those of a header with 4-byte units are padded up to a multiple of 4 by `writeOptions`. */
function optionsLength(layout: OptionLayout, options: readonly WireOption[]): number {
  let length = 0
  for (const { kind, data } of options) length += layout.single.includes(kind) ? 1 : data.length + 2
  return layout.endKind === undefined ? length : Math.ceil(length / 4) * 4
}

function writeOptions(
  layout: OptionLayout,
  options: readonly WireOption[],
  bytes: Uint8Array,
  from: number,
  length: number,
): number {
  let at = from
  for (const { kind, data } of options) {
    bytes[at++] = kind
    if (layout.single.includes(kind)) continue
    bytes[at++] = (data.length + (layout.countsItself ? 2 : 0)) / layout.unit
    bytes.set(data, at)
    at += data.length
  }
  bytes.fill(layout.endKind ?? 0, at, from + length)
  return from + length
}

function explainOptions(layout: OptionLayout, bytes: Uint8Array, from: number, to: number): FieldRange[] {
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
    const name = layout.names[kind] ?? `unknown option ${kind}`
    if (kind === layout.endKind) {
      range(1, name, '')
      if (at < to) range(to - at, 'Padding', hexOf(bytes, at, to))
      break
    }
    if (layout.single.includes(kind)) {
      range(1, name, '')
      continue
    }
    const length = at + 1 < to ? optionLength(layout, bytes[at + 1]!) : 0
    if (length < 2 || at + length > to) {
      range(to - at, name, hexOf(bytes, at, to), {
        problem: `found length ${length}, expected 2 to ${to - at}`,
      })
      break
    }
    const data = bytes.subarray(at + 2, at + length)
    range(length, name, layout.describe?.({ kind, data }) ?? hexOf(bytes, at + 2, at + length))
  }
  return ranges
}

const hexOf = (bytes: Uint8Array, from: number, to: number): string =>
  Array.from(bytes.subarray(from, to), (byte) => byte.toString(16).padStart(2, '0')).join('')
