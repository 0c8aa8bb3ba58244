/** The encrypted payloads of IKEv2, whole (RFC 7296 section 3.14) and in fragments (RFC 7383). */
import type { FieldRange } from '../../wire/field.js'
import { IkePayloadType, ikeFragment, ikePayload, ikePayloadNames } from '../../wire/ike/index.js'
import { joined } from '../../wire/ike/payloads.js'
import type { OpenedIke } from '../opener.js'
import { walkPayloads } from './ike.js'
import { fixedPart, rest } from './ike-bodies.js'
import { ICV_LABEL, icvRemark, suiteNote, whyNotWhole } from './ipsec.js'
import { bytesField, type Layer } from './layer.js'
import { type Extent, MAXIMUM_LAYERS, type Network, Walk } from './walk.js'

const SK_REF = 'RFC 7296 section 3.14'
const SKF_REF = 'RFC 7383 section 2.5'

/** The message that the payload is in. */
export interface Encrypted {
  readonly message: Extent
  readonly network: Network
  /** It was sent by the original initiator, whose keys it has. */
  readonly isInitiator: boolean
}

/** `placed`: the payload, with its generic header whose fields are given. */
export function walkEncrypted(
  walk: Walk,
  type: number,
  placed: Extent,
  generic: readonly FieldRange[],
  sealed: Encrypted | undefined,
): void {
  const { bytes } = walk
  const isFragment = type === IkePayloadType.encryptedFragment
  const ref = isFragment ? SKF_REF : SK_REF
  const first = bytes[placed.start]!
  const headed = generic.map((field) =>
    field.field === 'nextPayload'
      ? {
          ...field,
          meaning: `${field.meaning ?? ''}${isFragment && first === 0 ? '' : ', the first inside'}`,
        }
      : field,
  )
  const body = placed.start + 4
  const numbers = isFragment ? fixedPart(ikeFragment, bytes, body, placed.end) : { fields: [], at: body }
  const fields = [...headed, ...numbers.fields]
  const { name } = ikePayload
  const title = `Payload: ${ikePayloadNames[type]}`
  const layer: Layer = {
    name,
    title,
    ref,
    start: placed.start,
    end: numbers.at,
    depth: walk.depth + 1,
    fields,
  }
  const opened = openedOf(walk, placed, numbers.at, isFragment, sealed)
  if (typeof opened !== 'object') {
    const data = rest(bytes, numbers.at, placed.end, 'Encrypted data and integrity check', ref)
    const note = opened ?? 'its content needs the key'
    walk.add({ ...layer, end: Math.max(layer.end, placed.end), fields: [...fields, ...data], note })
    return
  }
  const ivEnd = numbers.at + opened.ivLength
  const icvAt = placed.end - opened.icvLength
  const iv = rest(bytes, numbers.at, ivEnd, 'Initialization vector (IV)', ref, {})
  const icv = (): FieldRange[] =>
    opened.icvLength === 0
      ? []
      : [bytesField('icv', ICV_LABEL, bytes, icvAt, placed.end, { ref, ...icvRemark(opened.icv) })]
  if (opened.bytes === undefined || walk.layers.length >= MAXIMUM_LAYERS) {
    walk.add({
      ...layer,
      end: placed.end,
      fields: [...fields, ...iv, ...rest(bytes, ivEnd, icvAt, 'Encrypted data', ref), ...icv()],
      note: `not opened: ${suiteNote(opened)}`,
    })
    return
  }
  const warning = opened.icv === 'wrong' ? '; what follows is not to be trusted' : ''
  const part = isFragment && opened.whole !== undefined ? '; the last fragment that was missing' : ''
  walk.add({
    ...layer,
    end: ivEnd,
    fields: [...fields, ...iv],
    note: `decrypted: ${suiteNote(opened)}${part}${warning}`,
  })
  walk.bytes = opened.bytes
  inside(walk, { first, start: ivEnd, icvAt, ref, isFragment }, opened, icv)
}

function openedOf(
  walk: Walk,
  placed: Extent,
  at: number,
  isFragment: boolean,
  sealed: Encrypted | undefined,
): OpenedIke | string | undefined {
  if (walk.opener === undefined || sealed === undefined) return undefined
  const { message, network } = sealed
  const missing = whyNotWhole(message, network)
  if (missing !== undefined) return missing
  if (placed.end !== message.end) return 'not opened: it does not end where its message ends'
  return walk.opener.openIke?.({ bytes: walk.bytes, start: message.start, end: message.end, at, isFragment })
}

interface Inside {
  readonly first: number
  /** Of the plaintext. */
  readonly start: number
  readonly icvAt: number
  readonly ref: string
  readonly isFragment: boolean
}

/** Payloads, then padding, its length and the ICV as a layer of their own. */
function inside(
  walk: Walk,
  { first, start, icvAt, ref, isFragment }: Inside,
  opened: OpenedIke,
  icv: () => FieldRange[],
): void {
  const { bytes } = walk
  const lengthAt = icvAt - 1
  const padLength = bytes[lengthAt]!
  const isSound = lengthAt - padLength >= start
  const end = isSound ? lengthAt - padLength : lengthAt
  walk.depth++
  if (!isSound)
    walk.payload({ start, end, claimed: end }, 'Data', 'not followed: the padding below is longer than all')
  else if (!isFragment) walkPayloads(walk, first, { start, end, claimed: end })
  else walkFragment(walk, start, end, opened)
  walk.depth--
  const padding = rest(bytes, end, lengthAt, 'Padding', ref, { meaning: `${padLength} bytes` })
  const problem = isSound ? {} : { problem: `found ${padLength}, expected at most ${lengthAt - start}` }
  const length = bytesField('padLength', 'Pad length', bytes, lengthAt, icvAt, {
    ref,
    value: String(padLength),
    ...problem,
  })
  const fields = [...padding, length, ...icv()]
  walk.add({
    name: 'ikeTrailer',
    title: 'End of the encrypted payload',
    ref,
    start: end,
    end: icvAt + opened.icvLength,
    depth: walk.depth + 1,
    fields,
  })
}

/** Payloads go over the borders of fragments: with those before it, one is followed from where it begins. */
function walkFragment(walk: Walk, start: number, end: number, { before, first }: OpenedIke): void {
  const extent = { start, end, claimed: end }
  if (before === undefined || first === undefined) {
    walk.payload(extent, 'Part of the payloads', 'not followed: an earlier fragment was not seen')
    return
  }
  const chain = joined(before, walk.bytes.subarray(start, end))
  const inner = new Walk(chain)
  inner.depth = walk.depth
  // What is missing behind is in the next fragment.
  walkPayloads(inner, first, { start: 0, end: chain.length, claimed: Number.POSITIVE_INFINITY })
  for (const layer of inner.layers)
    if (layer.end > before.length) walk.add(moved(layer, before.length, start - before.length, chain))
}

/** The part of a layer from `from` on, `by` bytes further on. */
function moved(layer: Layer, from: number, by: number, bytes: Uint8Array): Layer {
  const fields = layer.fields.flatMap((field) => {
    const end = (field.bitStart + field.bitLength) / 8
    if (end <= from) return []
    const kept = field.bitStart >= 8 * from ? field : { ...remainder(field, from, end, bytes) }
    return [{ ...kept, bitStart: kept.bitStart + 8 * by }]
  })
  const { title } = layer
  return {
    ...layer,
    title: layer.start < from ? `${title}, continued` : title,
    start: Math.max(from, layer.start) + by,
    end: layer.end + by,
    fields,
  }
}

/** Only fields of whole bytes go over a border: those of bits share a byte with their neighbours. */
const remainder = (field: FieldRange, from: number, end: number, bytes: Uint8Array): FieldRange => {
  const { field: name, label, ref } = field
  const meaning = `goes on from the fragment before: ${end - from} bytes`
  return bytesField(name, label, bytes, from, Math.ceil(end), { ref, meaning })
}
