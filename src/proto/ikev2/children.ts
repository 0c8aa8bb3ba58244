/** Child SAs (RFC 7296 sections 1.3.1, 2.9, 2.17): what a policy's flows and a peer's selectors have in common, and its path. */
import { type Duration, type Instant, IPV4, IPV6, type QueuedTimer, seconds } from '../../base/index.js'
import { type IkePayload, NotifyType, type PayloadOf } from '../../wire/ike/index.js'
import { IpProtocol } from '../../wire/numbers.js'
import type { Carrier, PathSpec } from '../machine.js'
import { outerSpec } from '../tunnel-metadata.js'
import { type Endpoint, type IkeContext, NAT_PORT } from './context.js'
import { findNotify } from './init.js'
import type { ChildKeys } from './keys.js'
import { type Pair, SELECTOR_LIMIT } from './pairs.js'
import type { IkePolicy } from './policy.js'
import { covers, type Selector, selectorOf, wireSelector } from './selectors.js'
import type { Agreed } from './suites.js'
import type { OriginalEnds } from './transport-nat.js'

/** Children of one IKE SA. */
export const CHILD_LIMIT = 64
/** Replay window of negotiated SAs: a path of a gigabit reorders. */
const WINDOW = 1024

export interface ChildTraffic {
  /** On our side and on the peer's. */
  readonly local: readonly Selector[]
  readonly remote: readonly Selector[]
  /** What of them belongs together, as the policy has it. */
  readonly pairs: readonly Pair[]
  readonly mode: 'tunnel' | 'transport'
}

/** A child that the peer makes in the place of one that we make anew as well. */
export interface RivalChild {
  /** Absent: its additional key exchanges are under way. */
  readonly child?: Child
  readonly lowestNonce: Uint8Array
}

/** A child that stands, or one under way. */
export interface Child {
  /** Of its path. */
  readonly id: string
  /** What the peer sends with, and what we send with. */
  readonly spiIn: number
  readonly spiOut: number
  readonly agreed: Agreed
  readonly traffic: ChildTraffic
  readonly keys: { readonly inbound: ChildKeys; readonly outbound: ChildKeys }
  /** There are additional key exchanges to be made (RFC 9370): gives it with keys of all of their secrets. */
  readonly complete?: (secrets: readonly Uint8Array[]) => Child
  readonly since: Instant
  /** `old`: another has taken its place and its end is under way. */
  state: 'installed' | 'rekeying' | 'old' | 'closing'
  /** Transport mode through a NAT: the addresses that the peer makes checksums of. */
  readonly originalEnds?: OriginalEnds
  /** What the peer's request to rekey it at the same time has made (RFC 7296 section 2.8.1). */
  rival?: RivalChild | undefined
  /** When it is to be made anew, and when it ends. */
  softAt?: Instant | undefined
  hardAt?: Instant
  timers?: readonly QueuedTimer[]
}

/** The SA payload's SPI field. */
export const spiBytes = (spi: number): Uint8Array =>
  Uint8Array.of(spi >>> 24, (spi >>> 16) & 0xff, (spi >>> 8) & 0xff, spi & 0xff)

export const spiNumber = (bytes: Uint8Array): number =>
  ((bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!) >>> 0

export const showSpi = (spi: number): string => `0x${spi.toString(16).padStart(8, '0')}`

export function trafficPayloads(
  initiator: readonly Selector[],
  responder: readonly Selector[],
): [PayloadOf<'TSi'>, PayloadOf<'TSr'>] {
  return [
    { kind: 'TSi', selectors: initiator.map(wireSelector) },
    { kind: 'TSr', selectors: responder.map(wireSelector) },
  ]
}

/** The selectors of a payload that we understand. */
export const readTraffic = (payload: PayloadOf<'TSi'> | PayloadOf<'TSr'> | undefined): Selector[] =>
  (payload?.selectors ?? []).flatMap((wire) => selectorOf(wire) ?? []).slice(0, SELECTOR_LIMIT)

/** Whether what a responder narrowed to lies within what was asked for. */
export const isWithin = (asked: readonly Selector[], given: readonly Selector[]): boolean =>
  given.length > 0 && given.every((one) => asked.some((outer) => covers(outer, one)))

/** RFC 7296 section 1.3.1: transport mode is asked for, and has only come about if the answer says so too. */
export const asksTransport = (payloads: readonly IkePayload[]): boolean =>
  findNotify(payloads, NotifyType.useTransportMode) !== undefined

/** How a child's packets are carried between two ends. */
export interface Carriage {
  readonly local: Endpoint
  readonly remote: Endpoint
  /** In UDP, from 4500 to the peer's port (RFC 3948). */
  readonly udp: boolean
}

const carrierOf = ({ local, remote, udp }: Carriage, protocol: number): Carrier =>
  udp
    ? {
        kind: 'udp',
        protocol: 17,
        local: local.address,
        remote: remote.address,
        localPort: NAT_PORT,
        remotePort: remote.port,
      }
    : { kind: 'ip', protocol, local: local.address, remote: remote.address }

/** The child as its data path wants it: plain data. */
export function pathOf(child: Child, policy: IkePolicy, carriage: Carriage, softShare: number): PathSpec {
  const protocol = child.agreed.protocol === 'ah' ? IpProtocol.ah : IpProtocol.esp
  const { local, remote, udp } = carriage
  const { bytes } = policy.childLifetime
  const common = {
    protocol: child.agreed.protocol,
    mode: child.traffic.mode,
    suite: {
      ...(child.agreed.encryption === undefined ? {} : { encryption: child.agreed.encryption.name }),
      ...(child.agreed.integrity === undefined ? {} : { integrity: child.agreed.integrity }),
    },
    esn: child.agreed.esn,
    window: WINDOW,
    lifetimes: bytes === undefined ? {} : { softBytes: Math.floor(bytes * softShare), hardBytes: bytes },
    copyDf: true,
    local: local.address.bytes,
    remote: remote.address.bytes,
    outer: outerSpec({ local: local.address, remote: remote.address }, udp ? IpProtocol.udp : protocol, 'ip'),
    ...(udp ? { udpEncapsulation: true } : {}),
  }
  const family = local.address.family === 4 ? IPV4 : IPV6
  return {
    id: child.id,
    carrier: carrierOf(carriage, protocol),
    takes: child.traffic.mode === 'tunnel' ? [IPV4, IPV6] : [family],
    transform: {
      protocol: 'esp',
      outbound: { ...common, spi: child.spiOut, keys: child.keys.outbound },
      inbound: [
        {
          ...common,
          spi: child.spiIn,
          keys: child.keys.inbound,
          ...(udp && child.originalEnds !== undefined ? { originalEnds: child.originalEnds } : {}),
        },
      ],
    },
  }
}

/** When a child is made anew: some time before its end, at a time that its peer does not share (RFC 7296 section 2.8). */
export function rekeyAfter(lifetimeSeconds: number, context: IkeContext): Duration {
  const share = 0.85 + context.random.below(1000) / 10_000
  return seconds(Math.max(1, lifetimeSeconds * share))
}
