/** IKE_AUTH as the initiator (RFC 7296 sections 1.2, 2.16): who both are, and the first child. */
import type { Instant } from '../../base/index.js'
import { IkeExchange, type IkePayload, NotifyType } from '../../wire/ike/index.js'
import { acceptConfiguration, configurationRequest } from './configuration.js'
import { refusedAuth, wrongIdentity } from './doctor.js'
import { speakEap } from './eap-initiate.js'
import { type Identity, sameIdentity } from './identity.js'
import { certificateRequests, findError, findNotify, findPayload, notify } from './init.js'
import { exchangeIntermediate } from './intermediate.js'
import { type ChildOffer, completeChild, offerChild } from './negotiate-child.js'
import { heedPlaces, ownPlaces } from './places.js'
import { isPpkRequired, noPpkSpoken, ppkPayloads, refusedWithPpk } from './ppk.js'
import { checkPeer, idPayload, ownAuth, type Problem } from './proof.js'
import type { Session } from './session.js'

/** The initiator's way from IKE_SA_INIT on: what is exchanged in between, then IKE_AUTH. */
export function authenticate(session: Session, initialContact: boolean, now: Instant): void {
  exchangeIntermediate(session, (later) => prove(session, initialContact, later), now)
}

function prove(session: Session, initialContact: boolean, now: Instant): void {
  const { policy, context } = session
  // RFC 7296 section 2.16: no AUTH says that EAP is wanted.
  const isEap = policy.localAuth.kind === 'eap'
  const auth = isEap ? [] : ownProof(session)
  if ('text' in auth) {
    session.tell({ kind: 'problem', ...auth }, now)
    session.close(auth.text, false, now)
    return
  }
  const offer = offerChild(session)
  const configuration = configurationRequest(policy)
  const payloads: IkePayload[] = [
    idPayload('IDi', policy.localId),
    ...auth.filter(({ kind }) => kind === 'CERT'),
    ...(initialContact ? [notify(NotifyType.initialContact)] : []),
    ...(policy.remoteAuth.kind === 'signature' ? certificateRequests(context.credentials) : []),
    ...(policy.remoteId === undefined ? [] : [idPayload('IDr', policy.remoteId)]),
    ...auth.filter(({ kind }) => kind === 'AUTH' || kind === 'N'),
    ...(configuration === undefined ? [] : [configuration]),
    ...offer.payloads,
    ...(policy.mobike ? [notify(NotifyType.mobikeSupported), ...ownPlaces(session)] : []),
  ]
  session.channel.send(
    {
      exchange: IkeExchange.ikeAuth,
      payloads: () => payloads,
      answered: (answer, later) => answered(session, offer, answer, later),
      lost: (later) => session.lost(later),
    },
    now,
  )
}

/** AUTH with what belongs to it: certificates, and what is said of a PPK (RFC 8784 section 3). */
function ownProof(session: Session): IkePayload[] | Problem {
  const { policy, opening } = session
  const sign = (): IkePayload[] | Problem => ownAuth(session, policy, opening!.certificatesWanted ?? [])
  const [ppk] = policy.ppks ?? []
  if (ppk === undefined) return sign()
  const isRequired = isPpkRequired(policy)
  if (opening!.ppkSpoken !== true) return isRequired ? noPpkSpoken(policy) : sign()
  // For a responder that turns out not to have it.
  const plain = isRequired ? undefined : sign()
  if (plain !== undefined && 'text' in plain) return plain
  session.mix(ppk)
  const auth = sign()
  if ('text' in auth) return auth
  return [...auth, ...ppkPayloads(ppk, plain === undefined ? undefined : findPayload(plain, 'AUTH')?.data)]
}

/** Whether the responder has it, too; or what is wrong. */
function settlePpk(session: Session, answer: readonly IkePayload[]): Problem | undefined {
  if (session.ppk === undefined) return undefined
  if (findNotify(answer, NotifyType.ppkIdentity) === undefined) {
    if (isPpkRequired(session.policy)) return noPpkSpoken(session.policy)
    session.unmix()
  }
  session.forgetUnmixed()
  return undefined
}

/** RFC 7296 section 2.21.2: a responder that takes us for established (`known`) is told. */
function fail(session: Session, problem: Problem, known: boolean, now: Instant): void {
  session.tell({ kind: 'problem', ...problem }, now)
  if (known) session.delete(problem.text, now, true, NotifyType.authenticationFailed)
  else session.close(problem.text, true, now)
}

/** The responder's answer. Nothing of ours is said, or taken from it, before it is known whose it is. */
function answered(session: Session, offer: ChildOffer, answer: readonly IkePayload[], now: Instant): void {
  const { localAuth } = session.policy
  const isEap = localAuth.kind === 'eap'
  const peer = provedPeer(session, answer)
  if ('text' in peer) {
    fail(session, peer, !isEap && findPayload(answer, 'AUTH') !== undefined, now)
    return
  }
  session.peerId = peer
  if (!isEap) {
    finish(session, offer, answer, now)
    return
  }
  speakEap(
    session,
    localAuth,
    peer,
    answer,
    {
      done: (last, later) => finish(session, offer, last, later),
      failed: (problem, known, later) => fail(session, problem, known, later),
    },
    now,
  )
}

/** Everybody is who they say; the rest of the answer is about the child. */
function finish(session: Session, offer: ChildOffer, answer: readonly IkePayload[], now: Instant): void {
  const problem = acceptConfiguration(session, answer)
  if (problem !== undefined) {
    // RFC 7296 section 3.15.4: without its address there is nothing to be done; it is tried again later.
    session.tell({ kind: 'problem', ...problem }, now)
    session.delete(problem.text, now, true)
    return
  }
  if (session.policy.mobike && findNotify(answer, NotifyType.mobikeSupported) !== undefined) {
    session.mobike = 'mover'
    heedPlaces(session, answer)
  }
  const child = completeChild(session, offer, answer, session.opening!.nonces, now)
  session.enter('established', now)
  if (!('notify' in child)) session.addChild(child, now)
  else if (child.notify === NotifyType.singlePairRequired) {
    session.singlePair = true
    session.missChild(now)
  } else session.tell({ kind: 'problem', text: `no child: ${child.text}`, mend: child.mend }, now)
  session.tellAssigned(true, now)
}

/** Who the responder is, proved and as the policy wants it; or what is wrong. */
function provedPeer(session: Session, answer: readonly IkePayload[]): Identity | Problem {
  const { policy } = session
  const idr = findPayload(answer, 'IDr')
  const error = findError(answer)
  if (idr === undefined || findPayload(answer, 'AUTH') === undefined)
    return error === undefined
      ? { text: 'an answer without IDr and AUTH', mend: 'mend the peer' }
      : refusedWithPpk(refusedAuth(error.type, policy, session.context.credentials), session.ppk, policy)
  const lacking = settlePpk(session, answer)
  if (lacking !== undefined) return lacking
  const id: Identity = { type: idr.type, data: idr.data }
  if (policy.remoteId !== undefined && !sameIdentity(policy.remoteId, id))
    return wrongIdentity(id, undefined, [policy])
  return checkPeer(session, policy, id, answer) ?? id
}
