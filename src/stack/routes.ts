/**
 * The routing table: longest prefix wins, then the lowest priority, then the first added.
 *
 * Routes come from addresses (connected, local, broadcast, peer), from the user (static) and, as rows that only
 * `entries` shows, from the neighbour caches and path MTU discovery. Kinds and flags are those of route(8) and
 * netstat(1) on OpenBSD.
 */
import {
  type InterfaceAddress,
  type IpAddress,
  type IpPrefix,
  type MacAddress,
  WarrenError,
} from '../base/index.js'
import type { NetworkInterface } from './interface.js'

/**
 * `connected`: the network of an address; `local`: an address of ours; `broadcast`: its network's broadcast address;
 * `peer`: the other end of a point-to-point link; `static`: the user's; `neighbour`: a resolved host of a connected
 * network; `path-mtu`: a host whose path is narrower than the route to it.
 */
export type RouteKind = 'connected' | 'local' | 'broadcast' | 'peer' | 'static' | 'neighbour' | 'path-mtu'

export interface Route {
  readonly destination: IpPrefix
  /** The next hop; absent where the destination itself is on the link. */
  readonly gateway?: IpAddress
  readonly interface: NetworkInterface
  readonly kind: RouteKind
  /** `reject`: the sender is told unreachable; `blackhole`: nobody is told. */
  readonly action: 'forward' | 'reject' | 'blackhole'
  /** The address of ours that it belongs to, the default source over it. */
  readonly via?: InterfaceAddress
  /** Of the path, where it is less than the interface's. */
  readonly mtu?: number
  /** RTP_LOCAL 1, RTP_CONNECTED 4, RTP_STATIC 8. */
  readonly priority: number
  /** Packets that went by it. */
  use: number
  /** What the gateway column of `netstat -rn` shows. */
  readonly gatewayText: string
  /** The flags column, as in `UGS`. U is missing while the interface is down. */
  readonly flags: string
}

export interface RouteRequest {
  readonly destination: IpPrefix
  readonly gateway?: IpAddress
  /** Default: where the gateway is. */
  readonly interface?: NetworkInterface
  readonly kind?: RouteKind
  readonly action?: 'forward' | 'reject' | 'blackhole'
  readonly mtu?: number
  readonly priority?: number
  readonly via?: InterfaceAddress
  readonly mac?: MacAddress
}

export class RouteTable {
  /** Every row, IPv4 before IPv6, sorted as netstat shows them. */
  entries(): Route[] {
    return []
  }
  /** The route that a packet to `address` takes: only over interfaces that are up. */
  lookup(_address: IpAddress): Route | undefined {
    return undefined
  }
  /**
   * @throws WarrenError STACK_ROUTE_EXISTS 'File exists': the same destination with the same gateway.
   * @throws WarrenError STACK_NO_ROUTE 'Network is unreachable': no interface leads to the gateway.
   */
  add(_request: RouteRequest): void {
    throw new WarrenError('STACK_NO_ROUTE', 'Network is unreachable')
  }
  /** Removes a static route; `undefined` if there is none. */
  remove(_destination: IpPrefix, _gateway?: IpAddress): Route | undefined {
    return undefined
  }
}
