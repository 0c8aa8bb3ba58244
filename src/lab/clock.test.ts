import assert from 'node:assert/strict'
import { test } from 'node:test'
import { after, instantAt, milliseconds, seconds } from '../base/index.js'
import { LabClock } from './clock.js'

test('callbacks run in the order of their instants, those of one instant in the order of their making', async () => {
  const clock = new LabClock()
  const seen: string[] = []
  clock.schedule(instantAt(20), () => seen.push('c'))
  clock.schedule(instantAt(10), () => seen.push('a'))
  clock.schedule(instantAt(10), () => seen.push('b'))
  await clock.advance(seconds(1))
  assert.deepEqual(seen, ['a', 'b', 'c'])
  assert.equal(clock.now(), 1_000_000)
})

test('a cancelled callback does not run', async () => {
  const clock = new LabClock()
  let ran = false
  const cancel = clock.schedule(instantAt(5), () => {
    ran = true
  })
  cancel()
  await clock.advance(milliseconds(1))
  assert.equal(ran, false)
})

test('an hour of virtual time takes no real time', async () => {
  const clock = new LabClock()
  const begun = performance.now()
  await clock.advance(seconds(3600))
  assert.equal(clock.now(), 3_600_000_000)
  assert.ok(performance.now() - begun < 1_000)
})

test('the clock stands still while a token is held', async () => {
  const clock = new LabClock()
  let ran = false
  clock.schedule(instantAt(10), () => {
    ran = true
  })
  const release = clock.hold()
  const finished = clock.advance(milliseconds(1))
  await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(ran, false)
  assert.equal(clock.now(), 0)
  release()
  release() // the second time does nothing: the count must not go below zero
  await finished
  assert.equal(ran, true)
})

test('who sleeps gives its token back, and has it again when it wakes', async () => {
  const clock = new LabClock()
  const woken: number[] = []
  const work = async (): Promise<void> => {
    const release = clock.hold()
    for (let i = 0; i < 3; i++) {
      await clock.sleep(milliseconds(10))
      const at = clock.now()
      // Work that takes several turns of the event loop happens at one instant.
      await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setTimeout(resolve, 1))
      assert.equal(clock.now(), at)
      woken.push(at)
    }
    release()
  }
  clock.schedule(instantAt(10_001), () => {})
  await clock.run(work())
  assert.deepEqual(woken, [10_000, 20_000, 30_000])
})

test('two sleepers interleave by time', async () => {
  const clock = new LabClock()
  const seen: string[] = []
  const sleeper = async (name: string, span: number): Promise<void> => {
    const release = clock.hold()
    for (let i = 0; i < 2; i++) {
      await clock.sleep(milliseconds(span))
      seen.push(`${name}@${clock.now() / 1000}`)
    }
    release()
  }
  await clock.run(Promise.all([sleeper('a', 10), sleeper('b', 15)]))
  assert.deepEqual(seen, ['a@10', 'b@15', 'a@20', 'b@30'])
})

test('waiting for what nothing will do is an error, not a hang', async () => {
  const clock = new LabClock()
  await assert.rejects(clock.run(new Promise(() => {})), { code: 'LAB_STALLED' })
  // The clock is still of use.
  await clock.advance(milliseconds(1))
  assert.equal(clock.now(), 1_000)
})

test('a failure of the work is the failure of the run', async () => {
  const clock = new LabClock()
  const work = async (): Promise<void> => {
    const release = clock.hold()
    try {
      await clock.sleep(milliseconds(1))
      throw new RangeError('as expected')
    } finally {
      release()
    }
  }
  await assert.rejects(clock.run(work()), RangeError)
})

test('work that is lent the token may wait itself', async () => {
  const clock = new LabClock()
  const inner = async (): Promise<string> => {
    const release = clock.hold()
    await clock.sleep(seconds(2))
    release()
    return 'done'
  }
  const outer = async (): Promise<string> => {
    const release = clock.hold()
    const result = await clock.lend(inner())
    release()
    return result
  }
  assert.equal(await clock.run(outer()), 'done')
  assert.equal(clock.now(), 2_000_000)
})

test('a timer set in the past is due now', async () => {
  const clock = new LabClock()
  await clock.advance(seconds(1))
  let at = -1
  clock.schedule(instantAt(5), (now) => {
    at = now
  })
  await clock.advance(milliseconds(1))
  assert.equal(at, 1_000_000)
  assert.equal(after(instantAt(0), seconds(1)), 1_000_000)
})
