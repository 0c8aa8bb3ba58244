import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { IpPrefix, toHex } from '../../base/index.js'
import { decodeMessages, encodeMessage } from '../netlink.js'
import { decodeTableRoute, type RouteSpec, routeRequest } from '../rtnetlink.js'
import { decodeRule, describeRule, type RuleSpec, ruleRequest } from './rules.js'

const prefix = (text: string): IpPrefix => IpPrefix.parse(text)!

const messageOf = (rule: RuleSpec): Uint8Array => {
  const { body, attributes } = ruleRequest(rule)
  return encodeMessage(32, 0x605, 1, body, attributes)
}

// The samples are what iproute2 6.1 sends for the same request, as strace shows it, with sequence number 1.

test('ip rule add from … to … ipproto udp sport 1024-2000 dport 53 table 5100 priority 5101 protocol 87', () => {
  const rule: RuleSpec = {
    family: 4,
    priority: 5101,
    source: prefix('10.0.1.0/24'),
    destination: prefix('10.0.2.0/24'),
    protocol: 17,
    sourcePorts: { first: 1024, last: 2000 },
    destinationPorts: { first: 53, last: 53 },
    action: { kind: 'table', table: 5100 },
  }
  assert.equal(
    toHex(messageOf(rule)),
    '5c000000200005060100000000000000' + // nlmsghdr: RTM_NEWRULE, REQUEST|ACK|EXCL|CREATE
      '021818000000000100000000' + // fib_rule_hdr: AF_INET, /24, /24, FR_ACT_TO_TBL
      '080002000a000100' + // FRA_SRC
      '080001000a000200' + // FRA_DST
      '0500160011000000' + // FRA_IP_PROTO
      '080017000004d007' + // FRA_SPORT_RANGE
      '0800180035003500' + // FRA_DPORT_RANGE
      '08000f00ec130000' + // FRA_TABLE
      '08000600ed130000' + // FRA_PRIORITY
      '0500150057000000', // FRA_PROTOCOL
  )
  assert.equal(
    describeRule(rule),
    '5101: from 10.0.1.0/24 to 10.0.2.0/24 ipproto 17 sport 1024-2000 dport 53-53 lookup 5100',
  )
})

test('ip rule add fwmark 0x57415252/0xffffffff goto 17388 priority 5099 protocol 87', () => {
  const rule: RuleSpec = {
    family: 4,
    priority: 5099,
    mark: 0x5741_5252,
    action: { kind: 'goto', priority: 17_388 },
  }
  assert.equal(
    toHex(messageOf(rule)),
    '44000000200005060100000000000000020000000000000200000000' +
      '08000a0052524157' + // FRA_FWMARK
      '08001000ffffffff' + // FRA_FWMASK
      '08000400ec430000' + // FRA_GOTO
      '08000600eb1300000500150057000000',
  )
})

test('ip -6 rule add from fd00:1::/64 priority 5100 protocol 87 blackhole; nop', () => {
  const rule: RuleSpec = {
    family: 6,
    priority: 5100,
    source: prefix('fd00:1::/64'),
    action: { kind: 'blackhole' },
  }
  assert.equal(
    toHex(messageOf(rule)),
    '400000002000050601000000000000000a0040000000000600000000' +
      '14000200fd000001000000000000000000000000' +
      '08000600ec1300000500150057000000',
  )
  assert.equal(
    toHex(messageOf({ family: 4, priority: 17_388, action: { kind: 'nop' } })),
    '2c00000020000506010000000000000002000000000000030000000008000600ec4300000500150057000000',
  )
})

test('FIB_RULE_FIND_SADDR is a flag of the header', () => {
  const rule: RuleSpec = { family: 6, priority: 1, findSource: true, action: { kind: 'nop' } }
  assert.equal(toHex(ruleRequest(rule).body), '0a0000000000000300000100')
})

const ports = fc
  .tuple(fc.integer({ min: 1, max: 65_534 }), fc.integer({ min: 1, max: 65_534 }))
  .map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }))
const number = fc.integer({ min: 1, max: 0xffff_ffff })
const action: fc.Arbitrary<RuleSpec['action']> = fc.oneof(
  number.map((table) => ({ kind: 'table', table }) as const),
  number.map((priority) => ({ kind: 'goto', priority }) as const),
  fc.constantFrom({ kind: 'nop' } as const, { kind: 'blackhole' } as const),
)
const rules: fc.Arbitrary<RuleSpec> = fc.constantFrom<4 | 6>(4, 6).chain((family) => {
  const end = fc
    .constantFrom(...(family === 4 ? ['10.0.0.0/8', '10.1.2.3'] : ['fd00::/13', 'fd00::1']))
    .map(prefix)
  return fc.record(
    {
      family: fc.constant(family),
      priority: number,
      action,
      source: end,
      destination: end,
      mark: number,
      protocol: fc.integer({ min: 1, max: 255 }),
      sourcePorts: ports,
      destinationPorts: ports,
      findSource: fc.constant(true),
    },
    { requiredKeys: ['family', 'priority', 'action'] },
  )
})

test('a rule is read as it was written, and one of another maker not at all', () => {
  fc.assert(
    fc.property(rules, (rule) => {
      const bytes = messageOf(rule)
      assert.deepEqual(decodeRule(decodeMessages(bytes)[0]!), { ...rule })
      const { body, attributes } = ruleRequest(rule)
      const others = attributes.filter((one) => one[2] !== 21)
      assert.equal(decodeRule(decodeMessages(encodeMessage(32, 0, 1, body, others))[0]!), undefined)
    }),
  )
})

test('a route of a table of ours: ip route add default dev 7 table 5100 src 10.0.1.1 protocol 87', () => {
  const route: RouteSpec = {
    destination: prefix('0.0.0.0/0'),
    kind: 'unicast',
    interfaceIndex: 7,
    table: 5100,
    preferredSource: prefix('10.0.1.1').address,
    protocol: 87,
  }
  const { body, attributes } = routeRequest(route, false)
  assert.equal(toHex(body), '020000000057fd0100000000')
  assert.deepEqual(attributes.map(toHex), ['0800040007000000', '080007000a000101', '08000f00ec130000'])
  const blackhole: RouteSpec = {
    destination: prefix('::/0'),
    kind: 'blackhole',
    table: 5100,
    metric: 0xffff_ffff,
    protocol: 87,
  }
  for (const one of [route, blackhole]) {
    const made = routeRequest(one, false)
    assert.deepEqual(
      decodeTableRoute(decodeMessages(encodeMessage(24, 0, 1, made.body, made.attributes))[0]!),
      one,
    )
  }
})
