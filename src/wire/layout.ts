/**
 * One declaration a header.
 *
 * A header is declared once, as a table of its fields in wire order. From that table come the checked view, the
 * parsed value, the emitter, the accessors of the fast paths, and what `explain` says of every byte.
 *
 * The order inside each file of this folder is the same: constants and code tables, the value's interface (the
 * names are the standard's), the declaration, and the checks that a table cannot express.
 */
import { ParseError } from '../base/index.js'
import { readBits } from './bits.js'
import {
  detach,
  explainField,
  type Field,
  type FieldRange,
  hexOf,
  readField,
  showNumber,
  writeField,
} from './field.js'
import type { Header, HeaderDeclaration, HeaderView } from './header.js'
import {
  explainOptions,
  optionsLength,
  optionsProblem,
  readOptions,
  type WireOption,
  writeOptions,
} from './options.js'

export * from './bits.js'
export * from './field.js'
export * from './header.js'
export * from './options.js'

interface LaidField {
  readonly name: string
  readonly field: Field<unknown>
  /** Bit offset from the header's start if every field before it is there, or by its own `at`. */
  readonly bitOffset: number
  /** True if `bitOffset` holds in every header. */
  readonly steady: boolean
}

/** Makes a `Header` of its declaration. */
export function defineHeader<T extends object>(declaration: HeaderDeclaration<T>): Header<T> {
  const laid = layOut(declaration)
  const fixed = laid.filter(({ field }) => field.options.when === undefined)
  const minimumLength = fixed.reduce((bits, { field }) => bits + field.bits, 0) / 8
  const byName = new Map(laid.map((entry) => [entry.name, entry]))
  const optional = laid.length > fixed.length
  const optionLayout = declaration.options
  /** Fields that a flag announces, with that flag: one that is there raises it when written. */
  const announced = laid.flatMap(({ name, field: { options } }) =>
    typeof options.when === 'string' ? [{ name, announcer: options.when }] : [],
  )

  /** `header` is what rules look at: a view, checked or not. Fields of minimumLength must be there. */
  const isPresent = (header: HeaderView, { field: { options } }: LaidField): boolean => {
    if (options.when === undefined) return true
    if (typeof options.when === 'function') return options.when(header)
    return readBits(header.bytes, header.start * 8 + byName.get(options.when)!.bitOffset, 1) === 1
  }
  /** Bit offset of a field from the header's start; earlier optional fields count only where present. */
  const bitOffsetOf = (header: HeaderView, { name, steady, bitOffset }: LaidField): number => {
    if (steady) return bitOffset
    let offset = 0
    for (const entry of laid) {
      if (entry.name === name) break
      if (isPresent(header, entry)) offset += entry.field.bits
    }
    return offset
  }
  const fieldsLength = (header: HeaderView): number => {
    if (!optional) return minimumLength
    let bits = 0
    for (const entry of laid) if (isPresent(header, entry)) bits += entry.field.bits
    return bits / 8
  }
  /** Length of header and options as far as the header itself says. */
  const wholeLength = (header: HeaderView, fields: number): number => {
    if (declaration.length !== undefined) return declaration.length.of(header.bytes, header.start)
    return optionLayout === undefined ? fields : header.end - header.start
  }

  class View implements HeaderView {
    readonly bytes: Uint8Array
    readonly start: number
    payloadStart: number
    readonly end: number
    constructor(bytes: Uint8Array, start: number, end: number) {
      this.bytes = bytes
      this.start = start
      this.end = Math.max(start, Math.min(end, bytes.length))
      this.payloadStart = start
    }
  }
  const typed = (header: View): View & Readonly<T> => header as unknown as View & Readonly<T>

  for (const entry of laid) {
    const { name, field, bitOffset } = entry
    const always = field.options.when === undefined && entry.steady
    Object.defineProperty(View.prototype, name, {
      enumerable: true,
      get(this: View) {
        if (always) return readField(this.bytes, this.start * 8 + bitOffset, field)
        if (!isPresent(this, entry)) return undefined
        return readField(this.bytes, this.start * 8 + bitOffsetOf(this, entry), field)
      },
    })
  }
  if (optionLayout !== undefined) {
    Object.defineProperty(View.prototype, 'options', {
      enumerable: true,
      get(this: View) {
        return readOptions(optionLayout, this.bytes, this.start + fieldsLength(this), this.payloadStart)
      },
    })
  }

  const malformed = (field: string, offset: number, found: string, expected: string): ParseError =>
    new ParseError(declaration.name, field, offset, found, expected)
  const offsetOf = (header: HeaderView, field: string): number => {
    const entry = byName.get(field)!
    return header.start + (bitOffsetOf(header, entry) >> 3)
  }

  function checkLengths(header: View): void {
    const { bytes, start, end } = header
    const have = end - start
    if (have < minimumLength) {
      const cut = fixed.find((entry) => entry.bitOffset + entry.field.bits > have * 8)!
      throw malformed(
        cut.name,
        start + (cut.bitOffset >> 3),
        `${have} bytes in all`,
        `at least ${minimumLength}`,
      )
    }
    const needed = fieldsLength(header)
    if (have < needed)
      throw malformed('length', start, `${have} bytes in all`, `${needed} for the fields it announces`)
    const length = wholeLength(header, needed)
    const field = declaration.length?.field ?? 'length'
    const where = declaration.length === undefined ? start : offsetOf(header, field)
    if (length < needed) throw malformed(field, where, `${length} bytes`, `at least ${needed}`)
    if (length > have) throw malformed(field, where, `${length} bytes`, `at most the ${have} that are there`)
    header.payloadStart = start + length
    if (optionLayout !== undefined) {
      const problem = optionsProblem(declaration.name, optionLayout, bytes, start + needed, start + length)
      if (problem !== undefined) throw problem
    }
  }
  const required = fixed.filter(({ field }) => field.options.must !== undefined)
  function checkRequired(header: View): void {
    for (const { name, field, bitOffset } of required) {
      const value = Number(readField(header.bytes, header.start * 8 + bitOffset, field))
      if (value !== field.options.must)
        throw malformed(
          name,
          header.start + (bitOffset >> 3),
          showNumber(field, value),
          showNumber(field, field.options.must!),
        )
    }
  }
  function checkExtent(header: View): void {
    if (declaration.extent === undefined) return
    const { field, of } = declaration.extent
    const claimed = of(typed(header))
    const length = header.payloadStart - header.start
    const have = header.end - header.start
    if (claimed >= length && claimed <= have) return
    throw malformed(
      field,
      offsetOf(header, field),
      `${claimed} bytes in all`,
      claimed < length ? `at least the header's ${length}` : `at most the ${have} that are there`,
    )
  }

  const view = (bytes: Uint8Array, start = 0, end: number = bytes.length): HeaderView & Readonly<T> => {
    const header = new View(bytes, start, end)
    checkLengths(header)
    checkRequired(header)
    checkExtent(header)
    const problem = declaration.check?.(typed(header))
    if (problem !== undefined) throw problem
    return typed(header)
  }

  const parse = (bytes: Uint8Array, start = 0, end: number = bytes.length): T => {
    const checked = view(bytes, start, end) as unknown as Record<string, unknown>
    const value: Record<string, unknown> = {}
    for (const { name } of laid) {
      const read = checked[name]
      if (read !== undefined) value[name] = detach(read)
    }
    if (optionLayout !== undefined) {
      const options = checked.options as WireOption[]
      value.options = options.map(({ kind, data }) => ({ kind, data: data.slice() }))
    }
    return value as T
  }

  const optionsOf = (value: T): readonly WireOption[] =>
    (value as { options?: readonly WireOption[] }).options ?? []
  /** A field that a flag announces is there if the value has it; one that a rule announces, if the rule says so. */
  const isMeant = (value: object, { name, field }: LaidField): boolean => {
    const { when } = field.options
    if (when === undefined) return true
    if (typeof when === 'function') return when(value)
    return (value as Record<string, unknown>)[name] !== undefined
  }
  const fieldBytes = (value: object): number => {
    if (!optional) return minimumLength
    let bits = 0
    for (const entry of laid) if (isMeant(value, entry)) bits += entry.field.bits
    return bits / 8
  }

  const lengthOf = (value: T): number => {
    const fields = fieldBytes({ ...value, ...declaration.derive?.(value, 0) })
    return fields + (optionLayout === undefined ? 0 : optionsLength(optionLayout, optionsOf(value), fields))
  }

  const emit = (value: T, bytes: Uint8Array, at = 0): number => {
    const optionBytes =
      optionLayout === undefined ? 0 : optionsLength(optionLayout, optionsOf(value), fieldBytes(value))
    const given = value as Record<string, unknown>
    const derived = declaration.derive?.(value, optionBytes) as Record<string, unknown> | undefined
    // Rules and flags look at the value as it will be written; a header without either needs no copy of it.
    const whole = optional ? { ...given, ...derived } : given
    for (const { name, announcer } of announced) whole[announcer] = whole[name] !== undefined
    let bit = at * 8
    for (const entry of laid) {
      const { name, field } = entry
      if (!isMeant(whole, entry)) continue
      if (field.options.at !== undefined) bit = (at + field.options.at) * 8
      const meant = derived?.[name] ?? whole[name]
      writeField(bytes, bit, field, meant ?? field.options.must ?? field.options.default ?? 0)
      bit += field.bits
    }
    if (optionLayout === undefined) return bit / 8
    return writeOptions(optionLayout, optionsOf(value), bytes, bit / 8, optionBytes)
  }

  const explain = (bytes: Uint8Array, start = 0, end: number = bytes.length): FieldRange[] => {
    const ranges: FieldRange[] = []
    const header = new View(bytes, start, end)
    let bit = start * 8
    for (const entry of laid) {
      const { name, field } = entry
      // A rule looks at earlier fields only: those are there, or we had stopped.
      if (!isPresent(header, entry)) continue
      if (bit + field.bits > header.end * 8) {
        if (bit < header.end * 8) ranges.push(cutOff(bytes, bit, header.end, entry))
        return ranges
      }
      ranges.push(explainField(bytes, bit, name, field, declaration.ref, header))
      bit += field.bits
    }
    const fields = bit / 8 - start
    const length = wholeLength(header, fields)
    header.payloadStart = Math.min(header.end, start + Math.max(length, fields))
    if (optionLayout !== undefined)
      ranges.push(
        ...explainOptions(optionLayout, bytes, bit / 8, header.payloadStart, start + length > header.end),
      )
    for (const [name, more] of remarks(header, fields, length)) {
      const index = ranges.findIndex((range) => range.field === name)
      const range = ranges[index]
      if (range !== undefined && range.problem === undefined) ranges[index] = { ...range, ...more }
    }
    return ranges
  }

  const cutOff = (bytes: Uint8Array, bit: number, end: number, { name, field }: LaidField): FieldRange => ({
    field: name,
    label: field.label,
    bitStart: bit,
    bitLength: end * 8 - bit,
    value: bit % 8 === 0 ? hexOf(bytes, bit / 8, end) : String(readBits(bytes, bit, end * 8 - bit)),
    meaning: `cut off: ${end * 8 - bit} of ${field.bits} bits`,
    ref: field.options.ref ?? declaration.ref,
    truncated: true,
  })

  /** What is wrong with, or missing behind, a header whose fields are all there: field name to addition. */
  function* remarks(header: View, fields: number, length: number): Iterable<[string, Partial<FieldRange>]> {
    const have = header.end - header.start
    if (declaration.length !== undefined) {
      if (length < fields)
        yield [declaration.length.field, { problem: `found ${length} bytes, expected at least ${fields}` }]
      else if (length > have) yield [declaration.length.field, { truncated: true }]
    }
    if (length < fields || length > have) return
    if (declaration.extent !== undefined) {
      const claimed = declaration.extent.of(typed(header))
      if (claimed < length)
        yield [declaration.extent.field, { problem: `found ${claimed} bytes, expected at least ${length}` }]
      else if (claimed > have)
        yield [
          declaration.extent.field,
          { meaning: `${claimed} bytes in all, of which ${have} are here`, truncated: true },
        ]
    }
    const problem = declaration.check?.(typed(header))
    if (problem !== undefined)
      yield [
        problem.field,
        { problem: `found ${problem.details.found}, expected ${problem.details.expected}` },
      ]
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
    has: (bytes, start, name) => isPresent(new View(bytes, start, bytes.length), byName.get(name)!),
  }
}

/** Places the fields and refuses a table that cannot be read: a programmer's error, found when the module loads. */
function layOut<T>(declaration: HeaderDeclaration<T>): LaidField[] {
  const laid: LaidField[] = []
  let bitOffset = 0
  let steady = true
  for (const [name, field] of Object.entries(declaration.fields) as [string, Field<unknown>][]) {
    if (field.options.at !== undefined) bitOffset = field.options.at * 8
    const wholeBytes = field.kind !== 'uint' || field.options.littleEndian === true
    if (wholeBytes && (bitOffset % 8 !== 0 || field.bits % 8 !== 0))
      throw new TypeError(`${declaration.name}.${name} is not whole bytes`)
    laid.push({ name, field, bitOffset, steady: steady || field.options.at !== undefined })
    bitOffset += field.bits
    if (field.options.when !== undefined && field.options.at === undefined) steady = false
  }
  if (bitOffset % 8 !== 0) throw new TypeError(`${declaration.name} does not end on a byte`)
  return laid
}
