/**
 * EAP-MSCHAPv2 inside IKE_AUTH (RFC 7296 section 2.16): a small machine for each end. Both are to be used only with a server
 * that has proved itself by a certificate: whoever has the messages of this method finds the password by trying.
 */
import type { Random } from '../../base/index.js'
import { constantTimeEqual } from '../../crypto/index.js'
import { broken, type EapClient, type EapLimits, type EapServer, type EapStep } from './eap-method.js'
import {
  EapCode,
  type EapPacket,
  EapType,
  emitEap,
  emitMschap,
  type MschapMessage,
  OpCode,
  parseEap,
  parseMschap,
} from './eap-packet.js'
import {
  authenticatorResponse,
  challengeHash,
  challengeResponse,
  masterSessionKey,
  passwordHash,
} from './mschapv2.js'

/** Its exchanges are 4, its packets some hundred bytes. */
export const MSCHAP_LIMITS: EapLimits = { rounds: 20, length: 2048 }
const CHALLENGE_LENGTH = 16
/** Peer's challenge, 8 reserved, response, flags. */
const RESPONSE_LENGTH = 49
/** RFC 2759 section 4: as long as names may be. */
const NAME_MAX = 256

/** RFC 2759 section 6. */
const ERRORS: Readonly<Record<string, string>> = {
  646: 'not at this hour',
  647: 'the account is disabled',
  648: 'the password has expired',
  649: 'the account may not dial in',
  691: 'wrong user or password',
  709: 'the password could not be changed',
}

/** What a server says, with the meaning of its number, and without the challenge for another try. */
const refusalOf = (said: string): string =>
  said
    .replace(/ C=[0-9A-Fa-f]{32}(?= |$)/, '')
    .replace(/^E=(\d+) R=[01]/, (text, code: string) => (code in ERRORS ? `${text} (${ERRORS[code]})` : text))

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const latin1 = new TextDecoder('latin1')

const valueAndName = (value: Uint8Array, name: string): Uint8Array => {
  const encoded = encoder.encode(name)
  const data = new Uint8Array(1 + value.length + encoded.length)
  data[0] = value.length
  data.set(value, 1)
  data.set(encoded, 1 + value.length)
  return data
}

export interface EapClientOptions {
  readonly userName: string
  readonly password: string
  readonly random: Random
}

export class EapMschapv2Client implements EapClient {
  readonly limits: EapLimits = MSCHAP_LIMITS
  readonly #options: EapClientOptions
  #state: 'waiting' | 'answered' | 'proved' | 'over' = 'waiting'
  /** What the server has to answer. */
  #expected: { readonly proof: string; readonly msk: Uint8Array } | undefined

  constructor(options: EapClientOptions) {
    this.#options = options
  }

  /** The EAP payload of the server. */
  receive(bytes: Uint8Array): EapStep {
    const packet = parseEap(bytes)
    if (packet === undefined) return this.#over(broken('a packet that is none'))
    switch (packet.code) {
      case EapCode.success:
        // CVE-2021-45079: success before the server has proved itself is none.
        return this.#state === 'proved'
          ? this.#over({ kind: 'done', msk: this.#expected!.msk, userName: this.#options.userName })
          : this.#over(broken('success before the server has proved that it knows the password'))
      case EapCode.failure:
        return this.#over({
          kind: 'failed',
          reason: 'EAP: the server refuses',
          mend: 'compare user and password with the server’s',
        })
      case EapCode.request:
        return this.#state === 'over' ? broken('a request after the end') : this.#request(packet)
      default:
        return this.#over(broken('a response from a server'))
    }
  }

  #over<Step extends EapStep>(step: Step): Step {
    this.#state = 'over'
    return step
  }

  #request({ identifier, type, data }: EapPacket): EapStep {
    const answer = (answerType: number, content: Uint8Array): EapStep => ({
      kind: 'send',
      data: emitEap({ code: EapCode.response, identifier, type: answerType, data: content }),
    })
    switch (type) {
      case EapType.identity:
        return answer(EapType.identity, encoder.encode(this.#options.userName))
      case EapType.notification:
        return answer(EapType.notification, new Uint8Array(0))
      case EapType.mschapv2: {
        const message = parseMschap(data)
        return message === undefined
          ? this.#over(broken('a message that is none'))
          : this.#message(message, answer)
      }
      default:
        // RFC 3748 section 5.3.1: what we would speak.
        return answer(EapType.nak, Uint8Array.of(EapType.mschapv2))
    }
  }

  #message(
    { opCode, identifier, data }: MschapMessage,
    answer: (type: number, content: Uint8Array) => EapStep,
  ): EapStep {
    switch (opCode) {
      case OpCode.challenge:
        return this.#state === 'proved'
          ? this.#over(broken('a challenge after success'))
          : this.#challenge(identifier, data, answer)
      case OpCode.success: {
        const said = data.subarray(0, 42)
        const expected = encoder.encode(this.#expected?.proof ?? '')
        if (this.#state !== 'answered' || said.length !== 42 || !constantTimeEqual(said, 0, expected, 0, 42))
          return this.#over({
            kind: 'failed',
            reason: 'EAP: the server does not know the password',
            mend: 'look whom you speak to: it took the answer without knowing what it has to be',
          })
        this.#state = 'proved'
        return answer(EapType.mschapv2, Uint8Array.of(OpCode.success))
      }
      case OpCode.failure: {
        this.#state = 'over'
        // What it says is for people: what cannot be printed is not.
        const said = refusalOf(latin1.decode(data.subarray(0, NAME_MAX)).replace(/[^\x20-\x7e]/g, '?'))
        const step = answer(EapType.mschapv2, Uint8Array.of(OpCode.failure))
        return {
          kind: 'failed',
          reason: `EAP: the server refuses: ${said}`,
          mend: 'compare user and password with the server’s',
          ...('data' in step && step.data !== undefined ? { data: step.data } : {}),
        }
      }
      default:
        return this.#over(broken('a response from a server'))
    }
  }

  #challenge(
    identifier: number,
    data: Uint8Array,
    answer: (type: number, content: Uint8Array) => EapStep,
  ): EapStep {
    if (data[0] !== CHALLENGE_LENGTH || data.length < 1 + CHALLENGE_LENGTH)
      return this.#over(broken('a challenge that is none'))
    const { userName, password, random } = this.#options
    const peerChallenge = random.fill(new Uint8Array(CHALLENGE_LENGTH))
    const hash = passwordHash(password)
    const challenge = challengeHash(peerChallenge, data.subarray(1, 1 + CHALLENGE_LENGTH), userName)
    const response = challengeResponse(challenge, hash)
    this.#expected = {
      proof: authenticatorResponse(hash, response, challenge),
      msk: masterSessionKey(hash, response),
    }
    hash.fill(0)
    this.#state = 'answered'
    const value = new Uint8Array(RESPONSE_LENGTH)
    value.set(peerChallenge)
    value.set(response, 24)
    return answer(
      EapType.mschapv2,
      emitMschap({ opCode: OpCode.response, identifier, data: valueAndName(value, userName) }),
    )
  }
}

export interface EapServerOptions {
  /** How the server calls itself. */
  readonly name: string
  /** Undefined: there is no such user. */
  password(userName: string): string | undefined
  readonly random: Random
}

export class EapMschapv2Server implements EapServer {
  readonly limits: EapLimits = MSCHAP_LIMITS
  readonly #options: EapServerOptions
  readonly #challenge: Uint8Array
  #identifier: number
  #state: 'identity' | 'challenge' | 'success' | 'failure' | 'over' = 'identity'
  #proved: { readonly msk: Uint8Array; readonly userName: string } | undefined

  constructor(options: EapServerOptions) {
    this.#options = options
    this.#challenge = options.random.fill(new Uint8Array(CHALLENGE_LENGTH))
    this.#identifier = options.random.below(256)
  }

  /** The first EAP payload. `identity`: asks who it is, as iked does; IDi may have said it. */
  start(identity = true): Uint8Array {
    if (identity) return this.#ask(EapType.identity, new Uint8Array(0))
    return this.#sendChallenge()
  }

  #ask(type: number, data: Uint8Array): Uint8Array {
    this.#identifier = (this.#identifier + 1) & 0xff
    return emitEap({ code: EapCode.request, identifier: this.#identifier, type, data })
  }

  #sendChallenge(): Uint8Array {
    this.#state = 'challenge'
    return this.#askMschap(OpCode.challenge, valueAndName(this.#challenge, this.#options.name))
  }

  #askMschap(opCode: number, data: Uint8Array): Uint8Array {
    const identifier = (this.#identifier + 1) & 0xff
    return this.#ask(EapType.mschapv2, emitMschap({ opCode, identifier, data }))
  }

  /** The EAP payload of the client. */
  receive(bytes: Uint8Array): EapStep {
    const packet = parseEap(bytes)
    if (this.#state === 'over') return broken('a packet after the end')
    // RFC 3748 section 4.1: an answer has the number of its request.
    if (packet?.code !== EapCode.response || packet.identifier !== this.#identifier)
      return this.#refuse(broken('an answer that is none'))
    if (packet.type === EapType.identity && this.#state === 'identity')
      return { kind: 'send', data: this.#sendChallenge() }
    if (packet.type === EapType.nak)
      return this.#refuse({
        kind: 'failed',
        reason: `EAP: the peer wants method ${packet.data[0] ?? 'none'}, the policy has mschapv2`,
        mend: 'write EAP-MSCHAPv2 at the peer',
      })
    const message = packet.type === EapType.mschapv2 ? parseMschap(packet.data) : undefined
    if (message?.opCode === OpCode.response && this.#state === 'challenge') return this.#response(message)
    if (message?.opCode === OpCode.success && this.#state === 'success') {
      this.#state = 'over'
      const data = emitEap({ code: EapCode.success, identifier: this.#identifier, data: new Uint8Array(0) })
      return { kind: 'done', ...this.#proved!, data }
    }
    return this.#refuse(
      this.#state === 'failure' ? wrongPassword(this.#proved?.userName) : broken('an answer out of its turn'),
    )
  }

  #refuse(step: EapStep & { kind: 'failed' }): EapStep {
    this.#state = 'over'
    const data = emitEap({ code: EapCode.failure, identifier: this.#identifier, data: new Uint8Array(0) })
    return { ...step, data }
  }

  #response({ data }: MschapMessage): EapStep {
    if (data[0] !== RESPONSE_LENGTH || data.length < 1 + RESPONSE_LENGTH || data.length > NAME_MAX)
      return this.#refuse(broken('a response that is none'))
    const userName = decoder.decode(data.subarray(1 + RESPONSE_LENGTH))
    const [peerChallenge, said] = [data.subarray(1, 17), data.subarray(25, 49)]
    const known =
      this.#options.password(userName) ??
      this.#options.password(userName.slice(userName.lastIndexOf('\\') + 1))
    // Nobody is to learn from the time which users there are.
    const hash = passwordHash(known ?? 'nobody')
    const challenge = challengeHash(peerChallenge, this.#challenge, userName)
    const response = challengeResponse(challenge, hash)
    const isRight = constantTimeEqual(said, 0, response, 0, response.length)
    if (!isRight || known === undefined) {
      this.#state = 'failure'
      this.#proved = { msk: new Uint8Array(0), userName }
      const digits = Array.from(this.#challenge, (byte) => byte.toString(16).padStart(2, '0')).join('')
      // RFC 2759 section 6: 691, and no second try.
      const text = `E=691 R=0 C=${digits.toUpperCase()} V=3 M=Authentication failed`
      const { reason, mend } = wrongPassword(userName)
      return {
        kind: 'send',
        data: this.#askMschap(OpCode.failure, encoder.encode(text)),
        refusal: { reason, mend },
      }
    }
    this.#state = 'success'
    this.#proved = { msk: masterSessionKey(hash, response), userName }
    const text = `${authenticatorResponse(hash, response, challenge)} M=Welcome`
    hash.fill(0)
    return { kind: 'send', data: this.#askMschap(OpCode.success, encoder.encode(text)) }
  }
}

const wrongPassword = (userName = ''): EapStep & { kind: 'failed' } => ({
  kind: 'failed',
  reason: `EAP: wrong user or password of "${userName.replace(/[^\x20-\x7e]/g, '?')}"`,
  mend: 'compare `user` in iked.conf with what the peer has',
})
