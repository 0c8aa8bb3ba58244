import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseIpAddress, toHex } from '../base/index.js'
import { encodeSockaddrLl } from './packet-socket.js'
import {
  cmsgSpace,
  decodeSockaddr,
  encodeSockaddr,
  IPPROTO_IPV6,
  IPV6_HOPLIMIT,
  IPV6_TCLASS,
  readCmsgInt,
  writeCmsgInt,
} from './sockaddr.js'
import { checkInterfaceName, encodeIfreq } from './tun.js'

const ip = (address: string): NonNullable<ReturnType<typeof parseIpAddress>> => parseIpAddress(address)!

test('sockaddr_in and sockaddr_in6: the family in the machine order, the port and address in network order', () => {
  assert.equal(toHex(encodeSockaddr(ip('192.168.1.1'), 500)), '020001f4c0a801010000000000000000')
  assert.equal(
    toHex(encodeSockaddr(ip('fd3e:62ee:99db:bb1a::1'), 0, 3)),
    '0a00000000000000fd3e62ee99dbbb1a000000000000000103000000',
  )
  for (const text of ['192.168.1.1', 'fd3e:62ee:99db:bb1a::1']) {
    const decoded = decodeSockaddr(encodeSockaddr(ip(text), 4500))
    assert.deepEqual([String(decoded?.address), decoded?.port], [text, 4500])
  }
  assert.equal(decodeSockaddr(new Uint8Array(16)), undefined)
  assert.equal(decodeSockaddr(encodeSockaddr(ip('::1')).subarray(0, 20)), undefined)
})

test('sockaddr_ll: all protocols of one interface', () => {
  assert.equal(toHex(encodeSockaddrLl(7)), '1100000307000000000000000000000000000000')
})

test('control messages as CMSG_FIRSTHDR, CMSG_NXTHDR and CMSG_DATA lay them out', () => {
  const bytes = new Uint8Array(48)
  const view = new DataView(bytes.buffer)
  const second = writeCmsgInt(view, 0, IPPROTO_IPV6, IPV6_HOPLIMIT, 64)
  const end = writeCmsgInt(view, second, IPPROTO_IPV6, IPV6_TCLASS, 0xb8)
  assert.deepEqual([second, end, cmsgSpace(4)], [24, 48, 24])
  assert.equal(
    toHex(bytes),
    '140000000000000029000000340000004000000000000000' + '14000000000000002900000043000000b800000000000000',
  )
  assert.equal(readCmsgInt(view, 0, end, IPPROTO_IPV6, IPV6_TCLASS), 0xb8)
  assert.equal(readCmsgInt(view, 0, second, IPPROTO_IPV6, IPV6_TCLASS), -1)
})

test('control messages of any content end the search, and throw nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 96 }), (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      assert.equal(typeof readCmsgInt(view, 0, bytes.length, IPPROTO_IPV6, IPV6_TCLASS), 'number')
    }),
  )
})

test('ifreq: the name, then the flags', () => {
  assert.equal(toHex(encodeIfreq('gif0', 0x9001)).slice(0, 36), `67696630${'00'.repeat(12)}0190`)
})

test('names that the kernel would not take are refused', () => {
  for (const name of ['gif0', 'a23456789012345', 'größe']) checkInterfaceName(name)
  for (const name of ['', '.', '..', 'a/b', 'a b', 'a:1', 'tun%d', 'a234567890123456', 'größegrößegr']) {
    assert.throws(() => checkInterfaceName(name), { code: 'LINUX_INTERFACE_NAME' }, name)
  }
})
