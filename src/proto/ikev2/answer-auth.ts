/** IKE_AUTH as the responder (RFC 7296 sections 1.2, 2.16): who both are, and the first child. */
import { type Instant, seconds } from '../../base/index.js'
import { type IkePayload, NotifyType } from '../../wire/ike/index.js'
import { serveConfiguration } from './configuration.js'
import { wrongIdentity } from './doctor.js'
import { continueEap, type EapVerdict, serveEap } from './eap-respond.js'
import { type Identity, sameIdentity } from './identity.js'
import { findNotify, findPayload, notify, requestedCertificates } from './init.js'
import { answerChild, type Failure } from './negotiate-child.js'
import { heedPlaces, ownPlaces } from './places.js'
import type { IkePolicy } from './policy.js'
import { choosePpk } from './ppk.js'
import { checkPeer, idPayload, ownAuth, type Problem } from './proof.js'
import type { Session } from './session.js'

/** A request of the peer: its only one, or of EAP one of several. */
export function answerAuth(
  session: Session,
  request: readonly IkePayload[],
  now: Instant,
): readonly IkePayload[] | undefined {
  if (session.eap === undefined) return answerFirst(session, request, now)
  if (session.eap === 'over') return [notify(NotifyType.authenticationFailed)]
  return continueEap(session, session.eap, request, verdictOn(session), now)
}

const verdictOn = (session: Session): EapVerdict => ({
  done(eap, auth, later) {
    session.eap = 'over'
    return admit(session, eap.request, [auth], later)
  },
  refuse: (problem, answer, later) => refuse(session, problem, answer, later),
})

/** The peer is told no more than that; what is wrong stands in our own log. */
function refuse(
  session: Session,
  problem: Problem,
  answer: readonly IkePayload[],
  now: Instant,
): readonly IkePayload[] {
  session.eap = 'over'
  session.tell({ kind: 'problem', ...problem }, now)
  // Behind the answer, which is still sent.
  session.timer('refused', seconds(0), now, (later) => session.close(problem.text, false, later))
  return answer
}

function answerFirst(session: Session, request: readonly IkePayload[], now: Instant): readonly IkePayload[] {
  const no = (problem: Problem, type: number): readonly IkePayload[] =>
    refuse(session, problem, [notify(type)], now)
  const missing = session.intermediate?.next
  if (missing !== undefined)
    return no(
      { text: `IKE_AUTH before the additional key exchange ${missing}`, mend: 'mend the peer' },
      NotifyType.invalidSyntax,
    )
  const idi = findPayload(request, 'IDi')
  if (idi === undefined)
    return no({ text: 'a request without IDi', mend: 'mend the peer' }, NotifyType.invalidSyntax)
  const id: Identity = { type: idi.type, data: idi.data }
  const idr = findPayload(request, 'IDr')
  const asked: Identity | undefined = idr === undefined ? undefined : { type: idr.type, data: idr.data }
  const { candidates } = session.opening!
  const isEap = findPayload(request, 'AUTH') === undefined
  const policy = choosePolicy(candidates, id, asked, isEap)
  if (policy === undefined) return no(wrongIdentity(id, asked, candidates), NotifyType.authenticationFailed)
  session.policy = policy
  const { remoteAuth } = policy
  const servesEap = isEap && remoteAuth.kind === 'eap'
  const choice = choosePpk(policy, session.opening!.ppkSpoken === true, request)
  if ('text' in choice) return no(choice, NotifyType.authenticationFailed)
  if (choice.ppk !== undefined) session.mix(choice.ppk)
  session.forgetUnmixed()
  const wrong = servesEap ? undefined : checkPeer(session, policy, id, choice.request)
  if (wrong !== undefined) return no(wrong, NotifyType.authenticationFailed)
  const auth = ownAuth(session, policy, requestedCertificates(request))
  if ('text' in auth) return no(auth, NotifyType.authenticationFailed)
  const mixed = choice.ppk === undefined ? [] : [notify(NotifyType.ppkIdentity)]
  const own: IkePayload[] = [idPayload('IDr', policy.localId), ...auth, ...mixed]
  if (servesEap)
    return serveEap(session, { ...policy, remoteAuth }, id, request, own, verdictOn(session), now)
  session.peerId = id
  return admit(session, request, own, now)
}

/** Everybody is who they say. `request`: what the child is to be; `own`: what stands before it. */
function admit(
  session: Session,
  request: readonly IkePayload[],
  own: readonly IkePayload[],
  now: Instant,
): readonly IkePayload[] {
  const { policy } = session
  // Only from whom it is proved to come.
  if (policy.singleSa === true || findNotify(request, NotifyType.initialContact) !== undefined)
    session.options.owner.initialContact(session, now)
  const configuration = serveConfiguration(session, request, now)
  const failed = configuration !== undefined && 'notify' in configuration ? configuration : undefined
  const child: ReturnType<typeof answerChild> =
    failed ?? answerChild(session, request, true, session.opening!.nonces, now)
  session.enter('established', now)
  const given: IkePayload[] = configuration === undefined || 'notify' in configuration ? [] : [configuration]
  if (policy.mobike && findNotify(request, NotifyType.mobikeSupported) !== undefined) {
    session.mobike = 'follower'
    heedPlaces(session, request)
    given.push(notify(NotifyType.mobikeSupported), ...ownPlaces(session))
  }
  if (isFailure(child)) {
    session.tell({ kind: 'problem', text: `no child: ${child.text}`, mend: child.mend }, now)
    // RFC 7296 section 1.2: the IKE SA stands all the same.
    session.tellAssigned(true, now)
    return [...own, ...given, notify(child.notify, child.data)]
  }
  session.addChild(child.child, now)
  session.tellAssigned(true, now)
  return [...own, ...given, ...child.payloads]
}

const isFailure = (child: ReturnType<typeof answerChild>): child is Failure => 'notify' in child

/**
 * The first policy that this peer may be of: the identities that it says it has and asks for, and how it means to prove
 * itself. Where only the last is wrong, one that can say so.
 */
function choosePolicy(
  candidates: readonly IkePolicy[],
  id: Identity,
  asked: Identity | undefined,
  isEap: boolean,
): IkePolicy | undefined {
  const suits = ({ remoteId, remoteAuth, localId }: IkePolicy): boolean =>
    // Whom a password proves is known at its end.
    ((isEap && remoteAuth.kind === 'eap') || remoteId === undefined || sameIdentity(remoteId, id)) &&
    (asked === undefined || sameIdentity(localId, asked))
  const fitting = candidates.filter(suits)
  return fitting.find(({ remoteAuth }) => (remoteAuth.kind === 'eap') === isEap) ?? fitting[0]
}
