import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ETHERNET, IPV4, IpPrefix, seconds } from '../base/index.js'
import { gif4 } from '../proto/article.testdata.js'
import { hexBytes, ipOf } from '../proto/testing.js'
import type { TunnelDefinition } from './definition.js'
import { RecordingHost } from './testing.js'
import { Tunnel } from './tunnel.js'

const outer = { local: ipOf('192.168.1.1'), remote: ipOf('192.168.1.2') }
const gif0: TunnelDefinition = {
  kind: 'gif',
  name: 'gif0',
  outer,
  mtu: 1280,
  addresses: [{ address: ipOf('172.16.0.1'), prefixLength: 32, peer: ipOf('172.16.0.2') }],
  routes: [{ destination: IpPrefix.parse('10.0.0.0/8')!, gateway: ipOf('172.16.0.2') }],
  description: 'to bob',
  up: true,
  where: 'hostname.gif0',
}
const gre0: TunnelDefinition = {
  ...gif0,
  kind: 'gre',
  name: 'gre0',
  mtu: 1476,
  keepalive: { period: seconds(10), count: 3 },
}
const inner = gif4.subarray(20)

test('start makes the interface of the definition, and packets go both ways', () => {
  const host = new RecordingHost()
  const tunnel = new Tunnel(host, gif0)
  tunnel.start()
  const made = host.interfaces.get('gif0')!
  const { kind, outer: _, where, ...rest } = gif0
  assert.deepEqual(made.spec, { ...rest, layer: 'ip' })
  assert.equal(tunnel.state, 'up')
  made.send(inner, IPV4)
  assert.deepEqual(host.sent[0]?.payload, inner)
  host.receive({ carrier: { kind: 'ip', protocol: 4, ...outer }, payload: inner })
  assert.deepEqual(made.delivered, [{ kind: IPV4, bytes: inner }])
  assert.deepEqual(tunnel.status(), {
    name: 'gif0',
    kind: 'gif',
    state: 'up',
    local: '192.168.1.1',
    remote: '192.168.1.2',
    mtu: 1280,
    where: 'hostname.gif0',
    since: 0,
    paths: [
      {
        id: 'ipv4',
        inbound: { packets: 1, bytes: 84, drops: {} },
        outbound: { packets: 1, bytes: 84, drops: {} },
      },
      {
        id: 'ipv6',
        inbound: { packets: 0, bytes: 0, drops: {} },
        outbound: { packets: 0, bytes: 0, drops: {} },
      },
    ],
    drops: {},
  })
})

test('frames for eoip and etherip', () => {
  for (const kind of ['eoip', 'etherip'] as const) {
    const host = new RecordingHost()
    new Tunnel(host, { ...gif0, kind, name: `${kind}0`, addresses: [], routes: [] }).start()
    const made = host.interfaces.get(`${kind}0`)!
    assert.equal(made.spec.layer, 'ethernet')
    made.send(new Uint8Array(60), ETHERNET)
    assert.equal(host.sent[0]?.payload.length, kind === 'eoip' ? 68 : 62)
  }
})

test('CVE-2020-10136: a packet from anybody but the configured peer meets nobody', () => {
  const host = new RecordingHost()
  new Tunnel(host, gif0).start()
  const from = (local: string, remote: string): void =>
    host.receive({
      carrier: { kind: 'ip', protocol: 4, local: ipOf(local), remote: ipOf(remote) },
      payload: inner,
    })
  from('192.168.1.1', '192.168.1.3')
  from('192.168.1.9', '192.168.1.2')
  assert.equal(host.counters.get('path.none'), 2)
  from('192.168.1.1', '192.168.1.2')
  assert.equal(host.interfaces.get('gif0')!.delivered.length, 1, 'the honest tunnel goes on')
})

test('stop removes all that was made; start makes it again', () => {
  const host = new RecordingHost()
  const tunnel = new Tunnel(host, gre0)
  tunnel.start()
  tunnel.start()
  tunnel.stop()
  tunnel.stop()
  assert.equal(host.interfaces.size, 0)
  assert.deepEqual(host.table.protocols(), [])
  assert.equal(host.nextTimeout(), undefined)
  assert.equal(tunnel.state, 'stopped')
  tunnel.start()
  assert.deepEqual(host.table.protocols(), [47])
})

test('keepalive: timers, answers and silence reach the state, the interface and the owner', () => {
  const host = new RecordingHost()
  const events: string[] = []
  const tunnel = new Tunnel(host, gre0, {
    onEvent: (event, now) => events.push(`${now / 1e6} ${event.name}`),
  })
  tunnel.start()
  const made = host.interfaces.get('gre0')!
  assert.equal(tunnel.state, 'down')
  assert.equal(made.running, false)
  host.advance(seconds(1))
  const [asked] = host.sent
  // As the peer sends it back: the GRE packet inside.
  host.receive({ carrier: asked!.carrier, payload: asked!.payload.subarray(24) })
  assert.equal(tunnel.state, 'up')
  assert.equal(made.running, true)
  host.advance(seconds(60))
  assert.equal(tunnel.state, 'down')
  assert.equal(tunnel.status().reason, 'keepalives of the peer are missing')
  assert.equal(made.running, false)
  assert.deepEqual(events, ['0 down', '1 up', '31 down'])
  assert.equal(host.sent.length, 7, 'one every ten seconds')
})

test("a peer's keepalive is answered through the host", () => {
  const host = new RecordingHost()
  const { keepalive: _, ...quiet } = gre0
  new Tunnel(host, quiet).start()
  host.receive({
    carrier: { kind: 'ip', protocol: 47, ...outer },
    payload: hexBytes('0000 0800 45c0 001c 0000 0000 ff2f 379f c0a8 0101 c0a8 0102 0000 0000 0102 0304'),
  })
  assert.deepEqual(
    host.sent.map(({ payload, ttl }) => ({ payload, ttl })),
    [{ payload: hexBytes('0000 0000 0102 0304'), ttl: 254 }],
  )
})

test('reconfigure: another tunnel behind the same interface', () => {
  const host = new RecordingHost()
  const { outer: _, ...bare } = gif0
  const tunnel = new Tunnel(host, bare)
  tunnel.start()
  const made = host.interfaces.get('gif0')!
  assert.equal(tunnel.state, 'idle')
  made.send(inner, IPV4)
  assert.equal(host.sent.length, 0, 'nothing leaves without a tunnel')
  tunnel.reconfigure(gif0)
  assert.equal(tunnel.state, 'up')
  made.send(inner, IPV4)
  assert.equal(host.sent[0]?.carrier.remote.toString(), '192.168.1.2')
  tunnel.reconfigure({ ...gif0, outer: { ...outer, remote: ipOf('192.168.1.3') } })
  made.send(inner, IPV4)
  assert.equal(host.sent[1]?.carrier.remote.toString(), '192.168.1.3')
  assert.equal(host.interfaces.get('gif0'), made)
  tunnel.reconfigure(bare)
  assert.equal(tunnel.state, 'idle')
  assert.deepEqual(made.pathIds, [])
})

test('a definition that the machine refuses changes nothing', () => {
  const host = new RecordingHost()
  const wrong = { ...gif0, outer: { ...outer, remote: ipOf('fd00::1') } }
  assert.throws(() => new Tunnel(host, wrong).start(), { code: 'TUNNEL_OUTER' })
  assert.equal(host.interfaces.size, 0)
  const tunnel = new Tunnel(host, gif0)
  tunnel.start()
  assert.throws(() => tunnel.reconfigure(wrong), { code: 'TUNNEL_OUTER' })
  assert.equal(tunnel.state, 'up')
  assert.equal(tunnel.definition, gif0)
  assert.deepEqual(host.interfaces.get('gif0')!.pathIds, ['ipv4', 'ipv6'])
})

test('a path that the host refuses leaves nothing behind', () => {
  const host = new RecordingHost()
  host.refusedProtocol = 41
  const tunnel = new Tunnel(host, gif0)
  assert.throws(() => tunnel.start(), { code: 'TEST_REFUSED' })
  assert.equal(host.interfaces.size, 0)
  assert.deepEqual(host.table.protocols(), [])
  assert.equal(tunnel.state, 'stopped')
})

test('reconfigure to what the host refuses: the old tunnel goes on', () => {
  const host = new RecordingHost()
  const tunnel = new Tunnel(host, gif0)
  tunnel.start()
  const made = host.interfaces.get('gif0')!
  host.refusedRemote = '192.168.1.3'
  const refused = { ...gif0, outer: { ...outer, remote: ipOf('192.168.1.3') } }
  assert.throws(() => tunnel.reconfigure(refused), { code: 'TEST_REFUSED' })
  assert.equal(tunnel.state, 'up')
  assert.equal(tunnel.definition, gif0)
  made.send(inner, IPV4)
  assert.equal(host.sent[0]?.carrier.remote.toString(), '192.168.1.2')
})

test('an owner that reconfigures when it hears of an event keeps the new timers', () => {
  const host = new RecordingHost()
  const slow = { ...gre0, keepalive: { period: seconds(100), count: 3 } }
  const tunnel: Tunnel = new Tunnel(host, gre0, {
    onEvent: () => {
      if (tunnel.definition === gre0) tunnel.reconfigure(slow)
    },
  })
  tunnel.start()
  host.advance(seconds(250))
  assert.equal(host.sent.length, 3)
})

test('drops of paths and machine stand together in status', () => {
  const host = new RecordingHost()
  const { keepalive: _, ...quiet } = gre0
  const tunnel = new Tunnel(host, quiet)
  tunnel.start()
  const carrier = { kind: 'ip', protocol: 47, ...outer } as const
  host.receive({ carrier, payload: hexBytes('0000 0800 45') })
  host.receive({ carrier, payload: hexBytes('0000 6558') })
  host.receive({ carrier, payload: hexBytes('0000 0000') })
  host.interfaces.get('gre0')!.send(new Uint8Array(5), IPV4)
  assert.deepEqual(tunnel.status().drops, {
    'gre.protocol': 1,
    'inner.ipv4.length': 1,
    'inner.malformed': 1,
    'keepalive.ignored': 1,
  })
})
