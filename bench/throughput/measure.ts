/** One measurement of one tunnel that stands. */
import { cpuSeconds, Daemon, runIn } from '../../interop/lib/daemon.js'
import type { RunningPeer } from '../../interop/lib/peers/index.js'
import type { PeerHosts } from '../../interop/lib/two-hosts.js'
import { type Load, median, type Sample } from './results.js'

/** A tunnel between its two hosts. */
export interface Standing {
  readonly hosts: PeerHosts
  readonly peer: RunningPeer
}

const ARGUMENTS: Readonly<Record<Load, readonly string[]>> = {
  tcp: [],
  tcp4: ['-P', '4'],
  reverse: ['-R'],
  // As fast as it goes: what arrives is what counts.
  udp: ['-u', '-b', '0', '-l', '1400'],
}

interface Iperf {
  readonly error?: string
  readonly end: {
    readonly sum_received?: {
      readonly bytes: number
      readonly bits_per_second: number
      readonly lost_percent?: number
    }
  }
}

/** iperf3 from the first host to the second, and the processor time of the daemons meanwhile. */
export async function load({ hosts, peer }: Standing, what: Load, seconds: number): Promise<Sample> {
  const { a, b } = hosts
  const to = peer.innerAddress
  const server = Daemon.start(b.namespace, ['iperf3', '-s', '-1', '-B', to, '--forceflush'])
  try {
    await server.until(/listening/)
    const { a: near, b: far } = peer.processes()
    const daemons = [...near, ...far]
    const before = cpuSeconds(daemons)
    const command = ['iperf3', '-c', to, '-B', a.inner, '-t', String(seconds), '-J', ...ARGUMENTS[what]]
    // Some tunnels have to empty a long queue before the last word of iperf3 comes through.
    const json = JSON.parse(await runIn(a.namespace, command, (seconds + 30) * 1_000)) as Iperf
    const used = cpuSeconds(daemons) - before
    const received = json.end.sum_received
    if (received === undefined || received.bytes === 0) throw new Error(json.error ?? 'nothing arrived')
    return {
      mbits: received.bits_per_second / 1e6,
      cpu: used / ((received.bytes * 8) / 1e9),
      ...(what === 'udp' ? { lost: (received.lost_percent ?? 0) / 100 } : {}),
    }
  } finally {
    await server.stop()
  }
}

/** The median round trip through an idle tunnel, in ms. */
export async function roundTrip({ hosts, peer }: Standing, pings: number): Promise<number> {
  const command = [
    'ping',
    '-n',
    '-c',
    String(pings),
    '-i',
    '0.005',
    '-W',
    '1',
    '-I',
    hosts.a.inner,
    peer.innerAddress,
  ]
  const text = await runIn(hosts.a.namespace, command, 30_000 + 50 * pings)
  const found = median([...text.matchAll(/ time=([\d.]+) ms/g)].map((match) => Number(match[1])))
  if (found === undefined) throw new Error(`no answer to ping\n${text}`)
  return found
}
