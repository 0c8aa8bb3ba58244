/** What a handshake costs a responder: the same initiators against each, in turn. */
import { cpuSeconds, residentBytes } from '../../interop/lib/daemon.js'
import { median } from '../throughput/results.js'
import { generate, loadedHosts } from './load.js'
import { charonResponder, type Responder, warrenResponder } from './responders.js'

export interface Cost {
  /** Microseconds of processor time, all threads, of a handshake. */
  readonly cpu: number
  /** Handshakes a second, generator and responder on one machine. */
  readonly rate: number
  readonly failed: number
}

type Start = (hosts: ReturnType<typeof loadedHosts>) => Promise<Responder>

const STARTS: Readonly<Record<string, Start>> = {
  warren: (hosts) => warrenResponder(hosts, false),
  'warren, no data path': (hosts) => warrenResponder(hosts, true),
  strongswan: charonResponder,
}

/** Each SA here has policies of its own, which the kernel is told of one by one: that takes long. */
const STEERED = 25

/** Rounds in turn, each of `count` handshakes that follow `count` which are not counted. */
export async function handshakes(rounds: number, wanted: number): Promise<Map<string, Cost[]>> {
  const found = new Map<string, Cost[]>()
  for (let round = 0; round < rounds; round++)
    for (const [name, start] of Object.entries(STARTS)) {
      const hosts = loadedHosts('bi')
      const count = name === 'warren' ? Math.min(STEERED, wanted) : wanted
      let responder: Responder | undefined
      try {
        responder = await start(hosts)
        await generate(hosts, { count, parallel: 16, from: 0 })
        const before = cpuSeconds([responder.pid])
        const made = await generate(hosts, { count, parallel: 16, from: count })
        const used = cpuSeconds([responder.pid]) - before
        const cost = { cpu: (used / made.stood) * 1e6, rate: made.stood / made.seconds, failed: made.failed }
        found.set(name, [...(found.get(name) ?? []), cost])
      } finally {
        await responder?.stop()
        hosts.net.close()
      }
    }
  return found
}

export const middle = (costs: readonly Cost[], of: 'cpu' | 'rate'): number =>
  median(costs.map((cost) => cost[of])) ?? Number.NaN

export interface Idle {
  readonly sas: number
  readonly failed: number
  readonly before: number
  readonly after: number
  readonly seconds: number
}

/** What a daemon weighs with so many IKE SAs, each with a child, of whom nobody says anything. */
export async function idle(who: 'warren' | 'strongswan', count: number): Promise<Idle> {
  const hosts = loadedHosts('bw')
  let responder: Responder | undefined
  try {
    responder = who === 'warren' ? await warrenResponder(hosts, true) : await charonResponder(hosts)
    const before = residentBytes([responder.pid])
    const { stood, failed, seconds } = await generate(hosts, {
      count,
      parallel: 16,
      from: 0,
      sharedInside: false,
    })
    // Garbage of the handshakes is collected where a daemon has nothing else to do.
    await new Promise((resolve) => setTimeout(resolve, 12_000))
    return { sas: stood, failed, before, after: residentBytes([responder.pid]), seconds }
  } finally {
    await responder?.stop()
    hosts.net.close()
  }
}
