import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { instantAt, seconds } from '../../base/index.js'
import { Puppet } from './puppet.js'
import { Flag, parseSegment, seal, startSegment } from './segment.js'
import { seqAdd } from './sequence.js'
import { pattern, TestNetwork } from './testing.js'

/** A layer with a listener and an established connection that has data both ways. */
function busy(): Puppet {
  const puppet = new Puppet().open({ mss: 500, sackPermitted: true, windowScale: 3 })
  puppet.connection.write(pattern(20_000), puppet.now)
  puppet.say({ payload: pattern(100) })
  puppet.sequence = seqAdd(puppet.sequence, 100)
  return puppet
}

describe("a stranger's segments", () => {
  test('any bytes: counted, never thrown, nothing else changed', () => {
    const puppet = busy()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        puppet.layer.receive(bytes, puppet.remote, puppet.local, puppet.now)
        assert.equal(puppet.connection.state, 'ESTABLISHED')
      }),
      { numRuns: 2000 },
    )
    const counted = Object.values(puppet.counters.toJSON()).reduce((sum, n) => sum + n, 0)
    assert.ok(counted >= 1900, `${counted} were counted`)
    puppet.say({ payload: pattern(5) })
    assert.equal(puppet.connection.readableBytes, 105)
  })

  test('any header with a good checksum, at a live connection: no throw, no state but a legal one', () => {
    const near = fc.oneof(
      fc.integer({ min: -3000, max: 3000 }),
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    )
    const step = fc.record({
      flags: fc.integer({ min: 0, max: 255 }),
      sequence: near,
      acknowledgment: near,
      window: fc.integer({ min: 0, max: 65_535 }),
      options: fc.uint8Array({ maxLength: 40 }),
      payload: fc.nat(2000),
      wait: fc.nat(3_000_000),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const puppet = busy()
        for (const { flags, sequence, acknowledgment, window, options, payload, wait } of steps) {
          const optionBytes = Math.ceil(options.length / 4) * 4
          const bytes = startSegment(
            {
              sourcePort: puppet.peerPort,
              destinationPort: puppet.port,
              sequence: seqAdd(puppet.sequence, sequence),
              acknowledgment: seqAdd(puppet.acknowledgment, acknowledgment),
              flags: flags | Flag.ack,
              window,
            },
            optionBytes + payload,
          )
          bytes[12] = ((20 + optionBytes) / 4) << 4
          bytes[13] = flags
          bytes.set(options, 20)
          puppet.layer.receive(
            seal(bytes, puppet.remote, puppet.local),
            puppet.remote,
            puppet.local,
            puppet.now,
          )
          puppet.pass(wait)
          puppet.connection.read(100, puppet.now)
        }
        // Whatever was made believe, it all ends.
        for (const connection of puppet.layer.connections()) connection.abort(puppet.now)
        puppet.pass(seconds(200))
        assert.equal(puppet.timers.next(), undefined)
        assert.equal(puppet.layer.connections().length, 0)
      }),
      { numRuns: 500 },
    )
  })

  test('each defect has its reason', () => {
    const puppet = busy()
    const reason = (change: (bytes: Uint8Array) => Uint8Array, sealed = true): string => {
      const bytes = change(puppet.bytes({ payload: pattern(8), mss: 1000 }))
      const parsed = parseSegment(
        sealed && bytes.length >= 20 ? seal(bytes, puppet.remote, puppet.local) : bytes,
        puppet.remote,
        puppet.local,
      )
      return typeof parsed === 'string' ? parsed : 'good'
    }
    const set = (at: number, value: number) => (bytes: Uint8Array) => {
      bytes[at] = value
      return bytes
    }
    assert.equal(
      reason((b) => b),
      'good',
    )
    assert.equal(
      reason((b) => b.subarray(0, 19)),
      'tcp.short',
    )
    assert.equal(reason(set(12, 0x40)), 'tcp.dataOffset')
    assert.equal(reason(set(12, 0xf0)), 'tcp.dataOffset')
    assert.equal(reason(set(30, 0xff), false), 'tcp.checksum')
    assert.equal(
      reason((b) => set(0, 0)(set(1, 0)(b))),
      'tcp.portZero',
    )
    assert.equal(reason(set(13, Flag.syn | Flag.fin)), 'tcp.flags')
    assert.equal(reason(set(13, Flag.syn | Flag.rst)), 'tcp.flags')
    assert.equal(reason(set(21, 3)), 'tcp.options')
    assert.equal(reason(set(21, 0)), 'tcp.options')
    assert.equal(reason(set(21, 200)), 'tcp.options')
    assert.equal(reason(set(20, 99)), 'good', 'an unknown kind is skipped by its length')
    assert.equal(reason(set(20, 0)), 'good', 'the end of the list ends it')
  })

  test('addresses that are no single host’s are not spoken to', () => {
    const puppet = busy()
    puppet.quiet()
    const group = Uint8Array.of(224, 0, 0, 1)
    const { remote } = puppet
    const local = Object.assign(Object.create(Object.getPrototypeOf(puppet.local)), {
      family: 4,
      bytes: group,
    })
    const bytes = puppet.bytes({ flags: 'syn' })
    puppet.layer.receive(seal(bytes, remote, local), remote, local, puppet.now)
    assert.deepEqual(puppet.sent, [])
    assert.equal(puppet.counters.get('tcp.address'), 1)
  })

  test('a "land" segment, from ourselves to ourselves, is dropped', () => {
    const puppet = new Puppet()
    puppet.listen()
    puppet.peerPort = puppet.port
    const bytes = seal(puppet.bytes({ flags: 'syn' }), puppet.local, puppet.local)
    puppet.layer.receive(bytes, puppet.local, puppet.local, puppet.now)
    assert.equal(puppet.counters.get('tcp.self'), 1)
  })

  test('corruption on the way is caught by the checksum and repaired', () => {
    const network = new TestNetwork({ seed: 8, corrupt: 0.05 })
    const { client, server } = network.open()
    const data = pattern(1_000_000)
    client.send(data, true)
    assert.ok(network.run(() => server.has('end')))
    assert.ok(Buffer.concat(server.chunks).equals(data))
    assert.ok(network.counters.b.get('tcp.checksum') > 10)
  })
})

test('any mix of writes, reads, ends and faults delivers both streams whole', () => {
  const chunk = fc.nat(5000)
  fc.assert(
    fc.property(
      fc.record({
        seed: fc.nat(),
        loss: fc.double({ min: 0, max: 0.1, noNaN: true }),
        reorder: fc.double({ min: 0, max: 0.2, noNaN: true }),
        duplicate: fc.double({ min: 0, max: 0.2, noNaN: true }),
        mss: fc.integer({ min: 100, max: 9000 }),
        buffer: fc.integer({ min: 3000, max: 100_000 }),
        up: fc.array(chunk, { maxLength: 10 }),
        down: fc.array(chunk, { maxLength: 10 }),
      }),
      ({ up, down, buffer, ...faults }) => {
        const limits = { sendBuffer: buffer, receiveBuffer: buffer, connectTimeout: seconds(600) }
        const network = new TestNetwork({ ...faults, limits, start: instantAt(faults.seed) })
        const { client, server } = network.open()
        const whole = (sizes: number[]): Uint8Array => pattern(sizes.reduce((sum, n) => sum + n, 0))
        client.send(whole(up), true)
        server.send(whole(down), true)
        assert.ok(network.run(() => client.has('closed') && server.has('closed')))
        assert.ok(Buffer.concat(server.chunks).equals(whole(up)))
        assert.ok(Buffer.concat(client.chunks).equals(whole(down)))
        network.run()
        assert.equal(network.timers.next(), undefined)
      },
    ),
    { numRuns: 60 },
  )
})
