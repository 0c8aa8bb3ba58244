/**
 * TLS as EAP-TLS needs it (RFC 5216, RFC 9190): no sockets, flights in, flights out, and keys out of it. A library does the
 * work in its own time, so what it has to say is fetched: `wake` says that there is something.
 *
 * Every conversation is a full handshake with certificates at both ends, in TLS 1.2 or 1.3. Whether a certificate is
 * to be trusted is not asked here: whoever uses the conversation checks what the peer has shown.
 */
import type { PrivateKey } from './signature.js'

export interface TlsOptions {
  readonly role: 'client' | 'server'
  readonly key: PrivateKey
  /** Ours, DER, our own first. */
  readonly certificates: readonly Uint8Array[]
  /** DER: whom a server tells its client that it trusts (RFC 8446 section 4.2.4). */
  readonly authorities: readonly Uint8Array[]
  /** Absent: 1.3. */
  readonly maxVersion?: TlsVersion
  /** `poll` has something; may be called while `start`, `receive` or `send` is. */
  readonly wake: () => void
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

export type TlsNews =
  /** Bytes for the peer: a whole flight, or a part of one that others follow at once. */
  | { readonly kind: 'bytes'; readonly data: Uint8Array }
  /** The peer has the keys. `certificates`: what it has shown, DER, its own first; none: it has shown none. */
  | {
      readonly kind: 'established'
      readonly version: TlsVersion
      readonly certificates: readonly Uint8Array[]
    }
  /** Application data of the peer. */
  | { readonly kind: 'data'; readonly data: Uint8Array }
  /** All that `send` was given has come out as bytes. */
  | { readonly kind: 'sent' }
  /** It is over; an alert may have come out as bytes before. */
  | { readonly kind: 'failed'; readonly reason: string }

export interface TlsConversation {
  /** A client's first flight; a server waits for it. */
  start(): void
  /** Bytes of the peer. */
  receive(bytes: Uint8Array): void
  /** Application data, once it is established. */
  send(data: Uint8Array): void
  /** Key material (RFC 5705, RFC 8446 section 7.5), once it is established. */
  export(label: string, context: Uint8Array | undefined, length: number): Uint8Array
  poll(): TlsNews | undefined
  /** Forgets everything; nothing is said any more. */
  close(): void
}

export interface TlsEngine {
  open(options: TlsOptions): TlsConversation
}
