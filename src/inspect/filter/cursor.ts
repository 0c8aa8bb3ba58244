/** A place in a filter's words. */
import { didYouMean } from '../../base/index.js'
import { filterError, type Token, tokenize } from './tokens.js'
import { keywords } from './words.js'

export class FilterCursor {
  readonly text: string
  readonly tokens: readonly Token[]
  at = 0

  constructor(text: string) {
    this.text = text
    this.tokens = tokenize(text)
  }

  /** The token here, or `ahead` behind it; behind the last it is the end. */
  peek(ahead = 0): Token {
    return this.tokens[Math.min(this.at + ahead, this.tokens.length - 1)]!
  }

  next(): Token {
    const token = this.peek()
    if (token.kind !== 'end') this.at++
    return token
  }

  takes(...texts: readonly string[]): boolean {
    const token = this.peek()
    if (token.kind === 'end' || !texts.includes(token.text)) return false
    this.at++
    return true
  }

  unexpected(token: Token, expected: string): Error {
    const mend = token.kind === 'word' ? didYouMean(token.text, keywords) : undefined
    return filterError(this.text, token.column, 'not what a filter has here', {
      found: token.kind === 'end' ? 'the end' : `"${token.text}"`,
      expected,
      ...(mend === undefined ? {} : { mend }),
    })
  }
}
