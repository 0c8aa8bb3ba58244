import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, fromHex, Ipv6Address } from '../base/index.js'
import { icmpv6Checksum } from './icmpv6.js'
import { ipv6 } from './ipv6.js'
import {
  destinationOptions,
  fragmentHeader,
  hopByHop,
  Ipv6Option,
  MAX_EXTENSION_HEADERS,
  routingHeader,
  unknownIpv6OptionAction,
  walkExtensionHeaders,
} from './ipv6-extensions.js'
import { IpProtocol } from './numbers.js'

/** Captured from a Linux 6.18 kernel: a multicast listener report with router alert. */
const report = fromHex(
  '6000000000380001fe80000000000000000000fffe00000aff0200000000000000000000000000163a00050200000100' +
    '8f006fda0000000204000000ff0200000000000000000001ff00000104000000ff0200000000000000000001ff00000a',
)!

test('hop-by-hop options of a real report: router alert, PadN; to the byte', () => {
  const header = ipv6.view(report)
  const options = hopByHop.parse(report, header.payloadStart)
  assert.deepEqual(options, {
    nextHeader: 58,
    length: 0,
    options: [
      { kind: Ipv6Option.routerAlert, data: new Uint8Array(2) },
      { kind: Ipv6Option.padN, data: new Uint8Array(0) },
    ],
  })
  assert.deepEqual(hopByHop.toBytes(options), report.slice(40, 48))
  const chain = walkExtensionHeaders(report, 40, report.length, header.nextHeader)
  assert.deepEqual(chain, {
    protocol: 58,
    offset: 48,
    nextHeaderAt: 40,
    laterFragment: false,
    headers: [{ protocol: 0, start: 40, end: 48 }],
  })
  assert.equal(
    icmpv6Checksum(report, chain.offset, report.length, header.source, header.destination),
    undefined,
  )
})

test('options are padded to 8 bytes with Pad1 or PadN', () => {
  const option = (length: number) => ({ kind: 5, data: new Uint8Array(length).fill(9) })
  assert.deepEqual(
    [...destinationOptions.toBytes({ nextHeader: 59, options: [option(3)] })],
    [59, 0, 5, 3, 9, 9, 9, 0],
  )
  assert.deepEqual(
    [...destinationOptions.toBytes({ nextHeader: 59, options: [option(1)] })],
    [59, 0, 5, 1, 9, 1, 1, 0],
  )
  assert.deepEqual([...destinationOptions.toBytes({ nextHeader: 59 })], [59, 0, 1, 4, 0, 0, 0, 0])
})

/** Captured from a Linux 6.18 kernel: ping -s 1500 over 1500 bytes of MTU. */
test('fragment headers of a real pair of fragments', () => {
  const first = fromHex('3a00000152698fe9 800071122ba70001')!
  const second = fromHex('3a0005a852698fe9 a0a1a2a3a4a5a6a7')!
  assert.deepEqual(fragmentHeader.parse(second), {
    nextHeader: 58,
    reserved: 0,
    fragmentOffset: 1448 / 8,
    reserved2: 0,
    moreFragments: false,
    identification: 0x52698fe9,
  })
  assert.deepEqual(fragmentHeader.toBytes(fragmentHeader.parse(first)), first.slice(0, 8))
  const walkFirst = walkExtensionHeaders(first, 0, 16, IpProtocol.fragment)
  assert.deepEqual([walkFirst.protocol, walkFirst.fragmentHeaderAt, walkFirst.laterFragment], [58, 0, false])
  assert.equal(walkExtensionHeaders(second, 0, 16, IpProtocol.fragment).laterFragment, true)
})

test('what follows a later fragment is not taken for a header', () => {
  const fragment = fragmentHeader.toBytes({
    nextHeader: IpProtocol.destinationOptions,
    fragmentOffset: 1,
    moreFragments: false,
    identification: 1,
  })
  const chain = walkExtensionHeaders(concatBytes(fragment, new Uint8Array(8)), 0, 16, IpProtocol.fragment)
  assert.deepEqual(
    [chain.protocol, chain.offset, chain.problem],
    [IpProtocol.destinationOptions, 8, undefined],
  )
})

test('a chain of all kinds', () => {
  const bytes = concatBytes(
    hopByHop.toBytes({ nextHeader: IpProtocol.destinationOptions }),
    destinationOptions.toBytes({ nextHeader: IpProtocol.routing }),
    routingHeader.toBytes({
      nextHeader: IpProtocol.fragment,
      length: 2,
      routingType: 0,
      segmentsLeft: 1,
      data: new Uint8Array(4),
    }),
    Ipv6Address.loopback.bytes,
    fragmentHeader.toBytes({
      nextHeader: IpProtocol.destinationOptions,
      fragmentOffset: 0,
      moreFragments: true,
      identification: 7,
    }),
    destinationOptions.toBytes({
      nextHeader: IpProtocol.udp,
      options: [{ kind: 30, data: new Uint8Array(20) }],
    }),
    new Uint8Array(8),
  )
  const chain = walkExtensionHeaders(bytes, 0, bytes.length, IpProtocol.hopByHop)
  assert.equal(chain.problem, undefined)
  assert.deepEqual(
    chain.headers.map(({ protocol, start, end }) => [protocol, start, end]),
    [
      [0, 0, 8],
      [60, 8, 16],
      [43, 16, 40],
      [44, 40, 48],
      [60, 48, 72],
    ],
  )
  assert.deepEqual(
    [chain.protocol, chain.offset, chain.nextHeaderAt, chain.fragmentHeaderAt],
    [17, 72, 48, 40],
  )
})

test('chains that break the rules stop with the reason, at the header that does', () => {
  const hop = (nextHeader: number) => hopByHop.toBytes({ nextHeader })
  const fragment = fragmentHeader.toBytes({
    nextHeader: 44,
    fragmentOffset: 0,
    moreFragments: true,
    identification: 0,
  })
  const long = destinationOptions.toBytes({ nextHeader: 60 }).with(1, 1)
  const cases: [Uint8Array, number, string, number][] = [
    [concatBytes(hop(0), hop(17)), 0, 'ipv6Extension.hopByHop', 8],
    [concatBytes(fragment, fragment), 44, 'ipv6Extension.fragment', 8],
    [long, 60, 'ipv6Extension.length', 0],
    [hop(60).slice(0, 7), 0, 'ipv6Extension.length', 0],
    [new Uint8Array(0), 60, 'ipv6Extension.length', 0],
    [new Uint8Array(1), 44, 'ipv6Extension.length', 0],
  ]
  for (const [bytes, first, reason, offset] of cases) {
    const { problem, ...chain } = walkExtensionHeaders(bytes, 0, bytes.length, first)
    assert.equal(problem?.reason, reason)
    assert.equal(chain.offset, offset)
  }
})

test('a long chain is bounded', () => {
  const bytes = concatBytes(
    ...Array.from({ length: 200 }, () => destinationOptions.toBytes({ nextHeader: 60 })),
  )
  const chain = walkExtensionHeaders(bytes, 0, bytes.length, 60)
  assert.equal(chain.headers.length, MAX_EXTENSION_HEADERS)
  assert.equal(chain.problem?.reason, 'ipv6Extension.count')
})

test('no bytes make the walk throw or leave its bounds', () => {
  const first = fc.constantFrom(0, 43, 44, 60, 17)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), first, fc.nat(130), (bytes, protocol, end) => {
      const chain = walkExtensionHeaders(bytes, 0, end, protocol)
      assert.ok(chain.offset <= Math.min(end, bytes.length))
      assert.ok(chain.headers.length <= MAX_EXTENSION_HEADERS)
    }),
  )
})

test('unknown options act by their two highest bits (RFC 8200 section 4.2)', () => {
  assert.deepEqual([0x1e, 0x5e, 0x9e, 0xde].map(unknownIpv6OptionAction), [
    'skip',
    'discard',
    'report',
    'report-unicast',
  ])
})
