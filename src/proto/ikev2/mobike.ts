/**
 * MOBIKE (RFC 4555): an initiator that is somewhere else says so, and its SAs go with it. Its children get new keys there:
 * the same ones in a new path would count from 1 again.
 */
import { type Duration, type Instant, type IpAddress, seconds } from '../../base/index.js'
import { constantTimeEqual } from '../../crypto/index.js'
import { hexOf } from '../../wire/field.js'
import { IkeExchange, type IkePayload, joined, NotifyType } from '../../wire/ike/index.js'
import { type Endpoint, IKE_PORT, NAT_PORT, sameEndpoint } from './context.js'
import { findError, findNat, findNotify, natPayloads, notify } from './init.js'
import { meaningOf } from './meanings.js'
import { changedPlaces, heedPlaces, tellPlaces } from './places.js'
import type { Session } from './session.js'

/** Who began the first of a row of IKE SAs moves; the other one follows (RFC 4555 section 1.3). */
export type MobikeRole = 'mover' | 'follower'

const COOKIE_LENGTH = 16
/** Behind the answer that is under way. */
const AT_ONCE: Duration = seconds(0)
/** A mover that makes its children anew has begun by then. */
const PATIENCE: Duration = seconds(2)

const nats = ({ spis, local, remote, policy }: Session): IkePayload[] =>
  natPayloads(spis.initiator, spis.responder, local, remote, policy.forceUdp)

/** What a host knows of its own addresses. */
export interface Network {
  isOurs(address: IpAddress): boolean
  /** Where an SA is to be from now on; undefined: where it is. */
  placeFor(session: Session): IpAddress | undefined
}

/**
 * Our addresses are others than before (RFC 4555 sections 3.5, 3.6). An SA that we began goes to another address if both
 * speak MOBIKE; without, it is begun again where its policy has a choice. One whose address alone is gone waits for it.
 */
export function roam(sessions: readonly Session[], network: Network, now: Instant): void {
  for (const session of sessions) {
    const { local, policy, state, mobike } = session
    const to = network.placeFor(session)
    const moves = to !== undefined && !to.equals(local.address)
    if (moves && mobike === 'mover' && state === 'established') moveTo(session, to, now)
    else if (moves && !network.isOurs(local.address) && policy.initiate && policy.locals !== undefined)
      session.close('our address is gone', true, now)
    else tellPlaces(session, now)
  }
}

/** We are at another address (RFC 4555 section 3.5). */
export function moveTo(session: Session, address: IpAddress, now: Instant): void {
  const { local, remote } = session
  if (session.mobike !== 'mover' || session.state !== 'established') return
  if (address.family !== remote.address.family || address.equals(local.address)) return
  // RFC 4555 section 3.3: a NAT may be on the new way, so port 4500.
  const port = remote.port === IKE_PORT ? NAT_PORT : remote.port
  delete session.places.search
  session.places.found = false
  session.relocate({ address, port: NAT_PORT }, { ...remote, port }, now)
  announce(session, now)
}

/** Says where we are, until the peer has heard it. */
export function announce(session: Session, now: Instant): void {
  const { spis, channel, local } = session
  const { address } = local
  session.announcing = true
  const isHere = (): boolean => session.state === 'established' && session.local.address.equals(address)
  // What is under way is asked from here, and this comes right behind it.
  channel.resend(now)
  channel.send(
    {
      exchange: IkeExchange.informational,
      payloads: () =>
        isHere()
          ? [notify(NotifyType.updateSaAddresses), ...changedPlaces(session), ...nats(session)]
          : undefined,
      answered(answer, later) {
        // RFC 4555 section 3.5: of a place that has been left already it says nothing.
        if (!isHere()) return
        heedMapping(session, answer, later)
        session.announcing = false
        const error = findError(answer)
        if (error !== undefined) {
          session.tell({ kind: 'problem', ...meaningOf(error.type) }, later)
          return
        }
        session.settleNat(
          findNat(answer, spis.initiator, spis.responder, session.local, session.remote),
          later,
        )
        session.renewChildren(later)
      },
      lost: (later) => session.lost(later),
    },
    now,
    true,
  )
}

/**
 * Whoever is asked whether it lives is asked as well where it sees us, if we are behind a NAT: a NAT that has begun anew has
 * another place for us, and what the peer sends goes to where nobody is (RFC 4555 section 3.8).
 */
export const asksMapping = (session: Session): IkePayload[] =>
  session.mobike === 'mover' && session.behindNat ? nats(session) : []

/** What the peer says of where it sees us; where that is another place than before, it has to hear so. */
export function heedMapping(session: Session, answer: readonly IkePayload[], now: Instant): void {
  const { places, spi } = session
  const seen = findNotify(answer, NotifyType.natDetectionDestinationIp)?.data
  if (session.mobike !== 'mover' || seen === undefined) return
  const of = `${hexOf(spi, 0, spi.length)} `
  const text = `${of}${hexOf(seen, 0, seen.length)}`
  const isOther = places.seen?.startsWith(of) === true && places.seen !== text
  places.seen = text
  if (isOther && !session.announcing) announce(session, now)
}

/** What an INFORMATIONAL of the peer says about its place, answered. */
export function answerMobike(session: Session, request: readonly IkePayload[], now: Instant): IkePayload[] {
  if (session.mobike === undefined) return []
  const cookie = findNotify(request, NotifyType.cookie2)
  // RFC 4555 section 4.2.5: 8 to 64 bytes, given back as they are.
  const isCookie = cookie !== undefined && cookie.data.length >= 8 && cookie.data.length <= 64
  const answer: IkePayload[] = isCookie ? [notify(NotifyType.cookie2, cookie.data)] : []
  heedPlaces(session, request)
  const { local, remote } = session.arrival
  const { spis, policy } = session
  if (session.mobike !== 'follower' || findNotify(request, NotifyType.updateSaAddresses) === undefined) {
    const asks = findNotify(request, NotifyType.natDetectionSourceIp) !== undefined
    if (asks) answer.push(...natPayloads(spis.initiator, spis.responder, local, remote, policy.forceUdp))
    return answer
  }
  const allowed = findNotify(request, NotifyType.noNatsAllowed)
  if (allowed !== undefined && !isSamePlace(allowed.data, remote, local))
    return [...answer, notify(NotifyType.unexpectedNatDetected)]
  const nat = findNat(request, session.spis.initiator, session.spis.responder, local, remote)
  session.relocate(local, remote, now)
  session.settleNat(nat, now)
  session.timer('routability', AT_ONCE, now, (at) => askThere(session, at))
  return [...answer, ...(nat.supported ? nats(session) : [])]
}

/** RFC 4555 section 4.2.6: both addresses, both ports, as the sender has them. */
function isSamePlace(data: Uint8Array, source: Endpoint, destination: Endpoint): boolean {
  const ours = joined(
    source.address.bytes,
    destination.address.bytes,
    Uint8Array.of(source.port >> 8, source.port & 0xff, destination.port >> 8, destination.port & 0xff),
  )
  return data.length === ours.length && data.every((byte, i) => byte === ours[i])
}

/** RFC 4555 section 3.7: whoever answers there has read what only it could, so nobody is flooded through us. */
function askThere(session: Session, now: Instant): void {
  const there = session.remote
  const cookie = session.context.random.fill(new Uint8Array(COOKIE_LENGTH))
  session.channel.send(
    {
      exchange: IkeExchange.informational,
      payloads: () =>
        sameEndpoint(there, session.remote) ? [notify(NotifyType.cookie2, cookie)] : undefined,
      answered(answer, later) {
        const back = findNotify(answer, NotifyType.cookie2)?.data
        if (back?.length !== COOKIE_LENGTH || !constantTimeEqual(back, 0, cookie, 0, COOKIE_LENGTH)) {
          session.delete('the peer did not prove its new address', later)
          return
        }
        session.timer('renew', PATIENCE, later, (at) => session.renewChildren(at))
      },
      lost: (later) => session.lost(later),
    },
    now,
    true,
  )
}
