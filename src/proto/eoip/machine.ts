/**
 * MikroTik's Ethernet over IP: frames behind a header in the shape of GRE version 1, with the frame's length and
 * the tunnel id where PPTP has its key. No RFC; the protocol as OpenBSD's eoip(4) and RouterOS speak it.
 */
import { ETHERNET, type Instant, WarrenError } from '../../base/index.js'
import { EOIP_HEADER_LENGTH } from '../../wire/eoip.js'
import { IpProtocol } from '../../wire/numbers.js'
import { Keepalive, type KeepaliveConfig } from '../keepalive.js'
import type { Datagram } from '../machine.js'
import { TunnelMachine } from '../tunnel-machine.js'
import { ipCarrier, isWithin, type OuterConfig, type OuterSpec, outerSpec } from '../tunnel-metadata.js'
import { type EoipSpec, writeEoipHeader } from './transforms.js'

export interface EoipConfig {
  readonly outer: OuterConfig
  /** 0 to 65535; the same on both sides. */
  readonly tunnelId: number
  readonly keepalive?: KeepaliveConfig
}

/** A keepalive is a header without a frame, and each side sends its own: nothing is answered. */
export class EoipMachine extends TunnelMachine {
  readonly #config: EoipConfig
  readonly #outer: OuterSpec

  /** Throws `WarrenError` TUNNEL_OUTER, TUNNEL_ID, TUNNEL_KEEPALIVE. */
  constructor(config: EoipConfig) {
    const { outer, tunnelId, keepalive } = config
    if (!isWithin(tunnelId, 0, 0xffff))
      throw new WarrenError('TUNNEL_ID', 'eoip tunnel id', { found: `${tunnelId}`, expected: '0 to 65535' })
    const carrier = ipCarrier(IpProtocol.gre, outer)
    const spec = outerSpec(outer, IpProtocol.gre, 'ethernet')
    super(
      [
        {
          id: 'eoip',
          carrier,
          takes: [ETHERNET],
          transform: { protocol: 'eoip', tunnelId, outer: spec } satisfies EoipSpec,
        },
      ],
      keepalive && new Keepalive(keepalive),
    )
    this.#config = config
    this.#outer = spec
  }

  /** The inbound transform hands on only what has the right header and no frame. */
  override receive(_datagram: Datagram, now: Instant): void {
    if (this.keepalive === undefined) this.counters.add('keepalive.ignored')
    else this.heardKeepalive(now)
  }

  protected override sendKeepalive(): void {
    const payload = new Uint8Array(EOIP_HEADER_LENGTH)
    writeEoipHeader(payload, 0, 0, this.#config.tunnelId)
    const { ttl } = this.#outer
    this.emit({
      kind: 'transmit',
      datagram: {
        carrier: ipCarrier(IpProtocol.gre, this.#config.outer),
        payload,
        ...(ttl === 'copy' ? {} : { ttl }),
      },
    })
  }
}
