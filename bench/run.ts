/**
 * `npm run bench -- [NAME ...] [option ...]`: the figures of docs/performance.md, each beside its peer in the same run.
 * Options are those of `throughput`, which alone judges what it finds.
 */
interface Bench {
  /** What it resolves with is an exit code where it is a number. */
  run(options: readonly string[]): Promise<unknown>
}

const benches: Readonly<Record<string, () => Promise<Bench>>> = {
  startup: () => import('./startup.js'),
  transforms: () => import('./transforms.js'),
  crypto: () => import('./crypto.js'),
  dump: () => import('./dump.js'),
  offload: () => import('./offload.js'),
  ikev2: () => import('./ikev2.js'),
  throughput: () => import('./throughput.js'),
}

const words = process.argv.slice(2)
const firstOption = words.findIndex((word) => word.startsWith('-'))
const asked = firstOption < 0 ? words : words.slice(0, firstOption)
const options = words.slice(asked.length)
if (options.length > 0 && !(asked.length === 1 && asked[0] === 'throughput')) {
  console.error('options belong to one benchmark: npm run bench -- throughput [option ...]')
  process.exit(2)
}
for (const name of asked) {
  if (!(name in benches)) {
    console.error(`no benchmark "${name}"; there are: ${Object.keys(benches).join(', ')}`)
    process.exit(2)
  }
}
for (const [name, load] of Object.entries(benches)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  console.log(`\n## ${name}`)
  const code = await (await load()).run(options)
  if (typeof code === 'number' && code !== 0) process.exitCode = code
}
