/** TCP over the stack: what the path says, and a loopback. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { IpPrefix, Ipv4Address, parseIpAddress, readUint16, seconds } from '../../base/index.js'
import type { Stack } from '../stack.js'
import { TestNetwork } from '../testing.js'
import type { TcpConnection } from './connection.js'
import { bytesOf, pattern } from './testing.js'

const give = (
  network: TestNetwork,
  stack: Stack,
  name: string,
  address: string,
  prefixLength: number,
): void =>
  stack.addAddress(
    stack.interfaces.get(name)!,
    { address: parseIpAddress(address)!, prefixLength },
    network.now,
  )

/** alice - router - bob, the router's second link narrower than the first. */
function routed(family: 4 | 6, lost?: (bytes: Uint8Array) => boolean) {
  const network = new TestNetwork()
  const [alice, router, bob] = ['alice', 'router', 'bob'].map((name) => network.stack(name)) as [
    Stack,
    Stack,
    Stack,
  ]
  let longest = 0
  network.cable(alice, router)
  network.cable(router, bob, {
    mtu: 1300,
    carry: (bytes) => {
      longest = Math.max(longest, bytes.length - 14)
      return lost === undefined || lost(bytes)
    },
  })
  const net = family === 4 ? (n: number) => `10.0.${n}.` : (n: number) => `2001:db8:${n}::`
  const bits = family === 4 ? 24 : 64
  give(network, alice, 'vio0', `${net(1)}1`, bits)
  give(network, router, 'vio0', `${net(1)}2`, bits)
  give(network, router, 'vio1', `${net(2)}2`, bits)
  give(network, bob, 'vio0', `${net(2)}1`, bits)
  // Only the router knows how narrow its link is.
  bob.interfaces.get('vio0')!.mtu = 1500
  router.settings.forwarding4 = true
  router.settings.forwarding6 = true
  const anywhere = family === 4 ? '0.0.0.0' : '::'
  for (const [stack, gateway] of [
    [alice, `${net(1)}2`],
    [bob, `${net(2)}2`],
  ] as const)
    stack.routes.add({
      destination: new IpPrefix(parseIpAddress(anywhere)!, 0),
      gateway: parseIpAddress(gateway)!,
      kind: 'static',
    })
  network.advance(seconds(5))
  return { network, alice, bob, to: parseIpAddress(`${net(2)}1`)!, longest: () => longest }
}

/** Counts what comes in, and ends when the peer does. */
function sink(stack: Stack): { received: number } {
  const got = { received: 0 }
  stack.tcp.listen({
    port: 80,
    onConnection: (c) => {
      c.onEvent = (event, now) => {
        for (let data = c.read(65_536, now); data !== undefined; data = c.read(65_536, now))
          got.received += data.length
        if (event === 'end') c.end(now)
      }
    },
  })
  return got
}

describe('the path’s MTU is found', () => {
  for (const family of [4, 6] as const)
    test(`by what the router says, over IPv${family}`, () => {
      const { network, alice, bob, to, longest } = routed(family)
      const got = sink(bob)
      const connection = alice.tcp.connect({ destination: to, port: 80 }, network.now)
      connection.write(pattern(200_000), network.now)
      network.advance(seconds(20))
      assert.equal(got.received, 200_000)
      assert.equal(alice.counters.get('tcp.mtuShrunk'), 1)
      assert.equal(longest(), 1300)
      // The next connection knows it from the start.
      alice.tcp.connect({ destination: to, port: 80 }, network.now).write(pattern(200_000), network.now)
      network.advance(seconds(20))
      assert.equal(got.received, 400_000)
      assert.equal(alice.counters.get('tcp.mtuShrunk'), 1)
    })
})

test('a port that nobody listens on, and hosts that are not there', () => {
  const { network, alice, to } = routed(4)
  const dial = (address: string, port: number): TcpConnection =>
    alice.tcp.connect({ destination: parseIpAddress(address)!, port }, network.now)
  const refused = dial(String(to), 81)
  const beyond = dial('10.0.2.77', 80)
  const onLink = dial('10.0.1.77', 80)
  network.advance(seconds(100))
  assert.equal(refused.error?.code, 'ECONNREFUSED')
  assert.equal(beyond.error?.code, 'EHOSTUNREACH', 'the router said so')
  assert.equal(onLink.error?.code, 'ETIMEDOUT', 'nobody said anything')
})

test('a loopback delivers in the middle of a transmission, and nothing nests', () => {
  const network = new TestNetwork()
  const host = network.stack('host')
  give(network, host, 'lo0', '127.0.0.1', 8)
  const got = sink(host)
  const connection: TcpConnection = host.tcp.connect(
    { destination: Ipv4Address.loopback, port: 80 },
    network.now,
  )
  const data = pattern(3_000_000)
  let at = connection.write(data, network.now)
  let depth = 0
  connection.onEvent = (event, now) => {
    assert.equal(++depth, 1, 'an event came out of another')
    if (event === 'writable') at += connection.write(data.subarray(at), now)
    if (at === data.length) connection.end(now)
    depth--
  }
  network.advance(seconds(300))
  assert.equal(got.received, data.length)
  assert.equal(host.tcp.connections().length, 0)
  assert.equal(host.counters.get('tcp.retransmitted'), 0)
})

test('a tap sees real segments: checksums, and OpenBSD’s options', () => {
  const { network, alice, bob, to } = routed(4)
  sink(bob)
  const seen: Uint8Array[] = []
  alice.interfaces.get('vio0')!.taps.add((packet) => seen.push(packet.slice()))
  alice.tcp.connect({ destination: to, port: 80 }, network.now).write(bytesOf('hello'), network.now)
  network.advance(seconds(1))
  const syn = seen.find((frame) => readUint16(frame, 12) === 0x0800 && frame[23] === 6)!
  assert.equal(syn[14 + 20 + 13], 2)
  assert.deepEqual([...syn.subarray(54, 66)], [2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 5])
})
