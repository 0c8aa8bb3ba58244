/**
 * Warren against a real Linux kernel (6.1 in user mode) as the peer: ipip, sit, ip6tnl, gre.
 *
 *     netns W: warren up          netns K
 *     +-----------------+         +--------------------------------+
 *     | t0 (TUN)        |  veth   |                                |
 *     | eth0 192.168.1.1 ---------- kport --- br0 --- tapu --- UML |  vec0 192.168.1.2, t0 (the kernel's tunnel)
 *     +-----------------+         +--------------------------------+
 *
 * Data flows in both directions in every case: pings of 56, 1,472 and 8,000 bytes from both ends, iperf3 both ways.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import { UmlPeer } from './lib/uml.js'
import { startWarren, type WarrenProcess } from './lib/warren.js'

const skip = missing('linux.uml', 'iperf3', 'ping', 'ethtool')

const V4 = { warren: '192.168.1.1', kernel: '192.168.1.2' }
const V6 = { warren: 'fd3e:62ee:99db:bb1a::1', kernel: 'fd3e:62ee:99db:bb1a::2' }

interface Case {
  readonly name: string
  /** How the kernel makes its t0. */
  readonly make: string
  readonly outer: typeof V4
  readonly inner: 4 | 6
  /** Lines of warren.toml beside the addresses. */
  readonly warren: string
}

const ends4 = `local ${V4.kernel} remote ${V4.warren}`
const ends6 = `local ${V6.kernel} remote ${V6.warren}`
const cases: readonly Case[] = [
  {
    name: 'ipip',
    make: `ip tunnel add t0 mode ipip ${ends4} ttl 64`,
    outer: V4,
    inner: 4,
    warren: 'kind = "gif"',
  },
  {
    name: 'sit',
    make: `ip tunnel add t0 mode sit ${ends4} ttl 64`,
    outer: V4,
    inner: 6,
    warren: 'kind = "gif"',
  },
  {
    name: 'ip6tnl ipip6',
    make: `ip -6 tunnel add t0 mode ipip6 ${ends6}`,
    outer: V6,
    inner: 4,
    warren: 'kind = "gif"',
  },
  {
    name: 'ip6tnl ip6ip6',
    make: `ip -6 tunnel add t0 mode ip6ip6 ${ends6}`,
    outer: V6,
    inner: 6,
    warren: 'kind = "gif"',
  },
  {
    name: 'gre',
    make: `ip tunnel add t0 mode gre ${ends4} ttl 64`,
    outer: V4,
    inner: 4,
    warren: 'kind = "gre"',
  },
  {
    name: 'gre, IPv6 inside',
    make: `ip tunnel add t0 mode gre ${ends4} ttl 64`,
    outer: V4,
    inner: 6,
    warren: 'kind = "gre"',
  },
  {
    name: 'gre with a key',
    make: `ip tunnel add t0 mode gre ${ends4} ttl 64 key 7`,
    outer: V4,
    inner: 4,
    warren: 'kind = "gre"\nkey = 7',
  },
  {
    name: 'gre whose peer sends checksums and sequence numbers',
    make: `ip tunnel add t0 mode gre ${ends4} ttl 64 ocsum oseq`,
    outer: V4,
    inner: 4,
    warren: 'kind = "gre"',
  },
  {
    name: 'gre over IPv6',
    make: `ip link add t0 type ip6gre ${ends6}`,
    outer: V6,
    inner: 4,
    warren: 'kind = "gre"',
  },
  {
    name: 'gre over IPv6 with a key',
    make: `ip link add t0 type ip6gre ${ends6} key 7`,
    outer: V6,
    inner: 6,
    warren: 'kind = "gre"\nkey = 7',
  },
]

const INNER = {
  4: { warren: '172.16.0.1', kernel: '172.16.0.2', bits: 32 },
  6: { warren: 'fdd0:48b3:1360:ab79::1', kernel: 'fdd0:48b3:1360:ab79::2', bits: 128 },
} as const

describe('a real kernel at the other end', { skip, timeout: 600_000 }, () => {
  let net: Netns
  let kernel: UmlPeer

  before(async () => {
    net = new Netns('wk')
    const w = net.add('w')
    const k = net.add('k')
    net.veth(w, 'eth0', k, 'kport')
    net.run(k, 'ip link add br0 type bridge')
    net.run(k, 'ip tuntap add dev tapu mode tap')
    for (const port of ['tapu', 'kport']) net.run(k, `ip link set ${port} master br0 up`)
    net.run(k, 'ip link set br0 up')
    // The peer leaves a GRE checksum to its network card, which a virtual link does not have: a raw socket would see
    // it unfilled. A port that cannot do it either has it filled on the way.
    net.run(k, 'ethtool -K kport tx off')
    net.run(w, `ip addr add ${V4.warren}/24 dev eth0`)
    net.run(w, `ip -6 addr add ${V6.warren}/64 dev eth0 nodad`)
    kernel = await UmlPeer.boot({
      namespace: k,
      tap: 'tapu',
      modules: ['ipv6', 'ipip', 'ip_gre', 'ip6_tunnel', 'ip6_gre', 'sit'],
    })
    await kernel.must(`ip addr add ${V4.kernel}/24 dev vec0 && ip -6 addr add ${V6.kernel}/64 dev vec0 nodad`)
    await kernel.must(`ping -c1 -w5 ${V4.warren} && ping -6 -c1 -w5 ${V6.warren}`)
  })
  after(async () => {
    await kernel?.halt()
    net?.close()
  })

  for (const { name, make, inner, outer, warren } of cases) {
    test(name, async () => {
      const w = net.name('w')
      const address = INNER[inner]
      const ping = inner === 6 ? 'ping -6' : 'ping -4'
      const file = join(net.folder, 'warren.toml')
      writeFileSync(
        file,
        `[tunnel.t0]\n${warren}\nlocal = "${outer.warren}"\nremote = "${outer.kernel}"\naddresses = ["${address.warren} -> ${address.kernel}"]\n`,
      )
      let process: WarrenProcess | undefined
      try {
        await kernel.must(make)
        await kernel.must(
          `ip link set t0 up && ip addr add ${address.kernel} peer ${address.warren}/${address.bits} dev t0 ${inner === 6 ? 'nodad' : ''}`,
        )
        process = await startWarren(net, w, [file])
        for (const size of [56, 1472, 8000]) {
          const options = `-c3 -i0.2 -w10 -s${size}`
          assert.match(
            net.run(w, `${ping} ${options} ${address.kernel}`),
            /3 received/,
            `from Warren, ${size} bytes`,
          )
          assert.match(
            await kernel.must(`${ping} ${options} ${address.warren}`),
            /3 received/,
            `from the kernel, ${size} bytes`,
          )
        }
        await kernel.must(`iperf3 -s -D -1 -B ${address.kernel} && sleep 0.3`)
        assert.ok(throughput(net.run(w, `iperf3 -c ${address.kernel} -t 2 -J`)) > 1e6, 'iperf3 from Warren')
        await kernel.must(`iperf3 -s -D -1 -B ${address.kernel} && sleep 0.3`)
        assert.ok(
          throughput(net.run(w, `iperf3 -c ${address.kernel} -t 2 -R -J`)) > 1e6,
          'iperf3 from the kernel',
        )
        const status = await process.status()
        assert.equal(status.includes('t0'), true, status)
      } catch (error) {
        const said = process === undefined ? '' : await process.status('--json').catch(String)
        throw new Error(`${name}: ${said}`, { cause: error })
      } finally {
        await process?.stop()
        await kernel.run('ip link del t0')
      }
      assert.doesNotMatch(net.run(w, 'ip link'), /t0:/, 'the interface is gone after the end')
    })
  }
})

/** Bits per second received, from iperf3's JSON. */
function throughput(json: string): number {
  const report = JSON.parse(json) as { end: { sum_received: { bits_per_second: number } } }
  return report.end.sum_received.bits_per_second
}
