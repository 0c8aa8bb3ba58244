/** Which SAs a changed configuration leaves as they are. */
import type { IkePolicy } from './policy.js'

/**
 * Whether two policies want the same of a peer, whatever they are called, wherever they stand and whoever begins. `user`:
 * who the peer is, proved by EAP; what other users there are is nothing to it.
 */
export function samePolicy(a: IkePolicy, b: IkePolicy, user?: string): boolean {
  return a === b || textOf(forUser(a, user)) === textOf(forUser(b, user))
}

function forUser(policy: IkePolicy, user: string | undefined): IkePolicy {
  const { remoteAuth } = policy
  if (user === undefined || remoteAuth.kind !== 'eap') return policy
  return {
    ...policy,
    remoteAuth: { ...remoteAuth, users: remoteAuth.users.filter(({ name }) => name === user) },
  }
}

/** Of several addresses that may be ours, the one that the host has chosen is none of the policy's business. */
const textOf = ({ name: _name, where: _where, initiate: _initiate, local, ...wanted }: IkePolicy): string =>
  JSON.stringify({ ...wanted, local: wanted.locals === undefined ? local : '' }, (_key, value: unknown) => {
    if (value instanceof Uint8Array || value instanceof Map) return [...value]
    // Addresses and prefixes write themselves.
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject && value.toString !== Object.prototype.toString ? String(value) : value
  })
