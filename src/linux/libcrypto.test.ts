import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeProvider } from '../crypto/index.js'
import { onHeap, testProvider, toHex } from '../crypto/testing.js'
import { NativeMemory } from './ffi.js'
import { loadLibcrypto } from './libcrypto.js'

const provider = loadLibcrypto()

test('this Node exports libcrypto, and a thread has one provider', () => {
  assert.equal(provider?.name, 'libcrypto')
  assert.equal(loadLibcrypto(), provider)
})

if (provider !== undefined) {
  const memory = new NativeMemory(1 << 20)
  provider.lend(memory)
  let next = 0
  testProvider(provider, onHeap, 'copied through the scratch')
  testProvider(
    provider,
    (bytes) => {
      // Neighbours in one block, as the slots of the data plane are.
      if (next + bytes.length > memory.bytes.length) next = 0
      const place = memory.bytes.subarray(next, next + bytes.length)
      next += bytes.length
      place.set(bytes)
      return place
    },
    'in lent memory',
  )

  test('the whole block as one array, at offsets within', () => {
    const { bytes } = memory
    const key = new Uint8Array(16).fill(1)
    const nonce = new Uint8Array(12).fill(2)
    bytes.fill(7, 1000, 1100)
    const copy = bytes.slice(1000, 1100)
    const aead = provider.aead('ENCR_AES_GCM_12', key)
    aead.seal(bytes, 1000, 1008, 1016, 1080, nonce, 1080)
    nodeProvider.aead('ENCR_AES_GCM_12', key).seal(copy, 0, 8, 16, 80, nonce, 80)
    assert.equal(toHex(bytes.subarray(1000, 1100)), toHex(copy))
    aead.destroy()
  })

  test('a MAC in lent memory leaves the packet as it was', () => {
    const mac = provider.mac('AUTH_AES_XCBC_96', new Uint8Array(16))
    memory.bytes.fill(5, 0, 200)
    mac.compute(memory.bytes, 0, 100, undefined, memory.bytes, 100)
    assert.ok(memory.bytes.subarray(0, 100).every((byte) => byte === 5))
    assert.ok(memory.bytes.subarray(112, 200).every((byte) => byte === 5))
    mac.destroy()
  })

  test('many contexts live side by side and do not share state', () => {
    const contexts = Array.from({ length: 300 }, (_, i) =>
      provider.mac('AUTH_HMAC_SHA2_256_128', new Uint8Array(32).fill(i)),
    )
    const first = contexts.map((context) => icvOf(context))
    const second = contexts.toReversed().map((context) => icvOf(context))
    assert.deepEqual(second.reverse(), first)
    assert.equal(new Set(first).size, 256)
    for (const context of contexts) context.destroy()
  })
}

function icvOf(context: ReturnType<typeof nodeProvider.mac>): string {
  const out = new Uint8Array(16)
  context.compute(Uint8Array.of(1, 2, 3), 0, 3, undefined, out)
  return toHex(out)
}
