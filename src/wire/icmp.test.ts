import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, fromHex, Ipv4Address, type Ipv6Address } from '../base/index.js'
import { IcmpType, icmp, icmpChecksum, icmpCodeNames, icmpTypeNames, sealIcmpChecksum } from './icmp.js'
import { icmpv6, icmpv6Checksum, sealIcmpv6Checksum } from './icmpv6.js'
import { ipv4 } from './ipv4.js'
import { ipv6 } from './ipv6.js'

/** Captured from a Linux 6.18 kernel, as are all of this file: a router with a next hop of 600 bytes. */
const fragmentationNeeded = concatBytes(
  fromHex('030481e800000258450003a00000400040014b21c0000201c63364070800b8f42da00001')!,
  fromHex('6192056b00000000c9d8050000000000')!,
  Uint8Array.from({ length: 556 - 52 + 0 }, (_, i) => 0x10 + i),
)
const timeExceeded = fromHex(
  '0b00f4ff0000000045000024d1ef40000101bbadc0000201c63364070800be4b2da300010001020304050607',
)!
const portUnreachable = fromHex(
  '0303811d000000004500001f572f400040115f9bc0000201c0000202b1e40009000bf6816f6464',
)!

test('fragmentation needed carries the MTU of the next hop (RFC 1191)', () => {
  const message = icmp.view(fragmentationNeeded)
  assert.deepEqual([message.type, message.code, message.nextHopMtu, message.length], [3, 4, 600, 0])
  assert.equal(icmpChecksum(fragmentationNeeded, 0, fragmentationNeeded.length), undefined)
  assert.equal(String(ipv4.explain(fragmentationNeeded, message.payloadStart).at(-1)?.value), '198.51.100.7')
})

test('errors of a real router verify, and are written again to the byte', () => {
  for (const message of [fragmentationNeeded, timeExceeded, portUnreachable]) {
    assert.equal(icmpChecksum(message, 0, message.length), undefined)
    assert.deepEqual(icmp.toBytes(icmp.parse(message)), message.slice(0, 8))
  }
})

test("the code's meaning hangs on the type", () => {
  const meaningOfCode = (message: Uint8Array): string | undefined =>
    icmp.explain(message).find(({ field }) => field === 'code')?.meaning
  assert.equal(meaningOfCode(portUnreachable), 'port unreachable')
  assert.equal(meaningOfCode(fragmentationNeeded), 'fragmentation needed and DF set')
  assert.equal(meaningOfCode(timeExceeded), 'time to live exceeded in transit')
  assert.equal(meaningOfCode(timeExceeded.with(1, 9)), 'unknown')
  assert.equal(meaningOfCode(timeExceeded.with(0, 8)), undefined)
  assert.ok(Object.keys(icmpCodeNames).every((type) => icmpTypeNames[Number(type)] !== undefined))
})

test('redirect and parameter problem have their own second word', () => {
  const redirect = { type: IcmpType.redirect, code: 1, gateway: Ipv4Address.parse('192.0.2.9')! }
  assert.deepEqual([...icmp.toBytes(redirect)], [5, 1, 0, 0, 192, 0, 2, 9])
  assert.deepEqual([...icmp.toBytes({ type: 12, code: 0, pointer: 20 })], [12, 0, 0, 0, 20, 0, 0, 0])
  assert.deepEqual([...icmp.toBytes({ type: 99, code: 1, rest: 0x01020304 })], [99, 1, 0, 0, 1, 2, 3, 4])
})

test('a checksum that is wrong is told with both values; sealing mends it', () => {
  const bad = timeExceeded.with(2, 0xf3)
  assert.deepEqual(icmpChecksum(bad, 0, bad.length), { found: 0xf3ff, expected: 0xf4ff })
  sealIcmpChecksum(bad, 0, bad.length)
  assert.deepEqual(bad, timeExceeded)
})

test('any single flipped bit is found', () => {
  fc.assert(
    fc.property(fc.nat(timeExceeded.length * 8 - 1), (bit) => {
      const flipped = timeExceeded.with(bit >> 3, timeExceeded[bit >> 3]! ^ (0x80 >> (bit & 7)))
      assert.notEqual(icmpChecksum(flipped, 0, flipped.length), undefined)
    }),
  )
})

const hopLimitExceeded = fromHex(
  '6007fedc00403a4020010db800000000000000000000000220010db8000000000000000000000001' +
    '0300b4af000000006005529400103a0120010db800000000000000000000000120010db80005000000000000000000078000ea78' +
    '2dac00010001020304050607',
)!

test('ICMPv6: a hop limit exceeded of a real router verifies with its pseudo-header', () => {
  const { source, destination, payloadStart } = ipv6.view(hopLimitExceeded)
  const verify = (bytes: Uint8Array, from: Ipv6Address): unknown =>
    icmpv6Checksum(bytes, payloadStart, bytes.length, from, destination)
  assert.equal(verify(hopLimitExceeded, source), undefined)
  assert.deepEqual(icmpv6.parse(hopLimitExceeded, payloadStart), {
    type: 3,
    code: 0,
    checksum: 0xb4af,
    length: 0,
    unused: 0,
  })
  assert.deepEqual(
    icmpv6.toBytes(icmpv6.parse(hopLimitExceeded, payloadStart)),
    hopLimitExceeded.slice(payloadStart, payloadStart + 8),
  )
  // Another source is another pseudo-header: ...::1 for ...::2 makes one less.
  assert.deepEqual(verify(hopLimitExceeded, destination), { found: 0xb4af, expected: 0xb4b0 })
  const sealed = hopLimitExceeded.slice()
  sealed.set([0x12, 0x34], payloadStart + 2)
  sealIcmpv6Checksum(sealed, payloadStart, sealed.length, source, destination)
  assert.deepEqual(sealed, hopLimitExceeded)
})

test('ICMPv6: packet too big, as a real router sent it', () => {
  const header = fromHex('0200fd6300000500')!
  assert.deepEqual(icmpv6.parse(header), { type: 2, code: 0, checksum: 0xfd63, mtu: 1280 })
  assert.deepEqual(icmpv6.toBytes(icmpv6.parse(header)), header)
})
