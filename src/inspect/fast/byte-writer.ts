/** Text written as bytes into one preallocated block: no string is made a packet. */

/** Decimal digits of 0 to 255: count, then up to three digits. */
const decimals = new Uint8Array(256 * 4)
/** Three digits of 0 to 999. */
const triples = new Uint8Array(1000 * 3)
const hexDigits = new Uint8Array(16)

for (let value = 0; value < 256; value++) {
  const text = String(value)
  decimals[4 * value] = text.length
  for (let i = 0; i < text.length; i++) decimals[4 * value + 1 + i] = text.charCodeAt(i)
}
for (let value = 0; value < 1000; value++) {
  const text = String(value).padStart(3, '0')
  for (let i = 0; i < 3; i++) triples[3 * value + i] = text.charCodeAt(i)
}
for (let value = 0; value < 16; value++) hexDigits[value] = value.toString(16).charCodeAt(0)

/** ASCII of a constant text. */
export const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0))

export class ByteWriter {
  /** The block; whoever takes it puts another of the same size in its place. */
  bytes: Uint8Array
  /** Bytes written so far. */
  at = 0

  constructor(size: number) {
    this.bytes = new Uint8Array(size)
  }

  byte(value: number): void {
    this.bytes[this.at++] = value
  }

  /** Bytes of a constant; for a few bytes a loop beats `set`. */
  text(text: Uint8Array): void {
    const { bytes } = this
    let { at } = this
    for (let i = 0; i < text.length; i++) bytes[at++] = text[i]!
    this.at = at
  }

  decimal8(value: number): void {
    const { bytes } = this
    const entry = 4 * value
    const count = decimals[entry]!
    bytes[this.at] = decimals[entry + 1]!
    bytes[this.at + 1] = decimals[entry + 2]!
    bytes[this.at + 2] = decimals[entry + 3]!
    this.at += count
  }

  /** Any unsigned 32-bit number, in groups of three digits. */
  decimal(value: number): void {
    if (value < 1000) {
      this.#below1000(value)
    } else if (value < 1_000_000) {
      const thousands = (value / 1000) | 0
      this.#below1000(thousands)
      this.triple(value - 1000 * thousands)
    } else {
      // Integer arithmetic as far as it goes: only the billions do not fit into 31 bits.
      const billions = value < 1_000_000_000 ? 0 : Math.floor(value / 1_000_000_000)
      const rest = value - 1_000_000_000 * billions
      const millions = (rest / 1_000_000) | 0
      if (billions > 0) {
        this.decimal8(billions)
        this.triple(millions)
      } else this.#below1000(millions)
      const low = rest - 1_000_000 * millions
      const thousands = (low / 1000) | 0
      this.triple(thousands)
      this.triple(low - 1000 * thousands)
    }
  }

  #below1000(value: number): void {
    if (value < 256) this.decimal8(value)
    else this.triple(value)
  }

  /** Three digits, zeros in front. */
  triple(value: number): void {
    const { bytes } = this
    const entry = 3 * value
    bytes[this.at] = triples[entry]!
    bytes[this.at + 1] = triples[entry + 1]!
    bytes[this.at + 2] = triples[entry + 2]!
    this.at += 3
  }

  /** Hexadecimal without zeros in front. */
  hex16(value: number): void {
    if (value > 0xfff) this.byte(hexDigits[value >>> 12]!)
    if (value > 0xff) this.byte(hexDigits[(value >>> 8) & 15]!)
    if (value > 0xf) this.byte(hexDigits[(value >>> 4) & 15]!)
    this.byte(hexDigits[value & 15]!)
  }

  /** Two hexadecimal digits. */
  hex8(value: number): void {
    this.byte(hexDigits[value >>> 4]!)
    this.byte(hexDigits[value & 15]!)
  }

  ip4(from: Uint8Array, start: number): void {
    const { bytes } = this
    let { at } = this
    for (let i = start; ; i++) {
      const entry = 4 * from[i]!
      bytes[at] = decimals[entry + 1]!
      bytes[at + 1] = decimals[entry + 2]!
      bytes[at + 2] = decimals[entry + 3]!
      at += decimals[entry]!
      if (i === start + 3) break
      bytes[at++] = 0x2e
    }
    this.at = at
  }

  /** RFC 5952, without the dotted form of mapped addresses: see `isMapped`. */
  ip6(from: Uint8Array, start: number): void {
    let bestAt = -1
    let bestLength = 1
    let run = 0
    for (let i = 0; i < 8; i++) {
      run = from[start + 2 * i] === 0 && from[start + 2 * i + 1] === 0 ? run + 1 : 0
      if (run > bestLength) {
        bestLength = run
        bestAt = i - run + 1
      }
    }
    for (let i = 0; i < 8; i++) {
      if (i === bestAt) {
        this.byte(0x3a)
        this.byte(0x3a)
        i += bestLength - 1
        continue
      }
      if (i > 0 && i !== bestAt + bestLength) this.byte(0x3a)
      this.hex16((from[start + 2 * i]! << 8) | from[start + 2 * i + 1]!)
    }
  }
}

/** ::ffff:0:0/96, which is printed in its dotted form. */
export function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff
}

export const uint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
