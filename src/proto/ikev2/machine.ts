/**
 * IKEv2 (RFC 7296) as a machine: all IKE SAs of one host. Messages find their SA by its SPI; a first message from somebody
 * new has to pass what keeps strangers cheap.
 */
import {
  after,
  Counters,
  type Instant,
  type IpAddress,
  instantAt,
  ParseError,
  type Random,
  seconds,
  TimerQueue,
} from '../../base/index.js'
import { type CryptoProvider, nodeProvider, nodeTls, type TlsEngine } from '../../crypto/index.js'
import {
  IKE_FLAG_INITIATOR,
  IKE_FLAG_RESPONSE,
  IKE_HEADER_LENGTH,
  IkeExchange,
  type IkeHeader,
  type IkePayload,
  NotifyType,
  parseIkeHeader,
  parseIkePayloads,
} from '../../wire/ike/index.js'
import type { Datagram, Machine, Output, Packet, ReachedLifetime } from '../machine.js'
import type { TunnelEvent } from '../tunnel-machine.js'
import { AddressPool } from './address-pool.js'
import { ChildSpis } from './child-spis.js'
import {
  type Credentials,
  type Endpoint,
  IKE_PORT,
  type IkeContext,
  type IkeNews,
  NAT_PORT,
} from './context.js'
import { Cookies } from './cookies.js'
import { nobodyExpected, otherVersion, type Problem } from './doctor.js'
import { authenticate } from './establish.js'
import { FragmentBudget } from './fragments.js'
import { HalfOpenTable } from './half-open.js'
import { formatIdentity } from './identity.js'
import { findNotify, findPayload, notify } from './init.js'
import { Attempt, type AttemptOwner, retryAfter } from './initiate.js'
import { moveTo, type Network, roam } from './mobike.js'
import type { IkePolicy } from './policy.js'
import { PolicyBook } from './policy-list.js'
import { answerInit, plainAnswer } from './respond.js'
import { samePolicy } from './same-policy.js'
import type { Session } from './session.js'
import { keyOf, SessionTable } from './session-table.js'

export type IkeEvent = TunnelEvent | { readonly name: 'news'; readonly news: IkeNews }

export interface IkeMachineOptions {
  /** The first that fits is taken. */
  readonly policies: readonly IkePolicy[]
  readonly credentials: Credentials
  readonly random: Random
  readonly provider?: CryptoProvider
  /** Absent: Node's. */
  readonly tls?: TlsEngine
  /** Addresses of the host that peers may be told of; default: none. */
  readonly addresses?: () => readonly IpAddress[]
  /** Whether an address is the host's: no client gets it. Absent: none is. */
  readonly isOwn?: (address: IpAddress) => boolean
}

export class Ike2Machine implements Machine<IkeEvent>, AttemptOwner {
  readonly counters: Counters = new Counters()
  onWake?: () => void
  #options: IkeMachineOptions
  readonly #context: IkeContext
  readonly #timers = new TimerQueue()
  readonly #outputs: Output<IkeEvent>[] = []
  readonly #sessions = new SessionTable()
  /** By our own SPI. */
  readonly #attempts = new Map<string, Attempt>()
  readonly #halfOpen = new HalfOpenTable()
  readonly #failures = new Map<string, number>()
  readonly #childSpis: ChildSpis
  readonly #cookies: Cookies
  readonly #book = new PolicyBook()
  /** Whose policies may be others than before. */
  readonly #changed = new Set<Session>()
  /** All of them are told again. */
  #policiesDirty = false
  readonly #afterPolicies: Output<IkeEvent>[] = []
  #isUp = false
  #stopped = false
  /** Before that nothing is told of strangers. */
  #strangersFrom: Instant | undefined

  constructor(options: IkeMachineOptions) {
    this.#options = options
    this.#cookies = new Cookies(options.random)
    this.#childSpis = new ChildSpis(options.random)
    this.#context = {
      random: options.random,
      timers: this.#timers,
      counters: this.counters,
      provider: options.provider ?? nodeProvider,
      tls: options.tls ?? nodeTls,
      // Those of the latest `reload`.
      credentials: {
        own: (id, requests) => this.#options.credentials.own(id, requests),
        peer: (id, certificates) => this.#options.credentials.peer(id, certificates),
        authorities: () => this.#options.credentials.authorities(),
        authorityCertificates: () => this.#options.credentials.authorityCertificates?.() ?? [],
        rawEncoding: () => this.#options.credentials.rawEncoding?.(),
      },
      pool: new AddressPool(options.random, options.isOwn),
      addresses: () => this.#options.addresses?.() ?? [],
      unprovedFragments: new FragmentBudget(),
      transmit: (local, remote, bytes) => this.#transmit(local, remote, bytes),
      install: (path) => this.#outputs.push({ kind: 'install', path }),
      remove: (pathId) => this.#outputs.push({ kind: 'remove', pathId }),
      policiesChanged: (session) => this.#changed.add(session),
      tell: (news) => this.#tell(news),
      wake: (run) => {
        this.#timers.schedule(instantAt(0), run)
        this.onWake?.()
      },
      childSpi: () => this.#childSpis.next(this.#sessions.values()),
    }
  }

  start(now: Instant): void {
    // What policies cover is closed before anything could pass.
    this.#book.setBase(this.#options.policies)
    this.#policiesDirty = true
    this.#settle()
    for (const policy of this.#options.policies) if (policy.initiate) this.#initiate(policy, now)
    this.#settle()
  }

  stop(now: Instant): void {
    this.#stopped = true
    for (const attempt of this.#attempts.values()) attempt.stop()
    this.#attempts.clear()
    for (const session of [...this.#sessions.values()]) {
      // The peer is told, and nobody waits for its answer.
      if (session.state === 'established') session.delete('stopped', now)
      session.close('stopped', false, now)
    }
    this.#outputs.push({ kind: 'event', event: { name: 'down', reason: 'stopped' } })
  }

  /**
   * Other policies and credentials in the place of those that were. SAs whose policy is still among them stay as they are;
   * the others are deleted; what is new and to be begun is begun.
   */
  reload(policies: readonly IkePolicy[], credentials: Credentials, now: Instant): void {
    this.#options = { ...this.#options, policies, credentials }
    const successor = (old: IkePolicy, user?: string): IkePolicy | undefined =>
      policies.find((one) => one.name === old.name && samePolicy(one, old, user)) ??
      policies.find((one) => samePolicy(one, old, user))
    for (const [key, attempt] of this.#attempts) {
      const next = successor(attempt.policy)
      if (next?.initiate === true && next.name === attempt.policy.name) continue
      attempt.stop()
      this.#attempts.delete(key)
    }
    for (const session of [...this.#sessions.values()]) {
      const next = successor(session.policy, session.user)
      if (next !== undefined) session.policy = next
      else if (session.state === 'established') session.delete('reload', now)
      else if (session.state !== 'closing') session.close('reload', false, now)
    }
    this.#failures.clear()
    this.#book.setBase(policies)
    for (const session of this.#sessions.values()) this.#changed.add(session)
    for (const policy of policies) if (policy.initiate && !this.#isServed(policy)) this.#initiate(policy, now)
    this.#policiesDirty = true
    this.#settle()
  }

  /** Our address is another (RFC 4555): IKE SAs that we began, whose ends speak MOBIKE, go with it. */
  moved(from: IpAddress, to: IpAddress, now: Instant): void {
    for (const session of [...this.#sessions.values()])
      if (session.local.address.equals(from)) moveTo(session, to, now)
    this.#settle()
  }

  /**
   * Our addresses, or the ways to peers, are others than before. `policies`: in the place of those that were, which say the
   * same of peers; what has not been answered yet is begun again, and nobody waits for another try. Without, only SAs move.
   */
  roam(network: Network, policies: readonly IkePolicy[] | undefined, now: Instant): void {
    roam([...this.#sessions.values()], network, now)
    if (policies !== undefined) {
      for (const attempt of this.#attempts.values()) attempt.stop()
      this.#attempts.clear()
      this.reload(policies, this.#options.credentials, now)
    }
    this.#settle()
  }

  /** Ends the SAs of a peer, by its identity as logs show it, or by what stands behind its type there. */
  deletePeer(id: string, now: Instant): void {
    for (const session of [...this.#sessions.values()]) {
      const name = session.peerId === undefined ? undefined : formatIdentity(session.peerId)
      if (session.state === 'established' && (name === id || name?.endsWith(`/${id}`) === true))
        session.delete('reset control message', now, true)
    }
    this.#settle()
  }

  /** SAs for status: those that are not yet, or no more, established as well. */
  sessions(): readonly Session[] {
    return [...this.#sessions.values()]
  }

  receive({ carrier, payload }: Datagram, now: Instant): void {
    if (carrier.kind !== 'udp') {
      this.counters.add('ike.carrier')
      return
    }
    const local = { address: carrier.local, port: carrier.localPort }
    const remote = { address: carrier.remote, port: carrier.remotePort }
    const bytes = this.#unmarked(payload, local.port)
    if (bytes !== undefined) this.#hear(bytes, local, remote, now)
    this.#settle()
  }

  /** RFC 7296 section 2.23: on port 4500 four zeros stand before IKE. A copy: it is decrypted in place. */
  #unmarked(payload: Uint8Array, port: number): Uint8Array | undefined {
    if (port !== NAT_PORT) return Uint8Array.from(payload)
    if (payload.length === 1 && payload[0] === 0xff) return undefined
    if (payload.length >= 4 && payload.subarray(0, 4).every((byte) => byte === 0))
      return Uint8Array.from(payload.subarray(4))
    this.counters.add('ike.marker')
    return undefined
  }

  send(_packet: Packet, _now: Instant): void {
    this.counters.add('send.noPath')
  }

  reached(pathId: string, lifetime: ReachedLifetime, now: Instant): void {
    for (const session of this.#sessions.values()) {
      const child = session.children.get(pathId)
      if (child !== undefined) session.reached(child, lifetime, now)
    }
    this.#settle()
  }

  timeout(now: Instant): void {
    while (this.#timers.runDue(now));
    this.#settle()
  }

  poll(): Output<IkeEvent> | undefined {
    return this.#outputs.shift()
  }

  nextTimeout(): Instant | undefined {
    return this.#timers.next()
  }

  #tell(news: IkeNews): void {
    const output = { kind: 'event', event: { name: 'news', news } } as const
    // What comes from an address is closed before anybody has the address.
    if (news.kind === 'assigned' && news.up) this.#afterPolicies.push(output)
    else this.#outputs.push(output)
  }

  // --- what sessions and attempts tell ---------------------------------------------------------------------------

  opened(attempt: Attempt, session: Session, now: Instant): void {
    this.#attempts.delete(keyOf(attempt.spi))
    this.#sessions.add(session)
    const others = [...this.#sessions.values()].some(
      (other) => other !== session && other.remote.address.equals(session.remote.address),
    )
    authenticate(session, !others, now)
  }

  failed(attempt: Attempt, _reason: string, now: Instant): void {
    this.#attempts.delete(keyOf(attempt.spi))
    this.#retry(attempt.policy, now)
  }

  established(session: Session, now: Instant): void {
    this.#failures.delete(session.policy.name)
    this.#halfOpen.forget(session)
    this.#sessions.know(session)
    this.#isUp = true
    this.#outputs.push({ kind: 'event', event: { name: 'up' } })
    void now
  }

  adopt(session: Session): void {
    this.#sessions.add(session)
    this.#sessions.know(session)
  }

  closed(session: Session, retry: boolean, now: Instant): void {
    this.#sessions.retire(session, now)
    this.#halfOpen.forget(session)
    if (this.#stopped) return
    if (this.#isUp && !this.#sessions.anyStands()) {
      this.#isUp = false
      this.#outputs.push({ kind: 'event', event: { name: 'down', reason: 'no peer' } })
    }
    if (retry && session.policy.initiate && !this.#isServed(session.policy)) this.#retry(session.policy, now)
  }

  /** Whether an SA of this policy stands or is on its way. */
  #isServed(policy: IkePolicy): boolean {
    return (
      [...this.#attempts.values()].some((attempt) => attempt.policy.name === policy.name) ||
      this.#sessions.serves(policy)
    )
  }

  initialContact(session: Session, now: Instant): void {
    for (const other of this.#sessions.othersOf(session)) other.close('the peer has begun anew', false, now)
  }

  // --- beginnings -------------------------------------------------------------------------------------------------

  #initiate(policy: IkePolicy, now: Instant): void {
    const port = policy.forceUdp ? NAT_PORT : IKE_PORT
    const attempt = new Attempt(
      this.#context,
      policy,
      { address: policy.local, port },
      { address: policy.peer.address, port },
      this,
    )
    this.#attempts.set(keyOf(attempt.spi), attempt)
    attempt.start(now)
  }

  #retry(policy: IkePolicy, now: Instant): void {
    const failures = this.#failures.get(policy.name) ?? 0
    this.#failures.set(policy.name, failures + 1)
    this.#timers.schedule(instantAt(now + retryAfter(failures)), (at) => {
      // A reload may have taken the policy away meanwhile, or put another in its place.
      const isCurrent = this.#options.policies.includes(policy)
      if (!this.#stopped && isCurrent && !this.#isServed(policy)) this.#initiate(policy, at)
    })
  }

  // --- messages ---------------------------------------------------------------------------------------------------

  #hear(bytes: Uint8Array, local: Endpoint, remote: Endpoint, now: Instant): void {
    let header: IkeHeader
    try {
      header = parseIkeHeader(bytes)
    } catch (error) {
      this.#malformed(error)
      return
    }
    if (header.length !== bytes.length) {
      this.counters.add('ike.length')
      return
    }
    if (header.majorVersion !== 2) {
      this.#otherVersion(header, local, remote, now)
      return
    }
    const fromInitiator = (header.flags & IKE_FLAG_INITIATOR) !== 0
    if (header.exchangeType === IkeExchange.ikeSaInit) this.#hearInit(header, bytes, local, remote, now)
    else {
      const session = this.#sessions.get(fromInitiator ? header.responderSpi : header.initiatorSpi)
      if (session === undefined) this.#sayAgain(header, bytes, now)
      else {
        this.#received(header, local, remote, session.policy, now)
        session.receive(header, bytes, local, remote, now)
      }
    }
  }

  /** RFC 7296 section 2.1: an answer that was lost is given again, though the SA is over. */
  #sayAgain(header: IkeHeader, bytes: Uint8Array, now: Instant): void {
    const fromInitiator = (header.flags & IKE_FLAG_INITIATOR) !== 0
    const last = this.#sessions.retired(fromInitiator ? header.responderSpi : header.initiatorSpi, now)
    const answer = last?.channel.repeated(bytes)
    this.counters.add(answer === undefined ? 'ike.spi' : 'ike.repeated')
    for (const packet of answer ?? []) this.#transmit(last!.local, last!.remote, packet)
  }

  #hearInit(header: IkeHeader, bytes: Uint8Array, local: Endpoint, remote: Endpoint, now: Instant): void {
    const isResponse = (header.flags & IKE_FLAG_RESPONSE) !== 0
    if (header.messageId !== 0) {
      this.counters.add('ike.messageId')
      return
    }
    const attempt = isResponse ? this.#attempts.get(keyOf(header.initiatorSpi)) : undefined
    // An answer comes from whom it was asked of, and to whom asked.
    const isOurs = attempt?.isBetween(local, remote) === true && (header.flags & IKE_FLAG_INITIATOR) === 0
    if (isResponse && !isOurs) {
      this.counters.add('ike.spi')
      return
    }
    let payloads: IkePayload[]
    try {
      payloads = parseIkePayloads(bytes, header.nextPayload, IKE_HEADER_LENGTH, header.length).map(
        (placed) => placed.payload,
      )
    } catch (error) {
      this.#malformed(error)
      return
    }
    const strange = payloads.find((one) => one.critical === true && one.kind === 'unknown')
    if (strange?.kind === 'unknown') {
      // RFC 7296 section 2.5: told by its type, and nothing else of the message is heeded.
      this.counters.add('ike.critical')
      const named = notify(NotifyType.unsupportedCriticalPayload, Uint8Array.of(strange.type))
      if (!isResponse) this.#refuse(header, named, local, remote)
      return
    }
    if (attempt !== undefined) {
      this.#received(header, local, remote, attempt.policy, now)
      attempt.receive(header, payloads, bytes, now)
    } else this.#answerInit(header, payloads, bytes, local, remote, now)
  }

  #answerInit(
    header: IkeHeader,
    payloads: readonly IkePayload[],
    bytes: Uint8Array,
    local: Endpoint,
    remote: Endpoint,
    now: Instant,
  ): void {
    if (header.responderSpi.some((byte) => byte !== 0) || (header.flags & IKE_FLAG_INITIATOR) === 0) {
      this.counters.add('ike.init')
      return
    }
    const before = this.#halfOpen.find(header.initiatorSpi, remote)
    if (before !== undefined) {
      // RFC 7296 section 2.1: the same request, the same answer.
      if (same(before.request, bytes)) this.#transmit(local, remote, before.answer)
      this.counters.add('ike.repeated')
      return
    }
    const candidates = this.#options.policies.filter(
      ({ skipped = false, local: own, locals, peer: allowed }) =>
        !skipped &&
        (locals?.some((prefix) => prefix.contains(local.address)) ?? own.equals(local.address)) &&
        allowed.contains(remote.address),
    )
    if (candidates.length === 0) {
      // Nobody that we expect: it learns nothing, not even that we are here.
      this.counters.add('ike.policy')
      const served = this.#options.policies.filter(({ skipped = false }) => !skipped)
      this.#tellStranger(header, local, remote, now, () => nobodyExpected(local, remote, served))
      return
    }
    const proved = this.#isProved(payloads, header, remote, now)
    if (!proved && this.#halfOpen.isCrowded(remote)) {
      this.#demandCookie(header, payloads, local, remote, now)
      return
    }
    if (this.#halfOpen.isFull(remote)) {
      this.counters.add('ike.halfOpen')
      return
    }
    const context = this.#context
    // Nobody is to be flooded through us: more than was sent goes only to an address that is proved.
    const room = proved ? Number.POSITIVE_INFINITY : bytes.length
    const answer = answerInit(context, candidates, header, payloads, bytes, local, remote, this, now, room)
    if (answer === undefined) {
      this.#demandCookie(header, payloads, local, remote, now)
      return
    }
    if (answer.bytes.length > room) {
      this.counters.add('ike.short')
      return
    }
    const policy = candidates[0]!
    this.#received(header, local, remote, answer.session?.policy ?? policy, now)
    if (answer.problem !== undefined)
      context.tell(
        { kind: 'problem', spi: header.initiatorSpi, local, remote, policy, ...answer.problem },
        now,
      )
    if (answer.session !== undefined) {
      this.#sessions.add(answer.session)
      this.#halfOpen.add(answer.session, remote, bytes, answer.bytes)
    }
    this.#transmit(local, remote, answer.bytes)
    this.#sent(answer.bytes, header.initiatorSpi, local, remote, policy, now)
  }

  /** Whether the request carries a cookie of ours. */
  #isProved(payloads: readonly IkePayload[], header: IkeHeader, remote: Endpoint, now: Instant): boolean {
    const cookie = findNotify(payloads, NotifyType.cookie)?.data
    const nonce = findPayload(payloads, 'Nonce')?.data
    if (cookie === undefined || nonce === undefined) return false
    const right = this.#cookies.isOurs(cookie, nonce, remote, header.initiatorSpi, now)
    if (!right) this.counters.add('ike.cookie')
    return right
  }

  #demandCookie(
    header: IkeHeader,
    payloads: readonly IkePayload[],
    local: Endpoint,
    remote: Endpoint,
    now: Instant,
  ): void {
    this.counters.add('ike.cookie.demanded')
    const nonce = findPayload(payloads, 'Nonce')?.data
    if (nonce === undefined) return
    const cookie = this.#cookies.make(nonce, remote, header.initiatorSpi, now)
    this.#refuse(header, notify(NotifyType.cookie, cookie), local, remote)
  }

  /** Whoever may send anything from anywhere fills no log: one line a second, and nothing is computed for the rest. */
  #tellStranger(
    { initiatorSpi: spi }: IkeHeader,
    local: Endpoint,
    remote: Endpoint,
    now: Instant,
    problem: () => Problem,
  ): void {
    if (this.#strangersFrom !== undefined && now < this.#strangersFrom) return
    this.#strangersFrom = after(now, seconds(1))
    this.#context.tell({ kind: 'problem', spi, local, remote, ...problem() }, now)
  }

  /** RFC 7296 section 2.5: a higher version is told which one is spoken. */
  #otherVersion(header: IkeHeader, local: Endpoint, remote: Endpoint, now: Instant): void {
    this.counters.add('ike.version')
    this.#tellStranger(header, local, remote, now, () => otherVersion(header.majorVersion))
    if (header.majorVersion > 2 && (header.flags & IKE_FLAG_RESPONSE) === 0)
      this.#refuse(header, notify(NotifyType.invalidMajorVersion), local, remote)
  }

  /** To an address that nobody has proved, so never more than came from it. */
  #refuse(header: IkeHeader, payload: IkePayload, local: Endpoint, remote: Endpoint): void {
    const answer = plainAnswer(header, [payload])
    if (answer.length <= header.length) this.#transmit(local, remote, answer)
    else this.counters.add('ike.short')
  }

  #malformed(error: unknown): void {
    if (!(error instanceof ParseError)) throw error
    this.counters.add(error.reason)
  }

  #received(header: IkeHeader, local: Endpoint, remote: Endpoint, policy: IkePolicy, now: Instant): void {
    const { initiatorSpi: spi, exchangeType: exchange, messageId, length } = header
    const isResponse = (header.flags & IKE_FLAG_RESPONSE) !== 0
    this.#context.tell(
      { kind: 'received', spi, local, remote, policy, exchange, isResponse, messageId, length },
      now,
    )
  }

  #sent(
    bytes: Uint8Array,
    spi: Uint8Array,
    local: Endpoint,
    remote: Endpoint,
    policy: IkePolicy,
    now: Instant,
  ): void {
    const exchange = IkeExchange.ikeSaInit
    this.#context.tell(
      {
        kind: 'sent',
        spi,
        local,
        remote,
        policy,
        exchange,
        isResponse: true,
        messageId: 0,
        length: bytes.length,
      },
      now,
    )
  }

  #transmit(local: Endpoint, remote: Endpoint, bytes: Uint8Array): void {
    const marked = local.port === NAT_PORT && bytes.length > 1
    const payload = new Uint8Array(bytes.length + (marked ? 4 : 0))
    payload.set(bytes, marked ? 4 : 0)
    this.#outputs.push({
      kind: 'transmit',
      datagram: {
        carrier: {
          kind: 'udp',
          protocol: 17,
          local: local.address,
          remote: remote.address,
          localPort: local.port,
          remotePort: remote.port,
        },
        payload,
      },
    })
  }

  /** Tells what policies there are, where that has changed. */
  #settle(): void {
    for (const session of this.#changed) {
      if (this.#book.update(session, this.#sessions.has(session))) this.#policiesDirty = true
    }
    this.#changed.clear()
    if (!this.#policiesDirty) {
      this.#outputs.push(...this.#afterPolicies.splice(0))
      return
    }
    this.#policiesDirty = false
    // Before the paths that it names: what came by one in between would belong to no policy.
    const first = this.#outputs.findIndex(({ kind }) => kind === 'install')
    const at = first < 0 ? this.#outputs.length : first
    this.#outputs.splice(at, 0, { kind: 'policies', policies: this.#book.list() })
    this.#outputs.push(...this.#afterPolicies.splice(0))
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
