/**
 * Tunnels that lead into themselves. A packet's nesting is forgotten when it crosses the kernel, so loops are found
 * in the routes: a carrier whose way to the peer leads, over however many tunnels of this host, into a tunnel that it
 * carries.
 */
import { ipAddressFrom } from '../base/index.js'
import type { Carrier } from './carrier.js'
import type { OtherTunnel } from './messages.js'
import type { PlaneInterface } from './plane-interface.js'
import type { RouteLookup } from './source-filter.js'

/** A carrier of ours or of another thread: where it goes. */
type Way = OtherTunnel['carriers'][number]

/** Sets `loops` of each carrier. */
export function findLoops(
  carriers: Iterable<Carrier>,
  interfaces: Iterable<PlaneInterface>,
  others: readonly OtherTunnel[],
  lookup: RouteLookup,
): void {
  /** By the kernel's number of a tunnel's interface: what carries it. */
  const tunnels = new Map<number, Set<Way>>()
  for (const { index, carriers: ways } of others) tunnels.set(index, new Set(ways))
  for (const side of interfaces)
    tunnels.set(side.spec.index, new Set([...side.paths.values()].map(({ carrier }) => carrier.spec)))
  const known = new Map<Way, ReadonlySet<Way>>()
  /** What carries the tunnel that a way leads into; nothing where it leads into none. */
  const next = (way: Way): ReadonlySet<Way> => {
    let found = known.get(way)
    if (found === undefined) {
      const route = lookup(ipAddressFrom(way.remote), way.mark)
      found = (route === undefined ? undefined : tunnels.get(route.interfaceIndex)) ?? new Set()
      known.set(way, found)
    }
    return found
  }
  for (const carrier of carriers) {
    const seen = new Set<Way>()
    const waiting: Way[] = [carrier.spec]
    carrier.loops = false
    for (let way = waiting.pop(); way !== undefined && !carrier.loops; way = waiting.pop())
      for (const further of next(way)) {
        if (further === carrier.spec) carrier.loops = true
        if (seen.has(further)) continue
        seen.add(further)
        waiting.push(further)
      }
  }
}
