/**
 * EtherIP and EoIP between two `warren up`, the frames on the wire held against tshark's own dissection.
 *
 *     netns A                           netns B
 *     +---------------------+           +---------------------+
 *     | t0 (TAP) 10.1.0.1   |           | t0 (TAP) 10.1.0.2   |
 *     | eth0 192.168.1.1 --------------------- 192.168.1.2    |
 *     +---------------------+           +---------------------+
 *
 * No Linux kernel speaks either, so tshark is the stranger that reads them: it knows EtherIP whole and EoIP as GRE
 * version 1 with protocol 0x6400.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import { startWarren, type WarrenProcess } from './lib/warren.js'

const skip = missing('iperf3', 'ping', 'tshark', 'tcpdump')

const OUTER = {
  4: { a: '192.168.1.1', b: '192.168.1.2' },
  6: { a: 'fd3e:62ee:99db:bb1a::1', b: 'fd3e:62ee:99db:bb1a::2' },
} as const

describe('Ethernet over IP', { skip, timeout: 300_000 }, () => {
  let net: Netns
  let a: string
  let b: string

  before(() => {
    net = new Netns('we')
    a = net.add('a')
    b = net.add('b')
    net.veth(a, 'eth0', b, 'eth0')
    for (const [namespace, end] of [[a, 'a'] as const, [b, 'b'] as const]) {
      net.run(
        namespace,
        `ip addr add ${OUTER[4][end]}/24 dev eth0; ip -6 addr add ${OUTER[6][end]}/64 dev eth0 nodad`,
      )
    }
  })
  after(() => net?.close())

  /** Brings the tunnel up at both ends, runs `body`, takes it down. */
  async function withTunnel(
    kind: string,
    family: 4 | 6,
    lines: string,
    body: () => Promise<void>,
  ): Promise<void> {
    const started: WarrenProcess[] = []
    try {
      for (const [namespace, end, other] of [[a, 'a', 'b'] as const, [b, 'b', 'a'] as const]) {
        const file = join(net.folder, `${end}.toml`)
        const inner = end === 'a' ? '10.1.0.1/24' : '10.1.0.2/24'
        writeFileSync(
          file,
          `[tunnel.t0]\nkind = "${kind}"\nlocal = "${OUTER[family][end]}"\nremote = "${OUTER[family][other]}"\naddresses = ["${inner}"]\n${lines}\n`,
        )
        started.push(await startWarren(net, namespace, [file]))
      }
      await body()
    } finally {
      for (const process of started) await process.stop()
    }
  }

  /** What crosses eth0 while `body` runs, as tshark's fields of each packet. */
  async function captured(filter: string, fields: readonly string[], body: () => void): Promise<string[][]> {
    const file = join(net.folder, 'wire.pcap')
    const dump = spawn(
      'ip',
      ['netns', 'exec', b, 'tcpdump', '-i', 'eth0', '--immediate-mode', '-U', '-w', file, '-s', '0', filter],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    await new Promise<void>((resolve) =>
      dump.stderr.on('data', (chunk: Buffer) => String(chunk).includes('listening') && resolve()),
    )
    body()
    await new Promise((resolve) => setTimeout(resolve, 500))
    const gone = new Promise((resolve) => dump.once('exit', resolve))
    dump.kill('SIGINT')
    await gone
    const text = execFileSync(
      'tshark',
      ['-r', file, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    )
    return text
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'))
  }

  function pingsAndThroughput(): void {
    for (const [from, to] of [[a, '10.1.0.2'] as const, [b, '10.1.0.1'] as const]) {
      for (const size of [56, 1472, 8000]) {
        assert.match(
          net.run(from, `ping -c3 -i0.2 -w10 -s${size} ${to}`),
          /3 received/,
          `${size} bytes to ${to}`,
        )
      }
    }
    net.run(b, 'iperf3 -s -D -1')
    const report = JSON.parse(net.run(a, 'sleep 0.3; iperf3 -c 10.1.0.2 -t 2 -J')) as {
      end: { sum_received: { bits_per_second: number } }
    }
    assert.ok(report.end.sum_received.bits_per_second > 1e6, 'iperf3')
  }

  for (const family of [4, 6] as const) {
    test(`EtherIP over IPv${family}: data flows, and tshark reads version 3 and the frame inside`, async () => {
      await withTunnel('etherip', family, '', async () => {
        const rows = await captured(
          'proto 97 or ip6 proto 97',
          ['etherip.ver', 'eth.type', 'icmp.type', 'frame.protocols'],
          () => {
            net.run(a, 'ping -c3 -i0.2 -w5 10.1.0.2')
          },
        )
        const echoes = rows.filter((row) => row[2] === '8')
        assert.equal(echoes.length, 3, JSON.stringify(rows))
        for (const [version, types, , protocols] of echoes) {
          assert.equal(Number(version), 3)
          assert.equal(types, family === 4 ? '0x0800,0x0800' : '0x86dd,0x0800')
          assert.match(protocols!, /:etherip:eth:ethertype:ip:icmp/)
        }
        pingsAndThroughput()
      })
    })
  }

  test('EoIP: data flows, and the header is what RouterOS puts there', async () => {
    await withTunnel('eoip', 4, 'tunnel-id = 42', async () => {
      const rows = await captured(
        'proto 47',
        ['gre.proto', 'gre.flags.version', 'gre.flags.key', 'data.data', 'gre.key.payload_length', 'ip.len'],
        () => {
          net.run(a, 'ping -c3 -i0.2 -w5 10.1.0.2')
        },
      )
      const frames = rows.filter((row) => Number(row[5]?.split(',')[0]) > 100)
      assert.ok(frames.length >= 6, JSON.stringify(rows))
      for (const [protocol, version, key] of frames) {
        assert.equal(Number(protocol?.split(',')[0]), 0x6400)
        assert.equal(Number(version), 1)
        assert.ok(key === '1' || key === 'True', `key bit: ${key}`)
      }
      pingsAndThroughput()
    })
  })

  test('EoIP with another tunnel id carries nothing', async () => {
    const file = join(net.folder, 'other.toml')
    await withTunnel('eoip', 4, 'tunnel-id = 42', async () => {
      writeFileSync(
        file,
        `[tunnel.t1]\nkind = "eoip"\nlocal = "${OUTER[4].b}"\nremote = "${OUTER[4].a}"\ntunnel-id = 43\naddresses = ["10.2.0.2/24"]\n`,
      )
      const stranger = await startWarren(net, b, [file])
      try {
        net.run(a, 'ip addr add 10.2.0.1/24 dev t0')
        assert.throws(() => net.run(a, 'ping -c2 -i0.2 -w2 10.2.0.2'), /0 received/)
        net.run(a, 'ping -c2 -i0.2 -w5 10.1.0.2')
      } finally {
        await stranger.stop()
      }
    })
  })
})
