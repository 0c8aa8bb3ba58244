/**
 * Where the two ends of an IKE SA can be reached beside where they are (RFC 4555 sections 3.4, 3.6): what each tells the
 * other, and the ways that are tried when the one in use is dead (section 3.10).
 */
import { type Instant, type IpAddress, ipAddressFrom } from '../../base/index.js'
import { IkeExchange, type IkePayload, NotifyType } from '../../wire/ike/index.js'
import { type Endpoint, formatEndpoint, IKE_PORT, NAT_PORT, sameEndpoint } from './context.js'
import { notify } from './init.js'
import type { Session } from './session.js'

/** Addresses of a peer that are remembered, and of our own that are told. */
export const PLACES_LIMIT = 16
/** Messages that are lost before another way is tried: 14 seconds (channel.ts). */
const PATIENCE = 3
/** Messages on each of the others. */
const TRIES = 2

export interface Way {
  readonly local: Endpoint
  readonly remote: Endpoint
}

/** What is known of the places of an IKE SA. */
export interface Places {
  /** The peer's others, as it last told them. */
  peer: readonly IpAddress[]
  /** Ours, as text, as we last told them. */
  told: string
  /** Other ways are being tried: those that are left, and the one that the peer knows of. */
  search?: { readonly left: Way[]; readonly known: Way }
  /** Where the peer sees us, as a hash of it, and of which SA. */
  seen?: string
  /** The way was found so; routes lead another. */
  found?: boolean
}

/** Ours that the policy lets a peer speak to, beside the one in use. */
function others({ context, policy, local, assigned }: Session): IpAddress[] {
  const { locals } = policy
  if (locals === undefined) return []
  // What the peer has given us is reached through the tunnel alone.
  const inside = assigned?.toPeer === false ? assigned.values : []
  return context
    .addresses()
    .filter(
      (one) =>
        !one.equals(local.address) &&
        locals.some((prefix) => prefix.contains(one)) &&
        !inside.some(({ address }) => address?.equals(one) === true),
    )
    .slice(0, PLACES_LIMIT)
}

const textOf = (addresses: readonly IpAddress[]): string => addresses.map(String).sort().join(' ')

/** For IKE_AUTH: nothing where there are no others. */
export function ownPlaces(session: Session): IkePayload[] {
  const addresses = others(session)
  session.places.told = textOf(addresses)
  return addresses.map(({ family, bytes }) =>
    notify(family === 4 ? NotifyType.additionalIp4Address : NotifyType.additionalIp6Address, bytes),
  )
}

/** For INFORMATIONAL: that there are none is said as well. */
export function changedPlaces(session: Session): IkePayload[] {
  const own = ownPlaces(session)
  return own.length > 0 ? own : [notify(NotifyType.noAdditionalAddresses)]
}

/** Tells the peer, where it has been told otherwise. */
export function tellPlaces(session: Session, now: Instant): void {
  if (session.mobike === undefined || session.state !== 'established') return
  const isKnown = (): boolean => textOf(others(session)) === session.places.told
  if (isKnown()) return
  session.channel.send(
    {
      exchange: IkeExchange.informational,
      payloads: () => (isKnown() ? undefined : changedPlaces(session)),
      answered: () => {},
      lost: (later) => session.lost(later),
    },
    now,
  )
}

/** What the peer says of its own: a list takes the place of the one before. */
export function heedPlaces(session: Session, payloads: readonly IkePayload[]): void {
  const list: IpAddress[] = []
  let isList = false
  for (const payload of payloads) {
    if (payload.kind !== 'N') continue
    const { type, data } = payload
    if (type === NotifyType.noAdditionalAddresses) isList = true
    const length =
      type === NotifyType.additionalIp4Address ? 4 : type === NotifyType.additionalIp6Address ? 16 : 0
    if (length === 0 || data.length !== length) continue
    isList = true
    const address = ipAddressFrom(Uint8Array.from(data))
    const isSomewhere = !address.isUnspecified && !address.isMulticast && !address.isLoopback
    if (isSomewhere && list.length < PLACES_LIMIT && !list.some((one) => one.equals(address)))
      list.push(address)
  }
  if (isList) session.places.peer = list
}

/** Bits that two addresses of one family share in front. */
function likeness({ local, remote }: Way): number {
  const [a, b] = [local.address.bytes, remote.address.bytes]
  const at = a.findIndex((byte, i) => byte !== b[i])
  return at < 0 ? 8 * a.length : 8 * at + Math.clz32(a[at]! ^ b[at]!) - 24
}

/** Every pair of places but the one in use, which comes last once more; pairs of one network come first. */
function ways(session: Session): Way[] {
  const { local, remote, places } = session
  const port = remote.port === IKE_PORT ? NAT_PORT : remote.port
  const ours = [local.address, ...others(session)].map((address) => ({ address, port: NAT_PORT }))
  const theirs = [
    { address: remote.address, port },
    ...places.peer
      .filter((one) => !one.equals(remote.address))
      .map((address) => ({ address, port: NAT_PORT })),
  ]
  const all = theirs.flatMap((there) =>
    ours.flatMap((here) =>
      here.address.family === there.address.family &&
      !(here.address.equals(local.address) && there.address.equals(remote.address))
        ? [{ local: here, remote: there }]
        : [],
    ),
  )
  all.sort((a, b) => likeness(b) - likeness(a))
  return all.length === 0 ? [] : [...all.slice(0, PLACES_LIMIT), { local, remote }]
}

/**
 * A request was sent `attempts` times in vain: true if it is to be sent another way. The initiator chooses (RFC 4555
 * section 3.5).
 */
export function tryElsewhere(session: Session, attempts: number, now: Instant): boolean {
  const { places, local, remote } = session
  if (session.mobike !== 'mover' || session.state !== 'established') return false
  if (attempts < (places.search === undefined ? PATIENCE : TRIES)) return false
  places.search ??= { left: ways(session), known: { local, remote } }
  const next = places.search.left.shift()
  if (next === undefined) return false
  const from = `${formatEndpoint(local)} to ${formatEndpoint(remote)}`
  const to = `${formatEndpoint(next.local)} to ${formatEndpoint(next.remote)}`
  session.relocate(next.local, next.remote, now, `no answer from ${from}: trying from ${to}`)
  return true
}

/** Something authentic came by this way: the search is over. True: the peer has to hear where we are. */
export function foundWay(session: Session, way: Way, now: Instant): boolean {
  const { search } = session.places
  if (search === undefined) return false
  delete session.places.search
  session.relocate(way.local, way.remote, now)
  const { known } = search
  const isOther = !sameEndpoint(way.local, known.local) || !sameEndpoint(way.remote, known.remote)
  session.places.found = isOther
  return isOther
}
