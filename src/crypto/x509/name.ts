/** Distinguished names (RFC 5280 section 4.1.2.4): as bytes, as people write them, and whether two are the same. */
import { DER_SEQUENCE, der } from '../node/der.js'
import { DerError, DerReader, DerTag, readOid } from './der-reader.js'

/** RFC 4514 section 3 and what OpenSSL writes. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'title',
  '2.5.4.42': 'GN',
  '1.2.840.113549.1.9.1': 'emailAddress',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
}

export interface NameAttribute {
  /** `CN`, or the object identifier. */
  readonly type: string
  readonly value: string
  /** Which of the name's sets it stands in: some hold several. */
  readonly set: number
}

/** Parts that one name may have. */
const ATTRIBUTES_MAX = 64

/** Throws `DerError`. */
export function readName(bytes: Uint8Array): NameAttribute[] {
  const outer = new DerReader(bytes)
  const names = outer.inside(DerTag.sequence)
  outer.end()
  const attributes: NameAttribute[] = []
  for (let number = 0; !names.atEnd; number++) {
    const set = names.inside(DerTag.set)
    while (!set.atEnd) {
      const attribute = set.inside(DerTag.sequence)
      const oid = readOid(attribute.next(DerTag.oid).content)
      const { tag, content } = attribute.next()
      attribute.end()
      attributes.push({ type: ATTRIBUTES[oid] ?? oid, value: readText(tag, content), set: number })
      if (attributes.length > ATTRIBUTES_MAX) throw new DerError('a name of too many parts')
    }
  }
  return attributes
}

const utf8 = new TextDecoder('utf-8', { fatal: false })
const utf16 = new TextDecoder('utf-16be', { fatal: false })
function readText(tag: number, content: Uint8Array): string {
  switch (tag) {
    case DerTag.utf8String:
    case DerTag.printableString:
    case DerTag.ia5String:
      return utf8.decode(content)
    case DerTag.teletexString:
      return Array.from(content, (byte) => String.fromCharCode(byte)).join('')
    case DerTag.bmpString:
      return utf16.decode(content)
    default:
      // A value that is no text still has to differ from all others.
      return `#${tag}:${Array.from(content, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
  }
}

/** `/C=DE/CN=server1.domain`, as iked.conf(5) has it. What cannot be printed, and the slash, stands as `\x..`. */
export function formatName(bytes: Uint8Array): string {
  try {
    const text = readName(bytes)
      .map(({ type, value }) => `/${type}=${printable(value)}`)
      .join('')
    return text === '' ? '/' : text
  } catch {
    return `(${bytes.length} bytes that are no name)`
  }
}

const printable = (value: string): string =>
  value.replace(
    /[^\x20-\x7e\u00a0-\ud7ff\ue000-\ufffd]|[\\/\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (one) =>
      Array.from(new TextEncoder().encode(one), (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(
        '',
      ),
  )

/**
 * The DER of a name written `/C=DE/CN=server1.domain`, as OpenSSL encodes it: UTF8String, but PrintableString for
 * countries and serial numbers and IA5String for addresses and DC. Undefined: it is no name.
 */
export function parseName(text: string): Uint8Array | undefined {
  if (!text.startsWith('/')) return undefined
  const parts: Uint8Array[] = []
  for (const part of text.slice(1).split(/\/(?=[A-Za-z0-9.]+=)/)) {
    const equals = part.indexOf('=')
    if (equals < 1 || equals === part.length - 1) return undefined
    const type = part.slice(0, equals)
    const oid =
      Object.entries(ATTRIBUTES).find(([, name]) => name.toLowerCase() === type.toLowerCase())?.[0] ?? type
    const encoded = encodeOid(oid)
    if (encoded === undefined) return undefined
    const value = unescaped(part.slice(equals + 1))
    const name = ATTRIBUTES[oid]
    const tag =
      name === 'C' || name === 'serialNumber'
        ? DerTag.printableString
        : name === 'DC' || name === 'emailAddress'
          ? DerTag.ia5String
          : DerTag.utf8String
    parts.push(der(DerTag.set, der(DER_SEQUENCE, encoded, der(tag, value))))
  }
  return parts.length === 0 || parts.length > ATTRIBUTES_MAX ? undefined : der(DER_SEQUENCE, ...parts)
}

function unescaped(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text)
  const out: number[] = []
  for (let i = 0; i < bytes.length; i++) {
    const hex = /^\\x([0-9a-f]{2})$/.exec(String.fromCharCode(...bytes.subarray(i, i + 4)))
    if (hex === null) out.push(bytes[i]!)
    else {
      out.push(Number.parseInt(hex[1]!, 16))
      i += 3
    }
  }
  return Uint8Array.from(out)
}

/** Undefined: it is none. */
export function encodeOid(text: string): Uint8Array | undefined {
  if (!/^[0-2](?:\.(?:0|[1-9]\d{0,8}))+$/.test(text)) return undefined
  const [first, second, ...rest] = text.split('.').map(Number) as [number, number, ...number[]]
  if (first < 2 && second > 39) return undefined
  const bytes: number[] = []
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return der(DerTag.oid, bytes)
}

/** RFC 5280 section 7.1: the type of string, letter case and blanks at the ends or doubled do not matter. */
export function sameName(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length === b.length && a.every((byte, i) => byte === b[i])) return true
  try {
    const [left, right] = [readName(a), readName(b)]
    return (
      left.length === right.length &&
      left.every((one, i) => {
        const other = right[i]!
        return one.type === other.type && one.set === other.set && folded(one.value) === folded(other.value)
      })
    )
  } catch {
    return false
  }
}

const folded = (value: string): string => value.normalize('NFKC').trim().replace(/ +/g, ' ').toLowerCase()
