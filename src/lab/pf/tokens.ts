/** pf.conf's words, and a reader over them that puts a macro's value in the place of its name. */
import { WarrenError } from '../../base/index.js'

/** Replacements of macros in one file. */
const EXPANSION_LIMIT = 10_000

export interface Token {
  readonly text: string
  readonly line: number
  /** In quotes: never a keyword. */
  readonly quoted: boolean
}

export const END: Token = { text: '', line: 0, quoted: true }
const PUNCTUATION = new Set(['{', '}', ',', '=', '!', '(', ')', '<', '>', '\n', '-'])

export function tokenize(text: string, file: string): Token[] {
  const tokens: Token[] = []
  let line = 1
  let at = 0
  while (at < text.length) {
    const char = text[at]!
    if (char === '\\' && text[at + 1] === '\n') {
      line++
      at += 2
    } else if (char === '\n') {
      tokens.push({ text: '\n', line: line++, quoted: false })
      at++
    } else if (/\s/.test(char)) at++
    else if (char === '#') while (at < text.length && text[at] !== '\n') at++
    else if (char === '"' || char === "'") {
      const end = text.indexOf(char, at + 1)
      if (end < 0) throw syntax(file, line, 'a quote without its end', `a closing ${char}`)
      tokens.push({ text: text.slice(at + 1, end), line, quoted: true })
      line += text.slice(at, end).split('\n').length - 1
      at = end + 1
    } else if (PUNCTUATION.has(char) && !(char === '-' && /\w/.test(text[at + 1] ?? ''))) {
      const pair = text.slice(at, at + 2)
      const operator = ['!=', '<=', '>=', '><', '<>'].includes(pair) ? pair : char
      tokens.push({ text: operator, line, quoted: false })
      at += operator.length
    } else {
      const [word = char] = /^[^\s#{},=!()<>"']+/.exec(text.slice(at)) ?? []
      tokens.push({ text: word, line, quoted: false })
      at += word.length
    }
  }
  return tokens
}

export const syntax = (file: string, line: number, found: string, expected: string): WarrenError =>
  new WarrenError('LAB_PF_SYNTAX', 'syntax error', {
    found: found === '\n' || found === '' ? 'the end of the line' : `"${found}"`,
    expected,
    where: `${file}:${line}`,
  })

export abstract class TokenReader {
  protected readonly file: string
  protected readonly tokens: Token[]
  protected at = 0
  protected readonly macros: Map<string, Token[]> = new Map()
  #expansions = 0

  constructor(tokens: Token[], file: string) {
    this.tokens = tokens
    this.file = file
  }

  /** One of `item`, or several in braces with commas or blanks between. */
  protected list<T>(item: () => T): T[] {
    if (!this.take('{')) return [item()]
    const items: T[] = []
    for (;;) {
      while (this.take('\n') || this.take(',')) {}
      if (this.take('}')) break
      if (this.peek() === END) this.refuse('}')
      if (this.peek().text === '{') items.push(...this.list(item))
      else items.push(item())
    }
    if (items.length === 0) this.refuse('at least one member of the list')
    return items
  }

  protected word(what: string): string {
    const token = this.peek()
    if (token === END || (!token.quoted && PUNCTUATION.has(token.text))) this.refuse(what)
    return this.next().text
  }

  /** The next token, with a macro's value in the place of its name. */
  protected peek(): Token {
    const token = this.tokens[this.at]
    if (token === undefined) return END
    if (token.quoted || !token.text.startsWith('$') || token.text.length === 1) return token
    const value = this.macros.get(token.text.slice(1))
    if (value === undefined)
      throw new WarrenError('LAB_PF_SYNTAX', `macro '${token.text.slice(1)}' not defined`, {
        where: `${this.file}:${token.line}`,
      })
    if (++this.#expansions > EXPANSION_LIMIT)
      throw syntax(this.file, token.line, token.text, 'macros that end somewhere')
    this.tokens.splice(this.at, 1, ...value.map(({ text, quoted }) => ({ text, quoted, line: token.line })))
    return this.peek()
  }

  protected next(): Token {
    const token = this.peek()
    this.at++
    return token
  }

  protected take(text: string): boolean {
    const token = this.peek()
    if (token.quoted || token.text !== text) return false
    this.at++
    return true
  }

  protected expect(text: string): void {
    if (!this.take(text)) this.refuse(`"${text}"`)
  }

  protected endOfLine(): void {
    if (this.peek() !== END) this.expect('\n')
  }

  protected refuse(expected: string): never {
    const token = this.peek()
    const line = token === END ? (this.tokens.at(-1)?.line ?? 1) : token.line
    throw syntax(this.file, line, token.text, expected)
  }
}
