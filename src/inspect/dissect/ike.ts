/** IKE: the header of both versions, every payload of version 2, and with keys what is encrypted (RFC 7296 section 3). */
import { readUint16, readUint32 } from '../../base/index.js'
import type { FieldRange } from '../../wire/field.js'
import {
  IKE_FLAG_INITIATOR,
  IKE_HEADER_LENGTH,
  IKE_PAYLOAD_HEADER_LENGTH,
  IKE_PAYLOAD_LIMIT,
  IkePayloadType,
  ike,
  ikePayload,
  ikePayloadNames,
} from '../../wire/ike/index.js'
import { exchangeText1, payloadName1 } from '../ike/version1.js'
import { BODIES, fixedPart, rest } from './ike-bodies.js'
import { type Encrypted, walkEncrypted } from './ike-encrypted.js'
import { checkNatHashes } from './ike-nat.js'
import { walkConfig, walkProposals, walkSelectors } from './ike-parts.js'
import { type Extent, MAXIMUM_LAYERS, type Network, type Walk } from './walk.js'

/** `udpAt`: the UDP header that it came behind. */
export function walkIke(walk: Walk, extent: Extent, network: Network, udpAt: number): void {
  const { start, end, claimed } = extent
  const layer = walk.header(ike, extent)
  if (layer === undefined || end - start < IKE_HEADER_LENGTH) return
  const { bytes } = walk
  const length = readUint32(bytes, start + ike.offset.length)
  const stop = length < IKE_HEADER_LENGTH ? claimed : start + length
  if (length >= IKE_HEADER_LENGTH && stop > claimed && !network.fragment)
    walk.remark('length', {
      problem: `found ${length} bytes, expected at most the ${claimed - start} in its datagram`,
    })
  if (bytes.subarray(start, start + 8).every((byte) => byte === 0))
    walk.remark('initiatorSpi', { problem: 'found zero, expected anything else' })
  const message: Extent = { start, end: Math.min(end, stop), claimed: Math.min(claimed, stop) }
  const inner = { ...message, start: layer.end }
  const version = bytes[start + ike.offset.majorVersion]! >> 4
  const first = bytes[start + ike.offset.nextPayload]!
  if (version === 2) {
    const isInitiator = (bytes[start + ike.offset.flags]! & IKE_FLAG_INITIATOR) !== 0
    const before = walk.layers.length
    walkPayloads(walk, first, inner, { message, network, isInitiator })
    checkNatHashes(walk, before, start, network, udpAt)
  } else if (version === 1) walkVersion1(walk, start, inner)
  else walk.payload(inner, 'Payloads', `not followed: version ${version} of IKE`)
  walk.padding(message.end, end, 'behind the IKE message: not part of it')
}

/** RFC 2408 section 3.1: the same header with other numbers in it; its payloads stay bytes. */
function walkVersion1(walk: Walk, start: number, inner: Extent): void {
  const { bytes } = walk
  walk.remark('nextPayload', { meaning: payloadName1(bytes[start + ike.offset.nextPayload]!) })
  walk.remark('exchangeType', { meaning: exchangeText1(bytes[start + ike.offset.exchangeType]!) })
  walk.note('version 1 (RFC 2408, RFC 2409)')
  const isEncrypted = (bytes[start + ike.offset.flags]! & 1) !== 0
  walk.payload(inner, isEncrypted ? 'Encrypted payloads' : 'Payloads', 'not followed: version 1 of IKE')
}

/** A chain of payloads: of a message, or of what was encrypted in it, where nothing is encrypted any more. */
export function walkPayloads(walk: Walk, first: number, extent: Extent, sealed?: Encrypted): void {
  const { start, end, claimed } = extent
  const { bytes } = walk
  let type = first
  let at = start
  let last: number | undefined
  for (let count = 0; type !== IkePayloadType.none && at < end; count++) {
    if (count === IKE_PAYLOAD_LIMIT || walk.layers.length >= MAXIMUM_LAYERS) {
      walk.payload({ ...extent, start: at }, 'Payloads', 'not followed: there are too many')
      return
    }
    last = walk.layers.length
    const length = end - at < IKE_PAYLOAD_HEADER_LENGTH ? 0 : readUint16(bytes, at + ikePayload.offset.length)
    const { fields, at: body } = fixedPart(ikePayload, bytes, at, Math.min(end, at + Math.max(length, 4)))
    if (length < IKE_PAYLOAD_HEADER_LENGTH) {
      addPayload(walk, type, at, body, fields)
      walk.payload({ ...extent, start: body }, 'Payloads', 'not followed: the length above is wrong')
      return
    }
    const stop = at + length
    const generic = lengthRemarked(fields, length, at, end, claimed)
    const placed: Extent = { start: at, end: Math.min(end, stop), claimed: Math.min(claimed, stop) }
    if (type === IkePayloadType.encrypted || type === IkePayloadType.encryptedFragment) {
      walkEncrypted(walk, type, placed, generic, sealed)
      walk.payload(
        { ...extent, start: placed.end },
        'Data',
        'behind the encrypted payload: it is to be the last',
      )
      return
    }
    walkPayload(walk, type, placed, body, generic)
    at = placed.end
    type = bytes[placed.start]!
  }
  if (at < end) walk.payload({ ...extent, start: at }, 'Data', 'behind the last payload')
  else if (type !== IkePayloadType.none && claimed <= end) announcesNothing(walk, last, type)
}

function lengthRemarked(
  fields: readonly FieldRange[],
  length: number,
  at: number,
  end: number,
  claimed: number,
): FieldRange[] {
  const stop = at + length
  return fields.map((field) => {
    if (field.field !== 'length') return field
    if (stop > claimed)
      return {
        ...field,
        problem: `found ${length} bytes, expected at most the ${claimed - at} in its message`,
      }
    const { truncated: _, ...whole } = field
    return stop > end
      ? { ...whole, meaning: `bytes, of which ${end - at} are here`, truncated: true }
      : { ...whole, meaning: 'bytes, with this header' }
  })
}

/** The payload before says that there is one more. */
function announcesNothing(walk: Walk, last: number | undefined, type: number): void {
  if (last === undefined) return
  const layer = walk.layers[last]!
  walk.layers[last] = {
    ...layer,
    fields: layer.fields.map((field) =>
      field.field === 'nextPayload'
        ? { ...field, problem: `found ${type}, expected 0: nothing follows` }
        : field,
    ),
  }
}

const titleOf = (type: number): string => `${ikePayloadNames[type] ?? `Payload of type ${type}`}`

function addPayload(
  walk: Walk,
  type: number,
  start: number,
  end: number,
  fields: readonly FieldRange[],
  ref: string = ikePayload.ref,
): void {
  const { name } = ikePayload
  walk.add({ name, title: `Payload: ${titleOf(type)}`, ref, start, end, depth: walk.depth + 1, fields })
}

/** One that is not encrypted: `placed` is all of it, `body` what follows the generic header. */
function walkPayload(
  walk: Walk,
  type: number,
  placed: Extent,
  body: number,
  generic: readonly FieldRange[],
): void {
  const { bytes } = walk
  const { start, end } = placed
  const inside: Extent = { ...placed, start: body }
  const head = (fields: readonly FieldRange[], ref: string, to: number): void =>
    addPayload(walk, type, start, to, [...generic, ...fields], ref)
  switch (type) {
    case IkePayloadType.sa:
      head([], 'RFC 7296 section 3.3', body)
      walkProposals(walk, inside)
      return
    case IkePayloadType.tsI:
    case IkePayloadType.tsR:
      walkSelectors(walk, inside, head)
      return
    case IkePayloadType.config:
      walkConfig(walk, inside, head)
      return
    default: {
      const known = BODIES[type]
      if (known !== undefined) head(known.body(bytes, body, end), known.ref, end)
      else head(rest(bytes, body, end, 'Data', ikePayload.ref), 'RFC 7296 section 2.5', end)
    }
  }
  if (placed.claimed > end && placed.claimed < Number.POSITIVE_INFINITY)
    walk.note(`${placed.claimed - end} more bytes are not here`)
}
