/**
 * Opens ESP and verifies AH of a capture with given keys. It is for eyes, not for a network: there is no replay window,
 * any order will do, and nothing is changed in the packet that it is given. The ICV is verified before anything is
 * decrypted; where it is wrong the content stays closed unless the caller asked for it (`unverified`).
 */
import { readUint32, writeUint32 } from '../../base/index.js'
import { constantTimeEqual } from '../../crypto/constant-time.js'
import { ICV_LENGTH_MAX } from '../../crypto/names.js'
import type { CryptoProvider } from '../../crypto/provider.js'
import { AH_HEADER_LENGTH, ahLength } from '../../wire/ah.js'
import { zeroMutable } from '../../wire/ah-fields.js'
import { ESP_HEADER_LENGTH, ESP_TRAILER_LENGTH } from '../../wire/esp.js'
import { ipv4 } from '../../wire/ipv4.js'
import { ipv6 } from '../../wire/ipv6.js'
import type { IcvVerdict, OpenedEsp, Opener, Sealed, VerifiedAh } from '../opener.js'
import type { SaKeys } from './esp-sa.js'
import { GivenSuite } from './given-suite.js'
import { addressPattern, type BytePattern, matches, spiPattern } from './pattern.js'
import { SequenceNumbers } from './sequence.js'

export interface EspOpenerOptions {
  /** Shows what decryption makes of a packet whose ICV is wrong. */
  readonly unverified?: boolean
}

/** One record with its contexts, which are made when they are first needed. */
class KeyedSa extends GivenSuite {
  readonly keys: SaKeys
  readonly source: BytePattern
  readonly destination: BytePattern
  readonly spi: BytePattern

  constructor(keys: SaKeys, provider: CryptoProvider) {
    super(keys, provider)
    const { family } = keys
    this.keys = keys
    this.source = addressPattern(keys.source, family)!
    this.destination = addressPattern(keys.destination, family)!
    this.spi = spiPattern(keys.spi)!
  }

  /** Undefined: the record has `*` in it. */
  get exactSpi(): number | undefined {
    return this.spi.mask.every((byte) => byte === 0xff) ? readUint32(this.spi.value, 0) : undefined
  }

  get isChecked(): boolean {
    return this.aead !== undefined || this.mac !== undefined
  }
}

const NO_SAS: readonly KeyedSa[] = []

export class EspOpener implements Opener {
  readonly #sas: readonly KeyedSa[]
  /** By SPI, for files with many of them; records with `*` in theirs are in every list. */
  readonly #bySpi = new Map<number, readonly KeyedSa[]>()
  readonly #ofAnySpi: readonly KeyedSa[]
  readonly #unverified: boolean
  readonly #numbers = new SequenceNumbers()
  readonly #suffix = new Uint8Array(4)
  readonly #computed = new Uint8Array(ICV_LENGTH_MAX)

  /** Keys of the right lengths, as `parseEspSa` gives them. Throws `WarrenError` CRYPTO_* otherwise. */
  constructor(keys: readonly SaKeys[], provider: CryptoProvider, options: EspOpenerOptions = {}) {
    this.#sas = keys.map((sa) => new KeyedSa(sa, provider))
    this.#ofAnySpi = this.#sas.filter(({ exactSpi }) => exactSpi === undefined)
    for (const sa of this.#sas) {
      const { exactSpi } = sa
      if (exactSpi === undefined) continue
      this.#bySpi.set(exactSpi, [...(this.#bySpi.get(exactSpi) ?? this.#ofAnySpi), sa])
    }
    this.#unverified = options.unverified ?? false
  }

  openEsp(sealed: Sealed): OpenedEsp | string | undefined {
    const { bytes, start, end } = sealed
    if (end - start < ESP_HEADER_LENGTH) return undefined
    const found = this.#candidates(sealed, start)
    if (found.length === 0) return undefined
    const usable = found.filter(({ keys }) => keys.unsupported === undefined)
    if (usable.length === 0) return `not opened: Warren has no ${found[0]!.keys.unsupported}`
    let wrong: OpenedEsp | undefined
    for (const sa of usable) {
      const least = ESP_HEADER_LENGTH + sa.ivLength + ESP_TRAILER_LENGTH + sa.icvLength
      if (end - start < least) continue
      const text = end - start - ESP_HEADER_LENGTH - sa.ivLength - sa.icvLength
      if (sa.aead === undefined && text % (sa.cipher?.algorithm.blockLength ?? 1) !== 0) continue
      const opened = this.#open(sa, sealed, `e ${this.#nameOf(sealed, start)}`, readUint32(bytes, start + 4))
      if (opened.icv !== 'wrong') return opened
      wrong ??= opened
    }
    return wrong ?? 'not opened: too short for the algorithms of its key, or not whole blocks'
  }

  /** Records for this packet; those that can check come alone, so that nobody gets around the check. */
  #candidates(sealed: Sealed, spiAt: number): readonly KeyedSa[] {
    const { bytes, ip, family } = sealed
    const { source, destination } = (family === 4 ? ipv4 : ipv6).offset
    const sas = this.#bySpi.get(readUint32(bytes, spiAt)) ?? this.#ofAnySpi
    if (sas.length === 0) return NO_SAS
    const found = sas.filter(
      (sa) =>
        sa.keys.family === family &&
        matches(sa.spi, bytes, spiAt) &&
        matches(sa.source, bytes, ip + source) &&
        matches(sa.destination, bytes, ip + destination),
    )
    const checked = found.filter(({ isChecked }) => isChecked)
    return checked.length > 0 ? checked : found
  }

  #nameOf({ bytes, ip, family }: Sealed, spiAt: number): string {
    const width = family === 4 ? 4 : 16
    const at = ip + (family === 4 ? ipv4 : ipv6).offset.destination
    return `${readUint32(bytes, spiAt)} ${bytes.subarray(at, at + width).join('.')}`
  }

  #open(sa: KeyedSa, sealed: Sealed, name: string, low: number): OpenedEsp {
    const { suite, ivLength, icvLength } = sa
    const facts = { suite, ivLength, icvLength }
    if (!sa.isChecked) return { ...facts, icv: 'unchecked', bytes: decrypted(sa, sealed) }
    for (const high of this.#numbers.candidates(name, low)) {
      const bytes = sa.aead === undefined ? this.#macOpened(sa, sealed, high) : aeadOpened(sa, sealed, high)
      if (bytes === undefined) continue
      this.#numbers.proved(name, low, high)
      return { ...facts, icv: 'correct', bytes, ...(high === undefined ? {} : { high }) }
    }
    // ChaCha20's keystream alone nobody offers.
    const isBare = sa.keys.encryption === 'ENCR_CHACHA20_POLY1305'
    const shown = this.#unverified && !isBare ? decrypted(sa, sealed) : undefined
    return { ...facts, icv: 'wrong', ...(shown === undefined ? {} : { bytes: shown }) }
  }

  #macOpened(sa: KeyedSa, sealed: Sealed, high: number | undefined): Uint8Array | undefined {
    const { bytes, start, end } = sealed
    const icvAt = end - sa.icvLength
    if (!sa.mac!.verify(bytes, start, icvAt, this.#suffixOf(high), icvAt)) return undefined
    return decrypted(sa, sealed)
  }

  #suffixOf(high: number | undefined): Uint8Array | undefined {
    if (high === undefined) return undefined
    writeUint32(this.#suffix, 0, high)
    return this.#suffix
  }

  verifyAh(sealed: Sealed): VerifiedAh | string | undefined {
    const { bytes, start, end, ip } = sealed
    if (end - start < AH_HEADER_LENGTH) return undefined
    const found = this.#candidates(sealed, start + 4)
    if (found.length === 0) return undefined
    const usable = found.filter(({ mac }) => mac !== undefined)
    if (usable.length === 0) return 'not verified: its key has no authentication that Warren knows'
    const length = Math.min(ahLength(bytes[start + 1]!), end - start)
    const header = bytes.slice(ip, end)
    const at = start - ip
    if (!zeroMutable(header, 0, at)) return 'not verified: the IP header has parts that cannot be foretold'
    const name = `a ${this.#nameOf(sealed, start + 4)}`
    const low = readUint32(bytes, start + 8)
    let wrong: VerifiedAh | undefined
    for (const sa of usable) {
      const { suite, icvLength } = sa
      // RFC 4302 section 2.6: what is behind the ICV in this header is padding, at most a word.
      if (length < AH_HEADER_LENGTH + icvLength || length > AH_HEADER_LENGTH + icvLength + 4) continue
      const icvAt = at + AH_HEADER_LENGTH
      header.fill(0, icvAt, icvAt + icvLength)
      for (const high of this.#numbers.candidates(name, low)) {
        sa.mac!.compute(header, 0, header.length, this.#suffixOf(high), this.#computed)
        if (!constantTimeEqual(this.#computed, 0, bytes, start + AH_HEADER_LENGTH, icvLength)) continue
        this.#numbers.proved(name, low, high)
        return { icv: 'correct', suite, icvLength, ...(high === undefined ? {} : { high }) }
      }
      header.set(bytes.subarray(ip + icvAt, ip + icvAt + icvLength), icvAt)
      wrong ??= { icv: 'wrong' satisfies IcvVerdict, suite, icvLength }
    }
    return wrong ?? 'not verified: the ICV has not the length that its key says'
  }

  /** Wipes the keys, as far as the provider lets. */
  destroy(): void {
    for (const sa of this.#sas) sa.destroy()
  }
}

/** RFC 4106 section 5: associated data is SPI and number, with the high half between them where they are extended. */
function aeadOpened(
  sa: KeyedSa,
  { bytes, start, end }: Sealed,
  high: number | undefined,
): Uint8Array | undefined {
  const shift = high === undefined ? 0 : 4
  const scratch = new Uint8Array(shift + end - start)
  scratch.set(bytes.subarray(start, end), shift)
  if (high !== undefined) {
    scratch.copyWithin(0, 4, 8)
    writeUint32(scratch, 4, high)
  }
  const ivAt = shift + ESP_HEADER_LENGTH
  const textAt = ivAt + sa.ivLength
  const icvAt = scratch.length - sa.icvLength
  const nonce = Uint8Array.of(...sa.salt, ...scratch.subarray(ivAt, textAt))
  // RFC 4543 section 3.3: GMAC encrypts nothing and covers all of it.
  const isGmac = sa.keys.encryption === 'ENCR_NULL_AUTH_AES_GMAC'
  const aadEnd = isGmac ? icvAt : ivAt
  if (!sa.aead!.open(scratch, 0, aadEnd, isGmac ? icvAt : textAt, icvAt, nonce, icvAt)) return undefined
  const copy = bytes.slice()
  copy.set(scratch.subarray(textAt, icvAt), start + ESP_HEADER_LENGTH + sa.ivLength)
  return copy
}

/** The packet with its text decrypted in place, whatever the ICV is. */
function decrypted(sa: KeyedSa, { bytes, start, end }: Sealed): Uint8Array {
  const copy = bytes.slice()
  const ivAt = start + ESP_HEADER_LENGTH
  const iv = bytes.subarray(ivAt, ivAt + sa.ivLength)
  sa.cipher?.decrypt(copy, ivAt + sa.ivLength, end - sa.icvLength, sa.firstBlock(iv))
  return copy
}
