import assert from 'node:assert/strict'
import { test } from 'node:test'
import { desEncrypt, desKeyOf } from './des.js'
import { md4 } from './md4.js'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))

test('MD4: RFC 1320 appendix A.5', () => {
  const vectors: Record<string, string> = {
    '': '31d6cfe0d16ae931b73c59d7e0c089c0',
    a: 'bde52cb31de33e46245e05fbdbd6fb24',
    abc: 'a448017aaf21d8525fc10ae87aa6729d',
    'message digest': 'd9130a8164549fe818874806e1c7014b',
    abcdefghijklmnopqrstuvwxyz: 'd79e1c308aa5bbcdeea8ed63df412da9',
    ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789: '043f8582f241db351ce627e153e7f0e4',
    '12345678901234567890123456789012345678901234567890123456789012345678901234567890':
      'e33b4ddc9c38f2199c3e7b164fcc0536',
  }
  for (const [text, digest] of Object.entries(vectors))
    assert.equal(hex(md4(Buffer.from(text))), digest, text)
})

test('DES: the worked example of FIPS 46, weak keys, and SP 800-17’s variable plaintexts', () => {
  assert.equal(hex(desEncrypt(bytes('133457799bbcdff1'), bytes('0123456789abcdef'))), '85e813540f0ab405')
  assert.equal(hex(desEncrypt(bytes('0101010101010101'), bytes('8000000000000000'))), '95f8a5e5dd31d900')
  assert.equal(hex(desEncrypt(bytes('0101010101010101'), bytes('0000000000000001'))), '166b40b44aba4bd6')
  assert.equal(hex(desEncrypt(bytes('8001010101010101'), bytes('0000000000000000'))), '95a8d72813daa94d')
  // A weak key undoes itself.
  const weak = bytes('fefefefefefefefe')
  assert.equal(hex(desEncrypt(weak, desEncrypt(weak, bytes('0011223344556677')))), '0011223344556677')
})

test('RFC 2759 section 8.6: seven bytes make a key of eight', () => {
  assert.equal(hex(desKeyOf(bytes('ffffffffffffff'))), 'fefefefefefefefe')
  assert.equal(hex(desKeyOf(bytes('00000000000001'))), '0000000000000002')
})
