/** ESP, outbound (RFC 4303 section 3.3): from the inner packet to SPI, sequence number, IV, ciphertext, ICV. */
import { Counters, IPV4, type PacketBuffer, writeUint32 } from '../../base/index.js'
import type { CryptoProvider } from '../../crypto/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import { DROP, PASS, type Transform, type Verdict } from '../machine.js'
import { OuterHeader } from '../tunnel-metadata.js'
import { stripHeader, type TransportReasons } from './ip-header.js'
import { checkSa, ESP_HEADER, Lifetime, type Reached, type SaSpec, type SaState, Suite } from './sa.js'
import { SequenceCounter } from './sequence.js'

const REASONS: TransportReasons = {
  kind: 'inner.kind',
  selector: 'esp.selector',
  options: 'esp.options',
  fragment: 'esp.fragment',
}
/** Padding of up to a block, its length, the next header. */
const TRAILER_MOST = 18

export class EspOutbound implements Transform {
  readonly drops: Counters = new Counters()
  readonly lifetime: Lifetime
  readonly spec: SaSpec
  readonly sas: readonly SaState[] = [this]
  readonly #suite: Suite
  readonly #sequence: SequenceCounter
  readonly #outer: OuterHeader
  readonly #esn: boolean
  readonly #spi: number
  readonly #tunnel: boolean
  readonly #copyDf: boolean
  readonly #tfcPadding: number
  readonly #seedHigh: number
  readonly #seedLow: number
  /** CBC: the IV is a block encrypted under a zero one. */
  readonly #zeroIv: Uint8Array

  /** Throws `WarrenError` SA_*, CRYPTO_*. */
  constructor(spec: SaSpec, provider: CryptoProvider) {
    checkSa(spec)
    this.spec = spec
    this.lifetime = new Lifetime(spec.lifetimes, spec.shared)
    this.#suite = new Suite(spec, provider)
    this.#sequence = new SequenceCounter(spec.esn, spec.sequence, spec.shared)
    this.#outer = new OuterHeader(spec.outer)
    this.#esn = spec.esn
    this.#spi = spec.spi
    this.#tunnel = spec.mode === 'tunnel'
    this.#copyDf = spec.copyDf === true
    this.#tfcPadding = this.#tunnel ? (spec.tfcPadding ?? 0) : 0
    const seed = new Uint8Array(8)
    seed.set((spec.ivSeed ?? seed).subarray(0, 8))
    const view = new DataView(seed.buffer)
    this.#seedHigh = view.getUint32(0)
    this.#seedLow = view.getUint32(4)
    this.#zeroIv = new Uint8Array(this.#suite.ivLength)
  }

  get reached(): Reached {
    return this.lifetime.reached
  }

  process(packet: PacketBuffer): Verdict {
    if (this.lifetime.isOver) return this.#drop(this.lifetime.reached === 3 ? 'esp.overflow' : 'esp.lifetime')
    let nextHeader: number
    if (this.#tunnel) {
      if (!this.#outer.applyToIp(packet, this.drops)) return DROP
      const { bytes, start, kind } = packet
      nextHeader = kind === IPV4 ? IpProtocol.ipip : IpProtocol.ipv6
      // RFC 4301 section 8.1: set, clear, or copied.
      if (this.#copyDf && kind === IPV4) packet.outerDontFragment = (bytes[start + 6]! & 0x40) !== 0
    } else {
      nextHeader = stripHeader(packet, this.spec.local, this.spec.remote, this.drops, REASONS)
      if (nextHeader < 0) return DROP
    }
    return this.#seal(packet, nextHeader)
  }

  /**
   * A dummy packet (RFC 4303 section 2.6) of `length` bytes in place of whatever the buffer held: what a peer drops
   * after it has verified it. The outer header's metadata is the caller's.
   */
  dummy(packet: PacketBuffer, length: number): Verdict {
    if (this.lifetime.isOver) return this.#drop(this.lifetime.reached === 3 ? 'esp.overflow' : 'esp.lifetime')
    const end = packet.start + length
    if (end > packet.bytes.length) return this.#drop('esp.room')
    packet.bytes.fill(0, packet.start, end)
    packet.end = end
    return this.#seal(packet, IpProtocol.noNextHeader)
  }

  #seal(packet: PacketBuffer, nextHeader: number): Verdict {
    const { bytes } = packet
    const suite = this.#suite
    const { ivLength, icvLength } = suite
    const payload = packet.start
    const iv = payload - ivLength
    const esp = iv - ESP_HEADER
    // Room for the associated data of an extended sequence number as well.
    if (esp < 4 || packet.end + TRAILER_MOST + icvLength > bytes.length) return this.#drop('esp.room')
    if (!this.#sequence.next()) {
      this.lifetime.overflow()
      return this.#drop('esp.overflow')
    }
    const { high, low } = this.#sequence
    const end = this.#pad(packet, nextHeader)
    const length = end - 2 - bytes[end - 2]! - payload
    writeUint32(bytes, esp, this.#spi)
    writeUint32(bytes, esp + 4, low)
    this.#encrypt(bytes, esp, iv, payload, end, high, low)
    packet.start = esp
    packet.end = end + icvLength
    packet.kind = 0
    this.lifetime.use(length)
    return PASS
  }

  /** Padding for traffic flow confidentiality, padding, its length, next header. Gives where the ciphertext ends. */
  #pad(packet: PacketBuffer, nextHeader: number): number {
    const { bytes, start } = packet
    const { alignment, icvLength } = this.#suite
    let at = packet.end
    const wanted = Math.min(start + this.#tfcPadding, bytes.length - TRAILER_MOST - icvLength)
    // What stood there before must not go out.
    if (wanted > at) {
      bytes.fill(0, at, wanted)
      at = wanted
    }
    const pad = (alignment - ((at - start + 2) % alignment)) % alignment
    // RFC 4303 section 2.4: 1, 2, 3 and so on.
    for (let i = 1; i <= pad; i++) bytes[at++] = i
    bytes[at] = pad
    bytes[at + 1] = nextHeader
    return at + 2
  }

  #encrypt(
    bytes: Uint8Array,
    esp: number,
    iv: number,
    payload: number,
    end: number,
    high: number,
    low: number,
  ): void {
    const { aead, cipher, mac, nonce, saltLength, suffix, isGmac, isCtr } = this.#suite
    if (aead !== undefined || isCtr) {
      writeUint32(bytes, iv, (high ^ this.#seedHigh) >>> 0)
      writeUint32(bytes, iv + 4, (low ^ this.#seedLow) >>> 0)
      for (let i = 0; i < 8; i++) nonce[saltLength + i] = bytes[iv + i]!
    }
    if (aead !== undefined) {
      let aad = esp
      if (this.#esn) {
        // RFC 4106 section 5: SPI, high half, low half. For the while of the sealing they stand so.
        aad = esp - 4
        writeUint32(bytes, aad, this.#spi)
        writeUint32(bytes, esp, high)
      }
      if (isGmac) aead.seal(bytes, aad, end, end, end, nonce, end)
      else aead.seal(bytes, aad, iv, payload, end, nonce, end)
      if (this.#esn) writeUint32(bytes, esp, this.#spi)
      return
    }
    if (isCtr) cipher!.encrypt(bytes, payload, end, nonce)
    else if (cipher !== undefined) {
      // NIST SP 800-38A appendix C: an unpredictable IV is a number used once, encrypted under the key. As a first
      // block under a zero IV it is that, and its ciphertext chains into the payload's as the IV has to.
      if (payload - iv === 16) {
        writeUint32(bytes, iv, this.#spi)
        writeUint32(bytes, iv + 4, 0)
      }
      writeUint32(bytes, payload - 8, (high ^ this.#seedHigh) >>> 0)
      writeUint32(bytes, payload - 4, (low ^ this.#seedLow) >>> 0)
      cipher.encrypt(bytes, iv, end, this.#zeroIv)
    }
    if (mac === undefined) return
    if (suffix !== undefined) writeUint32(suffix, 0, high)
    mac.compute(bytes, esp, end, suffix, bytes, end)
  }

  #drop(reason: string): Verdict {
    this.drops.add(reason)
    return DROP
  }

  /** Wipes the keys. A packet after that is refused. */
  destroy(): void {
    this.#suite.destroy()
    this.lifetime.end()
  }
}
