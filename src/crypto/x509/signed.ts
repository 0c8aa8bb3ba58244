/** Signatures of certificates and of lists of revoked ones (RFC 5280 section 4.1.1.3). */
import { algorithmIdentifier, type PublicKey, type SignatureScheme, schemesOf } from '../signature.js'

/** `true`, or why not. */
export type SignedBy = (key: PublicKey) => true | string

/**
 * The AlgorithmIdentifier is compared byte for byte with those that Warren takes (CVE-2018-16151, CVE-2021-41990). SHA-1
 * is not among them: two certificates of one hash can be made.
 */
export const signedBy =
  (signed: Uint8Array, identifier: Uint8Array, signature: Uint8Array): SignedBy =>
  (key) => {
    const scheme = schemesOf(key.type).find(
      (one) => !isOld(one) && sameBytes(algorithmIdentifier(one, key.type), identifier),
    )
    if (scheme === undefined)
      return schemesOf(key.type).some(
        (one) => isOld(one) && sameBytes(algorithmIdentifier(one, key.type), identifier),
      )
        ? 'it is signed with SHA-1'
        : `its signature is of an algorithm that is not used, or not of a ${key.type} key`
    return key.verify(scheme, signed, signature) || 'its signature is not by the key of its issuer'
  }

const isOld = (scheme: SignatureScheme): boolean => scheme.kind !== 'eddsa' && scheme.hash === 'sha1'

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])
