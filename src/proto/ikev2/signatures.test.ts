import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import { loadPrivateKey, type PrivateKey } from '../../crypto/index.js'
import type { Credentials } from './context.js'
import { formatIdentity } from './identity.js'
import { pair, spisOf } from './testing.js'

const pem = (key: KeyObject): PrivateKey =>
  loadPrivateKey(key.export({ format: 'pem', type: 'pkcs8' }) as string)
const KEYS = {
  rsa: () => pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
  'P-256': () => pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
  'P-521': () => pem(generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey),
  ed25519: () => pem(generateKeyPairSync('ed25519').privateKey),
  ed448: () => pem(generateKeyPairSync('ed448').privateKey),
}

/** Raw public keys by identity, as iked's pubkeys folders hold them. */
const knowing = (own: PrivateKey, known: Record<string, PrivateKey>): Credentials => ({
  own: () => ({ key: own, certificates: [] }),
  peer: (id) =>
    known[formatIdentity(id)]?.publicKey ?? {
      refused: `no public key of ${formatIdentity(id)}`,
      mend: 'put it into pubkeys',
    },
  authorities: () => new Uint8Array(0),
})

const sign = { localAuth: { kind: 'signature' }, remoteAuth: { kind: 'signature' } } as const

describe('authentication by signature', () => {
  for (const [one, make] of Object.entries(KEYS))
    test(`${one} against RSA`, () => {
      const [a, b] = [make(), KEYS.rsa()]
      const link = pair(sign, sign, 1, [
        knowing(a, { 'FQDN/host2.example': b }),
        knowing(b, { 'FQDN/host1.example': a }),
      ])
      link.start()
      link.run(2)
      const [left, right] = link.sides
      assert.deepEqual(
        [left.established, right.established],
        [1, 1],
        `${left.problems()} ${right.problems()}`,
      )
      assert.deepEqual(spisOf(left), spisOf(right))
    })

  test('CVE-2020-16088: a key that is known for somebody else is not believed', () => {
    const [a, b, other] = [KEYS['P-256'](), KEYS['P-256'](), KEYS['P-256']()]
    const link = pair(sign, sign, 1, [
      knowing(a, { 'FQDN/host2.example': other }),
      knowing(b, { 'FQDN/host1.example': a }),
    ])
    link.start()
    link.run(1)
    assert.deepEqual(
      link.sides.map(({ established }) => established),
      [0, 0],
    )
    assert.match(link.sides[0].problems().join(), /the signature is not by the key that is known/)
  })

  test('nobody’s key, and psk against a signature: the reason is named', () => {
    const [a, b] = [KEYS['P-256'](), KEYS['P-256']()]
    const unknown = pair(sign, sign, 1, [knowing(a, {}), knowing(b, { 'FQDN/host1.example': a })])
    unknown.start()
    unknown.run(1)
    assert.match(unknown.sides[0].problems().join(), /no public key of FQDN\/host2.example/)
    const mixed = pair(sign, {}, 1, [knowing(a, { 'FQDN/host2.example': b })])
    mixed.start()
    mixed.run(1)
    assert.match(mixed.sides[0].problems().join(), /by pre-shared key, the policy wants a signature/)
  })
})
