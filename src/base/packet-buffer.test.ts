import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ETHERNET, HEADROOM, IPV4, IPV6, OPAQUE, PacketBuffer, TAILROOM } from './packet-buffer.js'

const packet = Uint8Array.of(1, 2, 3, 4)

test('a copy has room on both sides and is its own', () => {
  const buffer = PacketBuffer.copyOf(packet, IPV4)
  assert.deepEqual([buffer.start, buffer.length, buffer.kind], [HEADROOM, 4, IPV4])
  assert.equal(buffer.bytes.length - buffer.end, TAILROOM)
  buffer.view()[0] = 9
  assert.equal(packet[0], 1)
  assert.deepEqual([...buffer.copy()], [9, 2, 3, 4])
})

test('a header is prepended in place', () => {
  const buffer = PacketBuffer.copyOf(packet, IPV6, 2, 0)
  buffer.start -= 2
  buffer.bytes.set([7, 8], buffer.start)
  assert.deepEqual([...buffer.view()], [7, 8, 1, 2, 3, 4])
  assert.equal(buffer.view().buffer, buffer.bytes.buffer)
})

test('loading again forgets what was said of the last packet', () => {
  const buffer = PacketBuffer.copyOf(packet, IPV4)
  Object.assign(buffer, {
    outerTrafficClass: 3,
    outerTtl: 4,
    outerDontFragment: true,
    outerFlowLabel: 5,
    nesting: 6,
  })
  assert.ok(buffer.load(Uint8Array.of(5), ETHERNET))
  const { outerTrafficClass, outerTtl, outerDontFragment, outerFlowLabel, nesting, kind } = buffer
  assert.deepEqual(
    [outerTrafficClass, outerTtl, outerDontFragment, outerFlowLabel, nesting, kind],
    [0, 0, false, 0, 0, ETHERNET],
  )
  assert.deepEqual([...buffer.view()], [5])
})

test('what does not fit is refused and changes nothing', () => {
  const buffer = new PacketBuffer(new Uint8Array(6), 1, 3)
  buffer.nesting = 2
  assert.equal(buffer.load(packet, IPV4, 3), false)
  assert.deepEqual([buffer.start, buffer.end, buffer.nesting, buffer.kind], [1, 3, 2, OPAQUE])
  assert.equal(buffer.load(packet, IPV4, 2), true)
  assert.deepEqual([buffer.start, buffer.end], [2, 6])
})
