/**
 * The algorithms of iked.conf(5): its names, which of IANA's each is, and iked's defaults. Names that iked does not know
 * are marked: they are Warren's, for peers that are not OpenBSD, and are what its logs say.
 */
import { didYouMean } from '../../base/index.js'
import { type Encryption, GROUP_WORDS, type Suite } from '../../proto/ikev2/index.js'
import { refuse, shown, type Token } from '../grammar/tokens.js'

export interface EncryptionWord {
  readonly encryption: Encryption
  /** It authenticates, too: no `auth` beside it. */
  readonly combined: boolean
  readonly phases: readonly Phase[]
  readonly weakness?: string
}

/** `ikesa` protects the exchanges, `childsa` the packets. */
export type Phase = 'ikesa' | 'childsa'

/** One proposal, in the words of the file, each list in the order of preference. */
export interface IkedProposal {
  readonly enc: readonly string[]
  readonly prf: readonly string[]
  readonly auth: readonly string[]
  readonly group: readonly string[]
  readonly esn: readonly boolean[]
  /** Of addke1 to addke7, each as `group`; what stands behind the last that is written is left out. */
  readonly additional?: readonly (readonly string[])[]
}

type EncryptionName = Encryption['name']
const BOTH: readonly Phase[] = ['ikesa', 'childsa']
const CHILD: readonly Phase[] = ['childsa']

const word = (
  name: string,
  id: EncryptionName,
  keyBits: number,
  phases: readonly Phase[],
  more: { combined?: boolean; weakness?: string } = {},
): [string, EncryptionWord] => [name, { encryption: { name: id, keyBits }, combined: false, phases, ...more }]

const aes = (
  suffix: string,
  id: EncryptionName,
  phases: readonly Phase[],
  more: { combined?: boolean; weakness?: string } = {},
): [string, EncryptionWord][] =>
  [128, 192, 256].map((bits) => word(`aes-${bits}${suffix}`, id, bits, phases, more))

const combined = { combined: true }
const SMALL_BLOCKS = 'its blocks of 64 bits give plaintext away after some gigabytes; use aes-256-gcm'
const CLEAR = 'it does not encrypt: everybody on the way can read the packets'

/** In iked's order: an abbreviation is the first that it fits. */
export const ENCRYPTIONS: ReadonlyMap<string, EncryptionWord> = new Map([
  word('3des', 'ENCR_3DES', 192, BOTH, { weakness: SMALL_BLOCKS }),
  ...aes('', 'ENCR_AES_CBC', BOTH),
  ...aes('-ctr', 'ENCR_AES_CTR', CHILD),
  ...aes('-gcm', 'ENCR_AES_GCM_16', BOTH, combined),
  ...aes('-gcm-12', 'ENCR_AES_GCM_12', BOTH, combined),
  ...aes('-gmac', 'ENCR_NULL_AUTH_AES_GMAC', CHILD, { ...combined, weakness: CLEAR }),
  word('chacha20-poly1305', 'ENCR_CHACHA20_POLY1305', 256, BOTH, combined),
  word('null', 'ENCR_NULL', 0, CHILD, { weakness: CLEAR }),
  ...aes('-gcm-8', 'ENCR_AES_GCM_8', BOTH, combined),
  ...aes('-ccm-8', 'ENCR_AES_CCM_8', BOTH, combined),
  ...aes('-ccm-12', 'ENCR_AES_CCM_12', BOTH, combined),
  ...aes('-ccm-16', 'ENCR_AES_CCM_16', BOTH, combined),
])

export const INTEGRITIES: ReadonlyMap<string, Suite['integrity'][number]> = new Map([
  ['hmac-sha1', 'AUTH_HMAC_SHA1_96'],
  ['hmac-sha2-256', 'AUTH_HMAC_SHA2_256_128'],
  ['hmac-sha2-384', 'AUTH_HMAC_SHA2_384_192'],
  ['hmac-sha2-512', 'AUTH_HMAC_SHA2_512_256'],
  ['aes-xcbc', 'AUTH_AES_XCBC_96'],
  ['aes-cmac', 'AUTH_AES_CMAC_96'],
])

export const PRFS: ReadonlyMap<string, Suite['prf'][number]> = new Map([
  ['hmac-sha1', 'PRF_HMAC_SHA1'],
  ['hmac-sha2-256', 'PRF_HMAC_SHA2_256'],
  ['hmac-sha2-384', 'PRF_HMAC_SHA2_384'],
  ['hmac-sha2-512', 'PRF_HMAC_SHA2_512'],
  ['aes-xcbc', 'PRF_AES128_XCBC'],
  ['aes-cmac', 'PRF_AES128_CMAC'],
])

/** `none`: a child's alone. */
export const GROUPS: ReadonlyMap<string, Suite['keyExchange'][number] | 'NONE'> = new Map([
  ['none', 'NONE'],
  ['modp1024', 'MODP_1024'],
  ['modp1536', 'MODP_1536'],
  ['modp2048', 'MODP_2048'],
  ['modp3072', 'MODP_3072'],
  ['modp4096', 'MODP_4096'],
  ['modp6144', 'MODP_6144'],
  ['modp8192', 'MODP_8192'],
  ['ecp256', 'ECP_256'],
  ['ecp384', 'ECP_384'],
  ['ecp521', 'ECP_521'],
  ['curve25519', 'CURVE25519'],
  ['curve448', 'CURVE448'],
  ['mlkem512', 'ML_KEM_512'],
  ['mlkem768', 'ML_KEM_768'],
  ['mlkem1024', 'ML_KEM_1024'],
  ['sntrup761x25519', 'SNTRUP761X25519'],
])

export type Kind = 'enc' | 'auth' | 'prf' | 'group'

/** The last number that IANA gives of itself: what is private has no `grp` name. */
const LAST_OF_IANA = 1023

/** Other names for the same. */
const ALIASES: Readonly<Record<Kind, ReadonlyMap<string, string>>> = {
  enc: new Map([['3des-cbc', '3des']]),
  auth: new Map(),
  prf: new Map(),
  group: new Map(
    Object.entries(GROUP_WORDS)
      .filter(([number]) => Number(number) > 0 && Number(number) <= LAST_OF_IANA)
      .map(([number, name]) => [`grp${number}`, name]),
  ),
}

const OLD = 'it is broken or long out of use'
const reason = (why: string, ...names: readonly string[]): [string, string][] =>
  names.map((name) => [name, why])
/** What iked knows and Warren has not, and why. */
const NOT_OFFERED: Readonly<Record<Kind, ReadonlyMap<string, string>>> = {
  enc: new Map(reason(OLD, 'blowfish', 'cast')),
  auth: new Map(reason(OLD, 'hmac-md5')),
  prf: new Map(reason(OLD, 'hmac-md5')),
  group: new Map([
    ...reason(OLD, 'modp768', 'grp1', 'ecp192', 'grp25', 'ecp224', 'grp26', 'brainpool224', 'grp27'),
    ...reason(
      'Warren has no such curve',
      'brainpool256',
      'grp28',
      'brainpool384',
      'grp29',
      'brainpool512',
      'grp30',
    ),
  ]),
}

const INSTEAD: Readonly<Record<Kind, string>> = {
  enc: 'aes-256-gcm',
  auth: 'hmac-sha2-256',
  prf: 'hmac-sha2-256',
  group: 'curve25519',
}

const TABLES: Readonly<Record<Kind, ReadonlyMap<string, unknown>>> = {
  enc: ENCRYPTIONS,
  auth: INTEGRITIES,
  prf: PRFS,
  group: GROUPS,
}

/** What a word stands for. */
export interface Named {
  /** The usual name of it; absent: Warren has it not. */
  readonly name?: string
  /** What is to be said of it. */
  readonly warning?: string
  /** How to get along without it. */
  readonly mend?: string
}

const OWN =
  /^(?:aes-xcbc|aes-cmac|curve448|grp32|mlkem\d+|grp3[567]|aes-\d+-gcm-8|aes-\d+-ccm-\d+|aes-192-gcm-12)$/

/** Throws `WarrenError` for what neither iked nor Warren knows. As iked does, it takes the beginning of a name, too. */
export function named(token: Token, kind: Kind, phase: Phase): Named {
  const table = TABLES[kind]
  const text = token.text
  const known = [...table.keys(), ...ALIASES[kind].keys(), ...NOT_OFFERED[kind].keys()]
  const exact = known.includes(text) ? text : undefined
  const whole =
    exact ?? (text === '' ? undefined : known.find((name) => !OWN.test(name) && name.startsWith(text)))
  if (whole === undefined) {
    const mend = didYouMean(text, known)
    return refuse(token, 'CONFIG_BAD_VALUE', `${text} not a valid transform`, {
      found: `${kind} ${shown(token)}`,
      expected: [...table.keys()]
        .filter((name) => ENCRYPTIONS.get(name)?.phases.includes(phase) ?? true)
        .join(', '),
      ...(mend === undefined ? {} : { mend }),
    })
  }
  const name = ALIASES[kind].get(whole) ?? whole
  const missing = NOT_OFFERED[kind].get(name)
  const mend = `use ${kind} ${INSTEAD[kind]} on both sides`
  if (missing !== undefined) return { warning: `${kind} ${whole} is not offered: ${missing}`, mend }
  const encryption = kind === 'enc' ? ENCRYPTIONS.get(name) : undefined
  if (encryption !== undefined && !encryption.phases.includes(phase))
    refuse(token, 'CONFIG_BAD_VALUE', `${name} is for childsa alone`, {
      found: `${phase} enc ${shown(token)}`,
      expected: 'aes-128, aes-192, aes-256, one of the same with -gcm, or chacha20-poly1305',
      mend,
    })
  const weakness =
    encryption?.weakness ??
    (name === 'modp1024' || name === 'modp1536'
      ? 'the group is weak (RFC 8247 section 2.4); use curve25519 or modp2048'
      : undefined)
  const notes = [
    ...(exact === undefined ? [`${text} is read as ${name}`] : []),
    ...(weakness === undefined ? [] : [`${kind} ${name}: ${weakness}`]),
  ]
  return { name, ...(notes.length === 0 ? {} : { warning: notes.join('; ') }) }
}

const HASHES = ['hmac-sha2-256', 'hmac-sha2-384', 'hmac-sha2-512', 'hmac-sha1']
/** iked 7.2 offers modp1536 and modp1024 as well: weak, and here only where a file names them (RFC 8247 section 2.4). */
const IKE_GROUPS = ['curve25519', 'ecp521', 'ecp384', 'ecp256', 'modp4096', 'modp3072', 'modp2048']
const AES_CBC = ['aes-256', 'aes-192', 'aes-128']
const AES_GCM = ['aes-128-gcm', 'aes-256-gcm']

/** What iked 7.2 offers of itself, of each phase with authentication in the cipher and beside it. */
export const DEFAULTS: Readonly<
  Record<Phase, { readonly combined: IkedProposal; readonly plain: IkedProposal }>
> = {
  ikesa: {
    combined: { enc: AES_GCM, prf: HASHES, auth: [], group: IKE_GROUPS, esn: [] },
    plain: { enc: [...AES_CBC, '3des'], prf: HASHES, auth: HASHES, group: IKE_GROUPS, esn: [] },
  },
  childsa: {
    combined: { enc: AES_GCM, prf: [], auth: [], group: ['none'], esn: [true, false] },
    plain: { enc: AES_CBC, prf: [], auth: HASHES, group: ['none'], esn: [true, false] },
  },
}

/** A proposal as the protocol has it; two where a child's key exchange may be there or not. */
export function suitesOf(proposal: IkedProposal): Suite[] {
  const lookUp = <T>(table: ReadonlyMap<string, T>, words: readonly string[]): T[] =>
    words.flatMap((one) => {
      const found = table.get(one)
      return found === undefined ? [] : [found]
    })
  const common = {
    encryption: lookUp(ENCRYPTIONS, proposal.enc).map(({ encryption }) => encryption),
    integrity: lookUp(INTEGRITIES, proposal.auth),
    prf: lookUp(PRFS, proposal.prf),
    esn: proposal.esn,
    ...(proposal.additional === undefined
      ? {}
      : { additional: proposal.additional.map((words) => lookUp(GROUPS, words)) }),
  }
  const groups = lookUp(GROUPS, proposal.group)
  const real = groups.flatMap((group) => (group === 'NONE' ? [] : [group]))
  const withExchange = real.length === 0 ? [] : [{ ...common, keyExchange: real }]
  const without =
    real.length === groups.length && real.length > 0 ? [] : [{ ...common, keyExchange: [], additional: [] }]
  return groups[0] === 'NONE' ? [...without, ...withExchange] : [...withExchange, ...without]
}
