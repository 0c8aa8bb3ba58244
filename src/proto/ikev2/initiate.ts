/** IKE_SA_INIT as the initiator: sent until it is answered, with a cookie or another group where the responder asks for it. */
import {
  after,
  type Duration,
  type Instant,
  type QueuedTimer,
  readUint16,
  seconds,
} from '../../base/index.js'
import {
  KEY_EXCHANGES,
  type KeyExchange,
  type KeyExchangeName,
  keyExchangeById,
  nodeKeyExchange,
} from '../../crypto/index.js'
import {
  emitIkeMessage,
  IKE_FLAG_INITIATOR,
  IkeExchange,
  type IkeHeader,
  type IkePayload,
  NotifyType,
} from '../../wire/ike/index.js'
import { hasAdditional, methodsOf, speaksIntermediate } from './additional.js'
import { RETRANSMIT_FIRST, RETRANSMIT_LIMIT } from './channel.js'
import { type Endpoint, type IkeContext, NAT_PORT, sameEndpoint } from './context.js'
import { describeSuites, differs, at as placeOf, refusedInit, silence } from './doctor.js'
import {
  findError,
  findNat,
  findNotify,
  findPayload,
  natPayloads,
  notify,
  peerHashes,
  requestedCertificates,
  signatureHashes,
} from './init.js'
import { deriveIkeKeys } from './keys.js'
import { GROUP_WORDS } from './names.js'
import { checkChoice } from './negotiate.js'
import type { IkePolicy } from './policy.js'
import { keepFresh, requests } from './rekey.js'
import { Session, type SessionOwner } from './session.js'
import { proposalsOf } from './suites.js'

const NONCE_LENGTH = 32
/** Cookies and other groups that one attempt follows: a responder that asks for ever is none. */
const DETOUR_LIMIT = 5
const NO_SPI = new Uint8Array(8)
const EMPTY = new Uint8Array(0)

export interface AttemptOwner extends SessionOwner {
  /** Keys stand: IKE_AUTH is next. */
  opened(attempt: Attempt, session: Session, now: Instant): void
  failed(attempt: Attempt, reason: string, now: Instant): void
}

export class Attempt {
  readonly policy: IkePolicy
  readonly spi: Uint8Array
  readonly #context: IkeContext
  readonly #owner: AttemptOwner
  readonly #local: Endpoint
  readonly #remote: Endpoint
  readonly #nonce: Uint8Array
  #exchange: KeyExchange
  #cookie: Uint8Array | undefined
  #request: Uint8Array = EMPTY
  #detours = 0
  #attempts = 0
  #timer: QueuedTimer | undefined

  constructor(
    context: IkeContext,
    policy: IkePolicy,
    local: Endpoint,
    remote: Endpoint,
    owner: AttemptOwner,
  ) {
    this.policy = policy
    this.#context = context
    this.#owner = owner
    this.#local = local
    this.#remote = remote
    this.spi = context.random.fill(new Uint8Array(8))
    this.#nonce = context.random.fill(new Uint8Array(NONCE_LENGTH))
    this.#exchange = nodeKeyExchange(policy.ikeSuites[0]!.keyExchange[0]!, context.random)
  }

  isBetween(local: Endpoint, remote: Endpoint): boolean {
    return sameEndpoint(local, this.#local) && sameEndpoint(remote, this.#remote)
  }

  start(now: Instant): void {
    this.#compose()
    this.#attempts = 0
    this.#send(now)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#exchange.destroy()
  }

  #compose(): void {
    const { policy } = this
    const payloads: IkePayload[] = [
      // RFC 7296 section 2.6: first of all.
      ...(this.#cookie === undefined ? [] : [notify(NotifyType.cookie, this.#cookie)]),
      { kind: 'SA', proposals: this.#proposals() },
      { kind: 'KE', method: this.#exchange.algorithm.id, data: this.#exchange.value },
      { kind: 'Nonce', data: this.#nonce },
      ...natPayloads(this.spi, NO_SPI, this.#local, this.#remote, policy.forceUdp),
      ...(policy.fragmentation ? [notify(NotifyType.fragmentationSupported)] : []),
      ...(policy.ikeSuites.some(hasAdditional) ? [notify(NotifyType.intermediateExchangeSupported)] : []),
      ...((policy.ppks ?? []).length > 0 ? [notify(NotifyType.usePpk)] : []),
      signatureHashes(),
    ]
    this.#request = emitIkeMessage({
      header: {
        initiatorSpi: this.spi,
        responderSpi: NO_SPI,
        majorVersion: 2,
        minorVersion: 0,
        exchangeType: IkeExchange.ikeSaInit,
        flags: IKE_FLAG_INITIATOR,
        messageId: 0,
      },
      payloads,
    })
  }

  /** The group whose value is sent comes first: a responder may take it without another round. */
  #proposals(): ReturnType<typeof proposalsOf> {
    const { name } = this.#exchange.algorithm
    const proposals: ReturnType<typeof proposalsOf> = []
    for (const suite of this.policy.ikeSuites) {
      const groups = [...suite.keyExchange].sort((a, b) => Number(b === name) - Number(a === name))
      proposals.push(...proposalsOf({ ...suite, keyExchange: groups }, 'ike', EMPTY, proposals.length + 1))
    }
    return proposals
  }

  #send(now: Instant): void {
    this.#timer?.cancel()
    const wait = (RETRANSMIT_FIRST * 2 ** this.#attempts) as Duration
    this.#attempts++
    this.#context.transmit(this.#local, this.#remote, this.#request)
    this.#context.tell(
      {
        kind: 'sent',
        ...this.#origin,
        exchange: IkeExchange.ikeSaInit,
        isResponse: false,
        messageId: 0,
        length: this.#request.length,
      },
      now,
    )
    this.#timer = this.#context.timers.schedule(after(now, wait), (at) => {
      if (this.#attempts < RETRANSMIT_LIMIT) this.#send(at)
      else {
        const { text, mend } = silence(this.#local, this.#remote, false, this.policy)
        this.#fail(text, at, mend)
      }
    })
  }

  get #origin(): { spi: Uint8Array; local: Endpoint; remote: Endpoint; policy: IkePolicy } {
    return { spi: this.spi, local: this.#local, remote: this.#remote, policy: this.policy }
  }

  #fail(reason: string, now: Instant, mend?: string): void {
    this.stop()
    this.#context.tell(
      { kind: 'problem', ...this.#origin, text: reason, ...(mend === undefined ? {} : { mend }) },
      now,
    )
    this.#owner.failed(this, reason, now)
  }

  /** The responder's answer, whole: its bytes are kept. */
  receive(header: IkeHeader, payloads: readonly IkePayload[], bytes: Uint8Array, now: Instant): void {
    const cookie = findNotify(payloads, NotifyType.cookie)
    if (cookie !== undefined && findPayload(payloads, 'SA') === undefined) {
      // RFC 7296 section 2.6: 1 to 64 bytes.
      if (cookie.data.length < 1 || cookie.data.length > 64) this.#count('ike.cookie')
      else {
        this.#cookie = cookie.data
        this.#again(now)
      }
      return
    }
    const error = findError(payloads)
    if (error?.type === NotifyType.invalidKePayload && error.data.length === 2) {
      const wanted = keyExchangeById(readUint16(error.data, 0))?.name
      if (wanted === undefined || !this.#allows(wanted)) {
        const group = readUint16(error.data, 0)
        const name = GROUP_WORDS[group] ?? `${group}`
        const ours = describeSuites(this.policy.ikeSuites, 'ike').replace(/^.*group /, '')
        this.#fail(
          `INVALID_KE_PAYLOAD: ${differs('group', `${name}, which the peer wants`, `${ours} of our ikesa`)}`,
          now,
          `add group ${name} to ikesa${placeOf(this.policy)}`,
        )
        return
      }
      this.#exchange.destroy()
      this.#exchange = nodeKeyExchange(wanted, this.#context.random)
      this.#again(now)
      return
    }
    if (error !== undefined) {
      const { text, mend } = refusedInit(error.type, this.policy)
      this.#fail(text, now, mend)
      return
    }
    this.#open(header, payloads, bytes, now)
  }

  #allows(group: KeyExchangeName): boolean {
    return this.policy.ikeSuites.some(({ keyExchange }) => keyExchange.includes(group))
  }

  #again(now: Instant): void {
    if (++this.#detours > DETOUR_LIMIT) {
      this.#fail('the peer asks for another beginning again and again', now)
      return
    }
    this.start(now)
  }

  #count(reason: string): void {
    this.#context.counters.add(reason)
  }

  #open(header: IkeHeader, payloads: readonly IkePayload[], bytes: Uint8Array, now: Instant): void {
    const [sa, ke, nonce] = [
      findPayload(payloads, 'SA'),
      findPayload(payloads, 'KE'),
      findPayload(payloads, 'Nonce'),
    ]
    const isNobody = header.responderSpi.every((byte) => byte === 0)
    if (sa === undefined || ke === undefined || nonce === undefined || isNobody) {
      this.#count('ike.init.incomplete')
      return
    }
    const { policy } = this
    const choice = checkChoice(sa.proposals, this.#proposals(), policy.ikeSuites, 'ike', { spiLength: 0 })
    if (!('agreed' in choice)) {
      this.#fail(
        `the answer does not fit what was offered: ${choice.what} ${choice.offered}`,
        now,
        'mend the peer',
      )
      return
    }
    // RFC 9370 section 2.2.1: it has chosen what it does not speak.
    if (methodsOf(choice.agreed).length > 0 && !speaksIntermediate(payloads)) {
      this.#fail(
        'the peer has chosen additional key exchanges without IKE_INTERMEDIATE',
        now,
        'mend the peer',
      )
      return
    }
    const { algorithm } = this.#exchange
    if (ke.method !== algorithm.id || KEY_EXCHANGES[choice.agreed.keyExchange!] !== algorithm) {
      this.#count('ike.init.group')
      return
    }
    const secret = this.#exchange.finish(ke.data)
    if (secret === undefined) {
      this.#fail('the peer’s key exchange value is none', now, 'mend the peer')
      return
    }
    this.#timer?.cancel()
    const spis = { initiator: this.spi, responder: header.responderSpi }
    const nonces = { initiator: this.#nonce, responder: nonce.data }
    const nat = findNat(payloads, spis.initiator, spis.responder, this.#local, this.#remote)
    const udp = nat.supported && (nat.here || nat.there || policy.forceUdp)
    // RFC 4555 section 3.3: whoever may move goes over where no NAT is, too. OpenIKED takes an SA with MOBIKE for one on 4500.
    const floats = udp || (nat.supported && policy.mobike && policy.keepsPort !== true)
    const to = (endpoint: Endpoint): Endpoint => (floats ? { ...endpoint, port: NAT_PORT } : endpoint)
    const session = new Session(
      {
        context: this.#context,
        isInitiator: true,
        spis,
        local: to(this.#local),
        remote: to(this.#remote),
        policy,
        agreed: choice.agreed,
        keys: deriveIkeKeys(choice.agreed, secret, nonces, spis),
        peerFragments: findNotify(payloads, NotifyType.fragmentationSupported) !== undefined,
        udp,
        behindNat: nat.here,
        opening: {
          nonces,
          initRequest: this.#request,
          initResponse: bytes,
          peerHashes: peerHashes(payloads),
          ppkSpoken: findNotify(payloads, NotifyType.usePpk) !== undefined,
          certificatesWanted: requestedCertificates(payloads),
          candidates: [policy],
        },
        requests,
        owner: this.#owner,
      },
      'authenticating',
      { ours: 1, theirs: 0 },
      now,
    )
    session.peerBehindNat = nat.there
    keepFresh(session)
    this.#owner.opened(this, session, now)
  }
}

/** Waits between two attempts, longer each time. */
export const retryAfter = (failures: number): Duration =>
  seconds(Math.min(300, 5 * 2 ** Math.min(failures, 6)))
