/**
 * Streamlined NTRU Prime, sntrup761 (draft-josefsson-ntruprime-streamlined, and the specification of NTRU Prime's round 3).
 * No kept library for JavaScript has it. Loops run the same way whatever the secrets are, and no index or branch
 * depends on one, as far as JavaScript lets a program say so.
 */
import type { Random } from '../base/index.js'
import type { Kem } from './kem.js'
import { nodeHash } from './node/prf.js'
import { wipe } from './wipe.js'

/** Polynomials are of degree below P, modulo x^P - x - 1. */
const P = 761
const Q = 4591
/** Entries of a short polynomial that are not 0. */
const WEIGHT = 286
const HALF = (Q - 1) / 2

const SMALL_LENGTH = 191
const ROUNDED_LENGTH = 1007
export const SNTRUP761_PUBLIC_LENGTH = 1158
export const SNTRUP761_CIPHERTEXT_LENGTH: number = ROUNDED_LENGTH + 32
export const SNTRUP761_SECRET_LENGTH: number = 2 * SMALL_LENGTH + SNTRUP761_PUBLIC_LENGTH + SMALL_LENGTH + 32

type Polynomial = Float64Array

/** Adding it and taking it away rounds to the nearest integer, without a branch. */
const ROUNDER = 6755399441055744
/** The one of -(m-1)/2 to (m-1)/2 that is congruent: exact, since an odd modulus has no ties. */
const reduced = (x: number, modulus: number, inverse: number): number =>
  x - modulus * (x * inverse + ROUNDER - ROUNDER)
const modQ = (x: number): number => reduced(x, Q, 1 / Q)
const mod3 = (x: number): number => reduced(x, 3, 1 / 3)

/** 1/x modulo Q, by Fermat. */
function inverseModQ(x: number): number {
  let result = 1
  // Q - 2 is public: so is the order of steps.
  for (let bit = 12; bit >= 0; bit--) {
    result = modQ(result * result)
    if (((Q - 2) >> bit) & 1) result = modQ(result * x)
  }
  return result
}

/** The product modulo x^P - x - 1, with coefficients reduced by `reduce`. Sums stay below 2^43. */
function multiply(f: Polynomial, g: Polynomial, reduce: (x: number) => number): Polynomial {
  const product = new Float64Array(2 * P - 1)
  for (let i = 0; i < P; i++) {
    const factor = f[i]!
    for (let j = 0; j < P; j++) product[i + j]! += factor * g[j]!
  }
  for (let i = 2 * P - 2; i >= P; i--) {
    const high = product[i]!
    product[i - P]! += high
    product[i - P + 1]! += high
  }
  const result = product.subarray(0, P).map(reduce)
  wipeNumbers(product)
  return result
}

/**
 * `first`/f in the ring whose field `reduce` and `invert` are of, by division steps whose number is always the same
 * (Bernstein and Yang, "Fast constant-time gcd computation and modular inversion"). Undefined: f has no inverse.
 */
function divide(
  first: number,
  polynomial: Polynomial,
  reduce: (x: number) => number,
  invert: (x: number) => number,
): Polynomial | undefined {
  const [f, g, v, r] = [0, 1, 2, 3].map(() => new Float64Array(P + 1)) as [
    Polynomial,
    Polynomial,
    Polynomial,
    Polynomial,
  ]
  f[0] = 1
  f[P - 1] = -1
  f[P] = -1
  for (let i = 0; i < P; i++) g[P - 1 - i] = polynomial[i]!
  r[0] = first
  let delta = 1
  for (let step = 0; step < 2 * P - 1; step++) {
    v.copyWithin(1, 0, P)
    v[0] = 0
    // 1 where f and g change places: delta > 0 and g(0) is not 0.
    const g0 = g[0]!
    const swap = ((-delta >> 31) & ((g0 | -g0) >> 31) & 1) as number
    delta = delta + 1 - 2 * swap * delta
    exchange(f, g, swap)
    exchange(v, r, swap)
    const [fScale, gScale] = [f[0]!, g[0]!]
    for (let i = 0; i <= P; i++) {
      g[i] = reduce(fScale * g[i]! - gScale * f[i]!)
      r[i] = reduce(fScale * r[i]! - gScale * v[i]!)
    }
    g.copyWithin(0, 1, P + 1)
    g[P] = 0
  }
  const scale = invert(f[0]!)
  const result = new Float64Array(P)
  for (let i = 0; i < P; i++) result[i] = reduce(scale * v[P - 1 - i]!)
  wipeNumbers(f, g, v, r)
  return delta === 0 ? result : undefined
}

function exchange(a: Polynomial, b: Polynomial, swap: number): void {
  for (let i = 0; i <= P; i++) {
    const difference = swap * (a[i]! - b[i]!)
    a[i]! -= difference
    b[i]! += difference
  }
}

function wipeNumbers(...arrays: readonly Polynomial[]): void {
  for (const array of arrays) array.fill(0)
}

/** Coefficients of -1, 0 and 1, each as likely as the others to within 2^-30. */
function randomSmall(random: Random): Polynomial {
  const words = randomWords(random)
  const small = new Float64Array(P)
  // (word modulo 2^30) * 3 / 2^30: in 32 bits, by halves.
  for (let i = 0; i < P; i++) small[i] = Math.floor(((words[i]! & 0x3fffffff) * 3) / 0x40000000) - 1
  words.fill(0)
  return small
}

/** WEIGHT coefficients of -1 or 1, the others 0, in an order drawn by sorting. */
function randomShort(random: Random): Polynomial {
  const words = randomWords(random)
  for (let i = 0; i < P; i++) words[i] = i < WEIGHT ? words[i]! & ~1 : (words[i]! & ~3) | 1
  sortWords(words)
  const short = new Float64Array(P)
  for (let i = 0; i < P; i++) short[i] = (words[i]! & 3) - 1
  words.fill(0)
  return short
}

function randomWords(random: Random): Uint32Array {
  const bytes = random.fill(new Uint8Array(4 * P))
  const words = new Uint32Array(P)
  for (let i = 0; i < P; i++)
    words[i] =
      bytes[4 * i]! | (bytes[4 * i + 1]! << 8) | (bytes[4 * i + 2]! << 16) | (bytes[4 * i + 3]! << 24)
  wipe(bytes)
  return words
}

/** Batcher's merge exchange (Knuth, volume 3, 5.2.2 M): its comparisons do not depend on what is sorted. */
function sortWords(words: Uint32Array): void {
  const count = words.length
  const top = 2 ** Math.ceil(Math.log2(count) - 1)
  for (let p = top; p > 0; p >>= 1) {
    let [q, r, d] = [top, 0, p]
    for (;;) {
      for (let i = 0; i < count - d; i++) if ((i & p) === r) order(words, i, i + d)
      if (q === p) break
      d = q - p
      q >>= 1
      r = p
    }
  }
}

function order(words: Uint32Array, i: number, j: number): void {
  const [a, b] = [words[i]!, words[j]!]
  // The difference of two numbers of 32 bits is exact; its sign alone decides.
  const isGreater = (b - a) / 0x1_0000_0000
  const mask = Math.floor(isGreater) | 0
  const difference = (a ^ b) & mask
  words[i] = a ^ difference
  words[j] = b ^ difference
}

/** Four coefficients a byte. */
function encodeSmall(small: Polynomial): Uint8Array {
  const bytes = new Uint8Array(SMALL_LENGTH)
  for (let i = 0; i < P; i++) bytes[i >> 2]! |= (small[i]! + 1) << (2 * (i & 3))
  return bytes
}

function decodeSmall(bytes: Uint8Array): Polynomial {
  const small = new Float64Array(P)
  for (let i = 0; i < P; i++) small[i] = ((bytes[i >> 2]! >> (2 * (i & 3))) & 3) - 1
  return small
}

/** Below this, two numbers go into one before bytes are taken off. */
const LIMIT = 16384

/** Numbers below their moduli as bytes, in mixed radix: pairs become one number, whose low bytes come out. */
function encodeRadix(numbers: readonly number[], moduli: readonly number[]): number[] {
  const bytes: number[] = []
  let [values, limits] = [numbers, moduli]
  while (values.length > 1) {
    const [next, nextLimits]: [number[], number[]] = [[], []]
    for (let i = 0; i < values.length; i += 2) {
      let value = values[i]!
      let limit = limits[i]!
      if (i + 1 < values.length) {
        value += values[i + 1]! * limit
        limit *= limits[i + 1]!
        while (limit >= LIMIT) {
          bytes.push(value & 0xff)
          value = Math.floor(value / 256)
          limit = Math.floor((limit + 255) / 256)
        }
      }
      next.push(value)
      nextLimits.push(limit)
    }
    values = next
    limits = nextLimits
  }
  for (let value = values[0]!, limit = limits[0]!; limit > 1; limit = (limit + 255) >> 8) {
    bytes.push(value & 0xff)
    value >>= 8
  }
  return bytes
}

/** The other way; any bytes give numbers below their moduli. */
function decodeRadix(bytes: Uint8Array, moduli: readonly number[]): number[] {
  if (moduli.length === 1) {
    const limit = moduli[0]!
    if (limit === 1) return [0]
    return [(limit <= 256 ? bytes[0]! : bytes[0]! | (bytes[1]! << 8)) % limit]
  }
  const low: number[] = []
  const scales: number[] = []
  const limits: number[] = []
  let at = 0
  for (let i = 0; i < moduli.length; i += 2) {
    let limit = moduli[i]!
    let value = 0
    let scale = 1
    if (i + 1 < moduli.length) {
      limit *= moduli[i + 1]!
      while (limit >= LIMIT) {
        value += bytes[at++]! * scale
        scale *= 256
        limit = Math.floor((limit + 255) / 256)
      }
    }
    low.push(value)
    scales.push(scale)
    limits.push(limit)
  }
  const high = decodeRadix(bytes.subarray(at), limits)
  const numbers: number[] = []
  for (let i = 0; i < moduli.length; i += 2) {
    const value = low[i >> 1]! + scales[i >> 1]! * high[i >> 1]!
    if (i + 1 === moduli.length) numbers.push(value)
    else numbers.push(value % moduli[i]!, Math.floor(value / moduli[i]!) % moduli[i + 1]!)
  }
  return numbers
}

const MODULI_Q: readonly number[] = new Array<number>(P).fill(Q)
const MODULI_ROUNDED: readonly number[] = new Array<number>(P).fill((Q + 2) / 3)

const encodeQ = (f: Polynomial): Uint8Array =>
  Uint8Array.from(
    encodeRadix(
      Array.from(f, (x) => x + HALF),
      MODULI_Q,
    ),
  )
const decodeQ = (bytes: Uint8Array): Polynomial =>
  Float64Array.from(decodeRadix(bytes, MODULI_Q), (x) => x - HALF)
const encodeRounded = (f: Polynomial): Uint8Array =>
  Uint8Array.from(
    encodeRadix(
      Array.from(f, (x) => (x + HALF) / 3),
      MODULI_ROUNDED,
    ),
  )
const decodeRounded = (bytes: Uint8Array): Polynomial =>
  Float64Array.from(decodeRadix(bytes, MODULI_ROUNDED), (x) => 3 * x - HALF)

/** The first half of SHA-512, of a number that says what for. */
const hashOf = (prefix: number, ...parts: readonly Uint8Array[]): Uint8Array =>
  nodeHash('sha512', Uint8Array.of(prefix), ...parts).subarray(0, 32)

/** The ciphertext of a short polynomial. */
function hide(short: Polynomial, shortBytes: Uint8Array, h: Polynomial, publicHash: Uint8Array): Uint8Array {
  const rounded = multiply(h, short, modQ).map((x) => x - mod3(x))
  const ciphertext = new Uint8Array(SNTRUP761_CIPHERTEXT_LENGTH)
  ciphertext.set(encodeRounded(rounded))
  ciphertext.set(hashOf(2, hashOf(3, shortBytes), publicHash), ROUNDED_LENGTH)
  return ciphertext
}

const session = (kind: 0 | 1 | number, shortBytes: Uint8Array, ciphertext: Uint8Array): Uint8Array =>
  Uint8Array.from(hashOf(kind, hashOf(3, shortBytes), ciphertext))

function generate(random: Random): { publicKey: Uint8Array; secretKey: Uint8Array } {
  let inverse: Polynomial | undefined
  let g: Polynomial
  do {
    g = randomSmall(random)
    inverse = divide(1, g, mod3, (x) => x)
  } while (inverse === undefined)
  const f = randomShort(random)
  // f is never 0, and the ring modulo Q is a field.
  const h = multiply(g, divide(inverseModQ(3), f, modQ, inverseModQ)!, modQ)
  const publicKey = encodeQ(h)
  const secretKey = new Uint8Array(SNTRUP761_SECRET_LENGTH)
  let at = 0
  for (const part of [
    encodeSmall(f),
    encodeSmall(inverse),
    publicKey,
    random.fill(new Uint8Array(SMALL_LENGTH)),
    hashOf(4, publicKey),
  ]) {
    secretKey.set(part, at)
    at += part.length
  }
  wipeNumbers(f, g, inverse)
  return { publicKey, secretKey }
}

export const sntrup761: Kem = {
  generate,
  encapsulate(publicKey, random) {
    if (publicKey.length !== SNTRUP761_PUBLIC_LENGTH) return undefined
    const short = randomShort(random)
    const shortBytes = encodeSmall(short)
    const ciphertext = hide(short, shortBytes, decodeQ(publicKey), hashOf(4, publicKey))
    const secret = session(1, shortBytes, ciphertext)
    wipeNumbers(short)
    wipe(shortBytes)
    return { ciphertext, secret }
  },
  decapsulate(ciphertext, secretKey) {
    if (ciphertext.length !== SNTRUP761_CIPHERTEXT_LENGTH) return undefined
    const f = decodeSmall(secretKey.subarray(0, SMALL_LENGTH))
    const inverse = decodeSmall(secretKey.subarray(SMALL_LENGTH, 2 * SMALL_LENGTH))
    const publicKey = secretKey.subarray(2 * SMALL_LENGTH, 2 * SMALL_LENGTH + SNTRUP761_PUBLIC_LENGTH)
    const rest = secretKey.subarray(2 * SMALL_LENGTH + SNTRUP761_PUBLIC_LENGTH)
    const refusal = rest.subarray(0, SMALL_LENGTH)
    const c = decodeRounded(ciphertext.subarray(0, ROUNDED_LENGTH))
    const e = multiply(c, f, modQ).map((x) => mod3(modQ(3 * x)))
    const short = multiply(e, inverse, mod3)
    // Any other weight is no message: a fixed one goes on in its place, and the comparison below fails.
    let weight = 0
    for (let i = 0; i < P; i++) weight += short[i]! * short[i]!
    const isShort = 1 - Math.min(1, Math.abs(weight - WEIGHT))
    for (let i = 0; i < P; i++) short[i] = isShort * short[i]! + (1 - isShort) * (i < WEIGHT ? 1 : 0)
    const shortBytes = encodeSmall(short)
    const again = hide(short, shortBytes, decodeQ(publicKey), rest.subarray(SMALL_LENGTH))
    let difference = 0
    for (let i = 0; i < again.length; i++) difference |= again[i]! ^ ciphertext[i]!
    // 0xff where the ciphertext was not made so: a secret of ours alone follows from it (implicit rejection).
    const mask = (-difference >> 8) & 0xff
    for (let i = 0; i < SMALL_LENGTH; i++) shortBytes[i] = (shortBytes[i]! & ~mask) | (refusal[i]! & mask)
    const secret = session(1 - (mask & 1), shortBytes, ciphertext)
    wipeNumbers(f, inverse, short, e)
    wipe(shortBytes)
    return secret
  },
}
