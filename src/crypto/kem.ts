/**
 * Key encapsulation: the responder's value is made for the initiator's (RFC 9370 section 2.2.1), so that both halves
 * differ where those of Diffie-Hellman are alike.
 */
import { ml_kem512, ml_kem768, ml_kem1024 } from '@noble/post-quantum/ml-kem.js'
import type { Random } from '../base/index.js'
import { wipe } from './wipe.js'

export interface Kem {
  /** A key pair, drawn from `random`. */
  generate(random: Random): { readonly publicKey: Uint8Array; readonly secretKey: Uint8Array }
  /** Undefined: what the peer sent is no public key. */
  encapsulate(
    publicKey: Uint8Array,
    random: Random,
  ): { readonly ciphertext: Uint8Array; readonly secret: Uint8Array } | undefined
  /** Undefined: it has the wrong length. Another peer's ciphertext gives a secret that nobody else has. */
  decapsulate(ciphertext: Uint8Array, secretKey: Uint8Array): Uint8Array | undefined
}

/** FIPS 203. */
function mlKem(kem: typeof ml_kem768): Kem {
  const { publicKey: publicLength, cipherText: ciphertextLength } = kem.lengths
  return {
    generate(random) {
      const seed = random.fill(new Uint8Array(64))
      const { publicKey, secretKey } = kem.keygen(seed)
      wipe(seed)
      return { publicKey, secretKey }
    },
    encapsulate(publicKey, random) {
      if (publicKey.length !== publicLength) return undefined
      const message = random.fill(new Uint8Array(32))
      try {
        const { cipherText, sharedSecret } = kem.encapsulate(publicKey, message)
        return { ciphertext: cipherText, secret: sharedSecret }
      } catch {
        // FIPS 203 section 7.2: coefficients out of range.
        return undefined
      } finally {
        wipe(message)
      }
    },
    decapsulate(ciphertext, secretKey) {
      return ciphertext.length === ciphertextLength ? kem.decapsulate(ciphertext, secretKey) : undefined
    },
  }
}

export const mlKem512: Kem = mlKem(ml_kem512)
export const mlKem768: Kem = mlKem(ml_kem768)
export const mlKem1024: Kem = mlKem(ml_kem1024)
