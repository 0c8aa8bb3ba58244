/** RFC 3948: what a NAT between two ends does to transport mode, and what else comes by port 4500. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  bytesEqual,
  IPV4,
  IPV6,
  internetChecksum,
  OPAQUE,
  PacketBuffer,
  pseudoHeaderSum,
  writeUint16,
} from '../../base/index.js'
import { nodeProvider } from '../../crypto/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import { CONTROL, DROP, PASS } from '../machine.js'
import { ipOf } from '../testing.js'
import { EspInbound } from './inbound.js'
import { EspOutbound } from './outbound.js'
import type { SaSpec } from './sa.js'
import { ENDS, saOf } from './testing.js'

/** A NAT's address in the place of the first end. */
const PUBLIC = { 4: ipOf('198.51.100.7'), 6: ipOf('2001:db8:ffff::7') } as const

/** An IP packet between the SA's ends, its checksum right. */
function transportPacket(family: 4 | 6, protocol: number, payload: Uint8Array, at: number): PacketBuffer {
  const header = family === 4 ? 20 : 40
  const bytes = new Uint8Array(header + payload.length)
  const addresses = family === 4 ? 12 : 8
  const [source, destination] = ENDS[family]
  bytes.set(source.bytes, addresses)
  bytes.set(destination.bytes, addresses + source.bytes.length)
  if (family === 4) {
    bytes.set([0x45, 0, 0, 0, 0, 9, 0, 0, 64, protocol])
    writeUint16(bytes, 2, bytes.length)
    writeUint16(bytes, 10, internetChecksum(bytes, 0, 20))
  } else {
    bytes.set([0x60, 0, 0, 0, 0, 0, protocol, 64])
    writeUint16(bytes, 4, payload.length)
  }
  bytes.set(payload, header)
  if (at >= 0) {
    if (protocol === IpProtocol.udp) writeUint16(bytes, header + 4, payload.length)
    writeUint16(bytes, header + at, 0)
    writeUint16(bytes, header + at, checksumOf(bytes, family, protocol))
  }
  return PacketBuffer.copyOf(bytes, family)
}

/** With the checksum field zero: the checksum; with a right one in place: 0. */
function checksumOf(bytes: Uint8Array, family: 4 | 6, protocol: number): number {
  const [addresses, length, header] = family === 4 ? ([12, 4, 20] as const) : ([8, 16, 40] as const)
  const pseudo = pseudoHeaderSum(bytes, addresses, length, protocol, bytes.length - header)
  return internetChecksum(bytes, header, bytes.length, pseudo)
}

/** From the sender, through a NAT that puts its own address in the sender's place, to the receiver's stack. */
function through(family: 4 | 6, packet: PacketBuffer, more: Partial<SaSpec> = {}): Uint8Array {
  const base = saOf({ family, mode: 'transport', udpEncapsulation: true })
  const outbound = new EspOutbound(base, nodeProvider)
  assert.equal(outbound.process(packet), PASS)
  const seen = saOf({ family, mode: 'transport', udpEncapsulation: true, reverse: true })
  const inbound = new EspInbound([{ ...seen, remote: PUBLIC[family].bytes, ...more }], nodeProvider)
  const arrived = PacketBuffer.copyOf(packet.view(), OPAQUE)
  assert.equal(inbound.process(arrived), PASS)
  assert.equal(arrived.kind, family === 4 ? IPV4 : IPV6)
  return arrived.copy()
}

const original = (family: 4 | 6): Partial<SaSpec> => ({
  originalEnds: { source: ENDS[family][0].bytes, destination: ENDS[family][1].bytes },
})

for (const family of [4, 6] as const)
  for (const [name, protocol, at] of [
    ['TCP', IpProtocol.tcp, 16],
    ['UDP', IpProtocol.udp, 6],
    ...(family === 6 ? [['ICMPv6', IpProtocol.icmpv6, 2] as const] : []),
  ] as const)
    test(`RFC 3948 section 3.1.2: the checksum of ${name} over IPv${family} fits the header after a NAT`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 20, maxLength: 80 }), (payload) => {
          for (const known of [{}, original(family)]) {
            const arrived = through(family, transportPacket(family, protocol, payload, at), known)
            assert.equal(checksumOf(arrived, family, protocol), 0)
            const addresses = family === 4 ? 12 : 8
            const length = family === 4 ? 4 : 16
            assert.ok(bytesEqual(arrived.subarray(addresses, addresses + length), PUBLIC[family].bytes))
          }
        }),
        { numRuns: 40 },
      )
    })

test('with the original addresses, what was damaged before it was sealed is still found', () => {
  const packet = transportPacket(4, IpProtocol.tcp, new Uint8Array(40).fill(7), 16)
  packet.bytes[packet.end - 1]! ^= 1
  assert.notEqual(checksumOf(through(4, packet, original(4)), 4, IpProtocol.tcp), 0)
})

test('left alone: UDP without a checksum, other protocols, what is too short, tunnel mode, unauthenticated SAs', () => {
  const none = transportPacket(4, IpProtocol.udp, Uint8Array.of(0, 7, 0, 9, 0, 12, 0, 0, 1, 2, 3, 4), -1)
  assert.deepEqual([...through(4, none).subarray(20)], [0, 7, 0, 9, 0, 12, 0, 0, 1, 2, 3, 4])
  const other = new Uint8Array(24).fill(9)
  assert.deepEqual(through(4, transportPacket(4, 253, other, -1)).subarray(20), other)
  const short = new Uint8Array(19).fill(9)
  assert.deepEqual(through(4, transportPacket(4, IpProtocol.tcp, short, -1)).subarray(20), short)
  const long = Uint8Array.of(0, 7, 0, 9, 0, 99, 5, 5, 1, 2, 3, 4)
  assert.deepEqual(through(4, transportPacket(4, IpProtocol.udp, long, -1)).subarray(20), long)
})

test('sections 2.2 and 2.3: a keepalive is dropped, what has the marker is IKE’s, and neither moves the window', () => {
  const spec = saOf({ udpEncapsulation: true, reverse: true })
  const inbound = new EspInbound([spec], nodeProvider)
  const arrive = (...bytes: number[]): number =>
    inbound.process(PacketBuffer.copyOf(Uint8Array.from(bytes), OPAQUE))
  assert.equal(arrive(0xff), DROP)
  assert.equal(arrive(0, 0, 0, 0, 1, 2, 3, 4), CONTROL)
  assert.equal(arrive(0, 0, 0, 0), CONTROL)
  assert.equal(arrive(0xfe), DROP)
  assert.deepEqual(inbound.drops.toJSON(), { 'esp.keepalive': 1, 'esp.short': 1 })
  // By protocol 50 the same byte is no keepalive.
  const bare = new EspInbound([saOf({ reverse: true })], nodeProvider)
  assert.equal(bare.process(PacketBuffer.copyOf(Uint8Array.of(0xff), OPAQUE)), DROP)
  assert.deepEqual(bare.drops.toJSON(), { 'esp.short': 1 })
})
