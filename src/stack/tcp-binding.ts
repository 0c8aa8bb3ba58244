/** What TCP needs of the stack beneath it. */
import type { Instant, IpAddress } from '../base/index.js'
import { IpProtocol } from '../wire/numbers.js'
import type { Core } from './core.js'
import type { TcpLayerOptions } from './tcp/index.js'
import { findWay } from './way.js'

/** TCP and IP headers without options (RFC 9293 section 3.7.1). */
const OVERHEAD = { 4: 40, 6: 60 }
/** RFC 9293 section 3.7.1: what every host takes, for a destination without a route. */
const DEFAULT_MTU = { 4: 576, 6: 1280 }
const ECT0 = 2

export function tcpOptions(core: Core): TcpLayerOptions {
  return {
    random: core.random,
    timers: core.timers,
    counters: core.counters,
    get ecn() {
      return core.settings.tcpEcn
    },
    transmit: (segment, source, destination, now, ecnCapable) =>
      transmit(core, segment, source, destination, ecnCapable, now),
    sourceFor: (destination) => sourceFor(core, destination),
    mssFor: (destination) =>
      (senderMtu(core, destination, core.now) ?? DEFAULT_MTU[destination.family]) -
      OVERHEAD[destination.family],
  }
}

/** The largest IP packet that goes to `destination` unfragmented, as far as known; `undefined` without a route. */
export function pathMtu(core: Core, destination: IpAddress, now: Instant): number | undefined {
  const way = findWay(core, destination, now)
  return typeof way === 'string' ? undefined : way.mtu
}

/** The same for a sender on this host, whose packets IPsec may make longer. */
export function senderMtu(core: Core, destination: IpAddress, now: Instant): number | undefined {
  const mtu = pathMtu(core, destination, now)
  if (mtu === undefined || core.ipsec === undefined) return mtu
  return Math.min(mtu, core.protectedMtus.get(destination, now) ?? mtu)
}

export function sourceFor(core: Core, destination: IpAddress): IpAddress | undefined {
  const way = findWay(core, destination, core.now)
  return typeof way === 'string' ? undefined : core.local.sourceFor(destination, way.interface, way.nextHop)
}

/** Segments go out with DF: TCP finds its path's MTU (RFC 1191 section 6.5). */
function transmit(
  core: Core,
  segment: Uint8Array,
  source: IpAddress,
  destination: IpAddress,
  ecnCapable: boolean,
  now: Instant,
): void {
  const output = destination.family === 4 ? core.ipv4 : core.ipv6
  const result = output.send(
    {
      protocol: IpProtocol.tcp,
      source,
      destination,
      payload: segment,
      dontFragment: true,
      trafficClass: ecnCapable ? ECT0 : 0,
    },
    now,
  )
  if (result !== 'too-big') return
  // The path shrank since the connection began: TCP hears of it as of a router's report, after it has done its sums.
  const mtu = senderMtu(core, destination, now)
  if (mtu === undefined) return
  core.timers.schedule(now, (then) =>
    core.tcp.icmpError('too-big', { source, destination, segment: segment.subarray(0, 20), mtu }, then),
  )
}
