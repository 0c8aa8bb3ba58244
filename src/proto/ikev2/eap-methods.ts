/** The method of EAP that a policy wants, with what it needs of keys and users. */
import { bytesEqual } from '../../base/index.js'
import { type PublicKey, parseCertificate } from '../../crypto/index.js'
import { CertEncoding } from '../../wire/ike/index.js'
import type { Distrust } from './context.js'
import type { EapClient, EapRefusal, EapServer } from './eap-method.js'
import { EapMschapv2Client, EapMschapv2Server } from './eap-mschapv2.js'
import { eapName, type TlsIdentity } from './eap-tls.js'
import { EapTlsClient } from './eap-tls-client.js'
import { EapTlsServer } from './eap-tls-server.js'
import { formatIdentity, type Identity, parseIdentity } from './identity.js'
import type { EapAuthentication, IkePolicy } from './policy.js'
import { at, type Problem } from './proof.js'
import type { Session } from './session.js'

/** `server`: who the server has proved to be. `wake`: the method's `resume` may have something to say. */
export function eapClientOf(
  session: Session,
  { method, users }: EapAuthentication,
  server: Identity,
  wake: () => void,
): EapClient | Problem {
  const { context, policy } = session
  if (method === 'tls') {
    const own = ownTls(session)
    if ('text' in own) return own
    return new EapTlsClient({
      engine: context.tls,
      own,
      wake,
      name: eapName(formatIdentity(policy.localId)),
      // The one who speaks TLS is the one who speaks IKE.
      check: (certificates) => {
        const refused = refusesShown(session, server, certificates)
        return refused === undefined
          ? undefined
          : { reason: `EAP: TLS: ${refused.refused}`, mend: refused.mend }
      },
    })
  }
  const [user] = users
  if (user === undefined) return { text: 'EAP: no user', mend: 'write `user "NAME" "PASSWORD"`' }
  return new EapMschapv2Client({ userName: user.name, password: user.password, random: context.random })
}

/** `id`: who the client has said to IKE that it is. */
export function eapServerOf(
  session: Session,
  policy: IkePolicy & { readonly remoteAuth: EapAuthentication },
  id: Identity,
  wake: () => void,
): EapServer | Problem {
  const { context } = session
  const { method, users } = policy.remoteAuth
  if (method === 'tls') {
    const own = ownTls(session)
    if ('text' in own) return own
    return new EapTlsServer({
      engine: context.tls,
      own,
      wake,
      random: context.random,
      identify: (certificates, name) => identify(session, policy, id, name, certificates),
    })
  }
  return new EapMschapv2Server({
    name: new TextDecoder().decode(policy.localId.data.subarray(0, 64)),
    password: (userName) => users.find(({ name }) => name === userName)?.password,
    random: context.random,
  })
}

/** Our certificate as IKE would show it, and whom we trust. */
function ownTls({ context: { credentials }, policy: { localId } }: Session): TlsIdentity | Problem {
  const own = credentials.own(localId, [{ encoding: CertEncoding.x509, data: new Uint8Array(0) }])
  const certificates = (own?.certificates ?? []).filter(({ encoding }) => encoding === CertEncoding.x509)
  if (own === undefined || certificates.length === 0)
    return {
      text: `EAP-TLS: no certificate of ${formatIdentity(localId)} with our private key`,
      mend: 'put one into certs, or write srcid as the one there is called',
    }
  return {
    key: own.key,
    certificates: certificates.map(({ data }) => data),
    authorities: credentials.authorityCertificates?.() ?? [],
  }
}

/**
 * Whether somebody's certificate, whose key TLS has proved, is that of `id` and to be trusted: by the rules of IKE's own
 * certificates, lists of revoked ones among them.
 */
function refusesShown(
  { context: { credentials } }: Session,
  id: Identity,
  certificates: readonly Uint8Array[],
): Distrust | undefined {
  const [first] = certificates
  if (first === undefined)
    return { refused: `${formatIdentity(id)} shows no certificate`, mend: 'give the peer one' }
  const trusted: PublicKey | Distrust = credentials.peer(
    id,
    certificates.map((data) => ({ encoding: CertEncoding.x509, data })),
  )
  if ('refused' in trusted) return trusted
  // Trust may come from a key that we have of it: it has to be this one.
  const leaf = parseCertificate(first)
  return !('refused' in leaf) && bytesEqual(leaf.publicKey.spki, trusted.spki)
    ? undefined
    : {
        refused: `the certificate that ${formatIdentity(id)} shows is not the one that is known`,
        mend: 'replace the one that lies here',
      }
}

/**
 * Whom the certificate names: the one that the policy wants; else who the client has said to EAP that it is, or to IKE,
 * which some clients give their address.
 */
function identify(
  session: Session,
  policy: IkePolicy,
  id: Identity,
  name: Uint8Array,
  certificates: readonly Uint8Array[],
): Identity | EapRefusal {
  const said = namedBy(name)
  const candidates =
    policy.remoteId === undefined ? [...(said === undefined ? [] : [said]), id] : [policy.remoteId]
  let refused: Distrust | undefined
  for (const candidate of candidates) {
    const wrong = refusesShown(session, candidate, certificates)
    if (wrong === undefined) return candidate
    refused ??= wrong
  }
  return { reason: `EAP: TLS: ${refused!.refused}`, mend: `${refused!.mend}${at(policy)}` }
}

function namedBy(name: Uint8Array): Identity | undefined {
  try {
    return parseIdentity(new TextDecoder().decode(name))
  } catch {
    return undefined
  }
}
