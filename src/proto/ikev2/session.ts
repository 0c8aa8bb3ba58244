/**
 * One IKE SA: its state, its keys, and what it lets its peer do. What the exchanges are about stands beside: establish.ts
 * (the first two), rekey.ts (CREATE_CHILD_SA), children.ts.
 */
import { after, type Duration, type Instant, type QueuedTimer, seconds } from '../../base/index.js'
import { wipe } from '../../crypto/index.js'
import { hexOf } from '../../wire/field.js'
import { IkeExchange, type IkeHeader, type IkePayload, NotifyType } from '../../wire/ike/index.js'
import type { PolicySpec, ReachedLifetime } from '../machine.js'
import { methodsOf } from './additional.js'
import { Channel } from './channel.js'
import { type Carriage, type Child, pathOf, rekeyAfter, showSpi, spiBytes } from './children.js'
import type { Assigned } from './configuration.js'
import {
  type CertificateData,
  type Endpoint,
  formatEndpoint,
  type IkeContext,
  NAT_PORT,
  sameEndpoint,
} from './context.js'
import { silence } from './doctor.js'
import type { EapServing } from './eap-respond.js'
import { EncryptedPayloads } from './encrypted.js'
import type { FollowUp } from './follow-up.js'
import { formatIdentity, type Identity } from './identity.js'
import { type NatFindings, notify } from './init.js'
import { Intermediate } from './intermediate.js'
import { type IkeKeys, type IkeNonces, type IkeSpis, wipeIkeKeys } from './keys.js'
import { announce, asksMapping, heedMapping, type MobikeRole } from './mobike.js'
import { type Pair, policiesOf } from './pairs.js'
import { foundWay, type Places, tryElsewhere } from './places.js'
import type { IkePolicy, Ppk } from './policy.js'
import { mixPpk } from './ppk.js'
import { formatSelector } from './selectors.js'
import type { Agreed } from './suites.js'

/**
 * `half-open`: keys stand, nobody has proved who they are. `established`: both have. `rekeyed`: another IKE SA has taken
 * its children, its end is under way. `closing`: a delete of ours is under way.
 */
export type SessionState = 'half-open' | 'authenticating' | 'established' | 'rekeyed' | 'closing' | 'closed'

/**
 * What the peer may ask for, by state. Everything else is refused before anything looks at it: CVE-2019-12312 (an
 * INFORMATIONAL before anybody is authenticated), CVE-2014-2338 (a rekeying of what is not established).
 */
const ALLOWED: Readonly<Record<SessionState, readonly number[]>> = {
  'half-open': [IkeExchange.ikeAuth, IkeExchange.ikeIntermediate],
  authenticating: [],
  established: [IkeExchange.createChildSa, IkeExchange.ikeFollowupKe, IkeExchange.informational],
  rekeyed: [IkeExchange.informational, IkeExchange.createChildSa, IkeExchange.ikeFollowupKe],
  // RFC 7296 section 2.25.2: what makes something new is put off.
  closing: [IkeExchange.informational, IkeExchange.createChildSa],
  closed: [],
}

/** How long a responder waits for IKE_AUTH. */
export const HALF_OPEN_LIMIT: Duration = seconds(30)
/** How long an SA that has handed everything on waits to be deleted. */
export const REKEYED_LIMIT: Duration = seconds(60)
/** Largest message that goes whole: what every path takes (RFC 7383 section 2.5.2). */
const FRAGMENT_SIZE: Readonly<Record<4 | 6, number>> = { 4: 548, 6: 1232 }

/** What only the first two exchanges need. */
export interface Opening {
  readonly nonces: IkeNonces
  /** Both messages of IKE_SA_INIT, whole: what is signed. */
  readonly initRequest: Uint8Array
  readonly initResponse: Uint8Array
  /** RFC 7427: what the peer verifies with. */
  readonly peerHashes: ReadonlySet<number> | undefined
  /** Both have said that they speak of PPKs (RFC 8784). */
  readonly ppkSpoken?: boolean
  /** CERTREQ payloads of the responder. */
  readonly certificatesWanted?: readonly CertificateData[]
  /** Policies that the peer's address allows, the one that was negotiated with first. */
  readonly candidates: readonly IkePolicy[]
}

export interface SessionOptions {
  readonly context: IkeContext
  /** Of this IKE SA: who sent the first message of it. */
  readonly isInitiator: boolean
  readonly spis: IkeSpis
  readonly local: Endpoint
  readonly remote: Endpoint
  readonly policy: IkePolicy
  readonly agreed: Agreed
  readonly keys: IkeKeys
  readonly peerFragments: boolean
  readonly udp: boolean
  /** We are behind a NAT: its mapping has to be kept (RFC 3948 section 4). */
  readonly behindNat: boolean
  readonly opening?: Opening
  /** The peer's requests, by exchange. */
  readonly requests: Readonly<Record<number, RequestHandler>>
  readonly owner: SessionOwner
}

export type RequestHandler = (
  session: Session,
  payloads: readonly IkePayload[],
  now: Instant,
) => readonly IkePayload[] | undefined

export interface SessionOwner {
  /** It stands no more. `retry`: what it did is to be begun again. */
  closed(session: Session, retry: boolean, now: Instant): void
  established(session: Session, now: Instant): void
  /** An SA that took over from another. */
  adopt(session: Session): void
  /** The peer has no other SA with us (RFC 7296 section 2.4): what we think it has is gone. */
  initialContact(session: Session, now: Instant): void
}

/** A new IKE SA of the peer's making. */
export interface Rival {
  /** Absent: its additional key exchanges are under way. */
  readonly session?: Session
  readonly lowestNonce: Uint8Array
}

export class Session {
  readonly options: SessionOptions
  readonly context: IkeContext
  readonly spis: IkeSpis
  readonly agreed: Agreed
  keys: IkeKeys
  readonly isInitiator: boolean
  readonly channel: Channel
  readonly children: Map<string, Child> = new Map()
  policy: IkePolicy
  local: Endpoint
  remote: Endpoint
  state: SessionState
  opening: Opening | undefined
  peerId: Identity | undefined
  /** What configuration payloads have given one of the two. */
  assigned: Assigned | undefined
  /** Is mixed into the keys (RFC 8784). */
  ppk: Ppk | undefined
  /** What is exchanged before IKE_AUTH. */
  intermediate: Intermediate | undefined
  /** The keys as they were without it, while it is not known whether the peer has it. */
  unmixed: IkeKeys | undefined
  /** A responder's, from the first IKE_AUTH to the last. */
  eap: EapServing | 'over' | undefined
  /** What is done with when the SA is over: a conversation in TLS. */
  onClose: (() => void) | undefined
  /** Whose password a responder has found right. */
  user: string | undefined
  readonly since: Instant
  lastHeard: Instant
  /** In UDP, as NATs want it. */
  udp: boolean
  /** We are behind a NAT. */
  behindNat: boolean
  /** The peer is, or says so. */
  peerBehindNat = false
  /** Both speak MOBIKE (RFC 4555), and which of them may move. */
  mobike: MobikeRole | undefined
  /** The peer has yet to hear where we are. */
  announcing = false
  /** A request of ours for a child is under way. */
  isMakingChild = false
  /** The peer takes one pair of selectors a child (RFC 7296 section 2.9: SINGLE_PAIR_REQUIRED). */
  singlePair = false
  /** Flows that the peer wants no child for. */
  refusedFlows: Set<string> = new Set()
  /** Where else the two can be reached. */
  places: Places = { peer: [], told: '' }
  #movedAt: Instant
  /** An exchange of ours that makes the IKE SA anew, and what the peer's of the same time has made. */
  rekeying: { rival?: Rival } | undefined
  /** What the peer has begun and follows up, by its link. */
  readonly followUps: Map<string, FollowUp> = new Map()
  readonly #timers = new Map<string, QueuedTimer>()
  /** Where the message under way came from and to. */
  #arrival: { readonly local: Endpoint; readonly remote: Endpoint }
  #childNumber = 0
  /** It ends to be begun again, whoever has the last word. */
  #retries = false

  constructor(
    options: SessionOptions,
    state: SessionState,
    firstIds: { ours: number; theirs: number },
    now: Instant,
  ) {
    const { context, isInitiator, spis, keys, agreed, local, remote, policy, opening } = options
    this.options = options
    this.context = context
    this.isInitiator = isInitiator
    this.spis = spis
    this.agreed = agreed
    this.keys = keys
    this.policy = policy
    this.local = local
    this.remote = remote
    this.#arrival = { local, remote }
    this.state = state
    this.opening = opening
    this.since = now
    this.lastHeard = now
    this.#movedAt = now
    this.channel = new Channel(
      {
        isInitiator,
        initiatorSpi: spis.initiator,
        responderSpi: spis.responder,
        random: context.random,
        timers: context.timers,
        counters: context.counters,
        ...(options.peerFragments && policy.fragmentation
          ? { fragmentSize: FRAGMENT_SIZE[local.address.family] }
          : {}),
        fragmentBudget: () => (this.state === 'half-open' ? context.unprovedFragments : undefined),
        transmit: (bytes, at) => this.#transmit(bytes, at),
        request: (exchange, payloads, at) => this.#request(exchange, payloads, at),
        intermediate: (message, isOurs) => {
          const byInitiator = isOurs === this.isInitiator
          this.intermediate?.record(message, byInitiator, byInitiator ? this.keys.pi : this.keys.pr)
        },
        alive: (at) => this.#heard(at),
        elsewhere: (attempts, at) => tryElsewhere(this, attempts, at),
      },
      firstIds,
    )
    if (methodsOf(agreed).length > 0 && opening !== undefined) this.intermediate = new Intermediate(agreed)
    this.#encrypt()
    if (state === 'half-open')
      this.timer('half-open', HALF_OPEN_LIMIT, now, (at) => this.close('nobody authenticated', false, at))
    this.udp = options.udp
    this.behindNat = options.behindNat
    if (this.behindNat) this.#keepNat(now)
  }

  /** Messages are of the keys that there are now. */
  #encrypt(): void {
    const { context, agreed, isInitiator, keys } = this
    const side = (ofInitiator: boolean): EncryptedPayloads =>
      new EncryptedPayloads(
        context.provider,
        agreed,
        ofInitiator ? keys.ei : keys.er,
        ofInitiator ? keys.ai : keys.ar,
      )
    this.channel.install(side(isInitiator), side(!isInitiator))
  }

  /** Other keys in the place of those that were: they are made of more. */
  renew(keys: IkeKeys): void {
    wipeIkeKeys(this.keys)
    this.keys = keys
    this.#encrypt()
  }

  get spi(): Uint8Array {
    return this.spis.initiator
  }
  /** Ours of the two: what messages to us are found by. */
  get ownSpi(): Uint8Array {
    return this.isInitiator ? this.spis.initiator : this.spis.responder
  }

  get carriage(): Carriage {
    return { local: this.local, remote: this.remote, udp: this.udp }
  }

  /** A message that is ours by its SPIs. */
  receive(header: IkeHeader, bytes: Uint8Array, local: Endpoint, remote: Endpoint, now: Instant): void {
    this.#arrival = { local, remote }
    this.channel.receive(header, bytes, now)
  }

  /**
   * What has just come is authentic. RFC 7296 section 2.23: so it may move the peer, which goes over to port 4500 for its
   * second exchange, and whose NAT may put it elsewhere at any time.
   */
  #heard(now: Instant): void {
    this.lastHeard = now
    const { local, remote } = this.#arrival
    // Behind what has just come, which is still to be read.
    if (foundWay(this, this.#arrival, now))
      this.timer('announce', seconds(0), now, (at) => announce(this, at))
    if (sameEndpoint(remote, this.remote) && sameEndpoint(local, this.local)) return
    if (this.state === 'half-open') {
      this.local = local
      this.remote = remote
    } else if (this.udp && !this.behindNat && this.state === 'established') {
      this.relocate(local, remote, now)
      this.renewChildren(now)
    }
  }

  /** A named deadline; one of the same name takes its place. */
  timer(name: string, wait: Duration, now: Instant, run: (at: Instant) => void): void {
    this.clearTimer(name)
    const timer = this.context.timers.schedule(after(now, wait), (at) => {
      this.#timers.delete(name)
      if (this.state !== 'closed') run(at)
    })
    this.#timers.set(name, timer)
  }

  clearTimer(name: string): void {
    this.#timers.get(name)?.cancel()
    this.#timers.delete(name)
  }

  enter(state: SessionState, now: Instant, reason?: string): void {
    const from = this.state
    this.state = state
    this.tell({ kind: 'state', from, to: state, ...(reason === undefined ? {} : { reason }) }, now)
    if (state === 'rekeyed') for (const name of ['rekey', 'expiry', 'dpd']) this.clearTimer(name)
    if (state !== 'established') return
    this.clearTimer('half-open')
    this.opening = undefined
    this.start(now)
    this.options.owner.established(this, now)
  }

  /** From now on it is watched: whether its peer lives, and when its own time is over. */
  start(now: Instant): void {
    this.#watch(now)
  }

  /** A child of the peer's making takes the place of this one, which serves until the peer ends it. */
  supersede(child: Child): void {
    child.softAt = undefined
    this.#arm(child)
  }

  /** It could not be made anew: it is tried again before its end. */
  tryLater(child: Child | undefined, now: Instant): void {
    const wait = seconds(3 + this.context.random.below(5))
    if (child === undefined) this.timer('rekey', wait, now, (at) => this.onRekeyDue?.(at))
    else {
      child.softAt = after(now, wait)
      this.#arm(child)
    }
  }

  /** A child of the SA that this one takes over from: its path stays as it is. */
  inherit(child: Child): void {
    this.children.set(child.id, child)
    this.#arm(child)
  }

  #arm(child: Child): void {
    disarm(child)
    const { softAt, hardAt } = child
    const { timers } = this.context
    child.timers = [
      ...(softAt === undefined ? [] : [timers.schedule(softAt, (at) => this.#expire(child, 'soft', at))]),
      ...(hardAt === undefined ? [] : [timers.schedule(hardAt, (at) => this.#expire(child, 'hard', at))]),
    ]
  }

  tell(
    news:
      | { kind: 'state'; from: string; to: string; reason?: string }
      | { kind: 'child'; up: boolean; text: string }
      | { kind: 'assigned'; up: boolean; toPeer: boolean; values: Assigned['values']; peer: string }
      | { kind: 'problem'; text: string; mend?: string },
    now: Instant,
  ): void {
    const { spi, local, remote, policy } = this
    this.context.tell({ spi, local, remote, policy, ...news }, now)
  }

  /** Tells what was given, or that it is over. */
  tellAssigned(up: boolean, now: Instant): void {
    const { assigned, peerId } = this
    if (assigned === undefined) return
    const { toPeer, values } = assigned
    const peer = peerId === undefined ? '' : formatIdentity(peerId)
    this.tell({ kind: 'assigned', up, toPeer, values, peer }, now)
    // A dynamic flow is an exact one now, or none.
    this.context.policiesChanged(this)
  }

  /** What was given goes with the children. */
  handAssigned(next: Session): void {
    next.assigned = this.assigned
    this.assigned = undefined
    for (const lease of next.assigned?.leases ?? []) lease.tenant = next
  }

  #releaseAssigned(now: Instant): void {
    this.tellAssigned(false, now)
    for (const lease of this.assigned?.leases ?? []) this.context.pool.release(lease)
    this.assigned = undefined
  }

  nextChildId(): string {
    return `${this.policy.name}/${hexOf(this.ownSpi, 0, 4)}/${++this.#childNumber}`
  }

  /** Puts a child into the data path. `before`: it is used rather than those that stand; else after them. */
  addChild(child: Child, now: Instant): void {
    this.children.set(child.id, child)
    this.context.install(pathOf(child, this.policy, this.carriage, 0.85))
    this.context.policiesChanged(this)
    const { seconds: lifetime } = this.policy.childLifetime
    if (lifetime !== undefined) {
      child.softAt = after(now, rekeyAfter(lifetime, this.context))
      child.hardAt = after(now, seconds(lifetime))
    }
    this.#arm(child)
    this.tell({ kind: 'child', up: true, text: describeChild(child) }, now)
    this.missChild(now)
  }

  /** Takes a child out of the data path. */
  dropChild(child: Child, now: Instant): void {
    if (!this.children.delete(child.id)) return
    disarm(child)
    this.context.remove(child.id)
    this.context.policiesChanged(this)
    this.tell({ kind: 'child', up: false, text: describeChild(child) }, now)
    this.missChild(now)
  }

  /** An SA that we began makes children for flows that have none. */
  missChild(now: Instant): void {
    const { size } = this.children
    if (this.state !== 'established' || !this.policy.initiate) return
    // Of two that both mean to begin one does.
    if (size > 0 && (this.policy.flows.length < 2 || !this.isInitiator)) return
    // Its time was over before another stood, the peer has ended it, or the peer's narrowing has left something out.
    this.timer('child', seconds(1), now, (at) => {
      if (this.state === 'established') this.onChildMissing?.(at)
    })
  }

  /** Set by rekey.ts, which knows how. */
  onChildSoft: ((child: Child, now: Instant) => void) | undefined
  onChildMissing: ((now: Instant) => void) | undefined
  onRekeyDue: ((now: Instant) => void) | undefined

  reached(child: Child, { kind }: ReachedLifetime, now: Instant): void {
    this.#expire(child, kind === 'soft' ? 'soft' : 'hard', now)
  }

  #expire(child: Child, kind: 'soft' | 'hard', now: Instant): void {
    if (this.children.get(child.id) !== child) return
    if (kind === 'soft') {
      if (child.state === 'installed') this.onChildSoft?.(child, now)
      return
    }
    this.deleteChild(child, now)
  }

  /** Tells the peer that a child is over, and ends it. */
  deleteChild(child: Child, now: Instant): void {
    if (child.state === 'closing') return
    child.state = 'closing'
    // Another takes its packets from now on, where there is one.
    this.context.policiesChanged(this)
    const protocol = child.agreed.protocol === 'ah' ? 2 : 3
    const finish = (at: Instant): void => this.dropChild(child, at)
    this.channel.send(
      {
        exchange: IkeExchange.informational,
        payloads: () =>
          this.children.get(child.id) === child
            ? [{ kind: 'D', protocol, spis: [spiBytes(child.spiIn)] }]
            : undefined,
        answered: (_payloads, at) => finish(at),
        lost: (at) => this.lost(at),
      },
      now,
    )
  }

  /**
   * Says goodbye: the delete is sent until it is answered, or nobody does. `retry`: as of `closed`. `error`: a notify beside
   * it, of what is wrong (RFC 7296 section 2.21.2).
   */
  delete(reason: string, now: Instant, retry = false, error?: number): void {
    if (this.state === 'closing' || this.state === 'closed') return
    this.enter('closing', now, reason)
    this.#retries = retry
    this.channel.send(
      {
        exchange: IkeExchange.informational,
        payloads: () => [
          ...(error === undefined ? [] : [notify(error)]),
          { kind: 'D', protocol: 1, spis: [] },
        ],
        answered: (_payloads, at) => this.close(reason, retry, at),
        lost: (at) => this.close(reason, retry, at),
      },
      now,
      true,
    )
  }

  /** The peer does not answer any more. */
  lost(now: Instant): void {
    const { local, remote, policy } = this
    if (this.state === 'authenticating')
      this.tell({ kind: 'problem', ...silence(local, remote, true, policy) }, now)
    this.close('the peer does not answer', true, now)
  }

  /** Ends at once; nothing more is sent. */
  close(reason: string, retry: boolean, now: Instant): void {
    if (this.state === 'closed') return
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
    for (const child of [...this.children.values()]) this.dropChild(child, now)
    this.#releaseAssigned(now)
    this.channel.close()
    wipeIkeKeys(this.keys)
    this.forgetUnmixed()
    for (const { secrets } of this.followUps.values()) wipe(...secrets)
    this.followUps.clear()
    if (typeof this.eap === 'object' && this.eap.proved !== undefined) wipe(this.eap.proved.msk)
    this.onClose?.()
    this.enter('closed', now, reason)
    this.options.owner.closed(this, retry || this.#retries, now)
  }

  /** From now on with this secret in them; the keys that were are kept until `forgetUnmixed`. */
  mix(ppk: Ppk): void {
    this.ppk = ppk
    this.unmixed = this.keys
    this.keys = mixPpk(this.agreed.prf!, ppk.secret, this.keys)
  }

  /** The peer has it not: the keys are what they were. */
  unmix(): void {
    const { keys, unmixed } = this
    if (unmixed === undefined) return
    this.ppk = undefined
    this.keys = unmixed
    this.unmixed = undefined
    wipe(keys.d, keys.pi, keys.pr)
  }

  forgetUnmixed(): void {
    if (this.unmixed !== undefined) wipe(this.unmixed.d, this.unmixed.pi, this.unmixed.pr)
    this.unmixed = undefined
  }

  /** The children in the order in which packets use them: those that are not on their way out first. */
  policies(): PolicySpec[] {
    const list: PolicySpec[] = []
    const groups = new Map<string, Child[]>()
    for (const child of this.children.values()) {
      const text = trafficText(child)
      const group = groups.get(text)
      if (group === undefined) groups.set(text, [child])
      else group.push(child)
    }
    for (const group of groups.values()) {
      const paths = group.sort((a, b) => rank(a) - rank(b)).map(({ id }) => id)
      list.push(...policiesOf(group[0]!.traffic.pairs, paths, this.policy.where))
    }
    return list
  }

  #request(
    exchange: number,
    payloads: readonly IkePayload[],
    now: Instant,
  ): readonly IkePayload[] | undefined {
    if (!ALLOWED[this.state].includes(exchange)) {
      this.context.counters.add('ike.state')
      return [notify(NotifyType.invalidSyntax)]
    }
    const handler = this.options.requests[exchange]
    return handler === undefined ? [notify(NotifyType.invalidSyntax)] : handler(this, payloads, now)
  }

  #transmit(bytes: Uint8Array, now: Instant): void {
    const { spi, policy } = this
    const isResponse = (bytes[19]! & 0x20) !== 0
    // RFC 7296 section 2.11: who asks is answered where it asks from, be it where the SA is or not (RFC 4555 section 3.10).
    const { local, remote } = isResponse ? this.#arrival : this
    this.context.transmit(local, remote, bytes)
    this.context.tell(
      {
        kind: 'sent',
        spi,
        local,
        remote,
        policy,
        exchange: bytes[18]!,
        isResponse,
        messageId: ((bytes[20]! << 24) | (bytes[21]! << 16) | (bytes[22]! << 8) | bytes[23]!) >>> 0,
        length: bytes.length,
      },
      now,
    )
  }

  /** RFC 7296 section 2.4: a peer of whom nothing is heard is asked; and the IKE SA itself is made anew in time. */
  #watch(now: Instant): void {
    const { deadPeerAfter, ikeLifetime } = this.policy
    if (ikeLifetime !== undefined) {
      const share = 0.85 + this.context.random.below(1000) / 10_000
      this.timer('rekey', (ikeLifetime * share) as Duration, now, (at) => this.onRekeyDue?.(at))
      this.timer('expiry', ikeLifetime, now, (at) => this.delete('the lifetime is over', at, true))
    }
    if (deadPeerAfter !== undefined) this.#askLater(deadPeerAfter, deadPeerAfter, now)
    // What a later answer is held against.
    if (asksMapping(this).length > 0) this.#ask(now, () => {})
  }

  #askLater(wait: Duration, deadPeerAfter: Duration, now: Instant): void {
    this.timer('dpd', wait, now, (at) => {
      if (this.state !== 'established') return
      const silent = (at - this.lastHeard) as Duration
      if (silent < deadPeerAfter || !this.channel.isIdle)
        return this.#askLater(Math.max(1, deadPeerAfter - silent) as Duration, deadPeerAfter, at)
      this.#ask(at, (later) => this.#askLater(deadPeerAfter, deadPeerAfter, later))
    })
  }

  #ask(now: Instant, answered: (at: Instant) => void): void {
    this.channel.send(
      {
        exchange: IkeExchange.informational,
        payloads: () => asksMapping(this),
        answered: (answer, later) => {
          heedMapping(this, answer, later)
          answered(later)
        },
        lost: (later) => this.lost(later),
      },
      now,
    )
  }

  /** RFC 3948 section 4. */
  #keepNat(now: Instant): void {
    this.timer('nat', seconds(20), now, (at) => {
      if (this.local.port === NAT_PORT) this.context.transmit(this.local, this.remote, KEEPALIVE)
      this.#keepNat(at)
    })
  }

  /** Where the message that is being answered came to, and from. */
  get arrival(): { readonly local: Endpoint; readonly remote: Endpoint } {
    return this.#arrival
  }

  /** Messages go between these from now on. */
  relocate(local: Endpoint, remote: Endpoint, now: Instant, why?: string): void {
    if (sameEndpoint(local, this.local) && sameEndpoint(remote, this.remote)) return
    const moved = local.address.equals(this.local.address)
      ? `the peer has moved from ${formatEndpoint(this.remote)} to ${formatEndpoint(remote)}`
      : `we have moved from ${formatEndpoint(this.local)} to ${formatEndpoint(local)}`
    this.tell({ kind: 'problem', text: why ?? moved }, now)
    this.#movedAt = now
    this.local = local
    this.remote = remote
  }

  /** What is between the ends is another than before. */
  settleNat({ supported, here, there }: NatFindings, now: Instant): void {
    if (!supported) return
    this.udp = here || there || this.policy.forceUdp
    this.behindNat = here
    this.peerBehindNat = there
    if (here) this.#keepNat(now)
    else this.clearTimer('nat')
  }

  /**
   * Children of where the ends were are made anew. The same keys in another path would count from 1 again, and no nonce
   * may come twice: new keys for the new place.
   */
  renewChildren(now: Instant): void {
    for (const child of [...this.children.values()])
      if (child.state === 'installed' && child.since <= this.#movedAt) this.onChildSoft?.(child, now)
  }
}

/** RFC 3948 section 2.3. */
const KEEPALIVE = Uint8Array.of(0xff)

function disarm(child: Child): void {
  for (const timer of child.timers ?? []) timer.cancel()
}

const rank = ({ state }: Child): number => (state === 'closing' ? 2 : state === 'old' ? 1 : 0)

/** Children of the same traffic share their policies. */
const trafficTexts = new WeakMap<Child, string>()

function trafficText(child: Child): string {
  const shown = ({ local, remote }: Pair): string => `${formatSelector(local)} ${formatSelector(remote)}`
  const text = trafficTexts.get(child) ?? `${child.traffic.pairs.map(shown)}`
  trafficTexts.set(child, text)
  return text
}

/** `esp spi 0x…/0x… from 10.1.0.0/16 to 10.2.0.0/16`. */
export function describeChild({ agreed, spiIn, spiOut, traffic }: Child): string {
  const list = (selectors: Child['traffic']['local']): string => selectors.map(formatSelector).join(', ')
  return `${agreed.protocol} ${traffic.mode} spi ${showSpi(spiOut)}:${showSpi(spiIn)} from ${list(traffic.local)} to ${list(traffic.remote)}`
}
