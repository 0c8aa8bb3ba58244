/** What was measured, and what it has to be. Pure: no process, no file. */

/** In the order of a round: the round trip while nothing waits in a queue yet. */
export const tests = ['ping', 'tcp', 'tcp4', 'reverse', 'udp'] as const
export type Test = (typeof tests)[number]
/** Those that move as much as they can. */
export type Load = Exclude<Test, 'ping'>
export const loads: readonly Load[] = ['tcp', 'tcp4', 'reverse', 'udp']

/** One run of iperf3. */
export interface Sample {
  /** Payload that arrived, in Mbit/s. */
  readonly mbits: number
  /** Processor seconds of the daemons at both ends for each gigabit that arrived; 0 where there is no daemon. */
  readonly cpu: number
  /** The share of UDP datagrams that did not arrive. */
  readonly lost?: number
}

/** Garbage collections of both daemons in one stretch of full load. */
export interface GcCount {
  readonly seconds: number
  readonly mbits: number
  readonly scavenges: number
  readonly major: number
}

export interface SubjectResult {
  readonly name: string
  readonly description: string
  readonly version: string
  /** Why it was not measured. */
  readonly skipped?: string
  /** What went wrong while it was. */
  readonly failures: readonly string[]
  /** A sample a round; a round that failed is undefined. */
  readonly samples: Readonly<Record<Load, readonly (Sample | undefined)[]>>
  /** The median round trip of each round, in ms. */
  readonly ping: readonly (number | undefined)[]
  /** Resident bytes of each end's processes, after all of it. */
  readonly resident?: { readonly a: number; readonly b: number }
  readonly gc?: GcCount
}

export function median(values: readonly (number | undefined)[]): number | undefined {
  const sorted = values.filter((value) => value !== undefined).sort((x, y) => x - y)
  if (sorted.length === 0) return undefined
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const mbitsOf = (subject: SubjectResult | undefined, load: Load): number | undefined =>
  median(subject?.samples[load].map((sample) => sample?.mbits) ?? [])

export const cpuOf = (subject: SubjectResult, load: Load): number | undefined =>
  median(subject.samples[load].map((sample) => sample?.cpu))

/** How many times faster, the median of the rounds: in one round both saw the same machine. */
export function ratioOf(
  subject: SubjectResult | undefined,
  other: SubjectResult | undefined,
  load: Load,
): number | undefined {
  return median(
    (subject?.samples[load] ?? []).map((sample, round) => {
      const beside = other?.samples[load][round]
      return sample === undefined || beside === undefined ? undefined : sample.mbits / beside.mbits
    }),
  )
}

/** What the tunnel adds to the bare link's round trip, in ms, the median of the rounds. */
export function addedPing(
  subject: SubjectResult | undefined,
  bare: SubjectResult | undefined,
): number | undefined {
  return median(
    (subject?.ping ?? []).map((ms, round) => {
      const beside = bare?.ping[round]
      return ms === undefined || beside === undefined ? undefined : ms - beside
    }),
  )
}

export interface Verdict {
  readonly what: string
  readonly wanted: string
  readonly found: string
  /** Undefined: not measured. */
  readonly held: boolean | undefined
}

/** The subject whose figures carry the targets for encrypted tunnels. */
export const MAIN = 'esp-udp-gcm'
const MEGABYTE = 1e6
const RESIDENT = 120 * MEGABYTE

/** `warren`: the names of the subjects that are Warren's. */
export function judge(results: readonly SubjectResult[], warren: readonly string[]): Verdict[] {
  const by = (name: string): SubjectResult | undefined =>
    results.find((result) => result.name === name && result.skipped === undefined)
  const bare = by('bare')
  const verdicts: Verdict[] = []
  const atLeast = (name: string, other: string, factor: number): void => {
    const ratio = ratioOf(by(name), by(other), 'tcp')
    verdicts.push({
      what: `${name}, TCP, one stream`,
      wanted: `at least ${factor} x ${other}`,
      found: ratio === undefined ? 'not measured' : `${ratio.toFixed(2)} x`,
      held: ratio === undefined ? undefined : ratio >= factor,
    })
  }
  atLeast(MAIN, 'openvpn', 5)
  atLeast(MAIN, 'strongswan', 40)
  atLeast('gif', 'bare', 0.15)
  atLeast('gre', 'bare', 0.15)
  const [added, besides] = [addedPing(by(MAIN), bare), addedPing(by('openvpn'), bare)]
  const share = added === undefined || besides === undefined ? undefined : added / besides
  verdicts.push({
    what: `${MAIN}, added round trip`,
    wanted: 'under 0.5 x openvpn',
    found: share === undefined ? 'not measured' : `${share.toFixed(2)} x`,
    held: share === undefined ? undefined : share < 0.5,
  })
  for (const result of results) {
    if (!warren.includes(result.name) || result.skipped !== undefined) continue
    const { gc, resident } = result
    if (gc !== undefined)
      verdicts.push({
        what: `${result.name}, ${gc.seconds} s of full load`,
        wanted: 'no major collection',
        found: `${gc.major}, and ${gc.scavenges} scavenges`,
        held: gc.major === 0,
      })
    if (resident !== undefined) {
      const most = Math.max(resident.a, resident.b)
      verdicts.push({
        what: `${result.name}, resident memory`,
        wanted: 'under 120 MB',
        found: `${Math.round(most / MEGABYTE)} MB`,
        held: most < RESIDENT,
      })
    }
  }
  for (const { name, failures } of results)
    for (const failure of failures)
      verdicts.push({
        what: name,
        wanted: 'no failure',
        found: failure,
        // Of the others it is told, and not judged.
        held: warren.includes(name) ? false : undefined,
      })
  return verdicts
}
