/** What the tests of both providers share: published vectors, and the laws that any provider keeps. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AEADS, CIPHERS, MACS } from './names.js'
import { nodeProvider } from './node-provider.js'
import type { CryptoProvider } from './provider.js'
import { AEAD_VECTORS } from './vectors/aead.js'
import { CIPHER_VECTORS } from './vectors/cipher.js'
import { MAC_VECTORS } from './vectors/mac.js'

export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** A copy of `bytes` where the provider of a test works on them: the heap, or lent memory. */
export type Place = (bytes: Uint8Array) => Uint8Array

export const onHeap: Place = (bytes) => Uint8Array.from(bytes)

/** One message in its place, with a byte to spare on either side so that nothing may be written beyond. */
export class Sample {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly icvAt: number
  readonly aadStart = 1
  readonly aadEnd: number

  constructor(place: Place, aad: Uint8Array, text: Uint8Array, icv: Uint8Array) {
    this.aadEnd = this.aadStart + aad.length
    this.start = this.aadEnd + 1
    this.end = this.start + text.length
    this.icvAt = this.end + 1
    const bytes = new Uint8Array(this.icvAt + icv.length + 1).fill(0xee)
    bytes.set(aad, this.aadStart)
    bytes.set(text, this.start)
    bytes.set(icv, this.icvAt)
    this.bytes = place(bytes)
  }

  get text(): string {
    return toHex(this.bytes.subarray(this.start, this.end))
  }

  get icv(): string {
    return toHex(this.bytes.subarray(this.icvAt, this.bytes.length - 1))
  }

  /** The bytes between the parts are as they were. */
  checkGaps(): void {
    for (const at of [0, this.aadEnd, this.end, this.bytes.length - 1]) assert.equal(this.bytes[at], 0xee)
  }

  seal(context: ReturnType<CryptoProvider['aead']>, nonce: Uint8Array): void {
    context.seal(this.bytes, this.aadStart, this.aadEnd, this.start, this.end, nonce, this.icvAt)
  }

  open(context: ReturnType<CryptoProvider['aead']>, nonce: Uint8Array): boolean {
    return context.open(this.bytes, this.aadStart, this.aadEnd, this.start, this.end, nonce, this.icvAt)
  }
}

/** Published vectors and laws, as tests of `provider` over bytes in `place`. */
export function testProvider(provider: CryptoProvider, place: Place, where: string): void {
  const named = `${provider.name}, ${where}`

  test(`${named}: published AEAD vectors`, () => {
    for (const v of AEAD_VECTORS) {
      const context = provider.aead(v.algorithm, hex(v.key))
      const nonce = hex(v.nonce)
      const sample = new Sample(place, hex(v.aad), hex(v.plaintext), new Uint8Array(v.icv.length / 2))
      sample.seal(context, nonce)
      assert.equal(sample.text, v.ciphertext, v.source)
      assert.equal(sample.icv, v.icv, v.source)
      assert.ok(sample.open(context, nonce), v.source)
      assert.equal(sample.text, v.plaintext, v.source)
      sample.checkGaps()
      context.destroy()
    }
  })

  test(`${named}: the shorter ICVs of GCM are the first bytes of the long one`, () => {
    for (const v of AEAD_VECTORS) {
      if (v.algorithm !== 'ENCR_AES_GCM_16') continue
      for (const [algorithm, length] of [
        ['ENCR_AES_GCM_12', 12],
        ['ENCR_AES_GCM_8', 8],
      ] as const) {
        const context = provider.aead(algorithm, hex(v.key))
        const sample = new Sample(place, hex(v.aad), hex(v.plaintext), new Uint8Array(length))
        sample.seal(context, hex(v.nonce))
        assert.equal(sample.text, v.ciphertext)
        assert.equal(sample.icv, v.icv.slice(0, 2 * length))
        assert.ok(sample.open(context, hex(v.nonce)))
        context.destroy()
      }
    }
  })

  test(`${named}: published cipher vectors`, () => {
    for (const v of CIPHER_VECTORS) {
      const context = provider.cipher(v.algorithm, hex(v.key))
      const sample = new Sample(place, new Uint8Array(0), hex(v.plaintext), new Uint8Array(0))
      context.encrypt(sample.bytes, sample.start, sample.end, hex(v.iv))
      assert.equal(sample.text, v.ciphertext, v.source)
      context.decrypt(sample.bytes, sample.start, sample.end, hex(v.iv))
      assert.equal(sample.text, v.plaintext, v.source)
      sample.checkGaps()
      context.destroy()
    }
  })

  test(`${named}: published MAC vectors, whole and with their end as the suffix`, () => {
    for (const v of MAC_VECTORS) {
      const context = provider.mac(v.algorithm, hex(v.key))
      const message = hex(v.message)
      for (const cut of [0, 1, 4, 16, 64]) {
        if (cut > message.length) continue
        const text = message.subarray(0, message.length - cut)
        const suffix = cut === 0 ? undefined : message.subarray(message.length - cut)
        const sample = new Sample(place, new Uint8Array(0), text, new Uint8Array(v.icv.length / 2))
        context.compute(sample.bytes, sample.start, sample.end, suffix, sample.bytes, sample.icvAt)
        assert.equal(sample.icv, v.icv, `${v.source}, suffix of ${cut}`)
        assert.ok(context.verify(sample.bytes, sample.start, sample.end, suffix, sample.icvAt))
        sample.checkGaps()
      }
      context.destroy()
    }
  })

  for (const { name, keyLengths, nonceLength, icvLength } of Object.values(AEADS))
    test(`${named}: ${name} agrees with node:crypto, opens what it sealed and nothing with a flipped bit`, () => {
      fc.assert(
        fc.property(
          fc.constantFrom(...keyLengths).chain((length) => bytesOf(length)),
          bytesOf(nonceLength),
          fc.uint8Array({ maxLength: 40 }),
          name === 'ENCR_NULL_AUTH_AES_GMAC'
            ? fc.constant(new Uint8Array(0))
            : fc.uint8Array({ maxLength: 100 }),
          fc.nat(),
          (key, nonce, aad, text, flip) => {
            const context = provider.aead(name, key)
            const other = nodeProvider.aead(name, key)
            const sample = new Sample(place, aad, text, new Uint8Array(icvLength))
            const peer = new Sample(onHeap, aad, text, new Uint8Array(icvLength))
            sample.seal(context, nonce)
            peer.seal(other, nonce)
            assert.equal(toHex(sample.bytes), toHex(peer.bytes))

            // Every byte that an ICV covers, and the ICV itself; never a byte of the gaps.
            const covered = [...range(1, sample.aadEnd), ...range(sample.start, sample.end)]
            covered.push(...range(sample.icvAt, sample.icvAt + icvLength))
            const at = covered[flip % covered.length]!
            const bad = new Sample(place, aad, text, new Uint8Array(icvLength))
            bad.bytes.set(sample.bytes)
            bad.bytes[at]! ^= 1 << (flip % 8)
            assert.equal(bad.open(context, nonce), false)
            // A wrong packet leaves nothing behind that the next would suffer from.
            const otherNonce = Uint8Array.from(nonce)
            otherNonce[flip % nonceLength]! ^= 1 << (flip % 8)
            bad.bytes.set(sample.bytes)
            assert.equal(bad.open(context, otherNonce), false)

            assert.ok(sample.open(context, nonce))
            assert.equal(sample.text, toHex(text))
            sample.checkGaps()
            context.destroy()
            other.destroy()
          },
        ),
        { numRuns: 60 },
      )
    })

  for (const { name, keyLengths, nonceLength, blockLength } of Object.values(CIPHERS))
    test(`${named}: ${name} agrees with node:crypto and decrypts what it encrypted`, () => {
      fc.assert(
        fc.property(
          fc.constantFrom(...keyLengths).chain((length) => bytesOf(length)),
          bytesOf(nonceLength),
          fc.nat({ max: 9 }).chain((blocks) => bytesOf(blocks * blockLength)),
          (key, iv, text) => {
            const context = provider.cipher(name, key)
            const other = nodeProvider.cipher(name, key)
            const sample = new Sample(place, new Uint8Array(0), text, new Uint8Array(0))
            const peer = new Sample(onHeap, new Uint8Array(0), text, new Uint8Array(0))
            // Twice: what the first left in the context must not show in the second.
            for (let i = 0; i < 2; i++) {
              context.encrypt(sample.bytes, sample.start, sample.end, iv)
              other.encrypt(peer.bytes, peer.start, peer.end, iv)
              assert.equal(toHex(sample.bytes), toHex(peer.bytes))
            }
            for (let i = 0; i < 2; i++) context.decrypt(sample.bytes, sample.start, sample.end, iv)
            assert.equal(sample.text, toHex(text))
            sample.checkGaps()
            context.destroy()
            other.destroy()
          },
        ),
        { numRuns: 60 },
      )
    })

  for (const { name, keyLengths, icvLength } of Object.values(MACS))
    test(`${named}: ${name} agrees with node:crypto, and verifies nothing with a flipped bit`, () => {
      fc.assert(
        fc.property(
          bytesOf(keyLengths[0]!),
          fc.uint8Array({ maxLength: 100 }),
          fc.option(fc.uint8Array({ maxLength: 20 }), { nil: undefined }),
          fc.nat(),
          (key, text, suffix, flip) => {
            const context = provider.mac(name, key)
            const other = nodeProvider.mac(name, key)
            const sample = new Sample(place, new Uint8Array(0), text, new Uint8Array(icvLength))
            context.compute(sample.bytes, sample.start, sample.end, suffix, sample.bytes, sample.icvAt)
            const icv = new Uint8Array(icvLength)
            other.compute(text, 0, text.length, suffix, icv)
            assert.equal(sample.icv, toHex(icv))
            sample.checkGaps()
            assert.ok(context.verify(sample.bytes, sample.start, sample.end, suffix, sample.icvAt))
            const covered = [
              ...range(sample.start, sample.end),
              ...range(sample.icvAt, sample.icvAt + icvLength),
            ]
            sample.bytes[covered[flip % covered.length]!]! ^= 1 << (flip % 8)
            assert.equal(context.verify(sample.bytes, sample.start, sample.end, suffix, sample.icvAt), false)
            context.destroy()
            other.destroy()
          },
        ),
        { numRuns: 60 },
      )
    })

  test(`${named}: any flipped bit of a packet is found`, () => {
    const v = AEAD_VECTORS[11]!
    const context = provider.aead(v.algorithm, hex(v.key))
    const good = new Sample(place, hex(v.aad), hex(v.ciphertext), hex(v.icv))
    const work = new Sample(place, hex(v.aad), hex(v.ciphertext), hex(v.icv))
    const gaps = new Set([0, good.aadEnd, good.end, good.bytes.length - 1])
    for (let bit = 0; bit < 8 * good.bytes.length; bit++) {
      if (gaps.has(bit >> 3)) continue
      work.bytes.set(good.bytes)
      work.bytes[bit >> 3]! ^= 1 << (bit & 7)
      assert.equal(work.open(context, hex(v.nonce)), false, `bit ${bit}`)
    }
    assert.ok(good.open(context, hex(v.nonce)))
    context.destroy()
  })

  test(`${named}: whole packets of IP's longest`, () => {
    const text = new Uint8Array(65_536).map((_, i) => i * 7)
    const aad = new Uint8Array(65_535).fill(3)
    const context = provider.aead('ENCR_AES_GCM_16', new Uint8Array(32))
    const nonce = new Uint8Array(12)
    const sample = new Sample(place, aad, text, new Uint8Array(16))
    sample.seal(context, nonce)
    assert.notEqual(sample.text.slice(-64), toHex(text).slice(-64))
    assert.ok(sample.open(context, nonce))
    assert.equal(sample.text, toHex(text))
    context.destroy()
    const mac = provider.mac('AUTH_AES_CMAC_96', new Uint8Array(16))
    const icv = new Uint8Array(12)
    const expected = new Uint8Array(12)
    mac.compute(sample.bytes, sample.start, sample.end, undefined, icv)
    nodeProvider
      .mac('AUTH_AES_CMAC_96', new Uint8Array(16))
      .compute(text, 0, text.length, undefined, expected)
    assert.deepEqual(icv, expected)
    mac.destroy()
  })

  test(`${named}: arguments that cannot be right are refused before anything is touched`, () => {
    const bytes = place(new Uint8Array(64))
    const before = toHex(bytes)
    const nonce = new Uint8Array(12)
    const aead = provider.aead('ENCR_AES_GCM_16', new Uint8Array(16))
    const refused = (code: string, call: () => unknown): void => {
      assert.throws(call, { code })
      assert.equal(toHex(bytes), before)
    }
    refused('CRYPTO_NONCE', () => aead.seal(bytes, 0, 8, 8, 16, new Uint8Array(11), 16))
    refused('CRYPTO_RANGE', () => aead.seal(bytes, 0, 8, 8, 65, nonce, 16))
    refused('CRYPTO_RANGE', () => aead.seal(bytes, 0, 8, 16, 8, nonce, 16))
    refused('CRYPTO_RANGE', () => aead.seal(bytes, -1, 8, 8, 16, nonce, 16))
    refused('CRYPTO_RANGE', () => aead.seal(bytes, 0, Number.NaN, 8, 16, nonce, 16))
    refused('CRYPTO_RANGE', () => aead.seal(bytes, 0.5, 8, 8, 16, nonce, 16))
    refused('CRYPTO_RANGE', () => aead.seal(bytes, 0, 8, 8, 16, nonce, 49))
    refused('CRYPTO_RANGE', () => aead.seal(bytes, 0, 8, 8, 24, nonce, 23))
    refused('CRYPTO_RANGE', () => aead.open(bytes, 0, 8, 24, 40, nonce, 9))
    const gmac = provider.aead('ENCR_NULL_AUTH_AES_GMAC', new Uint8Array(16))
    refused('CRYPTO_RANGE', () => gmac.seal(bytes, 0, 8, 8, 16, nonce, 16))
    const cbc = provider.cipher('ENCR_AES_CBC', new Uint8Array(16))
    refused('CRYPTO_BLOCK', () => cbc.encrypt(bytes, 0, 17, new Uint8Array(16)))
    refused('CRYPTO_NONCE', () => cbc.decrypt(bytes, 0, 16, new Uint8Array(8)))
    refused('CRYPTO_RANGE', () => cbc.decrypt(bytes, 60, 76, new Uint8Array(16)))
    const mac = provider.mac('AUTH_HMAC_SHA2_256_128', new Uint8Array(32))
    refused('CRYPTO_RANGE', () => mac.compute(bytes, 0, 65, undefined, new Uint8Array(16)))
    refused('CRYPTO_RANGE', () => mac.compute(bytes, 0, 64, undefined, new Uint8Array(15)))
    refused('CRYPTO_RANGE', () => mac.compute(bytes, 0, 64, new Uint8Array(65), new Uint8Array(16)))
    refused('CRYPTO_RANGE', () => mac.verify(bytes, 0, 32, undefined, 49))
    refused('CRYPTO_KEY', () => provider.aead('ENCR_AES_GCM_16', new Uint8Array(20)))
    refused('CRYPTO_KEY', () => provider.cipher('ENCR_3DES', new Uint8Array(16)))
    refused('CRYPTO_KEY', () => provider.mac('AUTH_HMAC_SHA1_96', new Uint8Array(19)))
    refused('CRYPTO_ALGORITHM', () => provider.aead('toString' as 'ENCR_AES_GCM_16', new Uint8Array(16)))
    refused('CRYPTO_ALGORITHM', () =>
      provider.cipher('ENCR_AES_GCM_16' as 'ENCR_AES_CBC', new Uint8Array(16)),
    )
    refused('CRYPTO_ALGORITHM', () => provider.mac('AUTH_NONE' as 'AUTH_HMAC_SHA1_96', new Uint8Array(0)))
    for (const context of [aead, gmac, cbc, mac]) context.destroy()
    for (const context of [aead, gmac, cbc, mac]) context.destroy()
    refused('CRYPTO_DESTROYED', () => aead.seal(bytes, 0, 8, 8, 16, nonce, 16))
    refused('CRYPTO_DESTROYED', () => aead.open(bytes, 0, 8, 8, 16, nonce, 16))
    refused('CRYPTO_DESTROYED', () => cbc.encrypt(bytes, 0, 16, new Uint8Array(16)))
    refused('CRYPTO_DESTROYED', () => mac.verify(bytes, 0, 16, undefined, 16))
  })

  test(`${named}: a context keeps its own copy of the key`, () => {
    const key = new Uint8Array(32).fill(5)
    const aead = provider.aead('ENCR_CHACHA20_POLY1305', key)
    const cmacKey = new Uint8Array(16).fill(5)
    const cmac = provider.mac('AUTH_AES_CMAC_96', cmacKey)
    const first = new Sample(place, hex('01'), hex('0203'), new Uint8Array(16))
    const firstIcv = new Uint8Array(12)
    first.seal(aead, new Uint8Array(12))
    cmac.compute(first.bytes, 0, 1, undefined, firstIcv)
    key.fill(0)
    cmacKey.fill(0)
    const second = new Sample(place, hex('01'), hex('0203'), new Uint8Array(16))
    const secondIcv = new Uint8Array(12)
    second.seal(aead, new Uint8Array(12))
    cmac.compute(second.bytes, 0, 1, undefined, secondIcv)
    assert.deepEqual(second.bytes, first.bytes)
    assert.deepEqual(secondIcv, firstIcv)
    aead.destroy()
    cmac.destroy()
  })
}

function bytesOf(length: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength: length })
}

function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i)
}
