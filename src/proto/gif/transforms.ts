import { Counters, type PacketBuffer } from '../../base/index.js'
import { admitIp } from '../inner.js'
import { DROP, PASS, type Transform, type TransformSpec, type Verdict } from '../machine.js'
import { OuterHeader, type OuterSpec } from '../tunnel-metadata.js'

export interface GifSpec extends TransformSpec {
  readonly protocol: 'gif'
  /** Of the inner packet: 4 under protocol 4, 6 under protocol 41. */
  readonly family: 4 | 6
  readonly outer: OuterSpec
}

/** The inner packet is the carrier's payload as it stands: only the header outside is to be said. */
export class GifOutbound implements Transform {
  readonly drops: Counters = new Counters()
  readonly #family: 4 | 6
  readonly #outer: OuterHeader

  constructor(spec: GifSpec) {
    this.#family = spec.family
    this.#outer = new OuterHeader(spec.outer)
  }

  process(packet: PacketBuffer): Verdict {
    if (packet.kind !== this.#family) {
      this.drops.add('inner.kind')
      return DROP
    }
    return this.#outer.applyToIp(packet, this.drops) ? PASS : DROP
  }
}

export class GifInbound implements Transform {
  readonly drops: Counters = new Counters()
  readonly #family: 4 | 6

  constructor(spec: GifSpec) {
    this.#family = spec.family
  }

  process(packet: PacketBuffer): Verdict {
    return admitIp(packet, this.#family, this.drops) ? PASS : DROP
  }
}
