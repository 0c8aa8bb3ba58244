/** An installed path in the data plane: transforms and counts. */
import type { CryptoProvider } from '../crypto/index.js'
import type { PathStatus } from '../engine/host.js'
import type { SaTransforms } from '../proto/esp/index.js'
import { createTransforms, type TransformPair } from '../proto/transforms.js'
import type { Carrier } from './carrier.js'
import type { PlanePathSpec } from './messages.js'
import type { PlaneInterface } from './plane-interface.js'

export class PlanePath {
  readonly spec: PlanePathSpec
  readonly interface: PlaneInterface
  readonly carrier: Carrier
  readonly transforms: TransformPair
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
  }

  /** Wipes the keys of who has some. */
  destroy(): void {
    const { outbound, inbound } = this.transforms
    for (const transform of [outbound, inbound]) (transform as Partial<SaTransforms>).destroy?.()
  }

  /** Packets and bytes are the inner ones: what the tunnel carried. */
  status(): PathStatus {
    const { inbound, outbound } = this.transforms
    return {
      id: this.spec.id,
      inbound: { packets: this.packetsIn, bytes: this.bytesIn, drops: inbound.drops.toJSON() },
      outbound: { packets: this.packetsOut, bytes: this.bytesOut, drops: outbound.drops.toJSON() },
    }
  }
}
