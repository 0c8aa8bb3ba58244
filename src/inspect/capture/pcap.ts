/**
 * pcap capture files: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html.
 *
 * A file header of 24 bytes, then for each packet a header of 16 and its bytes. The magic number says the byte order
 * and whether time is in micro- or nanoseconds.
 */
import { WarrenError } from '../../base/index.js'
import { isKnownLinkType, normalLinkType } from '../link-type.js'
import { ChunkBuffer } from './chunks.js'
import type { CapturedPacket, CaptureReader } from './record.js'

export const PCAP_MAGIC = 0xa1b2c3d4
export const PCAP_MAGIC_NANOSECONDS = 0xa1b23c4d
export const PCAP_FILE_HEADER_LENGTH = 24
export const PCAP_PACKET_HEADER_LENGTH = 16
/** The most that one packet may claim: what libpcap allows (MAXIMUM_SNAPLEN), so that a bad length is seen at once. */
export const MAXIMUM_PACKET_LENGTH = 262_144

export type ByteOrder = 'little' | 'big'

export interface PcapFileHeader {
  readonly byteOrder: ByteOrder
  readonly nanoseconds: boolean
  readonly snapLength: number
  readonly linkType: number
}

const swap32 = (value: number): number =>
  (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0

/** The 32-bit number at `at`, in the file's byte order. */
export function read32(bytes: Uint8Array, at: number, little: boolean): number {
  return little
    ? ((bytes[at + 3]! << 24) | (bytes[at + 2]! << 16) | (bytes[at + 1]! << 8) | bytes[at]!) >>> 0
    : ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

export const read16 = (bytes: Uint8Array, at: number, little: boolean): number =>
  little ? (bytes[at + 1]! << 8) | bytes[at]! : (bytes[at]! << 8) | bytes[at + 1]!

/** Whether these first bytes are a pcap file's; `undefined` while there are fewer than 4. */
export function isPcap(bytes: Uint8Array): boolean | undefined {
  if (bytes.length < 4) return undefined
  const magic = read32(bytes, 0, false)
  return [PCAP_MAGIC, PCAP_MAGIC_NANOSECONDS, swap32(PCAP_MAGIC), swap32(PCAP_MAGIC_NANOSECONDS)].includes(
    magic,
  )
}

export class PcapReader implements CaptureReader {
  /** Known once 24 bytes are there. */
  header: PcapFileHeader | undefined
  start = 0
  end = 0
  originalLength = 0
  linkType = 0
  seconds = 0
  nanoseconds = 0
  readonly interfaceId = 0
  readonly #chunks = new ChunkBuffer()
  readonly #file: string
  #little = false
  #unit = 1000

  /** `file` is the name that errors show. */
  constructor(file = 'pcap') {
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
    if (this.header === undefined && !this.#readHeader()) return false
    if (chunks.end - chunks.at < PCAP_PACKET_HEADER_LENGTH) return false
    const { bytes, at } = chunks
    const little = this.#little
    const captured = read32(bytes, at + 8, little)
    if (captured > MAXIMUM_PACKET_LENGTH)
      throw new WarrenError('INSPECT_PCAP_LENGTH', 'packet header claims an impossible length', {
        where: `${this.#file}: byte ${chunks.position + 8}`,
        found: `${captured} bytes`,
        expected: `at most ${MAXIMUM_PACKET_LENGTH}`,
        mend: 'the file is damaged from here on; the packets before it are good',
      })
    if (chunks.end - at < PCAP_PACKET_HEADER_LENGTH + captured) return false
    this.seconds = read32(bytes, at, little)
    this.nanoseconds = read32(bytes, at + 4, little) * this.#unit
    this.originalLength = Math.max(captured, read32(bytes, at + 12, little))
    this.start = at + PCAP_PACKET_HEADER_LENGTH
    this.end = this.start + captured
    chunks.at = this.end
    return true
  }

  finish(): void {
    const chunks = this.#chunks
    if (this.header !== undefined && chunks.available === 0) return
    const needs =
      this.header === undefined
        ? PCAP_FILE_HEADER_LENGTH
        : chunks.available < PCAP_PACKET_HEADER_LENGTH
          ? PCAP_PACKET_HEADER_LENGTH
          : PCAP_PACKET_HEADER_LENGTH + read32(chunks.bytes, chunks.at + 8, this.#little)
    throw new WarrenError('INSPECT_TRUNCATED_FILE', 'the file ends inside a packet', {
      where: `${this.#file}: byte ${chunks.position}`,
      found: `${chunks.available} bytes`,
      expected: String(needs),
      mend: 'the file was cut off while it was written or copied; the packets before it are good',
    })
  }

  #readHeader(): boolean {
    const { bytes, at, end } = this.#chunks
    if (end - at < PCAP_FILE_HEADER_LENGTH) return false
    const big = read32(bytes, at, false)
    const magic = big === PCAP_MAGIC || big === PCAP_MAGIC_NANOSECONDS ? big : swap32(big)
    this.#little = magic !== big
    if (magic !== PCAP_MAGIC && magic !== PCAP_MAGIC_NANOSECONDS)
      throw new WarrenError('INSPECT_NOT_A_CAPTURE', 'not a pcap file', {
        where: `${this.#file}: byte 0`,
        found: `0x${big.toString(16).padStart(8, '0')}`,
        expected: `0x${PCAP_MAGIC.toString(16)} in either byte order`,
      })
    const major = read16(bytes, at + 4, this.#little)
    if (major !== 2)
      throw new WarrenError('INSPECT_PCAP_VERSION', 'a pcap version that nobody writes', {
        where: `${this.#file}: byte 4`,
        found: String(major),
        expected: '2',
      })
    // The upper 16 bits of the link type tell of a frame check sequence; the type is in the lower.
    const linkType = normalLinkType(read32(bytes, at + 20, this.#little) & 0xffff)
    const nanoseconds = magic === PCAP_MAGIC_NANOSECONDS
    this.#unit = nanoseconds ? 1 : 1000
    this.linkType = linkType
    this.header = {
      byteOrder: this.#little ? 'little' : 'big',
      nanoseconds,
      snapLength: read32(bytes, at + 16, this.#little),
      linkType,
    }
    if (!isKnownLinkType(linkType)) throw unknownLinkType(`${this.#file}: byte 20`, linkType)
    this.#chunks.at += PCAP_FILE_HEADER_LENGTH
    return true
  }
}

export const unknownLinkType = (where: string, linkType: number): WarrenError =>
  new WarrenError('INSPECT_LINK_TYPE', 'a link type that Warren does not read', {
    where,
    found: String(linkType),
    expected: '0 (NULL), 1 (Ethernet), 101 (RAW), 108 (LOOP), 113 (Linux cooked), 228 (IPv4) or 229 (IPv6)',
  })

export interface PcapWriterOptions {
  readonly linkType: number
  readonly byteOrder?: ByteOrder
  readonly nanoseconds?: boolean
  readonly snapLength?: number
}

/** Makes the bytes of a pcap file: `header()` once, then `packet()` for each. */
export class PcapWriter {
  readonly #options: PcapWriterOptions
  readonly #little: boolean

  constructor(options: PcapWriterOptions) {
    this.#options = options
    this.#little = (options.byteOrder ?? 'little') === 'little'
  }

  header(): Uint8Array {
    const bytes = new Uint8Array(PCAP_FILE_HEADER_LENGTH)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, this.#options.nanoseconds === true ? PCAP_MAGIC_NANOSECONDS : PCAP_MAGIC, this.#little)
    view.setUint16(4, 2, this.#little)
    view.setUint16(6, 4, this.#little)
    view.setUint32(16, this.#options.snapLength ?? MAXIMUM_PACKET_LENGTH, this.#little)
    view.setUint32(20, this.#options.linkType, this.#little)
    return bytes
  }

  /** The packet's record; its link type must be the file's. */
  packet(
    packet: Omit<CapturedPacket, 'linkType' | 'interfaceId' | 'originalLength'> & {
      readonly originalLength?: number
    },
  ): Uint8Array {
    const { bytes, seconds, nanoseconds } = packet
    const record = new Uint8Array(PCAP_PACKET_HEADER_LENGTH + bytes.length)
    const view = new DataView(record.buffer)
    const fraction = this.#options.nanoseconds === true ? nanoseconds : Math.floor(nanoseconds / 1000)
    view.setUint32(0, seconds, this.#little)
    view.setUint32(4, fraction, this.#little)
    view.setUint32(8, bytes.length, this.#little)
    view.setUint32(12, packet.originalLength ?? bytes.length, this.#little)
    record.set(bytes, PCAP_PACKET_HEADER_LENGTH)
    return record
  }
}
