/**
 * Signatures, and how IKE names them: by authentication method (RFC 7296 section 3.8, RFC 4754) or by an
 * AlgorithmIdentifier in front of the signature (RFC 7427).
 */
import type { HashName } from './prf.js'

export type SignatureScheme =
  | { readonly kind: 'rsa-pkcs1'; readonly hash: HashName }
  /** The salt is as long as the hash. */
  | { readonly kind: 'rsa-pss'; readonly hash: HashName }
  | { readonly kind: 'ecdsa'; readonly hash: HashName; readonly encoding: 'der' | 'raw' }
  | { readonly kind: 'eddsa' }

export type KeyType = 'rsa' | 'ecdsa' | 'ed25519' | 'ed448'

/** What a peer's signature is verified with. */
export interface PublicKey {
  readonly type: KeyType
  /** Of RSA's modulus or of the curve. */
  readonly bits: number
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** False for a scheme that is not this key's as well. */
  verify(scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array): boolean
}

export interface PrivateKey {
  readonly type: KeyType
  readonly bits: number
  readonly publicKey: PublicKey
  sign(scheme: SignatureScheme, data: Uint8Array): Uint8Array
  /** Lets go of the key. */
  destroy(): void
}

/** Keys that are refused, whoever shows them: CVE-2017-9022, CVE-2017-11185, CVE-2018-17540. */
export const RSA_BITS_MIN = 1024
export const RSA_BITS_MAX = 16_384

const PKCS1_LAST: Readonly<Record<HashName, number>> = { sha1: 5, sha256: 11, sha384: 12, sha512: 13 }
const ECDSA_LAST: Readonly<Record<HashName, number>> = { sha1: 1, sha256: 2, sha384: 3, sha512: 4 }
const HASH_LAST: Readonly<Record<HashName, number>> = { sha1: 0, sha256: 1, sha384: 2, sha512: 3 }
export const HASH_LENGTHS: Readonly<Record<HashName, number>> = {
  sha1: 20,
  sha256: 32,
  sha384: 48,
  sha512: 64,
}

const hexBytes = (text: string): Uint8Array =>
  Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16))
const byte = (value: number): string => value.toString(16).padStart(2, '0')

/** RFC 7427 appendix A; EdDSA: RFC 8420. */
export function algorithmIdentifier(scheme: SignatureScheme, type: KeyType): Uint8Array {
  switch (scheme.kind) {
    case 'rsa-pkcs1':
      return hexBytes(`300d06092a864886f70d0101${byte(PKCS1_LAST[scheme.hash])}0500`)
    case 'rsa-pss': {
      const hash = `300d06096086480165030402${byte(HASH_LAST[scheme.hash])}0500`
      const mask = `301a06092a864886f70d010108${hash}`
      const salt = `0201${byte(HASH_LENGTHS[scheme.hash])}`
      return hexBytes(`304106092a864886f70d01010a3034a00f${hash}a11c${mask}a203${salt}`)
    }
    case 'ecdsa':
      return scheme.hash === 'sha1'
        ? hexBytes(`300906072a8648ce3d04${byte(ECDSA_LAST.sha1)}`)
        : hexBytes(`300a06082a8648ce3d0403${byte(ECDSA_LAST[scheme.hash])}`)
    case 'eddsa':
      return hexBytes(type === 'ed448' ? '300506032b6571' : '300506032b6570')
  }
}

const HASHES: readonly HashName[] = ['sha256', 'sha384', 'sha512', 'sha1']

/** Schemes that a key of this type can be asked for, the best first. SHA-1 is for peers that know nothing else. */
export function schemesOf(type: KeyType): SignatureScheme[] {
  switch (type) {
    case 'rsa':
      return [
        ...HASHES.filter((hash) => hash !== 'sha1').map((hash) => ({ kind: 'rsa-pss', hash }) as const),
        ...HASHES.map((hash) => ({ kind: 'rsa-pkcs1', hash }) as const),
      ]
    case 'ecdsa':
      return HASHES.map((hash) => ({ kind: 'ecdsa', hash, encoding: 'der' }) as const)
    case 'ed25519':
    case 'ed448':
      return [{ kind: 'eddsa' }]
  }
}

/**
 * The scheme that an AlgorithmIdentifier names, compared byte for byte with the ones we would write: nothing is parsed
 * loosely (CVE-2018-16151, CVE-2021-41990). Undefined: none that Warren takes.
 */
export function schemeOf(identifier: Uint8Array, type: KeyType): SignatureScheme | undefined {
  return schemesOf(type).find((scheme) => {
    const ours = algorithmIdentifier(scheme, type)
    return ours.length === identifier.length && ours.every((value, i) => value === identifier[i])
  })
}
