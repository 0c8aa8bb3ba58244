/** A gateway that knows users by their passwords, and a client that is one: side 1 and side 2. */
import { IpPrefix, Ipv4Address, SeededRandom } from '../../base/index.js'
import type { TlsEngine } from '../../crypto/index.js'
import type { Credentials } from './context.js'
import type { IkePolicy } from './policy.js'
import { Link, policyOf, Side } from './testing.js'

const secret = new TextEncoder().encode('the gateway’s own')

export const USERS = [
  { name: 'test', password: 'password123' },
  { name: 'bob@example.com', password: 'secret' },
] as const

/** It takes anybody from anywhere, who is a user of it. */
export function gatewayOf(overrides: Partial<IkePolicy> = {}): IkePolicy {
  const { remoteId: _remoteId, ...policy } = policyOf(1)
  return {
    ...policy,
    peer: new IpPrefix(Ipv4Address.parse('192.168.1.0')!, 24),
    localAuth: { kind: 'psk', secret },
    remoteAuth: { kind: 'eap', method: 'mschap-v2', users: USERS },
    ...overrides,
  }
}

export const clientOf = (name: string, password: string, overrides: Partial<IkePolicy> = {}): IkePolicy =>
  policyOf(2, {
    localAuth: { kind: 'eap', method: 'mschap-v2', users: [{ name, password }] },
    remoteAuth: { kind: 'psk', secret },
    ...overrides,
  })

export function eapPair(
  gateway: IkePolicy,
  client: IkePolicy,
  seed = 1,
  credentials: readonly [Credentials?, Credentials?] = [],
  engines: readonly [TlsEngine?, TlsEngine?] = [],
): Link {
  const side = (policy: IkePolicy, own: 0 | 1): Side =>
    new Side({
      policies: [policy],
      random: new SeededRandom(seed * 2 + own),
      ...(credentials[own] === undefined ? {} : { credentials: credentials[own] }),
      ...(engines[own] === undefined ? {} : { tls: engines[own] }),
    })
  return new Link([side(gateway, 0), side(client, 1)], seed)
}
