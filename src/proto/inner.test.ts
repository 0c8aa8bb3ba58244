import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Counters, IPV4, IPV6, Ipv4Address, Ipv6Address, PacketBuffer } from '../base/index.js'
import { ipv4, ipv4Checksum, ipv6, sealIpv4Checksum } from '../wire/index.js'
import { admitIp, setTrafficClass, trafficClassOf, ttlOf } from './inner.js'

const address4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => new Ipv4Address(bytes))
const address6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => new Ipv6Address(bytes))
const nat = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 })

const anyIpv4 = fc
  .record({
    dscp: nat(6),
    ecn: nat(2),
    payload: fc.uint8Array({ maxLength: 40 }),
    identification: nat(16),
    ttl: nat(8),
    protocol: nat(8),
    source: address4,
    destination: address4,
  })
  .map(({ payload, ...header }) => {
    const bytes = new Uint8Array(20 + payload.length)
    ipv4.emit(
      { ...header, totalLength: bytes.length, dontFragment: false, moreFragments: false, fragmentOffset: 0 },
      bytes,
      0,
    )
    sealIpv4Checksum(bytes, 0)
    bytes.set(payload, 20)
    return bytes
  })

const anyIpv6 = fc
  .record({
    dscp: nat(6),
    ecn: nat(2),
    flowLabel: nat(20),
    payload: fc.uint8Array({ maxLength: 40 }),
    nextHeader: nat(8),
    hopLimit: nat(8),
    source: address6,
    destination: address6,
  })
  .map(({ payload, ...header }) => {
    const bytes = new Uint8Array(40 + payload.length)
    ipv6.emit({ ...header, payloadLength: payload.length }, bytes, 0)
    bytes.set(payload, 40)
    return bytes
  })

test('the hand-written offsets are those of the IPv4 table', () => {
  fc.assert(
    fc.property(anyIpv4, (bytes) => {
      const header = ipv4.parse(bytes)
      assert.equal(trafficClassOf(bytes, 0, IPV4), (header.dscp! << 2) | header.ecn!)
      assert.equal(ttlOf(bytes, 0, IPV4), header.ttl)
    }),
  )
})

test('the hand-written offsets are those of the IPv6 table', () => {
  fc.assert(
    fc.property(anyIpv6, (bytes) => {
      const header = ipv6.parse(bytes)
      assert.equal(trafficClassOf(bytes, 0, IPV6), (header.dscp! << 2) | header.ecn!)
      assert.equal(ttlOf(bytes, 0, IPV6), header.hopLimit)
    }),
  )
})

test('RFC 1624: after another traffic class the IPv4 checksum is the one computed anew', () => {
  fc.assert(
    fc.property(anyIpv4, nat(8), (bytes, trafficClass) => {
      setTrafficClass(bytes, 0, IPV4, trafficClass)
      const { found, expected } = ipv4Checksum(bytes, 0)
      // 0 and 0xffff are the same sum; which one stands there depends on how it came about.
      assert.equal(found % 0xffff, expected % 0xffff)
      assert.equal(trafficClassOf(bytes, 0, IPV4), trafficClass)
    }),
  )
})

test('another IPv6 traffic class leaves version and flow label', () => {
  fc.assert(
    fc.property(anyIpv6, nat(8), (bytes, trafficClass) => {
      const before = ipv6.parse(bytes)
      setTrafficClass(bytes, 0, IPV6, trafficClass)
      const after = ipv6.parse(bytes)
      assert.deepEqual(after, { ...before, dscp: trafficClass >>> 2, ecn: trafficClass & 3 })
    }),
  )
})

test('what is admitted parses, what is not is counted under one reason', () => {
  for (const [kind, header, any] of [
    [IPV4, ipv4, anyIpv4],
    [IPV6, ipv6, anyIpv6],
  ] as const) {
    fc.assert(
      fc.property(any, fc.nat(200), nat(8), fc.nat(80), (packet, at, value, cut) => {
        const bytes = packet.slice(0, Math.max(0, packet.length - (cut % 3 === 0 ? cut : 0)))
        if (bytes.length > 0) bytes[at % bytes.length] = value
        const buffer = PacketBuffer.copyOf(bytes, 0)
        const drops = new Counters()
        if (admitIp(buffer, kind, drops)) {
          // Options are for who reads them: the stack.
          const hasOptions = kind === IPV4 && buffer.bytes[buffer.start] !== 0x45
          if (!hasOptions) assert.doesNotThrow(() => header.parse(buffer.bytes, buffer.start, buffer.end))
          assert.equal(buffer.kind, kind)
          assert.deepEqual(drops.toJSON(), {})
        } else {
          const reasons = Object.values(drops.toJSON())
          assert.deepEqual(reasons, [1])
        }
      }),
    )
  }
})

test('what stands behind the inner packet is cut off', () => {
  const bytes = new Uint8Array(60)
  bytes.set([0x45, 0, 0, 30], 0)
  const buffer = PacketBuffer.copyOf(bytes, 0)
  assert.equal(admitIp(buffer, IPV4, new Counters()), true)
  assert.equal(buffer.length, 30)
})

test('a mark of congestion on the way reaches the inner header, with its checksum', () => {
  const bytes = new Uint8Array(20)
  const header = {
    dscp: 10,
    ecn: 2,
    totalLength: 20,
    identification: 7,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: 64,
    protocol: 6,
    source: new Ipv4Address(Uint8Array.of(172, 16, 0, 1)),
    destination: new Ipv4Address(Uint8Array.of(172, 16, 0, 2)),
  }
  ipv4.emit(header, bytes, 0)
  sealIpv4Checksum(bytes, 0)
  const buffer = PacketBuffer.copyOf(bytes, 0)
  buffer.outerTrafficClass = 3
  assert.equal(admitIp(buffer, IPV4, new Counters()), true)
  const expected = new Uint8Array(20)
  ipv4.emit({ ...header, ecn: 3 }, expected, 0)
  sealIpv4Checksum(expected, 0)
  assert.deepEqual(buffer.copy(), expected)
})
