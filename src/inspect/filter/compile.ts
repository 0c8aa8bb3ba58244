/**
 * tcpdump's filter language, the useful part of it: `host`, `net`, `port`, `portrange`, `proto` with `src`, `dst`
 * and a protocol before them; protocols alone; `ether host`, `vlan`, `less`, `greater`; comparisons of numbers in
 * the packet; `and`, `or`, `not` and parentheses. Compiled to closures that look at a packet in place.
 */
import { FilterContext } from './context.js'
import type { FilterOptions } from './identifiers.js'
import { FilterParser } from './parser.js'

export type { FilterOptions } from './identifiers.js'

export interface PacketFilter {
  /** True if the packet is wanted. `originalLength`: its length on the wire, if more than was captured. */
  (bytes: Uint8Array, linkType: number, originalLength?: number): boolean
  /** The same for the packet at `[start, end)` of a larger buffer. */
  within(bytes: Uint8Array, start: number, end: number, linkType: number, originalLength: number): boolean
}

/** Compiles an expression; an empty one wants every packet. Throws `WarrenError` with the column and what was meant. */
export function compileFilter(text: string, options: FilterOptions = {}): PacketFilter {
  const test = text.trim() === '' ? () => true : new FilterParser(text, options).parse()
  const context = new FilterContext()
  const within = (
    bytes: Uint8Array,
    start: number,
    end: number,
    linkType: number,
    originalLength: number,
  ): boolean => {
    context.bytes = bytes
    context.start = start
    context.end = end
    context.linkType = linkType
    context.length = originalLength
    context.aborted = false
    return test(context) && !context.aborted
  }
  const filter = (bytes: Uint8Array, linkType: number, originalLength: number = bytes.length): boolean =>
    within(bytes, 0, bytes.length, linkType, originalLength)
  return Object.assign(filter, { within })
}
