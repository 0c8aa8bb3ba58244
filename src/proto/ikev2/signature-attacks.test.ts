/** Proofs that prove nothing, shown to a machine that also carries an honest SA. */
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { algorithmIdentifier, loadPrivateKey, loadPublicKey, type PrivateKey } from '../../crypto/index.js'
import {
  AuthMethod,
  HashAlgorithm,
  IkeExchange,
  type IkePayload,
  joined,
  NotifyType,
} from '../../wire/ike/index.js'
import type { Credentials } from './context.js'
import { notify } from './init.js'
import { RawPeer } from './testing-raw.js'
import { goesOn, refusedBy, type Scene, scene } from './testing-scene.js'

const pem = (key: KeyObject): PrivateKey =>
  loadPrivateKey(key.export({ format: 'pem', type: 'pkcs8' }) as string)
const rsa = pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
const ecdsa = pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
const other = pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
const ed = pem(generateKeyPairSync('ed25519').privateKey)

/** Knows one key, whoever comes. */
const knowing = (key: PrivateKey): Credentials => ({
  own: () => ({ key: ecdsa, certificates: [] }),
  peer: () => key.publicKey,
  authorities: () => new Uint8Array(0),
})

const stageOf = (key: PrivateKey): Scene => scene({ remoteAuth: { kind: 'signature' } }, knowing(key))

/** IKE_AUTH with this proof: refused, and nothing stands. */
function refuses(stage: Scene, method: number, data: (octets: Uint8Array) => Uint8Array, why: RegExp): void {
  const { link, target } = stage
  const raw = new RawPeer(target, { seed: 100 + target.news.length })
  raw.init(link.now, [
    ...raw.opening(),
    notify(NotifyType.signatureHashAlgorithms, Uint8Array.of(0, HashAlgorithm.sha256)),
  ])
  const payloads = raw
    .proof()
    .map(
      (payload): IkePayload =>
        payload.kind === 'AUTH' ? { kind: 'AUTH', method, data: data(raw.octets()) } : payload,
    )
  refusedBy(raw.ask(IkeExchange.ikeAuth, payloads, link.now), NotifyType.authenticationFailed)
  assert.match(target.problems().at(-1)!, why)
  assert.equal(target.established, 1)
  assert.equal(target.paths.size, 1)
  link.run(1)
  assert.equal(target.machine.sessions().length, 1, 'it is forgotten')
}

const named = (identifier: Uint8Array, signature: Uint8Array): Uint8Array =>
  joined(Uint8Array.of(identifier.length), identifier, signature)
const NOT_BY = /not by the key that is known/
const NO_FIT = /does not fit/

test('CVE-2013-2944: an empty signature, and one of zeros, by ECDSA and the others', () => {
  const der = algorithmIdentifier({ kind: 'ecdsa', hash: 'sha256', encoding: 'der' }, 'ecdsa')
  const stage = stageOf(ecdsa)
  for (const length of [0, 1, 64, 65]) {
    refuses(stage, AuthMethod.ecdsa256, () => new Uint8Array(length), NOT_BY)
    refuses(stage, AuthMethod.digitalSignature, () => named(der, new Uint8Array(length)), NOT_BY)
  }
  // r and s of 0, encoded as they should be.
  const zeros = Uint8Array.of(0x30, 6, 2, 1, 0, 2, 1, 0)
  refuses(stage, AuthMethod.digitalSignature, () => named(der, zeros), NOT_BY)
  refuses(stage, AuthMethod.digitalSignature, () => new Uint8Array(0), NO_FIT)
  goesOn(stage)
  const edwards = stageOf(ed)
  const identifier = algorithmIdentifier({ kind: 'eddsa' }, 'ed25519')
  for (const length of [0, 64])
    refuses(edwards, AuthMethod.digitalSignature, () => named(identifier, new Uint8Array(length)), NOT_BY)
  goesOn(edwards)
})

test('CVE-2018-16151, CVE-2018-16152, CVE-2026-50721, CVE-2026-50722: a PKCS #1 v1.5 signature with anything beside it', () => {
  const stage = stageOf(rsa)
  const scheme = { kind: 'rsa-pkcs1', hash: 'sha256' } as const
  const identifier = algorithmIdentifier(scheme, 'rsa')
  const sign = (octets: Uint8Array): Uint8Array => rsa.sign(scheme, octets)
  const zero = Uint8Array.of(0)
  refuses(stage, AuthMethod.digitalSignature, (o) => named(identifier, joined(sign(o), zero)), NOT_BY)
  refuses(stage, AuthMethod.digitalSignature, (o) => named(identifier, joined(zero, sign(o))), NOT_BY)
  refuses(stage, AuthMethod.digitalSignature, (o) => named(joined(identifier, zero), sign(o)), NO_FIT)
  // Parameters left out, or others than NULL.
  refuses(stage, AuthMethod.digitalSignature, (o) => named(identifier.subarray(0, -2), sign(o)), NO_FIT)
  refuses(
    stage,
    AuthMethod.digitalSignature,
    (o) => named(identifier.with(identifier.length - 2, 4), sign(o)),
    NO_FIT,
  )
  refuses(stage, AuthMethod.rsaSignature, (o) => sign(o), NOT_BY)
  goesOn(stage)
})

test('CVE-2021-41990: a salt of PSS that is huge, negative, or not the one of its hash', () => {
  const stage = stageOf(rsa)
  const scheme = { kind: 'rsa-pss', hash: 'sha256' } as const
  const identifier = algorithmIdentifier(scheme, 'rsa')
  const sign = (octets: Uint8Array): Uint8Array => rsa.sign(scheme, octets)
  for (const salt of [0, 0x7f, 0xff])
    refuses(
      stage,
      AuthMethod.digitalSignature,
      (o) => named(identifier.with(identifier.length - 1, salt), sign(o)),
      NO_FIT,
    )
  const huge = joined(
    Uint8Array.of(0x30, 0x44),
    identifier.subarray(2, -3),
    Uint8Array.of(2, 4, 0x7f, 0xff, 0xff, 0xff),
  )
  refuses(stage, AuthMethod.digitalSignature, (o) => named(huge, sign(o)), NO_FIT)
  goesOn(stage)
})

test('CVE-2020-16088: the key of somebody else, by each method; a method that is not the policy’s', () => {
  const ecdsaScheme = { kind: 'ecdsa', hash: 'sha256', encoding: 'der' } as const
  const stage = stageOf(ecdsa)
  const of = (key: PrivateKey) => (octets: Uint8Array) =>
    named(algorithmIdentifier(ecdsaScheme, 'ecdsa'), key.sign(ecdsaScheme, octets))
  refuses(stage, AuthMethod.digitalSignature, of(other), NOT_BY)
  refuses(
    stage,
    AuthMethod.ecdsa256,
    (o) => other.sign({ kind: 'ecdsa', hash: 'sha256', encoding: 'raw' }, o),
    NOT_BY,
  )
  refuses(
    stage,
    AuthMethod.digitalSignature,
    (o) => named(algorithmIdentifier({ kind: 'eddsa' }, 'ed25519'), ed.sign({ kind: 'eddsa' }, o)),
    NO_FIT,
  )
  refuses(stage, AuthMethod.rsaSignature, (o) => rsa.sign({ kind: 'rsa-pkcs1', hash: 'sha1' }, o), NO_FIT)
  refuses(stage, AuthMethod.sharedKey, () => new Uint8Array(32), /by pre-shared key/)
  goesOn(stage)
})

test('CVE-2017-9022, CVE-2017-11185, CVE-2018-17540: RSA keys that harm who uses them are not taken', () => {
  const { n } = createPublicKey({
    key: Buffer.from(rsa.publicKey.spki),
    format: 'der',
    type: 'spki',
  }).export({ format: 'jwk' }) as { n: string }
  const spkiOf = (modulus: string, exponent: Uint8Array): Uint8Array =>
    createPublicKey({
      key: { kty: 'RSA', n: modulus, e: Buffer.from(exponent).toString('base64url') },
      format: 'jwk',
    }).export({ format: 'der', type: 'spki' })
  const even = Buffer.from(n, 'base64url')
  even[even.length - 1]! &= 0xfe
  const hostile: [string, () => Uint8Array][] = [
    ['exponent 1', () => spkiOf(n, Uint8Array.of(1))],
    ['an even exponent', () => spkiOf(n, Uint8Array.of(4))],
    ['an even modulus', () => spkiOf(even.toString('base64url'), Uint8Array.of(1, 0, 1))],
    ['a modulus of 1', () => spkiOf('AQ', Uint8Array.of(1, 0, 1))],
    ['a huge modulus', () => spkiOf(Buffer.alloc(4096, 0xff).toString('base64url'), Uint8Array.of(3))],
  ]
  for (const [what, make] of hostile) assert.throws(() => loadPublicKey(make()), { code: 'CRYPTO_KEY' }, what)
})
