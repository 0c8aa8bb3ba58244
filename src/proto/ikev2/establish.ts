/** The second exchange, IKE_AUTH (RFC 7296 section 1.2): who both are, and the first child. */
import { type Instant, seconds } from '../../base/index.js'
import { IkeExchange, type IkePayload, NotifyType, type PayloadOf } from '../../wire/ike/index.js'
import { sharedKeyPayload, signaturePayload, verifySharedKey, verifySignature } from './authenticate.js'
import type { CertificateData } from './context.js'
import { formatIdentity, type Identity, identityBody, sameIdentity } from './identity.js'
import {
  certificateRequests,
  findError,
  findNotify,
  findPayload,
  notify,
  requestedCertificates,
} from './init.js'
import { signedOctets } from './keys.js'
import { meaningOf } from './meanings.js'
import { answerChild, type ChildOffer, completeChild, offerChild } from './negotiate-child.js'
import type { IkePolicy } from './policy.js'
import type { Session } from './session.js'

/** What `isInitiator` signs, or the other side. */
function octetsOf(session: Session, byInitiator: boolean, id: Identity): Uint8Array {
  const { opening, agreed, keys } = session
  const { initRequest, initResponse, nonces } = opening!
  return byInitiator
    ? signedOctets(agreed.prf!, initRequest, nonces.responder, keys.pi, identityBody(id))
    : signedOctets(agreed.prf!, initResponse, nonces.initiator, keys.pr, identityBody(id))
}

/** A key does not stand for the password that a policy wants. */
const NO_EAP = { text: 'the policy wants EAP', mend: 'authenticate with EAP, or take eap out of the policy' }

/** Our AUTH and, where it is a signature, the certificates before it; or why there is none. */
function ownAuth(
  session: Session,
  policy: IkePolicy,
  wanted: readonly CertificateData[],
): IkePayload[] | { readonly text: string; readonly mend: string } {
  const octets = octetsOf(session, session.isInitiator, policy.localId)
  if (policy.localAuth.kind === 'psk')
    return [sharedKeyPayload(session.agreed.prf!, policy.localAuth.secret, octets)]
  if (policy.localAuth.kind === 'eap') return NO_EAP
  const own = session.context.credentials.own(policy.localId, wanted)
  if (own === undefined)
    return {
      text: `no private key for ${formatIdentity(policy.localId)}`,
      mend: 'make one with `warren keygen`',
    }
  const auth = signaturePayload(own.key, octets, session.opening!.peerHashes)
  if (auth === undefined)
    return {
      text: `the peer verifies no signature that our ${own.key.type} key makes`,
      mend: 'use an RSA or ECDSA key, or a peer that knows RFC 7427',
    }
  return [
    ...own.certificates.map(({ encoding, data }): IkePayload => ({ kind: 'CERT', encoding, data })),
    auth,
  ]
}

/** Whether the peer is who it says: undefined, or what is wrong. */
function checkPeer(
  session: Session,
  policy: IkePolicy,
  id: Identity,
  payloads: readonly IkePayload[],
): { readonly text: string; readonly mend: string } | undefined {
  const auth = findPayload(payloads, 'AUTH')
  if (auth === undefined) return { text: 'the peer sent no AUTH', mend: 'EAP is not spoken with this policy' }
  const octets = octetsOf(session, !session.isInitiator, id)
  if (policy.remoteAuth.kind === 'psk') {
    const wrong = verifySharedKey(auth, session.agreed.prf!, policy.remoteAuth.secret, octets)
    return wrong === undefined
      ? undefined
      : { text: wrong, mend: `write the same psk on both sides${at(policy)}` }
  }
  if (policy.remoteAuth.kind === 'eap') return NO_EAP
  const certificates = payloads.flatMap((payload) =>
    payload.kind === 'CERT' ? [{ encoding: payload.encoding, data: payload.data }] : [],
  )
  const key = session.context.credentials.peer(id, certificates)
  if ('refused' in key) return { text: key.refused, mend: key.mend }
  const wrong = verifySignature(auth, key, octets)
  return wrong === undefined
    ? undefined
    : { text: `${formatIdentity(id)}: ${wrong}`, mend: 'put the peer’s own public key where we look for it' }
}

const at = ({ where }: IkePolicy): string => (where === undefined ? '' : ` (${where})`)

const idPayload = (kind: 'IDi' | 'IDr', { type, data }: Identity): PayloadOf<'IDi'> | PayloadOf<'IDr'> => ({
  kind,
  type,
  data,
})

/** The initiator's IKE_AUTH. */
export function authenticate(session: Session, initialContact: boolean, now: Instant): void {
  const { policy, context } = session
  const auth = ownAuth(session, policy, session.opening!.certificatesWanted ?? [])
  if ('text' in auth) {
    session.tell({ kind: 'problem', ...auth }, now)
    session.close(auth.text, false, now)
    return
  }
  const offer = offerChild(session, true)
  const certificates = auth.filter(({ kind }) => kind === 'CERT')
  const payloads: IkePayload[] = [
    idPayload('IDi', policy.localId),
    ...certificates,
    ...(initialContact ? [notify(NotifyType.initialContact)] : []),
    ...(policy.remoteAuth.kind === 'signature' ? certificateRequests(context.credentials) : []),
    ...(policy.remoteId === undefined ? [] : [idPayload('IDr', policy.remoteId)]),
    ...auth.filter(({ kind }) => kind === 'AUTH'),
    ...offer.payloads,
    ...(policy.mobike ? [notify(NotifyType.mobikeSupported)] : []),
  ]
  session.channel.send(
    {
      exchange: IkeExchange.ikeAuth,
      payloads: () => payloads,
      answered: (answer, later) => authenticated(session, offer, answer, later),
      lost: (later) => session.lost(later),
    },
    now,
  )
}

/** The responder's answer. */
function authenticated(
  session: Session,
  offer: ChildOffer,
  answer: readonly IkePayload[],
  now: Instant,
): void {
  const problem = refusesAnswer(session, answer)
  if (problem !== undefined) {
    session.tell({ kind: 'problem', ...problem }, now)
    // RFC 7296 section 2.21.2: a responder that takes us for established is told.
    if (findPayload(answer, 'AUTH') === undefined) session.close(problem.text, true, now)
    else session.delete(problem.text, now, true)
    return
  }
  const child = completeChild(session, offer, answer, session.opening!.nonces, now)
  session.enter('established', now)
  if ('notify' in child)
    session.tell({ kind: 'problem', text: `no child: ${child.text}`, mend: child.mend }, now)
  else session.addChild(child, now)
}

/** Whether the responder is who the policy wants: undefined, or what is wrong. */
function refusesAnswer(
  session: Session,
  answer: readonly IkePayload[],
): { readonly text: string; readonly mend: string } | undefined {
  const { policy } = session
  const idr = findPayload(answer, 'IDr')
  const error = findError(answer)
  if (idr === undefined || findPayload(answer, 'AUTH') === undefined)
    return error === undefined
      ? { text: 'an answer without IDr and AUTH', mend: 'mend the peer' }
      : meaningOf(error.type)
  const id: Identity = { type: idr.type, data: idr.data }
  if (policy.remoteId !== undefined && !sameIdentity(policy.remoteId, id))
    return {
      text: `the peer is ${formatIdentity(id)}, the policy wants ${formatIdentity(policy.remoteId)}`,
      mend: `write dstid ${formatIdentity(id)}${at(policy)}, if that is who it should be`,
    }
  const wrong = checkPeer(session, policy, id, answer)
  if (wrong === undefined) session.peerId = id
  return wrong
}

/** The responder's side: a request of the peer. */
export function answerAuth(
  session: Session,
  request: readonly IkePayload[],
  now: Instant,
): readonly IkePayload[] {
  const refuse = (problem: { text: string; mend: string }, type: number): IkePayload[] => {
    session.tell({ kind: 'problem', ...problem }, now)
    // Behind the answer, which is still sent.
    session.timer('refused', seconds(0), now, (later) => session.close(problem.text, false, later))
    return [notify(type)]
  }
  const idi = findPayload(request, 'IDi')
  if (idi === undefined)
    return refuse({ text: 'a request without IDi', mend: 'mend the peer' }, NotifyType.invalidSyntax)
  const id: Identity = { type: idi.type, data: idi.data }
  const idr = findPayload(request, 'IDr')
  const asked: Identity | undefined = idr === undefined ? undefined : { type: idr.type, data: idr.data }
  const policy = choosePolicy(session.opening!.candidates, id, asked)
  if (policy === undefined) {
    const wanted = session.opening!.candidates.map(({ remoteId }) =>
      remoteId === undefined ? 'anybody' : formatIdentity(remoteId),
    )
    return refuse(
      {
        text: `the peer is ${formatIdentity(id)}${asked === undefined ? '' : ` and asks for ${formatIdentity(asked)}`}, the policies want ${wanted.join(' | ')}`,
        mend: `write dstid ${formatIdentity(id)}, if that is who may come`,
      },
      NotifyType.authenticationFailed,
    )
  }
  session.policy = policy
  const wrong = checkPeer(session, policy, id, request)
  if (wrong !== undefined) return refuse(wrong, NotifyType.authenticationFailed)
  const auth = ownAuth(session, policy, requestedCertificates(request))
  if ('text' in auth) return refuse(auth, NotifyType.authenticationFailed)
  session.peerId = id
  const child = answerChild(session, request, true, session.opening!.nonces, now)
  session.enter('established', now)
  const own: IkePayload[] = [idPayload('IDr', policy.localId), ...auth]
  if ('notify' in child) {
    session.tell({ kind: 'problem', text: `no child: ${child.text}`, mend: child.mend }, now)
    // RFC 7296 section 1.2: the IKE SA stands all the same.
    return [...own, notify(child.notify, child.data)]
  }
  // Only from whom it is proved to come.
  if (findNotify(request, NotifyType.initialContact) !== undefined)
    session.options.owner.initialContact(session, now)
  session.addChild(child.child, now)
  const mobike = policy.mobike && findNotify(request, NotifyType.mobikeSupported) !== undefined
  return [...own, ...child.payloads, ...(mobike ? [notify(NotifyType.mobikeSupported)] : [])]
}

/** The first policy that this peer may be of: the identities that it says it has, and asks for. */
const choosePolicy = (
  candidates: readonly IkePolicy[],
  id: Identity,
  asked: Identity | undefined,
): IkePolicy | undefined =>
  candidates.find(
    ({ remoteId, localId }) =>
      (remoteId === undefined || sameIdentity(remoteId, id)) &&
      (asked === undefined || sameIdentity(localId, asked)),
  )
