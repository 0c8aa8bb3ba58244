/**
 * The routing table: longest prefix wins, then the lowest priority, then the first added.
 *
 * Routes come from addresses (connected, local, broadcast, peer), from the user (static) and, as rows that only
 * `entries` shows, from the neighbour caches and path MTU discovery. Kinds, flags and priorities are those of
 * route(8) and netstat(1) on OpenBSD.
 */
import {
  type InterfaceAddress,
  type IpAddress,
  IpPrefix,
  type MacAddress,
  WarrenError,
} from '../base/index.js'
import type { Core } from './core.js'
import type { NetworkInterface } from './interface.js'

/**
 * `connected`: the network of an address; `local`: an address of ours; `broadcast`: its network's broadcast address;
 * `peer`: the other end of a point-to-point link; `static`: the user's; `neighbour`: a resolved host of a connected
 * network; `path-mtu`: a host whose path is narrower than the route to it.
 */
export type RouteKind = 'connected' | 'local' | 'broadcast' | 'peer' | 'static' | 'neighbour' | 'path-mtu'

/** `reject`: the sender is told unreachable; `blackhole`: nobody is told. */
export type RouteAction = 'forward' | 'reject' | 'blackhole'

export interface RouteRequest {
  readonly destination: IpPrefix
  /** The next hop; absent where the destination itself is on the link. */
  readonly gateway?: IpAddress
  /** Default: where the gateway is. */
  readonly interface?: NetworkInterface
  /** Default: `static`. */
  readonly kind?: RouteKind
  /** Default: `forward`. */
  readonly action?: RouteAction
  /** Of the path, where it is less than the interface's. */
  readonly mtu?: number
  readonly priority?: number
  /** The address of ours that it belongs to, the default source over it. */
  readonly via?: InterfaceAddress
}

/** RTP_LOCAL, RTP_CONNECTED, one less for what is cloned of it, RTP_STATIC. */
const PRIORITY: Record<RouteKind, number> = {
  local: 1,
  broadcast: 1,
  neighbour: 3,
  connected: 4,
  peer: 8,
  static: 8,
  'path-mtu': 8,
}

export class Route {
  readonly destination: IpPrefix
  readonly gateway: IpAddress | undefined
  readonly interface: NetworkInterface
  readonly kind: RouteKind
  readonly action: RouteAction
  readonly via: InterfaceAddress | undefined
  readonly mtu: number | undefined
  readonly priority: number
  /** The neighbour's link-layer address (kind `neighbour`). */
  readonly mac: MacAddress | undefined
  /** Packets that went by it. */
  use = 0
  /** Routes through it: 1 or more if it is the gateway of another (flag h). */
  references = 0

  constructor(request: RouteRequest & { interface: NetworkInterface }, mac?: MacAddress) {
    this.destination = request.destination
    this.gateway = request.gateway
    this.interface = request.interface
    this.kind = request.kind ?? 'static'
    this.action = request.action ?? 'forward'
    this.via = request.via
    this.mtu = request.mtu
    this.priority = request.priority ?? PRIORITY[this.kind]
    this.mac = mac
  }

  get isHost(): boolean {
    return this.destination.length === this.destination.address.bytes.length * 8
  }

  /** What the gateway column of `netstat -rn` shows. */
  get gatewayText(): string {
    if (this.kind === 'neighbour') return this.mac?.toString() ?? `link#${this.interface.index}`
    if (this.kind === 'local' && this.interface.mac !== undefined) return this.interface.mac.toString()
    return (this.gateway ?? this.via?.address ?? this.interface.name).toString()
  }

  /** The flags column, as in `UGS`, in the order of netstat(1). U is missing while the interface is down. */
  get flags(): string {
    const ethernet = this.interface.kind === 'ethernet'
    const on = (letter: string, is: boolean): string => (is ? letter : '')
    return (
      on('U', this.interface.up) +
      on('G', this.gateway !== undefined && (this.kind === 'static' || this.kind === 'path-mtu')) +
      on('H', this.isHost && this.kind !== 'connected') +
      on('R', this.action === 'reject') +
      on('D', this.kind === 'path-mtu') +
      on('C', this.kind === 'connected' && ethernet) +
      on('L', this.kind === 'neighbour' || (this.kind === 'local' && ethernet)) +
      on('S', this.kind === 'static') +
      on('B', this.action === 'blackhole') +
      on('c', this.kind === 'neighbour') +
      on('h', this.references > 0) +
      on('l', this.kind === 'local') +
      on('b', this.kind === 'broadcast') +
      on('n', this.kind === 'connected')
    )
  }
}

/** Rows that other tables keep and `entries` shows. */
export type RouteRows = () => Iterable<Route>

export class RouteTable {
  /** Longest prefix first, then the lowest priority: the first that contains an address is its route. */
  readonly #routes: Record<4 | 6, Route[]> = { 4: [], 6: [] }
  readonly #limit: number
  readonly #more: RouteRows

  constructor(limit: number, more: RouteRows = () => []) {
    this.#limit = limit
    this.#more = more
  }

  /** Every row, IPv4 before IPv6, in the order in which netstat shows them: by address, wider before narrower. */
  entries(): Route[] {
    const all = [...this.#routes[4], ...this.#routes[6], ...this.#more()]
    for (const route of all) route.references = 0
    for (const { gateway, kind } of all) {
      if (gateway === undefined || kind !== 'static') continue
      const hop = all.find((route) => route.isHost && route.destination.address.equals(gateway))
      if (hop !== undefined) hop.references++
    }
    return all.sort(inNetstatOrder)
  }

  /**
   * The route that a packet to `address` takes, only over interfaces that are up; with `only`, over that interface.
   */
  lookup(address: IpAddress, only?: NetworkInterface): Route | undefined {
    for (const route of this.#routes[address.family]) {
      if (!route.interface.up || (only !== undefined && route.interface !== only)) continue
      if (route.destination.contains(address)) return route
    }
    return undefined
  }

  /**
   * @throws WarrenError STACK_ROUTE_EXISTS 'File exists': the same destination with the same gateway.
   * @throws WarrenError STACK_NO_ROUTE 'Network is unreachable': no interface leads to the gateway.
   * @throws WarrenError STACK_ROUTES_FULL 'No buffer space available'.
   */
  add(request: RouteRequest): Route {
    const { destination, gateway } = request
    const hop = gateway === undefined ? undefined : this.#hopTo(gateway, request.interface)
    const ifc = request.interface ?? hop?.interface
    if (ifc === undefined || (gateway !== undefined && gateway.family !== destination.family))
      throw new WarrenError('STACK_NO_ROUTE', 'Network is unreachable', {
        found: gateway === undefined ? 'a route without gateway and interface' : `gateway ${gateway}`,
        expected: 'a gateway in the network of an interface that is up',
      })
    const via = request.via ?? hop?.via
    const route = new Route({ ...request, interface: ifc, ...(via === undefined ? {} : { via }) })
    const routes = this.#routes[destination.family]
    const twin = routes.find((other) => clash(other, route))
    if (twin !== undefined)
      throw new WarrenError('STACK_ROUTE_EXISTS', 'File exists', {
        found: `a route to ${destination} by ${twin.gatewayText}`,
        mend: 'delete it first, or change it',
      })
    if (routes.length >= this.#limit)
      throw new WarrenError('STACK_ROUTES_FULL', 'No buffer space available', {
        found: `${routes.length} routes`,
        expected: `at most ${this.#limit}`,
      })
    const at = routes.findIndex((other) => goesBefore(route, other))
    routes.splice(at < 0 ? routes.length : at, 0, route)
    return route
  }

  /** Removes a static route, the one with `gateway` if it is given; `undefined` if there is none. */
  remove(destination: IpPrefix, gateway?: IpAddress): Route | undefined {
    const routes = this.#routes[destination.family]
    const at = routes.findIndex(
      (route) =>
        route.kind === 'static' &&
        route.destination.equals(destination) &&
        (gateway === undefined || route.gateway?.equals(gateway) === true),
    )
    return at < 0 ? undefined : routes.splice(at, 1)[0]
  }

  /** Removes every static route of one family or of both (`route flush`); returns them. */
  flush(family?: 4 | 6): Route[] {
    return this.removeWhere(
      (route) => route.kind === 'static' && (family ?? route.destination.family) === route.destination.family,
    )
  }

  /** For `Stack`: when addresses and interfaces go. */
  removeWhere(goes: (route: Route) => boolean): Route[] {
    const gone: Route[] = []
    for (const family of [4, 6] as const)
      this.#routes[family] = this.#routes[family].filter((route) => {
        if (!goes(route)) return true
        gone.push(route)
        return false
      })
    return gone
  }

  /** The directly connected route by which a gateway is reached. */
  #hopTo(gateway: IpAddress, only: NetworkInterface | undefined): Route | undefined {
    const route = this.lookup(gateway, only)
    return route === undefined || route.kind === 'static' ? undefined : route
  }
}

/** Connected routes may stand once an interface; a user's once a gateway. */
function clash(a: Route, b: Route): boolean {
  if (!a.destination.equals(b.destination) || a.priority !== b.priority) return false
  if (a.kind !== 'static' || b.kind !== 'static') return a.kind === b.kind && a.interface === b.interface
  return a.gateway === undefined || b.gateway === undefined
    ? a.gateway === b.gateway && a.interface === b.interface
    : a.gateway.equals(b.gateway)
}

const goesBefore = (a: Route, b: Route): boolean =>
  a.destination.length > b.destination.length ||
  (a.destination.length === b.destination.length && a.priority < b.priority)

function inNetstatOrder(a: Route, b: Route): number {
  if (a.destination.family !== b.destination.family) return a.destination.family - b.destination.family
  const left = a.destination.address.bytes
  const right = b.destination.address.bytes
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return left[i]! - right[i]!
  return a.destination.length - b.destination.length || a.priority - b.priority
}

/** The rows that other tables keep: resolved neighbours and the hosts whose path is narrow. */
export function extraRoutes(core: Core): Route[] {
  const rows: Route[] = []
  for (const { cache } of [core.arp, core.nd])
    for (const { address, interface: ifc, mac } of cache.list()) {
      const destination = new IpPrefix(address, address.bytes.length * 8)
      rows.push(new Route({ destination, interface: ifc, kind: 'neighbour' }, mac))
    }
  for (const { destination: address, mtu } of core.pathMtus.rows()) {
    const way = core.routes.lookup(address)
    if (way === undefined) continue
    const { gateway, interface: ifc } = way
    const destination = new IpPrefix(address, address.bytes.length * 8)
    rows.push(
      new Route({
        destination,
        interface: ifc,
        kind: 'path-mtu',
        mtu,
        ...(gateway === undefined ? {} : { gateway }),
      }),
    )
  }
  return rows
}
