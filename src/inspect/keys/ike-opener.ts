/**
 * Opens the encrypted payloads of IKE SAs with given keys, for eyes: any order will do, nothing is refused as seen before.
 * The ICV is verified before anything is decrypted; where it is wrong the content stays closed unless the caller asked.
 *
 * Fragments (RFC 7383) are kept until their message is whole, a few messages at a time, so that a payload that goes over
 * the border of two can be followed. Only authentic ones are, where the ICV can be checked.
 */
import { readUint16, readUint32 } from '../../base/index.js'
import type { CryptoProvider } from '../../crypto/provider.js'
import { hexOf } from '../../wire/field.js'
import { IKE_FLAG_INITIATOR, IKE_FLAG_RESPONSE, IKE_HEADER_LENGTH, ike } from '../../wire/ike/index.js'
import { joined } from '../../wire/ike/payloads.js'
import type { OpenedIke, Opener, SealedIke } from '../opener.js'
import type { EspOpenerOptions } from './esp-opener.js'
import { GivenSuite } from './given-suite.js'
import type { IkeSaKeys } from './ikev2-table.js'

/** One direction of one SA. */
class Direction extends GivenSuite {
  readonly keys: IkeSaKeys

  constructor(keys: IkeSaKeys, which: 0 | 1, provider: CryptoProvider) {
    const { encryption, integrity, uncheckedIcv } = keys
    const [encryptionKey, integrityKey] = [keys.encryptionKeys[which], keys.integrityKeys[which]]
    super({ encryption, encryptionKey, integrity, integrityKey, uncheckedIcv }, provider)
    this.keys = keys
  }

  /** Decrypts `[at, end)` of `bytes` in place; `at` is where the IV begins. */
  decrypt(bytes: Uint8Array, at: number, end: number): void {
    const start = at + this.ivLength
    this.cipher?.decrypt(bytes, start, end, this.firstBlock(bytes.subarray(at, start)))
  }
}

interface Parts {
  readonly total: number
  readonly plain: Map<number, Uint8Array>
  bytes: number
  first: number | undefined
}

/** Messages in fragments that are kept at a time, and bytes of one: a capture must not fill the memory. */
const MOST_MESSAGES = 64
const MOST_BYTES = 1_048_576

export class IkeOpener implements Opener {
  readonly #sas: ReadonlyMap<string, readonly (readonly [Direction, Direction])[]>
  readonly #unsupported: ReadonlyMap<string, string>
  readonly #unverified: boolean
  readonly #parts = new Map<string, Parts>()

  /** Keys of the right lengths, as `parseIkev2Table` gives them. Throws `WarrenError` CRYPTO_* otherwise. */
  constructor(keys: readonly IkeSaKeys[], provider: CryptoProvider, options: EspOpenerOptions = {}) {
    const sas = new Map<string, (readonly [Direction, Direction])[]>()
    const unsupported = new Map<string, string>()
    for (const sa of keys) {
      const name = `${hexOf(sa.initiatorSpi, 0, 8)}${hexOf(sa.responderSpi, 0, 8)}`
      if (sa.unsupported !== undefined) {
        unsupported.set(name, sa.unsupported)
        continue
      }
      const pair = [new Direction(sa, 0, provider), new Direction(sa, 1, provider)] as const
      sas.set(name, [...(sas.get(name) ?? []), pair])
    }
    this.#sas = sas
    this.#unsupported = unsupported
    this.#unverified = options.unverified ?? false
  }

  openEsp(): undefined {
    return undefined
  }
  verifyAh(): undefined {
    return undefined
  }

  openIke(sealed: SealedIke): OpenedIke | string | undefined {
    const { bytes, start, end, at } = sealed
    if (end - start < IKE_HEADER_LENGTH) return undefined
    const name = hexOf(bytes, start, start + 16)
    const found = this.#sas.get(name)
    if (found === undefined) {
      const unsupported = this.#unsupported.get(name)
      return unsupported === undefined ? undefined : `not opened: Warren has no ${unsupported}`
    }
    const flags = bytes[start + ike.offset.flags]!
    const which = (flags & IKE_FLAG_INITIATOR) !== 0 ? 0 : 1
    const directions = found.map((pair) => pair[which])
    // One that can check goes before one that cannot: nobody gets around the check.
    const checked = directions.filter(({ aead, mac }) => aead !== undefined || mac !== undefined)
    let wrong: OpenedIke | undefined
    for (const direction of checked.length > 0 ? checked : directions) {
      const text = end - at - direction.ivLength - direction.icvLength
      if (text < 1 || (direction.aead === undefined && text % direction.blockLength !== 0)) continue
      const opened = this.#open(direction, sealed)
      if (opened.icv !== 'wrong') return sealed.isFragment ? this.#fragment(opened, sealed, name) : opened
      wrong ??= opened
    }
    return wrong ?? 'not opened: too short for the algorithms of its key, or not whole blocks'
  }

  #open(direction: Direction, { bytes, start, end, at }: SealedIke): OpenedIke {
    const { suite, ivLength, icvLength } = direction
    const facts = { suite, ivLength, icvLength }
    const icvAt = end - icvLength
    const decrypted = (): Uint8Array => {
      const copy = bytes.slice()
      direction.decrypt(copy, at, icvAt)
      return copy
    }
    if (direction.aead === undefined && direction.mac === undefined)
      return { ...facts, icv: 'unchecked', bytes: decrypted() }
    if (direction.mac !== undefined) {
      // RFC 7296 section 3.14: over all of the message before it.
      if (direction.mac.verify(bytes, start, icvAt, undefined, icvAt))
        return { ...facts, icv: 'correct', bytes: decrypted() }
    } else {
      // RFC 5282 section 5.1: associated data is the message from its header up to the IV.
      const copy = bytes.slice()
      const nonce = Uint8Array.of(...direction.salt, ...copy.subarray(at, at + ivLength))
      if (direction.aead!.open(copy, start, at, at + ivLength, icvAt, nonce, icvAt))
        return { ...facts, icv: 'correct', bytes: copy }
    }
    const shown = this.#unverified && direction.cipher !== undefined ? decrypted() : undefined
    return { ...facts, icv: 'wrong', ...(shown === undefined ? {} : { bytes: shown }) }
  }

  /** Keeps the payloads of a fragment, and tells what of its message is known. */
  #fragment(opened: OpenedIke, { bytes, start, end, at }: SealedIke, sa: string): OpenedIke {
    const plain = plaintextOf(opened, at, end)
    const number = readUint16(bytes, at - 4)
    const total = readUint16(bytes, at - 2)
    if (plain === undefined || number < 1 || number > total) return opened
    const flags = bytes[start + ike.offset.flags]! & (IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE)
    const name = `${sa} ${flags} ${readUint32(bytes, start + ike.offset.messageId)} ${total}`
    const parts = this.#partsOf(name, total)
    if (parts.bytes + plain.length > MOST_BYTES) return opened
    if (!parts.plain.has(number)) parts.bytes += plain.length
    parts.plain.set(number, plain)
    // RFC 7383 section 2.5: the first alone names what is inside.
    if (number === 1) parts.first = bytes[at - 8]!
    const before = range(parts, number - 1)
    const whole = parts.plain.size === total ? range(parts, total) : undefined
    return {
      ...opened,
      ...(before === undefined ? {} : { before }),
      ...(parts.first === undefined ? {} : { first: parts.first }),
      ...(whole === undefined ? {} : { whole }),
    }
  }

  #partsOf(name: string, total: number): Parts {
    const known = this.#parts.get(name)
    if (known !== undefined) return known
    if (this.#parts.size >= MOST_MESSAGES) this.#parts.delete(this.#parts.keys().next().value!)
    const parts: Parts = { total, plain: new Map(), bytes: 0, first: undefined }
    this.#parts.set(name, parts)
    return parts
  }

  /** Wipes the keys, as far as the provider lets, and what was decrypted. */
  destroy(): void {
    for (const pairs of this.#sas.values())
      for (const pair of pairs) for (const direction of pair) direction.destroy()
    this.#parts.clear()
  }
}

/** Without the padding; undefined where that cannot be. */
function plaintextOf(
  { bytes, ivLength, icvLength }: OpenedIke,
  at: number,
  end: number,
): Uint8Array | undefined {
  if (bytes === undefined) return undefined
  const start = at + ivLength
  const lengthAt = end - icvLength - 1
  const stop = lengthAt - bytes[lengthAt]!
  return stop < start ? undefined : bytes.slice(start, stop)
}

/** The first `count` fragments, joined; undefined where one of them was not seen. */
function range({ plain }: Parts, count: number): Uint8Array | undefined {
  const all: Uint8Array[] = []
  for (let number = 1; number <= count; number++) {
    const part = plain.get(number)
    if (part === undefined) return undefined
    all.push(part)
  }
  return joined(...all)
}
