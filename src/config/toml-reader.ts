/** TOML with places: the tables put together from headers, dotted keys and inline tables, and the errors' words. */
import { type AST, parseTOML } from 'toml-eslint-parser'
import { didYouMean, WarrenError } from '../base/index.js'
import { type Located, located } from './located.js'

export interface TomlEntry {
  /** The key as written, and where. */
  readonly name: Located<string>
  readonly node: TomlNode
}

export interface TomlTable {
  readonly type: 'Table'
  /** Of the key or brace that first names it. */
  readonly where: string
  readonly entries: Map<string, TomlEntry>
}

export type TomlNode = TomlTable | AST.TOMLValue | AST.TOMLArray

export class TomlReader {
  readonly file: string

  constructor(file: string) {
    this.file = file
  }

  /** The file's top table. Throws `WarrenError` CONFIG_SYNTAX. */
  parse(text: string): TomlTable {
    let program: AST.TOMLProgram
    try {
      program = parseTOML(text, { tomlVersion: '1.0' })
    } catch (error) {
      if (!isSyntaxError(error)) throw error
      return this.#refuseSyntax(text, error)
    }
    const [top] = program.body
    const root = this.#table(top)
    for (const node of top.body) {
      if (node.type === 'TOMLKeyValue') this.#put(root, node)
      else if (node.kind === 'array')
        this.fail(
          this.#at(node),
          'CONFIG_SYNTAX',
          'an array of tables',
          `[[${keyText(node.key)}]]`,
          `[${keyText(node.key)}.NAME]`,
        )
      else {
        const table = this.#descend(root, node.key.keys)
        for (const pair of node.body) this.#put(table, pair)
      }
    }
    return root
  }

  /** The parser points behind a line's end where something is missing there: the place is that line's. */
  #refuseSyntax(text: string, { message, lineNumber, column }: TomlSyntaxError): never {
    const lines = text.split('\n')
    const isBehind = column === 0 && lineNumber > 1 && (lines[lineNumber - 1] ?? '').trim() === ''
    const line = isBehind ? lineNumber - 1 : lineNumber
    const content = lines[line - 1] ?? ''
    const at = isBehind ? content.trimEnd().length : column
    throw new WarrenError(
      'CONFIG_SYNTAX',
      `not TOML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`,
      {
        where: `${this.file}:${line}:${at + 1}`,
        ...(content.trim() === '' ? {} : { found: content.trim() }),
      },
    )
  }

  /** The keys of what must be a table. */
  entries(node: TomlNode, what = 'a table'): Iterable<TomlEntry> {
    if (node.type !== 'Table') return this.wrongType(node, what, 'a table')
    return node.entries.values()
  }

  whereOf(node: TomlNode): string {
    return node.type === 'Table' ? node.where : this.#at(node)
  }

  /** An array's element as a node of its own. */
  nodeOf(content: AST.TOMLContentNode): TomlNode {
    if (content.type !== 'TOMLInlineTable') return content
    const table = this.#table(content)
    for (const pair of content.body) this.#put(table, pair)
    return table
  }

  wrongType(node: TomlNode, key: string, expected: string): never {
    return this.fail(this.whereOf(node), 'CONFIG_BAD_VALUE', key, describe(node), expected)
  }

  unknownKey({ value, where }: Located<string>, known: readonly string[], place: string): never {
    return this.fail(
      where,
      'CONFIG_UNKNOWN_WORD',
      `unknown key ${place}`,
      value,
      known.join(', '),
      didYouMean(value, known),
    )
  }

  fail(where: string, code: string, summary: string, found: string, expected: string, mend?: string): never {
    throw new WarrenError(code, summary, { where, found, expected, ...(mend === undefined ? {} : { mend }) })
  }

  #put(table: TomlTable, { key, value }: AST.TOMLKeyValue): void {
    const last = key.keys.at(-1)!
    const parent = this.#descend(table, key.keys.slice(0, -1))
    parent.entries.set(nameOf(last), {
      name: located(nameOf(last), this.#at(last)),
      node: this.nodeOf(value),
    })
  }

  /** The table that a dotted key names, made where it is new. */
  #descend(from: TomlTable, keys: readonly (AST.TOMLBare | AST.TOMLQuoted)[]): TomlTable {
    let table = from
    for (const key of keys) {
      const name = nameOf(key)
      const entry = table.entries.get(name)
      if (entry === undefined) {
        const node = this.#table(key)
        table.entries.set(name, { name: located(name, this.#at(key)), node })
        table = node
      } else if (entry.node.type === 'Table') table = entry.node
      else this.wrongType(entry.node, name, 'a table')
    }
    return table
  }

  #table(node: AST.TOMLNode): TomlTable {
    return { type: 'Table', where: this.#at(node), entries: new Map() }
  }

  #at({ loc }: AST.TOMLNode): string {
    return `${this.file}:${loc.start.line}:${loc.start.column + 1}`
  }
}

const nameOf = (key: AST.TOMLBare | AST.TOMLQuoted): string =>
  key.type === 'TOMLBare' ? key.name : key.value
const keyText = (key: AST.TOMLKey): string => key.keys.map(nameOf).join('.')

function describe(node: TomlNode): string {
  if (node.type === 'Table') return 'a table'
  if (node.type === 'TOMLArray') return 'an array'
  if (node.kind === 'string') return `"${node.value}"`
  if (node.kind === 'boolean') return `${node.value}`
  return node.kind === 'integer' || node.kind === 'float' ? node.number : node.datetime
}

type TomlSyntaxError = Error & { readonly lineNumber: number; readonly column: number }

/** The parser's own class, known by its members: its `name` is a plain SyntaxError's. */
function isSyntaxError(error: unknown): error is TomlSyntaxError {
  return error instanceof SyntaxError && 'lineNumber' in error && 'column' in error
}
