/** SubjectPublicKeyInfo of RSA and the key inside it (RFC 8017 appendix A.1). */
import { DER_BIT_STRING, DER_SEQUENCE, der } from '../node/der.js'
import { DerReader, DerTag, readBytesOfBits } from './der-reader.js'

/** rsaEncryption, with NULL behind it. */
const RSA = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]

/** Throws `RangeError` for a key longer than 64 KiB. */
export const spkiOfRsaKey = (key: Uint8Array): Uint8Array =>
  der(DER_SEQUENCE, der(DER_SEQUENCE, RSA), der(DER_BIT_STRING, [0], key))

/** What the BIT STRING holds, of whatever algorithm. Throws `DerError`. */
export function keyOfSpki(spki: Uint8Array): Uint8Array {
  const fields = new DerReader(spki).inside(DerTag.sequence)
  fields.next(DerTag.sequence)
  return readBytesOfBits(fields.next(DerTag.bitString).content)
}
