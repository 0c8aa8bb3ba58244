/**
 * A tunnel as it is to be: what every configuration format resolves to, and what a `Tunnel` is made of.
 *
 * Everything that has a default has it filled in here; nothing is text any more.
 */
import type { InterfaceAddress, MacAddress, Random } from '../base/index.js'
import { EoipMachine } from '../proto/eoip/index.js'
import { EtheripMachine } from '../proto/etherip/index.js'
import { GifMachine } from '../proto/gif/index.js'
import { GreMachine } from '../proto/gre/index.js'
import type { KeepaliveConfig } from '../proto/keepalive.js'
import type { Machine } from '../proto/machine.js'
import type { TunnelEvent } from '../proto/tunnel-machine.js'
import type { OuterConfig, TunnelKind } from '../proto/tunnel-metadata.js'
import type { TunnelRoute } from './host.js'

export interface TunnelDefinition {
  readonly kind: TunnelKind
  /** Of the interface: `gif0`. */
  readonly name: string
  /** The header outside. Without it there is an interface and no tunnel behind it (`ifconfig gif0 create`). */
  readonly outer?: OuterConfig
  /** gre: the key (vnetid). */
  readonly key?: number
  /** gre: the low eight bits of the key tell flows (vnetflowid). */
  readonly flowInKey?: boolean
  /** eoip: the tunnel id (vnetid). Default: 0. */
  readonly tunnelId?: number
  /** gre, eoip. */
  readonly keepalive?: KeepaliveConfig
  readonly mtu: number
  /** eoip, etherip: the interface's own; the host makes one up otherwise. */
  readonly mac?: MacAddress
  readonly addresses: readonly InterfaceAddress[]
  readonly routes: readonly TunnelRoute[]
  readonly description?: string
  readonly up: boolean
  /** Where it was read: `hostname.gif0`, `warren.toml:12`. */
  readonly where?: string
}

/** The machine of a definition, or `undefined` while it has no outer addresses. Throws `WarrenError` TUNNEL_*. */
export function createMachine(
  definition: TunnelDefinition,
  random: Random,
): Machine<TunnelEvent> | undefined {
  const { kind, outer, key, flowInKey, tunnelId = 0, keepalive } = definition
  if (outer === undefined) return undefined
  const alive = keepalive === undefined ? {} : { keepalive }
  switch (kind) {
    case 'gif':
      return new GifMachine({ outer })
    case 'gre':
      return new GreMachine({
        outer,
        ...(key === undefined ? {} : { key }),
        ...(flowInKey === undefined ? {} : { flowInKey }),
        ...alive,
        ...(keepalive === undefined ? {} : { nonce: random.uint32() }),
      })
    case 'eoip':
      return new EoipMachine({ outer, tunnelId, ...alive })
    case 'etherip':
      return new EtheripMachine({ outer })
  }
}
