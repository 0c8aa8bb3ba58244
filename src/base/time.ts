/**
 * Instants and durations, in whole microseconds, as plain numbers.
 *
 * Microseconds because tcpdump prints them and TCP's clocks need better than a millisecond; a double holds
 * them exactly for 285 years. An `Instant` counts from an origin that only its clock knows (the lab's start,
 * the Unix epoch on a real host): machines compare and subtract, they never interpret.
 */

declare const instant: unique symbol
declare const duration: unique symbol

/** A point in time, microseconds since the clock's origin. */
export type Instant = number & { readonly [instant]: true }
/** A span of time in microseconds. */
export type Duration = number & { readonly [duration]: true }

export const microseconds = (n: number): Duration => Math.round(n) as Duration
export const milliseconds = (n: number): Duration => Math.round(n * 1_000) as Duration
export const seconds = (n: number): Duration => Math.round(n * 1_000_000) as Duration

export const instantAt = (microsecondsSinceOrigin: number): Instant => microsecondsSinceOrigin as Instant
export const after = (start: Instant, span: Duration): Instant => (start + span) as Instant
export const between = (start: Instant, end: Instant): Duration => (end - start) as Duration
export const toMilliseconds = (span: Duration): number => span / 1_000
export const toSeconds = (span: Duration): number => span / 1_000_000
