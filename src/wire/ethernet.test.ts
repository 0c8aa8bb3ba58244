import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, MacAddress, ParseError } from '../base/index.js'
import { ARP_LENGTH, arp } from './arp.js'
import { ETHERNET_HEADER_LENGTH, ethernet, vlan } from './ethernet.js'
import { EtherType } from './numbers.js'

/** Captured from a Linux 6.18 kernel. */
const request = fromHex(
  'ffffffffffff02000000000b0806000108000604000102000000000bc0000202000000000000c0000201',
)!

test('an ARP request in its frame', () => {
  const frame = ethernet.view(request)
  assert.ok(frame.destination.equals(MacAddress.broadcast))
  assert.equal(frame.etherType, EtherType.arp)
  const packet = arp.parse(request, frame.payloadStart)
  assert.equal(packet.operation, 1)
  assert.equal(`${packet.senderProtocol} at ${packet.senderHardware}`, '192.0.2.2 at 02:00:00:00:00:0b')
  assert.equal(String(packet.targetProtocol), '192.0.2.1')
  assert.deepEqual(arp.toBytes(packet), request.slice(14))
  assert.deepEqual(ethernet.toBytes(ethernet.parse(request)), request.slice(0, 14))
})

test('ARP for another space is refused by name', () => {
  for (const [at, byte, field] of [
    [15, 6, 'hardwareType'],
    [17, 1, 'protocolType'],
    [18, 8, 'hardwareLength'],
    [19, 16, 'protocolLength'],
  ] as const)
    assert.throws(
      () => arp.view(request.with(at, byte), 14),
      (error: unknown) => error instanceof ParseError && error.reason === `arp.${field}`,
    )
})

test('an unknown operation survives', () => {
  assert.equal(arp.parse(request.with(21, 77), 14).operation, 77)
})

test('a VLAN tag: priority, drop eligible, 12 bits of identifier', () => {
  const tag = { priority: 5, dropEligible: true, vlanId: 0xabc, etherType: EtherType.ipv6 }
  assert.deepEqual([...vlan.toBytes(tag)], [0xba, 0xbc, 0x86, 0xdd])
  assert.deepEqual(vlan.parse(vlan.toBytes(tag)), tag)
})

test('the constants are the declarations', () => {
  assert.equal(ethernet.minimumLength, ETHERNET_HEADER_LENGTH)
  assert.equal(arp.minimumLength, ARP_LENGTH)
})
