import {
  addToSum,
  Counters,
  foldSum,
  IPV4,
  IPV6,
  type PacketBuffer,
  readUint16,
  readUint32,
  writeUint16,
  writeUint32,
} from '../../base/index.js'
import { EtherType, IpProtocol } from '../../wire/numbers.js'
import { admitIp } from '../inner.js'
import { CONTROL, DROP, FOREIGN, PASS, type Transform, type TransformSpec, type Verdict } from '../machine.js'
import { OuterHeader, type OuterSpec } from '../tunnel-metadata.js'

export interface GreSpec extends TransformSpec {
  readonly protocol: 'gre'
  /** RFC 2890 section 2.1; the whole 32 bits, the flow's own included. */
  readonly key?: number
  /** Bits of the key that tell one tunnel from another: with `vnetflowid` the low eight tell flows. */
  readonly keyMask: number
  readonly outer: OuterSpec
  /** The own end, for the peer's keepalives. */
  readonly local: Uint8Array
}

/** The first byte's bits (RFC 2784 section 2.1, RFC 2890 section 2). */
const CHECKSUM = 0x80
const KEY = 0x20
const SEQUENCE = 0x10
/** Routing, strict source route, recursion control: RFC 1701's, which RFC 2784 section 2.3 has us discard. */
const RFC1701 = 0x4f
/** Protocol type of a keepalive that came back. */
export const KEEPALIVE = 0

/** Writes a header without checksum and sequence number and returns the offset behind it. */
export function writeGreHeader(bytes: Uint8Array, at: number, protocol: number, key?: number): number {
  writeUint16(bytes, at, key === undefined ? 0 : KEY << 8)
  writeUint16(bytes, at + 2, protocol)
  if (key === undefined) return at + 4
  writeUint32(bytes, at + 4, key)
  return at + 8
}

/** Bytes of the header that starts at `start`, as its own flags say. */
export const greHeaderLength = (bytes: Uint8Array, start: number): number => {
  const flags = bytes[start]!
  return 4 + (flags & CHECKSUM ? 4 : 0) + (flags & KEY ? 4 : 0) + (flags & SEQUENCE ? 4 : 0)
}

export class GreOutbound implements Transform {
  readonly drops: Counters = new Counters()
  readonly #key: number | undefined
  readonly #headerLength: number
  readonly #outer: OuterHeader

  constructor(spec: GreSpec) {
    this.#key = spec.key
    this.#headerLength = spec.key === undefined ? 4 : 8
    this.#outer = new OuterHeader(spec.outer)
  }

  process(packet: PacketBuffer): Verdict {
    if (packet.start < this.#headerLength) {
      this.drops.add('headroom')
      return DROP
    }
    if (!this.#outer.applyToIp(packet, this.drops)) return DROP
    packet.start -= this.#headerLength
    const type = packet.kind === IPV4 ? EtherType.ipv4 : EtherType.ipv6
    writeGreHeader(packet.bytes, packet.start, type, this.#key)
    return PASS
  }
}

export class GreInbound implements Transform {
  readonly drops: Counters = new Counters()
  readonly #key: number | undefined
  readonly #keyMask: number
  readonly #local: Uint8Array
  readonly #remote: Uint8Array

  constructor(spec: GreSpec) {
    this.#key = spec.key === undefined ? undefined : (spec.key & spec.keyMask) >>> 0
    this.#keyMask = spec.keyMask
    this.#local = spec.local
    this.#remote = spec.outer.remote
  }

  process(packet: PacketBuffer): Verdict {
    const { bytes, start, end } = packet
    if (end - start < 4) return this.#drop('gre.length')
    const flags = bytes[start]!
    if ((bytes[start + 1]! & 7) !== 0) return FOREIGN // version 1: EoIP, PPTP
    if ((flags & RFC1701) !== 0) return this.#drop('gre.routing')
    const headerLength = greHeaderLength(bytes, start)
    if (headerLength > end - start) return this.#drop('gre.length')
    if (!this.#hasOurKey(bytes, start, flags)) return FOREIGN
    // RFC 2784 section 2.5: over the header and the payload, the checksum's own field as zero.
    if ((flags & CHECKSUM) !== 0 && foldSum(addToSum(0, bytes, start, end)) !== 0xffff)
      return this.#drop('gre.checksum')
    const type = readUint16(bytes, start + 2)
    const inner = start + headerLength
    if (type === KEEPALIVE) return CONTROL
    const family = type === EtherType.ipv4 ? IPV4 : type === EtherType.ipv6 ? IPV6 : 0
    if (family === 0) return this.#drop('gre.protocol')
    if (this.#isKeepaliveOfPeer(bytes, inner, end, family)) return CONTROL
    packet.start = inner
    return admitIp(packet, family, this.drops) ? PASS : DROP
  }

  /** RFC 2890 section 2.1: a key where one is configured, none where none is. */
  #hasOurKey(bytes: Uint8Array, start: number, flags: number): boolean {
    if (this.#key === undefined) return (flags & KEY) === 0
    if ((flags & KEY) === 0) return false
    const key = readUint32(bytes, start + 4 + (flags & CHECKSUM ? 4 : 0))
    return (key & this.#keyMask) >>> 0 === this.#key
  }

  /**
   * Cisco's keepalive: an IP packet back to the peer, from us, that carries GRE. A router would forward it; no
   * honest packet of the inside comes from our own outer address.
   */
  #isKeepaliveOfPeer(bytes: Uint8Array, at: number, end: number, family: 4 | 6): boolean {
    const length = this.#local.length
    if (length !== (family === IPV4 ? 4 : 16)) return false
    if (end - at < (family === IPV4 ? 24 : 44)) return false
    if (bytes[at + (family === IPV4 ? 9 : 6)] !== IpProtocol.gre) return false
    const source = at + (family === IPV4 ? 12 : 8)
    for (let i = 0; i < length; i++) {
      if (bytes[source + i] !== this.#local[i] || bytes[source + length + i] !== this.#remote[i]) return false
    }
    return true
  }

  #drop(reason: string): Verdict {
    this.drops.add(reason)
    return DROP
  }
}
