/**
 * iperf3 TCP, one stream, between two network namespaces: without a tunnel, then through gif and gre of Warren at
 * both ends, in the same run.
 *
 *     netns a                          netns b
 *     +----------------+   veth        +----------------+
 *     | t0 10.1.0.1    | ============= | t0 10.1.0.2    |
 *     | eth0 192.168.1.1 ------------- eth0 192.168.1.2 |
 *     +----------------+               +----------------+
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { missing } from '../interop/lib/need.js'
import { Netns } from '../interop/lib/netns.js'
import { startWarren, type WarrenProcess } from '../interop/lib/warren.js'

const OUTER = { a: '192.168.1.1', b: '192.168.1.2' } as const
const INNER = { a: '10.1.0.1', b: '10.1.0.2' } as const
const SECONDS = 5
/** What gif and gre have to reach, in Mbit/s. */
const TARGET = 500

const cases = [
  { name: 'gif', lines: 'kind = "gif"', mtu: 1480 },
  { name: 'gre', lines: 'kind = "gre"\nkey = 7', mtu: 1472 },
] as const

/** Prints a table; throws where a tunnel is slower than it must be. */
export async function run(): Promise<void> {
  const skip = missing('iperf3')
  if (skip !== false) {
    console.log(`throughput: skipped: ${skip}`)
    return
  }
  const net = new Netns('wlb')
  try {
    const [a, b] = [net.add('a'), net.add('b')]
    net.veth(a, 'eth0', b, 'eth0')
    net.run(a, `ip addr add ${OUTER.a}/24 dev eth0`)
    net.run(b, `ip addr add ${OUTER.b}/24 dev eth0`)
    const report = (name: string, mbits: number, note: string): void =>
      console.log(`${name.padEnd(12)} ${Math.round(mbits).toLocaleString('en').padStart(8)} Mbit/s  ${note}`)
    report('no tunnel', measure(net, a, b, OUTER.b), 'veth, 1,500 bytes')
    const slow: string[] = []
    for (const { name, lines, mtu } of cases) {
      const mbits = await tunnelled(net, a, b, lines, mtu)
      report(name, mbits, `Warren to Warren, mtu ${mtu}, must be ${TARGET}`)
      if (mbits < TARGET) slow.push(name)
    }
    if (slow.length > 0) throw new Error(`slower than ${TARGET} Mbit/s: ${slow.join(', ')}`)
  } finally {
    net.close()
  }
}

async function tunnelled(net: Netns, a: string, b: string, lines: string, mtu: number): Promise<number> {
  const started: WarrenProcess[] = []
  try {
    for (const [namespace, end, other] of [[a, 'a', 'b'] as const, [b, 'b', 'a'] as const]) {
      const file = join(net.folder, `${end}.toml`)
      writeFileSync(
        file,
        `[tunnel.t0]\n${lines}\nlocal = "${OUTER[end]}"\nremote = "${OUTER[other]}"\nmtu = ${mtu}\naddresses = ["${INNER[end]}/24"]\n`,
      )
      started.push(await startWarren(net, namespace, [file]))
    }
    return measure(net, a, b, INNER.b)
  } finally {
    for (const process of started) await process.stop()
  }
}

/** What arrived at the far end, in Mbit/s. The server ends with its one client, or is ended here. */
function measure(net: Netns, from: string, to: string, address: string): number {
  const pidFile = join(net.folder, 'iperf3.pid')
  net.run(to, `iperf3 -s -D -1 -B ${address} -I ${pidFile}`)
  try {
    const json = net.run(from, `sleep 0.5; iperf3 -c ${address} -t ${SECONDS} -J`)
    const { end } = JSON.parse(json) as { end: { sum_received: { bits_per_second: number } } }
    return end.sum_received.bits_per_second / 1e6
  } catch (error) {
    const pid = Number.parseInt(readFileSync(pidFile, 'latin1'), 10)
    if (pid > 1) process.kill(pid)
    throw error
  }
}
