/** Traffic selectors (RFC 7296 section 3.13.1): ranges of addresses and ports. */
import { ParseError } from '../../base/index.js'
import { IKE_SELECTOR_HEADER_LENGTH, ikeSelector } from './layouts.js'
import { SelectorType } from './numbers.js'

export interface IkeSelector {
  readonly type: number
  /** 0: any. */
  readonly protocol: number
  readonly startPort: number
  readonly endPort: number
  /** 4 or 16 bytes by type, both ends of the range included; of an unknown type all that follows, and nothing. */
  readonly startAddress: Uint8Array
  readonly endAddress: Uint8Array
}

/** Of one payload. */
export const IKE_SELECTOR_LIMIT = 255

const addressLength = (type: number): number | undefined =>
  type === SelectorType.ipv4Range ? 4 : type === SelectorType.ipv6Range ? 16 : undefined

/** `count` selectors that fill `[start, end)`. Throws `ParseError`. */
export function readSelectors(bytes: Uint8Array, start: number, end: number, count: number): IkeSelector[] {
  const selectors: IkeSelector[] = []
  let at = start
  for (let i = 0; i < count; i++) {
    const { type, protocol, length, startPort, endPort, payloadStart } = ikeSelector.view(bytes, at, end)
    const size = addressLength(type)
    const stop = at + length
    if (size !== undefined && length !== IKE_SELECTOR_HEADER_LENGTH + 2 * size)
      throw new ParseError(
        'ikeSelector',
        'length',
        at + 2,
        `${length}`,
        `${IKE_SELECTOR_HEADER_LENGTH + 2 * size} for its type`,
      )
    const middle = size === undefined ? stop : payloadStart + size
    selectors.push({
      type,
      protocol,
      startPort,
      endPort,
      startAddress: bytes.slice(payloadStart, middle),
      endAddress: bytes.slice(middle, stop),
    })
    at = stop
  }
  if (at !== end)
    throw new ParseError('ikeTs', 'selectors', start, `${end - at} bytes behind the last selector`, 'none')
  return selectors
}

export function writeSelectors(selectors: readonly IkeSelector[]): Uint8Array {
  const lengthOf = ({ startAddress, endAddress }: IkeSelector): number =>
    IKE_SELECTOR_HEADER_LENGTH + startAddress.length + endAddress.length
  const bytes = new Uint8Array(selectors.reduce((sum, selector) => sum + lengthOf(selector), 0))
  let at = 0
  for (const selector of selectors) {
    const { type, protocol, startPort, endPort, startAddress, endAddress } = selector
    at = ikeSelector.emit({ type, protocol, length: lengthOf(selector), startPort, endPort }, bytes, at)
    bytes.set(startAddress, at)
    bytes.set(endAddress, at + startAddress.length)
    at += startAddress.length + endAddress.length
  }
  return bytes
}
