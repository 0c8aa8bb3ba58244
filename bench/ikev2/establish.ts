/** From the first message of IKE to the first answer of a ping through the tunnel, as the link and the host see them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Daemon } from '../../interop/lib/daemon.js'
import type { PeerHosts } from '../../interop/lib/two-hosts.js'
import { charonEnd, pairHosts, policyConf, warrenEnd } from './pairs.js'
import { ikedConf, type Responder } from './responders.js'

const PAIRS = ['warren - strongswan', 'warren - warren', 'strongswan - strongswan'] as const

/** Milliseconds, by pair: who begins stands first. */
export async function establishTimes(rounds: number): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>(PAIRS.map((name) => [name, []]))
  const standing: { name: string; hosts: PeerHosts; responder: Responder }[] = []
  try {
    for (const name of PAIRS) {
      const hosts = pairHosts('be')
      const responder = name.endsWith('warren')
        ? await warrenEnd(hosts, false)
        : await charonEnd(hosts, false)
      standing.push({ name, hosts, responder })
    }
    for (let round = 0; round < rounds; round++)
      for (const { name, hosts } of standing)
        found.get(name)!.push(await once(hosts, name.startsWith('warren')))
  } finally {
    for (const { hosts, responder } of standing) {
      await responder.stop()
      hosts.net.close()
    }
  }
  return found
}

/** A daemon that stands, and is told to begin: its own start is not measured, as charon’s is not. */
async function warrenBegun(hosts: PeerHosts): Promise<Responder> {
  const end = await warrenEnd(hosts, true, '', true)
  ikedConf(hosts, 'a', policyConf(true))
  process.kill(end.pid, 'SIGHUP')
  return end
}

async function once(hosts: PeerHosts, isWarren: boolean): Promise<number> {
  const { a, b } = hosts
  const dump = Daemon.start(a.namespace, [
    ...[
      'tcpdump',
      '-tt',
      '--immediate-mode',
      '-lnpi',
      'eth0',
      '-c',
      '1',
      'src 192.168.1.1 and udp and (port 500 or port 4500)',
    ],
  ])
  await dump.until(/listening on/)
  const ping = Daemon.start(a.namespace, [
    'ping',
    '-D',
    '-n',
    '-i',
    '0.002',
    '-W',
    '1',
    '-I',
    a.inner,
    b.inner,
  ])
  let end: Responder | undefined
  try {
    if (isWarren) end = await warrenBegun(hosts)
    else {
      const begun = await charonEnd(hosts, true)
      end = begun
      await begun.charon.swanctl('--initiate', '--child', 'tunnel')
    }
    await ping.until(/\[[\d.]+\] \d+ bytes from/, 20_000)
    await dump.until(/\n[\d.]+ IP/)
    const first = Number(/(?:^|\n)(\d+\.\d+) IP/.exec(dump.log)![1])
    const answered = Number(/\[([\d.]+)\] \d+ bytes from/.exec(ping.log)![1])
    return (answered - first) * 1000
  } finally {
    await ping.stop()
    await dump.stop()
    await end?.stop()
    await sleep(300)
  }
}
