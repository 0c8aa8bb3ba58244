import {
  type IpAddress,
  IpPrefix,
  Ipv4Address,
  Ipv6Address,
  parseIpAddress,
  WarrenError,
} from '../../base/index.js'
import type { NetworkInterface, Route, RouteTable } from '../../stack/index.js'
import type { CommandContext, LabCommand } from '../command.js'
import { resolveHost } from './net/hosts.js'
import { routeViews } from './net/route-views.js'
import { showDestination, showRouteGet, showRoutes } from './net/routes-show.js'
import { CommandFailure, getopt, guard, meant, printText, strtonum } from './net/words.js'

/** route(8): add, change, delete, flush, get, show. */

const USAGE =
  'usage: route [-dnqtv] [-T rtable] command [[modifiers] args]\n' +
  'commands: add, change, delete, exec, flush, get, monitor, show'

const COMMANDS = ['add', 'change', 'delete', 'del', 'flush', 'get', 'show']

/** Keywords behind the command, and whether each takes a word. */
const KEYWORDS: Readonly<Record<string, boolean>> = {
  inet: false,
  inet6: false,
  net: false,
  host: false,
  iface: false,
  interface: false,
  cloning: false,
  static: false,
  nostatic: false,
  reject: false,
  blackhole: false,
  mpath: false,
  gateway: true,
  netmask: true,
  prefixlen: true,
  mtu: true,
  priority: true,
  ifp: true,
  ifa: true,
  label: true,
  expire: true,
}

interface Request {
  readonly family: 4 | 6 | undefined
  readonly flags: ReadonlySet<string>
  readonly values: ReadonlyMap<string, string>
  readonly operands: readonly string[]
}

export const route: LabCommand = (args, context) =>
  guard(async () => {
    const { given, operands } = getopt('route', args, 'dnqT:tv', USAGE)
    const [command, ...rest] = operands
    if (command === undefined) throw new CommandFailure(USAGE)
    if (command === 'exec' || command === 'monitor')
      throw new CommandFailure(`route: ${command}: not part of the lab`)
    if (!COMMANDS.includes(command)) throw botched(command, COMMANDS)
    const request = parse(rest)
    const quiet = given.has('q')
    switch (command) {
      case 'show':
        return show(request, context)
      case 'flush':
        return flush(request, quiet, context)
      case 'get':
        return get(request, context)
      default:
        return change(
          command === 'del' ? 'delete' : (command as 'add' | 'change' | 'delete'),
          request,
          quiet,
          context,
        )
    }
  })

const botched = (word: string, known: Iterable<string>): CommandFailure =>
  new CommandFailure(`route: botched keyword: ${word}${meant(word, known)}\n${USAGE}`)

function parse(words: readonly string[]): Request {
  const flags = new Set<string>()
  const values = new Map<string, string>()
  const operands: string[] = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    if (!word.startsWith('-')) {
      operands.push(word)
      continue
    }
    const keyword = word.slice(1)
    const takesWord = Object.hasOwn(KEYWORDS, keyword) ? KEYWORDS[keyword] : undefined
    if (takesWord === undefined)
      throw botched(
        word,
        Object.keys(KEYWORDS).map((known) => `-${known}`),
      )
    if (!takesWord) {
      flags.add(keyword)
      continue
    }
    const value = words[++i]
    if (value === undefined) throw new CommandFailure(`route: ${word} wants a value\n${USAGE}`)
    values.set(keyword, value)
  }
  const family = flags.has('inet6') ? 6 : flags.has('inet') ? 4 : undefined
  return { family, flags, values, operands }
}

function show({ family, operands }: Request, context: CommandContext): number {
  const [extra] = operands
  if (extra !== undefined) throw botched(extra, ['-inet', '-inet6'])
  printText(context, showRoutes(routeViews(context.host.stack), family === undefined ? [4, 6] : [family]))
  return 0
}

function flush({ family }: Request, quiet: boolean, context: CommandContext): number {
  const { routes } = context.host.stack
  for (const one of routes.entries()) {
    if (one.kind !== 'static' || (family !== undefined && one.destination.family !== family)) continue
    if (routes.remove(one.destination, one.gateway) === undefined || quiet) continue
    const pad = (text: string): string => text.slice(0, 20).padEnd(20)
    context.print(`${pad(showDestination(one.destination))} ${pad(one.gatewayText)} done`)
  }
  return 0
}

async function get(request: Request, context: CommandContext): Promise<number> {
  const [text, extra] = request.operands
  if (text === undefined || extra !== undefined) throw new CommandFailure(USAGE)
  const { stack } = context.host
  const any = request.family === 6 ? Ipv6Address.unspecified : Ipv4Address.unspecified
  const asked = text === 'default' ? any : (await resolveHost(context, text, request.family ?? 0))?.address
  if (asked === undefined) throw badAddress(text)
  const found =
    text === 'default'
      ? stack.routes.entries().find((one) => one.destination.equals(new IpPrefix(any, 0)))
      : stack.routes.lookup(asked)
  if (found === undefined) {
    context.warn('route: writing to routing socket: No such process')
    context.print(`get net ${text}: not in table`)
    return 1
  }
  const from = stack.sourceFor(found.gateway ?? asked)
  const answer = showRouteGet({
    asked: text === 'default' ? text : `${asked}`,
    destination: found.destination,
    ...(found.gateway === undefined ? {} : { gateway: found.gateway }),
    interface: found.interface.name,
    ...(from === undefined ? {} : { interfaceAddress: from }),
    priority: found.priority,
    flags: found.flags,
    use: found.use,
    mtu: found.mtu ?? 0,
  })
  printText(context, answer)
  return 0
}

const badAddress = (text: string): CommandFailure => new CommandFailure(`route: ${text}: bad address`)

interface Target {
  readonly prefix: IpPrefix
  readonly isHost: boolean
}

async function change(
  command: 'add' | 'change' | 'delete',
  request: Request,
  quiet: boolean,
  context: CommandContext,
): Promise<number> {
  const { operands, values, flags } = request
  const [text, gatewayText = values.get('gateway'), maskText = values.get('netmask'), extra] = operands
  if (text === undefined || extra !== undefined) throw new CommandFailure(USAGE)
  if (gatewayText === undefined && command !== 'delete' && !flags.has('reject') && !flags.has('blackhole'))
    throw new CommandFailure(`route: ${command} ${text}: no gateway given\n${USAGE}`)
  const gateway = gatewayText === undefined ? undefined : await gatewayOf(gatewayText, request, context)
  const family = request.family ?? (gateway?.address?.family as 4 | 6 | undefined)
  const target = await targetOf(text, maskText, request, family, context)
  const shown = `${command} ${target.isHost ? 'host' : 'net'} ${text}${gatewayText === undefined ? '' : `: gateway ${gatewayText}`}`
  const failure = carryOut(command, target.prefix, gateway, request, context)
  if (failure !== undefined) context.warn(`route: writing to routing socket: ${failure.errno}`)
  if (!quiet || failure !== undefined)
    context.print(failure === undefined ? shown : `${shown}: ${failure.text ?? failure.errno}`)
  return failure === undefined ? 0 : 1
}

interface Gateway {
  readonly address?: IpAddress
  readonly interface?: NetworkInterface
}

/** A router's address (with a zone for a link-local one), or the name of an interface. */
async function gatewayOf(text: string, { flags }: Request, context: CommandContext): Promise<Gateway> {
  const { stack } = context.host
  const ifc = stack.interfaces.get(text)
  if (ifc !== undefined) return { interface: ifc }
  const host = await resolveHost(context, text, 0)
  if (host === undefined) throw badAddress(text)
  if (flags.has('iface') || flags.has('interface')) {
    // `-iface ADDRESS`: the destination is on the link of the interface that has this address.
    const own = [...stack.interfaces.values()].find((one) => one.hasAddress(host.address))
    if (own !== undefined) return { interface: own }
  }
  return { address: host.address, ...(host.zone === undefined ? {} : { interface: host.zone }) }
}

async function targetOf(
  text: string,
  maskText: string | undefined,
  request: Request,
  family: 4 | 6 | undefined,
  context: CommandContext,
): Promise<Target> {
  if (text === 'default') {
    const any = family === 6 ? Ipv6Address.unspecified : Ipv4Address.unspecified
    return { prefix: new IpPrefix(any, 0), isHost: false }
  }
  if (text.includes('/')) {
    const prefix = prefixOf(text)
    if (prefix === undefined) throw badAddress(text)
    return { prefix, isHost: false }
  }
  const address = shortAddress(text) ?? (await resolveHost(context, text, request.family ?? 0))?.address
  if (address === undefined) throw badAddress(text)
  const bits = 8 * address.bytes.length
  const lengthText = request.values.get('prefixlen')
  if (lengthText !== undefined) {
    const length = strtonum(lengthText, 0, bits)
    if (typeof length === 'string') throw new CommandFailure(`route: prefixlen ${lengthText}: ${length}`)
    return { prefix: new IpPrefix(address, length), isHost: false }
  }
  if (maskText !== undefined) {
    const length = maskLength(maskText)
    if (length === undefined) throw new CommandFailure(`route: ${maskText}: bad netmask`)
    return { prefix: new IpPrefix(address, length), isHost: false }
  }
  const isNet = request.flags.has('net') || (!request.flags.has('host') && isNetwork(address))
  return { prefix: new IpPrefix(address, isNet ? classLength(address) : bits), isHost: !isNet }
}

/** `10/8` and `192.168/16` are networks too. */
function prefixOf(text: string): IpPrefix | undefined {
  const [address = '', length = ''] = text.split('/')
  const whole = shortAddress(address) ?? parseIpAddress(address)
  if (whole === undefined) return undefined
  return IpPrefix.parse(`${whole}/${length}`)
}

function shortAddress(text: string): IpAddress | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){0,2}$/.test(text)) return undefined
  return Ipv4Address.parse([...text.split('.'), '0', '0', '0'].slice(0, 4).join('.'))
}

/** The lengths of the old classes, which route(8) still takes where nobody says a mask. */
function classLength(address: IpAddress): number {
  if (address.family === 6) return 64
  const first = address.bytes[0]!
  return first < 128 ? 8 : first < 192 ? 16 : 24
}

/** An IPv4 address whose host part is zero in its class. */
function isNetwork(address: IpAddress): boolean {
  if (address.family === 6) return false
  return new IpPrefix(address, classLength(address)).address.equals(address)
}

function maskLength(text: string): number | undefined {
  const mask =
    Ipv4Address.parse(text)?.toUint32() ?? (/^0x[0-9a-f]{8}$/i.test(text) ? Number(text) : undefined)
  if (mask === undefined) return undefined
  const length = Math.clz32(~mask >>> 0)
  return new IpPrefix(Ipv4Address.broadcast, length).address.equals(Ipv4Address.fromUint32(mask >>> 0))
    ? length
    : undefined
}

interface Failure {
  readonly errno: string
  /** Where route(8) has words of its own for it. */
  readonly text?: string
}

const NOT_IN_TABLE: Failure = { errno: 'No such process', text: 'not in table' }

function carryOut(
  command: 'add' | 'change' | 'delete',
  prefix: IpPrefix,
  gateway: Gateway | undefined,
  { values, flags }: Request,
  context: CommandContext,
): Failure | undefined {
  const { routes, interfaces } = context.host.stack
  if (command === 'delete')
    return routes.remove(prefix, gateway?.address) === undefined ? NOT_IN_TABLE : undefined
  if (gateway?.address !== undefined && gateway.address.family !== prefix.family)
    return {
      errno: 'Invalid argument',
      text: `Invalid argument (${prefix} and ${gateway.address} are of two families)`,
    }
  const throughName = values.get('ifp')
  const through = throughName === undefined ? gateway?.interface : interfaces.get(throughName)
  if (throughName !== undefined && through === undefined)
    return { errno: 'Network is unreachable', text: `no such interface: ${throughName}` }
  const before = command === 'change' ? staticRoute(routes.entries(), prefix) : undefined
  if (command === 'change') {
    if (before === undefined) return NOT_IN_TABLE
    routes.remove(prefix, before.gateway)
  }
  const mtu = numberOf(values, 'mtu')
  const priority = numberOf(values, 'priority')
  try {
    routes.add({
      destination: prefix,
      kind: 'static',
      ...(gateway?.address === undefined ? {} : { gateway: gateway.address }),
      ...(through === undefined ? {} : { interface: through }),
      ...(flags.has('reject') ? { action: 'reject' as const } : {}),
      ...(flags.has('blackhole') ? { action: 'blackhole' as const } : {}),
      ...(mtu === undefined ? {} : { mtu }),
      ...(priority === undefined ? {} : { priority }),
    })
    return undefined
  } catch (error) {
    if (!(error instanceof WarrenError)) throw error
    // A change that is refused changes nothing.
    if (before !== undefined) restore(routes, before)
    return { errno: error.summary }
  }
}

function restore(
  routes: RouteTable,
  { destination, gateway, interface: ifc, action, priority, mtu }: Route,
): void {
  routes.add({
    destination,
    interface: ifc,
    kind: 'static',
    action,
    priority,
    ...(gateway === undefined ? {} : { gateway }),
    ...(mtu === undefined ? {} : { mtu }),
  })
}

const staticRoute = (entries: readonly Route[], prefix: IpPrefix): Route | undefined =>
  entries.find((one) => one.kind === 'static' && one.destination.equals(prefix))

function numberOf(values: ReadonlyMap<string, string>, name: string): number | undefined {
  const text = values.get(name)
  if (text === undefined) return undefined
  const value = strtonum(text, 0, 65_535)
  if (typeof value === 'string') throw new CommandFailure(`route: ${name} ${text}: ${value}`)
  return value
}
