/**
 * Scripts as the article writes them: lines as typed in a shell; a comment line `# on alice`, `# on bob`,
 * `# on both …`, `# on each …`, `# on the host` says where the lines below it run. Other comments are comments.
 *
 * A command is kept whole over continuation lines, open quotes, compound commands and here-documents.
 */

export interface ScriptSection {
  readonly kind: 'section'
  /** Names as the comment has them; `both` and `each` are alice and bob. */
  readonly machines: readonly string[]
  /** False: only a section if there is a machine of that name, for it may be any comment that begins with "on". */
  readonly certain: boolean
  readonly line: number
}

export interface ScriptCommand {
  readonly kind: 'command'
  readonly text: string
  /** Of its first line, from 1. */
  readonly line: number
}

export type ScriptItem = ScriptSection | ScriptCommand

const SECTION = /^\s*#\s*on\s+(?:the\s+)?([A-Za-z][\w-]*)(.*)$/i
const NAMED = new Set(['alice', 'bob', 'host'])

export function parseScript(text: string): ScriptItem[] {
  const lines = text.replaceAll('\r\n', '\n').split('\n')
  const items: ScriptItem[] = []
  for (let at = 0; at < lines.length; ) {
    const line = lines[at]!
    const number = at + 1
    if (/^\s*(#|$)/.test(line)) {
      const section = sectionOf(line, number)
      if (section !== undefined) items.push(section)
      at++
      continue
    }
    const end = commandEnd(lines, at)
    items.push({ kind: 'command', text: lines.slice(at, end).join('\n'), line: number })
    at = end
  }
  return items
}

function sectionOf(comment: string, line: number): ScriptSection | undefined {
  const [, first = '', rest = ''] = SECTION.exec(comment) ?? []
  if (first === '') return undefined
  const name = first.toLowerCase()
  if (name === 'both' || name === 'each' || (name === 'all' && /machine|host|side/i.test(rest)))
    return { kind: 'section', machines: ['alice', 'bob'], certain: true, line }
  const others = [...rest.matchAll(/(?:,|\band\b)\s+(?:the\s+)?(alice|bob|host)\b/gi)].map(([, one]) =>
    one!.toLowerCase(),
  )
  const machines = [name, ...others]
  if (NAMED.has(name)) return { kind: 'section', machines, certain: true, line }
  return rest.trim() === '' ? { kind: 'section', machines, certain: false, line } : undefined
}

/** Index of the line after the command that starts at `from`. */
function commandEnd(lines: readonly string[], from: number): number {
  const scanner = new Scanner()
  for (let at = from; at < lines.length; at++) {
    scanner.line(lines[at]!)
    if (scanner.complete) return at + 1
  }
  return lines.length
}

/** True if the shell would ask for no further line (for `console`, too). */
export function isComplete(text: string): boolean {
  const scanner = new Scanner()
  for (const line of text.split('\n')) scanner.line(line)
  return scanner.complete
}

const OPENERS = new Set(['if', 'for', 'while', 'until', 'case', '{', 'select'])
const LEADING = new Set(['if', 'while', 'until', 'then', 'do', 'else', 'elif', '{', '!', 'time'])
const CLOSERS = new Set(['fi', 'done', 'esac', '}'])

/** As much of the shell's grammar as tells where a command ends. */
class Scanner {
  #quote: '"' | "'" | undefined
  #continued = false
  #depth = 0
  #parentheses = 0
  /** Here-documents that were announced and not read yet. */
  readonly #documents: { readonly end: string; readonly tabs: boolean }[] = []

  get complete(): boolean {
    return (
      this.#quote === undefined &&
      !this.#continued &&
      this.#depth <= 0 &&
      this.#parentheses <= 0 &&
      this.#documents.length === 0
    )
  }

  line(text: string): void {
    const [document] = this.#documents
    // A here-document's text begins where the command line that announced it has ended.
    if (document !== undefined && this.#quote === undefined && !this.#continued) {
      if ((document.tabs ? text.replace(/^\t+/, '') : text) === document.end) this.#documents.shift()
      return
    }
    this.#continued = false
    let word = ''
    let atCommand = true
    const endWord = (): void => {
      if (word === '') return
      if (atCommand) {
        if (OPENERS.has(word)) this.#depth++
        else if (CLOSERS.has(word)) this.#depth--
        // After these another command, or another of these, may stand.
        atCommand = LEADING.has(word) || CLOSERS.has(word)
      }
      word = ''
    }
    for (let at = 0; at < text.length; at++) {
      const char = text[at]!
      if (this.#quote !== undefined) {
        if (char === '\\' && this.#quote === '"') at++
        else if (char === this.#quote) this.#quote = undefined
        continue
      }
      if (char === '\\') {
        if (at === text.length - 1) this.#continued = true
        else word += text[++at]
      } else if (char === '"' || char === "'") {
        this.#quote = char
        word += char
      } else if (char === '#' && word === '') break
      else if (char === '<' && text[at + 1] === '<' && text[at + 2] !== '<') {
        const [whole = '', dash = '', , quoted, bare] =
          /^<<(-?)\s*(?:(["'])(.*?)\2|([^\s;&|<>()]+))/.exec(text.slice(at)) ?? []
        if (whole !== '') {
          this.#documents.push({ end: quoted ?? bare?.replaceAll('\\', '') ?? '', tabs: dash === '-' })
          at += whole.length - 1
        }
      } else if (char === '<' && text.startsWith('<<<', at)) at += 2
      else if (char === '(') {
        endWord()
        this.#parentheses++
        atCommand = true
      } else if (char === ')') {
        endWord()
        // Inside `case` a pattern's ")" has no "(".
        if (this.#parentheses > 0) this.#parentheses--
        atCommand = true
      } else if (char === ';' || char === '&' || char === '|') {
        endWord()
        atCommand = true
        const double = char !== ';' && text[at + 1] === char
        if (double) at++
        if ((double || char === '|') && /^\s*(#.*)?$/.test(text.slice(at + 1))) this.#continued = true
      } else if (/\s/.test(char)) endWord()
      else word += char
    }
    endWord()
  }
}
