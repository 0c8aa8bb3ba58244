import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromHex } from '../base/index.js'
import { AH_HEADER_LENGTH, ah, ahLength } from './ah.js'
import { ESP_HEADER_LENGTH, ESP_TRAILER_LENGTH, esp, espTrailer, udpEncapsulated } from './esp.js'

test("ESP: the article's packet begins so", () => {
  const bytes = fromHex('927eb88c 00000002 aabb')!
  assert.deepEqual(esp.parse(bytes), { spi: 0x927eb88c, sequence: 2 })
  assert.equal(esp.view(bytes).payloadStart, ESP_HEADER_LENGTH)
  assert.deepEqual(esp.toBytes({ spi: 0x927eb88c, sequence: 2 }), bytes.subarray(0, 8))
  assert.throws(() => esp.view(bytes.subarray(0, 7)), { header: 'esp', field: 'sequence' })
})

test('ESP: an SPI of IANA’s is named as such', () => {
  const meaning = (spi: number): string | undefined =>
    esp.explain(esp.toBytes({ spi, sequence: 1 }))[0]!.meaning
  assert.deepEqual([meaning(0), meaning(255), meaning(256)], ['never on the wire', 'reserved', undefined])
})

test('ESP trailer: what is inside, and dummy packets', () => {
  const meaning = (nextHeader: number): string | undefined =>
    espTrailer.explain(espTrailer.toBytes({ padLength: 2, nextHeader }))[1]!.meaning
  assert.equal(espTrailer.minimumLength, ESP_TRAILER_LENGTH)
  assert.deepEqual([meaning(41), meaning(59)], ['IPv6 encapsulation', 'a dummy packet'])
})

test('AH: the length counts words of the whole header, less two', () => {
  const bytes = ah.toBytes({ nextHeader: 4, payloadLength: 4, spi: 0x1000, sequence: 7 })
  assert.deepEqual(bytes, fromHex('04 04 0000 00001000 00000007'))
  assert.equal(bytes.length, AH_HEADER_LENGTH)
  // RFC 4302 section 2.2: with a 96-bit ICV the field is 4.
  assert.equal(ahLength(4), 24)
  assert.equal(ah.explain(bytes)[1]!.meaning, '24 bytes')
})

test('RFC 3948: what a datagram of port 4500 holds', () => {
  const of = (text: string): string => {
    const bytes = fromHex(`ee ${text} ee`)!
    return udpEncapsulated(bytes, 1, bytes.length - 1)
  }
  assert.equal(of('ff'), 'keepalive')
  assert.equal(of('fe'), 'short')
  assert.equal(of(''), 'short')
  assert.equal(of('000000'), 'short')
  assert.equal(of('00000000'), 'ike')
  assert.equal(of('00000001'), 'esp')
  assert.equal(of('ffffffff'), 'esp')
})
