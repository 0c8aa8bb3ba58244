/**
 * Security associations as three parties have them: `ip xfrm` of a Linux kernel, a `SaSpec` of ours, ipsec.conf. One
 * description gives all three texts, so that no case can differ by a slip of the pen.
 */
import { createHash } from 'node:crypto'
import { type IpAddress, parseIpAddress, toHex } from '../../src/base/index.js'
import { ENCRYPTIONS, INTEGRITIES } from '../../src/config/ipsec-conf/transforms.js'
import {
  AEADS,
  type AeadName,
  CIPHERS,
  type CipherName,
  type EncryptionName,
  encryptionAlgorithm,
  isAead,
  MACS,
  type MacName,
} from '../../src/crypto/index.js'
import { outerSpec, type SaSpec } from '../../src/proto/index.js'

/** What a template of the kernel's crypto is made of stands before the template; drbg is what seqiv draws its salt from. */
export const XFRM_MODULES: readonly string[] = [
  ...[
    'jitterentropy_rng',
    'hmac',
    'sha512_generic',
    'drbg',
    'ipv6',
    'xfrm_user',
    'esp4',
    'esp6',
    'ah4',
    'ah6',
  ],
  ...['xcbc', 'cmac', 'cbc', 'ctr', 'ecb', 'seqiv', 'echainiv', 'authenc', 'authencesn', 'gcm', 'ccm'],
  ...['chacha_generic', 'poly1305_generic', 'ghash-generic', 'chacha20poly1305', 'des_generic'],
]

export interface XfrmSuite {
  readonly encryption?: EncryptionName
  readonly integrity?: MacName
  /** Bytes of keying material, salt included; 0: none. */
  readonly encryptionKey: number
  readonly integrityKey: number
}

const KERNEL_AEADS: Readonly<Record<AeadName, string>> = {
  ENCR_AES_CCM_8: 'rfc4309(ccm(aes))',
  ENCR_AES_CCM_12: 'rfc4309(ccm(aes))',
  ENCR_AES_CCM_16: 'rfc4309(ccm(aes))',
  ENCR_AES_GCM_8: 'rfc4106(gcm(aes))',
  ENCR_AES_GCM_12: 'rfc4106(gcm(aes))',
  ENCR_AES_GCM_16: 'rfc4106(gcm(aes))',
  ENCR_NULL_AUTH_AES_GMAC: 'rfc4543(gcm(aes))',
  ENCR_CHACHA20_POLY1305: 'rfc7539esp(chacha20,poly1305)',
}
const KERNEL_CIPHERS: Readonly<Record<CipherName, string>> = {
  ENCR_3DES: 'cbc(des3_ede)',
  ENCR_NULL: 'ecb(cipher_null)',
  ENCR_AES_CBC: 'cbc(aes)',
  ENCR_AES_CTR: 'rfc3686(ctr(aes))',
}
const KERNEL_MACS: Readonly<Record<MacName, string>> = {
  AUTH_HMAC_SHA1_96: 'hmac(sha1)',
  AUTH_AES_XCBC_96: 'xcbc(aes)',
  AUTH_AES_CMAC_96: 'cmac(aes)',
  AUTH_HMAC_SHA2_256_128: 'hmac(sha256)',
  AUTH_HMAC_SHA2_384_192: 'hmac(sha384)',
  AUTH_HMAC_SHA2_512_256: 'hmac(sha512)',
}
export const MAC_NAMES: readonly MacName[] = Object.keys(KERNEL_MACS) as MacName[]

/** `keyBits`: of the cipher alone; default: the longest. */
export function suiteOf(encryption: EncryptionName, integrity?: MacName, keyBits?: number): XfrmSuite {
  const { keyLengths, saltLength } = encryptionAlgorithm(encryption)
  return {
    encryption,
    encryptionKey: (keyBits === undefined ? keyLengths.at(-1)! : keyBits / 8) + saltLength,
    integrityKey: 0,
    ...(integrity === undefined ? {} : { integrity, integrityKey: MACS[integrity].keyLengths[0]! }),
  }
}
export const ahSuite = (integrity: MacName): XfrmSuite => ({
  integrity,
  encryptionKey: 0,
  integrityKey: MACS[integrity].keyLengths[0]!,
})

/** Every encryption with every length of its key, and with every MAC where it needs one. */
export const espSuites: readonly XfrmSuite[] = [
  ...(Object.keys(AEADS) as AeadName[]).flatMap((name) =>
    AEADS[name].keyLengths.map((length) => suiteOf(name, undefined, 8 * length)),
  ),
  ...(Object.keys(CIPHERS) as CipherName[]).flatMap((name) =>
    CIPHERS[name].keyLengths.flatMap((length) => MAC_NAMES.map((mac) => suiteOf(name, mac, 8 * length))),
  ),
]
export const ahSuites: readonly XfrmSuite[] = MAC_NAMES.map(ahSuite)

export const suiteName = ({ encryption, integrity, encryptionKey }: XfrmSuite): string =>
  [encryption, encryptionKey === 0 ? undefined : `${8 * encryptionKey} bits`, integrity]
    .filter((part) => part !== undefined)
    .join(' ')

export interface Layout {
  readonly protocol: 'esp' | 'ah'
  readonly mode: 'tunnel' | 'transport'
  /** Family outside. */
  readonly outer: 4 | 6
  /** Family inside; in transport mode the same. */
  readonly inner: 4 | 6
  /** In UDP, both ports 4500. */
  readonly udp: boolean
}

/** One direction. */
export interface XfrmSa {
  readonly spi: number
  readonly source: string
  readonly destination: string
  readonly suite: XfrmSuite
  readonly esn?: boolean
  /** Of the receiver, in packets; default 64. */
  readonly window?: number
  /** The sequence number before the first. */
  readonly sequence?: { readonly high: number; readonly low: number }
  /** AH over IPv4: a header of whole 32-bit words, as RFC 4302 has it, not of 64-bit ones. */
  readonly align4?: boolean
  /** Tunnel mode: inner packets are made at least this long. */
  readonly tfcPadding?: number
}

/** Keys that look random and are the same in every run. */
export function keyOf(name: string, length: number): Uint8Array {
  const digest = createHash('shake256', { outputLength: Math.max(1, length) })
  return new Uint8Array(digest.update(name).digest()).subarray(0, length)
}
export function keysOf({ spi, suite }: XfrmSa): { encryption: Uint8Array; integrity: Uint8Array } {
  return {
    encryption: keyOf(`encryption ${spi}`, suite.encryptionKey),
    integrity: keyOf(`integrity ${spi}`, suite.integrityKey),
  }
}

/** The algorithms as `ip xfrm state add` takes them. */
export function kernelAlgorithms(suite: XfrmSuite, encryptionKey: string, integrityKey: string): string {
  const { encryption, integrity } = suite
  if (encryption !== undefined && isAead(encryption))
    return `aead '${KERNEL_AEADS[encryption]}' 0x${encryptionKey} ${8 * AEADS[encryption].icvLength}`
  const auth =
    integrity === undefined
      ? ''
      : `auth-trunc '${KERNEL_MACS[integrity]}' 0x${integrityKey} ${8 * MACS[integrity].icvLength}`
  if (encryption === undefined) return auth
  return `enc '${KERNEL_CIPHERS[encryption]}' ${encryptionKey === '' ? "''" : `0x${encryptionKey}`} ${auth}`
}

/**
 * A line for `ip -batch`: the SA in the kernel. `sends`: it is the kernel's outbound one. `reqid` joins it to its policy.
 */
export function kernelState(sa: XfrmSa, layout: Layout, sends: boolean, reqid: number): string {
  const { spi, source, destination, suite, esn = false, window = 64, sequence, align4, tfcPadding } = sa
  const { protocol, mode, outer, inner, udp } = layout
  const { encryption, integrity } = keysOf(sa)
  const flags = [
    ...(esn ? ['esn'] : []),
    ...(mode === 'tunnel' && outer !== inner ? ['af-unspec'] : []),
    ...(align4 ? ['align4'] : []),
  ]
  const seq = sends ? 'oseq' : 'seq'
  return [
    `xfrm state add src ${source} dst ${destination} proto ${protocol} spi ${spi} reqid ${reqid} mode ${mode}`,
    `replay-window ${window}`,
    sequence === undefined ? '' : `replay-${seq} ${sequence.low} replay-${seq}-hi ${sequence.high}`,
    ...flags.map((flag) => `flag ${flag}`),
    tfcPadding === undefined || !sends ? '' : `tfcpad ${tfcPadding}`,
    kernelAlgorithms(suite, toHex(encryption), toHex(integrity)),
    udp ? `encap espinudp 4500 4500 ${outer === 4 ? '0.0.0.0' : '::'}` : '',
  ]
    .filter((part) => part !== '')
    .join(' ')
}

/** A line for `ip -batch`. `source` and `destination` are prefixes of the packets inside. */
export function kernelPolicy(
  direction: 'in' | 'out',
  source: string,
  destination: string,
  sa: XfrmSa,
  { protocol, mode }: Layout,
  reqid: number,
): string {
  return (
    `xfrm policy add src ${source} dst ${destination} dir ${direction} ` +
    `tmpl src ${sa.source} dst ${sa.destination} proto ${protocol} reqid ${reqid} mode ${mode}`
  )
}

export const addressOf = (text: string): IpAddress => {
  const address = parseIpAddress(text)
  if (address === undefined) throw new Error(`no address: ${text}`)
  return address
}

/** Our end of the same SA. `sends`: it is our outbound one. */
export function saSpec(sa: XfrmSa, { protocol, mode, udp }: Layout, sends: boolean): SaSpec {
  const { spi, suite, esn = false, window = 64, sequence, align4, tfcPadding } = sa
  const ends = [addressOf(sa.source), addressOf(sa.destination)] as const
  const [here, there] = sends ? ends : [ends[1], ends[0]]
  const { encryption, integrity } = suite
  const { encryption: encryptionKey, integrity: integrityKey } = keysOf(sa)
  return {
    // Ours is 64 at least; of what we send, the window is the peer's.
    ...{ spi, protocol, mode, esn, window: Math.max(64, window), lifetimes: {} },
    suite: {
      ...(encryption === undefined ? {} : { encryption }),
      ...(integrity === undefined ? {} : { integrity }),
    },
    keys: { encryption: encryptionKey, integrity: integrityKey },
    ...(sequence === undefined ? {} : { sequence }),
    ...(sends ? { ivSeed: keyOf(`seed ${spi}`, 8) } : {}),
    ...(sends && tfcPadding !== undefined ? { tfcPadding } : {}),
    ...(udp ? { udpEncapsulation: true } : {}),
    ...(protocol === 'ah' ? { ahAlignment: align4 ? 4 : 8 } : {}),
    local: here.bytes,
    remote: there.bytes,
    outer: outerSpec({ local: here, remote: there }, protocol === 'esp' ? 50 : 51, 'ip'),
  }
}

/** The names in ipsec.conf: `auth NAME enc NAME`. */
export function ipsecAlgorithms({ encryption, integrity, encryptionKey }: XfrmSuite): string {
  const enc = [...ENCRYPTIONS.values()].find(
    ({ id, keyLengths }) => id === encryption && keyLengths.length === 1 && keyLengths[0] === encryptionKey,
  )
  const auth = [...INTEGRITIES.values()].find(({ id }) => id === integrity)
  const isNaked = auth === undefined && encryption !== undefined && !isAead(encryption)
  return [auth ? `auth ${auth.name}` : isNaked ? 'auth none' : '', enc ? `enc ${enc.name}` : '']
    .filter((part) => part !== '')
    .join(' ')
}

/** The SA rule of ipsec.conf for a pair, or for the one direction that is given. */
export function ipsecSaRule(out: XfrmSa, back: XfrmSa | undefined, { protocol, mode, udp }: Layout): string {
  const there = keysOf(out)
  const here = back === undefined ? undefined : keysOf(back)
  const both = (a: string, b: string | undefined): string => (b === undefined ? `0x${a}` : `0x${a}:0x${b}`)
  const keys = (word: string, a: Uint8Array, b: Uint8Array | undefined): string =>
    a.length === 0 ? '' : `${word} ${both(toHex(a), b === undefined ? undefined : toHex(b))}`
  return [
    `${protocol} ${mode} from ${out.source} to ${out.destination}`,
    `spi ${both(out.spi.toString(16), back?.spi.toString(16))}`,
    udp ? 'udpencap' : '',
    ipsecAlgorithms(out.suite),
    keys('authkey', there.integrity, here?.integrity),
    keys('enckey', there.encryption, here?.encryption),
  ]
    .filter((part) => part !== '')
    .join(' ')
}
