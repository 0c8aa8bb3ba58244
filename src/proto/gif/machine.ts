/** IP in IP: RFC 2003 (4 in 4), RFC 4213 section 3 (6 in 4), RFC 2473 (4 and 6 in 6), as OpenBSD's gif(4). */
import { IPV4, IPV6 } from '../../base/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import type { PathSpec } from '../machine.js'
import { TunnelMachine } from '../tunnel-machine.js'
import { ipCarrier, type OuterConfig, outerSpec } from '../tunnel-metadata.js'
import type { GifSpec } from './transforms.js'

export interface GifConfig {
  readonly outer: OuterConfig
}

/** Both inner families at once, each under its own protocol number. */
export class GifMachine extends TunnelMachine {
  /** Throws `WarrenError` TUNNEL_OUTER. */
  constructor({ outer }: GifConfig) {
    const path = (id: string, protocol: number, family: 4 | 6): PathSpec => ({
      id,
      carrier: ipCarrier(protocol, outer),
      takes: [family],
      transform: { protocol: 'gif', family, outer: outerSpec(outer, protocol, 'ip') } satisfies GifSpec,
    })
    super([path('ipv4', IpProtocol.ipip, IPV4), path('ipv6', IpProtocol.ipv6, IPV6)])
  }
}
