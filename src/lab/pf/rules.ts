/** A packet filter's rule set as it was resolved from pf.conf(5): lists and macros are expanded, names are numbers. */
import type { IpPrefix } from '../../base/index.js'

export type PfAction = 'pass' | 'block' | 'match'

/** Whom `from` and `to` name. */
export type PfAddress =
  | { readonly kind: 'any' }
  | { readonly kind: 'prefix'; readonly prefix: IpPrefix }
  | { readonly kind: 'range'; readonly first: IpPrefix; readonly last: IpPrefix }
  | { readonly kind: 'interface'; readonly name: string; readonly network: boolean }
  | { readonly kind: 'self' }
  | { readonly kind: 'no-route' }
  | { readonly kind: 'table'; readonly name: string }

export interface PfHost {
  readonly not: boolean
  readonly address: PfAddress
}

/** Ports from `low` to `high`, or all but those. */
export interface PfPorts {
  readonly not: boolean
  readonly low: number
  readonly high: number
  /** As pfctl prints it: `= 22`, `6000:6010`. */
  readonly text: string
}

interface PfMatch {
  readonly direction?: 'in' | 'out'
  readonly interface?: { readonly not: boolean; readonly name: string }
  readonly family?: 4 | 6
  readonly protocol?: number
  readonly from: PfHost
  readonly fromPorts?: PfPorts
  readonly to: PfHost
  readonly toPorts?: PfPorts
  /** ICMP or ICMPv6 type. */
  readonly icmpType?: number
  /** `file:line`, for messages. */
  readonly where: string
}

export interface PfRule extends PfMatch {
  readonly action: PfAction
  /** `drop`, or what a blocked sender is told: `return`, `return-rst`, `return-icmp`. */
  readonly blockReturn?: string
  readonly log: boolean
  readonly quick: boolean
  readonly keepState: boolean
  /** TCP's `flags S/SA`: `undefined` is `any`. */
  readonly flags?: { readonly set: number; readonly of: number; readonly text: string }
  /** `user`: a packet that no socket of ours sends has none, so the rule matches nothing that passes through. */
  readonly user?: string
  readonly label?: string
  /** A packet with that tag: none of the lab bears one, so the rule matches nothing. */
  readonly tagged?: string
  /** What leaves gets this source: `nat-to`. */
  readonly natTo?: PfAddress
  /** How often it was the last to match, and for how many bytes. */
  readonly hits: { evaluations: number; packets: number; bytes: number }
}

export interface PfAnchor extends PfMatch {
  readonly action: 'anchor'
  readonly name: string
  readonly quick: boolean
  /** Rules that stand in braces behind it. */
  readonly inline?: readonly PfStatement[]
}

export type PfStatement = PfRule | PfAnchor

/** What one file or one anchor's input holds. */
export interface PfRuleset {
  readonly statements: readonly PfStatement[]
  /** `set skip on`. */
  readonly skip: readonly string[]
  readonly tables: ReadonlyMap<string, readonly PfHost[]>
  /** Other `set` lines, as written; they are accepted and have no part to play here. */
  readonly options: readonly string[]
}

export const emptyRuleset: PfRuleset = { statements: [], skip: [], tables: new Map(), options: [] }

const protocolNames: Readonly<Record<number, string>> = {
  1: 'icmp',
  2: 'igmp',
  4: 'ipencap',
  6: 'tcp',
  17: 'udp',
  41: 'ipv6',
  47: 'gre',
  50: 'esp',
  51: 'ah',
  58: 'ipv6-icmp',
  97: 'etherip',
  112: 'carp',
  240: 'pfsync',
}
export const protocolName = (protocol: number): string => protocolNames[protocol] ?? String(protocol)

export function protocolNumber(text: string): number | undefined {
  if (/^\d{1,3}$/.test(text)) return Number(text) < 256 ? Number(text) : undefined
  if (text === 'icmp6') return 58
  if (text === 'ipip') return 4
  const found = Object.entries(protocolNames).find(([, name]) => name === text)
  return found === undefined ? undefined : Number(found[0])
}

export const icmpTypes: Readonly<Record<string, number>> = {
  echorep: 0,
  unreach: 3,
  squench: 4,
  redir: 5,
  echoreq: 8,
  timex: 11,
  paramprob: 12,
}
export const icmp6Types: Readonly<Record<string, number>> = {
  unreach: 1,
  toobig: 2,
  timex: 3,
  paramprob: 4,
  echoreq: 128,
  echorep: 129,
  routersol: 133,
  routeradv: 134,
  neighbrsol: 135,
  neighbradv: 136,
}

/** A statement as `pfctl -sr` prints it. */
export function showStatement(statement: PfStatement): string {
  const words: string[] = []
  if (statement.action === 'anchor') words.push('anchor', `"${statement.name}"`)
  else {
    words.push(statement.action)
    if (statement.blockReturn !== undefined) words.push(statement.blockReturn)
  }
  if (statement.direction !== undefined) words.push(statement.direction)
  if (statement.action !== 'anchor' && statement.log) words.push('log')
  if (statement.quick) words.push('quick')
  if (statement.interface !== undefined)
    words.push('on', ...(statement.interface.not ? ['!'] : []), statement.interface.name)
  if (statement.family !== undefined) words.push(statement.family === 4 ? 'inet' : 'inet6')
  if (statement.protocol !== undefined) words.push('proto', protocolName(statement.protocol))
  const { from, fromPorts, to, toPorts } = statement
  if (isAny(from) && isAny(to) && fromPorts === undefined && toPorts === undefined) words.push('all')
  else {
    words.push('from', showHost(from), ...(fromPorts === undefined ? [] : ['port', fromPorts.text]))
    words.push('to', showHost(to), ...(toPorts === undefined ? [] : ['port', toPorts.text]))
  }
  if (statement.icmpType !== undefined) {
    const names = statement.protocol === 58 ? icmp6Types : icmpTypes
    const name = Object.entries(names).find(([, type]) => type === statement.icmpType)?.[0]
    words.push(statement.protocol === 58 ? 'icmp6-type' : 'icmp-type', name ?? String(statement.icmpType))
  }
  if (statement.action === 'anchor') return words.join(' ')
  if (statement.user !== undefined) words.push('user', '=', statement.user)
  if (statement.action === 'pass') {
    if (!statement.keepState) words.push('no', 'state')
    else if (statement.flags === undefined) words.push('flags', 'any')
    else words.push('flags', statement.flags.text)
  }
  if (statement.label !== undefined) words.push('label', `"${statement.label}"`)
  if (statement.tagged !== undefined) words.push('tagged', statement.tagged)
  if (statement.natTo !== undefined) words.push('nat-to', showAddress(statement.natTo))
  return words.join(' ')
}

const isAny = (host: PfHost): boolean => host.address.kind === 'any' && !host.not

function showHost({ not, address }: PfHost): string {
  return (not ? '! ' : '') + showAddress(address)
}

function showAddress(address: PfAddress): string {
  switch (address.kind) {
    case 'any':
    case 'self':
    case 'no-route':
      return address.kind
    case 'prefix':
      return address.prefix.length === 8 * address.prefix.address.bytes.length
        ? String(address.prefix.address)
        : String(address.prefix)
    case 'range':
      return `${address.first.address} - ${address.last.address}`
    case 'interface':
      return address.network ? `(${address.name}:network)` : `(${address.name})`
    case 'table':
      return `<${address.name}>`
  }
}
