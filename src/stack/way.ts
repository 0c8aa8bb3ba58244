/**
 * Which way a packet goes: the interface, the next hop, and how much fits.
 */
import type { Instant, IpAddress } from '../base/index.js'
import type { Core } from './core.js'
import type { NetworkInterface } from './interface.js'
import type { Route } from './routes.js'

export interface Way {
  readonly destination: IpAddress
  readonly interface: NetworkInterface
  /** Who gets the packet on the link: a gateway, or the destination itself. */
  readonly nextHop: IpAddress
  /** The largest IP packet, in bytes, that fits the link and the path as far as it is known. */
  readonly mtu: number
  readonly route: Route | undefined
}

/**
 * The way to `destination`, or why there is none. `via` binds it to an interface, as it must be for link-local and
 * multicast destinations where several interfaces could be meant.
 */
export function findWay(
  core: Core,
  destination: IpAddress,
  now: Instant,
  via?: NetworkInterface,
  onLinkOnly = false,
): Way | 'no-route' | 'unreachable' | 'blackhole' {
  if (via !== undefined && !via.up) return 'no-route'
  if (destination.isUnspecified) return 'no-route'
  const route = core.routes.lookup(destination, via)
  if (destination.isMulticast || (destination.family === 4 && destination.isBroadcast)) {
    const ifc = via ?? groupRoute(route) ?? firstBroadcast(core)
    return ifc === undefined ? 'no-route' : onLink(ifc, destination, undefined)
  }
  if (core.local.has(destination, via)) {
    const ifc = core.loopbackInterface
    return ifc?.up === true ? onLink(ifc, destination, route) : 'no-route'
  }
  if (route === undefined || (onLinkOnly && route.gateway !== undefined))
    // Bound to an interface, a destination that no route knows is taken to be on its link.
    return via !== undefined && (destination.family === 4 || destination.isLinkLocal || onLinkOnly)
      ? onLink(via, destination, undefined)
      : 'no-route'
  if (route.action !== 'forward') return route.action === 'reject' ? 'unreachable' : 'blackhole'
  const limit = Math.min(route.interface.mtu, route.mtu ?? route.interface.mtu)
  const path = core.pathMtus.get(destination, now) ?? limit
  return {
    destination,
    interface: route.interface,
    nextHop: route.gateway ?? destination,
    mtu: Math.min(limit, path),
    route,
  }
}

const onLink = (ifc: NetworkInterface, destination: IpAddress, route: Route | undefined): Way => ({
  destination,
  interface: ifc,
  nextHop: destination,
  mtu: ifc.mtu,
  route,
})

const groupRoute = (route: Route | undefined): NetworkInterface | undefined =>
  route === undefined || route.action !== 'forward' ? undefined : route.interface

/** Where a group goes that no route and no caller gives a way: the first link on which it means something. */
function firstBroadcast(core: Core): NetworkInterface | undefined {
  for (const ifc of core.interfaces.values()) if (ifc.up && ifc.isBroadcast) return ifc
  return undefined
}
