/** What rules of iked.conf(5) name beside what ipsec.conf(5) has: strings, times, ends that may be interfaces. */
import { didYouMean, type IpAddress, IpPrefix, parseIpAddress } from '../../base/index.js'
import { Operands } from '../grammar/operands.js'
import { refuse, shown, type Token } from '../grammar/tokens.js'
import type { IkedHost } from './conf.js'

/** Words that are no strings unless they are quoted. */
const RESERVED: ReadonlySet<string> = new Set(
  `active ah any auth bytes cert_partial_chain childsa config couple decouple default dpd_check_interval dstid dynamic eap
  enc enforcesingleikesa esn esp file flow fragmentation from group iface ike ikelifetime ikesa ikev2 include inet inet6
  ipcomp lifetime local maxage mobike name noenforcesingleikesa noesn nofragmentation nomobike nostickyaddress novendorid
  ocsp passive peer port prf proto psk quick rdomain request sa set skip srcid stickyaddress tag tap tcpmd5 to tolerate
  transport tunnel user vendorid`.split(/\s+/),
)

/** Whether a word needs quotes to be a string: keywords, numbers, and what the lexer takes apart. */
export const needsQuotes = (text: string): boolean =>
  RESERVED.has(text) || /^-?\d+$/.test(text) || !/^[A-Za-z0-9:_*][^\s(){}<>!=/#,"'\\$]*$/.test(text)

/** A token as an error shows it: what is in quotes may be a secret that stands in the wrong place. */
export const shownClosed = (token: Token): string =>
  token.quoted ? `a string of ${token.text.length} characters` : shown(token)

export class IkedOperands extends Operands {
  readonly warnings: string[] = []

  meant(token: Token, words: readonly string[]): { mend?: string } {
    const mend = token.quoted || token.text === '\n' ? undefined : didYouMean(token.text, words)
    return mend === undefined ? {} : { mend }
  }

  warn({ file, line }: Token, text: string): void {
    this.warnings.push(`${file}:${line}: ${text}`)
  }

  /** In quotes, or a word that is neither a keyword nor a number. */
  string(what: string, limit = 1023): Token {
    const token = this.word(what)
    if (!token.quoted && (RESERVED.has(token.text) || /^-?\d+$/.test(token.text)))
      refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
        found: shown(token),
        expected: what,
        mend: `quote it if it is meant: "${token.text}"`,
      })
    if (token.text === '')
      refuse(token, 'CONFIG_BAD_VALUE', `${what} is empty`, { found: '""', expected: what })
    if (new TextEncoder().encode(token.text).length > limit)
      refuse(token, 'CONFIG_BAD_VALUE', `${what} is too long`, {
        found: `${token.text.length} characters`,
        expected: `at most ${limit} bytes`,
      })
    return token
  }

  /** `any`, an address, a network, or the name of an interface. */
  end(what: string): IkedHost {
    if (this.stream.take('any')) return { kind: 'any' }
    return this.host(what)
  }

  /** An address, a network, or the name of an interface. */
  host(what: string): Exclude<IkedHost, { kind: 'any' }> {
    const token = this.word(what)
    const prefix = IpPrefix.parse(token.text)
    if (prefix !== undefined) {
      const [address = ''] = token.text.split('/')
      if (IpPrefix.parse(address)?.address.equals(prefix.address) === false)
        this.warn(token, `${token.text} is read as ${prefix}`)
      return { kind: 'prefix', prefix }
    }
    if (token.quoted || RESERVED.has(token.text) || !/^[A-Za-z][A-Za-z0-9_]*$/.test(token.text))
      return this.badHost(token)
    const { file, line, column } = token
    return { kind: 'name', name: token.text, where: `${file}:${line}:${column}` }
  }

  /** An address with its prefix length as written: a pool's first address may have host bits. */
  addressWithLength(what: string): { address: IpAddress; prefixLength?: number } {
    const token = this.word(what)
    const [text = '', length] = token.text.split('/')
    const address = parseIpAddress(text)
    const prefix = IpPrefix.parse(token.text)
    if (address === undefined || prefix === undefined) return this.badHost(token)
    return { address, ...(length === undefined ? {} : { prefixLength: prefix.length }) }
  }

  port(): number {
    const token = this.stream.peek()
    const { first, last } = this.ports()
    if (first === last) return first
    return refuse(token, 'CONFIG_BAD_VALUE', `unknown port: ${token.text}`, {
      found: shown(token),
      expected: 'one port, by number or name',
      mend: 'write a flow for each port, or leave port out',
    })
  }

  protocols(): number[] {
    const { stream } = this
    if (!stream.take('{')) return [this.protocol()]
    const list: number[] = []
    for (;;) {
      while (stream.take(','));
      const token = stream.peek()
      if (token.text === '\n' && !token.quoted)
        refuse(token, 'CONFIG_SYNTAX', 'a list is not closed on its line', {
          found: shown(token),
          expected: '}',
          mend: 'end the line with a backslash to go on with the list on the next',
        })
      if (list.length > 0 && stream.take('}')) return list
      if (list.length === 16)
        refuse(token, 'CONFIG_LIMIT', 'too many protocols', { found: shown(token), expected: 'at most 16' })
      const protocol = this.protocol()
      if (!list.includes(protocol)) list.push(protocol)
    }
  }

  /** In seconds: `10800`, `180m`, `3h`. */
  time(): number {
    return this.#quantity('time', { s: 1, m: 60, h: 3600 }, 'a number of seconds, or one with m or h behind')
  }

  /** `4294967296`, `512M`, `4G`. */
  bytes(): number {
    return this.#quantity(
      'byte',
      { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 },
      'a number of bytes, or one with K, M or G behind',
    )
  }

  #quantity(what: string, units: Readonly<Record<string, number>>, expected: string): number {
    const token = this.word(expected)
    const [, digits = '', unit = ''] = /^(\d{1,15})([a-z]?)$/i.exec(token.text) ?? []
    const factor = unit === '' ? 1 : units[unit.toLowerCase()]
    const value = Number(digits) * (factor ?? 0)
    if (digits === '' || factor === undefined || !Number.isSafeInteger(value))
      refuse(
        token,
        'CONFIG_BAD_VALUE',
        digits !== '' && factor === undefined
          ? `invalid ${what} unit`
          : `invalid ${what} specification: ${token.text}`,
        { found: shown(token), expected },
      )
    return value
  }
}
