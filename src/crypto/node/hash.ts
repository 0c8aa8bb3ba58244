/** Hashes that have a name of their own. */
import { nodeHash } from './prf.js'

/** Where a protocol names things by it (CERTREQ, key identifiers, MS-CHAP): nothing rests on its strength there. */
export const sha1 = (...parts: readonly Uint8Array[]): Uint8Array => nodeHash('sha1', ...parts)
