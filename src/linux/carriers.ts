/** From what the main thread says of a socket to the carrier that works it. */
import type { Arena } from './arena.js'
import type { Carrier, MtuLookup } from './carrier.js'
import type { CarrierSpec } from './messages.js'
import { RawCarrier } from './raw-carrier.js'

/** `identification`: where those of our own fragments begin; `mtuOf`: who knows path MTUs. Default: the kernel. */
export function createCarrier(
  spec: CarrierSpec,
  arena: Arena,
  identification: number,
  mtuOf?: MtuLookup,
): Carrier {
  return new RawCarrier(spec, arena, identification, mtuOf)
}
