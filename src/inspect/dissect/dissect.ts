/**
 * From bytes to layers. The bindings of src/wire say which header follows which, the declarations say what each byte
 * is; here is only the walk: where a header's payload ends, what is verified, and what the bytes left over are.
 *
 * Every byte belongs to exactly one layer. Nothing here throws on a stranger's bytes.
 */
import type { Opener } from '../opener.js'
import type { Layer } from './layer.js'
import { walkLink } from './link.js'
import { Walk } from './walk.js'

/**
 * The layers of a packet, outermost first. `originalLength`: its length on the wire, where it is known; without it a
 * header that claims more than there is counts as cut off, not as wrong.
 */
export function dissect(bytes: Uint8Array, linkType: number, originalLength?: number): Layer[] {
  return dissectOpened(bytes, linkType, { originalLength }).layers
}

export interface Dissection {
  readonly layers: Layer[]
  /** What the layers are ranges of: the packet, with plaintext where ciphertext stood if something was opened. */
  readonly bytes: Uint8Array
}

/** The same with keys: ESP that `opener` has a key for is followed, AH verified. */
export function dissectOpened(
  bytes: Uint8Array,
  linkType: number,
  {
    originalLength,
    opener,
  }: { readonly originalLength?: number | undefined; readonly opener?: Opener | undefined },
): Dissection {
  const walk = new Walk(bytes, opener)
  const claimed =
    originalLength === undefined ? Number.POSITIVE_INFINITY : Math.max(bytes.length, originalLength)
  walkLink(walk, linkType, { start: 0, end: bytes.length, claimed })
  return { layers: walk.layers, bytes: walk.bytes }
}
