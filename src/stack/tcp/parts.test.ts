/** The parts of a connection against simple models of what they do. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { after, Ipv4Address, instantAt, milliseconds, SeededRandom, seconds } from '../../base/index.js'
import { CongestionControl, initialWindow } from './congestion.js'
import { type BlockOptions, ControlBlock } from './control-block.js'
import { initialSequence, KeyedHash } from './keyed-hash.js'
import { defaultTcpLimits } from './limits.js'
import { ReceiveBuffer } from './reassembly.js'
import { Ring } from './ring.js'
import { RttEstimator } from './rtt.js'
import { Scoreboard } from './sack.js'
import { SendBuffer } from './send-buffer.js'
import { seqAdd, seqAtMost, seqDiff, seqLess, seqMax, seqMin } from './sequence.js'
import { ConnectionTable } from './table.js'
import { pattern } from './testing.js'

test('sequence numbers compare across the wrap', () => {
  const near = 2 ** 32 - 5
  assert.equal(seqAdd(near, 10), 5)
  assert.equal(seqAdd(5, -10), near)
  assert.equal(seqDiff(5, near), 10)
  assert.equal(seqDiff(near, 5), -10)
  assert.ok(seqLess(near, 5) && !seqLess(5, near) && !seqLess(5, 5) && seqAtMost(5, 5))
  assert.equal(seqMax(near, 5), 5)
  assert.equal(seqMin(near, 5), near)
})

describe('buffers', () => {
  test('a ring gives back what was put, whatever the order of puts, drops and growth', () => {
    const step = fc.record({ put: fc.nat(3000), drop: fc.nat(3000) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const ring = new Ring()
        const data = pattern(130_000)
        let head = 0
        let tail = 0
        for (const { put, drop } of steps) {
          // Two halves, the later first: as out-of-order data comes.
          const middle = tail + (put >> 1)
          ring.put(middle - head, data.subarray(middle, tail + put))
          ring.put(tail - head, data.subarray(tail, middle))
          tail += put
          const dropped = Math.min(drop, tail - head)
          ring.drop(dropped)
          head += dropped
          const read = new Uint8Array(tail - head)
          ring.copy(0, read.length, read, 0)
          assert.deepEqual(read, data.subarray(head, tail))
        }
      }),
    )
  })

  test('a send buffer keeps what is not acknowledged, up to its capacity', () => {
    const buffer = new SendBuffer(2 ** 32 - 10, 100)
    assert.equal(buffer.append(pattern(70)), 70)
    assert.equal(buffer.append(pattern(70)), 30)
    assert.equal(buffer.end, 90)
    buffer.acknowledge(20)
    assert.deepEqual([buffer.base, buffer.length, buffer.free], [20, 70, 30])
    const read = new Uint8Array(5)
    buffer.copy(30, 5, read, 0)
    assert.deepEqual(read, pattern(70).subarray(40, 45))
    buffer.acknowledge(91) // a FIN is acknowledged, too
    assert.deepEqual([buffer.base, buffer.length], [90, 0])
  })

  test('segments in any order and overlap come out as one stream', () => {
    const piece = fc.record({ at: fc.integer({ min: -200, max: 1500 }), length: fc.nat(400) })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), fc.nat(2 ** 32 - 1), (pieces, start) => {
        const stream = pattern(3000)
        const buffer = new ReceiveBuffer(1200, 1000)
        buffer.start(start)
        const have = new Set<number>()
        let read = 0
        for (const { at, length } of pieces) {
          const from = Math.max(0, read + at)
          const before = buffer.next
          const grown = buffer.insert(seqAdd(start, from), stream.subarray(from, from + length))
          assert.equal(grown, seqDiff(buffer.next, before))
          for (let i = from; i < Math.min(from + length, read + 1200, stream.length); i++) have.add(i)
          let contiguous = read
          while (have.has(contiguous)) contiguous++
          assert.equal(seqDiff(buffer.next, start), contiguous)
          assert.equal(buffer.available, contiguous - read)
          // Every block is held, is maximal, and lies beyond what is in order.
          const blocks = buffer.sackBlocks(1000)
          let sacked = 0
          for (let i = 0; i < blocks.length; i += 2) {
            const [left, right] = [seqDiff(blocks[i]!, start), seqDiff(blocks[i + 1]!, start)]
            assert.ok(left > contiguous && right > left && !have.has(left - 1) && !have.has(right))
            sacked += right - left
          }
          assert.equal(sacked, [...have].filter((n) => n >= contiguous).length)
          const data = buffer.read(length)
          if (data !== undefined) {
            assert.deepEqual(data, stream.subarray(read, read + data.length))
            read += data.length
          }
        }
      }),
    )
  })
})

describe('the scoreboard', () => {
  const MSS = 10

  /** RFC 6675 section 4 to the letter: octet by octet. */
  class Model {
    readonly sacked = new Set<number>()
    una = 0
    next = 0
    highRxt = 0

    isLost(octet: number): boolean {
      let ranges = 0
      let bytes = 0
      for (let n = octet + 1; n < this.next; n++) {
        if (!this.sacked.has(n)) continue
        bytes++
        if (!this.sacked.has(n - 1)) ranges++
      }
      return ranges >= 3 || bytes > 2 * MSS
    }

    pipe(): number {
      let pipe = 0
      for (let n = this.una; n < this.next; n++) {
        if (this.sacked.has(n)) continue
        if (!this.isLost(n)) pipe++
        if (n < this.highRxt) pipe++
      }
      return pipe
    }

    nextLost(): number | undefined {
      for (let n = Math.max(this.una, this.highRxt); n < this.next; n++)
        if (!this.sacked.has(n)) return this.isLost(n) ? n : undefined
      return undefined
    }
  }

  test('is RFC 6675’s, across the wrap', () => {
    const step = fc.record({
      send: fc.nat(60),
      sack: fc.array(fc.tuple(fc.nat(300), fc.nat(60)), { maxLength: 3 }),
      ack: fc.nat(20),
      repair: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const base = 2 ** 32 - 100
        const model = new Model()
        const board = new Scoreboard(1000)
        board.clear(base)
        const at = (octet: number): number => seqAdd(base, octet)
        for (const { send, sack, ack, repair } of steps) {
          model.next += send
          for (const [from, length] of sack) {
            const [left, right] = [model.una + from, model.una + from + length]
            const before = model.sacked.size
            if (left > model.una && right <= model.next)
              for (let n = left; n < right; n++) model.sacked.add(n)
            const added = board.update([at(left), at(right)], at(model.una), at(model.next))
            assert.equal(added, model.sacked.size - before)
          }
          model.una = Math.min(model.next, model.una + ack)
          for (const n of model.sacked) if (n < model.una) model.sacked.delete(n)
          model.highRxt = Math.max(model.highRxt, model.una)
          board.advance(at(model.una))
          assert.equal(board.sackedBytes, model.sacked.size)
          assert.equal(board.pipe(at(model.una), at(model.next), MSS), model.pipe())
          const lost = model.nextLost()
          const hole = board.nextLost(at(model.una), at(model.next), MSS)
          assert.equal(hole?.sequence, lost === undefined ? undefined : at(lost))
          if (repair && hole !== undefined) {
            board.highRxt = seqAdd(hole.sequence, Math.min(hole.length, MSS))
            model.highRxt = lost! + Math.min(hole.length, MSS)
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  test('after a time-out everything not SACKed is lost', () => {
    const board = new Scoreboard(10)
    board.clear(0)
    board.update([30, 40], 0, 100)
    board.lostBelow = 100
    assert.equal(board.pipe(0, 100, MSS), 0)
    assert.deepEqual(board.nextLost(0, 100, MSS), { sequence: 0, length: 30 })
    board.highRxt = 35
    assert.deepEqual(board.nextLost(0, 100, MSS), { sequence: 40, length: 60 })
    assert.equal(board.pipe(0, 100, MSS), 30)
    board.advance(100)
    assert.equal(board.lostBelow, undefined)
    assert.equal(board.nextLost(100, 120, MSS), undefined)
  })
})

describe('the round trip (RFC 6298)', () => {
  test('the first sample, the next, back-off, and bounds', () => {
    const rtt = new RttEstimator(milliseconds(1), seconds(60))
    assert.equal(rtt.timeout, seconds(1))
    rtt.sample(milliseconds(100))
    assert.equal(rtt.timeout, milliseconds(300), 'R + 4 * R/2')
    rtt.sample(milliseconds(200))
    // RTTVAR = 3/4 * 50 + 1/4 * 100 = 62.5, SRTT = 7/8 * 100 + 1/8 * 200 = 112.5
    assert.equal(rtt.smoothed, 112_500)
    assert.equal(rtt.timeout, 362_500)
    rtt.backOff()
    assert.equal(rtt.timeout, 725_000)
    for (let i = 0; i < 20; i++) rtt.backOff()
    assert.equal(rtt.timeout, seconds(60))
    rtt.sample(milliseconds(100))
    assert.ok(rtt.timeout < seconds(1), 'a sample ends the back-off')
    const bounded = new RttEstimator(seconds(1), seconds(60))
    bounded.sample(milliseconds(1))
    assert.equal(bounded.timeout, seconds(1))
  })

  test('many samples a window weigh as one', () => {
    const one = new RttEstimator(milliseconds(1), seconds(60))
    const many = new RttEstimator(milliseconds(1), seconds(60))
    for (const rtt of [one, many]) rtt.sample(milliseconds(100))
    one.sample(milliseconds(200))
    for (let i = 0; i < 10; i++) many.sample(milliseconds(200), 10)
    assert.ok(Math.abs(one.smoothed! - many.smoothed!) < 1000)
  })
})

describe('congestion control (CUBIC, RFC 9438)', () => {
  const MSS = 1000
  /** Acknowledges a window a round trip, for `rounds`; returns the window after each. */
  const rounds = (control: CongestionControl, count: number, rtt = milliseconds(100)): number[] => {
    const windows: number[] = []
    let now = instantAt(0)
    for (let i = 0; i < count; i++) {
      now = after(now, rtt)
      const segments = Math.floor(control.window / MSS)
      for (let n = 0; n < segments; n++) control.acknowledged(MSS, rtt, now)
      windows.push(control.window)
    }
    return windows
  }

  test('the initial window is RFC 6928’s', () => {
    assert.equal(initialWindow(1460), 14_600)
    assert.equal(initialWindow(536), 5360)
    assert.equal(initialWindow(9000), 18_000)
  })

  test('slow start doubles the window a round trip', () => {
    assert.deepEqual(rounds(new CongestionControl(MSS), 3), [20_000, 40_000, 80_000])
  })

  test('a loss takes the window to 0.7; it comes back to where it was, flat there, then beyond', () => {
    const control = new CongestionControl(MSS)
    control.window = 100 * MSS
    control.congestion(100 * MSS)
    assert.equal(control.window, 70 * MSS)
    assert.equal(control.threshold, 70 * MSS)
    // K = cbrt(100 * 0.3 / 0.4) = 4.2 s: 42 round trips.
    const windows = rounds(control, 100)
    assert.ok(windows.every((window, i) => i === 0 || window >= windows[i - 1]!))
    assert.ok(Math.abs(windows[41]! - 100 * MSS) < 4 * MSS, `${windows[41]} after K`)
    const steps = windows.map((window, i) => window - (windows[i - 1] ?? 70 * MSS))
    assert.ok(steps[41]! < steps[2]!, 'concave before K')
    assert.ok(steps[90]! > steps[50]!, 'convex after')
  })

  test('with a short round trip it is no slower than Reno', () => {
    const control = new CongestionControl(MSS)
    control.window = 20 * MSS
    control.congestion(20 * MSS)
    const windows = rounds(control, 20, milliseconds(1))
    // Reno-friendly: 3 * 0.3 / 1.7 = 0.53 segments a round trip.
    assert.ok(windows.at(-1)! >= 14 * MSS + 20 * 0.5 * MSS, `${windows.at(-1)}`)
  })

  test('a second loss below the old maximum gives way (fast convergence)', () => {
    const twice = new CongestionControl(MSS)
    twice.window = 100 * MSS
    twice.congestion(100 * MSS)
    twice.congestion(70 * MSS)
    const once = new CongestionControl(MSS)
    once.window = 70 * MSS
    once.congestion(70 * MSS)
    assert.equal(once.window, twice.window)
    assert.ok(rounds(twice, 30).at(-1)! < rounds(once, 30).at(-1)!)
  })

  test('a time-out takes it to one segment, and a second one leaves the threshold', () => {
    const control = new CongestionControl(MSS)
    control.window = 100 * MSS
    control.timedOut(100 * MSS, true)
    assert.deepEqual([control.window, control.threshold], [MSS, 70 * MSS])
    control.timedOut(MSS, false)
    assert.deepEqual([control.window, control.threshold], [MSS, 70 * MSS])
    const windows = rounds(control, 6)
    assert.deepEqual(windows.slice(0, 3), [2 * MSS, 4 * MSS, 8 * MSS])
    control.window = 50 * MSS
    control.restartAfterIdle()
    assert.equal(control.window, 10 * MSS)
  })
})

test('the keyed hash: another key, or another end, is another number', () => {
  const a = Ipv4Address.parse('192.0.2.1')!
  const b = Ipv4Address.parse('192.0.2.2')!
  const hash = new KeyedHash(new SeededRandom(1))
  const same = new KeyedHash(new SeededRandom(1))
  const other = new KeyedHash(new SeededRandom(2))
  const value = hash.ofEnds(a, 1, b, 2)
  assert.equal(same.ofEnds(a, 1, b, 2), value)
  const others = [
    other.ofEnds(a, 1, b, 2),
    hash.ofEnds(b, 1, a, 2),
    hash.ofEnds(a, 2, b, 1),
    hash.ofEnds(a, 1, b, 3),
    hash.ofEnds(a, 1, a, 2),
  ]
  assert.equal(new Set([value, ...others]).size, 6)
  // Each bit of a port moves about half of the output's bits.
  let flips = 0
  for (let bit = 0; bit < 16; bit++) {
    let difference = hash.ofEnds(a, 1 ^ (1 << bit), b, 2) ^ value
    for (; difference !== 0; difference &= difference - 1) flips++
  }
  assert.ok(flips > 16 * 12 && flips < 16 * 20, `${flips} of ${16 * 32} bits`)
  assert.equal(initialSequence(0xffffffff, instantAt(8)), 1)
})

test('connections whose hashes are equal are kept apart', () => {
  const ends = { services: { limits: defaultTcpLimits }, initialSequence: 0, timestampOffset: 0, mss: 1460 }
  const local = Ipv4Address.parse('192.0.2.1')!
  const remote = Ipv4Address.parse('192.0.2.2')!
  const table = new ConnectionTable({ ofEnds: () => 0 })
  const blocks = [1, 2, 3].map(
    (remotePort) => new ControlBlock({ ...ends, local, localPort: 80, remote, remotePort } as BlockOptions),
  )
  for (const b of blocks) table.add(b)
  table.remove(blocks[1]!)
  table.remove(blocks[1]!)
  assert.deepEqual(
    [1, 2, 3].map((port) => table.find(local, 80, remote, port)),
    [blocks[0], undefined, blocks[2]],
  )
  assert.equal(table.find(local, 81, remote, 1), undefined)
  assert.equal(table.find(remote, 80, local, 1), undefined)
  table.remove(blocks[0]!)
  table.remove(blocks[2]!)
  assert.equal(table.find(local, 80, remote, 3), undefined)
})
