/** GRE, EoIP and EtherIP, from the figures of their standards. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concatBytes, fromHex, ParseError } from '../base/index.js'
import { eoip } from './eoip.js'
import { etherip } from './etherip.js'
import { gre, greChecksum, sealGreChecksum } from './gre.js'
import { EtherType } from './numbers.js'

const refusedFor = (reason: string) => (error: unknown) =>
  error instanceof ParseError && error.reason === reason

test('GRE: the shortest header, and each option of RFC 2890 in its place', () => {
  assert.deepEqual([...gre.toBytes({ protocol: EtherType.ipv4 })], [0, 0, 8, 0])
  assert.deepEqual(gre.toBytes({ protocol: EtherType.ipv6, key: 42 }), fromHex('2000 86dd 0000002a'))
  assert.deepEqual(gre.toBytes({ protocol: EtherType.ipv4, sequence: 7 }), fromHex('1000 0800 00000007'))
  const all = gre.toBytes({ protocol: EtherType.ipv4, checksum: 0, key: 0xfffffffe, sequence: 7 })
  assert.deepEqual(all, fromHex('b000 0800 0000 0000 fffffffe 00000007'))
  const { key, sequence, reserved1, payloadStart } = gre.view(all)
  assert.deepEqual([key, sequence, reserved1, payloadStart], [0xfffffffe, 7, 0, 16])
})

test('GRE: the checksum goes over header and payload', () => {
  const packet = concatBytes(gre.toBytes({ protocol: EtherType.ipv4, checksum: 0 }), fromHex('0102 0304 05')!)
  sealGreChecksum(packet, 0, packet.length)
  // 8000 + 0800 + 0102 + 0304 + 0500 = 9106, and its complement.
  assert.deepEqual([...packet.subarray(4, 6)], [0x6e, 0xf9])
  assert.equal(greChecksum(packet, 0, packet.length), undefined)
  assert.deepEqual(greChecksum(packet.with(12, 6), 0, packet.length), { found: 0x6ef9, expected: 0x6df9 })
})

test('GRE: without the bit there is no checksum to be wrong', () => {
  assert.equal(greChecksum(fromHex('0000 0800 ffff')!, 0, 6), undefined)
})

test("GRE: RFC 1701's routing, another version and a cut-off key are refused by name", () => {
  assert.throws(() => gre.view(fromHex('4000 0800')!), refusedFor('gre.routingPresent'))
  assert.throws(() => gre.view(fromHex('0001 880b')!), refusedFor('gre.version'))
  assert.throws(() => gre.view(fromHex('2000 0800 0000')!), refusedFor('gre.length'))
  const problem = gre.explain(fromHex('4000 0800')!).find(({ field }) => field === 'routingPresent')?.problem
  assert.equal(problem, 'found 0x40, expected no bits of RFC 1701')
})

test('GRE: an unknown protocol type survives', () => {
  assert.equal(gre.parse(gre.toBytes({ protocol: 0xabcd })).protocol, 0xabcd)
})

test('EoIP: length in network order, tunnel id least significant byte first', () => {
  const frame = new Uint8Array(60)
  const packet = concatBytes(eoip.toBytes({ payloadLength: 60, tunnelId: 0x0102 }), frame)
  assert.deepEqual(packet.slice(0, 8), fromHex('2001 6400 003c 0201'))
  assert.deepEqual(eoip.parse(packet), {
    flags: 0x2001,
    protocol: 0x6400,
    payloadLength: 60,
    tunnelId: 0x0102,
  })
  assert.equal(eoip.offset.tunnelId, 6)
})

test('EoIP: a keepalive is a length of zero', () => {
  const keepalive = eoip.toBytes({ payloadLength: 0, tunnelId: 1 })
  assert.equal(eoip.view(keepalive).payloadLength, 0)
  const said = eoip.explain(keepalive).map(({ value, meaning }) => `${value} ${meaning}`)
  assert.deepEqual(said, [
    '0x2001 key present, version 1',
    '0x6400 EoIP (MikroTik)',
    '0 keepalive',
    '1 least significant byte first',
  ])
})

test('EoIP: a length beyond the packet, other flags and PPTP are refused by name', () => {
  assert.throws(() => eoip.view(fromHex('2001 6400 0001 0000')!), refusedFor('eoip.payloadLength'))
  assert.throws(() => eoip.view(fromHex('2081 6400 0000 0000')!), refusedFor('eoip.flags'))
  assert.throws(() => eoip.view(fromHex('2001 880b 0000 0000')!), refusedFor('eoip.protocol'))
})

test('EtherIP: 30 00, and nothing else (RFC 3378 section 3)', () => {
  assert.deepEqual([...etherip.toBytes({})], [0x30, 0])
  assert.equal(etherip.view(Uint8Array.of(0x30, 0)).payloadStart, 2)
  assert.throws(() => etherip.view(Uint8Array.of(0x40, 0)), refusedFor('etherip.version'))
  assert.throws(() => etherip.view(Uint8Array.of(0x30, 1)), refusedFor('etherip.reserved'))
  // Some early stacks put the version into the other half of the byte.
  assert.throws(() => etherip.view(Uint8Array.of(0x03, 0)), refusedFor('etherip.version'))
})
