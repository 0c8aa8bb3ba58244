import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addToSum, foldSum, internetChecksum, pseudoHeaderSum } from './checksum.js'

/** RFC 1071 word by word, with the carry added at once. */
function naive(bytes: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) {
    sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0)
    if (sum > 0xffff) sum -= 0xffff
  }
  return sum
}

const anyBytes = fc.uint8Array({ maxLength: 70 })

test("RFC 1071 section 3's example: 00 01 f2 03 f4 f5 f6 f7 sum to ddf2", () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)
  assert.equal(foldSum(addToSum(0, bytes, 0, 8)), 0xddf2)
  assert.equal(internetChecksum(bytes, 0, 8), 0x220d)
})

test('an odd last byte is padded on the right', () => {
  assert.equal(foldSum(addToSum(0, Uint8Array.of(0x12, 0x34, 0x56), 0, 3)), 0x1234 + 0x5600)
})

test('the same as word by word, at any length and offset', () => {
  fc.assert(
    fc.property(anyBytes, fc.nat(9), (bytes, start) => {
      const from = Math.min(start, bytes.length)
      assert.equal(internetChecksum(bytes, from, bytes.length), ~naive(bytes.subarray(from)) & 0xffff)
    }),
  )
})

test('parts at even offsets may be summed in any order (RFC 1071 section 2)', () => {
  fc.assert(
    fc.property(anyBytes, fc.nat(35), (bytes, half) => {
      const cut = Math.min(2 * half, bytes.length)
      const apart = addToSum(addToSum(0, bytes, cut, bytes.length), bytes, 0, cut)
      assert.equal(foldSum(apart), foldSum(addToSum(0, bytes, 0, bytes.length)))
    }),
  )
})

test('with its checksum in place, a block sums to zero', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 70 }), fc.nat(0xffffff), (bytes, pseudo) => {
      const block = bytes.with(2, 0).with(3, 0)
      const sum = internetChecksum(block, 0, block.length, pseudo)
      assert.equal(internetChecksum(block.with(2, sum >> 8).with(3, sum & 0xff), 0, block.length, pseudo), 0)
    }),
  )
})

test('a whole 64 KiB of ones does not overflow', () => {
  assert.equal(internetChecksum(new Uint8Array(65536).fill(0xff), 0, 65536), 0)
})

test('the pseudo-header: addresses, protocol, and a length above 16 bits in two words', () => {
  const addresses = Uint8Array.of(192, 0, 2, 1, 192, 0, 2, 2)
  assert.equal(pseudoHeaderSum(addresses, 0, 4, 17, 11), 0xc000 + 0x0201 + 0xc000 + 0x0202 + 17 + 11)
  assert.equal(pseudoHeaderSum(new Uint8Array(32), 0, 16, 6, 0x12345), 6 + 1 + 0x2345)
})
