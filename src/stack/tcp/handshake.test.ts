import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { instantAt, milliseconds, parseIpAddress, seconds, type WarrenError } from '../../base/index.js'
import { Puppet } from './puppet.js'
import { Flag } from './segment.js'
import { seqAdd } from './sequence.js'
import { bytesOf, flagsOf, pattern, TestNetwork } from './testing.js'

describe('opening', () => {
  for (const family of [4, 6] as const) {
    test(`three segments, over IPv${family}`, () => {
      const network = new TestNetwork({ family })
      network.trace = []
      const { client, server } = network.open()
      assert.deepEqual(
        network.trace.map((s) => `${s.from} ${flagsOf(s.flags)}`),
        ['a syn', 'b syn+ack', 'a ack'],
      )
      assert.equal(client.connection.state, 'ESTABLISHED')
      assert.equal(server.connection.state, 'ESTABLISHED')
      assert.ok(server.connection.remoteAddress.equals(network.addresses.a))
      assert.equal(server.connection.remotePort, client.connection.localPort)
      assert.ok(client.connection.localPort >= 49152)
      assert.deepEqual(server.events, [], "'connected' is the active side's")
      const [syn, answer] = network.trace
      assert.deepEqual([syn!.mss, syn!.sackPermitted, syn!.windowScale], [1460, true, 5])
      assert.equal(answer!.timestamp!.echo, syn!.timestamp!.value)
    })
  }

  test('a lost SYN, a lost SYN and ACK, and a lost ACK are all repeated', () => {
    for (const lost of [0, 1, 2]) {
      let count = 0
      const network = new TestNetwork({ tamper: () => count++ !== lost })
      const { client, server } = network.open()
      client.send(bytesOf('data'))
      assert.ok(
        network.run(() => server.received === 4, seconds(30)),
        `segment ${lost} was lost`,
      )
    }
  })

  test('a handshake of which a quarter is lost completes', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const network = new TestNetwork({ seed, loss: 0.25 })
      const { client, server } = network.open()
      client.send(bytesOf('data'))
      assert.ok(
        network.run(() => server.received === 4, seconds(600)),
        `seed ${seed}`,
      )
    }
  })

  test('a port that nobody listens on is ECONNREFUSED', () => {
    const network = new TestNetwork()
    const connection = network.a.connect({ destination: network.addresses.b, port: 9 }, network.now)
    const events: string[] = []
    connection.onEvent = (event) => events.push(event)
    network.run()
    assert.deepEqual(events, ['error', 'closed'])
    assert.equal(connection.error!.code, 'ECONNREFUSED')
    assert.equal(network.a.connections().length, 0)
    assert.equal(network.timers.next(), undefined, 'a timer outlived it')
  })

  test('silence is ETIMEDOUT after 75 seconds, with a backed-off SYN in between', () => {
    const network = new TestNetwork({ loss: 1 })
    network.trace = []
    const connection = network.a.connect({ destination: network.addresses.b, port: 9 }, network.now)
    const start = network.now
    network.run(() => connection.state === 'CLOSED')
    assert.equal(connection.error!.code, 'ETIMEDOUT')
    assert.equal(network.now - start, seconds(75))
    assert.deepEqual(
      network.trace.map((s) => (s.at - start) / 1e6),
      [0, 1, 3, 7, 15, 31, 63],
    )
  })

  test('both at once: one connection, established on both sides', () => {
    const network = new TestNetwork()
    const { a, b } = network.addresses
    const atA = network.a.connect({ destination: b, port: 5000, sourcePort: 5000 }, network.now)
    const atB = network.b.connect({ destination: a, port: 5000, sourcePort: 5000 }, network.now)
    let connected = 0
    let heard = ''
    for (const c of [atA, atB])
      c.onEvent = (event, now) => {
        if (event === 'connected') connected++
        if (event === 'readable') heard += String.fromCharCode(...c.read(100, now)!)
      }
    network.run(() => connected === 2, seconds(10))
    assert.equal(`${atA.state} ${atB.state}`, 'ESTABLISHED ESTABLISHED')
    atA.write(bytesOf('x'), network.now)
    atB.write(bytesOf('x'), network.now)
    network.run(() => heard === 'xx', seconds(1))
    assert.equal(heard, 'xx')
    assert.equal(network.counters.a.get('tcp.retransmitted') + network.counters.b.get('tcp.retransmitted'), 0)
  })

  test('what is written and ended before the answer comes follows the handshake', () => {
    const network = new TestNetwork()
    const { client, accepted } = network.dial()
    client.send(bytesOf('early'), true)
    network.run(() => accepted[0]?.has('end') === true, seconds(5))
    assert.equal(accepted[0]!.text(), 'early')
    assert.equal(client.connection.state, 'FIN-WAIT-1')
    accepted[0]!.end()
    assert.ok(network.run(() => client.has('closed') && accepted[0]!.has('closed'), seconds(5)))
  })

  test('a SYN that had to be repeated makes the first window one segment (RFC 5681 section 3.1)', () => {
    for (const lost of [false, true]) {
      const puppet = new Puppet()
      const connection = puppet.layer.connect({ destination: puppet.remote, port: 5000 }, puppet.now)
      if (lost) puppet.pass(seconds(2))
      puppet.port = connection.localPort
      puppet.peerPort = 5000
      puppet.acknowledgment = seqAdd(puppet.sent[0]!.sequence, 1)
      puppet.say({ flags: 'syn+ack', mss: 1000 })
      puppet.quiet()
      connection.write(pattern(20_000), puppet.now)
      assert.equal(puppet.sent.length, lost ? 1 : 10)
    }
  })

  test('connect without a route, and to a group, throws', () => {
    const network = new TestNetwork()
    const code = (action: () => void): string => {
      try {
        action()
      } catch (error) {
        return (error as WarrenError).code
      }
      return 'nothing'
    }
    const to = (text: string) => () =>
      void network.a.connect({ destination: parseIpAddress(text)!, port: 1 }, network.now)
    assert.equal(code(to('2001:db8::9')), 'EHOSTUNREACH')
    assert.equal(code(to('224.0.0.1')), 'EADDRNOTAVAIL')
    const listen = () => network.b.listen({ port: 80, onConnection: () => {} })
    listen()
    assert.equal(code(listen), 'EADDRINUSE')
    const twice = () =>
      void network.a.connect({ destination: network.addresses.b, port: 80, sourcePort: 7 }, network.now)
    twice()
    assert.equal(code(twice), 'EADDRINUSE')
  })

  test('a closed listener refuses, and resets what was half-open', () => {
    const network = new TestNetwork()
    const { client, accepted, listener } = network.dial()
    network.run(() => network.b.connections().length === 1)
    listener.close(network.now)
    network.run(() => client.has('closed'))
    assert.equal(accepted.length, 0)
    // The SYN and ACK was under way before.
    assert.equal(client.connection.error!.code, 'ECONNRESET')
    const late = network.a.connect({ destination: network.addresses.b, port: 80 }, network.now)
    network.run(() => late.state === 'CLOSED')
    assert.equal(late.error!.code, 'ECONNREFUSED')
  })
})

describe('the options of the handshake', () => {
  test('a peer without any is spoken to without any', () => {
    const puppet = new Puppet().open()
    puppet.quiet()
    puppet.connection.write(pattern(600), puppet.now)
    const [first] = puppet.sent
    assert.equal(first!.timestamp, undefined)
    assert.equal(first!.payload.length, 536, 'RFC 9293 section 3.7.1: the default MSS')
    assert.equal(first!.window, 0xffff, 'unscaled: all that 16 bits say of a mebibyte')
  })

  test('an MSS too small to be honest is taken as the least', () => {
    const puppet = new Puppet().open({ mss: 1 })
    puppet.quiet()
    puppet.connection.write(pattern(200), puppet.now)
    assert.equal(puppet.sent[0]!.payload.length, 64)
  })

  test('a window scale above 14 is 14', () => {
    const puppet = new Puppet().open({ windowScale: 200, mss: 1000 })
    puppet.say({ window: 1 })
    puppet.quiet()
    puppet.connection.write(pattern(40_000), puppet.now)
    const sent = (): number => puppet.sent.reduce((sum, segment) => sum + segment.payload.length, 0)
    assert.equal(sent(), 10_000, 'the initial congestion window')
    for (let i = 0; i < 5; i++) {
      puppet.acknowledgment = seqAdd(puppet.acknowledgment, 2000)
      puppet.say({ window: 1 })
    }
    // The congestion window is 20,000 now; one unit of 2^14 is open, of which whole segments are used.
    assert.equal(sent(), 10_000 + 16_000)
  })
})

describe('SYN floods', () => {
  const flood = (puppet: Puppet, count: number): void => {
    const { peerPort } = puppet
    for (let i = 0; i < count; i++) {
      puppet.peerPort = 1024 + i
      puppet.say({ flags: 'syn', sequence: i })
    }
    puppet.peerPort = peerPort
  }

  test('the half-open table is bounded; the oldest goes; honest connections live', () => {
    const puppet = new Puppet({ halfOpen: 16 }).open()
    const established = puppet.connection
    flood(puppet, 1000)
    assert.equal(puppet.layer.connections().length, 17)
    assert.equal(puppet.counters.get('tcp.halfOpenLimit'), 1000 - 16)
    // The established one did not notice.
    puppet.say({ payload: bytesOf('hello') })
    assert.equal(established.readableBytes, 5)
    // A new one gets in between two waves.
    const old = { sequence: puppet.sequence, acknowledgment: puppet.acknowledgment }
    puppet.peerPort = 60_000
    const [answer] = puppet.say({ flags: 'syn', sequence: 77 })
    flood(puppet, 8)
    puppet.say({ sequence: 78, acknowledgment: seqAdd(answer!.sequence, 1) })
    assert.equal(puppet.connection.remotePort, 60_000)
    assert.equal(puppet.connection.state, 'ESTABLISHED')
    assert.deepEqual(old, { sequence: puppet.sequence, acknowledgment: puppet.acknowledgment })
  })

  test('what stays half-open is forgotten, and its timers with it', () => {
    const puppet = new Puppet({ halfOpen: 16 })
    puppet.listen()
    flood(puppet, 100)
    puppet.pass(seconds(80))
    assert.equal(puppet.layer.connections().length, 0)
    assert.equal(puppet.timers.next(), undefined)
  })

  test('established connections have a limit, too', () => {
    const puppet = new Puppet({ connections: 4 })
    puppet.listen()
    for (let i = 0; i < 10; i++) {
      puppet.peerPort = 2000 + i
      const [answer] = puppet.say({ flags: 'syn', sequence: 5 })
      if (answer?.flags === (Flag.syn | Flag.ack))
        puppet.say({ sequence: 6, acknowledgment: seqAdd(answer.sequence, 1) })
    }
    assert.equal(puppet.layer.connections().length, 4)
    assert.equal(puppet.counters.get('tcp.connectionLimit'), 6)
  })
})

describe('initial sequence numbers', () => {
  test('a later connection of the same ends starts above, others anywhere (RFC 6528)', () => {
    const puppet = new Puppet()
    puppet.listen()
    const isn = (port: number): number => {
      puppet.peerPort = port
      const [answer] = puppet.say({ flags: 'syn', sequence: 5 })
      puppet.say({ flags: 'rst', sequence: 6 })
      return answer!.sequence
    }
    const first = isn(1000)
    const other = isn(1001)
    puppet.now = instantAt(puppet.now + milliseconds(4))
    assert.equal((isn(1000) - first) >>> 0, 1000, '4 ms are 1000 ticks of 4 microseconds')
    assert.ok(Math.abs(other - first) > 1000)
  })

  test('the sequence space wraps in the middle of a transfer', () => {
    // The number that a start of zero gives tells which start lies just before the wrap.
    const probe = new TestNetwork({ seed: 5, start: instantAt(0) })
    probe.trace = []
    probe.open()
    const isn = probe.trace[0]!.sequence
    const start = instantAt(4 * (2 ** 32 - isn - 50_000))
    const network = new TestNetwork({ seed: 5, start, loss: 0.05, reorder: 0.05, duplicate: 0.05 })
    network.trace = []
    const { client, server } = network.open()
    assert.equal(network.trace[0]!.sequence, 2 ** 32 - 50_000)
    const data = pattern(500_000)
    client.send(data, true)
    assert.ok(network.run(() => server.has('end')))
    assert.ok(Buffer.concat(server.chunks).equals(data))
  })
})
