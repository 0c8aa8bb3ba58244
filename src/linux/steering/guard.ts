/**
 * The guard: rules of nf_tables that drop what policies cover where routing alone would let it by. In clear from
 * outside (RFC 4301 section 5.2: what arrives unprotected must be allowed to), and out of another interface than the
 * one that leads into the tunnels, whatever route it took.
 *
 * Table `inet warren`:
 *
 *     prerouting  (raw)                  our interface, loopback, ESP, AH, our carriers' UDP, neighbour discovery: accept
 *                                        then each `in` policy: require and deny drop, use and bypass accept
 *     postrouting (raw), postsrcnat      jump out
 *     out                                our interface, loopback, our sockets' mark, neighbour discovery: accept
 *                                        then each `out` policy, likewise
 *     carriers                           UDP that is ours: accept
 *     in0, out3, …                       a policy whose ports or protocol a packet may not show: what does not counts
 *                                        as covered, and never as let through
 *
 * What leaves is looked at before and after the source may have been translated: either pair of addresses counts.
 */
import { concatBytes, IpPrefix, ipAddressFrom, WarrenError } from '../../base/index.js'
import type { PolicySpec } from '../../proto/machine.js'
import { IpProtocol } from '../../wire/numbers.js'
import { Errno, systemError } from '../ffi.js'
import {
  addressIn,
  be16,
  bitwise,
  type ChainSpec,
  compare,
  count,
  extensionHeader,
  meta,
  metaIs,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NFPROTO_IPV4,
  NFPROTO_IPV6,
  NFT_META_IIF,
  NFT_META_L4PROTO,
  NFT_META_MARK,
  NFT_META_NFPROTO,
  NFT_META_OIF,
  NFT_PAYLOAD_NETWORK_HEADER,
  NFT_PAYLOAD_TRANSPORT_HEADER,
  NftablesSocket,
  payload,
  range,
  removalRequests,
  tableRequests,
  verdict,
} from './nftables.js'
import type { OrderedPolicy } from './order.js'

export const GUARD_TABLE = 'warren'

/** Reasons of `drops()`, and the names of the counters. */
const GUARD_IN = 'guard.in'
const GUARD_OUT = 'guard.out'

/** NF_IP_PRI_RAW: before conntrack and any translation. */
const BEFORE = -300
/** Behind NF_IP_PRI_NAT_SRC, which is 100. */
const AFTER = 300

/** The loopback interface has this index in every namespace. */
const LOOPBACK_INDEX = 1

const NOTHING = new Uint8Array()

/** ICMPv6 types of neighbour discovery (RFC 4861 section 4). */
const ND_FIRST = 133
const ND_LAST = 137
const ND_HOP_LIMIT = 255

/** What carries our tunnels (UDP, IP in IP) and must reach us in clear. What is absent may be anything. */
export interface CarrierPorts {
  readonly family: 4 | 6
  /** Default: UDP, which alone has ports. */
  readonly protocol?: number
  /** Our own address and port. */
  readonly local?: Uint8Array
  readonly remote?: Uint8Array
  readonly localPort?: number
  readonly remotePort?: number
}

export interface GuardOptions {
  /** The interface that leads into the tunnels. */
  readonly interfaceIndex: number
  /** What the sockets of carriers mark their packets with. */
  readonly mark: number
}

/** The chains of the table. A pure function: its result is what `replace` puts in force. */
export function guardChains(
  policies: readonly OrderedPolicy[],
  carriers: readonly CarrierPorts[],
  { interfaceIndex, mark }: GuardOptions,
): ChainSpec[] {
  const accept = verdict('accept')
  const inRules = [
    concatBytes(metaIs(NFT_META_IIF, interfaceIndex), accept),
    concatBytes(metaIs(NFT_META_IIF, LOOPBACK_INDEX), accept),
    concatBytes(metaIs(NFT_META_L4PROTO, IpProtocol.esp), accept),
    concatBytes(metaIs(NFT_META_L4PROTO, IpProtocol.ah), accept),
    laterFragmentOfAh(),
    neighbourDiscovery(),
    concatBytes(metaIs(NFT_META_L4PROTO, IpProtocol.udp), verdict('jump', 'carriers')),
    ...carriers
      .filter((carrier) => !isUdp(carrier))
      .map((carrier) =>
        concatBytes(between(carrier), metaIs(NFT_META_L4PROTO, carrier.protocol ?? IpProtocol.udp), accept),
      ),
  ]
  const outRules = [
    concatBytes(metaIs(NFT_META_OIF, interfaceIndex), accept),
    concatBytes(metaIs(NFT_META_OIF, LOOPBACK_INDEX), accept),
    concatBytes(metaIs(NFT_META_MARK, mark), accept),
    neighbourDiscovery(),
  ]
  const parts: ChainSpec[] = []
  for (const [i, policy] of policies.entries()) {
    const { direction } = policy.spec
    const { rule, chain } = policyRule(policy, `${direction}${i}`)
    ;(direction === 'in' ? inRules : outRules).push(rule)
    if (chain !== undefined) parts.push(chain)
  }
  const out = [verdict('jump', 'out')]
  return [
    { name: 'prerouting', hook: { number: NF_INET_PRE_ROUTING, priority: BEFORE }, rules: inRules },
    { name: 'postrouting', hook: { number: NF_INET_POST_ROUTING, priority: BEFORE }, rules: out },
    { name: 'postsrcnat', hook: { number: NF_INET_POST_ROUTING, priority: AFTER }, rules: out },
    { name: 'out', rules: outRules },
    carrierChain(carriers.filter(isUdp)),
    ...parts,
  ]
}

/**
 * To Linux AH is an extension header, so that a later fragment of it has no protocol. It is of use only behind the first
 * one, which is AH to everybody.
 */
function laterFragmentOfAh(): Uint8Array {
  return concatBytes(
    familyIs(6),
    isLaterFragment(6),
    extensionHeader(IpProtocol.fragment, 0, 1),
    compare('eq', Uint8Array.of(IpProtocol.ah)),
    verdict('accept'),
  )
}

/** Neighbour discovery goes before any SA can; hop limit 255 shows that it is of this link. */
function neighbourDiscovery(): Uint8Array {
  return concatBytes(
    metaIs(NFT_META_NFPROTO, NFPROTO_IPV6),
    metaIs(NFT_META_L4PROTO, IpProtocol.icmpv6),
    payload(NFT_PAYLOAD_NETWORK_HEADER, 7, 1),
    compare('eq', Uint8Array.of(ND_HOP_LIMIT)),
    payload(NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1),
    range(Uint8Array.of(ND_FIRST), Uint8Array.of(ND_LAST)),
    verdict('accept'),
  )
}

const isUdp = ({ protocol = IpProtocol.udp }: CarrierPorts): boolean => protocol === IpProtocol.udp

/** The family and the ends of what arrives for a carrier. */
function between({ family, local, remote }: CarrierPorts): Uint8Array {
  const whole = (bytes: Uint8Array): IpPrefix => new IpPrefix(ipAddressFrom(bytes), bytes.length * 8)
  return concatBytes(
    familyIs(family),
    remote === undefined ? NOTHING : addressIn('source', whole(remote)),
    local === undefined ? NOTHING : addressIn('destination', whole(local)),
  )
}

/** Accepts what comes to our carriers; comes back with the rest. Only UDP comes here. */
function carrierChain(carriers: readonly CarrierPorts[]): ChainSpec {
  const accept = verdict('accept')
  return {
    name: 'carriers',
    rules: [
      // A later fragment shows no ports. It is of use only behind a first one, which has to pass a rule with ports.
      ...carriers
        .filter(({ local, remote }) => local !== undefined && remote !== undefined)
        .map((carrier) => concatBytes(between(carrier), isLaterFragment(carrier.family), accept)),
      concatBytes(familyIs(4), isLaterFragment(4), verdict('return')),
      concatBytes(familyIs(6), isLaterFragment(6), verdict('return')),
      ...carriers.map((carrier) =>
        concatBytes(
          between(carrier),
          portIs(0, single(carrier.remotePort)),
          portIs(2, single(carrier.localPort)),
          accept,
        ),
      ),
    ],
  }
}

const single = (port: number | undefined): PolicySpec['sourcePorts'] =>
  port === undefined ? undefined : { first: port, last: port }

function familyIs(family: 4 | 6): Uint8Array {
  return metaIs(NFT_META_NFPROTO, family === 4 ? NFPROTO_IPV4 : NFPROTO_IPV6)
}

/** The offset is not zero: RFC 791 section 3.1, RFC 8200 section 4.5. */
function isLaterFragment(family: 4 | 6): Uint8Array {
  return family === 4
    ? concatBytes(payload(NFT_PAYLOAD_NETWORK_HEADER, 6, 2), bitwise(be16(0x1fff)), compare('neq', be16(0)))
    : concatBytes(extensionHeader(IpProtocol.fragment, 2, 2), bitwise(be16(0xfff8)), compare('neq', be16(0)))
}

/** A port at `offset` of the transport header. */
function portIs(offset: number, ports: PolicySpec['sourcePorts']): Uint8Array {
  if (ports === undefined) return NOTHING
  const test =
    ports.first === ports.last ? compare('eq', be16(ports.first)) : range(be16(ports.first), be16(ports.last))
  return concatBytes(payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2), test)
}

function byteIs(offset: number, wanted: number | undefined): Uint8Array {
  if (wanted === undefined) return NOTHING
  return concatBytes(payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset, 1), compare('eq', Uint8Array.of(wanted)))
}

function policyRule(
  { spec, source, destination }: OrderedPolicy,
  name: string,
): { rule: Uint8Array; chain?: ChainSpec } {
  const { action, family, protocol, sourcePorts, destinationPorts, icmpType, icmpCode } = spec
  const drops = action === 'require' || action === 'deny'
  const decision = drops
    ? concatBytes(count(spec.direction === 'in' ? GUARD_IN : GUARD_OUT), verdict('drop'))
    : verdict('accept')
  const addresses = concatBytes(
    familyIs(family),
    addressIn('source', source),
    addressIn('destination', destination),
  )
  if (protocol === undefined) return { rule: concatBytes(addresses, decision) }
  const isProtocol = metaIs(NFT_META_L4PROTO, protocol)
  const upper = concatBytes(
    portIs(0, sourcePorts),
    portIs(2, destinationPorts),
    byteIs(0, icmpType),
    byteIs(1, icmpCode),
  )
  const hasUpper = upper.length > 0
  // Where a packet can hide nothing, or where hiding gains it nothing, one rule says it all.
  if (!hasUpper && (family === 4 || !drops)) return { rule: concatBytes(addresses, isProtocol, decision) }
  const later = isLaterFragment(family)
  const back = verdict('return')
  const isAnother = concatBytes(meta(NFT_META_L4PROTO), compare('neq', Uint8Array.of(protocol)))
  // A packet that has not so much of the upper layer fails the rule.
  const shown = payload(
    NFT_PAYLOAD_TRANSPORT_HEADER,
    0,
    icmpType === undefined && icmpCode === undefined ? 4 : 2,
  )
  // Fragments first: there are kernels that read ports out of the middle of a datagram.
  const rules = drops
    ? [
        ...(hasUpper ? [concatBytes(isProtocol, later, decision)] : []),
        concatBytes(isProtocol, upper, decision),
        ...(hasUpper ? [concatBytes(isProtocol, shown, back)] : []),
        concatBytes(isAnother, back),
        // A chain of headers that does not lead to the upper layer, or an upper layer that is cut off.
        decision,
      ]
    : [concatBytes(later, back), concatBytes(isProtocol, shown, upper, decision)]
  return { rule: concatBytes(addresses, verdict('jump', name)), chain: { name, rules } }
}

/** What a kernel answers that has not nf_tables, or not all of it. */
const LACKING: ReadonlySet<number> = new Set([
  Errno.EPROTONOSUPPORT,
  Errno.EAFNOSUPPORT,
  Errno.EOPNOTSUPP,
  Errno.ENOENT,
])

const NO_NETFILTER = systemError('', Errno.EPROTONOSUPPORT).code

/** What the guard asks of the kernel. */
export type NftablesFace = Pick<NftablesSocket, 'transact' | 'counters' | 'close'>

/** The table in the kernel. */
export class Guard {
  readonly #options: GuardOptions
  readonly #log: (line: string) => void
  readonly #open: () => NftablesFace
  #socket: NftablesFace | undefined
  /** What was counted by tables that have been replaced. */
  readonly #counted = new Map<string, number>()
  #inForce = false
  #complained = false

  /** `open` throws `LINUX_EPROTONOSUPPORT` where there is no netfilter. */
  constructor(
    options: GuardOptions,
    log: (line: string) => void,
    open: () => NftablesFace = () => new NftablesSocket(),
  ) {
    this.#options = options
    this.#log = log
    this.#open = open
  }

  /** Puts these in the place of what is there, a killed process's too, in one step. */
  replace(policies: readonly OrderedPolicy[], carriers: readonly CarrierPorts[]): void {
    const chains = guardChains(policies, carriers, this.#options)
    const before = this.#inForce ? this.#read() : new Map<string, number>()
    if (!this.#transact(tableRequests(GUARD_TABLE, [GUARD_IN, GUARD_OUT], chains))) {
      if (!this.#complained)
        this.#log(
          'this kernel has no nf_tables: what policies cover is dropped only by its routes, ' +
            'not where it arrives in clear',
        )
      this.#complained = true
      return
    }
    this.#keep(before)
    this.#inForce = true
  }

  drops(): Record<string, number> {
    const drops: Record<string, number> = {}
    for (const counts of this.#inForce ? [this.#counted, this.#read()] : [this.#counted])
      for (const [reason, packets] of counts) if (packets > 0) drops[reason] = (drops[reason] ?? 0) + packets
    return drops
  }

  /** Removes the table, a killed process's too. False: there was none. */
  remove(): boolean {
    const before = this.#connect()?.counters(GUARD_TABLE) ?? new Map<string, number>()
    if (this.#inForce) this.#keep(before)
    this.#inForce = false
    this.#transact(removalRequests(GUARD_TABLE))
    return before.size > 0
  }

  close(): void {
    this.#socket?.close()
    this.#socket = undefined
  }

  #keep(counts: ReadonlyMap<string, number>): void {
    for (const [reason, packets] of counts)
      this.#counted.set(reason, (this.#counted.get(reason) ?? 0) + packets)
  }

  #read(): Map<string, number> {
    return this.#socket?.counters(GUARD_TABLE) ?? new Map<string, number>()
  }

  /** `undefined`: this kernel has no netfilter. */
  #connect(): NftablesFace | undefined {
    try {
      this.#socket ??= this.#open()
      return this.#socket
    } catch (error) {
      if (error instanceof WarrenError && error.code === NO_NETFILTER) return undefined
      throw error
    }
  }

  /** False: this kernel cannot. */
  #transact(requests: Parameters<NftablesFace['transact']>[0]): boolean {
    const socket = this.#connect()
    if (socket === undefined) return false
    const { errno, words } = socket.transact(requests)
    if (errno === 0) return true
    if (LACKING.has(errno)) return false
    const error = systemError('set the guard of policies in nf_tables', errno)
    throw new WarrenError(error.code, error.summary, {
      ...error.details,
      ...(words === undefined ? {} : { found: `${error.details.found}, the kernel says "${words}"` }),
    })
  }
}
