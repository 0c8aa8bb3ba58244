/**
 * pf.conf(5): the part of its language that filters. Every error names file, line, what was found and what may
 * stand there; nothing of a file with an error is loaded.
 */
import { WarrenError } from '../../base/index.js'
import { OperandReader } from './operands.js'
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
} from './rules.js'
import { END, type Token, tokenize } from './tokens.js'

/** Rules of one file after its lists are expanded. */
const RULE_LIMIT = 10_000

/** `file` is the name that messages show. Throws `WarrenError` LAB_PF_SYNTAX. */
export function parsePfConf(text: string, file: string): PfRuleset {
  return new Parser(tokenize(text, file), file).parse()
}

class Parser extends OperandReader {
  readonly #skip: string[] = []
  readonly #options: string[] = []
  readonly #tables = new Map<string, readonly PfHost[]>()
  #count = 0

  parse(): PfRuleset {
    const statements = this.#statements(false)
    return { statements, skip: this.#skip, tables: this.#tables, options: this.#options }
  }

  #statements(inner: boolean): PfStatement[] {
    const statements: PfStatement[] = []
    for (;;) {
      while (this.take('\n')) {}
      const token = this.peek()
      if (token === END || (inner && token.text === '}')) return statements
      if (this.tokens[this.at + 1]?.text === '=' && /^[A-Za-z_]\w*$/.test(token.text)) this.#macro()
      else if (this.take('set')) this.#set()
      else if (this.take('table')) this.#table()
      else if (this.take('anchor')) statements.push(...this.#anchor())
      else if (token.text === 'pass' || token.text === 'block' || token.text === 'match')
        statements.push(...this.#rule())
      else if (['scrub', 'nat', 'rdr', 'binat', 'antispoof', 'queue', 'include', 'load'].includes(token.text))
        throw new WarrenError('LAB_PF_UNSUPPORTED', `"${token.text}" has no part to play in the lab`, {
          where: `${this.file}:${token.line}`,
          mend: 'filter with block, pass and anchor',
        })
      else this.refuse('block, pass, match, anchor, table, set or a macro')
      if (!inner || this.peek().text !== '}') this.endOfLine()
      if (this.#count > RULE_LIMIT)
        throw new WarrenError('LAB_PF_SYNTAX', 'too many rules', {
          where: `${this.file}:${token.line}`,
          expected: `at most ${RULE_LIMIT}`,
        })
    }
  }

  #macro(): void {
    const name = this.next().text
    this.next()
    const value: Token[] = []
    while (this.peek() !== END && this.peek().text !== '\n') {
      const token = this.next()
      // A quoted value is read again as words: that is what macros are for.
      if (token.quoted)
        value.push(
          ...tokenize(token.text, this.file).map(({ text }) => ({ text, line: token.line, quoted: false })),
        )
      else value.push(token)
    }
    if (value.length === 0) this.refuse('a value')
    this.macros.set(name, value)
  }

  #set(): void {
    const words: string[] = []
    const name = this.peek().text
    if (name === 'skip') {
      this.next()
      this.expect('on')
      this.#skip.push(...this.list(() => this.word('an interface')))
      return
    }
    const known =
      'block-policy debug fingerprints hostid limit loginterface optimization reassemble ruleset-optimization state-defaults state-policy syncookies timeout'
    if (!known.split(' ').includes(name)) this.refuse(`skip, ${known.replaceAll(' ', ', ')}`)
    while (this.peek() !== END && this.peek().text !== '\n') words.push(this.next().text)
    this.#options.push(`set ${words.join(' ')}`)
  }

  #table(): void {
    const name = this.tableName()
    const hosts: PfHost[] = []
    for (;;) {
      if (this.take('persist') || this.take('const') || this.take('counters')) continue
      if (this.peek().text !== '{') break
      hosts.push(...this.list(() => this.host()))
    }
    this.#tables.set(name, hosts)
  }

  #anchor(): PfAnchor[] {
    const token = this.peek()
    const name = token.quoted || /^[\w./*-]+$/.test(token.text) ? this.next().text : ''
    const matches = this.#matches(token.line, false)
    let inline: readonly PfStatement[] | undefined
    if (this.take('{')) {
      inline = this.#statements(true)
      this.expect('}')
    }
    if (name === '' && inline === undefined) this.refuse('the name of an anchor')
    return matches.map(({ quick, ...match }) => ({
      ...match.match,
      action: 'anchor' as const,
      name,
      quick,
      ...(inline === undefined ? {} : { inline }),
    }))
  }

  #rule(): PfRule[] {
    const { text: word, line } = this.next()
    const action = word as PfRule['action']
    let blockReturn: string | undefined
    if (action === 'block') {
      const kind = this.peek().text
      if (kind === 'drop' || /^return(-rst|-icmp6?)?$/.test(kind)) {
        blockReturn = this.next().text
        if (kind.startsWith('return-') && this.take('(')) while (!this.take(')')) this.word(')')
      }
    }
    return this.#matches(line, action === 'pass').map(
      ({ match, quick, log, keepState, flags, user, label, tagged, natTo }) => ({
        ...match,
        action,
        ...(blockReturn === undefined ? {} : { blockReturn }),
        log,
        quick,
        keepState: action === 'pass' && keepState,
        ...(flags === undefined ? {} : { flags }),
        ...(user === undefined ? {} : { user }),
        ...(label === undefined ? {} : { label }),
        ...(tagged === undefined ? {} : { tagged }),
        ...(natTo === undefined ? {} : { natTo }),
        hits: { evaluations: 0, packets: 0, bytes: 0 },
      }),
    )
  }

  /** An IPv4 address, or that of an interface. */
  #natTo(direction: 'in' | 'out' | undefined, family: 4 | 6 | undefined, line: number): PfAddress {
    const { not, address } = this.host()
    const isOne =
      (address.kind === 'prefix' && address.prefix.family === 4 && address.prefix.length === 32) ||
      (address.kind === 'interface' && !address.network)
    if (not || !isOne || direction !== 'out' || family === 6)
      throw new WarrenError('LAB_PF_UNSUPPORTED', 'nat-to here translates the source of IPv4 that leaves', {
        where: `${this.file}:${line}`,
        mend: 'match out on IF inet from NET to any nat-to ADDRESS (or an interface)',
      })
    return address
  }

  /** Everything behind the action; a rule with lists is several. */
  #matches(line: number, isPass: boolean): Matched[] {
    const where = `${this.file}:${line}`
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
    let tagged: string | undefined
    let natTo: PfAddress | undefined
    for (;;) {
      const token = this.peek()
      if (token === END || token.text === '\n' || token.text === '{' || token.text === '}') break
      if (token.quoted) this.refuse('a word of a rule')
      this.next()
      switch (token.text) {
        case 'in':
        case 'out':
          direction = token.text
          break
        case 'log':
          log = true
          if (this.take('(')) while (!this.take(')')) this.word(')')
          break
        case 'quick':
          quick = true
          break
        case 'on':
          interfaces = this.list(() => ({ not: this.take('!'), name: this.word('an interface') }))
          if (interfaces.some((one) => one?.name === 'any')) interfaces = [undefined]
          break
        case 'inet':
          family = 4
          break
        case 'inet6':
          family = 6
          break
        case 'proto':
          protocols = this.list(() => this.protocol())
          break
        case 'all':
          break
        case 'from':
          if (this.peek().text !== 'port') from = this.list(() => this.host())
          if (this.take('port')) fromPorts = this.list(() => this.ports())
          break
        case 'to':
          if (this.peek().text !== 'port') to = this.list(() => this.host())
          if (this.take('port')) toPorts = this.list(() => this.ports())
          break
        case 'icmp-type':
          icmp = this.list(() => this.icmpType(icmpTypes))
          break
        case 'icmp6-type':
          icmp = this.list(() => this.icmpType(icmp6Types))
          break
        case 'flags':
          flags = this.flags()
          break
        case 'keep':
        case 'modulate':
        case 'synproxy':
          this.expect('state')
          if (this.take('(')) while (!this.take(')')) this.next()
          break
        case 'no':
          this.expect('state')
          keepState = false
          break
        case 'user':
        case 'group':
          this.take('=')
          user = this.list(() => this.word('a user'))[0]
          break
        case 'label':
        case 'tag':
        case 'tagged': {
          const text = this.word('a name')
          if (token.text === 'label') label = text
          else if (token.text === 'tagged') tagged = text
          break
        }
        case 'allow-opts':
        case 'static-port':
          break
        case 'nat-to':
          natTo = this.#natTo(direction, family, token.line)
          break
        default:
          this.at--
          this.refuse(
            'in, out, log, quick, on, inet, inet6, proto, all, from, to, icmp-type, flags, keep state, no state, label, nat-to',
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
                    tagged,
                    natTo,
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
}

interface Matched {
  readonly match: Omit<PfAnchor, 'action' | 'name' | 'quick' | 'inline'>
  readonly quick: boolean
  readonly log: boolean
  readonly keepState: boolean
  readonly flags: PfRule['flags']
  readonly user: string | undefined
  readonly label: string | undefined
  readonly tagged: string | undefined
  readonly natTo: PfAddress | undefined
}

const SYN_OF_SYN_ACK: NonNullable<PfRule['flags']> = { set: 0x02, of: 0x12, text: 'S/SA' }

const familyOf = ({ address }: PfHost): 4 | 6 | undefined =>
  address.kind === 'prefix'
    ? address.prefix.family
    : address.kind === 'range'
      ? address.first.family
      : undefined
