/**
 * What passes through Warren at both ends, and through each C daemon at both ends, in one run: a round measures every
 * subject once, so that a slow moment of the machine falls on all alike. Each pair has two hosts of its own, and stands
 * idle while another is measured.
 *
 *     netns a                 netns link            netns b
 *     +------------------+    +-------+    +------------------+
 *     | eth0 192.168.1.1 | -- |  br0  | -- | eth0 192.168.1.2 |
 *     | tunnel  10.1.0.1 |    +-------+    | tunnel  10.1.0.2 |
 *     +------------------+                 +------------------+
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { residentBytes } from '../interop/lib/daemon.js'
import { missing } from '../interop/lib/need.js'
import { bare, openvpn, type Peer, ssh, strongswan, tinc, warrenPeers } from '../interop/lib/peers/index.js'
import { type PeerHosts, twoHosts } from '../interop/lib/two-hosts.js'
import { GcCounter } from './throughput/gc.js'
import { load, roundTrip, type Standing } from './throughput/measure.js'
import { help, type Options, parseOptions } from './throughput/options.js'
import { type Machine, progress, replaceSection, section, terminal } from './throughput/report.js'
import { type GcCount, judge, type Load, type Sample, type SubjectResult } from './throughput/results.js'

const peers: readonly Peer[] = [bare, ...warrenPeers, openvpn, tinc, ssh, strongswan]
const WARREN = warrenPeers.map(({ name }) => name)
const SETTLED_MS = 30_000
const DOCUMENT = 'docs/performance.md'

/** Measures, prints, and returns the exit code: 1 where a target is missed, 2 where the arguments are wrong. */
export async function run(args: readonly string[] = []): Promise<number> {
  if (args.includes('--help')) {
    console.log(help)
    return 0
  }
  let options: Options
  try {
    options = parseOptions(
      args,
      peers.map(({ name }) => name),
    )
  } catch (error) {
    console.error(`throughput: ${messageOf(error)}`)
    return 2
  }
  const skip = missing('iperf3', 'ping')
  if (skip !== false) {
    console.log(`throughput: skipped: ${skip}`)
    return 0
  }
  const subjects = peers
    .filter(({ name }) => name === 'bare' || options.subjects?.includes(name) !== false)
    .map((peer) => new Subject(peer))
  const interrupted = (): never => process.exit(130)
  const removed = (): void => {
    for (const subject of subjects) subject.remove()
  }
  process.on('exit', removed)
  process.once('SIGINT', interrupted)
  process.once('SIGTERM', interrupted)
  try {
    for (const subject of subjects) await subject.start(options)
    await measureAll(subjects, options)
  } finally {
    for (const subject of subjects) await subject.stop()
    process.off('exit', removed)
    process.off('SIGINT', interrupted)
    process.off('SIGTERM', interrupted)
  }
  return report(
    subjects.map((subject) => subject.result()),
    options,
  )
}

async function measureAll(subjects: readonly Subject[], options: Options): Promise<void> {
  const standing = subjects.filter((subject) => subject.stands)
  // Not counted: what runs for the first time is compiled, and paths find their MTU.
  for (const subject of standing) await subject.warm()
  for (let round = 0; round < options.rounds; round++) {
    // Every round begins with another one: whoever follows a heavy one does so once only.
    const from = round % standing.length
    for (const subject of [...standing.slice(from), ...standing.slice(0, from)]) {
      await subject.round(options)
      console.log(progress(round, subject.result()))
    }
  }
  for (const subject of standing) {
    if (options.gcSeconds > 0) await subject.collections(options.gcSeconds)
    subject.weigh()
  }
}

function report(results: readonly SubjectResult[], options: Options): number {
  const verdicts = judge(results, WARREN)
  console.log(`\n${terminal(results, verdicts)}`)
  const machine: Machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    node: process.versions.node,
    date: new Date().toISOString().slice(0, 10),
  }
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ machine, options, results, verdicts }, undefined, 2)}\n`)
  if (options.write) {
    const text = replaceSection(readFileSync(DOCUMENT, 'utf8'), section(machine, options, results, verdicts))
    if (text === undefined) {
      console.error(`throughput: ${DOCUMENT} has no section that is marked for it`)
      return 2
    }
    writeFileSync(DOCUMENT, text)
  }
  return verdicts.some(({ held }) => held === false) ? 1 : 0
}

let prefixes = 0

/** One peer with its two hosts and what was measured of it. */
class Subject {
  readonly #peer: Peer
  #skipped: string | undefined
  #hosts: PeerHosts | undefined
  #standing: Standing | undefined
  readonly #failures: string[] = []
  readonly #samples: Record<Load, (Sample | undefined)[]> = { tcp: [], tcp4: [], reverse: [], udp: [] }
  readonly #ping: (number | undefined)[] = []
  #resident: { a: number; b: number } | undefined
  #counter: GcCounter | undefined
  #gc: GcCount | undefined
  #began = 0

  constructor(peer: Peer) {
    this.#peer = peer
  }

  get stands(): boolean {
    return this.#standing !== undefined
  }

  async start({ link }: Options): Promise<void> {
    const reason = this.#peer.missing()
    if (reason !== false) {
      this.#skipped = reason
      return
    }
    warrenPeers.find((peer) => peer === this.#peer)?.traceGc((line) => this.#counter?.line(line))
    await this.#try('start', async () => {
      this.#hosts = twoHosts(`wb${(prefixes++).toString(36)}`, link)
      this.#began = Date.now()
      this.#standing = { hosts: this.#hosts, peer: await this.#peer.start(this.#hosts) }
    })
  }

  async warm(): Promise<void> {
    const standing = this.#standing
    if (standing !== undefined) await this.#try('tcp', () => loadTwice(standing, 'tcp', 1))
  }

  async round({ tests, seconds, pings }: Options): Promise<void> {
    const standing = this.#standing
    if (standing === undefined) return
    for (const test of tests) {
      if (test === 'ping') this.#ping.push(await this.#try('ping', () => roundTrip(standing, pings)))
      else this.#samples[test].push(await this.#try(test, () => loadTwice(standing, test, seconds)))
      // What still is on its way is not the next one's.
      await sleep(100)
    }
  }

  /** Full load in one direction while Warren's collections are counted. Of others nothing is. */
  async collections(seconds: number): Promise<void> {
    const standing = this.#standing
    if (standing === undefined || !WARREN.includes(this.#peer.name)) return
    // V8 tidies up once after a start, when the main thread has been idle for some 8 to 20 seconds: that is no packet's.
    await sleep(Math.max(0, this.#began + SETTLED_MS - Date.now()))
    await this.#try('tcp', () => load(standing, 'tcp', 2))
    const counter = new GcCounter()
    this.#counter = counter
    const sample = await this.#try('tcp', () => load(standing, 'tcp', seconds))
    this.#counter = undefined
    if (sample === undefined) return
    this.#gc = { seconds, mbits: sample.mbits, scavenges: counter.scavenges, major: counter.majors.length }
    for (const line of counter.majors) console.log(`${this.#peer.name}: ${line}`)
  }

  weigh(): void {
    const processes = this.#standing?.peer.processes()
    if (processes === undefined) return
    this.#resident = { a: residentBytes(processes.a), b: residentBytes(processes.b) }
  }

  async stop(): Promise<void> {
    try {
      await this.#standing?.peer.stop()
    } finally {
      this.#standing = undefined
      this.remove()
    }
  }

  /** Its hosts, and with them what is between them. */
  remove(): void {
    this.#hosts?.net.close()
  }

  result(): SubjectResult {
    const { name, description } = this.#peer
    return {
      name,
      description,
      version: this.#skipped === undefined ? this.#peer.version() : '',
      ...(this.#skipped === undefined ? {} : { skipped: this.#skipped }),
      failures: this.#failures,
      samples: this.#samples,
      ping: this.#ping,
      ...(this.#resident === undefined ? {} : { resident: this.#resident }),
      ...(this.#gc === undefined ? {} : { gc: this.#gc }),
    }
  }

  async #try<T>(what: string, act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act()
    } catch (error) {
      this.#failures.push(`${what}: ${messageOf(error)}`)
      console.error(`${this.#peer.name}: ${what}: ${messageOf(error)}`)
      return undefined
    }
  }
}

/** Once more where it failed: a flood of datagrams may starve iperf3's own connection. */
async function loadTwice(standing: Standing, test: Load, seconds: number): Promise<Sample> {
  try {
    return await load(standing, test, seconds)
  } catch {
    await sleep(1_000)
    return load(standing, test, seconds)
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
