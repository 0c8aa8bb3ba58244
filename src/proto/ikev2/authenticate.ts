/** AUTH payloads (RFC 7296 section 2.15, RFC 7427): made with our secret or key, verified with the peer's. */
import {
  algorithmIdentifier,
  constantTimeEqual,
  type HashName,
  type PrfName,
  type PrivateKey,
  type PublicKey,
  type SignatureScheme,
  schemeOf,
  schemesOf,
} from '../../crypto/index.js'
import { AuthMethod, authMethodNames, HashAlgorithm, joined, type PayloadOf } from '../../wire/ike/index.js'
import { sharedKeyAuth } from './keys.js'

const HASH_IDS: Readonly<Record<HashName, number>> = {
  sha1: HashAlgorithm.sha1,
  sha256: HashAlgorithm.sha256,
  sha384: HashAlgorithm.sha384,
  sha512: HashAlgorithm.sha512,
}

export const sharedKeyPayload = (
  prf: PrfName,
  secret: Uint8Array,
  octets: Uint8Array,
): PayloadOf<'AUTH'> => ({
  kind: 'AUTH',
  method: AuthMethod.sharedKey,
  data: sharedKeyAuth(prf, secret, octets),
})

/** RFC 4754: the methods of ECDSA before RFC 7427, by curve. */
const ECDSA_METHODS: Readonly<Record<number, { readonly method: number; readonly hash: HashName }>> = {
  256: { method: AuthMethod.ecdsa256, hash: 'sha256' },
  384: { method: AuthMethod.ecdsa384, hash: 'sha384' },
  521: { method: AuthMethod.ecdsa521, hash: 'sha512' },
}

/**
 * `hashes`: what the peer verifies with (RFC 7427), undefined where it did not say. Undefined: this key cannot be used
 * with that peer.
 */
export function signaturePayload(
  key: PrivateKey,
  octets: Uint8Array,
  hashes: ReadonlySet<number> | undefined,
): PayloadOf<'AUTH'> | undefined {
  if (hashes === undefined) {
    const old = oldScheme(key)
    return old === undefined
      ? undefined
      : { kind: 'AUTH', method: old.method, data: key.sign(old.scheme, octets) }
  }
  // PKCS #1 v1.5 before PSS: some peers read RFC 7427 as allowing it alone.
  const schemes = schemesOf(key.type).filter(
    (one) =>
      one.kind !== 'rsa-pss' &&
      hashes.has(one.kind === 'eddsa' ? HashAlgorithm.identity : HASH_IDS[one.hash]),
  )
  const scheme = preferredOf(schemes, key)
  if (scheme === undefined) return undefined
  const identifier = algorithmIdentifier(scheme, key.type)
  const data = joined(Uint8Array.of(identifier.length), identifier, key.sign(scheme, octets))
  return { kind: 'AUTH', method: AuthMethod.digitalSignature, data }
}

/** The hash of a curve is as strong as the curve. */
function preferredOf(schemes: readonly SignatureScheme[], key: PrivateKey): SignatureScheme | undefined {
  const fitting = ECDSA_METHODS[key.bits]?.hash
  return schemes.find((one) => one.kind === 'ecdsa' && one.hash === fitting) ?? schemes[0]
}

function oldScheme(key: PrivateKey | PublicKey): { method: number; scheme: SignatureScheme } | undefined {
  // RFC 7296 section 3.8: SHA-1 where nobody has said otherwise.
  if (key.type === 'rsa')
    return { method: AuthMethod.rsaSignature, scheme: { kind: 'rsa-pkcs1', hash: 'sha1' } }
  const ecdsa = key.type === 'ecdsa' ? ECDSA_METHODS[key.bits] : undefined
  return ecdsa === undefined
    ? undefined
    : { method: ecdsa.method, scheme: { kind: 'ecdsa', hash: ecdsa.hash, encoding: 'raw' } }
}

/** Undefined: authentic. Else what is wrong. */
export function verifySharedKey(
  payload: PayloadOf<'AUTH'>,
  prf: PrfName,
  secret: Uint8Array,
  octets: Uint8Array,
): string | undefined {
  if (payload.method !== AuthMethod.sharedKey)
    return `the peer authenticates by ${methodName(payload.method)}, the policy says psk`
  const ours = sharedKeyAuth(prf, secret, octets)
  return payload.data.length === ours.length && constantTimeEqual(payload.data, 0, ours, 0, ours.length)
    ? undefined
    : 'the pre-shared keys differ'
}

/** Undefined: authentic. Else what is wrong. */
export function verifySignature(
  payload: PayloadOf<'AUTH'>,
  key: PublicKey,
  octets: Uint8Array,
): string | undefined {
  const { method, data } = payload
  if (method === AuthMethod.sharedKey)
    return 'the peer authenticates by pre-shared key, the policy wants a signature'
  let scheme: SignatureScheme | undefined
  let signature = data
  if (method === AuthMethod.digitalSignature) {
    const length = data[0] ?? 0
    scheme = schemeOf(data.subarray(1, 1 + length), key.type)
    signature = data.subarray(1 + length)
  } else {
    const old = oldScheme(key)
    if (old !== undefined && old.method === method) scheme = old.scheme
  }
  if (scheme === undefined)
    return `a signature by ${methodName(method)} does not fit the ${key.type} key that is known`
  return key.verify(scheme, octets, signature) ? undefined : 'the signature is not by the key that is known'
}

const methodName = (method: number): string => authMethodNames[method] ?? `method ${method}`
