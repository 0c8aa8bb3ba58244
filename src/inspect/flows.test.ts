import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concatBytes, writeUint16, writeUint32 } from '../base/index.js'
import { FLOW_LIMIT, FlowTable } from './flows.js'

/** Two addresses and two ports, one behind the other. */
function key(source: number, destination: number, sourcePort: number, destinationPort: number): Uint8Array {
  const bytes = new Uint8Array(12)
  writeUint32(bytes, 0, source)
  writeUint32(bytes, 4, destination)
  writeUint16(bytes, 8, sourcePort)
  writeUint16(bytes, 10, destinationPort)
  return bytes
}
const relate = (
  table: FlowTable,
  bytes: Uint8Array,
  sequence: number,
  acknowledgment: number,
  syn = false,
): number[] => {
  table.relate(bytes, 0, 4, 4, 8, sequence, acknowledgment, syn)
  return [table.sequenceBase, table.acknowledgmentBase]
}

test('the first segment is absolute; both directions share what it set', () => {
  const table = new FlowTable()
  assert.deepEqual(relate(table, key(1, 2, 4000, 80), 100, 501), [0, 0])
  assert.deepEqual(relate(table, key(1, 2, 4000, 80), 110, 501), [100, 500])
  assert.deepEqual(relate(table, key(2, 1, 80, 4000), 501, 110), [500, 100])
  assert.deepEqual(relate(table, key(2, 1, 80, 4001), 501, 110), [0, 0])
  assert.deepEqual(relate(table, key(1, 2, 4000, 80), 7, 9, true), [0, 0])
  assert.deepEqual(relate(table, key(1, 2, 4000, 80), 8, 9), [7, 8])
})

test('equal ports: the lower address is one side, the higher the other', () => {
  const table = new FlowTable()
  relate(table, key(5, 3, 9, 9), 100, 201)
  assert.deepEqual(relate(table, key(3, 5, 9, 9), 201, 100), [200, 100])
})

test('IPv6 has keys of its own', () => {
  const table = new FlowTable()
  const bytes = concatBytes(new Uint8Array(16).fill(1), new Uint8Array(16).fill(2), Uint8Array.of(0, 1, 0, 2))
  table.relate(bytes, 0, 16, 16, 32, 10, 21, false)
  table.relate(bytes, 0, 16, 16, 32, 11, 21, false)
  assert.deepEqual([table.sequenceBase, table.acknowledgmentBase], [10, 20])
})

test('it grows, and at its limit it begins anew: memory is bounded', () => {
  const table = new FlowTable()
  for (let i = 0; i < FLOW_LIMIT; i++) relate(table, key(i, 7, 4000, 80), i, 1)
  assert.deepEqual(relate(table, key(12_345, 7, 4000, 80), 5, 1), [12_345, 0])
  relate(table, key(FLOW_LIMIT, 7, 4000, 80), 1, 1)
  assert.deepEqual(relate(table, key(12_345, 7, 4000, 80), 5, 1), [0, 0])
})
