import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ParseError } from '../../base/index.js'
import {
  emitIkeMessage,
  emitIkePayloads,
  IKE_FLAG_INITIATOR,
  IKE_HEADER_LENGTH,
  IKE_PAYLOAD_LIMIT,
  type IkeMessage,
  type IkePayload,
  IkePayloadType,
  isKnownPayload,
  parseIkeMessage,
  parseIkePayloads,
} from './index.js'

const octets = (min: number, max: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: min, maxLength: max })
const byte = fc.integer({ min: 0, max: 255 })
const word = fc.integer({ min: 0, max: 0xffff })

const attribute = fc.record({
  // 14 is the key length, which has a member of its own.
  type: fc.integer({ min: 0, max: 0x7fff }).filter((type) => type !== 14),
  value: fc.oneof(word, octets(0, 8)),
})
const transform = fc
  .record({
    type: byte,
    id: word,
    keyLength: fc.option(word, { nil: undefined }),
    attributes: fc.option(fc.array(attribute, { minLength: 1, maxLength: 2 }), { nil: undefined }),
  })
  .map(({ type, id, keyLength, attributes }) => ({
    type,
    id,
    ...(keyLength === undefined ? {} : { keyLength }),
    ...(attributes === undefined ? {} : { attributes }),
  }))
const proposal = fc.record({
  number: byte,
  protocol: byte,
  spi: octets(0, 8),
  transforms: fc.array(transform, { maxLength: 4 }),
})
const selector = fc.oneof(
  ...(
    [
      [7, 4],
      [8, 16],
    ] as const
  ).map(([type, size]) =>
    fc.record({
      type: fc.constant(type),
      protocol: byte,
      startPort: word,
      endPort: word,
      startAddress: octets(size, size),
      endAddress: octets(size, size),
    }),
  ),
  fc.record({
    type: fc.constant(9),
    protocol: byte,
    startPort: word,
    endPort: word,
    startAddress: octets(0, 20),
    endAddress: fc.constant(new Uint8Array(0)),
  }),
)
const data = octets(0, 40)
const simple: fc.Arbitrary<IkePayload> = fc.oneof(
  fc.record({
    kind: fc.constant('SA' as const),
    proposals: fc.array(proposal, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant('KE' as const), method: word, data }),
  fc.record({ kind: fc.constantFrom('IDi' as const, 'IDr' as const), type: byte, data }),
  fc.record({ kind: fc.constantFrom('CERT' as const, 'CERTREQ' as const), encoding: byte, data }),
  fc.record({ kind: fc.constant('AUTH' as const), method: byte, data }),
  fc.record({ kind: fc.constant('Nonce' as const), data: octets(16, 256) }),
  fc.record({ kind: fc.constant('V' as const), data }),
  fc.record({ kind: fc.constant('N' as const), protocol: byte, spi: octets(0, 8), type: word, data }),
  fc.record({
    kind: fc.constant('D' as const),
    protocol: byte,
    spis: fc.array(octets(4, 4), { maxLength: 5 }),
  }),
  fc.record({
    kind: fc.constantFrom('TSi' as const, 'TSr' as const),
    selectors: fc.array(selector, { maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constant('CP' as const),
    type: byte,
    attributes: fc.array(fc.record({ type: fc.integer({ min: 0, max: 0x7fff }), value: octets(0, 20) }), {
      maxLength: 4,
    }),
  }),
  fc.record({ kind: fc.constant('EAP' as const), data: octets(4, 20) }),
  fc.record({
    kind: fc.constant('unknown' as const),
    type: fc.integer({ min: 1, max: 255 }).filter((type) => !isKnownPayload(type)),
    data,
  }),
)
const payload: fc.Arbitrary<IkePayload> = fc
  .tuple(simple, fc.boolean())
  .map(([one, critical]) => (critical ? { ...one, critical } : one))
const last: fc.Arbitrary<IkePayload> = fc.oneof(
  fc.record({ kind: fc.constant('SK' as const), first: byte, data }),
  fc.tuple(byte, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 9 }), data).map(
    ([first, number, more, bytes]): IkePayload => ({
      kind: 'SKF',
      first,
      number,
      total: number + more,
      data: bytes,
    }),
  ),
)
const message: fc.Arbitrary<IkeMessage> = fc.record({
  header: fc.record({
    initiatorSpi: octets(8, 8).filter((spi) => spi.some((one) => one !== 0)),
    responderSpi: octets(8, 8),
    majorVersion: fc.integer({ min: 0, max: 15 }),
    minorVersion: fc.integer({ min: 0, max: 15 }),
    exchangeType: byte,
    flags: byte,
    messageId: fc.integer({ min: 0, max: 0xffffffff }),
  }),
  payloads: fc
    .tuple(fc.array(payload, { maxLength: 6 }), fc.option(last, { nil: undefined }))
    .map(([some, end]) => (end === undefined ? some : [...some, end])),
})

describe('a message', () => {
  test('is read back as it was written', () => {
    fc.assert(
      fc.property(message, (value) => {
        const { header, payloads } = parseIkeMessage(emitIkeMessage(value))
        const { nextPayload: _next, length: _length, ...rest } = header
        // What fast-check makes has no prototype.
        assert.deepEqual({ header: rest, payloads }, structuredClone(value))
      }),
    )
  })

  test('with a stranger’s bytes raises a ParseError and nothing else', () => {
    const damaged = fc.tuple(message, fc.array(fc.tuple(fc.nat(), byte), { maxLength: 8 }), fc.nat(40))
    fc.assert(
      fc.property(damaged, ([value, changes, cut]) => {
        const bytes = emitIkeMessage(value)
        for (const [at, to] of changes) bytes[at % bytes.length] = to
        try {
          parseIkeMessage(bytes, 0, Math.max(0, bytes.length - cut))
        } catch (error) {
          assert.ok(error instanceof ParseError, String(error))
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('counts its payloads', () => {
    const many = (count: number): Uint8Array =>
      emitIkePayloads(
        Array.from({ length: count }, (): IkePayload => ({ kind: 'V', data: new Uint8Array(4) })),
      )
    const full = many(IKE_PAYLOAD_LIMIT)
    assert.equal(parseIkePayloads(full, IkePayloadType.vendor, 0, full.length).length, IKE_PAYLOAD_LIMIT)
    const over = many(IKE_PAYLOAD_LIMIT + 1)
    assert.throws(() => parseIkePayloads(over, IkePayloadType.vendor, 0, over.length), {
      reason: 'ikePayload.nextPayload',
    })
  })

  test('whose SPI is zero, or with bytes behind its last payload, is refused', () => {
    const header = {
      initiatorSpi: new Uint8Array(8).fill(1),
      responderSpi: new Uint8Array(8),
      majorVersion: 2,
      minorVersion: 0,
      exchangeType: 34,
      flags: IKE_FLAG_INITIATOR,
      messageId: 0,
    }
    const good = emitIkeMessage({ header, payloads: [{ kind: 'V', data: Uint8Array.of(1) }] })
    assert.equal(good.length, IKE_HEADER_LENGTH + 5)
    assert.throws(() => parseIkeMessage(good.map((one, i) => (i < 8 ? 0 : one))), {
      reason: 'ike.initiatorSpi',
    })
    const longer = new Uint8Array(good.length + 1)
    longer.set(good)
    longer[27] = longer.length
    assert.throws(() => parseIkeMessage(longer), { reason: 'ikePayload.length' })
  })
})
