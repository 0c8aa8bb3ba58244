/**
 * The kernel's rules of routing (FIB rules, `ip rule`) over rtnetlink: which table is asked for which packet. What is
 * here knows rules, not policies.
 */
import { IpPrefix, ipAddressFrom } from '../../base/index.js'
import { Errno, LITTLE_ENDIAN } from '../ffi.js'
import {
  attribute,
  decodeAttributes,
  type NetlinkMessage,
  type NetlinkSocket,
  NLM_F_CREATE,
  NLM_F_DUMP,
  NLM_F_EXCL,
  readUint32Native,
  uint8,
  uint16,
  uint32,
} from '../netlink.js'
import { AF_INET, AF_INET6 } from '../sockaddr.js'

const RTM_NEWRULE = 32
const RTM_DELRULE = 33
const RTM_GETRULE = 34

/** struct fib_rule_hdr (linux/fib_rules.h). */
const RULE_LENGTH = 12
const HDR_FAMILY = 0
const HDR_DST_LEN = 1
const HDR_SRC_LEN = 2
const HDR_TABLE = 4
const HDR_ACTION = 7
const HDR_FLAGS = 8

const FRA_DST = 1
const FRA_SRC = 2
const FRA_GOTO = 4
const FRA_PRIORITY = 6
const FRA_FWMARK = 10
const FRA_TABLE = 15
const FRA_FWMASK = 16
const FRA_PROTOCOL = 21
const FRA_IP_PROTO = 22
const FRA_SPORT_RANGE = 23
const FRA_DPORT_RANGE = 24

const FR_ACT_TO_TBL = 1
const FR_ACT_GOTO = 2
const FR_ACT_NOP = 3
const FR_ACT_BLACKHOLE = 6

/** IPv6 only: a packet without a source is given the one that it would have, and the rule then looks at that. */
const FIB_RULE_FIND_SADDR = 0x0001_0000

/** Who made a rule or a route of steering, as `ip rule` and `ip route` show it: how we know our own again. */
export const STEERING_PROTOCOL = 87

export type RuleAction =
  | { readonly kind: 'table'; readonly table: number }
  /** On with the rule of that priority, which must come later. */
  | { readonly kind: 'goto'; readonly priority: number }
  | { readonly kind: 'blackhole' }
  /** Nothing: a place to go to. */
  | { readonly kind: 'nop' }

export interface RuleSpec {
  readonly family: 4 | 6
  readonly priority: number
  readonly action: RuleAction
  readonly source?: IpPrefix
  readonly destination?: IpPrefix
  readonly mark?: number
  /** IANA number of the upper layer. */
  readonly protocol?: number
  /** 1 to 65534: the kernel takes neither 0 nor 65535. */
  readonly sourcePorts?: { readonly first: number; readonly last: number }
  readonly destinationPorts?: { readonly first: number; readonly last: number }
  /** IPv6: FIB_RULE_FIND_SADDR. */
  readonly findSource?: boolean
}

const ACTIONS: Readonly<Record<RuleAction['kind'], number>> = {
  table: FR_ACT_TO_TBL,
  goto: FR_ACT_GOTO,
  nop: FR_ACT_NOP,
  blackhole: FR_ACT_BLACKHOLE,
}

/** Body and attributes of a rule, for RTM_NEWRULE and RTM_DELRULE alike. */
export function ruleRequest(rule: RuleSpec): { body: Uint8Array; attributes: Uint8Array[] } {
  const { family, priority, action, source, destination, mark, protocol, sourcePorts, destinationPorts } =
    rule
  const body = new Uint8Array(RULE_LENGTH)
  body[HDR_FAMILY] = family === 4 ? AF_INET : AF_INET6
  body[HDR_DST_LEN] = destination?.length ?? 0
  body[HDR_SRC_LEN] = source?.length ?? 0
  body[HDR_ACTION] = ACTIONS[action.kind]
  if (rule.findSource) new DataView(body.buffer).setUint32(HDR_FLAGS, FIB_RULE_FIND_SADDR, LITTLE_ENDIAN)
  const attributes: Uint8Array[] = []
  if (source !== undefined && source.length > 0) attributes.push(attribute(FRA_SRC, source.address.bytes))
  if (destination !== undefined && destination.length > 0)
    attributes.push(attribute(FRA_DST, destination.address.bytes))
  if (mark !== undefined)
    attributes.push(attribute(FRA_FWMARK, uint32(mark)), attribute(FRA_FWMASK, uint32(0xffff_ffff)))
  if (protocol !== undefined) attributes.push(attribute(FRA_IP_PROTO, uint8(protocol)))
  if (sourcePorts !== undefined) attributes.push(attribute(FRA_SPORT_RANGE, portRange(sourcePorts)))
  if (destinationPorts !== undefined) attributes.push(attribute(FRA_DPORT_RANGE, portRange(destinationPorts)))
  if (action.kind === 'table') {
    if (action.table < 256) body[HDR_TABLE] = action.table
    else attributes.push(attribute(FRA_TABLE, uint32(action.table)))
  }
  if (action.kind === 'goto') attributes.push(attribute(FRA_GOTO, uint32(action.priority)))
  attributes.push(
    attribute(FRA_PRIORITY, uint32(priority)),
    attribute(FRA_PROTOCOL, uint8(STEERING_PROTOCOL)),
  )
  return { body, attributes }
}

/** The rule of a message; `undefined`: not one that `ruleRequest` makes, or somebody else's. */
export function decodeRule({ type, body }: NetlinkMessage): RuleSpec | undefined {
  if (type !== RTM_NEWRULE || body.length < RULE_LENGTH) return undefined
  const attributes = decodeAttributes(body, RULE_LENGTH)
  if (attributes.get(FRA_PROTOCOL)?.[0] !== STEERING_PROTOCOL) return undefined
  const word = (attributeType: number): number | undefined => {
    const bytes = attributes.get(attributeType)
    return bytes === undefined ? undefined : readUint32Native(bytes)
  }
  const family = body[HDR_FAMILY] === AF_INET ? 4 : 6
  const prefix = (attributeType: number, length: number): IpPrefix | undefined => {
    const bytes = attributes.get(attributeType)
    return bytes === undefined ? undefined : new IpPrefix(ipAddressFrom(bytes.slice()), length)
  }
  const ports = (attributeType: number): { first: number; last: number } | undefined => {
    const both = word(attributeType)
    return both === undefined ? undefined : { first: both & 0xffff, last: both >>> 16 }
  }
  const kind = (Object.keys(ACTIONS) as RuleAction['kind'][]).find(
    (name) => ACTIONS[name] === body[HDR_ACTION],
  )
  if (kind === undefined) return undefined
  const action: RuleAction =
    kind === 'table'
      ? { kind, table: word(FRA_TABLE) ?? body[HDR_TABLE]! }
      : kind === 'goto'
        ? { kind, priority: word(FRA_GOTO) ?? 0 }
        : { kind }
  const source = prefix(FRA_SRC, body[HDR_SRC_LEN]!)
  const destination = prefix(FRA_DST, body[HDR_DST_LEN]!)
  const mark = word(FRA_FWMARK)
  const protocol = attributes.get(FRA_IP_PROTO)?.[0]
  const sourcePorts = ports(FRA_SPORT_RANGE)
  const destinationPorts = ports(FRA_DPORT_RANGE)
  return {
    family,
    priority: word(FRA_PRIORITY) ?? 0,
    action,
    ...(source === undefined ? {} : { source }),
    ...(destination === undefined ? {} : { destination }),
    ...(mark === undefined || mark === 0 ? {} : { mark }),
    ...(protocol === undefined || protocol === 0 ? {} : { protocol }),
    ...(sourcePorts === undefined ? {} : { sourcePorts }),
    ...(destinationPorts === undefined ? {} : { destinationPorts }),
    ...((readUint32Native(body, HDR_FLAGS) & FIB_RULE_FIND_SADDR) === 0 ? {} : { findSource: true }),
  }
}

/** Rules of steering, in the order in which the kernel asks them. A kernel without that family has none. */
export function listRules(socket: NetlinkSocket, family: 4 | 6): RuleSpec[] {
  const body = new Uint8Array(RULE_LENGTH)
  body[HDR_FAMILY] = family === 4 ? AF_INET : AF_INET6
  const { errno, answers } = socket.tryRequest(RTM_GETRULE, NLM_F_DUMP, body)
  if (errno !== 0 && errno !== Errno.EAFNOSUPPORT && errno !== Errno.EOPNOTSUPP)
    socket.request('list the rules of routing', RTM_GETRULE, NLM_F_DUMP, body)
  return answers.flatMap((message) => {
    const rule = decodeRule(message)
    return rule === undefined || rule.family !== family ? [] : [rule]
  })
}

/** Adds a rule behind those of its priority. One that is there already is no error. */
export function addRule(socket: NetlinkSocket, rule: RuleSpec): void {
  const { body, attributes } = ruleRequest(rule)
  const flags = NLM_F_CREATE | NLM_F_EXCL
  const { errno } = socket.tryRequest(RTM_NEWRULE, flags, body, attributes)
  if (errno !== 0 && errno !== Errno.EEXIST)
    socket.request(`add the rule ${describeRule(rule)}`, RTM_NEWRULE, flags, body, attributes, {
      EOPNOTSUPP:
        'this kernel has no rules of routing (CONFIG_IP_MULTIPLE_TABLES, CONFIG_IPV6_MULTIPLE_TABLES)',
    })
}

/** Removes a rule; one that is gone already is no error. */
export function deleteRule(socket: NetlinkSocket, rule: RuleSpec): void {
  const { body, attributes } = ruleRequest(rule)
  const { errno } = socket.tryRequest(RTM_DELRULE, 0, body, attributes)
  if (errno !== 0 && errno !== Errno.ENOENT)
    socket.request(`remove the rule ${describeRule(rule)}`, RTM_DELRULE, 0, body, attributes)
}

/** As `ip rule` says it. */
export function describeRule(rule: RuleSpec): string {
  const { priority, source, destination, mark, protocol, sourcePorts, destinationPorts, action } = rule
  const words = [`${priority}: from ${source ?? 'all'}`]
  if (destination !== undefined) words.push(`to ${destination}`)
  if (mark !== undefined) words.push(`fwmark 0x${mark.toString(16)}`)
  if (protocol !== undefined) words.push(`ipproto ${protocol}`)
  if (sourcePorts !== undefined) words.push(`sport ${sourcePorts.first}-${sourcePorts.last}`)
  if (destinationPorts !== undefined) words.push(`dport ${destinationPorts.first}-${destinationPorts.last}`)
  if (action.kind === 'table') words.push(`lookup ${action.table}`)
  else words.push(action.kind === 'goto' ? `goto ${action.priority}` : action.kind)
  return words.join(' ')
}

/** struct fib_rule_port_range: both ends, in the machine's order. */
function portRange({ first, last }: { first: number; last: number }): Uint8Array {
  const bytes = new Uint8Array(4)
  bytes.set(uint16(first), 0)
  bytes.set(uint16(last), 2)
  return bytes
}
