/**
 * warren.toml: the same tunnels for who has no OpenBSD. docs/warren-toml.md is its manual.
 *
 * One schema, a table of keys, reads and checks; every error names file, line and column.
 */
import {
  didYouMean,
  type InterfaceAddress,
  type IpAddress,
  IpPrefix,
  MacAddress,
  parseIpAddress,
  seconds,
} from '../base/index.js'
import type { TunnelDefinition, TunnelRoute } from '../engine/index.js'
import type { EcnMode } from '../proto/ecn.js'
import { isWithin } from '../proto/tunnel-metadata.js'
import { type Located, located } from './located.js'
import { type RawTunnel, resolveTunnel } from './raw-tunnel.js'
import { type TomlEntry, type TomlNode, TomlReader } from './toml-reader.js'

const names = {
  key: 'key',
  flowInKey: 'flow-in-key',
  tunnelId: 'tunnel-id',
  keepalive: 'keepalive',
  mac: 'mac',
  local: 'local = "ADDRESS"',
  remote: 'remote = "ADDRESS"',
}

/** Linux's IFNAMSIZ without the closing zero. */
const NAME_LIMIT = 15

/** All tunnels of the file, in its order. Throws `WarrenError` CONFIG_* at the first thing that is wrong. */
export function parseWarrenToml(text: string, file: string): TunnelDefinition[] {
  return rawTunnelsOf(text, file).map((raw) => resolveTunnel(raw, names))
}

/** What the file says, with places. */
export function rawTunnelsOf(text: string, file: string): RawTunnel[] {
  const reader = new TomlReader(file)
  const raws: RawTunnel[] = []
  for (const { name, node } of reader.entries(reader.parse(text))) {
    if (name.value !== 'tunnel') reader.unknownKey(name, ['tunnel'], 'at the top')
    for (const tunnel of reader.entries(node, 'tunnel')) raws.push(readTunnel(reader, tunnel))
  }
  return raws
}

type Read<T> = (reader: TomlReader, node: TomlNode, key: string) => T

/** The schema: key in the file, and how its value is read. */
const schema = {
  kind: text(),
  local: address,
  remote: address,
  ttl: numberOr('copy', 1, 255),
  'dont-fragment': boolean,
  dscp: numberOr('copy', 0, 63),
  ecn: choice<EcnMode>('normal', 'compatibility'),
  'flow-label': number(0, 0xfffff),
  key: number(0, 0xffffffff),
  'flow-in-key': boolean,
  'tunnel-id': number(0, 0xffff),
  keepalive,
  mtu: number(68, 65_535),
  mac,
  addresses: list(interfaceAddress),
  routes: list(route),
  description: text(),
  up: boolean,
} satisfies Record<string, Read<unknown>>

type Schema = { readonly [K in keyof typeof schema]?: Located<ReturnType<(typeof schema)[K]>> }

function readTunnel(reader: TomlReader, { name, node }: TomlEntry): RawTunnel {
  const { value: interfaceName, where } = name
  if (interfaceName.length > NAME_LIMIT || !/^[A-Za-z][\w.-]*$/.test(interfaceName))
    reader.fail(
      where,
      'CONFIG_BAD_VALUE',
      'name of an interface',
      interfaceName,
      `at most ${NAME_LIMIT} of a-z, 0-9, . _ -, a letter first`,
    )
  const found: Record<string, Located<unknown>> = {}
  for (const entry of reader.entries(node, interfaceName)) {
    const key = entry.name.value
    if (!Object.hasOwn(schema, key))
      reader.unknownKey(entry.name, Object.keys(schema), `in tunnel.${interfaceName}`)
    const read = schema[key as keyof typeof schema] as Read<unknown>
    found[key] = located(read(reader, entry.node, key), reader.whereOf(entry.node))
  }
  const table = found as Schema
  const kind = table.kind ?? located(interfaceName.replace(/\d+$/, ''), where)
  return {
    name,
    kind,
    local: table.local,
    remote: table.remote,
    ttl: table.ttl,
    dontFragment: table['dont-fragment'],
    dscp: table.dscp,
    ecn: table.ecn,
    flowLabel: table['flow-label'],
    key: table.key,
    flowInKey: table['flow-in-key'],
    tunnelId: table['tunnel-id'],
    keepalive: table.keepalive,
    mtu: table.mtu,
    mac: table.mac,
    addresses: table.addresses?.value ?? [],
    routes: table.routes?.value ?? [],
    description: table.description,
    up: table.up?.value ?? true,
  }
}

function text(): Read<string> {
  return (reader, node, key) => {
    if (node.type === 'TOMLValue' && node.kind === 'string') return node.value
    return reader.wrongType(node, key, 'a string')
  }
}

function boolean(reader: TomlReader, node: TomlNode, key: string): boolean {
  if (node.type === 'TOMLValue' && node.kind === 'boolean') return node.value
  return reader.wrongType(node, key, 'true or false')
}

function number(least: number, most: number): Read<number> {
  const expected = `a whole number from ${least} to ${most}`
  return (reader, node, key) => {
    if (node.type !== 'TOMLValue' || node.kind !== 'integer') return reader.wrongType(node, key, expected)
    if (!isWithin(node.value, least, most))
      reader.fail(reader.whereOf(node), 'CONFIG_BAD_VALUE', key, node.number, expected)
    return node.value
  }
}

function numberOr<W extends string>(word: W, least: number, most: number): Read<number | W> {
  return (reader, node, key) => {
    if (node.type === 'TOMLValue' && node.kind === 'string') {
      if (node.value === word) return word
      return reader.fail(
        reader.whereOf(node),
        'CONFIG_BAD_VALUE',
        key,
        `"${node.value}"`,
        `${least} to ${most}, or "${word}"`,
      )
    }
    return number(least, most)(reader, node, key)
  }
}

function choice<W extends string>(...words: readonly W[]): Read<W> {
  return (reader, node, key) => {
    const found = text()(reader, node, key)
    const word = words.find((known) => known === found)
    return (
      word ??
      reader.fail(
        reader.whereOf(node),
        'CONFIG_BAD_VALUE',
        key,
        `"${found}"`,
        words.map((known) => `"${known}"`).join(' or '),
        didYouMean(found, words),
      )
    )
  }
}

function list<T>(read: Read<T>): Read<Located<T>[]> {
  return (reader, node, key) => {
    if (node.type !== 'TOMLArray') return reader.wrongType(node, key, 'an array of strings')
    return node.elements.map((element) => {
      const entry = reader.nodeOf(element)
      return located(read(reader, entry, key), reader.whereOf(entry))
    })
  }
}

function address(reader: TomlReader, node: TomlNode, key: string): IpAddress {
  const found = text()(reader, node, key)
  return (
    parseIpAddress(found) ??
    reader.fail(reader.whereOf(node), 'CONFIG_BAD_VALUE', key, `"${found}"`, 'an IPv4 or IPv6 address')
  )
}

function mac(reader: TomlReader, node: TomlNode, key: string): MacAddress {
  const found = text()(reader, node, key)
  return (
    MacAddress.parse(found) ??
    reader.fail(reader.whereOf(node), 'CONFIG_BAD_VALUE', key, `"${found}"`, '"xx:xx:xx:xx:xx:xx"')
  )
}

/** `"172.16.0.1 -> 172.16.0.2"` or `"10.0.0.1/24"`. */
function interfaceAddress(reader: TomlReader, node: TomlNode, key: string): InterfaceAddress {
  const found = text()(reader, node, key)
  const expected = '"ADDRESS/LENGTH" or "ADDRESS -> OTHER END"'
  const [own = '', peerText, ...more] = found.split('->').map((part) => part.trim())
  const peer = peerText === undefined ? undefined : parseIpAddress(peerText)
  const [ownText = '', lengthText] = own.split('/')
  const own_ = parseIpAddress(ownText)
  const bits = own_ === undefined ? 0 : 8 * own_.bytes.length
  const length = lengthText === undefined ? bits : /^\d{1,3}$/.test(lengthText) ? Number(lengthText) : -1
  const isWhole =
    own.split('/').length <= 2 && more.length === 0 && (peerText === undefined) === (peer === undefined)
  if (own_ === undefined || !isWhole || !isWithin(length, 0, bits))
    return reader.fail(reader.whereOf(node), 'CONFIG_BAD_VALUE', key, `"${found}"`, expected)
  if (peer === undefined && lengthText === undefined)
    reader.fail(
      reader.whereOf(node),
      'CONFIG_BAD_VALUE',
      key,
      `"${found}"`,
      expected,
      `write "${found}/${bits}" if it is alone`,
    )
  if (peer !== undefined && peer.family !== own_.family)
    reader.fail(reader.whereOf(node), 'CONFIG_BAD_VALUE', key, `"${found}"`, 'two ends of one family')
  return {
    address: own_,
    prefixLength: peer === undefined ? length : bits,
    ...(peer === undefined ? {} : { peer }),
  }
}

/** `"10.0.0.0/8"`, `"10.0.0.0/8 via 172.16.0.2"`. */
function route(reader: TomlReader, node: TomlNode, key: string): TunnelRoute {
  const found = text()(reader, node, key)
  const [destinationText = '', via, gatewayText, ...more] = found.trim().split(/\s+/)
  const destination = IpPrefix.parse(destinationText)
  const gateway = gatewayText === undefined ? undefined : parseIpAddress(gatewayText)
  if (
    destination === undefined ||
    more.length > 0 ||
    (via !== undefined && (via !== 'via' || gateway === undefined))
  )
    return reader.fail(
      reader.whereOf(node),
      'CONFIG_BAD_VALUE',
      key,
      `"${found}"`,
      '"PREFIX" or "PREFIX via ADDRESS"',
    )
  const host = parseIpAddress(destinationText.split('/')[0]!)!
  if (!host.equals(destination.address))
    reader.fail(
      reader.whereOf(node),
      'CONFIG_BAD_VALUE',
      key,
      `"${found}"`,
      'a network without host bits',
      `write "${destination}"`,
    )
  if (gateway !== undefined && gateway.family !== destination.family)
    reader.fail(
      reader.whereOf(node),
      'CONFIG_BAD_VALUE',
      key,
      `"${found}"`,
      'prefix and gateway of one family',
    )
  return { destination, ...(gateway === undefined ? {} : { gateway }) }
}

/** `{ period = 10, count = 3 }`, the period in seconds. */
function keepalive(
  reader: TomlReader,
  node: TomlNode,
  key: string,
): { period: ReturnType<typeof seconds>; count: number } {
  if (node.type !== 'Table') return reader.wrongType(node, key, '{ period = SECONDS, count = N }')
  let period: number | undefined
  let count: number | undefined
  for (const entry of reader.entries(node)) {
    const name = entry.name.value
    if (name === 'period') period = number(1, 86_400)(reader, entry.node, 'keepalive.period')
    else if (name === 'count') count = number(2, 256)(reader, entry.node, 'keepalive.count')
    else reader.unknownKey(entry.name, ['period', 'count'], 'in keepalive')
  }
  if (period === undefined || count === undefined)
    return reader.fail(
      node.where,
      'CONFIG_MISSING_VALUE',
      key,
      `no ${period === undefined ? 'period' : 'count'}`,
      '{ period = SECONDS, count = N }',
    )
  return { period: seconds(period), count }
}
