import {
  Counters,
  ETHERNET,
  type PacketBuffer,
  readUint16,
  readUint32,
  writeUint16,
  writeUint32,
} from '../../base/index.js'
import { EOIP_HEADER_LENGTH } from '../../wire/eoip.js'
import { admitFrame } from '../inner.js'
import { CONTROL, DROP, FOREIGN, PASS, type Transform, type TransformSpec, type Verdict } from '../machine.js'
import { OuterHeader, type OuterSpec } from '../tunnel-metadata.js'

export interface EoipSpec extends TransformSpec {
  readonly protocol: 'eoip'
  readonly tunnelId: number
  readonly outer: OuterSpec
}

/** GRE's flags with the key bit and version 1, then protocol 0x6400. */
const MAGIC = 0x20016400

/** `frameLength` in network order; the tunnel id is the one little-endian field of this project. */
export function writeEoipHeader(bytes: Uint8Array, at: number, frameLength: number, tunnelId: number): void {
  writeUint32(bytes, at, MAGIC)
  writeUint16(bytes, at + 4, frameLength)
  bytes[at + 6] = tunnelId
  bytes[at + 7] = tunnelId >>> 8
}

export class EoipOutbound implements Transform {
  readonly drops: Counters = new Counters()
  readonly #tunnelId: number
  readonly #outer: OuterHeader

  constructor(spec: EoipSpec) {
    this.#tunnelId = spec.tunnelId
    this.#outer = new OuterHeader(spec.outer)
  }

  process(packet: PacketBuffer): Verdict {
    const length = packet.end - packet.start
    if (packet.start < EOIP_HEADER_LENGTH || length > 0xffff) {
      this.drops.add(length > 0xffff ? 'eoip.tooLong' : 'headroom')
      return DROP
    }
    if (!this.#outer.applyToFrame(packet, this.drops)) return DROP
    packet.start -= EOIP_HEADER_LENGTH
    writeEoipHeader(packet.bytes, packet.start, length, this.#tunnelId)
    return PASS
  }
}

export class EoipInbound implements Transform {
  readonly drops: Counters = new Counters()
  readonly #tunnelId: number

  constructor(spec: EoipSpec) {
    this.#tunnelId = spec.tunnelId
  }

  process(packet: PacketBuffer): Verdict {
    const { bytes, start } = packet
    const there = packet.end - start
    // GRE of another version or protocol between the same two hosts is a gre interface's.
    if (there < EOIP_HEADER_LENGTH || readUint32(bytes, start) !== MAGIC) return FOREIGN
    if ((bytes[start + 6]! | (bytes[start + 7]! << 8)) !== this.#tunnelId) return FOREIGN
    const length = readUint16(bytes, start + 4)
    if (length > there - EOIP_HEADER_LENGTH) {
      this.drops.add('eoip.length')
      return DROP
    }
    if (length === 0) return CONTROL
    packet.start = start + EOIP_HEADER_LENGTH
    packet.end = packet.start + length
    packet.kind = ETHERNET
    return admitFrame(packet, this.drops) ? PASS : DROP
  }
}
