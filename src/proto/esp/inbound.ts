/**
 * ESP, inbound (RFC 4303 section 3.4): the SA, the replay window, the ICV, and only then the window's move, the
 * plaintext, the padding, and what is inside. Nothing looks at a byte behind the header before it is authentic.
 */
import {
  Counters,
  IPV4,
  IPV6,
  type PacketBuffer,
  ReplayWindow,
  readUint32,
  writeUint32,
} from '../../base/index.js'
import type { CryptoProvider } from '../../crypto/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import { admitIp } from '../inner.js'
import { CONTROL, DROP, FOREIGN, PASS, type Transform, type Verdict } from '../machine.js'
import { ESN_NONE, highSequence } from './esn.js'
import { restoreHeader } from './ip-header.js'
import { mendChecksum } from './nat-checksum.js'
import {
  checkSa,
  ESP_HEADER,
  Lifetime,
  REACHED_NOTHING,
  type Reached,
  type SaSpec,
  type SaState,
  Suite,
} from './sa.js'

/** Padding's length and next header. */
const TRAILER = 2

/** One inbound SA. */
class EspSa implements SaState {
  readonly spec: SaSpec
  readonly suite: Suite
  readonly window: ReplayWindow
  readonly lifetime: Lifetime
  /** A block at least, and the trailer. */
  readonly least: number

  constructor(spec: SaSpec, provider: CryptoProvider) {
    checkSa(spec)
    this.spec = spec
    this.suite = new Suite(spec, provider)
    this.window = new ReplayWindow(spec.window)
    if (spec.sequence !== undefined) this.window.reset(spec.sequence.low, spec.sequence.high)
    this.lifetime = new Lifetime(spec.lifetimes)
    const { ivLength, icvLength, alignment } = this.suite
    this.least = ESP_HEADER + ivLength + alignment + icvLength
  }
}

export class EspInbound implements Transform {
  readonly drops: Counters = new Counters()
  readonly sas: readonly EspSa[]
  readonly #isUdp: boolean

  /** Several SAs while one takes over from another. Throws `WarrenError` SA_*, CRYPTO_*. */
  constructor(specs: readonly SaSpec[], provider: CryptoProvider) {
    this.sas = specs.map((spec) => new EspSa(spec, provider))
    this.#isUdp = specs.some(({ udpEncapsulation }) => udpEncapsulation === true)
  }

  /** Of the first SA; `lifetimeOf` gives another's. */
  get lifetime(): Lifetime | undefined {
    return this.sas[0]?.lifetime
  }
  get reached(): Reached {
    return this.lifetime?.reached ?? REACHED_NOTHING
  }
  lifetimeOf(spi: number): Lifetime | undefined {
    return this.sas.find(({ spec }) => spec.spi === spi)?.lifetime
  }

  process(packet: PacketBuffer): Verdict {
    const { bytes, start } = packet
    const length = packet.end - start
    if (this.#isUdp) {
      // RFC 3948 section 2.3: nothing but a mapping kept in a NAT. Section 2.2: four zeros are before what IKE says.
      if (length === 1 && bytes[start] === 0xff) return this.#drop('esp.keepalive')
      if (length >= 4 && readUint32(bytes, start) === 0) return CONTROL
    }
    if (length < ESP_HEADER) return this.#drop('esp.short')
    const spi = readUint32(bytes, start)
    let sa: EspSa | undefined
    for (let i = 0; i < this.sas.length; i++) if (this.sas[i]!.spec.spi === spi) sa = this.sas[i]
    if (sa === undefined) return FOREIGN
    const reason = this.#open(sa, packet, spi)
    return reason === undefined ? this.#admit(sa, packet, start) : this.#drop(reason)
  }

  /** Verifies, decrypts and moves the window: the packet is then payload and trailer. Else the reason. */
  #open(sa: EspSa, packet: PacketBuffer, spi: number): string | undefined {
    const { bytes, start, end } = packet
    const { suite, window, spec } = sa
    const { ivLength, icvLength, alignment } = suite
    const length = end - start
    if (sa.lifetime.isOver) return 'esp.lifetime'
    if (length < sa.least) return 'esp.short'
    const iv = start + ESP_HEADER
    const payload = iv + ivLength
    const icv = end - icvLength
    if ((icv - payload) % alignment !== 0) return 'esp.length'
    const low = readUint32(bytes, start + 4)
    const high = spec.esn ? highSequence(window, low) : 0
    // RFC 4303 section 3.3.3: the first packet has 1. Two halves of zero are sent by nobody.
    if (high === ESN_NONE || (high === 0 && low === 0) || !window.check(low, high)) return 'esp.replay'
    if (spec.esn && start < 4) return 'esp.room'
    if (!this.#authentic(suite, bytes, start, iv, payload, icv, spi, high, spec.esn)) return 'esp.icv'
    window.advance(low, high)
    if (suite.cipher !== undefined) {
      this.#nonce(suite, bytes, iv)
      suite.cipher.decrypt(bytes, payload, icv, suite.nonce)
    }
    packet.start = payload
    packet.end = icv
    return undefined
  }

  #authentic(
    suite: Suite,
    bytes: Uint8Array,
    start: number,
    iv: number,
    payload: number,
    icv: number,
    spi: number,
    high: number,
    esn: boolean,
  ): boolean {
    const { aead, mac, suffix, nonce, isGmac } = suite
    if (aead === undefined) {
      // Only an SA that is unauthenticated by name has no MAC.
      if (mac === undefined) return true
      if (suffix !== undefined) writeUint32(suffix, 0, high)
      return mac.verify(bytes, start, icv, suffix, icv)
    }
    this.#nonce(suite, bytes, iv)
    if (!esn) return this.#openAead(suite, bytes, start, iv, payload, icv)
    // RFC 4106 section 5: SPI, high half, low half; put back after, for the outer header may stand before.
    const before = readUint32(bytes, start - 4)
    writeUint32(bytes, start - 4, spi)
    writeUint32(bytes, start, high)
    const authentic = isGmac
      ? aead.open(bytes, start - 4, icv, icv, icv, nonce, icv)
      : aead.open(bytes, start - 4, iv, payload, icv, nonce, icv)
    writeUint32(bytes, start - 4, before)
    writeUint32(bytes, start, spi)
    return authentic
  }

  #openAead(
    suite: Suite,
    bytes: Uint8Array,
    start: number,
    iv: number,
    payload: number,
    icv: number,
  ): boolean {
    const { aead, nonce, isGmac } = suite
    return isGmac
      ? aead!.open(bytes, start, icv, icv, icv, nonce, icv)
      : aead!.open(bytes, start, iv, payload, icv, nonce, icv)
  }

  #nonce({ nonce, saltLength, ivLength }: Suite, bytes: Uint8Array, iv: number): void {
    for (let i = 0; i < ivLength; i++) nonce[saltLength + i] = bytes[iv + i]!
  }

  /** The plaintext is authentic: padding off, next header read. `outerEnd`: where the carrier's payload began. */
  #admit({ spec, lifetime }: EspSa, packet: PacketBuffer, outerEnd: number): Verdict {
    const { bytes } = packet
    const nextHeader = bytes[packet.end - 1]!
    const pad = bytes[packet.end - 2]!
    const end = packet.end - TRAILER - pad
    // What the sender counted, so that both come to their limits with the same packet.
    lifetime.use(Math.max(0, end - packet.start))
    if (end < packet.start) return this.#drop('esp.padding')
    for (let i = 0; i < pad; i++) if (bytes[end + i] !== i + 1) return this.#drop('esp.padding')
    packet.end = end
    if (nextHeader === IpProtocol.noNextHeader) return this.#drop('esp.dummy')
    if (spec.mode === 'transport') {
      const payload = packet.start
      if (!restoreHeader(packet, spec.local, spec.remote, nextHeader, outerEnd)) return this.#drop('esp.room')
      // RFC 3948 section 3.1.2, which is for packets with integrity alone.
      if (spec.udpEncapsulation === true && spec.unauthenticated !== true)
        mendChecksum(packet, payload, nextHeader, spec.originalEnds)
      return PASS
    }
    const kind = nextHeader === IpProtocol.ipip ? IPV4 : nextHeader === IpProtocol.ipv6 ? IPV6 : undefined
    if (kind === undefined) return this.#drop('esp.nextheader')
    return admitIp(packet, kind, this.drops) ? PASS : DROP
  }

  #drop(reason: string): Verdict {
    this.drops.add(reason)
    return DROP
  }

  /** Wipes the keys. A packet after that is refused. */
  destroy(): void {
    for (const { suite, lifetime } of this.sas) {
      suite.destroy()
      lifetime.end()
    }
  }
}
