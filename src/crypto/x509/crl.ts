/** Lists of revoked certificates (RFC 5280 section 5): complete ones, of the authority itself. */

import type { Refused } from './certificate.js'
import {
  checkInteger,
  contextTag,
  DerError,
  DerReader,
  DerTag,
  readBoolean,
  readBytesOfBits,
  readOid,
  readSmallInteger,
  readTime,
} from './der-reader.js'
import { readName } from './name.js'
import { type SignedBy, signedBy } from './signed.js'

export interface RevocationList {
  readonly issuer: Uint8Array
  /** Milliseconds since 1970. */
  readonly thisUpdate: number
  /** Absent: it does not say when the next one is due. */
  readonly nextUpdate?: number
  /** When a certificate of this serial number was revoked; undefined: it was not. */
  revoked(serial: Uint8Array): number | undefined
  readonly count: number
  readonly signedBy: SignedBy
}

/** A file of the administrator; all the same. */
const LIST_MAX = 16 * 1024 * 1024

export function parseRevocationList(bytes: Uint8Array): RevocationList | Refused {
  if (bytes.length > LIST_MAX) return { refused: `a list of ${bytes.length} bytes` }
  try {
    return read(Uint8Array.from(bytes))
  } catch (error) {
    if (error instanceof DerError) return { refused: `not a list of revoked certificates: ${error.message}` }
    throw error
  }
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
const isTime = (tag: number | undefined): boolean => tag === DerTag.utcTime || tag === DerTag.generalizedTime

function read(bytes: Uint8Array): RevocationList {
  const outer = new DerReader(bytes)
  const list = outer.inside(DerTag.sequence)
  outer.end()
  const tbs = list.next(DerTag.sequence)
  const algorithm = list.next(DerTag.sequence)
  const signature = readBytesOfBits(list.next(DerTag.bitString).content)
  list.end()
  const body = new DerReader(tbs.content)
  const version = body.optional(DerTag.integer)
  if (version !== undefined && readSmallInteger(version.content) !== 1)
    throw new DerError('an unknown version')
  const inner = body.next(DerTag.sequence)
  if (hex(inner.whole) !== hex(algorithm.whole)) throw new DerError('two algorithms of signature')
  const issuer = body.next(DerTag.sequence).whole
  readName(issuer)
  const thisUpdate = readTime(body.next())
  const nextUpdate = isTime(body.nextTag) ? readTime(body.next()) : undefined
  const revoked = new Map<string, number>()
  const entries = body.optional(DerTag.sequence)
  if (entries !== undefined) readEntries(new DerReader(entries.content), revoked)
  const extensions = body.optional(contextTag(0, true))
  body.end()
  if (extensions !== undefined) {
    const wrapper = new DerReader(extensions.content)
    checkExtensions(wrapper.inside(DerTag.sequence))
    wrapper.end()
  }
  return {
    issuer,
    thisUpdate,
    ...(nextUpdate === undefined ? {} : { nextUpdate }),
    count: revoked.size,
    revoked: (serial) => revoked.get(hex(serial)),
    signedBy: signedBy(tbs.whole, algorithm.whole, signature),
  }
}

function readEntries(entries: DerReader, revoked: Map<string, number>): void {
  while (!entries.atEnd) {
    const entry = entries.inside(DerTag.sequence)
    const serial = entry.next(DerTag.integer).content
    checkInteger(serial)
    revoked.set(hex(serial), readTime(entry.next()))
    const extensions = entry.optional(DerTag.sequence)
    if (extensions !== undefined) checkExtensions(new DerReader(extensions.content))
    entry.end()
  }
}

/** RFC 5280 section 5.2: deltas, lists of some certificates and lists for others say so in a critical extension. */
function checkExtensions(list: DerReader): void {
  while (!list.atEnd) {
    const extension = list.inside(DerTag.sequence)
    const id = readOid(extension.next(DerTag.oid).content)
    const critical = extension.optional(DerTag.boolean)
    extension.next(DerTag.octetString)
    extension.end()
    if (critical !== undefined && readBoolean(critical.content))
      throw new DerError(`extension ${id}, which is not understood`)
  }
}
