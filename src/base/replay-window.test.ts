import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ReplayWindow } from './replay-window.js'

const SIZES = [64, 65, 95, 96, 97, 127, 128, 1000, 1024, 4096, 8191, 8192]

/** RFC 4303 section 3.4.3 as it is said, with a set of all that was ever seen. */
class Model {
  readonly #seen = new Set<bigint>()
  #top: bigint | undefined
  readonly #size: bigint
  constructor(size: number) {
    this.#size = BigInt(size)
  }
  check(n: bigint): boolean {
    if (this.#top === undefined || n > this.#top) return true
    return n > this.#top - this.#size && !this.#seen.has(n)
  }
  advance(n: bigint): boolean {
    if (!this.check(n)) return false
    this.#seen.add(n)
    if (this.#top === undefined || n > this.#top) this.#top = n
    return true
  }
}

const low = (n: bigint): number => Number(n & 0xffffffffn)
const high = (n: bigint): number => Number(n >> 32n)
const accept = (window: ReplayWindow, n: bigint): boolean => window.advance(low(n), high(n))

test('every jump size, at every size of window: after the jump exactly the window is open', () => {
  for (const size of SIZES) {
    const farthest = size > 1024 ? 40 : 2 * size + 70
    const jumps = [
      ...Array.from({ length: farthest }, (_, i) => i + 1),
      ...[
        size - 33,
        size - 32,
        size - 1,
        size,
        size + 1,
        size + 31,
        size + 32,
        size + 33,
        2 * size,
        3 * size + 7,
      ],
      ...[2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 33 + 5],
    ]
    for (const jump of jumps) {
      const window = new ReplayWindow(size)
      const start = 0xfffff000n + 13n
      const from = start - BigInt(size)
      for (let n = from; n <= start; n++) accept(window, n)
      const top = start + BigInt(jump)
      assert.ok(accept(window, top), `size ${size}, jump ${jump}`)
      for (let n = top - BigInt(size) - 40n; n <= top; n++) {
        const isNew = n > start && n < top && n > top - BigInt(size)
        assert.equal(window.check(low(n), high(n)), isNew, `size ${size}, jump ${jump}, ${n}`)
      }
    }
  }
})

test('a window is what the standard says, for any sequence of numbers', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...SIZES),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 40_000n }),
      fc.array(
        fc.oneof(
          fc.integer({ min: -200, max: 200 }),
          fc.integer({ min: -9000, max: 9000 }),
          fc.integer({ min: -40_000, max: 40_000 }),
        ),
        { maxLength: 200 },
      ),
      (size, start, steps) => {
        const [window, model] = [new ReplayWindow(size), new Model(size)]
        let top = start
        for (const step of steps) {
          const n = top + BigInt(step)
          if (n < 0n || n >= 2n ** 64n) continue
          if (n > top) top = n
          assert.equal(window.check(low(n), high(n)), model.check(n))
          assert.equal(accept(window, n), model.advance(n))
        }
      },
    ),
    { numRuns: 300 },
  )
})

/**
 * The cases of the replay filter of WireGuard, as published with wireguard-go (replay/replay_test.go, MIT licence):
 * numbers and expectations. `T` is one more than the size of the window; the limit is 2^64 - 2^13 - 1.
 */
describe("WireGuard's replay cases", () => {
  const SIZE = 8128
  const T = BigInt(SIZE) + 1n
  const LIMIT = 2n ** 64n - 2n ** 13n - 1n
  const cases: [n: bigint, expected: boolean][] = [
    [0n, true],
    [1n, true],
    [1n, false],
    [9n, true],
    [8n, true],
    [7n, true],
    [7n, false],
    [T, true],
    [T - 1n, true],
    [T - 1n, false],
    [T - 2n, true],
    [2n, true],
    [2n, false],
    [T + 16n, true],
    [3n, false],
    [T + 16n, false],
    [T * 4n, true],
    [T * 4n - (T - 1n), true],
    [10n, false],
    [T * 4n - T, false],
    [T * 4n - (T + 1n), false],
    [T * 4n - (T - 2n), true],
    [T * 4n + 1n - T, false],
    [0n, false],
    [LIMIT, false],
    [LIMIT - 1n, true],
    [LIMIT, false],
    [LIMIT - 1n, false],
    [LIMIT - 2n, true],
    [LIMIT + 1n, false],
    [LIMIT + 2n, false],
    [LIMIT - 2n, false],
    [LIMIT - 3n, true],
    [0n, false],
  ]
  // WireGuard's window counts one number more than ours: the highest seen is not part of its size.
  const filter = (): ((n: bigint) => boolean) => {
    const window = new ReplayWindow(SIZE + 1)
    return (n) => n < LIMIT && accept(window, n)
  }

  test('34 numbers', () => {
    const take = filter()
    assert.equal(cases.length, 34)
    for (const [i, [n, expected]] of cases.entries()) assert.equal(take(n), expected, `case ${i + 1}: ${n}`)
  })

  const up = (from: number, to: number): bigint[] =>
    Array.from({ length: to - from + 1 }, (_, i) => BigInt(from + i))
  const down = (from: number, to: number): bigint[] => up(to, from).reverse()
  const bulks: [numbers: bigint[], after: [bigint, boolean][]][] = [
    [
      up(1, SIZE),
      [
        [0n, true],
        [0n, false],
      ],
    ],
    [
      up(2, SIZE + 1),
      [
        [1n, true],
        [0n, false],
      ],
    ],
    [down(SIZE + 1, 1), []],
    [down(SIZE + 2, 2), [[0n, false]]],
    [
      down(SIZE, 1),
      [
        [BigInt(SIZE) + 1n, true],
        [0n, false],
      ],
    ],
    [
      down(SIZE, 1),
      [
        [0n, true],
        [BigInt(SIZE) + 1n, true],
      ],
    ],
  ]
  for (const [i, [numbers, after]] of bulks.entries())
    test(`bulk test ${i + 1}`, () => {
      const take = filter()
      for (const n of numbers) assert.ok(take(n), `${n}`)
      for (const [n, expected] of after) assert.equal(take(n), expected, `${n}`)
    })
})

test('check alone moves nothing', () => {
  const window = new ReplayWindow(64)
  assert.ok(window.advance(5))
  assert.ok(window.check(1_000_000))
  assert.deepEqual([window.low, window.high], [5, 0])
  assert.ok(window.check(4))
  assert.equal(window.check(5), false)
})

test('reset forgets all, or takes all up to a number as seen', () => {
  for (const size of SIZES)
    for (const at of [0, 31, 32, 1000, 0xffffffff]) {
      const window = new ReplayWindow(size)
      window.reset(at, 7)
      for (let back = 0; back <= Math.min(at, 200); back++) assert.equal(window.check(at - back, 7), false)
      const next = 7n * 2n ** 32n + BigInt(at)
      for (let ahead = 40n; ahead > 0n; ahead--)
        assert.ok(accept(window, next + ahead), `${size} ${at} ${ahead}`)
      window.reset()
      assert.ok(window.check(at, 7))
      assert.deepEqual([window.low, window.high], [0, 0])
    }
})

test('sizes below 64 and above 8192, or broken ones, are refused', () => {
  for (const size of [0, 63, 8193, 64.5, Number.NaN]) assert.throws(() => new ReplayWindow(size), RangeError)
})
