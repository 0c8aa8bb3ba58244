/**
 * The lab's clock is virtual. It leaps to the next timer only when nothing is left to do at the present instant: no
 * callback due, nobody holding an activity token, and the process's own event loop quiet.
 *
 * An activity token says "somebody is still at work at this instant". A running shell command holds one, and gives
 * it back while it waits for the clock or for a packet. Whoever wakes it takes the token again in the same call, so
 * that the clock cannot leap in between.
 */
import {
  after,
  type Duration,
  type Instant,
  instantAt,
  type QueuedTimer,
  TimerQueue,
  WarrenError,
} from '../base/index.js'

/** The lab's first instant as Unix time in microseconds: 2020-01-19 17:30:00 UTC, an evening of the article. */
export const LAB_EPOCH: number = Date.UTC(2020, 0, 19, 17, 30) * 1_000

/** Paces the clock: resolves when real time has come to `at`, or earlier (the clock asks again). */
export type Pacer = (at: Instant, now: Instant) => Promise<void>

interface Run {
  settled: boolean
  reject(reason: unknown): void
}

export class LabClock {
  readonly #queue = new TimerQueue()
  readonly #runs = new Set<Run>()
  #now: Instant = instantAt(0)
  #held = 0
  #pumping = false
  #nudge: (() => void) | undefined
  /** Set by the console: real time. Without it the clock leaps. */
  pacer?: Pacer

  now(): Instant {
    return this.#now
  }

  /** `instant` as Unix time in microseconds: what tcpdump and pcap files show. */
  toUnix(instant: Instant = this.#now): number {
    return LAB_EPOCH + instant
  }

  /** Runs `callback` once at `at` (not before now); returns what cancels it. */
  schedule(at: Instant, callback: (now: Instant) => void): () => void {
    const timer: QueuedTimer = this.#queue.schedule(at < this.#now ? this.#now : at, callback)
    this.#nudge?.()
    return () => timer.cancel()
  }

  /** Takes an activity token; the function returned gives it back (once, however often it is called). */
  hold(): () => void {
    this.#held++
    let given = false
    return () => {
      if (given) return
      given = true
      this.#held--
      this.#nudge?.()
    }
  }

  /** For the holder of one token: gives it back for `span`. */
  sleep(span: Duration): Promise<void> {
    return this.wait((resolve) => {
      this.schedule(after(this.#now, span), () => resolve())
    })
  }

  /**
   * For the holder of one token: gives it back until `resolve` is called, which takes it again in the same call.
   * `start` is called at once.
   */
  wait<T>(start: (resolve: (value: T) => void) => void): Promise<T> {
    return new Promise<T>((settle, reject) => {
      let woken = false
      try {
        start((value) => {
          if (woken) return
          woken = true
          this.#held++
          settle(value)
        })
      } catch (error) {
        reject(error)
        return
      }
      // Given back even if `start` resolved at once: resolving took one more.
      this.#held--
      this.#nudge?.()
    })
  }

  /** For the holder of one token: gives it back while `promise` is pending, whose work holds tokens of its own. */
  async lend<T>(promise: Promise<T>): Promise<T> {
    const outcome = await this.wait<{ value: T } | { error: unknown }>((resolve) => {
      promise.then(
        (value) => resolve({ value }),
        (error: unknown) => resolve({ error }),
      )
    })
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }

  /**
   * Drives the clock until `promise` settles, and settles like it. Rejects with `LAB_STALLED` if nothing is left
   * that could ever settle it.
   */
  async run<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const run: Run = { settled: false, reject }
      const settle = (): void => {
        run.settled = true
        this.#runs.delete(run)
        this.#nudge?.()
      }
      this.#runs.add(run)
      promise.then(
        (value) => {
          settle()
          resolve(value)
        },
        (error: unknown) => {
          settle()
          reject(error)
        },
      )
      if (!this.#pumping) void this.#pump()
    })
  }

  /** Drives the clock for `span` of virtual time. */
  advance(span: Duration): Promise<void> {
    return this.run(
      new Promise<void>((resolve) => {
        this.schedule(after(this.#now, span), () => resolve())
      }),
    )
  }

  async #pump(): Promise<void> {
    this.#pumping = true
    try {
      while (this.#runs.size > 0) {
        if (this.#held > 0) {
          await this.#nudged()
          continue
        }
        if (this.#queue.runDue(this.#now)) continue
        // A library or a just-settled promise may still owe a callback: look once round the event loop.
        await new Promise<void>((resolve) => setImmediate(resolve))
        const next = this.#queue.next()
        if (this.#held > 0 || this.#runs.size === 0 || (next !== undefined && next <= this.#now)) continue
        if (this.pacer !== undefined) {
          await this.#paced(this.pacer, next)
        } else if (next === undefined) {
          this.#stall()
        } else {
          this.#now = next
        }
      }
    } finally {
      this.#pumping = false
    }
  }

  /** Real time: waits for the next timer or for whatever comes earlier (a key, a new timer). */
  async #paced(pacer: Pacer, next: Instant | undefined): Promise<void> {
    if (next === undefined) return this.#nudged()
    await Promise.race([pacer(next, this.#now), this.#nudged()])
    const stillNext = this.#queue.next()
    if (stillNext === next && this.#realNow() >= next) this.#now = next
  }

  /** Where real time stands; only meaningful with a pacer, which sets it. */
  #realNow: () => Instant = () => this.#now

  /** Real-time mode: `realNow` says where real time stands on this clock's scale. */
  pace(pacer: Pacer, realNow: () => Instant): void {
    this.pacer = pacer
    this.#realNow = realNow
    this.#nudge?.()
  }

  /** Real-time mode: moves an idle clock up to where real time stands, so that what a key starts starts now. */
  catchUp(): void {
    const real = this.#realNow()
    const next = this.#queue.next()
    const to = next !== undefined && next < real ? next : real
    if (to > this.#now) this.#now = to
  }

  #nudged(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#nudge = () => {
        this.#nudge = undefined
        resolve()
      }
    })
  }

  #stall(): void {
    for (const run of [...this.#runs]) {
      this.#runs.delete(run)
      run.reject(
        new WarrenError('LAB_STALLED', 'the command waits for something that nothing in the lab will do', {
          mend: 'interrupt it, or start what it waits for on another terminal',
        }),
      )
    }
  }
}
