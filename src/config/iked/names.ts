/** Whether a certificate is somebody's (RFC 4945 section 3.1): as iked, by subjectAltName or by the whole subject. */
import { type AlternativeName, type Certificate, sameName } from '../../crypto/index.js'
import { formatIdentity, type Identity, sameIdentity } from '../../proto/ikev2/identity.js'
import { IdType } from '../../wire/ike/index.js'

const ascii = new TextEncoder()

/** Undefined: no identity of IKE. */
function identityOf(name: AlternativeName): Identity | undefined {
  switch (name.kind) {
    case 'dns':
      return { type: IdType.fqdn, data: ascii.encode(name.name) }
    case 'email':
      return { type: IdType.rfc822, data: ascii.encode(name.name) }
    case 'address':
      return { type: name.address.length === 4 ? IdType.ipv4 : IdType.ipv6, data: name.address }
    case 'directory':
      return undefined
  }
}

/** Names are compared whole: a wildcard would be anybody's. */
export function isNamed(certificate: Certificate, id: Identity): boolean {
  if (id.type === IdType.asn1Dn) return sameName(certificate.subject, id.data)
  return certificate.alternativeNames.some((name) => {
    const identity = identityOf(name)
    return identity !== undefined && sameIdentity(identity, id)
  })
}

/** What a certificate may be asked for by, as iked.conf(5) writes it; a subject at least. */
export function namesOf(certificate: Certificate): string[] {
  const identities = certificate.alternativeNames.map(identityOf).filter((one) => one !== undefined)
  return [...identities, { type: IdType.asn1Dn, data: certificate.subject }].map(formatIdentity)
}
