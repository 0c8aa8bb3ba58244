/** The IKE SAs of one host: by our own SPI, by who the peer is, and for a while after their end. */
import type { Instant } from '../../base/index.js'
import { hexOf } from '../../wire/field.js'
import { type Identity, sameIdentity } from './identity.js'
import type { IkePolicy } from './policy.js'
import type { Session } from './session.js'

/** Answers of SAs that are over are kept so long, and so many of them. */
const LAST_WORDS_MICROSECONDS = 60_000_000
const LAST_WORDS_LIMIT = 256

export class SessionTable {
  readonly #bySpi = new Map<string, Session>()
  /** Those that stand. */
  readonly #byPeer = new Map<string, readonly Session[]>()
  /** Those that are over: what they answered last. */
  readonly #lastWords = new Map<string, { readonly session: Session; readonly until: number }>()

  add(session: Session): void {
    this.#bySpi.set(keyOf(session.ownSpi), session)
  }

  /** From now on it is found by its peer as well. */
  know(session: Session): void {
    if (session.peerId === undefined) return
    const key = identityKey(session.peerId)
    const others = this.#byPeer.get(key) ?? []
    if (!others.includes(session)) this.#byPeer.set(key, [...others, session])
  }

  /** It is over; what it answered last is kept for a while. */
  retire(session: Session, now: Instant): void {
    const key = keyOf(session.ownSpi)
    this.#bySpi.delete(key)
    this.#lastWords.set(key, { session, until: now + LAST_WORDS_MICROSECONDS })
    if (this.#lastWords.size > LAST_WORDS_LIMIT)
      for (const [oldest] of this.#lastWords) {
        this.#lastWords.delete(oldest)
        break
      }
    this.#unknow(session)
  }

  #unknow(session: Session): void {
    if (session.peerId === undefined) return
    const key = identityKey(session.peerId)
    const others = (this.#byPeer.get(key) ?? []).filter((one) => one !== session)
    if (others.length > 0) this.#byPeer.set(key, others)
    else this.#byPeer.delete(key)
  }

  get(spi: Uint8Array): Session | undefined {
    return this.#bySpi.get(keyOf(spi))
  }

  /** One that is over, as long as its last words are kept. */
  retired(spi: Uint8Array, now: Instant): Session | undefined {
    const last = this.#lastWords.get(keyOf(spi))
    return last === undefined || now > last.until ? undefined : last.session
  }

  has(session: Session): boolean {
    return this.get(session.ownSpi) === session
  }

  values(): Iterable<Session> {
    return this.#bySpi.values()
  }

  /** Others of the same peer; the name of a user is none of a host. */
  othersOf(session: Session): readonly Session[] {
    const { peerId, policy } = session
    if (peerId === undefined) return []
    return (this.#byPeer.get(identityKey(peerId)) ?? []).filter(
      (other) =>
        other !== session &&
        other.peerId !== undefined &&
        other.policy.remoteAuth.kind === policy.remoteAuth.kind &&
        sameIdentity(other.peerId, peerId),
    )
  }

  anyStands(): boolean {
    for (const { state } of this.values()) if (state === 'established') return true
    return false
  }

  /** Whether one of this policy stands or is on its way. */
  serves({ name }: IkePolicy): boolean {
    for (const { policy, state } of this.values())
      if (policy.name === name && (state === 'established' || state === 'authenticating')) return true
    return false
  }
}

/** An SPI as a key of maps. */
export const keyOf = (spi: Uint8Array): string => hexOf(spi, 0, 8)

const identityKey = ({ type, data }: Identity): string => `${type} ${hexOf(data, 0, data.length)}`
