/** The contexts of one SA's algorithms with given keys, to open what was captured: of ESP and of IKE alike. */

import type { EncryptionName } from '../../crypto/names.js'
import { encryptionAlgorithm, type MacName, macAlgorithm, splitKeyMaterial } from '../../crypto/names.js'
import type { AeadContext, CipherContext, CryptoProvider, MacContext } from '../../crypto/provider.js'

export interface GivenKeys {
  readonly encryption: EncryptionName
  readonly encryptionKey: Uint8Array
  readonly integrity?: MacName | undefined
  readonly integrityKey: Uint8Array
  /** Bytes of an ICV that cannot be checked. */
  readonly uncheckedIcv?: number | undefined
  /** An algorithm that Warren has not: lengths are known, contexts are not made. */
  readonly unsupported?: string | undefined
}

export class GivenSuite {
  readonly suite: string
  readonly ivLength: number
  readonly icvLength: number
  readonly blockLength: number
  readonly salt: Uint8Array
  readonly aead: AeadContext | undefined
  /** The cipher; of a counter-mode AEAD its keystream alone, for what is shown unverified. */
  readonly cipher: CipherContext | undefined
  readonly mac: MacContext | undefined
  readonly #encryption: EncryptionName

  /** Throws `WarrenError` CRYPTO_* for keys of wrong lengths. */
  constructor(keys: GivenKeys, provider: CryptoProvider) {
    const { encryption, integrity, unsupported } = keys
    const algorithm = encryptionAlgorithm(encryption)
    this.#encryption = encryption
    this.suite = integrity === undefined ? encryption : `${encryption} with ${integrity}`
    this.ivLength = algorithm.ivLength
    this.blockLength = algorithm.blockLength
    const { key, salt } =
      encryption === 'ENCR_NULL' || unsupported !== undefined
        ? { key: new Uint8Array(0), salt: new Uint8Array(0) }
        : splitKeyMaterial(algorithm, keys.encryptionKey)
    this.salt = salt
    if (unsupported === undefined) {
      this.mac = integrity === undefined ? undefined : provider.mac(integrity, keys.integrityKey)
      if (algorithm.kind === 'aead') this.aead = provider.aead(algorithm.name, key)
      if (encryption.startsWith('ENCR_AES_GCM') || encryption.startsWith('ENCR_AES_CCM'))
        this.cipher = provider.cipher('ENCR_AES_CTR', key)
      else if (algorithm.kind === 'cipher' && algorithm.name !== 'ENCR_NULL')
        this.cipher = provider.cipher(algorithm.name, key)
    }
    this.icvLength =
      algorithm.kind === 'aead'
        ? algorithm.icvLength
        : integrity === undefined
          ? (keys.uncheckedIcv ?? 0)
          : macAlgorithm(integrity).icvLength
  }

  /** What the cipher begins with: of a counter mode the block of the first byte of text. */
  firstBlock(iv: Uint8Array): Uint8Array {
    const encryption = this.#encryption
    const { salt } = this
    if (encryption === 'ENCR_AES_CTR') return Uint8Array.of(...salt, ...iv, 0, 0, 0, 1)
    // NIST SP 800-38D section 7.1: block 1 masks the tag.
    if (encryption.startsWith('ENCR_AES_GCM')) return Uint8Array.of(...salt, ...iv, 0, 0, 0, 2)
    // RFC 3610 section 2.3: the flags say that the counter has 4 bytes.
    if (encryption.startsWith('ENCR_AES_CCM')) return Uint8Array.of(3, ...salt, ...iv, 0, 0, 0, 1)
    return iv
  }

  destroy(): void {
    this.aead?.destroy()
    this.cipher?.destroy()
    this.mac?.destroy()
  }
}
