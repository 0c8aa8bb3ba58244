import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { SeededRandom } from '../../base/index.js'
import { nodeProvider } from '../../crypto/index.js'
import {
  IKE_HEADER_LENGTH,
  IKE_PAYLOAD_HEADER_LENGTH,
  type IkePayload,
  IkePayloadType,
  parseIkeMessage,
  parseIkePayloads,
} from '../../wire/ike/index.js'
import { EncryptedPayloads, type OutgoingHeader } from './encrypted.js'
import { type Agreed, encryptionKeyLength, integrityKeyLength } from './suites.js'

const suites: readonly Agreed[] = [
  { protocol: 'ike', esn: false, encryption: { name: 'ENCR_AES_GCM_16', keyBits: 256 } },
  { protocol: 'ike', esn: false, encryption: { name: 'ENCR_AES_CCM_8', keyBits: 128 } },
  { protocol: 'ike', esn: false, encryption: { name: 'ENCR_CHACHA20_POLY1305', keyBits: 256 } },
  {
    protocol: 'ike',
    esn: false,
    encryption: { name: 'ENCR_AES_CBC', keyBits: 256 },
    integrity: 'AUTH_HMAC_SHA2_256_128',
  },
  {
    protocol: 'ike',
    esn: false,
    encryption: { name: 'ENCR_3DES', keyBits: 192 },
    integrity: 'AUTH_HMAC_SHA1_96',
  },
  {
    protocol: 'ike',
    esn: false,
    encryption: { name: 'ENCR_AES_CTR', keyBits: 128 },
    integrity: 'AUTH_AES_XCBC_96',
  },
]

const header: OutgoingHeader = {
  initiatorSpi: new Uint8Array(8).fill(1),
  responderSpi: new Uint8Array(8).fill(2),
  majorVersion: 2,
  minorVersion: 0,
  exchangeType: 35,
  flags: 8,
  messageId: 1,
}
const BODY = IKE_HEADER_LENGTH + IKE_PAYLOAD_HEADER_LENGTH

for (const agreed of suites) {
  const make = (fill: number): EncryptedPayloads =>
    new EncryptedPayloads(
      nodeProvider,
      agreed,
      new Uint8Array(encryptionKeyLength(agreed.encryption!)).fill(fill),
      new Uint8Array(agreed.integrity === undefined ? 0 : integrityKeyLength(agreed.integrity)).fill(fill),
    )
  const payloadsOf = (length: number): IkePayload[] => [
    { kind: 'IDi', type: 2, data: new Uint8Array(length).fill(7) },
    { kind: 'AUTH', method: 2, data: new Uint8Array(32).fill(9) },
  ]

  describe(agreed.encryption!.name, () => {
    test('what is sealed opens, of any length; a changed byte anywhere does not', () => {
      const [sender, receiver] = [make(3), make(3)]
      const random = new SeededRandom(5)
      fc.assert(
        fc.property(fc.nat(300), fc.nat(), (length, place) => {
          const payloads = payloadsOf(length)
          const [bytes] = sender.seal(header, payloads, random)
          const { payloads: outside } = parseIkeMessage(bytes!)
          assert.equal(outside[0]?.kind, 'SK')
          const changed = bytes!.with(place % bytes!.length, bytes![place % bytes!.length]! ^ 0x40)
          assert.equal(receiver.open(changed, BODY), undefined)
          const plain = receiver.open(Uint8Array.from(bytes!), BODY)!
          const inside = parseIkePayloads(plain, IkePayloadType.idI, 0, plain.length)
          assert.deepEqual(
            inside.map(({ payload }) => payload),
            payloads,
          )
        }),
        { numRuns: 60 },
      )
      assert.equal(
        make(4).open(sender.seal(header, payloadsOf(9), random)[0]!, BODY),
        undefined,
        'another key',
      )
      assert.equal(receiver.open(new Uint8Array(BODY + 3), BODY), undefined, 'too short')
    })

    test('no two messages have one IV', () => {
      const sender = make(3)
      const random = new SeededRandom(6)
      const seen = new Set<string>()
      for (let i = 0; i < 300; i++) {
        const [bytes] = sender.seal(header, payloadsOf(1), random)
        seen.add(Buffer.from(bytes!.subarray(BODY, BODY + 8)).toString('hex'))
      }
      assert.equal(seen.size, 300)
    })

    test('a long message goes in fragments, none longer than the limit (RFC 7383)', () => {
      const [sender, receiver] = [make(3), make(3)]
      const payloads = payloadsOf(3000)
      const fragments = sender.seal(header, payloads, new SeededRandom(7), 576)
      assert.ok(fragments.length > 5)
      const parts: Uint8Array[] = []
      for (const [i, bytes] of fragments.entries()) {
        assert.ok(bytes.length <= 576, `${bytes.length}`)
        const [payload] = parseIkeMessage(bytes).payloads
        assert.ok(payload?.kind === 'SKF')
        assert.deepEqual([payload.number, payload.total], [i + 1, fragments.length])
        assert.equal(payload.first, i === 0 ? IkePayloadType.idI : 0)
        parts.push(receiver.open(bytes, BODY + 4)!)
      }
      const whole = Uint8Array.from(Buffer.concat(parts))
      assert.deepEqual(
        parseIkePayloads(whole, IkePayloadType.idI, 0, whole.length).map(({ payload }) => payload),
        payloads,
      )
      assert.equal(sender.seal(header, payloadsOf(10), new SeededRandom(8), 576).length, 1)
    })
  })
}
