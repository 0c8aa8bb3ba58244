/** The first exchange, IKE_SA_INIT (RFC 7296 section 1.2): what both roles put into it and take out of it. */
import { type IpAddress, readUint16 } from '../../base/index.js'
import { constantTimeEqual, nodeHash } from '../../crypto/index.js'
import {
  CertEncoding,
  HashAlgorithm,
  type IkePayload,
  joined,
  NotifyType,
  type PayloadOf,
} from '../../wire/ike/index.js'
import type { CertificateData, Credentials, Endpoint } from './context.js'

const NOTHING = new Uint8Array(0)

/** A notify of the IKE SA itself. */
export const notify = (type: number, data: Uint8Array = NOTHING): PayloadOf<'N'> => ({
  kind: 'N',
  protocol: 0,
  spi: NOTHING,
  type,
  data,
})

export function findPayload<K extends IkePayload['kind']>(
  payloads: readonly IkePayload[],
  kind: K,
): PayloadOf<K> | undefined {
  return payloads.find((payload): payload is PayloadOf<K> => payload.kind === kind)
}

export const findNotify = (payloads: readonly IkePayload[], type: number): PayloadOf<'N'> | undefined =>
  payloads.find((payload): payload is PayloadOf<'N'> => payload.kind === 'N' && payload.type === type)

/** The first error among the notifies: below 16384 (RFC 7296 section 3.10.1). */
export const findError = (payloads: readonly IkePayload[]): PayloadOf<'N'> | undefined =>
  payloads.find((payload): payload is PayloadOf<'N'> => payload.kind === 'N' && payload.type < 16384)

/** RFC 7296 section 2.23: of SPIs, address and port. */
export function natHash(
  initiatorSpi: Uint8Array,
  responderSpi: Uint8Array,
  address: IpAddress,
  port: number,
): Uint8Array {
  return nodeHash('sha1', initiatorSpi, responderSpi, address.bytes, Uint8Array.of(port >> 8, port & 0xff))
}

export function natPayloads(
  initiatorSpi: Uint8Array,
  responderSpi: Uint8Array,
  local: Endpoint,
  remote: Endpoint,
  forced: boolean,
): IkePayload[] {
  const hash = ({ address, port }: Endpoint): Uint8Array => natHash(initiatorSpi, responderSpi, address, port)
  const source = hash(local)
  // A wrong hash is a NAT that is not there: the peer goes over to UDP.
  if (forced) source[0]! ^= 0xff
  return [
    notify(NotifyType.natDetectionSourceIp, source),
    notify(NotifyType.natDetectionDestinationIp, hash(remote)),
  ]
}

export interface NatFindings {
  /** The peer speaks of NATs at all. */
  readonly supported: boolean
  /** We are behind one. */
  readonly here: boolean
  /** The peer is. */
  readonly there: boolean
}

export function findNat(
  payloads: readonly IkePayload[],
  initiatorSpi: Uint8Array,
  responderSpi: Uint8Array,
  local: Endpoint,
  remote: Endpoint,
): NatFindings {
  const of = (type: number): Uint8Array[] =>
    payloads.flatMap((payload) => (payload.kind === 'N' && payload.type === type ? [payload.data] : []))
  const sources = of(NotifyType.natDetectionSourceIp)
  const destinations = of(NotifyType.natDetectionDestinationIp)
  const holds = (hashes: readonly Uint8Array[], { address, port }: Endpoint): boolean => {
    const ours = natHash(initiatorSpi, responderSpi, address, port)
    return hashes.some(
      (hash) => hash.length === ours.length && constantTimeEqual(hash, 0, ours, 0, ours.length),
    )
  }
  const supported = sources.length > 0 && destinations.length > 0
  return {
    supported,
    here: supported && !holds(destinations, local),
    there: supported && !holds(sources, remote),
  }
}

/** RFC 7427 section 4: the hashes that we verify with. */
export function signatureHashes(): PayloadOf<'N'> {
  const ids = [
    HashAlgorithm.sha256,
    HashAlgorithm.sha384,
    HashAlgorithm.sha512,
    HashAlgorithm.identity,
    HashAlgorithm.sha1,
  ]
  return notify(NotifyType.signatureHashAlgorithms, Uint8Array.from(ids.flatMap((id) => [0, id])))
}

/**
 * What we ask a peer to show: certificates of these authorities, else a raw key as iked does. strongSwan shows no
 * certificate that it is not asked for. `room`: bytes that there are for the payload.
 */
export function certificateRequests(
  credentials: Credentials,
  room: number = Number.POSITIVE_INFINITY,
): IkePayload[] {
  const authorities = credentials.authorities()
  const fitting = Math.max(0, Math.min(authorities.length, 20 * Math.floor((room - 5) / 20)))
  if (fitting > 0)
    return [{ kind: 'CERTREQ', encoding: CertEncoding.x509, data: authorities.subarray(0, fitting) }]
  const encoding = authorities.length === 0 ? credentials.rawEncoding?.() : undefined
  return encoding === undefined || room < 5 ? [] : [{ kind: 'CERTREQ', encoding, data: new Uint8Array(0) }]
}

/** The peer's CERTREQ payloads. */
export const requestedCertificates = (payloads: readonly IkePayload[]): CertificateData[] =>
  payloads.flatMap((payload) =>
    payload.kind === 'CERTREQ' ? [{ encoding: payload.encoding, data: payload.data }] : [],
  )

/** The hashes that the peer verifies with; undefined: it knows nothing of RFC 7427. */
export function peerHashes(payloads: readonly IkePayload[]): ReadonlySet<number> | undefined {
  const payload = findNotify(payloads, NotifyType.signatureHashAlgorithms)
  if (payload === undefined) return undefined
  const ids = new Set<number>()
  for (let at = 0; at + 2 <= payload.data.length; at += 2) ids.add(readUint16(payload.data, at))
  return ids
}

/**
 * A cookie (RFC 7296 section 2.6): of what the initiator says and where it says it from, under a secret of ours. It
 * proves that the initiator gets what is sent to its address, and costs one hash.
 */
export function makeCookie(
  secret: Uint8Array,
  version: number,
  nonce: Uint8Array,
  remote: Endpoint,
  initiatorSpi: Uint8Array,
): Uint8Array {
  const port = Uint8Array.of(remote.port >> 8, remote.port & 0xff)
  return joined(
    Uint8Array.of(version),
    nodeHash('sha256', nonce, remote.address.bytes, port, initiatorSpi, secret),
  )
}
