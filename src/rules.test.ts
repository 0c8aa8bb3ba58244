/**
 * The rules of docs/architecture.md, held by a test: who may import whom, where Node's own modules may be used, and
 * that nothing below the engine reads a clock or draws randomness of its own.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, sep } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** The sources, found from the compiled test: the project's root is where package.json stands. */
function sourceRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'src', 'rules.test.ts'))) {
    const parent = dirname(folder)
    if (parent === folder) return join(process.cwd(), 'src')
    folder = parent
  }
  return join(folder, 'src')
}

const root = sourceRoot()

interface Source {
  /** Path below src, with forward slashes. */
  readonly path: string
  readonly room: string
  readonly text: string
  readonly imports: readonly string[]
}

const sources: Source[] = readdirSync(root, { recursive: true })
  .map((name) => String(name).split(sep).join('/'))
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !/(^|\/)testing\.ts$/.test(name))
  .map((path) => {
    const text = readFileSync(join(root, path), 'utf8')
    const imports = [...text.matchAll(/(?:from|import|import\()\s*'([^']+)'/g)].map((match) => match[1]!)
    return { path, room: path.includes('/') ? path.slice(0, path.indexOf('/')) : '', text, imports }
  })

const allowed: Readonly<Record<string, readonly string[]>> = {
  base: [],
  wire: ['base'],
  crypto: ['base'],
  stack: ['base', 'wire'],
  proto: ['base', 'wire', 'crypto'],
  inspect: ['base', 'wire', 'crypto'],
  engine: ['base', 'wire', 'stack', 'proto'],
  config: ['base', 'wire', 'crypto', 'proto', 'engine'],
  lab: ['base', 'wire', 'crypto', 'stack', 'proto', 'engine', 'config', 'inspect'],
  linux: ['base', 'wire', 'crypto', 'stack', 'proto', 'engine', 'config'],
  cli: ['base', 'wire', 'crypto', 'stack', 'proto', 'engine', 'config', 'inspect', 'lab', 'linux'],
}

/** The room that an import of `source` leads to, or undefined for a package or a Node module. */
function targetOf(source: Source, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined
  const target = relative(root, normalize(join(root, dirname(source.path), specifier)))
  return target.split(sep).join('/')
}

test('there are sources in every room that the rules name', () => {
  const rooms = new Set(sources.map(({ room }) => room))
  for (const room of Object.keys(allowed)) assert.ok(rooms.has(room), `no source in src/${room}`)
  for (const room of rooms)
    if (room !== '') assert.ok(room in allowed, `src/${room} is a room without a rule`)
})

test('rooms import only the rooms below them', () => {
  const broken: string[] = []
  for (const source of sources) {
    if (source.room === '') continue
    for (const specifier of source.imports) {
      const target = targetOf(source, specifier)
      if (target === undefined) continue
      const room = target.slice(0, target.indexOf('/'))
      if (room !== source.room && !allowed[source.room]!.includes(room))
        broken.push(`${source.path} imports ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('protocols never import each other', () => {
  const protocolOf = (path: string): string | undefined => /^proto\/([^/]+)\//.exec(path)?.[1]
  const broken: string[] = []
  for (const source of sources) {
    const own = protocolOf(source.path)
    if (own === undefined) continue
    for (const specifier of source.imports) {
      const target = targetOf(source, specifier)
      const other = target === undefined ? undefined : protocolOf(target)
      if (other !== undefined && other !== own) broken.push(`${source.path} imports ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

test("Node's own modules stay in crypto, linux, cli, lab and the engine's socket", () => {
  const broken = sources
    .filter(
      ({ path, room }) => !['crypto', 'linux', 'cli', 'lab'].includes(room) && path !== 'engine/socket.ts',
    )
    .flatMap(({ path, imports }) =>
      imports.filter((name) => name.startsWith('node:')).map((name) => `${path} imports ${name}`),
    )
  assert.deepEqual(broken, [])
})

test('cryptography has its sources: node:crypto is behind the provider alone', () => {
  const broken = sources
    .filter(
      ({ path, room }) =>
        room !== 'linux' && path !== 'crypto/node-provider.ts' && !path.startsWith('crypto/node/'),
    )
    .flatMap(({ path, imports }) =>
      imports
        .filter((name) => name === 'node:crypto' || name === 'crypto')
        .map((name) => `${path} imports ${name}`),
    )
  assert.deepEqual(broken, [])
})

test('nothing below the engine reads a clock or draws randomness of its own', () => {
  const forbidden =
    /\b(?:Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|process\.hrtime|crypto\.getRandomValues)\b/
  const broken: string[] = []
  for (const { path, room, text } of sources) {
    if (!['base', 'wire', 'crypto', 'stack', 'proto', 'inspect', 'config'].includes(room)) continue
    text.split('\n').forEach((line, i) => {
      const code = line.replace(/\/\/.*$/, '').replace(/^\s*\*.*$/, '')
      if (forbidden.test(code)) broken.push(`${path}:${i + 1}: ${line.trim()}`)
    })
  }
  assert.deepEqual(broken, [])
})
