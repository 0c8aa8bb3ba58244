import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fromHex, IpPrefix, MacAddress, parseIpAddress, toHex } from '../base/index.js'
import {
  attribute,
  decodeAttributes,
  decodeError,
  decodeMessages,
  encodeMessage,
  nested,
  readText,
  text,
  uint32,
} from './netlink.js'
import { addressRequest, decodeLink, decodeRoute, linkBody, routeRequest } from './rtnetlink.js'

const ip = (address: string): NonNullable<ReturnType<typeof parseIpAddress>> => parseIpAddress(address)!

// The samples are what iproute2 6.1 sends for the same request, as strace shows it, with sequence number 1.

test('ip address add 172.16.0.1 peer 172.16.0.2 dev 7', () => {
  const { body, attributes } = addressRequest(
    7,
    { address: ip('172.16.0.1'), prefixLength: 16, peer: ip('172.16.0.2') },
    true,
  )
  assert.equal(
    toHex(encodeMessage(20, 0x605, 1, body, attributes)),
    '28000000140005060100000000000000' + // nlmsghdr: 40 bytes, RTM_NEWADDR, REQUEST|ACK|EXCL|CREATE
      '0220000007000000' + // ifaddrmsg: AF_INET, /32, index 7
      '08000200ac100001' + // IFA_LOCAL
      '08000100ac100002', // IFA_ADDRESS: the peer
  )
})

test('ip -6 address add fdd0::1/64 dev 7 nodad', () => {
  const { body, attributes } = addressRequest(7, { address: ip('fdd0::1'), prefixLength: 64 }, true)
  const address = 'fdd00000000000000000000000000001'
  assert.equal(
    toHex(encodeMessage(20, 0x605, 1, body, attributes)),
    `400000001400050601000000000000000a4002000700000014000200${address}14000100${address}`,
  )
})

test('ip route add 10.0.0.0/8 dev 7', () => {
  const { body, attributes } = routeRequest(
    { destination: IpPrefix.parse('10.0.0.0/8')!, interfaceIndex: 7 },
    false,
  )
  assert.equal(
    toHex(encodeMessage(24, 0x605, 1, body, attributes)),
    '2c000000180005060100000000000000' +
      '02080000fe04fd0100000000' + // rtmsg: table main, protocol static (`ip` says 3, boot), scope link, unicast
      '080001000a0000000800040007000000', // RTA_DST, RTA_OIF
  )
})

test('a default route through a gateway has no RTA_DST and the scope of the universe', () => {
  const route = { destination: IpPrefix.parse('::/0')!, gateway: ip('fdd0::2'), interfaceIndex: 7 }
  const { body, attributes } = routeRequest(route, false)
  assert.equal(toHex(body), '0a000000fe04000100000000')
  assert.deepEqual(
    attributes.map((bytes) => bytes[2]),
    [5, 4],
  )
  assert.equal(routeRequest(route, true).body[6], 255, 'any scope is removed')
})

test('ifinfomsg with flags', () => {
  assert.equal(toHex(linkBody(3, 1, 1)), '00000000030000000100000001000000')
})

test('a link as the kernel describes it', () => {
  const body = linkBody(42, 0x1043, 0)
  const message = encodeMessage(16, 0, 9, body, [
    attribute(3, text('gif0')),
    attribute(4, uint32(1280)),
    attribute(1, MacAddress.parse('02:00:00:00:00:01')!.bytes),
    attribute(10, uint32(5)),
  ])
  const link = decodeLink(decodeMessages(message)[0]!)
  assert.deepEqual(
    { ...link, mac: String(link.mac) },
    { index: 42, name: 'gif0', mtu: 1280, up: true, mac: '02:00:00:00:00:01', master: 5 },
  )
})

test('the answer to a route lookup', () => {
  const body = fromHex('022000000000000100000000')!
  const message = encodeMessage(24, 0, 1, body, [
    attribute(4, uint32(7)),
    attribute(5, ip('192.168.1.254').bytes),
  ])
  const { interfaceIndex, gateway, type } = decodeRoute(decodeMessages(message)[0]!)
  assert.deepEqual([interfaceIndex, String(gateway), type], [7, '192.168.1.254', 1])
})

test('a refusal carries errno and, where the kernel gives them, its words', () => {
  const request = '000000001400050600000000000000000'.slice(0, 32)
  const plain = decodeMessages(encodeMessage(2, 0, 1, fromHex(`efffffff${request}`)!))[0]!
  assert.deepEqual(decodeError(plain), { errno: 17 })
  // NLM_F_CAPPED | NLM_F_ACK_TLVS: only the header of the request, then the attributes.
  const body = new Uint8Array([
    ...fromHex(`efffffff${request}`)!,
    ...attribute(1, text('Address already assigned')),
  ])
  const worded = decodeMessages(encodeMessage(2, 0x300, 1, body))[0]!
  assert.deepEqual(decodeError(worded), { errno: 17, words: 'Address already assigned' })
  assert.deepEqual(decodeError({ type: 2, flags: 0, sequence: 1, body: new Uint8Array(2) }).errno > 0, true)
})

test('nested attributes carry the flag and are found without it', () => {
  const outer = nested(26, nested(10, attribute(8, Uint8Array.of(1))))
  assert.equal(toHex(outer), '10001a800c000a800500080001000000')
  const inner = decodeAttributes(decodeAttributes(outer, 0).get(26)!, 0).get(10)!
  assert.equal(toHex(decodeAttributes(inner, 0).get(8)!), '01')
})

test('attributes survive a round trip, whatever their length', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 0x3fff }), { maxLength: 8 }),
      fc.uint8Array(),
      (types, data) => {
        const message = encodeMessage(
          16,
          0,
          1,
          new Uint8Array(16),
          types.map((type, i) => attribute(type, data.subarray(i))),
        )
        assert.equal(message.length % 4, 0)
        const found = decodeAttributes(decodeMessages(message)[0]!.body, 16)
        assert.deepEqual([...found.keys()], types)
        for (const [i, type] of types.entries()) assert.deepEqual(found.get(type), data.subarray(i))
      },
    ),
  )
})

test('bytes that are no messages end the list, and throw nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const message of decodeMessages(bytes)) {
        assert.ok(message.body.length <= bytes.length)
        decodeAttributes(message.body, 0)
        decodeError(message)
      }
    }),
  )
  assert.equal(readText(Uint8Array.of(0x61, 0, 0x62)), 'a')
})
