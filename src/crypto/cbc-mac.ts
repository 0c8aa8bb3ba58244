/**
 * AES-XCBC-MAC-96 (RFC 3566) and AES-CMAC-96 (RFC 4494, over RFC 4493): a CBC chain with a zero IV whose last block is
 * masked with one of two subkeys. The two differ only in how the subkeys are made, so one class is both; where the
 * chain is computed is the provider's.
 */
import { BaseMac } from './context.js'
import type { MacAlgorithm } from './names.js'
import { SUFFIX_LENGTH_MAX } from './provider.js'
import { wipe } from './wipe.js'

export const AES_BLOCK = 16

/** Length of the buffer for what follows the whole blocks: a rest, the suffix, the padding. */
export const TAIL_LENGTH: number = 2 * AES_BLOCK + SUFFIX_LENGTH_MAX

/** The AES-128 key of the chain, and the masks of a last block that is whole and of one that was padded. */
export interface CbcMacKeys {
  readonly chain: Uint8Array
  readonly whole: Uint8Array
  readonly padded: Uint8Array
}

/** One block of AES-128. */
export type BlockEncrypt = (key: Uint8Array, block: Uint8Array) => Uint8Array

/** RFC 3566 section 4: K1, K2 and K3 are the encryptions of blocks filled with 1, 2 and 3. */
function xcbcKeys(key: Uint8Array, encrypt: BlockEncrypt): CbcMacKeys {
  const derive = (value: number): Uint8Array => encrypt(key, new Uint8Array(AES_BLOCK).fill(value))
  return { chain: derive(1), whole: derive(2), padded: derive(3) }
}

/** Multiplication by x in GF(2^128) with the polynomial of RFC 4493 section 2.3, without a branch on the key. */
function double(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(AES_BLOCK)
  for (let i = 0; i < AES_BLOCK; i++) out[i] = (block[i]! << 1) | ((block[i + 1] ?? 0) >>> 7)
  out[AES_BLOCK - 1]! ^= 0x87 & -(block[0]! >>> 7)
  return out
}

/** RFC 4493 section 2.3. */
function cmacKeys(key: Uint8Array, encrypt: BlockEncrypt): CbcMacKeys {
  const zero = encrypt(key, new Uint8Array(AES_BLOCK))
  const whole = double(zero)
  wipe(zero)
  return { chain: Uint8Array.from(key), whole, padded: double(whole) }
}

export function cbcMacKeys(algorithm: MacAlgorithm, key: Uint8Array, encrypt: BlockEncrypt): CbcMacKeys {
  return algorithm.name === 'AUTH_AES_XCBC_96' ? xcbcKeys(key, encrypt) : cmacKeys(key, encrypt)
}

export abstract class CbcMac extends BaseMac {
  /** What follows the whole blocks, composed here. */
  protected readonly tail: Uint8Array
  readonly #whole: Uint8Array
  readonly #padded: Uint8Array

  /** `tail` (`TAIL_LENGTH` bytes) and `result` may lie where the provider reads them best. */
  constructor(
    algorithm: MacAlgorithm,
    keys: CbcMacKeys,
    tail: Uint8Array = new Uint8Array(TAIL_LENGTH),
    result?: Uint8Array,
  ) {
    super(algorithm, result)
    this.tail = tail
    this.#whole = keys.whole
    this.#padded = keys.padded
  }

  protected override macUnchecked(bytes: Uint8Array, start: number, end: number, suffix: Uint8Array): void {
    const tail = this.tail
    const length = end - start
    // The last block must be in the tail, where it can be masked; an empty message has one, all padding.
    let chained = length - (length % AES_BLOCK)
    if (chained === length && suffix.length === 0 && length > 0) chained -= AES_BLOCK
    let n = 0
    for (let i = start + chained; i < end; i++) tail[n++] = bytes[i]!
    for (let i = 0; i < suffix.length; i++) tail[n++] = suffix[i]!
    let mask = this.#whole
    if (n === 0 || n % AES_BLOCK !== 0) {
      mask = this.#padded
      tail[n++] = 0x80
      while (n % AES_BLOCK !== 0) tail[n++] = 0
    }
    for (let i = 0; i < AES_BLOCK; i++) tail[n - AES_BLOCK + i]! ^= mask[i]!
    this.chain(bytes, start, start + chained, n)
  }

  /** CBC with a zero IV over the whole blocks `[start, end)` and `tail[0, tailLength)`; the last into `result`. */
  protected abstract chain(bytes: Uint8Array, start: number, end: number, tailLength: number): void

  protected override wipeKey(): void {
    wipe(this.#whole, this.#padded, this.tail, this.result)
  }
}
