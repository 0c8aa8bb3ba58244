/**
 * A whole IKEv2 message as a value: header and payloads (RFC 7296 section 3). Payloads of unknown type, unknown codes,
 * attributes and selectors survive a round trip. What a stranger can make large has a limit.
 */
import { ParseError } from '../../base/index.js'
import { IKE_HEADER_LENGTH, IKE_PAYLOAD_HEADER_LENGTH, type IkeHeader, ike, ikePayload } from './layouts.js'
import { IkePayloadType } from './numbers.js'
import { type IkePayload, payloadTypeOf, readPayload, writePayload } from './payloads.js'

/** Payloads of one message (CVE-2026-12413: unknown ones are what they are counted for). */
export const IKE_PAYLOAD_LIMIT = 64

export interface IkeMessage {
  readonly header: Omit<IkeHeader, 'nextPayload' | 'length'>
  readonly payloads: readonly IkePayload[]
}

/** A payload with the place that it was read from. */
export interface PlacedPayload {
  readonly payload: IkePayload
  /** Offset of its generic header. */
  readonly start: number
  readonly end: number
}

/** Reads the header of a message. Throws `ParseError`. */
export function parseIkeHeader(bytes: Uint8Array, start = 0, end: number = bytes.length): IkeHeader {
  const header = ike.parse(bytes, start, end)
  if (header.initiatorSpi.every((byte) => byte === 0))
    throw new ParseError('ike', 'initiatorSpi', start, 'zero', 'anything else (RFC 7296 section 3.1)')
  return header
}

/**
 * Reads a chain of payloads: of a message behind its header, or of an SK payload's plaintext. An SK or SKF payload ends
 * it. Throws `ParseError`.
 */
export function parseIkePayloads(
  bytes: Uint8Array,
  first: number,
  start: number,
  end: number,
): PlacedPayload[] {
  const placed: PlacedPayload[] = []
  let type = first
  let at = start
  while (type !== IkePayloadType.none) {
    if (placed.length === IKE_PAYLOAD_LIMIT)
      throw new ParseError(
        'ikePayload',
        'nextPayload',
        at,
        `more than ${IKE_PAYLOAD_LIMIT}`,
        'fewer payloads',
      )
    const generic = ikePayload.view(bytes, at, end)
    const body = at + IKE_PAYLOAD_HEADER_LENGTH
    const stop = at + generic.length
    const payload = readPayload(type, generic.critical, generic.nextPayload, bytes, body, stop)
    placed.push({ payload, start: at, end: stop })
    at = stop
    if (payload.kind === 'SK' || payload.kind === 'SKF') break
    type = generic.nextPayload
  }
  if (at !== end)
    throw new ParseError('ikePayload', 'length', at, `${end - at} bytes behind the last payload`, 'none')
  return placed
}

/** A whole message. Throws `ParseError`. */
export function parseIkeMessage(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): {
  readonly header: IkeHeader
  readonly payloads: readonly IkePayload[]
  readonly placed: readonly PlacedPayload[]
} {
  const header = parseIkeHeader(bytes, start, end)
  const placed = parseIkePayloads(bytes, header.nextPayload, start + IKE_HEADER_LENGTH, start + header.length)
  return { header, payloads: placed.map(({ payload }) => payload), placed }
}

/** The bytes of a chain of payloads: of a message's body, or of what goes into an SK payload. */
export function emitIkePayloads(payloads: readonly IkePayload[]): Uint8Array {
  const bodies = payloads.map(writePayload)
  const total = bodies.reduce((sum, body) => sum + IKE_PAYLOAD_HEADER_LENGTH + body.length, 0)
  const bytes = new Uint8Array(total)
  let at = 0
  for (const [i, body] of bodies.entries()) {
    const payload = payloads[i]!
    const length = IKE_PAYLOAD_HEADER_LENGTH + body.length
    if (length > 0xffff) throw new RangeError(`a payload of ${length} bytes`)
    ikePayload.emit(
      { nextPayload: followerOf(payloads, i), critical: payload.critical ?? false, length },
      bytes,
      at,
    )
    bytes.set(body, at + IKE_PAYLOAD_HEADER_LENGTH)
    at += length
  }
  return bytes
}

/** The type of the first payload of a chain. */
export const firstPayloadType = (payloads: readonly IkePayload[]): number =>
  payloads.length === 0 ? IkePayloadType.none : payloadTypeOf(payloads[0]!)

/** RFC 7296 section 3.14: an encrypted payload names the first one inside it. */
function followerOf(payloads: readonly IkePayload[], i: number): number {
  const payload = payloads[i]!
  if (payload.kind === 'SK' || payload.kind === 'SKF') return payload.first
  return i + 1 < payloads.length ? payloadTypeOf(payloads[i + 1]!) : IkePayloadType.none
}

export function emitIkeMessage({ header, payloads }: IkeMessage): Uint8Array {
  const body = emitIkePayloads(payloads)
  const bytes = new Uint8Array(IKE_HEADER_LENGTH + body.length)
  ike.emit({ ...header, nextPayload: firstPayloadType(payloads), length: bytes.length }, bytes)
  bytes.set(body, IKE_HEADER_LENGTH)
  return bytes
}
