import { Counters, ETHERNET, type PacketBuffer } from '../../base/index.js'
import { admitFrame } from '../inner.js'
import { DROP, PASS, type Transform, type TransformSpec, type Verdict } from '../machine.js'
import { OuterHeader, type OuterSpec } from '../tunnel-metadata.js'

export interface EtheripSpec extends TransformSpec {
  readonly protocol: 'etherip'
  readonly outer: OuterSpec
}

const HEADER_LENGTH = 2

export class EtheripOutbound implements Transform {
  readonly drops: Counters = new Counters()
  readonly #outer: OuterHeader

  constructor(spec: EtheripSpec) {
    this.#outer = new OuterHeader(spec.outer)
  }

  process(packet: PacketBuffer): Verdict {
    if (packet.start < HEADER_LENGTH) {
      this.drops.add('headroom')
      return DROP
    }
    if (!this.#outer.applyToFrame(packet, this.drops)) return DROP
    packet.start -= HEADER_LENGTH
    // RFC 3378 section 2: version 3 in the high four bits, twelve reserved bits of zero.
    packet.bytes[packet.start] = 0x30
    packet.bytes[packet.start + 1] = 0
    return PASS
  }
}

export class EtheripInbound implements Transform {
  readonly drops: Counters = new Counters()

  process(packet: PacketBuffer): Verdict {
    const { bytes, start } = packet
    const reason =
      packet.end - start < HEADER_LENGTH
        ? 'etherip.length'
        : bytes[start]! >>> 4 !== 3
          ? 'etherip.version'
          : bytes[start] !== 0x30 || bytes[start + 1] !== 0
            ? 'etherip.reserved'
            : undefined
    if (reason !== undefined) {
      this.drops.add(reason)
      return DROP
    }
    packet.start += HEADER_LENGTH
    packet.kind = ETHERNET
    return admitFrame(packet, this.drops) ? PASS : DROP
  }
}
