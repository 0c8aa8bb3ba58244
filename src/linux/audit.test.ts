import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PlaneAudit, type RefusedPacket } from './audit.js'
import type { Carrier } from './carrier.js'

const carrier = (protocol: number): Carrier =>
  ({ spec: { protocol, local: Uint8Array.of(1), remote: Uint8Array.of(2) } }) as unknown as Carrier

function audit(): { told: RefusedPacket[]; made: PlaneAudit } {
  const told: RefusedPacket[] = []
  return { told, made: new PlaneAudit((packet) => told.push(packet)) }
}

const view = new DataView(new ArrayBuffer(32))
view.setUint32(4, 0x1001)
view.setUint32(8, 7)

test('SPI and number, of ESP at the beginning, of AH behind its first word', () => {
  const { told, made } = audit()
  for (const [protocol, start] of [
    [50, 4],
    [17, 4],
    [51, 0],
  ] as const) {
    made.note(carrier(protocol), view, start, start + 12)
    made.refused(carrier(protocol), 'esp.icv', 0)
  }
  const record = {
    reason: 'esp.icv',
    spi: 0x1001,
    sequence: 7,
    source: Uint8Array.of(2),
    destination: Uint8Array.of(1),
    suppressed: 0,
  }
  assert.deepEqual(told, [record, record, record])
})

test('what has no SPI, and what is no refusal, is not told', () => {
  const { told, made } = audit()
  made.note(carrier(4), view, 4, 32)
  made.refused(carrier(4), 'inner.source', 0)
  made.note(carrier(50), view, 4, 11)
  made.refused(carrier(50), 'esp.short', 0)
  made.note(carrier(50), view, 4, 32)
  for (const reason of ['esp.dummy', 'esp.keepalive']) made.refused(carrier(50), reason, 0)
  assert.deepEqual(told, [])
})

test('ten in a row, then one in five seconds, with the number of those between', () => {
  const { told, made } = audit()
  made.note(carrier(50), view, 4, 32)
  for (let i = 0; i < 100; i++) made.refused(carrier(50), 'esp.icv', 1000)
  assert.equal(told.length, 10)
  made.refused(carrier(50), 'esp.icv', 5999)
  assert.equal(told.length, 10)
  made.refused(carrier(50), 'esp.icv', 6000)
  made.refused(carrier(50), 'esp.icv', 6001)
  assert.deepEqual(
    told.slice(10).map(({ suppressed }) => suppressed),
    [91],
  )
  for (let i = 0; i < 100; i++) made.refused(carrier(50), 'esp.icv', 1_000_000)
  assert.equal(told.length, 21)
})
