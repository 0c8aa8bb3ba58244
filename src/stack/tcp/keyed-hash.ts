import type { Instant, IpAddress, Random } from '../../base/index.js'

/**
 * HalfSipHash-2-4: a keyed function of 32 bits, with a key of 64 bits that is drawn at start.
 *
 * It is what RFC 6528 asks of an initial sequence number's F(): an observer of some outputs cannot tell those of
 * other connections. It is small rather than strong (RFC 6528 suggests a hash over a secret; this is a PRF in 40
 * lines without node:crypto); nothing but the guessing of sequence numbers and of hash buckets rests on it.
 */
export class KeyedHash {
  readonly #k0: number
  readonly #k1: number

  constructor(random: Random) {
    this.#k0 = random.uint32()
    this.#k1 = random.uint32()
  }

  /** The hash of both ends of a connection. */
  ofEnds(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): number {
    const state: State = { v0: this.#k0, v1: this.#k1, v2: 0x6c796765 ^ this.#k0, v3: 0x74656462 ^ this.#k1 }
    absorb(state, (localPort << 16) | remotePort | 0)
    for (const bytes of [local.bytes, remote.bytes]) {
      for (let i = 0; i < bytes.length; i += 4)
        absorb(state, (bytes[i]! << 24) | (bytes[i + 1]! << 16) | (bytes[i + 2]! << 8) | bytes[i + 3]!)
    }
    absorb(state, ((local.bytes.length + remote.bytes.length + 4) << 24) | 0)
    state.v2 ^= 0xff
    for (let i = 0; i < 4; i++) round(state)
    return (state.v1 ^ state.v3) >>> 0
  }
}

interface State {
  v0: number
  v1: number
  v2: number
  v3: number
}

const rotate = (x: number, n: number): number => (x << n) | (x >>> (32 - n))

function absorb(state: State, word: number): void {
  state.v3 ^= word
  round(state)
  round(state)
  state.v0 ^= word
}

function round(s: State): void {
  s.v0 = (s.v0 + s.v1) | 0
  s.v1 = rotate(s.v1, 5) ^ s.v0
  s.v0 = rotate(s.v0, 16)
  s.v2 = (s.v2 + s.v3) | 0
  s.v3 = rotate(s.v3, 8) ^ s.v2
  s.v0 = (s.v0 + s.v3) | 0
  s.v3 = rotate(s.v3, 7) ^ s.v0
  s.v2 = (s.v2 + s.v1) | 0
  s.v1 = rotate(s.v1, 13) ^ s.v2
  s.v2 = rotate(s.v2, 16)
}

/** RFC 6528 section 3: ISN = M + F(ends, secret), where M ticks every 4 microseconds. */
export function initialSequence(hash: number, now: Instant): number {
  return (hash + (Math.floor(now / 4) % 2 ** 32)) >>> 0
}
