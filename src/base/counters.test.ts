import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counters } from './counters.js'

test('counts by reason, shown in order of names', () => {
  const counters = new Counters()
  counters.add('udp.length')
  counters.add('arp.operation', 3)
  counters.add('udp.length')
  assert.equal(counters.get('udp.length'), 2)
  assert.equal(counters.get('never'), 0)
  assert.equal(JSON.stringify(counters), '{"arp.operation":3,"udp.length":2}')
})
