/**
 * Every error that Warren raises on purpose.
 *
 * A `WarrenError` has a stable `code` (part of the public interface: programs match on it), says what was
 * found and what was expected, where, and the mend. Text for people is made from those parts; nothing
 * secret ever goes into one.
 */

export interface ErrorDetails {
  /** What was there, as the user or the wire wrote it. */
  readonly found?: string
  /** What would have been right. */
  readonly expected?: string
  /** Where: `file:line`, `file:line:column`, a payload and its offset. */
  readonly where?: string
  /** What to do about it, as an instruction. */
  readonly mend?: string
}

export class WarrenError extends Error {
  /** Stable literal, in the form `ROOM_WHAT`; see docs/errors.md. */
  readonly code: string
  /** What is wrong, without place, values and mend. */
  readonly summary: string
  readonly details: ErrorDetails

  constructor(code: string, summary: string, details: ErrorDetails = {}) {
    super(describe(summary, details))
    this.name = new.target.name
    this.code = code
    this.summary = summary
    this.details = details
  }
}

/** `where: summary: found X, expected Y; mend`, leaving out what is not known. */
function describe(summary: string, { found, expected, where, mend }: ErrorDetails): string {
  let text = where === undefined ? summary : `${where}: ${summary}`
  if (found !== undefined) text += `: found ${found}`
  if (expected !== undefined)
    text += found === undefined ? `: expected ${expected}` : `, expected ${expected}`
  if (mend !== undefined) text += `; ${mend}`
  return text
}

/**
 * Bytes that do not follow their format. Thrown only by constructors of views and by `parse`; the boundary
 * of a machine turns it into a counted reason.
 */
export class ParseError extends WarrenError {
  /** Header's name, as in `tcp` or `gre`. */
  readonly header: string
  /** Field's name in the header's declaration. */
  readonly field: string
  /** Byte offset of the field from the start of the buffer that was parsed. */
  readonly offset: number
  /** Short stable name of the reason, under which the packet is counted: `ipv4.ihl`. */
  readonly reason: string

  constructor(header: string, field: string, offset: number, found: string, expected: string) {
    super('WIRE_MALFORMED', `${header} ${field}`, { where: `byte ${offset}`, found, expected })
    this.header = header
    this.field = field
    this.offset = offset
    this.reason = `${header}.${field}`
  }
}
