/**
 * Post-quantum pre-shared keys (RFC 8784): a secret beside the key exchange, mixed into what children's keys and
 * authentication are made of. Who breaks the key exchange one day still lacks it.
 */
import { constantTimeEqual, nodePrf, PRFS, type PrfName, prfPlus } from '../../crypto/index.js'
import { type IkePayload, joined, NotifyType } from '../../wire/ike/index.js'
import { at, type Problem } from './doctor.js'
import { findNotify, notify } from './init.js'
import type { IkeKeys } from './keys.js'
import type { IkePolicy, Ppk } from './policy.js'

/** RFC 8784 section 5.1: an identity of either type is bytes to us. */
const FIXED = 2

/** SK_d, SK_pi and SK_pr with the secret in them (RFC 8784 section 3); all else stays as it is. */
export function mixPpk(prf: PrfName, secret: Uint8Array, keys: IkeKeys): IkeKeys {
  const compute = nodePrf(prf)
  // prf+ (PPK, SK_x'), of the length that the keys have.
  const mix = (key: Uint8Array): Uint8Array => prfPlus(compute, secret, key, PRFS[prf].keyLength)
  return { ...keys, d: mix(keys.d), pi: mix(keys.pi), pr: mix(keys.pr) }
}

/** Whether a policy goes without a PPK where the peer has none. */
export const isPpkRequired = ({ ppks = [] }: Pick<IkePolicy, 'ppks'>): boolean =>
  ppks.length > 0 && !ppks.every(({ optional }) => optional)

/** PPK_IDENTITY: its type before the identity itself. */
export const ppkIdentity = ({ id }: Ppk): IkePayload =>
  notify(NotifyType.ppkIdentity, joined(Uint8Array.of(FIXED), id))

/** The one that the peer names; undefined: we have none of that name. */
export function namedPpk({ ppks = [] }: IkePolicy, payloads: readonly IkePayload[]): Ppk | undefined {
  const data = findNotify(payloads, NotifyType.ppkIdentity)?.data
  if (data === undefined || data.length < 2) return undefined
  const id = data.subarray(1)
  return ppks.find((one) => one.id.length === id.length && constantTimeEqual(one.id, 0, id, 0, id.length))
}

const shownId = (bytes: Uint8Array): string => {
  const text = new TextDecoder().decode(bytes.subarray(0, 128))
  return /^[\x20-\x7e]+$/.test(text) ? `"${text}"` : `of ${bytes.length} bytes`
}
const listed = ({ ppks = [] }: IkePolicy): string =>
  ppks.length === 0 ? 'none' : ppks.map(({ id }) => shownId(id)).join(' | ')

/** Our policy wants one, and the peer has not said that it speaks of any. */
export const noPpkSpoken = (policy: IkePolicy): Problem => ({
  text: `ppk: found a peer without one, expected ${listed(policy)}, which the policy requires`,
  mend: `write the same ppk on both sides, or ppk optional here${at(policy)}`,
})

/** The peer names one that we have not. */
export function strangePpk(policy: IkePolicy, payloads: readonly IkePayload[]): Problem {
  const data = findNotify(payloads, NotifyType.ppkIdentity)?.data ?? new Uint8Array(0)
  const found = data.length < 2 ? 'no name of one' : shownId(data.subarray(1))
  return {
    text: `ppk: found ${found} at the peer, expected ${listed(policy)}`,
    mend: `write the same name and the same key behind ppk on both sides${at(policy)}`,
  }
}

/** Our half of an initiator's IKE_AUTH: what goes beside AUTH; `plainAuth`: made without the secret. */
export function ppkPayloads(ppk: Ppk, plainAuth: Uint8Array | undefined): IkePayload[] {
  const plain = plainAuth === undefined ? [] : [notify(NotifyType.noPpkAuth, plainAuth)]
  return [ppkIdentity(ppk), ...plain]
}

/** What a responder makes of the peer's IKE_AUTH. */
export interface PpkChoice {
  /** It is mixed in; undefined: the peer goes without. */
  readonly ppk?: Ppk
  /** The request with the AUTH that is to be verified. */
  readonly request: readonly IkePayload[]
}

/** `spoken`: both have said USE_PPK (RFC 8784 section 3). */
export function choosePpk(
  policy: IkePolicy,
  spoken: boolean,
  request: readonly IkePayload[],
): PpkChoice | Problem {
  const isRequired = isPpkRequired(policy)
  if (!spoken || findNotify(request, NotifyType.ppkIdentity) === undefined)
    return isRequired ? noPpkSpoken(policy) : { request }
  const ppk = namedPpk(policy, request)
  if (ppk !== undefined) return { ppk, request }
  const plain = findNotify(request, NotifyType.noPpkAuth)?.data
  if (isRequired || plain === undefined) return strangePpk(policy, request)
  return { request: request.map((one) => (one.kind === 'AUTH' ? { ...one, data: plain } : one)) }
}

/** What else may be wrong where a proof does not hold and a PPK is part of it. */
export const perhapsPpk = (problem: Problem, ppk: Ppk | undefined, policy: IkePolicy): Problem =>
  ppk === undefined
    ? problem
    : {
        text: `${problem.text}, or the keys of ppk ${shownId(ppk.id)} do`,
        mend: `${problem.mend}; the key behind ppk ${shownId(ppk.id)} has to be the same on both sides${at(policy)}`,
      }

/** A policy as it is told to who is refused: a PPK is among what may differ. */
export const refusedWithPpk = (problem: Problem, ppk: Ppk | undefined, policy: IkePolicy): Problem =>
  ppk === undefined
    ? problem
    : {
        text: `${problem.text}; we said ppk ${shownId(ppk.id)}`,
        mend: `${problem.mend}; name and key behind ppk have to be the same on both sides${at(policy)}`,
      }
