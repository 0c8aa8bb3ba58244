/** From what the main thread says of a socket to the carrier that works it. */
import type { Arena } from './arena.js'
import type { Carrier, MtuLookup } from './carrier.js'
import type { CarrierSpec } from './messages.js'
import { RawCarrier } from './raw-carrier.js'
import { UdpCarrier } from './udp-carrier.js'
import { UdpMessages } from './udp-messages.js'

/** As the arena's own, they are of whoever is sending or receiving: a batch is flushed before another carrier's begins. */
const udpMessages = new WeakMap<Arena, Map<4 | 6, UdpMessages>>()

function udpMessagesOf(arena: Arena, family: 4 | 6): UdpMessages {
  const byFamily = udpMessages.get(arena) ?? new Map<4 | 6, UdpMessages>()
  udpMessages.set(arena, byFamily)
  const messages = byFamily.get(family) ?? new UdpMessages(family, arena)
  byFamily.set(family, messages)
  return messages
}

/** `identification`: where those of a raw carrier's fragments begin; `mtuOf`: who knows path MTUs. Default: the kernel. */
export function createCarrier(
  spec: CarrierSpec,
  arena: Arena,
  identification: number,
  mtuOf?: MtuLookup,
): Carrier {
  if (spec.kind === 'udp') {
    const messages = udpMessagesOf(arena, spec.family)
    return new UdpCarrier(spec, arena, { messages, ...(mtuOf === undefined ? {} : { mtuOf }) })
  }
  return new RawCarrier(spec, arena, identification, mtuOf)
}
