/**
 * The words of OpenBSD's ifconfig(8), as the command line, hostname.if(5) and `sh /etc/netstart` use them: one list
 * of arguments (without the interface's name) to typed actions, in the order in which they stand.
 *
 * Only what the words say is checked here. Whether an interface takes an action is its kind's matter.
 */
import {
  didYouMean,
  type IpAddress,
  Ipv4Address,
  MacAddress,
  parseIpAddress,
  WarrenError,
} from '../base/index.js'

type Body =
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

/** One action, and which argument it starts at (0 is the first behind the interface's name). */
export type IfconfigAction = Body & { readonly index: number }

export interface IfconfigOptions {
  /** Where the argument of an index stands, for errors; default: `argument N`. */
  readonly where?: (index: number) => string
}

/** What one word does: how many values it takes (by name, for the error), and the action they make. */
interface Word {
  readonly values: readonly string[]
  readonly make: (values: readonly string[], at: Cursor) => Body
}

/** Words that ifconfig knows and that no part of Warren does: said, not mistaken for an address. */
const UNSUPPORTED: ReadonlySet<string> = new Set(
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
class Cursor {
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

const bad = (
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
function number(at: Cursor, offset: number, word: string, text: string, least: number, most: number): number {
  const value = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most)) bad(at, offset, word, text, `a number from ${least} to ${most}`)
  return value
}

function ip(at: Cursor, offset: number, word: string, text: string): IpAddress {
  return parseIpAddress(text) ?? bad(at, offset, word, text, 'an IPv4 or IPv6 address')
}

function mac(at: Cursor, text: string): MacAddress | 'random' {
  if (text === 'random') return text
  return MacAddress.parse(text) ?? bad(at, 1, 'lladdr', text, 'xx:xx:xx:xx:xx:xx or random')
}

const plain = <A extends Body>(body: A): Word => ({ values: [], make: () => body })

const WORDS: ReadonlyMap<string, Word> = new Map<string, Word>([
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

/** Words that start or belong to an address, handled by hand below. */
const ADDRESS_WORDS = [
  'inet',
  'inet6',
  'alias',
  '-alias',
  'delete',
  'netmask',
  'prefixlen',
  'broadcast',
  'autoconf',
  '-autoconf',
  'dstaddr',
  'dest',
]

/** Every word that is known, for suggestions and completion. */
export const ifconfigWords: readonly string[] = [...WORDS.keys(), ...ADDRESS_WORDS]

/**
 * Parses the arguments behind the interface's name. Throws `WarrenError` CONFIG_UNKNOWN_WORD, CONFIG_MISSING_VALUE,
 * CONFIG_BAD_VALUE, CONFIG_UNSUPPORTED_WORD; either all arguments are good or none is returned.
 */
export function parseIfconfigArguments(
  args: readonly string[],
  options: IfconfigOptions = {},
): IfconfigAction[] {
  const at = new Cursor(args, options.where ?? ((index) => `argument ${index + 1}`))
  const actions: IfconfigAction[] = []
  let family: 4 | 6 | undefined
  while (at.word !== undefined) {
    const index = at.at
    const name = at.word
    if (name === 'inet' || name === 'inet6') {
      at.take()
      family = name === 'inet' ? 4 : 6
      continue
    }
    const word = WORDS.get(name)
    if (word !== undefined) {
      at.take()
      const values = takeValues(at, name, word.values)
      actions.push({ ...word.make(values, at), index })
    } else {
      actions.push({ ...parseAddressing(at, family), index })
    }
  }
  return actions
}

function takeValues(at: Cursor, word: string, names: readonly string[]): string[] {
  const values: string[] = []
  for (const name of names) {
    if (at.word === undefined)
      at.fail('CONFIG_MISSING_VALUE', at.at, word, {
        found: 'the end',
        expected: `the ${name}`,
        mend: `write ${word} ${names.map((n) => n.toUpperCase().replaceAll(' ', '-')).join(' ')}`,
      })
    values.push(at.take())
  }
  return values
}

/** `alias A [B] …`, `A [B] …`, `delete A`, `A delete`, `-alias A`, `autoconf`. */
function parseAddressing(at: Cursor, family: 4 | 6 | undefined): Body {
  const index = at.at
  const first = at.word!
  if (first === 'autoconf' || first === '-autoconf') {
    at.take()
    return { action: 'autoconf', family: family ?? 4, enabled: first === 'autoconf' }
  }
  if (first === 'delete' || first === '-alias') {
    at.take()
    const address = at.word === undefined ? undefined : parseIpAddress(at.word)
    if (address === undefined) return { action: 'removeAddress', family: family ?? 4 }
    at.take()
    return { action: 'removeAddress', family: address.family, address }
  }
  let alias = false
  if (first === 'alias') {
    at.take()
    alias = true
    if (at.word === undefined)
      at.fail('CONFIG_MISSING_VALUE', at.at, 'alias', { found: 'the end', expected: 'an address' })
  }
  const written = at.word!
  const [addressText = '', lengthText, ...rest] = written.split('/')
  const address = parseIpAddress(addressText)
  if (address === undefined || rest.length > 0) return unknownWord(at, written, alias || family !== undefined)
  if (family !== undefined && address.family !== family)
    at.fail('CONFIG_BAD_VALUE', at.at, family === 4 ? 'inet' : 'inet6', {
      found: written,
      expected: `an IPv${family} address`,
      mend: `write ${address.family === 4 ? 'inet' : 'inet6'} ${written}`,
    })
  at.take()
  let prefixLength =
    lengthText === undefined
      ? undefined
      : number(at, 1, 'prefix length', lengthText, 0, 8 * address.bytes.length)
  let peer: IpAddress | undefined
  let broadcast: Ipv4Address | undefined
  for (let next = at.word; next !== undefined; next = at.word) {
    if (next === 'alias') alias = true
    else if (next === 'delete' || next === '-alias') {
      at.take()
      return { action: 'removeAddress', family: address.family, address }
    } else if (next === 'netmask' || next === 'prefixlen') {
      at.take()
      const [text = ''] = takeValues(at, next, [next === 'netmask' ? 'mask' : 'length'])
      prefixLength =
        next === 'netmask'
          ? parseMask(at, text, address)
          : number(at, 1, next, text, 0, 8 * address.bytes.length)
      continue
    } else if (next === 'broadcast') {
      at.take()
      const [text = ''] = takeValues(at, next, ['address'])
      broadcast = Ipv4Address.parse(text) ?? bad(at, 1, 'broadcast', text, 'an IPv4 address')
      continue
    } else if (next === 'dstaddr' || next === 'dest') {
      at.take()
      const [text = ''] = takeValues(at, next, ['address'])
      peer = ip(at, 1, next, text)
      continue
    } else {
      const second = peer === undefined ? parseIpAddress(next) : undefined
      if (second === undefined) break
      peer = second
    }
    at.take()
  }
  if (peer !== undefined && peer.family !== address.family)
    at.fail('CONFIG_BAD_VALUE', index, 'the two ends differ in family', {
      found: `${address} and ${peer}`,
      expected: 'two addresses of one family',
    })
  return {
    action: 'address',
    address,
    ...(prefixLength === undefined ? {} : { prefixLength }),
    ...(peer === undefined ? {} : { peer }),
    ...(broadcast === undefined ? {} : { broadcast }),
    alias,
  }
}

/** A contiguous mask, dotted or 0xffffff00, as a prefix length. */
function parseMask(at: Cursor, text: string, address: IpAddress): number {
  if (address.family === 6) return number(at, 1, 'prefix length', text, 0, 128)
  const value = /^0x[0-9a-f]{1,8}$/i.test(text) ? Number(text) : Ipv4Address.parse(text)?.toUint32()
  const length = value === undefined ? -1 : Math.clz32(~value >>> 0)
  if (value === undefined || (length < 32 && (value << length) >>> 0 !== 0))
    return bad(
      at,
      1,
      'netmask',
      text,
      'a netmask such as 255.255.255.0',
      Ipv4Address.parse(text) === undefined
        ? undefined
        : `if ${text} is the other end, write ${address} ${text} without inet or netmask, or "dest ${text}" on the next line`,
    )
  return length
}

function unknownWord(at: Cursor, found: string, expectsAddress: boolean): never {
  if (UNSUPPORTED.has(found))
    at.fail('CONFIG_UNSUPPORTED_WORD', at.at, 'a word of ifconfig that Warren does not do', {
      found,
      expected: `one of ${ifconfigWords.join(', ')}`,
      mend: 'remove it',
    })
  const mend = didYouMean(found, ifconfigWords)
  // What looks like an address was meant as one.
  const looksLikeAddress = /^[\d.]+(\/|$)|:/.test(found)
  at.fail(
    looksLikeAddress ? 'CONFIG_BAD_VALUE' : 'CONFIG_UNKNOWN_WORD',
    at.at,
    looksLikeAddress ? 'no address' : 'unknown word',
    {
      found,
      expected:
        expectsAddress || looksLikeAddress ? 'an IPv4 or IPv6 address' : 'a word of ifconfig or an address',
      ...(mend === undefined || looksLikeAddress ? {} : { mend }),
    },
  )
}

/** What OpenBSD takes where no mask was said: IPv4's old classes, and 64 for IPv6 (128 with another end). */
export function defaultPrefixLength(address: IpAddress, peer?: IpAddress): number {
  if (address.family === 6) return peer === undefined ? 64 : 128
  const first = address.bytes[0]!
  return first < 128 ? 8 : first < 192 ? 16 : first < 224 ? 24 : 32
}
