import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instantAt } from '../../base/index.js'
import { LOG_BURST, LOG_PER_SECOND, LogLimit } from './log-limit.js'

test('a flood is cut, what was left out is counted, and the log goes on', () => {
  const limit = new LogLimit()
  const written: string[] = []
  for (let i = 0; i < 100_000; i++) written.push(...limit.take([`line ${i}`], instantAt(i * 100)))
  // Ten seconds of it.
  assert.ok(written.length >= LOG_BURST, `${written.length}`)
  assert.ok(written.length <= LOG_BURST + 11 * (LOG_PER_SECOND + 1), `${written.length}`)
  const left = written.flatMap((line) => /^(\d+) lines of the log were left out/.exec(line)?.[1] ?? [])
  assert.ok(left.length >= 5)
  const told = left.reduce((sum, count) => sum + Number(count), 0)
  const lines = written.length - left.length
  // Every line was written or counted, but for what waits to be told.
  assert.ok(told + lines <= 100_000 && told + lines > 100_000 - 10_000, `${told} ${lines}`)
  assert.deepEqual(limit.take(['late'], instantAt(100_000_000)), [
    `${100_000 - told - lines} lines of the log were left out: they came too fast`,
    'late',
  ])
})

test('what is said at a usual pace is written whole', () => {
  const limit = new LogLimit()
  for (let i = 0; i < 5_000; i++)
    assert.deepEqual(limit.take(['a'], instantAt((i * 1_000_000) / LOG_PER_SECOND)), ['a'])
})
