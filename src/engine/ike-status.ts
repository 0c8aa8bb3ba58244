/** What `warren status` says of IKE SAs and their children. Never a key. */
import { between, type Instant, toSeconds } from '../base/index.js'
import {
  type Agreed,
  formatEndpoint,
  formatIdentity,
  formatSelector,
  type Ike2Machine,
  type Session,
} from '../proto/ikev2/index.js'
import { hexOf } from '../wire/field.js'
import type { PathStatus } from './host.js'

export interface IkeChildStatus {
  readonly path: string
  readonly protocol: string
  readonly mode: 'tunnel' | 'transport'
  readonly state: string
  /** With what the peer sends, and with what we do: `0x` and eight digits. */
  readonly spiIn: string
  readonly spiOut: string
  readonly algorithms: string
  readonly local: readonly string[]
  readonly remote: readonly string[]
  /** What passes: `LOCAL --> REMOTE`, of the selectors above those that the policy has together. */
  readonly flows: readonly string[]
  readonly ageSeconds: number
  readonly packetsIn: number
  readonly bytesIn: number
  readonly packetsOut: number
  readonly bytesOut: number
  /** Until it is made anew, and until it ends. */
  readonly rekeySeconds?: number
  readonly leftSeconds?: number
}

export interface IkeSaStatus {
  readonly policy: string
  readonly where?: string
  readonly state: string
  readonly initiator: boolean
  /** `0x` and sixteen digits. */
  readonly initiatorSpi: string
  readonly responderSpi: string
  readonly local: string
  readonly remote: string
  readonly localId: string
  /** Once it is proved. */
  readonly remoteId?: string
  readonly algorithms: string
  /** ESP goes in UDP. */
  readonly udp: boolean
  readonly behindNat: boolean
  readonly ageSeconds: number
  /** Since the peer was heard. */
  readonly silentSeconds: number
  readonly children: readonly IkeChildStatus[]
  /** What configuration payloads have given. */
  readonly assigned?: IkeAssignedStatus
}

export interface IkeAssignedStatus {
  /** We gave it to the peer; else it is ours. */
  readonly toPeer: boolean
  readonly addresses: readonly string[]
  readonly nameServers: readonly string[]
  readonly subnets: readonly string[]
  /** Others by their names in iked.conf(5): `netbios-server 10.0.0.9`. */
  readonly others: readonly string[]
}

export interface IkeStatus {
  readonly sas: readonly IkeSaStatus[]
}

export function ikeStatusOf(machine: Ike2Machine, paths: readonly PathStatus[], now: Instant): IkeStatus {
  const since = (at: Instant): number => Math.max(0, Math.floor(toSeconds(between(at, now))))
  return {
    sas: machine.sessions().map((session) => {
      const { policy, spis, local, remote, peerId, options } = session
      return {
        policy: policy.name,
        ...(policy.where === undefined ? {} : { where: policy.where }),
        state: session.state,
        initiator: session.isInitiator,
        initiatorSpi: `0x${hexOf(spis.initiator, 0, 8)}`,
        responderSpi: `0x${hexOf(spis.responder, 0, 8)}`,
        local: formatEndpoint(local),
        remote: formatEndpoint(remote),
        localId: formatIdentity(policy.localId),
        ...(peerId === undefined ? {} : { remoteId: formatIdentity(peerId) }),
        algorithms: algorithmsOf(session.agreed),
        udp: options.udp,
        behindNat: options.behindNat,
        ageSeconds: since(session.since),
        silentSeconds: since(session.lastHeard),
        children: [...session.children.values()].map((child) => childOf(child, paths, now)),
        ...(session.assigned === undefined ? {} : { assigned: assignedOf(session.assigned) }),
      }
    }),
  }
}

function assignedOf({ toPeer, values }: NonNullable<Session['assigned']>): IkeAssignedStatus {
  const known = ['address', 'name-server', 'protected-subnet', 'netmask']
  const of = (option: string): string[] =>
    values.flatMap((value) =>
      value.option === option && value.address !== undefined ? [`${value.address}`] : [],
    )
  return {
    toPeer,
    addresses: of('address'),
    nameServers: of('name-server'),
    subnets: values.flatMap(({ option, address, prefixLength }) =>
      option === 'protected-subnet' && address !== undefined
        ? [`${address}/${prefixLength ?? 8 * address.bytes.length}`]
        : [],
    ),
    others: values.flatMap(({ option, address }) =>
      known.includes(option) || address === undefined ? [] : [`${option} ${address}`],
    ),
  }
}

type Child = Session['children'] extends ReadonlyMap<string, infer C> ? C : never

function childOf(child: Child, paths: readonly PathStatus[], now: Instant): IkeChildStatus {
  const { inbound, outbound } = paths.find(({ id }) => id === child.id) ?? {}
  const until = (at: Instant): number => Math.max(0, Math.ceil(toSeconds(between(now, at))))
  return {
    path: child.id,
    protocol: child.agreed.protocol,
    mode: child.traffic.mode,
    state: child.state,
    spiIn: spi(child.spiIn),
    spiOut: spi(child.spiOut),
    algorithms: algorithmsOf(child.agreed),
    local: child.traffic.local.map(formatSelector),
    remote: child.traffic.remote.map(formatSelector),
    flows: child.traffic.pairs.map(
      ({ local, remote }) => `${formatSelector(local)} --> ${formatSelector(remote)}`,
    ),
    ageSeconds: Math.max(0, Math.floor(toSeconds(between(child.since, now)))),
    packetsIn: inbound?.packets ?? 0,
    bytesIn: inbound?.bytes ?? 0,
    packetsOut: outbound?.packets ?? 0,
    bytesOut: outbound?.bytes ?? 0,
    ...(child.softAt === undefined ? {} : { rekeySeconds: until(child.softAt) }),
    ...(child.hardAt === undefined ? {} : { leftSeconds: until(child.hardAt) }),
  }
}

const spi = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`

/** In IANA's names, as they were agreed upon. */
function algorithmsOf({ encryption, integrity, prf, keyExchange, additional = [], esn }: Agreed): string {
  return [
    ...(encryption === undefined ? [] : [`${encryption.name} ${encryption.keyBits}`]),
    ...[integrity, prf, keyExchange].filter((name) => name !== undefined),
    ...additional.flatMap(({ name }) => (name === 'NONE' ? [] : [name])),
    ...(esn ? ['ESN'] : []),
  ].join(', ')
}
