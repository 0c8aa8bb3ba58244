/** Tunnels of one host that several threads work, against one that a single thread works. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import { startWarren, type WarrenProcess } from './lib/warren.js'

const SRC = fileURLToPath(new URL('../src', import.meta.url))
const skip = missing('ping')

/** Two of one carrier, told apart by their keys; one of another; and two that lead into each other. */
const table = (own: number, other: number, more = ''): string =>
  [
    ['gre1', 'kind = "gre"\nkey = 1', 1],
    ['gre2', 'kind = "gre"\nkey = 2', 2],
    ['gif3', 'kind = "gif"', 3],
  ]
    .map(
      ([name, kind, net]) =>
        `[tunnel.${name}]\n${kind}\nlocal = "192.168.1.${own}"\nremote = "192.168.1.${other}"\nmtu = 1400\naddresses = ["10.${net}.0.${own}/24"]\n`,
    )
    .join('') + more
const LOOP =
  '[tunnel.gif8]\nkind = "gif"\nlocal = "192.168.1.1"\nremote = "10.9.0.1"\nmtu = 1400\naddresses = ["10.8.0.2 -> 10.8.0.1"]\n' +
  '[tunnel.gre9]\nkind = "gre"\nlocal = "192.168.1.1"\nremote = "10.8.0.1"\nmtu = 1400\naddresses = ["10.9.0.2 -> 10.9.0.1"]\n'

/** 10.1.OWN.1 to 10.1.OTHER.1, through SAs of its own. */
const ipsec = (own: number, other: number, encapsulation: string): string => {
  const key = (sender: number): string => `0x${`0${sender}`.repeat(36)}`
  return `flow esp from 10.1.${own}.0/24 to 10.1.${other}.0/24 peer 192.168.1.${other}
esp from 192.168.1.${own} to 192.168.1.${other} spi 0x100${own}:0x100${other} ${encapsulation} enc aes-256-gcm enckey ${key(own)}:${key(other)}
`
}
/** What comes is sent back. */
const ECHO = `require('node:net').createServer((one) => one.pipe(one)).listen(7777, '10.1.2.1')`

let net: Netns
let peer: WarrenProcess | undefined
before(() => {
  if (skip !== false) return
  net = new Netns('wlw')
  const [a, b] = [net.add('a'), net.add('b')]
  net.veth(a, 'eth0', b, 'eth0')
  net.run(a, 'ip addr add 192.168.1.1/24 dev eth0; ip route add default via 192.168.1.2 dev eth0')
  net.run(b, 'ip addr add 192.168.1.2/24 dev eth0')
})
after(async () => {
  await peer?.kill()
  net?.close()
})

test('every tunnel works, none takes the packets of another, and a loop over two threads is found', {
  skip,
}, async () => {
  const toml = join(net.folder, 'b.toml')
  writeFileSync(toml, table(2, 1))
  peer = await startWarren(net, net.name('b'), [toml])
  const script = join(net.folder, 'workers.mjs')
  writeFileSync(
    script,
    `import { execFileSync } from 'node:child_process'
    import { LinuxHost } from ${JSON.stringify(join(SRC, 'linux/index.js'))}
    import { Tunnel } from ${JSON.stringify(join(SRC, 'engine/index.js'))}
    import { parseWarrenToml } from ${JSON.stringify(join(SRC, 'config/index.js'))}
    const host = new LinuxHost({ workers: 3 })
    const tunnels = parseWarrenToml(${JSON.stringify(table(1, 2, LOOP))}, 'a.toml').map((one) => new Tunnel(host, one))
    for (const tunnel of tunnels) tunnel.start()
    const ping = (address, ...options) => {
      try {
        execFileSync('ping', ['-c3', '-i0.2', '-w5', ...options, address])
      } catch {}
    }
    for (const net of [1, 2, 3]) ping(\`10.\${net}.0.2\`, '-s2000')
    await new Promise((resolve) => setTimeout(resolve, 1200))
    ping('10.8.0.1', '-w1')
    await host.refresh()
    console.log(JSON.stringify({ tunnels: tunnels.map((tunnel) => tunnel.status()), drops: host.drops() }))
    for (const tunnel of tunnels) tunnel.stop()
    await host.close()`,
  )
  const out = net.run(net.name('a'), `'${process.execPath}' '${script}' && ip -o link`)
  const [json, ...links] = out.trim().split('\n')
  interface Counted {
    readonly packets: number
  }
  const { tunnels, drops } = JSON.parse(json!) as {
    tunnels: {
      name: string
      drops: Record<string, number>
      paths: { inbound: Counted; outbound: Counted }[]
    }[]
    drops: Record<string, number>
  }
  for (const { name, paths } of tunnels.slice(0, 3)) {
    // Three pings of two fragments each, or more where the machine was slow to answer.
    const [inbound, outbound] = (['inbound', 'outbound'] as const).map((way) =>
      paths.reduce((sum, path) => sum + path[way].packets, 0),
    )
    assert.ok(inbound! >= 6 && outbound! >= inbound!, `${name}: ${inbound} in, ${outbound} out`)
  }
  assert.deepEqual(drops, {}, 'each has its thread’s packets alone')
  const sent = tunnels
    .slice(3)
    .flatMap(({ paths }) => paths)
    .reduce((sum, { outbound }) => sum + outbound.packets, 0)
  assert.ok(sent <= 4, `${sent} packets went round`)
  assert.ok(
    tunnels.slice(3).some((tunnel) => tunnel.drops.loop !== undefined),
    json,
  )
  assert.equal(links.filter((line) => /: (gre|gif)/.test(line)).length, 0, 'nothing stays')
})

for (const encapsulation of ['', 'udpencap'])
  test(`one SA, four threads, ${encapsulation === '' ? 'ESP' : 'ESP in UDP'}: all arrives, in the window`, {
    skip: skip || missing('iperf3'),
  }, async () => {
    await peer?.kill()
    peer = undefined
    net.run(net.name('a'), 'ip link set lo up; ip addr replace 10.1.1.1/32 dev lo')
    net.run(net.name('b'), 'ip link set lo up; ip addr replace 10.1.2.1/32 dev lo')
    const other = join(net.folder, 'other.mjs')
    writeFileSync(
      other,
      `import { LinuxHost } from ${JSON.stringify(join(SRC, 'linux/index.js'))}
      import { Tunnel } from ${JSON.stringify(join(SRC, 'engine/index.js'))}
      import { loadTunnels } from ${JSON.stringify(join(SRC, 'config/index.js'))}
      const host = new LinuxHost()
      // What four threads on two cores send overtakes by thousands.
      const [definition] = loadTunnels(${JSON.stringify(ipsec(2, 1, encapsulation))}, 'ipsec.conf')
      for (const { sa } of definition.ipsec.sas) sa.window = 8192
      const tunnel = new Tunnel(host, definition)
      tunnel.start()
      process.stdin.once('data', async () => {
        await host.refresh()
        console.log(JSON.stringify(tunnel.status()))
        tunnel.stop()
        await host.close()
        process.exit()
      })`,
    )
    const enter = ['netns', 'exec', net.name('b')]
    const receiver = spawn('ip', [...enter, process.execPath, other], { stdio: ['pipe', 'pipe', 'inherit'] })
    const servers = [
      spawn('ip', [...enter, process.execPath, '-e', ECHO], { stdio: 'ignore' }),
      spawn('ip', [...enter, 'iperf3', '-s', '-B', '10.1.2.1'], { stdio: 'ignore' }),
    ]
    try {
      const script = join(net.folder, 'queues.mjs')
      writeFileSync(
        script,
        `import { execFile } from 'node:child_process'
        import { createHash, randomBytes } from 'node:crypto'
        import { connect } from 'node:net'
        import { LinuxHost } from ${JSON.stringify(join(SRC, 'linux/index.js'))}
        import { Tunnel } from ${JSON.stringify(join(SRC, 'engine/index.js'))}
        import { loadTunnels } from ${JSON.stringify(join(SRC, 'config/index.js'))}
        const host = new LinuxHost({ workers: 4, sharesSas: true })
        const [tunnel] = loadTunnels(${JSON.stringify(ipsec(1, 2, encapsulation))}, 'ipsec.conf').map((one) => new Tunnel(host, one))
        tunnel.start()
        await new Promise((resolve) => setTimeout(resolve, 500))
        const sha = (bytes) => createHash('sha256').update(bytes).digest('hex')
        const echoed = (file) => new Promise((resolve, reject) => {
          const back = []
          const socket = connect({ host: '10.1.2.1', port: 7777, localAddress: '10.1.1.1' })
          socket.on('data', (data) => back.push(data)).on('end', () => resolve(sha(Buffer.concat(back)))).on('error', reject)
          socket.end(file)
        })
        const files = [1, 2, 3, 4].map(() => randomBytes(4 << 20))
        const same = (await Promise.all(files.map(echoed))).every((hash, i) => hash === sha(files[i]))
        const iperf = await new Promise((resolve) =>
          execFile('iperf3', ['-c', '10.1.2.1', '-B', '10.1.1.1', '-P', '4', '-t', '2', '-J'], (_, out) => resolve(JSON.parse(out))),
        )
        await new Promise((resolve) => setTimeout(resolve, 300))
        await host.refresh()
        const { bits_per_second } = iperf.end.sum_received
        console.log(JSON.stringify({ same, mbits: bits_per_second / 1e6, status: tunnel.status(), drops: host.drops() }))
        tunnel.stop()
        await host.close()`,
      )
      const out = net.run(net.name('a'), `timeout 60 '${process.execPath}' '${script}' && ip -o link`)
      const [json, ...links] = out.trim().split('\n')
      const { same, mbits, status, drops } = JSON.parse(json!) as {
        same: boolean
        mbits: number
        status: {
          paths: {
            outbound: { packets: number; drops: Record<string, number> }
            sas: { direction: string; packets: number }[]
          }[]
        }
        drops: Record<string, number>
      }
      assert.ok(same, 'four files, there and back')
      assert.ok(mbits > 1)
      assert.deepEqual(drops, {})
      const [path] = status.paths
      const sent = path!.outbound.packets
      assert.equal(path!.sas.find(({ direction }) => direction === 'outbound')!.packets, sent)
      receiver.stdin.write('\n')
      const seen = JSON.parse(String((await once(receiver.stdout, 'data'))[0])) as typeof status & {
        drops: Record<string, number>
      }
      const { inbound } = seen.paths[0] as unknown as {
        inbound: { packets: number; drops: Record<string, number> }
      }
      // A thread that has to wait for a core may be overtaken by more than even that window.
      const replayed = inbound.drops['esp.replay'] ?? 0
      assert.ok(replayed <= sent / 100, `${replayed} of ${sent} packets taken for replays`)
      assert.ok(inbound.packets <= sent && inbound.packets > sent * 0.9, `${inbound.packets} of ${sent}`)
      assert.equal(links.filter((line) => line.includes('enc0')).length, 0, 'nothing stays')
    } finally {
      for (const server of [...servers, receiver]) server.kill()
    }
  })
