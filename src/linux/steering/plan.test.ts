import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type IpAddress, IpPrefix, parseIpAddress } from '../../base/index.js'
import type { PolicySpec } from '../../proto/machine.js'
import { orderPolicies } from './order.js'
import {
  END_PRIORITY,
  firstPriority,
  GENERATION_SIZE,
  GENERATIONS,
  generationOf,
  generationOfTable,
  planSteering,
  type SteeringPlan,
} from './plan.js'
import type { RuleSpec } from './rules.js'
import { type Flow, flows, oracle, policies } from './testing.js'

const end = (text: string): PolicySpec['source'] => {
  const { address, length } = IpPrefix.parse(text)!
  return { address: address.bytes, length }
}

function policy(source: string, destination: string, rest: Partial<PolicySpec> = {}): PolicySpec {
  return {
    direction: 'out',
    action: 'require',
    family: source.includes(':') ? 6 : 4,
    source: end(source),
    destination: end(destination),
    paths: ['a'],
    ...rest,
  }
}

const plan = (
  specs: readonly PolicySpec[],
  { standing = [], own = [] }: { standing?: string[]; own?: string[] } = {},
): SteeringPlan =>
  planSteering(
    orderPolicies(specs),
    (id) => standing.includes(id),
    own.map((text) => parseIpAddress(text)!),
    1,
  )

/** What the kernel does with a flow: the first rule that decides. The interface is there, or it is not. */
function route(
  { rules, tables }: SteeringPlan,
  flow: Flow,
  interfaceThere: boolean,
): { way: 'enc0' | 'dropped' | 'past'; source?: IpAddress } {
  for (const rule of rules) {
    if (!matches(rule, flow)) continue
    const { action } = rule
    if (action.kind === 'blackhole') return { way: 'dropped' }
    if (action.kind === 'goto') {
      assert.equal(action.priority, END_PRIORITY)
      return { way: 'past' }
    }
    assert.equal(action.kind, 'table')
    const table = tables.find(
      (one) => action.kind === 'table' && one.table === action.table && one.family === rule.family,
    )
    assert.ok(table, 'every table that a rule leads into is made')
    if (interfaceThere)
      return {
        way: 'enc0',
        ...(table.preferredSource === undefined ? {} : { source: table.preferredSource }),
      }
    if (table.closed) return { way: 'dropped' }
  }
  return { way: 'past' }
}

function matches(rule: RuleSpec, flow: Flow): boolean {
  const within = (range: { first: number; last: number } | undefined, port: number | undefined): boolean =>
    range === undefined || (port !== undefined && port >= range.first && port <= range.last)
  return (
    rule.family === flow.source.family &&
    (rule.source?.contains(flow.source) ?? true) &&
    (rule.destination?.contains(flow.destination) ?? true) &&
    (rule.protocol === undefined || rule.protocol === flow.protocol) &&
    within(rule.sourcePorts, flow.sourcePort) &&
    within(rule.destinationPorts, flow.destinationPort)
  )
}

const isRoutable = ({ icmpType, sourcePorts, destinationPorts }: PolicySpec): boolean =>
  icmpType === undefined &&
  [sourcePorts, destinationPorts].every(
    (range) => range === undefined || (range.first > 0 && range.last < 0xffff),
  )

test('the rules lead every flow where the policy database says', () => {
  fc.assert(
    fc.property(policies, fc.subarray(['a', 'b']), fc.boolean(), flows, (all, standing, there, some) => {
      const specs = all.filter(isRoutable)
      const made = plan(specs, { standing })
      const lookup = oracle(specs)
      for (const flow of some) {
        const found = lookup('out', flow)
        const stands = found?.paths.some((id) => standing.includes(id)) ?? false
        const wanted =
          found === undefined || found.action === 'bypass' || (found.action === 'use' && !(stands && there))
            ? 'past'
            : found.action === 'deny' || !there
              ? 'dropped'
              : 'enc0'
        assert.equal(route(made, flow, there).way, wanted)
      }
    }),
  )
})

test('a source that is not chosen yet: taken as an address of ours inside the policy', () => {
  const specs = [
    policy('10.0.1.0/24', '10.0.2.0/24'),
    policy('10.0.1.0/24', '10.0.2.0/24', {
      action: 'bypass',
      protocol: 6,
      destinationPorts: { first: 22, last: 22 },
    }),
    policy('10.9.0.0/16', '10.0.0.0/8'),
  ]
  const made = plan(specs, { own: ['192.0.2.1', '10.0.1.7', '10.0.1.8'] })
  const from = (destination: string, protocol: number, destinationPort?: number): Flow => ({
    source: parseIpAddress('0.0.0.0')!,
    destination: parseIpAddress(destination)!,
    protocol,
    ...(destinationPort === undefined ? {} : { sourcePort: 1024, destinationPort }),
  })
  const ping = route(made, from('10.0.2.1', 1), true)
  assert.deepEqual([ping.way, String(ping.source)], ['enc0', '10.0.1.7'])
  assert.equal(route(made, from('10.0.2.1', 6, 22), true).way, 'past')
  assert.equal(route(made, from('10.0.2.1', 1), false).way, 'dropped')
  assert.equal(route(made, from('10.5.0.1', 1), true).way, 'past', 'no address of ours lies in 10.9.0.0/16')
})

test('IPv6 lets the kernel find the source', () => {
  const { rules } = plan([policy('fd00:1::/64', 'fd00:2::/64'), policy('::/0', 'fd00:3::/64')])
  assert.deepEqual(
    rules.map(({ findSource }) => findSource),
    [true, undefined],
  )
})

test('ports and types that routing does not know', () => {
  const tcp = { protocol: 6 }
  const high = plan([
    policy('10.0.0.0/8', '10.0.0.0/8', { ...tcp, sourcePorts: { first: 1024, last: 65_535 } }),
  ])
  assert.deepEqual(high.rules[0]!.sourcePorts, { first: 1024, last: 65_534 })
  const all = plan([policy('10.0.0.0/8', '10.0.0.0/8', { ...tcp, sourcePorts: { first: 0, last: 65_535 } })])
  assert.equal(all.rules[0]!.sourcePorts, undefined)
  const none = plan([policy('10.0.0.0/8', '10.0.0.0/8', { ...tcp, destinationPorts: { first: 0, last: 0 } })])
  assert.deepEqual([none.rules.length, none.remarks.length], [0, 1])
  const echo = { protocol: 1, icmpType: 8, where: 'ipsec.conf:3:1' }
  const protectedEcho = plan([policy('10.0.0.0/8', '10.0.0.0/8', echo)])
  assert.equal(protectedEcho.rules.length, 1)
  assert.match(protectedEcho.remarks[0]!, /^ipsec\.conf:3:1: /)
  const free = plan([
    policy('10.0.0.0/8', '10.0.0.0/8', { ...echo, action: 'bypass' }),
    policy('10.0.0.0/8', '10.0.0.0/8'),
  ])
  assert.deepEqual(
    free.rules.map(({ action }) => action.kind),
    ['table'],
    'nothing but the type may go in clear: so all of ICMP is covered',
  )
})

test('generations do not meet', () => {
  for (let generation = 0; generation < GENERATIONS; generation++)
    for (const at of [0, GENERATION_SIZE - 1]) {
      assert.equal(generationOf(firstPriority(generation) + at), generation)
      assert.equal(generationOfTable(firstPriority(generation) + at), generation)
    }
  assert.deepEqual([generationOf(5099), generationOf(END_PRIORITY)], [-1, -1])
  assert.ok(END_PRIORITY < 32_766)
  const { rules, tables } = plan([policy('10.0.1.0/24', '10.0.2.0/24')])
  assert.deepEqual([...rules.map(({ priority }) => generationOf(priority))], [1])
  assert.deepEqual([...tables.map(({ table }) => generationOfTable(table))], [1])
})
