/**
 * What a tunnel says about the IP header outside: TTL, DF, traffic class, flow label; and what stops a packet from
 * going round in its own tunnel.
 */
import {
  type Counters,
  ETHERNET,
  IPV4,
  IPV6,
  type IpAddress,
  type PacketBuffer,
  readUint16,
  WarrenError,
} from '../base/index.js'
import { type EcnMode, encapsulatedEcn } from './ecn.js'
import { ETHERNET_MINIMUM, IPV4_MINIMUM, IPV6_MINIMUM, trafficClassOf, ttlOf } from './inner.js'
import type { IpCarrier } from './machine.js'

export type TunnelKind = 'gif' | 'gre' | 'eoip' | 'etherip'
export const tunnelKinds: readonly TunnelKind[] = ['gif', 'gre', 'eoip', 'etherip']

/** MTU of a tunnel's interface where nobody said another: OpenBSD's. */
export const defaultMtu: Readonly<Record<TunnelKind, number>> = {
  gif: 1280,
  gre: 1476,
  eoip: 1500,
  etherip: 1500,
}

/** Smallest and largest MTU that such an interface takes: OpenBSD's. */
export const mtuRange: Readonly<Record<TunnelKind, { readonly least: number; readonly most: number }>> = {
  gif: { least: 1280, most: 8192 },
  gre: { least: 576, most: 65_507 },
  eoip: { least: 576, most: 65_435 },
  etherip: { least: 576, most: 65_435 },
}

/** What a tunnel's interface carries. */
export const layerOf = (kind: TunnelKind | 'ipsec' | 'ikev2'): 'ip' | 'ethernet' =>
  kind === 'eoip' || kind === 'etherip' ? 'ethernet' : 'ip'

/** TTL outside where nobody said another (net.inet.ip.ttl). */
export const DEFAULT_TUNNEL_TTL = 64

/**
 * How many tunnels one packet may go through on one host. RFC 2473 section 4.1.1 suggests 4 further
 * encapsulations as the default of its limit.
 */
export const NESTING_LIMIT = 4

/** The header outside, as a tunnel is configured. */
export interface OuterConfig {
  readonly local: IpAddress
  readonly remote: IpAddress
  /** `copy`: the inner packet's (tunnelttl copy), which frames do not have. Default: 64. */
  readonly ttl?: number | 'copy'
  /** Default: false. */
  readonly dontFragment?: boolean
  /** DSCP outside. Default: `copy` for IP packets, 0 for frames. */
  readonly dscp?: number | 'copy'
  /** RFC 6040 section 4.1. Default: normal. */
  readonly ecn?: EcnMode
  /** IPv6 only: one label for the whole tunnel. Default: 0. */
  readonly flowLabel?: number
}

/** The header outside, as plain data inside a `TransformSpec`. */
export interface OuterSpec {
  readonly ttl: number | 'copy'
  readonly dontFragment: boolean
  readonly dscp: number | 'copy'
  readonly ecn: EcnMode
  readonly flowLabel: number
  /** The tunnel's own carrier: what must not come back into it. */
  readonly protocol: number
  readonly remote: Uint8Array
}

/** Checks the configuration of the outer header; throws `WarrenError` TUNNEL_OUTER. */
export function outerSpec(outer: OuterConfig, protocol: number, layer: 'ip' | 'ethernet'): OuterSpec {
  const { local, remote, ttl = DEFAULT_TUNNEL_TTL, flowLabel = 0 } = outer
  const dscp = outer.dscp ?? (layer === 'ip' ? 'copy' : 0)
  if (local.family !== remote.family)
    refuse(
      'the ends of the tunnel differ in family',
      `${local} and ${remote}`,
      'two IPv4 or two IPv6 addresses',
    )
  for (const end of [local, remote])
    if (end.isUnspecified || end.isMulticast) refuse('no end of a tunnel', `${end}`, 'a unicast address')
  if (local.equals(remote)) refuse('both ends of the tunnel are the same', `${local}`, 'two addresses')
  if (ttl !== 'copy' && !isWithin(ttl, 1, 255)) refuse('tunnel TTL', `${ttl}`, '1 to 255, or copy')
  if (layer === 'ethernet' && (ttl === 'copy' || dscp === 'copy'))
    refuse(`tunnel ${ttl === 'copy' ? 'TTL' : 'DSCP'} of frames, which have none`, 'copy', 'a number')
  if (dscp !== 'copy' && !isWithin(dscp, 0, 63)) refuse('tunnel DSCP', `${dscp}`, '0 to 63, or copy')
  if (!isWithin(flowLabel, 0, 0xfffff)) refuse('flow label', `${flowLabel}`, '0 to 1048575')
  return {
    ttl,
    dontFragment: outer.dontFragment ?? false,
    dscp,
    ecn: outer.ecn ?? 'normal',
    flowLabel,
    protocol,
    remote: remote.bytes,
  }
}

export const isWithin = (value: number, least: number, most: number): boolean =>
  Number.isInteger(value) && value >= least && value <= most

function refuse(summary: string, found: string, expected: string): never {
  throw new WarrenError('TUNNEL_OUTER', summary, { found, expected })
}

export const ipCarrier = (protocol: number, outer: OuterConfig): IpCarrier => ({
  kind: 'ip',
  protocol,
  local: outer.local,
  remote: outer.remote,
})

/** The outbound half that every transform here shares. */
export class OuterHeader {
  readonly #ttl: number
  readonly #copiesTtl: boolean
  readonly #dontFragment: boolean
  readonly #dscp: number
  readonly #copiesDscp: boolean
  readonly #ecn: EcnMode
  readonly #flowLabel: number
  readonly #protocol: number
  readonly #remote: Uint8Array

  constructor(spec: OuterSpec) {
    this.#copiesTtl = spec.ttl === 'copy'
    this.#ttl = spec.ttl === 'copy' ? DEFAULT_TUNNEL_TTL : spec.ttl
    this.#dontFragment = spec.dontFragment
    this.#copiesDscp = spec.dscp === 'copy'
    this.#dscp = spec.dscp === 'copy' ? 0 : spec.dscp
    this.#ecn = spec.ecn
    this.#flowLabel = spec.flowLabel
    this.#protocol = spec.protocol
    this.#remote = spec.remote
  }

  /** For an IP packet of `packet.kind` 4 or 6 that goes in: sets what stands outside. False: dropped, counted. */
  applyToIp(packet: PacketBuffer, drops: Counters): boolean {
    const { bytes, start, kind } = packet
    if (kind !== IPV4 && kind !== IPV6) return refused(drops, 'inner.kind')
    if (packet.end - start < (kind === IPV4 ? IPV4_MINIMUM : IPV6_MINIMUM) || bytes[start]! >>> 4 !== kind)
      return refused(drops, 'inner.malformed')
    if (!this.#enters(packet, start, kind, drops)) return false
    const inner = trafficClassOf(bytes, start, kind)
    const dscp = this.#copiesDscp ? inner & 0xfc : this.#dscp << 2
    packet.outerTrafficClass = dscp | encapsulatedEcn(this.#ecn, inner)
    packet.outerTtl = this.#copiesTtl ? ttlOf(bytes, start, kind) : this.#ttl
    return true
  }

  /** For a frame that goes in: the same, but a frame has neither TTL nor ECN of its own. */
  applyToFrame(packet: PacketBuffer, drops: Counters): boolean {
    const { bytes, start } = packet
    if (packet.kind !== ETHERNET) return refused(drops, 'inner.kind')
    if (packet.end - start < ETHERNET_MINIMUM) return refused(drops, 'inner.malformed')
    const etherType = readUint16(bytes, start + 12)
    const kind = etherType === 0x0800 ? IPV4 : etherType === 0x86dd ? IPV6 : undefined
    if (!this.#enters(packet, start + ETHERNET_MINIMUM, kind, drops)) return false
    packet.outerTrafficClass = this.#dscp << 2
    packet.outerTtl = this.#ttl
    return true
  }

  /** Nesting and loops; `at` is where the inner IP header starts, if there is one. */
  #enters(packet: PacketBuffer, at: number, kind: 4 | 6 | undefined, drops: Counters): boolean {
    if (packet.nesting >= NESTING_LIMIT) return refused(drops, 'nesting')
    if (kind !== undefined && this.#comesBack(packet, at, kind)) return refused(drops, 'loop')
    packet.nesting++
    packet.outerDontFragment = this.#dontFragment
    packet.outerFlowLabel = this.#flowLabel
    return true
  }

  /**
   * RFC 2003 section 5, RFC 2473 section 4.1.2: a packet of this very tunnel that the routes lead into it again.
   * It catches on the first round what the nesting limit would on the fifth, and on hosts that cannot hand the
   * nesting on.
   */
  #comesBack(packet: PacketBuffer, at: number, kind: 4 | 6): boolean {
    const { bytes } = packet
    const remote = this.#remote
    if (remote.length !== (kind === IPV4 ? 4 : 16)) return false
    if (packet.end - at < (kind === IPV4 ? IPV4_MINIMUM : IPV6_MINIMUM)) return false
    if (bytes[at + (kind === IPV4 ? 9 : 6)] !== this.#protocol) return false
    const destination = at + (kind === IPV4 ? 16 : 24)
    for (let i = 0; i < remote.length; i++) if (bytes[destination + i] !== remote[i]) return false
    return true
  }
}

function refused(drops: Counters, reason: string): false {
  drops.add(reason)
  return false
}
