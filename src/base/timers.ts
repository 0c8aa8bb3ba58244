import type { Instant } from './time.js'

/**
 * The timers of one machine: at most one deadline a name. The one mechanism behind every `timeout()` and
 * `nextTimeout()`.
 *
 * Names are a machine's own union of literals (or, for things that come and go, strings made from their numbers).
 */
export class TimerTable<Name> {
  readonly #deadlines = new Map<Name, Instant>()
  #next: Instant | undefined
  #nextKnown = true

  set(name: Name, at: Instant): void {
    const before = this.#deadlines.get(name)
    this.#deadlines.set(name, at)
    if (!this.#nextKnown) return
    if (this.#next === undefined || at <= this.#next) this.#next = at
    else if (before === this.#next) this.#nextKnown = false
  }

  clear(name: Name): void {
    const before = this.#deadlines.get(name)
    if (before === undefined) return
    this.#deadlines.delete(name)
    if (before === this.#next) this.#nextKnown = false
  }

  get(name: Name): Instant | undefined {
    return this.#deadlines.get(name)
  }

  next(): Instant | undefined {
    if (!this.#nextKnown) {
      this.#next = undefined
      for (const at of this.#deadlines.values())
        if (this.#next === undefined || at < this.#next) this.#next = at
      this.#nextKnown = true
    }
    return this.#next
  }

  /** Takes out and returns one timer that is due at `now`, the earliest first; `undefined` when none is. */
  takeDue(now: Instant): Name | undefined {
    const next = this.next()
    if (next === undefined || next > now) return undefined
    for (const [name, at] of this.#deadlines) {
      if (at === next) {
        this.clear(name)
        return name
      }
    }
    return undefined
  }
}

/** A callback that waits in a `TimerQueue`. */
export interface QueuedTimer {
  readonly at: Instant
  cancel(): void
}

interface Entry {
  readonly at: Instant
  readonly order: number
  run: ((now: Instant) => void) | undefined
}

/**
 * A heap of callbacks, for who has many: the stack, the lab's clock. Those of one instant run in the order in
 * which they were set.
 */
export class TimerQueue {
  readonly #heap: Entry[] = []
  #order = 0
  #cancelled = 0

  schedule(at: Instant, run: (now: Instant) => void): QueuedTimer {
    const entry: Entry = { at, order: this.#order++, run }
    this.#push(entry)
    return {
      at,
      cancel: () => {
        if (entry.run === undefined) return
        entry.run = undefined
        this.#cancelled++
        if (this.#cancelled > 64 && this.#cancelled * 2 > this.#heap.length) this.#sweep()
      },
    }
  }

  next(): Instant | undefined {
    while (this.#heap.length > 0 && this.#heap[0]!.run === undefined) {
      this.#pop()
      this.#cancelled--
    }
    return this.#heap[0]?.at
  }

  /** Runs the earliest callback if it is due at `now`; false when none is. */
  runDue(now: Instant): boolean {
    const next = this.next()
    if (next === undefined || next > now) return false
    const entry = this.#pop()
    const run = entry.run
    entry.run = undefined // a cancel() from here on finds nothing to do
    run?.(now)
    return true
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    heap.push(entry)
    let child = heap.length - 1
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!earlier(heap[child]!, heap[parent]!)) break
      swap(heap, child, parent)
      child = parent
    }
  }

  #pop(): Entry {
    const heap = this.#heap
    const top = heap[0]!
    const last = heap.pop()!
    if (heap.length > 0) {
      heap[0] = last
      this.#siftDown(0)
    }
    return top
  }

  #siftDown(from: number): void {
    const heap = this.#heap
    let parent = from
    for (;;) {
      let least = parent
      for (const child of [2 * parent + 1, 2 * parent + 2]) {
        if (child < heap.length && earlier(heap[child]!, heap[least]!)) least = child
      }
      if (least === parent) return
      swap(heap, parent, least)
      parent = least
    }
  }

  #sweep(): void {
    const live = this.#heap.filter((entry) => entry.run !== undefined)
    this.#heap.length = 0
    this.#cancelled = 0
    for (const entry of live) this.#push(entry)
  }
}

const earlier = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

function swap(heap: Entry[], a: number, b: number): void {
  const held = heap[a]!
  heap[a] = heap[b]!
  heap[b] = held
}
