/**
 * Encrypted payloads (RFC 7296 section 3.14, RFC 5282) and their fragments (RFC 7383): one direction of an IKE SA.
 *
 *     IKE header | SK header | IV | payloads, padding, pad length | ICV
 *
 * The ICV covers everything before it: with an AEAD, header and SK header are its associated data.
 */

import type { Random } from '../../base/index.js'
import {
  AEADS,
  type AeadContext,
  CIPHERS,
  type CipherContext,
  type CryptoProvider,
  isAead,
  MACS,
  type MacContext,
  splitKeyMaterial,
} from '../../crypto/index.js'
import {
  emitIkePayloads,
  firstPayloadType,
  IKE_HEADER_LENGTH,
  IKE_PAYLOAD_HEADER_LENGTH,
  type IkeHeader,
  type IkePayload,
  IkePayloadType,
  ike,
  ikeFragment,
  ikePayload,
} from '../../wire/ike/index.js'
import type { Agreed } from './suites.js'

const FRAGMENT_HEADER_LENGTH = 4

/** The header of a message to send: what follows from its bytes is filled in. */
export type OutgoingHeader = Omit<IkeHeader, 'nextPayload' | 'length'>

export class EncryptedPayloads {
  readonly #aead: AeadContext | undefined
  readonly #cipher: CipherContext | undefined
  readonly #mac: MacContext | undefined
  readonly #salt: Uint8Array
  readonly #nonce: Uint8Array
  readonly #ivLength: number
  readonly #icvLength: number
  readonly #blockLength: number
  /** An AEAD's IVs are never one twice: they count. */
  #counter = 0

  /** `encryptionKey`, `integrityKey`: of this direction. */
  constructor(provider: CryptoProvider, agreed: Agreed, encryptionKey: Uint8Array, integrityKey: Uint8Array) {
    const { name } = agreed.encryption!
    const algorithm = isAead(name) ? AEADS[name] : CIPHERS[name]
    const { key, salt } = splitKeyMaterial(algorithm, encryptionKey)
    this.#aead = isAead(name) ? provider.aead(name, key) : undefined
    this.#cipher = isAead(name) ? undefined : provider.cipher(name, key)
    this.#mac = agreed.integrity === undefined ? undefined : provider.mac(agreed.integrity, integrityKey)
    this.#salt = Uint8Array.from(salt)
    this.#nonce = new Uint8Array(algorithm.nonceLength)
    this.#nonce.set(salt)
    if (name === 'ENCR_AES_CTR') this.#nonce[15] = 1
    this.#ivLength = algorithm.ivLength
    this.#icvLength = isAead(name) ? AEADS[name].icvLength : MACS[agreed.integrity!].icvLength
    this.#blockLength = algorithm.blockLength
  }

  /** Bytes that a message of `length` bytes of payloads has. */
  lengthOf(length: number): number {
    const padded = Math.ceil((length + 1) / this.#blockLength) * this.#blockLength
    return IKE_HEADER_LENGTH + IKE_PAYLOAD_HEADER_LENGTH + this.#ivLength + padded + this.#icvLength
  }

  /**
   * The message with these payloads: one, or fragments of at most `limit` bytes where one would be longer and the limit
   * is given.
   */
  seal(
    header: OutgoingHeader,
    payloads: readonly IkePayload[],
    random: Random,
    limit?: number,
  ): Uint8Array[] {
    const plain = emitIkePayloads(payloads)
    const first = firstPayloadType(payloads)
    if (limit === undefined || this.lengthOf(plain.length) <= limit)
      return [this.#seal(header, IkePayloadType.encrypted, first, plain, random)]
    const room = limit - this.lengthOf(0) - FRAGMENT_HEADER_LENGTH - this.#blockLength
    const each = Math.max(1, room)
    const total = Math.ceil(plain.length / each)
    return Array.from({ length: total }, (_, i) =>
      this.#seal(
        header,
        IkePayloadType.encryptedFragment,
        // RFC 7383 section 2.5: only the first names what is inside.
        i === 0 ? first : IkePayloadType.none,
        plain.subarray(i * each, (i + 1) * each),
        random,
        { number: i + 1, total },
      ),
    )
  }

  #seal(
    header: OutgoingHeader,
    type: number,
    first: number,
    plain: Uint8Array,
    random: Random,
    fragment?: { number: number; total: number },
  ): Uint8Array {
    const fragmentLength = fragment === undefined ? 0 : FRAGMENT_HEADER_LENGTH
    const bytes = new Uint8Array(this.lengthOf(plain.length) + fragmentLength)
    ike.emit({ ...header, nextPayload: type, length: bytes.length }, bytes)
    let at = ikePayload.emit(
      { nextPayload: first, critical: false, length: bytes.length - IKE_HEADER_LENGTH },
      bytes,
      IKE_HEADER_LENGTH,
    )
    if (fragment !== undefined) at = ikeFragment.emit(fragment, bytes, at)
    const start = at + this.#ivLength
    const end = bytes.length - this.#icvLength
    bytes.set(plain, start)
    bytes[end - 1] = end - start - plain.length - 1
    this.#fillIv(bytes, at, random)
    this.#nonce.set(bytes.subarray(at, start), this.#salt.length)
    if (this.#aead !== undefined) this.#aead.seal(bytes, 0, at, start, end, this.#nonce, end)
    else {
      this.#cipher!.encrypt(bytes, start, end, this.#nonce)
      this.#mac!.compute(bytes, 0, end, undefined, bytes, end)
    }
    return bytes
  }

  /** RFC 5282 section 3: never one twice under a key. CBC: not to be foreseen. */
  #fillIv(bytes: Uint8Array, at: number, random: Random): void {
    const iv = bytes.subarray(at, at + this.#ivLength)
    if (this.#aead === undefined && this.#blockLength > 1) {
      random.fill(iv)
      return
    }
    this.#counter++
    for (let i = 0; i < 6; i++) iv[7 - i] = Math.floor(this.#counter / 256 ** i) & 0xff
  }

  /**
   * Verifies and decrypts the message whose SK or SKF payload's data begins at `at`, in place; gives the plaintext
   * without padding, a view. Undefined: not authentic, or too short to be.
   */
  open(bytes: Uint8Array, at: number): Uint8Array | undefined {
    const start = at + this.#ivLength
    const end = bytes.length - this.#icvLength
    if (end <= start || (end - start) % this.#blockLength !== 0) return undefined
    this.#nonce.set(bytes.subarray(at, start), this.#salt.length)
    if (this.#aead !== undefined) {
      if (!this.#aead.open(bytes, 0, at, start, end, this.#nonce, end)) return undefined
    } else {
      if (!this.#mac!.verify(bytes, 0, end, undefined, end)) return undefined
      this.#cipher!.decrypt(bytes, start, end, this.#nonce)
    }
    // RFC 7296 section 3.14: padding may be any bytes, of any length to 255.
    const length = end - start - 1 - bytes[end - 1]!
    return length < 0 ? undefined : bytes.subarray(start, start + length)
  }

  destroy(): void {
    this.#aead?.destroy()
    this.#cipher?.destroy()
    this.#mac?.destroy()
    this.#salt.fill(0)
    this.#nonce.fill(0)
  }
}
