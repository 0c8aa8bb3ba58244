/**
 * AH (RFC 4302): integrity of the payload and of the IP header outside. The host writes that header, so a transform
 * works out beforehand what it will be: addresses, length and protocol are known, what may change is zero, and the
 * identification (IPv4) travels as metadata.
 */
import {
  Counters,
  IPV4,
  IPV6,
  type PacketBuffer,
  ReplayWindow,
  readUint32,
  writeUint16,
  writeUint32,
} from '../../base/index.js'
import { type CryptoProvider, constantTimeEqual } from '../../crypto/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import { admitIp, IPV4_MINIMUM, IPV6_MINIMUM } from '../inner.js'
import { DROP, FOREIGN, PASS, type Transform, type Verdict } from '../machine.js'
import { OuterHeader } from '../tunnel-metadata.js'
import { zeroMutable } from './ah-fields.js'
import { ESN_NONE, highSequence } from './esn.js'
import {
  copyAddress,
  OUTER_HEADER_MOST,
  protocolByteAt,
  restoreHeader,
  stripHeader,
  type TransportReasons,
} from './ip-header.js'
import {
  AH_FIXED,
  checkSa,
  Lifetime,
  REACHED_NOTHING,
  type Reached,
  type SaSpec,
  type SaState,
  Suite,
} from './sa.js'
import { SequenceCounter } from './sequence.js'

const REASONS: TransportReasons = {
  kind: 'inner.kind',
  selector: 'ah.selector',
  options: 'ah.options',
  fragment: 'ah.fragment',
}

/** RFC 4302 section 2.2: 32-bit words of the header, less 2. */
const wordsOf = (length: number): number => length / 4 - 2

/** The outer header as the ICV covers it, in front of the AH at `ah`: everything that may change is zero. */
function writeCovered(
  bytes: Uint8Array,
  ah: number,
  end: number,
  source: Uint8Array,
  destination: Uint8Array,
  identification: number,
): number {
  if (source.length === 4) {
    const at = ah - IPV4_MINIMUM
    bytes.fill(0, at, ah)
    bytes[at] = 0x45
    writeUint16(bytes, at + 2, end - at)
    writeUint16(bytes, at + 4, identification)
    bytes[at + 9] = IpProtocol.ah
    copyAddress(source, bytes, at + 12)
    copyAddress(destination, bytes, at + 16)
    return at
  }
  const at = ah - IPV6_MINIMUM
  writeUint32(bytes, at, 0x60000000)
  writeUint16(bytes, at + 4, end - ah)
  bytes[at + 6] = IpProtocol.ah
  bytes[at + 7] = 0
  copyAddress(source, bytes, at + 8)
  copyAddress(destination, bytes, at + 24)
  return at
}

export class AhOutbound implements Transform {
  readonly drops: Counters = new Counters()
  readonly lifetime: Lifetime
  readonly spec: SaSpec
  readonly sas: readonly SaState[] = [this]
  readonly #suite: Suite
  readonly #sequence: SequenceCounter
  readonly #outer: OuterHeader
  readonly #headerLength: number
  readonly #identifications: boolean

  /** Throws `WarrenError` SA_*, CRYPTO_*. */
  constructor(spec: SaSpec, provider: CryptoProvider) {
    checkSa(spec)
    this.spec = spec
    this.lifetime = new Lifetime(spec.lifetimes, spec.shared)
    this.#suite = new Suite(spec, provider)
    this.#sequence = new SequenceCounter(spec.esn, spec.sequence, spec.shared)
    this.#outer = new OuterHeader(spec.outer)
    this.#identifications = spec.local.length === 4
    // RFC 4302 section 2.6: padded to 64 bits over IPv6, to 32 over IPv4.
    // RFC 4302 section 2.6: over IPv6 a multiple of 8.
    const alignment = spec.local.length === 16 ? 8 : (spec.ahAlignment ?? 4)
    this.#headerLength = Math.ceil((AH_FIXED + this.#suite.icvLength) / alignment) * alignment
  }

  get reached(): Reached {
    return this.lifetime.reached
  }

  process(packet: PacketBuffer): Verdict {
    const { spec } = this
    if (this.lifetime.isOver) return this.#drop(this.lifetime.reached === 3 ? 'ah.overflow' : 'ah.lifetime')
    let nextHeader: number
    if (spec.mode === 'tunnel') {
      if (!this.#outer.applyToIp(packet, this.drops)) return DROP
      const { bytes, start, kind } = packet
      nextHeader = kind === IPV4 ? IpProtocol.ipip : IpProtocol.ipv6
      if (spec.copyDf === true && kind === IPV4) packet.outerDontFragment = (bytes[start + 6]! & 0x40) !== 0
      packet.outerIdentification = 0
    } else {
      nextHeader = stripHeader(packet, spec.local, spec.remote, this.drops, REASONS)
      if (nextHeader < 0) return DROP
    }
    const { bytes } = packet
    const length = packet.end - packet.start
    const ah = packet.start - this.#headerLength
    if (ah < IPV6_MINIMUM) return this.#drop('ah.room')
    if (!this.#sequence.next()) {
      this.lifetime.overflow()
      return this.#drop('ah.overflow')
    }
    // The ICV covers it, so it cannot be left to the host.
    if (this.#identifications && packet.outerIdentification === 0)
      packet.outerIdentification = this.#identification()
    this.#seal(bytes, ah, packet.end, nextHeader, packet.outerIdentification)
    packet.start = ah
    packet.kind = 0
    this.lifetime.use(length)
    return PASS
  }

  #seal(bytes: Uint8Array, ah: number, end: number, nextHeader: number, identification: number): void {
    const { spec } = this
    const { mac, suffix } = this.#suite
    bytes.fill(0, ah, ah + this.#headerLength)
    bytes[ah] = nextHeader
    bytes[ah + 1] = wordsOf(this.#headerLength)
    writeUint32(bytes, ah + 4, spec.spi)
    writeUint32(bytes, ah + 8, this.#sequence.low)
    const covered = writeCovered(bytes, ah, end, spec.local, spec.remote, identification)
    if (suffix !== undefined) writeUint32(suffix, 0, this.#sequence.high)
    mac!.compute(bytes, covered, end, suffix, bytes, ah + AH_FIXED)
  }

  /** Of the sequence number, which no other thread that sends on the SA has. */
  #identification(): number {
    return ((this.#sequence.low + 0xfffe) % 0xffff) + 1
  }

  #drop(reason: string): Verdict {
    this.drops.add(reason)
    return DROP
  }

  /** Wipes the key. A packet after that is refused. */
  destroy(): void {
    this.#suite.destroy()
    this.lifetime.end()
  }
}

class AhSa implements SaState {
  readonly spec: SaSpec
  readonly suite: Suite
  readonly window: ReplayWindow
  readonly lifetime: Lifetime

  constructor(spec: SaSpec, provider: CryptoProvider) {
    checkSa(spec)
    this.spec = spec
    this.suite = new Suite(spec, provider)
    this.window = new ReplayWindow(spec.window)
    if (spec.sequence !== undefined) this.window.reset(spec.sequence.low, spec.sequence.high)
    this.lifetime = new Lifetime(spec.lifetimes)
  }
}

export class AhInbound implements Transform {
  readonly drops: Counters = new Counters()
  readonly sas: readonly AhSa[]
  /** The ICV that came, and the outer header while its mutable fields are zero. */
  readonly #icv = new Uint8Array(64)
  readonly #header = new Uint8Array(OUTER_HEADER_MOST)

  /** Several SAs while one takes over from another. Throws `WarrenError` SA_*, CRYPTO_*. */
  constructor(specs: readonly SaSpec[], provider: CryptoProvider) {
    this.sas = specs.map((spec) => new AhSa(spec, provider))
  }

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
    const { bytes, start, end } = packet
    if (end - start < AH_FIXED) return this.#drop('ah.short')
    const spi = readUint32(bytes, start + 4)
    let sa: AhSa | undefined
    for (let i = 0; i < this.sas.length; i++) if (this.sas[i]!.spec.spi === spi) sa = this.sas[i]
    if (sa === undefined) return FOREIGN
    const reason = this.#verify(sa, packet)
    if (reason !== undefined) return this.#drop(reason)
    const { spec } = sa
    const nextHeader = bytes[start]!
    packet.start = start + 4 * (bytes[start + 1]! + 2)
    sa.lifetime.use(end - packet.start)
    if (nextHeader === IpProtocol.noNextHeader) return this.#drop('ah.dummy')
    if (spec.mode === 'transport')
      return restoreHeader(packet, spec.local, spec.remote, nextHeader, start) ? PASS : this.#drop('ah.room')
    const kind = nextHeader === IpProtocol.ipip ? IPV4 : nextHeader === IpProtocol.ipv6 ? IPV6 : undefined
    if (kind === undefined) return this.#drop('ah.nextheader')
    return admitIp(packet, kind, this.drops) ? PASS : DROP
  }

  #verify(sa: AhSa, packet: PacketBuffer): string | undefined {
    const { bytes, start, end } = packet
    const { spec, suite, window } = sa
    if (sa.lifetime.isOver) return 'ah.lifetime'
    const headerLength = 4 * (bytes[start + 1]! + 2)
    // RFC 4302 section 3.3.3.2.1: the ICV, and padding to 32 or 64 bits at most.
    const padding = headerLength - AH_FIXED - suite.icvLength
    if (padding < 0 || padding > 4 || headerLength > end - start) return 'ah.length'
    const low = readUint32(bytes, start + 8)
    const high = spec.esn ? highSequence(window, low) : 0
    if (high === ESN_NONE || (high === 0 && low === 0) || !window.check(low, high)) return 'ah.replay'
    const reason = this.#authentic(sa, packet, high)
    if (reason === undefined) window.advance(low, high)
    return reason
  }

  #authentic({ spec, suite }: AhSa, packet: PacketBuffer, high: number): string | undefined {
    const { bytes, start, end, outerHeaderStart } = packet
    const { icvLength, suffix } = suite
    const isWhole = outerHeaderStart >= 0 && protocolByteAt(bytes, outerHeaderStart, start) >= 0
    const minimum = spec.local.length === 4 ? IPV4_MINIMUM : IPV6_MINIMUM
    const header = isWhole ? outerHeaderStart : start - minimum
    const length = start - header
    if (header < 0 || length > OUTER_HEADER_MOST) return 'ah.room'
    for (let i = 0; i < length; i++) this.#header[i] = bytes[header + i]!
    const icv = start + AH_FIXED
    for (let i = 0; i < icvLength; i++) {
      this.#icv[i] = bytes[icv + i]!
      bytes[icv + i] = 0
    }
    let reason: string | undefined
    if (isWhole ? zeroMutable(bytes, header, start) : true) {
      if (!isWhole) writeCovered(bytes, start, end, spec.remote, spec.local, packet.outerIdentification)
      if (suffix !== undefined) writeUint32(suffix, 0, high)
      suite.mac!.compute(bytes, header, end, suffix, this.#computed)
      if (!constantTimeEqual(this.#computed, 0, this.#icv, 0, icvLength)) reason = 'ah.icv'
    } else reason = 'ah.header'
    for (let i = 0; i < length; i++) bytes[header + i] = this.#header[i]!
    for (let i = 0; i < icvLength; i++) bytes[icv + i] = this.#icv[i]!
    return reason
  }

  readonly #computed = new Uint8Array(64)

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
