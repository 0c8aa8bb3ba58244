/** A TLS of a few words, for tests of EAP-TLS: who says what when is the test's to choose. */
import type { TlsConversation, TlsEngine, TlsNews, TlsOptions, TlsVersion } from '../../crypto/index.js'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export interface FakeTlsOptions {
  readonly version?: TlsVersion
  /** Of each flight. */
  readonly length?: number
  /** What a side shows, DER. */
  readonly shown?: readonly Uint8Array[]
  /** News waits until `turn` is called. */
  readonly late?: boolean
  /** What a flight is answered with, in the place of what would be. */
  readonly answer?: (role: TlsOptions['role'], said: string) => readonly TlsNews[] | undefined
}

const flight = (word: string, length: number): Uint8Array => {
  const bytes = new Uint8Array(Math.max(length, word.length + 1))
  bytes.set(encoder.encode(word))
  return bytes
}

export class FakeTls implements TlsEngine {
  readonly conversations: FakeConversation[] = []
  readonly options: FakeTlsOptions

  constructor(options: FakeTlsOptions = {}) {
    this.options = options
  }

  open(options: TlsOptions): TlsConversation {
    const conversation = new FakeConversation(options, this.options)
    this.conversations.push(conversation)
    return conversation
  }

  /** What has been held back comes. */
  turn(): void {
    for (const conversation of this.conversations) conversation.turn()
  }
}

export class FakeConversation implements TlsConversation {
  readonly exported: { readonly label: string; readonly context: Uint8Array | undefined }[] = []
  closed = false
  readonly #options: TlsOptions
  readonly #fake: FakeTlsOptions
  #held: TlsNews[] = []
  readonly #news: TlsNews[] = []

  constructor(options: TlsOptions, fake: FakeTlsOptions) {
    this.#options = options
    this.#fake = fake
  }

  start(): void {
    if (this.#options.role === 'client') this.tell([this.#bytes('hello')])
  }

  receive(bytes: Uint8Array): void {
    const said = decoder.decode(bytes.subarray(0, Math.max(0, bytes.indexOf(0))))
    this.tell(this.#fake.answer?.(this.#options.role, said) ?? this.#answerTo(said))
  }

  #bytes(word: string): TlsNews {
    return { kind: 'bytes', data: flight(word, this.#fake.length ?? 0) }
  }

  #answerTo(said: string): TlsNews[] {
    const { version = 'TLSv1.2', shown = [] } = this.#fake
    const established: TlsNews = { kind: 'established', version, certificates: shown }
    const isNew = version === 'TLSv1.3'
    switch (said) {
      case 'hello':
        return [this.#bytes('server')]
      case 'server':
        return isNew ? [established, this.#bytes('client')] : [this.#bytes('client')]
      case 'client':
        return isNew ? [established] : [established, this.#bytes('finished')]
      case 'finished':
        return [established]
      case 'committed':
        return [{ kind: 'data', data: Uint8Array.of(0) }]
      default:
        return [{ kind: 'failed', reason: `what is ${said}` }]
    }
  }

  send(data: Uint8Array): void {
    this.tell(data.length === 1 && data[0] === 0 ? [this.#bytes('committed'), { kind: 'sent' }] : [])
  }

  export(label: string, context: Uint8Array | undefined, length: number): Uint8Array {
    this.exported.push({ label, context })
    return flight(label, length)
  }

  tell(news: readonly TlsNews[]): void {
    this.#held.push(...news)
    if (this.#fake.late !== true) this.turn()
  }

  turn(): void {
    if (this.#held.length === 0 || this.closed) return
    this.#news.push(...this.#held)
    this.#held = []
    this.#options.wake()
  }

  poll(): TlsNews | undefined {
    return this.#news.shift()
  }

  close(): void {
    this.closed = true
  }
}
