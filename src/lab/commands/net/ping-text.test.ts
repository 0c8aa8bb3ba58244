import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  bytesEqual,
  concatBytes,
  internetChecksum,
  parseIpAddress,
  pseudoHeaderSum,
} from '../../../base/index.js'
import { echoRequest } from './echo.js'
import { errorText, PingStatistics, replyLine } from './ping-text.js'

test('the lines of the article', () => {
  const line = replyLine({
    length: 64,
    source: '172.16.1.2',
    family: 4,
    sequence: 0,
    hopLimit: 255,
    time: 5.649,
    duplicate: false,
  })
  assert.equal(line, '64 bytes from 172.16.1.2: icmp_seq=0 ttl=255 time=5.649 ms')
  const statistics = new PingStatistics()
  statistics.transmitted = 1
  statistics.received = 1
  statistics.roundTrip(5.649)
  assert.equal(
    statistics.summary('172.16.1.2'),
    '--- 172.16.1.2 ping statistics ---\n' +
      '1 packets transmitted, 1 packets received, 0.0% packet loss\n' +
      'round-trip min/avg/max/std-dev = 5.649/5.649/5.649/0.000 ms',
  )
})

test('IPv6 says hlim; a duplicate is marked; no time stamp, no time', () => {
  const reply = { length: 16, source: 'fd00::2', family: 6 as const, sequence: 4, hopLimit: 64 }
  assert.equal(replyLine({ ...reply, duplicate: true }), '16 bytes from fd00::2: icmp_seq=4 hlim=64 (DUP!)')
})

test('statistics: loss, duplicates, more answers than questions, the deviation', () => {
  const statistics = new PingStatistics()
  statistics.transmitted = 3
  assert.equal(
    statistics.summary('x'),
    '--- x ping statistics ---\n3 packets transmitted, 0 packets received, 100.0% packet loss',
  )
  statistics.received = 2
  statistics.duplicates = 1
  for (const time of [1, 2, 3]) statistics.roundTrip(time)
  assert.equal(
    statistics.summary('x').split('\n').slice(1).join('\n'),
    '3 packets transmitted, 2 packets received, 1 duplicates, 33.3% packet loss\n' +
      'round-trip min/avg/max/std-dev = 1.000/2.000/3.000/0.816 ms',
  )
  statistics.received = 4
  assert.match(statistics.summary('x'), /somebody's duplicating packets!/)
})

test('errors as ping -v names them', () => {
  assert.equal(errorText(4, 3, 1, 0), 'Destination Host Unreachable')
  assert.equal(errorText(4, 3, 4, 1280), 'frag needed and DF set (MTU 1280)')
  assert.equal(errorText(4, 11, 0, 0), 'Time to live exceeded')
  assert.equal(errorText(6, 2, 0, 1280), 'Packet too big mtu = 1280')
  assert.equal(errorText(6, 1, 4, 0), 'Destination Port Unreachable')
  assert.equal(errorText(4, 8, 0, 0), undefined)
})

test('an echo request: 24 bytes that nobody can read, then bytes that count up, checksums right', () => {
  const fields = {
    identifier: 0xaa08,
    sequence: 1,
    dataLength: 56,
    time: 1_579_455_000_123_456,
    mask: new Uint8Array(16).fill(0x5a),
    mac: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
    source: parseIpAddress('fd00::1')!,
    destination: parseIpAddress('fd00::2')!,
  }
  const four = echoRequest({ ...fields, family: 4 })
  assert.equal(four.length, 64)
  assert.deepEqual([...four.subarray(0, 2)], [8, 0])
  assert.deepEqual([...four.subarray(4, 8)], [0xaa, 0x08, 0, 1])
  assert.deepEqual([...four.subarray(24, 32)], [1, 2, 3, 4, 5, 6, 7, 8])
  // As in the article's dump: 1819 1a1b 1c1d …
  assert.deepEqual(
    [...four.subarray(32)],
    Array.from({ length: 32 }, (_, i) => 0x18 + i),
  )
  assert.equal(internetChecksum(four, 0, four.length), 0)
  const six = echoRequest({ ...fields, family: 6 })
  assert.equal(six[0], 128)
  const addresses = concatBytes(fields.source.bytes, fields.destination.bytes)
  assert.equal(internetChecksum(six, 0, 64, pseudoHeaderSum(addresses, 0, 16, 58, 64)), 0)
  const short = echoRequest({ ...fields, family: 4, dataLength: 4 })
  assert.ok(bytesEqual(short.subarray(8), Uint8Array.of(0, 1, 2, 3)))
  const pattern = echoRequest({ ...fields, family: 4, dataLength: 28, pattern: Uint8Array.of(0xab, 0xcd) })
  assert.deepEqual([...pattern.subarray(32)], [0xab, 0xcd, 0xab, 0xcd])
})
