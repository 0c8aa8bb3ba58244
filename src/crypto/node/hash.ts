/** Hashes of whole messages through `node:crypto`. */
import { createHash } from 'node:crypto'
import type { HashName } from '../prf.js'

export const hash = (name: HashName, ...parts: readonly Uint8Array[]): Uint8Array => {
  const state = createHash(name)
  for (const part of parts) state.update(part)
  return new Uint8Array(state.digest())
}

/** Where a protocol names things by it (CERTREQ, key identifiers): nothing rests on its strength there. */
export const sha1 = (...parts: readonly Uint8Array[]): Uint8Array => hash('sha1', ...parts)
