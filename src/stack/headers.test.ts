import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ipv4Address, Ipv6Address, instantAt, seconds } from '../base/index.js'
import { ETHERNET_HEADER_LENGTH } from '../wire/ethernet.js'
import { IPV4_HEADER_LENGTH, ipv4, ipv4Checksum } from '../wire/ipv4.js'
import { IPV6_HEADER_LENGTH, ipv6 } from '../wire/ipv6.js'
import {
  decrementTtl,
  ETHERNET_HEADER,
  IPV4_HEADER,
  IPV6_HEADER,
  ipv6TrafficClass,
  V4,
  V6,
  writeIpv4Header,
  writeIpv6Header,
} from './headers.js'
import { TokenBucket } from './rate-limit.js'

test('the offsets of the fast paths are those of the declarations', () => {
  assert.deepEqual(
    { ETHERNET_HEADER, IPV4_HEADER, IPV6_HEADER },
    {
      ETHERNET_HEADER: ETHERNET_HEADER_LENGTH,
      IPV4_HEADER: IPV4_HEADER_LENGTH,
      IPV6_HEADER: IPV6_HEADER_LENGTH,
    },
  )
  assert.deepEqual(V4, {
    tos: ipv4.offset.dscp,
    totalLength: ipv4.offset.totalLength,
    identification: ipv4.offset.identification,
    flags: ipv4.offset.dontFragment,
    ttl: ipv4.offset.ttl,
    protocol: ipv4.offset.protocol,
    checksum: ipv4.offset.checksum,
    source: ipv4.offset.source,
    destination: ipv4.offset.destination,
  })
  assert.deepEqual(V6, {
    payloadLength: ipv6.offset.payloadLength,
    nextHeader: ipv6.offset.nextHeader,
    hopLimit: ipv6.offset.hopLimit,
    source: ipv6.offset.source,
    destination: ipv6.offset.destination,
  })
})

const octet = fc.integer({ min: 0, max: 255 })

test('headers are written as the declarations read them, and a hop less keeps the checksum right', () => {
  fc.assert(
    fc.property(
      octet,
      fc.integer({ min: 0, max: 65_535 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 255 }),
      octet,
      fc.uint8Array({ minLength: 8, maxLength: 8 }),
      (trafficClass, identification, dontFragment, ttl, protocol, addresses) => {
        const bytes = new Uint8Array(20)
        const source = new Ipv4Address(addresses.subarray(0, 4))
        const destination = new Ipv4Address(addresses.subarray(4))
        const fields = { trafficClass, identification, dontFragment, ttl, protocol, source, destination }
        writeIpv4Header(bytes, 0, 20, fields)
        const read = ipv4.parse(bytes)
        assert.equal(((read.dscp ?? 0) << 2) | (read.ecn ?? 0), trafficClass)
        assert.deepEqual(
          [read.identification, read.dontFragment, read.moreFragments, read.fragmentOffset],
          [identification, dontFragment, false, 0],
        )
        assert.deepEqual([read.ttl, read.protocol], [ttl, protocol])
        assert.ok(read.source.equals(source) && read.destination.equals(destination))
        decrementTtl(bytes, 0)
        assert.equal(ipv4.parse(bytes).ttl, ttl - 1)
        const { found, expected } = ipv4Checksum(bytes, 0)
        // One's complement has two zeros; either is right.
        assert.equal(found % 0xffff, expected % 0xffff)
      },
    ),
  )
  fc.assert(
    fc.property(
      octet,
      fc.integer({ min: 0, max: 0xfffff }),
      octet,
      octet,
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      (trafficClass, flowLabel, nextHeader, hopLimit, addresses) => {
        const bytes = new Uint8Array(40)
        const source = new Ipv6Address(addresses.subarray(0, 16))
        const destination = new Ipv6Address(addresses.subarray(16))
        writeIpv6Header(bytes, 0, 0, { trafficClass, flowLabel, nextHeader, hopLimit, source, destination })
        const read = ipv6.parse(bytes)
        assert.deepEqual(
          [read.flowLabel, read.nextHeader, read.hopLimit, read.payloadLength],
          [flowLabel, nextHeader, hopLimit, 0],
        )
        assert.equal(ipv6TrafficClass(bytes, 0), trafficClass)
        assert.ok(read.source.equals(source) && read.destination.equals(destination))
      },
    ),
  )
})

test('a token bucket gives its burst and then its rate', () => {
  const bucket = new TokenBucket(10)
  const take = (at: number, tries: number): number => {
    let taken = 0
    for (let i = 0; i < tries; i++) if (bucket.take(instantAt(at))) taken++
    return taken
  }
  assert.equal(take(0, 50), 10)
  assert.equal(take(seconds(0.5), 50), 5)
  assert.equal(take(seconds(100), 50), 10)
  assert.equal(take(seconds(50), 50), 0) // a clock that goes back gives nothing
})
