import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Instant, instantAt, seconds } from '../base/index.js'
import { Keepalive } from './keepalive.js'

const at = (s: number): Instant => instantAt(s * 1e6)

test('the first keepalive is due at once, then one a period', () => {
  const keepalive = new Keepalive({ period: seconds(10), count: 3 })
  keepalive.start(at(5))
  assert.equal(keepalive.nextTimeout(), at(5))
  assert.deepEqual(keepalive.timeout(at(5)), ['send'])
  assert.equal(keepalive.nextTimeout(), at(15))
  assert.deepEqual(keepalive.timeout(at(14)), [])
})

test('the peer is alive from the first it sends until count periods of silence', () => {
  const keepalive = new Keepalive({ period: seconds(10), count: 3 })
  keepalive.start(at(0))
  keepalive.timeout(at(0))
  assert.equal(keepalive.alive, false)
  assert.equal(keepalive.heard(at(1)), true)
  assert.equal(keepalive.heard(at(11)), false, 'it was alive')
  for (const now of [10, 20, 30, 40]) assert.deepEqual(keepalive.timeout(at(now)), ['send'])
  assert.equal(keepalive.nextTimeout(), at(41))
  assert.deepEqual(keepalive.timeout(at(41)), ['lost'])
  assert.equal(keepalive.alive, false)
  assert.equal(keepalive.heard(at(42)), true, 'and comes back')
})

test('a host that slept sends one keepalive, not all that it missed', () => {
  const keepalive = new Keepalive({ period: seconds(10), count: 3 })
  keepalive.start(at(0))
  assert.deepEqual(keepalive.timeout(at(100)), ['send'])
  assert.equal(keepalive.nextTimeout(), at(110))
})

test('stop leaves no timer', () => {
  const keepalive = new Keepalive({ period: seconds(10), count: 3 })
  keepalive.start(at(0))
  keepalive.heard(at(0))
  keepalive.stop()
  assert.equal(keepalive.nextTimeout(), undefined)
  assert.equal(keepalive.alive, false)
})

test('a period or count of zero is refused', () => {
  assert.throws(() => new Keepalive({ period: seconds(0), count: 3 }), { code: 'TUNNEL_KEEPALIVE' })
  assert.throws(() => new Keepalive({ period: seconds(1), count: 0 }), { code: 'TUNNEL_KEEPALIVE' })
})
