/** An installed path in the data plane: transforms and counts. */
import type { PathStatus } from '../engine/host.js'
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

  constructor(spec: PlanePathSpec, owner: PlaneInterface, carrier: Carrier) {
    this.spec = spec
    this.interface = owner
    this.carrier = carrier
    this.transforms = createTransforms(spec.transform)
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
