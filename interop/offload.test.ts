/**
 * What goes through a tunnel in pieces longer than its MTU (segmentation and coalescing between the kernel and the
 * data plane) arrives bit for bit, with the kernel's offloads on and off.
 *
 *     netns c             netns a                             netns b
 *     +------------+      +-------------------+   veth        +-------------------+
 *     | eth0  .3.2 | ---- | eth1 192.168.3.1  |               |                   |
 *     +------------+      | eth0 192.168.1.1  | ------------- | eth0 192.168.1.2  |
 *                         | t0 10.1.0.1, fd::1| ============= | t0 10.1.0.2, fd::2|
 *                         +-------------------+               +-------------------+
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import type { DaemonStatus } from '../src/linux/index.js'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import { startWarren, type WarrenProcess } from './lib/warren.js'

const PORT = 7000
const FILE_LENGTH = 8 << 20

/** Takes connections one after the other: each is stored and ended once its other side has ended. */
const SERVER = `
const { createHash } = require('node:crypto')
require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
  const hash = createHash('sha256')
  socket.on('data', (chunk) => hash.update(chunk))
  socket.on('end', () => socket.end(hash.digest('hex')))
  socket.on('error', () => {})
}).listen(${PORT}, '::', () => console.log('listening'))
`
/** Sends a file and prints what the other side makes of it. */
const CLIENT = `
const [file, address] = process.argv.slice(1)
const socket = require('node:net').connect({ host: address, port: ${PORT}, allowHalfOpen: true })
require('node:fs').createReadStream(file).pipe(socket)
socket.pipe(process.stdout)
socket.on('error', (error) => { console.error(error.message); process.exit(1) })
`

const kinds = [
  { name: 'gif', lines: 'kind = "gif"', mtu: 1480 },
  { name: 'gre with a key, an odd MTU', lines: 'kind = "gre"\nkey = 7', mtu: 1333 },
  { name: 'etherip', lines: 'kind = "etherip"', mtu: 1464 },
] as const

describe('offloads of a tunnel’s interface', { skip: missing('iperf3', 'ping', 'ethtool') }, () => {
  let net: Netns
  const [a, b, c] = ['a', 'b', 'c']
  const started: WarrenProcess[] = []
  const servers: ChildProcess[] = []
  let file = ''
  let hash = ''

  before(() => {
    net = new Netns('wlo')
    for (const host of [a, b, c]) net.add(host)
    net.veth(net.name(a), 'eth0', net.name(b), 'eth0')
    net.veth(net.name(a), 'eth1', net.name(c), 'eth0')
    run(a, 'ip addr add 192.168.1.1/24 dev eth0; ip addr add 192.168.3.1/24 dev eth1')
    run(b, 'ip addr add 192.168.1.2/24 dev eth0')
    run(c, 'ip addr add 192.168.3.2/24 dev eth0; ip route add default via 192.168.3.1')
    run(a, 'echo 1 > /proc/sys/net/ipv4/ip_forward')
    file = join(net.folder, 'file')
    const bytes = randomBytes(FILE_LENGTH + 1)
    writeFileSync(file, bytes)
    hash = createHash('sha256').update(bytes).digest('hex')
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) server.kill('SIGKILL')
    for (const process of started.splice(0)) await process.kill()
  })
  after(() => net?.close())

  const run = (host: string, command: string): string => net.run(net.name(host), command)

  async function up(lines: string, mtu: number): Promise<void> {
    for (const [end, own, other, extra] of [
      [a, 1, 2, ''],
      [b, 2, 1, 'routes = ["192.168.3.0/24 via 10.1.0.1"]\n'],
    ] as const) {
      const toml = join(net.folder, `${end}.toml`)
      writeFileSync(
        toml,
        `[tunnel.t0]\n${lines}\nlocal = "192.168.1.${own}"\nremote = "192.168.1.${other}"\nmtu = ${mtu}\naddresses = ["10.1.0.${own}/24", "fd00::${own}/64"]\n${extra}`,
      )
      started.push(await startWarren(net, net.name(end), [toml]))
    }
    // Until its addresses are proved unique (RFC 4862 section 5.4), the kernel takes another interface's as source.
    for (const end of [a, b]) run(end, 'while ip -6 addr show dev t0 | grep -q tentative; do sleep 0.1; done')
  }

  async function serve(host: string): Promise<void> {
    const server = spawn('ip', ['netns', 'exec', net.name(host), process.execPath, '-e', SERVER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    servers.push(server)
    await new Promise((resolve) => server.stdout!.once('data', resolve))
  }

  const sendFile = (from: string, to: string): string => {
    writeFileSync(join(net.folder, 'client.cjs'), CLIENT.replace('slice(1)', 'slice(2)'))
    return run(from, `'${process.execPath}' '${join(net.folder, 'client.cjs')}' '${file}' ${to}`)
  }

  /** Drops by reason, of all paths at both ends. */
  async function drops(): Promise<Record<string, number>> {
    const all: Record<string, number> = {}
    for (const process of started) {
      const { tunnels } = JSON.parse(await process.status('--json')) as DaemonStatus
      for (const { paths } of tunnels)
        for (const { inbound, outbound } of paths)
          for (const [reason, count] of Object.entries({ ...inbound.drops, ...outbound.drops }))
            all[reason] = (all[reason] ?? 0) + count
    }
    return all
  }

  function bulk(...options: string[]): {
    sum_received: { bits_per_second: number }
    sum: { lost_percent: number }
  } {
    const pid = join(net.folder, 'iperf3.pid')
    run(b, `iperf3 -s -D -1 -B 10.1.0.2 -I ${pid}`)
    try {
      const json = run(a, `sleep 0.3; iperf3 -c 10.1.0.2 -t 1 -J ${options.join(' ')}`)
      return (JSON.parse(json) as { end: ReturnType<typeof bulk> }).end
    } catch (error) {
      const server = Number.parseInt(readFileSync(pid, 'latin1'), 10)
      if (server > 1) process.kill(server)
      throw error
    }
  }

  for (const { name, lines, mtu } of kinds)
    for (const offload of ['on', 'off'])
      test(`${name}, offloads ${offload}: files, streams, datagrams and fragments`, async () => {
        await up(lines, mtu)
        for (const host of [a, b]) {
          if (offload === 'off') run(host, 'ethtool -K t0 tx off tso off gso off gro off')
          const features = run(host, 'ethtool -k t0')
          assert.match(features, new RegExp(`^tcp-segmentation-offload: ${offload}`, 'm'))
        }
        for (const host of [a, b]) await serve(host)
        assert.equal(sendFile(a, '10.1.0.2'), hash)
        assert.equal(sendFile(b, '10.1.0.1'), hash)
        assert.equal(sendFile(a, 'fd00::2'), hash)
        assert.equal(sendFile(b, 'fd00::1'), hash)
        assert.equal(sendFile(c, '10.1.0.2'), hash, 'from beyond, with the longer MTU of an Ethernet')
        for (const options of [[], ['-R'], ['-P', '3']])
          assert.ok(bulk(...options).sum_received.bits_per_second > 1e7, `iperf3 ${options.join(' ')}`)
        // A busy machine loses some; a wrong checksum would lose all.
        for (const way of ['', '-R'])
          assert.ok(bulk('-u', '-b', '5M', '-l', '1200', way).sum.lost_percent < 50, `iperf3 -u ${way}`)
        for (const target of ['10.1.0.2', 'fd00::2'])
          assert.match(run(a, `ping -c3 -i0.2 -w5 -s 8000 ${target}`), / 3 received/)
        assert.deepEqual(await drops(), {})
      })
})
