/** `flow` rules of ipsec.conf(5): policies of both directions. */
import type { Policy, TrafficSelector } from '../../engine/index.js'
import { refuse, shown, type Token, whereOf } from '../grammar/tokens.js'
import type { Host, RuleOperands } from './rule-operands.js'
import type { FlowType, IpsecFlow } from './rules.js'

const FLOW_TYPES: readonly FlowType[] = ['use', 'acquire', 'require', 'deny', 'bypass', 'dontacq']

/** What the stack makes of each: without a key exchange, nothing is asked for SAs. */
const ACTIONS: Readonly<Record<FlowType, Policy['action']>> = {
  use: 'use',
  acquire: 'use',
  require: 'require',
  deny: 'deny',
  bypass: 'bypass',
  dontacq: 'use',
}

/** `flow …`: the policies of one rule, two for each pair of ends where no direction is named. */
export function parseFlow(operands: RuleOperands, start: Token): IpsecFlow[] {
  const flows: IpsecFlow[] = []
  const { stream } = operands
  const protocol = operands.protocolWord()
  const direction = stream.take('in') ? 'in' : stream.take('out') ? 'out' : undefined
  const upper = stream.take('proto') ? operands.protocol() : undefined
  const hosts = operands.ruleHosts()
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
        ...flowMend(operands, token),
      })
    operands.once(seen, word!, token)
    if (word === 'local') local = operands.address('the local end').address
    else if (word === 'peer') peer = operands.address('the peer', true).address ?? 'any'
    else if (word === 'type') type = parseType(operands)
    else if (word === 'icmp-type') {
      icmpType = operands.number('an ICMP type', 0, 255)
      if (stream.take('code')) icmpCode = operands.number('an ICMP code', 0, 255)
    } else seen.set(word!, operands.word('an identity').text)
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
    const other = needsPeer && peer !== 'any' ? (peer ?? hostOf(far)) : undefined
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
      flows.push(flow)
    }
    add(there, selector)
    if (direction === undefined) add('in', reversed(selector))
  }
  operands.pairs(hosts, start, combine)
  return flows
}

/** The peer that a flow without one has: its far end, if that is one host. */
function hostOf({ prefix, token }: Host): Policy['peer'] {
  if (prefix.length === 8 * prefix.address.bytes.length) return prefix.address
  return refuse(token, 'CONFIG_MISSING_VALUE', `no peer specified for destination ${prefix}`, {
    expected: 'peer ADDRESS: the gateway in front of that network',
  })
}

function flowMend(operands: RuleOperands, token: Token): { mend?: string } {
  if (['spi', 'auth', 'enc', 'authkey', 'enckey'].includes(token.text))
    return { mend: 'a flow has no keys: they stand in an esp or ah rule of their own' }
  return operands.meant(token, ['peer', 'local', 'srcid', 'dstid', 'type', 'port', 'icmp-type'])
}

function parseType(operands: RuleOperands): FlowType {
  const token = operands.word(FLOW_TYPES.join(', '))
  const type = FLOW_TYPES.find((one) => one === token.text)
  return (
    type ??
    refuse(token, 'CONFIG_BAD_VALUE', 'type of the flow', {
      found: shown(token),
      expected: FLOW_TYPES.join(', '),
      ...operands.meant(token, FLOW_TYPES),
    })
  )
}

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
