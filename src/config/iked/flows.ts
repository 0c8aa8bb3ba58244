/** `from SOURCE to DESTINATION`, or the other way round, as often as there are flows. */
import type { IpPrefix } from '../../base/index.js'
import { refuse, shown, type Token } from '../grammar/tokens.js'
import type { IkedFlow, IkedHost } from './conf.js'
import { concrete, hostText } from './hosts.js'
import type { IkedOperands } from './operands.js'

const FLOW_LIMIT = 4096
/** TCP, UDP, DCCP, SCTP, UDP-Lite. */
const WITH_PORTS = [6, 17, 33, 132, 136]

interface Side {
  readonly host: IkedHost | { readonly kind: 'dynamic' }
  readonly port?: number
  /** In parentheses. */
  readonly nat?: IpPrefix
}

/** None where the next word is neither `from` nor `to`. Each flow once. */
export function parseFlows(operands: IkedOperands, protocols: readonly number[]): IkedFlow[] {
  const { stream } = operands
  const flows = new Map<string, IkedFlow>()
  for (;;) {
    const start = stream.peek()
    const isReversed = stream.take('to')
    if (!isReversed && !stream.take('from')) return [...flows.values()]
    const first = parseSide(operands, isReversed ? 'to' : 'from')
    const next = stream.peek()
    const between = isReversed ? 'from' : 'to'
    if (!stream.take(between))
      refuse(next, 'CONFIG_SYNTAX', 'syntax error', {
        found: shown(next),
        expected: between,
        ...operands.meant(next, ['from', 'to', 'port']),
      })
    const second = parseSide(operands, between)
    const [from, to] = isReversed ? [second, first] : [first, second]
    if (to.nat !== undefined)
      refuse(start, 'CONFIG_BAD_VALUE', 'no flow NAT support for destination network', {
        found: `to … (${to.nat})`,
        expected: 'parentheses behind from alone',
      })
    const hasPort = from.port !== undefined || to.port !== undefined
    if (hasPort && !(protocols.length > 0 && protocols.every((one) => WITH_PORTS.includes(one))))
      refuse(start, 'CONFIG_SYNTAX', 'no protocol supplied with source/destination ports', {
        found: 'port',
        expected: 'proto tcp or proto udp before from',
      })
    for (const flow of expand(start, from, to)) {
      const key = [hostText(flow.from), flow.fromPort, hostText(flow.to), flow.toPort].join(' ')
      if (flows.has(key)) operands.warn(start, 'duplicate flow (left out)')
      else flows.set(key, flow)
    }
    if (flows.size > FLOW_LIMIT)
      refuse(start, 'CONFIG_LIMIT', 'too many flows', { expected: `at most ${FLOW_LIMIT} a policy` })
    takeComma(operands)
  }
}

/** Between two flows, not behind the last. */
function takeComma(operands: IkedOperands): void {
  const { stream } = operands
  if (!stream.take(',')) return
  const token = stream.peek()
  if (token.quoted || (token.text !== 'from' && token.text !== 'to'))
    refuse(token, 'CONFIG_SYNTAX', 'syntax error', {
      found: shown(token),
      expected: 'from or to behind a comma',
    })
}

function parseSide(operands: IkedOperands, word: 'from' | 'to'): Side {
  const { stream } = operands
  const token = stream.peek()
  if (token.text === '{' && !token.quoted)
    refuse(token, 'CONFIG_SYNTAX', 'no list may stand here', {
      found: shown(token),
      expected: 'one address, a network, any or dynamic',
      mend: 'write from … to … for each pair, one behind the other',
    })
  const host: Side['host'] = stream.take('dynamic')
    ? { kind: 'dynamic' }
    : operands.end(`an address behind ${word}`)
  let port: number | undefined
  let nat: IpPrefix | undefined
  // The manual page has port before the parentheses, the grammar behind them.
  for (;;) {
    if (port === undefined && stream.take('port')) port = operands.port()
    else if (nat === undefined && stream.take('(')) {
      const inner = operands.host('the network before it is translated')
      if (inner.kind !== 'prefix') return operands.badHost(stream.last)
      nat = inner.prefix
      if (!stream.take(')'))
        refuse(stream.peek(), 'CONFIG_SYNTAX', 'syntax error', { found: shown(stream.peek()), expected: ')' })
    } else break
  }
  if (nat !== undefined && host.kind === 'prefix' && host.prefix.family !== nat.family)
    refuse(token, 'CONFIG_BAD_VALUE', 'Flow NAT address family mismatch', {
      found: `${hostText(host)} (${nat})`,
      expected: 'two of one family',
    })
  return { host, ...(port === undefined ? {} : { port }), ...(nat === undefined ? {} : { nat }) }
}

/** `any` and `dynamic` are of the other side's family; of both where neither side has one. */
function expand(start: Token, from: Side, to: Side): IkedFlow[] {
  const known = [from.host, to.host].flatMap((host) => (host.kind === 'prefix' ? [host.prefix] : []))
  const [one, other] = known
  if (one !== undefined && other !== undefined && one.family !== other.family)
    refuse(start, 'CONFIG_BAD_VALUE', 'cannot mix different address families', {
      found: `${one} and ${other}`,
      expected: 'two of one family',
    })
  const isNamed = from.host.kind === 'name' || to.host.kind === 'name'
  const families = one !== undefined ? [one.family] : isNamed ? [undefined] : ([4, 6] as const)
  return families.map((family) => ({
    from: concrete(from.host, family),
    ...(from.port === undefined ? {} : { fromPort: from.port }),
    ...(from.nat === undefined ? {} : { sourceNat: from.nat }),
    to: concrete(to.host, family),
    ...(to.port === undefined ? {} : { toPort: to.port }),
  }))
}
