/**
 * Counts by reason. A stranger's bytes are never logged one by one: they raise a number under a short stable name
 * that `status` and `netstat -s` show.
 *
 * The number of names is bounded by our code, not by a stranger: reasons are literals (a `ParseError`'s
 * `header.field`), never text made of what arrived.
 */
export class Counters {
  readonly #counts = new Map<string, number>()
  /** The reason that was counted last. */
  last: string | undefined

  add(reason: string, by = 1): void {
    this.last = reason
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + by)
  }

  get(reason: string): number {
    return this.#counts.get(reason) ?? 0
  }

  /** Name to count, sorted by name. */
  toJSON(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)))
  }
}
