import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PacketBlock } from './block.js'
import { fastSum, wasmMemory } from './fast-sum.js'

test('the sum of WebAssembly is the sum of JavaScript, wherever it begins and however long', () => {
  const memory = wasmMemory(2)
  assert.ok(memory !== undefined)
  const sum = fastSum(memory)
  assert.ok(sum !== undefined)
  const bytes = new Uint8Array(memory.buffer)
  const plain = new PacketBlock(bytes)
  const fast = new PacketBlock(bytes, sum)
  fc.assert(
    fc.property(
      fc.nat(300),
      fc.oneof(fc.nat(100), fc.nat(65_535)),
      fc.uint8Array({ minLength: 64, maxLength: 64 }),
      (start, length, pattern) => {
        for (let i = 0; i < length; i++) bytes[start + i] = pattern[i % 64]! ^ (i >> 6)
        // What lies around it must not count.
        bytes[start + length] = 0xa5
        if (start > 0) bytes[start - 1] = 0x5a
        // Both zeros of one's complement are zero.
        assert.equal(fast.sum(start, start + length) % 0xffff, plain.sum(start, start + length) % 0xffff)
      },
    ),
  )
  bytes.fill(0xff)
  for (const length of [0, 1, 31, 32, 33, 1_400, 65_535])
    assert.equal(fast.sum(3, 3 + length), plain.sum(3, 3 + length), `${length} bytes of ones`)
})
