/** Wireshark's table of IKE SAs: written and read, told from that of ESP, refused without a word of what stands there. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { WarrenError } from '../../base/index.js'
import { encryptionAlgorithm, macAlgorithm, nodeProvider } from '../../crypto/index.js'
import { IKE_SUITES } from '../ike/testing.js'
import { joinKeys, KeyOpener, parseKeys } from './both.js'
import { formatEspSa } from './esp-sa.js'
import {
  formatIkev2Table,
  type IkeSaKeys,
  ikeKeysOf,
  looksLikeIkev2Table,
  parseIkev2Table,
} from './ikev2-table.js'
import { keysOf, linuxVectors } from './testing.js'

const key = (length: number, from: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (from + i) & 0xff)

const saOf = ({ encryption, integrity }: (typeof IKE_SUITES)[number]): IkeSaKeys => {
  const { name, keyBits } = encryption[0]!
  const algorithm = encryptionAlgorithm(name)
  const length = keyBits / 8 + algorithm.saltLength
  const mac = algorithm.kind === 'aead' ? undefined : integrity[0]
  const macLength = mac === undefined ? 0 : macAlgorithm(mac).keyLengths[0]!
  return ikeKeysOf({
    spis: { initiator: key(8, 1), responder: key(8, 100) },
    agreed: { encryption: { name }, ...(mac === undefined ? {} : { integrity: mac }) },
    keys: { ei: key(length, 3), er: key(length, 77), ai: key(macLength, 5), ar: key(macLength, 9) },
  })
}
const sas = IKE_SUITES.map(saOf)

describe('the table', () => {
  for (const sa of sas)
    test(`${sa.encryption} ${sa.encryptionKeys[0].length} ${sa.integrity ?? ''}: what is written is read`, () => {
      const read = parseIkev2Table(formatIkev2Table([sa]), 'table')
      assert.deepEqual(read[0], sa)
      // What Wireshark cannot verify has a record for it alone.
      assert.equal(read.length, /XCBC|CMAC/.test(sa.integrity ?? '') ? 2 : 1)
    })

  test('a line as strongSwan writes it, as Wireshark does, and with a column more', () => {
    const line =
      '0102030405060708,1112131415161718,00112233445566778899aabbccddeeff00112233,ffeeddccbbaa99887766554433221100aabbccdd,"AES-GCM-128 with 16 octet ICV [RFC5282]",,,"NONE [RFC4306]"'
    const [sa] = parseIkev2Table(line, 'table')
    assert.deepEqual(sa!.responderSpi, key(8, 0x11))
    assert.equal(sa!.encryption, 'ENCR_AES_GCM_16')
    assert.equal(formatIkev2Table([sa!]), `${line}\n`)
    const quoted = line.replace(/(?<=^|,)([0-9a-f]*)(?=,)/g, '"$1"')
    assert.deepEqual(parseIkev2Table(`# comment\n\n${quoted},"more"\r\n`, 'table'), [sa])
  })

  test('twice the same is written once; ChaCha20 is for Warren alone', () => {
    assert.equal(formatIkev2Table([sas[0]!, sas[0]!]).split('\n').length, 2)
    const chacha = sas.find(({ encryption }) => encryption === 'ENCR_CHACHA20_POLY1305')!
    assert.match(formatIkev2Table([chacha]), /^#warren /)
  })

  test('an algorithm that Warren has not leaves its messages closed, with its name', () => {
    const line = `${'01'.repeat(8)},${'02'.repeat(8)},${'03'.repeat(24)},${'04'.repeat(24)},"3DES [RFC2451]",${'05'.repeat(16)},${'06'.repeat(16)},"HMAC_MD5_96 [RFC2403]"`
    const [sa] = parseIkev2Table(line, 'table')
    assert.equal(sa!.unsupported, 'HMAC_MD5_96 [RFC2403]')
    assert.equal(formatIkev2Table([sa!]), '')
    const bytes = new Uint8Array(80)
    bytes.set(sa!.initiatorSpi)
    bytes.set(sa!.responderSpi, 8)
    const sealed = { bytes, start: 0, end: 80, at: 32, isFragment: false }
    assert.equal(
      new KeyOpener({ sas: [], ikeSas: [sa!] }, nodeProvider).openIke(sealed),
      'not opened: Warren has no HMAC_MD5_96 [RFC2403]',
    )
  })
})

describe('which table it is', () => {
  const esp = formatEspSa(linuxVectors.slice(0, 20).map(keysOf))
  test('is seen from its records', () => {
    for (const sa of sas) assert.ok(looksLikeIkev2Table(`# of today\n${formatIkev2Table([sa])}`))
    assert.ok(!looksLikeIkev2Table(esp))
    const keys = joinKeys([parseKeys(esp, 'a'), parseKeys(formatIkev2Table(sas.slice(0, 3)), 'b')])
    assert.ok(keys.sas.length > 0)
    assert.equal(keys.ikeSas.length, 3)
  })
})

describe('refused', () => {
  const good = formatIkev2Table([sas[0]!]).trim()
  const secret = Buffer.from(sas[0]!.encryptionKeys[0]).toString('hex')
  for (const [what, line, said] of [
    ['too few fields', good.split(',').slice(0, 6).join(','), /not a record of keys/],
    ['an SPI of 7 bytes', good.replace(/^../, ''), /wrong initiator's SPI/],
    ['a key with a letter', good.replace(secret, `${secret.slice(0, -1)}x`), /wrong SK_ei/],
    ['a key too short', good.replace(secret, secret.slice(2)), /encryption key of the wrong length/],
    ['an unknown encryption', good.replace('AES-CBC-128', 'AES-CBC-129'), /no such encryption/],
    ['an unknown integrity', good.replace('HMAC_SHA2_256_128', 'HMAC_SHA3'), /no such integrity/],
    ['no integrity', good.replace('HMAC_SHA2_256_128 [RFC4868]', 'NONE [RFC4306]'), /without integrity/],
    [
      'integrity of an AEAD',
      good.replace('AES-CBC-128 [RFC3602]', 'AES-GCM-128 with 8 octet ICV [RFC5282]'),
      /has its own/,
    ],
    ['text', 'hello', /not a record of keys/],
  ] as const)
    test(`${what}, with the line's number and without its text`, () => {
      assert.throws(
        () => parseIkev2Table(`\n${line}\n`, 'table'),
        (error: unknown) => {
          assert.ok(error instanceof WarrenError)
          assert.equal(error.code, 'INSPECT_KEYS')
          assert.match(error.message, said)
          assert.match(error.message, /table:2/)
          return !error.message.includes(secret.slice(0, 12))
        },
      )
    })
  test('any text is read or refused', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `${good}${text}`),
        ),
        (text) => {
          try {
            parseKeys(text, 'any')
          } catch (error) {
            assert.ok(error instanceof WarrenError)
          }
        },
      ),
    )
  })
})
