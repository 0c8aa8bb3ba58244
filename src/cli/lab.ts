/** `warren lab`: plays the article in this process. */
import { readFile, writeFile } from 'node:fs/promises'
import { concatBytes, didYouMean, WarrenError } from '../base/index.js'
import { saKeysOf } from '../inspect/keys/esp-sa.js'
import {
  Lab,
  Player,
  runScenario,
  type Scenario,
  type ScenarioReport,
  type ScenarioResult,
  scenarios,
  testbedLab,
} from '../lab/index.js'
import type { CliIo } from './io.js'
import { runConsole } from './lab-console.js'
import { captureOf, Show, stylesOf } from './lab-show.js'

export const help: string = `usage: warren lab [NAME | list | play FILE | console [HOST]] [OPTION ...]

Plays the article's testbed in this process: a host with a bridge, alice and bob on it, and the article's own commands.
It needs no root, no network and nothing of the kernel; time is virtual, and the same seed is the same run.

  warren lab                 plays every scenario, one line each
  warren lab NAME            plays one and shows it: commands, output, the packets on the bridge
  warren lab list            the scenarios, with the article's heading that each plays
  warren lab play FILE       plays a script on the testbed (- is standard input); "# on alice", "# on bob",
                             "# on both", "# on the host" say where the lines below run
  warren lab console [HOST]  a shell on host (or alice, bob), in real time; "on bob" goes to bob

  --bare          play, console: a host where nothing is configured yet and no virtual machine exists
  --keep-going    play: goes on after a command that failed
  --json          the same facts for a program
  --pcap FILE     also writes the bridge's packets as pcapng, and where IPsec was used the keys as FILE.esp_sa and
                  FILE.ikev2_decryption_table, which Wireshark and \`warren dump --keys\` read
  --seed N        another run of the dice (default 1)
  -v, -X          NAME: more of each packet; its bytes

Exit: 0 all passed; 1 something failed, or a command of the script did; 2 the words are wrong.

Examples:
  warren lab gif
  warren lab etherip --pcap etherip.pcapng
  printf '# on alice\\nping -c1 192.168.1.2\\n' | warren lab play -
`

interface Options {
  words: string[]
  bare: boolean
  keepGoing: boolean
  json: boolean
  pcap?: string
  seed: number
  verbose: number
  hex: boolean
}

const VERBS = ['list', 'play', 'console']

class UsageError extends Error {}

export async function run(args: string[], io: CliIo): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    io.stdout.write(help)
    return 0
  }
  try {
    return await dispatch(parse(args), io)
  } catch (error) {
    if (error instanceof UsageError) {
      io.stderr.write(`warren lab: ${error.message}\n\`warren lab --help\` says what it takes\n`)
      return 2
    }
    if (!(error instanceof WarrenError)) throw error
    io.stderr.write(`warren lab: ${error.message}\n`)
    return 1
  }
}

function parse(args: readonly string[]): Options {
  const options: Options = {
    words: [],
    bare: false,
    keepGoing: false,
    json: false,
    seed: 1,
    verbose: 0,
    hex: false,
  }
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!
    const [name = arg, attached] = arg.startsWith('--') ? arg.split(/=(.*)/s) : [arg]
    const value = (): string => {
      const given = attached ?? args[++at]
      if (given === undefined || given === '') throw new UsageError(`${name} needs a value`)
      return given
    }
    if (!arg.startsWith('-') || arg === '-') options.words.push(arg)
    else if (name === '--bare') options.bare = true
    else if (name === '--keep-going') options.keepGoing = true
    else if (name === '--json') options.json = true
    else if (name === '--pcap') options.pcap = value()
    else if (name === '--seed') {
      const text = value()
      if (!/^\d{1,10}$/.test(text)) throw new UsageError(`--seed ${text}: a number from 0 to 4294967295`)
      options.seed = Number(text)
    } else if (/^-v+$/.test(arg)) options.verbose += arg.length - 1
    else if (arg === '-X') options.hex = true
    else {
      const known = ['--bare', '--keep-going', '--json', '--pcap', '--seed', '--help']
      throw new UsageError([`unknown option ${arg}`, didYouMean(arg, known)].filter(Boolean).join(': '))
    }
  }
  return options
}

async function dispatch(options: Options, io: CliIo): Promise<number> {
  const [word, ...rest] = options.words
  if (options.bare && word !== 'play' && word !== 'console')
    throw new UsageError('--bare is for play and console; every scenario has its own entry state')
  if (options.keepGoing && word !== 'play') throw new UsageError('--keep-going is for play')
  switch (word) {
    case undefined:
      return playAll(options, io)
    case 'list':
      return list(options, io)
    case 'play':
      if (rest.length !== 1) throw new UsageError('play takes one FILE (- is standard input)')
      return play(rest[0]!, options, io)
    case 'console':
      if (rest.length > 1) throw new UsageError('console takes one HOST: host, alice or bob')
      return runConsole(rest[0], await labFor(options), io)
  }
  if (rest.length > 0) throw new UsageError(`one scenario at a time: ${word}, or ${rest.join(', ')}`)
  const scenario = scenarios.find(({ name }) => name === word)
  if (scenario === undefined) {
    const names = scenarios.map(({ name }) => name)
    const meant = didYouMean(word, [...names, ...VERBS])
    throw new UsageError(
      `no scenario "${word}"${meant === undefined ? '' : `: ${meant}`}; there are ${names.join(', ')}`,
    )
  }
  return playOne(scenario, options, io)
}

const labFor = ({ bare, seed }: Options): Promise<Lab> => (bare ? Lab.bare({ seed }) : testbedLab({ seed }))

const resultOf = ({
  name,
  heading,
  ok,
  error,
  packets,
  virtualMs,
  wallMs,
}: ScenarioReport): ScenarioResult => ({
  name,
  heading,
  ok,
  error,
  packets,
  virtualMs,
  wallMs,
})

const wallClock = (): number => performance.now()

async function playAll({ json, pcap, seed }: Options, io: CliIo): Promise<number> {
  const styles = stylesOf(io)
  const reports: ScenarioReport[] = []
  for (const scenario of scenarios) {
    const report = await runScenario(scenario, { seed, wallClock })
    reports.push(report)
    if (json) continue
    const { name, ok, error, packets, virtualMs, wallMs } = report
    const verdict = ok ? styles.good('ok') : styles.bad(`FAILED: ${error}`)
    io.stdout.write(
      `${name.padEnd(8)} ${verdict}  ${packets} packets, ${(virtualMs / 1000).toFixed(3)} s virtual, ${Math.round(wallMs)} ms wall\n`,
    )
  }
  if (json) io.stdout.write(`${JSON.stringify(reports.map(resultOf), undefined, 2)}\n`)
  if (pcap !== undefined)
    await save(
      pcap,
      reports.map(({ name, frames, lab }) => ({ name, frames, lab })),
      io,
    )
  return reports.every(({ ok }) => ok) ? 0 : 1
}

async function playOne(scenario: Scenario, options: Options, io: CliIo): Promise<number> {
  const { json, pcap, seed, verbose, hex } = options
  const show = json ? undefined : new Show(io, { verbose, hex, packets: true })
  show?.heading(scenario.heading)
  const report = await runScenario(scenario, {
    seed,
    wallClock,
    onReady: (lab) => show?.watch(lab),
    onStart: (played) => show?.start(played),
    onEnd: (played, how) => show?.end(played, how),
  })
  show?.finish()
  if (pcap !== undefined) await save(pcap, [report], io)
  if (json) {
    const commands = report.played.map(({ host, command, stdout, stderr, exit }) => ({
      host,
      command,
      stdout,
      stderr,
      exit,
    }))
    io.stdout.write(`${JSON.stringify({ ...resultOf(report), commands }, undefined, 2)}\n`)
  } else show?.verdict(report)
  return report.ok ? 0 : 1
}

function list({ json }: Options, io: CliIo): number {
  if (json) {
    io.stdout.write(
      `${JSON.stringify(
        scenarios.map(({ name, heading }) => ({ name, heading })),
        undefined,
        2,
      )}\n`,
    )
    return 0
  }
  const width = Math.max(...scenarios.map(({ name }) => name.length)) + 2
  for (const { name, heading } of scenarios) io.stdout.write(`${name.padEnd(width)}${heading}\n`)
  return 0
}

async function play(file: string, options: Options, io: CliIo): Promise<number> {
  const text = await read(file, io)
  const lab = await labFor(options)
  const before = lab.frames.length
  const show = options.json ? undefined : new Show(io, { verbose: 0, hex: false, packets: false })
  const player = new Player(lab, {
    keepGoing: options.keepGoing,
    onStart: (played) => show?.start(played),
    onEnd: (played, how) => show?.end(played, how),
  })
  const played = await player.play(text)
  if (options.json) io.stdout.write(`${JSON.stringify(played, undefined, 2)}\n`)
  if (options.pcap !== undefined)
    await save(options.pcap, [{ name: 'play', frames: lab.frames.slice(before), lab }], io)
  return player.failed ? 1 : 0
}

async function read(file: string, io: CliIo): Promise<string> {
  if (file === '-') {
    const chunks: Uint8Array[] = []
    for await (const chunk of io.stdin)
      chunks.push(typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk)
    return new TextDecoder().decode(concatBytes(...chunks))
  }
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new WarrenError('LAB_SCRIPT', `cannot read the script`, {
      found: (error as NodeJS.ErrnoException).code ?? String(error),
      where: file,
    })
  }
}

/** The packets, and beside them the keys of all SAs that the machines had. */
async function save(file: string, parts: Parameters<typeof captureOf>[0], io: CliIo): Promise<void> {
  try {
    await writeFile(file, captureOf(parts))
  } catch (error) {
    throw new WarrenError('LAB_PCAP', 'cannot write the packets', {
      found: (error as NodeJS.ErrnoException).code ?? String(error),
      where: file,
    })
  }
  const sas = parts
    .flatMap(({ lab }) => lab.securityAssociations)
    .filter(({ protocol }) => protocol !== 'ipip')
  const ikeSas = parts.flatMap(({ lab }) => lab.ikeSas)
  if (sas.length === 0 && ikeSas.length === 0) return
  const { writeKeysBeside } = await import('./keys.js')
  const keys = { sas: sas.map(saKeysOf), ikeSas }
  writeKeysBeside(file, keys, (line) => io.stderr.write(`warren lab: ${line}\n`))
}
