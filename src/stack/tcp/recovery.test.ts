import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { instantAt, milliseconds, seconds } from '../../base/index.js'
import { Puppet } from './puppet.js'
import { Flag, type Segment, seal } from './segment.js'
import { seqAdd } from './sequence.js'
import { pattern, TestNetwork } from './testing.js'

const MSS = 1000

/** Offsets, in units of MSS, of what was sent, from the start of the data. */
const offsets = (segments: Segment[], start: number): number[] =>
  segments.map((s) => ((s.sequence - start) >>> 0) / MSS)

describe('loss recovery with SACK (RFC 6675)', () => {
  const sending = (): { puppet: Puppet; start: number } => {
    const puppet = new Puppet().open({ mss: MSS, sackPermitted: true })
    const start = puppet.acknowledgment
    puppet.quiet()
    puppet.connection.write(pattern(100 * MSS), puppet.now)
    assert.deepEqual(offsets(puppet.sent, start), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 'the initial window')
    return { puppet, start }
  }
  const sack = (start: number, ...units: number[]): number[] => units.map((n) => seqAdd(start, n * MSS))

  test('two duplicates let new data go (limited transmit), the third repairs', () => {
    const { puppet, start } = sending()
    assert.deepEqual(offsets(puppet.say({ sack: sack(start, 1, 2) }), start), [10])
    assert.deepEqual(offsets(puppet.say({ sack: sack(start, 1, 3) }), start), [11])
    assert.deepEqual(offsets(puppet.say({ sack: sack(start, 1, 4) }), start).slice(0, 1), [0])
    assert.equal(puppet.counters.get('tcp.fastRecovery'), 1)
  })

  test('every hole is repaired once, what is SACKed never', () => {
    const { puppet, start } = sending()
    // 0, 2 and 4 are lost.
    puppet.quiet()
    puppet.say({ sack: sack(start, 1, 2) })
    puppet.say({ sack: sack(start, 3, 4, 1, 2) })
    puppet.say({ sack: sack(start, 5, 6, 3, 4, 1, 2) })
    for (let top = 7; top <= 10; top++) puppet.say({ sack: sack(start, 5, top, 3, 4, 1, 2) })
    const repaired = offsets(puppet.sent, start).filter((n) => n < 10)
    assert.deepEqual(repaired.sort(), [0, 2, 4])
    puppet.acknowledgment = seqAdd(start, 10 * MSS)
    puppet.say()
    assert.equal(puppet.counters.get('tcp.retransmitTimeout'), 0)
  })

  test('the end is rescued once, and may be repaired again when more is known', () => {
    const puppet = new Puppet().open({ mss: MSS, sackPermitted: true })
    const start = puppet.acknowledgment
    puppet.connection.write(pattern(5 * MSS), puppet.now)
    puppet.quiet()
    // 0 and 4 are lost: nothing behind 4 tells of it.
    assert.deepEqual(offsets(puppet.say({ sack: sack(start, 1, 4) }), start), [0, 4])
    assert.deepEqual(offsets(puppet.say({ sack: sack(start, 1, 4) }), start), [])
    puppet.connection.write(pattern(5 * MSS), puppet.now)
    puppet.acknowledgment = seqAdd(start, 4 * MSS)
    puppet.quiet()
    puppet.say()
    for (const top of [6, 7]) puppet.say({ sack: sack(start, 5, top) })
    assert.ok(!offsets(puppet.sent, start).includes(4))
    assert.equal(offsets(puppet.say({ sack: sack(start, 5, 8) }), start)[0], 4)
  })

  test('SACK blocks for what was never sent, or is not in order, say nothing', () => {
    const { puppet, start } = sending()
    puppet.quiet()
    for (const edges of [
      [50, 60],
      [4, 2],
      [-5, -2],
      [-5, 5],
      [0, 3],
    ])
      for (let i = 0; i < 4; i++) puppet.say({ sack: sack(start, ...edges) })
    assert.deepEqual(puppet.sent, [])
  })

  test('a cloud of tiny blocks is bounded', () => {
    const { puppet, start } = sending()
    for (let i = 0; i < 4000; i++) puppet.say({ sack: [seqAdd(start, 1 + 2 * i), seqAdd(start, 2 + 2 * i)] })
    puppet.acknowledgment = seqAdd(start, 10 * MSS)
    puppet.say()
    assert.equal(puppet.connection.state, 'ESTABLISHED')
  })
})

describe('loss recovery without SACK (RFC 5681, RFC 6582)', () => {
  test('the third duplicate repairs, a partial ACK repairs the next hole', () => {
    const puppet = new Puppet().open({ mss: MSS })
    const start = puppet.acknowledgment
    puppet.connection.write(pattern(100 * MSS), puppet.now)
    puppet.quiet()
    puppet.say()
    puppet.say()
    assert.deepEqual(offsets(puppet.sent, start), [10, 11])
    puppet.quiet()
    assert.deepEqual(offsets(puppet.say(), start), [0])
    for (let i = 0; i < 6; i++) puppet.say()
    puppet.quiet()
    puppet.acknowledgment = seqAdd(start, 4 * MSS)
    assert.equal(offsets(puppet.say(), start)[0], 4)
    puppet.quiet()
    puppet.acknowledgment = seqAdd(start, 12 * MSS)
    puppet.say()
    assert.ok(offsets(puppet.sent, start).every((n) => n >= 12))
    assert.equal(puppet.counters.get('tcp.retransmitTimeout'), 0)
  })

  test('10% loss, and no options at all: the data arrives', () => {
    // Both SYNs lose their options on the way.
    const strip = (segment: Uint8Array, side: 'a' | 'b'): boolean => {
      if ((segment[13]! & Flag.syn) === 0) return true
      segment.fill(1, 20) // no-operation
      const { a, b } = network.addresses
      seal(segment, side === 'a' ? a : b, side === 'a' ? b : a)
      return true
    }
    const network: TestNetwork = new TestNetwork({ seed: 11, loss: 0.1, reorder: 0.02, tamper: strip })
    network.trace = []
    const { client, server } = network.open()
    const data = pattern(500_000)
    client.send(data, true)
    assert.ok(network.run(() => server.has('end')))
    assert.ok(Buffer.concat(server.chunks).equals(data))
    assert.ok(network.trace.filter((s) => !(s.flags & Flag.syn)).every((s) => !s.sack && !s.timestamp))
  })
})

describe('the retransmission timer (RFC 6298)', () => {
  test('backs off, gives up after its limit, and says ETIMEDOUT', () => {
    const network = new TestNetwork()
    network.trace = []
    const { client } = network.open()
    network.faults = { loss: 1 }
    network.trace.length = 0
    const start = network.now
    client.send(pattern(100))
    assert.ok(network.run(() => client.has('closed')))
    assert.equal(client.connection.error!.code, 'ETIMEDOUT')
    const data = network.trace.filter((s) => s.payload.length > 0)
    assert.equal(data.length, 13, 'once and twelve times more')
    const gaps = data.map((s) => Math.round((s.at - start) / 1e6))
    assert.deepEqual(gaps.slice(0, 8), [0, 1, 3, 7, 15, 31, 63, 123])
    assert.equal(network.trace.at(-1)!.flags & Flag.rst, Flag.rst, 'a peer that lives on learns of it')
  })

  test('after a time-out the window is one segment, and all that was out goes again', () => {
    const puppet = new Puppet().open({ mss: MSS })
    const start = puppet.acknowledgment
    puppet.connection.write(pattern(10 * MSS), puppet.now)
    puppet.quiet()
    assert.deepEqual(offsets(puppet.pass(seconds(1)), start), [0])
    puppet.acknowledgment = seqAdd(start, MSS)
    assert.deepEqual(offsets(puppet.say(), start), [1, 2], 'slow start')
    puppet.acknowledgment = seqAdd(start, 10 * MSS)
    puppet.say()
    assert.deepEqual(puppet.pass(seconds(100)), [])
  })

  test('what was SACKed is not sent again, until a second time-out casts doubt on it (RFC 2018 section 8)', () => {
    for (const timeouts of [1, 2]) {
      const puppet = new Puppet().open({ mss: MSS, sackPermitted: true })
      const start = puppet.acknowledgment
      puppet.connection.write(pattern(6 * MSS), puppet.now)
      puppet.say({ sack: [seqAdd(start, MSS), seqAdd(start, 2 * MSS)] })
      puppet.pass(seconds(timeouts === 1 ? 1 : 3))
      puppet.quiet()
      puppet.acknowledgment = seqAdd(start, MSS)
      assert.equal(offsets(puppet.say(), start)[0], timeouts === 1 ? 2 : 1)
    }
  })

  test('what was sent twice measures nothing (Karn)', () => {
    const puppet = new Puppet({ minimumRto: milliseconds(1) })
    puppet.listen()
    const [answer] = puppet.say({ flags: 'syn', mss: MSS })
    puppet.pass(milliseconds(400)) // a round trip of 400 ms: RTO is 1.2 s
    puppet.sequence = seqAdd(puppet.sequence, 1)
    puppet.acknowledgment = seqAdd(answer!.sequence, 1)
    puppet.say()
    for (let i = 0; i < 30; i++) {
      puppet.connection.write(pattern(MSS), puppet.now)
      puppet.say({ window: 0 })
      puppet.pass(seconds(3))
      puppet.say({ window: 60_000 }) // it goes once more
      puppet.acknowledgment = seqAdd(puppet.acknowledgment, MSS)
      puppet.say()
    }
    puppet.connection.write(pattern(MSS), puppet.now)
    assert.deepEqual(puppet.pass(milliseconds(500)), [], 'round trips of 0 were believed')
  })

  test('after a silence the window is the initial one (RFC 5681 section 4.1)', () => {
    const puppet = new Puppet().open({ mss: MSS })
    puppet.connection.write(pattern(30 * MSS), puppet.now)
    for (let i = 0; i < 15; i++) {
      puppet.acknowledgment = seqAdd(puppet.acknowledgment, 2 * MSS)
      puppet.say()
    }
    puppet.quiet()
    puppet.connection.write(pattern(15 * MSS), puppet.now)
    assert.equal(puppet.sent.length, 15)
    puppet.acknowledgment = seqAdd(puppet.acknowledgment, 15 * MSS)
    puppet.say()
    puppet.pass(seconds(5))
    puppet.quiet()
    puppet.connection.write(pattern(15 * MSS), puppet.now)
    assert.equal(puppet.sent.length, 10)
  })

  test('the network comes back: the transfer goes on', () => {
    const network = new TestNetwork()
    const { client, server } = network.open()
    const data = pattern(2_000_000)
    client.send(data, true)
    network.run(() => server.received > 200_000)
    network.faults = { loss: 1 }
    network.run(() => false, seconds(40))
    network.faults = {}
    assert.ok(network.run(() => server.has('end'), seconds(120)))
    assert.ok(Buffer.concat(server.chunks).equals(data))
  })
})

test('a start at any instant works: there is no hidden origin', () => {
  for (const start of [0, 1, 2 ** 31, 2 ** 45]) {
    const network = new TestNetwork({ start: instantAt(start), loss: 0.1, seed: 4 })
    const { client, server } = network.open()
    client.send(pattern(50_000), true)
    assert.ok(network.run(() => server.has('end')))
  }
})
