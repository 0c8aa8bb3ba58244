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

export interface Opener {
  /** Undefined: no key is for it. A text: there is one, and this is why it does not help. */
  openEsp(sealed: Sealed): OpenedEsp | string | undefined
  verifyAh(sealed: Sealed): VerifiedAh | string | undefined
}
