/** The cookies of a responder (RFC 7296 section 2.6): under a secret that changes, and that is good for as long again. */
import type { Instant, Random } from '../../base/index.js'
import { constantTimeEqual } from '../../crypto/index.js'
import type { Endpoint } from './context.js'
import { makeCookie } from './init.js'

const SECRET_MICROSECONDS = 60_000_000

interface Secrets {
  readonly version: number
  readonly secret: Uint8Array
  readonly before: Uint8Array
  readonly since: Instant
}

export class Cookies {
  readonly #random: Random
  #secrets: Secrets | undefined

  constructor(random: Random) {
    this.#random = random
  }

  make(nonce: Uint8Array, remote: Endpoint, initiatorSpi: Uint8Array, now: Instant): Uint8Array {
    const { version, secret } = this.#current(now)
    return makeCookie(secret, version, nonce, remote, initiatorSpi)
  }

  /** Whether it is one of ours, for this beginning. */
  isOurs(
    cookie: Uint8Array,
    nonce: Uint8Array,
    remote: Endpoint,
    initiatorSpi: Uint8Array,
    now: Instant,
  ): boolean {
    const { version, secret, before } = this.#current(now)
    return [
      makeCookie(secret, version, nonce, remote, initiatorSpi),
      makeCookie(before, (version - 1) & 0xff, nonce, remote, initiatorSpi),
    ].some((ours) => cookie.length === ours.length && constantTimeEqual(cookie, 0, ours, 0, ours.length))
  }

  #current(now: Instant): Secrets {
    const fresh = (): Uint8Array => this.#random.fill(new Uint8Array(32))
    const old = this.#secrets
    if (old === undefined) this.#secrets = { version: 0, secret: fresh(), before: fresh(), since: now }
    else if (now - old.since >= SECRET_MICROSECONDS)
      this.#secrets = { version: (old.version + 1) & 0xff, secret: fresh(), before: old.secret, since: now }
    return this.#secrets!
  }
}
