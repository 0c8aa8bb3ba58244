import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hexBytes } from '../testing.js'
import { zeroMutable } from './ah-fields.js'

const v4 = (options: string): Uint8Array => {
  const extra = hexBytes(options)
  const header = hexBytes('45b8 0054 1234 4000 3f33 abcd c0000201 c0000202')
  header[0] = 0x45 + extra.length / 4
  return Uint8Array.from([...header, ...extra])
}
const v4Zeroed = (options: string): Uint8Array => {
  const header = v4(options)
  header.set([0], 1)
  header.set([0, 0, 0], 6)
  header.set([0, 0], 10)
  return header
}
const ipv4Options: [name: string, before: string, after: string][] = [
  ['none', '', ''],
  ['router alert stays', '94040000', '94040000'],
  ['security and its extensions stay', '8203aa 8503bb 86 03cc 95 03dd', '8203aa 8503bb 8603cc 9503dd'],
  ['record route is zeroed whole', '070704 00000000 00', '00000000 00000000'],
  ['timestamp, and a router alert behind it', '4404 0500 94040000', '00000000 94040000'],
  ['traceroute and an option nobody knows', '5204aaaa 5e04bbbb', '0000000000000000'],
  ['no operation stays; padding behind the end stays', '0101 00 ff', '0101 00 ff'],
]
for (const [name, before, after] of ipv4Options)
  test(`IPv4 options (RFC 4302 appendix A1): ${name}`, () => {
    const header = v4(before)
    assert.equal(zeroMutable(header, 0, header.length), true)
    const expected = v4Zeroed(before)
    expected.set(hexBytes(after), 20)
    assert.deepEqual(header, expected)
  })

const v6 = (nextHeader: number, extensions: string): Uint8Array =>
  Uint8Array.from([
    ...hexBytes('6b812345 0040'),
    nextHeader,
    63,
    ...hexBytes('20010db8000000000000000000000001 20010db8000000000000000000000002'),
    ...hexBytes(extensions),
  ])
const ipv6Extensions: [name: string, next: number, before: string, after: string][] = [
  ['none', 51, '', ''],
  ['hop-by-hop: router alert stays', 0, '3300 05020000 0100', '3300 05020000 0100'],
  [
    'hop-by-hop: what may change is zero, its kind and length stay',
    0,
    '3300 3e04 01020304',
    '3300 3e04 00000000',
  ],
  [
    'destination options behind hop-by-hop',
    0,
    '3c00 05020000 0100 3300 2004 ffffffff',
    '3c00 05020000 0100 3300 2004 00000000',
  ],
  ['a routing header that has been walked', 43, '3300 0000 00000000', '3300 0000 00000000'],
  ['single padding', 60, '3300 000000 3e01aa', '3300 000000 3e0100'],
]
for (const [name, next, before, after] of ipv6Extensions)
  test(`IPv6 extension headers (RFC 4302 appendix A2): ${name}`, () => {
    const header = v6(next, before)
    assert.equal(zeroMutable(header, 0, header.length), true)
    const expected = v6(next, after)
    expected.set([0x60, 0, 0, 0], 0)
    expected[7] = 0
    assert.deepEqual(header, expected)
  })

const refused: [name: string, header: Uint8Array][] = [
  ['an option of length 0', v4('4400 0000')],
  ['an option of length 1', v4('4401 0000')],
  ['an option longer than the header', v4('4405 0000')],
  ['an option without its length', v4('010101 44')],
  ['a header length that is not where the header ends', v4('').with(0, 0x46)],
  ['an IPv6 option longer than its header', v6(0, '3300 3e05 01020304')],
  ['an IPv6 header longer than there is', v6(0, '3301 3e04 01020304')],
  ['half an extension header', v6(0, '3300 3e')],
  ['a fragment', v6(44, '3300 0001 00000000')],
  ['a routing header with segments left', v6(43, '3300 0001 00000000')],
  ['IPv5', v4('').with(0, 0x55)],
]
for (const [name, header] of refused)
  test(`not covered: ${name}`, () => {
    assert.equal(zeroMutable(header, 0, header.length), false)
  })

test('any bytes: never throws, never writes outside', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 120 }),
      fc.constantFrom(0x45, 0x4a, 0x4f, 0x60),
      (bytes, first) => {
        const whole = Uint8Array.from([0xaa, first, ...bytes, 0xaa])
        zeroMutable(whole, 1, whole.length - 1)
        assert.deepEqual([whole[0], whole.at(-1)], [0xaa, 0xaa])
      },
    ),
    { numRuns: 500 },
  )
})
