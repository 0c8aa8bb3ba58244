import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromHex, Ipv4Address, ParseError } from '../base/index.js'
import { sealTcpChecksum, TCP_FLAGS_OFFSET, TcpFlag, tcp, tcpChecksum } from './tcp.js'
import { buildTcpOptions, readTcpOptions, scanTcpOptions, type TcpOptions } from './tcp-options.js'

const alice = Ipv4Address.parse('192.0.2.1')!
const bob = Ipv4Address.parse('192.0.2.2')!
/** Captured from a Linux 6.18 kernel: a SYN, and a segment with "hi". */
const syn = fromHex('834413896702a79f00000000a002faf0d6b30000020405b40402080a6b15e1cf000000000103030a')!
const data = fromHex('834413896702a7a0b34c700d8018003ff8f700000101080a6b15e1cf321b49446869')!

test('a SYN and its options', () => {
  const segment = tcp.parse(syn)
  assert.deepEqual(
    [segment.sourcePort, segment.destinationPort, segment.sequenceNumber, segment.window],
    [33604, 5001, 0x6702a79f, 64240],
  )
  assert.deepEqual([segment.syn, segment.ack, segment.dataOffset], [true, false, 10])
  const options = {
    maximumSegmentSize: 1460,
    sackPermitted: true,
    timestamps: { value: 1796596175, echoReply: 0 },
    windowScale: 10,
  }
  assert.deepEqual(readTcpOptions(segment.options ?? []), options)
  assert.deepEqual(scanTcpOptions(syn, 0, 40), options)
})

test('real segments verify, and are written again to the byte, checksum and all', () => {
  for (const segment of [syn, data]) {
    assert.equal(tcpChecksum(segment, 0, segment.length, alice, bob), undefined)
    const again = segment.slice()
    const end = tcp.emit({ ...tcp.parse(segment), checksum: 0 }, again)
    assert.equal(end, tcp.view(segment).payloadStart)
    sealTcpChecksum(again, 0, again.length, alice, bob)
    assert.deepEqual(again, segment)
  }
  assert.deepEqual(tcpChecksum(data, 0, data.length, bob, Ipv4Address.parse('192.0.2.3')!), {
    found: 0xf8f7,
    expected: 0xf8f5,
  })
})

test('the flags lie where the fast path looks for them', () => {
  for (const [name, bit] of Object.entries(TcpFlag)) {
    const bytes = tcp.toBytes({
      sourcePort: 0,
      destinationPort: 0,
      sequenceNumber: 0,
      acknowledgmentNumber: 0,
      window: 0,
      [name]: true,
    })
    assert.equal(bytes[TCP_FLAGS_OFFSET], bit, name)
    assert.equal(tcp.offset[name as keyof typeof TcpFlag], TCP_FLAGS_OFFSET)
  }
})

test('options are built on 4-byte boundaries, as RFC 7323 appendix A has them', () => {
  const layout = (options: TcpOptions): number[][] =>
    buildTcpOptions(options).map(({ kind, data: value }) => [kind, ...value])
  assert.deepEqual(layout({ timestamps: { value: 1, echoReply: 2 } }), [
    [1],
    [1],
    [8, 0, 0, 0, 1, 0, 0, 0, 2],
  ])
  assert.deepEqual(layout({ maximumSegmentSize: 1460, windowScale: 7, sackPermitted: true }), [
    [2, 5, 180],
    [1],
    [1],
    [4],
    [1],
    [3, 7],
  ])
})

test('three SACK blocks beside timestamps, four without; more are left out', () => {
  const sack = Array.from({ length: 6 }, (_, i) => ({ left: i * 10, right: i * 10 + 5 }))
  const blocksOf = (options: TcpOptions): number => readTcpOptions(buildTcpOptions(options)).sack?.length ?? 0
  assert.equal(blocksOf({ sack, timestamps: { value: 1, echoReply: 2 } }), 3)
  assert.equal(blocksOf({ sack }), 4)
})

const uint32 = fc.nat(0xffffffff)
/** Objects like any other, for deepEqual. */
const plain = { noNullPrototype: true }
const anyOptions: fc.Arbitrary<TcpOptions> = fc
  .record(
    {
      maximumSegmentSize: fc.nat(0xffff),
      windowScale: fc.nat(255),
      sackPermitted: fc.constant(true),
      timestamps: fc.record({ value: uint32, echoReply: uint32 }, plain),
      sack: fc.array(fc.record({ left: uint32, right: uint32 }, plain), { minLength: 1, maxLength: 1 }),
    },
    { requiredKeys: [], ...plain },
  )
  .map((options) => options as TcpOptions)

test('options read back as they were built, from the value and straight from the segment', () => {
  fc.assert(
    fc.property(anyOptions, (options) => {
      const segment = tcp.toBytes({ ...tcp.parse(syn), options: buildTcpOptions(options) })
      assert.ok(segment.length <= 60)
      assert.deepEqual(readTcpOptions(tcp.parse(segment).options ?? []), options)
      assert.deepEqual(scanTcpOptions(segment, 0, segment.length), options)
    }),
  )
})

test('the scan agrees with the view on any options that the view accepts, and never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 40, maxLength: 40 }), (bytes) => {
      const segment = bytes.with(12, 0xa0)
      const scanned = scanTcpOptions(segment, 0, 40)
      let options: Parameters<typeof readTcpOptions>[0]
      try {
        options = tcp.view(segment).options ?? []
      } catch (error) {
        assert.ok(error instanceof ParseError)
        return
      }
      assert.deepEqual(scanned, readTcpOptions(options))
    }),
    { numRuns: 500 },
  )
})

test('refused: a data offset below 5, beyond the segment, and an option that leaves the header', () => {
  const cases: [Uint8Array, string][] = [
    [syn.with(12, 0x40), 'tcp.dataOffset'],
    [syn.with(12, 0xf0), 'tcp.dataOffset'],
    [syn.with(21, 0), 'tcp.options'],
    [syn.with(38, 9), 'tcp.options'],
  ]
  for (const [segment, reason] of cases)
    assert.throws(
      () => tcp.view(segment),
      (error: unknown) => error instanceof ParseError && error.reason === reason,
    )
})
