/**
 * `warren up ipsec.conf` at both ends: what flows cover arrives, goes protected, and goes no other way.
 *
 *     netns a                                   netns b
 *     +-----------------------------+   veth    +-----------------------------+
 *     | lo   10.1.1.1   fd01::1     |           | lo   10.1.2.1   fd02::1     |
 *     | eth0 192.168.1.1  fd00::1   | --------- | eth0 192.168.1.2  fd00::2   |
 *     | enc0                        | ========= | enc0                        |
 *     +-----------------------------+           +-----------------------------+
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { DaemonStatus } from '../src/linux/index.js'
import { Daemon } from './lib/daemon.js'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import { startWarren, WARREN, type WarrenProcess } from './lib/warren.js'

const OUTER = { 4: ['192.168.1.1', '192.168.1.2'], 6: ['fd00::1', 'fd00::2'] } as const
const NETS = { 4: ['10.1.1.0/24', '10.1.2.0/24'], 6: ['fd01::/64', 'fd02::/64'] } as const
const HOSTS = { 4: ['10.1.1.1', '10.1.2.1'], 6: ['fd01::1', 'fd02::1'] } as const
/** What must not be seen on the link while it is protected; neighbour discovery may. */
const CLEAR =
  'icmp or tcp or (udp and not port 4500) or (icmp6 and (ip6[40] == 128 or ip6[40] == 129)) or (ip6 and tcp)'

const SOURCES = fileURLToPath(new URL('../src/', import.meta.url))

const hex = (bytes: number): string => `0x${randomBytes(bytes).toString('hex')}`
const both = (bytes: number): string => `${hex(bytes)}:${hex(bytes)}`
const KEYED = (): string => `auth hmac-sha2-256 enc aes-256 authkey ${both(32)} enckey ${both(32)}`
const SEALED = (): string => `enc aes-256-gcm enckey ${both(36)}`
const SIGNED = (): string => `auth hmac-sha2-256 authkey ${both(32)}`

interface Case {
  readonly name: string
  readonly outer: 4 | 6
  readonly protocol: 'esp' | 'ah' | 'ipip'
  readonly mode: 'tunnel' | 'transport'
  readonly rest: () => string
  /** The flow is between the SA's own ends. */
  readonly ends?: boolean
  /** What the link must show. */
  readonly seen: string
}

const CASES: readonly Case[] = [
  { name: 'ESP, tunnel', outer: 4, protocol: 'esp', mode: 'tunnel', rest: KEYED, seen: 'ip proto 50' },
  { name: 'ESP, tunnel', outer: 6, protocol: 'esp', mode: 'tunnel', rest: SEALED, seen: 'ip6 proto 50' },
  { name: 'ESP, transport', outer: 4, protocol: 'esp', mode: 'transport', rest: SEALED, seen: 'ip proto 50' },
  { name: 'ESP, transport', outer: 6, protocol: 'esp', mode: 'transport', rest: KEYED, seen: 'ip6 proto 50' },
  {
    name: 'ESP in UDP, tunnel',
    outer: 4,
    protocol: 'esp',
    mode: 'tunnel',
    rest: () => `udpencap ${SEALED()}`,
    seen: 'udp port 4500',
  },
  {
    name: 'ESP in UDP, transport',
    outer: 4,
    protocol: 'esp',
    mode: 'transport',
    rest: () => `udpencap ${KEYED()}`,
    seen: 'udp port 4500',
  },
  {
    name: 'ESP in UDP, tunnel',
    outer: 6,
    protocol: 'esp',
    mode: 'tunnel',
    rest: () => `udpencap ${SEALED()}`,
    seen: 'udp port 4500',
  },
  { name: 'AH, tunnel', outer: 4, protocol: 'ah', mode: 'tunnel', rest: SIGNED, seen: 'ip proto 51' },
  { name: 'AH, tunnel', outer: 6, protocol: 'ah', mode: 'tunnel', rest: SIGNED, seen: 'ip6 proto 51' },
  { name: 'AH, transport', outer: 4, protocol: 'ah', mode: 'transport', rest: SIGNED, seen: 'ip proto 51' },
  { name: 'AH, transport', outer: 6, protocol: 'ah', mode: 'transport', rest: SIGNED, seen: 'ip6 proto 51' },
  { name: 'IP in IP', outer: 4, protocol: 'ipip', mode: 'tunnel', rest: () => '', seen: 'ip proto 4' },
  {
    name: 'IP in IP between its own ends',
    outer: 4,
    protocol: 'ipip',
    mode: 'tunnel',
    rest: () => '',
    ends: true,
    seen: 'ip proto 4',
  },
  {
    name: 'ESP, tunnel between its own ends',
    outer: 6,
    protocol: 'esp',
    mode: 'tunnel',
    rest: SEALED,
    ends: true,
    seen: 'ip6 proto 50',
  },
  { name: 'IP in IP', outer: 6, protocol: 'ipip', mode: 'tunnel', rest: () => '', seen: 'ip6 proto 41' },
]

describe('warren up ipsec.conf at both ends', { skip: missing('ping', 'iperf3', 'tcpdump', 'nft') }, () => {
  let net: Netns
  let a: string
  let b: string
  const started: WarrenProcess[] = []
  const listeners: Daemon[] = []

  before(() => {
    net = new Netns('iu')
    a = net.add('a')
    b = net.add('b')
    net.veth(a, 'eth0', b, 'eth0')
    for (const [i, host] of [a, b].entries()) {
      net.run(host, `ip addr add ${OUTER[4][i]}/24 dev eth0; ip addr add ${OUTER[6][i]}/64 dev eth0 nodad`)
      net.run(host, `ip addr add ${HOSTS[4][i]}/24 dev lo; ip addr add ${HOSTS[6][i]}/64 dev lo`)
      // In clear there is a way: what is protected must not take it.
      const other = 1 - i
      net.run(host, `ip route add ${NETS[4][other]} via ${OUTER[4][other]}`)
      net.run(host, `ip route add ${NETS[6][other]} via ${OUTER[6][other]}`)
    }
  })
  afterEach(async () => {
    for (const process of started.splice(0)) await process.kill()
    for (const listener of listeners.splice(0)) await listener.stop()
    for (const host of [a, b]) down(host)
  })
  after(() => net?.close())

  /** `warren down` where no daemon runs: what a killed one left is removed. */
  function down(namespace: string): string {
    try {
      return execFileSync(
        'ip',
        ['netns', 'exec', namespace, process.execPath, WARREN, 'down', '--socket', join(net.folder, 'none')],
        { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
      )
    } catch (error) {
      return String((error as { stderr?: string }).stderr)
    }
  }

  function conf(namespace: string, lines: readonly string[]): string {
    const file = join(net.folder, `${namespace}.ipsec.conf`)
    writeFileSync(file, `${lines.join('\n')}\n`)
    chmodSync(file, 0o600)
    return file
  }

  async function up(namespace: string, lines: readonly string[]): Promise<WarrenProcess> {
    const process = await startWarren(net, namespace, [conf(namespace, lines)])
    started.push(process)
    return process
  }

  const statusOf = async (process: WarrenProcess): Promise<DaemonStatus> =>
    JSON.parse(await process.status('--json')) as DaemonStatus

  /** What `work` leaves on the link: the number of packets that match each filter. */
  async function onLink(filters: readonly string[], work: () => void | Promise<void>): Promise<number[]> {
    const file = join(net.folder, 'link.pcap')
    const capture = Daemon.start(b, [
      'tcpdump',
      '-U',
      '--immediate-mode',
      '-ni',
      'eth0',
      '-s',
      '128',
      '-B',
      '32768',
      '-w',
      file,
    ])
    await capture.until(/listening on/)
    await work()
    await sleep(200)
    await capture.stop()
    return filters.map(
      (filter) =>
        execFileSync('tcpdump', ['-nr', file, filter], {
          encoding: 'utf8',
          maxBuffer: 1 << 28,
          stdio: ['ignore', 'pipe', 'ignore'],
        })
          .split('\n')
          .filter((line) => line !== '').length,
    )
  }

  const pings = (namespace: string, target: string, source?: string): boolean => {
    try {
      net.run(namespace, `ping -c3 -i0.2 -w5 ${source === undefined ? '' : `-I ${source} `}${target}`)
      return true
    } catch {
      return false
    }
  }

  /** Mbit/s of one TCP stream of a second from a to b. */
  async function stream(target: string, source: string): Promise<number> {
    const server = Daemon.start(b, ['iperf3', '-s', '-1', '-B', target, '--forceflush'])
    listeners.push(server)
    await server.until(/Server listening/)
    const report = JSON.parse(net.run(a, `iperf3 -J -t1 -B ${source} -c ${target}`)) as {
      end: { sum_received: { bits_per_second: number } }
    }
    return report.end.sum_received.bits_per_second / 1e6
  }

  for (const { name, outer, protocol, mode, rest, seen, ends = mode === 'transport' } of CASES)
    test(`${name}, IPv${outer} outside: both ways, a stream, and nothing in clear`, async () => {
      const [ours, theirs] = OUTER[outer]
      const sa = `${protocol} ${mode === 'transport' ? 'transport ' : ''}from ${ours} to ${theirs} spi 0x1001:0x1002 ${rest()}`
      const families: readonly (4 | 6)[] = ends ? [outer] : [4, 6]
      const flows = families.map((family) => {
        const [near, far] = ends ? [ours, theirs] : NETS[family]
        const type = protocol === 'ipip' ? ' type require' : ''
        return [
          `flow ${protocol} from ${near} to ${far} peer ${theirs}${type}`,
          `flow ${protocol} from ${far} to ${near} peer ${ours}${type}`,
        ] as const
      })
      const alice = await up(a, [sa, ...flows.map(([out]) => out)])
      const bob = await up(b, [sa, ...flows.map(([, out]) => out)])
      const [protectedPackets, clear] = await onLink([seen, CLEAR], async () => {
        for (const family of families) {
          const [near, far] = ends ? OUTER[outer] : HOSTS[family]
          assert.ok(pings(a, far), `a reaches ${far}\n${await alice.status()}\n${await bob.status()}`)
          assert.ok(pings(a, far, near), `${near} reaches ${far}`)
          assert.ok(pings(b, near, far), `${far} reaches ${near}`)
          const speed = await stream(far, near)
          assert.ok(speed > 5, `a stream of ${speed} Mbit/s`)
        }
      })
      assert.ok((protectedPackets ?? 0) > 100, `${protectedPackets} protected packets on the link`)
      assert.equal(clear, 0, 'packets in clear on the link')
      const [tunnel] = (await statusOf(alice)).tunnels
      assert.equal(tunnel?.state, 'up')
      for (const [reason, count] of Object.entries(tunnel?.drops ?? {}))
        assert.ok(/^(esp|ah)\.replay$|^outer\./.test(reason) || count < 3, `${reason}: ${count}`)
      await alice.stop()
      await bob.stop()
      for (const host of [a, b]) {
        assert.doesNotMatch(net.run(host, 'ip rule; ip -6 rule'), /proto 87/)
        assert.equal(net.run(host, 'nft list ruleset'), '')
      }
    })

  test('without it everything goes in clear, and the link shows it', async () => {
    const [clear] = await onLink([CLEAR], () => {
      assert.ok(pings(a, HOSTS[4][1], HOSTS[4][0]))
      assert.ok(pings(a, HOSTS[6][1], HOSTS[6][0]))
    })
    assert.equal(clear, 12)
  })

  const SA4 = `esp from ${OUTER[4][0]} to ${OUTER[4][1]} spi 0x1001:0x1002 ${KEYED()}`
  const SA6 = `esp from ${OUTER[6][0]} to ${OUTER[6][1]} spi 0x2001:0x2002 ${SEALED()}`
  const flowOf = (family: 4 | 6, near: 0 | 1): string =>
    `flow esp from ${NETS[family][near]} to ${NETS[family][1 - near]} peer ${OUTER[family][1 - near]}`
  /** Packets of the protected networks themselves. */
  const INSIDE = `net 10.1.0.0/16 or net ${NETS[6][0]} or net ${NETS[6][1]}`

  async function until(what: () => string, holds: () => boolean | Promise<boolean>): Promise<void> {
    for (let waited = 0; !(await holds()); waited += 50) {
      assert.ok(waited < 5_000, what())
      await sleep(50)
    }
  }

  async function reload(process_: WarrenProcess, namespace: string, lines: readonly string[]): Promise<void> {
    conf(namespace, lines)
    const before = process_.log().split('reloaded').length
    process.kill(process_.pid, 'SIGHUP')
    await until(
      process_.log,
      () => /reloaded/.test(process_.log()) && process_.log().split('reloaded').length > before,
    )
  }

  test('reload: SAs that stay lose no packet and go on counting; what goes is closed, not open', async () => {
    const alice = await up(a, [SA4, flowOf(4, 0)])
    await up(b, [SA4, SA6, flowOf(4, 1), flowOf(6, 1)])
    assert.ok(pings(a, HOSTS[4][1]))
    const ping = Daemon.start(a, ['ping', '-i0.02', '-c150', '-q', HOSTS[4][1]])
    listeners.push(ping)
    await sleep(500)
    await reload(alice, a, [SA4, SA6, flowOf(4, 0), flowOf(6, 0)])
    assert.ok(pings(a, HOSTS[6][1]), 'the new SA works')
    await ping.until(/packets transmitted/)
    assert.match(ping.log, /150 packets transmitted, 150 received/)
    const { tunnels } = await statusOf(alice)
    const kept = tunnels[0]?.ipsec?.sas.find(({ spi }) => spi === 0x1001)
    assert.ok((kept?.packets ?? 0) >= 153, `${kept?.packets} packets by the SA that was kept`)
    // Without its SA the flow is closed; the other one goes on.
    await reload(alice, a, [SA6, flowOf(4, 0), flowOf(6, 0)])
    const [inside] = await onLink([INSIDE], () => {
      assert.ok(!pings(a, HOSTS[4][1]), 'nothing protects this flow any more')
      assert.ok(pings(a, HOSTS[6][1]))
    })
    assert.equal(inside, 0)
    const drops = (await statusOf(alice)).tunnels[0]?.drops ?? {}
    assert.ok((drops['spd.require'] ?? 0) > 0, JSON.stringify(drops))
  })

  test('an error in the file changes nothing', async () => {
    const alice = await up(a, [SA4, flowOf(4, 0)])
    await up(b, [SA4, flowOf(4, 1)])
    conf(a, [SA4, flowOf(4, 0), 'flow esp from nowhere'])
    process.kill(alice.pid, 'SIGHUP')
    await until(alice.log, () => /not reloaded/.test(alice.log()))
    conf(a, [SA4, `esp from 10.9.9.1 to 10.9.9.2 spi 0x3001 ${SEALED().replace(/:0x.*/, '')}`, flowOf(4, 0)])
    process.kill(alice.pid, 'SIGHUP')
    await until(alice.log, () => /a security association between others/.test(alice.log()))
    assert.ok(pings(a, HOSTS[4][1]))
  })

  test('SIGKILL leaves it closed, both ways; the next up takes over, down opens it', async () => {
    const alice = await up(a, [SA4, flowOf(4, 0)])
    const bob = await up(b, [SA4, flowOf(4, 1)])
    assert.ok(pings(a, HOSTS[4][1]))
    await alice.kill()
    const [inside] = await onLink([INSIDE], () => {
      assert.ok(!pings(a, HOSTS[4][1]), 'from a')
      assert.ok(!pings(b, HOSTS[4][0]), 'to a, protected')
    })
    assert.equal(inside, 0)
    await bob.stop()
    assert.ok(!pings(b, HOSTS[4][0], HOSTS[4][1]), 'to a, in clear')
    const again = await up(a, [SA4, flowOf(4, 0)])
    await up(b, [SA4, flowOf(4, 1)])
    // The keys are the old ones, and so are the numbers that b has not seen yet: it was started anew.
    assert.ok(pings(a, HOSTS[4][1]))
    await again.kill()
    assert.match(down(a), /removed what a killed one left/)
    assert.match(down(a), /no warren is running here/)
    assert.doesNotMatch(net.run(a, 'ip rule'), /proto 87/)
    assert.equal(net.run(a, 'nft list ruleset'), '')
  })

  test('an up that is refused does not open what a killed one left closed', async () => {
    const alice = await up(a, [SA4, flowOf(4, 0)])
    await alice.kill()
    const wrong = `esp from 10.9.9.1 to 10.9.9.2 spi 0x3001 ${SEALED().replace(/:0x.*/, '')}`
    await assert.rejects(up(a, [SA4, wrong, flowOf(4, 0)]), /a security association between others/)
    net.run(a, 'ip addr add 10.8.8.8/32 dev lo')
    // Nobody else may have the port of ESP in UDP for himself.
    const taken = Daemon.start(a, [
      process.execPath,
      '-e',
      "require('dgram').createSocket('udp4').bind(4500, '10.8.8.8', () => console.log('bound'))",
    ])
    listeners.push(taken)
    await taken.until(/bound/)
    const inUdp = `esp from 10.8.8.8 to 192.168.1.2 spi 0x3001 udpencap ${SEALED().replace(/:0x.*/, '')}`
    await assert.rejects(up(a, [SA4, inUdp, flowOf(4, 0)]), /EADDRINUSE/)
    net.run(a, 'ip addr del 10.8.8.8/32 dev lo')
    const [inside] = await onLink([INSIDE], () => assert.ok(!pings(a, HOSTS[4][1])))
    assert.equal(inside, 0)
    assert.match(down(a), /removed what a killed one left/)
    assert.ok(pings(a, HOSTS[4][1]), 'in clear again')
  })

  test('another key: nothing comes in, it is counted, and the log says who', async () => {
    const other = `esp from ${OUTER[4][0]} to ${OUTER[4][1]} spi 0x1001:0x1002 ${KEYED()}`
    const alice = await up(a, [SA4, flowOf(4, 0)])
    await up(b, [other, flowOf(4, 1)])
    assert.ok(!pings(b, HOSTS[4][0]))
    await until(alice.log, () =>
      /esp\.icv: 192\.168\.1\.2 > 192\.168\.1\.1 spi 0x00001002 seq 1/.test(alice.log()),
    )
    const drops = (await statusOf(alice)).tunnels[0]?.drops ?? {}
    assert.ok((drops['esp.icv'] ?? 0) >= 3, JSON.stringify(drops))
  })

  test('the thread that moves the packets ends: what the policies cover stays closed', async () => {
    const script = join(net.folder, 'crash.mjs')
    writeFileSync(
      script,
      `
      import { readFileSync } from 'node:fs'
      import { loadTunnels } from '${SOURCES}config/index.js'
      import { Tunnel } from '${SOURCES}engine/index.js'
      import { LinuxHost } from '${SOURCES}linux/index.js'
      const [, , file] = process.argv
      const [definition] = loadTunnels(readFileSync(file, 'utf8'), file)
      const host = new LinuxHost({
        onFailure: async (error) => {
          console.log(error.code, host.keepClosed())
          tunnel.stop()
          await host.close()
          console.log('closed')
        },
      })
      const tunnel = new Tunnel(host, definition)
      tunnel.start()
      // No such transform: the thread does not survive it.
      const [{ sa }] = definition.ipsec.sas
      const carrier = { kind: 'ip', protocol: 50, local: sa.source, remote: sa.destination }
      tunnel.interface.install({ id: 'x', carrier, takes: [4], transform: { protocol: 'none' } }, () => {})
      `,
    )
    const said = net.run(a, `${process.execPath} ${script} ${conf(a, [SA4, flowOf(4, 0)])}`)
    assert.equal(said, 'LINUX_DATA_PLANE true\nclosed\n')
    const [inside] = await onLink([INSIDE], () => assert.ok(!pings(a, HOSTS[4][1])))
    assert.equal(inside, 0)
    assert.match(down(a), /removed what a killed one left/)
  })

  test('what arrives in clear and should not is dropped and counted', async () => {
    const alice = await up(a, [SA4, flowOf(4, 0)])
    assert.ok(!pings(b, HOSTS[4][0], HOSTS[4][1]))
    assert.ok(pings(b, OUTER[4][0]), 'what no policy covers is not touched')
    const drops = (await statusOf(alice)).tunnels[0]?.drops ?? {}
    assert.ok((drops['guard.in'] ?? 0) >= 3, JSON.stringify(drops))
    assert.match(await alice.status(), /dropped guard\.in: \d+/)
  })

  test('somebody else removes enc0: closed until it is made again', async () => {
    const alice = await up(a, [SA4, flowOf(4, 0)])
    await up(b, [SA4, flowOf(4, 1)])
    net.run(a, 'ip link del enc0')
    await until(alice.log, () => /removed by somebody else/.test(alice.log()))
    const [inside] = await onLink([INSIDE], () => assert.ok(!pings(a, HOSTS[4][1])))
    assert.equal(inside, 0)
    await alice.stop()
    assert.doesNotMatch(net.run(a, 'ip rule'), /proto 87/)
  })

  test('a lifetime in packets: soft is told, hard ends the SA, and its flow is closed', async () => {
    const script = join(net.folder, 'lifetime.mjs')
    writeFileSync(
      script,
      `
      import { readFileSync } from 'node:fs'
      import { loadTunnels } from '${SOURCES}config/index.js'
      import { Tunnel } from '${SOURCES}engine/index.js'
      import { LinuxHost } from '${SOURCES}linux/index.js'
      const [, , file] = process.argv
      const [definition] = loadTunnels(readFileSync(file, 'utf8'), file)
      const { flows, sas } = definition.ipsec
      const limited = sas.map(({ sa, text }) => ({
        sa: { ...sa, lifetimes: { softPackets: 5, hardPackets: 10 } },
        text,
      }))
      const host = new LinuxHost({ log: console.log })
      const tunnel = new Tunnel(host, { ...definition, ipsec: { flows, sas: limited } }, {
        onEvent: (event) => console.log(JSON.stringify(event)),
      })
      tunnel.start()
      console.log('ready')
      process.on('SIGTERM', async () => {
        tunnel.stop()
        await host.close()
        process.exit(0)
      })
      setInterval(() => {}, 1000)
      `,
    )
    const limited = Daemon.start(a, [process.execPath, script, conf(a, [SA4, flowOf(4, 0)])])
    listeners.push(limited)
    await limited.until(/ready/)
    await up(b, [SA4, flowOf(4, 1)])
    const [inside] = await onLink([INSIDE], () => {
      const said = net.run(a, `ping -c20 -i0.1 -W1 ${HOSTS[4][1]} || true`)
      const received = Number(/(\d+) received/.exec(said)?.[1])
      assert.ok(received === 9 || received === 10, said)
    })
    assert.equal(inside, 0)
    await limited.until(/"name":"down"/)
    const soft = limited.log.indexOf('"kind":"soft"')
    assert.ok(soft >= 0 && soft < limited.log.indexOf('"kind":"hard"'), limited.log)
    assert.ok(!pings(a, HOSTS[4][1]))
  })

  test('flows of one port; deny; bypass; the rest goes as it did', async () => {
    for (const family of [4, 6] as const) {
      const [ours, theirs] = OUTER[family]
      const sa = `esp transport from ${ours} to ${theirs} spi 0x1001:0x1002 ${SEALED()}`
      const alice = await up(a, [
        sa,
        `flow esp proto tcp from ${ours} to ${theirs} port 5201`,
        `flow proto tcp from ${ours} to ${theirs} port 81 type deny`,
        `flow esp from ${NETS[family][0]} to ${NETS[family][1]} peer ${theirs}`,
        `flow from ${HOSTS[family][0]} to ${HOSTS[family][1]} type bypass`,
      ])
      const bob = await up(b, [sa, `flow esp proto tcp from ${theirs} port 5201 to ${ours}`])
      const web = Daemon.start(b, [
        process.execPath,
        '-e',
        `require('net').createServer((s) => s.end()).listen(81, '${theirs}', () => console.log('listening'))`,
      ])
      listeners.push(web)
      await web.until(/listening/)
      const [sealed, clear, denied] = await onLink(
        [`${family === 4 ? 'ip' : 'ip6'} proto 50`, 'tcp port 5201', 'tcp port 81'],
        async () => {
          assert.ok((await stream(theirs, ours)) > 5)
          assert.ok(pings(a, theirs), 'no flow covers a ping between the hosts')
          assert.ok(pings(a, HOSTS[family][1], HOSTS[family][0]), 'bypass within a wider flow')
          assert.throws(() =>
            net.run(
              a,
              `${process.execPath} -e "require('net').connect(81, '${theirs}').on('connect', () => process.exit(0)).on('error', () => process.exit(1)).setTimeout(2000, () => process.exit(1))"`,
            ),
          )
        },
      )
      assert.ok((sealed ?? 0) > 100, `${sealed} of ESP`)
      assert.equal(clear, 0)
      assert.equal(denied, 0)
      await alice.stop()
      await bob.stop()
      await web.stop()
    }
  })

  test("gif inside ESP's transport mode: two tunnels of one process, one in the other", async () => {
    const sa = `esp transport from ${OUTER[4][0]} to ${OUTER[4][1]} spi 0x1001:0x1002 ${SEALED()}`
    for (const [i, host] of [a, b].entries()) {
      const [near, far] = [OUTER[4][i], OUTER[4][1 - i]]
      const gif = join(net.folder, `hostname.gif${i}`)
      writeFileSync(gif, `tunnel ${near} ${far}\nalias 172.16.0.${i + 1} 172.16.0.${2 - i}\nup\n`)
      started.push(
        await startWarren(net, host, [
          gif,
          conf(host, [sa, `flow esp proto ipencap from ${near} to ${far}`]),
        ]),
      )
    }
    const [seen, clear] = await onLink(['ip proto 50', 'ip proto 4 or host 172.16.0.1'], () =>
      assert.ok(pings(a, '172.16.0.2')),
    )
    assert.equal(seen, 6)
    assert.equal(clear, 0)
    assert.ok(pings(a, OUTER[4][1]), 'the flow is of gif alone')
  })
})
