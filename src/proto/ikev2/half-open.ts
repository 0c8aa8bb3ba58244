/** Beginnings that nobody has authenticated yet: found by their first message, counted by peer. All at constant cost. */
import { hexOf } from '../../wire/field.js'
import type { Endpoint } from './context.js'
import type { Session } from './session.js'

/** Half-open SAs from which on an address has to be proved by a cookie, of all and of one address. */
export const COOKIE_FROM = 30
export const COOKIE_FROM_PEER = 3
/** Half-open SAs that there are at most, of all and of one address. */
export const HALF_OPEN_MAX = 1000
export const HALF_OPEN_MAX_PEER = 5

interface HalfOpen {
  readonly peer: string
  readonly request: Uint8Array
  readonly answer: Uint8Array
}

/** By the initiator's SPI and address: a first message may come again. */
const keyOf = (initiatorSpi: Uint8Array, { address, port }: Endpoint): string =>
  `${hexOf(initiatorSpi, 0, 8)} ${address} ${port}`

export class HalfOpenTable {
  readonly #byKey = new Map<string, HalfOpen>()
  readonly #keys = new Map<Session, string>()
  readonly #ofPeer = new Map<string, number>()

  find(initiatorSpi: Uint8Array, remote: Endpoint): HalfOpen | undefined {
    return this.#byKey.get(keyOf(initiatorSpi, remote))
  }

  /** So many that addresses have to be proved. */
  isCrowded(remote: Endpoint): boolean {
    return this.#byKey.size >= COOKIE_FROM || this.#count(remote) >= COOKIE_FROM_PEER
  }

  /** So many that no other is taken. */
  isFull(remote: Endpoint): boolean {
    return this.#byKey.size >= HALF_OPEN_MAX || this.#count(remote) >= HALF_OPEN_MAX_PEER
  }

  add(session: Session, remote: Endpoint, request: Uint8Array, answer: Uint8Array): void {
    const key = keyOf(session.spis.initiator, remote)
    const peer = `${remote.address}`
    this.#byKey.set(key, { peer, request, answer })
    this.#keys.set(session, key)
    this.#ofPeer.set(peer, this.#count(remote) + 1)
  }

  /** It is established, or over. */
  forget(session: Session): void {
    const key = this.#keys.get(session)
    const half = key === undefined ? undefined : this.#byKey.get(key)
    if (key === undefined || half === undefined) return
    this.#keys.delete(session)
    this.#byKey.delete(key)
    const left = (this.#ofPeer.get(half.peer) ?? 1) - 1
    if (left > 0) this.#ofPeer.set(half.peer, left)
    else this.#ofPeer.delete(half.peer)
  }

  #count({ address }: Endpoint): number {
    return this.#ofPeer.get(`${address}`) ?? 0
  }
}
