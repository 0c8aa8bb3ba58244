/**
 * Wireshark's tables of preferences ("user accessible tables") as text: a record a line, its fields in quotation marks
 * with commas between them, `#` before a comment.
 */

/** What stands behind a backslash, beside `x` and two hexadecimal digits. */
const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  e: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '"': '"',
  '\\': '\\',
}

const FIELD = /\s*"((?:[^"\\]|\\.)*)"\s*(,|$)/y

/** The fields of a record; undefined where it is not one. Bytes that are escaped are characters U+0000 to U+00FF. */
export function parseUatRecord(line: string): string[] | undefined {
  const fields: string[] = []
  FIELD.lastIndex = 0
  for (;;) {
    const match = FIELD.exec(line)
    if (match === null) return undefined
    const field = unescaped(match[1]!)
    if (field === undefined) return undefined
    fields.push(field)
    if (match[2] === '') return fields
  }
}

function unescaped(text: string): string | undefined {
  let isGood = true
  const field = text.replace(/\\(x[0-9a-fA-F]{2}|.)/g, (_, code: string) => {
    if (code.length === 3) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    const character = ESCAPES[code]
    if (character === undefined) isGood = false
    return character ?? ''
  })
  return isGood ? field : undefined
}

/** Everything that is not printable ASCII is `\xHH`, as Wireshark writes it. Fields hold characters up to U+00FF. */
export function formatUatRecord(fields: readonly string[]): string {
  return fields.map((field) => `"${field.replace(/[^ !#-[\]-~]/g, escaped)}"`).join(',')
}

const escaped = (character: string): string =>
  `\\x${character.charCodeAt(0).toString(16).padStart(2, '0').slice(-2)}`
