import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ipv4Address, Ipv6Address } from '../../base/index.js'
import { tcp, tcpChecksum } from '../../wire/tcp.js'
import { buildTcpOptions, readTcpOptions } from '../../wire/tcp-options.js'
import {
  Flag,
  optionsLength,
  parseSegment,
  payloadStart,
  type Segment,
  type SegmentSpec,
  seal,
  startSegment,
} from './segment.js'

const uint = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 })
const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined })

const spec: fc.Arbitrary<SegmentSpec> = fc
  .record({
    sourcePort: fc.integer({ min: 1, max: 65_535 }),
    destinationPort: fc.integer({ min: 1, max: 65_535 }),
    sequence: uint(32),
    acknowledgment: uint(32),
    syn: fc.boolean(),
    otherFlags: uint(8).map((bits) => bits & ~(Flag.syn | Flag.fin | Flag.rst)),
    window: uint(16),
    mss: maybe(uint(16)),
    windowScale: maybe(uint(4).filter((n) => n <= 14)),
    sackPermitted: fc.boolean(),
    timestamp: maybe(fc.record({ value: uint(32), echo: uint(32) })),
    sack: maybe(fc.array(fc.tuple(uint(32), uint(32)), { minLength: 1, maxLength: 3 })),
  })
  .map(({ syn, otherFlags, mss, windowScale, sackPermitted, sack, acknowledgment, ...rest }) => {
    const flags = syn ? otherFlags | Flag.syn : otherFlags
    return {
      ...rest,
      flags,
      acknowledgment: flags & Flag.ack ? acknowledgment : 0,
      // A SYN's options and SACK blocks never meet: 40 bytes hold no more.
      ...(syn ? { mss, windowScale, sackPermitted } : { sack: sack?.flat() }),
    }
  })

const ends = fc.constantFrom(
  [Ipv4Address.parse('192.0.2.1')!, Ipv4Address.parse('192.0.2.2')!] as const,
  [Ipv6Address.parse('2001:db8::1')!, Ipv6Address.parse('2001:db8::2')!] as const,
)

/** The same by the declaration of the header in wire/tcp.ts. */
function byDeclaration(s: SegmentSpec): Uint8Array {
  const blocks: { left: number; right: number }[] = []
  for (let i = 0; s.sack !== undefined && i < s.sack.length; i += 2)
    blocks.push({ left: s.sack[i]!, right: s.sack[i + 1]! })
  const flags = Object.fromEntries(Object.entries(Flag).map(([name, bit]) => [name, (s.flags & bit) !== 0]))
  return tcp.toBytes({
    sourcePort: s.sourcePort,
    destinationPort: s.destinationPort,
    sequenceNumber: s.sequence,
    acknowledgmentNumber: s.acknowledgment,
    window: s.window,
    ...flags,
    options: buildTcpOptions({
      ...(s.mss === undefined ? {} : { maximumSegmentSize: s.mss }),
      ...(s.windowScale === undefined ? {} : { windowScale: s.windowScale }),
      ...(s.sackPermitted ? { sackPermitted: true } : {}),
      ...(s.timestamp === undefined
        ? {}
        : { timestamps: { value: s.timestamp.value, echoReply: s.timestamp.echo } }),
      ...(blocks.length === 0 ? {} : { sack: blocks }),
    }),
  })
}

test('what is written is what the declaration of the header writes', () => {
  fc.assert(
    fc.property(spec, (s) => {
      const bytes = startSegment(s, 0)
      assert.deepEqual(bytes, byDeclaration(s))
      assert.equal(bytes.length, 20 + optionsLength(s))
    }),
  )
})

test('what is read is what was written, and what the declaration reads', () => {
  fc.assert(
    fc.property(spec, fc.uint8Array({ maxLength: 50 }), ends, (s, payload, [source, destination]) => {
      const bytes = startSegment(s, payload.length)
      bytes.set(payload, payloadStart(bytes))
      seal(bytes, source, destination)
      assert.equal(tcpChecksum(bytes, 0, bytes.length, source, destination), undefined)
      const read = parseSegment(bytes, source, destination) as Segment
      assert.equal(typeof read, 'object', String(read))
      const declared = tcp.parse(bytes)
      const options = readTcpOptions(declared.options ?? [])
      assert.deepEqual([read.sourcePort, read.destinationPort], [s.sourcePort, s.destinationPort])
      assert.deepEqual([read.sequence, read.acknowledgment], [s.sequence, s.acknowledgment])
      assert.deepEqual([read.flags, read.window], [s.flags, s.window])
      assert.deepEqual(read.payload, payload)
      assert.equal(read.mss, options.maximumSegmentSize)
      assert.equal(read.windowScale, options.windowScale)
      assert.equal(read.sackPermitted ?? false, options.sackPermitted ?? false)
      assert.equal(read.timestamp?.value, options.timestamps?.value)
      assert.equal(read.timestamp?.echo, options.timestamps?.echoReply)
      assert.deepEqual(read.sack ?? [], options.sack?.flatMap(({ left, right }) => [left, right]) ?? [])
    }),
  )
})
