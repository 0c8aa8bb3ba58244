import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type InterfaceAddress,
  IpPrefix,
  milliseconds,
  parseIpAddress,
  SeededRandom,
  seconds,
} from '../base/index.js'
import { Tunnel, type TunnelDefinition } from '../engine/index.js'
import { LabClock } from './clock.js'
import { VirtualHost } from './host.js'
import { Link, type LinkFaults } from './link.js'
import { echoRequest } from './testing.js'

const address = (text: string, prefixLength: number, peer?: string): InterfaceAddress => ({
  address: parseIpAddress(text)!,
  prefixLength,
  ...(peer === undefined ? {} : { peer: parseIpAddress(peer)! }),
})

/** Two hosts at the ends of a link, as a program that uses the library makes them. */
function pair(faults: LinkFaults = {}): {
  clock: LabClock
  left: VirtualHost
  right: VirtualHost
  link: Link
} {
  const clock = new LabClock()
  const link = new Link(clock, { delay: milliseconds(1), ...faults }, 3)
  const [left, right] = ['left', 'right'].map((name, i) => {
    const host = new VirtualHost({ name, clock, random: new SeededRandom(i + 1) })
    const ifc = host.connect('em0', link.ends[i]!)
    host.stack.addAddress(ifc, address(`10.0.0.${i + 1}`, 24), clock.now())
    return host
  }) as [VirtualHost, VirtualHost]
  return { clock, left, right, link }
}

const definition = (kind: 'gif' | 'gre', local: number): TunnelDefinition => {
  const remote = 3 - local
  return {
    kind,
    name: `${kind}0`,
    outer: { local: parseIpAddress(`10.0.0.${local}`)!, remote: parseIpAddress(`10.0.0.${remote}`)! },
    mtu: 1280,
    addresses: [address(`172.16.0.${local}`, 32, `172.16.0.${remote}`)],
    routes: [{ destination: IpPrefix.parse(`192.168.${remote}.0/24`)! }],
    up: true,
    description: 'the other side',
  }
}

/** Echo replies that come back to `host` within a second, of `count` requests to `destination`. */
async function ping(host: VirtualHost, destination: string, count = 1): Promise<number> {
  let replies = 0
  const stop = host.stack.onIcmp(({ type }) => {
    if (type === 0) replies++
  })
  for (let i = 0; i < count; i++) {
    host.stack.send(
      { protocol: 1, destination: parseIpAddress(destination)!, payload: echoRequest(i) },
      host.now(),
    )
    await host.clock.advance(milliseconds(10))
  }
  await host.clock.advance(seconds(1))
  stop()
  return replies
}

for (const kind of ['gif', 'gre'] as const)
  test(`engine's ${kind} tunnel runs on virtual hosts, and leaves nothing behind`, async () => {
    const { clock, left, right } = pair()
    await clock.advance(seconds(2))
    const tunnels = [new Tunnel(left, definition(kind, 1)), new Tunnel(right, definition(kind, 2))]
    for (const tunnel of tunnels) tunnel.start()
    assert.equal(await ping(left, '172.16.0.2', 3), 3)
    assert.equal(left.stack.interfaces.get(`${kind}0`)?.description, 'the other side')
    assert.ok(left.stack.routes.lookup(parseIpAddress('192.168.2.7')!)?.interface.name === `${kind}0`)
    const { paths, state } = tunnels[0]!.status()
    assert.equal(state, 'up')
    const carried = paths.reduce((sum, path) => sum + path.inbound.packets, 0)
    assert.equal(carried, 3)
    for (const tunnel of tunnels) tunnel.stop()
    assert.equal(left.stack.interfaces.has(`${kind}0`), false)
    assert.equal(left.stack.routes.lookup(parseIpAddress('192.168.2.7')!), undefined)
    assert.equal(await ping(left, '172.16.0.2'), 0)
    // The carrier's handler is gone, too: the same name can be used again.
    const again = new Tunnel(left, definition(kind, 1))
    again.start()
    again.stop()
  })

test('a keepalive that is not answered takes the tunnel down, and one that is brings it up', async () => {
  const { clock, left, right, link } = pair()
  const keepalive = { period: seconds(1), count: 3 }
  const a = new Tunnel(left, { ...definition('gre', 1), keepalive })
  const b = new Tunnel(right, definition('gre', 2))
  a.start()
  b.start()
  await clock.advance(seconds(3))
  assert.equal(a.state, 'up')
  link.connected = false
  await clock.advance(seconds(6))
  assert.equal(a.state, 'down')
  assert.equal(left.stack.interfaces.get('gre0')?.running, false)
  link.connected = true
  await clock.advance(seconds(4))
  assert.equal(a.state, 'up')
})

test('a tunnel goes on over a link with loss, duplication, reordering and corruption', async () => {
  const { clock, left, right } = pair({
    loss: 0.1,
    duplicate: 0.1,
    reorder: 0.1,
    corrupt: 0.05,
    jitter: milliseconds(2),
  })
  await clock.advance(seconds(2))
  for (const tunnel of [new Tunnel(left, definition('gre', 1)), new Tunnel(right, definition('gre', 2))])
    tunnel.start()
  const replies = await ping(left, '172.16.0.2', 200)
  assert.ok(replies > 120 && replies < 260, `${replies} replies`)
})

test('a tunnel routed into itself comes to an end', async () => {
  const { clock, left } = pair()
  const tunnel = new Tunnel(left, {
    ...definition('gif', 1),
    outer: { local: parseIpAddress('172.16.0.1')!, remote: parseIpAddress('172.16.0.2')! },
  })
  tunnel.start()
  await ping(left, '172.16.0.2')
  const drops = Object.values(tunnel.status().drops).reduce((sum, count) => sum + count, 0)
  assert.ok(drops >= 1)
  assert.ok(clock.now() < seconds(10))
})

test('an interface whose route is refused is not made', async () => {
  const { left } = pair()
  const twice = { destination: IpPrefix.parse('192.168.2.0/24')! }
  const tunnel = new Tunnel(left, { ...definition('gif', 1), routes: [twice, twice] })
  assert.throws(() => tunnel.start(), { code: 'STACK_ROUTE_EXISTS' })
  assert.equal(left.stack.interfaces.has('gif0'), false)
  assert.equal(left.stack.routes.lookup(parseIpAddress('192.168.2.7')!), undefined)
})
