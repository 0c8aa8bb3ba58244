/**
 * IKE as OpenBSD's tcpdump prints it: version, exchange, cookies (the SPIs), message ID and length; with -v the payloads,
 * each on a line of its own. OpenBSD names those of version 2; what stands in them, and with keys in the encrypted one, is
 * ours, in its form.
 */
import { ParseError, readUint16, readUint32 } from '../../base/index.js'
import {
  IKE_HEADER_LENGTH,
  IKE_PAYLOAD_HEADER_LENGTH,
  IKE_PAYLOAD_LIMIT,
  IkePayloadType,
  ike,
  ikePayload,
  readPayload,
} from '../../wire/ike/index.js'
import type { OpenedIke } from '../opener.js'
import { payloadText } from './ike-payload.js'
import { has, type Printing } from './printing.js'
import { hex } from './text.js'

/** The names of print-ike.c. */
const EXCHANGES: Readonly<Record<number, string>> = {
  0: 'NONE',
  1: 'BASE',
  2: 'ID_PROT',
  3: 'AUTH_ONLY',
  4: 'AGGRESSIVE',
  5: 'INFO',
  6: 'TRANSACTION',
  32: 'QUICK_MODE',
  33: 'NEW_GROUP_MODE',
  34: 'IKE_SA_INIT',
  35: 'IKE_AUTH',
  36: 'CREATE_CHILD_SA',
  37: 'INFORMATIONAL',
  38: 'IKE_SESSION_RESUME',
  // Ours: younger than OpenBSD's table.
  43: 'IKE_INTERMEDIATE',
  44: 'IKE_FOLLOWUP_KE',
}

const PAYLOADS: Readonly<Record<number, string>> = {
  33: 'SA',
  34: 'KE',
  35: 'IDi',
  36: 'IDr',
  37: 'CERT',
  38: 'CERTREQ',
  39: 'AUTH',
  40: 'NONCE',
  41: 'N',
  42: 'D',
  43: 'V',
  44: 'TSi',
  45: 'TSr',
  46: 'E',
  47: 'CP',
  48: 'EAP',
  53: 'EF',
}

const FLAG_ENCRYPTION = 1
const FLAG_COMMIT = 2
const VERSION_2 = 0x20
const at = ike.offset

const TRUNCATED = ' [|isakmp]'
const tabs = (level: number): string => `\n\t${'    '.repeat(level)}`

/** `isPartial`: the datagram is not all here, so nothing is opened. */
export function printIke(p: Printing, start: number, length: number, isPartial: boolean): void {
  const { bytes } = p
  if (length < IKE_HEADER_LENGTH || !has(p, start, at.messageId)) {
    p.out += '[|isakmp]'
    return
  }
  const version = bytes[start + at.majorVersion]!
  const exchange = bytes[start + at.exchangeType]!
  const flags = bytes[start + at.flags]!
  p.out += `isakmp v${version >> 4}.${version & 15} exchange ${exchangeText(exchange)}`
  if ((flags & FLAG_ENCRYPTION) !== 0) p.out += ' encrypted'
  if ((flags & FLAG_COMMIT) !== 0) p.out += ' commit'
  const cookie = (from: number): string =>
    hex(readUint32(bytes, from), 8) + hex(readUint32(bytes, from + 4), 8)
  p.out += `\n\tcookie: ${cookie(start + at.initiatorSpi)}->${cookie(start + at.responderSpi)}`
  if (!has(p, start, at.length)) {
    p.out += TRUNCATED
    return
  }
  p.out += ` msgid: ${hex(readUint32(bytes, start + at.messageId), 8)}`
  if (!has(p, start, IKE_HEADER_LENGTH)) {
    p.out += TRUNCATED
    return
  }
  const claimed = readUint32(bytes, start + at.length)
  p.out += ` len: ${claimed}`
  if (version > VERSION_2) p.out += ' new version'
  else if (p.verbose > 0 && version === VERSION_2) {
    const stop = start + Math.max(IKE_HEADER_LENGTH, Math.min(length, claimed))
    const message = isPartial || claimed > length ? undefined : { start, end: stop }
    printChain(p, bytes[start + at.nextPayload]!, start + IKE_HEADER_LENGTH, stop, 0, message)
  }
}

function exchangeText(type: number): string {
  const name = EXCHANGES[type]
  return name ?? (type < 32 ? 'unknown' : `${type} (unknown)`)
}

interface Message {
  readonly start: number
  readonly end: number
}

/** `message`: the one that is whole here, whose encrypted payload may be opened. */
function printChain(
  p: Printing,
  first: number,
  start: number,
  end: number,
  level: number,
  message: Message | undefined,
): void {
  let type = first
  let here = start
  for (let count = 0; type !== IkePayloadType.none; count++) {
    if (count === IKE_PAYLOAD_LIMIT) {
      p.out += ' [too many]'
      return
    }
    if (here + IKE_PAYLOAD_HEADER_LENGTH > end || !has(p, here, IKE_PAYLOAD_HEADER_LENGTH)) {
      p.out += TRUNCATED
      return
    }
    const length = readUint16(p.bytes, here + ikePayload.offset.length)
    p.out += `${tabs(level)}payload: ${PAYLOADS[type] ?? '<unknown>'} len: ${length}`
    const stop = here + length
    if (length < IKE_PAYLOAD_HEADER_LENGTH || stop > end || !has(p, here, length)) {
      p.out += TRUNCATED
      return
    }
    if (type === IkePayloadType.encrypted || type === IkePayloadType.encryptedFragment) {
      printEncrypted(p, type, here, stop, level, message)
      return
    }
    printPayload(p, type, here, stop, level)
    type = p.bytes[here]!
    here = stop
  }
}

function printPayload(p: Printing, type: number, start: number, end: number, level: number): void {
  try {
    const next = p.bytes[start]!
    const payload = readPayload(type, false, next, p.bytes, start + IKE_PAYLOAD_HEADER_LENGTH, end)
    p.out += payloadText(payload, tabs(level + 1))
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    p.out += ' [|payload]'
  }
}

const ICV_TEXT: Readonly<Record<OpenedIke['icv'], string>> = {
  correct: ' [icv ok]',
  wrong: ' [bad icv]',
  unchecked: ' [icv not checked]',
}

function printEncrypted(
  p: Printing,
  type: number,
  start: number,
  end: number,
  level: number,
  message: Message | undefined,
): void {
  const isFragment = type === IkePayloadType.encryptedFragment
  const body = start + IKE_PAYLOAD_HEADER_LENGTH
  if (isFragment) {
    if (end - body < 4) {
      p.out += ' [|payload]'
      return
    }
    p.out += ` fragment: ${readUint16(p.bytes, body)}/${readUint16(p.bytes, body + 2)}`
  }
  // An encrypted payload that is not the end of its message has an ICV over something else.
  if (message === undefined || message.end !== end || p.opener?.openIke === undefined) return
  const data = isFragment ? body + 4 : body
  const opened = p.opener.openIke({ bytes: p.bytes, ...message, at: data, isFragment })
  if (typeof opened !== 'object') return
  p.out += ICV_TEXT[opened.icv]
  const sealed = p.bytes
  if (opened.bytes === undefined) return
  if (isFragment) {
    if (opened.whole === undefined || opened.first === undefined) return
    const whole: Printing = { ...p, bytes: opened.whole, end: opened.whole.length, out: '' }
    printChain(whole, opened.first, 0, opened.whole.length, level + 1, undefined)
    p.out += whole.out
    return
  }
  const lengthAt = end - opened.icvLength - 1
  const stop = lengthAt - opened.bytes[lengthAt]!
  if (stop < data + opened.ivLength) {
    p.out += ' [bad pad]'
    return
  }
  p.bytes = opened.bytes
  printChain(p, sealed[start]!, data + opened.ivLength, stop, level + 1, undefined)
  p.bytes = sealed
}
