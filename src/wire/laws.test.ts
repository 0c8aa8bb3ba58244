/** What holds for every header, from its declaration alone: with values, with random bytes, with bits flipped, cut off. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ipv4Address, Ipv6Address, MacAddress, ParseError } from '../base/index.js'
import {
  type Field,
  type FieldRange,
  type Header,
  type HeaderName,
  headers,
  type OptionLayout,
  type WireOption,
} from './index.js'

type Value = Record<string, unknown>
type Loose = Header<Value>
const everyHeader = (Object.keys(headers) as HeaderName[]).map((name) => headers[name] as unknown as Loose)

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })

function anyField(field: Field<unknown>): fc.Arbitrary<unknown> {
  if (field.options.must !== undefined) return fc.constant(field.options.must)
  switch (field.kind) {
    case 'ipv4':
      return bytesOf(4).map((bytes) => new Ipv4Address(bytes))
    case 'ipv6':
      // Neighbour discovery refuses multicast targets; the rest takes any address.
      return bytesOf(16).map((bytes) => new Ipv6Address(bytes.with(0, bytes[0]! & 0x7f)))
    case 'mac':
      return bytesOf(6).map((bytes) => new MacAddress(bytes))
    case 'bytes':
      return bytesOf(field.bits / 8)
    case 'uint':
      return field.bits === 1 ? fc.boolean() : fc.integer({ min: 0, max: 2 ** field.bits - 1 })
  }
}

/** Options whose sizes need no padding, so that what is read back is what was written. */
function anyOptions(layout: OptionLayout, fixed: number): fc.Arbitrary<WireOption[]> {
  const size = layout.countsItself
    ? fc.integer({ min: 1, max: 3 }).map((units) => Math.max(layout.unit * units, 2) - 2)
    : fc.nat(5)
  const single = layout.single.find((kind) => kind !== layout.endKind)
  const long = fc
    .tuple(fc.integer({ min: 0, max: 255 }), size)
    .filter(([kind]) => !layout.single.includes(kind))
    .chain(([kind, length]) => bytesOf(length).map((data): WireOption => ({ kind, data })))
  const one = single === undefined ? [] : [fc.constant<WireOption>({ kind: single, data: new Uint8Array(0) })]
  return fc.array(fc.oneof(long, ...one), { maxLength: 6 }).map((options) => {
    const padded = [...options]
    const total = (): number =>
      padded.reduce(
        (sum, { kind, data }) => sum + (layout.single.includes(kind) ? 1 : data.length + 2),
        fixed,
      )
    while (single !== undefined && total() % (layout.multiple ?? 1) !== 0)
      padded.push({ kind: single, data: new Uint8Array(0) })
    return padded
  })
}

/** Any value of a header, complete: what `parse` would have returned. */
function anyValue(header: Loose): fc.Arbitrary<Value> {
  const { fields, options, extent } = header.declaration
  const table = Object.entries(fields as Record<string, Field<unknown>>)
  const announced = new Set(table.map(([, field]) => field.options.when))
  return fc
    .record({
      values: fc.record(Object.fromEntries(table.map(([name, field]) => [name, anyField(field)]))),
      flags: fc.array(fc.boolean(), { minLength: table.length, maxLength: table.length }),
      options: options === undefined ? fc.constant([]) : anyOptions(options, header.minimumLength),
      payload: fc.nat(40),
    })
    .map(({ values, flags, options: wireOptions, payload }) => {
      const whole: Value = {}
      for (const [i, [name, field]] of table.entries()) {
        const { when } = field.options
        if (typeof when === 'function' ? !when(whole) : when !== undefined && !whole[when]) continue
        whole[name] = announced.has(name) ? flags[i] : values[name]
      }
      // What RFC 2784 has a receiver refuse is no value of the header.
      if (header.name === 'gre')
        Object.assign(whole, { routingPresent: false, strictSourceRoute: false, recursionControl: 0 })
      // RFC 7383 section 2.5: a fragment is one of those that there are.
      if (header.name === 'ikeFragment')
        Object.assign(whole, { number: (Number(whole.number) % 7) + 1, total: (Number(whole.total) % 9) + 7 })
      if (options !== undefined) whole.options = wireOptions
      if (extent !== undefined) {
        const room = header.lengthOf(whole) + (header.name === 'routingHeader' ? 4 : payload)
        const unit = header.name === 'routingHeader' ? 8 : 1
        const claimed = Math.ceil(room / unit)
        // Solves the declaration's own claim for the field: every claim here is linear in it.
        const zero = extent.of({ ...whole, [extent.field]: 0 })
        whole[extent.field] = claimed - zero / unit
      }
      return { ...whole, ...header.declaration.derive?.(whole, optionBytes(header, wireOptions)) }
    })
}

function optionBytes(header: Loose, options: readonly WireOption[]): number {
  const layout = header.declaration.options
  return options.reduce(
    (sum, { kind, data }) => sum + (layout?.single.includes(kind) ? 1 : data.length + 2),
    0,
  )
}

/** Fits what `length` can say: IPv4 and TCP count their words in four bits. */
const fits = (header: Loose, value: Value): boolean =>
  header.declaration.length?.field === undefined ||
  !['ihl', 'dataOffset'].includes(header.declaration.length.field) ||
  header.lengthOf(value) <= 60

/** The header, then 48 bytes that are not its own where it does not reach to its end by itself. */
function place(
  header: Loose,
  value: Value,
): { bytes: Uint8Array; start: number; length: number; end: number } {
  const length = header.lengthOf(value)
  const greedy = header.declaration.options !== undefined && header.declaration.length === undefined
  const end = 3 + length + (greedy ? 0 : 48)
  const bytes = new Uint8Array(end + 5).fill(0xee)
  assert.equal(header.emit(value, bytes, 3), 3 + length)
  return { bytes, start: 3, length, end }
}

/** One after the other, from bit to bit. */
function assertSeamless(ranges: readonly FieldRange[], from: number, to: number, name: string): void {
  let bit = from * 8
  for (const range of ranges) {
    assert.equal(range.bitStart, bit, `${name}: ${range.field} starts at bit ${range.bitStart}, not ${bit}`)
    assert.ok(range.bitLength > 0)
    bit += range.bitLength
  }
  assert.equal(bit, to * 8, `${name}: ends at bit ${bit}, not ${to * 8}`)
}

/** The view, or undefined for bytes that are refused as they may be; any other error goes on. */
function viewed(
  header: Loose,
  bytes: Uint8Array,
  start: number,
  end: number,
): ReturnType<Loose['view']> | undefined {
  try {
    return header.view(bytes, start, end)
  } catch (error) {
    assert.ok(error instanceof ParseError, String(error))
    assert.equal(error.header, header.name)
    assert.ok(error.offset >= start && error.offset <= Math.max(start, end))
    return undefined
  }
}

for (const header of everyHeader) {
  const values = anyValue(header).filter((value) => fits(header, value))

  test(`${header.name}: parse(emit(value)) is the value, and touches nothing else`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const { bytes, start, length, end } = place(header, value)
        assert.deepEqual(header.parse(bytes, start, end), value)
        assert.ok(bytes.subarray(0, start).every((byte) => byte === 0xee))
        assert.ok(bytes.subarray(start + length).every((byte) => byte === 0xee))
        assert.equal(header.view(bytes, start, end).payloadStart, start + length)
      }),
    )
  })

  test(`${header.name}: explain covers each bit once, in order, and finds nothing wrong in a valid header`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const { bytes, start, length, end } = place(header, value)
        const ranges = header.explain(bytes, start, end)
        assertSeamless(ranges, start, start + length, header.name)
        assert.deepEqual(
          ranges.filter(({ problem, truncated }) => problem !== undefined || truncated),
          [],
        )
      }),
    )
  })

  test(`${header.name}: the offsets of the fast paths are those of the table`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const { bytes, start, end } = place(header, value)
        const fields = header.declaration.fields as Record<string, Field<unknown>>
        for (const { field, bitStart } of header.explain(bytes, start, end)) {
          const { when, at } = fields[field]?.options ?? { when: 'option' }
          if (when === undefined || at !== undefined)
            assert.equal(header.offset[field], (bitStart >> 3) - start, field)
        }
      }),
      { numRuns: 20 },
    )
  })

  test(`${header.name}: cut off anywhere it is refused, and explained as far as it goes`, () => {
    fc.assert(
      fc.property(values, (value) => {
        const { bytes, start, length } = place(header, value)
        for (let end = start; end < start + length; end++) {
          const greedy = header.declaration.options !== undefined && header.declaration.length === undefined
          if (!greedy || end < start + header.minimumLength)
            assert.equal(viewed(header, bytes, start, end), undefined, `cut to ${end - start} of ${length}`)
          assertSeamless(header.explain(bytes, start, end), start, end, header.name)
        }
      }),
      { numRuns: 30 },
    )
  })

  test(`${header.name}: any bytes are refused with a ParseError or written back as they were`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 96 }), fc.nat(8), (bytes, start) => {
        holdsForBytes(header, bytes, start)
      }),
      { numRuns: 300 },
    )
  })

  test(`${header.name}: the same with bits of a valid header flipped`, () => {
    fc.assert(
      fc.property(values, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (value, flips) => {
        const { bytes, start, length, end } = place(header, value)
        for (const flip of flips) {
          const bit = flip % (length * 8)
          bytes[start + (bit >> 3)]! ^= 0x80 >> (bit & 7)
        }
        holdsForBytes(header, bytes.subarray(0, end), start)
      }),
      { numRuns: 300 },
    )
  })
}

function holdsForBytes(header: Loose, bytes: Uint8Array, start: number): void {
  const before = bytes.slice()
  const ranges = header.explain(bytes, start)
  const from = Math.min(start, bytes.length)
  const covered = ranges.reduce((bits, { bitLength }) => bits + bitLength, 0) / 8
  assertSeamless(ranges, start, start + covered, header.name)
  const view = viewed(header, bytes, start, bytes.length)
  if (view === undefined) {
    assert.ok(covered <= bytes.length - from)
    return
  }
  assert.equal(start + covered, view.payloadStart)
  for (const name of Object.keys(header.declaration.fields)) assert.doesNotThrow(() => view[name])
  const value = header.parse(bytes, start)
  assert.deepEqual(bytes, before, 'reading changes nothing')
  // An end-of-list option drops what stands behind it: that alone is not kept.
  const { endKind } = header.declaration.options ?? {}
  const again = header.toBytes(value)
  if (endKind === undefined) assert.deepEqual(again, bytes.slice(start, view.payloadStart))
  else assert.deepEqual(header.toBytes(header.parse(padded(again, value))), again)
}

/** The header alone, with as many bytes behind it as it claims. */
function padded(again: Uint8Array, value: Value): Uint8Array {
  const bytes = new Uint8Array(Math.max(again.length, Number(value.totalLength ?? 0)))
  bytes.set(again)
  return bytes
}
