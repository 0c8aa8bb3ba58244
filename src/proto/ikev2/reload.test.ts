import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IpPrefix } from '../../base/index.js'
import type { IkePolicy } from './policy.js'
import { selectorOfPrefix } from './selectors.js'
import { noCredentials, pair, policyOf, spisOf } from './testing.js'

const established = (): ReturnType<typeof pair> => {
  const link = pair()
  link.start()
  link.run(5)
  assert.equal(link.sides[1].established, 1)
  return link
}

const reload = (link: ReturnType<typeof pair>, side: 0 | 1, policies: readonly IkePolicy[]): void => {
  link.sides[side].machine.reload(policies, noCredentials, link.now)
  link.flush(link.sides[side])
  link.run(10)
}

test('a reload of the same policies, made anew and elsewhere in the file, touches nothing', () => {
  const link = established()
  const before = [spisOf(link.sides[0]), link.sides[1].sent.length]
  reload(link, 0, [policyOf(1, { where: 'iked.conf:9' })])
  reload(link, 1, [policyOf(2, { where: 'iked.conf:9' })])
  assert.deepEqual([spisOf(link.sides[0]), link.sides[1].sent.length], before)
})

test('an SA whose policy is gone is deleted on both sides; its flows are open', () => {
  const link = established()
  reload(link, 0, [])
  for (const side of link.sides) assert.equal(side.paths.size, 0)
  assert.deepEqual(link.sides[0].policies, [])
  // Whoever began begins again, and is not answered: its own flows stay closed.
  assert.ok(link.sides[1].policies.every(({ paths }) => paths.length === 0))
})

test('other flows: a new SA in the place of the old one, and an SA of another policy stays', () => {
  const link = established()
  const flows = [
    {
      local: selectorOfPrefix(IpPrefix.parse('172.16.2.0/25')!),
      remote: selectorOfPrefix(IpPrefix.parse('172.16.1.0/24')!),
    },
  ]
  const before = spisOf(link.sides[1])
  reload(link, 1, [policyOf(2, { flows })])
  assert.equal(link.sides[1].established, 1)
  assert.notDeepEqual(spisOf(link.sides[1]), before)
  assert.deepEqual(spisOf(link.sides[1]), spisOf(link.sides[0]))
  const [path] = [...link.sides[1].paths.keys()]
  assert.deepEqual(
    link.sides[1].policies.map(({ source, paths }) => [source.length, paths]),
    [
      [24, [path]],
      [25, [path]],
    ],
  )
})

test('an attempt under way ends with its policy; one of a policy that stays goes on', () => {
  const link = pair()
  link.fault = () => []
  link.start()
  link.run(1)
  const spiOf = (i: number): number[] => [...link.sides[1].sent[i]!.payload.subarray(0, 8)]
  reload(link, 1, [policyOf(2)])
  assert.deepEqual(spiOf(link.sides[1].sent.length - 1), spiOf(0))
  reload(link, 1, [])
  const count = link.sides[1].sent.length
  link.run(60)
  assert.equal(link.sides[1].sent.length, count)
})
