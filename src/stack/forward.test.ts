import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PacketBuffer, readUint16, readUint32, seconds, toHex } from '../base/index.js'
import type { IcmpErrorReport } from './icmp-quote.js'
import type { StackLimits } from './limits.js'
import type { Stack } from './stack.js'
import {
  address,
  configure,
  echoRequest,
  type Plug,
  type Probe,
  prefix,
  rawFragmentHeader,
  rawIpv4,
  rawIpv6,
  rawUdp,
  TestNetwork,
} from './testing.js'

interface Chain {
  readonly network: TestNetwork
  readonly alice: Stack
  readonly router: Stack
  readonly bob: Stack
  readonly left: Plug
  readonly right: Plug
}

/** alice 10.1.0.1 — 10.1.0.254 router 10.2.0.254 — 10.2.0.1 bob, with `mtu` on bob's side. */
function chain(mtu = 1500): Chain {
  const network = new TestNetwork()
  const alice = network.stack('alice')
  const router = network.stack('router')
  const bob = network.stack('bob')
  const [a, left] = network.cable(alice, router)
  const [right, b] = network.cable(router, bob, { mtu })
  configure(a, '10.1.0.1/24', 'fd01::1/64')
  configure(left, '10.1.0.254/24', 'fd01::254/64')
  configure(right, '10.2.0.254/24', 'fd02::254/64')
  configure(b, '10.2.0.1/24', 'fd02::1/64')
  for (const [stack, four, six] of [
    [alice, '10.1.0.254', 'fd01::254'],
    [bob, '10.2.0.254', 'fd02::254'],
  ] as const) {
    stack.routes.add({ destination: prefix('0.0.0.0/0'), gateway: address(four) })
    stack.routes.add({ destination: prefix('::/0'), gateway: address(six) })
  }
  router.settings.forwarding4 = true
  router.settings.forwarding6 = true
  network.advance()
  return { network, alice, router, bob, left, right }
}

const heard = ({ messages }: ReturnType<TestNetwork['ping']>): string[] =>
  messages
    .filter(({ type, family }) => family === 4 || type < 133)
    .map(({ source, type, code }) => `${source} ${type} ${code}`)

test('a router forwards with one hop less, if it is told to forward', () => {
  const { network, alice, router } = chain()
  const four = network.ping(alice, '10.2.0.1')
  assert.equal(four.messages[0]?.ttl, 254)
  const six = network.ping(alice, 'fd02::1')
  assert.equal(six.messages.find(({ type }) => type === 129)?.ttl, 63)
  router.settings.forwarding4 = false
  router.settings.forwarding6 = false
  assert.equal(network.ping(alice, '10.2.0.1').replied, false)
  assert.equal(network.ping(alice, 'fd02::1').replied, false)
  assert.ok(router.counters.get('ipv4.notForUs') === 1 && router.counters.get('ipv6.notForUs') === 1)
  // A host answers for all its addresses, on whichever interface it is asked.
  assert.equal(network.ping(alice, '10.2.0.254').replied, true)
})

test('a packet whose hops are used up is reported by the router that it died at', () => {
  const { network, alice } = chain()
  assert.deepEqual(heard(network.ping(alice, '10.2.0.1', { ttl: 1 })), ['10.1.0.254 11 0'])
  assert.deepEqual(heard(network.ping(alice, 'fd02::1', { ttl: 1 })), ['fd01::254 3 0'])
  assert.equal(network.ping(alice, '10.2.0.1', { ttl: 2 }).replied, true)
})

test('no route, a reject route, a silent next hop: each has its report', () => {
  const { network, alice, router } = chain()
  assert.deepEqual(heard(network.ping(alice, '10.9.0.1')), ['10.1.0.254 3 0'])
  assert.deepEqual(heard(network.ping(alice, 'fd09::1')), ['fd01::254 1 0'])
  const [four, six] = [prefix('10.8.0.0/16'), prefix('fd08::/64')]
  router.routes.add({ destination: four, gateway: address('127.0.0.1'), action: 'reject' })
  router.routes.add({ destination: six, gateway: address('::1'), action: 'reject' })
  assert.deepEqual(heard(network.ping(alice, '10.8.0.1')), ['10.1.0.254 3 1'])
  assert.deepEqual(heard(network.ping(alice, 'fd08::1')), ['fd01::254 1 3'])
  assert.deepEqual(heard(network.ping(alice, '10.2.0.77', { wait: seconds(6) })), ['10.1.0.254 3 1'])
  assert.deepEqual(heard(network.ping(alice, 'fd02::77', { wait: seconds(6) })), ['fd01::254 1 3'])
})

test('path MTU: the report is believed, the next packet fits, and it is forgotten after ten minutes', () => {
  const { network, alice } = chain(1280)
  for (const [to, floor, row] of [
    ['10.2.0.1', '10.1.0.254 3 4', '10.2.0.1/32 10.1.0.254 UGHD 1280'],
    ['fd02::1', 'fd01::254 2 0', 'fd02::1/128 fd01::254 UGHD 1280'],
  ] as const) {
    const big = { size: 1400, dontFragment: true }
    assert.deepEqual(heard(network.ping(alice, to, big)), [floor])
    assert.equal(alice.pathMtu(address(to), network.now), 1280)
    assert.equal(network.ping(alice, to, big).result, 'too-big')
    assert.equal(network.ping(alice, to, { size: 1400 }).replied, true)
    const narrow = alice.routes.entries().filter(({ kind }) => kind === 'path-mtu')
    assert.deepEqual(
      narrow.map(
        ({ destination, gatewayText, flags, mtu }) => `${destination} ${gatewayText} ${flags} ${mtu}`,
      ),
      [row],
    )
    network.advance(seconds(600))
    assert.equal(alice.pathMtu(address(to), network.now), 1500)
  }
})

test('IPv4 without DF is fragmented by the router', () => {
  const { network, alice, router, bob } = chain(1280)
  assert.equal(network.ping(alice, '10.2.0.1', { size: 1400 }).replied, true)
  assert.equal(router.counters.get('ipv4.fragmentsSent'), 2)
  assert.equal(bob.counters.get('ipv4.reassembled'), 1)
})

test('TCP finds the MTU of its path and goes on', () => {
  const { network, alice, bob, right } = chain()
  right.ifc.mtu = 1280 // in the middle of the path: neither end's MSS tells of it
  let got = 0
  bob.tcp.listen({
    port: 8888,
    onConnection: (connection) => {
      connection.onEvent = (event, now) => {
        if (event === 'readable')
          for (let p = connection.read(65_536, now); p?.length; p = connection.read(65_536, now))
            got += p.length
      }
    },
  })
  const client = alice.tcp.connect({ destination: address('10.2.0.1'), port: 8888 }, network.now)
  client.onEvent = (event, now) => {
    if (event === 'connected') client.write(new Uint8Array(50_000), now)
  }
  network.advance(seconds(30))
  assert.equal(got, 50_000)
  assert.equal(alice.pathMtu(address('10.2.0.1'), network.now), 1280)
  assert.equal(alice.counters.get('tcp.mtuShrunk'), 1)
})

test('TCP hears of a path that shrank by another’s report', () => {
  const { network, alice, bob, right } = chain()
  let got = 0
  bob.tcp.listen({
    port: 8888,
    onConnection: (connection) => {
      connection.onEvent = (event, now) => {
        if (event === 'readable')
          for (let p = connection.read(65_536, now); p?.length; p = connection.read(65_536, now))
            got += p.length
      }
    },
  })
  const client = alice.tcp.connect({ destination: address('10.2.0.1'), port: 8888 }, network.now)
  network.advance()
  right.ifc.mtu = 1000
  network.ping(alice, '10.2.0.1', { size: 1400, dontFragment: true })
  assert.equal(alice.pathMtu(address('10.2.0.1'), network.now), 1000)
  client.write(new Uint8Array(50_000), network.now)
  network.advance(seconds(30))
  assert.equal(got, 50_000)
})

// From here on: one stack, and the test at the other end of its wires.

interface Wired {
  readonly network: TestNetwork
  readonly stack: Stack
  readonly port: Probe
  readonly far: Probe
}

function wired(limits: Partial<StackLimits> = {}): Wired {
  const network = new TestNetwork()
  const stack = network.stack('alice', limits)
  const port = network.probe(stack)
  const far = network.probe(stack)
  configure(port, '10.1.0.1/32 10.1.0.2', 'fd01::1/64')
  configure(far, '10.2.0.1/32 10.2.0.2', 'fd02::1/64')
  stack.routes.add({ destination: prefix('198.51.100.0/24'), interface: port.ifc })
  stack.settings.forwarding4 = true
  stack.settings.forwarding6 = true
  return { network, stack, port, far }
}

const closedPort4 = (source: string, destination: string): Uint8Array =>
  rawIpv4({ source, destination }, rawUdp(source, destination, 1234, 9, new Uint8Array(1000)))
const closedPort6 = (source: string, destination: string): Uint8Array =>
  rawIpv6({ source, destination }, rawUdp(source, destination, 1234, 9, new Uint8Array(1400)))

test('an ICMP error quotes the packet, up to 576 bytes (RFC 1812) or 1280 (RFC 4443)', () => {
  const { port } = wired()
  const about = closedPort4('10.1.0.2', '10.1.0.1')
  port.inject(about)
  const [error] = port.take()
  assert.equal(error!.length, 576)
  assert.deepEqual([error![20], error![21]], [3, 3])
  assert.equal(toHex(error!.subarray(28)), toHex(about.subarray(0, 548)))
  const six = closedPort6('fd01::2', 'fd01::1')
  port.inject(six)
  const [error6] = port.take()
  assert.equal(error6!.length, 1280)
  assert.equal(toHex(error6!.subarray(48)), toHex(six.subarray(0, 1232)))
})

test('no ICMP error is about an ICMP error, a group, a later fragment, or somebody who is nobody', () => {
  const { network, stack, port, far } = wired()
  const lan = network.probe(stack, { kind: 'ethernet' })
  configure(lan, '192.168.1.1/24')
  const expired = { ttl: 1, destination: '10.2.0.2' }
  const icmpError = Uint8Array.of(
    3,
    1,
    0,
    0,
    0,
    0,
    0,
    0,
    ...rawIpv4({ source: '10.2.0.2', destination: '10.1.0.2' }, new Uint8Array(8)),
  )
  const silent: Uint8Array[] = [
    rawIpv4({ ...expired, source: '10.1.0.2', protocol: 1 }, icmpError),
    rawIpv4({ ...expired, source: '10.1.0.2', offset: 8, moreFragments: true }, new Uint8Array(16)),
    rawIpv4({ ...expired, source: '0.0.0.7' }, new Uint8Array(16)),
    rawIpv4({ ...expired, source: '224.0.0.9' }, new Uint8Array(16)),
    rawIpv4({ ...expired, source: '255.255.255.255' }, new Uint8Array(16)),
    rawIpv4({ ...expired, source: '192.168.1.255' }, new Uint8Array(16)),
    rawIpv4({ source: '10.1.0.2', destination: '224.0.0.1', protocol: 200 }, new Uint8Array(16)),
    closedPort4('10.1.0.2', '255.255.255.255'),
    closedPort4('10.1.0.2', '192.168.1.255'),
    rawIpv6(
      { source: 'fd01::2', destination: 'fd02::2', hopLimit: 1, nextHeader: 58 },
      Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0),
    ),
    rawIpv6(
      { source: 'fd01::2', destination: 'fd02::2', hopLimit: 1, nextHeader: 58 },
      Uint8Array.of(137, 0, 0, 0, 0, 0, 0, 0),
    ),
    rawIpv6({ source: '::', destination: 'fd02::2', hopLimit: 1 }, new Uint8Array(16)),
    rawIpv6({ source: 'ff02::1', destination: 'fd02::2', hopLimit: 1 }, new Uint8Array(16)),
    rawIpv6({ source: 'fd01::2', destination: 'ff02::1', nextHeader: 200 }, new Uint8Array(16)),
    closedPort6('fd01::2', 'ff02::1'),
  ]
  for (const [i, packet] of silent.entries()) {
    port.inject(packet)
    assert.deepEqual([...port.take(), ...far.take()], [], `packet ${i}`)
  }
  // An echo request may be reported on: it is no error.
  port.inject(rawIpv4({ ...expired, source: '10.1.0.2', protocol: 1 }, echoRequest(4, 8)))
  assert.equal(port.take()[0]?.[20], 11)
})

test('ICMP errors are limited to so many a second', () => {
  const { network, stack, port } = wired({ icmpErrorsPerSecond: 10 })
  for (let i = 0; i < 100; i++) {
    port.inject(closedPort4('10.1.0.2', '10.1.0.1'))
    port.inject(closedPort6('fd01::2', 'fd01::1'))
  }
  assert.equal(port.take().length, 20)
  assert.equal(stack.counters.get('icmp.rateLimited'), 90)
  assert.equal(stack.counters.get('icmpv6.rateLimited'), 90)
  network.advance(seconds(1))
  for (let i = 0; i < 100; i++) port.inject(closedPort4('10.1.0.2', '10.1.0.1'))
  assert.equal(port.take().length, 10)
})

/** "Fragmentation needed" or "packet too big", from a stranger, about `about`. */
function tooBig(about: Uint8Array, mtu: number, to: string, from: string): Uint8Array {
  const v4 = about[0]! >> 4 === 4
  const message = new Uint8Array(8 + Math.min(about.length, 200))
  message[0] = v4 ? 3 : 2
  message[1] = v4 ? 4 : 0
  new DataView(message.buffer).setUint32(4, mtu)
  message.set(about.subarray(0, 200), 8)
  if (!v4) return rawIpv6({ source: from, destination: to, nextHeader: 58 }, message)
  let sum = 0
  for (let i = 0; i < message.length; i += 2) sum += readUint16(message, i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  new DataView(message.buffer).setUint16(2, ~sum & 0xffff)
  return rawIpv4({ source: from, destination: to, protocol: 1 }, message)
}

test('a "too big" is believed only about a packet that we sent, and only to make the path smaller', () => {
  const { network, stack, port } = wired()
  const peer = address('198.51.100.7')
  const refuse = (reason: string, packet: Uint8Array): void => {
    port.inject(packet)
    assert.equal(stack.counters.get(reason), 1, reason)
    assert.equal(stack.pathMtu(peer, network.now), 1500)
  }
  const forged = rawIpv4(
    { source: '10.1.0.1', destination: '198.51.100.7', protocol: 47, dontFragment: true },
    new Uint8Array(1400),
  )
  refuse('icmp.tooBigUnasked', tooBig(forged, 576, '10.1.0.1', '203.0.113.9'))
  const foreign = rawIpv4(
    { source: '10.1.0.77', destination: '198.51.100.7', protocol: 47, dontFragment: true },
    new Uint8Array(1400),
  )
  refuse('icmp.quoteNotOurs', tooBig(foreign, 576, '10.1.0.1', '203.0.113.9'))

  const result = stack.send(
    { protocol: 47, destination: peer, payload: new Uint8Array(1400), dontFragment: true },
    network.now,
  )
  assert.equal(result, 'ok')
  const [sent] = port.take()
  refuse('icmp.tooBigNotSmaller', tooBig(sent!, 1480, '10.1.0.1', '203.0.113.9'))
  refuse(
    'icmp.checksum',
    tooBig(sent!, 576, '10.1.0.1', '203.0.113.9').map((byte, i) => (i === 40 ? byte ^ 1 : byte)),
  )
  port.inject(tooBig(sent!, 1300, '10.1.0.1', '203.0.113.9'))
  assert.equal(stack.pathMtu(peer, network.now), 1300)
  // Never larger again, and not below what IPv4 promises.
  port.inject(tooBig(sent!, 1400, '10.1.0.1', '203.0.113.9'))
  assert.equal(stack.pathMtu(peer, network.now), 1300)
  port.inject(tooBig(sent!, 1, '10.1.0.1', '203.0.113.9'))
  assert.equal(stack.pathMtu(peer, network.now), 68)
})

test('a router that names no MTU is taken to mean the next plateau (RFC 1191 section 7.1)', () => {
  const { network, stack, port } = wired()
  const peer = address('198.51.100.7')
  stack.send(
    { protocol: 47, destination: peer, payload: new Uint8Array(1400), dontFragment: true },
    network.now,
  )
  const [sent] = port.take()
  port.inject(tooBig(sent!, 0, '10.1.0.1', '203.0.113.9'))
  assert.equal(stack.pathMtu(peer, network.now), 1006)
})

test('IPv6 knows no path below 1280 bytes (RFC 8201 section 4)', () => {
  const { network, stack, port } = wired()
  const peer = address('fd01::2')
  stack.send({ protocol: 47, destination: peer, payload: new Uint8Array(1400) }, network.now)
  const [sent] = port.take()
  port.inject(tooBig(sent!, 1279, 'fd01::1', 'fd01::9'))
  assert.equal(stack.counters.get('icmpv6.tooBigBelowMinimum'), 1)
  assert.equal(stack.pathMtu(peer, network.now), 1500)
  port.inject(tooBig(sent!, 1280, 'fd01::1', 'fd01::9'))
  assert.equal(stack.pathMtu(peer, network.now), 1280)
})

test('what is learned of paths is bounded', () => {
  const { network, stack, port } = wired({ pathMtus: 8, recentDestinations: 4 })
  for (let i = 1; i < 50; i++) {
    const destination = address(`198.51.100.${i}`)
    stack.send({ protocol: 47, destination, payload: new Uint8Array(1400), dontFragment: true }, network.now)
    const [sent] = port.take()
    port.inject(tooBig(sent!, 1000, '10.1.0.1', '203.0.113.9'))
  }
  assert.equal(stack.routes.entries().filter(({ kind }) => kind === 'path-mtu').length, 8)
})

test('a UDP socket hears of errors about what it sent', () => {
  const { network, stack, port } = wired()
  const reports: IcmpErrorReport[] = []
  const socket = stack.udp.bind({ onDatagram: () => {}, onError: (report) => reports.push(report) })
  socket.send(new Uint8Array(1400), address('198.51.100.7'), 7, network.now, { dontFragment: true })
  const [sent] = port.take()
  port.inject(tooBig(sent!, 1000, '10.1.0.1', '203.0.113.9'))
  assert.deepEqual(
    reports.map(({ kind, mtu, reporter }) => [kind, mtu, reporter.toString()]),
    [['too-big', 1000, '203.0.113.9']],
  )
  socket.close()
  port.inject(tooBig(sent!, 900, '10.1.0.1', '203.0.113.9'))
  assert.equal(stack.counters.get('icmp.tooBigUnasked'), 1)
})

test('forwarding keeps off what no router passes on', () => {
  const { stack, port, far } = wired()
  for (const packet of [
    rawIpv4({ source: '169.254.1.1', destination: '10.2.0.2' }, new Uint8Array(8)),
    rawIpv4({ source: '10.1.0.2', destination: '169.254.1.1' }, new Uint8Array(8)),
    rawIpv6({ source: 'fe80::1', destination: 'fd02::2' }, new Uint8Array(8)),
    rawIpv6({ source: 'fd01::2', destination: 'fe80::1' }, new Uint8Array(8)),
  ])
    port.inject(packet)
  assert.deepEqual([...port.take(), ...far.take()], [])
  assert.equal(stack.counters.get('ipv4.cannotForward'), 2)
  assert.equal(stack.counters.get('ipv6.cannotForward'), 2)
  // RFC 4443 section 3.1: no ping-pong on a point-to-point link.
  port.inject(rawIpv6({ source: 'fd01::2', destination: 'fd01::3' }, new Uint8Array(8)))
  assert.deepEqual([port.take()[0]?.[40], stack.counters.get('ipv6.pingPong')], [1, 1])
})

test('IPv6 extension headers: what is passed, what is dropped, what is told', () => {
  const { stack, port } = wired()
  const ask = (nextHeader: number, payload: Uint8Array): Uint8Array[] => {
    port.inject(rawIpv6({ source: 'fd01::2', destination: 'fd01::1', nextHeader }, payload))
    return port.take()
  }
  const echo = (...before: readonly Uint8Array[]): Uint8Array => {
    const bytes = rawIpv6(
      { source: 'fd01::2', destination: 'fd01::1', nextHeader: 58 },
      echoRequest(6, 8),
    ).subarray(40)
    return Uint8Array.of(...before.flatMap((part) => [...part]), ...bytes)
  }
  const options = (next: number, ...rest: readonly number[]): Uint8Array => Uint8Array.of(next, 0, ...rest)
  const padded = [1, 4, 0, 0, 0, 0] as const
  assert.equal(ask(0, echo(options(60, ...padded), options(58, ...padded)))[0]?.[40], 129)
  // Unknown options: skipped, dropped, reported (RFC 8200 section 4.2).
  assert.equal(ask(60, echo(options(58, 0x1e, 4, 0, 0, 0, 0)))[0]?.[40], 129)
  assert.deepEqual(ask(60, echo(options(58, 0x5e, 4, 0, 0, 0, 0))), [])
  for (const kind of [0x9e, 0xde]) {
    const [problem] = ask(60, echo(options(58, kind, 4, 0, 0, 0, 0)))
    assert.deepEqual([problem![40], problem![41], readUint32(problem!, 44)], [4, 2, 42])
  }
  // RFC 5095: routing header type 0, whatever it says; others only if it leads further.
  assert.deepEqual(ask(43, echo(Uint8Array.of(58, 0, 0, 1, 0, 0, 0, 0))), [])
  assert.deepEqual(ask(43, echo(Uint8Array.of(58, 0, 0, 0, 0, 0, 0, 0))), [])
  assert.equal(stack.counters.get('ipv6.routingType0'), 2)
  assert.equal(ask(43, echo(Uint8Array.of(58, 0, 4, 0, 0, 0, 0, 0)))[0]?.[40], 129)
  const [routed] = ask(43, echo(Uint8Array.of(58, 0, 4, 1, 0, 0, 0, 0)))
  assert.deepEqual([routed![40], routed![41], readUint32(routed!, 44)], [4, 0, 42])
  // Hop-by-hop options anywhere but first.
  const [late] = ask(60, echo(options(0, ...padded), options(58, ...padded)))
  assert.deepEqual([late![40], late![41], readUint32(late!, 44)], [4, 1, 40])
  // Too many headers, too many options, options beyond their header, no next header.
  assert.deepEqual(
    ask(60, echo(...Array.from({ length: 9 }, (_, i) => options(i === 8 ? 58 : 60, ...padded)))),
    [],
  )
  const many = new Uint8Array(40)
  many.set([58, 4])
  for (let i = 2; i < 40; i += 2) many.set([1, 0], i)
  assert.deepEqual(ask(60, echo(many)), [])
  assert.deepEqual(ask(60, echo(options(58, 1, 200, 0, 0, 0, 0))), [])
  assert.deepEqual(ask(60, options(59, ...padded)), [])
  assert.deepEqual(ask(60, Uint8Array.of(58, 9, 0, 0)), [])
  assert.deepEqual(
    ['chainTooLong', 'tooManyOptions', 'options', 'noNextHeader', 'chainShort'].map((name) =>
      stack.counters.get(`ipv6.${name}`),
    ),
    [1, 1, 1, 1, 1],
  )
  // RFC 6946: an atomic fragment is a packet.
  assert.equal(ask(44, echo(rawFragmentHeader(58, 0, false, 7)))[0]?.[40], 129)
  assert.deepEqual(ask(44, echo(rawFragmentHeader(44, 0, false, 7), rawFragmentHeader(58, 0, false, 7))), [])
  assert.equal(stack.counters.get('ipv6.fragmentInFragment'), 1)
})

test('the filter stands before and behind the forwarding, and nobody is told of what it drops', () => {
  const { stack, port, far } = wired()
  const packets = [
    rawIpv4({ source: '10.1.0.2', destination: '10.2.0.2' }, new Uint8Array(8)),
    rawIpv6({ source: 'fd01::2', destination: 'fd02::2' }, new Uint8Array(8)),
  ]
  const seen: string[] = []
  for (const blocked of ['none', 'in', 'out']) {
    stack.filter = (direction, ifc) => {
      seen.push(`${direction} ${ifc.name}`)
      return direction !== blocked
    }
    for (const packet of packets) port.inject(packet)
    assert.equal(far.take().length, blocked === 'none' ? 2 : 0)
  }
  assert.deepEqual(port.take(), [])
  assert.deepEqual([stack.counters.get('filter.in'), stack.counters.get('filter.out')], [2, 2])
  const way = ['in gif0', 'out gif1']
  assert.deepEqual(seen, [...way, ...way, 'in gif0', 'in gif0', ...way, ...way])
})

test('echo replies are limited, and nobody is answered that is nobody', () => {
  const { network, stack, port } = wired({ echoRepliesPerSecond: 10 })
  const ask = (source: string, destination: string): void => {
    const v6 = source.includes(':')
    port.inject(
      v6
        ? rawIpv6({ source, destination, nextHeader: 58 }, echoRequest(6, 8))
        : rawIpv4({ source, destination, protocol: 1 }, echoRequest(4, 8)),
    )
  }
  for (let i = 0; i < 50; i++) {
    ask('10.1.0.2', '10.1.0.1')
    ask('fd01::2', 'fd01::1')
  }
  assert.equal(port.take().length, 20)
  assert.deepEqual(
    [stack.counters.get('icmp.echoRateLimited'), stack.counters.get('icmpv6.echoRateLimited')],
    [40, 40],
  )
  network.advance()
  stack.settings.echoBroadcast = true
  ask('0.0.0.0', '224.0.0.1')
  ask('::', 'ff02::1')
  assert.deepEqual(port.take(), [])
  assert.deepEqual(
    [stack.counters.get('icmp.echoFromNobody'), stack.counters.get('icmpv6.echoFromNobody')],
    [1, 1],
  )
})

test('an interface that is down takes nothing in and lets nothing out', () => {
  const { network, stack, port, far } = wired()
  stack.setUp(far.ifc, false, network.now)
  far.inject(rawIpv4({ source: '10.2.0.2', destination: '10.1.0.1', protocol: 1 }, echoRequest(4, 8)))
  assert.equal(stack.counters.get('interface.down'), 1)
  port.inject(rawIpv4({ source: '10.1.0.2', destination: '10.2.0.2' }, new Uint8Array(8)))
  assert.equal(port.take()[0]?.[20], 3) // unreachable
  far.ifc.transmit(PacketBuffer.copyOf(new Uint8Array(20), 4), network.now)
  assert.deepEqual(far.take(), [])
  assert.equal(far.ifc.counters.errorsOut, 1)
})
