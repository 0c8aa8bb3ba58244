/**
 * The `warren` command: finds the verb and hands over. Each verb is a file of its own, loaded only when called, so
 * that `warren --help` costs no more than Node's own start.
 *
 * Exit codes: 0 it did what was asked; 1 it could not; 2 the call's words are wrong.
 */
import { createRequire } from 'node:module'
import { suggest } from '../base/suggest.js'
import type { CliIo } from './io.js'

interface Verb {
  readonly help: string
  run(args: string[], io: CliIo): Promise<number>
}

const verbs: Readonly<Record<string, { readonly about: string; load(): Promise<Verb> }>> = {
  lab: { about: 'play the article in one process', load: () => import('./lab.js') },
  up: { about: 'bring up the tunnels that files describe', load: () => import('./up.js') },
  status: { about: 'ask the running one how its tunnels are', load: () => import('./status.js') },
  reload: { about: 'have the running one read its files again', load: () => import('./reload.js') },
  down: { about: 'stop the running one', load: () => import('./down.js') },
  keygen: { about: 'make the key pair that IKE signs with', load: () => import('./keygen.js') },
  dump: { about: 'print packets as tcpdump lines, live or from a file', load: () => import('./dump.js') },
  explain: { about: 'name every byte of a packet', load: () => import('./explain.js') },
}

const usage = `usage: warren VERB [ARGUMENT ...]

${Object.entries(verbs)
  .map(([name, { about }]) => `  warren ${name.padEnd(8)} ${about}`)
  .join('\n')}

\`warren VERB --help\` says more, with an example. \`warren --version\` prints the version.
`

async function main(args: string[], io: CliIo): Promise<number> {
  const [name, ...rest] = args
  if (name === undefined) {
    io.stderr.write(usage)
    return 2
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    const asked = rest[0] === undefined ? undefined : verbs[rest[0]]
    io.stdout.write(asked === undefined ? usage : (await asked.load()).help)
    return 0
  }
  if (name === '--version' || name === '-V') {
    const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string }
    io.stdout.write(`warren ${version}\n`)
    return 0
  }
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined
  if (verb === undefined) {
    const meant = suggest(name, Object.keys(verbs))
    io.stderr.write(
      `warren: no verb "${name}"${meant === undefined ? '' : `: did you mean "${meant}"?`}\n${usage}`,
    )
    return 2
  }
  const { help, run } = await verb.load()
  if (rest[0] === '--help' || rest[0] === '-h') {
    io.stdout.write(help)
    return 0
  }
  return run(rest, io)
}

// `warren dump | head` closes our standard output early: that is how the user says "enough".
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

main(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
}).then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    // A WarrenError says all there is to say; anything else is our own mistake, and its stack is wanted.
    const known =
      error instanceof Error && 'code' in error && error.name.endsWith('Error') && 'details' in error
    process.stderr.write(
      `warren: ${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
    )
    process.exitCode = 1
  },
)
