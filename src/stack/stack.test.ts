import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instantAt, milliseconds, PacketBuffer, seconds } from '../base/index.js'
import type { Stack } from './stack.js'
import {
  address,
  type CableOptions,
  configure,
  type Plug,
  prefix,
  rawIpv4,
  rawIpv6,
  TestNetwork,
} from './testing.js'
import type { UdpDatagram } from './udp.js'

interface Pair {
  readonly network: TestNetwork
  readonly alice: Stack
  readonly bob: Stack
  readonly a: Plug
  readonly b: Plug
}

/** The article's two machines on one link. */
function aliceAndBob(options: CableOptions = {}): Pair {
  const network = new TestNetwork()
  const alice = network.stack('alice')
  const bob = network.stack('bob')
  const [a, b] = network.cable(alice, bob, options)
  configure(a, '192.168.1.1/24', 'fd3e:62ee:99db:bb1a::1/64')
  configure(b, '192.168.1.2/24', 'fd3e:62ee:99db:bb1a::2/64')
  network.advance()
  return { network, alice, bob, a, b }
}

test('alice pings bob over IPv4 and IPv6', () => {
  const { network, alice, bob } = aliceAndBob()
  const four = network.ping(alice, '192.168.1.2')
  assert.equal(four.replied, true)
  assert.equal(four.messages[0]?.ttl, 255)
  assert.equal(four.messages[0]?.source.toString(), '192.168.1.2')
  const six = network.ping(alice, 'fd3e:62ee:99db:bb1a::2')
  assert.equal(six.replied, true)
  assert.equal(six.messages.at(-1)?.ttl, 64)
  assert.deepEqual(network.ping(bob, '192.168.1.1').replied, true)
})

test('a host pings itself through lo0, by any of its addresses', () => {
  const { network, alice } = aliceAndBob()
  for (const to of ['127.0.0.1', '::1', '192.168.1.1', 'fd3e:62ee:99db:bb1a::1'])
    assert.equal(network.ping(alice, to).replied, true, to)
  assert.ok((alice.interfaces.get('lo0')?.counters.packetsIn ?? 0) >= 8)
})

test('link-local addresses come with the first IPv6 address and are pinged with an interface', () => {
  const { network, alice, a, b } = aliceAndBob()
  const local = b.ifc.addresses.find(({ address: own }) => own.family === 6 && own.isLinkLocal)
  assert.equal(local?.address.toString(), 'fe80::fce1:baff:fed0:2')
  assert.equal(network.ping(alice, 'fe80::fce1:baff:fed0:2', { interface: a.ifc }).replied, true)
})

test('all nodes of the link answer ff02::1, this host among them', () => {
  const { network, alice, a } = aliceAndBob()
  const { messages } = network.ping(alice, 'ff02::1', { interface: a.ifc })
  const sources = messages.filter(({ type }) => type === 129).map(({ source }) => source.toString())
  assert.deepEqual(sources.sort(), ['fe80::fce1:baff:fed0:1', 'fe80::fce1:baff:fed0:2'])
})

test('a broadcast ping is answered only where the host was told to', () => {
  const { network, alice, bob } = aliceAndBob()
  assert.deepEqual(
    network.ping(alice, '192.168.1.255').messages.filter(({ type }) => type === 0),
    [],
  )
  bob.settings.echoBroadcast = true
  const { messages } = network.ping(alice, '192.168.1.255')
  assert.deepEqual(
    messages.filter(({ type }) => type === 0).map(({ source }) => source.toString()),
    ['192.168.1.2'],
  )
})

for (const [name, to] of [
  ['IPv4', '192.168.1.2'],
  ['IPv6', 'fd3e:62ee:99db:bb1a::2'],
] as const) {
  test(`${name}: an 8000-byte ping goes in fragments both ways`, () => {
    const { network, alice, bob } = aliceAndBob()
    assert.equal(network.ping(alice, to, { size: 8000 }).replied, true)
    const family = name === 'IPv4' ? 'ipv4' : 'ipv6'
    assert.equal(alice.counters.get(`${family}.reassembled`), 1)
    assert.equal(bob.counters.get(`${family}.reassembled`), 1)
  })

  test(`${name}: what may not be fragmented and does not fit is refused to its sender`, () => {
    const { network, alice } = aliceAndBob()
    assert.equal(
      network.ping(alice, to, { size: 1472, dontFragment: true }).result,
      name === 'IPv4' ? 'ok' : 'too-big',
    )
    assert.equal(network.ping(alice, to, { size: 1473, dontFragment: true }).result, 'too-big')
  })

  test(`${name}: the largest ping of all comes back whole`, () => {
    const { network, alice } = aliceAndBob()
    const size = name === 'IPv4' ? 65_507 : 65_527
    assert.equal(network.ping(alice, to, { size }).replied, true)
    assert.equal(network.ping(alice, to, { size: size + 1 }).result, 'too-big')
  })
}

test('UDP: a datagram and its echo, over both families; a wrong port is told', () => {
  const { network, alice, bob } = aliceAndBob()
  const heard: UdpDatagram[] = []
  const server = bob.udp.bind({
    port: 7,
    onDatagram: ({ source, sourcePort, data }, now) => server.send(data, source, sourcePort, now),
  })
  const errors: string[] = []
  const client = alice.udp.bind({
    onDatagram: (datagram) => heard.push(datagram),
    onError: ({ kind, code, destinationPort }) => errors.push(`${kind} ${code} ${destinationPort}`),
  })
  assert.ok(client.port >= 49_152)
  for (const to of ['192.168.1.2', 'fd3e:62ee:99db:bb1a::2']) {
    assert.equal(client.send(Uint8Array.of(1, 2, 3), address(to), 7, network.now), 'ok')
    network.advance()
  }
  assert.deepEqual(
    heard.map(({ source, sourcePort, data }) => [source.toString(), sourcePort, [...data]]),
    [
      ['192.168.1.2', 7, [1, 2, 3]],
      ['fd3e:62ee:99db:bb1a::2', 7, [1, 2, 3]],
    ],
  )
  client.send(new Uint8Array(1), address('192.168.1.2'), 9, network.now)
  client.send(new Uint8Array(1), address('fd3e:62ee:99db:bb1a::2'), 9, network.now)
  network.advance()
  assert.deepEqual(errors, ['unreachable 3 9', 'unreachable 4 9'])
  assert.throws(() => bob.udp.bind({ port: 7, onDatagram: () => {} }), /Address already in use/)
  server.close()
  assert.doesNotThrow(() => bob.udp.bind({ port: 7, onDatagram: () => {} }))
})

test('TCP: a connection over the stack carries bytes', () => {
  const { network, alice, bob } = aliceAndBob()
  const got: number[] = []
  bob.tcp.listen({
    port: 8888,
    onConnection: (connection) => {
      connection.onEvent = (event, now) => {
        if (event !== 'readable') return
        for (let part = connection.read(65_536, now); part !== undefined; part = connection.read(65_536, now))
          if (part.length === 0) break
          else got.push(...part)
      }
    },
  })
  const client = alice.tcp.connect({ destination: address('192.168.1.2'), port: 8888 }, network.now)
  const sent = Uint8Array.from({ length: 20_000 }, (_, i) => i * 31)
  client.onEvent = (event, now) => {
    if (event === 'connected') client.write(sent, now)
  }
  network.advance(seconds(5))
  assert.deepEqual(Uint8Array.from(got), sent)
})

test('a protocol without a handler is told so; a handler takes its payload', () => {
  const { network, alice, bob } = aliceAndBob()
  const send = (to: string): void => {
    alice.send({ protocol: 97, destination: address(to), payload: Uint8Array.of(0x30, 0) }, network.now)
    network.advance()
  }
  const errors: string[] = []
  alice.onIcmp(({ type, code }) => {
    if (type < 128 && type !== 0) errors.push(`${type} ${code}`)
  })
  send('192.168.1.2')
  send('fd3e:62ee:99db:bb1a::2')
  assert.deepEqual(errors, ['3 2', '4 1'])
  const taken: string[] = []
  bob.handle(97, (packet, { source }) => {
    taken.push(`${source} ${[...packet.view()]}`)
    return true
  })
  send('192.168.1.2')
  send('fd3e:62ee:99db:bb1a::2')
  assert.deepEqual(taken, ['192.168.1.1 48,0', 'fd3e:62ee:99db:bb1a::1 48,0'])
  assert.equal(errors.length, 2)
})

test('a point-to-point link needs no neighbours: peer routes lead over it', () => {
  const network = new TestNetwork()
  const alice = network.stack('alice')
  const bob = network.stack('bob')
  const [a, b] = network.cable(alice, bob, { kind: 'point-to-point', mtu: 1280 })
  configure(a, '172.16.0.1/32 172.16.0.2')
  configure(b, '172.16.0.2/32 172.16.0.1')
  assert.equal(network.ping(alice, '172.16.0.2').replied, true)
  assert.equal(network.ping(alice, '172.16.0.2', { size: 4000 }).replied, true)
  assert.equal(network.ping(alice, '172.16.0.9').result, 'no-route')
  assert.deepEqual(alice.neighbours.list(), [])
})

test('nesting goes with a packet to the driver and through a held packet', () => {
  const network = new TestNetwork()
  const alice = network.stack('alice')
  const seen: number[] = []
  for (const [name, kind] of [
    ['gif0', 'point-to-point'],
    ['vio0', 'ethernet'],
  ] as const) {
    const [plug] = network.cable(alice, network.stack(`peer of ${name}`), { kind })
    const ifc = plug.ifc
    configure(plug, kind === 'ethernet' ? '10.0.0.1/24' : '172.16.0.1/32 172.16.0.2')
    alice.setUp(ifc, false, network.now)
    alice.removeInterface(ifc.name, network.now)
    const own = alice.addInterface(
      {
        name,
        kind,
        mtu: 1500,
        ...(ifc.mac === undefined ? {} : { mac: ifc.mac }),
        driver: { transmit: (packet) => seen.push(packet.nesting) },
      },
      network.now,
    )
    alice.settings.announceAddresses = false
    alice.setUp(own, true, network.now)
    configure({ stack: alice, ifc: own }, kind === 'ethernet' ? '10.0.0.1/24' : '172.16.0.1/32 172.16.0.2')
  }
  alice.send(
    { protocol: 4, destination: address('172.16.0.2'), payload: new Uint8Array(8), nesting: 3 },
    network.now,
  )
  assert.deepEqual(seen, [3])
  const vio0 = alice.interfaces.get('vio0')!
  alice.send(
    { protocol: 4, destination: address('10.0.0.2'), payload: new Uint8Array(8), nesting: 2 },
    network.now,
  )
  assert.deepEqual(seen, [3, 0]) // the ARP request
  alice.neighbours.set(vio0, address('10.0.0.2'), vio0.mac!, network.now)
  assert.deepEqual(seen, [3, 0, 2])
})

test('what an interface carries is counted and tapped', () => {
  const { network, alice, a } = aliceAndBob()
  const seen: string[] = []
  a.ifc.taps.add((packet, direction) => seen.push(`${direction} ${packet.length}`))
  const before = { ...a.ifc.counters }
  network.ping(alice, '192.168.1.2')
  // Bob's announcement made no entry: nobody had asked.
  assert.deepEqual(seen, ['out 42', 'in 42', 'out 98', 'in 98'])
  assert.equal(a.ifc.counters.packetsOut - before.packetsOut, 2)
  assert.equal(a.ifc.counters.bytesIn - before.bytesIn, 140)
})

test('the filter stands at both ends of a packet’s way', () => {
  const { network, alice, bob } = aliceAndBob()
  alice.filter = (direction) => direction !== 'out'
  assert.equal(network.ping(alice, '192.168.1.2').result, 'blocked')
  alice.filter = undefined
  bob.filter = (direction, _, packet) => direction !== 'in' || packet.length < 1000
  assert.equal(network.ping(alice, '192.168.1.2').replied, true)
  // Fragments pass as the whole that they make.
  assert.equal(network.ping(alice, '192.168.1.2', { size: 3000 }).replied, false)
  assert.equal(bob.counters.get('filter.in'), 1)
})

test('an interface that goes down takes its routes out of use, and brings them back', () => {
  const { network, alice, a } = aliceAndBob()
  alice.routes.add({ destination: prefix('0.0.0.0/0'), gateway: address('192.168.1.2') })
  alice.setUp(a.ifc, false, network.now)
  assert.equal(network.ping(alice, '192.168.1.2').result, 'no-route')
  assert.equal(network.ping(alice, '10.1.1.1').result, 'no-route')
  alice.setUp(a.ifc, true, network.now)
  assert.equal(network.ping(alice, '192.168.1.2').replied, true)
})

test('two interfaces cannot have one name; an address that is not there cannot go', () => {
  const { alice, a } = aliceAndBob()
  const { driver } = { driver: { transmit: () => {} } }
  assert.throws(
    () => alice.addInterface({ name: 'vio0', kind: 'ethernet', mtu: 1500, driver }, instantAt(0)),
    { code: 'STACK_INTERFACE_EXISTS' },
  )
  assert.throws(() => alice.removeAddress(a.ifc, address('10.0.0.1'), instantAt(0)), {
    code: 'STACK_NO_SUCH_ADDRESS',
    message: /^Can't assign requested address/,
  })
})

test('onWake says when something earlier is to be done', () => {
  const { network, alice } = aliceAndBob()
  let woken = 0
  alice.onWake = () => woken++
  network.ping(alice, '127.0.0.1', { wait: milliseconds(0) })
  assert.ok(woken > 0)
  assert.notEqual(alice.nextTimeout(), undefined)
})

test('a host hears of a closed port of its own', () => {
  const { network, alice } = aliceAndBob()
  const errors: string[] = []
  const socket = alice.udp.bind({
    onDatagram: () => {},
    onError: ({ kind, code }) => errors.push(`${kind} ${code}`),
  })
  for (const to of ['127.0.0.1', '::1', '192.168.1.1'])
    socket.send(new Uint8Array(1), address(to), 9, network.now)
  network.advance()
  assert.deepEqual(errors, ['unreachable 3', 'unreachable 4', 'unreachable 3'])
})

test('TCP between link-local addresses stays on their link, though there is another', () => {
  const network = new TestNetwork()
  const alice = network.stack('alice')
  const bob = network.stack('bob')
  const [other] = network.cable(alice, network.stack('carol'))
  const [a, b] = network.cable(alice, bob)
  configure(other, 'fd01::1/64')
  configure(a, 'fd02::1/64')
  configure(b, 'fd02::2/64')
  const linkLocal = ({ ifc }: Plug) =>
    ifc.addresses.find(({ address: own }) => own.family === 6 && own.isLinkLocal)!.address
  bob.tcp.listen({ port: 8888, onConnection: () => {} })
  const connection = alice.tcp.connect(
    { source: linkLocal(a), destination: linkLocal(b), port: 8888 },
    network.now,
  )
  network.advance()
  assert.equal(connection.state, 'ESTABLISHED')
})

test('sendRaw sends a header of the caller’s making, its lengths and checksum put right', () => {
  const { network, alice, bob } = aliceAndBob()
  const seen: string[] = []
  bob.handle(97, (packet, { source, ttl }) => {
    seen.push(`${source} ${ttl} ${packet.length}`)
    return true
  })
  const four = rawIpv4(
    { source: '10.9.9.9', destination: '192.168.1.2', protocol: 97, ttl: 7 },
    new Uint8Array(5),
  )
  four.fill(0, 2, 4)
  four.fill(0, 10, 12)
  const six = rawIpv6(
    { source: 'fd77::7', destination: 'fd3e:62ee:99db:bb1a::2', nextHeader: 97, hopLimit: 9 },
    new Uint8Array(6),
  )
  six.fill(0, 4, 6)
  assert.equal(alice.sendRaw(PacketBuffer.copyOf(four, 4), network.now), 'ok')
  assert.equal(alice.sendRaw(PacketBuffer.copyOf(six, 6), network.now), 'ok')
  assert.equal(alice.sendRaw(PacketBuffer.copyOf(Uint8Array.of(0x99), 4), network.now), 'no-route')
  assert.equal(alice.sendRaw(PacketBuffer.copyOf(Uint8Array.of(0x45), 4), network.now), 'no-route')
  assert.equal(alice.sendRaw(PacketBuffer.copyOf(Uint8Array.of(0x60), 6), network.now), 'no-route')
  network.advance()
  assert.deepEqual(seen, ['10.9.9.9 7 5', 'fd77::7 9 6'])
})
