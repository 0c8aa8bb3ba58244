/** Notify payloads: which document defines each type, and what its data is. */
import { readUint16, readUint32 } from '../../base/index.js'
import type { FieldRange } from '../../wire/field.js'
import { HashAlgorithm, ikePayloadNames, keyExchangeNames, NotifyType } from '../../wire/ike/index.js'
import { bytesField } from '../dissect/layer.js'
import { addressText, printable } from './text.js'

const REFS: Readonly<Record<number, string>> = {
  [NotifyType.unsupportedCriticalPayload]: 'RFC 7296 section 2.5',
  [NotifyType.invalidKePayload]: 'RFC 7296 section 1.2',
  [NotifyType.initialContact]: 'RFC 7296 section 2.4',
  [NotifyType.setWindowSize]: 'RFC 7296 section 2.3',
  [NotifyType.additionalTsPossible]: 'RFC 7296 section 2.9',
  [NotifyType.ipcompSupported]: 'RFC 7296 section 2.22',
  [NotifyType.natDetectionSourceIp]: 'RFC 7296 section 2.23',
  [NotifyType.natDetectionDestinationIp]: 'RFC 7296 section 2.23',
  [NotifyType.cookie]: 'RFC 7296 section 2.6',
  [NotifyType.useTransportMode]: 'RFC 7296 section 1.3.1',
  [NotifyType.rekeySa]: 'RFC 7296 section 1.3.3',
  [NotifyType.mobikeSupported]: 'RFC 4555 section 4.1',
  [NotifyType.additionalIp4Address]: 'RFC 4555 section 4.1',
  [NotifyType.additionalIp6Address]: 'RFC 4555 section 4.1',
  [NotifyType.noAdditionalAddresses]: 'RFC 4555 section 4.1',
  [NotifyType.updateSaAddresses]: 'RFC 4555 section 4.1',
  [NotifyType.cookie2]: 'RFC 4555 section 4.2',
  [NotifyType.noNatsAllowed]: 'RFC 4555 section 4.2',
  [NotifyType.authLifetime]: 'RFC 4478 section 3',
  [NotifyType.multipleAuthSupported]: 'RFC 4739 section 3.1',
  [NotifyType.redirectSupported]: 'RFC 5685 section 8.1',
  [NotifyType.redirect]: 'RFC 5685 section 8.2',
  [NotifyType.redirectedFrom]: 'RFC 5685 section 8.3',
  [NotifyType.eapOnlyAuthentication]: 'RFC 5998 section 4',
  [NotifyType.childlessSupported]: 'RFC 6023 section 4',
  [NotifyType.fragmentationSupported]: 'RFC 7383 section 2.3',
  [NotifyType.signatureHashAlgorithms]: 'RFC 7427 section 4',
  [NotifyType.usePpk]: 'RFC 8784 section 3',
  [NotifyType.ppkIdentity]: 'RFC 8784 section 3',
  [NotifyType.noPpkAuth]: 'RFC 8784 section 3',
  [NotifyType.intermediateExchangeSupported]: 'RFC 9242 section 3.1',
  [NotifyType.additionalKeyExchange]: 'RFC 9370 section 2.2.4',
  [NotifyType.unacceptableAddresses]: 'RFC 4555 section 4.1',
  [NotifyType.unexpectedNatDetected]: 'RFC 4555 section 4.1',
  42: 'RFC 5026 section 8.3',
  45: 'RFC 9838',
  46: 'RFC 9838',
  [NotifyType.stateNotFound]: 'RFC 9370 section 2.2.4',
  16405: 'RFC 4739 section 3.1',
  16409: 'RFC 5723 section 4.3.1',
  16410: 'RFC 5723 section 4.1',
  16411: 'RFC 5723 section 4.1',
  16412: 'RFC 5723 section 4.1',
  16413: 'RFC 5723 section 4.3.2',
  16414: 'RFC 5739 section 4.2',
  16415: 'RFC 5840 section 2.4',
  16416: 'RFC 5857 section 2.1',
  16419: 'RFC 6290 section 4.1',
  16420: 'RFC 6311 section 7.1',
  16421: 'RFC 6311 section 7.1',
  16422: 'RFC 6311 section 7.2',
  16423: 'RFC 6311 section 7.3',
  16424: 'RFC 6467 section 3.2',
  16425: 'RFC 6631',
  16426: 'RFC 6631',
  16427: 'RFC 6867 section 4',
  16428: 'RFC 7651',
  16429: 'RFC 9838',
  16432: 'RFC 7791 section 3',
  16433: 'RFC 7791 section 3',
  16434: 'RFC 8019 section 8.1',
  16439: 'RFC 8983 section 4',
  16440: 'RFC 8983 section 4',
  16442: 'RFC 9347 section 5.1',
  16443: 'RFC 9593 section 3.2',
}

export const notifyRef = (type: number): string => REFS[type] ?? 'RFC 7296 section 3.10.1'

const HASH_NAMES: Readonly<Record<number, string>> = {
  [HashAlgorithm.sha1]: 'SHA-1',
  [HashAlgorithm.sha256]: 'SHA2-256',
  [HashAlgorithm.sha384]: 'SHA2-384',
  [HashAlgorithm.sha512]: 'SHA2-512',
  [HashAlgorithm.identity]: 'Identity',
}

type Data = (bytes: Uint8Array, start: number, end: number, ref: string) => FieldRange[]

/** One number of `width` bytes; another length is said to be wrong. */
const number =
  (width: 1 | 2 | 4, label: string, meaning: (value: number) => string): Data =>
  (bytes, start, end, ref) => {
    if (end - start !== width)
      return [
        bytesField('data', label, bytes, start, end, {
          ref,
          problem: `found ${end - start} bytes, expected ${width}`,
        }),
      ]
    const value =
      width === 1 ? bytes[start]! : width === 2 ? readUint16(bytes, start) : readUint32(bytes, start)
    return [
      bytesField('data', label, bytes, start, end, { ref, value: String(value), meaning: meaning(value) }),
    ]
  }

const hashes: Data = (bytes, start, end, ref) => {
  const fields: FieldRange[] = []
  for (let at = start; at + 2 <= end; at += 2) {
    const id = readUint16(bytes, at)
    const meaning = HASH_NAMES[id] ?? 'unknown'
    fields.push(bytesField('hash', 'Hash algorithm', bytes, at, at + 2, { ref, value: String(id), meaning }))
  }
  if ((end - start) % 2 === 1)
    fields.push(
      bytesField('data', 'Data', bytes, end - 1, end, {
        ref,
        problem: 'found a byte, expected pairs of them',
      }),
    )
  return fields
}

const hash =
  (whose: string): Data =>
  (bytes, start, end, ref) => [
    bytesField('hash', 'SHA-1', bytes, start, end, {
      ref,
      ...(end - start === 20
        ? { meaning: `of both SPIs and ${whose} address and port as the sender has them` }
        : { problem: `found ${end - start} bytes, expected 20` }),
    }),
  ]

const address: Data = (bytes, start, end, ref) => [
  bytesField('address', 'Address', bytes, start, end, {
    ref,
    ...(addressText(bytes, start, end) === undefined ? {} : { value: addressText(bytes, start, end)! }),
  }),
]

/** RFC 7296 section 2.22: what the sender takes. */
const compression: Data = (bytes, start, end, ref) => {
  if (end - start < 3)
    return [bytesField('data', 'Data', bytes, start, end, { ref, problem: 'expected 3 bytes' })]
  const transform = bytes[start + 2]!
  const meaning = ['', 'OUI', 'DEFLATE', 'LZS', 'LZJH'][transform] ?? 'unknown'
  return [
    bytesField('cpi', 'Compression parameter index', bytes, start, start + 2, { ref }),
    bytesField('transform', 'Compression', bytes, start + 2, start + 3, {
      ref,
      value: String(transform),
      meaning,
    }),
    ...(start + 3 < end ? [bytesField('data', 'Data', bytes, start + 3, end, { ref })] : []),
  ]
}

/** RFC 5685 section 8: who to turn to, or who has sent here; behind it in a REDIRECT the initiator's nonce. */
const gateway: Data = (bytes, start, end, ref) => {
  if (end - start < 2)
    return [bytesField('data', 'Data', bytes, start, end, { ref, problem: 'expected 2 bytes and more' })]
  const [type, length] = [bytes[start]!, bytes[start + 1]!]
  const stop = Math.min(end, start + 2 + length)
  const name = type === 3 ? printable(bytes, start + 2, stop) : addressText(bytes, start + 2, stop)
  return [
    bytesField('gatewayType', 'Gateway identity type', bytes, start, start + 1, {
      ref,
      value: String(type),
      meaning: ['', 'IPv4 address', 'IPv6 address', 'FQDN'][type] ?? 'unknown',
    }),
    bytesField('gatewayLength', 'Gateway identity length', bytes, start + 1, start + 2, {
      ref,
      value: String(length),
      ...(start + 2 + length > end
        ? { problem: `found ${length}, expected at most ${end - start - 2}` }
        : {}),
    }),
    ...(start + 2 < stop
      ? [
          bytesField('gateway', 'Gateway', bytes, start + 2, stop, {
            ref,
            ...(name === undefined ? {} : { value: name }),
          }),
        ]
      : []),
    ...(stop < end
      ? [bytesField('nonce', 'Nonce', bytes, stop, end, { ref, meaning: "the initiator's" })]
      : []),
  ]
}

const DATA: Readonly<Record<number, Data>> = {
  [NotifyType.unsupportedCriticalPayload]: number(
    1,
    'Payload type',
    (type) => ikePayloadNames[type] ?? 'unknown',
  ),
  [NotifyType.invalidMessageId]: number(4, 'Message ID', () => 'the one that was out of the window'),
  [NotifyType.invalidKePayload]: number(
    2,
    'Key exchange method wanted',
    (method) => keyExchangeNames[method] ?? 'unknown',
  ),
  [NotifyType.setWindowSize]: number(4, 'Window size', () => 'requests at once'),
  [NotifyType.natDetectionSourceIp]: hash("the sender's own"),
  [NotifyType.natDetectionDestinationIp]: hash("the receiver's"),
  [NotifyType.signatureHashAlgorithms]: hashes,
  [NotifyType.ipcompSupported]: compression,
  [NotifyType.redirect]: gateway,
  [NotifyType.redirectedFrom]: gateway,
  [NotifyType.additionalIp4Address]: address,
  [NotifyType.additionalIp6Address]: address,
  [NotifyType.authLifetime]: number(4, 'Lifetime', () => 'seconds until it has to authenticate anew'),
}

const LABELS: Readonly<Record<number, string>> = {
  [NotifyType.cookie]: 'Cookie',
  [NotifyType.cookie2]: 'Cookie',
  [NotifyType.ppkIdentity]: 'Identity of a post-quantum preshared key',
  [NotifyType.noPpkAuth]: 'Authentication data without that key',
  [NotifyType.additionalKeyExchange]: 'Link to the exchange before',
}

/** The fields of a notify's data; none where there is none. */
export function notifyData(type: number, bytes: Uint8Array, start: number, end: number): FieldRange[] {
  if (start >= end) return []
  const ref = notifyRef(type)
  const known = DATA[type]
  if (known !== undefined) return known(bytes, start, end, ref)
  const label = LABELS[type] ?? 'Notification data'
  return [bytesField('data', label, bytes, start, end, { ref, meaning: `${end - start} bytes` })]
}
