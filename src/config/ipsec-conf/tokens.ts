/** Words of ipsec.conf(5) with the place of each, macros and included files resolved. */
import { type ErrorDetails, WarrenError } from '../../base/index.js'

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
    const continued = /^\\[ \t]*\r?\n/.exec(text.slice(at, at + 40))
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
    else if (char === '#') while (at < text.length && text[at] !== '\n') at++
    else if (char === '"' || char === "'") {
      const end = text.indexOf(char, at + 1)
      const newline = text.indexOf('\n', at)
      if (end < 0 || (newline >= 0 && newline < end))
        throw new WarrenError('CONFIG_SYNTAX', 'a quote is not closed', {
          where: `${file}:${line}:${at - lineStart + 1}`,
          expected: `another ${char} on the same line`,
        })
      push(text.slice(at + 1, end), at, true)
      at = end + 1
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
  /** The files being read, the innermost last. */
  readonly #stack: { readonly file: string; readonly tokens: readonly Token[]; at: number }[] = []
  /** A macro's words, in the place of its name. */
  #pending: Token[] = []
  #includes = 0
  #taken = 0
  #last: Token

  constructor(text: string, file: string, reader: Reader | undefined) {
    this.#reader = reader
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
    return this.#pending.length === 0 && top?.tokens[top.at + 1]?.text === '='
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
    const { text } = this.#reader!(name.text, at)
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
