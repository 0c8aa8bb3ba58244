/**
 * What `warren up` makes on a machine, and that nothing of it stays.
 *
 *     netns a                            netns b
 *     +------------------+   veth        +------------------+
 *     | eth0 192.168.1.1 | ------------- | eth0 192.168.1.2 |
 *     | gif0 172.16.0.1  | ============= | gif0 172.16.0.2  |
 *     +------------------+               +------------------+
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { DaemonStatus } from '../src/linux/index.js'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import { startWarren, WARREN, type WarrenProcess } from './lib/warren.js'

const LINUX = fileURLToPath(new URL('../src/linux/index.js', import.meta.url))

describe('warren up on a machine', { skip: missing('ping') }, () => {
  let net: Netns
  let a: string
  let b: string
  const started: WarrenProcess[] = []

  before(() => {
    net = new Netns('wl')
    a = net.add('a')
    b = net.add('b')
    net.veth(a, 'eth0', b, 'eth0')
    net.run(a, 'ip addr add 192.168.1.1/24 dev eth0')
    net.run(b, 'ip addr add 192.168.1.2/24 dev eth0')
  })
  afterEach(async () => {
    for (const process of started.splice(0)) await process.kill()
  })
  after(() => net?.close())

  /** The article's own file. */
  function hostnameGif0(lines: readonly string[]): string {
    const file = join(net.folder, 'hostname.gif0')
    writeFileSync(file, `${lines.join('\n')}\n`)
    return file
  }
  const ALICE = ['tunnel 192.168.1.1 192.168.1.2', 'alias 172.16.0.1 172.16.0.2', 'up'] as const
  const BOB = ['tunnel 192.168.1.2 192.168.1.1', 'alias 172.16.0.2 172.16.0.1', 'up'] as const

  async function up(namespace: string, file: string): Promise<WarrenProcess> {
    const process = await startWarren(net, namespace, [file])
    started.push(process)
    return process
  }

  const links = (namespace: string): string[] =>
    (JSON.parse(net.run(namespace, 'ip -j link')) as { ifname: string }[]).map(({ ifname }) => ifname).sort()

  const statusOf = async (process: WarrenProcess): Promise<DaemonStatus> =>
    JSON.parse(await process.status('--json')) as DaemonStatus

  async function until(what: string, holds: () => boolean): Promise<void> {
    for (let waited = 0; !holds(); waited += 50) {
      assert.ok(waited < 5_000, what)
      await sleep(50)
    }
  }

  test("the article's files, at both ends, and the same state after them as before", async () => {
    // eth0's own link-local address becomes usable meanwhile (RFC 4862 section 5.4): that is to be over first.
    for (const host of [a, b])
      await until('eth0 is settled', () => !net.run(host, 'ip addr').includes('tentative'))
    const before = [links(a), net.run(a, 'ip route'), net.run(a, 'ip addr')]
    const alice = await up(a, hostnameGif0(ALICE))
    const bob = await up(b, hostnameGif0(BOB))
    assert.match(net.run(a, 'ip addr show gif0'), /inet 172\.16\.0\.1 peer 172\.16\.0\.2\/32/)
    assert.doesNotMatch(net.run(a, 'ip addr show gif0'), /inet6/, 'nobody asked for IPv6')
    assert.match(net.run(a, 'ping -c3 -i0.2 -w5 172.16.0.2'), /3 received/)
    const { tunnels } = await statusOf(alice)
    assert.equal(tunnels[0]?.paths.find(({ id }) => id === 'ipv4')?.outbound.packets, 3)
    await alice.stop()
    await bob.stop()
    assert.deepEqual([links(a), net.run(a, 'ip route'), net.run(a, 'ip addr')], before)
  })

  test('SIGKILL leaves nothing but the socket, and the next one starts over it', async () => {
    const file = hostnameGif0(ALICE)
    const alice = await up(a, file)
    assert.deepEqual(links(a), ['eth0', 'gif0', 'lo'])
    await alice.kill()
    await until('gif0 is gone', () => !links(a).includes('gif0'))
    assert.doesNotMatch(net.run(a, 'ip route'), /172\.16/)
    const again = await up(a, file)
    await again.stop()
  })

  test('a packet whose inner source does not belong inside, or from another outer address, does not come out (CVE-2020-10136)', async () => {
    const alice = await up(a, hostnameGif0(ALICE))
    net.run(b, 'ip addr add 192.168.1.66/24 dev eth0')
    // An ICMP echo request inside, sent raw from b.
    const send = `
      import { openRawSocket } from ${JSON.stringify(LINUX.replace('index.js', 'raw-socket.js'))}
      import { sendDatagram } from ${JSON.stringify(LINUX.replace('index.js', 'send.js'))}
      import { fromHex, parseIpAddress, internetChecksum, writeUint16 } from ${JSON.stringify(LINUX.replace('linux/index.js', 'base/index.js'))}
      const [from, inner] = process.argv.slice(2)
      const payload = new Uint8Array(28)
      payload.set(fromHex('4500001c000100004001000000000000ac1000010800f7ff00000000'))
      payload.set(parseIpAddress(inner).bytes, 12)
      writeUint16(payload, 10, internetChecksum(payload, 0, 20))
      const carrier = { kind: 'ip', protocol: 4, local: parseIpAddress(from), remote: parseIpAddress('192.168.1.1') }
      sendDatagram(openRawSocket(4, carrier.local, carrier.remote), { carrier, payload }, 64)`
    const script = join(net.folder, 'send.mjs')
    writeFileSync(script, send)
    const node = JSON.stringify(process.execPath)
    net.run(b, `${node} ${script} 192.168.1.66 172.16.0.2`)
    net.run(b, `${node} ${script} 192.168.1.2 10.6.6.6`)
    net.run(b, `${node} ${script} 192.168.1.2 192.168.1.66`)
    net.run(b, `${node} ${script} 192.168.1.2 172.16.0.1`)
    net.run(b, `${node} ${script} 192.168.1.2 172.16.0.2`)
    await sleep(200)
    const { tunnels } = await statusOf(alice)
    const inbound = tunnels[0]?.paths.find(({ id }) => id === 'ipv4')?.inbound
    assert.deepEqual(inbound, { packets: 1, bytes: 28, drops: { 'inner.source': 3 } })
    net.run(b, 'ip addr del 192.168.1.66/24 dev eth0')
  })

  test('reload keeps what did not change; an error in a file changes nothing', async () => {
    const file = join(net.folder, 'two.toml')
    const table = (name: string, key: number, mtu: number): string =>
      `[tunnel.${name}]\nkind = "gre"\nlocal = "192.168.1.1"\nremote = "192.168.1.2"\nkey = ${key}\nmtu = ${mtu}\n`
    writeFileSync(file, table('gre1', 1, 1400) + table('gre2', 2, 1400))
    const process = await up(a, file)
    const index = (name: string): string => net.run(a, `cat /sys/class/net/${name}/ifindex`).trim()
    const [kept, changed] = [index('gre1'), index('gre2')]
    writeFileSync(file, table('gre1', 1, 1400) + table('gre2', 2, 1300) + table('gre3', 3, 1400))
    const reload = (): string =>
      execFileSync(globalThis.process.execPath, [WARREN, 'reload', '--socket', socketOf(process)], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      })
    assert.equal(reload(), 'kept: gre1\nadded: gre3\nchanged: gre2\n')
    assert.equal(index('gre1'), kept)
    assert.notEqual(index('gre2'), changed)
    writeFileSync(file, `${table('gre1', 1, 1400)}\nkeyy = 3\n`)
    assert.throws(reload, /two\.toml:8/)
    assert.deepEqual(links(a), ['eth0', 'gre1', 'gre2', 'gre3', 'lo'])
    await process.stop()
    assert.deepEqual(links(a), ['eth0', 'lo'])
  })

  test('where one tunnel cannot be made, none is, and the error names file, reason and mend', async () => {
    const file = join(net.folder, 'bad.toml')
    writeFileSync(
      file,
      `[tunnel.gif1]\nkind = "gif"\nlocal = "192.168.1.1"\nremote = "192.168.1.2"\n[tunnel.gif2]\nkind = "gif"\nlocal = "192.168.9.9"\nremote = "192.168.1.2"\n`,
    )
    await assert.rejects(
      startWarren(net, a, [file]),
      /bad\.toml:5.*192\.168\.9\.9.*EADDRNOTAVAIL.*give this machine/s,
    )
    assert.deepEqual(links(a), ['eth0', 'lo'])
  })

  test('a name that is taken is not taken over', async () => {
    net.run(a, 'ip tuntap add dev gif0 mode tun')
    try {
      await assert.rejects(startWarren(net, a, [hostnameGif0(ALICE)]), /gif0.*EBUSY.*ip link del gif0/s)
      assert.ok(links(a).includes('gif0'))
    } finally {
      net.run(a, 'ip link del gif0')
    }
  })

  test('an interface that somebody else removed is told, and the others go on', async () => {
    const process = await up(a, hostnameGif0(ALICE))
    net.run(a, 'ip link del gif0')
    await until('it is told', () => process.log().includes('removed by somebody else'))
    assert.deepEqual((await statusOf(process)).tunnels, [])
    await process.stop()
  })

  test('without the right it says so', () => {
    const file = hostnameGif0(ALICE)
    // Root without the two capabilities, not another user: who could not even read the command, wherever it is checked out.
    const command = `setpriv --bounding-set=-net_admin,-net_raw --inh-caps=-net_admin,-net_raw ${process.execPath} ${WARREN} up --socket /tmp/warren-nobody.sock ${file}`
    assert.throws(
      () => net.run(a, command),
      /exit 1[\s\S]*(EPERM|EACCES); run it as root, or with CAP_NET_ADMIN/,
    )
    assert.equal(existsSync('/tmp/warren-nobody.sock'), false)
  })

  test('over IPv6: TTL, traffic class and flow label outside as the file says, and nothing cut that must not be', async () => {
    for (const [namespace, end] of [
      [a, 1],
      [b, 2],
    ] as const)
      net.run(namespace, `ip -6 addr replace fd3e:62ee:99db:bb1a::${end}/64 dev eth0 nodad`)
    const table = (own: number, other: number): string => {
      const file = join(net.folder, `gif6-${own}.toml`)
      writeFileSync(
        file,
        `[tunnel.gif0]\nkind = "gif"\nlocal = "fd3e:62ee:99db:bb1a::${own}"\nremote = "fd3e:62ee:99db:bb1a::${other}"\nttl = 9\nflow-label = 14\ndont-fragment = true\nmtu = 1480\naddresses = ["172.16.0.${own} -> 172.16.0.${other}"]\n`,
      )
      return file
    }
    const alice = await up(a, table(1, 2))
    await up(b, table(2, 1))
    const script = join(net.folder, 'outer.mjs')
    writeFileSync(
      script,
      `import { execFileSync } from 'node:child_process'
      import { openPacketSocket } from ${JSON.stringify(LINUX)}
      const capture = openPacketSocket('eth0')
      execFileSync('ping', ['-c1', '-w5', '-Q', '0xb8', '172.16.0.2'])
      for await (const { bytes } of capture) {
        if (bytes[12] !== 0x86 || bytes[20] !== 4) continue
        console.log(Buffer.from(bytes.subarray(14, 18)).toString('hex'), bytes[21])
        break
      }`,
    )
    assert.equal(net.run(a, `${process.execPath} ${script}`, 10_000), '6b80000e 9\n')
    assert.match(net.run(a, 'ping -M dont -s 1432 -c1 -w2 172.16.0.2'), /1 received/, 'it just fits')
    net.run(a, 'ping -M dont -s 1433 -c1 -w1 172.16.0.2 || true')
    assert.deepEqual((await statusOf(alice)).tunnels[0]?.drops, { 'outer.tooBig': 1 })
  })

  test('two tunnels that each lead into the other drop what is sent, and do not spin', async () => {
    const file = join(net.folder, 'loop.toml')
    writeFileSync(
      file,
      `[tunnel.gif1]\nkind = "gif"\nlocal = "192.168.1.1"\nremote = "10.8.0.1"\naddresses = ["10.7.0.2 -> 10.7.0.1"]\n` +
        `[tunnel.gre1]\nkind = "gre"\nlocal = "192.168.1.1"\nremote = "10.7.0.1"\naddresses = ["10.8.0.2 -> 10.8.0.1"]\n`,
    )
    net.run(a, 'ip route add default via 192.168.1.2')
    const process = await up(a, file)
    net.run(a, 'ping -c2 -i0.2 -w1 10.7.0.1 || true')
    const { tunnels } = await statusOf(process)
    const sent = tunnels
      .flatMap(({ paths }) => paths)
      .reduce((sum, { outbound }) => sum + outbound.packets, 0)
    assert.ok(sent <= 4, `${sent} packets`)
    assert.ok(
      tunnels.some(({ drops }) => drops.loop !== undefined),
      JSON.stringify(tunnels),
    )
    await process.stop()
    net.run(a, 'ip route del default')
  })

  test('when the thread that moves the packets ends, the host says so and all is removed', () => {
    const script = join(net.folder, 'crash.mjs')
    writeFileSync(
      script,
      `import { LinuxHost } from ${JSON.stringify(LINUX)}
      import { parseIpAddress } from ${JSON.stringify(LINUX.replace('linux/index.js', 'base/index.js'))}
      const host = new LinuxHost({
        onFailure: async (error) => {
          console.log(error.code)
          await host.close()
          console.log('closed')
        },
      })
      const made = host.createInterface({ name: 'gif7', layer: 'ip', mtu: 1280, addresses: [], up: true })
      const carrier = { kind: 'ip', protocol: 4, local: parseIpAddress('192.168.1.1'), remote: parseIpAddress('192.168.1.2') }
      made.install({ id: 'x', carrier, takes: [4], transform: { protocol: 'none' } }, () => {})`,
    )
    const out = net.run(a, `${process.execPath} ${script}; ip -o link`)
    assert.match(out, /^LINUX_DATA_PLANE\nclosed\n/)
    assert.doesNotMatch(out, /gif7/)
  })

  test('a capture sees what crosses an interface, with the kernel’s time, and ends when told', () => {
    const script = join(net.folder, 'capture.mjs')
    writeFileSync(
      script,
      `import { execFileSync } from 'node:child_process'
      import { openPacketSocket } from ${JSON.stringify(LINUX)}
      const capture = openPacketSocket('lo')
      const sent = Date.now() * 1000
      execFileSync('ping', ['-c2', '-i0.2', '127.0.0.1'])
      let seen = 0
      for await (const { bytes, timestamp } of capture) {
        if (bytes[12] !== 8 || bytes[13] !== 0) continue
        if (Math.abs(timestamp - sent) > 2e6 || bytes.length !== 98) throw new Error('no')
        // The kernel shows loopback's packets as sent and as received: here once.
        if (++seen === 4) setTimeout(() => capture.close(), 500)
      }
      console.log(capture.link, seen)`,
    )
    assert.match(net.run(a, `${process.execPath} ${script}`, 10_000), /^ethernet 4\n$/)
  })

  /** The socket that `startWarren` chose, from what it said when it was ready. */
  function socketOf(process: WarrenProcess): string {
    const said = /control at (\S+)/.exec(process.log())
    assert.ok(said !== null, process.log())
    return said[1]!
  }
})
