/**
 * EAP-TLS inside IKE_AUTH: RFC 5216 with TLS 1.2, RFC 9190 with TLS 1.3. What both ends have in common: the TLS
 * conversation, what it has come to, and the key that it gives.
 */
import { wipe } from '../../crypto/index.js'
import type { TlsConversation, TlsEngine, TlsOptions, TlsVersion } from '../../crypto/tls.js'
import type { EapLimits } from './eap-method.js'
import { TLS_FRAGMENT, TLS_MESSAGE_MAX } from './eap-tls-frames.js'

/** Each way a chain and its signature, in fragments; and a handful of packets around them. */
export const TLS_LIMITS: EapLimits = {
  rounds: 2 * Math.ceil(TLS_MESSAGE_MAX / TLS_FRAGMENT) + 16,
  length: 4_096,
}

const encoder = new TextEncoder()
/** RFC 5216 section 2.3, RFC 9190 section 2.3. */
const LABELS: Readonly<Record<TlsVersion, { readonly label: string; readonly context?: Uint8Array }>> = {
  'TLSv1.2': { label: 'client EAP encryption' },
  'TLSv1.3': { label: 'EXPORTER_EAP_TLS_Key_Material', context: Uint8Array.of(0x0d) },
}
const KEY_LENGTH = 128
const MSK_LENGTH = 64
/** RFC 9190 section 2.5: the server's promise that it says no more in TLS, so that nobody can put a success before it. */
export const COMMITMENT: Uint8Array = Uint8Array.of(0)

/** What we show of ourselves, and whom we trust. */
export type TlsIdentity = Pick<TlsOptions, 'key' | 'certificates' | 'authorities'>

export interface TlsUse {
  readonly engine: TlsEngine
  readonly own: TlsIdentity
  /** `resume` may have something to say. */
  readonly wake: () => void
}

/** What TLS has said since it was last looked at. */
export class TlsTalk {
  readonly #conversation: TlsConversation
  readonly #isClient: boolean
  #out: Uint8Array[] = []
  #outLength = 0
  established: { readonly version: TlsVersion; readonly certificates: readonly Uint8Array[] } | undefined
  /** The server's promise has come, or gone out. */
  committed = false
  failure: string | undefined
  #closed = false

  constructor(role: TlsOptions['role'], { engine, own, wake }: TlsUse) {
    this.#isClient = role === 'client'
    this.#conversation = engine.open({ ...own, role, wake })
    this.#conversation.start()
  }

  receive(bytes: Uint8Array): void {
    this.#conversation.receive(bytes)
  }

  commit(): void {
    this.#conversation.send(COMMITMENT)
  }

  /** Takes in what there is of news. */
  hear(): void {
    for (let news = this.#conversation.poll(); news !== undefined; news = this.#conversation.poll())
      switch (news.kind) {
        case 'bytes':
          this.#outLength += news.data.length
          if (this.#outLength > TLS_MESSAGE_MAX) this.failure ??= 'a flight of our own that is too long'
          else this.#out.push(news.data)
          break
        case 'established':
          this.established = news
          break
        case 'sent':
          this.committed = true
          break
        case 'data':
          // Nothing else is ever said in it.
          if (
            this.#isClient &&
            this.established?.version === 'TLSv1.3' &&
            !this.committed &&
            isCommitment(news.data)
          )
            this.committed = true
          else this.failure ??= 'application data that is none of EAP-TLS'
          break
        case 'failed':
          this.failure ??= news.reason
          break
      }
  }

  get hasOutput(): boolean {
    return this.#outLength > 0
  }

  /** The flight, whole; it is gone from here. */
  takeOutput(): Uint8Array {
    const flight = new Uint8Array(this.#outLength)
    let at = 0
    for (const part of this.#out) {
      flight.set(part, at)
      at += part.length
    }
    this.#out = []
    this.#outLength = 0
    return flight
  }

  /** The first half of what TLS gives; the other is of no use here (RFC 5216 section 2.3: EMSK). */
  masterSessionKey(): Uint8Array {
    const { label, context } = LABELS[this.established!.version]
    const key = this.#conversation.export(label, context, KEY_LENGTH)
    const msk = Uint8Array.from(key.subarray(0, MSK_LENGTH))
    wipe(key)
    return msk
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#conversation.close()
  }
}

const isCommitment = (data: Uint8Array): boolean => data.length === 1 && data[0] === COMMITMENT[0]

/** What EAP calls somebody: text, that of an identity of IKE without its kind. */
export const eapName = (shown: string): Uint8Array => encoder.encode(shown.slice(shown.indexOf('/') + 1))
