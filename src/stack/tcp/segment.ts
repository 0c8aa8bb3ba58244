/**
 * Segments as the state machine sees them: read and written by offset, because every packet passes here. The
 * declaration of the header, for explain and the tcpdump line, is wire/tcp.ts; a test compares the two.
 */
import {
  addToSum,
  foldSum,
  type IpAddress,
  internetChecksum,
  readUint16,
  readUint32,
  writeUint16,
  writeUint32,
} from '../../base/index.js'
import { pseudoSum } from '../../wire/checksum.js'
import { IpProtocol } from '../../wire/numbers.js'
import { TcpFlag } from '../../wire/tcp.js'
import { TcpOption } from '../../wire/tcp-options.js'

export const Flag: typeof TcpFlag = TcpFlag

export interface Segment {
  readonly sourcePort: number
  readonly destinationPort: number
  sequence: number
  readonly acknowledgment: number
  flags: number
  /** As on the wire, unscaled. */
  readonly window: number
  /** A view into what arrived. */
  payload: Uint8Array
  mss?: number
  windowScale?: number
  sackPermitted?: boolean
  timestamp?: { readonly value: number; readonly echo: number }
  /** Left and right edges, flat. */
  sack?: number[]
}

/** SEG.LEN: SYN and FIN take a place in the sequence space each (RFC 9293 section 3.4). */
export function segmentLength(segment: Segment): number {
  return segment.payload.length + (segment.flags & Flag.syn ? 1 : 0) + (segment.flags & Flag.fin ? 1 : 0)
}

/** The segment in `bytes`, or the short reason for which it is dropped. */
export function parseSegment(bytes: Uint8Array, source: IpAddress, destination: IpAddress): Segment | string {
  if (bytes.length < 20) return 'tcp.short'
  const headerLength = (bytes[12]! >> 4) * 4
  if (headerLength < 20 || headerLength > bytes.length) return 'tcp.dataOffset'
  if (
    foldSum(
      addToSum(pseudoSum(source, destination, IpProtocol.tcp, bytes.length), bytes, 0, bytes.length),
    ) !== 0xffff
  )
    return 'tcp.checksum'
  const segment: Segment = {
    sourcePort: readUint16(bytes, 0),
    destinationPort: readUint16(bytes, 2),
    sequence: readUint32(bytes, 4),
    acknowledgment: readUint32(bytes, 8),
    flags: bytes[13]!,
    window: readUint16(bytes, 14),
    payload: bytes.subarray(headerLength),
  }
  if (segment.sourcePort === 0 || segment.destinationPort === 0) return 'tcp.portZero'
  // No segment of an honest stack opens and closes at once (RFC 9293 section 3.10.7 leaves it undefined).
  const flags = segment.flags & (Flag.syn | Flag.fin | Flag.rst)
  if (flags & Flag.syn && flags !== Flag.syn) return 'tcp.flags'
  return headerLength === 20 || readOptions(bytes, headerLength, segment) ? segment : 'tcp.options'
}

/** False if an option does not fit; unknown kinds are skipped by their length (RFC 9293 section 3.1). */
function readOptions(bytes: Uint8Array, end: number, segment: Segment): boolean {
  const syn = (segment.flags & Flag.syn) !== 0
  let at = 20
  while (at < end) {
    const kind = bytes[at]!
    if (kind === TcpOption.endOfList) return true
    if (kind === TcpOption.noOperation) {
      at++
      continue
    }
    if (at + 1 >= end) return false
    const length = bytes[at + 1]!
    if (length < 2 || at + length > end) return false
    switch (kind) {
      case TcpOption.maximumSegmentSize:
        if (length !== 4) return false
        if (syn) segment.mss = readUint16(bytes, at + 2)
        break
      case TcpOption.windowScale:
        if (length !== 3) return false
        // RFC 7323 section 2.3: a shift above 14 is taken as 14.
        if (syn) segment.windowScale = Math.min(14, bytes[at + 2]!)
        break
      case TcpOption.sackPermitted:
        if (length !== 2) return false
        if (syn) segment.sackPermitted = true
        break
      case TcpOption.timestamps:
        if (length !== 10) return false
        segment.timestamp = { value: readUint32(bytes, at + 2), echo: readUint32(bytes, at + 6) }
        break
      case TcpOption.sack:
        if (length < 10 || length % 8 !== 2) return false
        segment.sack ??= []
        for (let edge = at + 2; edge < at + length; edge += 4) segment.sack.push(readUint32(bytes, edge))
        break
    }
    at += length
  }
  return true
}

/** What goes into a header. */
export interface SegmentSpec {
  readonly sourcePort: number
  readonly destinationPort: number
  readonly sequence: number
  readonly acknowledgment: number
  readonly flags: number
  /** As on the wire, already scaled. */
  readonly window: number
  readonly mss?: number | undefined
  readonly windowScale?: number | undefined
  readonly sackPermitted?: boolean | undefined
  readonly timestamp?: { readonly value: number; readonly echo: number } | undefined
  readonly sack?: readonly number[] | undefined
}

/** Bytes of the options of `spec`, a multiple of 4 and at most 40. */
export function optionsLength(spec: SegmentSpec): number {
  let length = 0
  if (spec.mss !== undefined) length += 4
  if (spec.sackPermitted) length += 4
  if (spec.windowScale !== undefined) length += 4
  if (spec.timestamp !== undefined) length += 12
  if (spec.sack !== undefined && spec.sack.length > 0) length += 4 + 4 * spec.sack.length
  return length
}

/**
 * A block with the header of `spec` and zeroed room for `payloadLength` bytes behind it, which `payloadStart` names.
 * The checksum is missing: `seal` writes it. Options stand in OpenBSD's order and alignment.
 */
export function startSegment(spec: SegmentSpec, payloadLength: number): Uint8Array {
  const headerLength = 20 + optionsLength(spec)
  const bytes = new Uint8Array(headerLength + payloadLength)
  writeUint16(bytes, 0, spec.sourcePort)
  writeUint16(bytes, 2, spec.destinationPort)
  writeUint32(bytes, 4, spec.sequence)
  if (spec.flags & Flag.ack) writeUint32(bytes, 8, spec.acknowledgment)
  bytes[12] = (headerLength / 4) << 4
  bytes[13] = spec.flags
  writeUint16(bytes, 14, spec.window)
  let at = 20
  if (spec.mss !== undefined) {
    bytes[at] = TcpOption.maximumSegmentSize
    bytes[at + 1] = 4
    writeUint16(bytes, at + 2, spec.mss)
    at += 4
  }
  if (spec.sackPermitted) {
    bytes.set([TcpOption.noOperation, TcpOption.noOperation, TcpOption.sackPermitted, 2], at)
    at += 4
  }
  if (spec.windowScale !== undefined) {
    bytes.set([TcpOption.noOperation, TcpOption.windowScale, 3, spec.windowScale], at)
    at += 4
  }
  if (spec.timestamp !== undefined) {
    bytes.set([TcpOption.noOperation, TcpOption.noOperation, TcpOption.timestamps, 10], at)
    writeUint32(bytes, at + 4, spec.timestamp.value)
    writeUint32(bytes, at + 8, spec.timestamp.echo)
    at += 12
  }
  if (spec.sack !== undefined && spec.sack.length > 0) {
    const { sack } = spec
    bytes.set([TcpOption.noOperation, TcpOption.noOperation, TcpOption.sack, 2 + 4 * sack.length], at)
    for (let i = 0; i < sack.length; i++) writeUint32(bytes, at + 4 + 4 * i, sack[i]!)
  }
  return bytes
}

export const payloadStart = (bytes: Uint8Array): number => (bytes[12]! >> 4) * 4

/** Writes the checksum of a whole segment. */
export function seal(bytes: Uint8Array, source: IpAddress, destination: IpAddress): Uint8Array {
  writeUint16(bytes, 16, 0)
  const pseudo = pseudoSum(source, destination, IpProtocol.tcp, bytes.length)
  writeUint16(bytes, 16, internetChecksum(bytes, 0, bytes.length, pseudo))
  return bytes
}
