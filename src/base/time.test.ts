import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  after,
  between,
  instantAt,
  microseconds,
  milliseconds,
  seconds,
  toMilliseconds,
  toSeconds,
} from './time.js'

test('all is whole microseconds', () => {
  assert.equal(milliseconds(1.5), 1500)
  assert.equal(seconds(0.1), 100_000)
  assert.equal(seconds(1 / 3), 333_333)
  assert.equal(microseconds(1.4), 1)
  assert.equal(after(instantAt(5), seconds(1)), 1_000_005)
  assert.equal(between(instantAt(5), instantAt(2)), -3)
  assert.deepEqual([toMilliseconds(seconds(2)), toSeconds(milliseconds(500))], [2000, 0.5])
})
