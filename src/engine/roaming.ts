/**
 * IKEv2 on a host whose addresses change: which of them a policy has, where SAs are to be, and where to be heard. A policy
 * that names one address has that one; one that leaves it open (`local any`, an interface, a network, or nothing) has the one
 * that leads to its peer.
 */
import type { IpAddress, IpPrefix } from '../base/index.js'
import type { IkePolicy, Network, Session } from '../proto/ikev2/index.js'
import type { IkeDefinition } from './definition.js'
import type { Host } from './host.js'

const within = (prefixes: readonly IpPrefix[], address: IpAddress): boolean =>
  prefixes.some((prefix) => prefix.contains(address))

/** What peers may be told of: what other machines reach without a tunnel of ours. */
export const reachable = (host: Host): IpAddress[] =>
  (host.addresses?.() ?? []).flatMap(({ address, place }) =>
    place === 'link' && !(address.family === 6 && address.isLinkLocal) ? [address] : [],
  )

export function networkOf(host: Host): Network {
  const isOurs = (address: IpAddress): boolean => host.isLocal?.(address) !== false
  // Of many SAs most have few peers' addresses between them, and each question costs two system calls.
  const sources = new Map<string, IpAddress | undefined>()
  const sourceFor = (remote: IpAddress): IpAddress | undefined => {
    const key = `${remote}`
    if (!sources.has(key)) sources.set(key, host.sourceFor?.(remote))
    return sources.get(key)
  }
  return {
    isOurs,
    placeFor({ local, remote, policy, places }: Session): IpAddress | undefined {
      const source = sourceFor(remote.address)
      if (!isOurs(local.address)) return source
      // A way that was searched for because that of the routes is dead stays while it can.
      if (source === undefined || policy.locals === undefined || places.found === true) return undefined
      return within(policy.locals, source) ? source : undefined
    },
  }
}

/** The definition as the host is now; the same one where nothing is different. */
export function onHostNow(ike: IkeDefinition, host: Host): IkeDefinition {
  const own = (host.addresses?.() ?? []).map(({ address }) => address).filter((one) => !one.isLoopback)
  const policies = ike.policies.map((policy) => resolved(policy, own, host))
  const heard = new Map<string, IpAddress>()
  for (const { local, locals = [] } of policies)
    for (const address of [local, ...own.filter((one) => within(locals, one))])
      heard.set(`${address}`, address)
  const addresses = [...heard.values()]
  const isSame =
    policies.every((one, i) => one === ike.policies[i]) &&
    addresses.map(String).sort().join() === ike.addresses.map(String).sort().join()
  return isSame ? ike : { ...ike, policies, addresses }
}

function resolved(policy: IkePolicy, own: readonly IpAddress[], host: Host): IkePolicy {
  const { local, locals, peer } = policy
  if (locals === undefined) return policy
  const isOne = peer.length === 8 * peer.address.bytes.length
  const towards = isOne ? host.sourceFor?.(peer.address) : undefined
  const present = own.some((one) => one.equals(local))
  const next =
    towards !== undefined && within(locals, towards)
      ? towards
      : present
        ? local
        : own.find((one) => one.family === local.family && within(locals, one))
  return next === undefined || next.equals(local) ? policy : { ...policy, local: next }
}
