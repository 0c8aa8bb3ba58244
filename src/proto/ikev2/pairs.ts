/**
 * What belongs together. On the wire a child has the selectors of its two sides, and whoever reads them may take each of one
 * side with each of the other (RFC 7296 section 2.9). A policy means the pairs that it has written: of what both agree upon
 * only packets of those pairs pass, as with iked.
 */
import { IpProtocol } from '../../wire/numbers.js'
import type { PolicySpec } from '../machine.js'
import type { Flow } from './policy.js'
import { intersect, prefixesOf, type Selector, sameSelector } from './selectors.js'

/** Selectors of one side of a child. */
export const SELECTOR_LIMIT = 64
/** Pairs of prefixes of one child: ranges of both sides are cut into prefixes, and those multiply. */
export const PAIR_LIMIT = 1024

/** Two selectors of one family and of one protocol. */
export interface Pair {
  readonly local: Selector
  readonly remote: Selector
}

export interface Narrowed {
  readonly local: readonly Selector[]
  readonly remote: readonly Selector[]
  readonly pairs: readonly Pair[]
  /** Not all that could have been had found room (RFC 7296 section 2.9: ADDITIONAL_TS_POSSIBLE). */
  readonly more: boolean
}

/** Selectors, each once; full at a limit. */
class Side {
  readonly selectors: Selector[] = []

  /** False: there is no room for it. */
  add(selector: Selector): boolean {
    if (this.selectors.some((other) => sameSelector(other, selector))) return true
    if (this.selectors.length >= SELECTOR_LIMIT) return false
    this.selectors.push(selector)
    return true
  }
}

/** What we ask for: all flows, as far as there is room. */
export function wantedTraffic(flows: readonly Pair[]): { local: Selector[]; remote: Selector[] } {
  const [local, remote] = [new Side(), new Side()]
  for (const flow of flows) if (local.add(flow.local)) remote.add(flow.remote)
  return { local: local.selectors, remote: remote.selectors }
}

/**
 * Narrowing (RFC 7296 section 2.9): of what the peer asks for, what our flows allow, and in which pairs. Undefined: nothing
 * (TS_UNACCEPTABLE).
 */
export function narrow(
  flows: readonly Pair[],
  local: readonly Selector[],
  remote: readonly Selector[],
): Narrowed | undefined {
  const [ours, theirs] = [new Side(), new Side()]
  const pairs: Pair[] = []
  let more = false
  for (const flow of flows) {
    const here = common(local, flow.local)
    const there = common(remote, flow.remote)
    for (const a of here)
      for (const b of there) {
        const pair = pairOf(a, b)
        if (pair === undefined || pairs.some((other) => samePair(other, pair))) continue
        if (ours.add(a) && theirs.add(b)) pairs.push(pair)
        else more = true
        // Beyond the limit it is refused as a whole.
        if (pairs.length > PAIR_LIMIT) return { local: ours.selectors, remote: theirs.selectors, pairs, more }
      }
  }
  return pairs.length === 0 ? undefined : { local: ours.selectors, remote: theirs.selectors, pairs, more }
}

function common(selectors: readonly Selector[], flow: Selector): Selector[] {
  const side = new Side()
  for (const one of selectors) {
    const part = intersect(one, flow)
    if (part !== undefined) side.add(part)
  }
  return side.selectors
}

const isAnyPort = ({ startPort, endPort }: Selector): boolean => startPort === 0 && endPort === 0xffff
const isIcmp = (protocol: number): boolean => protocol === IpProtocol.icmp || protocol === IpProtocol.icmpv6

/** Undefined: no packet has both as its ends. */
export function pairOf(local: Selector, remote: Selector): Pair | undefined {
  if (local.family !== remote.family) return undefined
  if (local.protocol !== 0 && remote.protocol !== 0 && local.protocol !== remote.protocol) return undefined
  // RFC 4301 section 4.4.1.1: a message has one type and code, whichever side they are written on.
  const clash =
    isIcmp(local.protocol) &&
    isIcmp(remote.protocol) &&
    !isAnyPort(local) &&
    !isAnyPort(remote) &&
    (local.startPort !== remote.startPort || local.endPort !== remote.endPort)
  return clash ? undefined : { local, remote }
}

export const samePair = (a: Pair, b: Pair): boolean =>
  sameSelector(a.local, b.local) && sameSelector(a.remote, b.remote)

/** Flows of which no packet goes by any of the pairs. */
export const missingFlows = (flows: readonly Flow[], pairs: readonly Pair[]): Flow[] =>
  flows.filter(
    ({ local, remote, dynamic }) =>
      dynamic === undefined &&
      !pairs.some(
        (pair) => intersect(pair.local, local) !== undefined && intersect(pair.remote, remote) !== undefined,
      ),
  )

/** Whether a child's policies would be too many. */
export function isTooFine(pairs: readonly Pair[]): boolean {
  let sum = 0
  for (const { local, remote } of pairs) {
    sum += prefixesOf(local).length * prefixesOf(remote).length
    if (sum > PAIR_LIMIT) return true
  }
  return false
}

/** Policies of pairs, both directions. `paths`: in the order in which they are to be used. */
export function policiesOf(
  pairs: readonly Pair[],
  paths: readonly string[],
  where: string | undefined,
): PolicySpec[] {
  const policies: PolicySpec[] = []
  for (const { local: here, remote: there } of pairs)
    for (const a of prefixesOf(here))
      for (const b of prefixesOf(there)) {
        const of = (direction: 'in' | 'out'): PolicySpec => {
          const [source, destination] = direction === 'out' ? [a, b] : [b, a]
          const [from, to] = direction === 'out' ? [here, there] : [there, here]
          return {
            direction,
            action: 'require',
            family: here.family,
            source,
            destination,
            ...upperOf(here.protocol || there.protocol, from, to),
            paths,
            ...(where === undefined ? {} : { where }),
          }
        }
        policies.push(of('in'), of('out'))
      }
  return policies
}

/** Ports, or ICMP's type and code, which stand as a port (RFC 7296 section 3.13.1). */
function upperOf(protocol: number, source: Selector, destination: Selector): Partial<PolicySpec> {
  if (protocol === 0) return {}
  if (isIcmp(protocol)) {
    const one = isAnyPort(source) ? destination : source
    if (isAnyPort(one)) return { protocol }
    const [type, code] = [one.startPort >>> 8, one.startPort & 0xff]
    return { protocol, icmpType: type, ...(one.startPort === one.endPort ? { icmpCode: code } : {}) }
  }
  return {
    protocol,
    ...(isAnyPort(source) ? {} : { sourcePorts: { first: source.startPort, last: source.endPort } }),
    ...(isAnyPort(destination)
      ? {}
      : { destinationPorts: { first: destination.startPort, last: destination.endPort } }),
  }
}
