/** Fields of a header: how one is declared, read, written and explained. */
import { Ipv4Address, Ipv6Address, MacAddress } from '../base/index.js'
import { readBits, swapBytes, writeBits } from './bits.js'

/** Meanings of codes: code to name. What is not in it is unknown, and survives a round trip all the same. */
export type CodeTable = Readonly<Record<number, string>>

/**
 * A rule that looks at the header's other fields: at a view where bytes are read, at a value where they are
 * written. Its parameter may be declared as the header's own value type.
 */
export type HeaderRule<R> = { rule(header: object): R }['rule']

/** The same for a rule about one number of the header. */
export type ValueRule<R> = { rule(value: number, header: object): R }['rule']

export type FieldKind = 'uint' | 'ipv4' | 'ipv6' | 'mac' | 'bytes'

/** One field as declared. Made by `uint`, `flag`, `ipv4Address`, `ipv6Address`, `macAddress`, `octets`. */
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
  /** Names of the values; a rule where the table hangs on another field (ICMP's code on its type). */
  readonly codes?: CodeTable | HeaderRule<CodeTable | undefined>
  readonly show?: 'dec' | 'hex'
  /** What `explain` adds after the value: units, or what the value means here. */
  readonly meaning?: ValueRule<string | undefined>
  /** The only value the standard allows; another is a `ParseError` in views, and 'must be' in `explain`. */
  readonly must?: number
  /** When the field is there: the name of a one-bit field earlier in the header, or a rule over earlier fields. */
  readonly when?: string | HeaderRule<boolean>
  /** Byte offset from the header's start, for fields that share a place; default: after the field before. */
  readonly at?: number
  /** The value `emit` writes when the value object leaves it out. */
  readonly default?: number
  /** Least significant byte first: whole bytes only. */
  readonly littleEndian?: boolean
}

export const uint = (bits: number, label: string, options: FieldOptions = {}): Field<number> => ({
  kind: 'uint',
  bits,
  label,
  options,
})
/** A one-bit field, as a boolean. */
export const flag = (label: string, options: FieldOptions = {}): Field<boolean> => ({
  kind: 'uint',
  bits: 1,
  label,
  options,
})
export const ipv4Address = (label: string, options: FieldOptions = {}): Field<Ipv4Address> => ({
  kind: 'ipv4',
  bits: 32,
  label,
  options,
})
export const ipv6Address = (label: string, options: FieldOptions = {}): Field<Ipv6Address> => ({
  kind: 'ipv6',
  bits: 128,
  label,
  options,
})
export const macAddress = (label: string, options: FieldOptions = {}): Field<MacAddress> => ({
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

/** What `explain` says of one range of bits. */
export interface FieldRange {
  /** Name in the declaration; `option` for each option. */
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
  /** True if the bytes end inside this field, or before all that it announces. */
  readonly truncated?: true
}

export function readField(bytes: Uint8Array, bit: number, field: Field<unknown>): unknown {
  const at = bit >>> 3
  switch (field.kind) {
    case 'uint': {
      const value = readBits(bytes, bit, field.bits)
      if (field.bits === 1) return value === 1
      return field.options.littleEndian ? swapBytes(value, field.bits) : value
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
export function detach(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.slice()
  if (value instanceof Ipv4Address) return new Ipv4Address(value.bytes.slice())
  if (value instanceof Ipv6Address) return new Ipv6Address(value.bytes.slice())
  if (value instanceof MacAddress) return new MacAddress(value.bytes.slice())
  return value
}

export function writeField(bytes: Uint8Array, bit: number, field: Field<unknown>, value: unknown): void {
  if (field.kind === 'uint') {
    const number = Number(value)
    writeBits(bytes, bit, field.bits, field.options.littleEndian ? swapBytes(number, field.bits) : number)
    return
  }
  const source = value instanceof Uint8Array ? value : (value as { bytes?: Uint8Array }).bytes
  const at = bit >>> 3
  bytes.fill(0, at, at + field.bits / 8)
  if (source !== undefined) bytes.set(source.subarray(0, field.bits / 8), at)
}

/** A number as the field shows it: decimal, or hexadecimal in the field's full width. */
export function showNumber(field: Field<unknown>, value: number): string {
  if (field.options.show !== 'hex') return String(value)
  return `0x${value.toString(16).padStart(Math.ceil(field.bits / 4), '0')}`
}

/** `header` is what the field's rules look at; `headerRef` stands in where the field has no `ref` of its own. */
export function explainField(
  bytes: Uint8Array,
  bit: number,
  name: string,
  field: Field<unknown>,
  headerRef: string,
  header: object,
): FieldRange {
  const { meaning, must, ref } = field.options
  const raw = readField(bytes, bit, field)
  let value: string
  let means: string | undefined
  let problem: string | undefined
  if (field.kind === 'uint') {
    const number = Number(raw)
    value = showNumber(field, number)
    const codes =
      typeof field.options.codes === 'function' ? field.options.codes(header) : field.options.codes
    means = meaning?.(number, header) ?? (codes === undefined ? undefined : (codes[number] ?? 'unknown'))
    if (must !== undefined && number !== must) problem = `found ${value}, must be ${showNumber(field, must)}`
  } else if (field.kind === 'bytes') {
    value = hexOf(bytes, bit >>> 3, (bit + field.bits) >>> 3)
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

export const hexOf = (bytes: Uint8Array, from: number, to: number): string =>
  Array.from(bytes.subarray(from, to), (byte) => byte.toString(16).padStart(2, '0')).join('')
