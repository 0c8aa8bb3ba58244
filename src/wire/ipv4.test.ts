import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, internetChecksum, ParseError } from '../base/index.js'
import { icmp, icmpChecksum } from './icmp.js'
import { IPV4_HEADER_LENGTH, ipv4, ipv4Checksum, sealIpv4Checksum } from './ipv4.js'
import { IpProtocol } from './numbers.js'

/** The article's two dumps of gif over IPv4. Its tcpdump cut the last two bytes of ping's pattern: 36 37. */
const request = fromHex(`
  4500 0068 3dc1 0000 4004 b97d c0a8 0101 c0a8 0102 4500 0054 b1f6 0000 ff01 b18e
  ac10 0001 ac10 0002 0800 7d4a aa08 0001 5896 e585 356b ab31 2549 8f94 dea0 35d7
  2019 d75f 1ddc 60c5 1819 1a1b 1c1d 1e1f 2021 2223 2425 2627 2829 2a2b 2c2d 2e2f
  3031 3233 3435 3637`)!
const reply = fromHex(`
  4500 0068 8b0b 0000 4004 6c33 c0a8 0102 c0a8 0101 4500 0054 0461 0000 ff01 5f24
  ac10 0002 ac10 0001 0000 854a aa08 0001 5896 e585 356b ab31 2549 8f94 dea0 35d7
  2019 d75f 1ddc 60c5 1819 1a1b 1c1d 1e1f 2021 2223 2425 2627 2829 2a2b 2c2d 2e2f
  3031 3233 3435 3637`)!

test("the article's IP in IP: 192.168.1.1 > 192.168.1.2: 172.16.0.1 > 172.16.0.2: icmp: echo request", () => {
  const outer = ipv4.view(request)
  assert.equal(String(outer.source), '192.168.1.1')
  assert.equal(String(outer.destination), '192.168.1.2')
  assert.deepEqual([outer.ttl, outer.identification, outer.totalLength], [64, 15809, 104])
  assert.equal(outer.protocol, IpProtocol.ipip)
  const inner = ipv4.view(request, outer.payloadStart, outer.start + outer.totalLength)
  assert.equal(String(inner.source), '172.16.0.1')
  assert.equal(String(inner.destination), '172.16.0.2')
  assert.deepEqual([inner.ttl, inner.identification, inner.totalLength], [255, 45558, 84])
  const echo = icmp.view(request, inner.payloadStart)
  assert.deepEqual([echo.type, echo.code, echo.identifier, echo.sequence], [8, 0, 0xaa08, 1])
})

test("each of the article's headers verifies and is written again to the byte", () => {
  for (const packet of [request, reply]) {
    for (const start of [0, IPV4_HEADER_LENGTH]) {
      const { found, expected } = ipv4Checksum(packet, start)
      assert.equal(found, expected)
      const again = new Uint8Array(20)
      ipv4.emit(ipv4.parse(packet, start), again)
      assert.deepEqual(again, packet.slice(start, start + 20))
      sealIpv4Checksum(again, 0)
      assert.deepEqual(again, packet.slice(start, start + 20))
    }
    assert.equal(icmpChecksum(packet, 40, 104), undefined)
    assert.deepEqual(icmp.toBytes(icmp.parse(packet, 40)), packet.slice(40, 48))
  }
})

test('a bad checksum is told with both values', () => {
  const bad = request.slice()
  bad[8] = 63
  assert.deepEqual(ipv4Checksum(bad, 0), { found: 0xb97d, expected: 0xba7d })
})

test('a checksum of 0xffff in the place of 0 sums up right (RFC 1624 section 3)', () => {
  const packet = request.slice(0, 20)
  // Puts what the checksum lacks into the identification, so that the checksum is 0.
  packet.set([0, 0], 10)
  packet.set([0, 0], 4)
  const rest = internetChecksum(packet, 0, 20)
  packet.set([rest >> 8, rest & 0xff], 4)
  assert.deepEqual(ipv4Checksum(packet, 0), { found: 0, expected: 0 })
  packet.set([0xff, 0xff], 10)
  assert.deepEqual(ipv4Checksum(packet, 0), { found: 0xffff, expected: 0xffff })
})

/** Captured from a Linux 6.18 kernel: ping -R 192.0.2.2. */
const recordRoute = fromHex(
  '4f00004ca3ac400040011ef0c0000201c000020201072708c0000201' +
    '0000000000000000000000000000000000000000000000000000000000000000' +
    '0800bfe12c0d00010001020304050607',
)!

test('options: record route behind a no-operation, 60 bytes of header', () => {
  const header = ipv4.parse(recordRoute)
  assert.equal(ipv4.view(recordRoute).payloadStart, 60)
  assert.deepEqual(
    header.options?.map(({ kind, data }) => [kind, data.length]),
    [
      [1, 0],
      [7, 37],
    ],
  )
  assert.deepEqual(ipv4.toBytes(header), recordRoute.slice(0, 60))
  const { found, expected } = ipv4Checksum(recordRoute, 0)
  assert.equal(found, expected)
  assert.deepEqual(
    ipv4
      .explain(recordRoute)
      .slice(15)
      .map(({ label }) => label),
    ['No operation', 'Record route'],
  )
})

const refusals: readonly [string, (packet: Uint8Array) => Uint8Array, string, string][] = [
  ['version 6', (packet) => packet.with(0, 0x65), 'ipv4.version', 'expected 4'],
  [
    'a header of 16 bytes',
    (packet) => packet.with(0, 0x44),
    'ipv4.ihl',
    'found 16 bytes, expected at least 20',
  ],
  [
    'a header longer than the packet',
    (packet) => packet.slice(0, 40).with(0, 0x4f),
    'ipv4.ihl',
    'at most the 40',
  ],
  [
    'a total length below the header',
    (packet) => packet.with(3, 19),
    'ipv4.totalLength',
    "at least the header's 20",
  ],
  ['a total length beyond the end', (packet) => packet.with(3, 105), 'ipv4.totalLength', 'at most the 104'],
  ['no whole header', (packet) => packet.slice(0, 19), 'ipv4.destination', 'found 19 bytes'],
  [
    'an option beyond the header',
    (packet) => packet.with(0, 0x46).with(20, 7).with(21, 5),
    'ipv4.options',
    '5 bytes',
  ],
]
for (const [what, mangle, reason, words] of refusals) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => ipv4.view(mangle(request)),
      (error: unknown) =>
        error instanceof ParseError && error.reason === reason && error.message.includes(words),
    )
  })
}

test('explain tells a packet cut by its capture from one that lies about its length', () => {
  const cut = ipv4.explain(request.subarray(0, 102)).find(({ field }) => field === 'totalLength')
  assert.equal(cut?.problem, undefined)
  assert.equal(cut?.truncated, true)
  assert.equal(cut?.meaning, '104 bytes in all, of which 102 are here')
  const lie = ipv4.explain(request.with(3, 19)).find(({ field }) => field === 'totalLength')
  assert.equal(lie?.problem, 'found 19 bytes, expected at least 20')
})
