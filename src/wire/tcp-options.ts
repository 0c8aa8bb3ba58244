/** TCP's options, typed: MSS (RFC 9293), window scale and timestamps (RFC 7323), SACK (RFC 2018). */
import { readUint16, readUint32, writeUint16, writeUint32 } from '../base/index.js'
import type { OptionLayout, WireOption } from './options.js'

export const TcpOption = {
  endOfList: 0,
  noOperation: 1,
  maximumSegmentSize: 2,
  windowScale: 3,
  sackPermitted: 4,
  sack: 5,
  timestamps: 8,
} as const

/** Bytes that were received: sequence numbers `[left, right)`. */
export interface SackBlock {
  readonly left: number
  readonly right: number
}

export interface TcpOptions {
  /** Bytes of payload in one segment. */
  maximumSegmentSize?: number
  /** Shift count, as sent: above 14 the receiver takes 14 (RFC 7323 section 2.3). */
  windowScale?: number
  sackPermitted?: boolean
  sack?: readonly SackBlock[]
  timestamps?: { readonly value: number; readonly echoReply: number }
}

export const tcpOptionLayout: OptionLayout = {
  ref: 'RFC 9293 section 3.2',
  single: [0, 1],
  endKind: 0,
  unit: 1,
  countsItself: true,
  multiple: 4,
  names: {
    0: 'End of option list',
    1: 'No operation',
    2: 'Maximum segment size',
    3: 'Window scale',
    4: 'SACK permitted',
    5: 'Selective acknowledgment',
    8: 'Timestamps',
    19: 'MD5 signature',
    28: 'User timeout',
    29: 'Authentication (TCP-AO)',
    30: 'Multipath TCP',
    34: 'Fast open cookie',
  },
  describe: (option) => {
    const { maximumSegmentSize, windowScale, sackPermitted, sack, timestamps } = readTcpOptions([option])
    if (maximumSegmentSize !== undefined) return `${maximumSegmentSize} bytes`
    if (windowScale !== undefined) return `shift by ${windowScale} (times ${2 ** Math.min(14, windowScale)})`
    if (sackPermitted) return 'yes'
    if (sack !== undefined) return sack.map(({ left, right }) => `${left}:${right}`).join(' ')
    if (timestamps !== undefined) return `value ${timestamps.value}, echo reply ${timestamps.echoReply}`
    return undefined
  },
}

/** What a segment's options say; those of a length that is not theirs are left out. */
export function readTcpOptions(options: readonly WireOption[]): TcpOptions {
  const found: TcpOptions = {}
  for (const { kind, data } of options) take(found, kind, data, 0, data.length)
  return found
}

/**
 * The same straight from the segment at `start`, whose header of `headerLength` bytes is there; it stops without a
 * word at an option that does not fit.
 */
export function scanTcpOptions(bytes: Uint8Array, start: number, headerLength: number): TcpOptions {
  const found: TcpOptions = {}
  const to = start + headerLength
  for (let at = start + 20; at < to; ) {
    const kind = bytes[at]!
    if (kind === TcpOption.endOfList) break
    if (kind === TcpOption.noOperation) {
      at++
      continue
    }
    const length = at + 1 < to ? bytes[at + 1]! : 0
    if (length < 2 || at + length > to) break
    take(found, kind, bytes, at + 2, length - 2)
    at += length
  }
  return found
}

function take(found: TcpOptions, kind: number, bytes: Uint8Array, at: number, length: number): void {
  if (kind === TcpOption.maximumSegmentSize && length === 2) found.maximumSegmentSize = readUint16(bytes, at)
  else if (kind === TcpOption.windowScale && length === 1) found.windowScale = bytes[at]!
  else if (kind === TcpOption.sackPermitted && length === 0) found.sackPermitted = true
  else if (kind === TcpOption.timestamps && length === 8)
    found.timestamps = { value: readUint32(bytes, at), echoReply: readUint32(bytes, at + 4) }
  else if (kind === TcpOption.sack && length > 0 && length % 8 === 0) {
    const blocks: SackBlock[] = []
    for (let block = at; block < at + length; block += 8)
      blocks.push({ left: readUint32(bytes, block), right: readUint32(bytes, block + 4) })
    found.sack = blocks
  }
}

/**
 * The options in the order and with the no-operations that put each on a 4-byte boundary (RFC 7323 appendix A). At
 * most three SACK blocks fit beside timestamps (RFC 2018 section 3): what is too many is left out.
 */
export function buildTcpOptions(options: TcpOptions): WireOption[] {
  const built: WireOption[] = []
  const noOperation = { kind: TcpOption.noOperation, data: new Uint8Array(0) }
  let room = 40
  const add = (padding: number, kind: number, data: Uint8Array): void => {
    for (let i = 0; i < padding; i++) built.push(noOperation)
    built.push({ kind, data })
    room -= padding + 2 + data.length
  }
  if (options.maximumSegmentSize !== undefined) {
    const data = new Uint8Array(2)
    writeUint16(data, 0, options.maximumSegmentSize)
    add(0, TcpOption.maximumSegmentSize, data)
  }
  if (options.sackPermitted) add(2, TcpOption.sackPermitted, new Uint8Array(0))
  if (options.windowScale !== undefined) add(1, TcpOption.windowScale, Uint8Array.of(options.windowScale))
  if (options.timestamps !== undefined) {
    const data = new Uint8Array(8)
    writeUint32(data, 0, options.timestamps.value)
    writeUint32(data, 4, options.timestamps.echoReply)
    add(2, TcpOption.timestamps, data)
  }
  const blocks = options.sack?.slice(0, (room - 4) >> 3) ?? []
  if (blocks.length > 0) {
    const data = new Uint8Array(8 * blocks.length)
    for (const [i, { left, right }] of blocks.entries()) {
      writeUint32(data, 8 * i, left)
      writeUint32(data, 8 * i + 4, right)
    }
    add(2, TcpOption.sack, data)
  }
  return built
}
