/**
 * From words to a test, in one pass (recursive descent). `and` and `or` have equal precedence and associate to the
 * left, as pcap-filter(7) has it; `not` binds closest. An identifier without a keyword takes the keywords of the one
 * before: `host a or b`. `vlan` moves every offset after it, as in BPF.
 */
import { didYouMean, MacAddress, parseIpAddress } from '../../base/index.js'
import { Arithmetic } from './arithmetic.js'
import { FilterCursor } from './cursor.js'
import { type FilterOptions, Identifiers, type Qualifiers } from './identifiers.js'
import {
  both,
  type Direction,
  either,
  etherGroupTest,
  etherTypeTest,
  macTest,
  multicastTest,
  negate,
  protocolTest,
  type Test,
  vlanTest,
} from './primitives.js'
import { filterError, type Token } from './tokens.js'
import { etherTypes, keywords, own, protocols, types } from './words.js'

/** Parentheses in parentheses; a filter that a person writes has a handful. */
const MAXIMUM_DEPTH = 100

export class FilterParser {
  readonly #cursor: FilterCursor
  readonly #identifiers: Identifiers
  #depth = 0
  /** VLAN tags that the expression has named so far. */
  #tags = 0
  /** Keywords of the primitive before, for an identifier that has none. */
  #last: Qualifiers = {}

  constructor(text: string, options: FilterOptions) {
    this.#cursor = new FilterCursor(text)
    this.#identifiers = new Identifiers(this.#cursor, options)
  }

  /** The whole expression. */
  parse(): Test {
    const test = this.#expression()
    const rest = this.#cursor.peek()
    if (rest.kind !== 'end') throw this.#cursor.unexpected(rest, '"and", "or" or the end')
    return test
  }

  #expression(): Test {
    let left = this.#term()
    for (;;) {
      if (this.#cursor.takes('and', '&&')) left = both(left, this.#term())
      else if (this.#cursor.takes('or', '||')) left = either(left, this.#term())
      else return left
    }
  }

  #term(): Test {
    if (this.#cursor.takes('not', '!')) return this.#nest(() => negate(this.#term()))
    const relation = this.#tryRelation()
    if (relation !== undefined) return relation
    if (this.#cursor.takes('(')) {
      const inner = this.#nest(() => this.#expression())
      const close = this.#cursor.peek()
      if (!this.#cursor.takes(')')) throw this.#cursor.unexpected(close, '")"')
      return inner
    }
    return this.#primitive()
  }

  #nest<R>(parse: () => R): R {
    if (++this.#depth > MAXIMUM_DEPTH)
      throw filterError(this.#cursor.text, this.#cursor.peek().column, 'nested too deep', {
        expected: `at most ${MAXIMUM_DEPTH}`,
      })
    const result = parse()
    this.#depth--
    return result
  }

  /** A comparison of numbers, if one stands here. */
  #tryRelation(): Test | undefined {
    const token = this.#cursor.peek()
    const next = this.#cursor.peek(1)
    const begins =
      token.kind === 'number' ||
      ['(', '-'].includes(token.text) ||
      next?.text === '[' ||
      Arithmetic.names(token.text)
    if (!begins) return undefined
    const arithmetic = new Arithmetic(this.#cursor, this.#tags)
    const found = arithmetic.relation()
    // A parenthesis may also hold tests, and a lone number may be an identifier: then it was no comparison.
    if (found === undefined) return undefined
    this.#cursor.at = arithmetic.at
    return found
  }

  #primitive(): Test {
    const token = this.#cursor.peek()
    if (token.kind === 'end')
      throw this.#cursor.unexpected(token, 'a test, as in "host 192.168.1.1" or "icmp"')
    if (token.kind === 'symbol')
      throw this.#cursor.unexpected(token, 'a test, as in "host 192.168.1.1" or "icmp"')
    switch (token.text) {
      case 'vlan':
        return this.#vlan()
      case 'less':
      case 'greater':
        return this.#lengthTest()
      case 'broadcast':
      case 'multicast':
        this.#cursor.next()
        return this.#group('ether', token)
    }
    return this.#qualified()
  }

  #vlan(): Test {
    this.#cursor.next()
    let identifier: number | undefined
    if (this.#cursor.peek().kind === 'number') identifier = this.#number(0, 4095, 'a VLAN identifier')
    const test = vlanTest(identifier, this.#tags)
    this.#tags++
    return test
  }

  #lengthTest(): Test {
    const less = this.#cursor.next().text === 'less'
    const length = this.#number(0, 0xffffffff, 'a length in bytes')
    return less ? (packet) => packet.length <= length : (packet) => packet.length >= length
  }

  #number(least: number, most: number, what: string): number {
    const token = this.#cursor.next()
    const value = token.kind === 'number' ? Number(token.text) : Number.NaN
    if (!(value >= least && value <= most))
      throw this.#cursor.unexpected(token, `${what}, ${least} to ${most}`)
    return value
  }

  #qualified(): Test {
    const first = this.#cursor.peek()
    const given: Qualifiers = {}
    const layer = first.text
    const isLayer = layer === 'ether' || Object.hasOwn(etherTypes, layer) || Object.hasOwn(protocols, layer)
    if (isLayer) {
      given.layer = layer
      this.#cursor.next()
      if (this.#cursor.takes('broadcast')) return this.#group(layer, first, 'broadcast')
      if (this.#cursor.takes('multicast')) return this.#group(layer, first, 'multicast')
    }
    const direction = this.#direction()
    if (direction !== undefined) given.direction = direction
    const typeToken = this.#cursor.peek()
    if (types.includes(typeToken.text)) given.type = this.#cursor.next().text
    if (isLayer && given.direction === undefined && given.type === undefined) {
      // A protocol alone.
      this.#last = {}
      if (layer === 'ether')
        throw this.#cursor.unexpected(this.#cursor.peek(), '"host", "src", "dst" or "proto" after "ether"')
      return this.#protocolAlone(layer)
    }
    const bare = given.layer === undefined && given.direction === undefined && given.type === undefined
    const qualifiers = bare ? this.#last : given
    const identifier = this.#cursor.next()
    if (identifier.kind === 'end' || identifier.kind === 'symbol')
      throw this.#cursor.unexpected(identifier, identifierOf(qualifiers.type))
    if (bare && qualifiers.type === undefined && qualifiers.direction === undefined)
      throw this.#notAKeyword(identifier)
    this.#last = qualifiers
    return this.#identifiers.test(qualifiers, identifier, this.#tags)
  }

  #notAKeyword(token: Token): Error {
    const looksLikeAddress = parseIpAddress(token.text) !== undefined
    return filterError(this.#cursor.text, token.column, 'not a word of filters', {
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
    if (!this.#cursor.takes('src')) return this.#cursor.takes('dst') ? 'dst' : undefined
    const operator = this.#cursor.peek().text
    const joined = ['or', 'and', '||', '&&'].includes(operator) && this.#cursor.peek(1)?.text === 'dst'
    if (!joined) return 'src'
    this.#cursor.at += 2
    return operator === 'or' || operator === '||' ? 'or' : 'and'
  }

  #protocolAlone(name: string): Test {
    const etherType = own(etherTypes, name)
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
    throw filterError(this.#cursor.text, token.column, `"${layer} ${kind}" is no test`, {
      expected: 'ether broadcast, ether multicast, ip multicast or ip6 multicast',
    })
  }
}

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
