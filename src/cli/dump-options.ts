/** The words of `warren dump`: tcpdump's letters, one by one or joined, and two long options. */
import { suggest } from '../base/suggest.js'
import type { DumpForm } from '../inspect/hex.js'
import type { TimeFormat } from '../inspect/print/time.js'

export interface DumpOptions {
  readonly interfaceName?: string
  readonly file?: string
  readonly writeFile?: string
  readonly count?: number
  readonly snaplen?: number
  readonly verbose: number
  readonly numeric: boolean
  readonly link: boolean
  readonly quick: boolean
  readonly absolute: boolean
  readonly timeFormat: TimeFormat
  readonly dump?: DumpForm
  readonly explain: boolean
  readonly json: boolean
  /** Where the keys of ESP, AH and IKE are. */
  readonly keys: readonly string[]
  readonly unverified: boolean
  readonly filter: string
}

/** What is wrong with the call's words, and what was meant. */
export class UsageError extends Error {}

const timeFormats: readonly TimeFormat[] = ['time', 'none', 'epoch', 'date', 'delta', 'elapsed']
const longOptions: readonly string[] = ['--explain', '--json', '--keys', '--unverified', '--help']
const letters = 'AceilnNOpqrsStvwxX'

type Draft = { -readonly [K in keyof DumpOptions]: DumpOptions[K] }

/** Throws `UsageError`. */
export function parseDumpOptions(args: readonly string[]): DumpOptions {
  const draft: Draft = {
    verbose: 0,
    numeric: false,
    link: false,
    quick: false,
    absolute: false,
    timeFormat: 'time',
    explain: false,
    json: false,
    keys: [],
    unverified: false,
    filter: '',
  }
  const expression: string[] = []
  let times = 0
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!
    if (expression.length > 0 || !word.startsWith('-') || word === '-') {
      // As with tcpdump the expression is the rest; our long options may still follow it.
      if (/^--(json|explain|unverified|keys(=.*)?)$/.test(word)) setLong(draft, word, () => args[++i])
      else expression.push(word)
      continue
    }
    if (word.startsWith('--')) {
      if (word === '--') expression.push(...args.slice(i + 1))
      else setLong(draft, word, () => args[++i])
      if (word === '--') break
      continue
    }
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]!
      if ('cirsw'.includes(letter)) {
        const value = word.slice(at + 1) || args[++i]
        if (value === undefined) throw new UsageError(`-${letter} needs ${needs[letter]}`)
        setValue(draft, letter, value)
        break
      }
      if (letter === 't') times++
      else setFlag(draft, letter, word)
    }
  }
  draft.timeFormat = timeFormats[Math.min(times, timeFormats.length - 1)]!
  draft.filter = expression.join(' ')
  checkTogether(draft)
  return draft
}

const needs: Readonly<Record<string, string>> = {
  c: 'a number of packets',
  i: "an interface's name",
  r: "a capture file's name, or - for standard input",
  s: 'a number of bytes',
  w: "a file's name, or - for standard output",
}

function setLong(draft: Draft, word: string, next: () => string | undefined): void {
  if (word === '--explain') draft.explain = true
  else if (word === '--json') draft.json = true
  else if (word === '--unverified') draft.unverified = true
  else if (word === '--keys' || word.startsWith('--keys=')) {
    const value = word === '--keys' ? next() : word.slice('--keys='.length)
    if (value === undefined || value === '') throw new UsageError('--keys needs a file, or "running"')
    draft.keys = [...draft.keys, value]
  } else {
    const meant = suggest(word, longOptions)
    throw new UsageError(`no option ${word}${meant === undefined ? '' : `: did you mean ${meant}?`}`)
  }
}

function setFlag(draft: Draft, letter: string, word: string): void {
  switch (letter) {
    case 'A':
      draft.dump = 'ascii'
      return
    case 'x':
      draft.dump ??= 'hex'
      return
    case 'X':
      draft.dump = 'hexl'
      return
    case 'e':
      draft.link = true
      return
    case 'n':
      draft.numeric = true
      return
    case 'q':
      draft.quick = true
      return
    case 'S':
      draft.absolute = true
      return
    case 'v':
      draft.verbose++
      return
    case 'l':
    case 'N':
    case 'O':
    case 'p':
      // tcpdump's: line buffering, short names, no optimizer, no promiscuous mode. Nothing to change here.
      return
    default:
      throw new UsageError(
        `no option -${letter}${word.length > 2 ? ` (in ${word})` : ''}: there are -${letters}`,
      )
  }
}

function setValue(draft: Draft, letter: string, value: string): void {
  switch (letter) {
    case 'i':
      draft.interfaceName = value
      return
    case 'r':
      draft.file = value
      return
    case 'w':
      draft.writeFile = value
      return
    case 'c':
      draft.count = wholeNumber('-c', value, 1)
      return
    case 's': {
      const snaplen = wholeNumber('-s', value, 0)
      // As everywhere but on OpenBSD, 0 is all of the packet.
      draft.snaplen = snaplen === 0 ? 262_144 : snaplen
    }
  }
}

function wholeNumber(option: string, value: string, least: number): number {
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= least))
    throw new UsageError(`${option} needs a whole number from ${least} on, not "${value}"`)
  return number
}

function checkTogether(draft: Draft): void {
  if (draft.file !== undefined && draft.interfaceName !== undefined)
    throw new UsageError('-i and -r are two sources: give one of them')
  if (draft.file === undefined && draft.interfaceName === undefined)
    throw new UsageError('no source: give -r FILE or -i INTERFACE')
  if (draft.writeFile !== undefined && (draft.explain || draft.json))
    throw new UsageError('-w writes packets, not text: leave out --explain and --json')
  if (draft.unverified && draft.keys.length === 0)
    throw new UsageError('--unverified is about packets that keys open: give --keys')
}
