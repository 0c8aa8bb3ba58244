/** Key exchange methods of IKE (transform type 4) under their IANA names, and what a provider of them offers. */
import type { Random } from '../base/index.js'

export type KeyExchangeName =
  | 'MODP_1024'
  | 'MODP_1536'
  | 'MODP_2048'
  | 'MODP_3072'
  | 'MODP_4096'
  | 'MODP_6144'
  | 'MODP_8192'
  | 'ECP_256'
  | 'ECP_384'
  | 'ECP_521'
  | 'CURVE25519'
  | 'CURVE448'
  | 'ML_KEM_512'
  | 'ML_KEM_768'
  | 'ML_KEM_1024'
  | 'SNTRUP761X25519'

export interface KeyExchangeAlgorithm {
  readonly name: KeyExchangeName
  /** IANA transform id. */
  readonly id: number
  readonly kind: 'modp' | 'ecp' | 'montgomery' | 'kem'
  /** Bytes of the initiator's public value on the wire. */
  readonly valueLength: number
  /** Bytes of the responder's: another length where it encapsulates. */
  readonly answerLength: number
  /** Bytes of the shared secret. */
  readonly secretLength: number
  /** Only where a file names it: too weak to be offered of itself (RFC 8247 section 2.4). */
  readonly weak: boolean
  readonly ref: string
}

const method = (
  name: KeyExchangeName,
  id: number,
  kind: KeyExchangeAlgorithm['kind'],
  valueLength: number,
  ref: string,
  weak = false,
): KeyExchangeAlgorithm => ({
  name,
  id,
  kind,
  valueLength,
  answerLength: valueLength,
  // RFC 5903 section 7: the shared secret is the x coordinate alone.
  secretLength: kind === 'ecp' ? valueLength / 2 : valueLength,
  weak,
  ref,
})

/** RFC 9370: key encapsulation, in an exchange of its own or added to another. */
const kem = (
  name: KeyExchangeName,
  id: number,
  valueLength: number,
  answerLength: number,
  secretLength: number,
  ref: string,
): KeyExchangeAlgorithm => ({
  name,
  id,
  kind: 'kem',
  valueLength,
  answerLength,
  secretLength,
  weak: false,
  ref,
})

export const KEY_EXCHANGES: Readonly<Record<KeyExchangeName, KeyExchangeAlgorithm>> = {
  MODP_1024: method('MODP_1024', 2, 'modp', 128, 'RFC 7296 appendix B', true),
  MODP_1536: method('MODP_1536', 5, 'modp', 192, 'RFC 3526 section 2', true),
  MODP_2048: method('MODP_2048', 14, 'modp', 256, 'RFC 3526 section 3'),
  MODP_3072: method('MODP_3072', 15, 'modp', 384, 'RFC 3526 section 4'),
  MODP_4096: method('MODP_4096', 16, 'modp', 512, 'RFC 3526 section 5'),
  MODP_6144: method('MODP_6144', 17, 'modp', 768, 'RFC 3526 section 6'),
  MODP_8192: method('MODP_8192', 18, 'modp', 1024, 'RFC 3526 section 7'),
  ECP_256: method('ECP_256', 19, 'ecp', 64, 'RFC 5903 section 3.1'),
  ECP_384: method('ECP_384', 20, 'ecp', 96, 'RFC 5903 section 3.2'),
  ECP_521: method('ECP_521', 21, 'ecp', 132, 'RFC 5903 section 3.3'),
  CURVE25519: method('CURVE25519', 31, 'montgomery', 32, 'RFC 8031'),
  CURVE448: method('CURVE448', 32, 'montgomery', 56, 'RFC 8031'),
  ML_KEM_512: kem('ML_KEM_512', 35, 800, 768, 32, 'draft-ietf-ipsecme-ikev2-mlkem'),
  ML_KEM_768: kem('ML_KEM_768', 36, 1184, 1088, 32, 'draft-ietf-ipsecme-ikev2-mlkem'),
  ML_KEM_1024: kem('ML_KEM_1024', 37, 1568, 1568, 32, 'draft-ietf-ipsecme-ikev2-mlkem'),
  // Of the private range, as OpenIKED has it: sntrup761 and X25519, hashed together.
  SNTRUP761X25519: kem('SNTRUP761X25519', 1035, 1190, 1071, 64, 'iked.conf(5)'),
}

/** The method with a transform id; undefined where Warren has none. */
export const keyExchangeById = (id: number): KeyExchangeAlgorithm | undefined =>
  Object.values(KEY_EXCHANGES).find((algorithm) => algorithm.id === id)

/** The initiator's half of an exchange. */
export interface KeyExchange {
  readonly algorithm: KeyExchangeAlgorithm
  /** What goes to the peer. */
  readonly value: Uint8Array
  /**
   * The shared secret with what the peer sent, which only the first call gives: the private key goes with it. Undefined:
   * the value is none (CVE-2023-41913, CVE-2015-3240: length, 0, 1, p-1, a point that is not on the curve, a secret of
   * zeros).
   */
  finish(peer: Uint8Array): Uint8Array | undefined
  /** Lets go of the private key. */
  destroy(): void
}

/** Makes the initiator's half; the private key is drawn from `random`. */
export type KeyExchangeFactory = (name: KeyExchangeName, random: Random) => KeyExchange

/** The responder's half: what goes to the peer, and the secret that both then share. */
export interface KeyExchangeAnswer {
  readonly value: Uint8Array
  readonly secret: Uint8Array
}

/** Makes the responder's half of what the initiator sent. Undefined: its value is none, as with `KeyExchange.finish`. */
export type KeyExchangeResponder = (
  name: KeyExchangeName,
  peer: Uint8Array,
  random: Random,
) => KeyExchangeAnswer | undefined
