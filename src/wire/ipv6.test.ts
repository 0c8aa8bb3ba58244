import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, ParseError } from '../base/index.js'
import { icmp, icmpChecksum } from './icmp.js'
import { ipv4, ipv4Checksum } from './ipv4.js'
import { IPV6_HEADER_LENGTH, ipv6 } from './ipv6.js'

/** The article's two dumps of gif over IPv6: IPv4 in IPv6. Its tcpdump cut ping's pattern after 21: 22 to 37 follow. */
const tail = '2223 2425 2627 2829 2a2b 2c2d 2e2f 3031 3233 3435 3637'
const request = fromHex(`
  6000 000e 0054 0440 fd3e 62ee 99db bb1a 0000 0000 0000 0001 fd3e 62ee 99db bb1a
  0000 0000 0000 0002 4500 0054 ea18 0000 ff01 796c ac10 0001 ac10 0002 0800 4d27
  a894 0002 5947 f52c 54bb 8b2c d9d7 38ca 1a90 1655 1610 2a09 db8a 0238 1819 1a1b
  1c1d 1e1f 2021 ${tail}`)!
const reply = fromHex(`
  6000 000c 0054 0440 fd3e 62ee 99db bb1a 0000 0000 0000 0002 fd3e 62ee 99db bb1a
  0000 0000 0000 0001 4500 0054 c476 0000 ff01 9f0e ac10 0002 ac10 0001 0000 5527
  a894 0002 5947 f52c 54bb 8b2c d9d7 38ca 1a90 1655 1610 2a09 db8a 0238 1819 1a1b
  1c1d 1e1f 2021 ${tail}`)!

test("the article's IPv4 in IPv6: [flowlabel 0xe] (len 84, hlim 64)", () => {
  const outer = ipv6.view(request)
  assert.equal(String(outer.source), 'fd3e:62ee:99db:bb1a::1')
  assert.equal(String(outer.destination), 'fd3e:62ee:99db:bb1a::2')
  assert.deepEqual([outer.flowLabel, outer.payloadLength, outer.hopLimit, outer.nextHeader], [0xe, 84, 64, 4])
  const inner = ipv4.view(request, outer.payloadStart)
  assert.deepEqual([String(inner.source), inner.ttl, inner.identification], ['172.16.0.1', 255, 59928])
  assert.equal(icmp.view(request, inner.payloadStart).sequence, 2)
})

test("each of the article's headers verifies and is written again to the byte", () => {
  for (const packet of [request, reply]) {
    assert.deepEqual(ipv6.toBytes(ipv6.parse(packet)), packet.slice(0, IPV6_HEADER_LENGTH))
    const { found, expected } = ipv4Checksum(packet, 40)
    assert.equal(found, expected)
    assert.deepEqual(ipv4.toBytes(ipv4.parse(packet, 40)), packet.slice(40, 60))
    assert.equal(icmpChecksum(packet, 60, 124), undefined)
  }
})

test('the traffic class is DSCP and ECN, across the byte', () => {
  const packet = request.slice()
  packet.set([0x6b, 0xb0 | 0x0f], 0)
  const { dscp, ecn, flowLabel } = ipv6.view(packet)
  assert.deepEqual([dscp, ecn, flowLabel], [46, 3, 0xf000e])
})

test('refused: another version, and more payload than is there', () => {
  const reasonOf = (packet: Uint8Array) => (error: unknown) =>
    error instanceof ParseError &&
    error.reason === (packet[0] === 0x45 ? 'ipv6.version' : 'ipv6.payloadLength')
  for (const packet of [request.with(0, 0x45), request.with(5, 0x55)])
    assert.throws(() => ipv6.view(packet), reasonOf(packet))
})
