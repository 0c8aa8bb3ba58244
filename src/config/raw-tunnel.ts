/**
 * A tunnel as a file says it: every value with its place, nothing filled in. Both formats end here, and
 * `resolveTunnel` makes the definition of it.
 */
import {
  type Duration,
  didYouMean,
  type InterfaceAddress,
  type IpAddress,
  type MacAddress,
  WarrenError,
} from '../base/index.js'
import type { TunnelDefinition, TunnelRoute } from '../engine/index.js'
import type { EcnMode } from '../proto/ecn.js'
import {
  defaultMtu,
  layerOf,
  mtuRange,
  type OuterConfig,
  outerSpec,
  type TunnelKind,
  tunnelKinds,
} from '../proto/tunnel-metadata.js'
import type { Located } from './located.js'

export interface RawTunnel {
  readonly name: Located<string>
  readonly kind: Located<string>
  readonly local?: Located<IpAddress> | undefined
  readonly remote?: Located<IpAddress> | undefined
  readonly ttl?: Located<number | 'copy'> | undefined
  readonly dontFragment?: Located<boolean> | undefined
  readonly dscp?: Located<number | 'copy'> | undefined
  readonly ecn?: Located<EcnMode> | undefined
  readonly flowLabel?: Located<number> | undefined
  /** gre: hostname.if's vnetid. */
  readonly key?: Located<number> | undefined
  readonly flowInKey?: Located<boolean> | undefined
  /** eoip: hostname.if's vnetid. */
  readonly tunnelId?: Located<number> | undefined
  readonly keepalive?: Located<{ readonly period: Duration; readonly count: number }> | undefined
  readonly mtu?: Located<number> | undefined
  readonly mac?: Located<MacAddress> | undefined
  readonly addresses: readonly Located<InterfaceAddress>[]
  readonly routes: readonly Located<TunnelRoute>[]
  readonly description?: Located<string> | undefined
  readonly up: boolean
}

/** The names that a format gives the members, for its errors. */
export type MemberNames = Readonly<
  Record<'key' | 'flowInKey' | 'tunnelId' | 'keepalive' | 'mac' | 'local' | 'remote', string>
>

/**
 * Fills in defaults and checks what one value alone cannot show. Throws `WarrenError` CONFIG_KIND, CONFIG_NOT_FOR_KIND,
 * CONFIG_MISSING_VALUE, CONFIG_BAD_VALUE.
 */
export function resolveTunnel(raw: RawTunnel, names: MemberNames): TunnelDefinition {
  const kind = resolveKind(raw.kind)
  checkMembers(raw, kind, names)
  const outer = resolveOuter(raw, kind, names)
  const mtu = raw.mtu?.value ?? defaultMtu[kind]
  const { least, most } = mtuRange[kind]
  if (raw.mtu !== undefined && !(mtu >= least && mtu <= most))
    refuse('CONFIG_BAD_VALUE', `mtu of a ${kind}`, raw.mtu.where, `${mtu}`, `${least} to ${most}`)
  checkAddresses(raw, mtu)
  return {
    kind,
    name: raw.name.value,
    ...(outer === undefined ? {} : { outer }),
    ...value('key', raw.key),
    ...value('flowInKey', raw.flowInKey),
    ...value('tunnelId', raw.tunnelId),
    ...value('keepalive', raw.keepalive),
    mtu,
    ...value('mac', raw.mac),
    addresses: raw.addresses.map((address) => address.value),
    routes: raw.routes.map((route) => route.value),
    ...value('description', raw.description),
    up: raw.up,
    where: raw.name.where,
  }
}

/** `{ [name]: value }` where there is one. */
const value = <K extends string, T>(name: K, from: Located<T> | undefined): { readonly [N in K]?: T } =>
  from === undefined ? {} : ({ [name]: from.value } as { readonly [N in K]?: T })

function resolveKind({ value: found, where }: Located<string>): TunnelKind {
  const kind = tunnelKinds.find((known) => known === found)
  return (
    kind ??
    refuse(
      'CONFIG_KIND',
      'kind of tunnel',
      where,
      found,
      tunnelKinds.join(', '),
      didYouMean(found, tunnelKinds),
    )
  )
}

const takers: Readonly<
  Record<'key' | 'flowInKey' | 'tunnelId' | 'keepalive' | 'mac', readonly TunnelKind[]>
> = {
  key: ['gre'],
  flowInKey: ['gre'],
  tunnelId: ['eoip'],
  keepalive: ['gre', 'eoip'],
  mac: ['eoip', 'etherip'],
}

function checkMembers(raw: RawTunnel, kind: TunnelKind, names: MemberNames): void {
  for (const member of ['key', 'flowInKey', 'tunnelId', 'keepalive', 'mac'] as const) {
    const found = raw[member]
    if (found !== undefined && !takers[member].includes(kind))
      refuse(
        'CONFIG_NOT_FOR_KIND',
        `${names[member]} in a ${kind}`,
        found.where,
        `kind ${kind}`,
        takers[member].join(' or '),
        `remove ${names[member]}`,
      )
  }
  if (raw.mac?.value.isGroup === true)
    refuse(
      'CONFIG_BAD_VALUE',
      names.mac,
      raw.mac.where,
      `${raw.mac.value}`,
      'the address of one station, not of a group',
    )
  if (raw.flowInKey?.value === true && raw.key !== undefined && raw.key.value > 0xffffff)
    refuse(
      'CONFIG_BAD_VALUE',
      names.key,
      raw.key.where,
      `${raw.key.value}`,
      `at most 16777215 with ${names.flowInKey}`,
    )
}

function resolveOuter(raw: RawTunnel, kind: TunnelKind, names: MemberNames): OuterConfig | undefined {
  const { local, remote } = raw
  if (local === undefined && remote === undefined) return undefined
  if (local === undefined || remote === undefined) {
    const there = local ?? remote
    const missing = local === undefined ? names.local : names.remote
    return refuse(
      'CONFIG_MISSING_VALUE',
      `tunnel ${raw.name.value}`,
      there!.where,
      'one end',
      'two',
      `add ${missing}`,
    )
  }
  const outer: OuterConfig = {
    local: local.value,
    remote: remote.value,
    ...value('ttl', raw.ttl),
    ...value('dontFragment', raw.dontFragment),
    ...value('dscp', raw.dscp),
    ...value('ecn', raw.ecn),
    ...value('flowLabel', raw.flowLabel),
  }
  // One after the other, so that what is refused is what the place is of.
  const { local: from, remote: to, ...rest } = outer
  const ends = { local: from, remote: to }
  checkOuter(ends, kind, remote.where)
  for (const [name, of] of Object.entries(rest))
    checkOuter({ ...ends, [name]: of }, kind, raw[name as keyof typeof rest]?.where ?? remote.where)
  return outer
}

function checkOuter(outer: OuterConfig, kind: TunnelKind, where: string): void {
  try {
    outerSpec(outer, 0, layerOf(kind))
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    throw new WarrenError('CONFIG_BAD_VALUE', error.summary, { ...error.details, where })
  }
}

/** RFC 8200 section 5: IPv6 asks for 1280 bytes. */
function checkAddresses(raw: RawTunnel, mtu: number): void {
  const v6 = raw.addresses.find(({ value: { address } }) => address.family === 6)
  if (v6 !== undefined && mtu < 1280)
    refuse(
      'CONFIG_BAD_VALUE',
      'mtu with an IPv6 address',
      raw.mtu?.where ?? v6.where,
      `${mtu}`,
      'at least 1280',
    )
  const seen = new Map<string, string>()
  for (const {
    value: { address },
    where,
  } of raw.addresses) {
    const before = seen.get(address.key)
    if (before !== undefined)
      refuse('CONFIG_DUPLICATE', 'an address twice', where, `${address}`, `once (${before})`, 'remove one')
    seen.set(address.key, where)
  }
}

function refuse(
  code: string,
  summary: string,
  where: string,
  found: string,
  expected: string,
  mend?: string,
): never {
  throw new WarrenError(code, summary, { where, found, expected, ...(mend === undefined ? {} : { mend }) })
}
