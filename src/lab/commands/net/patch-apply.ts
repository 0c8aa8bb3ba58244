/**
 * Unified diffs as patch(1) reads and applies them: hunk by hunk, at another line if the file has moved on, and with
 * up to two lines of context ignored at either end ("fuzz").
 */

export interface Hunk {
  /** First line of the old file, from 1 (0: the old file was empty). */
  readonly oldStart: number
  readonly newStart: number
  /** Lines with their mark: ' ', '-' or '+'. */
  readonly lines: readonly string[]
  /** The header's counts, where they differ from the lines that follow. */
  readonly miscounted?: string
}

export interface FilePatch {
  /** The lines before the first hunk: the garbage and the file names. */
  readonly leading: readonly string[]
  readonly oldName?: string
  readonly newName?: string
  readonly hunks: readonly Hunk[]
}

const HUNK_HEADER = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/

/** Reads the patches of one text; `undefined` where there is no unified diff in it. */
export function readPatch(text: string): FilePatch[] | undefined {
  const lines = text.replace(/\n$/, '').split('\n')
  const patches: { leading: string[]; oldName?: string; newName?: string; hunks: Hunk[] }[] = []
  let leading: string[] = []
  let names: { oldName?: string; newName?: string } = {}
  for (let at = 0; at < lines.length; ) {
    const line = lines[at]!
    const header = HUNK_HEADER.exec(line)
    if (header === null) {
      if (line.startsWith('--- ')) names = { ...names, oldName: fileName(line.slice(4)) }
      if (line.startsWith('+++ ')) names = { ...names, newName: fileName(line.slice(4)) }
      leading.push(line)
      at++
      continue
    }
    if (leading.length > 0 || patches.length === 0) {
      patches.push({ leading, ...names, hunks: [] })
      leading = []
      names = {}
    }
    const { hunk, next } = readHunk(lines, at, header)
    patches.at(-1)!.hunks.push(hunk)
    at = next
  }
  return patches.length === 0 ? undefined : patches
}

/** The name in front of the time stamp, which a tab or several blanks set off. */
const fileName = (text: string): string => text.split(/\t| {2,}/)[0]!.trim()

function readHunk(
  lines: readonly string[],
  at: number,
  header: RegExpExecArray,
): { hunk: Hunk; next: number } {
  const oldCount = header[2] === undefined ? 1 : Number(header[2])
  const newCount = header[4] === undefined ? 1 : Number(header[4])
  let oldLeft = oldCount
  let newLeft = newCount
  const body: string[] = []
  let next = at + 1
  while (next < lines.length && (oldLeft > 0 || newLeft > 0)) {
    const line = lines[next]!
    const mark = line === '' ? ' ' : line[0]! // an empty context line that lost its blank on the way
    if (mark === ' ') {
      oldLeft--
      newLeft--
    } else if (mark === '-' && !(line.startsWith('--- ') && lines[next + 1]?.startsWith('+++ '))) oldLeft--
    else if (mark === '+') newLeft--
    else break
    body.push(line === '' ? ' ' : line)
    next++
  }
  while (lines[next]?.startsWith('\\') === true) next++ // "\ No newline at end of file"
  const miscounted =
    oldLeft === 0 && newLeft === 0
      ? undefined
      : `the header promises ${oldCount} old and ${newCount} new lines, ` +
        `${oldCount - oldLeft} and ${newCount - newLeft} follow`
  return {
    hunk: {
      oldStart: Number(header[1]),
      newStart: Number(header[3]),
      lines: body,
      ...(miscounted === undefined ? {} : { miscounted }),
    },
    next,
  }
}

export interface HunkResult {
  /** Line of the patched file where the hunk went, or was expected. */
  readonly line: number
  readonly applied: boolean
  readonly offset: number
  readonly fuzz: number
  /** The file already has what the hunk would make. */
  readonly alreadyApplied: boolean
}

const MAX_FUZZ = 2

/** Applies the hunks in order; those that find no place are left out and said. */
export function applyHunks(
  source: string,
  hunks: readonly Hunk[],
  reverse = false,
): { text: string; results: HunkResult[] } {
  const hadNewline = source === '' || source.endsWith('\n')
  const lines = source === '' ? [] : source.replace(/\n$/, '').split('\n')
  const results: HunkResult[] = []
  let drift = 0 // lines added so far, less lines taken away
  let lastOffset = 0
  let floor = 0 // hunks go forward: no hunk lands before the end of the one above it
  for (const given of hunks) {
    const hunk = reverse ? reversed(given) : given
    const before = hunk.lines.filter((line) => line[0] !== '+').map((line) => line.slice(1))
    const after = hunk.lines.filter((line) => line[0] !== '-').map((line) => line.slice(1))
    const expected = Math.max(0, (before.length === 0 ? hunk.oldStart : hunk.oldStart - 1) + drift)
    const place = locate(lines, hunk, before, expected + lastOffset, floor)
    if (place === undefined) {
      results.push({
        line: hunk.newStart,
        applied: false,
        offset: 0,
        fuzz: 0,
        alreadyApplied: after.length > 0 && matches(lines, after, expected),
      })
      continue
    }
    const { at, head, tail } = place
    const kept = replacement(hunk, lines, at).slice(head, after.length - tail)
    lines.splice(at + head, before.length - head - tail, ...kept)
    results.push({
      line: at + 1,
      applied: true,
      offset: at - expected,
      fuzz: Math.max(head, tail),
      alreadyApplied: false,
    })
    lastOffset = at - expected
    drift += after.length - before.length
    floor = at + head + kept.length
  }
  const text = lines.length === 0 ? '' : lines.join('\n') + (hadNewline ? '\n' : '')
  return { text, results }
}

/** The new lines; context as the file has it, whose blanks may differ. */
function replacement(hunk: Hunk, lines: readonly string[], at: number): string[] {
  const made: string[] = []
  let old = at
  for (const line of hunk.lines) {
    if (line[0] === '+') made.push(line.slice(1))
    else {
      if (line[0] === ' ') made.push(lines[old] ?? line.slice(1))
      old++
    }
  }
  return made
}

function reversed(hunk: Hunk): Hunk {
  const swap: Readonly<Record<string, string>> = { '-': '+', '+': '-', ' ': ' ' }
  return {
    oldStart: hunk.newStart,
    newStart: hunk.oldStart,
    lines: hunk.lines.map((line) => swap[line[0]!]! + line.slice(1)),
  }
}

interface Place {
  readonly at: number
  /** Context lines not looked at, at the top and at the bottom. */
  readonly head: number
  readonly tail: number
}

/** The place nearest to `expected` where the old lines stand; more fuzz only when less finds nothing. */
function locate(
  lines: readonly string[],
  hunk: Hunk,
  before: readonly string[],
  expected: number,
  floor: number,
): Place | undefined {
  const context = (rows: readonly string[]): number => {
    const count = rows.findIndex((line) => line[0] !== ' ')
    return count < 0 ? rows.length : count
  }
  const top = context(hunk.lines)
  const bottom = context([...hunk.lines].reverse())
  for (let fuzz = 0; fuzz <= MAX_FUZZ; fuzz++) {
    const head = Math.min(fuzz, top)
    const tail = Math.min(fuzz, bottom)
    if (fuzz > 0 && head < fuzz && tail < fuzz) break // nothing more to ignore
    if (head + tail > before.length) break
    const wanted = before.slice(head, before.length - tail)
    const last = lines.length - wanted.length
    const farthest = Math.max(expected, lines.length)
    for (let distance = 0; distance <= farthest; distance++) {
      for (const at of distance === 0 ? [expected] : [expected + distance, expected - distance]) {
        if (at + head < floor || at + head > last) continue
        if (matches(lines, wanted, at + head)) return { at, head, tail }
      }
    }
  }
  return undefined
}

function matches(lines: readonly string[], wanted: readonly string[], at: number): boolean {
  if (at < 0 || at + wanted.length > lines.length) return false
  return wanted.every((line, i) => same(lines[at + i]!, line))
}

/** Runs of blanks and tabs are one: articles and mails lose tabs on the way. */
const same = (a: string, b: string): boolean => a === b || squeeze(a) === squeeze(b)
const squeeze = (text: string): string => text.replace(/[ \t]+/g, ' ').trimEnd()

/** What patch(1) says of one hunk, with its number from 1. */
export function hunkLine(number: number, result: HunkResult): string {
  if (!result.applied)
    return `Hunk #${number} failed at ${result.line}.${result.alreadyApplied ? ' (the change is already there)' : ''}`
  let text = `Hunk #${number} succeeded at ${result.line}`
  if (result.fuzz > 0) text += ` with fuzz ${result.fuzz}`
  if (result.offset !== 0)
    text += ` (offset ${result.offset} line${Math.abs(result.offset) === 1 ? '' : 's'})`
  return `${text}.`
}
