/** Who both ends are (RFC 7296 section 2.15): what one side signs, our own proof, and what is to be said of the peer's. */
import type { IkePayload, PayloadOf } from '../../wire/ike/index.js'
import { sharedKeyPayload, signaturePayload, verifySharedKey, verifySignature } from './authenticate.js'
import type { CertificateData } from './context.js'
import { at, type Problem } from './doctor.js'
import { formatIdentity, type Identity, identityBody } from './identity.js'
import { findPayload } from './init.js'
import { signedOctets } from './keys.js'
import type { IkePolicy } from './policy.js'
import { perhapsPpk } from './ppk.js'
import type { Session } from './session.js'

export { at, type Problem } from './doctor.js'

/** What `isInitiator` signs, or the other side. */
function octetsOf(session: Session, byInitiator: boolean, id: Identity): Uint8Array {
  const { opening, agreed, keys } = session
  const { initRequest, initResponse, nonces } = opening!
  const between = session.intermediate?.signed()
  return byInitiator
    ? signedOctets(agreed.prf!, initRequest, nonces.responder, keys.pi, identityBody(id), between)
    : signedOctets(agreed.prf!, initResponse, nonces.initiator, keys.pr, identityBody(id), between)
}

/** A key does not stand for the password that a policy wants. */
const noEap = (policy: IkePolicy): Problem => ({
  text: 'authentication: found a key or psk at the peer, expected eap of our policy',
  mend: `have the peer log in with EAP, or take eap out of the policy${at(policy)}`,
})

/** Our AUTH and, where it is a signature, the certificates before it; or why there is none. */
export function ownAuth(
  session: Session,
  policy: IkePolicy,
  wanted: readonly CertificateData[],
): IkePayload[] | Problem {
  const octets = octetsOf(session, session.isInitiator, policy.localId)
  if (policy.localAuth.kind === 'psk')
    return [sharedKeyPayload(session.agreed.prf!, policy.localAuth.secret, octets)]
  if (policy.localAuth.kind === 'eap') return noEap(policy)
  const own = session.context.credentials.own(policy.localId, wanted)
  if (own === undefined)
    return {
      text: `no private key for ${formatIdentity(policy.localId)}`,
      mend: `make one with \`warren keygen\`${at(policy)}`,
    }
  const auth = signaturePayload(own.key, octets, session.opening!.peerHashes)
  if (auth === undefined)
    return {
      text: `the peer verifies no signature that our ${own.key.type} key makes`,
      mend: `use an RSA or ECDSA key, or a peer that knows RFC 7427${at(policy)}`,
    }
  return [
    ...own.certificates.map(({ encoding, data }): IkePayload => ({ kind: 'CERT', encoding, data })),
    auth,
  ]
}

/** Whether the peer is who it says: undefined, or what is wrong. */
export function checkPeer(
  session: Session,
  policy: IkePolicy,
  id: Identity,
  payloads: readonly IkePayload[],
): Problem | undefined {
  const auth = findPayload(payloads, 'AUTH')
  if (auth === undefined)
    return {
      text: `authentication: found EAP at the peer, expected ${policy.remoteAuth.kind === 'psk' ? 'psk' : 'a signature'} of our policy`,
      mend: `write eap "mschap-v2" or eap "tls" in the policy${at(policy)}, or psk or a key at the peer`,
    }
  const octets = octetsOf(session, !session.isInitiator, id)
  if (policy.remoteAuth.kind === 'psk') {
    const wrong = verifySharedKey(auth, session.agreed.prf!, policy.remoteAuth.secret, octets)
    return wrong === undefined
      ? undefined
      : perhapsPpk(
          { text: wrong, mend: `write the same psk on both sides${at(policy)}` },
          session.ppk,
          policy,
        )
  }
  if (policy.remoteAuth.kind === 'eap') return noEap(policy)
  const certificates = payloads.flatMap((payload) =>
    payload.kind === 'CERT' ? [{ encoding: payload.encoding, data: payload.data }] : [],
  )
  const key = session.context.credentials.peer(id, certificates)
  if ('refused' in key) return { text: key.refused, mend: `${key.mend}${at(policy)}` }
  const wrong = verifySignature(auth, key, octets)
  return wrong === undefined
    ? undefined
    : perhapsPpk(
        {
          text: `${formatIdentity(id)}: ${wrong}`,
          mend: `put the public key that the peer signs with where we look for it${at(policy)}`,
        },
        session.ppk,
        policy,
      )
}

/** Our AUTH under the key that EAP has made (RFC 7296 section 2.16). */
export const ownEapAuth = (session: Session, msk: Uint8Array): PayloadOf<'AUTH'> =>
  sharedKeyPayload(session.agreed.prf!, msk, octetsOf(session, session.isInitiator, session.policy.localId))

/** The peer's, `id`: what it has said it is. Undefined: authentic. */
export function checkEapAuth(
  session: Session,
  msk: Uint8Array,
  id: Identity,
  payloads: readonly IkePayload[],
): Problem | undefined {
  const auth = findPayload(payloads, 'AUTH')
  const octets = octetsOf(session, !session.isInitiator, id)
  if (auth !== undefined && verifySharedKey(auth, session.agreed.prf!, msk, octets) === undefined)
    return undefined
  return {
    text: auth === undefined ? 'EAP: the peer sent no AUTH behind it' : 'EAP: the peer has not made its key',
    mend: 'somebody may stand between: look whom you speak to',
  }
}

export const idPayload = (
  kind: 'IDi' | 'IDr',
  { type, data }: Identity,
): PayloadOf<'IDi'> | PayloadOf<'IDr'> => ({ kind, type, data })
