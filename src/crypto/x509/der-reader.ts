/**
 * DER as strangers send it (X.690), read strictly: one encoding of each length, nothing indefinite, nothing behind the end.
 * A reader throws `DerError`, which the parsers of this folder turn into a reason; it never leaves them.
 */

export class DerError extends Error {}

export const DerTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

/** A tag of the context-specific class. */
export const contextTag = (number: number, constructed: boolean): number =>
  0x80 | (constructed ? 0x20 : 0) | number

export interface DerElement {
  readonly tag: number
  /** What it holds. */
  readonly content: Uint8Array
  /** Tag, length and content. */
  readonly whole: Uint8Array
}

/** Reads elements one behind the other. */
export class DerReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** The tag of what comes next; undefined at the end. */
  get nextTag(): number | undefined {
    return this.#bytes[this.#at]
  }

  /** The next element, whatever it is, or of this tag. */
  next(tag?: number): DerElement {
    const bytes = this.#bytes
    const start = this.#at
    const found = bytes[start]
    if (found === undefined) throw new DerError('ends too early')
    // Tags of more than one byte do not occur in certificates.
    if ((found & 0x1f) === 0x1f) throw new DerError('a tag of several bytes')
    if (tag !== undefined && found !== tag) throw new DerError(`tag ${found} where ${tag} belongs`)
    let length = bytes[start + 1]
    if (length === undefined) throw new DerError('ends too early')
    let at = start + 2
    if (length >= 0x80) {
      const count = length & 0x7f
      // X.690 section 10.1: definite, and as short as can be. Three bytes are 16 MiB: enough.
      if (count === 0 || count > 3 || at + count > bytes.length) throw new DerError('a length that is none')
      length = 0
      for (let i = 0; i < count; i++) length = length * 256 + bytes[at + i]!
      at += count
      if (length < 0x80 || (count > 1 && length < 2 ** (8 * (count - 1))))
        throw new DerError('a length longer than it has to be')
    }
    const end = at + length
    if (end > bytes.length) throw new DerError('ends too early')
    this.#at = end
    return { tag: found, content: bytes.subarray(at, end), whole: bytes.subarray(start, end) }
  }

  /** The next element, where it has this tag. */
  optional(tag: number): DerElement | undefined {
    return this.nextTag === tag ? this.next(tag) : undefined
  }

  /** A reader inside the next element. */
  inside(tag: number): DerReader {
    return new DerReader(this.next(tag).content)
  }

  end(): void {
    if (!this.atEnd) throw new DerError('bytes behind the end')
  }
}

/** `1.2.840.113549`: X.690 section 8.19. */
export function readOid(content: Uint8Array): string {
  const arcs: number[] = []
  let value = 0
  let length = 0
  for (const byte of content) {
    // A leading zero group, or an arc that no registry has.
    if ((length === 0 && byte === 0x80) || ++length > 6)
      throw new DerError('an object identifier that is none')
    value = value * 128 + (byte & 0x7f)
    if (byte >= 0x80) continue
    if (arcs.length === 0) {
      const first = Math.min(2, Math.floor(value / 40))
      arcs.push(first, value - 40 * first)
    } else arcs.push(value)
    value = 0
    length = 0
  }
  if (length !== 0 || arcs.length === 0) throw new DerError('an object identifier that is none')
  return arcs.join('.')
}

/** A small number that is not negative. */
export function readSmallInteger(content: Uint8Array): number {
  checkInteger(content)
  if (content[0]! >= 0x80 || content.length > 4) throw new DerError('a number out of range')
  return content.reduce((value, byte) => value * 256 + byte, 0)
}

/** X.690 section 8.3.2: as short as can be. */
export function checkInteger(content: Uint8Array): void {
  const [first, second] = content
  if (first === undefined) throw new DerError('an empty integer')
  if (second === undefined) return
  if ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))
    throw new DerError('an integer longer than it has to be')
}

/** Whole bytes of a BIT STRING. */
export function readBytesOfBits(content: Uint8Array): Uint8Array {
  if (content[0] !== 0) throw new DerError('a bit string of no whole bytes')
  return content.subarray(1)
}

/** The first 16 bits, named from the left: bit 0 is 0x8000. */
export function readFlags(content: Uint8Array): number {
  const [unused, first = 0, second = 0] = content
  if (unused === undefined || unused > 7 || (content.length === 1 && unused !== 0))
    throw new DerError('a bit string that is none')
  return (first << 8) | second
}

/** X.690 section 11.1. */
export function readBoolean(content: Uint8Array): boolean {
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff))
    throw new DerError('a boolean that is none')
  return content[0] === 0xff
}

/** Milliseconds since 1970 (RFC 5280 section 4.1.2.5): with seconds, in Z, nothing else. */
export function readTime({ tag, content }: DerElement): number {
  const text = String.fromCharCode(...content.subarray(0, 20))
  const digits =
    tag === DerTag.utcTime
      ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
      : tag === DerTag.generalizedTime
        ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text)
        : null
  if (digits === null) throw new DerError('a time that is none')
  const [written, month, day, hour, minute, second] = digits.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const year = tag === DerTag.utcTime ? written + (written < 50 ? 2000 : 1900) : written
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59)
    throw new DerError('a time that is none')
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second)
  // The 31st of a month of 30 days.
  if (date.getUTCDate() !== day) throw new DerError('a time that is none')
  return date.getTime()
}
