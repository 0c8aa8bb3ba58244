/**
 * Published test cases of the ciphers. Facts taken from:
 *
 * - RFC 3686 section 6 (AES-CTR as ESP uses it) and RFC 3602 section 4 (AES-CBC), under BCP 78 and the IETF Trust's Legal
 *   Provisions (https://trustee.ietf.org/license-info)
 * - NIST SP 800-38A appendix F.2 (AES-CBC) and SP 800-67 appendix B.1 (Triple DES in ECB: one block of CBC with a zero IV is
 *   the same), works of the United States government, not subject to copyright
 *
 * All is hexadecimal; the IV of CTR is the first counter block.
 */
import type { CipherName } from '../names.js'

export interface CipherVector {
  readonly source: string
  readonly algorithm: CipherName
  readonly key: string
  readonly iv: string
  readonly plaintext: string
  readonly ciphertext: string
}

export const CIPHER_VECTORS: readonly CipherVector[] = [
  {
    source: 'RFC 3686 section 6, case 1',
    algorithm: 'ENCR_AES_CTR',
    key: 'ae6852f8121067cc4bf7a5765577f39e',
    iv: '00000030000000000000000000000001',
    plaintext: '53696e676c6520626c6f636b206d7367',
    ciphertext: 'e4095d4fb7a7b3792d6175a3261311b8',
  },
  {
    source: 'RFC 3686 section 6, case 2',
    algorithm: 'ENCR_AES_CTR',
    key: '7e24067817fae0d743d6ce1f32539163',
    iv: '006cb6dbc0543b59da48d90b00000001',
    plaintext: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    ciphertext: '5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28',
  },
  {
    source: 'RFC 3686 section 6, case 3',
    algorithm: 'ENCR_AES_CTR',
    key: '7691be035e5020a8ac6e618529f9a0dc',
    iv: '00e0017b27777f3f4a1786f000000001',
    plaintext: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223',
    ciphertext: 'c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f',
  },
  {
    source: 'RFC 3686 section 6, case 4',
    algorithm: 'ENCR_AES_CTR',
    key: '16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb78515',
    iv: '0000004836733c147d6d93cb00000001',
    plaintext: '53696e676c6520626c6f636b206d7367',
    ciphertext: '4b55384fe259c9c84e7935a003cbe928',
  },
  {
    source: 'RFC 3686 section 6, case 5',
    algorithm: 'ENCR_AES_CTR',
    key: '7c5cb2401b3dc33c19e7340819e0f69c678c3db8e6f6a91a',
    iv: '0096b03b020c6eadc2cb500d00000001',
    plaintext: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    ciphertext: '453243fc609b23327edfaafa7131cd9f8490701c5ad4a79cfc1fe0ff42f4fb00',
  },
  {
    source: 'RFC 3686 section 6, case 6',
    algorithm: 'ENCR_AES_CTR',
    key: '02bf391ee8ecb159b959617b0965279bf59b60a786d3e0fe',
    iv: '0007bdfd5cbd60278dcc091200000001',
    plaintext: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223',
    ciphertext: '96893fc55e5c722f540b7dd1ddf7e758d288bc95c69165884536c811662f2188abee0935',
  },
  {
    source: 'RFC 3686 section 6, case 7',
    algorithm: 'ENCR_AES_CTR',
    key: '776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c104',
    iv: '00000060db5672c97aa8f0b200000001',
    plaintext: '53696e676c6520626c6f636b206d7367',
    ciphertext: '145ad01dbf824ec7560863dc71e3e0c0',
  },
  {
    source: 'RFC 3686 section 6, case 8',
    algorithm: 'ENCR_AES_CTR',
    key: 'f6d66d6bd52d59bb0796365879eff886c66dd51a5b6a99744b50590c87a23884',
    iv: '00faac24c1585ef15a43d87500000001',
    plaintext: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    ciphertext: 'f05e231b3894612c49ee000b804eb2a9b8306b508f839d6a5530831d9344af1c',
  },
  {
    source: 'RFC 3686 section 6, case 9',
    algorithm: 'ENCR_AES_CTR',
    key: 'ff7a617ce69148e4f1726e2f43581de2aa62d9f805532edff1eed687fb54153d',
    iv: '001cc5b751a51d70a1c1114800000001',
    plaintext: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223',
    ciphertext: 'eb6c52821d0bbbf7ce7594462aca4faab407df866569fd07f48cc0b583d6071f1ec0e6b8',
  },
  {
    source: 'RFC 3602 section 4, case 1',
    algorithm: 'ENCR_AES_CBC',
    key: '06a9214036b8a15b512e03d534120006',
    iv: '3dafba429d9eb430b422da802c9fac41',
    plaintext: '53696e676c6520626c6f636b206d7367',
    ciphertext: 'e353779c1079aeb82708942dbe77181a',
  },
  {
    source: 'RFC 3602 section 4, case 2',
    algorithm: 'ENCR_AES_CBC',
    key: 'c286696d887c9aa0611bbb3e2025a45a',
    iv: '562e17996d093d28ddb3ba695a2e6f58',
    plaintext: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
    ciphertext: 'd296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1',
  },
  {
    source: 'RFC 3602 section 4, case 3',
    algorithm: 'ENCR_AES_CBC',
    key: '6c3ea0477630ce21a2ce334aa746c2cd',
    iv: 'c782dc4c098c66cbd9cd27d825682c81',
    plaintext:
      '5468697320697320612034382d62797465206d657373616765202865786163746c7920332041455320626c6f636b7329',
    ciphertext:
      'd0a02b3836451753d493665d33f0e8862dea54cdb293abc7506939276772f8d5021c19216bad525c8579695d83ba2684',
  },
  {
    source: 'RFC 3602 section 4, case 4',
    algorithm: 'ENCR_AES_CBC',
    key: '56e47a38c5598974bc46903dba290349',
    iv: '8ce82eefbea0da3c44699ed7db51b7d9',
    plaintext:
      'a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf',
    ciphertext:
      'c30e32ffedc0774e6aff6af0869f71aa0f3af07a9a31a9c684db207eb0ef8e4e35907aa632c3ffdf868bb7b29d3d46ad83ce9f9a102ee99d49a53e87f4c3da55',
  },
  {
    source: 'NIST SP 800-38A F.2.1',
    algorithm: 'ENCR_AES_CBC',
    key: '2b7e151628aed2a6abf7158809cf4f3c',
    iv: '000102030405060708090a0b0c0d0e0f',
    plaintext:
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
    ciphertext:
      '7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7',
  },
  {
    source: 'NIST SP 800-38A F.2.3',
    algorithm: 'ENCR_AES_CBC',
    key: '8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b',
    iv: '000102030405060708090a0b0c0d0e0f',
    plaintext:
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
    ciphertext:
      '4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd',
  },
  {
    source: 'NIST SP 800-38A F.2.5',
    algorithm: 'ENCR_AES_CBC',
    key: '603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4',
    iv: '000102030405060708090a0b0c0d0e0f',
    plaintext:
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
    ciphertext:
      'f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b',
  },
  {
    source: 'NIST SP 800-67 appendix B.1, block 1',
    algorithm: 'ENCR_3DES',
    key: '0123456789abcdef23456789abcdef01456789abcdef0123',
    iv: '0000000000000000',
    plaintext: '5468652071756663',
    ciphertext: 'a826fd8ce53b855f',
  },
  {
    source: 'NIST SP 800-67 appendix B.1, block 2',
    algorithm: 'ENCR_3DES',
    key: '0123456789abcdef23456789abcdef01456789abcdef0123',
    iv: '0000000000000000',
    plaintext: '6b2062726f776e20',
    ciphertext: 'cce21c8112256fe6',
  },
  {
    source: 'NIST SP 800-67 appendix B.1, block 3',
    algorithm: 'ENCR_3DES',
    key: '0123456789abcdef23456789abcdef01456789abcdef0123',
    iv: '0000000000000000',
    plaintext: '666f78206a756d70',
    ciphertext: '68d5c05dd9b6b900',
  },
]
