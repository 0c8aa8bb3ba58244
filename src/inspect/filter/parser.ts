/**
 * From words to a test, in one pass (recursive descent). `and` and `or` have equal precedence and associate to the
 * left, as pcap-filter(7) has it; `not` binds closest. An identifier without a keyword takes the keywords of the one
 * before: `host a or b`. `vlan` moves every offset after it, as in BPF.
 */
import {
  didYouMean,
  type IpAddress,
  IpPrefix,
  Ipv4Address,
  MacAddress,
  parseIpAddress,
} from '../../base/index.js'
import { EtherType, IpProtocol } from '../../wire/numbers.js'
import { portOfName } from '../print/names.js'
import { Arithmetic } from './arithmetic.js'
import {
  addressTest,
  both,
  type Direction,
  either,
  etherGroupTest,
  etherTypeTest,
  macTest,
  multicastTest,
  type NetworkName,
  negate,
  portTest,
  protocolTest,
  REVARP,
  type Test,
  vlanTest,
} from './primitives.js'
import { filterError, type Token, tokenize } from './tokens.js'

/** Names of IP protocols, alone or behind `proto`. */
const protocols: Readonly<Record<string, number>> = {
  icmp: IpProtocol.icmp,
  igmp: 2,
  ipip: IpProtocol.ipip,
  tcp: IpProtocol.tcp,
  udp: IpProtocol.udp,
  gre: IpProtocol.gre,
  esp: IpProtocol.esp,
  ah: IpProtocol.ah,
  icmp6: IpProtocol.icmpv6,
  etherip: IpProtocol.etherip,
  carp: 112,
  vrrp: 112,
  sctp: 132,
}
const etherTypes: Readonly<Record<string, number>> = {
  ip: EtherType.ipv4,
  ip6: EtherType.ipv6,
  arp: EtherType.arp,
  rarp: REVARP,
}
const types: readonly string[] = ['host', 'net', 'port', 'portrange', 'proto']
const keywords: readonly string[] = [
  ...Object.keys(protocols),
  ...Object.keys(etherTypes),
  ...types,
  ...['ether', 'src', 'dst', 'and', 'or', 'not', 'vlan', 'less', 'greater', 'len', 'broadcast', 'multicast'],
]
/** Parentheses in parentheses; a filter that a person writes has a handful. */
const MAXIMUM_DEPTH = 100

interface Qualifiers {
  /** `ether`, a network layer, or a transport. */
  layer?: string
  direction?: Direction
  type?: string
}

export interface FilterOptions {
  /** Addresses of a host's name; without it names are refused. */
  readonly resolve?: (name: string) => readonly IpAddress[] | undefined
}

export class FilterParser {
  readonly #text: string
  readonly #tokens: readonly Token[]
  readonly #options: FilterOptions
  #at = 0
  #depth = 0
  /** VLAN tags that the expression has named so far. */
  #tags = 0
  /** Keywords of the primitive before, for an identifier that has none. */
  #last: Qualifiers = {}

  constructor(text: string, options: FilterOptions) {
    this.#text = text
    this.#tokens = tokenize(text)
    this.#options = options
  }

  /** The whole expression. */
  parse(): Test {
    const test = this.#expression()
    const rest = this.#peek()
    if (rest.kind !== 'end') throw this.#unexpected(rest, '"and", "or" or the end')
    return test
  }

  #peek(): Token {
    return this.#tokens[this.#at]!
  }

  #next(): Token {
    const token = this.#tokens[this.#at]!
    if (token.kind !== 'end') this.#at++
    return token
  }

  #takes(...texts: readonly string[]): boolean {
    const token = this.#peek()
    if (token.kind === 'end' || !texts.includes(token.text)) return false
    this.#at++
    return true
  }

  #unexpected(token: Token, expected: string): Error {
    const mend = token.kind === 'word' ? didYouMean(token.text, keywords) : undefined
    return filterError(this.#text, token.column, 'not what a filter has here', {
      found: token.kind === 'end' ? 'the end' : `"${token.text}"`,
      expected,
      ...(mend === undefined ? {} : { mend }),
    })
  }

  #expression(): Test {
    let left = this.#term()
    for (;;) {
      if (this.#takes('and', '&&')) left = both(left, this.#term())
      else if (this.#takes('or', '||')) left = either(left, this.#term())
      else return left
    }
  }

  #term(): Test {
    if (this.#takes('not', '!')) return this.#nest(() => negate(this.#term()))
    const relation = this.#tryRelation()
    if (relation !== undefined) return relation
    if (this.#takes('(')) {
      const inner = this.#nest(() => this.#expression())
      const close = this.#peek()
      if (!this.#takes(')')) throw this.#unexpected(close, '")"')
      return inner
    }
    return this.#primitive()
  }

  #nest<R>(parse: () => R): R {
    if (++this.#depth > MAXIMUM_DEPTH)
      throw filterError(this.#text, this.#peek().column, 'nested too deep', {
        expected: `at most ${MAXIMUM_DEPTH}`,
      })
    const result = parse()
    this.#depth--
    return result
  }

  /** A comparison of numbers, if one stands here. */
  #tryRelation(): Test | undefined {
    const token = this.#peek()
    const next = this.#tokens[this.#at + 1]
    const begins =
      token.kind === 'number' ||
      ['(', '-'].includes(token.text) ||
      next?.text === '[' ||
      Arithmetic.names(token.text)
    if (!begins) return undefined
    const arithmetic = new Arithmetic(this.#text, this.#tokens, this.#at, this.#tags)
    const found = arithmetic.relation()
    // A parenthesis may also hold tests, and a lone number may be an identifier: then it was no comparison.
    if (found === undefined) return undefined
    this.#at = arithmetic.at
    return found
  }

  #primitive(): Test {
    const token = this.#peek()
    if (token.kind === 'end') throw this.#unexpected(token, 'a test, as in "host 192.168.1.1" or "icmp"')
    if (token.kind === 'symbol') throw this.#unexpected(token, 'a test, as in "host 192.168.1.1" or "icmp"')
    switch (token.text) {
      case 'vlan':
        return this.#vlan()
      case 'less':
      case 'greater':
        return this.#lengthTest()
      case 'broadcast':
      case 'multicast':
        this.#next()
        return this.#group('ether', token)
    }
    return this.#qualified()
  }

  #vlan(): Test {
    this.#next()
    let identifier: number | undefined
    if (this.#peek().kind === 'number') identifier = this.#number(0, 4095, 'a VLAN identifier')
    const test = vlanTest(identifier, this.#tags)
    this.#tags++
    return test
  }

  #lengthTest(): Test {
    const less = this.#next().text === 'less'
    const length = this.#number(0, 0xffffffff, 'a length in bytes')
    return less ? (packet) => packet.length <= length : (packet) => packet.length >= length
  }

  #number(least: number, most: number, what: string): number {
    const token = this.#next()
    const value = token.kind === 'number' ? Number(token.text) : Number.NaN
    if (!(value >= least && value <= most)) throw this.#unexpected(token, `${what}, ${least} to ${most}`)
    return value
  }

  #qualified(): Test {
    const first = this.#peek()
    const given: Qualifiers = {}
    const layer = first.text
    const isLayer = layer === 'ether' || Object.hasOwn(etherTypes, layer) || Object.hasOwn(protocols, layer)
    if (isLayer) {
      given.layer = layer
      this.#next()
      if (this.#takes('broadcast')) return this.#group(layer, first, 'broadcast')
      if (this.#takes('multicast')) return this.#group(layer, first, 'multicast')
    }
    const direction = this.#direction()
    if (direction !== undefined) given.direction = direction
    const typeToken = this.#peek()
    if (types.includes(typeToken.text)) given.type = this.#next().text
    if (isLayer && given.direction === undefined && given.type === undefined) {
      // A protocol alone.
      this.#last = {}
      if (layer === 'ether')
        throw this.#unexpected(this.#peek(), '"host", "src", "dst" or "proto" after "ether"')
      return this.#protocolAlone(layer)
    }
    const bare = given.layer === undefined && given.direction === undefined && given.type === undefined
    const qualifiers = bare ? this.#last : given
    const identifier = this.#next()
    if (identifier.kind === 'end' || identifier.kind === 'symbol')
      throw this.#unexpected(identifier, identifierOf(qualifiers.type))
    if (bare && qualifiers.type === undefined && qualifiers.direction === undefined)
      throw this.#notAKeyword(identifier)
    this.#last = qualifiers
    return this.#identified(qualifiers, identifier)
  }

  #notAKeyword(token: Token): Error {
    const looksLikeAddress = parseIpAddress(token.text) !== undefined
    return filterError(this.#text, token.column, 'not a word of filters', {
      found: `"${token.text}"`,
      expected: 'a protocol, or "host", "net", "port", "src", "dst"',
      ...(looksLikeAddress
        ? { mend: `write "host ${token.text}"` }
        : {
            mend:
              didYouMean(token.text, keywords) ??
              'a test begins with what it is about, as in "host 10.0.0.1"',
          }),
    })
  }

  #direction(): Direction | undefined {
    if (!this.#takes('src')) return this.#takes('dst') ? 'dst' : undefined
    const operator = this.#peek().text
    const joined = ['or', 'and', '||', '&&'].includes(operator) && this.#tokens[this.#at + 1]?.text === 'dst'
    if (!joined) return 'src'
    this.#at += 2
    return operator === 'or' || operator === '||' ? 'or' : 'and'
  }

  #protocolAlone(name: string): Test {
    const etherType = etherTypes[name]
    if (etherType !== undefined) return etherTypeTest(etherType, this.#tags)
    return protocolTest(protocols[name]!, familyOf(name), this.#tags)
  }

  #group(layer: string, token: Token, kind: string = token.text): Test {
    if (layer === 'ether') {
      if (kind === 'broadcast') return macTest(MacAddress.broadcast, 'dst')
      return etherGroupTest
    }
    if (kind === 'multicast' && layer === 'ip') return multicastTest(4, this.#tags)
    if (kind === 'multicast' && layer === 'ip6') return multicastTest(6, this.#tags)
    throw filterError(this.#text, token.column, `"${layer} ${kind}" is no test`, {
      expected: 'ether broadcast, ether multicast, ip multicast or ip6 multicast',
    })
  }

  #identified(qualifiers: Qualifiers, token: Token): Test {
    const { layer, direction = 'or', type = 'host' } = qualifiers
    switch (type) {
      case 'proto':
        return this.#proto(layer, token)
      case 'port':
      case 'portrange':
        return this.#ports(type, layer, direction, token)
      case 'net':
        return this.#net(layer, direction, token)
      default:
        return this.#host(layer, direction, token)
    }
  }

  #proto(layer: string | undefined, token: Token): Test {
    const numeric = token.kind === 'number' ? Number(token.text) : undefined
    if (layer === 'ether') {
      const etherType = numeric ?? etherTypes[token.text]
      if (etherType === undefined || etherType > 0xffff)
        throw this.#unexpected(token, 'an EtherType, as in "ether proto 0x800" or "ether proto ip6"')
      return etherTypeTest(etherType, this.#tags)
    }
    if (layer !== undefined && layer !== 'ip' && layer !== 'ip6')
      throw filterError(this.#text, token.column, `"${layer} proto" is no test`, {
        expected: 'proto, ip proto, ip6 proto or ether proto',
      })
    const protocol = numeric ?? protocols[token.text]
    if (protocol === undefined || protocol > 255)
      throw this.#unexpected(
        token,
        `an IP protocol: 0 to 255, or one of ${Object.keys(protocols).join(', ')}`,
      )
    return protocolTest(protocol, layer === 'ip' ? 4 : layer === 'ip6' ? 6 : undefined, this.#tags)
  }

  #ports(type: string, layer: string | undefined, direction: Direction, token: Token): Test {
    if (layer !== undefined && !['tcp', 'udp', 'sctp'].includes(layer))
      throw filterError(this.#text, token.column, `${layer} has no ports`, {
        expected: 'tcp, udp, sctp, or none of them',
        mend: `write "port ${token.text}" or "tcp port ${token.text}"`,
      })
    const protocol = layer === undefined ? undefined : protocols[layer]
    const range = type === 'portrange' ? /^(\d+)-(\d+)$/.exec(token.text) : null
    if (range !== null) {
      const [low, high] = [Number(range[1]), Number(range[2])]
      if (high > 65_535) throw this.#unexpected(token, 'ports from 0 to 65535')
      return portTest(Math.min(low, high), Math.max(low, high), direction, protocol, this.#tags)
    }
    if (token.kind === 'number') {
      const port = Number(token.text)
      if (port > 65_535) throw this.#unexpected(token, 'a port, 0 to 65535')
      return portTest(port, port, direction, protocol, this.#tags)
    }
    const named = type === 'port' ? portOfName(token.text) : undefined
    if (named === undefined)
      throw this.#unexpected(
        token,
        type === 'port' ? 'a port, 0 to 65535, or a service' : 'a range, as in 1000-2000',
      )
    const tests: Test[] = []
    for (const [transport, port] of Object.entries(named) as ['tcp' | 'udp', number][])
      if (layer === undefined || layer === transport)
        tests.push(portTest(port, port, direction, protocols[transport], this.#tags))
    const [test, other] = tests
    if (test === undefined) throw this.#unexpected(token, `a service of ${layer}`)
    return other === undefined ? test : either(test, other)
  }

  #networkLayer(layer: string | undefined, what: string, token: Token): NetworkName | undefined {
    if (layer === undefined || Object.hasOwn(etherTypes, layer)) return layer as NetworkName | undefined
    throw filterError(this.#text, token.column, `"${layer}" cannot limit a ${what}`, {
      found: `"${layer}"`,
      expected: 'ip, ip6, arp, rarp, or none of them',
      mend: `write "${layer} and ${what} ${token.text}"`,
    })
  }

  #host(layer: string | undefined, direction: Direction, token: Token): Test {
    if (layer === 'ether') {
      const mac = MacAddress.parse(token.text)
      if (mac === undefined) throw this.#unexpected(token, 'a MAC address, as in fe:e1:ba:d0:00:01')
      return macTest(mac, direction)
    }
    const network = this.#networkLayer(layer, 'host', token)
    const address = parseIpAddress(token.text)
    if (address !== undefined) {
      this.#checkFamily(address.family, network, token)
      return addressTest(address, direction, network, this.#tags)
    }
    if (token.text.includes('/') && IpPrefix.parse(token.text) !== undefined)
      throw filterError(this.#text, token.column, 'a prefix where a host is meant', {
        found: `"${token.text}"`,
        mend: `write "net ${token.text}"`,
      })
    if (MacAddress.parse(token.text) !== undefined)
      throw filterError(this.#text, token.column, 'a MAC address where a host is meant', {
        found: `"${token.text}"`,
        mend: `write "ether host ${token.text}"`,
      })
    const resolved = this.#options.resolve?.(token.text) ?? []
    const tests = resolved.map((found) => addressTest(found, direction, network, this.#tags))
    if (tests.length > 0) return tests.reduce(either)
    throw filterError(this.#text, token.column, 'not an address', {
      found: `"${token.text}"`,
      expected: 'an IPv4 or IPv6 address; names are not looked up',
      ...mendOf(didYouMean(token.text, keywords)),
    })
  }

  #checkFamily(family: 4 | 6, network: NetworkName | undefined, token: Token): void {
    if (network === undefined || (network === 'ip6') === (family === 6)) return
    throw filterError(this.#text, token.column, `an IPv${family} address behind "${network}"`, {
      found: `"${token.text}"`,
      expected: family === 6 ? 'ip6' : 'ip, arp or rarp',
    })
  }

  #net(layer: string | undefined, direction: Direction, token: Token): Test {
    const network = this.#networkLayer(layer, 'net', token)
    const prefix = this.#prefix(token)
    this.#checkFamily(prefix.family, network, token)
    return addressTest(prefix, direction, network, this.#tags)
  }

  /** `10.0.0.0/8`, `10`, `192.168`, `10.0.0.0 mask 255.0.0.0`, an IPv6 prefix. */
  #prefix(token: Token): IpPrefix {
    const wrong = this.#unexpected(token, 'a network, as in 192.168.1.0/24, 10, or fd00::/8')
    const [addressText = '', lengthText] = token.text.split('/')
    const parts = addressText.split('.')
    const short = /^\d+(\.\d+){0,2}$/.test(addressText)
    const padded = short ? [...parts, '0', '0', '0'].slice(0, 4).join('.') : addressText
    if (lengthText === undefined && this.#takes('mask')) return this.#masked(padded, token)
    // Without a length, an IPv4 network is as long as what was written of it.
    const length = lengthText ?? (short ? String(8 * parts.length) : undefined)
    const prefix = IpPrefix.parse(length === undefined ? padded : `${padded}/${length}`)
    const address = parseIpAddress(padded)
    if (prefix === undefined || address === undefined) throw wrong
    if (!prefix.address.equals(address)) throw this.#hostBits(token, prefix)
    return prefix
  }

  #masked(addressText: string, token: Token): IpPrefix {
    const maskToken = this.#next()
    const mask = Ipv4Address.parse(maskToken.text)?.toUint32()
    const address = Ipv4Address.parse(addressText)
    // A netmask is ones and then zeros: its complement plus one is a power of two.
    const rest = mask === undefined ? 1 : ~mask >>> 0
    if (mask === undefined || (rest & (rest + 1)) !== 0)
      throw this.#unexpected(maskToken, 'a netmask, as in 255.255.255.0')
    if (address === undefined) throw this.#unexpected(token, 'an IPv4 network before "mask"')
    const prefix = new IpPrefix(address, 32 - Math.log2(rest + 1))
    if (!prefix.address.equals(address)) throw this.#hostBits(token, prefix)
    return prefix
  }

  #hostBits(token: Token, prefix: IpPrefix): Error {
    return filterError(this.#text, token.column, 'bits behind the network part are set', {
      found: `"${token.text}"`,
      expected: String(prefix),
      mend: `write "net ${prefix}", or "host" for one address`,
    })
  }
}

const mendOf = (mend: string | undefined): { mend?: string } => (mend === undefined ? {} : { mend })

const familyOf = (name: string): 4 | 6 | undefined =>
  name === 'icmp' || name === 'igmp' ? 4 : name === 'icmp6' ? 6 : undefined

const identifierOf = (type: string | undefined): string =>
  type === 'port'
    ? 'a port'
    : type === 'portrange'
      ? 'a range of ports, as in 1000-2000'
      : type === 'net'
        ? 'a network, as in 192.168.1.0/24'
        : type === 'proto'
          ? 'a protocol'
          : 'an address'
