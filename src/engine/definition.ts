/**
 * A tunnel as it is to be: what every configuration format resolves to, and what a `Tunnel` is made of.
 *
 * Everything that has a default has it filled in here; nothing is text any more.
 */
import {
  type InterfaceAddress,
  type IpAddress,
  type MacAddress,
  type Random,
  WarrenError,
} from '../base/index.js'
import { EoipMachine } from '../proto/eoip/index.js'
import { ManualSaMachine } from '../proto/esp/index.js'
import { EtheripMachine } from '../proto/etherip/index.js'
import { GifMachine } from '../proto/gif/index.js'
import { GreMachine } from '../proto/gre/index.js'
import { type Credentials, Ike2Machine, type IkeEvent, type IkePolicy } from '../proto/ikev2/index.js'
import type { KeepaliveConfig } from '../proto/keepalive.js'
import type { Machine } from '../proto/machine.js'
import type { OuterConfig, TunnelKind } from '../proto/tunnel-metadata.js'
import type { Host, TunnelRoute } from './host.js'
import { type IpsecDefinition, manualConfigOf } from './ipsec-tunnel.js'

/** The tunnels with an interface each, and IPsec: policies and SAs behind one interface, by hand or by IKEv2. */
export type DefinitionKind = TunnelKind | 'ipsec' | 'ikev2'

/** What IKEv2 is to do on one host. */
export interface IkeDefinition {
  readonly policies: readonly IkePolicy[]
  readonly credentials: Credentials
  /** The host's addresses where it is heard. */
  readonly addresses: readonly IpAddress[]
  /** SAs are negotiated, and nothing is protected by them (`set decouple`). */
  readonly decoupled?: boolean
}

export interface TunnelDefinition {
  readonly kind: DefinitionKind
  /** Of the interface: `gif0`. */
  readonly name: string
  /** The header outside. Without it there is an interface and no tunnel behind it (`ifconfig gif0 create`). */
  readonly outer?: OuterConfig
  /** ipsec: flows and SAs, in the place of `outer`. */
  readonly ipsec?: IpsecDefinition
  /** ikev2: in the place of `outer`. */
  readonly ike?: IkeDefinition
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

/** What a definition has to know of its host. */
export interface DefinitionHost {
  readonly name: string
  readonly random: Random
  /** Whether an address is one of the host's own. A host without this member has no policies either. */
  isLocal?(address: IpAddress): boolean
  openPort?: Host['openPort']
}

/**
 * The machine of a definition, or `undefined` while it has no outer addresses. Throws `WarrenError` TUNNEL_*; of IPsec
 * IPSEC_*, SA_*, STACK_POLICY, and HOST_POLICIES where the host has none.
 */
export function createMachine(
  definition: TunnelDefinition,
  host: DefinitionHost,
  addresses?: () => readonly IpAddress[],
): Machine<IkeEvent> | undefined {
  const { kind, outer, ipsec, ike, key, flowInKey, tunnelId = 0, keepalive } = definition
  if (ipsec !== undefined) return new ManualSaMachine(ipsecConfigOf(ipsec, host))
  if (ike !== undefined) {
    if (host.isLocal === undefined || host.openPort === undefined) throw noIke(host.name)
    return new Ike2Machine({
      policies: ike.policies,
      credentials: ike.credentials,
      random: host.random,
      isOwn: (address) => host.isLocal?.(address) === true,
      ...(addresses === undefined ? {} : { addresses }),
    })
  }
  if (outer === undefined || kind === 'ipsec' || kind === 'ikev2') return undefined
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
        ...(keepalive === undefined ? {} : { nonce: host.random.uint32() }),
      })
    case 'eoip':
      return new EoipMachine({ outer, tunnelId, ...alive })
    case 'etherip':
      return new EtheripMachine({ outer })
  }
}

/** Paths and policies of a definition on its host. Throws as `createMachine`. */
export function ipsecConfigOf(
  ipsec: IpsecDefinition,
  host: DefinitionHost,
): ReturnType<typeof manualConfigOf> {
  if (host.isLocal === undefined) throw noPolicies(host.name)
  return manualConfigOf(ipsec, (address) => host.isLocal!(address), host.random)
}

const noIke = (where: string): WarrenError =>
  new WarrenError('HOST_POLICIES', 'this host has no policies behind an interface', {
    where,
    mend: 'in the lab, start iked: rcctl start iked',
  })

export const noPolicies = (where: string): WarrenError =>
  new WarrenError('HOST_POLICIES', 'this host has no policies behind an interface', {
    where,
    mend: 'in the lab, give the rules to ipsecctl -f: its hosts have IPsec in their stack',
  })
