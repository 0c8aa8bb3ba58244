/**
 * The keys of ESP and AH in the form that Wireshark keeps them in: the file `esp_sa` of a profile, a security
 * association a line: protocol, source, destination, SPI, encryption and its key, authentication and its key. AH has
 * no table in Wireshark; its SAs are records without encryption, which Wireshark does not use and Warren verifies by.
 *
 * A comment that begins with `#warren` is a record that only Warren reads, for algorithms that Wireshark has not.
 */
import { type IpAddress, WarrenError } from '../../base/index.js'
import {
  type EncryptionName,
  encryptionAlgorithm,
  type MacName,
  macAlgorithm,
  splitKeyMaterial,
} from '../../crypto/names.js'
import {
  ENCRYPTIONS,
  GCM_BY_ICV,
  GCM_OF_ANY_LENGTH,
  INTEGRITIES,
  NOT_HERE,
  NOT_IN_WIRESHARK,
  NOT_VERIFIED_BY_WIRESHARK,
  UNCHECKED,
} from './algorithms.js'
import { addressPattern, spiPattern } from './pattern.js'
import { formatUatRecord, parseUatRecord } from './uat.js'

/** One direction. Addresses and SPI as the file has them: `*` and prefixes are allowed. */
export interface SaKeys {
  readonly family: 4 | 6
  readonly source: string
  readonly destination: string
  readonly spi: string
  /** `ENCR_NULL`: none. */
  readonly encryption: EncryptionName
  /** With the salt at its end, where the algorithm has one. */
  readonly encryptionKey: Uint8Array
  readonly integrity?: MacName
  readonly integrityKey: Uint8Array
  /** Without `integrity`: bytes of an ICV that is there and that nobody can check. */
  readonly uncheckedIcv?: number
  /** An algorithm that Warren has not: its packets stay closed. */
  readonly unsupported?: string
}

/** Records of one file; a thief of memory is not served with more. */
const MOST_RECORDS = 10_000
const COMMENT = /^\s*(#|$)/
const OURS = /^#warren\s/

/**
 * Reads such a file. Throws `WarrenError` INSPECT_KEYS with the line's number; never with what stands there, since that
 * may be a key.
 */
export function parseEspSa(text: string, where: string): SaKeys[] {
  const keys: SaKeys[] = []
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const record = OURS.test(line) ? line.replace(OURS, '') : line
    if (COMMENT.test(record)) continue
    if (keys.length >= MOST_RECORDS) refuse(where, i, 'too many records', `at most ${MOST_RECORDS}`)
    keys.push(recordOf(record, where, i))
  }
  return keys
}

function refuse(where: string, index: number, summary: string, expected: string): never {
  throw new WarrenError('INSPECT_KEYS', summary, { where: `${where}:${index + 1}`, expected })
}

function recordOf(line: string, where: string, index: number): SaKeys {
  const fields = parseUatRecord(line)
  // A newer Wireshark may have columns behind the eight.
  if (fields === undefined || fields.length < 8)
    refuse(
      where,
      index,
      'not a record of keys',
      'at least eight fields in quotation marks, commas between them',
    )
  const [
    protocol,
    source,
    destination,
    spi,
    encryptionText,
    encryptionKeyText,
    integrityText,
    integrityKeyText,
  ] = fields as [string, string, string, string, string, string, string, string]
  const family = protocol === 'IPv4' ? 4 : protocol === 'IPv6' ? 6 : undefined
  if (family === undefined) refuse(where, index, 'wrong protocol', '"IPv4" or "IPv6"')
  if (addressPattern(source, family) === undefined)
    refuse(where, index, 'wrong source address', `an ${protocol} address, a prefix, or *`)
  if (addressPattern(destination, family) === undefined)
    refuse(where, index, 'wrong destination address', `an ${protocol} address, a prefix, or *`)
  if (spiPattern(spi) === undefined) refuse(where, index, 'wrong SPI', '0x and up to 8 digits, or *')
  const encryptionKey = keyOf(encryptionKeyText)
  if (encryptionKey === undefined) refuse(where, index, 'wrong encryption key', '0x and hexadecimal digits')
  const integrityKey = keyOf(integrityKeyText)
  if (integrityKey === undefined)
    refuse(where, index, 'wrong authentication key', '0x and hexadecimal digits')
  const ends = { family, source, destination, spi, encryptionKey, integrityKey } as const
  const unsupported = [encryptionText, integrityText].find((name) => NOT_HERE.has(name))
  if (unsupported !== undefined) return { ...ends, encryption: 'ENCR_NULL', unsupported }
  return withAlgorithms(ends, encryptionText, integrityText, where, index)
}

function withAlgorithms(
  ends: Omit<SaKeys, 'encryption'>,
  encryptionText: string,
  integrityText: string,
  where: string,
  index: number,
): SaKeys {
  const unchecked = UNCHECKED.get(integrityText)
  const integrity = INTEGRITIES.get(integrityText)
  if (unchecked === undefined && integrity === undefined && integrityText !== 'NULL')
    refuse(
      where,
      index,
      'no such authentication',
      ['NULL', ...INTEGRITIES.keys(), ...UNCHECKED.keys()].join(', '),
    )
  const encryption =
    encryptionText === GCM_OF_ANY_LENGTH ? GCM_BY_ICV.get(unchecked ?? 16) : ENCRYPTIONS.get(encryptionText)
  if (encryption === undefined)
    refuse(where, index, 'no such encryption', [...ENCRYPTIONS.keys(), GCM_OF_ANY_LENGTH].join(', '))
  const isAead = encryptionAlgorithm(encryption).kind === 'aead'
  if (isAead && integrity !== undefined)
    refuse(where, index, 'authentication beside an encryption that has its own', 'NULL')
  checkLengths(encryption, ends.encryptionKey, integrity, ends.integrityKey, where, index)
  return {
    ...ends,
    encryption,
    ...(integrity === undefined ? {} : { integrity }),
    ...(unchecked === undefined || isAead ? {} : { uncheckedIcv: unchecked }),
  }
}

function checkLengths(
  encryption: EncryptionName,
  encryptionKey: Uint8Array,
  integrity: MacName | undefined,
  integrityKey: Uint8Array,
  where: string,
  index: number,
): void {
  try {
    if (encryption !== 'ENCR_NULL') splitKeyMaterial(encryptionAlgorithm(encryption), encryptionKey)
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    refuse(where, index, 'encryption key of the wrong length', `${error.details.expected} bytes`)
  }
  if (integrity === undefined) return
  const { keyLengths } = macAlgorithm(integrity)
  if (!keyLengths.includes(integrityKey.length))
    refuse(where, index, 'authentication key of the wrong length', `${keyLengths.join(', ')} bytes`)
}

/** Hexadecimal behind `0x`, a first digit alone counting as a byte; anything else is the key's own characters. */
function keyOf(text: string): Uint8Array | undefined {
  if (!/^0x/i.test(text)) return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff)
  const digits = text.length % 2 === 0 ? text.slice(2) : `0${text.slice(2)}`
  if (!/^[0-9a-f]*$/i.test(digits)) return undefined
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  )
}

/** An SA as those have it who set it up. */
export interface KnownSa {
  readonly spi: number
  readonly source: IpAddress
  readonly destination: IpAddress
  readonly encryption?: { readonly id: EncryptionName; readonly key: Uint8Array }
  readonly authentication?: { readonly id: MacName; readonly key: Uint8Array }
}

export function saKeysOf({ spi, source, destination, encryption, authentication }: KnownSa): SaKeys {
  return {
    family: source.family,
    source: String(source),
    destination: String(destination),
    spi: `0x${spi.toString(16).padStart(8, '0')}`,
    encryption: encryption?.id ?? 'ENCR_NULL',
    encryptionKey: encryption?.key ?? new Uint8Array(0),
    ...(authentication === undefined ? {} : { integrity: authentication.id }),
    integrityKey: authentication?.key ?? new Uint8Array(0),
  }
}

const nameIn = <T>(names: ReadonlyMap<string, T>, wanted: T): string =>
  [...names].find(([, name]) => name === wanted)?.[0] ?? 'NULL'

const hexOf = (key: Uint8Array): string =>
  `0x${Array.from(key, (byte) => byte.toString(16).padStart(2, '0')).join('')}`

/** The file's text, which holds the keys in clear. What cannot be opened (`unsupported`) is left out, what is said twice written once. */
export function formatEspSa(keys: readonly SaKeys[]): string {
  const lines = keys
    .filter(({ unsupported }) => unsupported === undefined)
    .map((sa) => {
      const exact = formatUatRecord(fieldsOf(sa))
      if (NOT_IN_WIRESHARK.has(sa.encryption)) return `#warren ${exact}\n`
      if (sa.integrity === undefined || !NOT_VERIFIED_BY_WIRESHARK.has(sa.integrity)) return `${exact}\n`
      const { integrity, ...rest } = sa
      const blind = {
        ...rest,
        integrityKey: new Uint8Array(0),
        uncheckedIcv: macAlgorithm(integrity).icvLength,
      }
      return `#warren ${exact}\n${formatUatRecord(fieldsOf(blind))}\n`
    })
  return [...new Set(lines)].join('')
}

function fieldsOf(sa: SaKeys): string[] {
  const integrity =
    sa.integrity === undefined
      ? sa.uncheckedIcv === undefined
        ? 'NULL'
        : nameIn(UNCHECKED, sa.uncheckedIcv)
      : nameIn(INTEGRITIES, sa.integrity)
  return [
    `IPv${sa.family}`,
    sa.source,
    sa.destination,
    sa.spi,
    nameIn(ENCRYPTIONS, sa.encryption),
    hexOf(sa.encryptionKey),
    integrity,
    hexOf(sa.integrityKey),
  ]
}
