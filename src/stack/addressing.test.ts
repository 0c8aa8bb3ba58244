import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { seconds, toHex } from '../base/index.js'
import type { NetworkInterface } from './interface.js'
import { address, configure, prefix, TestNetwork } from './testing.js'

const addresses = [
  '10.0.0.1/24',
  '10.0.0.2/24',
  '10.0.0.1/16',
  '10.9.0.1/32',
  'fd00::1/64',
  'fd00::2/64',
  'fe80::7/64',
]
const step = fc.record({
  act: fc.constantFrom('add', 'remove', 'up', 'down', 'route'),
  ifc: fc.nat({ max: 2 }),
  which: fc.nat({ max: addresses.length - 1 }),
})

test('whatever is configured and taken away, routes and addresses agree', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const network = new TestNetwork()
      const stack = network.stack('alice')
      const ports = [
        network.probe(stack, { kind: 'ethernet' }),
        network.probe(stack, { kind: 'ethernet' }),
        network.probe(stack),
      ]
      const untouched = stack.routes.entries().map(({ destination }) => destination.key)
      for (const { act, ifc: at, which } of steps) {
        const port = ports[at]!
        const own = addresses[which]!
        const bare = address(own.split('/')[0]!)
        if (act === 'add') configure(port, own)
        else if (act === 'remove' && port.ifc.hasAddress(bare))
          stack.removeAddress(port.ifc, bare, network.now)
        else if (act === 'up' || act === 'down') stack.setUp(port.ifc, act === 'up', network.now)
        else if (act === 'route') {
          try {
            stack.routes.add({
              destination: prefix(`172.${16 + which}.0.0/16`),
              gateway: address('10.0.0.9'),
            })
          } catch {
            // no way to the gateway just now, or there already
          }
        }
        const all = ports.flatMap(({ ifc }) => ifc.addresses.map((one) => ({ ifc, one })))
        for (const { one } of all) {
          const key = one.address.key
          const isUp = all.some(({ ifc, one: other }) => ifc.up && other.address.key === key)
          assert.equal(stack.isLocal(one.address), isUp, key)
        }
        // A local route for every address of every interface, and none besides.
        const local = stack.routes
          .entries()
          .filter(({ kind, interface: ifc }) => kind === 'local' && ifc.name !== 'lo0')
        const name = (ifc: NetworkInterface, key: string): string => `${ifc.name} ${key}`
        assert.deepEqual(
          local.map(({ interface: ifc, destination }) => name(ifc, destination.address.key)).sort(),
          all.map(({ ifc, one }) => name(ifc, one.address.key)).sort(),
        )
        // No address is on an interface twice.
        for (const { ifc } of ports)
          assert.equal(new Set(ifc.addresses.map(({ address: one }) => one.key)).size, ifc.addresses.length)
      }
      for (const { ifc } of ports) stack.removeInterface(ifc.name, network.now)
      assert.deepEqual(
        stack.routes.entries().map(({ destination }) => destination.key),
        untouched,
      )
      assert.equal(network.ping(stack, '127.0.0.1').replied, true)
    }),
    { numRuns: 150 },
  )
})

test('the same seed is the same run, to the byte', () => {
  const run = (seed: number): string => {
    const network = new TestNetwork(seed)
    const alice = network.stack('alice')
    const bob = network.stack('bob')
    const [a, b] = network.cable(alice, bob)
    let transcript = ''
    a.ifc.taps.add((packet, direction, now) => {
      transcript += `${now} ${direction} ${toHex(packet)}\n`
    })
    configure(a, '10.0.0.1/24', 'fd00::1/64')
    configure(b, '10.0.0.2/24', 'fd00::2/64')
    network.ping(alice, '10.0.0.2', { size: 5000 })
    network.ping(alice, 'fd00::2', { size: 5000 })
    bob.tcp.listen({ port: 80, onConnection: () => {} })
    const connection = alice.tcp.connect({ destination: address('10.0.0.2'), port: 80 }, network.now)
    connection.onEvent = (event, now) => {
      if (event === 'connected') connection.write(new Uint8Array(10_000), now)
    }
    network.advance(seconds(5))
    return transcript
  }
  assert.equal(run(7), run(7))
  assert.notEqual(run(7), run(8))
})
