import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromHex, Ipv4Address, Ipv6Address, ParseError, writeUint16 } from '../base/index.js'
import { ipv6 } from './ipv6.js'
import { sealUdpChecksum, UDP_HEADER_LENGTH, udp, udpChecksum } from './udp.js'

const alice = Ipv4Address.parse('192.0.2.1')!
const bob = Ipv4Address.parse('192.0.2.2')!
/** Captured from a Linux 6.18 kernel: "odd" to port 9, over IPv4 and then "even" over IPv6. */
const odd = fromHex('b1e40009000bf6816f6464')!
const even = fromHex(
  '6005cd16000c114020010db800000000000000000000000120010db800000000000000000000000283cc0009000c55a76576656e',
)!

test('a datagram of odd length over IPv4', () => {
  assert.deepEqual(udp.parse(odd), { sourcePort: 45540, destinationPort: 9, length: 11, checksum: 0xf681 })
  assert.equal(udpChecksum(odd, 0, odd.length, alice, bob), undefined)
  assert.deepEqual(udp.toBytes(udp.parse(odd)), odd.slice(0, UDP_HEADER_LENGTH))
})

test('a datagram over IPv6', () => {
  const { source, destination } = ipv6.view(even)
  assert.equal(udpChecksum(even, 40, even.length, source, destination), undefined)
  const again = even.slice()
  writeUint16(again, 46, 0)
  sealUdpChecksum(again, 40, again.length, source, destination)
  assert.deepEqual(again, even)
})

test('a wrong checksum is told with both values', () => {
  assert.deepEqual(udpChecksum(odd.with(8, 0x70), 0, odd.length, alice, bob), {
    found: 0xf681,
    expected: 0xf581,
  })
})

test('no checksum: fine over IPv4, refused over IPv6 (RFC 8200 section 8.1)', () => {
  const none = odd.with(6, 0).with(7, 0)
  assert.equal(udpChecksum(none, 0, none.length, alice, bob), undefined)
  const { source, destination } = ipv6.view(even)
  const none6 = even.with(46, 0).with(47, 0)
  assert.deepEqual(udpChecksum(none6, 40, none6.length, source, destination), { found: 0, expected: 0x55a7 })
})

test('a checksum that comes out zero is sent as 0xffff, and verifies', () => {
  // The data makes up for the rest: pseudo-header and header sum to 0xffff with it.
  const datagram = udp.toBytes({ sourcePort: 0, destinationPort: 0, length: 10 })
  const bytes = new Uint8Array(10)
  bytes.set(datagram)
  sealUdpChecksum(bytes, 0, 10, Ipv6Address.unspecified, Ipv6Address.unspecified)
  const complement = (bytes[6]! << 8) | bytes[7]!
  writeUint16(bytes, 8, complement)
  sealUdpChecksum(bytes, 0, 10, Ipv6Address.unspecified, Ipv6Address.unspecified)
  assert.deepEqual([...bytes.subarray(6, 8)], [0xff, 0xff])
  assert.equal(udpChecksum(bytes, 0, 10, Ipv6Address.unspecified, Ipv6Address.unspecified), undefined)
})

test('what was sealed verifies, and never has no checksum', () => {
  const address = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => new Ipv6Address(bytes))
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 40 }), address, address, (bytes, from, to) => {
      sealUdpChecksum(bytes, 0, bytes.length, from, to)
      assert.equal(udpChecksum(bytes, 0, bytes.length, from, to), undefined)
      assert.notDeepEqual([...bytes.subarray(6, 8)], [0, 0])
    }),
  )
})

test('refused: a length below the header or beyond the end', () => {
  for (const length of [7, 12])
    assert.throws(
      () => udp.view(odd.with(5, length)),
      (error: unknown) => error instanceof ParseError && error.reason === 'udp.length',
    )
})
