/**
 * `npm run bench [NAME ...]`: the figures of docs/performance.md, each beside its peer in the same run. A benchmark
 * prints and never judges.
 */
const benches: Readonly<Record<string, () => Promise<{ run(): Promise<void> }>>> = {
  startup: () => import('./startup.js'),
  transforms: () => import('./transforms.js'),
  crypto: () => import('./crypto.js'),
  dump: () => import('./dump.js'),
  offload: () => import('./offload.js'),
  throughput: () => import('./throughput.js'),
}

const asked = process.argv.slice(2)
for (const name of asked) {
  if (!(name in benches)) {
    console.error(`no benchmark "${name}"; there are: ${Object.keys(benches).join(', ')}`)
    process.exit(2)
  }
}
for (const [name, load] of Object.entries(benches)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  console.log(`\n## ${name}`)
  await (await load()).run()
}
