import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { IPV4, IPV6, instantAt } from '../../base/index.js'
import { gif4, gif6 } from '../article.testdata.js'
import { DROP, PASS, type PathSpec } from '../machine.js'
import { carry, drain, hexBytes, ipOf, process } from '../testing.js'
import { createTransforms, type TransformPair } from '../transforms.js'
import type { OuterConfig } from '../tunnel-metadata.js'
import { GifMachine } from './machine.js'

const overIpv4: OuterConfig = { local: ipOf('192.168.1.1'), remote: ipOf('192.168.1.2') }
const overIpv6: OuterConfig = {
  local: ipOf('fd3e:62ee:99db:bb1a::1'),
  remote: ipOf('fd3e:62ee:99db:bb1a::2'),
  flowLabel: 0xe,
}

function pathsOf(outer: OuterConfig): PathSpec[] {
  const machine = new GifMachine({ outer })
  machine.start(instantAt(0))
  return drain(machine).flatMap((output) => (output.kind === 'install' ? [output.path] : []))
}
const path = (outer: OuterConfig, family: 4 | 6): PathSpec =>
  pathsOf(outer).find(({ takes }) => takes.includes(family))!
const transforms = (outer: OuterConfig, family: 4 | 6): TransformPair =>
  createTransforms(path(outer, family).transform)

/** A UDP datagram without ports: an IPv6 header and eight bytes. */
const inner6 = hexBytes(`
  6ab1 2345 0008 3b2a 2001 0db8 0000 0000 0000 0000 0000 0001
  2001 0db8 0000 0000 0000 0000 0000 0002 0102 0304 0506 0708`)
const inner4 = gif4.subarray(20)

test('a gif installs a path for each inner family, under protocols 4 and 41', () => {
  for (const outer of [overIpv4, overIpv6])
    assert.deepEqual(
      pathsOf(outer).map(({ id, carrier, takes }) => ({ id, protocol: carrier.protocol, takes })),
      [
        { id: 'ipv4', protocol: 4, takes: [IPV4] },
        { id: 'ipv6', protocol: 41, takes: [IPV6] },
      ],
    )
})

test('it ends as it began: what was installed is removed, and no timer ever runs', () => {
  const machine = new GifMachine({ outer: overIpv4 })
  machine.start(instantAt(0))
  assert.deepEqual(drain(machine).at(-1), { kind: 'event', event: { name: 'up' } })
  assert.equal(machine.nextTimeout(), undefined)
  machine.stop(instantAt(1))
  assert.deepEqual(
    drain(machine).map((output) => (output.kind === 'remove' ? output.pathId : output.kind)),
    ['ipv4', 'ipv6', 'event'],
  )
})

test('a datagram or packet that no path claims is counted', () => {
  const machine = new GifMachine({ outer: overIpv4 })
  machine.start(instantAt(0))
  drain(machine)
  machine.receive({ carrier: path(overIpv4, 4).carrier, payload: new Uint8Array(3) }, instantAt(1))
  machine.send({ kind: 1, bytes: new Uint8Array(60) }, instantAt(1))
  assert.deepEqual(drain(machine), [])
  assert.deepEqual(machine.counters.toJSON(), { 'control.unexpected': 1, 'send.noPath': 1 })
})

test("the article's packet over IPv4, byte for byte", () => {
  const { verdict, packet } = process(transforms(overIpv4, 4).outbound, inner4, IPV4)
  assert.equal(verdict, PASS)
  assert.deepEqual(carry(packet, path(overIpv4, 4).carrier, 15809), gif4)
})

test("the article's packet over IPv6, byte for byte", () => {
  const { verdict, packet } = process(transforms(overIpv6, 4).outbound, gif6.subarray(40), IPV4)
  assert.equal(verdict, PASS)
  assert.deepEqual(carry(packet, path(overIpv6, 4).carrier), gif6)
})

test('IPv6 inside, over IPv4 (RFC 4213) and over IPv6 (RFC 2473): protocol 41, traffic class copied', () => {
  const over4 = process(transforms(overIpv4, 6).outbound, inner6, IPV6)
  assert.equal(over4.verdict, PASS)
  assert.deepEqual(
    carry(over4.packet, path(overIpv4, 6).carrier),
    new Uint8Array([...hexBytes('45ab 0044 0000 0000 4029 f692 c0a8 0101 c0a8 0102'), ...inner6]),
  )
  const over6 = process(transforms({ ...overIpv6, flowLabel: 0 }, 6).outbound, inner6, IPV6)
  assert.deepEqual(
    carry(over6.packet, path(overIpv6, 6).carrier),
    new Uint8Array([
      ...hexBytes('6ab0 0000 0030 2940 fd3e62ee99dbbb1a0000000000000001 fd3e62ee99dbbb1a0000000000000002'),
      ...inner6,
    ]),
  )
})

test('in each of the four combinations what went in comes out', () => {
  for (const outer of [overIpv4, overIpv6]) {
    for (const [family, inner] of [
      [IPV4, inner4],
      [IPV6, inner6],
    ] as const) {
      const { outbound, inbound } = transforms(outer, family)
      const sent = process(outbound, inner, family)
      const { outerTrafficClass } = sent.packet
      const received = process(inbound, sent.bytes, 0, { outerTrafficClass })
      assert.equal(received.verdict, PASS)
      assert.equal(received.packet.kind, family)
      assert.deepEqual(received.bytes, inner)
    }
  }
})

test('tunnelttl: a number, or copied from inside', () => {
  const ttlOf = (ttl: number | 'copy'): number =>
    process(transforms({ ...overIpv4, ttl }, 4).outbound, inner4, IPV4).packet.outerTtl
  assert.equal(ttlOf(7), 7)
  assert.equal(ttlOf('copy'), 255)
  assert.equal(
    process(transforms({ ...overIpv6, ttl: 'copy' }, 6).outbound, inner6, IPV6).packet.outerTtl,
    0x2a,
  )
})

test('tunneldf and DSCP', () => {
  const { packet } = process(
    transforms({ ...overIpv4, dontFragment: true, dscp: 46 }, 6).outbound,
    inner6,
    IPV6,
  )
  assert.equal(packet.outerDontFragment, true)
  assert.equal(packet.outerTrafficClass, (46 << 2) | 3, 'ECN is copied where DSCP is not')
})

test('RFC 6040 section 4.1, compatibility mode: Not-ECT outside', () => {
  const { packet } = process(transforms({ ...overIpv4, ecn: 'compatibility' }, 6).outbound, inner6, IPV6)
  assert.equal(packet.outerTrafficClass, 0xab & 0xfc)
})

test('RFC 6040 section 4.2: CE outside drops a packet that is Not-ECT inside, and marks an ECT one', () => {
  const dropped = process(transforms(overIpv4, 4).inbound, inner4, 0, { outerTrafficClass: 3 })
  assert.equal(dropped.verdict, DROP)
  assert.deepEqual(dropped.drops, { 'ecn.ceOverNotEct': 1 })
  const ect0 = inner6.with(1, 0xa1) // traffic class 0xaa
  const marked = process(transforms(overIpv4, 6).inbound, ect0, 0, { outerTrafficClass: 3 })
  assert.equal(marked.verdict, PASS)
  assert.deepEqual(marked.bytes, inner6)
})

test('nesting ends: the fifth tunnel on one host is refused', () => {
  const { outbound } = transforms(overIpv4, 4)
  assert.equal(process(outbound, inner4, IPV4, { nesting: 3 }).packet.nesting, 4)
  const refused = process(outbound, inner4, IPV4, { nesting: 4 })
  assert.equal(refused.verdict, DROP)
  assert.deepEqual(refused.drops, { nesting: 1 })
})

test('RFC 2003 section 5: a packet of the tunnel does not go into the tunnel again', () => {
  const again = process(transforms(overIpv4, 4).outbound, gif4, IPV4)
  assert.equal(again.verdict, DROP)
  assert.deepEqual(again.drops, { loop: 1 })
  const other = process(transforms({ ...overIpv4, remote: ipOf('192.168.1.3') }, 4).outbound, gif4, IPV4)
  assert.equal(other.verdict, PASS, 'but a packet of another tunnel does')
  const again6 = process(transforms(overIpv6, 6).outbound, gif6.with(6, 41), IPV6)
  assert.deepEqual(again6.drops, { loop: 1 })
})

const refusals: [name: string, family: 4 | 6, bytes: Uint8Array, reason: string][] = [
  ['CVE-2020-10136: nothing inside', 4, new Uint8Array(0), 'inner.ipv4.length'],
  ['CVE-2020-10136: IPv6 under protocol 4', 4, inner6, 'inner.ipv4.version'],
  ['a header length below 20', 4, inner4.with(0, 0x44), 'inner.ipv4.ihl'],
  ['a header longer than the packet', 4, inner4.subarray(0, 20).with(0, 0x4f), 'inner.ipv4.ihl'],
  ['a total length below the header', 4, inner4.with(3, 19), 'inner.ipv4.totalLength'],
  ['a packet cut off', 4, inner4.subarray(0, 83), 'inner.ipv4.totalLength'],
  ['CVE-2025-23018: IPv4 under protocol 41', 6, inner4, 'inner.ipv6.version'],
  ['CVE-2025-23019: 39 bytes', 6, inner6.subarray(0, 39), 'inner.ipv6.length'],
  ['a payload cut off', 6, inner6.subarray(0, 47), 'inner.ipv6.payloadLength'],
]
for (const [name, family, bytes, reason] of refusals) {
  test(`refused and counted: ${name}`, () => {
    const { verdict, drops } = process(transforms(overIpv4, family).inbound, bytes, 0)
    assert.equal(verdict, DROP)
    assert.deepEqual(drops, { [reason]: 1 })
  })
}

test('outbound, a packet of another kind or none at all is refused', () => {
  const { outbound } = transforms(overIpv4, 4)
  assert.equal(process(outbound, inner6, IPV6).verdict, DROP)
  assert.equal(process(outbound, new Uint8Array(0), IPV4).verdict, DROP)
  assert.deepEqual(outbound.drops.toJSON(), { 'inner.kind': 1, 'inner.malformed': 1 })
})

test('garbage never throws and is always counted', () => {
  for (const family of [4, 6] as const) {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(255), (bytes, outerTrafficClass) => {
        const { inbound } = transforms(overIpv4, family)
        const { verdict, drops } = process(inbound, bytes, 0, { outerTrafficClass })
        const counted = Object.values(drops).reduce((sum, count) => sum + count, 0)
        assert.equal(counted, verdict === PASS ? 0 : 1)
      }),
    )
  }
})

const wrongEnds: [name: string, outer: OuterConfig][] = [
  ['two families', { local: ipOf('192.168.1.1'), remote: ipOf('fd00::1') }],
  ['a group', { local: ipOf('192.168.1.1'), remote: ipOf('224.0.0.1') }],
  ['no address', { local: ipOf('::'), remote: ipOf('fd00::1') }],
  ['twice the same', { local: ipOf('192.168.1.1'), remote: ipOf('192.168.1.1') }],
  ['TTL 0', { ...overIpv4, ttl: 0 }],
  ['DSCP 64', { ...overIpv4, dscp: 64 }],
  ['a flow label of 21 bits', { ...overIpv6, flowLabel: 0x100000 }],
]
for (const [name, outer] of wrongEnds) {
  test(`no machine for: ${name}`, () => {
    assert.throws(() => new GifMachine({ outer }), { code: 'TUNNEL_OUTER' })
  })
}

test('a path is plain data: it survives a structured clone, addresses as bytes', () => {
  const { transform } = path(overIpv4, 4)
  const clone = createTransforms(structuredClone(transform))
  assert.equal(process(clone.outbound, gif4, IPV4).drops.loop, 1)
})
