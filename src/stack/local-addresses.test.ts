import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ipv4Address } from '../base/index.js'
import { directedBroadcast } from './local-addresses.js'
import { address, configure, rawIpv4, rawIpv6, TestNetwork } from './testing.js'

test('the broadcast address follows from the prefix; a /31, a /32 and a point-to-point link have none', () => {
  const network = new TestNetwork()
  const stack = network.stack('alice')
  const { ifc } = network.probe(stack, { kind: 'ethernet' })
  const of = (text: string, prefixLength: number): string | undefined =>
    directedBroadcast(ifc, { address: address(text), prefixLength })?.toString()
  assert.equal(of('192.168.1.1', 24), '192.168.1.255')
  assert.equal(of('172.16.5.1', 12), '172.31.255.255')
  assert.equal(of('10.0.0.1', 0), Ipv4Address.broadcast.toString())
  assert.equal(of('10.0.0.1', 30), '10.0.0.3')
  assert.equal(of('10.0.0.1', 31), undefined)
  assert.equal(of('10.0.0.1', 32), undefined)
  assert.equal(of('fd00::1', 64), undefined)
  const point = network.probe(stack)
  assert.equal(directedBroadcast(point.ifc, { address: address('10.0.0.1'), prefixLength: 24 }), undefined)
})

test('an address is ours on every interface; a link-local one on its own link, and while that is up', () => {
  const network = new TestNetwork()
  const stack = network.stack('alice')
  const one = network.probe(stack)
  const two = network.probe(stack)
  configure(one, '10.1.0.1/32 10.1.0.2', 'fd01::1/64', 'fe80::1/64')
  configure(two, '10.2.0.1/32 10.2.0.2', 'fd02::1/64')
  const taken = (to: string): boolean => {
    let heard = 0
    stack.handle(97, () => ++heard > 0)
    const v6 = to.includes(':')
    two.inject(
      v6
        ? rawIpv6({ source: 'fd02::9', destination: to, nextHeader: 97 }, new Uint8Array(8))
        : rawIpv4({ source: '10.2.0.2', destination: to, protocol: 97 }, new Uint8Array(8)),
    )
    return heard === 1
  }
  assert.deepEqual(['10.1.0.1', '10.2.0.1', 'fd01::1', 'fd02::1', 'fe80::1'].map(taken), [
    true,
    true,
    true,
    true,
    false,
  ])
  stack.setUp(one.ifc, false, network.now)
  assert.deepEqual(['10.1.0.1', '10.2.0.1', 'fd01::1'].map(taken), [false, true, false])
  assert.equal(stack.isLocal(address('10.1.0.1')), false)
  stack.removeAddress(two.ifc, address('10.2.0.1'), network.now)
  assert.equal(taken('10.2.0.1'), false)
})

test('groups that every host is in are heard, others are not', () => {
  const network = new TestNetwork()
  const stack = network.stack('alice')
  const port = network.probe(stack)
  configure(port, '10.1.0.1/32 10.1.0.2', 'fd01::ab:1234/64')
  const taken = (to: string): boolean => {
    let heard = 0
    stack.handle(97, () => ++heard > 0)
    port.inject(
      to.includes(':')
        ? rawIpv6({ source: 'fd01::9', destination: to, nextHeader: 97 }, new Uint8Array(8))
        : rawIpv4({ source: '10.1.0.2', destination: to, protocol: 97 }, new Uint8Array(8)),
    )
    return heard === 1
  }
  const groups = ['224.0.0.1', 'ff02::1', 'ff02::1:ffab:1234', '224.0.0.5', 'ff02::2', 'ff02::1:ff00:1']
  assert.deepEqual(groups.map(taken), [true, true, true, false, false, false])
  stack.settings.forwarding6 = true
  assert.equal(taken('ff02::2'), true)
})
