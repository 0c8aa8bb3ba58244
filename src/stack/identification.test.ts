import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../base/index.js'
import { Identifications } from './identification.js'

test('no identification comes twice within 32,768, and none can be told from the one before', () => {
  const identifications = new Identifications(new SeededRandom(5))
  const last = new Map<number, number>()
  const steps = new Map<number, number>()
  let before = 0
  for (let i = 0; i < 200_000; i++) {
    const id = identifications.next()
    assert.ok(Number.isInteger(id) && id >= 0 && id < 65_536)
    const seen = last.get(id)
    if (seen !== undefined) assert.ok(i - seen >= 32_768, `${id} after ${i - seen}`)
    last.set(id, i)
    const step = (id - before) & 0xffff
    steps.set(step, (steps.get(step) ?? 0) + 1)
    before = id
  }
  assert.ok(last.size > 65_000)
  // A counter has one step; here none is much more common than another.
  assert.ok(Math.max(...steps.values()) < 40)
})
