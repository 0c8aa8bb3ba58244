/** `NAME = "VALUE"`, and macros that the caller gives (`-D`). */
import { refuse, shown, type Token, type TokenStream, tokenize } from './tokens.js'

export interface Macro {
  readonly name: string
  /** Its words with a blank between. */
  readonly text: string
}

/** Reads a definition. One of `fixed` keeps the value that the caller gave. */
export function defineMacro(stream: TokenStream, fixed: ReadonlyMap<string, string>): Macro {
  const name = stream.next()
  stream.next()
  if (!/^[A-Za-z_]\w*$/.test(name.text))
    refuse(name, 'CONFIG_SYNTAX', 'the name of a macro', {
      found: shown(name),
      expected: 'letters, digits and underscores',
    })
  const value: Token[] = []
  while (stream.peek().text !== '\n' || stream.peek().quoted) {
    const token = stream.next()
    if (token.quoted) {
      for (const { text } of tokenize(token.text, token.file).slice(0, -1))
        value.push({ ...token, text, quoted: false })
    } else value.push(token)
  }
  if (value.length === 0)
    refuse(stream.peek(), 'CONFIG_SYNTAX', `the macro ${name.text} is empty`, {
      expected: `${name.text} = "VALUE"`,
    })
  if (!fixed.has(name.text)) stream.macros.set(name.text, value)
  return { name: name.text, text: value.map((token) => token.text).join(' ') }
}

export function fixMacros(stream: TokenStream, fixed: ReadonlyMap<string, string>, file: string): void {
  for (const [name, value] of fixed) stream.macros.set(name, tokenize(value, file).slice(0, -1))
}
