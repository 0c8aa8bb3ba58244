/**
 * libcrypto behind the provider's interface, by foreign functions: the OpenSSL that Node itself is linked with, so
 * nothing more is installed. A context keeps its key schedule and takes a new IV a packet; bytes that lie in lent
 * native memory (the data plane's arena) are worked on where they are, others are copied through a scratch block.
 */
import { endianness } from 'node:os'
import { AES_BLOCK, CbcMac, type CbcMacKeys, cbcMacKeys, TAIL_LENGTH } from '../crypto/cbc-mac.js'
import {
  BaseAead,
  BaseCipher,
  BaseMac,
  checkedAead,
  checkedCipher,
  checkedMac,
  NullCipher,
} from '../crypto/context.js'
import {
  type AeadAlgorithm,
  type AeadContext,
  type AeadName,
  type CipherAlgorithm,
  type CipherContext,
  type CipherName,
  type CryptoProvider,
  encryptBlock,
  HMAC_HASHES,
  type MacAlgorithm,
  type MacContext,
  type MacName,
  wipe,
} from '../crypto/index.js'
import {
  type Address,
  type Evp,
  GET_TAG,
  ICV,
  loadEvp,
  Native,
  OUT_LENGTH,
  SET_IV_LENGTH,
  SET_TAG,
  TAIL,
  TAIL_OUT,
  ZERO_IV,
} from './evp.js'
import type { NativeMemory } from './ffi.js'

class NativeAead extends BaseAead {
  readonly #native: Native
  readonly #evp: Evp
  readonly #ccm: boolean
  readonly #icvLength: number
  #seal: Address
  #open: Address

  constructor(native: Native, algorithm: AeadAlgorithm, key: Uint8Array) {
    super(algorithm)
    this.#native = native
    this.#evp = native.evp
    this.#ccm = algorithm.name.startsWith('ENCR_AES_CCM')
    this.#icvLength = algorithm.icvLength
    const type = native.cipher(
      algorithm.name === 'ENCR_CHACHA20_POLY1305'
        ? 'chacha20-poly1305'
        : `id-aes${8 * key.length}-${this.#ccm ? 'CCM' : 'GCM'}`,
    )
    this.#seal = native.newCipherContext()
    this.#open = native.newCipherContext()
    const { evp } = native
    native.check(evp.EVP_EncryptInit_ex(this.#seal, type, 0, 0, 0), 'set an AEAD')
    native.check(evp.EVP_DecryptInit_ex(this.#open, type, 0, 0, 0), 'set an AEAD')
    for (const context of [this.#seal, this.#open]) {
      native.check(
        evp.EVP_CIPHER_CTX_ctrl(context, SET_IV_LENGTH, algorithm.nonceLength, 0),
        'set the length of the nonce',
      )
      // CCM's first block tells the length of the ICV, and is begun with the key (RFC 3610 section 2.2).
      if (this.#ccm)
        native.check(
          evp.EVP_CIPHER_CTX_ctrl(context, SET_TAG, this.#icvLength, 0),
          'set the length of the ICV',
        )
    }
    native.withKey(key, (address) => {
      native.check(evp.EVP_EncryptInit_ex(this.#seal, 0, 0, address, 0), 'set a key')
      native.check(evp.EVP_DecryptInit_ex(this.#open, 0, 0, address, 0), 'set a key')
    })
  }

  protected override sealUnchecked(
    bytes: Uint8Array,
    aadStart: number,
    aadEnd: number,
    start: number,
    end: number,
    nonce: Uint8Array,
    icvAt: number,
  ): void {
    const native = this.#native
    const base = native.addressOf(bytes)
    const aadLength = aadEnd - aadStart
    const length = end - start
    const iv = native.nonce(nonce)
    if (base !== 0) {
      this.#sealAt(base + aadStart, aadLength, base + start, length, iv, base + icvAt)
      return
    }
    const room = native.room(aadLength + length)
    native.copyIn(0, bytes, aadStart, aadEnd)
    native.copyIn(aadLength, bytes, start, end)
    this.#sealAt(room, aadLength, room + aadLength, length, iv, native.base + ICV)
    native.copyOut(aadLength, length, bytes, start)
    for (let i = 0; i < this.#icvLength; i++) bytes[icvAt + i] = native.bytes[ICV + i]!
  }

  #sealAt(aad: Address, aadLength: number, text: Address, length: number, iv: Address, icv: Address): void {
    const evp = this.#evp
    const context = this.#seal
    const outLength = this.#native.base + OUT_LENGTH
    // Results are 1 or 0: all succeeded exactly if they are 1 all together.
    let good = evp.EVP_EncryptInit_ex(context, 0, 0, 0, iv)
    if (this.#ccm) good &= evp.EVP_EncryptUpdate(context, 0, outLength, 0, length)
    if (aadLength > 0) good &= evp.EVP_EncryptUpdate(context, 0, outLength, aad, aadLength)
    if (length > 0 || this.#ccm) good &= evp.EVP_EncryptUpdate(context, text, outLength, text, length)
    // CCM has no last step: its one update did it all.
    if (!this.#ccm) good &= evp.EVP_EncryptFinal_ex(context, text, outLength)
    good &= evp.EVP_CIPHER_CTX_ctrl(context, GET_TAG, this.#icvLength, icv)
    if (good !== 1) this.#native.failed('seal')
  }

  protected override openUnchecked(
    bytes: Uint8Array,
    aadStart: number,
    aadEnd: number,
    start: number,
    end: number,
    nonce: Uint8Array,
    icvAt: number,
  ): boolean {
    const native = this.#native
    const base = native.addressOf(bytes)
    const aadLength = aadEnd - aadStart
    const length = end - start
    const iv = native.nonce(nonce)
    if (base !== 0) return this.#openAt(base + aadStart, aadLength, base + start, length, iv, base + icvAt)
    const room = native.room(aadLength + length)
    native.copyIn(0, bytes, aadStart, aadEnd)
    native.copyIn(aadLength, bytes, start, end)
    for (let i = 0; i < this.#icvLength; i++) native.bytes[ICV + i] = bytes[icvAt + i]!
    if (!this.#openAt(room, aadLength, room + aadLength, length, iv, native.base + ICV)) return false
    native.copyOut(aadLength, length, bytes, start)
    return true
  }

  #openAt(
    aad: Address,
    aadLength: number,
    text: Address,
    length: number,
    iv: Address,
    icv: Address,
  ): boolean {
    const evp = this.#evp
    const context = this.#open
    const outLength = this.#native.base + OUT_LENGTH
    let good = evp.EVP_DecryptInit_ex(context, 0, 0, 0, iv)
    good &= evp.EVP_CIPHER_CTX_ctrl(context, SET_TAG, this.#icvLength, icv)
    if (this.#ccm) good &= evp.EVP_DecryptUpdate(context, 0, outLength, 0, length)
    if (aadLength > 0) good &= evp.EVP_DecryptUpdate(context, 0, outLength, aad, aadLength)
    if (good !== 1) this.#native.failed('open')
    // From here on a failure is the peer's. CCM compares in its one update, the others at the end.
    let authentic: number
    if (this.#ccm) authentic = evp.EVP_DecryptUpdate(context, text, outLength, text, length)
    else {
      if (length > 0 && evp.EVP_DecryptUpdate(context, text, outLength, text, length) !== 1)
        this.#native.failed('open')
      authentic = evp.EVP_DecryptFinal_ex(context, text, outLength)
    }
    if (authentic === 1) return true
    // What OpenSSL noted must not be taken for an error of a later call of Node's on this thread.
    evp.ERR_clear_error()
    return false
  }

  protected override wipeKey(): void {
    // OpenSSL overwrites the key schedule as it frees.
    this.#evp.EVP_CIPHER_CTX_free(this.#seal)
    this.#evp.EVP_CIPHER_CTX_free(this.#open)
    this.#seal = 0
    this.#open = 0
  }
}

class NativeCipher extends BaseCipher {
  readonly #native: Native
  #encrypt: Address
  #decrypt: Address

  constructor(native: Native, algorithm: CipherAlgorithm, key: Uint8Array) {
    super(algorithm)
    this.#native = native
    const mode = algorithm.name === 'ENCR_AES_CTR' ? 'ctr' : 'cbc'
    const type = native.cipher(
      algorithm.name === 'ENCR_3DES' ? 'des-ede3-cbc' : `aes-${8 * key.length}-${mode}`,
    )
    this.#encrypt = native.newCipherContext()
    this.#decrypt = native.newCipherContext()
    const { evp } = native
    native.withKey(key, (address) => {
      native.check(evp.EVP_EncryptInit_ex(this.#encrypt, type, 0, address, 0), 'set a key')
      native.check(evp.EVP_DecryptInit_ex(this.#decrypt, type, 0, address, 0), 'set a key')
    })
    // With padding on, decryption would hold the last block back.
    native.check(evp.EVP_CIPHER_CTX_set_padding(this.#encrypt, 0), 'turn padding off')
    native.check(evp.EVP_CIPHER_CTX_set_padding(this.#decrypt, 0), 'turn padding off')
  }

  protected override encryptUnchecked(bytes: Uint8Array, start: number, end: number, iv: Uint8Array): void {
    const { evp, base } = this.#native
    const text = this.#enter(bytes, start, end)
    let good = evp.EVP_EncryptInit_ex(this.#encrypt, 0, 0, 0, this.#native.nonce(iv))
    good &= evp.EVP_EncryptUpdate(this.#encrypt, text, base + OUT_LENGTH, text, end - start)
    if (good !== 1) this.#native.failed('encrypt')
    this.#leave(bytes, start, end)
  }

  protected override decryptUnchecked(bytes: Uint8Array, start: number, end: number, iv: Uint8Array): void {
    const { evp, base } = this.#native
    const text = this.#enter(bytes, start, end)
    let good = evp.EVP_DecryptInit_ex(this.#decrypt, 0, 0, 0, this.#native.nonce(iv))
    good &= evp.EVP_DecryptUpdate(this.#decrypt, text, base + OUT_LENGTH, text, end - start)
    if (good !== 1) this.#native.failed('decrypt')
    this.#leave(bytes, start, end)
  }

  /** Where the text stands for libcrypto: in place, or in the scratch. */
  #enter(bytes: Uint8Array, start: number, end: number): Address {
    const base = this.#native.addressOf(bytes)
    if (base !== 0) return base + start
    const room = this.#native.room(end - start)
    this.#native.copyIn(0, bytes, start, end)
    return room
  }

  #leave(bytes: Uint8Array, start: number, end: number): void {
    if (this.#native.addressOf(bytes) === 0) this.#native.copyOut(0, end - start, bytes, start)
  }

  protected override wipeKey(): void {
    this.#native.evp.EVP_CIPHER_CTX_free(this.#encrypt)
    this.#native.evp.EVP_CIPHER_CTX_free(this.#decrypt)
    this.#encrypt = 0
    this.#decrypt = 0
  }
}

class NativeHmac extends BaseMac {
  readonly #native: Native
  #context: Address

  constructor(native: Native, algorithm: MacAlgorithm, hash: string, key: Uint8Array) {
    super(algorithm, native.bytes.subarray(ICV, ICV + 64))
    this.#native = native
    const { evp } = native
    const digest = evp.EVP_get_digestbyname(hash)
    this.#context = evp.HMAC_CTX_new()
    if (digest === 0 || this.#context === 0) native.failed(`make an HMAC with ${hash}`)
    native.withKey(key, (address) =>
      native.check(evp.HMAC_Init_ex(this.#context, address, key.length, digest, 0), 'set a key'),
    )
  }

  protected override macUnchecked(bytes: Uint8Array, start: number, end: number, suffix: Uint8Array): void {
    const native = this.#native
    const { evp } = native
    let text = native.addressOf(bytes) + start
    if (text === start) {
      text = native.room(end - start)
      native.copyIn(0, bytes, start, end)
    }
    // Without a key it starts again from the state after the inner padding, which it kept.
    let good = evp.HMAC_Init_ex(this.#context, 0, 0, 0, 0)
    good &= evp.HMAC_Update(this.#context, text, end - start)
    if (suffix.length > 0) {
      native.bytes.set(suffix, TAIL)
      good &= evp.HMAC_Update(this.#context, native.base + TAIL, suffix.length)
    }
    good &= evp.HMAC_Final(this.#context, native.base + ICV, native.base + OUT_LENGTH)
    if (good !== 1) native.failed('compute a MAC')
  }

  protected override wipeKey(): void {
    this.#native.evp.HMAC_CTX_free(this.#context)
    this.#context = 0
    wipe(this.result)
  }
}

class NativeCbcMac extends CbcMac {
  readonly #native: Native
  #context: Address

  constructor(native: Native, algorithm: MacAlgorithm, keys: CbcMacKeys) {
    super(algorithm, keys, native.bytes.subarray(TAIL, TAIL + TAIL_LENGTH))
    this.#native = native
    this.#context = native.newCipherContext()
    const type = native.cipher('aes-128-cbc')
    native.withKey(keys.chain, (address) =>
      native.check(native.evp.EVP_EncryptInit_ex(this.#context, type, 0, address, 0), 'set a key'),
    )
    wipe(keys.chain)
    native.check(native.evp.EVP_CIPHER_CTX_set_padding(this.#context, 0), 'turn padding off')
  }

  protected override chain(bytes: Uint8Array, start: number, end: number, tailLength: number): void {
    const native = this.#native
    const { evp, base } = native
    let good = evp.EVP_EncryptInit_ex(this.#context, 0, 0, 0, base + ZERO_IV)
    if (start !== end) {
      // Only the chain's state matters; what it writes is thrown away, so the packet must not be where it writes.
      const room = native.room(end - start)
      let text = native.addressOf(bytes) + start
      if (text === start) {
        text = room
        native.copyIn(0, bytes, start, end)
      }
      good &= evp.EVP_EncryptUpdate(this.#context, room, base + OUT_LENGTH, text, end - start)
    }
    good &= evp.EVP_EncryptUpdate(this.#context, base + TAIL_OUT, base + OUT_LENGTH, base + TAIL, tailLength)
    if (good !== 1) native.failed('compute a MAC')
    const last = TAIL_OUT + tailLength - AES_BLOCK
    for (let i = 0; i < AES_BLOCK; i++) this.result[i] = native.bytes[last + i]!
  }

  protected override wipeKey(): void {
    super.wipeKey()
    this.#native.evp.EVP_CIPHER_CTX_free(this.#context)
    this.#context = 0
  }
}

/** Of one thread: contexts and lent memory must not go to another. */
export class LibcryptoProvider implements CryptoProvider {
  readonly name = 'libcrypto'
  readonly #native: Native

  constructor(evp: Evp) {
    this.#native = new Native(evp)
  }

  /** Bytes of this memory are from now on worked on in place. The memory must outlive the provider. */
  lend(memory: NativeMemory): void {
    this.#native.lend(memory)
  }

  aead(name: AeadName, key: Uint8Array): AeadContext {
    return new NativeAead(this.#native, checkedAead(name, key), key)
  }

  cipher(name: CipherName, key: Uint8Array): CipherContext {
    const algorithm = checkedCipher(name, key)
    return name === 'ENCR_NULL' ? new NullCipher(algorithm) : new NativeCipher(this.#native, algorithm, key)
  }

  mac(name: MacName, key: Uint8Array): MacContext {
    const algorithm = checkedMac(name, key)
    if (name === 'AUTH_AES_XCBC_96' || name === 'AUTH_AES_CMAC_96')
      return new NativeCbcMac(this.#native, algorithm, cbcMacKeys(algorithm, key, encryptBlock))
    return new NativeHmac(this.#native, algorithm, HMAC_HASHES[name], key)
  }
}

let loaded: LibcryptoProvider | null | undefined

/**
 * The provider of this thread, or undefined where koffi cannot be loaded or this Node exports no libcrypto: then
 * `nodeProvider` does the same, slower.
 */
export function loadLibcrypto(): LibcryptoProvider | undefined {
  loaded ??= tryLoad() ?? null
  return loaded ?? undefined
}

function tryLoad(): LibcryptoProvider | undefined {
  if (process.platform !== 'linux' || endianness() !== 'LE') return undefined
  try {
    return new LibcryptoProvider(loadEvp())
  } catch {
    return undefined
  }
}
