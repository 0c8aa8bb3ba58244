/**
 * A host of ours and a Linux kernel with IPsec on one link, without SAs or policies.
 *
 *     netns w                           netns k                                   netns x (a stranger, if wanted)
 *     +---------------------+   veth    +---------------------------------+       +---------------------+
 *     | eth0 192.168.1.1    | --------- kport --- br0 --- tapu --- UML    |       | eth0 192.168.1.66   |
 *     |      fd01::1        |           |          |     vec0 192.168.1.2 |  veth |      fd01::66       |
 *     | lo   10.2.0.1       |           |        xport        fd01::2     | ----- +---------------------+
 *     |      fd10:2::1      |           |                lo   10.1.0.1    |
 *     +---------------------+           |                     fd10:1::1   |
 *                                       +---------------------------------+
 *
 * The kernel's default routes lead to w. Its UDP port 4500 is held as an IKE daemon would hold it. Neighbours stand in
 * the tables of w and the kernel: a policy of transport mode takes neighbour discovery with it.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ESP_IN_UDP } from './many-pings.js'
import { Netns } from './netns.js'
import { UmlPeer } from './uml.js'
import { XFRM_MODULES } from './xfrm.js'

export const WARREN_OUTER = { 4: '192.168.1.1', 6: 'fd01::1' } as const
export const KERNEL_OUTER = { 4: '192.168.1.2', 6: 'fd01::2' } as const
export const STRANGER = { 4: '192.168.1.66', 6: 'fd01::66' } as const
export const WARREN_INSIDE = { 4: '10.2.0.1', 6: 'fd10:2::1' } as const
export const KERNEL_INSIDE = { 4: '10.1.0.1', 6: 'fd10:1::1' } as const

export interface XfrmNet {
  readonly net: Netns
  /** Names of the namespaces. */
  readonly w: string
  readonly k: string
  readonly x: string
  readonly kernel: UmlPeer
  /** Hardware address of eth0 in w. */
  readonly mac: string
  close(): Promise<void>
}

/** `mtu`: of every link. */
export async function xfrmNet(prefix: string, mtu = 1500, memory = '256M'): Promise<XfrmNet> {
  const net = new Netns(prefix)
  let kernel: UmlPeer | undefined
  const close = async (): Promise<void> => {
    await kernel?.halt()
    net.close()
  }
  try {
    const [w, k, x] = [net.add('w'), net.add('k'), net.add('x')]
    net.veth(w, 'eth0', k, 'kport')
    net.veth(x, 'eth0', k, 'xport')
    net.run(k, 'ip link add br0 type bridge; ip tuntap add dev tapu mode tap')
    for (const port of ['tapu', 'kport', 'xport']) net.run(k, `ip link set ${port} mtu ${mtu} master br0 up`)
    // The kernel leaves checksums to its network card, which a virtual link does not have.
    net.run(k, 'ip link set br0 up; ethtool -K kport tx off')
    for (const [namespace, outer] of [
      [w, WARREN_OUTER],
      [x, STRANGER],
    ] as const)
      net.run(
        namespace,
        `ip link set eth0 mtu ${mtu}; ip addr add ${outer[4]}/24 dev eth0; ip -6 addr add ${outer[6]}/64 dev eth0 nodad`,
      )
    net.run(
      w,
      `ip addr add ${WARREN_INSIDE[4]}/32 dev lo; ip -6 addr add ${WARREN_INSIDE[6]}/128 dev lo nodad`,
    )
    kernel = await UmlPeer.boot({ namespace: k, tap: 'tapu', modules: XFRM_MODULES, memory, mtu })
    writeFileSync(join(net.folder, 'udp.pl'), ESP_IN_UDP)
    const macOf = (text: string): string => /link\/ether (\S+)/.exec(text)?.[1] ?? ''
    const theirs = macOf(await kernel.must('ip link show vec0'))
    const mac = macOf(net.run(w, 'ip link show eth0'))
    await kernel.must(
      [
        `ip addr add ${KERNEL_OUTER[4]}/24 dev vec0`,
        `ip -6 addr add ${KERNEL_OUTER[6]}/64 dev vec0 nodad`,
        `ip addr add ${KERNEL_INSIDE[4]}/32 dev lo`,
        `ip -6 addr add ${KERNEL_INSIDE[6]}/128 dev lo nodad`,
        ...([4, 6] as const).flatMap((family) => [
          `ip neigh add ${WARREN_OUTER[family]} lladdr ${mac} dev vec0`,
          `ip -${family} route add default via ${WARREN_OUTER[family]} src ${KERNEL_INSIDE[family]}`,
        ]),
        `perl ${net.folder}/udp.pl`,
      ].join(' && '),
    )
    for (const family of [4, 6] as const)
      net.run(w, `ip neigh add ${KERNEL_OUTER[family]} lladdr ${theirs} dev eth0`)
    return { net, w, k, x, kernel, mac, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** What the kernel keeps of an SA. */
export interface KernelState {
  readonly packets: number
  /** Refused: behind the window, a replay, not authentic. */
  readonly window: number
  readonly replay: number
  readonly failed: number
}

/** `ip -s xfrm state`, by SPI. */
export function parseStates(text: string): ReadonlyMap<number, KernelState> {
  const found = new Map<number, KernelState>()
  for (const part of text.split(/^src /m).slice(1)) {
    const spi = Number(/spi (0x[0-9a-f]+)/.exec(part)?.[1])
    const packets = Number(/lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)/.exec(part)?.[1])
    const stats = /stats:\s+replay-window (\d+) replay (\d+) failed (\d+)/.exec(part)
    const [window, replay, failed] = stats === null ? [Number.NaN, 0, 0] : stats.slice(1).map(Number)
    found.set(spi, { packets, window: window!, replay: replay!, failed: failed! })
  }
  return found
}

/** The counters of /proc/net/xfrm_stat that are not 0. */
export async function xfrmStat(kernel: UmlPeer): Promise<Record<string, number>> {
  const lines = (await kernel.must('cat /proc/net/xfrm_stat')).trim().split('\n')
  const counters = lines.map((line) => line.split(/\s+/)).filter(([, count]) => count !== '0')
  return Object.fromEntries(counters.map(([name, count]) => [name!, Number(count)]))
}

/** What was added to counters. */
export const gained = (
  before: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
): Record<string, number> =>
  Object.fromEntries(
    Object.entries(now)
      .map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
      .filter(([, count]) => count !== 0),
  )
