/**
 * Serial arithmetic over the 32-bit sequence space (RFC 9293 section 3.4): every comparison is modulo 2^32, so
 * that a window may lie across the wrap. Meaningful for numbers less than 2^31 apart.
 */

export const seqAdd = (a: number, n: number): number => (a + n) >>> 0

/** The signed distance `a - b`. */
export const seqDiff = (a: number, b: number): number => (a - b) | 0

export const seqLess = (a: number, b: number): boolean => ((a - b) | 0) < 0

export const seqAtMost = (a: number, b: number): boolean => ((a - b) | 0) <= 0

export const seqMax = (a: number, b: number): number => (((a - b) | 0) >= 0 ? a : b)

export const seqMin = (a: number, b: number): number => (((a - b) | 0) <= 0 ? a : b)
