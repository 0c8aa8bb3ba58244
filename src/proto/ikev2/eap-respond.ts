/** EAP as the server (RFC 7296 section 2.16): who has no key proves itself by a password. */
import type { Instant } from '../../base/index.js'
import { seconds } from '../../base/index.js'
import { wipe } from '../../crypto/index.js'
import { IdType, type IkePayload, NotifyType } from '../../wire/ike/index.js'
import { EAP_LENGTH, EAP_ROUNDS } from './eap-initiate.js'
import { EapMschapv2Server } from './eap-mschapv2.js'
import { formatIdentity, type Identity } from './identity.js'
import { findPayload, notify } from './init.js'
import type { EapUser, IkePolicy } from './policy.js'
import { at, checkEapAuth, ownEapAuth, type Problem } from './proof.js'
import type { Session } from './session.js'

/** How long a client may take: it has more to say than others. */
const EAP_LIMIT = seconds(60)
/** How long one may take that is refused, to say that it has heard. */
const REFUSED_LIMIT = seconds(5)

/** What the responder keeps of a client from its first IKE_AUTH to its last. */
export interface EapServing {
  readonly server: EapMschapv2Server
  readonly users: readonly EapUser[]
  /** What it says it is: the first request's IDi. */
  readonly id: Identity
  /** The first request: it says what the child is to be. */
  readonly request: readonly IkePayload[]
  rounds: number
  /** Both have proved themselves inside EAP; AUTH is next. */
  proved?: { readonly msk: Uint8Array; readonly userName: string }
}

/** Begins it. `own`: IDr, certificates and AUTH, which stand before the first EAP payload. */
export function serveEap(
  session: Session,
  policy: IkePolicy & { readonly remoteAuth: { readonly kind: 'eap' } },
  id: Identity,
  request: readonly IkePayload[],
  own: readonly IkePayload[],
  now: Instant,
): readonly IkePayload[] {
  const { users } = policy.remoteAuth
  const server = new EapMschapv2Server({
    name: new TextDecoder().decode(policy.localId.data.subarray(0, 64)),
    password: (userName) => users.find(({ name }) => name === userName)?.password,
    random: session.context.random,
  })
  session.eap = { server, users, id, request, rounds: 0 }
  session.timer('half-open', EAP_LIMIT, now, (later) => session.close('nobody authenticated', false, later))
  // IDi need not be the user's name: it is asked for, as iked does.
  return [...own, { kind: 'EAP', data: server.start(true) }]
}

export interface EapVerdict {
  /** Proved, and who it is. */
  done(eap: EapServing, auth: IkePayload, now: Instant): readonly IkePayload[]
  refuse(problem: Problem, answer: readonly IkePayload[], now: Instant): readonly IkePayload[]
}

const REFUSED = notify(NotifyType.authenticationFailed)

/** A request behind the first. */
export function continueEap(
  session: Session,
  eap: EapServing,
  request: readonly IkePayload[],
  verdict: EapVerdict,
  now: Instant,
): readonly IkePayload[] {
  const refuse = (problem: Problem, data?: Uint8Array): readonly IkePayload[] => {
    session.context.counters.add('ike.eap')
    if (eap.proved !== undefined) wipe(eap.proved.msk)
    return verdict.refuse(
      problem,
      [...(data === undefined ? [] : [{ kind: 'EAP' as const, data }]), REFUSED],
      now,
    )
  }
  if (eap.proved !== undefined) {
    const { msk, userName } = eap.proved
    const wrong = checkEapAuth(session, msk, eap.id, request) ?? identify(session, eap, userName)
    if (wrong !== undefined) return refuse(wrong)
    const auth = ownEapAuth(session, msk)
    wipe(msk)
    return verdict.done(eap, auth, now)
  }
  const payload = findPayload(request, 'EAP')
  if (payload === undefined || findPayload(request, 'AUTH') !== undefined)
    return refuse({ text: 'EAP: the peer ends it before its time', mend: 'mend the peer' })
  if (++eap.rounds > EAP_ROUNDS || payload.data.length > EAP_LENGTH)
    return refuse({ text: 'EAP: more than there may be of it', mend: 'mend the peer' })
  const step = eap.server.receive(payload.data)
  if (step.kind === 'failed') return refuse({ text: step.reason, mend: step.mend }, step.data)
  if (step.kind === 'send' && step.refusal !== undefined) {
    const { reason, mend } = step.refusal
    session.timer('half-open', REFUSED_LIMIT, now, (later) => {
      session.context.counters.add('ike.eap')
      verdict.refuse({ text: reason, mend }, [], later)
    })
  }
  if (step.kind === 'done') eap.proved = { msk: step.msk, userName: step.userName }
  return [{ kind: 'EAP', data: step.data ?? new Uint8Array(0) }]
}

/**
 * Who it is: the user whose password it knows. IDi is what it says; nothing but the password proves anything, so that
 * one user does not come as another. Gives what is wrong where the policy wants somebody else.
 */
function identify(session: Session, { users }: EapServing, userName: string): Problem | undefined {
  const { policy } = session
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
