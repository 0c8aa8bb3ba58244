/** Wall time of whole commands: `warren --help` beside Node's own start, and the whole `warren lab`. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url))

const wall = (args: readonly string[]): number => {
  const start = performance.now()
  execFileSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  return performance.now() - start
}
const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!

export async function run(): Promise<void> {
  const rows: Readonly<Record<string, readonly string[]>> = {
    'node -e 0': ['-e', '0'],
    'warren --help': [main, '--help'],
    'warren lab': [main, 'lab'],
  }
  const times = new Map<string, number[]>(Object.keys(rows).map((name) => [name, []]))
  // In turn, so that a slow moment of the machine falls on all of them.
  for (let round = 0; round < 7; round++)
    for (const [name, args] of Object.entries(rows)) times.get(name)!.push(wall(args))
  for (const [name, values] of times)
    console.log(`${name.padEnd(16)} ${median(values).toFixed(0).padStart(6)} ms (median of 7)`)
}
