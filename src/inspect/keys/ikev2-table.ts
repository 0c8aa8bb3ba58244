/**
 * The keys of IKE SAs in the form that Wireshark keeps them in: the file `ikev2_decryption_table` of a profile, an SA a
 * line: both SPIs, SK_ei, SK_er, encryption, SK_ai, SK_ar, integrity; keys and SPIs in bare hexadecimal. It is what
 * strongSwan's save-keys writes too.
 *
 * As in esp_sa, a comment that begins with `#warren` is a record that only Warren reads.
 */
import { WarrenError } from '../../base/index.js'
import {
  type EncryptionName,
  encryptionAlgorithm,
  type MacName,
  macAlgorithm,
  splitKeyMaterial,
} from '../../crypto/names.js'

/** The keys of one IKE SA. */
export interface IkeSaKeys {
  /** 8 bytes each. */
  readonly initiatorSpi: Uint8Array
  readonly responderSpi: Uint8Array
  readonly encryption: EncryptionName
  /** SK_ei and SK_er, with the salt at the end where the algorithm has one. */
  readonly encryptionKeys: readonly [Uint8Array, Uint8Array]
  /** Undefined: an AEAD, or an ICV that nobody can check. */
  readonly integrity?: MacName
  /** SK_ai and SK_ar. */
  readonly integrityKeys: readonly [Uint8Array, Uint8Array]
  /** Bytes of an ICV that nobody can check. */
  readonly uncheckedIcv?: number
  /** An algorithm that Warren has not: its messages stay closed. */
  readonly unsupported?: string
}

const AES: readonly number[] = [128, 192, 256]

/** Wireshark's name, and ours with the key's length in bits. */
const ENCRYPTIONS: ReadonlyMap<string, { readonly name: EncryptionName; readonly bits: number }> = new Map([
  ['3DES [RFC2451]', { name: 'ENCR_3DES' as const, bits: 192 }],
  ['NULL [RFC2410]', { name: 'ENCR_NULL' as const, bits: 0 }],
  // Wireshark has no such name.
  ['ChaCha20 with Poly1305 [RFC7634]', { name: 'ENCR_CHACHA20_POLY1305' as const, bits: 256 }],
  ...AES.flatMap((bits): [string, { name: EncryptionName; bits: number }][] => [
    [`AES-CBC-${bits} [RFC3602]`, { name: 'ENCR_AES_CBC', bits }],
    [`AES-CTR-${bits} [RFC5930]`, { name: 'ENCR_AES_CTR', bits }],
    ...([8, 12, 16] as const).flatMap((icv): [string, { name: EncryptionName; bits: number }][] => [
      [`AES-GCM-${bits} with ${icv} octet ICV [RFC5282]`, { name: `ENCR_AES_GCM_${icv}`, bits }],
      [`AES-CCM-${bits} with ${icv} octet ICV [RFC5282]`, { name: `ENCR_AES_CCM_${icv}`, bits }],
    ]),
  ]),
])

const INTEGRITIES: ReadonlyMap<string, MacName> = new Map([
  ['HMAC_SHA1_96 [RFC2404]', 'AUTH_HMAC_SHA1_96'],
  ['HMAC_SHA2_256_128 [RFC4868]', 'AUTH_HMAC_SHA2_256_128'],
  ['HMAC_SHA2_384_192 [RFC4868]', 'AUTH_HMAC_SHA2_384_192'],
  ['HMAC_SHA2_512_256 [RFC4868]', 'AUTH_HMAC_SHA2_512_256'],
  // Wireshark has no such names.
  ['AES_XCBC_96 [RFC3566]', 'AUTH_AES_XCBC_96'],
  ['AES_CMAC_96 [RFC4494]', 'AUTH_AES_CMAC_96'],
])
const NOT_IN_WIRESHARK: readonly string[] = ['ENCR_CHACHA20_POLY1305']
const NOT_VERIFIED_BY_WIRESHARK: readonly string[] = ['AUTH_AES_XCBC_96', 'AUTH_AES_CMAC_96']

const NONE = 'NONE [RFC4306]'
const UNCHECKED: ReadonlyMap<string, number> = new Map(
  [64, 96, 128, 160, 192, 256].map((bits) => [`ANY ${bits}-bits of Authentication [No Checking]`, bits / 8]),
)
/** Wireshark has them, Warren does not. */
const NOT_HERE: readonly string[] = [
  'HMAC_MD5_96 [RFC2403]',
  'HMAC_MD5_128 [RFC4595]',
  'HMAC_SHA1_160 [RFC4595]',
  'HMAC_SHA2_256_96 [draft-ietf-ipsec-ciph-sha-256-00]',
]

const MOST_RECORDS = 10_000
const COMMENT = /^\s*(#|$)/
const OURS = /^#warren\s/
/** Both SPIs, in quotation marks or bare: no record of esp_sa begins so. */
const SHAPE = /^(#warren\s)?\s*"?[0-9a-fA-F]{16}"?\s*,\s*"?[0-9a-fA-F]{16}"?\s*,/m
const FIELD = /\s*(?:"([^"]*)"|([^",]*?))\s*(,|$)/y

/** Whether a text is such a table, rather than one of ESP. */
export const looksLikeIkev2Table = (text: string): boolean => SHAPE.test(text)

/** Throws `WarrenError` INSPECT_KEYS with the line's number; never with what stands there. */
export function parseIkev2Table(text: string, where: string): IkeSaKeys[] {
  const keys: IkeSaKeys[] = []
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const record = OURS.test(line) ? line.replace(OURS, '') : line
    if (COMMENT.test(record)) continue
    const refuse = (summary: string, expected: string): never => {
      throw new WarrenError('INSPECT_KEYS', summary, { where: `${where}:${i + 1}`, expected })
    }
    if (keys.length >= MOST_RECORDS) refuse('too many records', `at most ${MOST_RECORDS}`)
    keys.push(recordOf(fieldsOf(record), refuse))
  }
  return keys
}

type Refuse = (summary: string, expected: string) => never

function fieldsOf(line: string): string[] {
  const fields: string[] = []
  FIELD.lastIndex = 0
  for (;;) {
    const match = FIELD.exec(line)
    if (match === null) return []
    fields.push(match[1] ?? match[2] ?? '')
    if (match[3] === '') return fields
  }
}

function recordOf(fields: readonly string[], refuse: Refuse): IkeSaKeys {
  if (fields.length < 8) refuse('not a record of keys', 'eight fields with commas between them')
  const [spiI, spiR, ei, er, encryptionText, ai, ar, integrityText] = fields as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  const bytes = (text: string, what: string): Uint8Array => {
    const digits = text.replace(/^0x/i, '')
    if (!/^([0-9a-f]{2})*$/i.test(digits)) refuse(`wrong ${what}`, 'hexadecimal digits, two a byte')
    return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
      Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
    )
  }
  const spi = (text: string, whose: string): Uint8Array => {
    const value = bytes(text, `${whose} SPI`)
    return value.length === 8 ? value : refuse(`wrong ${whose} SPI`, '16 hexadecimal digits')
  }
  const ends = {
    initiatorSpi: spi(spiI, "initiator's"),
    responderSpi: spi(spiR, "responder's"),
    encryptionKeys: [bytes(ei, 'SK_ei'), bytes(er, 'SK_er')],
    integrityKeys: [bytes(ai, 'SK_ai'), bytes(ar, 'SK_ar')],
  } as const
  if (NOT_HERE.includes(integrityText))
    return { ...ends, encryption: 'ENCR_NULL', unsupported: integrityText }
  return withAlgorithms(ends, encryptionText, integrityText, refuse)
}

function withAlgorithms(
  ends: Pick<IkeSaKeys, 'initiatorSpi' | 'responderSpi' | 'encryptionKeys' | 'integrityKeys'>,
  encryptionText: string,
  integrityText: string,
  refuse: Refuse,
): IkeSaKeys {
  const encryption = ENCRYPTIONS.get(encryptionText)
  if (encryption === undefined) return refuse('no such encryption', [...ENCRYPTIONS.keys()].join(', '))
  const integrity = INTEGRITIES.get(integrityText)
  const unchecked = UNCHECKED.get(integrityText)
  if (integrity === undefined && unchecked === undefined && integrityText !== NONE)
    return refuse('no such integrity', [NONE, ...INTEGRITIES.keys(), ...UNCHECKED.keys()].join(', '))
  const { name, bits } = encryption
  const algorithm = encryptionAlgorithm(name)
  const isAead = algorithm.kind === 'aead'
  if (isAead && integrity !== undefined) refuse('integrity beside an encryption that has its own', NONE)
  if (!isAead && integrity === undefined && unchecked === undefined)
    refuse('an encryption without integrity', [...INTEGRITIES.keys()].join(', '))
  const length = bits / 8 + algorithm.saltLength
  if (ends.encryptionKeys.some((key) => key.length !== length))
    refuse('encryption key of the wrong length', `${length} bytes`)
  if (integrity !== undefined) {
    const { keyLengths } = macAlgorithm(integrity)
    if (ends.integrityKeys.some((key) => !keyLengths.includes(key.length)))
      refuse('integrity key of the wrong length', `${keyLengths.join(', ')} bytes`)
  }
  if (name !== 'ENCR_NULL') splitKeyMaterial(algorithm, ends.encryptionKeys[0])
  return {
    ...ends,
    encryption: name,
    ...(integrity === undefined ? {} : { integrity }),
    ...(unchecked === undefined || isAead ? {} : { uncheckedIcv: unchecked }),
  }
}

/** An IKE SA as those have it who made its keys. */
export interface KnownIkeSa {
  readonly spis: { readonly initiator: Uint8Array; readonly responder: Uint8Array }
  readonly agreed: {
    readonly encryption?: { readonly name: EncryptionName }
    readonly integrity?: MacName
  }
  readonly keys: {
    readonly ai: Uint8Array
    readonly ar: Uint8Array
    readonly ei: Uint8Array
    readonly er: Uint8Array
  }
}

/** Copies: who had the keys may wipe them. */
export function ikeKeysOf({ spis, agreed, keys }: KnownIkeSa): IkeSaKeys {
  const { encryption, integrity } = agreed
  return {
    initiatorSpi: Uint8Array.from(spis.initiator),
    responderSpi: Uint8Array.from(spis.responder),
    encryption: encryption?.name ?? 'ENCR_NULL',
    encryptionKeys: [Uint8Array.from(keys.ei), Uint8Array.from(keys.er)],
    ...(integrity === undefined ? {} : { integrity }),
    integrityKeys: [Uint8Array.from(keys.ai), Uint8Array.from(keys.ar)],
  }
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

function lineOf(sa: IkeSaKeys): string {
  const { saltLength } = encryptionAlgorithm(sa.encryption)
  const bits = 8 * (sa.encryptionKeys[0].length - saltLength)
  const encryption = [...ENCRYPTIONS].find(([, one]) => one.name === sa.encryption && one.bits === bits)![0]
  const named = [...INTEGRITIES].find(([, name]) => name === sa.integrity)
  const unchecked = [...UNCHECKED].find(([, length]) => length === sa.uncheckedIcv)
  const integrity = (named ?? unchecked)?.[0] ?? NONE
  const [ei, er] = sa.encryptionKeys.map(hex)
  const [ai, ar] = sa.integrityKeys.map(hex)
  return `${hex(sa.initiatorSpi)},${hex(sa.responderSpi)},${ei},${er},"${encryption}",${ai},${ar},"${integrity}"`
}

/** The file's text, which holds the keys in clear; what cannot be opened is left out, what is said twice written once. */
export function formatIkev2Table(keys: readonly IkeSaKeys[]): string {
  const lines = keys
    .filter(({ unsupported }) => unsupported === undefined)
    .map((sa) => {
      const exact = lineOf(sa)
      if (NOT_IN_WIRESHARK.includes(sa.encryption)) return `#warren ${exact}\n`
      if (sa.integrity === undefined || !NOT_VERIFIED_BY_WIRESHARK.includes(sa.integrity)) return `${exact}\n`
      const { integrity, ...others } = sa
      const none = new Uint8Array(0)
      const uncheckedIcv = macAlgorithm(integrity).icvLength
      const blind = { ...others, integrityKeys: [none, none] as const, uncheckedIcv }
      return `#warren ${exact}\n${lineOf(blind)}\n`
    })
  return [...new Set(lines)].join('')
}
