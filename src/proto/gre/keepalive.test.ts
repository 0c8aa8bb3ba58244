import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, type Instant, instantAt, seconds } from '../../base/index.js'
import { CONTROL, type Datagram, type Machine, type Output } from '../machine.js'
import { drain, hexBytes, ipOf, process, runUntil, transmitted } from '../testing.js'
import { createTransforms } from '../transforms.js'
import type { TunnelEvent } from '../tunnel-machine.js'
import { type GreConfig, GreMachine } from './machine.js'

const at = (s: number): Instant => instantAt(s * 1e6)
const a = { local: ipOf('192.168.1.1'), remote: ipOf('192.168.1.2') }
const b = { local: a.remote, remote: a.local }
const keepalive = { period: seconds(10), count: 3 }

function started(config: GreConfig): Machine<TunnelEvent> {
  const machine = new GreMachine(config)
  machine.start(at(0))
  drain(machine)
  return machine
}
const events = (outputs: readonly Output<TunnelEvent>[]): string[] =>
  outputs.flatMap((output) => (output.kind === 'event' ? [output.event.name] : []))

/** What the data path of `config` says of a datagram: only CONTROL reaches the machine. */
function verdictOf(config: GreConfig, payload: Uint8Array): number {
  const machine = new GreMachine(config)
  machine.start(at(0))
  const path = drain(machine).flatMap((output) => (output.kind === 'install' ? [output.path] : []))[0]!
  return process(createTransforms(path.transform).inbound, payload, 0).verdict
}

/** The datagram as the other end meets it. */
const turned = ({ carrier, payload }: Datagram): Datagram => ({
  carrier: { ...carrier, local: carrier.remote, remote: carrier.local },
  payload,
})

test('our keepalive, byte for byte: GRE, an IP packet back to us, GRE of protocol 0', () => {
  const machine = started({ outer: a, keepalive, nonce: 0xcafebabe })
  machine.timeout(at(0))
  const [datagram] = transmitted(drain(machine))
  assert.deepEqual(
    datagram?.payload,
    hexBytes(`
      0000 0800                                              // GRE
      45c0 0020 0000 0000 ff2f 379b c0a8 0102 c0a8 0101     // 192.168.1.2 > 192.168.1.1, protocol 47, TTL 255
      0000 0000 cafe babe 0000 0001                          // GRE of protocol 0: nonce, number`),
  )
  assert.equal(datagram.ttl, 64)
})

test('over IPv6, with a key: both GRE headers have it', () => {
  const outer = { local: ipOf('fd00::1'), remote: ipOf('fd00::2') }
  const machine = started({ outer, key: 7, keepalive, nonce: 1 })
  machine.timeout(at(0))
  assert.deepEqual(
    transmitted(drain(machine))[0]?.payload,
    hexBytes(`
      2000 86dd 0000 0007
      6000 0000 0010 2fff fd00 0000 0000 0000 0000 0000 0000 0002 fd00 0000 0000 0000 0000 0000 0000 0001
      2000 0000 0000 0007 0000 0001 0000 0001`),
  )
})

test('two of us: each keepalive is answered, and the tunnel is up on both sides that ask', () => {
  for (const key of [undefined, 99]) {
    const keyed = key === undefined ? {} : { key }
    const configA = { outer: a, keepalive, nonce: 5, ...keyed }
    const configB = { outer: b, ...keyed }
    const alice = started(configA)
    const bob = started(configB)
    alice.timeout(at(0))
    const [asked] = transmitted(drain(alice))
    assert.equal(verdictOf(configB, asked!.payload), CONTROL)
    bob.receive(turned(asked!), at(0))
    const [answer] = transmitted(drain(bob))
    assert.equal(answer?.ttl, 254, 'the inner packet took a hop')
    assert.equal(verdictOf(configA, answer!.payload), CONTROL)
    alice.receive(turned(answer!), at(0))
    assert.deepEqual(events(drain(alice)), ['up'])
    assert.deepEqual(bob.counters.toJSON(), {})
  }
})

test('a router that only forwards answers too: the inner packet comes as it is', () => {
  const machine = started({ outer: a, keepalive, nonce: 5 })
  machine.timeout(at(0))
  const [asked] = transmitted(drain(machine))
  machine.receive(turned({ ...asked!, payload: asked!.payload.subarray(24) }), at(0.1))
  assert.deepEqual(events(drain(machine)), ['up'])
})

test('a peer that falls silent is lost after count periods, and found again', () => {
  const machine = started({ outer: a, keepalive, nonce: 5 })
  const asked = runUntil(machine, at(0)).flatMap(({ output }) => transmitted([output]))[0]!
  const answerTo = (datagram: Datagram): Datagram =>
    turned({ ...datagram, payload: datagram.payload.subarray(24) })
  machine.receive(answerTo(asked), at(1))
  drain(machine)
  const silent = runUntil(machine, at(60))
  assert.deepEqual(
    silent.filter(({ output }) => output.kind === 'event').map(({ at: when, output }) => [when, output]),
    [[at(31), { kind: 'event', event: { name: 'down', reason: 'keepalives of the peer are missing' } }]],
  )
  assert.equal(transmitted(silent.map(({ output }) => output)).length, 6, 'and is asked on')
  machine.receive(answerTo(transmitted(silent.map(({ output }) => output)).at(-1)!), at(61))
  assert.deepEqual(events(drain(machine)), ['up'])
})

test('a keepalive made up, replayed or too old proves nothing', () => {
  const machine = started({ outer: a, keepalive, nonce: 5 })
  const back = (nonce: string, number: string): void =>
    machine.receive(
      { carrier: { kind: 'ip', protocol: 47, ...a }, payload: hexBytes(`0000 0000 ${nonce} ${number}`) },
      at(1),
    )
  back('00000005', '00000000') // before any was sent
  runUntil(machine, at(35)) // numbers 1 to 4
  back('00000006', '00000004') // another's nonce
  back('00000005', '00000005') // not sent yet
  back('00000005', '00000001') // three periods old
  back('00000005', '00000004')
  back('00000005', '00000004') // again
  back('00000005', '00') // cut off
  assert.deepEqual(events(drain(machine)), ['up'])
  assert.deepEqual(machine.counters.toJSON(), { 'keepalive.notOurs': 2, 'keepalive.stale': 4 })
})

test('without a keepalive of our own, one that comes back is counted and nothing else', () => {
  const machine = started({ outer: a })
  machine.receive(
    { carrier: { kind: 'ip', protocol: 47, ...a }, payload: hexBytes('0000 0000 0000 0001') },
    at(1),
  )
  assert.deepEqual(drain(machine), [])
  assert.deepEqual(machine.counters.toJSON(), { 'keepalive.ignored': 1 })
})

test('what is not a keepalive is not sent back: nobody bounces packets off us', () => {
  const machine = started({ outer: a })
  const ip = (ttl: string): string => `45c0 0020 0000 0000 ${ttl}2f 379b c0a8 0101 c0a8 0102`
  const receive = (text: string): void =>
    machine.receive({ carrier: { kind: 'ip', protocol: 47, ...a }, payload: hexBytes(text) }, at(1))
  receive(`0000 0800 ${ip('ff')} 0000 0800 0000 0000 0000 0000`) // protocol 0x0800 inside
  receive(`0000 0800 ${ip('ff')} 0000 0000`) // shorter than it says
  receive(`0000 0800 ${ip('01')} 0000 0000 0000 0000 0000 0000`) // its last hop
  receive('00')
  assert.deepEqual(drain(machine), [])
  assert.deepEqual(machine.counters.toJSON(), {
    'control.malformed': 1,
    'keepalive.malformed': 2,
    'keepalive.ttl': 1,
  })
  receive(`0000 0800 ${ip('ff')} 0000 0000 0000 0000 0000 0000`)
  assert.deepEqual(transmitted(drain(machine))[0]?.payload, hexBytes('0000 0000 0000 0000 0000 0000'))
})

test('garbage never throws and never brings the tunnel up', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, prefixed) => {
      const machine = started({ outer: a, keepalive, nonce: 0x12345678 })
      machine.timeout(at(0))
      drain(machine)
      const payload = prefixed ? concatBytes(hexBytes('0000 0000'), bytes) : bytes
      machine.receive({ carrier: { kind: 'ip', protocol: 47, ...a }, payload }, at(1))
      assert.deepEqual(events(drain(machine)), [])
    }),
  )
})

test('stop: the path goes and no timer is left', () => {
  const machine = started({ outer: a, keepalive })
  machine.timeout(at(0))
  drain(machine)
  machine.stop(at(5))
  assert.deepEqual(
    drain(machine).map(({ kind }) => kind),
    ['remove', 'event'],
  )
  assert.equal(machine.nextTimeout(), undefined)
})
