/**
 * Makes certificates and lists of revoked ones (RFC 5280): pkijs writes the structures, our own keys sign them. Loaded
 * only where an authority is kept, since the library is large.
 */
import {
  type BaseBlock,
  BitString,
  Constructed,
  fromBER,
  Integer,
  OctetString,
  Primitive,
  Sequence,
} from 'asn1js'
import {
  AlgorithmIdentifier,
  BasicConstraints,
  Certificate,
  CertificateRevocationList,
  Extension,
  Extensions,
  ExtKeyUsage,
  PublicKeyInfo,
  RelativeDistinguishedNames,
  RevokedCertificate,
  Time,
} from 'pkijs'
import { WarrenError } from '../../base/index.js'
import { algorithmIdentifier, type PrivateKey, type SignatureScheme, schemesOf } from '../signature.js'
import type { AlternativeName } from '../x509/certificate.js'
import { keyOfSpki } from '../x509/spki.js'
import { sha1 } from './hash.js'

/** Who signs: a name, DER, and a key. */
export interface Issuer {
  readonly name: Uint8Array
  readonly key: PrivateKey
}

export interface CertificateContents {
  /** A positive number, big-endian: 20 bytes at most. */
  readonly serial: Uint8Array
  /** DER. */
  readonly subject: Uint8Array
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** Milliseconds since 1970. */
  readonly notBefore: number
  readonly notAfter: number
  readonly alternativeNames?: readonly AlternativeName[]
  readonly authority?: { readonly pathLength?: number }
  /** Bits of KeyUsage, the first as 0x8000. */
  readonly keyUsage?: number
  readonly purposes?: readonly string[]
}

export interface RevocationContents {
  readonly thisUpdate: number
  readonly nextUpdate: number
  readonly revoked: readonly { readonly serial: Uint8Array; readonly at: number }[]
}

/** DER. Throws `CRYPTO_CERTIFICATE` for contents that cannot be written. */
export function issueCertificate(contents: CertificateContents, issuer: Issuer): Uint8Array {
  const { serial, subject, spki, notBefore, notAfter } = contents
  const { scheme, identifier } = signing(issuer.key)
  const certificate = new Certificate({
    version: 2,
    serialNumber: new Integer({ valueHex: positive(serial) }),
    signature: identifier,
    issuer: nameOf(issuer.name),
    notBefore: timeOf(notBefore),
    notAfter: timeOf(notAfter),
    subject: nameOf(subject),
    subjectPublicKeyInfo: new PublicKeyInfo({ schema: parsed(spki) }),
    extensions: [...extensionsOf(contents), ...keyIdentifiers(spki, issuer.key.publicKey.spki)],
    signatureAlgorithm: identifier,
  })
  const tbs = new Uint8Array(certificate.encodeTBS().toBER())
  certificate.signatureValue = new BitString({ valueHex: buffer(issuer.key.sign(scheme, tbs)) })
  // Whole anew: not from the bytes of one that was read.
  return new Uint8Array(certificate.toSchema(true).toBER())
}

/** DER. */
export function issueRevocationList(
  { thisUpdate, nextUpdate, revoked }: RevocationContents,
  issuer: Issuer,
): Uint8Array {
  const { scheme, identifier } = signing(issuer.key)
  const list = new WritableList({
    version: 1,
    signature: identifier,
    issuer: nameOf(issuer.name),
    thisUpdate: timeOf(thisUpdate),
    nextUpdate: timeOf(nextUpdate),
    ...(revoked.length === 0
      ? {}
      : {
          revokedCertificates: revoked.map(
            ({ serial, at }) =>
              new RevokedCertificate({
                userCertificate: new Integer({ valueHex: positive(serial) }),
                revocationDate: timeOf(at),
              }),
          ),
        }),
    crlExtensions: new Extensions({ extensions: keyIdentifiers(undefined, issuer.key.publicKey.spki) }),
    signatureAlgorithm: identifier,
  })
  const tbs = list.toBeSigned()
  list.signatureValue = new BitString({ valueHex: buffer(issuer.key.sign(scheme, tbs)) })
  return new Uint8Array(list.toSchema(true).toBER())
}

class WritableList extends CertificateRevocationList {
  toBeSigned(): Uint8Array {
    return new Uint8Array(this.encodeTBS().toBER())
  }
}

const buffer = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer

/** X.690 section 8.3: no leading zeros, and none that reads as negative. */
function positive(serial: Uint8Array): ArrayBuffer {
  const first = serial.findIndex((byte) => byte !== 0)
  if (first < 0) throw new WarrenError('CRYPTO_CERTIFICATE', 'a serial number of zero')
  const digits = serial.subarray(first)
  return digits[0]! >= 0x80 ? Uint8Array.of(0, ...digits).buffer : buffer(digits)
}

function parsed(der: Uint8Array): ReturnType<typeof fromBER>['result'] {
  const { offset, result } = fromBER(buffer(der))
  if (offset !== der.length) throw new WarrenError('CRYPTO_CERTIFICATE', 'a name or key that is no DER')
  return result
}

const nameOf = (name: Uint8Array): RelativeDistinguishedNames =>
  new RelativeDistinguishedNames({ schema: parsed(name) })

/** RFC 5280 section 4.1.2.5: UTCTime until 2049. Whole seconds. */
function timeOf(at: number): Time {
  const date = new Date(Math.floor(at / 1000) * 1000)
  return date.getUTCFullYear() < 2050
    ? new Time({ type: 0, value: date })
    : new Time({ type: 1, value: date })
}

/** RSA by PKCS #1 v1.5, which every peer verifies; a hash as strong as the curve. */
function signing(key: PrivateKey): { scheme: SignatureScheme; identifier: AlgorithmIdentifier } {
  const hash = key.type === 'ecdsa' && key.bits > 384 ? 'sha512' : key.bits === 384 ? 'sha384' : 'sha256'
  const scheme = schemesOf(key.type).find(
    (one) => one.kind === 'eddsa' || (one.kind !== 'rsa-pss' && one.hash === hash),
  )!
  return {
    scheme,
    identifier: new AlgorithmIdentifier({ schema: parsed(algorithmIdentifier(scheme, key.type)) }),
  }
}

/** An element of the context-specific class that holds bytes: how GeneralName has its texts. */
const tagged = (number: number, bytes: Uint8Array): Primitive =>
  new Primitive({ idBlock: { tagClass: 3, tagNumber: number }, valueHex: buffer(bytes) })

const text = new TextEncoder()
function generalNameOf(name: AlternativeName): BaseBlock {
  switch (name.kind) {
    case 'email':
      return tagged(1, text.encode(name.name))
    case 'dns':
      return tagged(2, text.encode(name.name))
    case 'address':
      return tagged(7, name.address)
    case 'directory':
      return new Constructed({ idBlock: { tagClass: 3, tagNumber: 4 }, value: [parsed(name.name)] })
  }
}

const extension = (extnID: string, critical: boolean, value: BaseBlock): Extension =>
  new Extension({ extnID, critical, extnValue: value.toBER() })

/** RFC 5280 section 4.2: what path validation needs is critical. */
function extensionsOf({ alternativeNames, authority, keyUsage, purposes }: CertificateContents): Extension[] {
  const extensions: Extension[] = [
    extension(
      '2.5.29.19',
      true,
      new BasicConstraints({
        cA: authority !== undefined,
        ...(authority?.pathLength === undefined ? {} : { pathLenConstraint: authority.pathLength }),
      }).toSchema(),
    ),
  ]
  if (keyUsage !== undefined) extensions.push(extension('2.5.29.15', true, flags(keyUsage)))
  if (purposes !== undefined)
    extensions.push(extension('2.5.29.37', false, new ExtKeyUsage({ keyPurposes: [...purposes] }).toSchema()))
  if (alternativeNames !== undefined && alternativeNames.length > 0)
    extensions.push(
      extension('2.5.29.17', false, new Sequence({ value: alternativeNames.map(generalNameOf) })),
    )
  return extensions
}

/** X.690 section 11.2.2: zeros at the end of named bits are left out. */
function flags(usage: number): BitString {
  let length = 16
  while (length > 1 && ((usage >> (16 - length)) & 1) === 0) length--
  const bytes = length > 8 ? Uint8Array.of(usage >> 8, usage & 0xff) : Uint8Array.of(usage >> 8)
  return new BitString({ valueHex: buffer(bytes), unusedBits: bytes.length * 8 - length })
}

/** RFC 5280 section 4.2.1.2, its first method: SHA-1 of the key without its algorithm. */
function keyIdentifiers(own: Uint8Array | undefined, issuer: Uint8Array): Extension[] {
  const identifier = (spki: Uint8Array): Uint8Array => sha1(keyOfSpki(spki))
  return [
    ...(own === undefined
      ? []
      : [extension('2.5.29.14', false, new OctetString({ valueHex: buffer(identifier(own)) }))]),
    extension('2.5.29.35', false, new Sequence({ value: [tagged(0, identifier(issuer))] })),
  ]
}
