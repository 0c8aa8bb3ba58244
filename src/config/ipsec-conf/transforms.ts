/**
 * The algorithms of ipsec.conf(5) by the names that file has for them, and what of IANA's registry each is. Names that
 * OpenBSD's ipsecctl(8) does not know are marked: they are Warren's, for peers that are not OpenBSD.
 */
import { didYouMean } from '../../base/index.js'
import type { EncryptionId, IntegrityId } from '../../engine/index.js'
import { refuse, shown, type Token } from '../grammar/tokens.js'

export interface EncryptionChoice {
  readonly name: string
  readonly id: EncryptionId
  /** Lengths in bytes that a key of it may have, the salt of a counter mode included (RFC 4106 section 8.1). */
  readonly keyLengths: readonly number[]
  /** It authenticates, too: no `auth` beside it. */
  readonly combined: boolean
  /** Two packets under one key and counter give both away: OpenBSD allows it with negotiated keys only. */
  readonly counter: boolean
  /** What is to be said of it to whoever chooses it. */
  readonly weakness?: string
  readonly ownName?: true
}

export interface IntegrityChoice {
  readonly name: string
  readonly id: IntegrityId
  readonly keyLengths: readonly number[]
  readonly ownName?: true
}

const AES = [16, 24, 32]

function encryption(
  name: string,
  id: EncryptionId,
  keyLengths: readonly number[],
  more: Partial<EncryptionChoice> = {},
): [string, EncryptionChoice] {
  return [name, { name, id, keyLengths, combined: false, counter: false, ...more }]
}

/** One name for each AES key length: PREFIX-128SUFFIX and so on; `salt` bytes follow the key. */
function aes(
  suffix: string,
  id: EncryptionId,
  salt: number,
  more: Partial<EncryptionChoice>,
): [string, EncryptionChoice][] {
  return AES.map((length) => encryption(`aes-${8 * length}${suffix}`, id, [length + salt], more))
}

const counter = { counter: true }
const combined = { counter: true, combined: true }

export const ENCRYPTIONS: ReadonlyMap<string, EncryptionChoice> = new Map([
  encryption('aes', 'ENCR_AES_CBC', AES),
  ...aes('', 'ENCR_AES_CBC', 0, {}),
  encryption(
    'aesctr',
    'ENCR_AES_CTR',
    AES.map((length) => length + 4),
    counter,
  ),
  ...aes('-ctr', 'ENCR_AES_CTR', 4, counter),
  ...aes('-gcm', 'ENCR_AES_GCM_16', 4, combined),
  ...aes('-gcm-12', 'ENCR_AES_GCM_12', 4, { ...combined, ownName: true }),
  ...aes('-gcm-8', 'ENCR_AES_GCM_8', 4, { ...combined, ownName: true }),
  ...aes('-ccm', 'ENCR_AES_CCM_16', 3, { ...combined, ownName: true }),
  ...aes('-ccm-12', 'ENCR_AES_CCM_12', 3, { ...combined, ownName: true }),
  ...aes('-ccm-8', 'ENCR_AES_CCM_8', 3, { ...combined, ownName: true }),
  ...aes('-gmac', 'ENCR_NULL_AUTH_AES_GMAC', 4, {
    ...combined,
    weakness: 'it authenticates and does not encrypt: everybody on the way can read the packets',
  }),
  encryption('chacha20-poly1305', 'ENCR_CHACHA20_POLY1305', [36], combined),
  encryption('3des-cbc', 'ENCR_3DES', [24], {
    weakness: 'its blocks of 64 bits give plaintext away after some gigabytes (RFC 8221 section 5); use aes',
  }),
  encryption('null', 'ENCR_NULL', [0], {
    weakness: 'it does not encrypt: everybody on the way can read the packets',
  }),
])

const integrity = (
  name: string,
  id: IntegrityId,
  keyLength: number,
  ownName?: true,
): [string, IntegrityChoice] => [
  name,
  { name, id, keyLengths: [keyLength], ...(ownName === undefined ? {} : { ownName }) },
]

export const INTEGRITIES: ReadonlyMap<string, IntegrityChoice> = new Map([
  integrity('hmac-sha1', 'AUTH_HMAC_SHA1_96', 20),
  integrity('hmac-sha2-256', 'AUTH_HMAC_SHA2_256_128', 32),
  integrity('hmac-sha2-384', 'AUTH_HMAC_SHA2_384_192', 48),
  integrity('hmac-sha2-512', 'AUTH_HMAC_SHA2_512_256', 64),
  integrity('aes-xcbc', 'AUTH_AES_XCBC_96', 16, true),
  integrity('aes-cmac', 'AUTH_AES_CMAC_96', 16, true),
])

/** Names that ipsecctl(8) knows and Warren has no use for. */
const NOT_OFFERED: Readonly<Record<string, string>> = {
  'hmac-md5': 'use auth hmac-sha2-256 on both sides',
  'hmac-ripemd160': 'use auth hmac-sha2-256 on both sides',
  blowfish: 'use enc aes on both sides',
  cast128: 'use enc aes on both sides',
  'des-cbc': 'use enc aes on both sides',
}

function choose<T>(token: Token, what: string, table: ReadonlyMap<string, T>): T {
  const choice = table.get(token.text)
  if (choice !== undefined) return choice
  const old = Object.hasOwn(NOT_OFFERED, token.text) ? NOT_OFFERED[token.text] : undefined
  if (old !== undefined)
    refuse(
      token,
      'CONFIG_UNSUPPORTED',
      `${what} ${token.text} is not offered: it is broken or long out of use`,
      {
        mend: old,
      },
    )
  const mend = didYouMean(token.text, table.keys())
  return refuse(token, 'CONFIG_BAD_VALUE', `${token.text} not a valid transform`, {
    found: `${what} ${shown(token)}`,
    expected: [...table.keys()].join(', '),
    ...(mend === undefined ? {} : { mend }),
  })
}

export const encryptionNamed = (token: Token): EncryptionChoice => choose(token, 'enc', ENCRYPTIONS)
/** `none` is not among them: it is the absence of any. */
export const integrityNamed = (token: Token): IntegrityChoice => choose(token, 'auth', INTEGRITIES)
