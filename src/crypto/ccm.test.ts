/**
 * RFC 4309 has no test cases, and those of RFC 3610 have nonces of 13 bytes where ESP's have 11. So CCM is written here
 * a second time, from its definition over single blocks, held to RFC 3610's first case, and then compared.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AEADS } from './names.js'
import { nodeProvider } from './node-provider.js'
import { hex, toHex } from './testing.js'

/** RFC 3610 section 2: ciphertext and ICV of `icvLength` bytes. */
function ccm(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  text: Uint8Array,
  icvLength: number,
): Uint8Array {
  const cbc = nodeProvider.cipher('ENCR_AES_CBC', key)
  const encrypt = (block: Uint8Array): Uint8Array => {
    const out = Uint8Array.from(block)
    cbc.encrypt(out, 0, 16, new Uint8Array(16))
    return out
  }
  const lengthBytes = 15 - nonce.length
  const block = (flags: number, counter: number): Uint8Array => {
    const out = new Uint8Array(16)
    out[0] = flags
    out.set(nonce, 1)
    for (let i = 15, rest = counter; i > nonce.length; i--, rest = Math.floor(rest / 256))
      out[i] = rest & 0xff
    return out
  }
  const padded = (...parts: Uint8Array[]): Uint8Array => {
    const length = parts.reduce((sum, part) => sum + part.length, 0)
    const out = new Uint8Array(Math.ceil(length / 16) * 16)
    let at = 0
    for (const part of parts) {
      out.set(part, at)
      at += part.length
    }
    return out
  }
  const flags = (aad.length > 0 ? 64 : 0) + 8 * ((icvLength - 2) / 2) + lengthBytes - 1
  const authenticated = [
    block(flags, text.length),
    aad.length > 0 ? padded(Uint8Array.of(aad.length >>> 8, aad.length & 0xff), aad) : new Uint8Array(0),
    padded(text),
  ]
  let state: Uint8Array = new Uint8Array(16)
  for (const part of authenticated)
    for (let at = 0; at < part.length; at += 16) state = encrypt(state.map((byte, i) => byte ^ part[at + i]!))
  const out = new Uint8Array(text.length + icvLength)
  const stream = (counter: number): Uint8Array => encrypt(block(lengthBytes - 1, counter))
  for (let at = 0; at < text.length; at++) out[at] = text[at]! ^ stream(1 + Math.floor(at / 16))[at % 16]!
  const mask = stream(0)
  for (let i = 0; i < icvLength; i++) out[text.length + i] = state[i]! ^ mask[i]!
  return out
}

test('the definition gives RFC 3610 packet vector #1', () => {
  const sealed = ccm(
    hex('c0c1c2c3c4c5c6c7c8c9cacbcccdcecf'),
    hex('00000003020100a0a1a2a3a4a5'),
    hex('0001020304050607'),
    hex('08090a0b0c0d0e0f101112131415161718191a1b1c1d1e'),
    8,
  )
  assert.equal(toHex(sealed), '588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0')
})

test('ESP gets what the definition says, for every key and ICV length', () => {
  for (const { name, keyLengths, icvLength, nonceLength } of Object.values(AEADS).filter(({ name }) =>
    name.startsWith('ENCR_AES_CCM'),
  ))
    for (const keyLength of keyLengths)
      fc.assert(
        fc.property(
          fc.uint8Array({ minLength: keyLength, maxLength: keyLength }),
          fc.uint8Array({ minLength: nonceLength, maxLength: nonceLength }),
          fc.uint8Array({ maxLength: 20 }),
          fc.uint8Array({ maxLength: 50 }),
          (key, nonce, aad, text) => {
            const bytes = new Uint8Array(aad.length + text.length + icvLength)
            bytes.set(aad)
            bytes.set(text, aad.length)
            const end = aad.length + text.length
            nodeProvider.aead(name, key).seal(bytes, 0, aad.length, aad.length, end, nonce, end)
            assert.equal(toHex(bytes.subarray(aad.length)), toHex(ccm(key, nonce, aad, text, icvLength)))
          },
        ),
        { numRuns: 15 },
      )
})
