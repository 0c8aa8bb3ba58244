import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, IPV4, IPV6, instantAt, internetChecksum, writeUint16 } from '../../base/index.js'
import { type GreHeader, gre, ipv6 } from '../../wire/index.js'
import { gif4 } from '../article.testdata.js'
import { CONTROL, DROP, FOREIGN, PASS, type PathSpec } from '../machine.js'
import { carry, drain, hexBytes, ipOf, process } from '../testing.js'
import { createTransforms, type TransformPair } from '../transforms.js'
import { type GreConfig, GreMachine } from './machine.js'

const outer = { local: ipOf('192.168.1.1'), remote: ipOf('192.168.1.2') }
const outer6 = { local: ipOf('fd3e:62ee:99db:bb1a::1'), remote: ipOf('fd3e:62ee:99db:bb1a::2') }

function pathOf(config: GreConfig): PathSpec {
  const machine = new GreMachine(config)
  machine.start(instantAt(0))
  const [path, ...more] = drain(machine).flatMap((output) => (output.kind === 'install' ? [output.path] : []))
  assert.equal(more.length, 0)
  return path!
}
const transforms = (config: Partial<GreConfig> = {}): TransformPair =>
  createTransforms(pathOf({ outer, ...config }).transform)

const inner4 = gif4.subarray(20)
const inner6 = new Uint8Array(48)
ipv6.emit(
  {
    payloadLength: 8,
    nextHeader: 59,
    hopLimit: 9,
    source: ipOf('2001:db8::1') as never,
    destination: ipOf('2001:db8::2') as never,
  },
  inner6,
)

/** A GRE packet of the wire's own making, its checksum right. */
function packetOf(header: GreHeader, payload: Uint8Array): Uint8Array {
  const bytes = concatBytes(gre.toBytes(header), payload)
  if (header.checksumPresent === true) writeUint16(bytes, 4, internetChecksum(bytes, 0, bytes.length))
  return bytes
}

test('RFC 2784: four bytes in front, the EtherType in them; the whole packet byte for byte', () => {
  const { verdict, packet } = process(transforms().outbound, inner4, IPV4)
  assert.equal(verdict, PASS)
  assert.deepEqual(
    carry(packet, pathOf({ outer }).carrier, 1),
    // 20 + 4 + 84 bytes, protocol 47, TTL 64
    concatBytes(hexBytes('4500 006c 0001 0000 402f f70e c0a8 0101 c0a8 0102 0000 0800'), inner4),
  )
  assert.deepEqual(
    process(transforms().outbound, inner6, IPV6).bytes,
    concatBytes(hexBytes('0000 86dd'), inner6),
  )
})

test('RFC 2890 section 2.1: the key', () => {
  const { outbound } = transforms({ key: 0xdeadbeef })
  assert.deepEqual(
    process(outbound, inner4, IPV4).bytes,
    concatBytes(hexBytes('2000 0800 dead beef'), inner4),
  )
})

test('vnetflowid: the low eight bits of the key tell flows, and are not asked of the peer', () => {
  const config = { key: 0xabcdef, flowInKey: true, outer: { ...outer6, flowLabel: 0x12345 } }
  const { outbound, inbound } = createTransforms(pathOf(config).transform)
  assert.deepEqual(process(outbound, inner4, IPV4).bytes.subarray(0, 8), hexBytes('2000 0800 abcd ef45'))
  const from = (key: number): number =>
    process(inbound, packetOf({ keyPresent: true, key, protocol: 0x0800 }, inner4), 0).verdict
  assert.equal(from(0xabcdef99), PASS)
  assert.equal(from(0xabcdee45), FOREIGN)
})

test('over IPv6 the payload is the same', () => {
  const path = pathOf({ outer: outer6 })
  assert.equal(path.carrier.protocol, 47)
  const { bytes } = process(createTransforms(path.transform).outbound, inner4, IPV4)
  assert.deepEqual(bytes, concatBytes(hexBytes('0000 0800'), inner4))
})

test('what the wire table writes is taken: checksum and sequence number where they are', () => {
  const present = fc.record({ checksumPresent: fc.boolean(), sequencePresent: fc.boolean() })
  const key = fc.option(fc.integer({ min: 0, max: 0xffffffff }), { nil: undefined })
  const sequence = fc.integer({ min: 0, max: 0xffffffff })
  fc.assert(
    fc.property(present, key, sequence, fc.boolean(), (flags, aKey, aSequence, isIpv6) => {
      const header: GreHeader = {
        ...flags,
        keyPresent: aKey !== undefined,
        protocol: isIpv6 ? 0x86dd : 0x0800,
        ...(flags.checksumPresent ? { checksum: 0 } : {}),
        ...(aKey === undefined ? {} : { key: aKey }),
        ...(flags.sequencePresent ? { sequence: aSequence } : {}),
      }
      const { inbound } = transforms(aKey === undefined ? {} : { key: aKey })
      const inner = isIpv6 ? inner6 : inner4
      const { verdict, bytes, packet } = process(inbound, packetOf(header, inner), 0)
      assert.equal(verdict, PASS)
      assert.equal(packet.kind, isIpv6 ? IPV6 : IPV4)
      assert.deepEqual(bytes, inner)
    }),
  )
})

test('what goes out is what the wire table reads', () => {
  fc.assert(
    fc.property(fc.option(fc.integer({ min: 0, max: 0xffffffff }), { nil: undefined }), (key) => {
      const { outbound } = transforms(key === undefined ? {} : { key })
      const header = gre.parse(process(outbound, inner4, IPV4).bytes)
      assert.equal(header.key, key)
      assert.equal(header.protocol, 0x0800)
      assert.equal(header.checksumPresent, false)
      assert.equal(header.sequencePresent, false)
    }),
  )
})

test('CVE-2024-7595: a packet with another key, or none, is not ours', () => {
  const keyed = transforms({ key: 1 }).inbound
  assert.equal(process(keyed, packetOf({ protocol: 0x0800 }, inner4), 0).verdict, FOREIGN)
  assert.equal(
    process(keyed, packetOf({ keyPresent: true, key: 2, protocol: 0x0800 }, inner4), 0).verdict,
    FOREIGN,
  )
  assert.deepEqual(keyed.drops.toJSON(), {})
  const plain = transforms().inbound
  assert.equal(
    process(plain, packetOf({ keyPresent: true, key: 0, protocol: 0x0800 }, inner4), 0).verdict,
    FOREIGN,
  )
})

test('a foreign or control packet is left as it was', () => {
  for (const [config, bytes, verdict] of [
    [{ key: 1 }, packetOf({ protocol: 0x0800 }, inner4), FOREIGN],
    [{}, hexBytes('2001 6400 0000 0100'), FOREIGN],
    [{}, hexBytes('0000 0000'), CONTROL],
  ] as const) {
    const processed = process(transforms(config).inbound, bytes, 0)
    assert.equal(processed.verdict, verdict)
    assert.deepEqual(processed.bytes, bytes)
  }
})

const broken = packetOf({ checksumPresent: true, checksum: 0, protocol: 0x0800 }, inner4)
broken[60]! ^= 1
const refusals: [name: string, bytes: Uint8Array, reason: string][] = [
  ['nothing', new Uint8Array(0), 'gre.length'],
  ['three bytes', hexBytes('000008'), 'gre.length'],
  ['a key that is not there', hexBytes('2000 0800 0000'), 'gre.length'],
  ['a wrong checksum', broken, 'gre.checksum'],
  ['RFC 1701: routing', concatBytes(hexBytes('4000 0800'), inner4), 'gre.routing'],
  ['RFC 1701: strict source route', concatBytes(hexBytes('0800 0800'), inner4), 'gre.routing'],
  ['RFC 1701: recursion', concatBytes(hexBytes('0300 0800'), inner4), 'gre.routing'],
  ['Ethernet in a gre', concatBytes(hexBytes('0000 6558'), inner4), 'gre.protocol'],
  ['IPv6 that says it is IPv4', concatBytes(hexBytes('0000 0800'), inner6), 'inner.ipv4.version'],
  ['IPv4 that says it is IPv6', concatBytes(hexBytes('0000 86dd'), inner4), 'inner.ipv6.version'],
  [
    'an inner packet cut off',
    concatBytes(hexBytes('0000 0800'), inner4.subarray(0, 50)),
    'inner.ipv4.totalLength',
  ],
  ['no inner packet', hexBytes('0000 0800'), 'inner.ipv4.length'],
]
for (const [name, bytes, reason] of refusals) {
  test(`refused and counted: ${name}`, () => {
    const { verdict, drops } = process(transforms().inbound, bytes, 0)
    assert.equal(verdict, DROP)
    assert.deepEqual(drops, { [reason]: 1 })
  })
}

test('RFC 2784 section 2.3: reserved bits 6 to 12 that no standard gave a meaning are not looked at', () => {
  // Of bits 6 to 12, 6 and 7 are RFC 1701's recursion control, which a sender of RFC 2784 leaves zero.
  assert.equal(process(transforms().inbound, concatBytes(hexBytes('0078 0800'), inner4), 0).verdict, PASS)
})

test('garbage never throws and is counted, ours or not', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(255), (bytes, outerTrafficClass) => {
      const { verdict, drops } = process(transforms().inbound, bytes, 0, { outerTrafficClass })
      const counted = Object.values(drops).reduce((sum, count) => sum + count, 0)
      assert.equal(counted, verdict === DROP ? 1 : 0)
    }),
  )
})

test('without headroom a packet is dropped, not written over', () => {
  const { outbound } = transforms()
  const { verdict, drops } = process(
    {
      drops: outbound.drops,
      process: (packet) => {
        packet.bytes.copyWithin(0, packet.start, packet.end)
        packet.reset(0, packet.length, IPV4)
        return outbound.process(packet)
      },
    },
    inner4,
    IPV4,
  )
  assert.equal(verdict, DROP)
  assert.deepEqual(drops, { headroom: 1 })
})

test('a key out of range is refused', () => {
  assert.throws(() => new GreMachine({ outer, key: 2 ** 32 }), { code: 'TUNNEL_KEY' })
  assert.throws(() => new GreMachine({ outer, key: 2 ** 24, flowInKey: true }), { code: 'TUNNEL_KEY' })
})
