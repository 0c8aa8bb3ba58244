/**
 * What the printers of one packet share. Each printer appends to `out` what OpenBSD's tcpdump prints for its layer,
 * reading fields at the offsets of the wire declarations, and says `[|name]` where the captured bytes end too soon.
 */
import type { FlowTable } from '../flows.js'
import type { Opener } from '../opener.js'

export interface LineOptions {
  /** -v, -vv, -vvv. */
  readonly verbose: number
  /** -n: ports and EtherTypes as numbers. Addresses are never resolved. */
  readonly numeric: boolean
  /** -e: the link header too. */
  readonly link: boolean
  /** -q: less of each protocol. */
  readonly quick: boolean
  /** -S: TCP sequence numbers as they are, not relative to the first seen. */
  readonly absolute: boolean
  /** Whether a dump follows the line (-x, -X), so that unknown protocols need not print their bytes. */
  readonly dumped: boolean
}

export interface Printing extends LineOptions {
  /** The packet; a copy with the plaintext in its place while what was opened is printed. */
  bytes: Uint8Array
  /** Keys, where there are any. */
  readonly opener: Opener | undefined
  /** One past the last captured byte. */
  readonly end: number
  readonly flows: FlowTable
  /** Offset of the innermost Ethernet header, or -1. */
  frameAt: number
  /** How many packets inside packets were entered. */
  depth: number
  out: string
}

/** Packets inside packets that a line shows; a stranger's packet must not make it endless. */
export const MAXIMUM_NESTING = 16

/** True if `length` bytes from `at` were captured. */
export const has = (p: Printing, at: number, length: number): boolean => at + length <= p.end

/** Runs `print` one level deeper, or says that this is too deep. */
export function nested(p: Printing, print: () => void): void {
  if (p.depth >= MAXIMUM_NESTING) {
    p.out += '[nested too deep]'
    return
  }
  p.depth++
  print()
  p.depth--
}
