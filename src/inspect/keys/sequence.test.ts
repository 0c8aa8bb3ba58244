import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SequenceNumbers } from './sequence.js'

test('an SA not seen before: not extended first, then high halves from 0', () => {
  assert.deepEqual(new SequenceNumbers().candidates('a', 5), [undefined, 0, 1, 2, 3])
})

test('the next packet is looked for beside the highest that was proved, over a wrap in both directions', () => {
  const numbers = new SequenceNumbers()
  numbers.proved('a', 0xfffffff0, 2)
  assert.equal(numbers.candidates('a', 0xfffffff5)[0], 2)
  assert.equal(numbers.candidates('a', 3)[0], 3)
  numbers.proved('a', 3, 3)
  // Late, from before the wrap; it does not move what is known.
  assert.equal(numbers.candidates('a', 0xfffffff1)[0], 2)
  numbers.proved('a', 0xfffffff1, 2)
  assert.equal(numbers.candidates('a', 4)[0], 3)
  assert.equal(numbers.candidates('b', 4)[0], undefined)
})

test('numbers that are not extended stay so, and may turn out to be another SA later', () => {
  const numbers = new SequenceNumbers()
  numbers.proved('a', 7, undefined)
  assert.deepEqual(numbers.candidates('a', 8), [undefined, 0, 1])
  numbers.proved('a', 1, 0)
  assert.equal(numbers.candidates('a', 2)[0], 0)
})

test('no half below 0, and the oldest SA is forgotten where there are too many', () => {
  const numbers = new SequenceNumbers()
  numbers.proved('first', 3, 0)
  assert.ok(numbers.candidates('first', 0xfffffff0).every((half) => half! >= 0))
  for (let i = 0; i < 5000; i++) numbers.proved(`sa ${i}`, 1, 0)
  assert.equal(numbers.candidates('first', 4).length, 5)
})
