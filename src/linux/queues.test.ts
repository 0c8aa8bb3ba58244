import assert from 'node:assert/strict'
import { test } from 'node:test'
import { saOf } from '../proto/esp/testing.js'
import { sumStatus } from './counts.js'
import { queueOf, transformsFor } from './queues.js'

const QUEUES = 4

/** A packet of UDP, the rest of it zero. */
function packet(from: number, to: number, fromPort: number, toPort: number, fragment = 0): DataView {
  const view = new DataView(new ArrayBuffer(40))
  view.setUint8(0, 0x45)
  view.setUint16(6, fragment)
  view.setUint8(9, 17)
  view.setUint32(12, 0x0a000000 + from)
  view.setUint32(16, 0x0a000000 + to)
  view.setUint16(20, fromPort)
  view.setUint16(22, toPort)
  return view
}
const queue = (...of: Parameters<typeof packet>): number => queueOf(packet(...of), 0, false, QUEUES)

test('both directions of a flow have one queue, and flows are spread', () => {
  const seen = new Map<number, number>()
  for (let port = 1024; port < 1424; port++) {
    const one = queue(1, 2, port, 5201)
    assert.equal(queue(2, 1, 5201, port), one)
    seen.set(one, (seen.get(one) ?? 0) + 1)
  }
  assert.equal(seen.size, QUEUES)
  for (const count of seen.values()) assert.ok(count > 50, `${count} of 400`)
})

test('the fragments of a datagram have one queue, though one of them has ports', () => {
  assert.equal(queue(1, 2, 9, 9, 0x2000), queue(1, 2, 1, 2, 185))
})

test('one thread has the inbound SA; the outbound one is shared by all', () => {
  const transform = { protocol: 'esp', outbound: saOf(), inbound: [saOf({ reverse: true })] }
  const all = transformsFor(transform, 3) as unknown as (typeof transform)[]
  assert.deepEqual(
    all.map(({ inbound }) => inbound.length),
    [1, 0, 0],
  )
  const shared = all.map(({ outbound }) => outbound.shared!)
  assert.deepEqual(
    shared.map(({ thread }) => thread),
    [0, 1, 2],
  )
  assert.ok(shared.every(({ memory }) => memory === shared[0]!.memory))
  assert.equal(transformsFor(transform, 1)[0], transform, 'alone it shares with nobody')
})

test('what the threads of a path count is added up', () => {
  const way = (
    packets: number,
    drops = {},
  ): { packets: number; bytes: number; drops: Record<string, number> } => ({
    packets,
    bytes: 10 * packets,
    drops,
  })
  const sa = (packets: number): { direction: 'outbound'; spi: number; packets: number; bytes: number } => ({
    direction: 'outbound',
    spi: 256,
    packets,
    bytes: packets,
  })
  assert.deepEqual(
    sumStatus([
      { id: 'p', sas: [sa(1)], inbound: way(5), outbound: way(1, { loop: 1 }) },
      { id: 'p', sas: [sa(2)], inbound: way(0), outbound: way(2, { loop: 2, notRunning: 1 }) },
    ]),
    { id: 'p', sas: [sa(3)], inbound: way(5), outbound: way(3, { loop: 3, notRunning: 1 }) },
  )
})
