/** ifconfig(8)'s words: what each takes and means. All but addresses, which have a grammar of their own. */
import { type IpAddress, type Ipv4Address, MacAddress, parseIpAddress, WarrenError } from '../base/index.js'

export type ActionBody =
  | { readonly action: 'create' | 'destroy' | 'up' | 'down' }
  | {
      readonly action: 'address'
      readonly address: IpAddress
      /** From `/24`, `netmask` or `prefixlen`; see `defaultPrefixLength`. */
      readonly prefixLength?: number
      /** The other end of a point-to-point interface. */
      readonly peer?: IpAddress
      readonly broadcast?: Ipv4Address
      /** In addition to what is there; without it the family's first address is replaced. */
      readonly alias: boolean
    }
  /** `delete`, `-alias`: without an address, the family's first. */
  | { readonly action: 'removeAddress'; readonly family: 4 | 6; readonly address?: IpAddress }
  /** `-inet`, `-inet6`: all addresses of the family. */
  | { readonly action: 'removeFamily'; readonly family: 4 | 6 }
  | { readonly action: 'autoconf'; readonly family: 4 | 6; readonly enabled: boolean }
  | { readonly action: 'tunnel'; readonly local: IpAddress; readonly remote: IpAddress }
  | { readonly action: 'removeTunnel' }
  | { readonly action: 'vnetid'; readonly id: number | 'any' }
  | { readonly action: 'removeVnetid' }
  | { readonly action: 'vnetflowid'; readonly enabled: boolean }
  | { readonly action: 'tunnelttl'; readonly ttl: number | 'copy' }
  | { readonly action: 'tunneldf'; readonly enabled: boolean }
  /** In seconds and periods, as written. */
  | { readonly action: 'keepalive'; readonly period: number; readonly count: number }
  | { readonly action: 'removeKeepalive' }
  | { readonly action: 'mtu'; readonly mtu: number }
  | { readonly action: 'description'; readonly text: string }
  | { readonly action: 'removeDescription' }
  | { readonly action: 'lladdr'; readonly mac: MacAddress | 'random' }
  | { readonly action: 'group'; readonly group: string; readonly member: boolean }
  /** bridge(4): `add`, `del`. */
  | { readonly action: 'member'; readonly interfaceName: string; readonly member: boolean }
  | { readonly action: 'span'; readonly interfaceName: string; readonly member: boolean }
  | { readonly action: 'debug'; readonly enabled: boolean }
  | { readonly action: 'link'; readonly link: 0 | 1 | 2; readonly enabled: boolean }

/** What one word does: how many values it takes (by name, for the error), and the action they make. */
export interface Word {
  readonly values: readonly string[]
  readonly make: (values: readonly string[], at: Cursor) => ActionBody
}

/** Words that ifconfig knows and that no part of Warren does: said, not mistaken for an address. */
export const UNSUPPORTED: ReadonlySet<string> = new Set(
  (
    'media mediaopt -mediaopt mode -mode rdomain -rdomain tunneldomain -tunneldomain pair -pair patch -patch ' +
    'parent -parent metric nwid nwkey wpakey wpa bssid chan join -join chan -chan trunkport ' +
    '-trunkport trunkproto lacpmode lacptimeout carpdev carppeer vhid advbase advskew pass state syncdev ' +
    'syncpeer pflow flowsrc flowdst wgkey wgpeer wgport wgaip wgendpoint wgpsk wgpka wgrtable authproto ' +
    'authname authkey peerproto pppoedev pppoesvc eui64 mplslabel mpls -mpls pltime vltime temporary ' +
    '-temporary staticarp -staticarp txhprio rxhprio txprio llprio priority wol -wol powersave monitor ' +
    '-monitor transceiver sff endpoint -endpoint tag -tag untag protected -protected blocknonip -blocknonip ' +
    'discover -discover learn -learn flush flushall static deladdr maxaddr timeout rule flushrule stp -stp ' +
    'soii -soii tso -tso lro -lro anycast -anycast tentative -tentative'
  ).split(' '),
)

/** Reads arguments one by one and knows where each stands. */
export class Cursor {
  readonly args: readonly string[]
  readonly #where: (index: number) => string
  at = 0

  constructor(args: readonly string[], where: (index: number) => string) {
    this.args = args
    this.#where = where
  }

  get word(): string | undefined {
    return this.args[this.at]
  }

  take(): string {
    return this.args[this.at++]!
  }

  fail(
    code: string,
    index: number,
    summary: string,
    details: Omit<ConstructorParameters<typeof WarrenError>[2] & object, 'where'>,
  ): never {
    throw new WarrenError(code, summary, { where: this.#where(index), ...details })
  }
}

export const bad = (
  at: Cursor,
  offset: number,
  word: string,
  found: string,
  expected: string,
  mend?: string,
): never =>
  at.fail('CONFIG_BAD_VALUE', at.at - offset, word, {
    found,
    expected,
    ...(mend === undefined ? {} : { mend }),
  })

/** A decimal or 0x number in a range; the value stands `offset` arguments before the cursor. */
export function number(
  at: Cursor,
  offset: number,
  word: string,
  text: string,
  least: number,
  most: number,
): number {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most)) bad(at, offset, word, text, `a number from ${least} to ${most}`)
  return value
}

export function ip(at: Cursor, offset: number, word: string, text: string): IpAddress {
  return parseIpAddress(text) ?? bad(at, offset, word, text, 'an IPv4 or IPv6 address')
}

function mac(at: Cursor, text: string): MacAddress | 'random' {
  if (text === 'random') return text
  return MacAddress.parse(text) ?? bad(at, 1, 'lladdr', text, 'xx:xx:xx:xx:xx:xx or random')
}

const plain = <A extends ActionBody>(body: A): Word => ({ values: [], make: () => body })

export const WORDS: ReadonlyMap<string, Word> = new Map<string, Word>([
  ['create', plain({ action: 'create' })],
  ['destroy', plain({ action: 'destroy' })],
  ['up', plain({ action: 'up' })],
  ['down', plain({ action: 'down' })],
  ['-inet', plain({ action: 'removeFamily', family: 4 })],
  ['-inet6', plain({ action: 'removeFamily', family: 6 })],
  [
    'tunnel',
    {
      values: ['local address', 'remote address'],
      make: ([from = '', to = ''], at) => {
        const local = ip(at, 2, 'tunnel', from)
        const remote = ip(at, 1, 'tunnel', to)
        if (local.family !== remote.family)
          bad(at, 1, 'tunnel: the ends differ in family', to, `an IPv${local.family} address as ${local} is`)
        return { action: 'tunnel', local, remote }
      },
    },
  ],
  ['-tunnel', plain({ action: 'removeTunnel' })],
  ['deletetunnel', plain({ action: 'removeTunnel' })],
  [
    'vnetid',
    {
      values: ['id'],
      make: ([text = ''], at) => ({
        action: 'vnetid',
        id: text === 'any' ? text : number(at, 1, 'vnetid', text, 0, 0xffffffff),
      }),
    },
  ],
  ['-vnetid', plain({ action: 'removeVnetid' })],
  ['vnetflowid', plain({ action: 'vnetflowid', enabled: true })],
  ['-vnetflowid', plain({ action: 'vnetflowid', enabled: false })],
  [
    'tunnelttl',
    {
      values: ['ttl'],
      make: ([text = ''], at) => ({
        action: 'tunnelttl',
        ttl: text === 'copy' ? text : number(at, 1, 'tunnelttl', text, 1, 255),
      }),
    },
  ],
  ['tunneldf', plain({ action: 'tunneldf', enabled: true })],
  ['-tunneldf', plain({ action: 'tunneldf', enabled: false })],
  [
    'keepalive',
    {
      values: ['period in seconds', 'count'],
      make: ([period = '', count = ''], at) => ({
        action: 'keepalive',
        period: number(at, 2, 'keepalive period', period, 1, 86_400),
        count: number(at, 1, 'keepalive count', count, 2, 256),
      }),
    },
  ],
  ['-keepalive', plain({ action: 'removeKeepalive' })],
  [
    'mtu',
    {
      values: ['bytes'],
      make: ([text = ''], at) => ({ action: 'mtu', mtu: number(at, 1, 'mtu', text, 68, 65_535) }),
    },
  ],
  ['description', { values: ['text'], make: ([text = '']) => ({ action: 'description', text }) }],
  ['descr', { values: ['text'], make: ([text = '']) => ({ action: 'description', text }) }],
  ['-description', plain({ action: 'removeDescription' })],
  ['-descr', plain({ action: 'removeDescription' })],
  ['lladdr', { values: ['address'], make: ([text = ''], at) => ({ action: 'lladdr', mac: mac(at, text) }) }],
  ['group', { values: ['name'], make: ([group = '']) => ({ action: 'group', group, member: true }) }],
  ['-group', { values: ['name'], make: ([group = '']) => ({ action: 'group', group, member: false }) }],
  [
    'add',
    {
      values: ['interface'],
      make: ([name = '']) => ({ action: 'member', interfaceName: name, member: true }),
    },
  ],
  [
    'del',
    {
      values: ['interface'],
      make: ([name = '']) => ({ action: 'member', interfaceName: name, member: false }),
    },
  ],
  [
    'addspan',
    { values: ['interface'], make: ([name = '']) => ({ action: 'span', interfaceName: name, member: true }) },
  ],
  [
    'delspan',
    {
      values: ['interface'],
      make: ([name = '']) => ({ action: 'span', interfaceName: name, member: false }),
    },
  ],
  ['debug', plain({ action: 'debug', enabled: true })],
  ['-debug', plain({ action: 'debug', enabled: false })],
  ...([0, 1, 2] as const).flatMap((link): [string, Word][] => [
    [`link${link}`, plain({ action: 'link', link, enabled: true })],
    [`-link${link}`, plain({ action: 'link', link, enabled: false })],
  ]),
])
