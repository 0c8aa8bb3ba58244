import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, ETHERNET, type Instant, instantAt, seconds } from '../../base/index.js'
import { eoip } from '../../wire/index.js'
import { gif4 } from '../article.testdata.js'
import { CONTROL, DROP, FOREIGN, PASS, type PathSpec } from '../machine.js'
import { carry, drain, hexBytes, ipOf, process, runUntil } from '../testing.js'
import { createTransforms, type TransformPair } from '../transforms.js'
import { EoipMachine } from './machine.js'

const at = (s: number): Instant => instantAt(s * 1e6)
const outer = { local: ipOf('192.168.1.1'), remote: ipOf('192.168.1.2') }

function pathOf(tunnelId: number): PathSpec {
  const machine = new EoipMachine({ outer, tunnelId })
  machine.start(at(0))
  return drain(machine).flatMap((output) => (output.kind === 'install' ? [output.path] : []))[0]!
}
const transforms = (tunnelId = 0): TransformPair => createTransforms(pathOf(tunnelId).transform)

/** An ARP request padded to 60 bytes. */
const frame = concatBytes(
  hexBytes('ffffffffffff fee1ba00 0001 0806 0001 0800 0604 0001 fee1ba000001 0a000001 000000000000 0a000002'),
  new Uint8Array(18),
)

test('eight bytes in front: flags 2001, 6400, the frame length, the tunnel id least significant byte first', () => {
  const { verdict, packet } = process(transforms(0x1234).outbound, frame, ETHERNET)
  assert.equal(verdict, PASS)
  assert.deepEqual(
    carry(packet, pathOf(0x1234).carrier, 1),
    // 20 + 8 + 60 bytes
    concatBytes(hexBytes('4500 0058 0001 0000 402f f722 c0a8 0101 c0a8 0102 2001 6400 003c 3412'), frame),
  )
})

test('what goes out is what the wire table reads, and comes in again', () => {
  const frames = fc.uint8Array({ minLength: 14, maxLength: 1514 })
  fc.assert(
    fc.property(fc.nat(0xffff), frames, (tunnelId, payload) => {
      const { outbound, inbound } = transforms(tunnelId)
      const sent = process(outbound, payload, ETHERNET)
      const header = eoip.parse(sent.bytes)
      assert.equal(header.tunnelId, tunnelId)
      assert.equal(header.payloadLength, payload.length)
      const received = process(inbound, sent.bytes, 0)
      assert.equal(received.verdict, PASS)
      assert.equal(received.packet.kind, ETHERNET)
      assert.deepEqual(received.bytes, payload)
    }),
  )
})

const cases: [name: string, bytes: Uint8Array, verdict: number, drops: Record<string, number>][] = [
  ['a keepalive', hexBytes('2001 6400 0000 0100'), CONTROL, {}],
  ['another tunnel id', hexBytes('2001 6400 0000 0200'), FOREIGN, {}],
  ['the tunnel id in network order', hexBytes('2001 6400 0000 0001'), FOREIGN, {}],
  ['plain GRE', hexBytes('2000 0800 0000 0100'), FOREIGN, {}],
  ['PPTP', hexBytes('2001 880b 0000 0100'), FOREIGN, {}],
  ['seven bytes', hexBytes('2001 6400 0000 01'), FOREIGN, {}],
  ['a frame cut off', hexBytes('2001 6400 003c 0100 ffff'), DROP, { 'eoip.length': 1 }],
  [
    '13 bytes of frame',
    concatBytes(hexBytes('2001 6400 000d 0100'), frame),
    DROP,
    { 'inner.ethernet.length': 1 },
  ],
]
for (const [name, bytes, verdict, drops] of cases) {
  test(`inbound: ${name}`, () => {
    const processed = process(transforms(1).inbound, bytes, 0)
    assert.equal(processed.verdict, verdict)
    assert.deepEqual(processed.drops, drops)
    if (verdict !== DROP) assert.deepEqual(processed.bytes, bytes, 'left as it was')
  })
}

test('what stands behind the frame is cut off', () => {
  const { bytes } = process(
    transforms(1).inbound,
    concatBytes(hexBytes('2001 6400 003c 0100'), frame, frame),
    0,
  )
  assert.deepEqual(bytes, frame)
})

test('garbage never throws and is counted, ours or not', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, prefixed) => {
      const packet = prefixed ? concatBytes(hexBytes('2001 6400'), bytes) : bytes
      const { verdict, drops } = process(transforms(1).inbound, packet, 0)
      const counted = Object.values(drops).reduce((sum, count) => sum + count, 0)
      assert.equal(counted, verdict === DROP ? 1 : 0)
    }),
  )
})

test('outbound, what is no frame is refused', () => {
  const { outbound } = transforms()
  assert.equal(process(outbound, gif4, 4).verdict, DROP)
  assert.equal(process(outbound, frame.subarray(0, 13), ETHERNET).verdict, DROP)
  assert.deepEqual(outbound.drops.toJSON(), { 'inner.kind': 1, 'inner.malformed': 1 })
})

test('a frame that carries the tunnel itself does not go in', () => {
  const { outbound } = transforms()
  const loop = concatBytes(hexBytes('ffffffffffff fee1ba000001 0800'), gif4.with(9, 47))
  assert.deepEqual(process(outbound, loop, ETHERNET).drops, { loop: 1 })
})

test('keepalive: a header without a frame every period; one heard brings the tunnel up, silence takes it down', () => {
  const machine = new EoipMachine({ outer, tunnelId: 1, keepalive: { period: seconds(10), count: 3 } })
  machine.start(at(0))
  assert.deepEqual(
    drain(machine).map((output) => (output.kind === 'event' ? output.event.name : output.kind)),
    ['install', 'down'],
  )
  const carrier = pathOf(1).carrier
  const payload = hexBytes('2001 6400 0000 0100')
  assert.deepEqual(runUntil(machine, at(10)), [
    { at: at(0), output: { kind: 'transmit', datagram: { carrier, payload, ttl: 64 } } },
    { at: at(10), output: { kind: 'transmit', datagram: { carrier, payload, ttl: 64 } } },
  ])
  machine.receive({ carrier, payload }, at(12))
  assert.deepEqual(drain(machine), [{ kind: 'event', event: { name: 'up' } }])
  machine.receive({ carrier, payload }, at(22))
  assert.deepEqual(drain(machine), [], 'it was up')
  const down = runUntil(machine, at(60)).filter(({ output }) => output.kind === 'event')
  assert.deepEqual(
    down.map(({ at: when }) => when),
    [at(52)],
  )
})

test("without a keepalive the peer's is counted, and the tunnel is up from the start", () => {
  const machine = new EoipMachine({ outer, tunnelId: 1 })
  machine.start(at(0))
  assert.deepEqual(drain(machine).at(-1), { kind: 'event', event: { name: 'up' } })
  machine.receive({ carrier: pathOf(1).carrier, payload: hexBytes('2001 6400 0000 0100') }, at(1))
  assert.deepEqual(drain(machine), [])
  assert.deepEqual(machine.counters.toJSON(), { 'keepalive.ignored': 1 })
})

test('a tunnel id of 17 bits is refused', () => {
  assert.throws(() => new EoipMachine({ outer, tunnelId: 0x10000 }), { code: 'TUNNEL_ID' })
})
