/**
 * docs/errors.md is the list of the stable codes: every code that the sources raise stands there, and every code that
 * stands there is raised.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** The project's root, found from the compiled test. */
function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'src', 'errors.test.ts'))) {
    const parent = dirname(folder)
    if (parent === folder) return process.cwd()
    folder = parent
  }
  return folder
}

const root = projectRoot()

const sources = readdirSync(join(root, 'src'), { recursive: true })
  .map((name) => String(name).split(sep).join('/'))
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !/(^|\/)testing\.ts$/.test(name))
  .map((path) => ({
    path,
    room: path.split('/', 1)[0]!,
    text: readFileSync(join(root, 'src', path), 'utf8'),
  }))

/** Code to the first source that has it. */
function raisedCodes(): Map<string, string> {
  const raised = new Map<string, string>()
  // Some codes go through a helper (`fail`, `refuse`, a conditional): a literal counts as a code where its prefix is
  // one that the same room raises directly.
  const prefixes = new Map<string, Set<string>>()
  for (const { path, room, text } of sources) {
    for (const match of text.matchAll(/(?:new WarrenError|\bsuper)\(\s*'([A-Z][A-Z0-9]*)(_[A-Z0-9_]+)?'/g)) {
      raised.set(match[1]! + (match[2] ?? ''), path)
      if (match[2] !== undefined) prefixes.set(room, (prefixes.get(room) ?? new Set()).add(match[1]!))
    }
    for (const match of text.matchAll(
      /\btcpError\(\s*'(E[A-Z]+)'|\bclose\([^)']*'(E[A-Z]+)'|[?:] '(E[A-Z]+)'/g,
    ))
      if (path.startsWith('stack/tcp/')) raised.set(match[1] ?? match[2] ?? match[3]!, path)
  }
  for (const { path, room, text } of sources)
    for (const match of text.matchAll(/'([A-Z][A-Z0-9]*)_[A-Z0-9_]+'/g))
      if (prefixes.get(room)?.has(match[1]!)) raised.set(match[0].slice(1, -1), path)
  return raised
}

/** `LINUX_` and errno's name: one paragraph of the page is about all of them. */
const isErrno = (code: string): boolean => /^LINUX_E[A-Z0-9]+$/.test(code)

const raised = raisedCodes()
const documented = [
  ...readFileSync(join(root, 'docs', 'errors.md'), 'utf8').matchAll(/^\| `([A-Z][A-Z0-9_]+)` \| /gm),
].map((match) => match[1]!)

test('the scan finds codes that are raised directly, through a helper, and by TCP', () => {
  for (const code of ['WIRE_MALFORMED', 'CONFIG_KIND', 'INSPECT_PCAPNG_LENGTH', 'LINUX_INTERNAL'])
    assert.ok(raised.has(code), code)
  for (const code of ['ECONNREFUSED', 'ENETUNREACH', 'EPIPE']) assert.ok(raised.has(code), code)
})

test('every code that the sources raise stands in docs/errors.md', () => {
  const missing = [...raised].filter(([code]) => !documented.includes(code) && !isErrno(code))
  assert.deepEqual(
    missing.map(([code, path]) => `${code} (src/${path})`),
    [],
  )
})

test('every code of docs/errors.md is raised, and stands there once', () => {
  assert.deepEqual(
    documented.filter((code) => !raised.has(code)),
    [],
  )
  assert.equal(new Set(documented).size, documented.length)
})
