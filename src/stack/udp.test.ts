import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Stack } from './stack.js'
import { address, configure, type Probe, rawIpv4, rawIpv6, rawUdp, TestNetwork } from './testing.js'
import type { UdpBinding } from './udp.js'

function setup(udpSockets = 100): { network: TestNetwork; stack: Stack; port: Probe } {
  const network = new TestNetwork()
  const stack = network.stack('alice', { udpSockets })
  stack.settings.announceAddresses = false
  const port = network.probe(stack)
  configure(port, '10.1.0.1/32 10.1.0.2', '10.1.0.3/32 10.1.0.2', 'fd01::1/64')
  return { network, stack, port }
}

const deliver = (port: Probe, to: string, toPort: number): void => {
  const v6 = to.includes(':')
  const from = v6 ? 'fd01::2' : '10.1.0.2'
  const datagram = rawUdp(from, to, 4000, toPort, Uint8Array.of(1))
  const fields = { source: from, destination: to }
  port.inject(v6 ? rawIpv6(fields, datagram) : rawIpv4(fields, datagram))
}

test('the socket of an address comes before the one of any address', () => {
  const { stack, port } = setup()
  const heard: string[] = []
  const listen = (name: string, at: Omit<UdpBinding, 'onDatagram'>) =>
    stack.udp.bind({ ...at, onDatagram: ({ destination }) => heard.push(`${name} ${destination}`) })
  listen('any', { port: 7 })
  listen('one', { port: 7, address: address('10.1.0.1') })
  listen('four', { port: 9, address: address('0.0.0.0') })
  deliver(port, '10.1.0.1', 7)
  deliver(port, '10.1.0.3', 7)
  deliver(port, 'fd01::1', 7)
  deliver(port, '10.1.0.1', 9)
  deliver(port, 'fd01::1', 9)
  assert.deepEqual(heard, ['one 10.1.0.1', 'any 10.1.0.3', 'any fd01::1', 'four 10.1.0.1'])
  assert.equal(stack.counters.get('ipv6.noPort'), 1)
  assert.deepEqual(
    stack.udp.bindings().map(({ address: at, port: number }) => `${at ?? '*'}.${number}`),
    ['*.7', '10.1.0.1.7', '0.0.0.0.9'],
  )
})

test('a connected socket hears its peer alone, and before all others', () => {
  const { stack, port } = setup()
  const heard: string[] = []
  const listen = (name: string, at: Omit<UdpBinding, 'onDatagram'>) =>
    stack.udp.bind({ ...at, onDatagram: ({ destination }) => heard.push(`${name} ${destination}`) })
  const peer = address('10.1.0.2')
  const own = address('10.1.0.1')
  const connected = listen('peer', { port: 7, address: own, remote: { address: peer, port: 4000 } })
  listen('other port', { port: 7, address: own, remote: { address: peer, port: 4001 } })
  listen('other host', { port: 7, address: own, remote: { address: address('10.1.0.9'), port: 4000 } })
  assert.throws(() => listen('again', { port: 7, address: own, remote: { address: peer, port: 4000 } }), {
    code: 'STACK_ADDRESS_IN_USE',
  })
  listen('any', { port: 7 })
  deliver(port, '10.1.0.1', 7)
  deliver(port, '10.1.0.3', 7)
  deliver(port, 'fd01::1', 7)
  connected.close()
  deliver(port, '10.1.0.1', 7)
  assert.deepEqual(heard, ['peer 10.1.0.1', 'any 10.1.0.3', 'any fd01::1', 'any 10.1.0.1'])
})

test('a group’s datagram reaches every socket that takes it', () => {
  const { stack, port } = setup()
  let heard = 0
  const onDatagram = (): void => {
    heard++
  }
  stack.udp.bind({ port: 7, onDatagram })
  stack.udp.bind({ port: 7, address: address('224.0.0.1'), onDatagram })
  stack.udp.bind({ port: 7, address: address('10.1.0.1'), onDatagram })
  deliver(port, '224.0.0.1', 7)
  assert.equal(heard, 2)
  assert.deepEqual(port.take(), [])
})

test('ports and addresses that cannot be had', () => {
  const { stack } = setup(3)
  const onDatagram = (): void => {}
  const first = stack.udp.bind({ port: 7, address: address('10.1.0.1'), onDatagram })
  assert.throws(() => stack.udp.bind({ port: 7, address: address('10.1.0.1'), onDatagram }), {
    code: 'STACK_ADDRESS_IN_USE',
  })
  assert.throws(() => stack.udp.bind({ port: 7, address: address('10.9.9.9'), onDatagram }), {
    code: 'STACK_NO_SUCH_ADDRESS',
  })
  stack.udp.bind({ onDatagram })
  stack.udp.bind({ onDatagram })
  assert.throws(() => stack.udp.bind({ onDatagram }), { code: 'STACK_SOCKETS_FULL' })
  first.close()
  first.close()
  stack.udp.bind({ onDatagram })
  assert.throws(() => stack.udp.bind({ onDatagram }), { code: 'STACK_SOCKETS_FULL' })
})

test('a datagram without a checksum is taken over IPv4 and refused over IPv6', () => {
  const { stack, port } = setup()
  let heard = 0
  stack.udp.bind({ port: 7, onDatagram: () => heard++ })
  const bare = Uint8Array.of(0x0f, 0xa0, 0, 7, 0, 9, 0, 0, 1)
  port.inject(rawIpv4({ source: '10.1.0.2', destination: '10.1.0.1' }, bare))
  port.inject(rawIpv6({ source: 'fd01::2', destination: 'fd01::1' }, bare))
  assert.equal(heard, 1)
  assert.equal(stack.counters.get('udp.checksum'), 1)
})

test('what is too long for a datagram, or has no way, is said at once', () => {
  const { network, stack } = setup()
  const socket = stack.udp.bind({ onDatagram: () => {} })
  const send = (size: number, to: string) => socket.send(new Uint8Array(size), address(to), 7, network.now)
  assert.equal(send(65_508, '10.1.0.2'), 'too-big')
  assert.equal(send(65_507, '10.1.0.2'), 'ok')
  assert.equal(send(65_528, 'fd01::2'), 'too-big')
  assert.equal(send(1, '203.0.113.1'), 'no-route')
  const bound = stack.udp.bind({ address: address('10.1.0.1'), onDatagram: () => {} })
  assert.equal(bound.send(new Uint8Array(1), address('fd01::2'), 7, network.now), 'no-source')
})
