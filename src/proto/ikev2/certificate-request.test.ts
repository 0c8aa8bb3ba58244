/** A responder asks for certificates, however short the request is (RFC 7296 section 3.7): many show none unless asked. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { loadPrivateKey } from '../../crypto/index.js'
import { CertEncoding } from '../../wire/ike/index.js'
import type { Credentials } from './context.js'
import { pair } from './testing.js'

const key = loadPrivateKey(
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    format: 'pem',
    type: 'pkcs8',
  }) as string,
)
const sign = { localAuth: { kind: 'signature' }, remoteAuth: { kind: 'signature' } } as const

/** Both have one key; `asked`: what the other side was heard to ask for, in bytes of X.509 requests. */
const trusting = (authorities: Uint8Array, asked: number[] = []): Credentials => ({
  own: (_id, requests = []) => {
    for (const { encoding, data } of requests) if (encoding === CertEncoding.x509) asked.push(data.length)
    return { key, certificates: [] }
  },
  peer: () => key.publicKey,
  authorities: () => authorities,
})

describe('a responder asks for certificates', () => {
  for (const [count, expected] of [
    [1, 1],
    [2, 2],
    [50, 20],
  ] as const)
    test(`of ${count} authorities it names ${expected}, and proves the address first where the answer is longer`, () => {
      const asked: number[] = []
      const link = pair(sign, sign, 1, [
        trusting(new Uint8Array(20 * count).fill(7)),
        trusting(new Uint8Array(0), asked),
      ])
      link.start()
      link.run(2)
      const [left, right] = link.sides
      assert.deepEqual(
        [left.established, right.established],
        [1, 1],
        `${left.problems()} ${right.problems()}`,
      )
      assert.deepEqual(asked, [20 * expected])
    })
})
