import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IPV4, IPV6, instantAt, microseconds, seconds } from '../../base/index.js'
import type { Output, UdpCarrier } from '../machine.js'
import { drain, runUntil, transmitted } from '../testing.js'
import { ManualSaMachine, type SaEvent } from './machine.js'
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

const shape = (output: Output<SaEvent>): unknown =>
  output.kind === 'event'
    ? output.event
    : output.kind === 'install'
      ? `install ${output.path.id}`
      : output.kind

function started(change: Partial<SaSpec> = {}, other: Partial<SaSpec> = {}): ManualSaMachine {
  const machine = new ManualSaMachine({
    carrier: carrierOf(4, 50),
    outbound: { ...outbound, ...change },
    inbound: [{ ...inbound, ...other }],
  })
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
  const machine = new ManualSaMachine({
    carrier: carrierOf(6, 51),
    outbound: saOf({ mode: 'transport', family: 6 }),
    inbound: [],
  })
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
      [8, { name: 'lifetime', kind: 'soft', direction: 'outbound', spi: 0x1001 }],
      [9, { name: 'lifetime', kind: 'soft', direction: 'inbound', spi: 0x2002 }],
      [10, { name: 'lifetime', kind: 'hard', direction: 'outbound', spi: 0x1001 }],
      [10, 'remove'],
      [10, { name: 'down', reason: 'the lifetime is over' }],
    ],
  )
  assert.equal(machine.nextTimeout(), undefined)
})

test('what the data path reports is told once, and ends the pair where it must', () => {
  const machine = started()
  drain(machine)
  for (let i = 0; i < 3; i++) machine.reached('inbound', 0x2002, 'soft', instantAt(i))
  machine.reached('inbound', 0x9999, 'hard', instantAt(3))
  machine.reached('outbound', 0x2002, 'hard', instantAt(3))
  assert.deepEqual(drain(machine).map(shape), [
    { name: 'lifetime', kind: 'soft', direction: 'inbound', spi: 0x2002 },
  ])
  machine.reached('outbound', 0x1001, 'overflow', instantAt(4))
  machine.reached('inbound', 0x2002, 'hard', instantAt(5))
  assert.deepEqual(drain(machine).map(shape), [
    { name: 'lifetime', kind: 'overflow', direction: 'outbound', spi: 0x1001 },
    'remove',
    { name: 'down', reason: 'the sequence numbers are at their end' },
  ])
})

test('RFC 3948 section 4: in UDP a keepalive of one byte, every 20 s or as configured', () => {
  const machine = new ManualSaMachine({ carrier: udpCarrier, outbound, inbound: [inbound] })
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
  const quick = new ManualSaMachine({ carrier: udpCarrier, outbound, inbound: [], keepalive: seconds(5) })
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
