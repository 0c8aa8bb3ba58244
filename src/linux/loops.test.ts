import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Counters, type IpAddress, parseIpAddress } from '../base/index.js'
import type { Carrier } from './carrier.js'
import { findLoops } from './loops.js'
import type { OtherTunnel } from './messages.js'
import type { PlanePath } from './path.js'
import type { PlaneInterface } from './plane-interface.js'

const bytesOf = (address: string): Uint8Array => (parseIpAddress(address) as IpAddress).bytes

const carrierTo = (address: string): Carrier => ({
  spec: { remote: bytesOf(address) } as Carrier['spec'],
  paths: [],
  drops: new Counters(),
  loops: false,
  push: () => undefined,
  flush: () => undefined,
  mtu: () => 1500,
  receive: () => false,
})
const tunnel = (index: number, ...carriers: Carrier[]): PlaneInterface => {
  const paths = carriers.map((carrier, i) => [`${i}`, { carrier } as PlanePath] as const)
  return { spec: { index } as PlaneInterface['spec'], paths: new Map(paths) } as PlaneInterface
}
const other = (index: number, ...remotes: string[]): OtherTunnel => ({
  index,
  carriers: remotes.map((remote) => ({ remote: bytesOf(remote) })),
})

/** Which of the carriers loop; `routes`: from an address to the interface that leads there. */
function loopsOf(
  carriers: readonly Carrier[],
  interfaces: readonly PlaneInterface[],
  others: readonly OtherTunnel[],
  routes: Readonly<Record<string, number>>,
): boolean[] {
  findLoops(carriers, interfaces, others, (address) => {
    const interfaceIndex = routes[`${address}`]
    return interfaceIndex === undefined ? undefined : { interfaceIndex, type: 1 }
  })
  return carriers.map(({ loops }) => loops)
}

test('a tunnel in a tunnel is no loop; one that leads into itself is, and one that leads into it is none', () => {
  const [a, b] = [carrierTo('10.0.0.1'), carrierTo('10.0.0.2')]
  const sides = [tunnel(5, a), tunnel(6, b)]
  assert.deepEqual(loopsOf([a, b], sides, [], { '10.0.0.1': 1, '10.0.0.2': 5 }), [false, false])
  assert.deepEqual(loopsOf([a, b], sides, [], { '10.0.0.1': 5, '10.0.0.2': 5 }), [true, false])
  assert.deepEqual(loopsOf([a, b], sides, [], { '10.0.0.1': 6, '10.0.0.2': 5 }), [true, true])
  assert.deepEqual(loopsOf([a, b], sides, [], {}), [false, false], 'the routes have changed')
})

test('a way round leads through the tunnels of other threads, too', () => {
  const a = carrierTo('10.0.0.1')
  const others = [other(6, '10.0.0.3'), other(7, '10.0.0.4', '10.0.0.5')]
  const routes = { '10.0.0.1': 6, '10.0.0.3': 7, '10.0.0.4': 1 }
  assert.deepEqual(loopsOf([a], [tunnel(5, a)], others, { ...routes, '10.0.0.5': 1 }), [false])
  assert.deepEqual(loopsOf([a], [tunnel(5, a)], others, { ...routes, '10.0.0.5': 5 }), [true])
  assert.deepEqual(loopsOf([a], [tunnel(5, a)], others, { ...routes, '10.0.0.5': 6 }), [false], 'theirs')
})
