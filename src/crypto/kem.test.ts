import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { SeededRandom } from '../base/index.js'
import { type Kem, mlKem512, mlKem768, mlKem1024 } from './kem.js'
import { sntrup761 } from './sntrup761.js'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

test('ML-KEM-768: the first key of NIST’s ACVP file ML-KEM-keyGen-FIPS203 (public domain)', () => {
  const seed =
    '97c4789340df47850a84889820b9b4307df3e43a7de3f5857340c791934f1e99' +
    'd7f7fe2aa083a10a9c267d3163d0fb888c9d2d7614482095ef1817e1e9e4ac88'
  const random = new SeededRandom(1)
  random.fill = <T extends Uint8Array>(bytes: T): T => {
    bytes.set(Buffer.from(seed, 'hex'))
    return bytes
  }
  const { publicKey, secretKey } = mlKem768.generate(random)
  assert.match(hex(publicKey), /^c4308cb02b4c7a380d1b43cc2b343b01.*9a35349164df25688c015d$/)
  // SHA3-256 of the public key, as the vector's own secret key has it.
  assert.equal(
    createHash('sha3-256').update(publicKey).digest('hex'),
    '345f067d4a9b077fbf18f7561cc71d409d21a3038f1eadd46f165e47b736ed73',
  )
  assert.match(hex(secretKey), /^f9c23e5887010816840bc7be9715b0c3/)
})

/**
 * Made with sntrup761.c of OpenIKED (public domain, from SUPERCOP), which drew its randomness from the generator below:
 * SHA-256 of public key, secret key and ciphertext, then the secret, and the one of a changed ciphertext.
 */
test('sntrup761 as the reference: key pair, ciphertext, secret, and the secret of a ciphertext that is none', () => {
  const random = new SeededRandom(1)
  let state = 761
  random.fill = <T extends Uint8Array>(bytes: T): T => {
    for (let i = 0; i < bytes.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      bytes[i] = state >>> 24
    }
    return bytes
  }
  const { publicKey, secretKey } = sntrup761.generate(random)
  assert.equal(digest(publicKey), '30f998898cf653e8592e6cdceb6e98ae5d5fbeae870a9eea9ede8a961302358b')
  assert.equal(digest(secretKey), 'e5198f1328c07cadd2a891a175bb60d18a84a56f0069485f5ad13716bed80562')
  const { ciphertext, secret } = sntrup761.encapsulate(publicKey, random)!
  assert.equal(digest(ciphertext), '1302f6971cfa034547deeffaa71891902d0f282d28cec6ba3ee28016fd20fef0')
  assert.equal(hex(secret), '2db511332cc2e79cf16c783ad99a76785222c0e4bf882d0725c966db9a7015f8')
  assert.deepEqual(sntrup761.decapsulate(ciphertext, secretKey), secret)
  ciphertext[5]! ^= 1
  assert.equal(
    hex(sntrup761.decapsulate(ciphertext, secretKey)!),
    '9f98b3329e53c750571d06dbb446bdc66892b1b12f0af280acaccae55d131544',
  )
})

const KEMS: Readonly<Record<string, Kem>> = { mlKem512, mlKem768, mlKem1024, sntrup761 }
for (const [name, kem] of Object.entries(KEMS)) {
  test(`${name}: both ends agree; wrong lengths are refused; a changed ciphertext gives another secret`, () => {
    const random = new SeededRandom(7)
    const { publicKey, secretKey } = kem.generate(random)
    const made = kem.encapsulate(publicKey, random)!
    assert.deepEqual(kem.decapsulate(made.ciphertext, secretKey), made.secret)
    assert.equal(kem.encapsulate(publicKey.subarray(1), random), undefined)
    assert.equal(kem.decapsulate(made.ciphertext.subarray(1), secretKey), undefined)
    for (const at of [0, made.ciphertext.length - 1]) {
      const changed = Uint8Array.from(made.ciphertext)
      changed[at]! ^= 1
      const other = kem.decapsulate(changed, secretKey)!
      assert.equal(other.length, 32)
      assert.notDeepEqual(other, made.secret)
      // The same each time: it tells nothing.
      assert.deepEqual(kem.decapsulate(changed, secretKey), other)
    }
    // Hostile public keys and ciphertexts of the right length end in a secret or in nothing.
    for (const fill of [0, 0xff]) {
      kem.encapsulate(new Uint8Array(publicKey.length).fill(fill), random)
      kem.decapsulate(new Uint8Array(made.ciphertext.length).fill(fill), secretKey)
    }
  })
}

test('ML-KEM: a public key with coefficients out of range is refused (FIPS 203 section 7.2)', () => {
  assert.equal(mlKem768.encapsulate(new Uint8Array(1184).fill(0xff), new SeededRandom(1)), undefined)
})
