/** Who somebody is (RFC 7296 section 3.5): the body of an ID payload, and how people write it. */
import { type IpAddress, ipAddressFrom, parseIpAddress, WarrenError } from '../../base/index.js'
import { formatName, parseName, sameName } from '../../crypto/index.js'
import { IdType, idTypeNames } from '../../wire/ike/index.js'

export interface Identity {
  /** IANA's ID type. */
  readonly type: number
  readonly data: Uint8Array
}

const text = new TextEncoder()
/** Control characters and what is no ASCII stand as `\x..`: a log is read in a terminal. */
const printable = (data: Uint8Array): string =>
  Array.from(data, (byte) =>
    byte >= 0x20 && byte < 0x7f && byte !== 0x5c
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, '0')}`,
  ).join('')

export const addressIdentity = (address: IpAddress): Identity => ({
  type: address.family === 4 ? IdType.ipv4 : IdType.ipv6,
  data: Uint8Array.from(address.bytes),
})

/**
 * As iked.conf(5) and others write it: an address, `user@host`, a distinguished name (`/C=DE/CN=…`), else a domain name;
 * with a prefix (`FQDN/`, `UFQDN/`, `IPV4/`, `IPV6/`, `ASN1_DN/`, `KEY_ID/`) what it says. Throws `IKE_IDENTITY`.
 */
export function parseIdentity(written: string): Identity {
  const [, kind, rest] = /^(FQDN|UFQDN|IPV4|IPV6|ASN1_DN|KEY_ID)\/(.+)$/s.exec(written) ?? []
  const value = rest ?? written
  if (kind === 'ASN1_DN' || (kind === undefined && value.startsWith('/'))) {
    const name = parseName(value)
    if (name === undefined)
      throw new WarrenError('IKE_IDENTITY', 'a distinguished name that is none', {
        found: written,
        expected: '/C=DE/O=Example/CN=server1.domain',
      })
    return { type: IdType.asn1Dn, data: name }
  }
  const address = parseIpAddress(value)
  if (kind === 'IPV4' || kind === 'IPV6' || kind === undefined) {
    if (address !== undefined) return addressIdentity(address)
    if (kind !== undefined)
      throw new WarrenError('IKE_IDENTITY', 'an identity that is no address', { found: written })
  }
  if (value.length === 0) throw new WarrenError('IKE_IDENTITY', 'an empty identity')
  if (kind === 'KEY_ID') return { type: IdType.keyId, data: text.encode(value) }
  if (kind === 'UFQDN' || (kind === undefined && value.includes('@')))
    return { type: IdType.rfc822, data: text.encode(value.replace(/^@/, '')) }
  return { type: IdType.fqdn, data: text.encode(value) }
}

/** `FQDN/server1.domain`, `IPV4/192.0.2.1`: as iked logs it. CVE-2023-38711: data of a wrong length is shown, not read. */
export function formatIdentity({ type, data }: Identity): string {
  switch (type) {
    case IdType.ipv4:
      return data.length === 4 ? `IPV4/${ipAddressFrom(data)}` : `IPV4/(${data.length} bytes)`
    case IdType.ipv6:
      return data.length === 16 ? `IPV6/${ipAddressFrom(data)}` : `IPV6/(${data.length} bytes)`
    case IdType.fqdn:
      return `FQDN/${printable(data)}`
    case IdType.rfc822:
      return `UFQDN/${printable(data)}`
    case IdType.asn1Dn:
      return `ASN1_DN/${formatName(data)}`
    case IdType.keyId:
      return `KEY_ID/${printable(data)}`
    default:
      return `${idTypeNames[type] ?? `type ${type}`}/(${data.length} bytes)`
  }
}

export function sameIdentity(a: Identity, b: Identity): boolean {
  if (a.type !== b.type) return false
  if (a.type === IdType.asn1Dn) return sameName(a.data, b.data)
  if (a.data.length !== b.data.length) return false
  // RFC 7296 section 3.5 says nothing of case; names of hosts have none (RFC 4343).
  const isName = a.type === IdType.fqdn || a.type === IdType.rfc822
  return a.data.every((byte, i) => byte === b.data[i] || (isName && lower(byte) === lower(b.data[i]!)))
}

const lower = (byte: number): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)

/** The body of the ID payload: what authentication covers. */
export function identityBody({ type, data }: Identity): Uint8Array {
  const body = new Uint8Array(4 + data.length)
  body[0] = type
  body.set(data, 4)
  return body
}
