/** What a header is, to who declares one and to who uses one. */
import type { ParseError } from '../base/index.js'
import type { Field, FieldRange } from './field.js'
import type { OptionLayout } from './options.js'

/** The field table of a value `T`: every member of it, in wire order. */
export type FieldTable<T> = { readonly [K in keyof Omit<T, 'options'>]-?: Field<NonNullable<T[K]>> }

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

export interface HeaderDeclaration<T> {
  readonly name: string
  readonly title: string
  /** Where the standard draws it. */
  readonly ref: string
  readonly fields: FieldTable<T>
  /**
   * Length of the whole header with its options, in bytes, from its fixed part, and the field that says so.
   * Without it the header is as long as its fields; options, if there are, then reach to `end`.
   */
  readonly length?: {
    readonly field: keyof T & string
    of(bytes: Uint8Array, start: number): number
  }
  /** Bytes of header and payload together as a field of the header claims them; more than is there is refused. */
  readonly extent?: {
    readonly field: keyof T & string
    of(header: Readonly<T>): number
  }
  readonly options?: OptionLayout
  /** Further checks on a header whose bytes are all there; returns the problem or undefined. */
  readonly check?: (view: HeaderView & Readonly<T>) => ParseError | undefined
  /** Sets fields that follow from others (lengths, offsets) before they are written. */
  readonly derive?: (value: T, optionBytes: number) => Partial<T>
}

export interface Header<T> {
  readonly name: string
  readonly title: string
  readonly ref: string
  readonly declaration: HeaderDeclaration<T>
  /** Bytes of the fields that are always there. */
  readonly minimumLength: number
  /**
   * Byte offset of each field's first bit from the header's start, for hand-written fast paths. It holds for
   * always-there fields before any optional one, and for those with a place of their own (`at`).
   */
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
