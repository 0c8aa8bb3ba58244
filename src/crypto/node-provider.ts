/**
 * `node:crypto` behind the provider's interface: what every machine has. Node makes an object and a buffer a packet;
 * where that is too dear, `linux/libcrypto.ts` offers the same without.
 */
import {
  type CipherCCMTypes,
  type CipherChaCha20Poly1305Types,
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
} from 'node:crypto'
import { AES_BLOCK, CbcMac, type CbcMacKeys, cbcMacKeys } from './cbc-mac.js'
import {
  BaseAead,
  BaseCipher,
  BaseMac,
  checkedAead,
  checkedCipher,
  checkedMac,
  NullCipher,
} from './context.js'
import type { AeadAlgorithm, CipherAlgorithm, MacAlgorithm, MacName } from './names.js'
import type { CryptoProvider } from './provider.js'
import { wipe } from './wipe.js'

/**
 * A key that Node keeps outside the JavaScript heap. Node wipes it when the collector takes the object; all that
 * destroying can do is to let go of it.
 */
class KeptKey {
  #key: KeyObject | undefined

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key)
  }

  get(): KeyObject {
    return this.#key!
  }

  drop(): void {
    this.#key = undefined
  }
}

class NodeAead extends BaseAead {
  readonly #type: string
  readonly #key: KeptKey
  readonly #icvLength: number

  constructor(algorithm: AeadAlgorithm, key: Uint8Array) {
    super(algorithm)
    this.#key = new KeptKey(key)
    this.#icvLength = algorithm.icvLength
    const mode = algorithm.name.startsWith('ENCR_AES_CCM') ? 'ccm' : 'gcm'
    this.#type =
      algorithm.name === 'ENCR_CHACHA20_POLY1305' ? 'chacha20-poly1305' : `aes-${8 * key.length}-${mode}`
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
    const cipher = createCipheriv(this.#type as AeadType, this.#key.get(), nonce, {
      authTagLength: this.#icvLength,
    })
    // CCM needs the length before the text (its first block holds it); the others ignore it.
    cipher.setAAD(bytes.subarray(aadStart, aadEnd), { plaintextLength: end - start })
    const text = cipher.update(bytes.subarray(start, end))
    cipher.final()
    bytes.set(text, start)
    bytes.set(cipher.getAuthTag(), icvAt)
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
    const decipher = createDecipheriv(this.#type as AeadType, this.#key.get(), nonce, {
      authTagLength: this.#icvLength,
    })
    decipher.setAuthTag(bytes.subarray(icvAt, icvAt + this.#icvLength))
    decipher.setAAD(bytes.subarray(aadStart, aadEnd), { plaintextLength: end - start })
    let text: Buffer
    try {
      text = decipher.update(bytes.subarray(start, end))
      decipher.final()
    } catch {
      return false
    }
    bytes.set(text, start)
    return true
  }

  protected override wipeKey(): void {
    this.#key.drop()
  }
}

/** Node's overloads differ only in the type of the options; all of them take these. */
type AeadType = CipherCCMTypes & CipherGCMTypes & CipherChaCha20Poly1305Types

class NodeCipher extends BaseCipher {
  readonly #type: string
  readonly #key: KeptKey

  constructor(algorithm: CipherAlgorithm, key: Uint8Array) {
    super(algorithm)
    this.#key = new KeptKey(key)
    const mode = algorithm.name === 'ENCR_AES_CTR' ? 'ctr' : 'cbc'
    this.#type = algorithm.name === 'ENCR_3DES' ? 'des-ede3-cbc' : `aes-${8 * key.length}-${mode}`
  }

  protected override encryptUnchecked(bytes: Uint8Array, start: number, end: number, iv: Uint8Array): void {
    const cipher = createCipheriv(this.#type, this.#key.get(), iv).setAutoPadding(false)
    bytes.set(cipher.update(bytes.subarray(start, end)), start)
  }

  protected override decryptUnchecked(bytes: Uint8Array, start: number, end: number, iv: Uint8Array): void {
    const decipher = createDecipheriv(this.#type, this.#key.get(), iv).setAutoPadding(false)
    bytes.set(decipher.update(bytes.subarray(start, end)), start)
  }

  protected override wipeKey(): void {
    this.#key.drop()
  }
}

type HmacName = Exclude<MacName, 'AUTH_AES_XCBC_96' | 'AUTH_AES_CMAC_96'>

export const HMAC_HASHES: Readonly<Record<HmacName, string>> = {
  AUTH_HMAC_SHA1_96: 'sha1',
  AUTH_HMAC_SHA2_256_128: 'sha256',
  AUTH_HMAC_SHA2_384_192: 'sha384',
  AUTH_HMAC_SHA2_512_256: 'sha512',
}

class NodeHmac extends BaseMac {
  readonly #hash: string
  readonly #key: KeptKey

  constructor(algorithm: MacAlgorithm, hash: string, key: Uint8Array) {
    super(algorithm)
    this.#hash = hash
    this.#key = new KeptKey(key)
  }

  protected override macUnchecked(bytes: Uint8Array, start: number, end: number, suffix: Uint8Array): void {
    const hmac = createHmac(this.#hash, this.#key.get()).update(bytes.subarray(start, end))
    this.result.set(hmac.update(suffix).digest())
  }

  protected override wipeKey(): void {
    this.#key.drop()
    wipe(this.result)
  }
}

const ZERO_IV = new Uint8Array(AES_BLOCK)

class NodeCbcMac extends CbcMac {
  readonly #key: KeptKey

  constructor(algorithm: MacAlgorithm, keys: CbcMacKeys) {
    super(algorithm, keys)
    this.#key = new KeptKey(keys.chain)
    wipe(keys.chain)
  }

  protected override chain(bytes: Uint8Array, start: number, end: number, tailLength: number): void {
    const cipher = createCipheriv('aes-128-cbc', this.#key.get(), ZERO_IV)
    cipher.update(bytes.subarray(start, end))
    const last = cipher.update(this.tail.subarray(0, tailLength))
    this.result.set(last.subarray(tailLength - AES_BLOCK))
  }

  protected override wipeKey(): void {
    super.wipeKey()
    this.#key.drop()
  }
}

/** One block of AES-128, for making subkeys. */
export function encryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  return createCipheriv('aes-128-ecb', key, null).update(block)
}

/** The whole block of AES-XCBC-MAC or AES-CMAC, as the pseudorandom functions of RFC 4434 and RFC 4615 give it. */
export function aesMac(
  name: 'AUTH_AES_XCBC_96' | 'AUTH_AES_CMAC_96',
  key: Uint8Array,
  message: Uint8Array,
): Uint8Array {
  const algorithm = { ...checkedMac(name, key), icvLength: AES_BLOCK }
  const mac = new NodeCbcMac(algorithm, cbcMacKeys(algorithm, key, encryptBlock))
  const out = new Uint8Array(AES_BLOCK)
  mac.compute(message, 0, message.length, undefined, out)
  mac.destroy()
  return out
}

export const nodeProvider: CryptoProvider = {
  name: 'node',
  aead: (name, key) => new NodeAead(checkedAead(name, key), key),
  cipher(name, key) {
    const algorithm = checkedCipher(name, key)
    return name === 'ENCR_NULL' ? new NullCipher(algorithm) : new NodeCipher(algorithm, key)
  },
  mac(name, key) {
    const algorithm = checkedMac(name, key)
    if (name === 'AUTH_AES_XCBC_96' || name === 'AUTH_AES_CMAC_96')
      return new NodeCbcMac(algorithm, cbcMacKeys(algorithm, key, encryptBlock))
    return new NodeHmac(algorithm, HMAC_HASHES[name], key)
  },
}
