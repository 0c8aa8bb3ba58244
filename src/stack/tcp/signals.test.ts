import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { milliseconds, seconds } from '../../base/index.js'
import { Puppet } from './puppet.js'
import { Flag, type Segment, seal, startSegment } from './segment.js'
import { seqAdd } from './sequence.js'
import { pattern, TestNetwork } from './testing.js'

const MSS = 1000

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
