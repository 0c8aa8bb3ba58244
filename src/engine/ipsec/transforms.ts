/** One direction of an SA as code: ESP and AH by their own transforms, IP in IP by gif's. */
import { Counters, IPV4, type PacketBuffer } from '../../base/index.js'
import type { Reached } from '../../proto/esp/sa.js'
import { DROP, type Transform, type Verdict } from '../../proto/machine.js'
import { createTransforms } from '../../proto/transforms.js'
import { outerSpec } from '../../proto/tunnel-metadata.js'
import { IpProtocol } from '../../wire/numbers.js'
import { type ManualSa, saSpecOf } from './sa.js'

/** A transform with what its SA is asked beside: lifetimes, the last reason, its end. */
export interface SaTransform extends Transform {
  /** The reason that the last DROP was counted under. */
  lastDrop(): string
  reached(): 'soft' | 'hard' | 'overflow' | undefined
  /** Keys are wiped. */
  destroy(): void
}

/** What a transform of proto/esp shows beside. */
interface KeyedTransform extends Transform {
  readonly lifetime?: { readonly reached: Reached }
  readonly reached?: Reached
  destroy?(): void
}

const REACHED = [undefined, 'soft', 'hard', 'overflow'] as const

class SaDirection implements SaTransform {
  readonly #transform: KeyedTransform
  /** Counts that were there when they were last looked at: what grew is the reason. */
  #seen: Record<string, number> = {}

  constructor(transform: KeyedTransform) {
    this.#transform = transform
  }

  get drops(): Counters {
    return this.#transform.drops
  }

  process(packet: PacketBuffer): Verdict {
    return this.#transform.process(packet)
  }

  lastDrop(): string {
    const counts = this.#transform.drops.toJSON()
    const reason = Object.keys(counts).find((name) => counts[name] !== this.#seen[name])
    this.#seen = counts
    return reason ?? 'ipsec.dropped'
  }

  reached(): 'soft' | 'hard' | 'overflow' | undefined {
    return REACHED[this.#transform.lifetime?.reached ?? this.#transform.reached ?? 0]
  }

  destroy(): void {
    this.#transform.destroy?.()
  }
}

/** IP in IP: two transforms, one a family inside. */
class IpipTransform implements Transform {
  readonly drops: Counters = new Counters()
  readonly #inner: Record<4 | 6, Transform>

  constructor(sa: ManualSa, direction: 'in' | 'out') {
    const [local, remote] = direction === 'out' ? [sa.source, sa.destination] : [sa.destination, sa.source]
    const make = (family: 4 | 6): Transform => {
      const protocol = family === 4 ? IpProtocol.ipip : IpProtocol.ipv6
      const outer = outerSpec({ local, remote }, protocol, 'ip')
      const pair = createTransforms({ protocol: 'gif', family, outer })
      return direction === 'out' ? pair.outbound : pair.inbound
    }
    this.#inner = { 4: make(4), 6: make(6) }
  }

  process(packet: PacketBuffer): Verdict {
    const { bytes, start, end } = packet
    const family = end > start && bytes[start]! >> 4 === 6 ? 6 : IPV4
    const verdict = this.#inner[family].process(packet)
    if (verdict === DROP) this.drops.add('ipip.dropped')
    return verdict
  }
}

/** Throws `WarrenError` SA_* and CRYPTO_* for what cannot be. */
export function createSaTransform(sa: ManualSa, direction: 'in' | 'out', seed: Uint8Array): SaTransform {
  if (sa.protocol === 'ipip') return new SaDirection(new IpipTransform(sa, direction))
  const spec = saSpecOf(sa, direction === 'out', seed)
  const out = direction === 'out'
  const { outbound, inbound } = createTransforms(
    out ? { protocol: 'esp', outbound: spec, inbound: [] } : { protocol: 'esp', inbound: spec },
  )
  return new SaDirection(out ? outbound : inbound)
}
