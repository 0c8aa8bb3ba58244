import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ETHERNET, IPV4, IPV6, internetChecksum, PacketBuffer, pseudoHeaderSum } from '../base/index.js'
import { packetOf, saOf } from '../proto/esp/testing.js'
import { SaLimit, tooBigError } from './too-big.js'

const bufferOf = (family: 4 | 6, data: number, change?: (bytes: Uint8Array) => void): PacketBuffer => {
  const bytes = packetOf(family, data)
  change?.(bytes)
  return PacketBuffer.copyOf(bytes, family === 4 ? IPV4 : IPV6)
}
const clearDf = (bytes: Uint8Array): void => {
  bytes[6] = 0
}

test('only what would go with DF is refused, and only where it does not fit', () => {
  const copies = new SaLimit(saOf({ copyDf: true }))
  assert.equal(copies.refuses(bufferOf(4, 1472 - 62), 1500), false)
  assert.equal(copies.largest, 1446)
  assert.equal(copies.refuses(bufferOf(4, 1472), 1500), true)
  assert.equal(copies.refuses(bufferOf(4, 1472, clearDf), 1500), false, 'fragments outside')
  assert.equal(copies.refuses(bufferOf(6, 1452), 1500), false, 'fragments outside')
  assert.equal(new SaLimit(saOf()).refuses(bufferOf(4, 1472), 1500), false, 'DF stays inside')
  const always = new SaLimit(saOf({ dontFragment: true }))
  assert.equal(always.refuses(bufferOf(4, 1472, clearDf), 1500), true)
  assert.equal(always.refuses(bufferOf(6, 1452), 1500), true)
  const transport = new SaLimit(saOf({ mode: 'transport' }))
  assert.equal(transport.refuses(bufferOf(4, 1472), 1500), true)
  assert.equal(transport.refuses(bufferOf(4, 1432), 1500), false)
})

test('another path MTU, another limit', () => {
  const limit = new SaLimit(saOf({ copyDf: true }))
  const packet = bufferOf(4, 1300)
  assert.deepEqual(
    [1500, 1300, 1500].map((mtu) => limit.refuses(packet, mtu)),
    [false, true, false],
  )
})

test('IPv6: packet too big, from where the packet was going', () => {
  const packet = bufferOf(6, 1452)
  const error = tooBigError(packet, 1350)!
  assert.equal(error.length, 1280)
  assert.deepEqual(error.subarray(8, 24), packet.view().subarray(24, 40))
  assert.deepEqual(error.subarray(24, 40), packet.view().subarray(8, 24))
  assert.deepEqual([...error.subarray(40, 42), ...error.subarray(44, 48)], [2, 0, 0, 0, 0x05, 0x46])
  assert.deepEqual(error.subarray(48), packet.view().subarray(0, 1232))
  const pseudo = pseudoHeaderSum(error, 8, 16, 58, error.length - 40)
  assert.equal(internetChecksum(error, 40, error.length, pseudo), 0)
})

test('no error about an error, a fragment behind the first, a group, or less than anybody has to take', () => {
  const icmp = (type: number) => (bytes: Uint8Array) => {
    bytes[9] = 1
    bytes[20] = type
  }
  assert.equal(tooBigError(bufferOf(4, 1472, icmp(3)), 1400), undefined)
  assert.notEqual(tooBigError(bufferOf(4, 1472, icmp(8)), 1400), undefined)
  const icmpv6 = (type: number) => (bytes: Uint8Array) => {
    bytes[6] = 58
    bytes[40] = type
  }
  assert.equal(tooBigError(bufferOf(6, 1452, icmpv6(1)), 1400), undefined)
  assert.notEqual(tooBigError(bufferOf(6, 1452, icmpv6(129)), 1400), undefined)
  const fragment = (bytes: Uint8Array): void => {
    bytes[7] = 1
  }
  assert.equal(tooBigError(bufferOf(4, 1472, fragment), 1400), undefined)
  const group = (at: number, value: number) => (bytes: Uint8Array) => {
    bytes[at] = value
  }
  assert.equal(tooBigError(bufferOf(4, 1472, group(16, 239)), 1400), undefined)
  assert.equal(tooBigError(bufferOf(6, 1452, group(24, 0xff)), 1400), undefined)
  assert.equal(tooBigError(bufferOf(4, 1472), 67), undefined)
  assert.equal(tooBigError(bufferOf(6, 1452), 1279), undefined)
  for (const kind of [IPV4, IPV6, ETHERNET] as const)
    for (let length = 0; length < 48; length++)
      assert.doesNotThrow(() =>
        tooBigError(PacketBuffer.copyOf(new Uint8Array(length).fill(0x45), kind), 1400),
      )
})
