/** The payloads of IKEv2 as values (RFC 7296 sections 3.3 to 3.16). */
import { ParseError } from '../../base/index.js'
import {
  ikeAuth,
  ikeCert,
  ikeConfig,
  ikeConfigAttribute,
  ikeDelete,
  ikeFragment,
  ikeId,
  ikeKeyExchange,
  ikeNotify,
  ikeTs,
} from './layouts.js'
import { IkePayloadType } from './numbers.js'
import { type IkeProposal, readProposals, writeProposals } from './proposals.js'
import { type IkeSelector, readSelectors, writeSelectors } from './selectors.js'

export interface IkeConfigAttribute {
  readonly type: number
  readonly value: Uint8Array
}

interface Critical {
  readonly critical?: boolean
}

export type IkePayload =
  | (Critical & { readonly kind: 'SA'; readonly proposals: readonly IkeProposal[] })
  | (Critical & { readonly kind: 'KE'; readonly method: number; readonly data: Uint8Array })
  | (Critical & { readonly kind: 'IDi' | 'IDr'; readonly type: number; readonly data: Uint8Array })
  | (Critical & { readonly kind: 'CERT' | 'CERTREQ'; readonly encoding: number; readonly data: Uint8Array })
  | (Critical & { readonly kind: 'AUTH'; readonly method: number; readonly data: Uint8Array })
  | (Critical & { readonly kind: 'Nonce' | 'V'; readonly data: Uint8Array })
  | (Critical & {
      readonly kind: 'N'
      readonly protocol: number
      readonly spi: Uint8Array
      readonly type: number
      readonly data: Uint8Array
    })
  | (Critical & { readonly kind: 'D'; readonly protocol: number; readonly spis: readonly Uint8Array[] })
  | (Critical & { readonly kind: 'TSi' | 'TSr'; readonly selectors: readonly IkeSelector[] })
  /** IV, ciphertext, ICV; `first`: the type of the first payload inside. */
  | (Critical & { readonly kind: 'SK'; readonly first: number; readonly data: Uint8Array })
  | (Critical & {
      readonly kind: 'SKF'
      readonly first: number
      readonly number: number
      readonly total: number
      readonly data: Uint8Array
    })
  | (Critical & {
      readonly kind: 'CP'
      readonly type: number
      readonly attributes: readonly IkeConfigAttribute[]
    })
  | (Critical & { readonly kind: 'EAP'; readonly data: Uint8Array })
  | (Critical & { readonly kind: 'unknown'; readonly type: number; readonly data: Uint8Array })

export type IkePayloadKind = IkePayload['kind']
/** The payload of one kind; some kinds share a shape. */
export type PayloadOf<K extends IkePayloadKind> = Shape<IkePayload, K>
type Shape<P, K> = P extends { readonly kind: infer Q }
  ? K extends Q
    ? Omit<P, 'kind'> & { readonly kind: K }
    : never
  : never

const TYPES: Readonly<Record<Exclude<IkePayloadKind, 'unknown'>, number>> = {
  SA: IkePayloadType.sa,
  KE: IkePayloadType.ke,
  IDi: IkePayloadType.idI,
  IDr: IkePayloadType.idR,
  CERT: IkePayloadType.cert,
  CERTREQ: IkePayloadType.certReq,
  AUTH: IkePayloadType.auth,
  Nonce: IkePayloadType.nonce,
  N: IkePayloadType.notify,
  D: IkePayloadType.delete,
  V: IkePayloadType.vendor,
  TSi: IkePayloadType.tsI,
  TSr: IkePayloadType.tsR,
  SK: IkePayloadType.encrypted,
  SKF: IkePayloadType.encryptedFragment,
  CP: IkePayloadType.config,
  EAP: IkePayloadType.eap,
}

export const payloadTypeOf = (payload: IkePayload): number =>
  payload.kind === 'unknown' ? payload.type : TYPES[payload.kind]

/** Whether this version knows the type: an unknown one that is critical is refused (RFC 7296 section 2.5). */
export const isKnownPayload = (type: number): boolean => Object.values(TYPES).includes(type)

/**
 * The payload of `type` with its body at `[start, end)`. Its data is a copy. Throws `ParseError`.
 * `next`: the generic header's next payload, which is the first inside of an encrypted one.
 */
export function readPayload(
  type: number,
  critical: boolean,
  next: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): IkePayload {
  const rest = (from: number): Uint8Array => bytes.slice(from, end)
  const flagged = critical ? { critical } : {}
  switch (type) {
    case IkePayloadType.sa:
      return { kind: 'SA', ...flagged, proposals: readProposals(bytes, start, end) }
    case IkePayloadType.ke: {
      const { method, payloadStart } = ikeKeyExchange.view(bytes, start, end)
      return { kind: 'KE', ...flagged, method, data: rest(payloadStart) }
    }
    case IkePayloadType.idI:
    case IkePayloadType.idR: {
      const id = ikeId.view(bytes, start, end)
      const kind = type === IkePayloadType.idI ? 'IDi' : 'IDr'
      return { kind, ...flagged, type: id.type, data: rest(id.payloadStart) }
    }
    case IkePayloadType.cert:
    case IkePayloadType.certReq: {
      const { encoding, payloadStart } = ikeCert.view(bytes, start, end)
      const kind = type === IkePayloadType.cert ? 'CERT' : 'CERTREQ'
      return { kind, ...flagged, encoding, data: rest(payloadStart) }
    }
    case IkePayloadType.auth: {
      const { method, payloadStart } = ikeAuth.view(bytes, start, end)
      return { kind: 'AUTH', ...flagged, method, data: rest(payloadStart) }
    }
    case IkePayloadType.nonce:
      // RFC 7296 section 3.9.
      if (end - start < 16 || end - start > 256)
        throw new ParseError('ikeNonce', 'data', start, `${end - start} bytes`, '16 to 256')
      return { kind: 'Nonce', ...flagged, data: rest(start) }
    case IkePayloadType.vendor:
      return { kind: 'V', ...flagged, data: rest(start) }
    case IkePayloadType.notify:
      return { ...readNotify(bytes, start, end), ...flagged }
    case IkePayloadType.delete:
      return { ...readDelete(bytes, start, end), ...flagged }
    case IkePayloadType.tsI:
    case IkePayloadType.tsR: {
      const kind = type === IkePayloadType.tsI ? 'TSi' : 'TSr'
      const { selectors, payloadStart } = ikeTs.view(bytes, start, end)
      return { kind, ...flagged, selectors: readSelectors(bytes, payloadStart, end, selectors) }
    }
    case IkePayloadType.encrypted:
      return { kind: 'SK', ...flagged, first: next, data: rest(start) }
    case IkePayloadType.encryptedFragment: {
      const { number, total, payloadStart } = ikeFragment.view(bytes, start, end)
      return { kind: 'SKF', ...flagged, first: next, number, total, data: rest(payloadStart) }
    }
    case IkePayloadType.config:
      return { ...readConfig(bytes, start, end), ...flagged }
    case IkePayloadType.eap:
      if (end - start < 4)
        throw new ParseError('ikeEap', 'length', start, `${end - start} bytes`, 'at least 4')
      return { kind: 'EAP', ...flagged, data: rest(start) }
    default:
      return { kind: 'unknown', ...flagged, type, data: rest(start) }
  }
}

function readNotify(bytes: Uint8Array, start: number, end: number): PayloadOf<'N'> {
  const { protocol, spiSize, type, payloadStart } = ikeNotify.view(bytes, start, end)
  const data = payloadStart + spiSize
  if (data > end)
    throw new ParseError('ikeNotify', 'spiSize', start + 1, `${spiSize}`, `at most ${end - payloadStart}`)
  return { kind: 'N', protocol, spi: bytes.slice(payloadStart, data), type, data: bytes.slice(data, end) }
}

function readDelete(bytes: Uint8Array, start: number, end: number): PayloadOf<'D'> {
  const { protocol, spiSize, spis: count, payloadStart } = ikeDelete.view(bytes, start, end)
  if (count * spiSize !== end - payloadStart)
    throw new ParseError(
      'ikeDelete',
      'spis',
      start + 2,
      `${count} of ${spiSize} bytes`,
      `${end - payloadStart} bytes in all`,
    )
  const spis: Uint8Array[] = []
  // An IKE SA is named by the message itself: none, whatever the count says.
  if (spiSize > 0)
    for (let at = payloadStart; at < end; at += spiSize) spis.push(bytes.slice(at, at + spiSize))
  return { kind: 'D', protocol, spis }
}

function readConfig(bytes: Uint8Array, start: number, end: number): PayloadOf<'CP'> {
  const { type, payloadStart } = ikeConfig.view(bytes, start, end)
  const attributes: IkeConfigAttribute[] = []
  for (let at = payloadStart; at < end; ) {
    const attribute = ikeConfigAttribute.view(bytes, at, end)
    const stop = attribute.payloadStart + attribute.length
    attributes.push({ type: attribute.type, value: bytes.slice(attribute.payloadStart, stop) })
    at = stop
  }
  return { kind: 'CP', type, attributes }
}

/** A payload's body, without the generic header. */
export function writePayload(payload: IkePayload): Uint8Array {
  switch (payload.kind) {
    case 'SA':
      return writeProposals(payload.proposals)
    case 'KE':
      return joined(ikeKeyExchange.toBytes({ method: payload.method }), payload.data)
    case 'IDi':
    case 'IDr':
      return joined(ikeId.toBytes({ type: payload.type }), payload.data)
    case 'CERT':
    case 'CERTREQ':
      return joined(ikeCert.toBytes({ encoding: payload.encoding }), payload.data)
    case 'AUTH':
      return joined(ikeAuth.toBytes({ method: payload.method }), payload.data)
    case 'N': {
      const { protocol, spi, type, data } = payload
      return joined(ikeNotify.toBytes({ protocol, spiSize: spi.length, type }), spi, data)
    }
    case 'D': {
      const { protocol, spis } = payload
      const spiSize = spis[0]?.length ?? 0
      return joined(ikeDelete.toBytes({ protocol, spiSize, spis: spis.length }), ...spis)
    }
    case 'TSi':
    case 'TSr':
      return joined(ikeTs.toBytes({ selectors: payload.selectors.length }), writeSelectors(payload.selectors))
    case 'SKF':
      return joined(ikeFragment.toBytes({ number: payload.number, total: payload.total }), payload.data)
    case 'CP':
      return joined(
        ikeConfig.toBytes({ type: payload.type }),
        ...payload.attributes.flatMap(({ type, value }) => [
          ikeConfigAttribute.toBytes({ type, length: value.length }),
          value,
        ]),
      )
    case 'Nonce':
    case 'V':
    case 'SK':
    case 'EAP':
    case 'unknown':
      return payload.data
  }
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
