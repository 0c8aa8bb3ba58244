import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { IpPrefix, ipAddressFrom } from '../../base/index.js'
import { IkeExchange, type IkePayload, NotifyType } from '../../wire/ike/index.js'
import type { PolicySpec } from '../machine.js'
import { findNotify, findPayload } from './init.js'
import { missingFlows, narrow, pairOf, SELECTOR_LIMIT, wantedTraffic } from './pairs.js'
import type { Flow, IkePolicy } from './policy.js'
import { formatSelector, type Selector, selectorOf, selectorOfPrefix, wireSelector } from './selectors.js'
import { pair, type Side, spisOf } from './testing.js'
import { goesOn, scene } from './testing-scene.js'

const net = (text: string, protocol = 0, first = 0, last = 0xffff): Selector =>
  selectorOfPrefix(IpPrefix.parse(text)!, protocol, { first, last })
const flow = (local: string, remote: string): Flow => ({ local: net(local), remote: net(remote) })
const turned = (flows: readonly Flow[]): Flow[] =>
  flows.map(({ local, remote }) => ({ local: remote, remote: local }))
const shown = ({ local, remote }: { local: Selector; remote: Selector }): string =>
  `${formatSelector(local)} > ${formatSelector(remote)}`

/** `source > destination` of what goes out and has a path. */
const carried = ({ policies }: Side): string[] => {
  const text = ({ address, length }: PolicySpec['source']): string => `${ipAddressFrom(address)}/${length}`
  return policies
    .filter(({ direction, paths }) => direction === 'out' && paths.length > 0)
    .map(({ source, destination }) => `${text(source)} > ${text(destination)}`)
    .sort()
}

describe('narrowing', () => {
  const flows = [flow('10.1.0.0/16', '10.2.0.0/16'), flow('10.3.0.0/16', '10.4.0.0/16')]

  test('gives the pairs as they are written, not each with each', () => {
    const all = narrow(flows, [net('0.0.0.0/0')], [net('0.0.0.0/0')])
    assert.deepEqual(all?.pairs.map(shown), ['10.1.0.0/16 > 10.2.0.0/16', '10.3.0.0/16 > 10.4.0.0/16'])
    assert.deepEqual(all.local.map(formatSelector), ['10.1.0.0/16', '10.3.0.0/16'])
    assert.equal(narrow(flows, [net('10.1.0.0/16')], [net('10.4.0.0/16')]), undefined)
  })

  test('protocol and ports are those of both', () => {
    const web: Flow = { local: net('10.1.0.0/16', 6), remote: net('10.2.0.0/16', 6, 443, 443) }
    const found = (local: Selector, remote: Selector): string[] | undefined =>
      narrow([web], [local], [remote])?.pairs.map(shown)
    assert.deepEqual(found(net('10.1.2.0/24'), net('0.0.0.0/0')), ['10.1.2.0/24[6] > 10.2.0.0/16[6/443]'])
    assert.deepEqual(found(net('0.0.0.0/0', 6, 1000, 2000), net('10.2.0.1/32', 6)), [
      '10.1.0.0/16[6/1000-2000] > 10.2.0.1[6/443]',
    ])
    assert.equal(found(net('0.0.0.0/0', 17), net('0.0.0.0/0', 17)), undefined)
    assert.equal(found(net('0.0.0.0/0'), net('0.0.0.0/0', 6, 80, 80)), undefined)
  })

  test('ICMP: one type, one type and code, or all; on whichever side it stands', () => {
    const ping: Flow = { local: net('10.1.0.0/16', 1), remote: net('10.2.0.0/16', 1) }
    const of = (first: number, last: number): Selector | undefined =>
      selectorOf(wireSelector(net('0.0.0.0/0', 1, first, last)))
    const found = (local: Selector, remote: Selector): string | undefined =>
      narrow([ping], [local], [remote])?.pairs.map(shown).join()
    assert.equal(found(of(0x0800, 0x08ff)!, net('0.0.0.0/0')), '10.1.0.0/16[1/2048-2303] > 10.2.0.0/16[1]')
    // A range of codes, a range of types: what stands first, nothing that was not asked for.
    assert.equal(of(0x0301, 0x0304)?.endPort, 0x0301)
    assert.equal(of(0x0300, 0x05ff)?.endPort, 0x03ff)
    assert.equal(pairOf(of(0x0800, 0x08ff)!, of(0x0000, 0x00ff)!), undefined)
  })

  test('ports of what has none, and ports without a protocol, are not understood', () => {
    assert.equal(selectorOf(wireSelector(net('0.0.0.0/0', 47, 5, 5))), undefined)
    assert.equal(selectorOf(wireSelector(net('0.0.0.0/0', 0, 22, 22))), undefined)
    assert.ok(selectorOf(wireSelector(net('0.0.0.0/0', 47))) !== undefined)
  })

  test('more than a payload is to have: the rest is for another child', () => {
    const many = Array.from({ length: 70 }, (_, i) => flow(`10.1.${i}.0/24`, '10.2.0.0/16'))
    const first = narrow(many, [net('0.0.0.0/0')], [net('0.0.0.0/0')])
    assert.equal(first?.local.length, SELECTOR_LIMIT)
    assert.equal(first.more, true)
    assert.equal(wantedTraffic(many).local.length, SELECTOR_LIMIT)
    assert.equal(missingFlows(many, first.pairs).length, 70 - SELECTOR_LIMIT)
  })
})

describe('several flows of one policy', () => {
  const flows = [flow('10.1.0.0/16', '10.2.0.0/16'), flow('10.3.0.0/16', '10.4.0.0/16')]
  const written = ['10.1.0.0/16 > 10.2.0.0/16', '10.3.0.0/16 > 10.4.0.0/16']
  const other = ['10.2.0.0/16 > 10.1.0.0/16', '10.4.0.0/16 > 10.3.0.0/16']
  const run = (one: Partial<IkePolicy>, two: Partial<IkePolicy>): ReturnType<typeof pair> => {
    const link = pair(one, two)
    link.start()
    link.run(20)
    return link
  }

  test('are one child that carries the pairs as they are written', () => {
    const { sides } = run({ flows: turned(flows) }, { flows })
    assert.deepEqual(carried(sides[1]), written)
    assert.deepEqual(carried(sides[0]), other)
    assert.deepEqual([sides[0].paths.size, sides[1].paths.size], [1, 1])
  })

  test('of which the peer has one: the other one is asked for, refused, and stays closed', () => {
    const { sides } = run({ flows: turned(flows.slice(0, 1)) }, { flows })
    assert.deepEqual(carried(sides[1]), written.slice(0, 1))
    assert.equal(sides[1].paths.size, 1)
    assert.equal(sides[1].policies.length, 4)
    assert.match(sides[1].problems().join(), /no child: TS_UNACCEPTABLE/)
  })

  test('more than fit into one child come to several, which are made anew as they stand', () => {
    const many = Array.from({ length: 70 }, (_, i) => flow(`10.1.${i}.0/24`, `10.2.${i}.0/24`))
    const link = run({ flows: turned(many) }, { flows: many, childLifetime: { seconds: 60 } })
    for (const side of link.sides) {
      assert.equal(side.paths.size, 2, `${side.problems()}`)
      assert.equal(carried(side).length, 70)
    }
    const before = spisOf(link.sides[1])
    link.run(300)
    for (const side of link.sides) assert.equal(carried(side).length, 70)
    assert.deepEqual(spisOf(link.sides[0]), spisOf(link.sides[1]))
    assert.ok(spisOf(link.sides[1]).every((one) => !before.includes(one)))
    assert.equal(link.sides[1].paths.size, 2)
  })

  test('a peer that wants one pair a child (SINGLE_PAIR_REQUIRED) gets one for each', () => {
    const link = pair({ flows: turned(flows) }, { flows })
    const [a, b] = link.sides
    link.start()
    link.run(0.5)
    const [session] = b.machine.sessions()
    session!.singlePair = true
    for (const child of [...session!.children.values()]) session!.deleteChild(child, link.now)
    link.flush(b)
    link.run(10)
    assert.deepEqual([a.paths.size, b.paths.size], [2, 2])
    assert.deepEqual(carried(b), written)
    assert.deepEqual(carried(a), other)
  })
})

test('selectors that no data path could be given are refused, and the honest peer goes on', () => {
  const stage = scene({ flows: [{ local: net('0.0.0.0/0'), remote: net('0.0.0.0/0') }] })
  const { raw, link, target } = stage
  raw.establish(link.now)
  const before = target.policies.length
  const [sa] = raw.child(0x7000)
  const request = (one: Selector, other: Selector): readonly IkePayload[] => [
    sa!,
    { kind: 'Nonce', data: new Uint8Array(32) },
    { kind: 'TSi', selectors: [wireSelector(one)] },
    { kind: 'TSr', selectors: [wireSelector(other)] },
  ]
  const bad = [
    [net('10.0.0.0/8', 47, 5, 5), net('10.0.0.0/8', 47)],
    [net('10.0.0.0/8', 0, 22, 22), net('10.0.0.0/8')],
    [net('10.0.0.0/8', 6), net('10.0.0.0/8', 17)],
    [net('fc00::/7'), net('10.0.0.0/8')],
    [net('10.0.0.0/8', 1, 0x0800, 0x0800), net('10.0.0.0/8', 1, 0, 0)],
  ] as const
  for (const [one, other] of bad) {
    const said = raw.ask(IkeExchange.createChildSa, request(one, other), link.now)
    assert.ok(findNotify(said!, NotifyType.tsUnacceptable) !== undefined, `${formatSelector(one)}`)
  }
  assert.equal(target.policies.length, before)
  // One that can be had, by its answer in the protocol's own words.
  const said = raw.ask(
    IkeExchange.createChildSa,
    request(net('10.0.0.0/8', 1, 0x0800, 0x08ff), net('10.0.0.0/8', 1)),
    link.now,
  )
  assert.equal(findPayload(said!, 'TSi')?.selectors[0]?.endPort, 0x08ff)
  assert.equal(target.policies.find(({ icmpType }) => icmpType === 8)?.icmpCode, undefined)
  goesOn(stage)
})
