/**
 * The checks of every context of every provider, in one place: a provider extends these classes and writes only the
 * `…Unchecked` methods, whose arguments are then known to be good.
 */
import { WarrenError } from '../base/index.js'
import { constantTimeEqual } from './constant-time.js'
import {
  AEADS,
  type AeadAlgorithm,
  type AeadName,
  CIPHERS,
  type CipherAlgorithm,
  type CipherName,
  ICV_LENGTH_MAX,
  isAead,
  isCipher,
  isMac,
  MACS,
  type MacAlgorithm,
  type MacName,
} from './names.js'
import { type AeadContext, type CipherContext, type MacContext, SUFFIX_LENGTH_MAX } from './provider.js'

const EMPTY = new Uint8Array(0)

/** `[start, end)` lies in `bytes`; whole numbers only (a NaN or a fraction would slip through comparisons). */
function checkRange(what: string, bytes: Uint8Array, start: number, end: number): void {
  if (start >>> 0 !== start || end >>> 0 !== end || start > end || end > bytes.length)
    throw new WarrenError('CRYPTO_RANGE', `${what} is outside the bytes`, {
      found: `[${start}, ${end}) of ${bytes.length}`,
    })
}

function checkNonce(name: string, nonce: Uint8Array, length: number): void {
  if (nonce.length !== length)
    throw new WarrenError('CRYPTO_NONCE', `nonce of ${name} has the wrong length`, {
      found: `${nonce.length} bytes`,
      expected: `${length}`,
    })
}

function checkKey(
  algorithm: { readonly name: string; readonly keyLengths: readonly number[] },
  key: Uint8Array,
): void {
  if (!algorithm.keyLengths.includes(key.length))
    throw new WarrenError('CRYPTO_KEY', `key of ${algorithm.name} has the wrong length`, {
      found: `${key.length} bytes`,
      expected: algorithm.keyLengths.join(', '),
    })
}

function destroyed(name: string): never {
  throw new WarrenError('CRYPTO_DESTROYED', `the key of ${name} was destroyed`)
}

/** The algorithm, if `name` is one (callers may come from plain data) and the key fits it. */
export function checkedAead(name: AeadName, key: Uint8Array): AeadAlgorithm {
  if (!isAead(name)) throw new WarrenError('CRYPTO_ALGORITHM', 'no such AEAD', { found: String(name) })
  checkKey(AEADS[name], key)
  return AEADS[name]
}

export function checkedCipher(name: CipherName, key: Uint8Array): CipherAlgorithm {
  if (!isCipher(name)) throw new WarrenError('CRYPTO_ALGORITHM', 'no such cipher', { found: String(name) })
  checkKey(CIPHERS[name], key)
  return CIPHERS[name]
}

export function checkedMac(name: MacName, key: Uint8Array): MacAlgorithm {
  if (!isMac(name)) throw new WarrenError('CRYPTO_ALGORITHM', 'no such MAC', { found: String(name) })
  checkKey(MACS[name], key)
  return MACS[name]
}

abstract class BaseContext {
  /** False after `destroy()`. */
  protected alive = true

  destroy(): void {
    if (!this.alive) return
    this.alive = false
    this.wipeKey()
  }

  /** Called once. */
  protected abstract wipeKey(): void
}

export abstract class BaseAead extends BaseContext implements AeadContext {
  readonly algorithm: AeadAlgorithm
  readonly #nonceLength: number
  readonly #icvLength: number
  readonly #authenticatesOnly: boolean

  constructor(algorithm: AeadAlgorithm) {
    super()
    this.algorithm = algorithm
    this.#nonceLength = algorithm.nonceLength
    this.#icvLength = algorithm.icvLength
    this.#authenticatesOnly = algorithm.name === 'ENCR_NULL_AUTH_AES_GMAC'
  }

  seal(
    bytes: Uint8Array,
    aadStart: number,
    aadEnd: number,
    start: number,
    end: number,
    nonce: Uint8Array,
    icvAt: number,
  ): void {
    this.#check(bytes, aadStart, aadEnd, start, end, nonce, icvAt)
    this.sealUnchecked(bytes, aadStart, aadEnd, start, end, nonce, icvAt)
  }

  open(
    bytes: Uint8Array,
    aadStart: number,
    aadEnd: number,
    start: number,
    end: number,
    nonce: Uint8Array,
    icvAt: number,
  ): boolean {
    this.#check(bytes, aadStart, aadEnd, start, end, nonce, icvAt)
    return this.openUnchecked(bytes, aadStart, aadEnd, start, end, nonce, icvAt)
  }

  #check(
    bytes: Uint8Array,
    aadStart: number,
    aadEnd: number,
    start: number,
    end: number,
    nonce: Uint8Array,
    icvAt: number,
  ): void {
    if (!this.alive) destroyed(this.algorithm.name)
    checkNonce(this.algorithm.name, nonce, this.#nonceLength)
    checkRange('associated data', bytes, aadStart, aadEnd)
    checkRange('text', bytes, start, end)
    const icvEnd = icvAt + this.#icvLength
    checkRange('ICV', bytes, icvAt, icvEnd)
    if (icvAt < end && icvEnd > start)
      throw new WarrenError('CRYPTO_RANGE', 'the ICV lies in the text', {
        found: `ICV at ${icvAt}, text [${start}, ${end})`,
      })
    if (this.#authenticatesOnly && start !== end)
      throw new WarrenError('CRYPTO_RANGE', `${this.algorithm.name} encrypts nothing`, {
        found: `a text of ${end - start} bytes`,
        mend: 'count the payload to the associated data',
      })
  }

  protected abstract sealUnchecked(
    bytes: Uint8Array,
    aadStart: number,
    aadEnd: number,
    start: number,
    end: number,
    nonce: Uint8Array,
    icvAt: number,
  ): void

  protected abstract openUnchecked(
    bytes: Uint8Array,
    aadStart: number,
    aadEnd: number,
    start: number,
    end: number,
    nonce: Uint8Array,
    icvAt: number,
  ): boolean
}

export abstract class BaseCipher extends BaseContext implements CipherContext {
  readonly algorithm: CipherAlgorithm

  constructor(algorithm: CipherAlgorithm) {
    super()
    this.algorithm = algorithm
  }

  encrypt(bytes: Uint8Array, start: number, end: number, iv: Uint8Array): void {
    this.#check(bytes, start, end, iv)
    if (start !== end) this.encryptUnchecked(bytes, start, end, iv)
  }

  decrypt(bytes: Uint8Array, start: number, end: number, iv: Uint8Array): void {
    this.#check(bytes, start, end, iv)
    if (start !== end) this.decryptUnchecked(bytes, start, end, iv)
  }

  #check(bytes: Uint8Array, start: number, end: number, iv: Uint8Array): void {
    const { name, nonceLength, blockLength } = this.algorithm
    if (!this.alive) destroyed(name)
    checkNonce(name, iv, nonceLength)
    checkRange('text', bytes, start, end)
    if ((end - start) % blockLength !== 0)
      throw new WarrenError('CRYPTO_BLOCK', `text of ${name} is not whole blocks`, {
        found: `${end - start} bytes`,
        expected: `a multiple of ${blockLength}`,
      })
  }

  protected abstract encryptUnchecked(bytes: Uint8Array, start: number, end: number, iv: Uint8Array): void
  protected abstract decryptUnchecked(bytes: Uint8Array, start: number, end: number, iv: Uint8Array): void
}

/** RFC 2410: the identity, so that ESP knows no special case. */
export class NullCipher extends BaseCipher {
  protected override encryptUnchecked(): void {}
  protected override decryptUnchecked(): void {}
  protected override wipeKey(): void {}
}

export abstract class BaseMac extends BaseContext implements MacContext {
  readonly algorithm: MacAlgorithm
  readonly #icvLength: number
  /** The MAC of the last call: at least `icvLength` bytes of it. Set by `macUnchecked`. */
  protected readonly result: Uint8Array

  constructor(algorithm: MacAlgorithm, result: Uint8Array = new Uint8Array(2 * ICV_LENGTH_MAX)) {
    super()
    this.algorithm = algorithm
    this.#icvLength = algorithm.icvLength
    this.result = result
  }

  compute(
    bytes: Uint8Array,
    start: number,
    end: number,
    suffix: Uint8Array | undefined,
    out: Uint8Array,
    outAt = 0,
  ): void {
    const length = this.#icvLength
    this.#check(bytes, start, end, suffix)
    checkRange('ICV', out, outAt, outAt + length)
    this.macUnchecked(bytes, start, end, suffix ?? EMPTY)
    for (let i = 0; i < length; i++) out[outAt + i] = this.result[i]!
  }

  verify(
    bytes: Uint8Array,
    start: number,
    end: number,
    suffix: Uint8Array | undefined,
    icvAt: number,
  ): boolean {
    this.#check(bytes, start, end, suffix)
    checkRange('ICV', bytes, icvAt, icvAt + this.#icvLength)
    this.macUnchecked(bytes, start, end, suffix ?? EMPTY)
    return constantTimeEqual(this.result, 0, bytes, icvAt, this.#icvLength)
  }

  #check(bytes: Uint8Array, start: number, end: number, suffix: Uint8Array | undefined): void {
    if (!this.alive) destroyed(this.algorithm.name)
    checkRange('text', bytes, start, end)
    if (suffix !== undefined && suffix.length > SUFFIX_LENGTH_MAX)
      throw new WarrenError('CRYPTO_RANGE', 'the suffix is too long', {
        found: `${suffix.length} bytes`,
        expected: `at most ${SUFFIX_LENGTH_MAX}`,
      })
  }

  protected abstract macUnchecked(bytes: Uint8Array, start: number, end: number, suffix: Uint8Array): void
}
