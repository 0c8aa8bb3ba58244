/**
 * What follows from an interface's addresses: routes, group memberships, announcements.
 */
import {
  type Instant,
  type InterfaceAddress,
  IpPrefix,
  type Ipv6Address,
  WarrenError,
} from '../base/index.js'
import type { Core } from './core.js'
import type { NetworkInterface } from './interface.js'
import { prefixOf } from './interface.js'
import { directedBroadcast } from './local-addresses.js'
import { linkLocalAddress } from './nd.js'
import type { Route, RouteRequest } from './routes.js'

/** Adds the address with its routes; one that is there gets the new prefix and peer. */
export function addAddress(core: Core, ifc: NetworkInterface, own: InterfaceAddress, now: Instant): void {
  const before = ifc.addresses.find(({ address }) => address.equals(own.address))
  if (before === undefined || !sameConfiguration(before, own)) {
    if (before !== undefined) takeOut(core, ifc, before)
    ifc.assignAddresses([...ifc.addresses, own])
    core.local.add(ifc, own)
    for (const request of routesOf(ifc, own)) addQuietly(core, request)
    if (before !== undefined) removeOrphans(core, before)
    if (own.address.family === 6) ensureLinkLocal(core, ifc, now)
  }
  if (ifc.up) announce(core, ifc, own, now)
}

/** Removes the address with its routes, and the static routes that it alone made possible. */
export function removeAddress(core: Core, ifc: NetworkInterface, own: InterfaceAddress): void {
  takeOut(core, ifc, own)
  removeOrphans(core, own)
}

function takeOut(core: Core, ifc: NetworkInterface, own: InterfaceAddress): void {
  ifc.assignAddresses(ifc.addresses.filter((other) => other !== own))
  core.local.remove(ifc, own)
  core.routes.removeWhere((route) => route.via === own && route.kind !== 'static')
  // Another address may stand in the same network: the network's route goes over to it.
  for (const other of ifc.addresses) for (const request of routesOf(ifc, other)) addQuietly(core, request)
}

const sameConfiguration = (a: InterfaceAddress, b: InterfaceAddress): boolean =>
  a.prefixLength === b.prefixLength &&
  (a.peer === undefined ? b.peer === undefined : b.peer !== undefined && a.peer.equals(b.peer))

/** An ethernet interface that is up and speaks IPv6 has a link-local address (RFC 4291 section 2.8). */
export function ensureLinkLocal(core: Core, ifc: NetworkInterface, now: Instant): void {
  if (ifc.kind !== 'ethernet' || !ifc.up || ifc.mac === undefined) return
  const v6 = ifc.addresses.filter(({ address }) => address.family === 6)
  if (v6.length === 0 || v6.some(({ address }) => (address as Ipv6Address).isLinkLocal)) return
  addAddress(core, ifc, { address: linkLocalAddress(ifc.mac), prefixLength: 64 }, now)
}

/** Tells the link of an address that came, or came up. */
export function announce(core: Core, ifc: NetworkInterface, own: InterfaceAddress, now: Instant): void {
  if (ifc.kind !== 'ethernet' || !core.settings.announceAddresses) return
  if (own.address.family === 4) core.arp.announce(ifc, own.address, now)
  else core.nd.announce(ifc, own.address, now)
}

function routesOf(ifc: NetworkInterface, own: InterfaceAddress): RouteRequest[] {
  const { address, peer } = own
  const bits = address.bytes.length * 8
  const base = { interface: ifc, via: own }
  const requests: RouteRequest[] = [{ ...base, destination: new IpPrefix(address, bits), kind: 'local' }]
  if (ifc.kind === 'loopback') return requests
  if (ifc.kind === 'point-to-point') {
    if (peer !== undefined) requests.push({ ...base, destination: new IpPrefix(peer, bits), kind: 'peer' })
    // As OpenBSD: over a point-to-point link an IPv6 prefix is on the link, an IPv4 one is not.
    else if (address.family === 6 && own.prefixLength < bits)
      requests.push({ ...base, destination: prefixOf(own), kind: 'connected' })
    return requests
  }
  if (own.prefixLength < bits) requests.push({ ...base, destination: prefixOf(own), kind: 'connected' })
  const broadcast = directedBroadcast(ifc, own)
  if (broadcast !== undefined)
    requests.push({ ...base, destination: new IpPrefix(broadcast, bits), kind: 'broadcast' })
  return requests
}

/** A second address in one network adds no second route to it. */
function addQuietly(core: Core, request: RouteRequest): void {
  try {
    core.routes.add(request)
  } catch (error) {
    if (!(error instanceof WarrenError) || error.code !== 'STACK_ROUTE_EXISTS') throw error
  }
}

/** Static routes whose gateway is no longer on a link of ours go with the address that made it so. */
function removeOrphans(core: Core, gone: InterfaceAddress): void {
  const reachable = (route: Route): boolean => {
    if (route.gateway === undefined) return true
    const gateway = route.gateway
    return core.routes
      .entries()
      .some(
        (other) =>
          other.kind !== 'static' &&
          other.interface === route.interface &&
          other.destination.contains(gateway),
      )
  }
  core.routes.removeWhere(
    (route) =>
      route.kind === 'static' && route.via?.address.equals(gone.address) === true && !reachable(route),
  )
}
