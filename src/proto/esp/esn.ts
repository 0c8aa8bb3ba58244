import type { ReplayWindow } from '../../base/index.js'

/** What `highSequence` gives for a number that is before the first. */
export const ESN_NONE = -1

/**
 * The high 32 bits of an extended sequence number, which the packet does not carry: RFC 4303 appendix A2.2, from the
 * highest number that was authenticated and the size of the window. `low`: what the packet carries.
 */
export function highSequence(window: ReplayWindow, low: number): number {
  const bottom = window.low - window.size + 1
  if (bottom >= 0) {
    // Case A: the window lies within one subspace. What is below it is of the next.
    if (low >= bottom) return window.high
    return window.high === 0xffffffff ? ESN_NONE : window.high + 1
  }
  // Case B: the window spans two. What is above its wrapped bottom is of the one before.
  return low >= bottom + 0x100000000 ? window.high - 1 : window.high
}
