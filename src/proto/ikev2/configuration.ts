/** Configuration payloads (RFC 7296 sections 2.19, 3.15): what a client asks for, and what a gateway gives it. */
import { type Instant, type IpAddress, IpPrefix, ipAddressFrom } from '../../base/index.js'
import {
  ConfigAttribute,
  ConfigType,
  type IkeConfigAttribute,
  type IkePayload,
  joined,
  NotifyType,
  type PayloadOf,
} from '../../wire/ike/index.js'
import type { Lease } from './address-pool.js'
import { refusedChild } from './doctor.js'
import { formatIdentity } from './identity.js'
import { findError, findPayload } from './init.js'
import type { Failure } from './negotiate-child.js'
import type { ConfigurationOption, ConfigurationValue, Flow, IkePolicy } from './policy.js'
import { covers, type Selector, selectorOfPrefix } from './selectors.js'
import type { Session } from './session.js'

/** What one side has given the other. */
export interface Assigned {
  /** We gave it; else it was given to us. */
  readonly toPeer: boolean
  readonly values: readonly ConfigurationValue[]
  /** What of it goes back when the SA ends. */
  readonly leases: readonly Lease[]
}

/** Values that a client heeds; a server sends a handful. */
const VALUES_MAX = 64
const NOTHING = new Uint8Array(0)

/** Attributes by option and family. Those of 23456 on are Microsoft's [MS-IKEE], as iked sends them. */
const TYPES: Readonly<Record<ConfigurationOption, { readonly 4?: number; readonly 6?: number }>> = {
  address: { 4: ConfigAttribute.ip4Address, 6: ConfigAttribute.ip6Address },
  netmask: { 4: ConfigAttribute.ip4Netmask },
  'name-server': { 4: ConfigAttribute.ip4Dns, 6: ConfigAttribute.ip6Dns },
  'netbios-server': { 4: ConfigAttribute.ip4Nbns },
  'dhcp-server': { 4: ConfigAttribute.ip4Dhcp, 6: ConfigAttribute.ip6Dhcp },
  'protected-subnet': { 4: ConfigAttribute.ip4Subnet, 6: ConfigAttribute.ip6Subnet },
  'access-server': { 4: 23456, 6: 23457 },
}
const OPTIONS = Object.entries(TYPES) as [ConfigurationOption, (typeof TYPES)[ConfigurationOption]][]
const SUPPORTED = OPTIONS.flatMap(([, types]) => [...Object.values(types)])

const config = (type: number, attributes: readonly IkeConfigAttribute[]): PayloadOf<'CP'> => ({
  kind: 'CP',
  type,
  attributes,
})

// --- the client -------------------------------------------------------------------------------------------------

/** What a client asks for; undefined: nothing. */
export function configurationRequest({ requests = [] }: IkePolicy): PayloadOf<'CP'> | undefined {
  const attributes = new Map<number, IkeConfigAttribute>()
  for (const value of requests) {
    const type = TYPES[value.option][value.family]
    if (type === undefined || attributes.has(type)) continue
    const asked = value.option === 'address' && value.address !== undefined ? encode(value) : NOTHING
    attributes.set(type, { type, value: asked })
  }
  return attributes.size === 0 ? undefined : config(ConfigType.request, [...attributes.values()])
}

/**
 * The gateway's answer to it. Gives what is wrong: no address where one was asked for. Of the rest only what was asked
 * for is heeded: a gateway does not push routes and servers onto its clients (CVE-2024-3661).
 */
export function acceptConfiguration(
  session: Session,
  answer: readonly IkePayload[],
): { readonly text: string; readonly mend: string } | undefined {
  const { requests = [] } = session.policy
  if (requests.length === 0) return undefined
  const payload = answer.find(
    (one): one is PayloadOf<'CP'> => one.kind === 'CP' && one.type === ConfigType.reply,
  )
  const values: ConfigurationValue[] = []
  let netmask: number | undefined
  for (const { type, value } of payload?.attributes ?? []) {
    const read = decode(type, value)
    if (read === undefined) {
      if (value.length > 0) session.context.counters.add('ike.cp')
      continue
    }
    const isWanted = requests.some(({ option, family }) => option === read.option && family === read.family)
    if (isWanted && read.option === 'netmask') netmask = maskLength(value)
    const isSecond =
      read.option === 'address' &&
      values.some((one) => one.option === 'address' && one.family === read.family)
    if (isWanted && !isSecond && values.length < VALUES_MAX) values.push(read)
  }
  const missing = requests.find(
    ({ option, family }) =>
      option === 'address' && !values.some((one) => one.option === 'address' && one.family === family),
  )
  if (missing !== undefined) {
    const error = findError(answer)
    return error === undefined
      ? {
          text: `the peer gave no IPv${missing.family} address`,
          mend: 'write `config address` there, or take `request address` out of our policy',
        }
      : refusedChild(error.type, session.policy)
  }
  session.assigned = {
    toPeer: false,
    leases: [],
    values: values.map((one) =>
      one.option === 'address' && one.family === 4 && netmask !== undefined
        ? { ...one, prefixLength: netmask }
        : one,
    ),
  }
  return undefined
}

// --- the gateway ------------------------------------------------------------------------------------------------

/**
 * Gives the peer what it asks for. A payload for the answer, undefined where there is none; or a failure, which
 * takes the place of the child (RFC 7296 section 3.15.4).
 */
export function serveConfiguration(
  session: Session,
  request: readonly IkePayload[],
  now: Instant,
): PayloadOf<'CP'> | Failure | undefined {
  const { serves = [], stickyAddress: sticky = false } = session.policy
  const asked = findPayload(request, 'CP')
  if (serves.length === 0 || asked?.type !== ConfigType.request) return undefined
  const values: ConfigurationValue[] = []
  const leases: Lease[] = []
  session.assigned = { toPeer: true, values, leases }
  const full: number[] = []
  for (const family of [4, 6] as const) {
    const attribute = asked.attributes.find(({ type }) => type === TYPES.address[family])
    const pools = serves.filter((one) => one.option === 'address' && one.family === family)
    if (attribute === undefined || pools.length === 0) continue
    const wanted = decode(attribute.type, attribute.value)?.address
    const holder = session.peerId === undefined ? '' : formatIdentity(session.peerId)
    let lease: Lease | undefined
    for (const { address, prefixLength } of pools) {
      if (address === undefined || lease !== undefined) continue
      const prefix = new IpPrefix(address, prefixLength ?? 8 * address.bytes.length)
      lease = session.context.pool.lease({ prefix, holder, tenant: session, wanted, sticky }, now)
    }
    if (lease === undefined) full.push(family)
    else {
      leases.push(lease)
      values.push({ option: 'address', family, address: lease.address })
    }
  }
  if (full.length > 0 && leases.length === 0)
    return {
      text: `every IPv${full[0]} address of the pool is taken`,
      mend: `make \`config address\` larger${session.policy.where === undefined ? '' : ` (${session.policy.where})`}`,
      notify: NotifyType.internalAddressFailure,
    }
  // RFC 7296 section 2.19: more than was asked for may be told.
  for (const value of serves)
    if (value.option !== 'address' && value.address !== undefined) values.push(value)
  return configurationReply(values)
}

const configurationReply = (values: readonly ConfigurationValue[]): PayloadOf<'CP'> =>
  config(
    ConfigType.reply,
    values.flatMap((value): IkeConfigAttribute[] => {
      const type = TYPES[value.option][value.family]
      return type === undefined ? [] : [{ type, value: encode(value) }]
    }),
  )

/** A CP payload outside IKE_AUTH (RFC 7296 section 3.15): what was assigned is told again, nothing is taken. */
export function answerConfiguration(session: Session, asked: PayloadOf<'CP'>): PayloadOf<'CP'> | undefined {
  // RFC 7296 section 3.15.1: an acknowledgement without attributes takes none of what was to be set.
  if (asked.type === ConfigType.set) return config(ConfigType.ack, [])
  if (asked.type !== ConfigType.request) return undefined
  const given =
    session.assigned?.toPeer === true ? configurationReply(session.assigned.values).attributes : []
  const attributes: IkeConfigAttribute[] = []
  for (const type of new Set(asked.attributes.map((one) => one.type))) {
    // Whoever knows what runs here knows what to try: the version is empty.
    if (type === ConfigAttribute.applicationVersion) attributes.push({ type, value: NOTHING })
    else if (type === ConfigAttribute.supportedAttributes)
      attributes.push({ type, value: Uint8Array.from(SUPPORTED.flatMap((one) => [one >> 8, one & 0xff])) })
    else attributes.push(...given.filter((one) => one.type === type))
  }
  return config(ConfigType.reply, attributes)
}

// --- traffic ----------------------------------------------------------------------------------------------------

const addressOf = (assigned: Assigned | undefined, family: 4 | 6): IpAddress | undefined =>
  assigned?.values.find((one) => one.option === 'address' && one.family === family)?.address

/**
 * The flows of a session's policy, as far as they can be told: a dynamic end is the address that was assigned. What we
 * gave a peer bounds every flow that has room for it, so that no client takes the packets of another.
 */
export function flowsOf(session: Session): Flow[] {
  const { policy, assigned } = session
  return policy.flows.map((flow): Flow => {
    const address = addressOf(assigned, flow.remote.family)
    if (assigned === undefined || address === undefined) return flow
    const side = assigned.toPeer ? 'remote' : 'local'
    const exact = narrowTo(flow[side], address)
    if (flow.dynamic !== side && !(assigned.toPeer && covers(flow[side], exact))) return flow
    const { dynamic: _dynamic, ...rest } = flow
    return { ...rest, [side]: exact }
  })
}

/** Of them those that a peer may get: a dynamic end that nothing was assigned to is nobody's. */
export const grantableFlows = (session: Session): Flow[] =>
  flowsOf(session).filter(({ dynamic }) => dynamic !== 'remote')

function narrowTo(selector: Selector, address: IpAddress): Selector {
  const { start, end } = selectorOfPrefix(new IpPrefix(address, 8 * address.bytes.length))
  return { ...selector, start, end }
}

// --- attributes -------------------------------------------------------------------------------------------------

/** RFC 7296 section 3.15.1: IPv4 subnets have a mask behind them, IPv6 addresses and subnets a prefix length. */
function encode({ option, family, address, prefixLength }: ConfigurationValue): Uint8Array {
  if (address === undefined) return NOTHING
  const bits = 8 * address.bytes.length
  const length = prefixLength ?? bits
  if (option === 'protected-subnet') {
    const prefix = new IpPrefix(address, length)
    return family === 4
      ? joined(prefix.address.bytes, prefix.mask.bytes)
      : joined(prefix.address.bytes, Uint8Array.of(length))
  }
  return option === 'address' && family === 6 ? joined(address.bytes, Uint8Array.of(length)) : address.bytes
}

/** Undefined: unknown, empty, of a wrong length, or no address that anybody can have. */
function decode(type: number, value: Uint8Array): (ConfigurationValue & { address: IpAddress }) | undefined {
  for (const [option, types] of OPTIONS)
    for (const family of [4, 6] as const) {
      if (types[family] !== type) continue
      const width = family === 4 ? 4 : 16
      const tail =
        option === 'protected-subnet' ? (family === 4 ? 4 : 1) : family === 6 && option === 'address' ? 1 : 0
      if (value.length !== width + tail) return undefined
      const address = ipAddressFrom(value.slice(0, width))
      const rest = value.subarray(width)
      if (option === 'netmask') return { option, family, address }
      if (option === 'protected-subnet') {
        const prefixLength = family === 4 ? maskLength(rest) : rest[0]!
        if (prefixLength === undefined || prefixLength > 8 * width) return undefined
        return { option, family, address: new IpPrefix(address, prefixLength).address, prefixLength }
      }
      if (!isUnicast(address)) return undefined
      if (tail === 0) return { option, family, address }
      if (rest[0]! > 128) return undefined
      // An address that brings half the world along is that one alone.
      return { option, family, address, ...(rest[0]! < 64 ? {} : { prefixLength: rest[0]! }) }
    }
  return undefined
}

/** Undefined: ones behind a zero. */
function maskLength(mask: Uint8Array): number | undefined {
  const length = mask.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
  return mask.every((byte, i) => byte === ((0xff00 >> Math.min(8, Math.max(0, length - 8 * i))) & 0xff))
    ? length
    : undefined
}

/** Not unspecified, loopback or multicast. */
function isUnicast({ family, bytes }: IpAddress): boolean {
  if (family === 4) return bytes[0] !== 0 && bytes[0] !== 127 && bytes[0]! < 224
  return bytes[0] !== 0xff && bytes.subarray(0, 15).some((byte) => byte !== 0)
}
