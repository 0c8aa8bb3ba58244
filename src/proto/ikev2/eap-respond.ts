/** EAP as the server (RFC 7296 section 2.16): a client that proves itself inside EAP. */
import type { Instant } from '../../base/index.js'
import { seconds } from '../../base/index.js'
import { wipe } from '../../crypto/index.js'
import { IdType, type IkePayload, NotifyType } from '../../wire/ike/index.js'
import type { EapServer, EapStep } from './eap-method.js'
import { eapServerOf } from './eap-methods.js'
import { formatIdentity, type Identity } from './identity.js'
import { findPayload, notify } from './init.js'
import type { EapAuthentication, EapUser, IkePolicy } from './policy.js'
import { at, checkEapAuth, ownEapAuth, type Problem } from './proof.js'
import type { Session } from './session.js'

/** How long a client may take: it has more to say than others. */
const EAP_LIMIT = seconds(60)
/** How long one may take that is refused, to say that it has heard. */
const REFUSED_LIMIT = seconds(5)

/** What the responder keeps of a client from its first IKE_AUTH to its last. */
export interface EapServing {
  readonly server: EapServer
  readonly users: readonly EapUser[]
  /** What it says it is: the first request's IDi. */
  readonly id: Identity
  /** The first request: it says what the child is to be. */
  readonly request: readonly IkePayload[]
  rounds: number
  /** Both have proved themselves inside EAP; AUTH is next. */
  proved?: { readonly msk: Uint8Array; readonly userName?: string; readonly identity?: Identity }
}

/** Begins it. `own`: IDr, certificates and AUTH, which stand before the first EAP payload. */
export function serveEap(
  session: Session,
  policy: IkePolicy & { readonly remoteAuth: EapAuthentication },
  id: Identity,
  request: readonly IkePayload[],
  own: readonly IkePayload[],
  verdict: EapVerdict,
  now: Instant,
): readonly IkePayload[] {
  const { users } = policy.remoteAuth
  const wake = (): void => session.context.wake((later) => resumeEap(session, verdict, later))
  const server = eapServerOf(session, policy, id, wake)
  if ('text' in server) return verdict.refuse(server, [REFUSED], now)
  session.eap = { server, users, id, request, rounds: 0 }
  session.onClose = () => server.close?.()
  session.timer('half-open', EAP_LIMIT, now, (later) => session.close('nobody authenticated', false, later))
  // IDi need not be the user's name: it is asked for, as iked does.
  return [...own, { kind: 'EAP', data: server.start() }]
}

export interface EapVerdict {
  /** Proved, and who it is. */
  done(eap: EapServing, auth: IkePayload, now: Instant): readonly IkePayload[]
  refuse(problem: Problem, answer: readonly IkePayload[], now: Instant): readonly IkePayload[]
}

const REFUSED = notify(NotifyType.authenticationFailed)

/** A request behind the first. Undefined: the answer comes later. */
export function continueEap(
  session: Session,
  eap: EapServing,
  request: readonly IkePayload[],
  verdict: EapVerdict,
  now: Instant,
): readonly IkePayload[] | undefined {
  const refuse = (problem: Problem): readonly IkePayload[] =>
    refuseEap(session, eap, problem, undefined, verdict, now)
  if (eap.proved !== undefined) {
    const { msk } = eap.proved
    const wrong = checkEapAuth(session, msk, eap.id, request) ?? identify(session, eap)
    if (wrong !== undefined) return refuse(wrong)
    const auth = ownEapAuth(session, msk)
    wipe(msk)
    return verdict.done(eap, auth, now)
  }
  const payload = findPayload(request, 'EAP')
  if (payload === undefined || findPayload(request, 'AUTH') !== undefined)
    return refuse({ text: 'EAP: the peer ends it before its time', mend: 'mend the peer' })
  const { limits } = eap.server
  if (++eap.rounds > limits.rounds || payload.data.length > limits.length)
    return refuse({ text: 'EAP: more than there may be of it', mend: 'mend the peer' })
  return answerStep(session, eap, eap.server.receive(payload.data), verdict, now)
}

/** What was waited for may be there. */
function resumeEap(session: Session, verdict: EapVerdict, now: Instant): void {
  const { eap } = session
  if (session.state === 'closed' || typeof eap !== 'object') return
  const step = eap.server.resume?.()
  const answer = step === undefined ? undefined : answerStep(session, eap, step, verdict, now)
  if (answer !== undefined) session.channel.answer(answer, now)
}

function answerStep(
  session: Session,
  eap: EapServing,
  step: EapStep,
  verdict: EapVerdict,
  now: Instant,
): readonly IkePayload[] | undefined {
  if (step.kind === 'wait') return undefined
  if (step.kind === 'failed')
    return refuseEap(session, eap, { text: step.reason, mend: step.mend }, step.data, verdict, now)
  if (step.kind === 'send' && step.refusal !== undefined) {
    const { reason, mend } = step.refusal
    session.timer('half-open', REFUSED_LIMIT, now, (later) => {
      session.context.counters.add('ike.eap')
      verdict.refuse({ text: reason, mend }, [], later)
    })
  }
  if (step.kind === 'done') eap.proved = step
  return [{ kind: 'EAP', data: step.data ?? new Uint8Array(0) }]
}

function refuseEap(
  session: Session,
  eap: EapServing,
  problem: Problem,
  data: Uint8Array | undefined,
  verdict: EapVerdict,
  now: Instant,
): readonly IkePayload[] {
  session.context.counters.add('ike.eap')
  if (eap.proved !== undefined) wipe(eap.proved.msk)
  eap.server.close?.()
  return verdict.refuse(
    problem,
    [...(data === undefined ? [] : [{ kind: 'EAP' as const, data }]), REFUSED],
    now,
  )
}

/**
 * Who it is: the user whose password it knows. IDi is what it says; nothing but the password proves anything, so that
 * one user does not come as another. Gives what is wrong where the policy wants somebody else.
 */
function identify(session: Session, { users, proved }: EapServing): Problem | undefined {
  const { policy } = session
  if (proved?.identity !== undefined) {
    // Named by its certificate, and as the policy wants it.
    session.peerId = proved.identity
    return undefined
  }
  const userName = proved?.userName ?? ''
  // Windows puts its domain before it.
  const short = userName.slice(userName.lastIndexOf('\\') + 1)
  const name = users.some((user) => user.name === userName) ? userName : short
  const data = new TextEncoder().encode(name)
  const wanted = policy.remoteId
  if (wanted !== undefined && new TextDecoder().decode(wanted.data) !== name)
    return {
      text: `EAP: the user is "${name}", the policy wants ${formatIdentity(wanted)}`,
      mend: `write dstid ${name}${at(policy)}, if that is who may come, or no dstid: any user`,
    }
  session.user = name
  session.peerId = { type: name.includes('@') ? IdType.rfc822 : IdType.keyId, data }
  return undefined
}
