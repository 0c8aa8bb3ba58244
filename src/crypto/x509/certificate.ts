/**
 * X.509 certificates (RFC 5280) as IKE uses them (RFC 4945): parsed strictly, from strangers too, who get a reason and
 * never an exception. Nothing that a certificate names is fetched (CVE-2022-40617).
 */
import { loadPublicKey } from '../node/signature.js'
import type { PublicKey } from '../signature.js'
import {
  checkInteger,
  contextTag,
  type DerElement,
  DerError,
  DerReader,
  DerTag,
  readBoolean,
  readBytesOfBits,
  readFlags,
  readOid,
  readSmallInteger,
  readTime,
} from './der-reader.js'
import { readName } from './name.js'
import { type SignedBy, signedBy } from './signed.js'

export type AlternativeName =
  | { readonly kind: 'dns' | 'email'; readonly name: string }
  /** 4 or 16 bytes. */
  | { readonly kind: 'address'; readonly address: Uint8Array }
  /** A whole Name, DER. */
  | { readonly kind: 'directory'; readonly name: Uint8Array }

export interface Certificate {
  readonly der: Uint8Array
  /** As on the wire: a big-endian number. */
  readonly serial: Uint8Array
  /** Names as DER: what ID_DER_ASN1_DN carries. */
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  /** Milliseconds since 1970, both included. */
  readonly notBefore: number
  readonly notAfter: number
  readonly publicKey: PublicKey
  readonly alternativeNames: readonly AlternativeName[]
  /** Absent: it may issue none. */
  readonly authority?: { readonly pathLength?: number }
  /** Bits of `KeyUsage`; absent: any use. */
  readonly keyUsage?: number
  /** Object identifiers; absent: any purpose. */
  readonly purposes?: readonly string[]
  /** Whether another's key made its signature. */
  readonly signedBy: SignedBy
}

/** What was shown is none, or one that is not used. */
export interface Refused {
  readonly refused: string
}

/** RFC 5280 section 4.2.1.3, with the first bit as 0x8000. */
export const KeyUsage = {
  digitalSignature: 0x8000,
  nonRepudiation: 0x4000,
  keyCertSign: 0x0400,
  crlSign: 0x0200,
} as const

/** Longer ones are not read. */
export const CERTIFICATE_MAX = 32_768
const NAMES_MAX = 256
const EXTENSIONS_MAX = 64
/** RFC 5280 section 4.1.2.2. */
const SERIAL_MAX = 21

const OID = {
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  /** Says only by whose rules it was issued; without policies asked for it changes nothing (RFC 5280 section 6.1.1). */
  policies: '2.5.29.32',
  nameConstraints: '2.5.29.30',
} as const

interface Extensions {
  alternativeNames?: AlternativeName[]
  authority?: { readonly pathLength?: number }
  keyUsage?: number
  purposes?: string[]
}

/** One certificate, DER. */
export function parseCertificate(bytes: Uint8Array): Certificate | Refused {
  if (bytes.length > CERTIFICATE_MAX) return { refused: `a certificate of ${bytes.length} bytes` }
  try {
    return read(Uint8Array.from(bytes))
  } catch (error) {
    if (error instanceof DerError) return { refused: `not a certificate: ${error.message}` }
    // loadPublicKey: a key that Warren does not use.
    return { refused: `a certificate with ${error instanceof Error ? reasonOf(error) : 'an unusable key'}` }
  }
}

const reasonOf = (error: Error): string => error.message.split('\n', 1)[0]!

function read(bytes: Uint8Array): Certificate {
  const outer = new DerReader(bytes)
  const certificate = outer.inside(DerTag.sequence)
  outer.end()
  const tbs = certificate.next(DerTag.sequence)
  const algorithm = certificate.next(DerTag.sequence)
  const signature = readBytesOfBits(certificate.next(DerTag.bitString).content)
  certificate.end()

  const body = new DerReader(tbs.content)
  const version = body.optional(contextTag(0, true))
  const number =
    version === undefined ? 0 : readSmallInteger(new DerReader(version.content).next(DerTag.integer).content)
  if (number > 2) throw new DerError(`version ${number + 1}`)
  const serial = body.next(DerTag.integer).content
  checkInteger(serial)
  if (serial.length > SERIAL_MAX) throw new DerError('a serial number too long')
  const inner = body.next(DerTag.sequence)
  // RFC 5280 section 4.1.1.2: both have to say the same.
  if (!sameBytes(inner.whole, algorithm.whole)) throw new DerError('two algorithms of signature')
  const issuer = body.next(DerTag.sequence).whole
  const validity = body.inside(DerTag.sequence)
  const [notBefore, notAfter] = [readTime(validity.next()), readTime(validity.next())]
  validity.end()
  const subject = body.next(DerTag.sequence).whole
  const spki = body.next(DerTag.sequence).whole
  readName(issuer)
  readName(subject)
  // Unique identifiers: of version 2, no use.
  body.optional(contextTag(1, false))
  body.optional(contextTag(2, false))
  const extensions = body.optional(contextTag(3, true))
  body.end()
  if (extensions !== undefined && number !== 2) throw new DerError('extensions in an old version')
  const { alternativeNames = [], ...rest } = extensions === undefined ? {} : readExtensions(extensions)
  return {
    der: bytes,
    serial,
    issuer,
    subject,
    notBefore,
    notAfter,
    publicKey: loadPublicKey(spki),
    alternativeNames,
    ...rest,
    signedBy: signedBy(tbs.whole, algorithm.whole, signature),
  }
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])

/** RFC 5280 section 4.2. */
function readExtensions({ content }: DerElement): Extensions {
  const outer = new DerReader(content)
  const list = outer.inside(DerTag.sequence)
  outer.end()
  const seen = new Set<string>()
  const found: Extensions = {}
  while (!list.atEnd) {
    const extension = list.inside(DerTag.sequence)
    const id = readOid(extension.next(DerTag.oid).content)
    const critical = extension.optional(DerTag.boolean)
    const isCritical = critical !== undefined && readBoolean(critical.content)
    const value = new DerReader(extension.next(DerTag.octetString).content)
    extension.end()
    if (seen.has(id) || seen.size >= EXTENSIONS_MAX) throw new DerError('an extension twice, or too many')
    seen.add(id)
    switch (id) {
      case OID.subjectAltName:
        found.alternativeNames = readAlternativeNames(value.inside(DerTag.sequence))
        break
      case OID.basicConstraints: {
        const authority = readAuthority(value.inside(DerTag.sequence))
        if (authority !== undefined) found.authority = authority
        break
      }
      case OID.keyUsage:
        found.keyUsage = readFlags(value.next(DerTag.bitString).content)
        break
      case OID.extendedKeyUsage:
        found.purposes = readPurposes(value.inside(DerTag.sequence))
        break
      case OID.policies:
        continue
      default:
        // Name constraints that are not kept are none, whatever their flag says.
        if (isCritical || id === OID.nameConstraints)
          throw new DerError(`extension ${id}, which is not understood`)
        continue
    }
    value.end()
  }
  return found
}

function readAuthority(constraints: DerReader): { pathLength?: number } | undefined {
  const flag = constraints.optional(DerTag.boolean)
  const length = constraints.optional(DerTag.integer)
  constraints.end()
  if (flag === undefined || !readBoolean(flag.content)) return undefined
  return length === undefined ? {} : { pathLength: readSmallInteger(length.content) }
}

function readPurposes(list: DerReader): string[] {
  const purposes: string[] = []
  while (!list.atEnd && purposes.length < NAMES_MAX) purposes.push(readOid(list.next(DerTag.oid).content))
  return purposes
}

function readAlternativeNames(list: DerReader): AlternativeName[] {
  const names: AlternativeName[] = []
  while (!list.atEnd) {
    if (names.length >= NAMES_MAX) throw new DerError('too many names')
    const { tag, content } = list.next()
    switch (tag) {
      case contextTag(1, false):
        names.push({ kind: 'email', name: readAscii(content) })
        break
      case contextTag(2, false):
        names.push({ kind: 'dns', name: readAscii(content) })
        break
      case contextTag(4, true):
        readName(content)
        names.push({ kind: 'directory', name: content })
        break
      case contextTag(7, false):
        if (content.length !== 4 && content.length !== 16) throw new DerError('an address that is none')
        names.push({ kind: 'address', address: content })
        break
    }
  }
  return names
}

/** IA5String, whose printable part alone a name may have: a NUL inside has fooled others (CVE-2009-2408). */
function readAscii(content: Uint8Array): string {
  if (content.length === 0 || content.some((byte) => byte <= 0x20 || byte >= 0x7f))
    throw new DerError('a name with characters that no name has')
  return String.fromCharCode(...content)
}
