/** Payloads that hold parts with headers of their own: proposals and transforms, traffic selectors, attributes. */
import { readUint16 } from '../../base/index.js'
import type { AnyHeader } from '../../wire/bindings.js'
import type { FieldRange } from '../../wire/field.js'
import {
  configAttributeNames,
  ikeAttribute,
  ikeConfig,
  ikeConfigAttribute,
  ikeProposal,
  ikeSelector,
  ikeTransform,
  ikeTs,
  KEY_LENGTH_ATTRIBUTE,
  SelectorType,
} from '../../wire/ike/index.js'
import { addressText } from '../ike/text.js'
import { configText, fixedPart, rest } from './ike-bodies.js'
import { bytesField } from './layer.js'
import { type Extent, MAXIMUM_LAYERS, type Walk } from './walk.js'

/** Adds the payload's own layer: its generic header is there, these are the fields behind it, up to `to`. */
type AddHead = (fields: readonly FieldRange[], ref: string, to: number) => void

/**
 * Parts one behind the other, each with its length at `lengthAt`. `inside` gives what follows the fixed part of one, at
 * most to its end. Stops where a length is wrong; what is left is shown as bytes.
 */
function walkParts(
  walk: Walk,
  header: AnyHeader,
  { start, end, claimed }: Extent,
  depth: number,
  lengthOf: (at: number) => number,
  inside: (body: number, part: Extent) => FieldRange[],
  then: (part: Extent, at: number) => void = () => undefined,
): void {
  const { bytes } = walk
  let at = start
  while (at < end) {
    const isThere = at + header.minimumLength <= end
    const length = isThere ? lengthOf(at) : 0
    const stop = at + length
    if (walk.layers.length >= MAXIMUM_LAYERS) {
      leftOver(walk, at, end, depth, 'not followed: there are too many')
      return
    }
    const part: Extent = { start: at, end: Math.min(end, stop), claimed: Math.min(claimed, stop) }
    const { fields, at: body } = fixedPart(header, bytes, at, end)
    const isWrong = length < header.minimumLength || stop > claimed
    const marked = isWrong && isThere ? wrongLength(fields, length, claimed - at) : fields
    const more = isWrong ? [] : inside(body, part)
    const last = more.at(-1)
    const to = last === undefined ? body : (last.bitStart + last.bitLength) / 8
    const { name, title, ref } = header
    walk.add({ name, title, ref, start: at, end: to, depth, fields: [...marked, ...more] })
    if (isWrong) {
      leftOver(walk, body, end, depth, 'not followed: the length above is wrong, or cut off')
      return
    }
    then(part, to)
    at = part.end
  }
}

function wrongLength(fields: readonly FieldRange[], length: number, most: number): FieldRange[] {
  return fields.map((field) =>
    field.field === 'length' && field.problem === undefined
      ? { ...field, problem: `found ${length} bytes, expected at most ${most}` }
      : field,
  )
}

function leftOver(walk: Walk, start: number, end: number, depth: number, note: string): void {
  if (start >= end) return
  const fields = rest(walk.bytes, start, end, 'Data', '')
  walk.add({ name: 'payload', title: 'Payload', ref: '', start, end, depth, fields, note })
}

/** RFC 7296 section 3.3. */
export function walkProposals(walk: Walk, extent: Extent): void {
  const { bytes } = walk
  walkParts(
    walk,
    ikeProposal,
    extent,
    walk.depth + 2,
    (at) => readUint16(bytes, at + ikeProposal.offset.length),
    (body, { start, end }) => {
      const spiEnd = Math.min(end, body + (bytes[start + ikeProposal.offset.spiSize] ?? 0))
      return rest(bytes, body, spiEnd, 'SPI', ikeProposal.ref, {
        field: 'spi',
        meaning: 'of whoever sends this',
      })
    },
    (part, at) => walkTransforms(walk, { ...part, start: at }),
  )
}

/** RFC 7296 sections 3.3.2 and 3.3.5. */
function walkTransforms(walk: Walk, extent: Extent): void {
  const { bytes } = walk
  walkParts(
    walk,
    ikeTransform,
    extent,
    walk.depth + 3,
    (at) => readUint16(bytes, at + ikeTransform.offset.length),
    (body, { end }) => attributes(bytes, body, end),
  )
}

/** The transform has fields of these names itself. */
const ATTRIBUTE_FIELDS: Readonly<Record<string, string>> = {
  short: 'attributeFormat',
  type: 'attributeType',
  value: 'attributeValue',
}

function attributes(bytes: Uint8Array, start: number, end: number): FieldRange[] {
  const all: FieldRange[] = []
  for (let at = start; at < end; ) {
    const { fields, at: value } = fixedPart(ikeAttribute, bytes, at, end)
    const isShort = (bytes[at]! & 0x80) !== 0
    const type = end - at < 2 ? -1 : readUint16(bytes, at) & 0x7fff
    const isLength = isShort && type === KEY_LENGTH_ATTRIBUTE
    all.push(
      ...fields.map((field) => ({
        ...field,
        ...(isLength && field.field === 'value' ? { label: 'Key length', meaning: 'bits' } : {}),
        field: ATTRIBUTE_FIELDS[field.field] ?? field.field,
      })),
    )
    if (end - at < ikeAttribute.minimumLength) break
    const stop = isShort ? value : Math.min(end, value + readUint16(bytes, at + 2))
    all.push(...rest(bytes, value, stop, 'Attribute value', ikeAttribute.ref))
    at = stop
  }
  return all
}

/** RFC 7296 section 3.13. */
export function walkSelectors(walk: Walk, { start, end, claimed }: Extent, head: AddHead): void {
  const { bytes } = walk
  const { fields, at } = fixedPart(ikeTs, bytes, start, end)
  head(fields, ikeTs.ref, at)
  walkParts(
    walk,
    ikeSelector,
    { start: at, end, claimed },
    walk.depth + 2,
    (from) => readUint16(bytes, from + ikeSelector.offset.length),
    (body, part) => selectorAddresses(bytes, bytes[part.start]!, body, part.end),
  )
}

function selectorAddresses(bytes: Uint8Array, type: number, start: number, end: number): FieldRange[] {
  const { ref } = ikeSelector
  const size = type === SelectorType.ipv4Range ? 4 : type === SelectorType.ipv6Range ? 16 : undefined
  if (size === undefined || end - start < 2 * size) return rest(bytes, start, end, 'Addresses', ref)
  const one = (field: string, label: string, at: number): FieldRange =>
    bytesField(field, label, bytes, at, at + size, { ref, value: addressText(bytes, at, at + size)! })
  return [
    one('startAddress', 'Starting address', start),
    one('endAddress', 'Ending address', start + size),
    ...rest(bytes, start + 2 * size, end, 'Data', ref),
  ]
}

/** RFC 7296 section 3.15. */
export function walkConfig(walk: Walk, { start, end, claimed }: Extent, head: AddHead): void {
  const { bytes } = walk
  const { fields, at } = fixedPart(ikeConfig, bytes, start, end)
  head(fields, ikeConfig.ref, at)
  walkParts(
    walk,
    ikeConfigAttribute,
    { start: at, end, claimed },
    walk.depth + 2,
    (from) => 4 + readUint16(bytes, from + ikeConfigAttribute.offset.length),
    (body, part) => {
      const type = readUint16(bytes, part.start) & 0x7fff
      const text = configText(type, bytes, body, part.end)
      const more = text === undefined ? { meaning: configAttributeNames[type] ?? 'unknown' } : { value: text }
      return rest(bytes, body, part.end, 'Value', ikeConfigAttribute.ref, more)
    },
  )
}
