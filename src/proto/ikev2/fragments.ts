/**
 * The fragments of one message (RFC 7383 section 2.6). Only authentic ones come here, so a stranger fills nothing; a peer
 * may fill up to the limits. Putting one in costs the same whatever the order (CVE-2016-10396).
 */

/** Fragments of a message. */
export const FRAGMENT_LIMIT = 128
/** Bytes of a message: what a certificate chain needs, and more. */
export const FRAGMENTED_BYTES_LIMIT: number = 256 * 1024
/** Of a peer that has not proved who it is: what a datagram could hold, which the largest chains do not need. */
export const UNPROVED_BYTES_LIMIT: number = 64 * 1024
/** All peers together that have not proved who they are. */
export const UNPROVED_BUDGET: number = 4 * 1024 * 1024

export interface Assembled {
  /** Type of the first payload inside. */
  readonly first: number
  readonly plain: Uint8Array
}

/**
 * What is kept of messages whose senders have not proved who they are, however many of them there are. Whoever means it has
 * sent the whole message within a moment; so where there is no more room, the one that was begun first goes.
 */
export class FragmentBudget {
  readonly #limit: number
  /** Bytes of each message, the first that was begun in front. */
  readonly #held = new Map<Reassembly, number>()
  #used = 0

  constructor(limit: number = UNPROVED_BUDGET) {
    this.#limit = limit
  }

  get used(): number {
    return this.#used
  }

  take(holder: Reassembly, bytes: number): void {
    this.#used += bytes
    this.#held.set(holder, (this.#held.get(holder) ?? 0) + bytes)
    for (const [oldest] of this.#held) {
      if (this.#used <= this.#limit) return
      if (oldest !== holder) oldest.clear()
    }
  }

  give(holder: Reassembly): void {
    this.#used -= this.#held.get(holder) ?? 0
    this.#held.delete(holder)
  }
}

export class Reassembly {
  #budget: FragmentBudget | undefined
  #messageId = -1
  #parts: (Uint8Array | undefined)[] = []
  #have = 0
  #bytes = 0
  #first = 0

  /**
   * Takes a decrypted fragment; gives the message when it was the last that was missing, 'more' while some are, or the
   * reason why it is dropped. `budget`: of a sender that has not proved who it is.
   */
  add(
    messageId: number,
    number: number,
    total: number,
    first: number,
    plain: Uint8Array,
    budget?: FragmentBudget,
  ): Assembled | 'more' | { readonly dropped: string } {
    if (total > FRAGMENT_LIMIT) return { dropped: 'ike.fragment.count' }
    // RFC 7383 section 2.6: a sender that learnt a smaller MTU begins anew with more; fewer are of before.
    if (messageId !== this.#messageId || total > this.#parts.length) this.#begin(messageId, total)
    else if (total < this.#parts.length) return { dropped: 'ike.fragment.total' }
    if (this.#parts[number - 1] !== undefined) return { dropped: 'ike.fragment.duplicate' }
    const limit = budget === undefined ? FRAGMENTED_BYTES_LIMIT : UNPROVED_BYTES_LIMIT
    if (this.#bytes + plain.length > limit) return { dropped: 'ike.fragment.bytes' }
    if (budget !== undefined) {
      this.#budget = budget
      budget.take(this, plain.length)
    }
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
    this.#budget?.give(this)
    this.#budget = undefined
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
