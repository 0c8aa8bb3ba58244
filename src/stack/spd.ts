/**
 * The security policy database (RFC 4301 section 4.4.1): which packets IPsec has to protect, drop or leave alone.
 *
 * RFC 4301 wants an ordered list. The order here is the selectors' own: of two that match a packet, the narrower one
 * counts (longer prefixes, then a named protocol, then fewer ports or a named ICMP type), and of equals the one that was
 * added first. A selector that lies within another therefore always stands before it.
 *
 * A lookup allocates nothing. It walks the list of its direction and family; a database is of tens of entries, and has a
 * limit.
 */
import { type IpAddress, type IpPrefix, readUint32, WarrenError } from '../base/index.js'
import type { FlowKey } from './flow-key.js'

export type PolicyDirection = 'in' | 'out'

/**
 * `use`: protected where an SA stands, in clear where none does. `require`: protected, or dropped. `deny`: dropped.
 * `bypass`: in clear.
 */
export type PolicyAction = 'use' | 'require' | 'deny' | 'bypass'

export type PolicyProtocol = 'esp' | 'ah' | 'ipip'

/** Both ends included. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

export interface TrafficSelector {
  readonly source: IpPrefix
  readonly destination: IpPrefix
  /** IANA number; absent: any. */
  readonly protocol?: number
  /** Needs a protocol that has ports. */
  readonly sourcePorts?: PortRange
  readonly destinationPorts?: PortRange
  /** Needs ICMP or ICMPv6. */
  readonly icmpType?: number
  readonly icmpCode?: number
}

export interface Policy {
  readonly direction: PolicyDirection
  readonly selector: TrafficSelector
  readonly action: PolicyAction
  /** What protects it. */
  readonly protocol: PolicyProtocol
  /** Our end of the SA; absent: any of ours. */
  readonly local?: IpAddress
  /** The other end of the SA; absent: the packet's own other end. */
  readonly peer?: IpAddress
  /** The SAs themselves, by the names of their paths, the first that stands rather; absent: found by their ends. */
  readonly paths?: readonly string[]
  /** `file:line:column` of the rule. */
  readonly where?: string
  /** Set by `lookup` in the place of a policy that may cover a packet whose ports it cannot see: dropped. */
  readonly unreadable?: true
}

/** Policies of one database. */
export const POLICY_LIMIT = 4096

const ANY = -1

interface Entry {
  readonly policy: Policy
  /** What a packet meets that the policy may cover, where it must not be missed; undefined: goes on to the next. */
  readonly unreadable: Policy | undefined
  readonly specificity: number
  readonly serial: number
  readonly sourceWords: Int32Array
  readonly sourceMasks: Int32Array
  readonly destinationWords: Int32Array
  readonly destinationMasks: Int32Array
  readonly protocol: number
  readonly hasUpper: boolean
  readonly sourceFirst: number
  readonly sourceLast: number
  readonly destinationFirst: number
  readonly destinationLast: number
  readonly icmpType: number
  readonly icmpCode: number
}

export class Spd {
  readonly #lists: Record<PolicyDirection, { 4: Entry[]; 6: Entry[] }> = {
    in: { 4: [], 6: [] },
    out: { 4: [], 6: [] },
  }
  #serial = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Adds a policy; one of the same direction and selector is replaced. @throws WarrenError STACK_POLICY. */
  add(policy: Policy): void {
    checkSelector(policy)
    const list = this.#lists[policy.direction][policy.selector.source.family]
    const same = list.findIndex((entry) => sameSelector(entry.policy.selector, policy.selector))
    if (same >= 0) {
      list[same] = compile(policy, list[same]!.serial)
      return
    }
    if (this.#size >= POLICY_LIMIT)
      throw new WarrenError('STACK_POLICY', 'too many policies', {
        expected: `at most ${POLICY_LIMIT}`,
        ...(policy.where === undefined ? {} : { where: policy.where }),
      })
    list.push(compile(policy, this.#serial++))
    list.sort((a, b) => b.specificity - a.specificity || a.serial - b.serial)
    this.#size++
  }

  /** Removes the policy with this direction and selector and returns it; `undefined` if there is none. */
  remove(direction: PolicyDirection, selector: TrafficSelector): Policy | undefined {
    const list = this.#lists[direction][selector.source.family]
    const at = list.findIndex((entry) => sameSelector(entry.policy.selector, selector))
    if (at < 0) return undefined
    const [removed] = list.splice(at, 1)
    this.#size--
    return removed?.policy
  }

  clear(): void {
    for (const list of this.#all()) list.length = 0
    this.#size = 0
  }

  /** In the order of their search: IPv4 before IPv6, in before out. */
  list(): Policy[] {
    return this.#all().flatMap((list) => list.map(({ policy }) => policy))
  }

  /**
   * The policy that a packet falls under; `undefined`: none. A packet whose ports (or protocol) cannot be seen, and that
   * a `require` or `deny` policy with ports may cover, gets a `deny` with `unreadable`: it must not slip through.
   */
  lookup(direction: PolicyDirection, key: FlowKey): Policy | undefined {
    if (key.family === 0) return undefined
    const list = this.#lists[direction][key.family]
    for (let i = 0; i < list.length; i++) {
      const entry = list[i]!
      if (!addressesMatch(entry, key)) continue
      let maybe = false
      if (entry.protocol !== ANY) {
        if (key.protocol === ANY) maybe = true
        else if (entry.protocol !== key.protocol) continue
        if (entry.hasUpper) {
          if (key.opaque) maybe = true
          else if (!upperMatches(entry, key)) continue
        }
      }
      if (!maybe) return entry.policy
      if (entry.unreadable !== undefined) return entry.unreadable
    }
    return undefined
  }

  #all(): Entry[][] {
    const { in: inbound, out } = this.#lists
    return [inbound[4], out[4], inbound[6], out[6]]
  }
}

function addressesMatch(entry: Entry, key: FlowKey): boolean {
  const { sourceWords, sourceMasks, destinationWords, destinationMasks } = entry
  if (
    (key.s0 & sourceMasks[0]!) !== sourceWords[0] ||
    (key.d0 & destinationMasks[0]!) !== destinationWords[0]
  )
    return false
  if (key.family === 4) return true
  return (
    (key.s1 & sourceMasks[1]!) === sourceWords[1] &&
    (key.s2 & sourceMasks[2]!) === sourceWords[2] &&
    (key.s3 & sourceMasks[3]!) === sourceWords[3] &&
    (key.d1 & destinationMasks[1]!) === destinationWords[1] &&
    (key.d2 & destinationMasks[2]!) === destinationWords[2] &&
    (key.d3 & destinationMasks[3]!) === destinationWords[3]
  )
}

function upperMatches(entry: Entry, key: FlowKey): boolean {
  return (
    (entry.sourceFirst === ANY ||
      (key.sourcePort >= entry.sourceFirst && key.sourcePort <= entry.sourceLast)) &&
    (entry.destinationFirst === ANY ||
      (key.destinationPort >= entry.destinationFirst && key.destinationPort <= entry.destinationLast)) &&
    (entry.icmpType === ANY || key.icmpType === entry.icmpType) &&
    (entry.icmpCode === ANY || key.icmpCode === entry.icmpCode)
  )
}

function checkSelector({ selector, where }: Policy): void {
  const { source, destination, protocol, sourcePorts, destinationPorts, icmpType, icmpCode } = selector
  const refuse = (summary: string, found: string, expected: string): never => {
    throw new WarrenError('STACK_POLICY', summary, {
      found,
      expected,
      ...(where === undefined ? {} : { where }),
    })
  }
  if (source.family !== destination.family)
    refuse('source and destination of a selector', `${source} and ${destination}`, 'two of one family')
  const needsProtocol = [sourcePorts, destinationPorts, icmpType, icmpCode].some((one) => one !== undefined)
  if (needsProtocol && protocol === undefined)
    refuse('a selector with ports or an ICMP type', 'no protocol', 'the protocol that they belong to')
  for (const range of [sourcePorts, destinationPorts])
    if (range !== undefined && !(range.first >= 0 && range.first <= range.last && range.last <= 65_535))
      refuse('ports of a selector', `${range.first} to ${range.last}`, '0 to 65535, the lower one first')
}

/** How many values a part of the selector lets through; one more than all where it is not asked for at all. */
const widthOf = (range: PortRange | undefined): number =>
  range === undefined ? 65_537 : range.last - range.first + 1
const icmpWidthOf = (value: number | undefined): number => (value === undefined ? 257 : 1)

/** Prefix lengths count most, then a named protocol, then how little the ports or the ICMP type let through. */
function specificityOf({
  source,
  destination,
  protocol,
  sourcePorts,
  destinationPorts,
  icmpType,
  icmpCode,
}: TrafficSelector): number {
  const width =
    widthOf(sourcePorts) + widthOf(destinationPorts) + icmpWidthOf(icmpType) + icmpWidthOf(icmpCode)
  const lengths = source.length + destination.length
  return lengths * 2 ** 19 + (protocol === undefined ? 0 : 2 ** 18) + (2 ** 18 - width)
}

function sameSelector(a: TrafficSelector, b: TrafficSelector): boolean {
  return (
    a.source.equals(b.source) &&
    a.destination.equals(b.destination) &&
    a.protocol === b.protocol &&
    sameRange(a.sourcePorts, b.sourcePorts) &&
    sameRange(a.destinationPorts, b.destinationPorts) &&
    a.icmpType === b.icmpType &&
    a.icmpCode === b.icmpCode
  )
}

const sameRange = (a: PortRange | undefined, b: PortRange | undefined): boolean =>
  a?.first === b?.first && a?.last === b?.last

function compile(policy: Policy, serial: number): Entry {
  const { source, destination, protocol, sourcePorts, destinationPorts, icmpType, icmpCode } = policy.selector
  return {
    policy,
    unreadable:
      policy.action === 'require' || policy.action === 'deny'
        ? { ...policy, action: 'deny', unreadable: true }
        : undefined,
    specificity: specificityOf(policy.selector),
    serial,
    sourceWords: wordsOf(source.address.bytes),
    sourceMasks: wordsOf(source.mask.bytes),
    destinationWords: wordsOf(destination.address.bytes),
    destinationMasks: wordsOf(destination.mask.bytes),
    protocol: protocol ?? ANY,
    hasUpper: [sourcePorts, destinationPorts, icmpType, icmpCode].some((one) => one !== undefined),
    sourceFirst: sourcePorts?.first ?? ANY,
    sourceLast: sourcePorts?.last ?? ANY,
    destinationFirst: destinationPorts?.first ?? ANY,
    destinationLast: destinationPorts?.last ?? ANY,
    icmpType: icmpType ?? ANY,
    icmpCode: icmpCode ?? ANY,
  }
}

function wordsOf(bytes: Uint8Array): Int32Array {
  const words = new Int32Array(4)
  for (let i = 0; i < bytes.length; i += 4) words[i / 4] = readUint32(bytes, i)
  return words
}
