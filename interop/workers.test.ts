/** Tunnels of one host that several threads work, against one that a single thread works. */
import assert from 'node:assert/strict'
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
