/** Key exchanges of both kinds: Diffie-Hellman, and encapsulation, where the responder's half needs the initiator's. */
import { type Random, WarrenError } from '../../base/index.js'
import { type Kem, mlKem512, mlKem768, mlKem1024 } from '../kem.js'
import {
  KEY_EXCHANGES,
  type KeyExchange,
  type KeyExchangeAlgorithm,
  type KeyExchangeFactory,
  type KeyExchangeName,
  type KeyExchangeResponder,
} from '../key-exchange.js'
import { SNTRUP761_CIPHERTEXT_LENGTH, SNTRUP761_PUBLIC_LENGTH, sntrup761 } from '../sntrup761.js'
import { wipe } from '../wipe.js'
import { diffieHellmanExchange } from './key-exchange.js'
import { nodeHash } from './prf.js'

const KEMS: Readonly<Partial<Record<KeyExchangeName, Kem>>> = {
  ML_KEM_512: mlKem512,
  ML_KEM_768: mlKem768,
  ML_KEM_1024: mlKem1024,
}

class KemExchange implements KeyExchange {
  readonly algorithm: KeyExchangeAlgorithm
  readonly value: Uint8Array
  readonly #kem: Kem
  #secretKey: Uint8Array | undefined

  constructor(algorithm: KeyExchangeAlgorithm, kem: Kem, random: Random) {
    this.algorithm = algorithm
    this.#kem = kem
    const { publicKey, secretKey } = kem.generate(random)
    this.value = publicKey
    this.#secretKey = secretKey
  }

  finish(peer: Uint8Array): Uint8Array | undefined {
    if (this.#secretKey === undefined) throw new WarrenError('CRYPTO_DESTROYED', 'this key exchange is over')
    try {
      return this.#kem.decapsulate(peer, this.#secretKey)
    } finally {
      this.destroy()
    }
  }

  destroy(): void {
    wipe(this.#secretKey)
    this.#secretKey = undefined
  }
}

/** As iked: each side's two values one behind the other, and SHA-512 over the two secrets. */
class SntrupExchange implements KeyExchange {
  readonly algorithm: KeyExchangeAlgorithm = KEY_EXCHANGES.SNTRUP761X25519
  readonly value: Uint8Array
  readonly #kem: KemExchange
  readonly #curve: KeyExchange

  constructor(random: Random) {
    this.#kem = new KemExchange(this.algorithm, sntrup761, random)
    this.#curve = diffieHellmanExchange(KEY_EXCHANGES.CURVE25519, random)
    this.value = joined(this.#kem.value, this.#curve.value)
  }

  finish(peer: Uint8Array): Uint8Array | undefined {
    const first = this.#kem.finish(peer.subarray(0, SNTRUP761_CIPHERTEXT_LENGTH))
    const second = this.#curve.finish(peer.subarray(SNTRUP761_CIPHERTEXT_LENGTH))
    return both(first, second)
  }

  destroy(): void {
    this.#kem.destroy()
    this.#curve.destroy()
  }
}

function both(first: Uint8Array | undefined, second: Uint8Array | undefined): Uint8Array | undefined {
  if (first === undefined || second === undefined) return undefined
  const secret = nodeHash('sha512', first, second)
  wipe(first, second)
  return secret
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length)
  bytes.set(a)
  bytes.set(b, a.length)
  return bytes
}

export const nodeKeyExchange: KeyExchangeFactory = (name, random) => {
  if (name === 'SNTRUP761X25519') return new SntrupExchange(random)
  const kem = KEMS[name]
  const algorithm = KEY_EXCHANGES[name]
  return kem === undefined
    ? diffieHellmanExchange(algorithm, random)
    : new KemExchange(algorithm, kem, random)
}

export const nodeKeyExchangeAnswer: KeyExchangeResponder = (name, peer, random) => {
  if (name === 'SNTRUP761X25519') {
    const second = nodeKeyExchangeAnswer('CURVE25519', peer.subarray(SNTRUP761_PUBLIC_LENGTH), random)
    if (second === undefined) return undefined
    const first = sntrup761.encapsulate(peer.subarray(0, SNTRUP761_PUBLIC_LENGTH), random)
    const secret = both(first?.secret, second.secret)
    return secret === undefined ? undefined : { value: joined(first!.ciphertext, second.value), secret }
  }
  const kem = KEMS[name]
  if (kem !== undefined) {
    const made = kem.encapsulate(peer, random)
    return made === undefined ? undefined : { value: made.ciphertext, secret: made.secret }
  }
  const exchange = diffieHellmanExchange(KEY_EXCHANGES[name], random)
  const secret = exchange.finish(peer)
  return secret === undefined ? undefined : { value: exchange.value, secret }
}
