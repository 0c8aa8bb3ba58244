/** What stands behind `host`, `net`, `port`, `portrange` and `proto`. */
import {
  didYouMean,
  type IpAddress,
  IpPrefix,
  Ipv4Address,
  MacAddress,
  parseIpAddress,
} from '../../base/index.js'
import { portOfName } from '../print/names.js'
import type { FilterCursor } from './cursor.js'
import {
  addressTest,
  type Direction,
  either,
  etherTypeTest,
  macTest,
  type NetworkName,
  portTest,
  protocolTest,
  type Test,
} from './primitives.js'
import { filterError, type Token } from './tokens.js'
import { etherTypes, keywords, own, protocols } from './words.js'

export interface Qualifiers {
  /** `ether`, a network layer, or a transport. */
  layer?: string
  direction?: Direction
  type?: string
}

export interface FilterOptions {
  /** Addresses of a host's name; without it names are refused. */
  readonly resolve?: (name: string) => readonly IpAddress[] | undefined
}

export class Identifiers {
  readonly #cursor: FilterCursor
  readonly #options: FilterOptions
  #tags = 0

  constructor(cursor: FilterCursor, options: FilterOptions) {
    this.#cursor = cursor
    this.#options = options
  }

  /** The test of one identifier behind its keywords, `tags` VLAN tags deep. */
  test(qualifiers: Qualifiers, token: Token, tags: number): Test {
    this.#tags = tags
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
      const etherType = numeric ?? own(etherTypes, token.text)
      if (etherType === undefined || etherType > 0xffff)
        throw this.#cursor.unexpected(token, 'an EtherType, as in "ether proto 0x800" or "ether proto ip6"')
      return etherTypeTest(etherType, this.#tags)
    }
    if (layer !== undefined && layer !== 'ip' && layer !== 'ip6')
      throw filterError(this.#cursor.text, token.column, `"${layer} proto" is no test`, {
        expected: 'proto, ip proto, ip6 proto or ether proto',
      })
    const protocol = numeric ?? own(protocols, token.text)
    if (protocol === undefined || protocol > 255)
      throw this.#cursor.unexpected(
        token,
        `an IP protocol: 0 to 255, or one of ${Object.keys(protocols).join(', ')}`,
      )
    return protocolTest(protocol, layer === 'ip' ? 4 : layer === 'ip6' ? 6 : undefined, this.#tags)
  }

  #ports(type: string, layer: string | undefined, direction: Direction, token: Token): Test {
    if (layer !== undefined && !['tcp', 'udp', 'sctp'].includes(layer))
      throw filterError(this.#cursor.text, token.column, `${layer} has no ports`, {
        expected: 'tcp, udp, sctp, or none of them',
        mend: `write "port ${token.text}" or "tcp port ${token.text}"`,
      })
    const protocol = layer === undefined ? undefined : own(protocols, layer)
    const range = type === 'portrange' ? /^(\d+)-(\d+)$/.exec(token.text) : null
    if (range !== null) {
      const [low, high] = [Number(range[1]), Number(range[2])]
      if (high > 65_535) throw this.#cursor.unexpected(token, 'ports from 0 to 65535')
      return portTest(Math.min(low, high), Math.max(low, high), direction, protocol, this.#tags)
    }
    if (token.kind === 'number') {
      const port = Number(token.text)
      if (port > 65_535) throw this.#cursor.unexpected(token, 'a port, 0 to 65535')
      return portTest(port, port, direction, protocol, this.#tags)
    }
    const named = type === 'port' ? portOfName(token.text) : undefined
    if (named === undefined)
      throw this.#cursor.unexpected(
        token,
        type === 'port' ? 'a port, 0 to 65535, or a service' : 'a range, as in 1000-2000',
      )
    const tests: Test[] = []
    for (const [transport, port] of Object.entries(named) as ['tcp' | 'udp', number][])
      if (layer === undefined || layer === transport)
        tests.push(portTest(port, port, direction, protocols[transport], this.#tags))
    const [test, other] = tests
    if (test === undefined) throw this.#cursor.unexpected(token, `a service of ${layer}`)
    return other === undefined ? test : either(test, other)
  }

  #networkLayer(layer: string | undefined, what: string, token: Token): NetworkName | undefined {
    if (layer === undefined || Object.hasOwn(etherTypes, layer)) return layer as NetworkName | undefined
    throw filterError(this.#cursor.text, token.column, `"${layer}" cannot limit a ${what}`, {
      found: `"${layer}"`,
      expected: 'ip, ip6, arp, rarp, or none of them',
      mend: `write "${layer} and ${what} ${token.text}"`,
    })
  }

  #host(layer: string | undefined, direction: Direction, token: Token): Test {
    if (layer === 'ether') {
      const mac = MacAddress.parse(token.text)
      if (mac === undefined) throw this.#cursor.unexpected(token, 'a MAC address, as in fe:e1:ba:d0:00:01')
      return macTest(mac, direction)
    }
    const network = this.#networkLayer(layer, 'host', token)
    const address = parseIpAddress(token.text)
    if (address !== undefined) {
      this.#checkFamily(address.family, network, token)
      return addressTest(address, direction, network, this.#tags)
    }
    if (token.text.includes('/') && IpPrefix.parse(token.text) !== undefined)
      throw filterError(this.#cursor.text, token.column, 'a prefix where a host is meant', {
        found: `"${token.text}"`,
        mend: `write "net ${token.text}"`,
      })
    if (MacAddress.parse(token.text) !== undefined)
      throw filterError(this.#cursor.text, token.column, 'a MAC address where a host is meant', {
        found: `"${token.text}"`,
        mend: `write "ether host ${token.text}"`,
      })
    const resolved = this.#options.resolve?.(token.text) ?? []
    const tests = resolved.map((found) => addressTest(found, direction, network, this.#tags))
    if (tests.length > 0) return tests.reduce(either)
    throw filterError(this.#cursor.text, token.column, 'not an address', {
      found: `"${token.text}"`,
      expected: 'an IPv4 or IPv6 address; names are not looked up',
      ...mendOf(didYouMean(token.text, keywords)),
    })
  }

  #checkFamily(family: 4 | 6, network: NetworkName | undefined, token: Token): void {
    if (network === undefined || (network === 'ip6') === (family === 6)) return
    throw filterError(this.#cursor.text, token.column, `an IPv${family} address behind "${network}"`, {
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
    const wrong = this.#cursor.unexpected(token, 'a network, as in 192.168.1.0/24, 10, or fd00::/8')
    const [addressText = '', lengthText] = token.text.split('/')
    const parts = addressText.split('.')
    const short = /^\d+(\.\d+){0,2}$/.test(addressText)
    const padded = short ? [...parts, '0', '0', '0'].slice(0, 4).join('.') : addressText
    if (lengthText === undefined && this.#cursor.takes('mask')) return this.#masked(padded, token)
    // Without a length, an IPv4 network is as long as what was written of it.
    const length = lengthText ?? (short ? String(8 * parts.length) : undefined)
    const prefix = IpPrefix.parse(length === undefined ? padded : `${padded}/${length}`)
    const address = parseIpAddress(padded)
    if (prefix === undefined || address === undefined) throw wrong
    if (!prefix.address.equals(address)) throw this.#hostBits(token, prefix)
    return prefix
  }

  #masked(addressText: string, token: Token): IpPrefix {
    const maskToken = this.#cursor.next()
    const mask = Ipv4Address.parse(maskToken.text)?.toUint32()
    const address = Ipv4Address.parse(addressText)
    // A netmask is ones and then zeros: its complement plus one is a power of two.
    const rest = mask === undefined ? 1 : ~mask >>> 0
    if (mask === undefined || (rest & (rest + 1)) !== 0)
      throw this.#cursor.unexpected(maskToken, 'a netmask, as in 255.255.255.0')
    if (address === undefined) throw this.#cursor.unexpected(token, 'an IPv4 network before "mask"')
    const prefix = new IpPrefix(address, 32 - Math.log2(rest + 1))
    if (!prefix.address.equals(address)) throw this.#hostBits(token, prefix)
    return prefix
  }

  #hostBits(token: Token, prefix: IpPrefix): Error {
    return filterError(this.#cursor.text, token.column, 'bits behind the network part are set', {
      found: `"${token.text}"`,
      expected: String(prefix),
      mend: `write "net ${prefix}", or "host" for one address`,
    })
  }
}

const mendOf = (mend: string | undefined): { mend?: string } => (mend === undefined ? {} : { mend })
