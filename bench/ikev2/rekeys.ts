/** Children and IKE SAs made anew again and again under a stream of datagrams and under pings: what of them is lost. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Daemon, runIn } from '../../interop/lib/daemon.js'
import { untilReached } from '../../interop/lib/peers/peer.js'
import type { DaemonStatus } from '../../src/linux/index.js'
import { charonEnd, pairHosts, warrenEnd } from './pairs.js'
import type { Responder } from './responders.js'

export interface Rekeyed {
  readonly children: number
  readonly ikes: number
  readonly datagrams: number
  readonly lost: number
  readonly pings: number
  readonly pingsLost: number
  /** What our own end has dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>
}

/** 20 Mbit/s of datagrams of 1,200 bytes; a child lasts 2 MB: three new ones in two seconds. */
const MBITS = 20
const WITH_WARREN = process.env.WARREN_REKEY_REST ?? 'ikelifetime 4 lifetime 3600 bytes 2M'

interface Stream {
  readonly end: { readonly sum: { readonly packets: number; readonly lost_packets: number } }
}

export async function rekeys(peer: 'warren' | 'strongswan', seconds: number): Promise<Rekeyed> {
  const hosts = pairHosts('br')
  const { a, b } = hosts
  const ends: Responder[] = []
  try {
    const far = peer === 'warren' ? await warrenEnd(hosts, false) : await charonEnd(hosts, false)
    ends.push(far)
    const near = await warrenEnd(hosts, true, WITH_WARREN)
    ends.push(near)
    await untilReached(a, b, () => undefined)
    const ping = Daemon.start(a.namespace, ['ping', '-n', '-i', '0.01', '-W', '1', '-I', a.inner, b.inner])
    const server = Daemon.start(b.namespace, ['iperf3', '-s', '-1', '-B', b.inner, '--forceflush'])
    try {
      await server.until(/listening/i)
      const from = near.log().length
      const text = await runIn(
        a.namespace,
        [
          'iperf3',
          '-c',
          b.inner,
          '-B',
          a.inner,
          '-u',
          '-b',
          `${MBITS}M`,
          '-l',
          '1200',
          '-t',
          String(seconds),
          '-J',
        ],
        (seconds + 30) * 1000,
      )
      const { sum } = (JSON.parse(text) as Stream).end
      process.kill(ping.pid, 'SIGINT')
      await sleep(1_000)
      const status = JSON.parse(await near.status('--json')) as DaemonStatus
      const said = near.log().slice(from)
      const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(ping.log) ?? []
      const ikes = count(said, /sa_free: another IKE SA has taken its place/g)
      return {
        children: count(said, /send CREATE_CHILD_SA req/g) - ikes,
        ikes,
        datagrams: sum.packets,
        lost: sum.lost_packets,
        pings: Number(sent),
        pingsLost: Number(sent) - Number(received),
        drops: status.tunnels[0]?.drops ?? {},
      }
    } finally {
      await ping.stop()
      await server.stop()
    }
  } finally {
    for (const end of ends.reverse()) await end.stop()
    hosts.net.close()
  }
}

const count = (text: string, pattern: RegExp): number => [...text.matchAll(pattern)].length
