/** EtherIP: Ethernet frames in IP protocol 97, RFC 3378. */
import { ETHERNET } from '../../base/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import { TunnelMachine } from '../tunnel-machine.js'
import { ipCarrier, type OuterConfig, outerSpec } from '../tunnel-metadata.js'
import type { EtheripSpec } from './transforms.js'

export interface EtheripConfig {
  readonly outer: OuterConfig
}

export class EtheripMachine extends TunnelMachine {
  /** Throws `WarrenError` TUNNEL_OUTER. */
  constructor({ outer }: EtheripConfig) {
    const protocol = IpProtocol.etherip
    super([
      {
        id: 'etherip',
        carrier: ipCarrier(protocol, outer),
        takes: [ETHERNET],
        transform: {
          protocol: 'etherip',
          outer: outerSpec(outer, protocol, 'ethernet'),
        } satisfies EtheripSpec,
      },
    ])
  }
}
