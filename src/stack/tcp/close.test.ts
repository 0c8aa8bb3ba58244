import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { seconds } from '../../base/index.js'
import { Puppet } from './puppet.js'
import { Flag } from './segment.js'
import { seqAdd } from './sequence.js'
import { bytesOf, pattern, TestNetwork } from './testing.js'

describe('closing', () => {
  test('one side after the other: TIME-WAIT stays with who closed first', () => {
    const network = new TestNetwork()
    const { client, server } = network.open()
    client.end()
    network.run(() => server.has('end'))
    assert.equal(server.connection.state, 'CLOSE-WAIT')
    assert.ok(server.connection.ended)
    network.run(() => client.connection.state === 'FIN-WAIT-2')
    server.end()
    assert.equal(server.connection.state, 'LAST-ACK')
    network.run(() => client.has('closed') && server.has('closed'))
    assert.equal(client.connection.state, 'TIME-WAIT')
    assert.equal(server.connection.state, 'CLOSED')
    assert.equal(client.connection.error, undefined)
    const closedAt = network.now
    network.run(() => client.connection.state === 'CLOSED')
    assert.ok(network.now - closedAt >= seconds(59), 'twice the segment lifetime')
    assert.equal(client.events.filter((event) => event === 'closed').length, 1)
    assert.equal(network.timers.next(), undefined)
  })

  test('a half-closed connection carries data the other way', () => {
    const network = new TestNetwork({ loss: 0.1, seed: 3 })
    const { client, server } = network.open()
    client.send(bytesOf('question'), true)
    network.run(() => server.has('end'))
    const data = pattern(300_000)
    server.send(data, true)
    assert.ok(network.run(() => client.has('end')))
    assert.ok(Buffer.concat(client.chunks).equals(data))
    assert.equal(server.text(), 'question')
  })

  test('both at once go through CLOSING', () => {
    const network = new TestNetwork()
    const { client, server } = network.open()
    client.end()
    server.end()
    const seen = new Set<string>()
    network.run(() => {
      seen.add(client.connection.state).add(server.connection.state)
      return client.has('closed') && server.has('closed')
    })
    assert.deepEqual([...seen], ['FIN-WAIT-1', 'CLOSING', 'TIME-WAIT'])
  })

  test('a lost FIN and a lost last ACK are repeated', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const network = new TestNetwork({ seed, loss: 0.25 })
      const { client, server } = network.open()
      client.end()
      network.run(() => server.has('end'))
      server.end()
      assert.ok(
        network.run(() => server.has('closed') && client.has('closed'), seconds(600)),
        `seed ${seed}`,
      )
      assert.equal(server.connection.error, undefined)
    }
  })

  test('what was received stays readable after the close', () => {
    const network = new TestNetwork()
    const { client, server } = network.open()
    server.reading = false
    client.send(pattern(5000), true)
    network.run(() => server.has('end'))
    server.end()
    network.run(() => server.has('closed'))
    assert.equal(server.connection.ended, false)
    server.drain()
    assert.equal(server.received, 5000)
    assert.ok(server.connection.ended)
  })

  test('write after end is EPIPE', () => {
    const network = new TestNetwork()
    const { client } = network.open()
    client.end()
    assert.throws(() => client.connection.write(bytesOf('x'), network.now), { code: 'EPIPE' })
    assert.equal(client.connection.writableBytes, 0)
  })
})

describe('TIME-WAIT', () => {
  /** The layer closed first and is in TIME-WAIT. */
  const inTimeWait = (timestamps: boolean): Puppet => {
    const puppet = new Puppet()
    if (timestamps) puppet.timestamp = { value: 100, echo: 0 }
    puppet.open()
    puppet.connection.end(puppet.now)
    puppet.acknowledgment = seqAdd(puppet.acknowledgment, 1)
    puppet.say({ flags: 'fin+ack' })
    puppet.sequence = seqAdd(puppet.sequence, 1)
    assert.equal(puppet.connection.state, 'TIME-WAIT')
    return puppet
  }

  test("answers the peer's FIN again, and starts anew", () => {
    const puppet = inTimeWait(false)
    puppet.pass(seconds(50))
    const [answer] = puppet.say({ flags: 'fin+ack', sequence: seqAdd(puppet.sequence, -1) })
    assert.equal(answer!.acknowledgment, puppet.sequence)
    puppet.pass(seconds(50))
    assert.equal(puppet.connection.state, 'TIME-WAIT')
    puppet.pass(seconds(11))
    assert.equal(puppet.connection.state, 'CLOSED')
  })

  test('no RST ends it (RFC 1337)', () => {
    const puppet = inTimeWait(false)
    puppet.say({ flags: 'rst' })
    assert.equal(puppet.connection.state, 'TIME-WAIT')
  })

  for (const timestamps of [false, true]) {
    test(`a new SYN ${timestamps ? 'with a later timestamp' : 'beyond the old numbers'} takes its place`, () => {
      const puppet = inTimeWait(timestamps)
      const old = puppet.connection
      const last = puppet.sent.at(-1)!.sequence
      if (timestamps) puppet.timestamp = { value: 101, echo: 0 }
      const sequence = timestamps ? seqAdd(puppet.sequence, -900) : seqAdd(puppet.sequence, 1)
      const [answer] = puppet.say({ flags: 'syn', sequence })
      assert.equal(answer!.flags, Flag.syn | Flag.ack)
      assert.equal(old.state, 'CLOSED')
      assert.ok(((answer!.sequence - last) | 0) > 0, 'its own numbers start beyond the old ones')
    })
  }

  test('an old SYN does not', () => {
    const puppet = inTimeWait(true)
    const [answer] = puppet.say({
      flags: 'syn',
      sequence: seqAdd(puppet.sequence, -900),
      timestamp: { value: 99, echo: 0 },
    })
    assert.equal(answer!.flags, Flag.ack)
    assert.equal(puppet.connection.state, 'TIME-WAIT')
  })

  test('how many there are is bounded', () => {
    const network = new TestNetwork({ limits: { timeWait: 5 } })
    network.b.listen({
      port: 80,
      onConnection: (c) => {
        c.onEvent = (event, now) => {
          if (event === 'end') c.end(now)
        }
      },
    })
    for (let i = 0; i < 8; i++) {
      const c = network.a.connect({ destination: network.addresses.b, port: 80 }, network.now)
      c.onEvent = (event, now) => {
        if (event === 'connected') c.end(now)
      }
      network.run(() => c.state === 'TIME-WAIT')
    }
    assert.equal(network.a.connections().length, 5)
    assert.equal(network.counters.a.get('tcp.timeWaitLimit'), 3)
  })
})

describe('RST', () => {
  test('abort resets the peer, who hears ECONNRESET; the aborter hears no error', () => {
    const network = new TestNetwork()
    const { client, server } = network.open()
    client.send(pattern(100_000))
    client.connection.abort(network.now)
    network.run(() => server.has('closed'))
    assert.deepEqual(server.events.slice(-2), ['error', 'closed'])
    assert.equal(server.connection.error!.code, 'ECONNRESET')
    assert.deepEqual(client.events, ['connected', 'closed'])
    assert.equal(client.connection.error, undefined)
    network.run()
    assert.equal(network.a.connections().length + network.b.connections().length, 0)
  })

  test('exactly at RCV.NXT it is believed, elsewhere in the window challenged, outside ignored (RFC 5961)', () => {
    const puppet = new Puppet().open()
    const challenge = puppet.say({ flags: 'rst', sequence: seqAdd(puppet.sequence, 100) })
    assert.equal(challenge.length, 1)
    assert.equal(challenge[0]!.flags, Flag.ack)
    assert.equal(challenge[0]!.acknowledgment, puppet.sequence)
    assert.deepEqual(puppet.say({ flags: 'rst', sequence: seqAdd(puppet.sequence, -1) }), [])
    assert.deepEqual(puppet.say({ flags: 'rst', sequence: seqAdd(puppet.sequence, 2_000_000) }), [])
    assert.equal(puppet.connection.state, 'ESTABLISHED')
    assert.deepEqual(puppet.say({ flags: 'rst' }), [])
    assert.equal(puppet.connection.state, 'CLOSED')
    assert.equal(puppet.connection.error!.code, 'ECONNRESET')
  })

  test('a SYN within a connection is challenged, not obeyed', () => {
    const puppet = new Puppet().open()
    const [answer] = puppet.say({ flags: 'syn' })
    assert.equal(answer!.flags, Flag.ack)
    assert.equal(puppet.connection.state, 'ESTABLISHED')
  })

  test('an ACK of what was never sent is challenged', () => {
    const puppet = new Puppet().open()
    const [answer] = puppet.say({ acknowledgment: seqAdd(puppet.acknowledgment, 5000) })
    assert.equal(answer!.acknowledgment, puppet.sequence)
    assert.equal(puppet.counters.get('tcp.ackRange'), 1)
    const [again] = puppet.say({ acknowledgment: seqAdd(puppet.acknowledgment, -200_000) })
    assert.equal(again!.flags, Flag.ack)
  })

  test('challenges have a budget of their own a connection', () => {
    const puppet = new Puppet({ challengeAcksPerSecond: 10 }).open()
    puppet.quiet()
    for (let i = 0; i < 100; i++) puppet.say({ flags: 'rst', sequence: seqAdd(puppet.sequence, 100) })
    assert.equal(puppet.sent.length, 10)
    puppet.pass(seconds(1))
    assert.equal(puppet.say({ flags: 'syn' }).length, 1)
  })

  test('segments of no connection are answered as RFC 9293 section 3.10.7.1 says, within a limit', () => {
    const puppet = new Puppet({ resetsPerSecond: 5 })
    const [toAck] = puppet.say({ acknowledgment: 777, payload: bytesOf('abc') })
    assert.deepEqual([toAck!.flags, toAck!.sequence], [Flag.rst, 777])
    const [toSyn] = puppet.say({ flags: 'syn', sequence: 50 })
    assert.deepEqual([toSyn!.flags, toSyn!.sequence, toSyn!.acknowledgment], [Flag.rst | Flag.ack, 0, 51])
    assert.deepEqual(puppet.say({ flags: 'rst' }), [])
    for (let i = 0; i < 20; i++) puppet.say({ flags: 'syn' })
    assert.equal(puppet.sent.length, 5)
    assert.equal(puppet.counters.get('tcp.resetLimit'), 17)
  })
})
