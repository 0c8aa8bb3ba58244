/** EAP-TLS's own framing (RFC 5216 sections 2.1.5, 3.1): TLS messages in pieces that EAP can carry. */
import { concatBytes, readUint32, writeUint32 } from '../../base/index.js'

export const TlsFlag = { length: 0x80, more: 0x40, start: 0x20 } as const

/** Bytes of one TLS message, either way: RFC 5216 section 2.1.5 lets one say so, and chains are far smaller. */
export const TLS_MESSAGE_MAX = 65_536
/** Of TLS in one packet: with what stands before it no longer than every peer takes (RFC 3748 section 3.1). */
export const TLS_FRAGMENT = 1_000

/** What was in a packet. `ack`: nothing, as an answer to a fragment of ours or to our last word. */
export type TlsFrame =
  | { readonly kind: 'start' }
  | { readonly kind: 'ack' }
  | { readonly kind: 'more' }
  | { readonly kind: 'message'; readonly data: Uint8Array }
  | { readonly kind: 'refused'; readonly reason: string }

export class TlsFrames {
  #incoming: Uint8Array[] = []
  #received = 0
  /** What the first fragment has said of all of them: kept to be held against, nothing is reserved for it. */
  #claimed: number | undefined
  #outgoing: Uint8Array | undefined
  #sent = 0

  /** The data of an EAP packet of type 13. */
  take(data: Uint8Array): TlsFrame {
    const flags = data[0]
    if (flags === undefined) return refused('a TLS packet without flags')
    const hasLength = (flags & TlsFlag.length) !== 0
    const more = (flags & TlsFlag.more) !== 0
    if (hasLength && data.length < 5) return refused('a TLS length that is none')
    const piece = data.subarray(hasLength ? 5 : 1)
    if ((flags & TlsFlag.start) !== 0)
      return piece.length === 0 && !more && this.#received === 0
        ? { kind: 'start' }
        : refused('a start with more in it')
    const first = this.#received === 0
    // RFC 5216 section 2.1.5: the first of several says how long they are together.
    if (first && more && !hasLength) return refused('a first fragment of TLS without a length')
    if (hasLength) {
      const length = readUint32(data, 1)
      if (length > TLS_MESSAGE_MAX) return refused(`a TLS message of ${length} bytes`)
      if (this.#claimed !== undefined && this.#claimed !== length)
        return refused('two lengths of one TLS message')
      this.#claimed = length
    }
    if (piece.length === 0) {
      if (first && !more && (this.#claimed ?? 0) === 0) {
        this.#claimed = undefined
        return { kind: 'ack' }
      }
      // Each has to bring the end nearer.
      return refused('an empty fragment of TLS')
    }
    this.#received += piece.length
    if (this.#received > (this.#claimed ?? TLS_MESSAGE_MAX))
      return refused('more of a TLS message than was said')
    this.#incoming.push(Uint8Array.from(piece))
    if (more) return { kind: 'more' }
    if (this.#claimed !== undefined && this.#received !== this.#claimed)
      return refused('less of a TLS message than was said')
    const message = concatBytes(...this.#incoming)
    this.#incoming = []
    this.#received = 0
    this.#claimed = undefined
    return { kind: 'message', data: message }
  }

  /** Takes a message to be sent; `next` gives it piece by piece. */
  load(message: Uint8Array): void {
    this.#outgoing = message
    this.#sent = 0
  }

  /** There is more of it than has been given. */
  get isSending(): boolean {
    return this.#outgoing !== undefined
  }

  /** The data of the next packet. */
  next(): Uint8Array {
    const message = this.#outgoing ?? new Uint8Array(0)
    const from = this.#sent
    const piece = message.subarray(from, from + TLS_FRAGMENT)
    this.#sent += piece.length
    const more = this.#sent < message.length
    if (!more) this.#outgoing = undefined
    const head = from === 0 && more ? 5 : 1
    const data = new Uint8Array(head + piece.length)
    data[0] = (head === 5 ? TlsFlag.length : 0) | (more ? TlsFlag.more : 0)
    if (head === 5) writeUint32(data, 1, message.length)
    data.set(piece, head)
    return data
  }
}

const refused = (reason: string): TlsFrame => ({ kind: 'refused', reason })

/** No TLS in it, and nothing more to come. */
export const TLS_ACK: Uint8Array = Uint8Array.of(0)
export const TLS_START: Uint8Array = Uint8Array.of(TlsFlag.start)
