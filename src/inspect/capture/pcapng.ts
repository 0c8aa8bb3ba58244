/**
 * pcapng capture files: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html.
 *
 * A file is a row of blocks: type, length, body padded to 4 bytes, length again. Sections begin with a section header
 * block, which sets the byte order; interface description blocks say link type and clock; packets are enhanced
 * (EPB), simple (SPB) or obsolete (PB) packet blocks. Every other block is skipped.
 */
import { WarrenError } from '../../base/index.js'
import { isKnownLinkType, normalLinkType } from '../link-type.js'
import { ChunkBuffer } from './chunks.js'
import { type ByteOrder, MAXIMUM_PACKET_LENGTH, read16, read32, unknownLinkType } from './pcap.js'
import type { CapturedPacket, CaptureReader } from './record.js'

const PcapngBlock = {
  sectionHeader: 0x0a0d0d0a,
  interfaceDescription: 1,
  packet: 2,
  simplePacket: 3,
  nameResolution: 4,
  interfaceStatistics: 5,
  enhancedPacket: 6,
  custom: 0xbad,
} as const

const BYTE_ORDER_MAGIC = 0x1a2b3c4d
/** The longest block that is read: packets are far shorter; a longer one is damage, not data. */
export const MAXIMUM_BLOCK_LENGTH: number = 16 * 1024 * 1024
/** Interfaces that one section may describe: a bound on memory, far above any real capture. */
export const MAXIMUM_INTERFACES = 65_536

export const isPcapng = (bytes: Uint8Array): boolean | undefined =>
  bytes.length < 4 ? undefined : read32(bytes, 0, false) === PcapngBlock.sectionHeader

interface Interface {
  readonly linkType: number
  readonly snapLength: number
  /** Ticks a second; `decimalExponent` if it is a power of ten. */
  readonly ticks: bigint
  readonly microseconds: boolean
  readonly offset: number
}

const option = { end: 0, ifName: 2, ifTsresol: 9, ifTsoffset: 14 } as const

export class PcapngReader implements CaptureReader {
  start = 0
  end = 0
  originalLength = 0
  linkType = 0
  seconds = 0
  nanoseconds = 0
  interfaceId = 0
  readonly #chunks = new ChunkBuffer()
  readonly #file: string
  #little = false
  #inSection = false
  #interfaces: Interface[] = []

  constructor(file = 'pcapng') {
    this.#file = file
  }

  get buffer(): Uint8Array {
    return this.#chunks.bytes
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
  }

  room(size: number): Uint8Array {
    return this.#chunks.room(size)
  }

  filled(length: number): void {
    this.#chunks.filled(length)
  }

  advance(): boolean {
    const chunks = this.#chunks
    for (;;) {
      if (chunks.available < 12) return false
      const at = chunks.at
      const type = read32(chunks.bytes, at, this.#little)
      if (read32(chunks.bytes, at, false) === PcapngBlock.sectionHeader) this.#byteOrder(at)
      else if (!this.#inSection)
        throw this.#problem(
          'INSPECT_NOT_A_CAPTURE',
          'not a pcapng file',
          at,
          hex8(type),
          hex8(PcapngBlock.sectionHeader),
        )
      const length = read32(chunks.bytes, at + 4, this.#little)
      if (length < 12 || length % 4 !== 0 || length > MAXIMUM_BLOCK_LENGTH)
        throw this.#problem(
          'INSPECT_PCAPNG_LENGTH',
          'a block claims an impossible length',
          at + 4,
          `${length} bytes`,
          `12 to ${MAXIMUM_BLOCK_LENGTH}, a multiple of 4`,
        )
      if (chunks.available < length) return false
      const trailer = read32(chunks.bytes, at + length - 4, this.#little)
      if (trailer !== length)
        throw this.#problem(
          'INSPECT_PCAPNG_LENGTH',
          'the two lengths of a block differ',
          at + length - 4,
          String(trailer),
          String(length),
        )
      const isPacket = this.#block(read32(chunks.bytes, at, this.#little), at + 8, at + length - 4)
      chunks.at = at + length
      if (isPacket) return true
    }
  }

  finish(): void {
    const chunks = this.#chunks
    if (this.#inSection && chunks.available === 0) return
    const needs = chunks.available < 12 ? 12 : read32(chunks.bytes, chunks.at + 4, this.#little)
    throw new WarrenError('INSPECT_TRUNCATED_FILE', 'the file ends inside a block', {
      where: `${this.#file}: byte ${chunks.position}`,
      found: `${chunks.available} bytes`,
      expected: String(needs),
      mend: 'the file was cut off while it was written or copied; the packets before it are good',
    })
  }

  #problem(code: string, summary: string, at: number, found: string, expected: string): WarrenError {
    return new WarrenError(code, summary, {
      where: `${this.#file}: byte ${this.#chunks.fileOffset + at}`,
      found,
      expected,
      mend: 'the file is damaged from here on; the packets before it are good',
    })
  }

  #byteOrder(at: number): void {
    const magic = read32(this.#chunks.bytes, at + 8, false)
    if (magic === BYTE_ORDER_MAGIC) this.#little = false
    else if (read32(this.#chunks.bytes, at + 8, true) === BYTE_ORDER_MAGIC) this.#little = true
    else
      throw this.#problem(
        'INSPECT_NOT_A_CAPTURE',
        'a section header without the byte-order magic',
        at + 8,
        hex8(magic),
        `${hex8(BYTE_ORDER_MAGIC)} in either byte order`,
      )
  }

  /** Takes in the block with body `[from, to)`; true if it was a packet. */
  #block(type: number, from: number, to: number): boolean {
    switch (type) {
      case PcapngBlock.sectionHeader:
        this.#need(from, to, 16, 'section header')
        this.#inSection = true
        // Interfaces are numbered anew in each section.
        this.#interfaces = []
        return false
      case PcapngBlock.interfaceDescription:
        this.#describeInterface(from, to)
        return false
      case PcapngBlock.enhancedPacket:
        this.#need(from, to, 20, 'enhanced packet')
        this.#packet(from, to, read32(this.#chunks.bytes, from, this.#little), 4)
        return true
      case PcapngBlock.packet:
        this.#need(from, to, 20, 'packet')
        this.#packet(from, to, read16(this.#chunks.bytes, from, this.#little), 4)
        return true
      case PcapngBlock.simplePacket:
        this.#simplePacket(from, to)
        return true
      default:
        return false
    }
  }

  #need(from: number, to: number, length: number, what: string): void {
    if (to - from < length)
      throw this.#problem(
        'INSPECT_PCAPNG_LENGTH',
        `${what} block is too short`,
        from,
        `${to - from} bytes`,
        `at least ${length}`,
      )
  }

  #describeInterface(from: number, to: number): void {
    const { bytes } = this.#chunks
    this.#need(from, to, 8, 'interface description')
    if (this.#interfaces.length >= MAXIMUM_INTERFACES)
      throw this.#problem(
        'INSPECT_PCAPNG_INTERFACES',
        'more interfaces than a section may have',
        from,
        String(this.#interfaces.length + 1),
        `at most ${MAXIMUM_INTERFACES}`,
      )
    // Default resolution: microseconds (draft section 4.2, if_tsresol).
    let resolution = 6
    let offset = 0
    for (let at = from + 8; at + 4 <= to; ) {
      const code = read16(bytes, at, this.#little)
      const length = read16(bytes, at + 2, this.#little)
      if (code === option.end || at + 4 + length > to) break
      if (code === option.ifTsresol && length === 1) resolution = bytes[at + 4]!
      if (code === option.ifTsoffset && length === 8) offset = Number(BigInt.asIntN(64, this.#read64(at + 4)))
      at += 4 + length + (-length & 3)
    }
    // The high bit: a negative power of two instead of ten.
    const ticks = resolution & 0x80 ? 1n << BigInt(resolution & 0x7f) : 10n ** BigInt(resolution)
    const linkType = normalLinkType(read16(bytes, from, this.#little))
    const snapLength = read32(bytes, from + 4, this.#little)
    this.#interfaces.push({ linkType, snapLength, ticks, microseconds: resolution === 6, offset })
  }

  #read64(at: number): bigint {
    const { bytes } = this.#chunks
    const first = BigInt(read32(bytes, at, this.#little))
    const second = BigInt(read32(bytes, at + 4, this.#little))
    return this.#little ? (second << 32n) | first : (first << 32n) | second
  }

  #interface(id: number, from: number): Interface {
    const found = this.#interfaces[id]
    if (found === undefined)
      throw this.#problem(
        'INSPECT_PCAPNG_INTERFACES',
        'a packet of an interface that was not described',
        from,
        String(id),
        this.#interfaces.length === 0
          ? 'an interface description block first'
          : `0 to ${this.#interfaces.length - 1}`,
      )
    if (!isKnownLinkType(found.linkType))
      throw unknownLinkType(
        `${this.#file}: interface ${id}, byte ${this.#chunks.fileOffset + from}`,
        found.linkType,
      )
    return found
  }

  #packet(from: number, to: number, id: number, timeAt: number): void {
    const { bytes } = this.#chunks
    const source = this.#interface(id, from)
    const captured = read32(bytes, from + 12, this.#little)
    if (captured > MAXIMUM_PACKET_LENGTH || from + 20 + captured > to)
      throw this.#problem(
        'INSPECT_PCAPNG_LENGTH',
        'a packet is longer than its block',
        from + 12,
        `${captured} bytes`,
        `at most ${Math.min(MAXIMUM_PACKET_LENGTH, to - from - 20)}`,
      )
    this.#setTime(
      source,
      read32(bytes, from + timeAt, this.#little),
      read32(bytes, from + timeAt + 4, this.#little),
    )
    this.#place(id, source.linkType, from + 20, captured, read32(bytes, from + 16, this.#little))
  }

  #simplePacket(from: number, to: number): void {
    this.#need(from, to, 4, 'simple packet')
    const source = this.#interface(0, from)
    const original = read32(this.#chunks.bytes, from, this.#little)
    const snap = source.snapLength === 0 ? MAXIMUM_PACKET_LENGTH : source.snapLength
    // It has no time of its own.
    this.seconds = 0
    this.nanoseconds = 0
    this.#place(0, source.linkType, from + 4, Math.min(original, snap, to - from - 4), original)
  }

  #place(id: number, linkType: number, start: number, captured: number, original: number): void {
    this.interfaceId = id
    this.linkType = linkType
    this.start = start
    this.end = start + captured
    this.originalLength = Math.max(captured, original)
  }

  #setTime(source: Interface, high: number, low: number): void {
    if (source.microseconds) {
      // Exact: microseconds since 1970 stay below 2^53 until the year 2255.
      const ticks = high * 0x1_0000_0000 + low
      if (Number.isSafeInteger(ticks)) {
        this.seconds = Math.floor(ticks / 1_000_000) + source.offset
        this.nanoseconds = (ticks % 1_000_000) * 1000
        return
      }
    }
    const ticks = (BigInt(high) << 32n) | BigInt(low)
    this.seconds = Number(ticks / source.ticks) + source.offset
    this.nanoseconds = Number(((ticks % source.ticks) * 1_000_000_000n) / source.ticks)
  }
}

const hex8 = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`

export interface PcapngInterface {
  readonly linkType: number
  readonly name?: string
  readonly snapLength?: number
  /** Nanosecond time stamps instead of microseconds. */
  readonly nanoseconds?: boolean
}

/** Makes the bytes of a pcapng file: `header()` once, `interface()` for each interface, then `packet()` for each. */
export class PcapngWriter {
  readonly #little: boolean
  readonly #interfaces: PcapngInterface[] = []

  constructor(options: { readonly byteOrder?: ByteOrder } = {}) {
    this.#little = (options.byteOrder ?? 'little') === 'little'
  }

  header(): Uint8Array {
    return this.#block(PcapngBlock.sectionHeader, 16, (view, at) => {
      view.setUint32(at, BYTE_ORDER_MAGIC, this.#little)
      view.setUint16(at + 4, 1, this.#little)
      view.setUint16(at + 6, 0, this.#little)
      // Section length unknown: -1.
      view.setUint32(at + 8, 0xffffffff)
      view.setUint32(at + 12, 0xffffffff)
    })
  }

  /** The description block of the next interface; interfaces are numbered from 0 in this order. */
  interface(description: PcapngInterface): Uint8Array {
    this.#interfaces.push(description)
    const name = asciiBytes(description.name ?? '')
    const nameLength = name.length === 0 ? 0 : 4 + name.length + (-name.length & 3)
    const resolution = description.nanoseconds === true ? 8 : 0
    const end = nameLength + resolution === 0 ? 0 : 4
    return this.#block(PcapngBlock.interfaceDescription, 8 + nameLength + resolution + end, (view, at) => {
      view.setUint16(at, description.linkType, this.#little)
      view.setUint32(at + 4, description.snapLength ?? 0, this.#little)
      let next = at + 8
      if (nameLength > 0) {
        view.setUint16(next, option.ifName, this.#little)
        view.setUint16(next + 2, name.length, this.#little)
        for (const [i, byte] of name.entries()) view.setUint8(next + 4 + i, byte)
        next += nameLength
      }
      if (resolution > 0) {
        view.setUint16(next, option.ifTsresol, this.#little)
        view.setUint16(next + 2, 1, this.#little)
        view.setUint8(next + 4, 9)
      }
    })
  }

  packet(
    packet: Omit<CapturedPacket, 'linkType' | 'originalLength'> & { readonly originalLength?: number },
  ): Uint8Array {
    const { bytes, seconds, nanoseconds } = packet
    const id = packet.interfaceId ?? 0
    const fine = this.#interfaces[id]?.nanoseconds === true
    const ticks = fine
      ? BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)
      : BigInt(seconds) * 1_000_000n + BigInt(Math.floor(nanoseconds / 1000))
    return this.#block(PcapngBlock.enhancedPacket, 20 + bytes.length, (view, at) => {
      view.setUint32(at, id, this.#little)
      view.setUint32(at + 4, Number(ticks >> 32n), this.#little)
      view.setUint32(at + 8, Number(ticks & 0xffffffffn), this.#little)
      view.setUint32(at + 12, bytes.length, this.#little)
      view.setUint32(at + 16, packet.originalLength ?? bytes.length, this.#little)
      new Uint8Array(view.buffer).set(bytes, at + 20)
    })
  }

  #block(type: number, bodyLength: number, fill: (view: DataView, at: number) => void): Uint8Array {
    const length = 12 + bodyLength + (-bodyLength & 3)
    const bytes = new Uint8Array(length)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, type, this.#little)
    view.setUint32(4, length, this.#little)
    fill(view, 8)
    view.setUint32(length - 4, length, this.#little)
    return bytes
  }
}

/** Interface names are ASCII here; anything else becomes '?'. */
const asciiBytes = (text: string): Uint8Array =>
  Uint8Array.from(text, (letter) => (letter.charCodeAt(0) < 0x80 ? letter.charCodeAt(0) : 0x3f))
