import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { instantAt, milliseconds, seconds } from '../../base/index.js'
import { Puppet } from './puppet.js'
import { Flag, type Segment, seal, startSegment } from './segment.js'
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

describe('timestamps (RFC 7323)', () => {
  const stamped = (): Puppet => {
    const puppet = new Puppet()
    puppet.timestamp = { value: 1000, echo: 0 }
    return puppet.open()
  }

  test('PAWS: an old timestamp is answered and dropped, a RST passes', () => {
    const puppet = stamped()
    puppet.timestamp = { value: 2000, echo: 0 }
    puppet.say({ payload: pattern(10) })
    puppet.sequence = seqAdd(puppet.sequence, 10)
    const [answer] = puppet.say({ payload: pattern(10), timestamp: { value: 1999, echo: 0 } })
    assert.equal(answer!.acknowledgment, puppet.sequence)
    assert.equal(puppet.connection.readableBytes, 10)
    assert.equal(puppet.counters.get('tcp.paws'), 1)
    assert.equal(answer!.timestamp!.echo, 2000)
    assert.deepEqual(puppet.say({ timestamp: { value: 1999, echo: 0 } }), [], 'an overtaken ACK')
    puppet.say({ flags: 'rst', timestamp: { value: 1, echo: 0 } })
    assert.equal(puppet.connection.state, 'CLOSED')
  })

  test('the echo is of the segment that the ACK is for, not of one out of order (R2)', () => {
    const puppet = stamped()
    const late = { sequence: seqAdd(puppet.sequence, 100), timestamp: { value: 1500, echo: 0 } }
    const [first] = puppet.say({ ...late, payload: pattern(10) })
    assert.equal(first!.timestamp!.echo, 1000)
    const [second] = puppet.say({ payload: pattern(100), timestamp: { value: 1400, echo: 0 } })
    assert.equal(second!.timestamp!.echo, 1400)
  })

  test('the clock may wrap', () => {
    const puppet = new Puppet()
    puppet.timestamp = { value: 0xfffffff0, echo: 0 }
    puppet.open()
    puppet.say({ payload: pattern(10), timestamp: { value: 5, echo: 0 } })
    assert.equal(puppet.connection.readableBytes, 10)
  })

  test('after 24 days of silence an old timestamp is news', () => {
    const puppet = stamped()
    puppet.pass(seconds(25 * 86_400))
    puppet.say({ payload: pattern(10), timestamp: { value: 5, echo: 0 } })
    assert.equal(puppet.connection.readableBytes, 10)
  })

  test('a segment without one is dropped in silence', () => {
    const puppet = stamped()
    const bytes = startSegment(
      {
        sourcePort: puppet.peerPort,
        destinationPort: puppet.port,
        sequence: puppet.sequence,
        acknowledgment: puppet.acknowledgment,
        flags: Flag.ack,
        window: 100,
      },
      10,
    )
    puppet.quiet()
    puppet.layer.receive(seal(bytes, puppet.remote, puppet.local), puppet.remote, puppet.local, puppet.now)
    assert.deepEqual(puppet.sent, [])
    assert.equal(puppet.counters.get('tcp.timestampMissing'), 1)
  })

  test('do not tell the uptime: two connections count from different origins', () => {
    const puppet = new Puppet()
    puppet.timestamp = { value: 1, echo: 0 }
    puppet.listen()
    const values = [1, 2].map((port) => {
      puppet.peerPort = port
      return puppet.say({ flags: 'syn' })[0]!.timestamp!.value
    })
    assert.notEqual(values[0], values[1])
  })
})

describe('the path', () => {
  test('too big: a quote of what is in flight shrinks the segments, and sends them again', () => {
    const puppet = new Puppet().open({ mss: 1460 })
    puppet.connection.write(pattern(5000), puppet.now)
    const quoted = startSegment(
      {
        sourcePort: puppet.port,
        destinationPort: puppet.peerPort,
        sequence: puppet.acknowledgment,
        acknowledgment: 0,
        flags: Flag.ack,
        window: 0,
      },
      0,
    ).subarray(0, 8)
    const quote = { source: puppet.local, destination: puppet.remote, segment: quoted, mtu: 600 }
    puppet.quiet()
    const old = quoted.slice()
    old[4]! ^= 0x40
    puppet.layer.icmpError('too-big', { ...quote, segment: old }, puppet.now)
    assert.equal(puppet.counters.get('tcp.icmpSequence'), 1)
    assert.equal(puppet.sent.length, 0)
    puppet.layer.icmpError('too-big', quote, puppet.now)
    assert.ok(puppet.sent.length > 0)
    assert.ok(puppet.sent.every((s) => s.payload.length <= 560))
    assert.equal(puppet.sent[0]!.sequence, puppet.acknowledgment)
    puppet.quiet()
    puppet.layer.icmpError('too-big', { ...quote, mtu: 9000 }, puppet.now)
    assert.equal(puppet.sent.length, 0, 'it never grows')
    puppet.layer.icmpError('too-big', { ...quote, mtu: 1 }, puppet.now)
    puppet.pass(seconds(10))
    assert.equal(Math.max(...puppet.sent.map((s) => s.payload.length)), 256, 'nor shrinks to nothing')
    puppet.layer.icmpError('too-big', { ...quote, segment: quoted.subarray(0, 4) }, puppet.now)
    assert.equal(puppet.counters.get('tcp.icmpShort'), 1)
  })

  test('unreachable ends a handshake, not a connection', () => {
    const puppet = new Puppet()
    const connecting = puppet.layer.connect({ destination: puppet.remote, port: 81 }, puppet.now)
    const [syn] = puppet.sent
    const quote = (s: Segment) => ({
      source: puppet.local,
      destination: puppet.remote,
      segment: startSegment(
        {
          ...s,
          timestamp: undefined,
          sack: undefined,
          mss: undefined,
          windowScale: undefined,
          sackPermitted: undefined,
        },
        0,
      ),
    })
    puppet.layer.icmpError('unreachable', quote(syn!), puppet.now)
    assert.equal(connecting.state, 'SYN-SENT', 'one that may pass is not believed at once')
    puppet.layer.icmpError('unreachable', { ...quote(syn!), reason: 'port' }, puppet.now)
    assert.equal(connecting.error!.code, 'ECONNREFUSED')
    puppet.open()
    puppet.quiet()
    puppet.connection.write(pattern(10), puppet.now)
    puppet.layer.icmpError('unreachable', { ...quote(puppet.sent[0]!), reason: 'port' }, puppet.now)
    assert.equal(puppet.connection.state, 'ESTABLISHED')
    puppet.layer.icmpError('unreachable', { ...quote(puppet.sent[0]!), reason: 'network' }, puppet.now)
    puppet.pass(seconds(2000))
    assert.equal(puppet.connection.error!.code, 'ENETUNREACH', 'but it is what the error says in the end')
  })
})

describe('ECN (RFC 3168)', () => {
  test('is agreed on, echoed until CWR, and answered once a window', () => {
    const network = new TestNetwork({ ecn: true })
    network.trace = []
    const { client, server } = network.open()
    assert.equal(network.trace[0]!.flags, Flag.syn | Flag.ece | Flag.cwr)
    assert.equal(network.trace[1]!.flags, Flag.syn | Flag.ack | Flag.ece)
    const data = pattern(1_000_000)
    client.send(data, true)
    network.run(() => server.received > 100_000)
    network.congested = true
    network.run(() => false, milliseconds(25))
    network.congested = false
    assert.ok(network.run(() => server.has('end')))
    const reduced = network.trace.filter((s) => s.from === 'a' && s.flags & Flag.cwr && !(s.flags & Flag.syn))
    assert.ok(reduced.length >= 1 && reduced.length <= 3, `${reduced.length} reductions`)
    assert.equal(network.counters.a.get('tcp.retransmitted'), 0)
    const echoes = network.trace.filter((s) => s.from === 'b' && s.flags & Flag.ece && !(s.flags & Flag.syn))
    assert.ok(echoes.length > 0)
    assert.ok(echoes.at(-1)!.at < reduced.at(-1)!.at + milliseconds(200))
  })

  test('a mark in a window that was reduced for a loss reduces it no further', () => {
    for (const flags of ['ack', 'ack+ece']) {
      const puppet = new Puppet({}, true).open({ flags: 'syn+ece+cwr', mss: MSS, sackPermitted: true })
      const start = puppet.acknowledgment
      puppet.connection.write(pattern(100 * MSS), puppet.now)
      puppet.say({ sack: [seqAdd(start, MSS), seqAdd(start, 5 * MSS)] })
      puppet.say({ flags, sack: [seqAdd(start, MSS), seqAdd(start, 6 * MSS)] })
      puppet.acknowledgment = puppet.sent.reduce((top, s) => Math.max(top, s.sequence + s.payload.length), 0)
      puppet.quiet()
      puppet.say()
      assert.equal(puppet.sent.length, 7, flags)
    }
  })

  test('is not spoken to who does not', () => {
    const puppet = new Puppet({}, true).open()
    puppet.quiet()
    puppet.connection.write(pattern(10), puppet.now)
    puppet.say({ flags: 'ack+ece' })
    puppet.connection.write(pattern(10), puppet.now)
    assert.ok(puppet.sent.every((s) => (s.flags & (Flag.ece | Flag.cwr)) === 0))
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
