import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  ETHERNET,
  IPV4,
  IPV6,
  type IpAddress,
  IpPrefix,
  Ipv4Address,
  Ipv6Address,
  PacketBuffer,
} from '../base/index.js'
import { ipOf } from '../proto/testing.js'
import { InnerSourceFilter, innerSourceOf, prefixesInto } from './inner-source.js'

const prefix = (text: string): IpPrefix => IpPrefix.parse(text)!
const tunnel = {
  addresses: [
    { address: ipOf('172.16.0.1'), prefixLength: 32, peer: ipOf('172.16.0.2') },
    { address: ipOf('10.9.0.1'), prefixLength: 24 },
    { address: ipOf('fd00:1::1'), prefixLength: 64 },
  ],
  routes: [{ destination: prefix('10.1.0.0/16') }, { destination: prefix('2001:db8:8000::/33') }],
}

/** A packet from `source`, the rest zero but what DAD is known by. */
function packetFrom(source: IpAddress, nextHeader = 0, hopLimit = 0): PacketBuffer {
  const bytes = new Uint8Array(source.family === 4 ? 20 : 40)
  bytes.set(source.bytes, source.family === 4 ? 12 : 8)
  if (source.family === 6) bytes.set([nextHeader, hopLimit], 6)
  return PacketBuffer.copyOf(bytes, source.family)
}

test('the prefixes that lead into a tunnel', () => {
  assert.deepEqual(prefixesInto(tunnel).map(String), [
    'fe80::/10',
    '172.16.0.2/32',
    '10.9.0.0/24',
    'fd00:1::/64',
    '10.1.0.0/16',
    '2001:db8:8000::/33',
  ])
})

test('CVE-2025-23018: only an inner source that the route back would choose', () => {
  const filter = InnerSourceFilter.of(tunnel)
  const admitted = (source: string): boolean => filter.admits(packetFrom(ipOf(source)))
  for (const source of ['172.16.0.2', '10.9.0.7', '10.1.255.255', 'fd00:1::2', 'fe80::1', '2001:db8:ffff::1'])
    assert.equal(admitted(source), true, source)
  for (const source of [
    ...['172.16.0.3', '192.168.1.2', '10.2.0.0', '8.8.8.8', '2001:db8:7fff::1', '2001:db7::1'],
    // Our own, and what no packet comes from.
    ...['172.16.0.1', '10.9.0.1', 'fd00:1::1', '127.0.0.1', '224.0.0.1', '0.0.0.0', 'ff02::1', '::1', '::'],
  ])
    assert.equal(admitted(source), false, source)
})

test('a default route admits all but what no packet comes from', () => {
  const filter = new InnerSourceFilter([prefix('0.0.0.0/0'), prefix('::/0')])
  const admitted = (source: string): boolean => filter.admits(packetFrom(ipOf(source)))
  for (const source of ['8.8.8.8', '2001:db8::1']) assert.equal(admitted(source), true, source)
  for (const source of ['127.0.0.1', '255.255.255.255', '::1', 'ff0e::1'])
    assert.equal(admitted(source), false, source)
})

test('duplicate address detection comes from ::, and nothing else does', () => {
  const filter = InnerSourceFilter.of(tunnel)
  assert.equal(filter.admits(packetFrom(Ipv6Address.unspecified, 58, 255)), true)
  assert.equal(filter.admits(packetFrom(Ipv6Address.unspecified, 58, 64)), false)
  assert.equal(filter.admits(packetFrom(Ipv6Address.unspecified, 17, 255)), false)
})

test('frames are a bridge’s matter', () => {
  const frame = PacketBuffer.copyOf(new Uint8Array(60), ETHERNET)
  assert.equal(InnerSourceFilter.of(tunnel).admits(frame), true)
  assert.equal(innerSourceOf(frame), undefined)
})

test('it agrees with IpPrefix.contains', () => {
  const v4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => new Ipv4Address(bytes))
  const v6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => new Ipv6Address(bytes))
  const near = fc.oneof(fc.tuple(v4, fc.nat(32)), fc.tuple(v6, fc.nat(128)))
  fc.assert(
    fc.property(near, fc.nat(127), ([address, length], flipped) => {
      const network = new IpPrefix(address, length)
      const bytes = address.bytes.slice()
      const bit = flipped % (8 * bytes.length)
      bytes[bit >> 3]! ^= 0x80 >> (bit & 7)
      const source = address.family === 4 ? new Ipv4Address(bytes) : new Ipv6Address(bytes)
      const packet = packetFrom(source)
      assert.equal(packet.kind, address.family === 4 ? IPV4 : IPV6)
      assert.deepEqual(innerSourceOf(packet)?.toString(), source.toString())
      const first = bytes[0]!
      const never =
        source.family === 4
          ? first === 0 || first === 127 || first >= 224
          : source.isMulticast || source.isLoopback || source.isUnspecified
      assert.equal(new InnerSourceFilter([network]).admits(packet), !never && network.contains(source))
    }),
  )
})
