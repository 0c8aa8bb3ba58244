/** What the dissector and the printers ask of whoever holds keys. They themselves know nothing of cryptography. */

/** What is said of an integrity check value. */
export type IcvVerdict =
  | 'correct'
  /** This key does not make it of these bytes: another key, or a packet that was changed. */
  | 'wrong'
  /** The keys' file has no algorithm to check it with, or there is none. */
  | 'unchecked'

/** Bytes of one packet: ESP or AH with all that belongs to it, in the IP packet whose header is at `ip`. */
export interface Sealed {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly ip: number
  readonly family: 4 | 6
}

export interface OpenedEsp {
  readonly icv: IcvVerdict
  /** IANA's names: `ENCR_AES_CBC with AUTH_HMAC_SHA2_256_128`. */
  readonly suite: string
  readonly ivLength: number
  readonly icvLength: number
  /**
   * A copy of `Sealed.bytes` in which the plaintext stands where the ciphertext stood, of the same length. Absent where
   * nothing is shown: a wrong ICV.
   */
  readonly bytes?: Uint8Array
  /** The high half of an extended sequence number, where the ICV covers one. */
  readonly high?: number
}

export interface VerifiedAh {
  readonly icv: IcvVerdict
  readonly suite: string
  readonly icvLength: number
  readonly high?: number
}

/** A message of IKEv2 that ends with an encrypted payload. */
export interface SealedIke {
  readonly bytes: Uint8Array
  /** Of the message, with its header. */
  readonly start: number
  readonly end: number
  /** Where the IV begins. */
  readonly at: number
  /** SKF: number and total stand in the four bytes before. */
  readonly isFragment: boolean
}

export interface OpenedIke {
  readonly icv: IcvVerdict
  readonly suite: string
  readonly ivLength: number
  readonly icvLength: number
  /** As of ESP: a copy, with plaintext where ciphertext stood. */
  readonly bytes?: Uint8Array
  /** Of a fragment: the payloads of the fragments before it. Absent where one of them was not seen. */
  readonly before?: Uint8Array
  /** Of a fragment: type of the first payload of the whole message, where the first fragment was seen. */
  readonly first?: number
  /** Of the fragment that was the last to be missing: the payloads of all. */
  readonly whole?: Uint8Array
}

export interface Opener {
  /** Undefined: no key is for it. A text: there is one, and this is why it does not help. */
  openEsp(sealed: Sealed): OpenedEsp | string | undefined
  verifyAh(sealed: Sealed): VerifiedAh | string | undefined
  openIke?(sealed: SealedIke): OpenedIke | string | undefined
}
