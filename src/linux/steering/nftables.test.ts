import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concatBytes, IpPrefix, toHex } from '../../base/index.js'
import {
  addressIn,
  count,
  metaIs,
  NF_INET_PRE_ROUTING,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFT_META_MARK,
  NFT_META_NFPROTO,
  tableRequests,
  verdict,
} from './nftables.js'

const prefix = (text: string): IpPrefix => IpPrefix.parse(text)!

// The samples are the expressions that nft 1.0.6 sends for the same rule, as strace shows them.

test('ip saddr 10.0.1.0/25 ip daddr 10.0.2.7 counter name guard.out drop', () => {
  const rule = concatBytes(
    metaIs(NFT_META_NFPROTO, NFPROTO_IPV4),
    addressIn('source', prefix('10.0.1.0/25')),
    addressIn('destination', prefix('10.0.2.7')),
    count('guard.out'),
    verdict('drop'),
  )
  assert.equal(
    toHex(rule),
    '24000180090001006d6574610000000014000280080002000000000f0800010000000001' + // meta load nfproto
      '2c00018008000100636d700020000280080001000000000108000200000000000c00038005000100' +
      '02000000' + // cmp eq 2
      '340001800c0001007061796c6f61640024000280080001000000000108000200000000010800030000000' +
      '00c0800040000000004' + // payload load 4b @ network header + 12
      '440001800c00010062697477697365003400028008000100000000010800020000000001' +
      '08000300000000040c00048008000100ffffff800c0005800800010000000000' + // bitwise & 255.255.255.128
      '2c00018008000100636d700020000280080001000000000108000200000000000c000380080001000a000100' +
      '340001800c0001007061796c6f6164002400028008000100000000010800020000000001' +
      '08000300000000100800040000000004' + // @ network header + 16
      '2c00018008000100636d700020000280080001000000000108000200000000000c000380080001000a000207' +
      '2c0001800b0001006f626a72656600001c00028008000100000000010d00020067756172642e6f7574000000' + // objref
      '300001800e000100696d6d6564696174650000001c0002800800010000000000100002800c0002800800010000000000',
  )
})

test('ip6 saddr fd00:2::/63 jump out', () => {
  const rule = concatBytes(
    metaIs(NFT_META_NFPROTO, NFPROTO_IPV6),
    addressIn('source', prefix('fd00:2::/63')),
    addressIn('destination', prefix('::/0')),
    verdict('jump', 'out'),
  )
  assert.equal(
    toHex(rule),
    '24000180090001006d6574610000000014000280080002000000000f08000100000000012c00018008000100636d7000' +
      '20000280080001000000000108000200000000000c000380050001000a000000340001800c0001007061796c6f616400' +
      '2400028008000100000000010800020000000001080003000000000808000400000000105c0001800c00010062697477' +
      '697365004c0002800800010000000001080002000000000108000300000000101800048014000100fffffffffffffffe' +
      '0000000000000000180005801400010000000000000000000000000000000000380001800800' +
      '0100636d70002c000280080001000000000108000200000000001800038014000100fd00000200000000000000000000' +
      '0000380001800e000100696d6d656469617465000000240002800800010000000000180002801400028008000100ffff' +
      'fffd080002006f757400',
  )
})

test('meta mark 0x57415252 accept: marks are in the machine’s order', () => {
  assert.equal(
    toHex(concatBytes(metaIs(NFT_META_MARK, 0x5741_5252), verdict('accept'))),
    '24000180090001006d6574610000000014000280080002000000000308000100000000012c00018008000100636d7000' +
      '20000280080001000000000108000200000000000c0003800800010052524157300001800e000100696d6d65646961746' +
      '50000001c0002800800010000000000100002800c0002800800010000000001',
  )
})

test('a table takes the place of its forerunner: made, removed and made again before its chains and rules', () => {
  const rule = verdict('accept')
  const requests = tableRequests(
    'warren',
    ['guard.in'],
    [
      { name: 'pre', hook: { number: NF_INET_PRE_ROUTING, priority: -300 }, rules: [rule] },
      { name: 'out', rules: [rule, rule] },
    ],
  )
  // NEWTABLE, DELTABLE, NEWTABLE, NEWOBJ, 2 × NEWCHAIN, 3 × NEWRULE of subsystem 10.
  assert.deepEqual(
    requests.map(({ type }) => type),
    [0, 2, 0, 18, 3, 3, 6, 6, 6].map((message) => 0x0a00 + message),
  )
  for (const { body } of requests) assert.equal(toHex(body), '01000000')
  // nft add chain inet warren pre { type filter hook prerouting priority -300; }
  assert.equal(
    requests[4]!.attributes.map(toHex).join(''),
    '0b00010077617272656e00000800030070726500' +
      '0b00070066696c746572000014000480080001000000000008000200fffffed4',
  )
})
