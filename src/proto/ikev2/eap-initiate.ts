/** EAP as the client (RFC 7296 section 2.16), spoken only with a server that has proved itself. */
import { type Instant, seconds } from '../../base/index.js'
import { wipe } from '../../crypto/index.js'
import { IkeExchange, type IkePayload } from '../../wire/ike/index.js'
import type { EapStep } from './eap-method.js'
import { eapClientOf } from './eap-methods.js'
import type { Identity } from './identity.js'
import { findError, findPayload } from './init.js'
import { meaningOf } from './meanings.js'
import type { EapAuthentication } from './policy.js'
import { checkEapAuth, ownEapAuth, type Problem } from './proof.js'
import type { Session } from './session.js'

/** How long a method may take over what the server has said: some milliseconds are usual. */
const WAIT_LIMIT = seconds(20)

export interface EapOutcome {
  /** The server's answer to our AUTH: its own, and what else IKE_AUTH ends with. */
  done(answer: readonly IkePayload[], now: Instant): void
  /** `known`: the server takes us for established. */
  failed(problem: Problem, known: boolean, now: Instant): void
}

/**
 * `answer`: the server's first one, whose AUTH has been found to be `server`'s before this is called (CVE-2015-4171).
 */
export function speakEap(
  session: Session,
  auth: EapAuthentication,
  server: Identity,
  answer: readonly IkePayload[],
  outcome: EapOutcome,
  now: Instant,
): void {
  const wake = (): void =>
    session.context.wake((later) => {
      const step = session.state === 'closed' ? undefined : client.resume?.()
      if (step !== undefined) proceed(step, later)
    })
  const made = eapClientOf(session, auth, server, wake)
  if ('text' in made) {
    outcome.failed(made, false, now)
    return
  }
  const client = made
  session.onClose = () => client.close?.()
  let rounds = 0

  const send = (
    payloads: readonly IkePayload[],
    answered: (reply: readonly IkePayload[], at: Instant) => void,
    at: Instant,
  ): void => {
    session.channel.send(
      {
        exchange: IkeExchange.ikeAuth,
        payloads: () => payloads,
        answered,
        lost: (later) => session.lost(later),
      },
      at,
    )
  }

  const heard = (reply: readonly IkePayload[], at: Instant): void => {
    const eap = findPayload(reply, 'EAP')
    const error = findError(reply)
    if (eap === undefined) {
      // CVE-2021-45079: a server that lets us in without having proved that it knows the password.
      const early = { text: 'EAP: the server ends it before its time', mend: 'look whom you speak to' }
      outcome.failed(error === undefined ? early : meaningOf(error.type), false, at)
      return
    }
    if (++rounds > client.limits.rounds || eap.data.length > client.limits.length) {
      outcome.failed({ text: 'EAP: more than there may be of it', mend: 'mend the peer' }, false, at)
      return
    }
    proceed(client.receive(eap.data), at)
  }

  const proceed = (step: EapStep, at: Instant): void => {
    session.clearTimer('eap')
    if (step.kind === 'wait') {
      const problem = {
        text: 'EAP: TLS has no answer to what the server says',
        mend: 'mend the peer: it may have sent half a message',
      }
      session.timer('eap', WAIT_LIMIT, at, (later) => outcome.failed(problem, false, later))
      return
    }
    if (step.kind === 'send') {
      send([{ kind: 'EAP', data: step.data }], heard, at)
      return
    }
    if (step.kind === 'failed') {
      const problem = { text: step.reason, mend: step.mend }
      const fail = (_reply: readonly IkePayload[], later: Instant): void =>
        outcome.failed(problem, false, later)
      // The server waits to hear that its refusal has come.
      if (step.data === undefined) fail([], at)
      else send([{ kind: 'EAP', data: step.data }], fail, at)
      return
    }
    const { msk } = step
    const proved = (reply: readonly IkePayload[], later: Instant): void => {
      const error = findError(reply)
      const isRefused = findPayload(reply, 'AUTH') === undefined && error !== undefined
      const problem = isRefused ? meaningOf(error.type) : checkEapAuth(session, msk, server, reply)
      wipe(msk)
      if (problem === undefined) outcome.done(reply, later)
      else outcome.failed(problem, !isRefused, later)
    }
    send([ownEapAuth(session, msk)], proved, at)
  }

  heard(answer, now)
}
