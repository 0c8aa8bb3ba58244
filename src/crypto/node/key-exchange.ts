/**
 * Diffie-Hellman through `node:crypto`. Private keys come from the `Random` that is given, so that a run of the lab can be
 * repeated; Node's own generators would draw elsewhere.
 */
import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  getDiffieHellman,
  type KeyObject,
} from 'node:crypto'
import { type Random, WarrenError } from '../../base/index.js'
import type { KeyExchange, KeyExchangeAlgorithm } from '../key-exchange.js'
import { wipe } from '../wipe.js'
import { DER_BIT_STRING, DER_OCTET_STRING, DER_SEQUENCE, der, derInteger } from './der.js'

/** What is left of an exchange once its private key is gone. */
const GONE = new WarrenError('CRYPTO_DESTROYED', 'this key exchange is over')

abstract class NodeExchange implements KeyExchange {
  readonly algorithm: KeyExchangeAlgorithm
  abstract readonly value: Uint8Array
  #over = false

  constructor(algorithm: KeyExchangeAlgorithm) {
    this.algorithm = algorithm
  }

  finish(peer: Uint8Array): Uint8Array | undefined {
    if (this.#over) throw GONE
    if (peer.length !== this.algorithm.answerLength) return undefined
    let secret: Uint8Array
    try {
      secret = this.agree(peer)
    } catch {
      return undefined
    } finally {
      this.destroy()
    }
    // RFC 7748 section 6, RFC 8031 section 3.
    if (secret.every((byte) => byte === 0)) return undefined
    return padded(secret, this.algorithm.secretLength)
  }

  destroy(): void {
    this.#over = true
    this.forget()
  }

  /** Throws where the peer's value is none. */
  protected abstract agree(peer: Uint8Array): Uint8Array
  protected abstract forget(): void
}

/** RFC 7296 section 2.14: leading zeros count. */
function padded(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length)
  out.set(bytes, length - bytes.length)
  return out
}

const MODP_NAMES: Readonly<Record<number, string>> = {
  2: 'modp2',
  5: 'modp5',
  14: 'modp14',
  15: 'modp15',
  16: 'modp16',
  17: 'modp17',
  18: 'modp18',
}
/** PKCS #3's dhKeyAgreement. */
const DH_OID = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x03, 0x01]
/** RFC 3526 section 8, its larger estimate: an exponent of twice the strength of the largest group. */
const EXPONENT_LENGTH = 64

const primes = new Map<number, Uint8Array>()
function primeOf(id: number): Uint8Array {
  let prime = primes.get(id)
  if (prime === undefined) {
    prime = new Uint8Array(getDiffieHellman(MODP_NAMES[id]!).getPrime())
    primes.set(id, prime)
  }
  return prime
}

class ModpExchange extends NodeExchange {
  readonly value: Uint8Array
  readonly #prime: Uint8Array
  readonly #group: Uint8Array
  #key: KeyObject | undefined

  constructor(algorithm: KeyExchangeAlgorithm, random: Random) {
    super(algorithm)
    this.#prime = primeOf(algorithm.id)
    this.#group = der(
      DER_SEQUENCE,
      DH_OID,
      der(DER_SEQUENCE, derInteger(this.#prime), derInteger(Uint8Array.of(2))),
    )
    const exponent = random.fill(new Uint8Array(EXPONENT_LENGTH))
    const encoded = der(
      DER_SEQUENCE,
      derInteger(Uint8Array.of(0)),
      this.#group,
      der(DER_OCTET_STRING, derInteger(exponent)),
    )
    this.#key = createPrivateKey({ key: Buffer.from(encoded.buffer), format: 'der', type: 'pkcs8' })
    wipe(exponent, encoded)
    this.value = this.#publicValue(this.#key)
  }

  protected override agree(peer: Uint8Array): Uint8Array {
    // OpenSSL refuses 0 and 1; p-1 and above are refused here, whatever its version does.
    if (isTooLarge(peer, this.#prime)) throw new RangeError('out of range')
    const encoded = der(DER_SEQUENCE, this.#group, der(DER_BIT_STRING, [0], derInteger(peer)))
    const publicKey = createPublicKey({ key: Buffer.from(encoded.buffer), format: 'der', type: 'spki' })
    return diffieHellman({ privateKey: this.#key!, publicKey })
  }

  protected override forget(): void {
    this.#key = undefined
  }

  /** The integer at the end of the SPKI. */
  #publicValue(key: KeyObject): Uint8Array {
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
    const length = this.algorithm.valueLength
    const integer = spki.subarray(headLength(spki) + this.#group.length)
    // BIT STRING { 0 unused bits, INTEGER }.
    const inside = integer.subarray(headLength(integer) + 1)
    const digits = inside.subarray(headLength(inside))
    return padded(digits[0] === 0 ? digits.subarray(1) : digits, length)
  }
}

/** Of tag and length. */
const headLength = (bytes: Uint8Array): number => (bytes[1]! < 0x80 ? 2 : 2 + (bytes[1]! & 0x7f))

/** Whether `value` is p-1 or more; both big-endian and of one length. */
function isTooLarge(value: Uint8Array, prime: Uint8Array): boolean {
  for (let i = 0; i < prime.length - 1; i++) if (value[i] !== prime[i]) return value[i]! > prime[i]!
  // The prime is odd: p-1 differs in its last bit alone.
  return value.at(-1)! >= prime.at(-1)! - 1
}

const CURVES: Readonly<Record<number, string>> = { 19: 'prime256v1', 20: 'secp384r1', 21: 'secp521r1' }
const UNCOMPRESSED = 4

class EcpExchange extends NodeExchange {
  readonly value: Uint8Array
  #ecdh: ReturnType<typeof createECDH> | undefined

  constructor(algorithm: KeyExchangeAlgorithm, random: Random) {
    super(algorithm)
    const ecdh = createECDH(CURVES[algorithm.id]!)
    const scalar = new Uint8Array(algorithm.secretLength)
    for (;;) {
      random.fill(scalar)
      // P-521: 521 bits.
      if (algorithm.id === 21) scalar[0]! &= 1
      try {
        // Refused outside 1 to n-1: drawn again.
        ecdh.setPrivateKey(scalar)
        break
      } catch {}
    }
    wipe(scalar)
    this.#ecdh = ecdh
    this.value = new Uint8Array(ecdh.getPublicKey().subarray(1))
  }

  protected override agree(peer: Uint8Array): Uint8Array {
    const point = new Uint8Array(peer.length + 1)
    point[0] = UNCOMPRESSED
    point.set(peer, 1)
    return this.#ecdh!.computeSecret(point)
  }

  protected override forget(): void {
    this.#ecdh = undefined
  }
}

/** PKCS #8 and SPKI of a raw key, as RFC 8410 has them. */
const MONTGOMERY = {
  31: { oid: [0x06, 0x03, 0x2b, 0x65, 0x6e] },
  32: { oid: [0x06, 0x03, 0x2b, 0x65, 0x6f] },
} as const

class MontgomeryExchange extends NodeExchange {
  readonly value: Uint8Array
  readonly #algorithm: Uint8Array
  #key: KeyObject | undefined

  constructor(algorithm: KeyExchangeAlgorithm, random: Random) {
    super(algorithm)
    this.#algorithm = der(DER_SEQUENCE, MONTGOMERY[algorithm.id as 31 | 32].oid)
    const scalar = random.fill(new Uint8Array(algorithm.secretLength))
    const encoded = der(
      DER_SEQUENCE,
      derInteger(Uint8Array.of(0)),
      this.#algorithm,
      der(DER_OCTET_STRING, der(DER_OCTET_STRING, scalar)),
    )
    this.#key = createPrivateKey({ key: Buffer.from(encoded.buffer), format: 'der', type: 'pkcs8' })
    wipe(scalar, encoded)
    const spki = createPublicKey(this.#key).export({ format: 'der', type: 'spki' })
    this.value = new Uint8Array(spki.subarray(spki.length - algorithm.valueLength))
  }

  protected override agree(peer: Uint8Array): Uint8Array {
    const encoded = der(DER_SEQUENCE, this.#algorithm, der(DER_BIT_STRING, [0], peer))
    const publicKey = createPublicKey({ key: Buffer.from(encoded.buffer), format: 'der', type: 'spki' })
    return diffieHellman({ privateKey: this.#key!, publicKey })
  }

  protected override forget(): void {
    this.#key = undefined
  }
}

/** The initiator's halves of Diffie-Hellman, which are the responder's as well. */
export function diffieHellmanExchange(algorithm: KeyExchangeAlgorithm, random: Random): KeyExchange {
  switch (algorithm.kind) {
    case 'modp':
      return new ModpExchange(algorithm, random)
    case 'ecp':
      return new EcpExchange(algorithm, random)
    case 'montgomery':
      return new MontgomeryExchange(algorithm, random)
    case 'kem':
      throw new WarrenError('CRYPTO_ALGORITHM', 'no Diffie-Hellman', { found: algorithm.name })
  }
}
