/** EAP-TLS as the client: RFC 5216 section 2.1, RFC 9190 section 2.1. */
import { broken, type EapClient, type EapLimits, type EapRefusal, type EapStep } from './eap-method.js'
import { EapCode, type EapPacket, EapType, emitEap, parseEap } from './eap-packet.js'
import { TLS_LIMITS, TlsTalk, type TlsUse } from './eap-tls.js'
import { TLS_ACK, TlsFrames } from './eap-tls-frames.js'

export interface EapTlsClientOptions extends TlsUse {
  /** Who we are, as EAP says it. */
  readonly name: Uint8Array
  /** What is wrong with what the server has shown. */
  check(certificates: readonly Uint8Array[]): EapRefusal | undefined
}

export class EapTlsClient implements EapClient {
  readonly limits: EapLimits = TLS_LIMITS
  readonly #options: EapTlsClientOptions
  readonly #frames = new TlsFrames()
  #talk: TlsTalk | undefined
  /** Of the request that is to be answered. */
  #identifier = 0
  #waiting = false
  /** The server's certificate has been looked at. */
  #checked = false
  #over = false

  constructor(options: EapTlsClientOptions) {
    this.#options = options
  }

  receive(bytes: Uint8Array): EapStep {
    const packet = parseEap(bytes)
    if (this.#over) return broken('a packet after the end')
    if (packet === undefined || this.#waiting) return this.#end(broken('a packet that is none'))
    switch (packet.code) {
      case EapCode.success:
        return this.#success()
      case EapCode.failure:
        this.#talk?.hear()
        if (this.#talk?.failure !== undefined)
          return this.#end({ kind: 'failed', ...tlsFailed(this.#talk.failure) })
        return this.#end({
          kind: 'failed',
          reason: `EAP: the server refuses${this.#talk === undefined ? '' : ' what TLS has shown it'}`,
          mend: 'look whether it trusts our certificate, and at its log',
        })
      case EapCode.request:
        this.#identifier = packet.identifier
        return this.#request(packet)
      default:
        return this.#end(broken('a response from a server'))
    }
  }

  /** CVE-2021-45079: success is one only behind the server's last word in TLS (RFC 9190 section 2.5). */
  #success(): EapStep {
    const talk = this.#talk
    talk?.hear()
    const isEnd = talk !== undefined && this.#checked && !talk.hasOutput && !this.#frames.isSending
    if (!isEnd) return this.#end(broken('success before the server has proved who it is'))
    if (talk.established?.version === 'TLSv1.3' && !talk.committed)
      return this.#end({
        kind: 'failed',
        reason: 'EAP: TLS: success without the commitment of RFC 9190',
        mend: 'let the server speak TLS 1.2: its TLS 1.3 is older than RFC 9190 (strongSwan 5.9.8)',
      })
    // It has said something behind its promise, or broken off.
    if (talk.failure !== undefined) return this.#end(broken(`TLS: ${talk.failure}`))
    const msk = talk.masterSessionKey()
    return this.#end({ kind: 'done', msk })
  }

  #request({ type, data }: EapPacket): EapStep {
    switch (type) {
      case EapType.identity:
        return this.#answer(EapType.identity, this.#options.name)
      case EapType.notification:
        return this.#answer(EapType.notification, new Uint8Array(0))
      case EapType.tls:
        return this.#frame(data)
      default:
        return this.#answer(EapType.nak, Uint8Array.of(EapType.tls))
    }
  }

  #frame(data: Uint8Array): EapStep {
    const frame = this.#frames.take(data)
    const talk = this.#talk
    if (frame.kind === 'refused') return this.#end(broken(frame.reason))
    if (frame.kind === 'start') {
      if (talk !== undefined) return this.#end(broken('a second start of TLS'))
      this.#talk = new TlsTalk('client', this.#options)
      return this.#wait()
    }
    if (talk === undefined) return this.#end(broken('TLS before its start'))
    if (this.#frames.isSending)
      return frame.kind === 'ack'
        ? this.#answer(EapType.tls, this.#frames.next())
        : this.#end(broken('TLS in between'))
    if (frame.kind === 'more') return this.#answer(EapType.tls, TLS_ACK)
    if (frame.kind === 'ack') return this.#end(broken('a request with nothing in it'))
    talk.receive(frame.data)
    return this.#wait()
  }

  #wait(): EapStep {
    this.#waiting = true
    return { kind: 'wait' }
  }

  resume(): EapStep | undefined {
    const talk = this.#talk
    if (!this.#waiting || talk === undefined) return undefined
    talk.hear()
    const { established, failure } = talk
    if (failure === undefined && established !== undefined && !this.#checked) {
      const wrong = this.#options.check(established.certificates)
      if (wrong !== undefined) return this.#end({ kind: 'failed', ...wrong })
      this.#checked = true
    }
    // An alert says to the server what we say to our own log.
    if (failure !== undefined)
      return this.#end({
        kind: 'failed',
        ...tlsFailed(failure),
        ...(talk.hasOutput ? { data: this.#packet(EapType.tls, this.#flight(talk)) } : {}),
      })
    if (talk.hasOutput) {
      this.#waiting = false
      return this.#answer(EapType.tls, this.#flight(talk))
    }
    // The server's last word: Finished, or behind it in TLS 1.3 its promise.
    if (established?.version !== 'TLSv1.2' && !talk.committed) return undefined
    this.#waiting = false
    return this.#answer(EapType.tls, TLS_ACK)
  }

  #flight(talk: TlsTalk): Uint8Array {
    this.#frames.load(talk.takeOutput())
    return this.#frames.next()
  }

  #packet(type: number, data: Uint8Array): Uint8Array {
    return emitEap({ code: EapCode.response, identifier: this.#identifier, type, data })
  }

  #answer(type: number, data: Uint8Array): EapStep {
    return { kind: 'send', data: this.#packet(type, data) }
  }

  #end<Step extends EapStep>(step: Step): Step {
    this.#over = true
    this.close()
    return step
  }

  close(): void {
    this.#waiting = false
    this.#talk?.close()
  }
}

/** In OpenSSL's words for what went wrong, ours for what to do. */
export function tlsFailed(reason: string): EapRefusal {
  const mend = /unknown ca|certificate|bad cert/i.test(reason)
    ? 'look whether each side has the authority that issued the other’s certificate'
    : /version|protocol/i.test(reason)
      ? 'let the peer speak TLS 1.2 or 1.3'
      : 'compare the TLS settings of both sides'
  return { reason: `EAP: TLS: ${reason.replace(/[^\x20-\x7e]/g, '?')}`, mend }
}
