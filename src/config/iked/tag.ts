/** The variables of `tag` (iked.conf(5)), replaced when an SA is established. */
import { formatIdentity, type Identity } from '../../proto/ikev2/index.js'
import { IdType } from '../../wire/ike/index.js'

/** pf(4)'s limit, without the zero behind. */
const TAG_LIMIT = 63

export interface TagVariables {
  /** Who the peer has proved to be. */
  readonly id: Identity
  /** The name that it logged in with, where it did. */
  readonly eapId?: string
  /** Of the policy. */
  readonly name: string
}

/** Undefined, and no tag: a `$domain` of an identity without one, or too long once replaced, as iked decides. */
export function expandTag(tag: string, { id, eapId, name }: TagVariables): string | undefined {
  const written = formatIdentity(id)
  const commonName = id.type === IdType.asn1Dn ? /CN=[^/]*/.exec(written)?.[0] : undefined
  const domain = domainOf(id.type, written)
  if (tag.includes('$domain') && domain === undefined) return undefined
  const values: Readonly<Record<string, string>> = {
    id: commonName ?? written,
    eapid: eapId ?? '$eapid',
    name,
    domain: domain ?? '',
  }
  // At once: a peer's identity may have a variable's name in it.
  const expanded = tag.replaceAll(/\$(eapid|id|name|domain)/g, (_, variable: string) => values[variable]!)
  return new TextEncoder().encode(expanded).length > TAG_LIMIT ? undefined : expanded
}

function domainOf(type: number, written: string): string | undefined {
  if (type === IdType.fqdn) return /\.(.+)$/s.exec(written)?.[1]
  if (type === IdType.rfc822) return /@(.+)$/s.exec(written)?.[1]
  if (type === IdType.asn1Dn) return /CN=.*emailAddress=[^@]*@(.+)$/s.exec(written)?.[1]
  return undefined
}
