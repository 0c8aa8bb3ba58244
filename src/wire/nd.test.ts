import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex, IpPrefix, Ipv6Address, MacAddress, ParseError } from '../base/index.js'
import { icmpv6, icmpv6Checksum, sealIcmpv6Checksum } from './icmpv6.js'
import { ipv6 } from './ipv6.js'
import {
  ndRedirect,
  neighborAdvertisement,
  neighborSolicitation,
  routerAdvertisement,
  routerSolicitation,
} from './nd.js'
import {
  mtuOption,
  prefixInformation,
  readNdOptions,
  redirectedHeader,
  sourceLinkLayerAddress,
  targetLinkLayerAddress,
} from './nd-options.js'

/** Captured from a Linux 6.18 kernel, with the IPv6 header. */
const solicitation = fromHex(
  '6000000000203aff20010db8000000000000000000000002ff0200000000000000000001ff000001' +
    '87001c1e0000000020010db8000000000000000000000001010102000000000b',
)!
const advertisement = fromHex(
  '6000000000203aff20010db800000000000000000000000120010db8000000000000000000000002' +
    '88008a6a6000000020010db8000000000000000000000001020102000000000a',
)!
const routers = fromHex(
  '6000000000103afffe80000000000000000000fffe00000aff020000000000000000000000000002' +
    '85007b1a00000000010102000000000a',
)!
const target = Ipv6Address.parse('2001:db8::1')!

test('a solicitation: to the solicited-node address of its target', () => {
  const header = ipv6.view(solicitation)
  const message = neighborSolicitation.parse(solicitation, 40)
  assert.ok(message.target.equals(target))
  assert.ok(header.destination.equals(message.target.solicitedNode()))
  assert.deepEqual(readNdOptions(message.options ?? []), {
    sourceLinkLayerAddress: MacAddress.parse('02:00:00:00:00:0b'),
    prefixes: [],
  })
})

test('an advertisement: solicited, override, with the target link-layer address', () => {
  const message = neighborAdvertisement.parse(advertisement, 40)
  assert.deepEqual([message.router, message.solicited, message.override], [false, true, true])
  assert.equal(String(readNdOptions(message.options ?? []).targetLinkLayerAddress), '02:00:00:00:00:0a')
})

test('real messages verify, and are written again to the byte, checksum and all', () => {
  for (const [packet, header] of [
    [solicitation, neighborSolicitation],
    [advertisement, neighborAdvertisement],
    [routers, routerSolicitation],
  ] as const) {
    const { source, destination } = ipv6.view(packet)
    assert.equal(icmpv6Checksum(packet, 40, packet.length, source, destination), undefined)
    const again = packet.slice()
    again.fill(0, 40)
    const { checksum: _, ...message } = header.parse(packet, 40)
    header.emit(message as never, again, 40)
    sealIcmpv6Checksum(again, 40, again.length, source, destination)
    assert.deepEqual(again, packet)
  }
})

test('seen as ICMPv6 alone, they have a second word', () => {
  assert.equal(icmpv6.view(advertisement, 40).rest, 0x60000000)
})

test('a router advertisement with all its options', () => {
  const info = {
    prefix: IpPrefix.parse('2001:db8:5::/64')!,
    onLink: true,
    autonomous: true,
    validLifetime: 2_592_000,
    preferredLifetime: 0xffffffff,
  }
  const bytes = routerAdvertisement.toBytes({
    curHopLimit: 64,
    managed: false,
    other: true,
    routerLifetime: 1800,
    reachableTime: 30_000,
    retransTimer: 1000,
    options: [sourceLinkLayerAddress(MacAddress.broadcast), mtuOption(1400), prefixInformation(info)],
  })
  // RFC 4861 section 4.2 and 4.6: 16 bytes, then 8, 8 and 32.
  assert.equal(
    Buffer.from(bytes).toString('hex'),
    '8600000040400708' +
      '00007530000003e8' +
      '0101ffffffffffff' +
      '0501000000000578' +
      '030440c000278d00ffffffff00000000' +
      '20010db8000500000000000000000000',
  )
  const { options } = routerAdvertisement.parse(bytes)
  assert.deepEqual(readNdOptions(options ?? []), {
    sourceLinkLayerAddress: MacAddress.broadcast,
    mtu: 1400,
    prefixes: [info],
  })
  assert.deepEqual(
    routerAdvertisement
      .explain(bytes)
      .slice(-3)
      .map(({ label, value }) => `${label}: ${value}`),
    [
      'Source link-layer address: ff:ff:ff:ff:ff:ff',
      'MTU: 1400 bytes',
      'Prefix information: 2001:db8:5::/64, on-link, autonomous, valid 2592000s, preferred forever',
    ],
  )
})

test('a redirect quotes whole 8-byte units of the packet', () => {
  const quoted = Uint8Array.from({ length: 45 }, (_, i) => i)
  const bytes = ndRedirect.toBytes({
    target,
    destination: target,
    options: [targetLinkLayerAddress(MacAddress.broadcast), redirectedHeader(quoted)],
  })
  assert.equal(bytes.length, 40 + 8 + 8 + 40)
  const { redirectedPacket } = readNdOptions(ndRedirect.parse(bytes).options ?? [])
  assert.deepEqual(redirectedPacket, quoted.slice(0, 40))
})

test('an option of length zero is refused: a loop without end (RFC 4861 section 4.6)', () => {
  assert.throws(
    () => neighborSolicitation.view(solicitation.with(65, 0), 40),
    (error: unknown) => error instanceof ParseError && error.reason === 'neighborSolicitation.options',
  )
})

test('options of a length that is not theirs are left out, not misread', () => {
  assert.deepEqual(
    readNdOptions([
      { kind: 1, data: new Uint8Array(14) },
      { kind: 3, data: new Uint8Array(6) },
      { kind: 3, data: new Uint8Array(30).with(0, 129) },
      { kind: 5, data: new Uint8Array(14) },
      { kind: 200, data: new Uint8Array(6) },
    ]),
    { prefixes: [] },
  )
})

test('a multicast target, a code and another type are refused by name', () => {
  const cases: [Uint8Array, string][] = [
    [solicitation.with(48, 0xff), 'neighborSolicitation.target'],
    [solicitation.with(41, 1), 'neighborSolicitation.code'],
    [solicitation.with(40, 136), 'neighborSolicitation.type'],
  ]
  for (const [packet, reason] of cases)
    assert.throws(
      () => neighborSolicitation.view(packet, 40),
      (error: unknown) => error instanceof ParseError && error.reason === reason,
    )
})
