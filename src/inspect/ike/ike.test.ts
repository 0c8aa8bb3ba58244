/** IKE: the article's lines, every byte of every payload, and what keys show. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, instantAt } from '../../base/index.js'
import { dissect } from '../dissect/dissect.js'
import { explain } from '../explain.js'
import { type PastedPacket, parseHexPaste } from '../hex-parse.js'
import { LinkType } from '../link-type.js'
import { tcpdumpLine } from '../print/line.js'
import { everyPayloadMessage, version1Message } from '../testing/ike.js'
import { ip4Packet, outer, udpDatagram } from '../testing/packets.js'
import { assertCovers, fieldsOf, ikeCapture, testCertificate, titles } from './testing.js'
import { certificateNames } from './text.js'

const at = (hours: number, minutes: number, second: number): number =>
  ((hours * 60 + minutes) * 60 + second) * 1_000_000
const onPort500 = (message: Uint8Array): Uint8Array =>
  ip4Packet(outer, 17, udpDatagram(outer, [500, 500], message))

/** Three of the article's dumps of an iked that begins, whose last bytes tcpdump did not capture. */
const article = [
  {
    time: at(20, 48, 8) + 624_410,
    lines: [
      '20:48:08.624410 192.168.1.2.isakmp > 192.168.1.1.isakmp: isakmp v2.0 exchange IKE_SA_INIT',
      '\tcookie: cdbf9c993440b100->0000000000000000 msgid: 00000000 len: 510',
      '\tpayload: SA len: 112 [|isakmp] (ttl 64, id 7709, len 538)',
    ],
    originalLength: 538,
    dump: `0000: 4500 021a 1e1d 0000 4011 d762 c0a8 0102  E.......@..b....
  0010: c0a8 0101 01f4 01f4 0206 0b72 cdbf 9c99  ...........r....
  0020: 3440 b100 0000 0000 0000 0000 2120 2208  4@..........! ".
  0030: 0000 0000 0000 01fe 2200 0070 0000 006c  ........"..p...l
  0040: 0101 000b 0300 000c 0100 000c 800e 0100  ................
  0050: 0300 000c 0100 000c 800e 00c0 0300 000c  ................
  0060: 0100 000c 800e                           ......`,
  },
  {
    time: at(20, 48, 8) + 701_677,
    lines: [
      '20:48:08.701677 192.168.1.1.isakmp > 192.168.1.2.isakmp: isakmp v2.0 exchange IKE_SA_INIT',
      '\tcookie: cdbf9c993440b100->97af7ba5d2574913 msgid: 00000000 len: 446',
      '\tpayload: SA len: 48 [|isakmp] (ttl 64, id 18426, len 474)',
    ],
    originalLength: 474,
    dump: `0000: 4500 01da 47fa 0000 4011 adc5 c0a8 0101  E...G...@.......
  0010: c0a8 0102 01f4 01f4 01c6 e112 cdbf 9c99  ................
  0020: 3440 b100 97af 7ba5 d257 4913 2120 2220  4@....{..WI.! "
  0030: 0000 0000 0000 01be 2200 0030 0000 002c  ........"..0...,
  0040: 0101 0004 0300 000c 0100 000c 800e 0100  ................
  0050: 0300 0008 0200 0005 0300 0008 0300 000c  ................
  0060: 0000 0008 0400                           ......`,
  },
  {
    time: at(20, 48, 8) + 738_394,
    lines: [
      '20:48:08.738394 192.168.1.2.isakmp > 192.168.1.1.isakmp: isakmp v2.0 exchange IKE_AUTH',
      '\tcookie: cdbf9c993440b100->97af7ba5d2574913 msgid: 00000001 len: 304',
      '\tpayload: E len: 276 [|isakmp] (ttl 64, id 288, len 332)',
    ],
    originalLength: 332,
    dump: `0000: 4500 014c 0120 0000 4011 f52d c0a8 0102  E..L. ..@..-....
  0010: c0a8 0101 01f4 01f4 0138 4afb cdbf 9c99  .........8J.....
  0020: 3440 b100 97af 7ba5 d257 4913 2e20 2308  4@....{..WI.. #.
  0030: 0000 0001 0000 0130 2300 0114 ebe4 b667  .......0#......g
  0040: df43 3278 ca6c c5b5 7cf2 9e27 8948 70f3  .C2x.l..|..'.Hp.
  0050: 9bef 443e 1c23 c291 2404 a611 5bc1 244b  ..D>.#..$...[.$K
  0060: 2e9e 0f3d 5208                           ...=R.`,
  },
]

describe('the article', () => {
  for (const { time, lines, originalLength, dump } of article)
    test(lines[0]!.slice(16), () => {
      const [{ bytes }] = parseHexPaste(dump) as [PastedPacket]
      const print = (verbose: number): string[] =>
        tcpdumpLine(bytes, LinkType.raw, { verbose, time: instantAt(time), originalLength }).split('\n')
      assert.deepEqual(print(1), lines)
      assert.deepEqual(print(0), lines.slice(0, 2))
      const { problems, layers } = explain(bytes, LinkType.raw, originalLength)
      assert.deepEqual(problems, [])
      assert.ok(layers.some(({ name }) => name === 'ikePayload'))
    })

  test('what iked 6.6 offers, as far as the dump goes', () => {
    const [{ bytes }] = parseHexPaste(article[0]!.dump) as [PastedPacket]
    const meanings = dissect(bytes, LinkType.raw, 538)
      .filter(({ name }) => name === 'ikeTransform')
      .map(({ fields }) => fields.map(({ field, value, meaning }) => `${field} ${value} ${meaning ?? ''}`))
    assert.ok(meanings[0]!.includes('id 12 ENCR_AES_CBC'))
    assert.ok(meanings[0]!.includes('attributeValue 256 bits'))
    assert.ok(meanings[1]!.includes('attributeValue 192 bits'))
  })
})

describe('every kind of payload', () => {
  const packet = onPort500(everyPayloadMessage())
  const layers = dissect(packet, LinkType.raw, packet.length)

  test('is named, with nothing wrong in a message of all of them', () => {
    assert.deepEqual(explain(packet, LinkType.raw, packet.length).problems, [])
    assert.equal(titles(layers).length, 27)
    assert.ok(titles(layers).includes('Payload of type 200'))
  })
  for (const said of [
    'Transform ID: ENCR_AES_GCM_16',
    'Transform ID: CURVE25519',
    'Key length: bits',
    'Attribute value: 3 bytes',
    'Identification data: 192.168.1.1',
    'Identification data: alice.example',
    'Certification authority: SHA-1 of its public key',
    'Auth method: shared key message integrity code',
    'AlgorithmIdentifier: Ed25519',
    'Signature: 64 bytes',
    'Notify message type: COOKIE (status)',
    'Notify message type: INVALID_KE_PAYLOAD (error)',
    'Notify message type: unknown (status)',
    'Cookie: 24 bytes',
    "SHA-1: not of this packet's source address and port: a NAT changed them, or is feigned",
    'Hash algorithm: SHA2-384',
    'Key exchange method wanted: ECP_256',
    'Address: 192.0.2.1',
    'URL: http://a.example/c',
    'Compression: DEFLATE',
    'Gateway: 192.0.2.9',
    "Nonce: the initiator's",
    'Vendor ID: "Warren"',
    'Starting address: 10.0.0.0',
    'Ending address: 10.0.0.255',
    'Start port: type 128, code 0',
    'Value: 172.16.5.1',
    'Value: 1:203:405:607:809:a0b:c0d:e0f/64',
    'Value: "Warren"',
    'Type: Identity',
    'Type data: "hi!!"',
    'Encrypted data and integrity check: 48 bytes',
  ])
    test(said, () => {
      assert.ok(fieldsOf(layers).includes(said), fieldsOf(layers).join('\n'))
    })
  test('names the section that defines it', () => {
    const refs = new Set(layers.flatMap(({ fields }) => fields.map(({ ref }) => ref)))
    for (const section of [
      '3.2',
      '3.3.1',
      '3.3.2',
      '3.3.5',
      '3.4',
      '3.5',
      '3.7',
      '3.8',
      '3.9',
      '3.11',
      '3.12',
    ])
      assert.ok(refs.has(`RFC 7296 section ${section}`), section)
    for (const section of ['3.13', '3.13.1', '3.14', '3.15', '3.15.1', '2.6', '2.23'])
      assert.ok(refs.has(`RFC 7296 section ${section}`), section)
    for (const ref of [
      'RFC 7427 section 3',
      'RFC 7427 section 4',
      'RFC 4555 section 4.1',
      'RFC 3748 section 5',
    ])
      assert.ok(refs.has(ref), ref)
  })
  test('-v prints each on a line', () => {
    const line = tcpdumpLine(packet, LinkType.raw, { verbose: 1 })
    for (const part of [
      '\n\tpayload: SA len: 67\n\t    proposal: 1 proto: ESP spisz: 4 xforms: 2 SPI: 0xc0de0001',
      '\n\t        transform: ENCR ID: ENCR_AES_GCM_16 KEY_LENGTH = 256',
      'payload: KE len: 40 group: CURVE25519',
      'payload: IDi len: 12 type: IPV4_ADDR = 192.168.1.1',
      'payload: IDr len: 21 type: FQDN = "alice.example"',
      'payload: CERTREQ len: 45 encoding: X.509 certificate, signature authorities: 2',
      'method: digital signature, Ed25519',
      'payload: NONCE len: 36',
      'notification: REKEY_SA proto: ESP SPI: 0x090a0b0c',
      'notification: 54321 (unknown)',
      'payload: D len: 16 proto: ESP nspis: 2\n\t    SPI: 0x01020304',
      'payload: V len: 10 "Warren"',
      'payload: TSi len: 24\n\t    10.0.0.0-10.0.0.255 proto 6 80-443',
      'type 77 (unknown)',
      'type: CFG_REPLY\n\t    attribute INTERNAL_IP4_ADDRESS = 172.16.5.1',
      'attribute INTERNAL_IP4_DNS = <none>',
      'payload: <unknown> len: 10 type: 200',
      'payload: E len: 52',
    ])
      assert.ok(line.includes(part), `${part}\nis not in\n${line}`)
  })
})

describe('wrong and hostile', () => {
  const changed = (offset: number, value: number): string[] => {
    const message = everyPayloadMessage()
    message[offset] = value
    const packet = onPort500(message)
    return [...explain(packet, LinkType.raw, packet.length).problems]
  }
  test('lengths, a zero SPI, a chain that goes on behind its end', () => {
    assert.match(
      changed(30, 255).join(),
      /payload length: found 653\d\d bytes, expected at most the \d+ in its message/,
    )
    assert.match(changed(26, 255).join(), /length: found \d+ bytes, expected at most the \d+ in its datagram/)
    const zero = onPort500(everyPayloadMessage().fill(0, 0, 8))
    assert.match(explain(zero, LinkType.raw).problems.join(), /initiator's spi: found zero/)
    const short = onPort500(
      concatBytes(everyPayloadMessage().subarray(0, 24), Uint8Array.of(0, 0, 0, 32, 41, 0, 0, 4)),
    )
    assert.match(
      explain(short, LinkType.raw, short.length).problems.join(),
      /next payload: found 41, expected 0/,
    )
  })
  test('version 1 is told as such, and not taken for version 2; later ones are not followed', () => {
    const packet = onPort500(version1Message())
    const layers = dissect(packet, LinkType.raw, packet.length)
    const header = layers.find(({ name }) => name === 'ike')!
    assert.equal(header.note, 'version 1 (RFC 2408, RFC 2409)')
    const meaning = (name: string): string | undefined =>
      header.fields.find(({ field }) => field === name)?.meaning
    assert.equal(meaning('nextPayload'), 'Security association')
    assert.equal(meaning('exchangeType'), 'identity protection (main mode)')
    assert.match(
      tcpdumpLine(packet, LinkType.raw, { verbose: 1 }),
      /isakmp v1\.0 exchange ID_PROT\n\tcookie: \S+ msgid: 00000002 len: 48 \(/,
    )
    const third = everyPayloadMessage()
    third[17] = 0x30
    assert.match(
      tcpdumpLine(onPort500(third), LinkType.raw, { verbose: 1 }),
      /v3\.0 .* len: \d+ new version \(/s,
    )
  })
  test('any bytes behind a header, and any change to a message: explained to the last bit, printed, never thrown at', () => {
    const message = everyPayloadMessage()
    const damaged = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => concatBytes(message.subarray(0, 28), bytes)),
      fc
        .array(fc.tuple(fc.nat(message.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
        .map((changes) => {
          const copy = message.slice()
          for (const [offset, value] of changes) copy[offset] = value
          return copy
        }),
    )
    fc.assert(
      fc.property(damaged, fc.boolean(), (bytes, encapsulated) => {
        const data = encapsulated ? concatBytes(new Uint8Array(4), bytes) : bytes
        const port = encapsulated ? 4500 : 500
        const packet = ip4Packet(outer, 17, udpDatagram(outer, [port, port], data))
        assertCovers(packet, dissect(packet, LinkType.raw, packet.length))
        tcpdumpLine(packet, LinkType.raw, { verbose: 2 })
      }),
      { numRuns: 2000 },
    )
  })
})

describe('NAT detection', () => {
  const said = (packet: Uint8Array): string[] =>
    dissect(packet, LinkType.raw)
      .flatMap(({ fields }) => fields)
      .filter(({ label }) => label === 'SHA-1')
      .map(({ meaning }) => meaning!.replace(/:.*/, ''))
  test('hashes are compared with the packet that they came in', () => {
    const [request, response] = ikeCapture().packets as [Uint8Array, Uint8Array]
    const right = ['source', 'destination'].map(
      (end) => `of both SPIs and this packet's ${end} address and port`,
    )
    assert.deepEqual(said(request), right)
    assert.deepEqual(said(response), right)
    // A NAT gives the sender another port.
    request[20]! ^= 0x40
    assert.deepEqual(said(request), ["not of this packet's source address and port", right[1]])
  })
})

test('names in certificates; bytes that are none have none', () => {
  assert.deepEqual(certificateNames(testCertificate()), {
    subject: '/CN=alice.example',
    issuer: '/O=Warren/CN=ca',
  })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) =>
      assert.equal(certificateNames(bytes), undefined),
    ),
  )
})
