/** Public keys without a certificate, in CERT payloads (RFC 7670, and iked's own two ways). */
import { loadPublicKey, type PublicKey } from '../../crypto/index.js'
import { keyOfSpki, spkiOfRsaKey } from '../../crypto/x509/spki.js'
import type { CertificateData } from '../../proto/ikev2/context.js'
import { CertEncoding } from '../../wire/ike/index.js'

/** RFC 7296 section 3.6 still has this number for RSAPublicKey of PKCS #1; RFC 7670 took it away, iked did not. */
export const RAW_RSA = 11
/** SubjectPublicKeyInfo of an ECDSA key: iked's, of the private range. */
export const RAW_ECDSA = 201

/** Our key as the peer asked for it, else as iked takes it; keys that iked does not know as RFC 7670 has it. */
export function rawKeyData(key: PublicKey, requests: readonly CertificateData[]): CertificateData {
  const asked = new Set(requests.map(({ encoding }) => encoding))
  if (asked.has(CertEncoding.rawKey)) return { encoding: CertEncoding.rawKey, data: key.spki }
  if (key.type === 'rsa') return { encoding: RAW_RSA, data: keyOfSpki(key.spki) }
  return { encoding: key.type === 'ecdsa' ? RAW_ECDSA : CertEncoding.rawKey, data: key.spki }
}

/** Undefined: this is no raw key. */
export function readRawKey({
  encoding,
  data,
}: CertificateData): { readonly key: PublicKey } | { readonly refused: string } | undefined {
  if (encoding !== RAW_RSA && encoding !== RAW_ECDSA && encoding !== CertEncoding.rawKey) return undefined
  try {
    return { key: loadPublicKey(encoding === RAW_RSA ? spkiOfRsaKey(data) : data) }
  } catch {
    return { refused: 'cannot be read' }
  }
}
