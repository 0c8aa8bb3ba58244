/**
 * What every source of cryptography offers, and the only thing that differs between them: `node:crypto` everywhere,
 * libcrypto by foreign functions on Linux.
 *
 * All work is in place: ranges are offsets into `bytes`, `[start, end)`. A context is made once an SA and used for every
 * packet; `seal`, `open`, `encrypt`, `decrypt`, `compute` and `verify` allocate nothing where the provider can avoid
 * it. One context must not be used by two threads.
 *
 * What associated data and MACs cover lies in one range. Where it is not one range on the wire, write it so first: with
 * extended sequence numbers an AEAD covers SPI, high half, low half (RFC 4303 section 2.2.1, RFC 4106 section 5), so the
 * SPI is written 4 bytes before the header and the high half in its place, and both are put back after.
 *
 * Wrong lengths and ranges are errors of the caller, never of a peer: `WarrenError` with `CRYPTO_KEY`, `CRYPTO_NONCE`,
 * `CRYPTO_RANGE`, `CRYPTO_BLOCK`, `CRYPTO_DESTROYED`, `CRYPTO_ALGORITHM`. What a peer sent is only ever `false`.
 */
import type { AeadAlgorithm, AeadName, CipherAlgorithm, CipherName, MacAlgorithm, MacName } from './names.js'

export interface AeadContext {
  readonly algorithm: AeadAlgorithm
  /**
   * Encrypts `[start, end)` and writes the ICV (`algorithm.icvLength` bytes) at `icvAt`. Associated data is
   * `[aadStart, aadEnd)`, `nonce` has `algorithm.nonceLength` bytes. `ENCR_NULL_AUTH_AES_GMAC` encrypts nothing:
   * `[start, end)` must be empty and the associated data covers header, IV and payload (RFC 4543 section 3.3).
   */
  seal(
    bytes: Uint8Array,
    aadStart: number,
    aadEnd: number,
    start: number,
    end: number,
    nonce: Uint8Array,
    icvAt: number,
  ): void
  /**
   * Verifies the ICV at `icvAt` and decrypts `[start, end)`. False: not authentic. The range then holds bytes that
   * must not be looked at (some providers decrypt while they verify).
   */
  open(
    bytes: Uint8Array,
    aadStart: number,
    aadEnd: number,
    start: number,
    end: number,
    nonce: Uint8Array,
    icvAt: number,
  ): boolean
  /** Wipes the key, as far as the provider lets. Any later use throws `CRYPTO_DESTROYED`; destroying again does not. */
  destroy(): void
}

export interface CipherContext {
  readonly algorithm: CipherAlgorithm
  /**
   * Encrypts `[start, end)`, which must be whole blocks of `algorithm.blockLength`; nothing is padded. `iv` has
   * `algorithm.nonceLength` bytes; for CTR it is the whole first counter block.
   */
  encrypt(bytes: Uint8Array, start: number, end: number, iv: Uint8Array): void
  decrypt(bytes: Uint8Array, start: number, end: number, iv: Uint8Array): void
  destroy(): void
}

export interface MacContext {
  readonly algorithm: MacAlgorithm
  /**
   * Writes the ICV (`algorithm.icvLength` bytes, truncated as the RFC says) of `[start, end)` followed by `suffix` into
   * `out` at `outAt`. `out` may be `bytes`. `suffix` is what is covered but not sent: the high half of an extended
   * sequence number (RFC 4303 section 2.2.1); at most `SUFFIX_LENGTH_MAX` bytes.
   */
  compute(
    bytes: Uint8Array,
    start: number,
    end: number,
    suffix: Uint8Array | undefined,
    out: Uint8Array,
    outAt?: number,
  ): void
  /** Whether the ICV at `icvAt` is that of `[start, end)` and `suffix`; compares in constant time. */
  verify(
    bytes: Uint8Array,
    start: number,
    end: number,
    suffix: Uint8Array | undefined,
    icvAt: number,
  ): boolean
  destroy(): void
}

export const SUFFIX_LENGTH_MAX = 64

export interface CryptoProvider {
  /** `node` or `libcrypto`. */
  readonly name: string
  /** `key` is without the salt; it is copied and may be wiped by the caller after. */
  aead(algorithm: AeadName, key: Uint8Array): AeadContext
  cipher(algorithm: CipherName, key: Uint8Array): CipherContext
  mac(algorithm: MacName, key: Uint8Array): MacContext
}
