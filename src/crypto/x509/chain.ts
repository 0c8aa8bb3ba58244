/** From a certificate that somebody shows to an authority that we trust (RFC 5280 section 6, RFC 4945 section 5). */
import { type Certificate, KeyUsage, type Refused } from './certificate.js'
import type { RevocationList } from './crl.js'
import { formatName, sameName } from './name.js'

/** Certificates from the first to the authority, both counted. */
export const CHAIN_DEPTH_MAX = 8
/** Certificates that one peer may show. */
export const CHAIN_COUNT_MAX = 32
/** Signatures verified for one chain: certificates of many keys and one name make many paths (CVE-2020-28362's like). */
const CHECKS_MAX = 64

export interface TrustStore {
  readonly authorities: readonly Certificate[]
  readonly revocationLists: readonly RevocationList[]
  /** A chain may end at an authority that another one issued; else only at one that issued itself. */
  readonly partialChain?: boolean
}

/** RFC 4945 section 5.1.3.12, and what authorities for other uses write. */
const PURPOSES: ReadonlySet<string> = new Set([
  '2.5.29.37.0',
  '1.3.6.1.5.5.7.3.1',
  '1.3.6.1.5.5.7.3.2',
  '1.3.6.1.5.5.7.3.5',
  '1.3.6.1.5.5.7.3.6',
  '1.3.6.1.5.5.7.3.7',
  '1.3.6.1.5.5.7.3.17',
  '1.3.6.1.5.5.8.2.2',
])

/**
 * The certificates from `leaf` to a trusted authority. `shown`: what else the peer sent, in any order. `at`: wall-clock
 * time, milliseconds since 1970.
 */
export function buildChain(
  leaf: Certificate,
  shown: readonly Certificate[],
  { authorities, revocationLists, partialChain = false }: TrustStore,
  at: number,
): { readonly chain: readonly Certificate[] } | Refused {
  if (shown.length > CHAIN_COUNT_MAX) return { refused: `${shown.length} certificates shown` }
  const own = refusesLeaf(leaf, at)
  if (own !== undefined) return { refused: own }
  let checks = 0
  // What stopped the path that came nearest to an authority.
  let best: { depth: number; reason: string } | undefined
  const failed = (depth: number, reason: string): undefined => {
    if (best === undefined || depth > best.depth) best = { depth, reason }
    return undefined
  }

  const isEnd = ({ subject, issuer }: Certificate): boolean => partialChain || sameName(subject, issuer)

  const climb = (path: readonly Certificate[]): readonly Certificate[] | undefined => {
    const last = path.at(-1)!
    const name = formatName(last.subject)
    if (path.length >= CHAIN_DEPTH_MAX) return failed(path.length, 'a chain too long')
    const issuers = [
      ...authorities.map((one) => ({ one, trusted: isEnd(one) })),
      ...shown.map((one) => ({ one, trusted: false })),
    ].filter(({ one }) => !path.includes(one) && sameName(one.subject, last.issuer))
    if (issuers.length === 0)
      return failed(path.length, `no certificate of ${formatName(last.issuer)}, who issued ${name}`)
    for (const { one, trusted } of issuers) {
      if (++checks > CHECKS_MAX) return failed(Number.POSITIVE_INFINITY, 'too many ways to an authority')
      const wrong = refusesIssuer(one, path, at) ?? refusesLink(last, one)
      if (wrong !== undefined) {
        failed(path.length, wrong)
        continue
      }
      const revoked = refusesRevoked(last, one, revocationLists, at)
      if (revoked !== undefined) {
        failed(path.length, revoked)
        continue
      }
      const chain = trusted ? [...path, one] : climb([...path, one])
      if (chain !== undefined) return chain
    }
    return undefined
  }

  // A certificate that is itself in the folder of authorities is trusted as it stands.
  if (isEnd(leaf) && authorities.some((one) => sameBytes(one.der, leaf.der))) return { chain: [leaf] }
  const chain = climb([leaf])
  return chain === undefined ? { refused: best!.reason } : { chain }
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])

const day = (at: number): string => {
  const text = new Date(at).toISOString()
  return `${text.slice(0, 10)} ${text.slice(11, 16)} UTC`
}

function refusesTime({ notBefore, notAfter, subject }: Certificate, at: number): string | undefined {
  if (at < notBefore)
    return `the certificate of ${formatName(subject)} is valid only from ${day(notBefore)}, and it is ${day(at)}`
  if (at > notAfter)
    return `the certificate of ${formatName(subject)} ended at ${day(notAfter)}, and it is ${day(at)}`
  return undefined
}

function refusesLeaf(leaf: Certificate, at: number): string | undefined {
  const { keyUsage, purposes, subject } = leaf
  // RFC 4945 section 5.1.3.2: either will do.
  if (keyUsage !== undefined && (keyUsage & (KeyUsage.digitalSignature | KeyUsage.nonRepudiation)) === 0)
    return `the certificate of ${formatName(subject)} is not for signatures`
  if (purposes !== undefined && !purposes.some((purpose) => PURPOSES.has(purpose)))
    return `the certificate of ${formatName(subject)} is for other purposes`
  return refusesTime(leaf, at)
}

/** RFC 5280 section 6.1.4. `path`: from the first certificate to the one that it is to have issued. */
function refusesIssuer(issuer: Certificate, path: readonly Certificate[], at: number): string | undefined {
  const name = formatName(issuer.subject)
  if (issuer.authority === undefined) return `${name} is no authority`
  if (issuer.keyUsage !== undefined && (issuer.keyUsage & KeyUsage.keyCertSign) === 0)
    return `${name} may not issue certificates`
  const { pathLength } = issuer.authority
  // Those between the first and this one, without the ones that issued themselves.
  const between = path.slice(1).filter((one) => !sameName(one.subject, one.issuer)).length
  if (pathLength !== undefined && between > pathLength)
    return `${name} may have ${pathLength} authorities below it`
  return refusesTime(issuer, at)
}

function refusesLink(below: Certificate, issuer: Certificate): string | undefined {
  const signed = below.signedBy(issuer.publicKey)
  return signed === true ? undefined : `the certificate of ${formatName(below.subject)}: ${signed}`
}

/** As iked: where there is any list, every authority must have one. */
function refusesRevoked(
  certificate: Certificate,
  issuer: Certificate,
  lists: readonly RevocationList[],
  at: number,
): string | undefined {
  const own = lists.filter((list) => sameName(list.issuer, issuer.subject))
  const authority = formatName(issuer.subject)
  if (own.length === 0)
    return lists.length > 0 ? `no list of revoked certificates of ${authority}` : undefined
  if (issuer.keyUsage !== undefined && (issuer.keyUsage & KeyUsage.crlSign) === 0)
    return `${authority} may not revoke certificates`
  let wrong: string | undefined
  let current = false
  for (const list of own) {
    const signed = list.signedBy(issuer.publicKey)
    if (signed !== true) {
      wrong = `the list of revoked certificates of ${authority}: ${signed}`
      continue
    }
    // An old list still knows what was revoked.
    if (list.revoked(certificate.serial) !== undefined)
      return `the certificate of ${formatName(certificate.subject)} was revoked by ${authority}`
    if (at < list.thisUpdate)
      wrong ??= `the list of revoked certificates of ${authority} is from ${day(list.thisUpdate)}, and it is ${day(at)}`
    else if (list.nextUpdate !== undefined && at > list.nextUpdate)
      wrong ??= `the list of revoked certificates of ${authority} ended at ${day(list.nextUpdate)}, and it is ${day(at)}`
    else current = true
  }
  return current ? undefined : wrong
}
