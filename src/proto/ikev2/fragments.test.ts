import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ipv4Address } from '../../base/index.js'
import { IkeExchange, type IkePayload, NotifyType } from '../../wire/ike/index.js'
import { FragmentBudget, Reassembly, UNPROVED_BUDGET, UNPROVED_BYTES_LIMIT } from './fragments.js'
import { findNotify, findPayload, notify } from './init.js'
import { RawPeer } from './testing-raw.js'
import { counted, goesOn, type Scene, scene } from './testing-scene.js'

test('a message is whole in any order; another number or more parts begin anew', () => {
  const one = new Reassembly()
  const add = (id: number, number: number, total: number): ReturnType<Reassembly['add']> =>
    one.add(id, number, total, number === 1 ? 35 : 0, Uint8Array.of(number))
  assert.equal(add(1, 3, 3), 'more')
  assert.equal(add(1, 1, 3), 'more')
  assert.deepEqual(add(1, 3, 3), { dropped: 'ike.fragment.duplicate' })
  assert.deepEqual(add(1, 2, 3), { first: 35, plain: Uint8Array.of(1, 2, 3) })
  assert.equal(add(2, 1, 2), 'more')
  // RFC 7383 section 2.6.1: smaller parts take the place of larger ones, not the other way round.
  assert.equal(add(2, 1, 3), 'more')
  assert.deepEqual(add(2, 2, 2), { dropped: 'ike.fragment.total' })
  assert.deepEqual(add(2, 1, 129), { dropped: 'ike.fragment.count' })
})

test('of those that have proved nothing the oldest goes when there is no more room, and what is over is given back', () => {
  const budget = new FragmentBudget(300)
  const parts = new Uint8Array(100)
  const all = Array.from({ length: 4 }, () => new Reassembly())
  for (const one of all) assert.equal(one.add(1, 1, 2, 35, parts, budget), 'more')
  assert.equal(budget.used, 300)
  const whole = all[3]!.add(1, 2, 2, 0, parts, budget)
  assert.ok(typeof whole === 'object' && 'plain' in whole)
  assert.ok(budget.used <= 300)
  // The first one was let go: it begins anew.
  assert.equal(all[0]!.add(1, 2, 2, 0, parts, budget), 'more')
  for (const one of all) one.clear()
  assert.equal(budget.used, 0)
})

/** One after another from an address of its own, by its cookie where that is asked for. */
function halfOpen({ target, link }: Scene, i: number): RawPeer {
  const peer = new RawPeer(target, {
    seed: 1000 + i,
    address: Ipv4Address.parse(`10.1.${i >> 8}.${i & 255}`)!,
  })
  const said = peer.init(link.now)
  const cookie = findNotify(said, NotifyType.cookie)
  if (cookie !== undefined) peer.init(link.now, [notify(NotifyType.cookie, cookie.data), ...peer.opening()])
  return peer
}

test('half-open peers with cookies fill no more with fragments than all of them may, and one that means it gets in', () => {
  const stage = scene()
  const { link } = stage
  const filler: IkePayload = { kind: 'unknown', type: 200, data: new Uint8Array(60_000) }
  const peers = Array.from({ length: 80 }, (_, i) => halfOpen(stage, i))
  assert.ok(peers.length * 60_000 > UNPROVED_BUDGET)
  for (const peer of peers)
    for (const packet of peer.sealed(IkeExchange.ikeAuth, [filler, ...peer.proof()], 1, 1200).slice(0, -1))
      peer.say(packet, link.now)
  // What the first had sent is gone: its last part alone completes nothing. The last one's does.
  const lastOf = (peer: RawPeer): Uint8Array[] =>
    peer.say(peer.sealed(IkeExchange.ikeAuth, [filler, ...peer.proof()], 1, 1200).at(-1)!, link.now)
  assert.deepEqual(lastOf(peers[0]!), [])
  assert.ok(lastOf(peers.at(-1)!).length > 0)
  const honest = halfOpen(stage, 500)
  const answers = honest
    .sealed(IkeExchange.ikeAuth, [...honest.proof(), { ...filler, data: new Uint8Array(9000) }], 1, 576)
    .flatMap((packet) => honest.say(packet, link.now))
  assert.ok(answers.some((answer) => findPayload(honest.opened(answer) ?? [], 'AUTH') !== undefined))
  // One alone may have no more than a datagram.
  const greedy = halfOpen(stage, 501)
  const more = [filler, filler, ...greedy.proof()]
  for (const packet of greedy.sealed(IkeExchange.ikeAuth, more, 1, 1200)) greedy.say(packet, link.now)
  assert.ok(2 * 60_000 > UNPROVED_BYTES_LIMIT)
  assert.ok(counted(stage, 'ike.fragment.bytes') > 0)
  goesOn(stage)
})
