/** What payloads of IKEv2 say, as text: identities, certificates, signatures, selectors. No stranger's bytes throw. */
import { readUint16 } from '../../base/index.js'
import { algorithmIdentifier, type KeyType, schemesOf } from '../../crypto/signature.js'
import { DerReader, DerTag } from '../../crypto/x509/der-reader.js'
import { formatName } from '../../crypto/x509/name.js'
import { hexOf } from '../../wire/field.js'
import { IdType, SelectorType } from '../../wire/ike/index.js'
import { ip4Text, ip6Text } from '../print/text.js'

/** Characters of a stranger that a line shows. */
const SHOWN = 64

/** Text as it may stand in a terminal: what is not printable ASCII is a dot. */
export function printable(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  const stop = Math.min(end, start + SHOWN)
  for (let at = start; at < stop; at++) {
    const byte = bytes[at]!
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.'
  }
  return stop < end ? `${text}…` : text
}

export function isPrintable(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! < 0x20 || bytes[at]! > 0x7e) return false
  return end > start
}

/** An address of 4 or 16 bytes; undefined for another length. */
export function addressText(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start === 4) return ip4Text(bytes, start)
  return end - start === 16 ? ip6Text(bytes, start) : undefined
}

/** RFC 7296 section 3.5: what an identity of this type is, or what it should be. */
export function identityText(
  type: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): { readonly text: string } | { readonly expected: string } {
  switch (type) {
    case IdType.ipv4:
      return end - start === 4 ? { text: ip4Text(bytes, start) } : { expected: '4 bytes' }
    case IdType.ipv6:
      return end - start === 16 ? { text: ip6Text(bytes, start) } : { expected: '16 bytes' }
    case IdType.fqdn:
    case IdType.rfc822:
      return { text: printable(bytes, start, end) }
    case IdType.asn1Dn:
      return { text: formatName(bytes.subarray(start, end)) }
    case IdType.null:
      return end === start ? { text: 'none' } : { expected: 'nothing' }
    default:
      return {
        text: isPrintable(bytes, start, end) ? printable(bytes, start, end) : hexOf(bytes, start, end),
      }
  }
}

/** RFC 5280 section 4.1: subject and issuer of a certificate; undefined where these bytes are none. */
export function certificateNames(bytes: Uint8Array): { subject: string; issuer: string } | undefined {
  try {
    const outer = new DerReader(bytes)
    const certificate = new DerReader(outer.next(DerTag.sequence).content)
    const body = new DerReader(certificate.next(DerTag.sequence).content)
    // [0] version, serial number, algorithm.
    if (body.nextTag === 0xa0) body.next()
    body.next(DerTag.integer)
    body.next(DerTag.sequence)
    const issuer = formatName(body.next(DerTag.sequence).whole)
    body.next(DerTag.sequence)
    return { issuer, subject: formatName(body.next(DerTag.sequence).whole) }
  } catch {
    return undefined
  }
}

const KEY_TYPES: readonly KeyType[] = ['rsa', 'ecdsa', 'ed25519', 'ed448']

const identifierNames: ReadonlyMap<string, string> = new Map(
  KEY_TYPES.flatMap((type) =>
    schemesOf(type).map((scheme) => {
      const identifier = algorithmIdentifier(scheme, type)
      const hash = 'hash' in scheme ? ` with ${scheme.hash.toUpperCase().replace('SHA', 'SHA-')}` : ''
      const name = { 'rsa-pkcs1': 'RSA PKCS #1 v1.5', 'rsa-pss': 'RSA-PSS', ecdsa: 'ECDSA', eddsa: '' }[
        scheme.kind
      ]
      const bare = type === 'ed25519' ? 'Ed25519' : type === 'ed448' ? 'Ed448' : name
      return [hexOf(identifier, 0, identifier.length), `${bare}${hash}`] as const
    }),
  ),
)

/** RFC 7427 section 3: what an AlgorithmIdentifier names. */
export const algorithmText = (bytes: Uint8Array, start: number, end: number): string =>
  identifierNames.get(hexOf(bytes, start, end)) ?? 'none that Warren knows'

const VENDORS: Readonly<Record<string, string>> = {
  '882fe56d6fd20dbc2251613b2ebe5beb': 'strongSwan',
  '1e2b516905991c7d7c96fcbfb587e461': 'Microsoft, Windows 8 or later',
  afcad71368a1f1c96b8696fc77570100: 'dead peer detection, version 1.0 (RFC 3706)',
  '4a131c81070358455c5728f20e95452f': 'NAT traversal (RFC 3947)',
}

/** A vendor ID is the hash of some text, or the text itself. */
export function vendorText(bytes: Uint8Array, start: number, end: number): string | undefined {
  const known = VENDORS[hexOf(bytes, start, Math.min(end, start + 16))]
  if (known !== undefined && end - start === 16) return known
  return isPrintable(bytes, start, end) ? `"${printable(bytes, start, end)}"` : undefined
}

/** A traffic selector of `[start, end)` as `192.0.2.0-192.0.2.255 tcp 80-443`; undefined where it is cut off. */
export function selectorText(bytes: Uint8Array, start: number, end: number): string | undefined {
  const type = bytes[start]
  const size = type === SelectorType.ipv4Range ? 4 : type === SelectorType.ipv6Range ? 16 : 0
  if (size === 0 || end - start !== 8 + 2 * size) return undefined
  const [from, to] = [start + 8, start + 8 + size].map((at) => addressText(bytes, at, at + size)!)
  const protocol = bytes[start + 1]!
  const [first, last] = [readUint16(bytes, start + 4), readUint16(bytes, start + 6)]
  // RFC 7296 section 3.13.1: from 65535 to 0 is OPAQUE.
  const ports = first > last ? ' opaque' : first === 0 && last === 0xffff ? '' : ` ${first}-${last}`
  return `${from === to ? from : `${from}-${to}`}${protocol === 0 && ports === '' ? '' : ` proto ${protocol}${ports}`}`
}
