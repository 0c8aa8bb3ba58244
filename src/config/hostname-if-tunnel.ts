/** A tunnel out of a hostname.if(5) file: its ifconfig calls applied, one after the other, to an empty interface. */
import {
  type InterfaceAddress,
  IpPrefix,
  type MacAddress,
  parseIpAddress,
  seconds,
  WarrenError,
} from '../base/index.js'
import type { TunnelDefinition, TunnelRoute } from '../engine/index.js'
import type { HostnameIf, HostnameIfLine } from './hostname-if.js'
import { defaultPrefixLength, type IfconfigAction } from './ifconfig-arguments.js'
import { type Located, located } from './located.js'
import { type RawTunnel, resolveTunnel } from './raw-tunnel.js'

const names = {
  key: 'vnetid',
  flowInKey: 'vnetflowid',
  tunnelId: 'vnetid',
  keepalive: 'keepalive',
  mac: 'lladdr',
  local: '"tunnel LOCAL REMOTE"',
  remote: '"tunnel LOCAL REMOTE"',
}

/** The file's tunnel, checked. Throws `WarrenError` CONFIG_*. */
export const tunnelOfHostnameIf = (file: HostnameIf): TunnelDefinition =>
  resolveTunnel(rawTunnelOf(file), names)

type Draft = { -readonly [K in keyof RawTunnel]: RawTunnel[K] } & {
  addresses: Located<InterfaceAddress>[]
  routes: Located<TunnelRoute>[]
}

/** What the file says, with places. Throws `WarrenError` for what a tunnel's file cannot say. */
export function rawTunnelOf({ interfaceName, file, lines }: HostnameIf): RawTunnel {
  const kind = interfaceName.replace(/\d+$/, '')
  const draft: Draft = {
    name: located(interfaceName, file),
    kind: located(kind, file),
    addresses: [],
    routes: [],
    up: false,
  }
  for (const line of lines) {
    if (line.kind === 'command') draft.routes.push(routeOf(line))
    else for (const action of line.actions) apply(draft, action, line.where, line.args)
  }
  return draft
}

function apply(draft: Draft, action: IfconfigAction, where: string, args: readonly string[]): void {
  const of = <T>(value: T): Located<T> => located(value, where)
  switch (action.action) {
    case 'create':
    case 'debug':
    case 'group':
      break
    case 'up':
    case 'down':
      draft.up = action.action === 'up'
      break
    case 'address':
      addAddress(draft, action, where)
      // As on OpenBSD: an interface of this family that gets an address comes up.
      draft.up = true
      break
    case 'removeAddress': {
      const { family, address } = action
      const index = draft.addresses.findIndex(({ value }) =>
        address === undefined ? value.address.family === family : value.address.equals(address),
      )
      if (index < 0) refuse(where, 'no such address to delete', args, 'one that an earlier line set')
      draft.addresses.splice(index, 1)
      break
    }
    case 'removeFamily':
      draft.addresses = draft.addresses.filter(({ value }) => value.address.family !== action.family)
      break
    case 'tunnel':
      draft.local = of(action.local)
      draft.remote = of(action.remote)
      break
    case 'removeTunnel':
      draft.local = undefined
      draft.remote = undefined
      break
    case 'vnetid':
      setVnetid(draft, action.id, where, args)
      break
    case 'removeVnetid':
      draft.key = undefined
      draft.tunnelId = undefined
      break
    case 'vnetflowid':
      draft.flowInKey = of(action.enabled)
      break
    case 'tunnelttl':
      draft.ttl = of(action.ttl)
      break
    case 'tunneldf':
      draft.dontFragment = of(action.enabled)
      break
    case 'keepalive':
      draft.keepalive = of({ period: seconds(action.period), count: action.count })
      break
    case 'removeKeepalive':
      draft.keepalive = undefined
      break
    case 'mtu':
      draft.mtu = of(action.mtu)
      break
    case 'description':
      draft.description = of(action.text)
      break
    case 'removeDescription':
      draft.description = undefined
      break
    case 'lladdr':
      // "random" is what an interface has that was given none.
      draft.mac = action.mac === 'random' ? undefined : of(action.mac as MacAddress)
      break
    default:
      refuse(where, 'not for a tunnel', args, 'what ifconfig sets on a tunnel', 'remove the line')
  }
}

function addAddress(
  draft: Draft,
  { address, prefixLength, peer, alias }: IfconfigAction & { action: 'address' },
  where: string,
): void {
  const bits = 8 * address.bytes.length
  const entry = located<InterfaceAddress>(
    {
      address,
      // Two ends know each other and nobody else: the mask that OpenBSD shows there routes nothing.
      prefixLength: peer === undefined ? (prefixLength ?? defaultPrefixLength(address)) : bits,
      ...(peer === undefined ? {} : { peer }),
    },
    where,
  )
  const first =
    alias || address.family === 6 ? -1 : draft.addresses.findIndex(({ value }) => value.address.family === 4)
  if (first < 0) draft.addresses.push(entry)
  else draft.addresses[first] = entry
}

function setVnetid(draft: Draft, id: number | 'any', where: string, args: readonly string[]): void {
  if (id === 'any') refuse(where, 'vnetid any', args, 'a number', 'name the one id that both sides have')
  if (draft.kind.value === 'eoip') {
    if (id > 0xffff) refuse(where, 'vnetid of an eoip', args, 'a number from 0 to 65535')
    draft.tunnelId = located(id, where)
  } else draft.key = located(id, where)
}

/**
 * The one command that a tunnel's file usually has: `!route add [-inet|-inet6] DESTINATION GATEWAY`. Others would
 * have to be run by a shell as root, which Warren does not do.
 */
function routeOf({ command, where }: HostnameIfLine & { kind: 'command' }): Located<TunnelRoute> {
  const words = command.split(/\s+/)
  const [program, verb, ...rest] = words.filter((word) => !/^-(q|n|inet|inet6|net|host)$/.test(word))
  const [target = '', gatewayText = '', ...more] = rest
  const destination = target === 'default' ? undefined : IpPrefix.parse(target)
  const gateway = parseIpAddress(gatewayText)
  const isRoute = /^(\/sbin\/)?route$/.test(program ?? '') && verb === 'add' && more.length === 0
  if (!isRoute || gateway === undefined || (target !== 'default' && destination === undefined))
    throw new WarrenError('CONFIG_COMMAND', 'a command that Warren does not run', {
      where,
      found: `!${command}`,
      expected: '!route add DESTINATION GATEWAY',
      mend: 'remove the line and run the command yourself',
    })
  const whole = destination ?? IpPrefix.parse(gateway.family === 4 ? '0.0.0.0/0' : '::/0')!
  if (whole.family !== gateway.family)
    throw new WarrenError('CONFIG_BAD_VALUE', 'a route through another family', {
      where,
      found: `${whole} by ${gateway}`,
      expected: 'destination and gateway of one family',
    })
  return located({ destination: whole, gateway }, where)
}

function refuse(
  where: string,
  summary: string,
  args: readonly string[],
  expected: string,
  mend?: string,
): never {
  throw new WarrenError('CONFIG_BAD_VALUE', summary, {
    where,
    found: args.join(' '),
    expected,
    ...(mend === undefined ? {} : { mend }),
  })
}
