import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import {
  algorithmIdentifier,
  type KeyType,
  type PrivateKey,
  type SignatureScheme,
  schemeOf,
  schemesOf,
} from '../signature.js'
import { loadPrivateKey, loadPublicKey } from './signature.js'

const pemOf = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }) as string
const made: Readonly<Record<string, PrivateKey>> = {
  rsa: loadPrivateKey(pemOf(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)),
  'P-256': loadPrivateKey(pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)),
  'P-384': loadPrivateKey(pemOf(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey)),
  'P-521': loadPrivateKey(pemOf(generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey)),
  ed25519: loadPrivateKey(pemOf(generateKeyPairSync('ed25519').privateKey)),
  ed448: loadPrivateKey(pemOf(generateKeyPairSync('ed448').privateKey)),
}
const data = Buffer.from('what both ends have said')

for (const [name, key] of Object.entries(made))
  describe(name, () => {
    const raw: SignatureScheme[] =
      key.type === 'ecdsa' ? [{ kind: 'ecdsa', hash: 'sha384', encoding: 'raw' }] : []
    for (const scheme of [...schemesOf(key.type), ...raw])
      test(JSON.stringify(scheme), () => {
        const signature = key.sign(scheme, data)
        const again = loadPublicKey(key.publicKey.spki)
        assert.equal(again.verify(scheme, data, signature), true)
        assert.equal(again.verify(scheme, Buffer.from('what they have not'), signature), false)
        for (const at of [0, signature.length >> 1, signature.length - 1])
          assert.equal(
            again.verify(scheme, data, signature.with(at, signature[at]! ^ 1)),
            false,
            `byte ${at}`,
          )
        assert.equal(again.verify(scheme, data, signature.subarray(1)), false)
        assert.equal(again.verify(scheme, data, new Uint8Array(0)), false, 'CVE-2013-2944: empty')
        assert.equal(
          again.verify(scheme, data, new Uint8Array(signature.length)),
          false,
          'CVE-2013-2944: zero',
        )
        for (const other of Object.values(made))
          if (other !== key)
            assert.equal(
              other.publicKey.verify(scheme, data, signature),
              false,
              'CVE-2020-16088: another key',
            )
        if (scheme.kind === 'ecdsa' && scheme.encoding === 'raw') return
        assert.deepEqual(schemeOf(algorithmIdentifier(scheme, key.type), key.type), scheme)
      })
  })

describe('a signature of PKCS #1 v1.5 is compared whole (CVE-2018-16151, CVE-2018-16152, CVE-2026-50721, CVE-2026-50722)', () => {
  // Exponent 3, where lax verifiers can be fooled: a block whose hash is followed by rubbish is not a signature.
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 })
  const key = loadPrivateKey(pemOf(privateKey))
  test('more bytes, or an identifier with other parameters, is refused', () => {
    const scheme: SignatureScheme = { kind: 'rsa-pkcs1', hash: 'sha256' }
    const signature = key.sign(scheme, data)
    assert.equal(key.publicKey.verify(scheme, data, Buffer.concat([signature, Buffer.from([0])])), false)
    const identifier = algorithmIdentifier(scheme, 'rsa')
    assert.equal(schemeOf(identifier.subarray(0, -2), 'rsa'), undefined)
    assert.equal(schemeOf(Buffer.concat([identifier, Buffer.from([0])]), 'rsa'), undefined)
  })
})

test('what a key is not for, and keys that are not used, are refused with their reason', () => {
  const { ed25519, rsa } = made
  assert.throws(() => ed25519!.sign({ kind: 'rsa-pkcs1', hash: 'sha256' }, data), {
    code: 'CRYPTO_ALGORITHM',
  })
  assert.equal(rsa!.publicKey.verify({ kind: 'eddsa' }, data, rsa!.sign(schemesOf('rsa')[0]!, data)), false)
  const weak = generateKeyPairSync('rsa', { modulusLength: 512 })
  assert.throws(() => loadPrivateKey(pemOf(weak.privateKey)), { code: 'CRYPTO_KEY' })
  const other = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
  assert.throws(() => loadPrivateKey(pemOf(other.privateKey)), { code: 'CRYPTO_KEY' })
  assert.throws(() => loadPublicKey('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'), {
    code: 'CRYPTO_KEY',
  })
  assert.throws(() => loadPublicKey(Uint8Array.of(1, 2, 3)), { code: 'CRYPTO_KEY' })
})

test('identifiers are RFC 7427’s and RFC 8420’s own', () => {
  const hexOf = (scheme: SignatureScheme, type: KeyType): string =>
    Buffer.from(algorithmIdentifier(scheme, type)).toString('hex')
  assert.equal(hexOf({ kind: 'rsa-pkcs1', hash: 'sha256' }, 'rsa'), '300d06092a864886f70d01010b0500')
  assert.equal(hexOf({ kind: 'ecdsa', hash: 'sha512', encoding: 'der' }, 'ecdsa'), '300a06082a8648ce3d040304')
  assert.equal(
    hexOf({ kind: 'rsa-pss', hash: 'sha256' }, 'rsa'),
    '304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120',
  )
  assert.equal(hexOf({ kind: 'eddsa' }, 'ed25519'), '300506032b6570')
})
