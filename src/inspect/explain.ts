/** Every byte of a packet named: which field it is, its value, what that means, and where the standard says so. */
import { readUint16 } from '../base/index.js'
import { IPV4_HEADER_LENGTH } from '../wire/ipv4.js'
import { IPV6_HEADER_LENGTH } from '../wire/ipv6.js'
import { dissectOpened } from './dissect/dissect.js'
import type { Layer } from './dissect/layer.js'
import { LinkType, linkTypeLabel } from './link-type.js'
import type { Opener } from './opener.js'
import { tcpdumpLine } from './print/line.js'

export interface Explanation {
  readonly linkType: number
  /** Bytes that are here. */
  readonly length: number
  /** Bytes of the packet on the wire, as told by the capture or by its own outer header. */
  readonly originalLength: number
  readonly layers: readonly Layer[]
  /** The packet as tcpdump -vv prints it. */
  readonly line: string
  /** Everything that is wrong, each with the layer and field that it is about. */
  readonly problems: readonly string[]
  /** Present if the packet is longer than what is here. */
  readonly missing?: string
  /** What the layers are ranges of: plaintext stands where ciphertext stood, if that was opened. */
  readonly bytes: Uint8Array
}

/**
 * Explains a packet; `originalLength` is its length on the wire, where the capture knows it. With `opener` ESP that it
 * has a key for is explained to its last byte. Never throws.
 */
export function explain(
  sealed: Uint8Array,
  linkType: number,
  originalLength?: number,
  opener?: Opener,
): Explanation {
  const wireLength = Math.max(sealed.length, originalLength ?? claimedLength(sealed, linkType))
  const { layers, bytes } = dissectOpened(sealed, linkType, { originalLength, opener })
  const problems = layers.flatMap((layer) =>
    layer.fields.flatMap(({ label, problem }) =>
      problem === undefined ? [] : [`${layer.title}, ${label.toLowerCase()}: ${problem}`],
    ),
  )
  const line = tcpdumpLine(sealed, linkType, {
    ...(opener === undefined ? {} : { opener }),
    verbose: 2,
    numeric: true,
    originalLength: wireLength,
  })
  return {
    linkType,
    length: bytes.length,
    originalLength: wireLength,
    layers,
    line: line.split('\n', 1)[0]!,
    problems,
    ...(wireLength > bytes.length
      ? {
          missing: `the rest of the ${wireLength} bytes is not in this dump: ${wireLength - bytes.length} are missing`,
        }
      : {}),
    bytes,
  }
}

/** Length that a bare IP packet claims for itself; 0 for other link types, whose header says nothing. */
function claimedLength(bytes: Uint8Array, linkType: number): number {
  const at = linkType === LinkType.ethernet ? 14 : 0
  if (![LinkType.ethernet, LinkType.raw, LinkType.ipv4, LinkType.ipv6].includes(linkType as 1)) return 0
  if (at === 14 && ![0x0800, 0x86dd].includes(bytes.length < 14 ? 0 : readUint16(bytes, 12))) return 0
  const version = (bytes[at] ?? 0) >> 4
  if (version === 4 && bytes.length >= at + IPV4_HEADER_LENGTH) return at + readUint16(bytes, at + 2)
  if (version === 6 && bytes.length >= at + IPV6_HEADER_LENGTH)
    return at + IPV6_HEADER_LENGTH + readUint16(bytes, at + 4)
  return 0
}

interface Row {
  readonly where: string
  readonly hex: string
  readonly label: string
  readonly value: string
  readonly meaning: string
  readonly ref: string
}

/** Bytes of a long field that a row shows. */
const SHOWN_BYTES = 8
const MAXIMUM_VALUE = 40

/** The explanation as text in aligned columns, a layer's nesting as indentation; ends with a newline. */
export function renderExplanation(explanation: Explanation): string {
  const { bytes, layers, linkType, length, missing, line, problems } = explanation
  const rows = layers.map((layer) => layer.fields.map((field) => rowOf(bytes, field, layer.ref)))
  const width = (pick: (row: Row) => string): number =>
    rows.flat().reduce((most, row) => Math.max(most, pick(row).length), 0)
  const widths = {
    where: width((row) => row.where),
    hex: width((row) => row.hex),
    label: width((row) => row.label),
    value: Math.min(
      MAXIMUM_VALUE,
      width((row) => row.value),
    ),
    meaning: Math.min(
      44,
      width((row) => row.meaning),
    ),
  }
  const lines = [
    line,
    `${length} bytes, link type ${linkTypeLabel(linkType)}${missing === undefined ? '' : `; ${missing}`}`,
  ]
  for (const [i, layer] of layers.entries()) {
    const indent = '  '.repeat(layer.depth)
    const range = `bytes ${hex4(layer.start)}-${hex4(layer.end - 1)}, ${layer.end - layer.start} long`
    lines.push('', `${indent}${layer.title} (${range}${layer.ref === '' ? '' : `; ${layer.ref}`})`)
    if (layer.note !== undefined) lines.push(`${indent}  ${layer.note}`)
    for (const row of rows[i]!) {
      const columns = [
        row.where.padEnd(widths.where),
        row.hex.padEnd(widths.hex),
        row.label.padEnd(widths.label),
        row.value.padEnd(widths.value),
        row.meaning.padEnd(widths.meaning),
        row.ref,
      ]
      lines.push(`${indent}  ${columns.join('  ').trimEnd()}`)
    }
  }
  if (problems.length > 0)
    lines.push('', 'Wrong in this packet:', ...problems.map((problem) => `  ${problem}`))
  if (missing !== undefined) lines.push('', `${missing[0]!.toUpperCase()}${missing.slice(1)}.`)
  return `${lines.join('\n')}\n`
}

function rowOf(bytes: Uint8Array, field: Layer['fields'][number], layerRef: string): Row {
  const first = field.bitStart >> 3
  const last = Math.max(first, Math.ceil((field.bitStart + field.bitLength) / 8) - 1)
  const whole = field.bitStart % 8 === 0 && field.bitLength % 8 === 0
  const place = first === last ? hex4(first) : `${hex4(first)}-${hex4(last)}`
  const bits = whole ? '' : ` bit ${bitRange(field.bitStart % 8, field.bitLength)}`
  let hex = ''
  for (let i = first; i <= last && i < first + SHOWN_BYTES; i++)
    hex += bytes[i]!.toString(16).padStart(2, '0')
  if (last - first >= SHOWN_BYTES) hex += '…'
  const problem = field.problem === undefined ? '' : `WRONG: ${field.problem}`
  // Long data stands in the hex column already.
  const value = field.value.length > MAXIMUM_VALUE ? '' : field.value
  return {
    where: `${place}${bits}`,
    hex,
    label: field.label,
    value: value === hex ? '' : value,
    meaning: problem !== '' ? problem : (field.meaning ?? (field.truncated ? 'cut off here' : '')),
    ref: field.ref === '' ? layerRef : field.ref,
  }
}

const bitRange = (start: number, length: number): string =>
  length === 1 ? String(start) : `${start}-${start + length - 1}`

const hex4 = (value: number): string => value.toString(16).padStart(4, '0')

/** The explanation as a plain value for JSON. */
export function explanationToJson(explanation: Explanation): object {
  const { bytes, linkType, length, originalLength, line, problems, missing, layers } = explanation
  return {
    linkType: linkTypeLabel(linkType),
    length,
    originalLength,
    ...(missing === undefined ? {} : { missing }),
    line,
    problems,
    layers: layers.map(({ name, title, ref, start, end, depth, fields, note }) => ({
      name,
      title,
      ref,
      start,
      end,
      depth,
      ...(note === undefined ? {} : { note }),
      fields: fields.map((field) => ({
        ...field,
        offset: field.bitStart >> 3,
        bytes: hexOf(bytes, field.bitStart >> 3, Math.ceil((field.bitStart + field.bitLength) / 8)),
      })),
    })),
  }
}

const hexOf = (bytes: Uint8Array, from: number, to: number): string =>
  Array.from(bytes.subarray(from, to), (byte) => byte.toString(16).padStart(2, '0')).join('')
