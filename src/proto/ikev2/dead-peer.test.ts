/** A peer that dies, from the first question to the day it is back (RFC 7296 section 2.4). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom, seconds } from '../../base/index.js'
import { Link, policyOf, Side, spisOf } from './testing.js'

const deadPeerAfter = seconds(60)

/** Side b begins and asks; a is the one that dies. */
function established(): Link {
  const side = (own: 1 | 2): Side =>
    new Side({
      policies: [policyOf(own, own === 2 ? { deadPeerAfter } : {})],
      random: new SeededRandom(own),
    })
  const link = new Link([side(1), side(2)])
  link.start()
  link.run(1)
  assert.equal(link.sides[1].established, 1)
  return link
}

/** Seconds at which side b says something, until the end, and of what exchange. */
function said(link: Link, duration: number): [at: number, exchange: number][] {
  const [, b] = link.sides
  const list: [number, number][] = []
  link.fault = ({ payload, carrier }) => {
    if (`${carrier.local}` === '192.168.1.2') list.push([Math.round(link.now / 1e6), payload[18]!])
    return []
  }
  b.sent.length = 0
  link.run(duration)
  return list
}

test('silent for as long as the policy says: asked six times, longer apart each time, then given up and begun again', () => {
  const link = established()
  const [, b] = link.sides
  const list = said(link, 60 + 126 + 400)
  const asked = list.filter(([, exchange]) => exchange === 37).map(([at]) => at)
  assert.deepEqual(
    asked.map((at) => at - asked[0]!),
    [0, 2, 6, 14, 30, 62],
  )
  assert.ok(asked[0]! >= 60 && asked[0]! <= 61)
  assert.equal(b.established, 0)
  assert.equal(b.paths.size, 0)
  assert.deepEqual(b.states.slice(-2), ['up', 'down'])
  // Nothing that the policy covers goes in clear meanwhile.
  assert.ok(
    b.policies.length > 0 &&
      b.policies.every(({ action, paths }) => action === 'require' && paths.length === 0),
  )
  const begun = list.filter(([, exchange]) => exchange === 34).map(([at]) => at)
  const first = begun[0]!
  assert.ok(first - asked[0]! >= 126 + 4 && first - asked[0]! <= 126 + 6, `${first - asked[0]!}`)
  // Six of one attempt, a wait that doubles, six of the next.
  assert.deepEqual(
    begun.slice(0, 8).map((at) => at - first),
    [0, 2, 6, 14, 30, 62, 136, 138],
  )
})

test('a peer that is back and begins: its traffic is back with the answer, and nobody waits for the old SA', () => {
  const link = established()
  const [, b] = link.sides
  link.fault = () => []
  link.run(70)
  const old = b.machine.sessions()[0]!.spi
  const again = new Side({ policies: [policyOf(1, { initiate: true })], random: new SeededRandom(77) })
  const next = new Link([again, b])
  next.now = link.now
  again.machine.start(next.now)
  next.flush(again)
  next.run(1)
  assert.deepEqual([again.established, b.established], [1, 1])
  assert.notDeepEqual(b.machine.sessions()[0]!.spi, old)
  assert.deepEqual(spisOf(b), spisOf(again))
  assert.equal(b.paths.size, 1)
})

test('a peer that is back and waits: it is begun with at the next try', () => {
  const link = established()
  const [, b] = link.sides
  link.fault = () => []
  link.run(60 + 126 + 20)
  const again = new Side({ policies: [policyOf(1)], random: new SeededRandom(77) })
  const next = new Link([again, b])
  next.now = link.now
  again.machine.start(next.now)
  next.flush(again)
  next.run(35)
  assert.deepEqual([again.established, b.established], [1, 1])
  assert.deepEqual(spisOf(b), spisOf(again))
})

test('a peer that is heard is not asked', () => {
  const link = established()
  const [a, b] = link.sides
  for (let i = 0; i < 5; i++) {
    link.run(40)
    const [session] = a.machine.sessions()
    session!.onChildSoft!([...session!.children.values()][0]!, link.now)
    link.flush(a)
  }
  b.sent.length = 0
  link.run(30)
  assert.deepEqual(
    b.sent.filter(({ payload }) => payload[18] === 37 && (payload[19]! & 0x20) === 0),
    [],
  )
})
