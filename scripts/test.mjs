// Runs the compiled tests of one tree (src or interop) with Node's own runner.
// Node 20's runner takes no globs, so the files are listed here.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const [tree = 'src', ...only] = process.argv.slice(2)
const root = join('dist', tree)
const files = readdirSync(root, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith('.test.js'))
  .filter((name) => only.length === 0 || only.some((part) => name.includes(part)))
  .sort()
  .map((name) => join(root, name))
if (files.length === 0) {
  console.error(`no test files below ${root}${only.length ? ` that match ${only.join(', ')}` : ''}`)
  process.exit(1)
}
// Interop tests share one kernel and mostly wait for each other's ends: two files at a time, each in namespaces of its own.
const concurrency = tree === 'interop' ? ['--test-concurrency=2'] : []
const run = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...concurrency, ...files], {
  stdio: 'inherit',
})
process.exit(run.status ?? 1)
