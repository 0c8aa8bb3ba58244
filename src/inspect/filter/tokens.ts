/** The words of a filter expression, each with its place. */
import { WarrenError } from '../../base/index.js'

export interface Token {
  readonly kind: 'word' | 'number' | 'symbol' | 'end'
  readonly text: string
  /** Column, counted from 1. */
  readonly column: number
}

const symbols: readonly string[] = ['<<', '>>', '<=', '>=', '==', '!=', '&&', '||', ...'()[]:+-*/%&|^=<>!~']

/** Letters of a long expression that an error shows, on either side of its place. */
const SHOWN = 40

/** A filter error: `where` has the expression and the column. */
export function filterError(
  text: string,
  column: number,
  summary: string,
  details: { found?: string; expected?: string; mend?: string } = {},
): WarrenError {
  const from = Math.max(0, column - 1 - SHOWN)
  const part = text.slice(from, column - 1 + SHOWN)
  const shown = `${from > 0 ? '…' : ''}${part}${from + part.length < text.length ? '…' : ''}`
  return new WarrenError('INSPECT_FILTER', summary, {
    where: `filter "${shown}", column ${column}`,
    ...details,
  })
}

export function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  let at = 0
  while (at < text.length) {
    if (/\s/.test(text[at]!)) {
      at++
      continue
    }
    const rest = text.slice(at)
    const column = at + 1
    const word = wordAt(rest)
    if (word !== undefined) {
      const bare = word.replace(/^\\/, '')
      tokens.push({ kind: /^(0x[0-9a-fA-F]+|\d+)$/.test(bare) ? 'number' : 'word', text: bare, column })
      at += word.length
      continue
    }
    const symbol = symbols.find((candidate) => rest.startsWith(candidate))
    if (symbol === undefined)
      throw filterError(text, column, 'a character that filters do not use', { found: `"${text[at]}"` })
    tokens.push({ kind: 'symbol', text: symbol, column })
    at += symbol.length
  }
  tokens.push({ kind: 'end', text: 'the end', column: text.length + 1 })
  return tokens
}

/** IPv6 and MAC addresses (with colons), IPv4 addresses and prefixes, ranges, names with hyphens. */
function wordAt(rest: string): string | undefined {
  const withColons = /^[0-9a-fA-F]*:[0-9a-fA-F:]*(?:\d+\.\d+\.\d+\.\d+)?(?:\/\d+)?/.exec(rest)?.[0]
  // `tcp[13:1]`: inside brackets a colon separates numbers; an address has at least two.
  if (withColons !== undefined && (withColons.match(/:/g) ?? []).length >= 2) return withColons
  const dotted = /^\d+(?:\.\d+){1,3}(?:\/\d+)?/.exec(rest)?.[0]
  if (dotted !== undefined) return dotted
  const prefix = /^\d+\/\d+(?![\d.])/.exec(rest)?.[0]
  if (prefix !== undefined) return prefix
  const range = /^\d+-\d+/.exec(rest)?.[0]
  if (range !== undefined) return range
  const number = /^(?:0x[0-9a-fA-F]+|\d+)(?![A-Za-z_])/.exec(rest)?.[0]
  if (number !== undefined) return number
  return /^\\?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?/.exec(rest)?.[0]
}
