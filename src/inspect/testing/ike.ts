/** A message of IKEv2 with a payload of every kind, and one of IKEv1. */
import { concatBytes } from '../../base/index.js'
import { emitIkeMessage, type IkePayload, ike, NotifyType } from '../../wire/ike/index.js'

const counted = (length: number, from = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (from + i) & 0xff)
const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const notify = (type: number, data: Uint8Array = new Uint8Array(0)): IkePayload => ({
  kind: 'N',
  protocol: 0,
  spi: new Uint8Array(0),
  type,
  data,
})

export const everyPayload: readonly IkePayload[] = [
  {
    kind: 'SA',
    proposals: [
      {
        number: 1,
        protocol: 3,
        spi: Uint8Array.of(0xc0, 0xde, 0, 1),
        transforms: [
          { type: 1, id: 20, keyLength: 256 },
          { type: 5, id: 0, attributes: [{ type: 99, value: counted(3) }] },
        ],
      },
      { number: 2, protocol: 1, spi: counted(8, 1), transforms: [{ type: 4, id: 31 }] },
    ],
  },
  { kind: 'KE', method: 31, data: counted(32) },
  { kind: 'IDi', type: 1, data: Uint8Array.of(192, 168, 1, 1) },
  { kind: 'IDr', type: 2, data: text('alice.example') },
  { kind: 'CERT', encoding: 4, data: counted(20) },
  { kind: 'CERT', encoding: 12, data: concatBytes(counted(20), text('http://a.example/c')) },
  { kind: 'CERTREQ', encoding: 4, data: counted(40) },
  { kind: 'AUTH', method: 2, data: counted(32) },
  {
    kind: 'AUTH',
    method: 14,
    data: concatBytes(Uint8Array.of(7, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70), counted(64)),
  },
  { kind: 'Nonce', data: counted(32) },
  notify(NotifyType.cookie, counted(24)),
  notify(NotifyType.natDetectionSourceIp, counted(20)),
  notify(NotifyType.signatureHashAlgorithms, Uint8Array.of(0, 2, 0, 3, 0, 5)),
  notify(NotifyType.invalidKePayload, Uint8Array.of(0, 19)),
  notify(NotifyType.additionalIp4Address, Uint8Array.of(192, 0, 2, 1)),
  { kind: 'N', protocol: 3, spi: counted(4, 9), type: NotifyType.rekeySa, data: new Uint8Array(0) },
  notify(NotifyType.ipcompSupported, Uint8Array.of(0x12, 0x34, 2)),
  notify(NotifyType.redirect, concatBytes(Uint8Array.of(1, 4, 192, 0, 2, 9), counted(16))),
  notify(54321, counted(5)),
  { kind: 'D', protocol: 3, spis: [counted(4, 1), counted(4, 5)] },
  { kind: 'V', data: text('Warren') },
  {
    kind: 'TSi',
    selectors: [
      {
        type: 7,
        protocol: 6,
        startPort: 80,
        endPort: 443,
        startAddress: Uint8Array.of(10, 0, 0, 0),
        endAddress: Uint8Array.of(10, 0, 0, 255),
      },
    ],
  },
  {
    kind: 'TSr',
    selectors: [
      {
        type: 8,
        protocol: 58,
        startPort: 0x8000,
        endPort: 0x80ff,
        startAddress: counted(16),
        endAddress: counted(16, 1),
      },
      {
        type: 77,
        protocol: 0,
        startPort: 0,
        endPort: 0,
        startAddress: counted(2),
        endAddress: new Uint8Array(0),
      },
    ],
  },
  {
    kind: 'CP',
    type: 2,
    attributes: [
      { type: 1, value: Uint8Array.of(172, 16, 5, 1) },
      { type: 8, value: concatBytes(counted(16), Uint8Array.of(64)) },
      { type: 7, value: text('Warren') },
      { type: 3, value: new Uint8Array(0) },
    ],
  },
  { kind: 'EAP', data: Uint8Array.of(1, 7, 0, 9, 1, 0x68, 0x69, 0x21, 0x21) },
  { kind: 'unknown', type: 200, critical: true, data: counted(6) },
  { kind: 'SK', first: 35, data: counted(48) },
]

const header = {
  initiatorSpi: Uint8Array.of(0xa7, 0x89, 0x0d, 0xc1, 0x67, 0xd4, 0x72, 0xc0),
  responderSpi: counted(8, 0x41),
  majorVersion: 2,
  minorVersion: 0,
  exchangeType: 36,
  flags: 0x08,
  messageId: 2,
}

export const everyPayloadMessage = (): Uint8Array => emitIkeMessage({ header, payloads: everyPayload })

export const fragmentMessage = (): Uint8Array =>
  emitIkeMessage({
    header: { ...header, exchangeType: 35, flags: 0x20 },
    payloads: [{ kind: 'SKF', first: 0, number: 2, total: 3, data: counted(48) }],
  })

/** RFC 2408: main mode, not encrypted. */
export const version1Message = (): Uint8Array =>
  concatBytes(
    ike.toBytes({ ...header, majorVersion: 1, exchangeType: 2, flags: 0, nextPayload: 1, length: 48 }),
    counted(20),
  )
