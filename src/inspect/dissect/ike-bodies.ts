/** What stands in a payload of IKEv2 behind its generic header, as fields (RFC 7296 sections 3.3 to 3.16). */
import { readUint16, readUint32 } from '../../base/index.js'
import type { AnyHeader } from '../../wire/bindings.js'
import type { FieldRange } from '../../wire/field.js'
import {
  AuthMethod,
  CertEncoding,
  ConfigAttribute,
  IkePayloadType,
  ikeAuth,
  ikeCert,
  ikeDelete,
  ikeEap,
  ikeId,
  ikeKeyExchange,
  ikeNotify,
  NOTIFY_STATUS,
} from '../../wire/ike/index.js'
import { notifyData, notifyRef } from '../ike/notify.js'
import {
  addressText,
  algorithmText,
  certificateNames,
  identityText,
  isPrintable,
  printable,
  vendorText,
} from '../ike/text.js'
import { bytesField } from './layer.js'

/** The fields of a fixed part, and where they end. */
export function fixedPart(
  header: AnyHeader,
  bytes: Uint8Array,
  start: number,
  end: number,
): { fields: FieldRange[]; at: number } {
  const fields = start < end ? header.explain(bytes, start, end) : []
  const last = fields.at(-1)
  return { fields, at: last === undefined ? start : Math.ceil((last.bitStart + last.bitLength) / 8) }
}

/** The bytes of `[start, end)` as one field; none where there are none. */
export const rest = (
  bytes: Uint8Array,
  start: number,
  end: number,
  label: string,
  ref: string,
  more: Partial<FieldRange> = { meaning: `${end - start} bytes` },
): FieldRange[] => (start < end ? [bytesField('data', label, bytes, start, end, { ref, ...more })] : [])

type Body = (bytes: Uint8Array, start: number, end: number) => FieldRange[]

const keyExchange: Body = (bytes, start, end) => {
  const { fields, at } = fixedPart(ikeKeyExchange, bytes, start, end)
  return [...fields, ...rest(bytes, at, end, 'Key exchange data', ikeKeyExchange.ref)]
}

const identity: Body = (bytes, start, end) => {
  const { fields, at } = fixedPart(ikeId, bytes, start, end)
  const what = identityText(bytes[start] ?? 0, bytes, at, end)
  const more =
    'text' in what
      ? { value: what.text }
      : { problem: `found ${end - at} bytes, expected ${what.expected} for its type` }
  return [...fields, ...rest(bytes, at, end, 'Identification data', ikeId.ref, more)]
}

/** Of SHA-1: of what an address leads to, and of the public keys of authorities (RFC 7296 sections 3.6, 3.7). */
const HASH_LENGTH = 20
const HASH_AND_URL_OF_BUNDLE = 13

const certificate: Body = (bytes, start, end) => {
  const { ref } = ikeCert
  const { fields, at } = fixedPart(ikeCert, bytes, start, end)
  const encoding = bytes[start]
  if (
    (encoding === CertEncoding.hashAndUrl || encoding === HASH_AND_URL_OF_BUNDLE) &&
    end - at > HASH_LENGTH
  ) {
    const url = at + HASH_LENGTH
    return [
      ...fields,
      bytesField('hash', 'SHA-1', bytes, at, url, { ref, meaning: 'of what stands at the address' }),
      ...rest(bytes, url, end, 'URL', ref, { value: printable(bytes, url, end) }),
    ]
  }
  const names = encoding === CertEncoding.x509 ? certificateNames(bytes.subarray(at, end)) : undefined
  const meaning =
    names === undefined ? `${end - at} bytes` : `subject ${names.subject}, issuer ${names.issuer}`
  return [...fields, ...rest(bytes, at, end, 'Certificate data', ref, { meaning })]
}

/** Hashes that have rows of their own. */
const MOST_HASHES = 64

const certificateRequest: Body = (bytes, start, end) => {
  const ref = 'RFC 7296 section 3.7'
  const { fields, at } = fixedPart(ikeCert, bytes, start, end)
  const hashes: FieldRange[] = []
  let here = at
  if (bytes[start] === CertEncoding.x509)
    for (; here + HASH_LENGTH <= end && hashes.length < MOST_HASHES; here += HASH_LENGTH)
      hashes.push(
        bytesField('authority', 'Certification authority', bytes, here, here + HASH_LENGTH, {
          ref,
          meaning: 'SHA-1 of its public key',
        }),
      )
  return [...fields.map((field) => ({ ...field, ref })), ...hashes, ...rest(bytes, here, end, 'Data', ref)]
}

const authentication: Body = (bytes, start, end) => {
  const { fields, at } = fixedPart(ikeAuth, bytes, start, end)
  if (bytes[start] !== AuthMethod.digitalSignature || at >= end)
    return [...fields, ...rest(bytes, at, end, 'Authentication data', ikeAuth.ref)]
  const ref = 'RFC 7427 section 3'
  const length = bytes[at]!
  const signature = Math.min(end, at + 1 + length)
  const lengthField = bytesField('identifierLength', 'AlgorithmIdentifier length', bytes, at, at + 1, {
    ref,
    value: String(length),
    ...(at + 1 + length > end ? { problem: `found ${length}, expected at most ${end - at - 1}` } : {}),
  })
  const name = { meaning: algorithmText(bytes, at + 1, signature) }
  return [
    ...fields,
    lengthField,
    ...rest(bytes, at + 1, signature, 'AlgorithmIdentifier', ref, name),
    ...rest(bytes, signature, end, 'Signature', ref),
  ]
}

const nonce: Body = (bytes, start, end) =>
  rest(
    bytes,
    start,
    end,
    'Nonce',
    'RFC 7296 section 3.9',
    end - start >= 16 && end - start <= 256
      ? { meaning: `${end - start} bytes` }
      : { problem: `found ${end - start} bytes, expected 16 to 256` },
  )

const notify: Body = (bytes, start, end) => {
  const { fields, at } = fixedPart(ikeNotify, bytes, start, end)
  if (end - start < ikeNotify.minimumLength) return fields
  const spiSize = bytes[start + 1]!
  const type = readUint16(bytes, start + 2)
  const spiEnd = Math.min(end, at + spiSize)
  const remarked = fields.map((field) => {
    if (field.field === 'spiSize' && at + spiSize > end)
      return { ...field, problem: `found ${spiSize}, expected at most ${end - at}` }
    if (field.field !== 'type') return field
    const kind = type < NOTIFY_STATUS ? 'error' : 'status'
    return { ...field, ref: notifyRef(type), meaning: `${field.meaning} (${kind})` }
  })
  return [
    ...remarked,
    ...rest(bytes, at, spiEnd, 'SPI', notifyRef(type), {
      field: 'spi',
      meaning: 'of the SA that this is about',
    }),
    ...notifyData(type, bytes, spiEnd, end),
  ]
}

/** SPIs that have rows of their own. */
const MOST_SPIS = 64

const deletion: Body = (bytes, start, end) => {
  const { fields, at } = fixedPart(ikeDelete, bytes, start, end)
  if (end - start < ikeDelete.minimumLength) return fields
  const size = bytes[start + 1]!
  const count = readUint16(bytes, start + 2)
  const spis: FieldRange[] = []
  let here = at
  for (; size > 0 && here + size <= end && spis.length < Math.min(count, MOST_SPIS); here += size)
    spis.push(bytesField('deletedSpi', 'SPI', bytes, here, here + size, { ref: ikeDelete.ref }))
  const remarked = fields.map((field) =>
    field.field === 'spis' && count * size !== end - at
      ? { ...field, problem: `found ${count} of ${size} bytes, expected ${end - at} bytes in all` }
      : field,
  )
  return [...remarked, ...spis, ...rest(bytes, here, end, 'Data', ikeDelete.ref)]
}

const vendor: Body = (bytes, start, end) => {
  const meaning = vendorText(bytes, start, end) ?? `${end - start} bytes`
  return rest(bytes, start, end, 'Vendor ID', 'RFC 7296 section 3.12', { meaning })
}

const EAP_TYPES: Readonly<Record<number, string>> = {
  1: 'Identity',
  2: 'Notification',
  3: 'Nak',
  4: 'MD5-Challenge',
  5: 'One-time password',
  6: 'Generic token card',
  13: 'TLS',
  17: 'LEAP',
  18: 'SIM',
  21: 'TTLS',
  23: 'AKA',
  25: 'PEAP',
  26: 'MSCHAPv2',
  43: 'FAST',
  47: 'PSK',
  48: 'SAKE',
  49: 'IKEv2',
  50: "AKA'",
  51: 'GPSK',
  52: 'password',
  53: 'EKE',
  55: 'TEAP',
  254: 'expanded',
}

/** RFC 2759 sections 3 to 7: what the first byte of MSCHAPv2 says. */
const MSCHAP_CODES: readonly string[] = [
  '',
  'challenge',
  'response',
  'success',
  'failure',
  '',
  '',
  'change of password',
]
/** RFC 5216 section 3.1. */
const TLS_FLAGS: readonly (readonly [number, string])[] = [
  [0x80, 'length included'],
  [0x40, 'more fragments'],
  [0x20, 'start'],
]

/** What begins the data of methods that Warren speaks; nothing of what they prove. */
function eapMethod(type: number, bytes: Uint8Array, at: number, end: number): FieldRange[] {
  const first = bytes[at]
  if (first === undefined || at >= end) return []
  if (type === 26) {
    const ref = 'RFC 2759'
    const meaning = MSCHAP_CODES[first] || 'unknown'
    return [bytesField('opCode', 'MSCHAPv2 code', bytes, at, at + 1, { ref, value: String(first), meaning })]
  }
  if (type !== 13) return []
  const ref = 'RFC 5216 section 3.1'
  const names = TLS_FLAGS.filter(([bit]) => (first & bit) !== 0).map(([, name]) => name)
  const meaning = names.length === 0 ? 'none' : names.join(', ')
  return [
    bytesField('tlsFlags', 'TLS flags', bytes, at, at + 1, { ref, meaning }),
    ...((first & 0x80) !== 0 && at + 5 <= end
      ? [
          bytesField('tlsLength', 'TLS message length', bytes, at + 1, at + 5, {
            ref,
            value: String(readUint32(bytes, at + 1)),
          }),
        ]
      : []),
  ]
}

const eap: Body = (bytes, start, end) => {
  const { fields, at } = fixedPart(ikeEap, bytes, start, end)
  const code = bytes[start] ?? 0
  if (code > 2 || at >= end || end - start < ikeEap.minimumLength)
    return [...fields, ...rest(bytes, at, end, 'Data', ikeEap.ref)]
  const ref = 'RFC 3748 section 5'
  const type = bytes[at]!
  const typed = bytesField('type', 'Type', bytes, at, at + 1, {
    ref,
    value: String(type),
    meaning: EAP_TYPES[type] ?? 'unknown',
  })
  const text = isPrintable(bytes, at + 1, end)
    ? `"${printable(bytes, at + 1, end)}"`
    : `${end - at - 1} bytes`
  const method = eapMethod(type, bytes, at + 1, end)
  const behind = at + 1 + method.reduce((sum, { bitLength }) => sum + bitLength / 8, 0)
  const meaning = method.length === 0 ? text : `${end - behind} bytes`
  return [...fields, typed, ...method, ...rest(bytes, behind, end, 'Type data', ref, { meaning })]
}

/** Payloads whose body is a run of fields; those that hold parts of their own are not here. */
export const BODIES: Readonly<Record<number, { readonly body: Body; readonly ref: string }>> = {
  [IkePayloadType.ke]: { body: keyExchange, ref: ikeKeyExchange.ref },
  [IkePayloadType.idI]: { body: identity, ref: ikeId.ref },
  [IkePayloadType.idR]: { body: identity, ref: ikeId.ref },
  [IkePayloadType.cert]: { body: certificate, ref: ikeCert.ref },
  [IkePayloadType.certReq]: { body: certificateRequest, ref: 'RFC 7296 section 3.7' },
  [IkePayloadType.auth]: { body: authentication, ref: ikeAuth.ref },
  [IkePayloadType.nonce]: { body: nonce, ref: 'RFC 7296 section 3.9' },
  [IkePayloadType.notify]: { body: notify, ref: ikeNotify.ref },
  [IkePayloadType.delete]: { body: deletion, ref: ikeDelete.ref },
  [IkePayloadType.vendor]: { body: vendor, ref: 'RFC 7296 section 3.12' },
  [IkePayloadType.eap]: { body: eap, ref: 'RFC 7296 section 3.16' },
}

const TEXT_ATTRIBUTES: readonly number[] = [ConfigAttribute.applicationVersion, ConfigAttribute.dnsDomain]

/** RFC 7296 section 3.15.1: the value of a configuration attribute as text. */
export function configText(type: number, bytes: Uint8Array, start: number, end: number): string | undefined {
  if (TEXT_ATTRIBUTES.includes(type)) return `"${printable(bytes, start, end)}"`
  const length = end - start
  switch (type) {
    case ConfigAttribute.ip6Address:
    case ConfigAttribute.ip6Subnet:
      return length === 17
        ? `${addressText(bytes, start, start + 16)}/${bytes[start + 16]}`
        : addressText(bytes, start, end)
    case ConfigAttribute.ip4Subnet:
      return length === 8
        ? `${addressText(bytes, start, start + 4)} mask ${addressText(bytes, start + 4, end)}`
        : undefined
    case ConfigAttribute.supportedAttributes:
      return `${length / 2} attributes`
    default:
      return addressText(bytes, start, end)
  }
}
