import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Counters, internetChecksum, PacketBuffer, writeUint16 } from '../base/index.js'
import { isFragment, Joiner } from './joiner.js'

const ADDRESSES = { 4: 8, 6: 32 } as const

/** A packet of some protocol with `data` behind its header. */
function whole(kind: 4 | 6, data: Uint8Array, identification: number): Uint8Array {
  const header = kind === 4 ? 20 : 40
  const packet = new Uint8Array(header + data.length)
  if (kind === 4) {
    packet.set([0x45, 0x28, 0, 0, identification >> 8, identification & 255, 0, 0, 64, 17])
    writeUint16(packet, 2, packet.length)
  } else packet.set([0x60, 1, 2, 3, data.length >> 8, data.length & 255, 17, 64])
  const at = header - ADDRESSES[kind]
  for (let i = at; i < header; i++) packet[i] = i
  if (kind === 4) writeUint16(packet, 10, internetChecksum(packet, 0, 20))
  packet.set(data, header)
  return packet
}

/** As a kernel cuts it: `size` bytes of data a part, a multiple of 8. */
function cut(kind: 4 | 6, packet: Uint8Array, size: number, identification: number): Uint8Array[] {
  const header = kind === 4 ? 20 : 40
  const data = packet.subarray(header)
  const parts: Uint8Array[] = []
  for (let at = 0; at < data.length; at += size) {
    const some = data.subarray(at, at + size)
    const more = at + size < data.length
    if (kind === 4) {
      const part = new Uint8Array([...packet.subarray(0, 20), ...some])
      writeUint16(part, 2, part.length)
      writeUint16(part, 6, (at >> 3) | (more ? 0x2000 : 0))
      writeUint16(part, 10, 0)
      writeUint16(part, 10, internetChecksum(part, 0, 20))
      parts.push(part)
    } else {
      const part = new Uint8Array([...packet.subarray(0, 40), 17, 0, 0, 0, 0, 0, 0, 0, ...some])
      part[6] = 44
      writeUint16(part, 4, part.length - 40)
      writeUint16(part, 42, at | (more ? 1 : 0))
      writeUint16(part, 46, identification)
      parts.push(part)
    }
  }
  return parts
}
const buffer = (bytes: Uint8Array): PacketBuffer => PacketBuffer.copyOf(bytes, bytes[0]! >> 4 === 4 ? 4 : 6)
const joined = (joiner: Joiner): Uint8Array => joiner.bytes.slice(0, joiner.length)

test('what a kernel cut is whole again, several datagrams at a time', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          kind: fc.constantFrom(4 as const, 6 as const),
          data: fc.uint8Array({ minLength: 9, maxLength: 4000 }),
          size: fc.integer({ min: 1, max: 100 }).map((units) => 8 * units),
        }),
        { minLength: 1, maxLength: 8 },
      ),
      fc.infiniteStream(fc.nat()),
      (datagrams, order) => {
        const joiner = new Joiner(new Counters())
        const queues = datagrams.map(({ kind, data, size }, i) => {
          const packet = whole(kind, data, i + 1)
          return { packet, parts: cut(kind, packet, size, i + 1) }
        })
        const choices = order[Symbol.iterator]()
        for (let left = queues; left.length > 0; left = left.filter(({ parts }) => parts.length > 0)) {
          const { packet, parts } = left[(choices.next().value ?? 0) % left.length]!
          const part = buffer(parts.shift()!)
          // IPv6 has atomic fragments (RFC 6946); a whole IPv4 packet is none.
          if (!isFragment(part)) {
            assert.deepEqual([part.copy(), parts.length], [packet, 0])
            continue
          }
          assert.equal(joiner.add(part, 0), parts.length === 0)
          if (parts.length === 0) assert.deepEqual(joined(joiner), packet)
        }
      },
    ),
  )
})

test('another order, what is missing, what is old, what is too long', () => {
  for (const kind of [4, 6] as const) {
    const drops = new Counters()
    const joiner = new Joiner(drops)
    const parts = cut(kind, whole(kind, new Uint8Array(24).fill(7), 5), 8, 5)
    const [first, second, third] = parts.map(buffer) as [PacketBuffer, PacketBuffer, PacketBuffer]
    assert.equal(joiner.add(second, 0), false)
    assert.equal(joiner.add(first, 0), false)
    assert.equal(joiner.add(third, 0), false)
    assert.deepEqual(drops.toJSON(), { 'fragment.order': 2 })
    assert.equal(joiner.add(first, 0), false, 'from the beginning')
    assert.equal(joiner.add(second, 0), false)
    assert.equal(joiner.add(third, 2000), false, 'too late')
    assert.equal(drops.get('fragment.order'), 3)
    for (const [i, part] of [first, second, third].entries())
      assert.equal(joiner.add(part, 3000), i === 2, 'and once more')

    const long = cut(kind, whole(kind, new Uint8Array(65_000), 6), 65_000, 6)[0]!
    if (kind === 4) writeUint16(long, 6, 0x2000)
    else writeUint16(long, 42, 1)
    assert.equal(joiner.add(buffer(long), 0), false)
    const over = kind === 4 ? long.slice(0, 20 + 1000) : long.slice(0, 48 + 1000)
    writeUint16(over, kind === 4 ? 6 : 42, kind === 4 ? 65_000 / 8 : 65_000)
    assert.equal(joiner.add(buffer(over), 0), false)
    assert.equal(drops.get('fragment.length'), 1)
  }
})

test('more datagrams than there is room for: the oldest is given up', () => {
  const drops = new Counters()
  const joiner = new Joiner(drops)
  const cuts = Array.from({ length: 9 }, (_, i) => cut(4, whole(4, new Uint8Array(16), i + 1), 8, i + 1))
  for (const [i, parts] of cuts.entries()) joiner.add(buffer(parts[0]!), i)
  const made = cuts.map((parts) => joiner.add(buffer(parts[1]!), 10))
  assert.deepEqual(made, [false, true, true, true, true, true, true, true, true])
})
