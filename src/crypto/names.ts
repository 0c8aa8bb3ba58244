/**
 * The algorithms of ESP and AH under the names and numbers of IANA's registry "Internet Key Exchange Version 2 (IKEv2)
 * Parameters", transform types 1 (encryption) and 3 (integrity), with every length that a data path needs.
 *
 * All lengths are in bytes. Key lengths are those of the cipher alone: the salt that RFC 4106, 4309, 3686, 4543 and
 * 7634 take from the end of the keying material is counted apart (`saltLength`); `splitKeyMaterial` parts the two.
 */
import { WarrenError } from '../base/index.js'

export type AeadName =
  | 'ENCR_AES_CCM_8'
  | 'ENCR_AES_CCM_12'
  | 'ENCR_AES_CCM_16'
  | 'ENCR_AES_GCM_8'
  | 'ENCR_AES_GCM_12'
  | 'ENCR_AES_GCM_16'
  | 'ENCR_NULL_AUTH_AES_GMAC'
  | 'ENCR_CHACHA20_POLY1305'

export type CipherName = 'ENCR_3DES' | 'ENCR_NULL' | 'ENCR_AES_CBC' | 'ENCR_AES_CTR'

export type MacName =
  | 'AUTH_HMAC_SHA1_96'
  | 'AUTH_AES_XCBC_96'
  | 'AUTH_AES_CMAC_96'
  | 'AUTH_HMAC_SHA2_256_128'
  | 'AUTH_HMAC_SHA2_384_192'
  | 'AUTH_HMAC_SHA2_512_256'

export type EncryptionName = AeadName | CipherName

interface Algorithm {
  /** Transform ID in IANA's registry. */
  readonly id: number
  /** Lengths of the key that the RFC allows, without the salt. */
  readonly keyLengths: readonly number[]
  /** The document that says how ESP or AH uses it. */
  readonly rfc: string
}

interface Encryption extends Algorithm {
  /** Bytes of keying material after the key that go into every nonce and never onto the wire. */
  readonly saltLength: number
  /** The IV that every packet carries. */
  readonly ivLength: number
  /**
   * What a context takes as `nonce` or `iv`. AEAD: salt, then the packet's IV. CBC: the IV itself. CTR: the whole first
   * counter block (salt, IV, and 1 in 32 bits: RFC 3686 section 4).
   */
  readonly nonceLength: number
  /**
   * The plaintext is a multiple of this. A stream cipher has 1; ESP itself then aligns to 4 (RFC 4303 section 2.4).
   */
  readonly blockLength: number
}

export interface AeadAlgorithm extends Encryption {
  readonly kind: 'aead'
  readonly name: AeadName
  readonly icvLength: number
}

export interface CipherAlgorithm extends Encryption {
  readonly kind: 'cipher'
  readonly name: CipherName
}

export interface MacAlgorithm extends Algorithm {
  readonly kind: 'mac'
  readonly name: MacName
  /** What of the MAC goes onto the wire. */
  readonly icvLength: number
}

export type EncryptionAlgorithm = AeadAlgorithm | CipherAlgorithm

const AES_KEYS: readonly number[] = [16, 24, 32]

/** GCM, CCM and GMAC in ESP: an 8-byte IV follows the ESP header (RFC 4106 section 3.1, 4309 section 3, 4543 section 3). */
function aesAead(
  name: AeadName,
  id: number,
  saltLength: number,
  icvLength: number,
  rfc: string,
): AeadAlgorithm {
  return {
    kind: 'aead',
    name,
    id,
    keyLengths: AES_KEYS,
    saltLength,
    ivLength: 8,
    nonceLength: saltLength + 8,
    blockLength: 1,
    icvLength,
    rfc,
  }
}

/** A MAC whose key has the one length that its RFC allows (RFC 4868 section 2.1.1: nothing else is to be used). */
function mac(name: MacName, id: number, keyLength: number, icvLength: number, rfc: string): MacAlgorithm {
  return { kind: 'mac', name, id, keyLengths: [keyLength], icvLength, rfc }
}

export const AEADS: Readonly<Record<AeadName, AeadAlgorithm>> = {
  ENCR_AES_CCM_8: aesAead('ENCR_AES_CCM_8', 14, 3, 8, 'RFC 4309'),
  ENCR_AES_CCM_12: aesAead('ENCR_AES_CCM_12', 15, 3, 12, 'RFC 4309'),
  ENCR_AES_CCM_16: aesAead('ENCR_AES_CCM_16', 16, 3, 16, 'RFC 4309'),
  ENCR_AES_GCM_8: aesAead('ENCR_AES_GCM_8', 18, 4, 8, 'RFC 4106'),
  ENCR_AES_GCM_12: aesAead('ENCR_AES_GCM_12', 19, 4, 12, 'RFC 4106'),
  ENCR_AES_GCM_16: aesAead('ENCR_AES_GCM_16', 20, 4, 16, 'RFC 4106'),
  ENCR_NULL_AUTH_AES_GMAC: aesAead('ENCR_NULL_AUTH_AES_GMAC', 21, 4, 16, 'RFC 4543'),
  ENCR_CHACHA20_POLY1305: {
    kind: 'aead',
    name: 'ENCR_CHACHA20_POLY1305',
    id: 28,
    keyLengths: [32],
    saltLength: 4,
    ivLength: 8,
    nonceLength: 12,
    blockLength: 1,
    icvLength: 16,
    rfc: 'RFC 7634',
  },
}

export const CIPHERS: Readonly<Record<CipherName, CipherAlgorithm>> = {
  ENCR_3DES: {
    kind: 'cipher',
    name: 'ENCR_3DES',
    id: 3,
    keyLengths: [24],
    saltLength: 0,
    ivLength: 8,
    nonceLength: 8,
    blockLength: 8,
    rfc: 'RFC 2451',
  },
  ENCR_NULL: {
    kind: 'cipher',
    name: 'ENCR_NULL',
    id: 11,
    keyLengths: [0],
    saltLength: 0,
    ivLength: 0,
    nonceLength: 0,
    blockLength: 1,
    rfc: 'RFC 2410',
  },
  ENCR_AES_CBC: {
    kind: 'cipher',
    name: 'ENCR_AES_CBC',
    id: 12,
    keyLengths: AES_KEYS,
    saltLength: 0,
    ivLength: 16,
    nonceLength: 16,
    blockLength: 16,
    rfc: 'RFC 3602',
  },
  ENCR_AES_CTR: {
    kind: 'cipher',
    name: 'ENCR_AES_CTR',
    id: 13,
    keyLengths: AES_KEYS,
    saltLength: 4,
    ivLength: 8,
    nonceLength: 16,
    blockLength: 1,
    rfc: 'RFC 3686',
  },
}

export const MACS: Readonly<Record<MacName, MacAlgorithm>> = {
  AUTH_HMAC_SHA1_96: mac('AUTH_HMAC_SHA1_96', 2, 20, 12, 'RFC 2404'),
  AUTH_AES_XCBC_96: mac('AUTH_AES_XCBC_96', 5, 16, 12, 'RFC 3566'),
  AUTH_AES_CMAC_96: mac('AUTH_AES_CMAC_96', 8, 16, 12, 'RFC 4494'),
  AUTH_HMAC_SHA2_256_128: mac('AUTH_HMAC_SHA2_256_128', 12, 32, 16, 'RFC 4868'),
  AUTH_HMAC_SHA2_384_192: mac('AUTH_HMAC_SHA2_384_192', 13, 48, 24, 'RFC 4868'),
  AUTH_HMAC_SHA2_512_256: mac('AUTH_HMAC_SHA2_512_256', 14, 64, 32, 'RFC 4868'),
}

/** The longest ICV of all: the length that a buffer for any of them needs. */
export const ICV_LENGTH_MAX = 32

export function isAead(name: string): name is AeadName {
  return Object.hasOwn(AEADS, name)
}

export function isCipher(name: string): name is CipherName {
  return Object.hasOwn(CIPHERS, name)
}

export function isMac(name: string): name is MacName {
  return Object.hasOwn(MACS, name)
}

/** Throws `CRYPTO_ALGORITHM` for a name that is not an encryption's. */
export function encryptionAlgorithm(name: string): EncryptionAlgorithm {
  if (isAead(name)) return AEADS[name]
  if (isCipher(name)) return CIPHERS[name]
  throw new WarrenError('CRYPTO_ALGORITHM', 'no such encryption', { found: name })
}

/** Throws `CRYPTO_ALGORITHM` for a name that is not an integrity algorithm's. */
export function macAlgorithm(name: string): MacAlgorithm {
  if (isMac(name)) return MACS[name]
  throw new WarrenError('CRYPTO_ALGORITHM', 'no such integrity algorithm', { found: name })
}

/** The encryption with a transform ID of type 1; undefined where Warren has none. */
export function encryptionById(id: number): EncryptionAlgorithm | undefined {
  return [...Object.values(AEADS), ...Object.values(CIPHERS)].find((algorithm) => algorithm.id === id)
}

/** The integrity algorithm with a transform ID of type 3; undefined where Warren has none. */
export function macById(id: number): MacAlgorithm | undefined {
  return Object.values(MACS).find((algorithm) => algorithm.id === id)
}

/** Key and salt, as views of the keying material. Throws `CRYPTO_KEY` if its length is not one that the RFC allows. */
export function splitKeyMaterial(
  algorithm: EncryptionAlgorithm,
  material: Uint8Array,
): { key: Uint8Array; salt: Uint8Array } {
  const keyLength = material.length - algorithm.saltLength
  if (!algorithm.keyLengths.includes(keyLength))
    throw new WarrenError('CRYPTO_KEY', `keying material of ${algorithm.name} has the wrong length`, {
      found: `${material.length} bytes`,
      expected: `${algorithm.keyLengths.map((length) => length + algorithm.saltLength).join(', ')} (with ${algorithm.saltLength} of salt)`,
    })
  return { key: material.subarray(0, keyLength), salt: material.subarray(keyLength) }
}
