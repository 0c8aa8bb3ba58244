/** What flows and SAs of ipsec.conf(5) have in common: the protocol, two ends with ports, their combinations. */
import { didYouMean, type IpPrefix } from '../../base/index.js'
import type { PortRange, SaProtocol } from '../../engine/index.js'
import { EXPANSION_LIMIT, Operands } from '../grammar/operands.js'
import { refuse, shown, type Token } from '../grammar/tokens.js'

export interface Host {
  readonly prefix: IpPrefix
  readonly token: Token
}

export interface Hosts {
  readonly from: readonly Host[]
  readonly to: readonly Host[]
  readonly fromPorts?: PortRange
  readonly toPorts?: PortRange
}

export class RuleOperands extends Operands {
  protocolWord(): SaProtocol {
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

  ruleHosts(): Hosts {
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
          ...this.meant(token, ['from', 'to', 'tunnel', 'transport', 'proto', 'in', 'out', 'esp', 'ah']),
        })
      ends[word] = this.hosts()
      if (stream.take('port')) ends[`${word}Ports`] = this.ports()
    }
    return { ...ends, from: ends.from ?? [], to: ends.to ?? [] }
  }

  /** Every source with every destination of its family. */
  pairs({ from, to }: Hosts, start: Token, combine: (from: Host, to: Host) => void): void {
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

  once(seen: Map<string, string>, word: string, token: Token): void {
    if (seen.has(word))
      refuse(token, 'CONFIG_SYNTAX', `${word} already set`, { found: `a second ${word}`, expected: 'one' })
    seen.set(word, '')
  }

  meant(token: Token, words: readonly string[]): { mend?: string } {
    const mend = token.quoted || token.text === '\n' ? undefined : didYouMean(token.text, words)
    return mend === undefined ? {} : { mend }
  }
}
