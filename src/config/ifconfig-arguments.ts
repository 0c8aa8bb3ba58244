/**
 * The words of OpenBSD's ifconfig(8), as the command line, hostname.if(5) and `sh /etc/netstart` use them: one list
 * of arguments (without the interface's name) to typed actions, in the order in which they stand.
 *
 * Only what the words say is checked here. Whether an interface takes an action is its kind's matter.
 */
import { didYouMean, type IpAddress, Ipv4Address, parseIpAddress } from '../base/index.js'
import { type ActionBody, bad, Cursor, ip, number, UNSUPPORTED, WORDS } from './ifconfig-words.js'

/** One action, and which argument it starts at (0 is the first behind the interface's name). */
export type IfconfigAction = ActionBody & { readonly index: number }

export interface IfconfigOptions {
  /** Where the argument of an index stands, for errors; default: `argument N`. */
  readonly where?: (index: number) => string
}

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
function parseAddressing(at: Cursor, family: 4 | 6 | undefined): ActionBody {
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
