import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PATIENCE_US, Patience } from './patience.js'

test('looks that find something are free; those in vain take a tenth of the time at most', () => {
  const patience = new Patience(2)
  assert.equal(patience.looks(1000), PATIENCE_US / 2)
  // Every wait is answered: no end to it.
  for (let ms = 1001; ms < 1500; ms++) assert.equal(patience.looks(ms), PATIENCE_US / 2)
  // None is: what was saved is spent, and then a tenth of what passes.
  let spent = 0
  for (let i = 0; i < 10_000; i++) {
    const looks = patience.looks(1500 + i / 10)
    patience.inVain(looks)
    spent += 2 * looks
  }
  assert.ok(spent <= 0.1 * 1_000_000 + 21 * PATIENCE_US, `${spent} µs of a second`)
  assert.ok(spent >= 0.09 * 1_000_000, `${spent} µs of a second`)
})

test('a clock that is set back gives nothing', () => {
  const patience = new Patience(2)
  patience.looks(10_000)
  for (let i = 0; i < 1000; i++) patience.inVain(patience.looks(5_000))
  assert.equal(patience.looks(4_000), 0)
})
