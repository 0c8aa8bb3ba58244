/** EAP-TLS as the server: RFC 5216 section 2.1, RFC 9190 section 2.1. */
import type { Random } from '../../base/index.js'
import { broken, type EapLimits, type EapRefusal, type EapServer, type EapStep } from './eap-method.js'
import { EapCode, type EapPacket, EapType, emitEap, parseEap } from './eap-packet.js'
import { TLS_LIMITS, TlsTalk, type TlsUse } from './eap-tls.js'
import { tlsFailed } from './eap-tls-client.js'
import { TLS_ACK, TLS_START, TlsFrames } from './eap-tls-frames.js'
import type { Identity } from './identity.js'

export interface EapTlsServerOptions extends TlsUse {
  readonly random: Random
  /** Who the client is by what it has shown; `name`: who it has said to EAP that it is. */
  identify(certificates: readonly Uint8Array[], name: Uint8Array): Identity | EapRefusal
}

/** Names that a client may say. */
const NAME_MAX = 256

export class EapTlsServer implements EapServer {
  readonly limits: EapLimits = TLS_LIMITS
  readonly #options: EapTlsServerOptions
  readonly #frames = new TlsFrames()
  #identifier: number
  #state: 'identity' | 'tls' | 'refused' | 'over' = 'identity'
  #name: Uint8Array = new Uint8Array(0)
  #talk: TlsTalk | undefined
  #waiting = false
  #identity: Identity | undefined
  /** TLS has nothing more to say behind what is being sent. */
  #said = false
  #refusal: EapRefusal | undefined

  constructor(options: EapTlsServerOptions) {
    this.#options = options
    this.#identifier = options.random.below(256)
  }

  start(): Uint8Array {
    return this.#ask(EapType.identity, new Uint8Array(0))
  }

  #ask(type: number, data: Uint8Array): Uint8Array {
    this.#identifier = (this.#identifier + 1) & 0xff
    return emitEap({ code: EapCode.request, identifier: this.#identifier, type, data })
  }

  receive(bytes: Uint8Array): EapStep {
    const packet = parseEap(bytes)
    if (this.#state === 'over') return broken('a packet after the end')
    // RFC 3748 section 4.1: an answer has the number of its request.
    if (packet?.code !== EapCode.response || packet.identifier !== this.#identifier || this.#waiting)
      return this.#refuse(broken('an answer that is none'))
    // RFC 5216 section 2.1.3: it has seen the alert.
    if (this.#state === 'refused' && !this.#frames.isSending) return this.#refuse(this.#refusal!)
    if (packet.type === EapType.nak)
      return this.#refuse({
        reason: `EAP: the peer wants method ${packet.data[0] ?? 'none'}, the policy has tls`,
        mend: 'write EAP-TLS at the peer',
      })
    if (packet.type === EapType.identity && this.#state === 'identity') {
      this.#name = Uint8Array.from(packet.data.subarray(0, NAME_MAX))
      this.#state = 'tls'
      return { kind: 'send', data: this.#ask(EapType.tls, TLS_START) }
    }
    return packet.type === EapType.tls && this.#state !== 'identity'
      ? this.#frame(packet)
      : this.#refuse(broken('an answer out of its turn'))
  }

  #frame({ data }: EapPacket): EapStep {
    const frame = this.#frames.take(data)
    if (frame.kind === 'refused') return this.#refuse(broken(frame.reason))
    if (frame.kind === 'start') return this.#refuse(broken('a start from a client'))
    if (this.#frames.isSending)
      return frame.kind === 'ack' ? this.#send(this.#frames.next()) : this.#refuse(broken('TLS in between'))
    if (this.#said) return this.#conclude(frame.kind)
    if (frame.kind === 'more') return { kind: 'send', data: this.#ask(EapType.tls, TLS_ACK) }
    if (frame.kind === 'ack') return this.#refuse(broken('an answer with nothing in it'))
    this.#talk ??= new TlsTalk('server', this.#options)
    this.#talk.receive(frame.data)
    this.#waiting = true
    return { kind: 'wait' }
  }

  /** The client has heard the last of TLS. An alert in its place: it does not like what it has heard. */
  #conclude(kind: 'ack' | 'more' | 'message'): EapStep {
    const talk = this.#talk!
    talk.hear()
    if (kind !== 'ack' || talk.failure !== undefined)
      return this.#refuse({
        reason: 'EAP: TLS: the peer breaks it off at its end',
        mend: 'look at the peer’s log: it may not trust our certificate',
      })
    const msk = talk.masterSessionKey()
    const data = emitEap({ code: EapCode.success, identifier: this.#identifier, data: new Uint8Array(0) })
    this.#state = 'over'
    this.close()
    return { kind: 'done', msk, identity: this.#identity!, data }
  }

  resume(): EapStep | undefined {
    const talk = this.#talk
    if (!this.#waiting || talk === undefined) return undefined
    talk.hear()
    if (talk.failure !== undefined) return this.#failed(talk, talk.failure)
    const { established } = talk
    if (established !== undefined && this.#identity === undefined) {
      const who = this.#options.identify(established.certificates, this.#name)
      if ('reason' in who) return this.#refuse(who)
      this.#identity = who
      if (established.version === 'TLSv1.3') talk.commit()
      // What it says in return may be there at once.
      talk.hear()
    }
    const isWhole = established === undefined || established.version === 'TLSv1.2' || talk.committed
    if (!talk.hasOutput || !isWhole) return undefined
    this.#said = established !== undefined
    this.#waiting = false
    this.#frames.load(talk.takeOutput())
    return this.#send(this.#frames.next())
  }

  #send(data: Uint8Array): EapStep {
    const refusal = this.#state === 'refused' ? this.#refusal : undefined
    return { kind: 'send', data: this.#ask(EapType.tls, data), ...(refusal === undefined ? {} : { refusal }) }
  }

  /** Our alert goes first, if there is one; the peer's needs no answer. */
  #failed(talk: TlsTalk, failure: string): EapStep {
    const refusal = tlsFailed(failure)
    if (!talk.hasOutput) return this.#refuse(refusal)
    this.#state = 'refused'
    this.#refusal = refusal
    this.#waiting = false
    this.#frames.load(talk.takeOutput())
    return this.#send(this.#frames.next())
  }

  #refuse({ reason, mend }: EapRefusal): EapStep {
    this.#state = 'over'
    this.close()
    const data = emitEap({ code: EapCode.failure, identifier: this.#identifier, data: new Uint8Array(0) })
    return { kind: 'failed', reason, mend, data }
  }

  close(): void {
    this.#waiting = false
    this.#talk?.close()
  }
}
