import assert from 'node:assert/strict'
import { test } from 'node:test'
import { constantTimeEqual } from './constant-time.js'
import {
  AEADS,
  CIPHERS,
  encryptionAlgorithm,
  encryptionById,
  ICV_LENGTH_MAX,
  isAead,
  MACS,
  macAlgorithm,
  macById,
  splitKeyMaterial,
} from './names.js'
import { wipe } from './wipe.js'

test('every algorithm is found by its name and by its number', () => {
  for (const algorithm of [...Object.values(AEADS), ...Object.values(CIPHERS)]) {
    assert.equal(encryptionAlgorithm(algorithm.name), algorithm)
    assert.equal(encryptionById(algorithm.id), algorithm)
  }
  for (const algorithm of Object.values(MACS)) {
    assert.equal(macAlgorithm(algorithm.name), algorithm)
    assert.equal(macById(algorithm.id), algorithm)
    assert.ok(algorithm.icvLength <= ICV_LENGTH_MAX)
  }
  assert.equal(encryptionById(0), undefined)
  // AUTH_HMAC_MD5_96 is known to the registry and not offered here.
  assert.equal(macById(1), undefined)
  assert.throws(() => encryptionAlgorithm('ENCR_DES'), { code: 'CRYPTO_ALGORITHM' })
  assert.throws(() => macAlgorithm('AUTH_HMAC_MD5_96'), { code: 'CRYPTO_ALGORITHM' })
  assert.equal(isAead('constructor'), false)
})

test('keying material is parted as the RFCs say', () => {
  const material = Uint8Array.from({ length: 36 }, (_, i) => i)
  const gcm = splitKeyMaterial(AEADS.ENCR_AES_GCM_16, material)
  assert.deepEqual([gcm.key.length, gcm.salt], [32, material.subarray(32)])
  const ccm = splitKeyMaterial(AEADS.ENCR_AES_CCM_8, material.subarray(0, 19))
  assert.deepEqual([ccm.key.length, ccm.salt], [16, material.subarray(16, 19)])
  const cbc = splitKeyMaterial(CIPHERS.ENCR_AES_CBC, material.subarray(0, 24))
  assert.deepEqual([cbc.key.length, cbc.salt.length], [24, 0])
  assert.throws(() => splitKeyMaterial(AEADS.ENCR_AES_GCM_16, material.subarray(0, 32)), {
    code: 'CRYPTO_KEY',
    message: /found 32 bytes, expected 20, 28, 36 \(with 4 of salt\)/,
  })
})

test('equal means every byte, inside the arrays', () => {
  const a = Uint8Array.of(9, 1, 2, 3)
  const b = Uint8Array.of(1, 2, 3, 9)
  assert.ok(constantTimeEqual(a, 1, b, 0, 3))
  assert.ok(constantTimeEqual(a, 1, b, 0, 0))
  assert.equal(constantTimeEqual(a, 1, b, 0, 4), false)
  assert.equal(constantTimeEqual(a, -1, b, 0, 2), false)
  for (let at = 0; at < 3; at++)
    for (let bit = 0; bit < 8; bit++) {
      const c = Uint8Array.from(b)
      c[at]! ^= 1 << bit
      assert.equal(constantTimeEqual(a, 1, c, 0, 3), false)
    }
})

test('wiping leaves zeros and takes what is not there', () => {
  const secret = Uint8Array.of(1, 2, 3)
  wipe(secret, undefined)
  assert.deepEqual(secret, new Uint8Array(3))
})
