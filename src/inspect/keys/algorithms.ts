/**
 * Algorithms as Wireshark's table of ESP SAs names them. What Wireshark does not know has a name of ours in the same
 * form; what Warren does not know is named too, so that a file that Wireshark reads is not refused for it.
 */
import type { EncryptionName, MacName } from '../../crypto/names.js'

/** Wireshark's name, without the ICV's length of its oldest entry for GCM, and Warren's. */
export const ENCRYPTIONS: ReadonlyMap<string, EncryptionName> = new Map([
  ['NULL', 'ENCR_NULL'],
  ['TripleDES-CBC [RFC2451]', 'ENCR_3DES'],
  ['AES-CBC [RFC3602]', 'ENCR_AES_CBC'],
  ['AES-CTR [RFC3686]', 'ENCR_AES_CTR'],
  ['AES-GCM with 8 octet ICV [RFC4106]', 'ENCR_AES_GCM_8'],
  ['AES-GCM with 12 octet ICV [RFC4106]', 'ENCR_AES_GCM_12'],
  ['AES-GCM with 16 octet ICV [RFC4106]', 'ENCR_AES_GCM_16'],
  // Wireshark 4.0 does not know it yet, and leaves such a record out.
  ['ChaCha20 with Poly1305 [RFC7634]', 'ENCR_CHACHA20_POLY1305'],
  ['AES-CCM with 8 octet ICV [RFC4309]', 'ENCR_AES_CCM_8'],
  ['AES-CCM with 12 octet ICV [RFC4309]', 'ENCR_AES_CCM_12'],
  ['AES-CCM with 16 octet ICV [RFC4309]', 'ENCR_AES_CCM_16'],
  ['AES-GMAC [RFC4543]', 'ENCR_NULL_AUTH_AES_GMAC'],
])

/** An older name: the ICV's length stands in the column of authentication. */
export const GCM_OF_ANY_LENGTH = 'AES-GCM [RFC4106]'
export const GCM_BY_ICV: ReadonlyMap<number, EncryptionName> = new Map([
  [8, 'ENCR_AES_GCM_8'],
  [12, 'ENCR_AES_GCM_12'],
  [16, 'ENCR_AES_GCM_16'],
])

export const INTEGRITIES: ReadonlyMap<string, MacName> = new Map([
  ['HMAC-SHA-1-96 [RFC2404]', 'AUTH_HMAC_SHA1_96'],
  ['HMAC-SHA-256-128 [RFC4868]', 'AUTH_HMAC_SHA2_256_128'],
  ['HMAC-SHA-384-192 [RFC4868]', 'AUTH_HMAC_SHA2_384_192'],
  ['HMAC-SHA-512-256 [RFC4868]', 'AUTH_HMAC_SHA2_512_256'],
  ['AES-XCBC-MAC-96 [RFC3566]', 'AUTH_AES_XCBC_96'],
  ['AES-CMAC-96 [RFC4494]', 'AUTH_AES_CMAC_96'],
])

/** Bytes of an ICV that nobody checks. */
export const UNCHECKED: ReadonlyMap<string, number> = new Map(
  [64, 96, 128, 192, 256].map((bits) => [`ANY ${bits} bit authentication [no checking]`, bits / 8]),
)

/** Wireshark has them, Warren does not. */
export const NOT_HERE: ReadonlySet<string> = new Set([
  'DES-CBC [RFC2405]',
  'CAST5-CBC [RFC2144]',
  'BLOWFISH-CBC [RFC2451]',
  'TWOFISH-CBC',
  'AES-GCM with IIV and 16 octet ICV [RFC4106 & RFC8750]',
  'ChaCha20 with Poly1305 and IIV [RFC7634 & RFC8750]',
  'HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]',
  'HMAC-MD5-96 [RFC2403]',
  'MAC-RIPEMD-160-96 [RFC2857]',
])

/** What Wireshark cannot decrypt. */
export const NOT_IN_WIRESHARK: ReadonlySet<EncryptionName> = new Set<EncryptionName>([
  'ENCR_AES_CCM_8',
  'ENCR_AES_CCM_12',
  'ENCR_AES_CCM_16',
  'ENCR_NULL_AUTH_AES_GMAC',
])

/** What Wireshark cannot verify; it decrypts all the same where the ICV's length is told. */
export const NOT_VERIFIED_BY_WIRESHARK: ReadonlySet<MacName> = new Set<MacName>([
  'AUTH_AES_XCBC_96',
  'AUTH_AES_CMAC_96',
])
