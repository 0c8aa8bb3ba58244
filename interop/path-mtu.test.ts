/**
 * Path MTU discovery through SAs: the way between the two hosts is narrower than their own links, and TCP, which forbids
 * fragments, hears of it inside (RFC 4301 section 8.2).
 *
 *     netns a                netns r                netns b
 *     +-----------------+    +----------------+    +-----------------+
 *     | eth0 192.0.2.1  | -- | MTU 1500  1300 | -- | 198.51.100.1    |
 *     | lo   10.1.1.1   |    +----------------+    | lo   10.1.2.1   |
 *     | enc0            | ======================== | enc0            |
 *     +-----------------+                          +-----------------+
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { Daemon } from './lib/daemon.js'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import { startWarren, type WarrenProcess } from './lib/warren.js'

const A = '192.0.2.1'
const B = '198.51.100.1'
const NARROW = 1300
/** A stream that stands still has less after two seconds: what was sent before anybody heard anything. */
const BYTES = 1_000_000

const hex = (bytes: number): string => `0x${randomBytes(bytes).toString('hex')}`
const both = (bytes: number): string => `${hex(bytes)}:${hex(bytes)}`

/** What fits of a packet: 1300 less the header outside, less ESP or AH. */
const CASES: Readonly<Record<string, { readonly sa: string; readonly flow: string; readonly fits: number }>> =
  {
    // SPI, sequence number, IV, trailer and ICV: 34; whole words.
    ESP: {
      flow: 'esp',
      sa: `esp from ${A} to ${B} spi 0x1001:0x1002 enc aes-256-gcm enckey ${both(36)}`,
      fits: 1246,
    },
    'ESP in UDP': {
      flow: 'esp',
      sa: `esp from ${A} to ${B} spi 0x1001:0x1002 udpencap enc aes-256-gcm enckey ${both(36)}`,
      fits: 1238,
    },
    AH: {
      flow: 'ah',
      sa: `ah from ${A} to ${B} spi 0x1001:0x1002 auth hmac-sha2-256 authkey ${both(32)}`,
      fits: 1252,
    },
  }

describe('a path that is narrower than the links', { skip: missing('ping', 'iperf3') }, () => {
  let net: Netns
  let a: string
  let b: string
  const started: WarrenProcess[] = []
  const listeners: Daemon[] = []

  before(() => {
    net = new Netns('pm')
    a = net.add('a')
    b = net.add('b')
    const r = net.add('r')
    net.veth(a, 'eth0', r, 'left')
    net.veth(b, 'eth0', r, 'right')
    net.run(r, 'ip addr add 192.0.2.254/24 dev left; ip addr add 198.51.100.254/24 dev right')
    net.run(r, `ip link set right mtu ${NARROW}; sysctl -qw net.ipv4.ip_forward=1`)
    net.run(a, `ip addr add ${A}/24 dev eth0; ip addr add 10.1.1.1/24 dev lo`)
    net.run(b, `ip addr add ${B}/24 dev eth0; ip addr add 10.1.2.1/24 dev lo`)
    net.run(b, `ip link set eth0 mtu ${NARROW}`)
    net.run(a, 'ip route add default via 192.0.2.254')
    net.run(b, 'ip route add default via 198.51.100.254')
  })
  afterEach(async () => {
    for (const process of started.splice(0)) await process.stop()
    for (const listener of listeners.splice(0)) await listener.stop()
    // What the kernel has learned for ten minutes.
    for (const host of [a, b]) net.run(host, 'ip route flush cache')
  })
  after(() => net?.close())

  async function up(namespace: string, lines: readonly string[]): Promise<void> {
    const file = join(net.folder, `${namespace}.ipsec.conf`)
    writeFileSync(file, `${lines.join('\n')}\n`)
    chmodSync(file, 0o600)
    started.push(await startWarren(net, namespace, [file]))
  }

  for (const [name, { sa, flow, fits }] of Object.entries(CASES))
    test(`${name}: TCP hears what fits, and its stream goes on`, async () => {
      const policy = `flow ${flow} from 10.1.1.0/24 to 10.1.2.0/24 local ${A} peer ${B}`
      const mirrored = `flow ${flow} from 10.1.2.0/24 to 10.1.1.0/24 local ${B} peer ${A}`
      await up(a, [policy, sa])
      await up(b, [mirrored, sa])
      const server = Daemon.start(b, ['iperf3', '-s', '-1', '-B', '10.1.2.1', '--forceflush'])
      listeners.push(server)
      await server.until(/Server listening/)
      const report = JSON.parse(net.run(a, `iperf3 -J -t2 -B 10.1.1.1 -c 10.1.2.1`, 20_000)) as {
        end: { sum_received: { bytes: number } }
      }
      assert.ok(report.end.sum_received.bytes > BYTES, `${report.end.sum_received.bytes} bytes`)
      assert.match(net.run(a, 'ip route get 10.1.2.1 from 10.1.1.1'), new RegExp(`mtu ${fits}\\b`))
      // A packet of that length arrives whole; one byte more is refused here, with the number.
      net.run(a, `ping -c1 -W3 -M do -s ${fits - 28} -I 10.1.1.1 10.1.2.1`)
      assert.throws(() => net.run(a, `ping -c1 -W1 -M do -s ${fits - 27} -I 10.1.1.1 10.1.2.1`), /mtu/)
    })
})
