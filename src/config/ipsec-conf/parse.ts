/**
 * ipsec.conf(5), as far as no key exchange is needed: flows, and security associations whose keys stand in the file.
 *
 * Every error names file, line and column, what was found and what may stand there; of a file with an error nothing is
 * used. `ike` rules are known and refused: their place is `#ike`.
 */
import { didYouMean, type IpPrefix, WarrenError } from '../../base/index.js'
import type { ManualSa, Policy, PortRange, SaProtocol, TrafficSelector } from '../../engine/index.js'
import { checkSecretMode, isPatterned, parseKey, parseKeyFile } from './keys.js'
import { EXPANSION_LIMIT, Operands } from './operands.js'
import type { FlowType, IpsecConf, IpsecFlow } from './rules.js'
import { type SaParts, saOf } from './sa.js'
import { type Reader, refuse, shown, type Token, TokenStream, tokenize, whereOf } from './tokens.js'
import { encryptionNamed, integrityNamed } from './transforms.js'

export interface IpsecConfOptions {
  /** Reads included files and key files; without it a file can name none. */
  readonly read?: Reader
  /** Permission bits of the file itself, where they are known. */
  readonly mode?: number
  /** Values of macros that the caller gives (`-D`); they win over the file's. */
  readonly macros?: ReadonlyMap<string, string>
  /**
   * Counter modes (GCM, CTR, CCM, ChaCha20) with keys that stand in a file: `refuse` as OpenBSD does, or `warn` (default).
   */
  readonly staticCounters?: 'warn' | 'refuse'
}

/** Rules of a configuration, its lists expanded. */
const RULE_LIMIT = 10_000
const SA_WORDS = ['esp', 'ah', 'ipcomp', 'ipip', 'tunnel', 'transport', 'from', 'to']
const STATEMENTS = [...SA_WORDS, 'flow', 'ike', 'tcpmd5', 'include']
const FLOW_TYPES: readonly FlowType[] = ['use', 'acquire', 'require', 'deny', 'bypass', 'dontacq']

/** `file` is the name that messages show. Throws `WarrenError` CONFIG_*. */
export function parseIpsecConf(text: string, file: string, options: IpsecConfOptions = {}): IpsecConf {
  if (options.mode !== undefined) checkSecretMode(file, options.mode)
  return new Parser(text, file, options).parse()
}

interface Host {
  readonly prefix: IpPrefix
  readonly token: Token
}

interface Hosts {
  readonly from: readonly Host[]
  readonly to: readonly Host[]
  readonly fromPorts?: PortRange
  readonly toPorts?: PortRange
}

class Parser extends Operands {
  readonly #options: IpsecConfOptions
  readonly #fixed: ReadonlyMap<string, string>
  readonly #flows: IpsecFlow[] = []
  readonly #sas: ManualSa[] = []
  readonly #rules: IpsecConf['rules'][number][] = []
  readonly #warnings: string[] = []
  /** The file that the rule names: read when the rule's line has ended. */
  #included: Token | undefined
  /** Who has an SPI, by protocol, destination and SPI. */
  readonly #spis = new Map<string, string>()

  constructor(text: string, file: string, options: IpsecConfOptions) {
    super(new TokenStream(text, file, options.read))
    this.#options = options
    this.#fixed = options.macros ?? new Map()
    for (const [name, value] of this.#fixed) this.stream.macros.set(name, tokenize(value, file).slice(0, -1))
  }

  parse(): IpsecConf {
    const { stream } = this
    for (;;) {
      while (stream.take('\n'));
      if (stream.peek().text === '' && !stream.peek().quoted) break
      this.#statement()
      const token = stream.peek()
      if (!stream.take('\n'))
        refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
          found: shown(token),
          expected: 'the end of the line',
          ...this.#meant(token, REST_WORDS),
        })
      if (this.#included !== undefined) stream.include(this.#included)
      this.#included = undefined
      if (this.#rules.length > RULE_LIMIT)
        refuse(token, 'CONFIG_LIMIT', 'too many rules', { expected: `at most ${RULE_LIMIT}` })
    }
    return { flows: this.#flows, sas: this.#sas, rules: this.#rules, warnings: this.#warnings }
  }

  #statement(): void {
    const { stream } = this
    const isMacro = stream.definesMacro
    const token = stream.peek()
    if (isMacro) this.#macro()
    else if (token.quoted) this.#unknown(token)
    else this.#rule(token)
  }

  #rule(token: Token): void {
    const { stream } = this
    if (token.text === 'ike') this.#ike(token)
    if (token.text === 'tcpmd5')
      refuse(
        token,
        'CONFIG_UNSUPPORTED',
        'tcpmd5 is not offered: it signs the TCP of a router, not a tunnel',
        { mend: 'remove the rule' },
      )
    if (stream.take('flow')) this.#flow(token)
    else if (stream.take('include')) this.#included = this.word('the name of a file')
    else if (SA_WORDS.includes(token.text)) this.#sa(token)
    else this.#unknown(token)
  }

  #unknown(token: Token): never {
    return refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
      found: shown(token),
      expected: 'flow, esp, ah, ipip, include, or NAME = "VALUE"',
      ...this.#meant(token, STATEMENTS),
    })
  }

  /** Rules that need a key exchange: what isakmpd(8) would be told. */
  #ike(token: Token): never {
    return refuse(token, 'CONFIG_NOT_YET', 'ike rules are not played yet: there is no IKEv1 here', {
      found: shown(token),
      expected: 'flow and esp rules with keys of their own',
      mend: 'write the SAs by hand (spi, authkey, enckey), or use a configuration of iked(8) where IKEv2 is',
    })
  }

  #macro(): void {
    const { stream } = this
    const name = stream.next()
    stream.next()
    if (!/^[A-Za-z_]\w*$/.test(name.text))
      refuse(name, 'CONFIG_SYNTAX', 'the name of a macro', {
        found: shown(name),
        expected: 'letters, digits and underscores',
      })
    const value: Token[] = []
    while (stream.peek().text !== '\n' || stream.peek().quoted) {
      const token = stream.next()
      if (token.quoted) {
        for (const { text } of tokenize(token.text, token.file).slice(0, -1))
          value.push({ ...token, text, quoted: false })
      } else value.push(token)
    }
    if (value.length === 0)
      refuse(stream.peek(), 'CONFIG_SYNTAX', `the macro ${name.text} is empty`, {
        expected: `${name.text} = "VALUE"`,
      })
    const text = value.map((token) => token.text).join(' ')
    this.#rules.push({ kind: 'macro', name: name.text, value: text })
    if (!this.#fixed.has(name.text)) stream.macros.set(name.text, value)
  }

  #protocolWord(): SaProtocol {
    const token = this.stream.peek()
    for (const protocol of ['esp', 'ah', 'ipip'] as const) if (this.stream.take(protocol)) return protocol
    if (token.text === 'ipcomp' && !token.quoted)
      refuse(
        token,
        'CONFIG_UNSUPPORTED',
        'ipcomp is not offered: compression before encryption tells of what is inside',
        {
          mend: 'remove the rule on both sides',
        },
      )
    return 'esp'
  }

  #hosts(): Hosts {
    const { stream } = this
    const ends: { from?: readonly Host[]; to?: readonly Host[]; fromPorts?: PortRange; toPorts?: PortRange } =
      {}
    for (let i = 0; i < 2; i++) {
      const token = stream.peek()
      const word =
        ends.from === undefined && stream.take('from')
          ? 'from'
          : ends.to === undefined && stream.take('to')
            ? 'to'
            : undefined
      if (word === undefined)
        return refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
          found: shown(token),
          expected: ends.from === undefined ? (ends.to === undefined ? 'from or to' : 'from') : 'to',
          ...this.#meant(token, ['from', 'to', 'tunnel', 'transport', 'proto', 'in', 'out', 'esp', 'ah']),
        })
      ends[word] = this.hosts()
      if (stream.take('port')) ends[`${word}Ports`] = this.ports()
    }
    return { ...ends, from: ends.from ?? [], to: ends.to ?? [] }
  }

  #flow(start: Token): void {
    const { stream } = this
    const protocol = this.#protocolWord()
    const direction = stream.take('in') ? 'in' : stream.take('out') ? 'out' : undefined
    const upper = stream.take('proto') ? this.protocol() : undefined
    const hosts = this.#hosts()
    const seen = new Map<string, string>()
    let local: Policy['local']
    let peer: Policy['peer'] | 'any'
    let type: FlowType | undefined
    let icmpType: number | undefined
    let icmpCode: number | undefined
    for (;;) {
      const token = stream.peek()
      if (token.text === '\n') break
      const word = ['local', 'peer', 'srcid', 'dstid', 'type', 'icmp-type'].find((one) => stream.take(one))
      if (word === undefined)
        refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
          found: shown(token),
          expected: 'peer, local, srcid, dstid or type',
          ...this.#flowMend(token),
        })
      this.#once(seen, word!, token)
      if (word === 'local') local = this.address('the local end').address
      else if (word === 'peer') peer = this.address('the peer', true).address ?? 'any'
      else if (word === 'type') type = this.#type()
      else if (word === 'icmp-type') {
        icmpType = this.number('an ICMP type', 0, 255)
        if (stream.take('code')) icmpCode = this.number('an ICMP code', 0, 255)
      } else seen.set(word!, this.word('an identity').text)
    }
    const { fromPorts, toPorts } = hosts
    if ((fromPorts !== undefined || toPorts !== undefined) && ![6, 17, 33, 132, 136].includes(upper ?? -1))
      refuse(start, 'CONFIG_SYNTAX', 'no protocol supplied with source/destination ports', {
        expected: 'proto tcp or proto udp before from',
      })
    if (icmpType !== undefined && upper !== 1 && upper !== 58)
      refuse(start, 'CONFIG_SYNTAX', 'no protocol supplied with the ICMP type', {
        expected: 'proto icmp or proto icmp6 before from',
      })
    // ipsecctl(8): flows of ipip are `use`, of all others `require`.
    type ??= protocol === 'ipip' ? 'use' : 'require'
    const needsPeer = type !== 'deny' && type !== 'bypass'
    const srcid = seen.get('srcid')
    const dstid = seen.get('dstid')
    const combine = (from: Host, to: Host): void => {
      const selector: TrafficSelector = {
        source: from.prefix,
        destination: to.prefix,
        ...(upper === undefined ? {} : { protocol: upper }),
        ...(fromPorts === undefined ? {} : { sourcePorts: fromPorts }),
        ...(toPorts === undefined ? {} : { destinationPorts: toPorts }),
        ...(icmpType === undefined ? {} : { icmpType }),
        ...(icmpCode === undefined ? {} : { icmpCode }),
      }
      const there = direction ?? 'out'
      const far = there === 'in' ? from : to
      const other = needsPeer && peer !== 'any' ? (peer ?? this.#hostOf(far)) : undefined
      const ends = {
        ...(needsPeer && local !== undefined ? { local } : {}),
        ...(other === undefined ? {} : { peer: other }),
      }
      if (local !== undefined && other !== undefined && local.family !== other.family)
        refuse(start, 'CONFIG_BAD_VALUE', 'local and peer differ in family', {
          found: `${local} and ${other}`,
          expected: 'two addresses of one family',
        })
      const more = { ...(srcid === undefined ? {} : { srcid }), ...(dstid === undefined ? {} : { dstid }) }
      const add = (way: 'in' | 'out', one: TrafficSelector): void => {
        const policy: Policy = {
          direction: way,
          selector: one,
          action: ACTIONS[type],
          protocol,
          ...ends,
          where: whereOf(start),
        }
        const flow = { policy, type, ...more, where: whereOf(start) }
        this.#flows.push(flow)
        this.#rules.push({ kind: 'flow', flow })
      }
      add(there, selector)
      if (direction === undefined) add('in', reversed(selector))
    }
    this.#pairs(hosts, start, combine)
  }

  /** The peer that a flow without one has: its far end, if that is one host. */
  #hostOf({ prefix, token }: Host): Policy['peer'] {
    if (prefix.length === 8 * prefix.address.bytes.length) return prefix.address
    return refuse(token, 'CONFIG_MISSING_VALUE', `no peer specified for destination ${prefix}`, {
      expected: 'peer ADDRESS: the gateway in front of that network',
    })
  }

  #flowMend(token: Token): { mend?: string } {
    if (['spi', 'auth', 'enc', 'authkey', 'enckey'].includes(token.text))
      return { mend: 'a flow has no keys: they stand in an esp or ah rule of their own' }
    return this.#meant(token, ['peer', 'local', 'srcid', 'dstid', 'type', 'port', 'icmp-type'])
  }

  #type(): FlowType {
    const token = this.word(FLOW_TYPES.join(', '))
    const type = FLOW_TYPES.find((one) => one === token.text)
    return (
      type ??
      refuse(token, 'CONFIG_BAD_VALUE', 'type of the flow', {
        found: shown(token),
        expected: FLOW_TYPES.join(', '),
        ...this.#meant(token, FLOW_TYPES),
      })
    )
  }

  #sa(start: Token): void {
    const { stream } = this
    const protocol = this.#protocolWord()
    const mode = stream.take('transport') ? 'transport' : 'tunnel'
    if (mode === 'tunnel') stream.take('tunnel')
    const hosts = this.#hosts()
    if (hosts.fromPorts !== undefined || hosts.toPorts !== undefined)
      refuse(start, 'CONFIG_SYNTAX', 'an SA has no ports', { mend: 'name them in the flow' })
    const seen = new Map<string, string>()
    const parts: SaParts = { start, protocol, mode }
    for (;;) {
      const token = stream.peek()
      if (token.text === '\n') break
      const word = ['spi', 'udpencap', 'auth', 'enc', 'authkey', 'enckey', 'comp'].find((one) =>
        stream.take(one),
      )
      if (word === undefined)
        refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
          found: shown(token),
          expected: 'spi, udpencap, auth, enc, authkey or enckey',
          ...this.#saMend(token),
        })
      this.#once(seen, word!, token)
      this.#saWord(word!, token, parts)
    }
    this.#pairs(hosts, start, (from, to) => {
      for (const { prefix, token } of [from, to])
        if (prefix.length !== 8 * prefix.address.bytes.length)
          refuse(token, 'CONFIG_BAD_VALUE', 'an end of an SA', {
            found: `${prefix}`,
            expected: 'the address of one host',
            mend: 'from and to of an SA are the gateways; the networks behind them stand in a flow',
          })
      for (const sa of saOf(
        parts,
        from.prefix.address,
        to.prefix.address,
        this.#options.staticCounters ?? 'warn',
      )) {
        const key = `${sa.protocol} ${sa.destination} ${sa.spi}`
        const before = this.#spis.get(key)
        if (before !== undefined)
          refuse(start, 'CONFIG_DUPLICATE', 'two SAs with one SPI', {
            found: `spi 0x${sa.spi.toString(16).padStart(8, '0')} to ${sa.destination}`,
            expected: `it once (${before})`,
          })
        this.#spis.set(key, whereOf(start))
        this.#sas.push(sa)
        this.#rules.push({ kind: 'sa', sa })
      }
    })
    this.#judge(parts)
  }

  #saWord(word: string, token: Token, parts: SaParts): void {
    if (word === 'spi') parts.spis = this.spis()
    else if (word === 'udpencap')
      parts.udpPort = this.stream.take('port') ? this.number('a port', 1, 65_535) : 4500
    else if (word === 'enc') parts.encryption = encryptionNamed(this.word('a cipher'))
    else if (word === 'auth') {
      if (this.stream.take('none')) parts.authentication = 'none'
      else parts.authentication = integrityNamed(this.word('an algorithm'))
    } else if (word === 'authkey' || word === 'enckey') parts[word] = this.#keys(word)
    else
      refuse(token, 'CONFIG_UNSUPPORTED', `${parts.protocol} does not provide compression`, {
        mend: 'remove comp',
      })
  }

  #saMend(token: Token): { mend?: string } {
    if (token.text === 'peer' || token.text === 'local')
      return { mend: 'from and to of an SA are its ends already; peer and local stand in a flow' }
    return this.#meant(token, ['spi', 'udpencap', 'auth', 'enc', 'authkey', 'enckey'])
  }

  /** `0x…`, `0x…:0x…`, `file "NAME:NAME"`, `file "NAME":"NAME"`. */
  #keys(word: 'authkey' | 'enckey'): NonNullable<SaParts['authkey']> {
    const { stream } = this
    const isFile = stream.take('file')
    const token = this.word(isFile ? 'the name of a key file' : 'a key in hexadecimal, or file "NAME"')
    let text = token.text
    // "a":"b" are three words.
    if (isFile && token.quoted && stream.peek().text.startsWith(':') && !stream.peek().quoted) {
      const rest = stream.next().text
      text += rest === ':' ? `:${this.word('the name of the other key file').text}` : rest
    }
    const [out = '', back, ...more] = text.split(':')
    if (more.length > 0)
      refuse(token, 'CONFIG_KEY', `${word} has more than two parts`, {
        expected: 'one key, or two with a colon between',
      })
    const read = (part: string): Uint8Array =>
      isFile ? this.#keyFile(part, word, token) : parseKey(part, word, token)
    return { out: read(out), in: back === undefined ? undefined : read(back), token }
  }

  #keyFile(name: string, word: string, token: Token): Uint8Array {
    if (this.#options.read === undefined)
      refuse(token, 'CONFIG_UNSUPPORTED', 'no key file can be read here', { found: `file "${name}"` })
    const { text, mode } = this.#options.read!(name, whereOf(token))
    if (mode !== undefined) checkSecretMode(name, mode, whereOf(token))
    return parseKeyFile(text, word, token)
  }

  /** Said once a rule, however many SAs it makes. */
  #judge({ start, encryption, authentication, authkey, enckey, protocol }: SaParts): void {
    const warn = (text: string): void => {
      this.#warnings.push(`${whereOf(start)}: warning: ${text}`)
    }
    if (protocol === 'ipip') warn('ipip: nothing is encrypted and nothing authenticated')
    if (encryption?.weakness !== undefined) warn(`enc ${encryption.name}: ${encryption.weakness}`)
    if (encryption?.counter)
      warn(
        `enc ${encryption.name} with keys in a file: a number that is used again under one key gives the packets away; ` +
          'change the keys whenever the SA is set up anew (OpenBSD refuses this)',
      )
    if (authentication === 'none' && !encryption?.combined)
      warn(
        'auth none: what arrives may be forged, and what leaves may be read by whoever forges (CVE-2005-0039)',
      )
    for (const [word, keys] of [
      ['authkey', authkey],
      ['enckey', enckey],
    ] as const) {
      if (keys === undefined) continue
      if (isPatterned(keys.out) || (keys.in !== undefined && isPatterned(keys.in)))
        warn(
          `${word} follows a pattern: anybody can guess it; make one with openssl rand -hex ${keys.out.length}`,
        )
      if (keys.in !== undefined && same(keys.out, keys.in)) warn(`${word} is the same in both directions`)
    }
    if (authkey !== undefined && enckey !== undefined && same(authkey.out, enckey.out))
      warn('authkey and enckey are the same')
  }

  /** Every source with every destination of its family. */
  #pairs({ from, to }: Hosts, start: Token, combine: (from: Host, to: Host) => void): void {
    let added = 0
    for (const one of from)
      for (const other of to) {
        if (one.prefix.family !== other.prefix.family) continue
        if (++added > EXPANSION_LIMIT)
          refuse(start, 'CONFIG_LIMIT', 'the rule expands to too many', {
            expected: `at most ${EXPANSION_LIMIT}`,
          })
        combine(one, other)
      }
    if (added === 0)
      refuse(start, 'CONFIG_BAD_VALUE', 'source/destination address families do not match', {
        found: `${from.map(({ prefix }) => prefix).join(', ')} and ${to.map(({ prefix }) => prefix).join(', ')}`,
        expected: 'addresses of one family on both sides',
      })
  }

  #once(seen: Map<string, string>, word: string, token: Token): void {
    if (seen.has(word))
      refuse(token, 'CONFIG_SYNTAX', `${word} already set`, { found: `a second ${word}`, expected: 'one' })
    seen.set(word, '')
  }

  #meant(token: Token, words: readonly string[]): { mend?: string } {
    const mend = token.quoted || token.text === '\n' ? undefined : didYouMean(token.text, words)
    return mend === undefined ? {} : { mend }
  }
}

const REST_WORDS = ['from', 'to', 'peer', 'local', 'type', 'spi', 'auth', 'enc', 'authkey', 'enckey', 'port']

/** What the stack makes of each: without a key exchange, nothing is asked for SAs. */
const ACTIONS: Readonly<Record<FlowType, Policy['action']>> = {
  use: 'use',
  acquire: 'use',
  require: 'require',
  deny: 'deny',
  bypass: 'bypass',
  dontacq: 'use',
}

const same = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length > 0 && a.length === b.length && a.every((byte, i) => byte === b[i])

function reversed({
  source,
  destination,
  sourcePorts,
  destinationPorts,
  ...rest
}: TrafficSelector): TrafficSelector {
  return {
    ...rest,
    source: destination,
    destination: source,
    ...(destinationPorts === undefined ? {} : { sourcePorts: destinationPorts }),
    ...(sourcePorts === undefined ? {} : { destinationPorts: sourcePorts }),
  }
}

/**
 * As `parseIpsecConf`, for callers whose files are read asynchronously: `read` is called for each file once, when it is
 * first named.
 */
export async function loadIpsecConf(
  text: string,
  file: string,
  read: (name: string) => Promise<ReturnType<Reader>>,
  options: Omit<IpsecConfOptions, 'read'> = {},
): Promise<IpsecConf> {
  const known = new Map<string, ReturnType<Reader>>()
  for (;;) {
    let wanted: { name: string; where: string } | undefined
    try {
      return parseIpsecConf(text, file, {
        ...options,
        read: (name, where) => {
          const found = known.get(name)
          if (found !== undefined) return found
          wanted = { name, where }
          throw new WarrenError('CONFIG_FILE', 'not read yet', { found: name })
        },
      })
    } catch (error) {
      if (wanted === undefined) throw error
      known.set(wanted.name, await readNamed(wanted.name, wanted.where, read))
    }
  }
}

async function readNamed(
  name: string,
  where: string,
  read: (name: string) => Promise<ReturnType<Reader>>,
): Promise<ReturnType<Reader>> {
  try {
    return await read(name)
  } catch (error) {
    if (error instanceof WarrenError) throw error
    throw new WarrenError('CONFIG_FILE', `cannot read ${name}`, {
      where,
      found: error instanceof Error ? error.message : 'an error',
    })
  }
}
