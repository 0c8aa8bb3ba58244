import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Stack } from './stack.js'
import { address, configure, type Plug, prefix, TestNetwork } from './testing.js'

function table(stack: Stack): string[] {
  return stack.routes
    .entries()
    .map(
      ({ destination, gatewayText, flags, priority, interface: ifc }) =>
        `${destination} ${gatewayText} ${flags} ${priority} ${ifc.name}`,
    )
}

function alice(): { network: TestNetwork; stack: Stack; plug: Plug } {
  const network = new TestNetwork()
  const stack = network.stack('alice')
  const bob = network.stack('bob')
  const [plug, other] = network.cable(stack, bob)
  configure(plug, '192.168.1.1/24')
  configure(other, '192.168.1.2/24')
  return { network, stack, plug }
}

test('the table reads as netstat -rn on OpenBSD', () => {
  const { network, stack, plug } = alice()
  configure(plug, 'fd3e:62ee:99db:bb1a::1/64')
  stack.routes.add({ destination: prefix('0.0.0.0/0'), gateway: address('192.168.1.2') })
  stack.routes.add({
    destination: prefix('127.0.0.0/8'),
    gateway: address('127.0.0.1'),
    action: 'reject',
  })
  const [gif] = network.cable(stack, network.stack('peer'), { kind: 'point-to-point' })
  configure(gif, '172.16.0.1/32 172.16.0.2')
  network.ping(stack, '192.168.1.2')
  assert.deepEqual(table(stack), [
    '0.0.0.0/0 192.168.1.2 UGS 8 vio0',
    '127.0.0.0/8 127.0.0.1 UGRS 8 lo0',
    '127.0.0.1/32 127.0.0.1 UHhl 1 lo0',
    '172.16.0.1/32 172.16.0.1 UHl 1 gif0',
    '172.16.0.2/32 172.16.0.1 UH 8 gif0',
    '192.168.1.0/24 192.168.1.1 UCn 4 vio0',
    '192.168.1.1/32 fe:e1:ba:d0:00:01 UHLl 1 vio0',
    '192.168.1.2/32 fe:e1:ba:d0:00:02 UHLch 3 vio0',
    '192.168.1.255/32 192.168.1.1 UHb 1 vio0',
    '::1/128 ::1 UHl 1 lo0',
    'fd3e:62ee:99db:bb1a::/64 fd3e:62ee:99db:bb1a::1 UCn 4 vio0',
    'fd3e:62ee:99db:bb1a::1/128 fe:e1:ba:d0:00:01 UHLl 1 vio0',
    'fe80::/64 fe80::fce1:baff:fed0:1 UCn 4 vio0',
    'fe80::1/128 fe80::1 UHl 1 lo0',
    'fe80::fce1:baff:fed0:1/128 fe:e1:ba:d0:00:01 UHLl 1 vio0',
  ])
})

test('the longest prefix wins, whatever the order of adding', () => {
  const { stack } = alice()
  const gateway = (n: number) => address(`192.168.1.${n}`)
  stack.routes.add({ destination: prefix('10.1.0.0/16'), gateway: gateway(3) })
  stack.routes.add({ destination: prefix('0.0.0.0/0'), gateway: gateway(2) })
  stack.routes.add({ destination: prefix('10.1.2.0/24'), gateway: gateway(4) })
  stack.routes.add({ destination: prefix('10.1.2.3/32'), gateway: gateway(5) })
  const by = (to: string) => stack.routes.lookup(address(to))?.gateway?.toString()
  assert.deepEqual(['10.1.2.3', '10.1.2.4', '10.1.9.9', '8.8.8.8', '192.168.1.9'].map(by), [
    '192.168.1.5',
    '192.168.1.4',
    '192.168.1.3',
    '192.168.1.2',
    undefined,
  ])
  assert.equal(stack.routes.lookup(address('fd00::1')), undefined)
})

test('what cannot be added says why, as OpenBSD does', () => {
  const { stack } = alice()
  const add = (gateway: string) =>
    stack.routes.add({ destination: prefix('10.0.0.0/8'), gateway: address(gateway) })
  assert.throws(() => add('172.16.0.1'), { code: 'STACK_NO_ROUTE', message: /^Network is unreachable/ })
  add('192.168.1.2')
  assert.throws(() => add('192.168.1.2'), { code: 'STACK_ROUTE_EXISTS', message: /^File exists/ })
  assert.throws(() => add('fd00::1'), { code: 'STACK_NO_ROUTE' })
  assert.equal(stack.routes.remove(prefix('10.0.0.0/8'), address('192.168.1.9')), undefined)
  assert.equal(
    stack.routes.remove(prefix('10.0.0.0/8'), address('192.168.1.2'))?.gateway?.toString(),
    '192.168.1.2',
  )
  assert.equal(stack.routes.remove(prefix('10.0.0.0/8')), undefined)
  // Routes that an address made go with the address alone.
  assert.equal(stack.routes.remove(prefix('192.168.1.0/24')), undefined)
})

test('the number of routes is bounded', () => {
  const network = new TestNetwork()
  const stack = network.stack('alice', { routes: 20 })
  const [plug] = network.cable(stack, network.stack('bob'))
  configure(plug, '192.168.1.1/24')
  assert.throws(
    () => {
      for (let i = 0; i < 30; i++)
        stack.routes.add({ destination: prefix(`10.${i}.0.0/16`), gateway: address('192.168.1.2') })
    },
    { code: 'STACK_ROUTES_FULL' },
  )
  assert.ok(stack.routes.lookup(address('10.10.0.1')))
})

test('routes go with their address; a second address in the network keeps the network’s route', () => {
  const { network, stack, plug } = alice()
  configure(plug, '192.168.1.7/24', '10.0.0.1/8')
  stack.routes.add({ destination: prefix('0.0.0.0/0'), gateway: address('10.0.0.9') })
  stack.removeAddress(plug.ifc, address('192.168.1.1'), network.now)
  assert.equal(network.ping(stack, '192.168.1.2').replied, true)
  assert.equal(stack.routes.lookup(address('192.168.1.2'))?.via?.address.toString(), '192.168.1.7')
  stack.removeAddress(plug.ifc, address('192.168.1.7'), network.now)
  stack.removeAddress(plug.ifc, address('10.0.0.1'), network.now)
  assert.deepEqual(
    table(stack).filter((row) => !row.endsWith('lo0') && !row.includes('UHLc')),
    [],
  )
})

test('a reject route is told to the sender, a black hole to nobody', () => {
  const { network, stack } = alice()
  const gateway = address('127.0.0.1')
  stack.routes.add({ destination: prefix('10.0.0.0/8'), gateway, action: 'reject' })
  stack.routes.add({ destination: prefix('11.0.0.0/8'), gateway, action: 'blackhole' })
  assert.equal(network.ping(stack, '10.0.0.1').result, 'unreachable')
  assert.equal(network.ping(stack, '11.0.0.1').result, 'ok')
})

test('the source is the address nearest to the next hop; IPv6 chooses by scope and prefix', () => {
  const { network, stack, plug } = alice()
  configure(plug, '10.0.0.1/8', 'fd3e:62ee:99db:bb1a::1/64', 'fd00:1::1/64')
  stack.routes.add({ destination: prefix('0.0.0.0/0'), gateway: address('10.0.0.2') })
  stack.routes.add({ destination: prefix('::/0'), gateway: address('fd00:1::2') })
  const source = (to: string) => stack.sourceFor(address(to))?.toString()
  assert.equal(source('192.168.1.2'), '192.168.1.1')
  assert.equal(source('8.8.8.8'), '10.0.0.1')
  assert.equal(source('fd00:1::77'), 'fd00:1::1')
  assert.equal(source('fd3e:62ee:99db:bb1a::2'), 'fd3e:62ee:99db:bb1a::1')
  assert.equal(source('fe80::9'), 'fe80::fce1:baff:fed0:1')
  assert.equal(source('192.168.1.1'), '192.168.1.1')
  // An unnumbered link borrows.
  const [gif] = network.cable(stack, network.stack('peer'), { kind: 'point-to-point' })
  stack.routes.add({ destination: prefix('172.16.0.0/12'), interface: gif.ifc })
  assert.equal(source('172.16.0.1'), '192.168.1.1')
})

test('an address that is given again keeps the routes through its network', () => {
  const { stack, plug } = alice()
  stack.routes.add({ destination: prefix('0.0.0.0/0'), gateway: address('192.168.1.2') })
  configure(plug, '192.168.1.1/24')
  assert.equal(plug.ifc.addresses.length, 1)
  assert.ok(stack.routes.lookup(address('8.8.8.8')))
  configure(plug, '192.168.1.1/16')
  assert.equal(plug.ifc.addresses[0]?.prefixLength, 16)
  assert.ok(stack.routes.lookup(address('8.8.8.8')))
  configure(plug, '192.168.1.1/32')
  assert.equal(stack.routes.lookup(address('8.8.8.8')), undefined)
})

test('lookup agrees with a search of all routes for the longest prefix', () => {
  const octets = fc.tuple(
    fc.constantFrom(10, 11),
    fc.nat({ max: 3 }),
    fc.nat({ max: 3 }),
    fc.nat({ max: 255 }),
  )
  const routes = fc.uniqueArray(fc.tuple(octets, fc.integer({ min: 0, max: 32 })), {
    maxLength: 40,
    selector: ([octet, length]) => prefix(`${octet.join('.')}/${length}`).key,
  })
  fc.assert(
    fc.property(routes, fc.array(octets, { maxLength: 20 }), (chosen, questions) => {
      const { stack } = alice()
      const gateway = address('192.168.1.2')
      const all = chosen.map(([octet, length]) => prefix(`${octet.join('.')}/${length}`))
      for (const destination of all) stack.routes.add({ destination, gateway })
      for (const octet of questions) {
        const to = address(octet.join('.'))
        const best = all.filter((one) => one.contains(to)).sort((a, b) => b.length - a.length)[0]
        assert.equal(stack.routes.lookup(to)?.destination.key, best?.key)
      }
    }),
    { numRuns: 50 },
  )
})

test('packets that go by a route are counted on it, questions are not', () => {
  const { network, stack } = alice()
  const route = stack.routes.lookup(address('192.168.1.2'))
  stack.sourceFor(address('192.168.1.2'))
  const before = route?.use ?? 0
  network.ping(stack, '192.168.1.2')
  assert.equal(route?.use, before + 1)
})
