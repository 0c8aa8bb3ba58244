import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ETHERNET, instantAt, milliseconds, seconds } from '../base/index.js'
import { LabClock } from './clock.js'
import { Link, type LinkFaults } from './link.js'

interface Arrival {
  readonly at: number
  readonly number: number
  readonly bytes: Uint8Array
}

/** Sends `count` numbered frames of 100 bytes, one a millisecond, and says what arrived. */
async function send(
  faults: LinkFaults,
  count: number,
  seed = 7,
): Promise<{ arrivals: Arrival[]; link: Link }> {
  const clock = new LabClock()
  const link = new Link(clock, faults, seed)
  const arrivals: Arrival[] = []
  link.ends[1].onFrame = (frame, at) => {
    assert.equal(frame.kind, ETHERNET)
    const bytes = frame.copy()
    arrivals.push({ at, number: (bytes[0]! << 8) | bytes[1]!, bytes })
  }
  for (let i = 0; i < count; i++) {
    clock.schedule(instantAt(i * 1_000), (now) => {
      const frame = new Uint8Array(100)
      frame[0] = i >> 8
      frame[1] = i
      link.ends[0].transmit(frame, now)
      frame.fill(0xff) // the sender may use its memory again
    })
  }
  await clock.advance(seconds(60))
  return { arrivals, link }
}

test('a perfect wire delivers everything, in order, at once', async () => {
  const { arrivals } = await send({}, 100)
  assert.deepEqual(
    arrivals.map(({ number, at }) => [number, at]),
    Array.from({ length: 100 }, (_, i) => [i, i * 1_000]),
  )
})

test('delay and jitter come later, but in order', async () => {
  const { arrivals } = await send({ delay: milliseconds(5), jitter: milliseconds(4) }, 200)
  assert.deepEqual(
    arrivals.map(({ number }) => number),
    Array.from({ length: 200 }, (_, i) => i),
  )
  const delays = arrivals.map(({ at, number }) => at - number * 1_000)
  assert.ok(Math.min(...delays) >= 5_000)
  assert.ok(Math.max(...delays) <= 9_000)
  assert.ok(new Set(delays).size > 50)
})

test('loss, duplication, corruption and reordering happen about as often as said, and are counted', async () => {
  const count = 2_000
  const { arrivals, link } = await send(
    {
      loss: 0.1,
      duplicate: 0.05,
      corrupt: 0.05,
      reorder: 0.1,
      reorderBy: milliseconds(3),
      delay: milliseconds(1),
    },
    count,
  )
  const { counters } = link
  const lost = counters.get('link.lost')
  assert.ok(lost > 150 && lost < 250, `${lost} lost`)
  const duplicated = counters.get('link.duplicated')
  assert.ok(duplicated > 60 && duplicated < 130, `${duplicated} duplicated`)
  assert.equal(arrivals.length, count - lost + duplicated)
  const corrupted = counters.get('link.corrupted')
  assert.ok(corrupted > 60 && corrupted < 140, `${corrupted} corrupted`)
  const outOfOrder = arrivals.filter(({ number }, i) => i > 0 && number < arrivals[i - 1]!.number).length
  assert.ok(outOfOrder > 50, `${outOfOrder} out of order`)
})

test('corruption turns over one bit', async () => {
  const { arrivals, link } = await send({ corrupt: 1 }, 50)
  assert.equal(link.counters.get('link.corrupted'), 50)
  for (const { bytes, at } of arrivals) {
    const sent = new Uint8Array(100)
    sent[0] = (at / 1_000) >> 8
    sent[1] = at / 1_000
    let bits = 0
    for (const [i, byte] of bytes.entries()) for (let x = byte ^ sent[i]!; x !== 0; x &= x - 1) bits++
    assert.equal(bits, 1)
  }
})

test('a rate paces frames, and its queue is bounded', async () => {
  // 100 bytes at 80 kbit/s take 10 ms; one comes a millisecond.
  const { arrivals, link } = await send({ rate: 80_000, queue: 20 }, 100)
  assert.ok(link.counters.get('link.queue-full') > 50)
  for (const [i, { at }] of arrivals.entries()) if (i > 0) assert.equal(at - arrivals[i - 1]!.at, 10_000)
})

test('the same seed is the same run; another is another', async () => {
  const faults: LinkFaults = { loss: 0.3, jitter: milliseconds(2), duplicate: 0.1, corrupt: 0.1 }
  const first = await send(faults, 300, 42)
  const second = await send(faults, 300, 42)
  const other = await send(faults, 300, 43)
  assert.deepEqual(first.arrivals, second.arrivals)
  assert.notDeepEqual(first.arrivals, other.arrivals)
})

test('a link that is pulled out carries nothing, not even what is under way', async () => {
  const clock = new LabClock()
  const link = new Link(clock, { delay: milliseconds(10) })
  let arrived = 0
  link.ends[1].onFrame = () => {
    arrived++
  }
  link.ends[0].transmit(new Uint8Array(60), clock.now())
  await clock.advance(milliseconds(5))
  link.connected = false
  await clock.advance(milliseconds(20))
  link.ends[0].transmit(new Uint8Array(60), clock.now())
  await clock.advance(milliseconds(20))
  assert.equal(arrived, 0)
  link.connected = true
  link.ends[0].transmit(new Uint8Array(60), clock.now())
  await clock.advance(milliseconds(20))
  assert.equal(arrived, 1)
})
