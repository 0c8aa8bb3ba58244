import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ParseError } from '../base/index.js'
import { defineHeader, flag, type Header, octets, readBits, swapBytes, uint, writeBits } from './layout.js'

interface Sample {
  kind: number
  wide?: boolean
  must?: number
  little: number
  short?: number
  long?: number
  tail: Uint8Array
}

const sample: Header<Sample> = defineHeader<Sample>({
  name: 'sample',
  title: 'A header that uses what a declaration can say',
  ref: 'section 1',
  fields: {
    kind: uint(4, 'Kind', { codes: { 1: 'one', 2: 'two' } }),
    wide: flag('Wide'),
    must: uint(3, 'Must', { must: 5, ref: 'section 2' }),
    little: uint(16, 'Little', { littleEndian: true, show: 'hex' }),
    short: uint(16, 'Short', {
      when: ({ kind }: Sample) => kind === 1,
      codes: ({ kind }: Sample) => (kind === 1 ? { 7: 'seven of one' } : undefined),
    }),
    long: uint(32, 'Long', { when: 'wide', meaning: (value, { kind }: Sample) => `${value} of ${kind}` }),
    tail: octets(2, 'Tail'),
  },
})

const value: Sample = { kind: 1, little: 0x0102, short: 7, long: 9, tail: Uint8Array.of(0xaa, 0xbb) }
const bytes = Uint8Array.of(0x1d, 0x02, 0x01, 0x00, 0x07, 0x00, 0x00, 0x00, 0x09, 0xaa, 0xbb)

test('a flag is raised by the field that it announces, a must is filled in', () => {
  assert.deepEqual(sample.toBytes(value), bytes)
  assert.deepEqual(sample.parse(bytes), { ...value, wide: true, must: 5 })
})

test('optional fields move those behind them', () => {
  const { short: _, long: __, ...bare } = value
  const without = sample.toBytes({ ...bare, kind: 3 })
  assert.deepEqual(without, Uint8Array.of(0x35, 0x02, 0x01, 0xaa, 0xbb))
  const view = sample.view(without)
  assert.equal(view.short, undefined)
  assert.equal(view.long, undefined)
  assert.deepEqual([...view.tail], [0xaa, 0xbb])
  assert.equal(sample.has(without, 0, 'long'), false)
  assert.equal(sample.has(bytes, 0, 'long'), true)
})

test('a parsed value owns its bytes, a view does not', () => {
  const packet = bytes.slice()
  const parsed = sample.parse(packet)
  const view = sample.view(packet)
  packet.fill(0, 9)
  assert.deepEqual([...parsed.tail], [0xaa, 0xbb])
  assert.deepEqual([...view.tail], [0, 0])
})

test('a wrong must is refused with field, offset, both values, and explained in place', () => {
  const wrong = bytes.with(0, 0x1e)
  assert.throws(
    () => sample.view(wrong),
    (error: unknown) =>
      error instanceof ParseError &&
      error.code === 'WIRE_MALFORMED' &&
      error.reason === 'sample.must' &&
      error.offset === 0 &&
      error.details.found === '6' &&
      error.details.expected === '5',
  )
  const range = sample.explain(wrong).find(({ field }) => field === 'must')
  assert.equal(range?.problem, 'found 6, must be 5')
  assert.equal(range?.ref, 'section 2')
})

test('explain speaks of values as their field does', () => {
  const told = sample.explain(bytes).map(({ label, value, meaning }) => `${label} ${value} ${meaning ?? '-'}`)
  assert.deepEqual(told, [
    'Kind 1 one',
    'Wide 1 -',
    'Must 5 -',
    'Little 0x0102 -',
    'Short 7 seven of one',
    'Long 9 9 of 1',
    'Tail aabb -',
  ])
})

test('a field that the bytes end in is explained as cut off', () => {
  const last = sample.explain(bytes, 0, 7).at(-1)!
  assert.equal(last.field, 'long')
  assert.equal(last.truncated, true)
  assert.equal(last.meaning, 'cut off: 16 of 32 bits')
  assert.equal(last.value, '0000')
})

test('a table that cannot be read is refused when it is declared', () => {
  const declare = (fields: Record<string, ReturnType<typeof uint>>) => (): unknown =>
    defineHeader<Record<string, number>>({ name: 'bad', title: '', ref: '', fields })
  assert.throws(declare({ a: uint(4, 'a') }), TypeError)
  assert.throws(
    declare({ a: uint(4, 'a'), b: uint(16, 'b', { littleEndian: true }), c: uint(4, 'c') }),
    TypeError,
  )
})

test('bits are read as they were written, and their neighbours stay', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 8, maxLength: 8 }),
      fc.nat(31),
      fc.integer({ min: 1, max: 32 }),
      fc.nat(0xffffffff),
      (block, at, count, drawn) => {
        const number = drawn % 2 ** count
        const written = block.slice()
        writeBits(written, at, count, number)
        assert.equal(readBits(written, at, count), number)
        for (let bit = 0; bit < 64; bit++)
          if (bit < at || bit >= at + count) assert.equal(readBits(written, bit, 1), readBits(block, bit, 1))
      },
    ),
  )
})

test('swapBytes turns the order of whole bytes', () => {
  assert.equal(swapBytes(0x0102, 16), 0x0201)
  assert.equal(swapBytes(0x010203ff, 32), 0xff030201)
})
