import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  bytesEqual,
  concatBytes,
  fromHex,
  readUint16,
  readUint32,
  toHex,
  writeUint16,
  writeUint32,
} from './bytes.js'

test('numbers are in network order, as DataView has them', () => {
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.nat(3), (value, at) => {
      const bytes = new Uint8Array(8)
      const view = new DataView(bytes.buffer)
      writeUint32(bytes, at, value)
      assert.equal(view.getUint32(at), value)
      assert.equal(readUint32(bytes, at), value)
      writeUint16(bytes, at, value & 0xffff)
      assert.equal(view.getUint16(at), value & 0xffff)
      assert.equal(readUint16(bytes, at), value & 0xffff)
    }),
  )
})

test('hexadecimal there and back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => assert.deepEqual(fromHex(toHex(bytes)), bytes)),
  )
  assert.deepEqual(fromHex('00:0A ff\n7f'), Uint8Array.of(0, 10, 255, 127))
  for (const text of ['0', 'zz', '0x01', '1-2-']) assert.equal(fromHex(text), undefined, text)
})

test('bytes are equal by value, and join in order', () => {
  const a = Uint8Array.of(1, 2)
  assert.ok(bytesEqual(a, a.slice()))
  assert.ok(!bytesEqual(a, Uint8Array.of(1, 3)))
  assert.ok(!bytesEqual(a, Uint8Array.of(1)))
  assert.deepEqual([...concatBytes(a, new Uint8Array(0), Uint8Array.of(3))], [1, 2, 3])
})
