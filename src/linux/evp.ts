/**
 * OpenSSL's functions as koffi calls them, and the memory that calls of one thread share.
 *
 * Every pointer is declared `size_t` and passed as a number: koffi converts that in half the time that a `void*` takes.
 */
import { createRequire } from 'node:module'
import { WarrenError } from '../base/index.js'
import { TAIL_LENGTH } from '../crypto/cbc-mac.js'
import { NativeMemory } from './ffi.js'

/** An address; 0 is NULL. */
export type Address = number

export interface Evp {
  EVP_get_cipherbyname(name: string): Address
  EVP_get_digestbyname(name: string): Address
  EVP_CIPHER_CTX_new(): Address
  EVP_CIPHER_CTX_free(context: Address): void
  EVP_CIPHER_CTX_ctrl(context: Address, type: number, argument: number, pointer: Address): number
  EVP_CIPHER_CTX_set_padding(context: Address, padding: number): number
  EVP_EncryptInit_ex(context: Address, type: Address, engine: Address, key: Address, iv: Address): number
  EVP_EncryptUpdate(context: Address, out: Address, outLength: Address, from: Address, length: number): number
  EVP_EncryptFinal_ex(context: Address, out: Address, outLength: Address): number
  EVP_DecryptInit_ex(context: Address, type: Address, engine: Address, key: Address, iv: Address): number
  EVP_DecryptUpdate(context: Address, out: Address, outLength: Address, from: Address, length: number): number
  EVP_DecryptFinal_ex(context: Address, out: Address, outLength: Address): number
  HMAC_CTX_new(): Address
  HMAC_CTX_free(context: Address): void
  HMAC_Init_ex(context: Address, key: Address, length: number, digest: Address, engine: Address): number
  HMAC_Update(context: Address, from: Address, length: number): number
  HMAC_Final(context: Address, out: Address, outLength: Address): number
  ERR_clear_error(): void
}

const INIT = ['int', ['size_t', 'size_t', 'size_t', 'size_t', 'size_t']] as const
const UPDATE = ['int', ['size_t', 'size_t', 'size_t', 'size_t', 'int']] as const
const FINAL = ['int', ['size_t', 'size_t', 'size_t']] as const

const PROTOTYPES: Readonly<Record<keyof Evp, readonly [result: string, parameters: readonly string[]]>> = {
  EVP_get_cipherbyname: ['size_t', ['const char*']],
  EVP_get_digestbyname: ['size_t', ['const char*']],
  EVP_CIPHER_CTX_new: ['size_t', []],
  EVP_CIPHER_CTX_free: ['void', ['size_t']],
  EVP_CIPHER_CTX_ctrl: ['int', ['size_t', 'int', 'int', 'size_t']],
  EVP_CIPHER_CTX_set_padding: ['int', ['size_t', 'int']],
  EVP_EncryptInit_ex: INIT,
  EVP_EncryptUpdate: UPDATE,
  EVP_EncryptFinal_ex: FINAL,
  EVP_DecryptInit_ex: INIT,
  EVP_DecryptUpdate: UPDATE,
  EVP_DecryptFinal_ex: FINAL,
  HMAC_CTX_new: ['size_t', []],
  HMAC_CTX_free: ['void', ['size_t']],
  HMAC_Init_ex: ['int', ['size_t', 'size_t', 'int', 'size_t', 'size_t']],
  HMAC_Update: ['int', ['size_t', 'size_t', 'size_t']],
  HMAC_Final: FINAL,
  ERR_clear_error: ['void', []],
}

/** The functions of the OpenSSL that Node is linked with. Throws where koffi cannot be loaded or Node exports none. */
export function loadEvp(): Evp {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
  const library = koffi.load(null)
  const functions: Record<string, unknown> = {}
  for (const [name, [result, parameters]] of Object.entries(PROTOTYPES))
    functions[name] = library.func(name, result, [...parameters])
  return functions as unknown as Evp
}

/** Control commands of openssl/evp.h: EVP_CTRL_AEAD_*. */
export const SET_IV_LENGTH = 0x9
export const GET_TAG = 0x10
export const SET_TAG = 0x11

/** The scratch block: small things at fixed places, then texts that are not in lent memory. */
const NONCE = 0
export const OUT_LENGTH = 32
const KEY = 64
export const ICV = 192
export const ZERO_IV = 256
export const TAIL = 320
export const TAIL_OUT: number = TAIL + 128
const TEXT = 1024
/** Two packets of IP's longest: associated data and text of one call. */
const TEXT_LENGTH: number = 2 * 65_536

if (TAIL_LENGTH > TAIL_OUT - TAIL) throw new RangeError('a tail does not fit its place')

/** What all contexts of a thread share: the functions and the scratch. Calls do not overlap, so one is enough. */
export class Native {
  readonly evp: Evp
  /** Address of the fixed places. */
  readonly base: Address
  readonly bytes: Uint8Array
  #text: Uint8Array
  #textBase: Address
  readonly #lent = new WeakMap<ArrayBufferLike, Address>()
  #lastBytes: Uint8Array | undefined
  #lastBase: Address = 0

  constructor(evp: Evp) {
    this.evp = evp
    const memory = new NativeMemory(TEXT + TEXT_LENGTH)
    this.bytes = memory.bytes
    this.base = memory.base
    this.#text = memory.bytes.subarray(TEXT)
    this.#textBase = memory.base + TEXT
  }

  lend(memory: NativeMemory): void {
    this.#lent.set(memory.bytes.buffer, memory.base)
    this.#lastBytes = undefined
  }

  /** The address of `bytes[0]`, or 0 if the bytes are not in lent memory. */
  addressOf(bytes: Uint8Array): Address {
    // A data plane works on one array, so the one asked for last answers nearly all.
    if (bytes === this.#lastBytes) return this.#lastBase
    const block = this.#lent.get(bytes.buffer)
    this.#lastBytes = bytes
    this.#lastBase = block === undefined ? 0 : block + bytes.byteOffset
    return this.#lastBase
  }

  /** Makes room for `length` bytes of text; returns the address. */
  room(length: number): Address {
    if (length > this.#text.length) {
      const memory = new NativeMemory(2 * length)
      this.#text = memory.bytes
      this.#textBase = memory.base
    }
    return this.#textBase
  }

  /** Copies in. `room` must have been asked before, for all that is copied. */
  copyIn(at: number, bytes: Uint8Array, start: number, end: number): void {
    this.#text.set(bytes.subarray(start, end), at)
  }

  copyOut(at: number, length: number, bytes: Uint8Array, start: number): void {
    bytes.set(this.#text.subarray(at, at + length), start)
  }

  /** Puts the IV of one packet at its place; returns the address. */
  nonce(nonce: Uint8Array): Address {
    for (let i = 0; i < nonce.length; i++) this.bytes[NONCE + i] = nonce[i]!
    return this.base + NONCE
  }

  /** Lends the key for the call. */
  withKey(key: Uint8Array, use: (address: Address) => void): void {
    this.bytes.set(key, KEY)
    try {
      use(this.base + KEY)
    } finally {
      this.bytes.fill(0, KEY, KEY + key.length)
    }
  }

  newCipherContext(): Address {
    const context = this.evp.EVP_CIPHER_CTX_new()
    if (context === 0) this.failed('make a context')
    return context
  }

  cipher(name: string): Address {
    const type = this.evp.EVP_get_cipherbyname(name)
    if (type === 0) this.failed(`find ${name}`)
    return type
  }

  /** 1 is OpenSSL's success; 0 and below are not. */
  check(result: number, what: string): void {
    if (result <= 0) this.failed(what)
  }

  failed(what: string): never {
    this.evp.ERR_clear_error()
    throw new WarrenError('CRYPTO_FAILED', `libcrypto could not ${what}`)
  }
}
