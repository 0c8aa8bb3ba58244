/** Keys and signatures through `node:crypto`. */
import { constants, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { WarrenError } from '../../base/index.js'
import {
  HASH_LENGTHS,
  type KeyType,
  type PrivateKey,
  type PublicKey,
  RSA_BITS_MAX,
  RSA_BITS_MIN,
  type SignatureScheme,
} from '../signature.js'

const CURVE_BITS: Readonly<Record<string, number>> = { prime256v1: 256, secp384r1: 384, secp521r1: 521 }

/** Type and size. Throws `CRYPTO_KEY` for a key that Warren does not use. */
function kindOf(key: KeyObject): { type: KeyType; bits: number } {
  const refuse = (found: string, expected: string): never => {
    throw new WarrenError('CRYPTO_KEY', 'a key that is not used', { found, expected })
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = key
  switch (type) {
    case 'rsa': {
      const { modulusLength = 0, publicExponent = 0n } = details
      if (modulusLength < RSA_BITS_MIN || modulusLength > RSA_BITS_MAX)
        refuse(`RSA of ${modulusLength} bits`, `${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits`)
      if (publicExponent < 3n || publicExponent % 2n === 0n || publicExponent > 0xffff_ffffn)
        refuse(`an RSA exponent of ${publicExponent}`, 'an odd one of 3 to 2^32')
      if (key.type === 'public') {
        const modulus = Buffer.from(key.export({ format: 'jwk' }).n ?? '', 'base64url')
        if (modulus[modulus.length - 1]! % 2 === 0) refuse('an even RSA modulus', 'a product of two primes')
      }
      return { type: 'rsa', bits: modulusLength }
    }
    case 'ec': {
      const bits = CURVE_BITS[details.namedCurve ?? '']
      return bits === undefined
        ? refuse(`curve ${details.namedCurve}`, Object.keys(CURVE_BITS).join(', '))
        : { type: 'ecdsa', bits }
    }
    case 'ed25519':
      return { type, bits: 256 }
    case 'ed448':
      return { type, bits: 448 }
    default:
      return refuse(`${type}`, 'RSA, ECDSA, Ed25519 or Ed448')
  }
}

/** What `sign` and `verify` are told, or undefined where the scheme is not this key's. */
function optionsOf(
  scheme: SignatureScheme,
  key: KeyObject,
  type: KeyType,
): { hash: string | null; key: object } | undefined {
  switch (scheme.kind) {
    case 'rsa-pkcs1':
      if (type !== 'rsa') return undefined
      return { hash: scheme.hash, key: { key, padding: constants.RSA_PKCS1_PADDING } }
    case 'rsa-pss':
      if (type !== 'rsa') return undefined
      return {
        hash: scheme.hash,
        key: { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: HASH_LENGTHS[scheme.hash] },
      }
    case 'ecdsa':
      if (type !== 'ecdsa') return undefined
      return {
        hash: scheme.hash,
        key: { key, dsaEncoding: scheme.encoding === 'raw' ? 'ieee-p1363' : 'der' },
      }
    case 'eddsa':
      return type === 'ed25519' || type === 'ed448' ? { hash: null, key: { key } } : undefined
  }
}

class NodePublicKey implements PublicKey {
  readonly type: KeyType
  readonly bits: number
  readonly spki: Uint8Array
  readonly #key: KeyObject

  constructor(key: KeyObject) {
    const { type, bits } = kindOf(key)
    this.type = type
    this.bits = bits
    this.#key = key
    this.spki = new Uint8Array(key.export({ format: 'der', type: 'spki' }))
  }

  verify(scheme: SignatureScheme, data: Uint8Array, signature: Uint8Array): boolean {
    const options = optionsOf(scheme, this.#key, this.type)
    if (options === undefined) return false
    try {
      return verify(options.hash, data, options.key as Parameters<typeof verify>[2], signature)
    } catch {
      // A signature that cannot be read is a wrong one.
      return false
    }
  }
}

class NodePrivateKey implements PrivateKey {
  readonly type: KeyType
  readonly bits: number
  readonly publicKey: PublicKey
  #key: KeyObject | undefined

  constructor(key: KeyObject) {
    const { type, bits } = kindOf(key)
    this.type = type
    this.bits = bits
    this.#key = key
    this.publicKey = new NodePublicKey(createPublicKey(key))
  }

  sign(scheme: SignatureScheme, data: Uint8Array): Uint8Array {
    if (this.#key === undefined) throw new WarrenError('CRYPTO_DESTROYED', 'this private key is gone')
    const options = optionsOf(scheme, this.#key, this.type)
    if (options === undefined)
      throw new WarrenError('CRYPTO_ALGORITHM', 'a signature that this key does not make', {
        found: scheme.kind,
        expected: `one of ${this.type}`,
      })
    return new Uint8Array(sign(options.hash, data, options.key as Parameters<typeof sign>[2]))
  }

  destroy(): void {
    this.#key = undefined
  }

  static pemOf(key: PrivateKey): string {
    const own = key instanceof NodePrivateKey ? key.#key : undefined
    if (own === undefined) throw new WarrenError('CRYPTO_DESTROYED', 'this private key is gone')
    return own.export({ format: 'pem', type: 'pkcs8' }) as string
  }
}

/** PKCS #8, for a library that takes keys as text alone. Throws `CRYPTO_DESTROYED`. */
export const privateKeyPem = (key: PrivateKey): string => NodePrivateKey.pemOf(key)

/** OpenSSL's own words may quote what it read: they are not passed on. */
function load(read: () => KeyObject): KeyObject {
  try {
    return read()
  } catch {
    throw new WarrenError('CRYPTO_KEY', 'a key that cannot be read', {
      expected: 'PEM or DER of RSA, ECDSA, Ed25519 or Ed448, without a pass phrase',
    })
  }
}

/** Of PEM text, or of DER: PKCS #8. Throws `CRYPTO_KEY`. */
export function loadPrivateKey(source: string | Uint8Array): PrivateKey {
  return new NodePrivateKey(
    load(() =>
      typeof source === 'string'
        ? createPrivateKey(source)
        : createPrivateKey({ key: Buffer.from(source), format: 'der', type: 'pkcs8' }),
    ),
  )
}

/** Of PEM text, or of DER: SubjectPublicKeyInfo. Throws `CRYPTO_KEY`. */
export function loadPublicKey(source: string | Uint8Array): PublicKey {
  return new NodePublicKey(
    load(() =>
      typeof source === 'string'
        ? createPublicKey(source)
        : createPublicKey({ key: Buffer.from(source), format: 'der', type: 'spki' }),
    ),
  )
}
