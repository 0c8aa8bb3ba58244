import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { IpPrefix, Ipv4Address, Ipv6Address, ipAddressFrom, MacAddress, parseIpAddress } from './address.js'

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length })
const anyIpv4 = bytesOf(4).map((bytes) => new Ipv4Address(bytes))
/** Many zero groups, so that the compression has something to choose between. */
const anyIpv6 = fc
  .array(fc.oneof(fc.constant(0), fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((words) => new Ipv6Address(Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]))))
const anyIp = fc.oneof(anyIpv4, anyIpv6)

test('IPv6 text is canonical (RFC 5952 section 4)', () => {
  const cases: readonly [string, string][] = [
    // 4.1: leading zeros go; 4.2.1: as short as can be; 4.2.2: not for one group; 4.2.3: the longest, then the first.
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    // 4.3: lower case; section 5: IPv4-mapped in mixed notation.
    ['2001:DB8::ABCD', '2001:db8::abcd'],
    ['::ffff:c000:0201', '::ffff:192.0.2.1'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['fe80:0:0:0:0:0:0:1', 'fe80::1'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
  ]
  for (const [text, canonical] of cases) assert.equal(String(Ipv6Address.parse(text)), canonical, text)
})

test('what is no IPv6 address is undefined', () => {
  for (const text of [
    '',
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'g::',
    '::1%eth0',
    '::1/64',
    '192.0.2.1::',
    '::192.0.2.256',
    '::ffff:192.0.2.1:1',
    ' ::1',
    '1:2:3:4:5:6:7:',
    ':1:2:3:4:5:6:7',
  ])
    assert.equal(Ipv6Address.parse(text), undefined, text)
})

test('what is no IPv4 address is undefined, leading zeros among it', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4 ',
    '0x1.2.3.4',
    '1..2.3',
    '-1.2.3.4',
  ])
    assert.equal(Ipv4Address.parse(text), undefined, text)
  assert.equal(String(Ipv4Address.parse('0.0.0.0')), '0.0.0.0')
})

test('text and bytes of an address say the same', () => {
  fc.assert(
    fc.property(anyIp, (address) => {
      const again = parseIpAddress(String(address))
      assert.deepEqual(again?.bytes, address.bytes)
      assert.ok(again?.equals(address))
      assert.equal(again?.key, address.key)
    }),
  )
})

test('addresses are equal exactly when their keys are', () => {
  fc.assert(
    fc.property(anyIp, anyIp, (a, b) => {
      assert.equal(a.equals(b), a.key === b.key)
      assert.equal(ipAddressFrom(a.bytes).family, a.family)
    }),
  )
  assert.equal(Ipv4Address.loopback.equals(Ipv6Address.loopback), false)
})

test('IPv4 as a number, top bit and all', () => {
  assert.equal(Ipv4Address.broadcast.toUint32(), 0xffffffff)
  fc.assert(
    fc.property(anyIpv4, (address) => assert.ok(Ipv4Address.fromUint32(address.toUint32()).equals(address))),
  )
})

test('kinds of addresses', () => {
  const v4 = (text: string): Ipv4Address => Ipv4Address.parse(text)!
  const v6 = (text: string): Ipv6Address => Ipv6Address.parse(text)!
  assert.deepEqual(
    ['223.255.255.255', '224.0.0.1', '239.1.1.1', '240.0.0.1'].map((text) => v4(text).isMulticast),
    [false, true, true, false],
  )
  assert.deepEqual([v4('169.254.1.1').isLinkLocal, v4('169.253.1.1').isLinkLocal], [true, false])
  assert.deepEqual([v4('127.9.9.9').isLoopback, v4('128.0.0.1').isLoopback], [true, false])
  assert.ok(Ipv4Address.unspecified.isUnspecified && Ipv4Address.broadcast.isBroadcast)
  assert.deepEqual(
    ['fe80::1', 'febf::1', 'fec0::1', 'fe7f::1'].map((text) => v6(text).isLinkLocal),
    [true, true, false, false],
  )
  assert.deepEqual([v6('::ffff:1.2.3.4').isIpv4Mapped, v6('::1.2.3.4').isIpv4Mapped], [true, false])
  assert.ok(
    Ipv6Address.loopback.isLoopback && Ipv6Address.unspecified.isUnspecified && v6('ff02::1').isMulticast,
  )
})

test('the solicited-node address takes the last 24 bits (RFC 4291 section 2.7.1)', () => {
  assert.equal(String(Ipv6Address.parse('4037::01:800:200e:8c6c')!.solicitedNode()), 'ff02::1:ff0e:8c6c')
})

test('MAC addresses', () => {
  assert.equal(String(MacAddress.parse('FE:e1:ba:d0:a:1')), 'fe:e1:ba:d0:0a:01')
  for (const text of ['', '1:2:3:4:5', '1:2:3:4:5:6:7', '1:2:3:4:5:100', 'g:2:3:4:5:6', '01-02-03-04-05-06'])
    assert.equal(MacAddress.parse(text), undefined, text)
  assert.deepEqual(
    [MacAddress.parse('33:33:0:0:0:1')!.isGroup, MacAddress.parse('2:0:0:0:0:1')!.isGroup],
    [true, false],
  )
  assert.ok(MacAddress.parse('ff:ff:ff:ff:ff:ff')!.equals(MacAddress.broadcast))
})

test('bytes of a wrong length are refused', () => {
  assert.throws(() => new Ipv4Address(new Uint8Array(5)), RangeError)
  assert.throws(() => new Ipv6Address(new Uint8Array(4)), RangeError)
  assert.throws(() => new MacAddress(new Uint8Array(8)), RangeError)
})

test('a prefix clears host bits, and knows its mask', () => {
  assert.equal(String(IpPrefix.parse('192.168.1.77/20')), '192.168.0.0/20')
  assert.equal(String(IpPrefix.parse('192.168.1.77/20')!.mask), '255.255.240.0')
  assert.equal(String(IpPrefix.parse('2001:db8:ffff::1/33')), '2001:db8:8000::/33')
  assert.equal(String(IpPrefix.parse('10.0.0.1')), '10.0.0.1/32')
  assert.equal(String(IpPrefix.parse('::/0')!.mask), '::')
  for (const text of [
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '/8',
    '::/129',
    '10.0.0.0/1e1',
  ])
    assert.equal(IpPrefix.parse(text), undefined, text)
  assert.throws(() => new IpPrefix(Ipv4Address.loopback, 33), RangeError)
  assert.throws(() => new IpPrefix(Ipv4Address.loopback, 1.5), RangeError)
})

test('a prefix contains what shares its leading bits: against text of bits', () => {
  const bits = (bytes: Uint8Array): string =>
    Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('')
  const flip = (bytes: Uint8Array, bit: number): Uint8Array =>
    bytes.with(bit >> 3, bytes[bit >> 3]! ^ (0x80 >> (bit & 7)))
  fc.assert(
    fc.property(anyIp, fc.nat(), fc.nat(), (address, lengthSeed, bitSeed) => {
      const size = address.bytes.length * 8
      const length = lengthSeed % (size + 1)
      const prefix = new IpPrefix(address, length)
      const other = ipAddressFrom(flip(address.bytes, bitSeed % size))
      assert.ok(prefix.contains(address))
      assert.equal(
        prefix.contains(other),
        bits(other.bytes).slice(0, length) === bits(address.bytes).slice(0, length),
      )
      assert.equal(bits(prefix.mask.bytes), '1'.repeat(length).padEnd(size, '0'))
      assert.ok(IpPrefix.parse(String(prefix))?.equals(prefix))
    }),
  )
  assert.equal(IpPrefix.parse('0.0.0.0/0')!.contains(Ipv6Address.unspecified), false)
})
