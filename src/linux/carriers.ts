/** From what the main thread says of a socket to the carrier that works it. */
import type { Arena } from './arena.js'
import type { Carrier, MtuLookup } from './carrier.js'
import type { CarrierSpec } from './messages.js'
import { RawCarrier } from './raw-carrier.js'
import { UdpCarrier } from './udp-carrier.js'

/** `identification`: where those of a raw carrier's fragments begin; `mtuOf`: who knows path MTUs. Default: the kernel. */
export function createCarrier(
  spec: CarrierSpec,
  arena: Arena,
  identification: number,
  mtuOf?: MtuLookup,
): Carrier {
  if (spec.kind === 'udp') return new UdpCarrier(spec, arena, mtuOf === undefined ? {} : { mtuOf })
  return new RawCarrier(spec, arena, identification, mtuOf)
}
