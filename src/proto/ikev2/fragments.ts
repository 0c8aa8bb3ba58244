/**
 * The fragments of one message (RFC 7383 section 2.6). Only authentic ones come here, so a stranger fills nothing; a peer
 * may fill up to the limits. Putting one in costs the same whatever the order (CVE-2016-10396).
 */

/** Fragments of a message. */
export const FRAGMENT_LIMIT = 128
/** Bytes of a message: what a certificate chain needs, and more. */
export const FRAGMENTED_BYTES_LIMIT: number = 256 * 1024

export interface Assembled {
  /** Type of the first payload inside. */
  readonly first: number
  readonly plain: Uint8Array
}

export class Reassembly {
  #messageId = -1
  #parts: (Uint8Array | undefined)[] = []
  #have = 0
  #bytes = 0
  #first = 0

  /**
   * Takes a decrypted fragment; gives the message when it was the last that was missing, 'more' while some are, or the
   * reason why it is dropped.
   */
  add(
    messageId: number,
    number: number,
    total: number,
    first: number,
    plain: Uint8Array,
  ): Assembled | 'more' | { readonly dropped: string } {
    if (total > FRAGMENT_LIMIT) return { dropped: 'ike.fragment.count' }
    // RFC 7383 section 2.6: a sender that learnt a smaller MTU begins anew with more; fewer are of before.
    if (messageId !== this.#messageId || total > this.#parts.length) this.#begin(messageId, total)
    else if (total < this.#parts.length) return { dropped: 'ike.fragment.total' }
    if (this.#parts[number - 1] !== undefined) return { dropped: 'ike.fragment.duplicate' }
    if (this.#bytes + plain.length > FRAGMENTED_BYTES_LIMIT) return { dropped: 'ike.fragment.bytes' }
    this.#parts[number - 1] = Uint8Array.from(plain)
    this.#have++
    this.#bytes += plain.length
    if (number === 1) this.#first = first
    if (this.#have < total) return 'more'
    const whole = new Uint8Array(this.#bytes)
    let at = 0
    for (const part of this.#parts) {
      whole.set(part!, at)
      at += part!.length
    }
    const assembled = { first: this.#first, plain: whole }
    this.clear()
    return assembled
  }

  clear(): void {
    for (const part of this.#parts) part?.fill(0)
    this.#messageId = -1
    this.#parts = []
    this.#have = 0
    this.#bytes = 0
  }

  #begin(messageId: number, total: number): void {
    this.clear()
    this.#messageId = messageId
    this.#parts = new Array<Uint8Array | undefined>(total).fill(undefined)
  }
}
