/** `WARREN_SEEDS=10000` runs more seeds, `WARREN_SEED=17` one alone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failuresOf } from './testing-simulation.js'

test('even seeds: whatever the link does and whoever begins, two ends agree in the end', () => {
  assert.deepEqual(failuresOf(0, process.env.WARREN_SEED, process.env.WARREN_SEEDS), [])
})
