import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, ETHERNET, instantAt } from '../../base/index.js'
import { etherip } from '../../wire/index.js'
import { DROP, PASS, type PathSpec } from '../machine.js'
import { carry, drain, hexBytes, ipOf, process } from '../testing.js'
import { createTransforms, type TransformPair } from '../transforms.js'
import type { OuterConfig } from '../tunnel-metadata.js'
import { EtheripMachine } from './machine.js'

const overIpv4 = { local: ipOf('192.168.1.1'), remote: ipOf('192.168.1.2') }
const overIpv6 = { local: ipOf('fd3e:62ee:99db:bb1a::1'), remote: ipOf('fd3e:62ee:99db:bb1a::2') }

function pathOf(outer: OuterConfig): PathSpec {
  const machine = new EtheripMachine({ outer })
  machine.start(instantAt(0))
  assert.equal(machine.nextTimeout(), undefined)
  return drain(machine).flatMap((output) => (output.kind === 'install' ? [output.path] : []))[0]!
}
const transforms = (outer: OuterConfig = overIpv4): TransformPair => createTransforms(pathOf(outer).transform)

const frame = concatBytes(hexBytes('fee1ba000002 fee1ba000001 88b5'), new Uint8Array(46).fill(0x5a))

test('RFC 3378 section 2: 30 00 in front, over IPv4', () => {
  const { verdict, packet } = process(transforms().outbound, frame, ETHERNET)
  assert.equal(verdict, PASS)
  assert.deepEqual(
    carry(packet, pathOf(overIpv4).carrier, 1),
    // 20 + 2 + 60 bytes, protocol 97
    concatBytes(hexBytes('4500 0052 0001 0000 4061 f6f6 c0a8 0101 c0a8 0102 3000'), frame),
  )
})

test('the same over IPv6', () => {
  const { packet } = process(transforms(overIpv6).outbound, frame, ETHERNET)
  assert.deepEqual(
    carry(packet, pathOf(overIpv6).carrier),
    concatBytes(
      hexBytes('6000 0000 003e 6140 fd3e62ee99dbbb1a0000000000000001 fd3e62ee99dbbb1a0000000000000002 3000'),
      frame,
    ),
  )
})

test('what goes out is what the wire table reads, and comes in again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 14, maxLength: 1514 }), (payload) => {
      const { outbound, inbound } = transforms()
      const sent = process(outbound, payload, ETHERNET)
      assert.deepEqual(etherip.parse(sent.bytes), { version: 3, reserved: 0 })
      const received = process(inbound, sent.bytes, 0)
      assert.equal(received.verdict, PASS)
      assert.equal(received.packet.kind, ETHERNET)
      assert.deepEqual(received.bytes, payload)
    }),
  )
})

test('a mark of congestion outside does not touch the frame', () => {
  const received = process(transforms().inbound, concatBytes(hexBytes('3000'), frame), 0, {
    outerTrafficClass: 3,
  })
  assert.equal(received.verdict, PASS)
  assert.deepEqual(received.bytes, frame)
})

const refusals: [name: string, bytes: Uint8Array, reason: string][] = [
  ['nothing', new Uint8Array(0), 'etherip.length'],
  ['one byte', hexBytes('30'), 'etherip.length'],
  ['version 2', concatBytes(hexBytes('2000'), frame), 'etherip.version'],
  [
    'the version in the low four bits, as once written by mistake',
    concatBytes(hexBytes('0300'), frame),
    'etherip.version',
  ],
  ['a reserved bit in the first byte', concatBytes(hexBytes('3100'), frame), 'etherip.reserved'],
  ['a reserved bit in the second byte', concatBytes(hexBytes('3001'), frame), 'etherip.reserved'],
  ['13 bytes of frame', concatBytes(hexBytes('3000'), frame.subarray(0, 13)), 'inner.ethernet.length'],
]
for (const [name, bytes, reason] of refusals) {
  test(`refused and counted: ${name}`, () => {
    const { verdict, drops } = process(transforms().inbound, bytes, 0)
    assert.equal(verdict, DROP)
    assert.deepEqual(drops, { [reason]: 1 })
  })
}

test('garbage never throws and is always counted', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, prefixed) => {
      const packet = prefixed ? concatBytes(hexBytes('3000'), bytes) : bytes
      const { verdict, drops } = process(transforms().inbound, packet, 0)
      assert.deepEqual(Object.values(drops), verdict === PASS ? [] : [1])
    }),
  )
})
