/**
 * The IP stack of a virtual host: sans-I/O, for the lab and for programs.
 *
 * Not here: router advertisements, redirects and source routes are not obeyed; no IGMP and MLD (only the groups that
 * every host is in); duplicate addresses are counted, but serve all the same; no multipath routes, no jumbograms.
 */

export { FlowKey } from './flow-key.js'
export { fragmentIpv4, fragmentIpv6 } from './fragment.js'
export type { IcmpErrorReport } from './icmp-quote.js'
export { NetworkInterface, prefixOf } from './interface.js'
export { defaultLimits, type StackLimits } from './limits.js'
export { linkLocalAddress } from './nd.js'
export { Route, type RouteAction, type RouteKind, type RouteRequest, RouteTable } from './routes.js'
export * from './spd.js'
export { type NeighbourTable, Stack, type StackOptions } from './stack.js'
export * from './tcp/index.js'
export * from './types.js'
export { type UdpBinding, type UdpDatagram, UdpLayer, type UdpSendOptions, type UdpSocket } from './udp.js'
