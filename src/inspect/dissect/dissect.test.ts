import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { concatBytes } from '../../base/index.js'
import { explain } from '../explain.js'
import { LinkType } from '../link-type.js'
import { TcpdumpPrinter } from '../print/line.js'
import {
  counting,
  echo,
  frame,
  greOf,
  icmpMessage,
  inner,
  ip4Packet,
  ip6Packet,
  outer,
  outer6,
  samplePackets,
  tcpSegment,
  udpDatagram,
} from '../testing/packets.js'
import { dissect } from './dissect.js'
import type { Layer } from './layer.js'
import { MAXIMUM_DEPTH } from './walk.js'

const samples = samplePackets()
const linkTypes = Object.values(LinkType)
const names = (layers: readonly Layer[]): string[] => layers.map(({ name }) => name)

/** Layers follow each other over all bytes, and the fields of each over all of its bits: each exactly once. */
function assertCovers(bytes: Uint8Array, layers: readonly Layer[]): void {
  let at = 0
  for (const layer of layers) {
    assert.equal(layer.start, at, `${layer.name} begins where the layer before ends`)
    let bit = 8 * layer.start
    for (const field of layer.fields) {
      assert.equal(field.bitStart, bit, `${layer.name}.${field.field}`)
      bit += field.bitLength
    }
    assert.equal(bit, 8 * layer.end, `${layer.name} is named to its end`)
    at = layer.end
  }
  assert.equal(at, bytes.length)
}

describe('every byte has a layer and a field', () => {
  for (const { name, bytes, linkType } of samples)
    test(`${name}: whole, and cut off anywhere`, () => {
      for (let length = 0; length <= bytes.length; length++) {
        const cut = bytes.subarray(0, length)
        assertCovers(cut, dissect(cut, linkType, bytes.length))
        assertCovers(cut, dissect(cut, linkType))
      }
    })

  test('random bytes, and samples with damage, under every link type; nothing throws', () => {
    const damaged = fc
      .tuple(fc.nat(samples.length - 1), fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 6 }))
      .map(([index, changes]) => {
        const bytes = samples[index]!.bytes.slice()
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
        return bytes
      })
    const printer = new TcpdumpPrinter({ verbose: 3, link: true, dump: 'hexl' })
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 120 }), damaged),
        fc.constantFrom(...linkTypes, 4242),
        fc.nat(100),
        (bytes, linkType, missing) => {
          assertCovers(bytes, dissect(bytes, linkType, bytes.length + missing))
          assert.equal(
            typeof printer.line(bytes, linkType, { originalLength: bytes.length + missing }),
            'string',
          )
          assert.equal(explain(bytes, linkType).length, bytes.length)
        },
      ),
      { numRuns: 1000 },
    )
  })
})

describe('what follows what', () => {
  const layersOf: Readonly<Record<string, string>> = {
    icmp: 'ethernet ipv4 icmp payload',
    icmp6: 'ethernet ipv6 icmpv6 payload',
    tcp: 'ethernet ipv4 tcp payload',
    '4 in 4': 'ethernet ipv4 ipv4 icmp payload',
    '6 in 4': 'ethernet ipv4 ipv6 icmpv6 payload',
    '4 in 6': 'ethernet ipv6 ipv4 icmp payload',
    gre: 'ethernet ipv4 gre ipv4 icmp payload',
    'gre with key': 'ethernet ipv4 gre ipv6 icmpv6 payload',
    'gre bridged': 'ethernet ipv4 gre ethernet ipv4 icmp payload',
    eoip: 'ethernet ipv4 eoip ethernet ipv4 icmp payload',
    'eoip keepalive': 'ethernet ipv4 eoip',
    etherip: 'ethernet ipv4 etherip ethernet ipv4 icmp payload',
    'etherip over IPv6': 'ethernet ipv6 etherip ethernet arp',
    unreachable: 'ethernet ipv4 icmp ipv4 icmp payload',
    'later fragment': 'ethernet ipv4 payload',
    esp: 'ethernet ipv4 esp',
    vlan: 'ethernet vlan ipv4 icmp payload',
    cooked: 'linuxSll ipv4 icmp payload',
    loopback: 'loopback ipv4 icmp payload',
  }
  for (const [name, expected] of Object.entries(layersOf))
    test(name, () => {
      const { bytes, linkType } = samples.find((sample) => sample.name === name)!
      assert.deepEqual(names(dissect(bytes, linkType)), expected.split(' '))
      assert.deepEqual(explain(bytes, linkType).problems, [])
    })

  test('depth counts the tunnels', () => {
    const { bytes } = samples.find((sample) => sample.name === 'etherip')!
    assert.deepEqual(
      dissect(bytes, LinkType.ethernet).map(({ depth }) => depth),
      [0, 0, 0, 1, 1, 1, 1],
    )
  })

  test('what is nested too deep is bytes', () => {
    let packet = ip4Packet(inner, 1, echo())
    for (let i = 0; i < 100; i++) packet = ip4Packet(outer, 4, packet)
    const layers = dissect(packet, LinkType.raw)
    assertCovers(packet, layers)
    assert.equal(layers.length, MAXIMUM_DEPTH + 2)
    assert.match(layers.at(-1)!.note!, /too deep/)
  })

  test('an Ethernet frame’s padding, bytes behind a UDP datagram', () => {
    const padded = concatBytes(
      frame(0x0800, ip4Packet(outer, 17, udpDatagram(outer, [1, 2], counting(4)))),
      new Uint8Array(14),
    )
    assert.deepEqual(names(dissect(padded, LinkType.ethernet)), [
      'ethernet',
      'ipv4',
      'udp',
      'payload',
      'padding',
    ])
    const datagram = concatBytes(udpDatagram(outer, [1, 2], counting(4)), Uint8Array.of(1, 2))
    const layers = dissect(ip4Packet(outer, 17, datagram), LinkType.raw)
    assert.match(layers.at(-1)!.note!, /behind the UDP datagram/)
  })

  test('IPv6 extension headers, and a routing header longer than its fixed part', () => {
    const options = Uint8Array.of(43, 0, 1, 4, 0, 0, 0, 0)
    const routing = concatBytes(Uint8Array.of(17, 2, 0, 1), new Uint8Array(20))
    const packet = ip6Packet(
      outer6,
      0,
      concatBytes(options, routing, udpDatagram(outer6, [1, 2], counting(3))),
    )
    const layers = dissect(packet, LinkType.raw)
    assert.deepEqual(names(layers), ['ipv6', 'hopByHop', 'routingHeader', 'udp', 'payload'])
    assertCovers(packet, layers)
  })
})

describe('checksums', () => {
  const checksumOf = (bytes: Uint8Array, name: string): Layer['fields'][number] =>
    dissect(bytes, LinkType.raw)
      .find((layer) => layer.name === name)!
      .fields.find(({ field }) => field === 'checksum')!
  const cases: readonly (readonly [string, Uint8Array, number])[] = [
    ['ipv4', ip4Packet(outer, 1, echo()), 10],
    ['icmp', ip4Packet(outer, 1, echo()), 22],
    ['tcp', ip4Packet(outer, 6, tcpSegment(outer, [1, 2], { ack: true }, counting(5))), 36],
    ['udp', ip4Packet(outer, 17, udpDatagram(outer, [1, 2], counting(5))), 26],
    ['tcp', ip6Packet(outer6, 6, tcpSegment(outer6, [1, 2], { ack: true }, counting(5))), 56],
    ['udp', ip6Packet(outer6, 17, udpDatagram(outer6, [1, 2], counting(5))), 46],
  ]
  for (const [name, bytes, at] of cases)
    test(`${name} of ${bytes.length} bytes: right, wrong with both values, not to be checked`, () => {
      assert.equal(checksumOf(bytes, name).meaning, 'correct')
      const right = (bytes[at]! << 8) | bytes[at + 1]!
      const wrong = bytes.slice()
      wrong[at]! ^= 0x5a
      const found = right ^ 0x5a00
      const hex = (value: number): string => `0x${value.toString(16).padStart(4, '0')}`
      assert.equal(checksumOf(wrong, name).problem, `found ${hex(found)}, expected ${hex(right)}`)
      if (name !== 'ipv4')
        assert.match(checksumOf(bytes.subarray(0, -1), name).meaning!, /^not checked: 1 of the bytes/)
    })

  test('gre', () => {
    const payload = ip4Packet(inner, 1, echo())
    const packet = ip4Packet(outer, 47, greOf({ protocol: 0x0800, checksum: 1 }, payload))
    const problem = checksumOf(packet, 'gre').problem!
    const expected = Number.parseInt(/expected 0x([0-9a-f]{4})/.exec(problem)![1]!, 16)
    assert.match(problem, /^found 0x0001, /)
    const right = ip4Packet(outer, 47, greOf({ protocol: 0x0800, checksum: expected }, payload))
    assert.equal(checksumOf(right, 'gre').meaning, 'correct')
  })

  test('udp without: fine over IPv4, wrong over IPv6', () => {
    const datagram = udpDatagram(outer, [1, 2], counting(5))
    datagram.set([0, 0], 6)
    assert.equal(checksumOf(ip4Packet(outer, 17, datagram), 'udp').meaning, 'none was computed')
    assert.match(checksumOf(ip6Packet(outer6, 17, datagram), 'udp').problem!, /over IPv6 it must be there/)
  })

  test('a fragment’s is not checked, a quoted packet’s neither', () => {
    const first = ip4Packet(outer, 17, udpDatagram(outer, [1, 2], counting(24)), { moreFragments: true })
    assert.match(checksumOf(first, 'udp').meaning!, /all fragments/)
    const quoted = ip4Packet(inner, 17, udpDatagram(inner, [1, 2], counting(24))).subarray(0, 28)
    const layers = dissect(ip4Packet(outer, 1, icmpMessage({ type: 3, code: 3 }, quoted)), LinkType.raw)
    assert.deepEqual(names(layers), ['ipv4', 'icmp', 'ipv4', 'udp'])
    assert.match(layers[3]!.fields.find(({ field }) => field === 'checksum')!.meaning!, /^not checked: 24/)
    assert.match(layers[2]!.note!, /^quoted/)
  })
})

describe('lengths', () => {
  test('a packet that claims more than its carrier has', () => {
    const packet = frame(0x0800, ip4Packet(outer, 1, echo()))
    packet[14 + 3] = 255
    // Without the wire length it may have been cut off; with it, it is wrong.
    assert.deepEqual(
      explain(packet, LinkType.ethernet).problems.filter((problem) => /total length/.test(problem)),
      [],
    )
    assert.match(
      explain(packet, LinkType.ethernet, packet.length).problems.join('\n'),
      /total length: found 255 bytes, expected at most the 84 that its carrier has/,
    )
    const inside = ip4Packet(outer, 4, ip4Packet(inner, 1, echo()))
    inside[20 + 3] = 255
    for (const cut of [inside, inside.subarray(0, 60)])
      assert.match(
        explain(cut, LinkType.raw).problems.join('\n'),
        /total length: found 255 bytes, expected at most the 84 that its carrier has/,
      )
  })
})
