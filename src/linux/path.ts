/** An installed path in the data plane: transforms and counts. */
import type { CryptoProvider } from '../crypto/index.js'
import type { PathStatus, SaCounters } from '../engine/host.js'
import type { SaState, SaTransforms } from '../proto/esp/index.js'
import type { ReachedLifetime } from '../proto/machine.js'
import { createTransforms, type TransformPair } from '../proto/transforms.js'
import type { Carrier } from './carrier.js'
import type { PlanePathSpec } from './messages.js'
import type { PlaneInterface } from './plane-interface.js'
import { SaLimit } from './too-big.js'

/** By the numbers of proto/esp. */
const REACHED: readonly (ReachedLifetime['kind'] | undefined)[] = [undefined, 'soft', 'hard', 'overflow']

export class PlanePath {
  readonly spec: PlanePathSpec
  readonly interface: PlaneInterface
  readonly carrier: Carrier
  readonly transforms: TransformPair
  /** Of an outbound SA: what fits through it. */
  readonly limit: SaLimit | undefined
  /** Outbound in transport mode, which is for whole datagrams (RFC 4303 section 3.3.4). */
  readonly wantsWhole: boolean
  readonly #outboundSas: readonly SaState[]
  readonly #inboundSas: readonly SaState[]
  /** What each of them had reached when it was last looked at, the outbound ones first. */
  readonly #told: Uint8Array
  packetsIn = 0
  bytesIn = 0
  packetsOut = 0
  bytesOut = 0

  /** Throws `WarrenError` as `createTransforms` does. */
  constructor(spec: PlanePathSpec, owner: PlaneInterface, carrier: Carrier, crypto?: CryptoProvider) {
    this.spec = spec
    this.interface = owner
    this.carrier = carrier
    this.transforms = createTransforms(spec.transform, crypto === undefined ? {} : { crypto })
    const { outbound, inbound } = this.transforms
    this.#outboundSas = (outbound as Partial<SaTransforms>).sas ?? []
    this.#inboundSas = (inbound as Partial<SaTransforms>).sas ?? []
    const sa = this.#outboundSas[0]?.spec
    this.limit = sa === undefined ? undefined : new SaLimit(sa)
    this.wantsWhole = sa?.mode === 'transport'
    this.#told = new Uint8Array(this.#outboundSas.length + this.#inboundSas.length)
  }

  /** Whether it has SAs, whose lifetimes end. */
  get isKeyed(): boolean {
    return this.#told.length > 0
  }

  /** Tells each limit that an SA has come to since it was last asked. */
  tellReached(tell: (path: PlanePath, lifetime: ReachedLifetime) => void): void {
    const outbound = this.#outboundSas.length
    for (let i = 0; i < this.#told.length; i++) {
      const sa = i < outbound ? this.#outboundSas[i]! : this.#inboundSas[i - outbound]!
      const { reached } = sa.lifetime
      if (reached === this.#told[i]) continue
      this.#told[i] = reached
      const kind = REACHED[reached]
      if (kind === undefined || !sa.lifetime.tells(reached)) continue
      tell(this, { direction: i < outbound ? 'outbound' : 'inbound', spi: sa.spec.spi, kind })
    }
  }

  /** Wipes the keys of who has some. */
  destroy(): void {
    const { outbound, inbound } = this.transforms
    for (const transform of [outbound, inbound]) (transform as Partial<SaTransforms>).destroy?.()
  }

  /** Packets and bytes are the inner ones: what the tunnel carried. */
  status(): PathStatus {
    const { inbound, outbound } = this.transforms
    const counters =
      (direction: SaCounters['direction']) =>
      ({ spec, lifetime }: SaState): SaCounters => ({
        direction,
        spi: spec.spi,
        packets: lifetime.packets,
        bytes: lifetime.bytes,
      })
    const sas = [...this.#outboundSas.map(counters('outbound')), ...this.#inboundSas.map(counters('inbound'))]
    return {
      id: this.spec.id,
      ...(sas.length === 0 ? {} : { sas }),
      inbound: { packets: this.packetsIn, bytes: this.bytesIn, drops: inbound.drops.toJSON() },
      outbound: { packets: this.packetsOut, bytes: this.bytesOut, drops: outbound.drops.toJSON() },
    }
  }
}
