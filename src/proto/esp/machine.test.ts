import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4, IPV6, instantAt, microseconds, seconds } from '../../base/index.js'
import type { Carrier, Output, PolicySpec, UdpCarrier } from '../machine.js'
import { drain, runUntil, transmitted } from '../testing.js'
import type { TunnelEvent } from '../tunnel-machine.js'
import { ManualSaMachine, type ManualSaPath } from './machine.js'
import type { SaSpec } from './sa.js'
import { carrierOf, ENDS, saOf } from './testing.js'

const outbound = saOf()
const inbound = saOf({ reverse: true, spi: 0x2002 })
const udpCarrier: UdpCarrier = {
  kind: 'udp',
  protocol: 17,
  local: ENDS[4][0],
  remote: ENDS[4][1],
  localPort: 4500,
  remotePort: 4500,
}

const shape = (output: Output<TunnelEvent>): unknown =>
  output.kind === 'event'
    ? output.event
    : output.kind === 'install'
      ? `install ${output.path.id}`
      : output.kind

/** A machine of one path. */
const alone = (path: Partial<ManualSaPath> = {}, carrier: Carrier = carrierOf(4, 50)): ManualSaMachine =>
  new ManualSaMachine({ paths: [{ id: 'sa', carrier, outbound, inbound: [inbound], ...path }] })

function started(change: Partial<SaSpec> = {}, other: Partial<SaSpec> = {}): ManualSaMachine {
  const machine = alone({ outbound: { ...outbound, ...change }, inbound: [{ ...inbound, ...other }] })
  machine.start(instantAt(0))
  return machine
}

test('it installs a path of its SAs and removes it at the end', () => {
  const machine = started()
  const [install, up] = drain(machine)
  assert.equal(install?.kind, 'install')
  if (install?.kind !== 'install') return
  assert.deepEqual(install.path.takes, [IPV4, IPV6])
  assert.deepEqual(structuredClone(install.path.transform), install.path.transform)
  assert.deepEqual(up, { kind: 'event', event: { name: 'up' } })
  assert.equal(machine.nextTimeout(), undefined)
  machine.stop(instantAt(5))
  machine.stop(instantAt(6))
  assert.deepEqual(drain(machine).map(shape), ['remove', { name: 'down', reason: 'stopped' }])
})

test('a transport path takes its own family alone', () => {
  const machine = alone({ outbound: saOf({ mode: 'transport', family: 6 }), inbound: [] }, carrierOf(6, 51))
  machine.start(instantAt(0))
  const [install] = drain(machine)
  assert.deepEqual(install?.kind === 'install' && install.path.takes, [IPV6])
})

test('seconds: soft is told, hard removes the path, and nothing runs after', () => {
  const machine = started(
    { lifetimes: { softSeconds: 8, hardSeconds: 10 } },
    { lifetimes: { softSeconds: 9 } },
  )
  drain(machine)
  assert.deepEqual(
    runUntil(machine, instantAt(60_000_000)).map(({ at, output }) => [at / 1e6, shape(output)]),
    [
      [8, { name: 'lifetime', path: 'sa', kind: 'soft', direction: 'outbound', spi: 0x1001 }],
      [9, { name: 'lifetime', path: 'sa', kind: 'soft', direction: 'inbound', spi: 0x2002 }],
      [10, { name: 'lifetime', path: 'sa', kind: 'hard', direction: 'outbound', spi: 0x1001 }],
      [10, 'remove'],
      [10, { name: 'down', reason: 'the lifetime is over' }],
    ],
  )
  assert.equal(machine.nextTimeout(), undefined)
})

test('what the data path reports is told once, and ends the pair where it must', () => {
  const machine = started()
  drain(machine)
  for (let i = 0; i < 3; i++)
    machine.reached('sa', { direction: 'inbound', spi: 0x2002, kind: 'soft' }, instantAt(i))
  machine.reached('sa', { direction: 'inbound', spi: 0x9999, kind: 'hard' }, instantAt(3))
  machine.reached('sa', { direction: 'outbound', spi: 0x2002, kind: 'hard' }, instantAt(3))
  assert.deepEqual(drain(machine).map(shape), [
    { name: 'lifetime', path: 'sa', kind: 'soft', direction: 'inbound', spi: 0x2002 },
  ])
  machine.reached('sa', { direction: 'outbound', spi: 0x1001, kind: 'overflow' }, instantAt(4))
  machine.reached('sa', { direction: 'inbound', spi: 0x2002, kind: 'hard' }, instantAt(5))
  assert.deepEqual(drain(machine).map(shape), [
    { name: 'lifetime', path: 'sa', kind: 'overflow', direction: 'outbound', spi: 0x1001 },
    'remove',
    { name: 'down', reason: 'the sequence numbers are at their end' },
  ])
})

test('RFC 3948 section 4: in UDP a keepalive of one byte, every 20 s or as configured', () => {
  const machine = alone({}, udpCarrier)
  machine.start(instantAt(0))
  drain(machine)
  const sent = runUntil(machine, instantAt(65_000_000))
  assert.deepEqual(
    sent.map(({ at }) => at / 1e6),
    [20, 40, 60],
  )
  for (const datagram of transmitted(sent.map(({ output }) => output))) {
    assert.deepEqual(datagram.payload, Uint8Array.of(0xff))
    assert.equal(datagram.carrier.kind, 'udp')
  }
  machine.stop(instantAt(65_000_000))
  assert.equal(machine.nextTimeout(), undefined)
  const quick = alone({ inbound: [], keepalive: seconds(5) }, udpCarrier)
  quick.start(instantAt(0))
  assert.equal(quick.nextTimeout(), microseconds(5_000_000))
})

test('what no path claims is counted', () => {
  const machine = started()
  drain(machine)
  machine.receive({ carrier: udpCarrier, payload: new Uint8Array(20) }, instantAt(1))
  machine.send({ kind: IPV4, bytes: new Uint8Array(20) }, instantAt(1))
  assert.deepEqual(machine.counters.toJSON(), { 'control.unexpected': 1, 'send.noPath': 1 })
  assert.deepEqual(drain(machine), [])
})

test('no machine for an SA that cannot be', () => {
  assert.throws(() => started({ spi: 1 }), { code: 'SA_SPI' })
  assert.throws(() => started({}, { window: 1 }), { code: 'SA_WINDOW' })
})

const policy: PolicySpec = {
  direction: 'out',
  action: 'require',
  family: 4,
  source: { address: Uint8Array.of(10, 0, 0, 0), length: 24 },
  destination: { address: Uint8Array.of(10, 0, 1, 0), length: 24 },
  paths: ['one', 'other'],
}
const one: ManualSaPath = {
  id: 'one',
  carrier: carrierOf(4, 50),
  outbound: { ...outbound, lifetimes: { hardSeconds: 10 } },
  inbound: [inbound],
}
const other: ManualSaPath = {
  id: 'other',
  carrier: carrierOf(4, 50),
  outbound: saOf({ spi: 0x3003 }),
  inbound: [],
}

test('policies stand before the paths; the end of one path is not the end of the other; the last one is told', () => {
  const machine = new ManualSaMachine({ policies: [policy], paths: [one, other] })
  machine.start(instantAt(0))
  assert.deepEqual(drain(machine).map(shape), ['policies', 'install one', 'install other', { name: 'up' }])
  machine.timeout(instantAt(10_000_000))
  assert.deepEqual(drain(machine).map(shape), [
    { name: 'lifetime', path: 'one', kind: 'hard', direction: 'outbound', spi: 0x1001 },
    'remove',
  ])
  machine.reached('other', { direction: 'outbound', spi: 0x3003, kind: 'overflow' }, instantAt(11_000_000))
  assert.deepEqual(drain(machine).map(shape), [
    { name: 'lifetime', path: 'other', kind: 'overflow', direction: 'outbound', spi: 0x3003 },
    'remove',
    { name: 'down', reason: 'the sequence numbers are at their end' },
  ])
})

test('another configuration: equal paths are not touched, others go before new ones come', () => {
  const machine = new ManualSaMachine({ policies: [policy], paths: [one, other] })
  machine.start(instantAt(0))
  drain(machine)
  // Read anew: equal in every member but the seed.
  const again = structuredClone({ ...one, carrier: undefined })
  const kept = { ...one, outbound: { ...again.outbound!, ivSeed: Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9) } }
  const changed = { ...other, outbound: saOf({ spi: 0x3004 }) }
  machine.reconfigure({ policies: [policy], paths: [kept, changed] }, instantAt(1_000_000))
  assert.deepEqual(drain(machine).map(shape), ['policies', 'remove', 'install other'])
  // The lifetime of the path that was kept goes on.
  assert.equal(machine.nextTimeout(), 10_000_000)
  machine.reconfigure({ policies: [policy], paths: [] }, instantAt(2_000_000))
  assert.deepEqual(drain(machine).map(shape), [
    'policies',
    'remove',
    'remove',
    { name: 'down', reason: 'no security association' },
  ])
  assert.equal(machine.nextTimeout(), undefined)
  assert.throws(
    () => machine.reconfigure({ paths: [{ ...other, inbound: [saOf({ spi: 3 })] }] }, instantAt(3_000_000)),
    { code: 'SA_SPI' },
  )
  assert.deepEqual(drain(machine), [])
})

test('a path whose lifetime is over does not come back with a configuration that says the same', () => {
  const machine = new ManualSaMachine({ policies: [policy], paths: [one] })
  machine.start(instantAt(0))
  machine.timeout(instantAt(10_000_000))
  drain(machine)
  machine.reconfigure({ policies: [policy], paths: [one] }, instantAt(11_000_000))
  assert.deepEqual(drain(machine).map(shape), [
    'policies',
    { name: 'down', reason: 'no security association' },
  ])
  const renewed = { ...one, outbound: { ...outbound, spi: 0x1005 } }
  machine.reconfigure({ policies: [policy], paths: [renewed] }, instantAt(12_000_000))
  assert.deepEqual(drain(machine).map(shape), ['policies', 'install one', { name: 'up' }])
})

test('paths of one UDP carrier send one keepalive; policies that ask for no path are up without one', () => {
  const udp = (id: string): ManualSaPath => ({ ...other, id, carrier: udpCarrier })
  const machine = new ManualSaMachine({ paths: [udp('a'), udp('b')] })
  machine.start(instantAt(0))
  drain(machine)
  assert.equal(runUntil(machine, instantAt(25_000_000)).length, 1)
  const closed = new ManualSaMachine({ policies: [{ ...policy, action: 'deny', paths: [] }], paths: [] })
  closed.start(instantAt(0))
  assert.deepEqual(drain(closed).map(shape), ['policies', { name: 'up' }])
})
