/**
 * What the grammars of ipsec.conf(5) and iked.conf(5) have in common: words with the place of each, macros and included
 * files resolved.
 */
import { type ErrorDetails, WarrenError } from '../../base/index.js'
import { checkSecretMode } from './permissions.js'

export interface Token {
  /** `\n` is the end of a rule; '' the end of everything. */
  readonly text: string
  readonly quoted: boolean
  readonly file: string
  readonly line: number
  /** From 1. */
  readonly column: number
}

export interface ReadFile {
  readonly text: string
  /** Permission bits, where the caller knows them: a file with keys that others can read is refused. */
  readonly mode?: number
}

/** Reads a file that another one names; throws `WarrenError` where it cannot. */
export type Reader = (name: string, where: string) => ReadFile

/** What stands alone, whatever is around it. */
const PUNCTUATION = '{}(),=!<>'

export const whereOf = ({ file, line, column }: Token): string => `${file}:${line}:${column}`

/** What may be a key, wherever it was written, is never shown: a slip can put it anywhere. */
const hidden = (text: string): string =>
  text.replaceAll(/(?:0x)?[0-9a-fA-F]{16,}/g, ({ length }) => `(${length} characters)`)

export function refuse(
  token: Token,
  code: string,
  summary: string,
  { found, expected, mend }: Omit<ErrorDetails, 'where'>,
): never {
  throw new WarrenError(code, hidden(summary), {
    where: whereOf(token),
    ...(found === undefined ? {} : { found: hidden(found) }),
    ...(expected === undefined ? {} : { expected }),
    ...(mend === undefined ? {} : { mend: hidden(mend) }),
  })
}

/** A token as an error shows it. */
export const shown = (token: Token): string =>
  token.text === '' ? 'the end of the file' : token.text === '\n' ? 'the end of the line' : `"${token.text}"`

const CONTINUED = /^\\[ \t]*\r?\n/

/** A backslash keeps the quote, a blank and a line's end from being what they are; elsewhere it is itself. */
function readQuoted(text: string, start: number, where: string): { text: string; end: number } {
  const quote = text[start]!
  let value = ''
  let at = start + 1
  for (;;) {
    const char = text[at]
    if (char === undefined || char === '\n')
      throw new WarrenError('CONFIG_SYNTAX', 'a quote is not closed', {
        where,
        expected: `another ${quote} on the same line`,
      })
    if (char === quote) return { text: value, end: at + 1 }
    const next = text[at + 1]
    if (char === '\\' && next === '\n') at += 2
    else if (char === '\\' && next !== undefined && `${quote} \t`.includes(next)) {
      value += next
      at += 2
    } else {
      value += char
      at++
    }
  }
}

/** A backslash at a line's end joins it with the next; # begins a comment. Ends with a `\n`. */
export function tokenize(text: string, file: string): Token[] {
  const tokens: Token[] = []
  let line = 1
  let lineStart = 0
  let at = 0
  const push = (word: string, from: number, quoted = false): void => {
    tokens.push({ text: word, quoted, file, line, column: from - lineStart + 1 })
  }
  while (at < text.length) {
    const char = text[at]!
    const continued = CONTINUED.exec(text.slice(at, at + 40))
    if (continued !== null) {
      at += continued[0].length
      line++
      lineStart = at
    } else if (char === '\n') {
      push('\n', at)
      at++
      line++
      lineStart = at
    } else if (char === ' ' || char === '\t' || char === '\r') at++
    else if (char === '#') {
      // A backslash goes on with a comment, too: what is below it is no rule.
      while (at < text.length && text[at] !== '\n') {
        const further = CONTINUED.exec(text.slice(at, at + 40))
        at += further?.[0].length ?? 1
        if (further === null) continue
        line++
        lineStart = at
      }
    } else if (char === '"' || char === "'") {
      const quoted = readQuoted(text, at, `${file}:${line}:${at - lineStart + 1}`)
      push(quoted.text, at, true)
      const lines = text.slice(at, quoted.end).split('\n')
      if (lines.length > 1) {
        line += lines.length - 1
        lineStart = quoted.end - lines.at(-1)!.length
      }
      at = quoted.end
    } else if (PUNCTUATION.includes(char)) {
      push(char, at)
      at++
    } else {
      const [word = char] = /^[^\s{}(),=!<>#"'\\]+/.exec(text.slice(at)) ?? []
      push(word, at)
      at += word.length
    }
  }
  push('\n', at)
  return tokens
}

/** Includes within includes, and all of them together. */
const INCLUDE_DEPTH = 16
const INCLUDE_LIMIT = 64
/** Tokens that macros may grow to in one configuration. */
const TOKEN_LIMIT = 200_000

/** The tokens of a configuration, one by one. */
export class TokenStream {
  readonly macros: Map<string, readonly Token[]> = new Map()
  readonly #reader: Reader | undefined
  readonly #secret: boolean
  /** The files being read, the innermost last. */
  readonly #stack: { readonly file: string; readonly tokens: readonly Token[]; at: number }[] = []
  /** A macro's words, in the place of its name. */
  #pending: Token[] = []
  #includes = 0
  #taken = 0
  #last: Token

  /** `secret`: included files must be as closed to others as the first. */
  constructor(text: string, file: string, reader: Reader | undefined, secret = false) {
    this.#reader = reader
    this.#secret = secret
    this.#stack.push({ file, tokens: tokenize(text, file), at: 0 })
    this.#last = { text: '', quoted: false, file, line: 1, column: 1 }
  }

  /** The next token, a macro's value in the place of its name; it stays the next one. */
  peek(): Token {
    const [pending] = this.#pending
    if (pending !== undefined) return pending
    const token = this.#raw()
    if (token.quoted || !token.text.startsWith('$')) return token
    this.#advance()
    this.#pending = this.expand(token)
    return this.peek()
  }

  next(): Token {
    const token = this.peek()
    if (++this.#taken > TOKEN_LIMIT) refuse(token, 'CONFIG_LIMIT', 'the configuration is too long', {})
    if (this.#pending.length > 0) this.#pending.shift()
    else this.#advance()
    this.#last = token
    return token
  }

  /** Whether the token behind the next one is `=`: a macro's definition. */
  get definesMacro(): boolean {
    const top = this.#stack.at(-1)
    const second = top?.tokens[top.at + 1]
    return this.#pending.length === 0 && second?.text === '=' && !second.quoted
  }

  take(text: string): boolean {
    const token = this.peek()
    if (token.quoted || token.text !== text) return false
    this.next()
    return true
  }

  get last(): Token {
    return this.#last
  }

  /** The words that stand for `$NAME`, at the place of the name. */
  expand(token: Token): Token[] {
    const value = this.macros.get(token.text.slice(1))
    if (value === undefined)
      refuse(token, 'CONFIG_UNKNOWN_MACRO', `macro '${token.text.slice(1)}' not defined`, {
        mend: `define it above: ${token.text.slice(1)} = "VALUE"`,
      })
    const { file, line, column } = token
    return value!.map(({ text, quoted }) => ({ text, quoted, file, line, column }))
  }

  /** Goes on in another file; comes back here at its end. */
  include(name: Token): void {
    const at = whereOf(name)
    if (this.#reader === undefined)
      refuse(name, 'CONFIG_UNSUPPORTED', 'nothing can be included here', { found: shown(name) })
    if (this.#stack.length > INCLUDE_DEPTH || ++this.#includes > INCLUDE_LIMIT)
      refuse(name, 'CONFIG_LIMIT', 'too many includes', {
        expected: `at most ${INCLUDE_LIMIT}, ${INCLUDE_DEPTH} deep`,
        mend: 'look for a file that includes itself',
      })
    const { text, mode } = this.#reader!(name.text, at)
    if (mode !== undefined && this.#secret) checkSecretMode(name.text, mode, at)
    this.#stack.push({ file: name.text, tokens: tokenize(text, name.text), at: 0 })
  }

  #raw(): Token {
    for (;;) {
      const top = this.#stack.at(-1)!
      const token = top.tokens[top.at]
      if (token !== undefined) return token
      if (this.#stack.length === 1) return { ...(top.tokens.at(-1) ?? this.#last), text: '', quoted: false }
      this.#stack.pop()
    }
  }

  #advance(): void {
    this.#raw()
    this.#stack.at(-1)!.at++
  }
}
