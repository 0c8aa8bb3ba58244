/** New key pairs. They come from OpenSSL's own generator: a key is no part of what a run of the lab has to repeat. */
import { generateKeyPair } from 'node:crypto'

export const KEY_KINDS = [
  'rsa2048',
  'rsa3072',
  'rsa4096',
  'ecdsa256',
  'ecdsa384',
  'ecdsa521',
  'ed25519',
] as const
export type KeyKind = (typeof KEY_KINDS)[number]

/** PEM, as OpenSSL writes them: PKCS #8 without a pass phrase, and SubjectPublicKeyInfo. */
export interface KeyPairPem {
  readonly privateKey: string
  readonly publicKey: string
}

const CURVES = { ecdsa256: 'prime256v1', ecdsa384: 'secp384r1', ecdsa521: 'secp521r1' } as const

export function generateKey(kind: KeyKind): Promise<KeyPairPem> {
  const encodings = {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  } as const
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, publicKey: string, privateKey: string): void =>
      error === null ? resolve({ privateKey, publicKey }) : reject(error)
    switch (kind) {
      case 'rsa2048':
      case 'rsa3072':
      case 'rsa4096':
        return generateKeyPair('rsa', { modulusLength: Number(kind.slice(3)), ...encodings }, done)
      case 'ecdsa256':
      case 'ecdsa384':
      case 'ecdsa521':
        return generateKeyPair('ec', { namedCurve: CURVES[kind], ...encodings }, done)
      case 'ed25519':
        return generateKeyPair('ed25519', encodings, done)
    }
  })
}
