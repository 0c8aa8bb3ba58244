import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { milliseconds, seconds } from '../../base/index.js'
import { Puppet } from './puppet.js'
import { Flag } from './segment.js'
import { seqAdd } from './sequence.js'
import { bytesOf, pattern, TestNetwork } from './testing.js'

const MSS = 1000
const lengths = (segments: { payload: Uint8Array }[]): number[] => segments.map((s) => s.payload.length)

describe("the peer's window", () => {
  test('shut: probes of one octet, backed off, for as long as they are answered', () => {
    const puppet = new Puppet().open({ mss: MSS })
    puppet.say({ window: 0 })
    puppet.quiet()
    puppet.connection.write(pattern(3000), puppet.now)
    assert.deepEqual(puppet.sent, [])
    const times: number[] = []
    for (let second = 1; second <= 300; second++) {
      for (const probe of puppet.pass(seconds(1))) {
        assert.equal(probe.payload.length, 1)
        assert.equal(probe.sequence, puppet.acknowledgment)
        times.push(second)
        puppet.say({ window: 0 })
      }
    }
    assert.deepEqual(times.slice(0, 6), [1, 2, 4, 8, 16, 32])
    assert.ok(times.length > 8)
    assert.equal(puppet.connection.state, 'ESTABLISHED')
    puppet.quiet()
    assert.deepEqual(lengths(puppet.say({ window: 5000 })), [1000, 1000, 1000])
  })

  test('shut and silent: ETIMEDOUT', () => {
    const puppet = new Puppet({ retransmissions: 5 }).open({ mss: MSS })
    puppet.say({ window: 0 })
    puppet.connection.write(pattern(3000), puppet.now)
    puppet.pass(seconds(300))
    assert.equal(puppet.connection.error!.code, 'ETIMEDOUT')
    assert.deepEqual(puppet.events.slice(-2), ['error', 'closed'])
  })

  test('a probe that is taken counts', () => {
    const puppet = new Puppet().open({ mss: MSS })
    puppet.say({ window: 0 })
    const data = pattern(2500)
    puppet.connection.setNoDelay(true, puppet.now)
    puppet.connection.write(data, puppet.now)
    const [probe] = puppet.pass(seconds(2))
    assert.deepEqual(probe!.payload, data.subarray(0, 1))
    puppet.acknowledgment = seqAdd(puppet.acknowledgment, 1)
    const sent = puppet.say({ window: 9000 })
    assert.deepEqual(Buffer.concat(sent.map((s) => s.payload)), Buffer.from(data.subarray(1)))
  })

  test('shut over data in flight: no retransmission time-out, but probes', () => {
    const puppet = new Puppet().open({ mss: MSS })
    puppet.connection.write(pattern(4000), puppet.now)
    puppet.say({ window: 0 })
    puppet.quiet()
    puppet.pass(seconds(10))
    assert.ok(puppet.sent.length >= 3)
    assert.ok(lengths(puppet.sent).every((length) => length === 1))
    puppet.quiet()
    assert.deepEqual(lengths(puppet.say({ window: 60_000 })), [1000, 1000, 1000, 1000])
  })

  test('a window too small for a segment waits for more, then takes what fits (silly window)', () => {
    const puppet = new Puppet().open({ mss: MSS })
    puppet.say({ window: 8000 })
    puppet.say({ window: 300 })
    puppet.quiet()
    puppet.connection.write(pattern(5000), puppet.now)
    assert.deepEqual(lengths(puppet.sent), [])
    assert.deepEqual(lengths(puppet.pass(seconds(2))).slice(0, 1), [300])
  })

  test('an old segment does not move it (SND.WL1, SND.WL2)', () => {
    const puppet = new Puppet().open({ mss: MSS })
    // Sent later, arrived first: what it says of the window holds.
    puppet.say({ sequence: seqAdd(puppet.sequence, 100), payload: bytesOf('12345'), window: 0 })
    puppet.say({ payload: bytesOf('12345'), window: 60_000 })
    puppet.quiet()
    puppet.connection.write(pattern(2000), puppet.now)
    assert.deepEqual(lengths(puppet.sent), [])
  })
})

describe('our window', () => {
  test('shuts when nobody reads, answers probes, and is offered anew after a read', () => {
    const limits = { receiveBuffer: 8192 }
    const network = new TestNetwork({ limits })
    const { client, server } = network.open()
    server.reading = false
    const data = pattern(100_000)
    client.send(data, true)
    network.run(() => false, seconds(200))
    assert.ok(server.connection.readableBytes <= 8192)
    assert.ok(server.connection.readableBytes > 8192 - 1460)
    assert.ok(network.counters.a.get('tcp.windowProbe') > 4)
    server.reading = true
    server.drain()
    assert.ok(network.run(() => server.has('end'), seconds(60)))
    assert.ok(Buffer.concat(server.chunks).equals(data))
  })

  test('never opens by less than a segment', () => {
    const puppet = new Puppet({ receiveBuffer: 4000 }).open({ mss: MSS })
    for (let i = 0; i < 4; i++) {
      puppet.say({ payload: pattern(1000) })
      puppet.sequence = seqAdd(puppet.sequence, 1000)
    }
    assert.equal(puppet.pass(seconds(1)).at(-1)?.window ?? puppet.sent.at(-1)!.window, 0)
    puppet.quiet()
    puppet.connection.read(500, puppet.now)
    assert.deepEqual(
      puppet.say({ payload: pattern(1) }).map((s) => s.window),
      [0],
    )
    puppet.quiet()
    puppet.connection.read(2500, puppet.now)
    assert.deepEqual(
      puppet.sent.map((s) => s.window),
      [3000],
    )
  })

  test('rounding to the scale takes back nothing that was offered', () => {
    const puppet = new Puppet({ receiveBuffer: 131_072 }).open({
      mss: MSS,
      windowScale: 0,
      sackPermitted: true,
    })
    const start = puppet.sequence
    const say = (offset: number) => puppet.say({ sequence: seqAdd(start, offset), payload: bytesOf('x') })
    say(0)
    const edge = 2 + (say(1)[0]!.window << 2)
    say(2)
    assert.equal(
      4 + (say(3)[0]!.window << 2),
      edge - 2 - 2 + (edge % 4 === 2 ? 2 : 0),
      'the field was rounded down',
    )
    const [answer] = say(edge - 1)
    assert.deepEqual(answer!.sack, [seqAdd(start, edge - 1), seqAdd(start, edge)])
    assert.equal(puppet.counters.get('tcp.outsideWindow'), 0)
  })

  test('a sender that ignores it loses what lies beyond', () => {
    const puppet = new Puppet({ receiveBuffer: 4096 }).open({ mss: MSS })
    puppet.say({ payload: pattern(6000) })
    assert.equal(puppet.connection.readableBytes, 4096)
    const [answer] = puppet.say({ payload: pattern(100), sequence: seqAdd(puppet.sequence, 6000) })
    assert.equal(answer!.acknowledgment, seqAdd(puppet.sequence, 4096))
    assert.equal(puppet.connection.readableBytes, 4096)
  })

  test('more than 64 KiB are in flight on a long link: the scale works', () => {
    // 100 ms each way: 64 KiB a round trip would be 320 kB/s.
    const network = new TestNetwork({ delay: milliseconds(100) })
    const { client, server } = network.open()
    const start = network.now
    client.send(pattern(20_000_000), true)
    let most = 0
    assert.ok(
      network.run(() => {
        most = Math.max(most, client.connection.unacknowledgedBytes)
        return server.has('end')
      }),
    )
    const rate = 20_000_000 / ((network.now - start) / 1e6)
    assert.ok(most > 500_000, `${most} bytes in flight`)
    assert.ok(rate > 3_000_000, `${Math.round(rate)} bytes/s`)
  })
})

describe('acknowledgments', () => {
  test('are delayed for one segment, and sent for every second', () => {
    const puppet = new Puppet().open({ mss: MSS })
    assert.deepEqual(puppet.say({ payload: pattern(1000) }), [])
    const [delayed] = puppet.pass(milliseconds(100))
    assert.equal(delayed!.acknowledgment, seqAdd(puppet.sequence, 1000))
    puppet.sequence = seqAdd(puppet.sequence, 1000)
    assert.deepEqual(puppet.say({ payload: pattern(1000) }), [])
    puppet.sequence = seqAdd(puppet.sequence, 1000)
    assert.equal(puppet.say({ payload: pattern(1000) }).length, 1)
    assert.deepEqual(puppet.pass(seconds(1)), [], 'nothing is owed any more')
  })

  test('are immediate for what is out of order, and name it (RFC 2018)', () => {
    const puppet = new Puppet().open({ mss: MSS, sackPermitted: true })
    const at = (offset: number, length: number) =>
      puppet.say({ sequence: seqAdd(puppet.sequence, offset), payload: pattern(length) })[0]!
    const edges = (sack: number[] | undefined) => sack?.map((edge) => edge - puppet.sequence)
    assert.deepEqual(edges(at(1000, 500).sack), [1000, 1500])
    assert.deepEqual(edges(at(3000, 500).sack), [3000, 3500, 1000, 1500])
    assert.deepEqual(edges(at(1500, 500).sack), [1000, 2000, 3000, 3500])
    const filled = at(0, 1000)
    assert.equal(filled.acknowledgment - puppet.sequence, 2000)
    assert.deepEqual(edges(filled.sack), [3000, 3500])
  })

  test('ride on data', () => {
    const puppet = new Puppet().open({ mss: MSS })
    puppet.say({ payload: bytesOf('question') })
    puppet.quiet()
    puppet.connection.write(bytesOf('answer'), puppet.now)
    assert.equal(puppet.sent[0]!.acknowledgment, seqAdd(puppet.sequence, 8))
    puppet.acknowledgment = seqAdd(puppet.acknowledgment, 6)
    puppet.say({ sequence: seqAdd(puppet.sequence, 8) })
    assert.deepEqual(puppet.pass(seconds(1)), [])
  })

  test('leave room for themselves: data beside SACK blocks still fits the MSS', () => {
    const puppet = new Puppet().open({ mss: MSS, sackPermitted: true })
    for (let i = 1; i <= 4; i++)
      puppet.say({ sequence: seqAdd(puppet.sequence, 100 * i), payload: pattern(10) })
    puppet.quiet()
    puppet.connection.write(pattern(5000), puppet.now)
    assert.ok(puppet.sent.length >= 5)
    for (const { payload, sack } of puppet.sent) {
      assert.equal(sack!.length, 8)
      assert.ok(payload.length <= MSS - 4 - 32)
    }
  })

  test('too many islands are refused, and counted', () => {
    const puppet = new Puppet({ reassemblyRanges: 8 }).open({ mss: MSS })
    for (let i = 0; i < 20; i++)
      puppet.say({ sequence: seqAdd(puppet.sequence, 10 + 2 * i), payload: bytesOf('x') })
    assert.equal(puppet.counters.get('tcp.reassemblyLimit'), 12)
    puppet.say({ payload: pattern(100) })
    assert.equal(puppet.connection.readableBytes, 100)
  })
})

describe('small writes', () => {
  test('Nagle: the second waits for the first one’s ACK', () => {
    const puppet = new Puppet().open({ mss: MSS })
    puppet.quiet()
    for (const text of ['a', 'b', 'c']) puppet.connection.write(bytesOf(text), puppet.now)
    assert.deepEqual(lengths(puppet.sent), [1])
    assert.ok(puppet.sent[0]!.flags & Flag.psh)
    puppet.acknowledgment = seqAdd(puppet.acknowledgment, 1)
    assert.deepEqual(lengths(puppet.say()), [2])
  })

  test('noDelay: none waits', () => {
    const puppet = new Puppet().open({ mss: MSS })
    puppet.quiet()
    puppet.connection.setNoDelay(true, puppet.now)
    for (const text of ['a', 'b', 'c']) puppet.connection.write(bytesOf(text), puppet.now)
    assert.deepEqual(lengths(puppet.sent), [1, 1, 1])
  })

  test('turning noDelay on lets go what waited; so does the end', () => {
    for (const release of ['noDelay', 'end'] as const) {
      const puppet = new Puppet().open({ mss: MSS })
      puppet.connection.write(bytesOf('a'), puppet.now)
      puppet.connection.write(bytesOf('b'), puppet.now)
      puppet.quiet()
      if (release === 'end') puppet.connection.end(puppet.now)
      else puppet.connection.setNoDelay(true, puppet.now)
      assert.deepEqual(lengths(puppet.sent), [1])
    }
  })
})

describe('write', () => {
  test('takes what there is room for, and says when there is more', () => {
    const puppet = new Puppet({ sendBuffer: 4000 }).open({ mss: MSS })
    assert.equal(puppet.connection.write(pattern(10_000), puppet.now), 4000)
    assert.equal(puppet.connection.writableBytes, 0)
    assert.equal(puppet.connection.write(pattern(1), puppet.now), 0)
    assert.deepEqual(puppet.events, [])
    puppet.acknowledgment = seqAdd(puppet.acknowledgment, 2000)
    puppet.say()
    assert.deepEqual(puppet.events, ['writable'])
    assert.equal(puppet.connection.writableBytes, 2000)
  })
})

describe('keep-alive', () => {
  test('probes a silent peer, and gives it up', () => {
    const puppet = new Puppet().open()
    puppet.connection.setKeepAlive(true, puppet.now)
    assert.deepEqual(puppet.pass(seconds(7199)), [])
    const [probe] = puppet.pass(seconds(1))
    assert.equal(probe!.sequence, seqAdd(puppet.acknowledgment, -1))
    puppet.say() // it lives
    assert.deepEqual(puppet.pass(seconds(7100)), [])
    puppet.pass(seconds(7200 + 10 * 75))
    assert.equal(puppet.connection.error!.code, 'ETIMEDOUT')
  })

  test('does not delay what is due before it', () => {
    const puppet = new Puppet().open()
    puppet.pass(seconds(100))
    puppet.connection.setKeepAlive(true, puppet.now)
    puppet.connection.write(pattern(10), puppet.now)
    assert.equal(puppet.pass(seconds(1)).length, 1, 'the retransmission')
  })

  test('is off unless asked for', () => {
    const puppet = new Puppet().open()
    puppet.quiet()
    assert.deepEqual(puppet.pass(seconds(1_000_000)), [])
    assert.equal(puppet.connection.state, 'ESTABLISHED')
  })
})
