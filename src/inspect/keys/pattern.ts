/** Addresses and SPIs of the keys' file, where `*` stands for anything. */
import { parseIpAddress } from '../../base/index.js'

/** Bytes of which some bits are to be as given. */
export interface BytePattern {
  readonly value: Uint8Array
  readonly mask: Uint8Array
}

export function matches({ value, mask }: BytePattern, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < value.length; i++) if ((bytes[at + i]! & mask[i]!) !== value[i]!) return false
  return true
}

function patternOf(bytes: Uint8Array, mask: Uint8Array): BytePattern {
  return { value: bytes.map((byte, i) => byte & mask[i]!), mask }
}

/**
 * `*`, an address, a prefix (`10.1.0.0/16`), or an address with `*` for one byte (IPv4) or one group (IPv6). Undefined:
 * none of these.
 */
export function addressPattern(text: string, family: 4 | 6): BytePattern | undefined {
  const width = family === 4 ? 4 : 16
  if (text === '*') return { value: new Uint8Array(width), mask: new Uint8Array(width) }
  const [before, after, ...more] = text.split('/')
  if (more.length > 0 || before === undefined) return undefined
  const length = after === undefined ? 8 * width : /^\d{1,3}$/.test(after) ? Number(after) : Number.NaN
  if (!(length <= 8 * width)) return undefined
  const address = parseIpAddress(before.replaceAll('*', '0'))
  if (address === undefined || address.bytes.length !== width) return undefined
  const mask = Uint8Array.from({ length: width }, (_, i) =>
    length >= 8 * i + 8 ? 0xff : length <= 8 * i ? 0 : (0xff00 >> (length - 8 * i)) & 0xff,
  )
  return clearStars(before, family, mask) ? patternOf(address.bytes, mask) : undefined
}

/** Clears the mask where a `*` stands; false: a `*` beside digits, or behind `::`, where its place cannot be known. */
function clearStars(text: string, family: 4 | 6, mask: Uint8Array): boolean {
  if (!text.includes('*')) return true
  if (text.includes('::')) return false
  const unit = family === 4 ? 1 : 2
  return text.split(family === 4 ? '.' : ':').every((group, i) => {
    if (group === '*') mask.fill(0, unit * i, unit * i + unit)
    return group === '*' || !group.includes('*')
  })
}

/** `*`, `0x` and up to 8 digits of which any may be `*`, or a decimal number. */
export function spiPattern(text: string): BytePattern | undefined {
  if (text === '*') return { value: new Uint8Array(4), mask: new Uint8Array(4) }
  let digits: string
  if (/^0x[0-9a-f*]{1,8}$/i.test(text)) digits = text.slice(2).padStart(8, '0')
  else if (/^\d{1,10}$/.test(text) && Number(text) <= 0xffffffff)
    digits = Number(text).toString(16).padStart(8, '0')
  else return undefined
  const bytes = (each: (digit: string) => number): Uint8Array =>
    Uint8Array.from({ length: 4 }, (_, i) => (each(digits[2 * i]!) << 4) | each(digits[2 * i + 1]!))
  return {
    value: bytes((digit) => (digit === '*' ? 0 : Number.parseInt(digit, 16))),
    mask: bytes((digit) => (digit === '*' ? 0 : 15)),
  }
}
