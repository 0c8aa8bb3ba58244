import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Instant, instantAt } from './time.js'
import { TimerQueue, TimerTable } from './timers.js'

type TableStep = { name: number; at: number; what: 'set' | 'clear' | 'take' }
const tableSteps = fc.array(
  fc.record({
    name: fc.nat(5),
    at: fc.nat(20),
    what: fc.constantFrom<TableStep['what']>('set', 'set', 'clear', 'take'),
  }),
  { maxLength: 60 },
)

test('TimerTable against a plain map', () => {
  fc.assert(
    fc.property(tableSteps, (steps) => {
      const table = new TimerTable<number>()
      const model = new Map<number, number>()
      const earliest = (): number | undefined => (model.size === 0 ? undefined : Math.min(...model.values()))
      for (const { name, at, what } of steps) {
        if (what === 'set') {
          table.set(name, instantAt(at))
          model.set(name, at)
        } else if (what === 'clear') {
          table.clear(name)
          model.delete(name)
        } else {
          const due = earliest()
          const taken = table.takeDue(instantAt(at))
          assert.equal(taken !== undefined, due !== undefined && due <= at)
          if (taken !== undefined) {
            assert.equal(model.get(taken), due, 'the earliest is taken')
            model.delete(taken)
          }
        }
        assert.equal(table.next(), earliest())
        assert.equal(table.get(name), model.get(name))
      }
    }),
  )
})

test('TimerTable: setting again moves the one deadline', () => {
  const table = new TimerTable<'a'>()
  table.set('a', instantAt(5))
  table.set('a', instantAt(9))
  assert.equal(table.takeDue(instantAt(8)), undefined)
  assert.equal(table.takeDue(instantAt(9)), 'a')
  assert.equal(table.takeDue(instantAt(99)), undefined)
})

interface Model {
  at: number
  order: number
}
const queueSteps = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ what: fc.constant('schedule' as const), value: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('cancel' as const), value: fc.nat(300) }) },
    { weight: 2, arbitrary: fc.record({ what: fc.constant('run' as const), value: fc.nat(20) }) },
  ),
  { maxLength: 300, size: 'max' },
)

test('TimerQueue against a sorted list: order, cancels, sweeps', () => {
  fc.assert(
    fc.property(queueSteps, (steps) => {
      const queue = new TimerQueue()
      const handles: { cancel(): void }[] = []
      let model: Model[] = []
      const ran: number[] = []
      for (const { what, value } of steps) {
        if (what === 'schedule') {
          const order = handles.length
          handles.push(queue.schedule(instantAt(value), () => ran.push(order)))
          model.push({ at: value, order })
          model.sort((a, b) => a.at - b.at || a.order - b.order)
        } else if (what === 'cancel') {
          const order = value % Math.max(1, handles.length)
          handles[order]?.cancel()
          model = model.filter((entry) => entry.order !== order)
        } else {
          const due = model[0]
          const isDue = due !== undefined && due.at <= value
          assert.equal(queue.runDue(instantAt(value)), isDue)
          if (isDue) {
            assert.equal(ran.at(-1), due.order)
            model.shift()
          }
        }
        assert.equal(queue.next(), model[0]?.at)
      }
      for (const { order } of model) {
        assert.ok(queue.runDue(instantAt(20)))
        assert.equal(ran.at(-1), order)
      }
      assert.equal(queue.next(), undefined)
    }),
    { numRuns: 60 },
  )
})

test('TimerQueue: hundreds of cancelled timers are swept, and the rest keep their order', () => {
  const queue = new TimerQueue()
  const ran: number[] = []
  const handles = Array.from({ length: 500 }, (_, i) => queue.schedule(instantAt(i % 7), () => ran.push(i)))
  for (const [i, handle] of handles.entries()) if (i % 10 !== 0) handle.cancel()
  handles[1]!.cancel()
  while (queue.runDue(instantAt(7)));
  const expected = Array.from({ length: 50 }, (_, i) => 10 * i).sort((a, b) => (a % 7) - (b % 7) || a - b)
  assert.deepEqual(ran, expected)
})

test('TimerQueue: a callback sees the time, may schedule, and may cancel itself', () => {
  const queue = new TimerQueue()
  const seen: Instant[] = []
  const own = queue.schedule(instantAt(3), (now) => {
    seen.push(now)
    own.cancel()
    queue.schedule(instantAt(4), (later) => seen.push(later))
  })
  assert.equal(queue.runDue(instantAt(2)), false)
  assert.ok(queue.runDue(instantAt(5)))
  assert.ok(queue.runDue(instantAt(6)))
  assert.equal(queue.runDue(instantAt(7)), false)
  assert.deepEqual(seen, [5, 6])
})
