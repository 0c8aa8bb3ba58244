/** What payload bytes look like: a ping's data, text, zeros. */
import type { FieldRange } from '../../wire/layout.js'
import { bytesField } from './layer.js'

/** OpenBSD's ping: 16 bytes of time with a random offset added, 8 of a SipHash over it, then the pattern. */
const OPENBSD_PING_HEAD = 24
const OPENBSD_PING_TIME = 16
/** Linux's ping: a struct timeval of 16 bytes (seconds, microseconds), then the pattern. */
const LINUX_PING_HEAD = 16

const RFC = 'RFC 792'

/** The data of an echo, as far as its maker can be told. */
export function echoData(bytes: Uint8Array, start: number, end: number): FieldRange[] {
  const length = end - start
  if (length > OPENBSD_PING_HEAD && !counts(bytes, start, OPENBSD_PING_TIME, OPENBSD_PING_HEAD)) {
    if (counts(bytes, start, OPENBSD_PING_HEAD, length)) return openBsdPing(bytes, start, end)
  }
  if (length > LINUX_PING_HEAD && counts(bytes, start, LINUX_PING_HEAD, length)) {
    const time = linuxTime(bytes, start)
    if (time !== undefined)
      return [
        bytesField('time', 'Ping time stamp', bytes, start, start + LINUX_PING_HEAD, {
          value: time,
          ref: RFC,
        }),
        pattern(bytes, start, start + LINUX_PING_HEAD, end),
      ]
  }
  if (length > 0 && counts(bytes, start, 0, length)) return [pattern(bytes, start, start, end)]
  return length === 0
    ? []
    : [bytesField('data', 'Ping data', bytes, start, end, { ref: RFC, ...textMeaning(bytes, start, end) })]
}

function openBsdPing(bytes: Uint8Array, start: number, end: number): FieldRange[] {
  const time = start + OPENBSD_PING_TIME
  const head = start + OPENBSD_PING_HEAD
  return [
    bytesField('time', 'Ping time stamp', bytes, start, time, {
      meaning: "when it was sent, behind the sender's random offset (OpenBSD's ping)",
      ref: RFC,
    }),
    bytesField('mac', 'Ping time stamp MAC', bytes, time, head, {
      meaning: 'SipHash over the time stamp, so that a reply cannot be forged',
      ref: RFC,
    }),
    pattern(bytes, start, head, end),
  ]
}

const pattern = (bytes: Uint8Array, start: number, from: number, end: number): FieldRange =>
  bytesField('pattern', 'Ping data', bytes, from, end, {
    meaning: `pattern: each byte is its own place, from ${(from - start) & 0xff} on`,
    ref: RFC,
  })

/** Whether the bytes `[from, to)` behind `start` each equal their own offset. */
function counts(bytes: Uint8Array, start: number, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[start + i] !== (i & 0xff)) return false
  return true
}

/** The time of a little-endian struct timeval, if it is one of this century. */
function linuxTime(bytes: Uint8Array, at: number): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, LINUX_PING_HEAD)
  const seconds = view.getBigUint64(0, true)
  const microseconds = view.getBigUint64(8, true)
  if (seconds < 946_684_800n || seconds > 4_102_444_800n || microseconds >= 1_000_000n) return undefined
  return `${seconds}.${String(microseconds).padStart(6, '0')} s since 1970 (Linux's ping)`
}

/** Data of no known form. */
export function plainData(bytes: Uint8Array, start: number, end: number, label: string): FieldRange[] {
  if (start >= end) return []
  return [bytesField('data', label, bytes, start, end, textMeaning(bytes, start, end))]
}

const SHOWN = 48

function textMeaning(bytes: Uint8Array, start: number, end: number): { meaning?: string } {
  let printable = 0
  let zeros = 0
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    if (byte === 0) zeros++
    if ((byte >= 0x20 && byte < 0x7f) || byte === 10 || byte === 13 || byte === 9) printable++
  }
  const length = end - start
  if (zeros === length) return { meaning: `${length} bytes, all zero` }
  if (printable < length) return { meaning: `${length} bytes` }
  let text = ''
  for (let i = start; i < Math.min(end, start + SHOWN); i++) text += String.fromCharCode(bytes[i]!)
  return { meaning: `${length} bytes of text: ${JSON.stringify(text)}${length > SHOWN ? ' …' : ''}` }
}
