/** Ends of flows and of policies: what they are and how iked prints them. */
import { IpPrefix, Ipv4Address, Ipv6Address } from '../../base/index.js'
import type { IkedHost } from './conf.js'

export const isWhole = ({ address, length }: IpPrefix): boolean => length === 8 * address.bytes.length
const unspecified = (family: 4 | 6): Ipv4Address | Ipv6Address =>
  family === 4 ? Ipv4Address.unspecified : Ipv6Address.unspecified

/** `dynamic`: the address that configuration assigns. As in iked itself, 0.0.0.0 or :: stands for it. */
export const isDynamic = (prefix: IpPrefix): boolean =>
  isWhole(prefix) && prefix.address.equals(unspecified(prefix.family))

/** `any` and `dynamic` in a family; without one (the other side is an interface) `any` stays what it is. */
export function concrete(host: IkedHost | { readonly kind: 'dynamic' }, family: 4 | 6 | undefined): IkedHost {
  if (host.kind === 'prefix' || host.kind === 'name') return host
  if (family === undefined) return { kind: 'any' }
  return {
    kind: 'prefix',
    prefix: new IpPrefix(unspecified(family), host.kind === 'any' ? 0 : family === 4 ? 32 : 128),
  }
}

/** One side of a flow as an end of an IKE SA: neither `any` nor `dynamic` says which. */
export const endOf = (host: IkedHost): IkedHost =>
  host.kind === 'prefix' && host.prefix.address.equals(unspecified(host.prefix.family))
    ? { kind: 'any' }
    : host

/** Not one host. */
export const isNetwork = (host: IkedHost): boolean =>
  host.kind === 'any' || (host.kind === 'prefix' && !isWhole(host.prefix))
export const familyOf = (host: IkedHost): 4 | 6 | undefined =>
  host.kind === 'prefix' ? host.prefix.family : undefined

/** One host without a length. */
export const hostText = (host: IkedHost): string => {
  if (host.kind === 'any') return 'any'
  if (host.kind === 'name') return host.name
  return isWhole(host.prefix) ? host.prefix.address.toString() : host.prefix.toString()
}
