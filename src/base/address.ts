import { readUint16 } from './bytes.js'

/**
 * Addresses: immutable values over their network-order bytes, with the text forms of RFC 791, RFC 5952 (IPv6) and
 * IEEE 802 (MAC). Compare with `equals` or by `key`, which two equal addresses share.
 */

export class MacAddress {
  readonly bytes: Uint8Array

  /** `bytes` must be 6 long and is kept, not copied. */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== 6) throw new RangeError(`a MAC address has 6 bytes, not ${bytes.length}`)
    this.bytes = bytes
  }

  /** `undefined` if the text is no MAC address. */
  static parse(text: string): MacAddress | undefined {
    const parts = text.split(':')
    if (parts.length !== 6 || !parts.every((part) => /^[0-9a-fA-F]{1,2}$/.test(part))) return undefined
    return new MacAddress(Uint8Array.from(parts, (part) => Number.parseInt(part, 16)))
  }

  static readonly broadcast: MacAddress = new MacAddress(new Uint8Array(6).fill(0xff))

  /** The I/G bit: a group address, multicast or broadcast. */
  get isGroup(): boolean {
    return (this.bytes[0]! & 1) === 1
  }

  get key(): string {
    return this.toString()
  }

  equals(other: MacAddress): boolean {
    return this.bytes.every((byte, i) => byte === other.bytes[i])
  }

  toString(): string {
    return Array.from(this.bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':')
  }
}

export class Ipv4Address {
  readonly family = 4
  readonly bytes: Uint8Array

  /** `bytes` must be 4 long and is kept, not copied. */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== 4) throw new RangeError(`an IPv4 address has 4 bytes, not ${bytes.length}`)
    this.bytes = bytes
  }

  static readonly unspecified: Ipv4Address = new Ipv4Address(new Uint8Array(4))
  static readonly broadcast: Ipv4Address = new Ipv4Address(new Uint8Array(4).fill(0xff))
  static readonly loopback: Ipv4Address = new Ipv4Address(Uint8Array.of(127, 0, 0, 1))

  static fromUint32(value: number): Ipv4Address {
    return new Ipv4Address(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value))
  }

  /** Four decimal parts, no leading zeros (which old parsers read as octal); `undefined` if it is not that. */
  static parse(text: string): Ipv4Address | undefined {
    const parts = text.split('.')
    if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
      return undefined
    return new Ipv4Address(Uint8Array.from(parts, Number))
  }

  toUint32(): number {
    const [a, b, c, d] = this.bytes as unknown as [number, number, number, number]
    return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
  }

  get isUnspecified(): boolean {
    return this.toUint32() === 0
  }
  get isLoopback(): boolean {
    return this.bytes[0] === 127
  }
  /** 224.0.0.0/4 (RFC 1112 section 4). */
  get isMulticast(): boolean {
    return this.bytes[0]! >> 4 === 14
  }
  get isBroadcast(): boolean {
    return this.toUint32() === 0xffffffff
  }
  /** 169.254.0.0/16 (RFC 3927). */
  get isLinkLocal(): boolean {
    return this.bytes[0] === 169 && this.bytes[1] === 254
  }

  get key(): string {
    return this.toString()
  }

  equals(other: IpAddress): boolean {
    return other.family === 4 && this.toUint32() === other.toUint32()
  }

  toString(): string {
    return `${this.bytes[0]}.${this.bytes[1]}.${this.bytes[2]}.${this.bytes[3]}`
  }
}

export class Ipv6Address {
  readonly family = 6
  readonly bytes: Uint8Array

  /** `bytes` must be 16 long and is kept, not copied. */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== 16) throw new RangeError(`an IPv6 address has 16 bytes, not ${bytes.length}`)
    this.bytes = bytes
  }

  static readonly unspecified: Ipv6Address = new Ipv6Address(new Uint8Array(16))
  static readonly loopback: Ipv6Address = new Ipv6Address(
    Uint8Array.from({ length: 16 }, (_, i) => (i === 15 ? 1 : 0)),
  )
  /** ff02::1, all nodes of the link. */
  static readonly allNodes: Ipv6Address = Ipv6Address.#wellKnown('ff02::1')
  /** ff02::2, all routers of the link. */
  static readonly allRouters: Ipv6Address = Ipv6Address.#wellKnown('ff02::2')

  static #wellKnown(text: string): Ipv6Address {
    return Ipv6Address.parse(text)!
  }

  /** The forms of RFC 4291 section 2.2, without a zone; `undefined` if it is none of them. */
  static parse(text: string): Ipv6Address | undefined {
    const halves = text.split('::')
    if (halves.length > 2) return undefined
    const groups = halves.map((half, i) => parseGroups(half, i === halves.length - 1))
    const [head, tail] = groups
    if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined
    const missing = 8 - head.length - (tail?.length ?? 0)
    if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
    const words = tail === undefined ? head : [...head, ...new Array<number>(missing).fill(0), ...tail]
    const bytes = new Uint8Array(16)
    words.forEach((word, i) => {
      bytes[2 * i] = word >>> 8
      bytes[2 * i + 1] = word
    })
    return new Ipv6Address(bytes)
  }

  get isUnspecified(): boolean {
    return this.bytes.every((byte) => byte === 0)
  }
  get isLoopback(): boolean {
    return this.equals(Ipv6Address.loopback)
  }
  get isMulticast(): boolean {
    return this.bytes[0] === 0xff
  }
  /** fe80::/10. */
  get isLinkLocal(): boolean {
    return this.bytes[0] === 0xfe && (this.bytes[1]! & 0xc0) === 0x80
  }
  /** ::ffff:0:0/96 (RFC 4291 section 2.5.5.2): never legal on the wire. */
  get isIpv4Mapped(): boolean {
    return this.bytes.every((byte, i) => i >= 12 || byte === (i < 10 ? 0 : 0xff))
  }

  /** ff02::1:ffXX:XXXX (RFC 4291 section 2.7.1): where neighbour solicitations for this address go. */
  solicitedNode(): Ipv6Address {
    const bytes = new Uint8Array(16)
    bytes.set([0xff, 0x02], 0)
    bytes.set([1, 0xff], 11)
    bytes.set(this.bytes.subarray(13), 13)
    return new Ipv6Address(bytes)
  }

  get key(): string {
    return this.toString()
  }

  equals(other: IpAddress): boolean {
    return other.family === 6 && this.bytes.every((byte, i) => byte === other.bytes[i])
  }

  /** RFC 5952: lower case, the longest run of two or more zero groups (the first of equals) as `::`. */
  toString(): string {
    if (this.isIpv4Mapped) return `::ffff:${new Ipv4Address(this.bytes.subarray(12))}`
    const words = Array.from({ length: 8 }, (_, i) => readUint16(this.bytes, 2 * i))
    let best = { at: -1, length: 1 }
    for (let at = 0; at < 8; at++) {
      let length = 0
      while (at + length < 8 && words[at + length] === 0) length++
      if (length > best.length) best = { at, length }
    }
    const hex = (part: number[]): string => part.map((word) => word.toString(16)).join(':')
    if (best.at < 0) return hex(words)
    return `${hex(words.slice(0, best.at))}::${hex(words.slice(best.at + best.length))}`
  }
}

/** The 16-bit groups of one side of `::`; a dotted quad at the address's very end counts as two. */
function parseGroups(text: string, isLastSide: boolean): number[] | undefined {
  if (text === '') return []
  const words: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      words.push(Number.parseInt(part, 16))
    } else {
      const quad = isLastSide && i === parts.length - 1 ? Ipv4Address.parse(part) : undefined
      if (quad === undefined) return undefined
      words.push(readUint16(quad.bytes, 0), readUint16(quad.bytes, 2))
    }
  }
  return words
}

export type IpAddress = Ipv4Address | Ipv6Address

export function parseIpAddress(text: string): IpAddress | undefined {
  return text.includes(':') ? Ipv6Address.parse(text) : Ipv4Address.parse(text)
}

/** An address from its 4 or 16 bytes; the bytes are kept, not copied. */
export function ipAddressFrom(bytes: Uint8Array): IpAddress {
  return bytes.length === 4 ? new Ipv4Address(bytes) : new Ipv6Address(bytes)
}

/** A prefix of addresses: a network address and how many leading bits count. */
export class IpPrefix {
  /** Host bits are zero. */
  readonly address: IpAddress
  readonly length: number

  /** Host bits of `address` are cleared. */
  constructor(address: IpAddress, length: number) {
    const bits = address.bytes.length * 8
    if (!(Number.isInteger(length) && length >= 0 && length <= bits))
      throw new RangeError(`prefix length ${length} is not in 0..${bits}`)
    const bytes = address.bytes.slice()
    for (let i = 0; i < bytes.length; i++) bytes[i] = bytes[i]! & maskByte(length, i)
    this.address = ipAddressFrom(bytes)
    this.length = length
  }

  /** `address/length`, or a bare address as a host prefix; `undefined` if it is neither. */
  static parse(text: string): IpPrefix | undefined {
    const [addressText = '', lengthText, ...rest] = text.split('/')
    const address = parseIpAddress(addressText)
    if (address === undefined || rest.length > 0) return undefined
    const bits = address.bytes.length * 8
    if (lengthText === undefined) return new IpPrefix(address, bits)
    if (!/^\d{1,3}$/.test(lengthText) || Number(lengthText) > bits) return undefined
    return new IpPrefix(address, Number(lengthText))
  }

  get family(): 4 | 6 {
    return this.address.family
  }

  /** The netmask, as an address: 255.255.255.0 for /24. */
  get mask(): IpAddress {
    return ipAddressFrom(Uint8Array.from(this.address.bytes, (_, i) => maskByte(this.length, i)))
  }

  contains(address: IpAddress): boolean {
    if (address.family !== this.family) return false
    const whole = this.length >> 3
    for (let i = 0; i < whole; i++) if (address.bytes[i] !== this.address.bytes[i]) return false
    const mask = maskByte(this.length, whole)
    return mask === 0 || (address.bytes[whole]! & mask) === this.address.bytes[whole]
  }

  get key(): string {
    return this.toString()
  }

  equals(other: IpPrefix): boolean {
    return this.length === other.length && this.address.equals(other.address)
  }

  toString(): string {
    return `${this.address}/${this.length}`
  }
}

/** Byte `i` of the netmask of a prefix of `length` bits. */
function maskByte(length: number, i: number): number {
  const bits = Math.min(8, Math.max(0, length - 8 * i))
  return (0xff00 >> bits) & 0xff
}
