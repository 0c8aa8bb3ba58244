import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IpPrefix, Ipv4Address, instantAt, SeededRandom } from '../../base/index.js'
import type { Datagram, PolicySpec } from '../machine.js'
import { selectorOfPrefix } from './selectors.js'
import { policyOf, Side } from './testing.js'

const NOW = instantAt(0)
const inside = selectorOfPrefix(IpPrefix.parse('172.16.1.0/24')!)

/** A gateway that anybody may come to. */
function gateway(): Side {
  const { remoteId: _anybody, ...policy } = policyOf(1, {
    peer: IpPrefix.parse('0.0.0.0/0')!,
    flows: [{ local: inside, remote: selectorOfPrefix(IpPrefix.parse('10.0.0.0/8')!) }],
  })
  const side = new Side({ policies: [policy], random: new SeededRandom(1) })
  side.machine.start(NOW)
  side.drain()
  return side
}

const turned = (datagram: Datagram): Datagram => {
  const { carrier } = datagram
  if (carrier.kind !== 'udp') return datagram
  const { local, remote, localPort, remotePort } = carrier
  return {
    ...datagram,
    carrier: { ...carrier, local: remote, remote: local, localPort: remotePort, remotePort: localPort },
  }
}

/** A host with an address and a network of its own. */
function join(to: Side, host: number, network = `10.0.${host}.0/24`, seed = host): Side {
  const side = new Side({
    policies: [
      policyOf(2, {
        local: Ipv4Address.parse(`192.168.2.${host}`)!,
        localId: { type: 2, data: new TextEncoder().encode(`host${host}.example`) },
        flows: [{ local: selectorOfPrefix(IpPrefix.parse(network)!), remote: inside }],
      }),
    ],
    random: new SeededRandom(seed),
  })
  side.machine.start(NOW)
  exchange(side, to)
  assert.equal(side.established, 1)
  return side
}

function exchange(side: Side, to: Side): void {
  for (let waiting = side.drain(); waiting.length > 0; waiting = side.drain()) {
    for (const datagram of waiting) to.machine.receive(turned(datagram), NOW)
    for (const datagram of to.drain()) side.machine.receive(turned(datagram), NOW)
  }
}

const shown = (policies: readonly PolicySpec[]): string[] =>
  policies.map(({ direction, source, paths }) => `${direction} ${source.address} ${paths.length}`).sort()

test('each SA adds its policies and takes them along when it goes; the others stay the same objects', () => {
  const to = gateway()
  assert.deepEqual(to.policies, [])
  const first = join(to, 1)
  const before = to.policies
  assert.deepEqual(shown(before), ['in 10,0,1,0 1', 'out 172,16,1,0 1'])
  join(to, 2)
  assert.equal(to.policies.length, 4)
  for (const policy of before) assert.ok(to.policies.includes(policy))
  first.machine.sessions()[0]!.delete('over', NOW)
  exchange(first, to)
  to.machine.timeout(NOW)
  exchange(to, first)
  assert.deepEqual(shown(to.policies), ['in 10,0,2,0 1', 'out 172,16,1,0 1'])
})

test('SAs for the same packets share a policy, in the order in which their peers came', () => {
  const to = gateway()
  join(to, 1, '10.9.0.0/16')
  const [only] = to.policies[0]!.paths
  join(to, 2, '10.9.0.0/16')
  assert.equal(to.policies.length, 2)
  assert.equal(to.policies[0]!.paths.length, 2)
  assert.equal(to.policies[0]!.paths[0], only)
})

test('of one peer the newest SA is used first, also where it says no INITIAL_CONTACT', () => {
  const to = gateway()
  // As if it had not been said.
  to.machine.initialContact = () => {}
  join(to, 1)
  join(to, 1, '10.0.1.0/24', 7)
  const [older, newer] = to.machine.sessions().map(({ children }) => [...children.values()][0]!.id)
  assert.equal(to.policies.length, 2)
  for (const { paths } of to.policies) assert.deepEqual(paths, [newer, older])
})

test('an IKE SA that takes over keeps the policies of its children', () => {
  const to = gateway()
  const one = join(to, 1)
  one.machine.sessions()[0]!.onRekeyDue!(NOW)
  exchange(one, to)
  one.machine.timeout(NOW)
  exchange(one, to)
  to.machine.timeout(NOW)
  exchange(to, one)
  assert.equal(to.machine.sessions().length, 1)
  assert.deepEqual(shown(to.policies), ['in 10,0,1,0 1', 'out 172,16,1,0 1'])
  assert.ok(to.paths.has(to.policies[0]!.paths[0]!))
})
