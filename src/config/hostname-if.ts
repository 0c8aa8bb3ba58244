/**
 * hostname.if(5): one interface a file, its name in the file's name, a line an ifconfig call.
 *
 * `parseHostnameIf` gives the calls as `sh /etc/netstart` would make them; `rawTunnelOf` reads a tunnel out of them.
 */
import { WarrenError } from '../base/index.js'
import { type IfconfigAction, parseIfconfigArguments } from './ifconfig-arguments.js'

/** One line that does something. */
export type HostnameIfLine =
  | {
      readonly kind: 'ifconfig'
      /** `file:line`. */
      readonly where: string
      /** Arguments behind the interface's name, as netstart passes them: `inet 10.0.0.1 netmask 255.0.0.0`. */
      readonly args: readonly string[]
      readonly actions: readonly IfconfigAction[]
    }
  | {
      /** `!command`: what a shell would run, with $if replaced. */
      readonly kind: 'command'
      readonly where: string
      readonly command: string
    }

export interface HostnameIf {
  readonly interfaceName: string
  readonly file: string
  readonly lines: readonly HostnameIfLine[]
}

interface Word {
  readonly text: string
  /** From 1. */
  readonly column: number
}

/** The interface that a file of this name is for: `hostname.gif0`; `undefined` if it is not such a file. */
export function interfaceOfHostnameIf(file: string): string | undefined {
  return /(?:^|\/)hostname\.([a-z]+\d+)$/.exec(file)?.[1]
}

/**
 * Parses the whole file; throws `WarrenError` CONFIG_* at the first line that is wrong, so that nothing is half
 * applied. Without `interfaceName` the file's name has to tell it.
 */
export function parseHostnameIf(text: string, file: string, interfaceName?: string): HostnameIf {
  const name = interfaceName ?? interfaceOfHostnameIf(file)
  if (name === undefined)
    throw new WarrenError('CONFIG_FILE_NAME', 'the file name does not say which interface it is for', {
      found: file,
      expected: 'hostname.gif0 or another hostname.IF',
      mend: 'rename the file, or name the format and the interface',
    })
  // Each call's words, kept as words until all lines are read: `dest` mends the line before it.
  const calls: ({ line: number; words: Word[] } | { line: number; command: string })[] = []
  for (const [i, content] of text.split('\n').entries()) {
    const line = i + 1
    const stripped = content.replace(/\r$/, '').trimStart()
    if (stripped === '' || stripped.startsWith('#')) continue
    if (stripped.startsWith('!')) {
      calls.push({
        line,
        command: stripped.slice(1).trim().replaceAll('$if', name),
      })
      continue
    }
    const words = splitWords(content, `${file}:${line}`)
    if (words.length === 1 && /^inet6?$/.test(words[0]!.text))
      throw new WarrenError('CONFIG_MISSING_VALUE', words[0]!.text, {
        where: `${file}:${line}`,
        found: 'the end of the line',
        expected: 'an address',
      })
    if (words[0]!.text === 'dest') appendDestination(calls, words, `${file}:${line}`)
    else calls.push({ line, words: netstartWords(words) })
  }
  return {
    interfaceName: name,
    file,
    lines: calls.map((call): HostnameIfLine => {
      const where = `${file}:${call.line}`
      if ('command' in call) return { kind: 'command', where, command: call.command }
      const args = call.words.map((word) => word.text)
      const last = call.words.at(-1)!
      const whereOf = (index: number): string => {
        const word = call.words[index]
        return `${where}:${word?.column ?? last.column + last.text.length}`
      }
      return { kind: 'ifconfig', where, args, actions: parseIfconfigArguments(args, { where: whereOf }) }
    }),
  }
}

/** Blanks part words; quotes keep them together; an unquoted # at a word's start ends the line. */
function splitWords(content: string, where: string): Word[] {
  const words: Word[] = []
  const pattern = /\s*(?:(#.*)|((?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'])+)|(["']))/gy
  for (let match = pattern.exec(content); match !== null; match = pattern.exec(content)) {
    const [whole, comment, word, quote] = match
    const column = match.index + whole.length - (comment ?? word ?? quote ?? '').length + 1
    if (comment !== undefined) break
    if (word === undefined)
      throw new WarrenError('CONFIG_SYNTAX', 'a quote is not closed', {
        where: `${where}:${column}`,
        found: content.slice(column - 1),
        expected: `another ${quote}`,
      })
    words.push({
      text: word.replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_, a, b) =>
        (a ?? b).replaceAll(/\\(.)/g, '$1'),
      ),
      column,
    })
  }
  return words
}

/** hostname.if(5): `inet addr mask broadcast options`, `inet6 addr prefixlen options`, with `alias` before the address. */
function netstartWords(words: Word[]): Word[] {
  const [family] = words
  if (family?.text !== 'inet' && family?.text !== 'inet6') return words
  const result = [...words]
  const mask = result[1]?.text === 'alias' ? 3 : 2
  const isValue = (word: Word | undefined): word is Word => word !== undefined && /^[\dN]/.test(word.text)
  // A mask of NONE, and what is a word of ifconfig and not a value, are left as they stand.
  if (family.text === 'inet' && isValue(result[mask + 1]) && isValue(result[mask])) {
    const broadcast = result[mask + 1]!
    result.splice(
      mask + 1,
      1,
      ...(broadcast.text === 'NONE' ? [] : [{ ...broadcast, text: 'broadcast' }, broadcast]),
    )
  }
  const value = result[mask]
  if (isValue(value)) {
    const label = family.text === 'inet' ? 'netmask' : 'prefixlen'
    result.splice(mask, 1, ...(value.text === 'NONE' ? [] : [{ ...value, text: label }, value]))
  }
  return result
}

/** `dest B`: the other end of the address on the line before. */
function appendDestination(
  calls: ({ line: number; words: Word[] } | { line: number; command: string })[],
  words: Word[],
  where: string,
): void {
  const before = calls.at(-1)
  const at = before !== undefined && 'words' in before ? (before.words[1]?.text === 'alias' ? 3 : 2) : 0
  if (
    before === undefined ||
    !('words' in before) ||
    !before.words[0]!.text.startsWith('inet') ||
    words.length !== 2
  )
    throw new WarrenError('CONFIG_SYNTAX', 'dest', {
      where,
      found: words.map((word) => word.text).join(' '),
      expected: '"dest ADDRESS" on the line behind an inet or inet6 line',
    })
  before.words.splice(at, 0, words[1]!)
}
