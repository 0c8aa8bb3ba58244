/**
 * pf.conf(5): the part of its language that filters. Every error names file, line, what was found and what may
 * stand there; nothing of a file with an error is loaded.
 */
import { IpPrefix, WarrenError } from '../../base/index.js'
import {
  icmp6Types,
  icmpTypes,
  type PfAddress,
  type PfAnchor,
  type PfHost,
  type PfPorts,
  type PfRule,
  type PfRuleset,
  type PfStatement,
  protocolNumber,
} from './rules.js'

/** Rules of one file after its lists are expanded. */
const RULE_LIMIT = 10_000

interface Token {
  readonly text: string
  readonly line: number
  /** In quotes: never a keyword. */
  readonly quoted: boolean
}

const END: Token = { text: '', line: 0, quoted: true }
const PUNCTUATION = new Set(['{', '}', ',', '=', '!', '(', ')', '<', '>', '\n', '-'])

/** Ports by name, as /etc/services has those that pf.conf examples use. */
const services: Readonly<Record<string, number>> = {
  'ftp-data': 20,
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  tftp: 69,
  www: 80,
  http: 80,
  ntp: 123,
  https: 443,
  isakmp: 500,
  tinc: 655,
  openvpn: 1194,
  'ipsec-nat-t': 4500,
}

/** `file` is the name that messages show. Throws `WarrenError` LAB_PF_SYNTAX. */
export function parsePfConf(text: string, file: string): PfRuleset {
  return new Parser(tokenize(text, file), file).parse()
}

function tokenize(text: string, file: string): Token[] {
  const tokens: Token[] = []
  let line = 1
  let at = 0
  while (at < text.length) {
    const char = text[at]!
    if (char === '\\' && text[at + 1] === '\n') {
      line++
      at += 2
    } else if (char === '\n') {
      tokens.push({ text: '\n', line: line++, quoted: false })
      at++
    } else if (/\s/.test(char)) at++
    else if (char === '#') while (at < text.length && text[at] !== '\n') at++
    else if (char === '"' || char === "'") {
      const end = text.indexOf(char, at + 1)
      if (end < 0) throw syntax(file, line, 'a quote without its end', `a closing ${char}`)
      tokens.push({ text: text.slice(at + 1, end), line, quoted: true })
      line += text.slice(at, end).split('\n').length - 1
      at = end + 1
    } else if (PUNCTUATION.has(char) && !(char === '-' && /\w/.test(text[at + 1] ?? ''))) {
      const pair = text.slice(at, at + 2)
      const operator = ['!=', '<=', '>=', '><', '<>'].includes(pair) ? pair : char
      tokens.push({ text: operator, line, quoted: false })
      at += operator.length
    } else {
      const [word = char] = /^[^\s#{},=!()<>"']+/.exec(text.slice(at)) ?? []
      tokens.push({ text: word, line, quoted: false })
      at += word.length
    }
  }
  return tokens
}

const syntax = (file: string, line: number, found: string, expected: string): WarrenError =>
  new WarrenError('LAB_PF_SYNTAX', 'syntax error', {
    found: found === '\n' || found === '' ? 'the end of the line' : `"${found}"`,
    expected,
    where: `${file}:${line}`,
  })

class Parser {
  readonly #file: string
  #tokens: Token[]
  #at = 0
  readonly #macros = new Map<string, Token[]>()
  readonly #skip: string[] = []
  readonly #options: string[] = []
  readonly #tables = new Map<string, readonly PfHost[]>()
  #count = 0
  #expansions = 0

  constructor(tokens: Token[], file: string) {
    this.#tokens = tokens
    this.#file = file
  }

  parse(): PfRuleset {
    const statements = this.#statements(false)
    return { statements, skip: this.#skip, tables: this.#tables, options: this.#options }
  }

  #statements(inner: boolean): PfStatement[] {
    const statements: PfStatement[] = []
    for (;;) {
      while (this.#take('\n')) {}
      const token = this.#peek()
      if (token === END || (inner && token.text === '}')) return statements
      if (this.#tokens[this.#at + 1]?.text === '=' && /^[A-Za-z_]\w*$/.test(token.text)) this.#macro()
      else if (this.#take('set')) this.#set()
      else if (this.#take('table')) this.#table()
      else if (this.#take('anchor')) statements.push(...this.#anchor())
      else if (token.text === 'pass' || token.text === 'block' || token.text === 'match')
        statements.push(...this.#rule())
      else if (['scrub', 'nat', 'rdr', 'binat', 'antispoof', 'queue', 'include', 'load'].includes(token.text))
        throw new WarrenError('LAB_PF_UNSUPPORTED', `"${token.text}" has no part to play in the lab`, {
          where: `${this.#file}:${token.line}`,
          mend: 'filter with block, pass and anchor',
        })
      else this.#refuse('block, pass, match, anchor, table, set or a macro')
      if (!inner || this.#peek().text !== '}') this.#endOfLine()
      if (this.#count > RULE_LIMIT)
        throw new WarrenError('LAB_PF_SYNTAX', 'too many rules', {
          where: `${this.#file}:${token.line}`,
          expected: `at most ${RULE_LIMIT}`,
        })
    }
  }

  #macro(): void {
    const name = this.#next().text
    this.#next()
    const value: Token[] = []
    while (this.#peek() !== END && this.#peek().text !== '\n') {
      const token = this.#next()
      // A quoted value is read again as words: that is what macros are for.
      if (token.quoted)
        value.push(
          ...tokenize(token.text, this.#file).map(({ text }) => ({ text, line: token.line, quoted: false })),
        )
      else value.push(token)
    }
    if (value.length === 0) this.#refuse('a value')
    this.#macros.set(name, value)
  }

  #set(): void {
    const words: string[] = []
    const name = this.#peek().text
    if (name === 'skip') {
      this.#next()
      this.#expect('on')
      this.#skip.push(...this.#list(() => this.#word('an interface')))
      return
    }
    const known =
      'block-policy debug fingerprints hostid limit loginterface optimization reassemble ruleset-optimization state-defaults state-policy syncookies timeout'
    if (!known.split(' ').includes(name)) this.#refuse(`skip, ${known.replaceAll(' ', ', ')}`)
    while (this.#peek() !== END && this.#peek().text !== '\n') words.push(this.#next().text)
    this.#options.push(`set ${words.join(' ')}`)
  }

  #table(): void {
    const name = this.#tableName()
    const hosts: PfHost[] = []
    for (;;) {
      if (this.#take('persist') || this.#take('const') || this.#take('counters')) continue
      if (this.#peek().text !== '{') break
      hosts.push(...this.#list(() => this.#host()))
    }
    this.#tables.set(name, hosts)
  }

  #tableName(): string {
    this.#expect('<')
    const name = this.#word('a table name')
    this.#expect('>')
    return name
  }

  #anchor(): PfAnchor[] {
    const token = this.#peek()
    const name = token.quoted || /^[\w./*-]+$/.test(token.text) ? this.#next().text : ''
    const matches = this.#matches(token.line, false)
    let inline: readonly PfStatement[] | undefined
    if (this.#take('{')) {
      inline = this.#statements(true)
      this.#expect('}')
    }
    if (name === '' && inline === undefined) this.#refuse('the name of an anchor')
    return matches.map(({ quick, ...match }) => ({
      ...match.match,
      action: 'anchor' as const,
      name,
      quick,
      ...(inline === undefined ? {} : { inline }),
    }))
  }

  #rule(): PfRule[] {
    const { text: word, line } = this.#next()
    const action = word as PfRule['action']
    let blockReturn: string | undefined
    if (action === 'block') {
      const kind = this.#peek().text
      if (kind === 'drop' || /^return(-rst|-icmp6?)?$/.test(kind)) {
        blockReturn = this.#next().text
        if (kind.startsWith('return-') && this.#take('(')) while (!this.#take(')')) this.#word(')')
      }
    }
    return this.#matches(line, action === 'pass').map(
      ({ match, quick, log, keepState, flags, user, label }) => ({
        ...match,
        action,
        ...(blockReturn === undefined ? {} : { blockReturn }),
        log,
        quick,
        keepState: action === 'pass' && keepState,
        ...(flags === undefined ? {} : { flags }),
        ...(user === undefined ? {} : { user }),
        ...(label === undefined ? {} : { label }),
        hits: { evaluations: 0, packets: 0, bytes: 0 },
      }),
    )
  }

  /** Everything behind the action; a rule with lists is several. */
  #matches(line: number, isPass: boolean): Matched[] {
    const where = `${this.#file}:${line}`
    let direction: 'in' | 'out' | undefined
    let log = false
    let quick = false
    let interfaces: ({ not: boolean; name: string } | undefined)[] = [undefined]
    let family: 4 | 6 | undefined
    let protocols: (number | undefined)[] = [undefined]
    const anyHost: PfHost = { not: false, address: { kind: 'any' } }
    let from: PfHost[] = [anyHost]
    let to: PfHost[] = [anyHost]
    let fromPorts: (PfPorts | undefined)[] = [undefined]
    let toPorts: (PfPorts | undefined)[] = [undefined]
    let icmp: (number | undefined)[] = [undefined]
    let keepState = true
    let flags: PfRule['flags'] = isPass ? SYN_OF_SYN_ACK : undefined
    let user: string | undefined
    let label: string | undefined
    for (;;) {
      const token = this.#peek()
      if (token === END || token.text === '\n' || token.text === '{' || token.text === '}') break
      if (token.quoted) this.#refuse('a word of a rule')
      this.#next()
      switch (token.text) {
        case 'in':
        case 'out':
          direction = token.text
          break
        case 'log':
          log = true
          if (this.#take('(')) while (!this.#take(')')) this.#word(')')
          break
        case 'quick':
          quick = true
          break
        case 'on':
          interfaces = this.#list(() => ({ not: this.#take('!'), name: this.#word('an interface') }))
          if (interfaces.some((one) => one?.name === 'any')) interfaces = [undefined]
          break
        case 'inet':
          family = 4
          break
        case 'inet6':
          family = 6
          break
        case 'proto':
          protocols = this.#list(() => this.#protocol())
          break
        case 'all':
          break
        case 'from':
          if (this.#peek().text !== 'port') from = this.#list(() => this.#host())
          if (this.#take('port')) fromPorts = this.#list(() => this.#ports())
          break
        case 'to':
          if (this.#peek().text !== 'port') to = this.#list(() => this.#host())
          if (this.#take('port')) toPorts = this.#list(() => this.#ports())
          break
        case 'icmp-type':
          icmp = this.#list(() => this.#icmpType(icmpTypes))
          break
        case 'icmp6-type':
          icmp = this.#list(() => this.#icmpType(icmp6Types))
          break
        case 'flags':
          flags = this.#flags()
          break
        case 'keep':
        case 'modulate':
        case 'synproxy':
          this.#expect('state')
          if (this.#take('(')) while (!this.#take(')')) this.#next()
          break
        case 'no':
          this.#expect('state')
          keepState = false
          break
        case 'user':
        case 'group':
          this.#take('=')
          user = this.#list(() => this.#word('a user'))[0]
          break
        case 'label':
        case 'tag':
        case 'tagged': {
          const text = this.#word('a name')
          if (token.text === 'label') label = text
          break
        }
        case 'allow-opts':
          break
        default:
          this.#at--
          this.#refuse(
            'in, out, log, quick, on, inet, inet6, proto, all, from, to, icmp-type, flags, keep state, no state, label',
          )
      }
    }
    const matched: Matched[] = []
    for (const ifc of interfaces)
      for (const protocol of protocols)
        for (const source of from)
          for (const sourcePorts of fromPorts)
            for (const destination of to)
              for (const destinationPorts of toPorts)
                for (const icmpType of icmp) {
                  const needsPorts = sourcePorts !== undefined || destinationPorts !== undefined
                  if (needsPorts && protocol !== 6 && protocol !== 17)
                    throw new WarrenError('LAB_PF_SYNTAX', 'port only applies to tcp/udp', {
                      where,
                      mend: 'name the protocol: proto tcp, or proto { tcp udp }',
                    })
                  const named = familyOf(source) ?? familyOf(destination)
                  const other = familyOf(destination) ?? named
                  if (named !== other || (family !== undefined && named !== undefined && named !== family))
                    continue
                  if (++this.#count > RULE_LIMIT) return matched
                  const oneFamily = family ?? named
                  matched.push({
                    quick,
                    log,
                    keepState,
                    flags,
                    user,
                    label,
                    match: {
                      from: source,
                      to: destination,
                      where,
                      ...(direction === undefined ? {} : { direction }),
                      ...(ifc === undefined ? {} : { interface: ifc }),
                      ...(oneFamily === undefined ? {} : { family: oneFamily }),
                      ...(protocol === undefined ? {} : { protocol }),
                      ...(sourcePorts === undefined ? {} : { fromPorts: sourcePorts }),
                      ...(destinationPorts === undefined ? {} : { toPorts: destinationPorts }),
                      ...(icmpType === undefined ? {} : { icmpType }),
                    },
                  })
                }
    if (matched.length === 0)
      throw new WarrenError('LAB_PF_SYNTAX', 'rule expands to no valid combination', {
        where,
        mend: 'use addresses of one family on both sides',
      })
    return matched
  }

  #host(): PfHost {
    const not = this.#take('!')
    if (this.#take('(')) {
      const address = this.#interfaceAddress(this.#word('an interface'))
      this.#expect(')')
      return { not, address }
    }
    if (this.#peek().text === '<') return { not, address: { kind: 'table', name: this.#tableName() } }
    const token = this.#peek()
    const text = this.#word('an address, an interface, a <table> or any')
    if (text === 'any') return { not, address: { kind: 'any' } }
    if (text === 'self' || text === 'no-route') return { not, address: { kind: text } }
    const prefix = IpPrefix.parse(text)
    if (prefix !== undefined) {
      if (!this.#take('-')) return { not, address: { kind: 'prefix', prefix } }
      const last = IpPrefix.parse(this.#word('the last address'))
      if (last === undefined || last.family !== prefix.family) this.#refuse('the last address of the range')
      return { not, address: { kind: 'range', first: prefix, last: last! } }
    }
    if (!/^[a-z]+\d*(:network)?$/.test(text))
      throw syntax(this.#file, token.line, text, 'an address, an interface, a <table> or any')
    return { not, address: this.#interfaceAddress(text) }
  }

  #interfaceAddress(text: string): PfAddress {
    const [name = text, modifier] = text.split(':')
    return { kind: 'interface', name, network: modifier === 'network' }
  }

  #ports(): PfPorts {
    const operator = ['=', '!=', '<', '>', '<=', '>='].includes(this.#peek().text) ? this.#next().text : ''
    const token = this.#peek()
    const text = this.#word('a port')
    const port = (name: string): number => {
      const number = /^\d{1,5}$/.test(name) ? Number(name) : services[name]
      if (number === undefined || number > 65_535)
        throw syntax(this.#file, token.line, name, 'a port, 0 to 65535')
      return number
    }
    const [first = text, second] = text.split(':')
    if (second !== undefined)
      return { not: false, low: port(first), high: second === '' ? 65_535 : port(second), text }
    const value = port(first)
    if (this.#take('><')) {
      const high = port(this.#word('a port'))
      return { not: false, low: value + 1, high: high - 1, text: `${value} >< ${high}` }
    }
    if (this.#take('<>')) {
      const high = port(this.#word('a port'))
      return { not: true, low: value, high, text: `${value} <> ${high}` }
    }
    const shown = `${operator || '='} ${value}`
    if (operator === '<') return { not: false, low: 0, high: value - 1, text: shown }
    if (operator === '<=') return { not: false, low: 0, high: value, text: shown }
    if (operator === '>') return { not: false, low: value + 1, high: 65_535, text: shown }
    if (operator === '>=') return { not: false, low: value, high: 65_535, text: shown }
    return { not: operator === '!=', low: value, high: value, text: shown }
  }

  #protocol(): number {
    const token = this.#peek()
    const text = this.#word('a protocol')
    const number = protocolNumber(text)
    if (number === undefined)
      throw syntax(this.#file, token.line, text, 'tcp, udp, icmp, icmp6, gre, esp, … or a number')
    return number
  }

  #icmpType(names: Readonly<Record<string, number>>): number {
    const token = this.#peek()
    const text = this.#word('a type')
    const number = /^\d{1,3}$/.test(text) ? Number(text) : names[text]
    if (number === undefined || number > 255)
      throw syntax(this.#file, token.line, text, `${Object.keys(names).join(', ')} or a number`)
    if (this.#take('code')) this.#word('a code')
    return number
  }

  #flags(): PfRule['flags'] {
    const token = this.#peek()
    const text = this.#word('flags')
    if (text === 'any') return undefined
    const letters = 'FSRPAUEW'
    const [set = '', of = letters] = text.split('/')
    const bits = (part: string): number => {
      let value = 0
      for (const letter of part) {
        const bit = letters.indexOf(letter)
        if (bit < 0) throw syntax(this.#file, token.line, text, 'flags as in S/SA')
        value |= 1 << bit
      }
      return value
    }
    return { set: bits(set), of: bits(of), text }
  }

  /** One of `item`, or several in braces with commas or blanks between. */
  #list<T>(item: () => T): T[] {
    if (!this.#take('{')) return [item()]
    const items: T[] = []
    for (;;) {
      while (this.#take('\n') || this.#take(',')) {}
      if (this.#take('}')) break
      if (this.#peek() === END) this.#refuse('}')
      if (this.#peek().text === '{') items.push(...this.#list(item))
      else items.push(item())
    }
    if (items.length === 0) this.#refuse('at least one member of the list')
    return items
  }

  #word(what: string): string {
    const token = this.#peek()
    if (token === END || (!token.quoted && PUNCTUATION.has(token.text))) this.#refuse(what)
    return this.#next().text
  }

  /** The next token, with a macro's value in the place of its name. */
  #peek(): Token {
    const token = this.#tokens[this.#at]
    if (token === undefined) return END
    if (token.quoted || !token.text.startsWith('$') || token.text.length === 1) return token
    const value = this.#macros.get(token.text.slice(1))
    if (value === undefined)
      throw new WarrenError('LAB_PF_SYNTAX', `macro '${token.text.slice(1)}' not defined`, {
        where: `${this.#file}:${token.line}`,
      })
    if (++this.#expansions > RULE_LIMIT)
      throw syntax(this.#file, token.line, token.text, 'macros that end somewhere')
    this.#tokens.splice(this.#at, 1, ...value.map(({ text, quoted }) => ({ text, quoted, line: token.line })))
    return this.#peek()
  }

  #next(): Token {
    const token = this.#peek()
    this.#at++
    return token
  }

  #take(text: string): boolean {
    const token = this.#peek()
    if (token.quoted || token.text !== text) return false
    this.#at++
    return true
  }

  #expect(text: string): void {
    if (!this.#take(text)) this.#refuse(`"${text}"`)
  }

  #endOfLine(): void {
    if (this.#peek() !== END) this.#expect('\n')
  }

  #refuse(expected: string): never {
    const token = this.#peek()
    const line = token === END ? (this.#tokens.at(-1)?.line ?? 1) : token.line
    throw syntax(this.#file, line, token.text, expected)
  }
}

interface Matched {
  readonly match: Omit<PfAnchor, 'action' | 'name' | 'quick' | 'inline'>
  readonly quick: boolean
  readonly log: boolean
  readonly keepState: boolean
  readonly flags: PfRule['flags']
  readonly user: string | undefined
  readonly label: string | undefined
}

const SYN_OF_SYN_ACK: NonNullable<PfRule['flags']> = { set: 0x02, of: 0x12, text: 'S/SA' }

const familyOf = ({ address }: PfHost): 4 | 6 | undefined =>
  address.kind === 'prefix'
    ? address.prefix.family
    : address.kind === 'range'
      ? address.first.family
      : undefined
