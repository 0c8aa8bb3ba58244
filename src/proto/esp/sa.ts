/**
 * A security association (RFC 4301 section 4.4.2) as plain data, what is checked of it before it is used, and what
 * both directions keep of it: algorithms' contexts and lifetimes.
 */
import { WarrenError } from '../../base/index.js'
import {
  type AeadContext,
  type CipherContext,
  type CryptoProvider,
  type EncryptionName,
  encryptionAlgorithm,
  isAead,
  isCipher,
  type MacContext,
  type MacName,
  macAlgorithm,
  splitKeyMaterial,
} from '../../crypto/index.js'
import type { OuterSpec } from '../tunnel-metadata.js'
import type { OriginalEnds } from './nat-checksum.js'
import { type SharedSa, SharedUse } from './shared.js'

/**
 * RFC 4301 section 4.4.2.1: soft warns, hard stops. Absent: no limit. Bytes are those that are protected, without headers
 * of ESP or AH and without padding. Seconds are the machine's to count.
 */
export interface SaLifetimes {
  readonly softBytes?: number
  readonly hardBytes?: number
  readonly softPackets?: number
  readonly hardPackets?: number
  readonly softSeconds?: number
  readonly hardSeconds?: number
}

/** 64 bits as two. */
export interface SequenceNumber {
  readonly high: number
  readonly low: number
}

/** One direction. Every member can be structured-cloned. */
export interface SaSpec {
  /** 256 to 2^32-1 (RFC 4303 section 2.1). */
  readonly spi: number
  readonly protocol: 'esp' | 'ah'
  readonly mode: 'tunnel' | 'transport'
  /** AH has integrity alone; an AEAD has encryption alone. */
  readonly suite: { readonly encryption?: EncryptionName; readonly integrity?: MacName }
  /** Keying material as IKE would give it: an encryption's salt stands at its end. */
  readonly keys: { readonly encryption?: Uint8Array; readonly integrity?: Uint8Array }
  /** Encryption without integrity, by name (CVE-2005-0039): for a peer that has nothing else. */
  readonly unauthenticated?: boolean
  /** Extended sequence numbers (RFC 4303 section 2.2.1). */
  readonly esn: boolean
  /** Inbound: size of the replay window, 64 to 8192. */
  readonly window: number
  readonly lifetimes: SaLifetimes
  /** Outbound: the last number sent. Inbound: the highest seen, with all before it. Default: none. */
  readonly sequence?: SequenceNumber
  /**
   * Outbound: 8 random bytes that are mixed into the sequence number where an IV is made of it, so that keys that live
   * longer than a process (manual ones) do not meet the same nonce again. Fresh keys need none. Counter modes (AES-GCM,
   * CCM, CTR, GMAC, ChaCha20) send that number as their IV, which need not be unpredictable. CBC's has to be (RFC 3602
   * section 3): it is the number encrypted under the SA's key.
   */
  readonly ivSeed?: Uint8Array
  /** Outbound: several threads send on it (`shareSa`). */
  readonly shared?: SharedSa
  /** Outbound, ESP, tunnel mode: inner packets are made at least this long (RFC 4303 section 2.7), room allowing. */
  readonly tfcPadding?: number
  /** The carrier is UDP (RFC 3948): keepalives and the non-ESP marker are looked for. */
  readonly udpEncapsulation?: boolean
  /**
   * Inbound, transport mode in UDP: source and destination as the peer's own header has them, where a NAT lies between.
   * Without it checksums that cover the header are made anew (RFC 3948 section 3.1.2).
   */
  readonly originalEnds?: OriginalEnds
  /** Outbound, tunnel mode: DF outside is that of an IPv4 packet inside (RFC 4301 section 8.1). */
  readonly copyDf?: boolean
  /** AH: the header is a multiple of this. RFC 4302 section 2.6: 4 over IPv4. Linux wants 8 unless `flag align4`. */
  readonly ahAlignment?: 4 | 8
  /** The carrier's ends, as bytes. */
  readonly local: Uint8Array
  readonly remote: Uint8Array
  readonly outer: OuterSpec
}

/** Why an SA wants attention. Only grows. */
export type Reached = 0 | 1 | 2 | 3
export const REACHED_NOTHING = 0
export const REACHED_SOFT = 1
export const REACHED_HARD = 2
/** The last sequence number was sent (RFC 4303 section 3.3.3). */
export const REACHED_OVERFLOW = 3

/**
 * Bytes and packets against their limits. Where several threads send on an SA the limits are for all of them together:
 * each may send one packet after the one that reached the hard limit, as it may be under way then.
 */
export class Lifetime {
  /** Of this thread alone. */
  bytes = 0
  packets = 0
  #reached: Reached = REACHED_NOTHING
  readonly #softBytes: number
  readonly #hardBytes: number
  readonly #softPackets: number
  readonly #hardPackets: number
  readonly #shared: SharedUse | undefined

  constructor({ softBytes, hardBytes, softPackets, hardPackets }: SaLifetimes, shared?: SharedSa) {
    this.#softBytes = softBytes ?? Number.POSITIVE_INFINITY
    this.#hardBytes = hardBytes ?? Number.POSITIVE_INFINITY
    this.#softPackets = softPackets ?? Number.POSITIVE_INFINITY
    this.#hardPackets = hardPackets ?? Number.POSITIVE_INFINITY
    this.#shared = shared === undefined ? undefined : new SharedUse(shared)
  }

  /** What has been reached by whichever thread. */
  get reached(): Reached {
    if (this.#shared === undefined) return this.#reached
    return Math.max(this.#shared.reached, this.#reached) as Reached
  }

  /** True once the SA must not be used. */
  get isOver(): boolean {
    if (this.#shared !== undefined) this.#judge(this.#shared.bytes, this.#shared.packets)
    return this.reached >= REACHED_HARD
  }

  /** Counts a packet of `length` bytes. The packet that reaches the hard limit is the last to go. */
  use(length: number): void {
    this.bytes += length
    this.packets++
    if (this.#shared === undefined) {
      this.#judge(this.bytes, this.packets)
      return
    }
    this.#shared.set(this.bytes, this.packets)
    this.#judge(this.#shared.bytes, this.#shared.packets)
  }

  /** The last sequence number was sent. */
  overflow(): void {
    this.#reach(REACHED_OVERFLOW)
  }

  /** The keys are gone: this thread sends nothing any more, whatever others do. */
  end(): void {
    if (this.#reached < REACHED_HARD) this.#reached = REACHED_HARD
  }

  /** True for one thread, where several would tell of what was reached. */
  tells(kind: Reached): boolean {
    return this.#shared?.tells(kind) ?? true
  }

  #judge(bytes: number, packets: number): void {
    if (bytes >= this.#hardBytes || packets >= this.#hardPackets) {
      if (this.reached < REACHED_HARD) this.#reach(REACHED_HARD)
    } else if (
      this.#reached === REACHED_NOTHING &&
      (bytes >= this.#softBytes || packets >= this.#softPackets)
    )
      this.#reach(REACHED_SOFT)
  }

  #reach(kind: Reached): void {
    this.#reached = kind
    this.#shared?.reach(kind)
  }
}

/** An SA that a transform holds. */
export interface SaState {
  readonly spec: SaSpec
  readonly lifetime: Lifetime
}

export const ESP_HEADER = 8
export const AH_FIXED = 12

/** The algorithms of one SA, their lengths, and scratch for nonces. */
export class Suite {
  readonly aead: AeadContext | undefined
  /** GMAC: nothing is encrypted, all is associated data. */
  readonly isGmac: boolean
  readonly cipher: CipherContext | undefined
  readonly isCtr: boolean
  readonly mac: MacContext | undefined
  readonly ivLength: number
  readonly icvLength: number
  /** What payload, padding and the two bytes of the trailer are a multiple of. */
  readonly alignment: number
  /** Salt, then the IV; of CTR the counter block. */
  readonly nonce: Uint8Array
  readonly saltLength: number
  /** High half of an extended sequence number, for a MAC. */
  readonly suffix: Uint8Array | undefined

  constructor(spec: SaSpec, provider: CryptoProvider) {
    const { encryption, integrity } = spec.suite
    const algorithm = spec.protocol === 'ah' ? undefined : encryptionAlgorithm(encryption ?? 'ENCR_NULL')
    const material = spec.keys.encryption ?? new Uint8Array(0)
    const { key, salt } =
      algorithm === undefined ? { key: material, salt: material } : splitKeyMaterial(algorithm, material)
    this.aead = algorithm?.kind === 'aead' ? provider.aead(algorithm.name, key) : undefined
    this.cipher =
      algorithm?.kind === 'cipher' && algorithm.name !== 'ENCR_NULL'
        ? provider.cipher(algorithm.name, key)
        : undefined
    this.mac =
      integrity === undefined ? undefined : provider.mac(integrity, spec.keys.integrity ?? new Uint8Array(0))
    this.isGmac = encryption === 'ENCR_NULL_AUTH_AES_GMAC'
    this.isCtr = encryption === 'ENCR_AES_CTR'
    this.ivLength = algorithm?.ivLength ?? 0
    this.icvLength = this.aead?.algorithm.icvLength ?? this.mac?.algorithm.icvLength ?? 0
    this.alignment = Math.max(4, algorithm?.blockLength ?? 1)
    this.saltLength = algorithm?.saltLength ?? 0
    this.nonce = new Uint8Array(algorithm?.nonceLength ?? 0)
    if (algorithm !== undefined) this.nonce.set(salt)
    // RFC 3686 section 4: the block counter begins at 1.
    if (this.isCtr) this.nonce[15] = 1
    this.suffix = spec.esn && this.mac !== undefined ? new Uint8Array(4) : undefined
  }

  destroy(): void {
    this.aead?.destroy()
    this.cipher?.destroy()
    this.mac?.destroy()
    this.nonce.fill(0)
  }
}

/** Throws `WarrenError` SA_SPI, SA_SUITE, SA_WINDOW or SA_LIFETIME, or the provider's errors of keys later. */
export function checkSa(spec: SaSpec): void {
  const { spi, protocol, suite } = spec
  // RFC 4303 section 2.1: 0 is for local use, 1 to 255 are reserved.
  if (!Number.isInteger(spi) || spi < 256 || spi > 0xffffffff)
    refuse('SA_SPI', 'SPI of a security association', `${spi}`, '256 to 4294967295')
  if (!Number.isInteger(spec.window) || spec.window < 64 || spec.window > 8192)
    refuse('SA_WINDOW', 'replay window', `${spec.window}`, '64 to 8192')
  for (const [name, value] of Object.entries(spec.lifetimes))
    if (typeof value !== 'number' || !(value > 0)) refuse('SA_LIFETIME', name, `${value}`, 'more than 0')
  for (const unit of ['Bytes', 'Packets', 'Seconds'] as const) {
    const [soft, hard] = [spec.lifetimes[`soft${unit}`], spec.lifetimes[`hard${unit}`]]
    if (soft !== undefined && hard !== undefined && soft > hard)
      refuse('SA_LIFETIME', `soft${unit} is beyond hard${unit}`, `${soft}`, `at most ${hard}`)
  }
  if (protocol === 'ah') {
    if (suite.encryption !== undefined) refuse('SA_SUITE', 'AH does not encrypt', suite.encryption, 'none')
    if (suite.integrity === undefined) refuse('SA_SUITE', 'AH without integrity', 'none', 'an algorithm')
    macAlgorithm(suite.integrity)
    if (spec.udpEncapsulation) refuse('SA_SUITE', 'AH in UDP', 'AH', 'ESP: RFC 3948 has no AH')
    return
  }
  const encryption = suite.encryption ?? 'ENCR_NULL'
  if (!isAead(encryption) && !isCipher(encryption)) encryptionAlgorithm(encryption)
  if (suite.integrity !== undefined) macAlgorithm(suite.integrity)
  if (isAead(encryption)) {
    if (suite.integrity !== undefined)
      refuse('SA_SUITE', `${encryption} has integrity of its own`, suite.integrity, 'none')
    return
  }
  if (suite.integrity !== undefined) return
  // RFC 4303 section 3.2: not both may be NULL, whatever the file says.
  if (encryption === 'ENCR_NULL')
    refuse('SA_SUITE', 'neither encryption nor integrity', 'ENCR_NULL', 'at least integrity')
  // RFC 3686 section 7: CTR without integrity gives an attacker every bit to flip.
  if (encryption === 'ENCR_AES_CTR')
    refuse('SA_SUITE', 'AES-CTR without integrity', 'none', 'an integrity algorithm (RFC 3686 section 7)')
  if (spec.unauthenticated !== true)
    throw new WarrenError('SA_SUITE', 'encryption without integrity (CVE-2005-0039)', {
      found: encryption,
      expected: 'an integrity algorithm',
      mend: 'name one, or say by name that the SA is unauthenticated',
    })
}

function refuse(code: string, summary: string, found: string, expected: string): never {
  throw new WarrenError(code, summary, { found, expected })
}
