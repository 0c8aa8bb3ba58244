/** Comparisons of numbers in packets: `ip[8] < 5`, `tcp[tcpflags] & (tcp-syn|tcp-fin) != 0`, `len > 100`. */
import { TCP_FLAGS_OFFSET, TcpFlag } from '../../wire/tcp.js'
import type { FilterContext } from './context.js'
import type { FilterCursor } from './cursor.js'
import { baseOf, type Test } from './primitives.js'
import { filterError, type Token } from './tokens.js'

/** The value, as BPF has it: 32 bits, unsigned; -1: the packet has no such header. */
type Value = (packet: FilterContext) => number

const ABSENT = -1

const constants: Readonly<Record<string, number>> = {
  tcpflags: TCP_FLAGS_OFFSET,
  'tcp-fin': TcpFlag.fin,
  'tcp-syn': TcpFlag.syn,
  'tcp-rst': TcpFlag.rst,
  'tcp-push': TcpFlag.psh,
  'tcp-ack': TcpFlag.ack,
  'tcp-urg': TcpFlag.urg,
  'tcp-ece': TcpFlag.ece,
  'tcp-cwr': TcpFlag.cwr,
  icmptype: 0,
  icmpcode: 1,
  icmp6type: 0,
  icmp6code: 1,
  'icmp-echoreply': 0,
  'icmp-unreach': 3,
  'icmp-sourcequench': 4,
  'icmp-redirect': 5,
  'icmp-echo': 8,
  'icmp-routeradvert': 9,
  'icmp-routersolicit': 10,
  'icmp-timxceed': 11,
  'icmp-paramprob': 12,
  'icmp-tstamp': 13,
  'icmp-tstampreply': 14,
  'icmp6-destinationunreach': 1,
  'icmp6-packettoobig': 2,
  'icmp6-timeexceeded': 3,
  'icmp6-parameterproblem': 4,
  'icmp6-echo': 128,
  'icmp6-echoreply': 129,
  'icmp6-routersolicit': 133,
  'icmp6-routeradvert': 134,
  'icmp6-neighborsolicit': 135,
  'icmp6-neighboradvert': 136,
  'icmp6-redirect': 137,
}

const relations: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '=': (a, b) => a === b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '>': (a, b) => a > b,
  '<=': (a, b) => a <= b,
  '>=': (a, b) => a >= b,
}

/** Operators by precedence, the loosest first; `undefined` for a division by zero, which rejects the packet. */
const operators: readonly Readonly<Record<string, (a: number, b: number) => number | undefined>>[] = [
  { '|': (a, b) => (a | b) >>> 0, '^': (a, b) => (a ^ b) >>> 0 },
  { '&': (a, b) => (a & b) >>> 0 },
  { '<<': (a, b) => (b > 31 ? 0 : (a << b) >>> 0), '>>': (a, b) => (b > 31 ? 0 : a >>> b) },
  { '+': (a, b) => (a + b) >>> 0, '-': (a, b) => (a - b) >>> 0 },
  {
    '*': (a, b) => Math.imul(a, b) >>> 0,
    '/': (a, b) => (b === 0 ? undefined : Math.floor(a / b)),
    '%': (a, b) => (b === 0 ? undefined : a % b),
  },
]

const MAXIMUM_DEPTH = 100

/** Reads a comparison from the cursor's place on; its own `at` moves behind it. */
export class Arithmetic {
  at: number
  readonly #text: string
  readonly #tokens: readonly Token[]
  readonly #tags: number
  #depth = 0

  constructor({ text, tokens, at }: FilterCursor, tags: number) {
    this.#text = text
    this.#tokens = tokens
    this.at = at
    this.#tags = tags
  }

  /** Whether a word is one of numbers: `len`, `tcp-syn`. */
  static names(word: string): boolean {
    return word === 'len' || Object.hasOwn(constants, word)
  }

  /** `undefined` if no comparison stands here; throws where one begins and goes wrong. */
  relation(): Test | undefined {
    const left = this.#value(0)
    if (left === undefined) return undefined
    const operator = this.#peek()
    const compare = relations[operator.text]
    if (compare === undefined || operator.kind !== 'symbol') {
      // `tcp[0]` alone, or `len 5`: a number was begun for certain.
      const before = this.#tokens[this.at - 1]
      if (before?.text === ']' || before?.text === 'len')
        throw filterError(this.#text, operator.column, 'a number is to be compared with something', {
          found: operator.kind === 'end' ? 'the end' : `"${operator.text}"`,
          expected: 'one of = != < > <= >=',
        })
      return undefined
    }
    this.at++
    const right = this.#value(0)
    if (right === undefined) {
      const token = this.#peek()
      throw filterError(this.#text, token.column, 'a number is missing', {
        found: token.kind === 'end' ? 'the end' : `"${token.text}"`,
        expected: 'a number, or one from the packet as in tcp[13]',
      })
    }
    return (packet) => {
      const a = left(packet)
      const b = right(packet)
      return a !== ABSENT && b !== ABSENT && compare(a, b)
    }
  }

  #peek(): Token {
    return this.#tokens[this.at]!
  }

  #value(level: number): Value | undefined {
    const operation = operators[level]
    if (operation === undefined) return this.#factor()
    let left = this.#value(level + 1)
    while (left !== undefined) {
      const token = this.#peek()
      const apply = token.kind === 'symbol' ? operation[token.text] : undefined
      if (apply === undefined) return left
      const back = this.at
      this.at++
      const right = this.#value(level + 1)
      if (right === undefined) {
        this.at = back
        return undefined
      }
      left = combine(left, right, apply)
    }
    return undefined
  }

  #factor(): Value | undefined {
    const token = this.#peek()
    if (token.kind === 'number') {
      this.at++
      const value = Number(token.text)
      if (value > 0xffffffff)
        throw filterError(this.#text, token.column, 'a number of more than 32 bits', { found: token.text })
      return () => value
    }
    if (token.text === '-' && token.kind === 'symbol') {
      this.at++
      const inner = this.#deeper(() => this.#factor())
      return inner === undefined
        ? undefined
        : combine(
            () => 0,
            inner,
            (a, b) => (a - b) >>> 0,
          )
    }
    if (token.text === '(' && token.kind === 'symbol') {
      this.at++
      const inner = this.#deeper(() => this.#value(0))
      if (inner === undefined || this.#peek().text !== ')') return undefined
      this.at++
      return inner
    }
    if (token.kind !== 'word') return undefined
    if (token.text === 'len') {
      this.at++
      return (packet) => packet.length
    }
    const constant = Object.hasOwn(constants, token.text) ? constants[token.text] : undefined
    if (constant !== undefined) {
      this.at++
      return () => constant
    }
    return this.#tokens[this.at + 1]?.text === '[' ? this.#load(token) : undefined
  }

  #deeper<R>(parse: () => R): R {
    if (++this.#depth > MAXIMUM_DEPTH)
      throw filterError(this.#text, this.#peek().column, 'nested too deep', {
        expected: `at most ${MAXIMUM_DEPTH}`,
      })
    const result = parse()
    this.#depth--
    return result
  }

  /** `name[offset]` or `name[offset:size]`. */
  #load(name: Token): Value {
    const base = baseOf(name.text, this.#tags)
    if (base === undefined)
      throw filterError(this.#text, name.column, `"${name.text}" has no bytes to look at`, {
        expected: 'ether, ip, ip6, arp, icmp, icmp6, tcp, udp, gre, esp, ah or etherip before "["',
      })
    this.at += 2
    const offset = this.#deeper(() => this.#value(0))
    if (offset === undefined) throw this.#wrong('an offset in bytes')
    let size = 1
    if (this.#peek().text === ':') {
      this.at++
      const token = this.#peek()
      size = token.kind === 'number' ? Number(token.text) : 0
      if (size !== 1 && size !== 2 && size !== 4) throw this.#wrong('1, 2 or 4 bytes')
      this.at++
    }
    if (this.#peek().text !== ']') throw this.#wrong('"]"')
    this.at++
    return (packet) => {
      const start = base(packet)
      if (start < 0) return ABSENT
      const at = start + offset(packet)
      return size === 1 ? packet.load8(at) : size === 2 ? packet.load16(at) : packet.load32(at)
    }
  }

  #wrong(expected: string): Error {
    const token = this.#peek()
    return filterError(this.#text, token.column, 'not what a filter has here', {
      found: token.kind === 'end' ? 'the end' : `"${token.text}"`,
      expected,
    })
  }
}

function combine(a: Value, b: Value, apply: (a: number, b: number) => number | undefined): Value {
  return (packet) => {
    const left = a(packet)
    const right = b(packet)
    if (left === ABSENT || right === ABSENT) return ABSENT
    const value = apply(left, right)
    if (value !== undefined) return value
    packet.aborted = true
    return 0
  }
}
