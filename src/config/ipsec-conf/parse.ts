/**
 * ipsec.conf(5), as far as no key exchange is needed: flows, and security associations whose keys stand in the file.
 *
 * Every error names file, line and column, what was found and what may stand there; of a file with an error nothing is
 * used. `ike` rules are known and refused: their place is `#ike`.
 */
import type { ManualSa } from '../../engine/index.js'
import { defineMacro, fixMacros } from '../grammar/macros.js'
import { checkSecretMode } from '../grammar/permissions.js'
import { type Reader, refuse, shown, type Token, TokenStream, whereOf } from '../grammar/tokens.js'
import { parseFlow } from './flow-rule.js'
import { RuleOperands } from './rule-operands.js'
import type { IpsecConf, IpsecFlow } from './rules.js'
import { parseSa } from './sa-rule.js'

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

/** `file` is the name that messages show. Throws `WarrenError` CONFIG_*. */
export function parseIpsecConf(text: string, file: string, options: IpsecConfOptions = {}): IpsecConf {
  if (options.mode !== undefined) checkSecretMode(file, options.mode)
  return new Parser(text, file, options).parse()
}

class Parser extends RuleOperands {
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
    fixMacros(this.stream, this.#fixed, file)
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
          ...this.meant(token, REST_WORDS),
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
    if (stream.take('flow')) this.#addFlows(parseFlow(this, token))
    else if (stream.take('include')) this.#included = this.word('the name of a file')
    else if (SA_WORDS.includes(token.text)) this.#addSas(token)
    else this.#unknown(token)
  }

  #unknown(token: Token): never {
    return refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
      found: shown(token),
      expected: 'flow, esp, ah, ipip, include, or NAME = "VALUE"',
      ...this.meant(token, STATEMENTS),
    })
  }

  #addFlows(flows: readonly IpsecFlow[]): void {
    for (const flow of flows) {
      this.#flows.push(flow)
      this.#rules.push({ kind: 'flow', flow })
    }
  }

  #addSas(start: Token): void {
    const { read, staticCounters = 'warn' } = this.#options
    const { sas, warnings } = parseSa(this, start, { read, staticCounters })
    for (const sa of sas) {
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
    this.#warnings.push(...warnings)
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
    const { name, text } = defineMacro(this.stream, this.#fixed)
    this.#rules.push({ kind: 'macro', name, value: text })
  }
}

const REST_WORDS = ['from', 'to', 'peer', 'local', 'type', 'spi', 'auth', 'enc', 'authkey', 'enckey', 'port']
