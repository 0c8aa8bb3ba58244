/** What package.json promises to users of the library: every entry is there, with types, and loads on its own. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Folder that holds the compiled `src`, as dist/ does. */
const compiled = dirname(dirname(fileURLToPath(import.meta.url)))

function projectRoot(): string {
  let folder = compiled
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
}

interface Entry {
  readonly types: string
  readonly default: string
}

const manifest = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, Entry | string>>
}

const entries = Object.entries(manifest.exports).filter(
  (entry): entry is [string, Entry] => typeof entry[1] !== 'string',
)

/** Where an entry's path of dist/ is in this compiled tree. */
const here = (path: string): string => join(compiled, path.replace(/^\.\/dist\//, ''))

/** A name or two that the README or a user's first program imports from each. */
const promised: Readonly<Record<string, readonly string[]>> = {
  '.': ['WarrenError'],
  './base': ['WarrenError', 'Ipv4Address'],
  './wire': ['ipv4', 'gre'],
  './proto': ['createTransforms'],
  './stack': ['Stack'],
  './engine': ['Tunnel'],
  './inspect': ['dissect', 'explain', 'tcpdumpLine'],
  './lab': ['Lab'],
  './config': ['parseHostnameIf', 'parseWarrenToml'],
  './linux': [],
}

test('the entries are those that are tested here', () => {
  assert.deepEqual(entries.map(([name]) => name).sort(), Object.keys(promised).sort())
})

for (const [name, entry] of entries)
  test(`warren${name.slice(1)} loads, has types, and exports what it promises`, async () => {
    assert.ok(existsSync(here(entry.types)), entry.types)
    const library = (await import(here(entry.default))) as Record<string, unknown>
    assert.ok(Object.keys(library).length > 0, 'it exports something')
    for (const member of promised[name]!) assert.ok(library[member] !== undefined, member)
  })
