/**
 * From bytes to layers. The bindings of src/wire say which header follows which, the declarations say what each byte
 * is; here is only the walk: where a header's payload ends, what is verified, and what the bytes left over are.
 *
 * Every byte belongs to exactly one layer. Nothing here throws on a stranger's bytes.
 */
import type { Layer } from './layer.js'
import { walkLink } from './link.js'
import { Walk } from './walk.js'

/**
 * The layers of a packet, outermost first. `originalLength`: its length on the wire, where it is known; without it a
 * header that claims more than there is counts as cut off, not as wrong.
 */
export function dissect(bytes: Uint8Array, linkType: number, originalLength?: number): Layer[] {
  const walk = new Walk(bytes)
  const claimed =
    originalLength === undefined ? Number.POSITIVE_INFINITY : Math.max(bytes.length, originalLength)
  walkLink(walk, linkType, { start: 0, end: bytes.length, claimed })
  return walk.layers
}
