/** Pseudorandom functions of IKE (RFC 7296 section 2.13), under their IANA names. */
import { wipe } from './wipe.js'

export type PrfName =
  | 'PRF_HMAC_SHA1'
  | 'PRF_HMAC_SHA2_256'
  | 'PRF_HMAC_SHA2_384'
  | 'PRF_HMAC_SHA2_512'
  | 'PRF_AES128_XCBC'
  | 'PRF_AES128_CMAC'

export interface PrfAlgorithm {
  readonly name: PrfName
  /** IANA transform id of type 2. */
  readonly id: number
  /** Preferred key length in bytes: what SK_d, SK_pi and SK_pr are drawn with. */
  readonly keyLength: number
  /** In bytes. */
  readonly outputLength: number
  /**
   * The function takes a key of just that many bytes. RFC 7296 section 2.14: SKEYSEED is then keyed with the first half
   * of each nonce.
   */
  readonly fixedKey: boolean
  readonly ref: string
}

const prf = (
  name: PrfName,
  id: number,
  outputLength: number,
  ref: string,
  fixedKey = false,
): PrfAlgorithm => ({ name, id, keyLength: outputLength, outputLength, fixedKey, ref })

export const PRFS: Readonly<Record<PrfName, PrfAlgorithm>> = {
  PRF_HMAC_SHA1: prf('PRF_HMAC_SHA1', 2, 20, 'RFC 2104'),
  PRF_AES128_XCBC: prf('PRF_AES128_XCBC', 4, 16, 'RFC 4434', true),
  PRF_HMAC_SHA2_256: prf('PRF_HMAC_SHA2_256', 5, 32, 'RFC 4868'),
  PRF_HMAC_SHA2_384: prf('PRF_HMAC_SHA2_384', 6, 48, 'RFC 4868'),
  PRF_HMAC_SHA2_512: prf('PRF_HMAC_SHA2_512', 7, 64, 'RFC 4868'),
  PRF_AES128_CMAC: prf('PRF_AES128_CMAC', 8, 16, 'RFC 4615', true),
}

/** The function with a transform id; undefined where Warren has none. */
export const prfById = (id: number): PrfAlgorithm | undefined =>
  Object.values(PRFS).find((algorithm) => algorithm.id === id)

export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512'

/** `prf(key, parts joined)`. A key may be of any length: shorter and longer ones are treated as the function's RFC says. */
export type Prf = (key: Uint8Array, ...parts: readonly Uint8Array[]) => Uint8Array

/** `prf+` (RFC 7296 section 2.13): `length` bytes. */
export function prfPlus(prf: Prf, key: Uint8Array, seed: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length)
  let block: Uint8Array = new Uint8Array(0)
  let at = 0
  for (let counter = 1; at < length; counter++) {
    // One byte counts the blocks.
    if (counter > 255) throw new RangeError(`prf+ gives no ${length} bytes`)
    const next = prf(key, block, seed, Uint8Array.of(counter))
    wipe(block)
    block = next
    out.set(block.subarray(0, Math.min(block.length, length - at)), at)
    at += block.length
  }
  wipe(block)
  return out
}
