import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pattern, TestNetwork } from './testing.js'

const MEBIBYTE = 1 << 20

describe('a whole transfer', () => {
  for (const seed of [1, 2, 3, 4])
    for (const family of [4, 6] as const)
      test(`10 MiB through 5% loss, reordering and duplication (IPv${family}, seed ${seed})`, () => {
        const network = new TestNetwork({ seed, family, loss: 0.05, duplicate: 0.02, reorder: 0.05 })
        const { client, server } = network.open()
        const data = pattern(10 * MEBIBYTE)
        client.send(data, true)
        assert.ok(
          network.run(() => server.has('end')),
          `stuck at ${server.received} bytes`,
        )
        assert.ok(Buffer.concat(server.chunks).equals(data), 'the bytes differ')
        const { a } = network.counters
        assert.ok(a.get('tcp.retransmitted') > 300, 'the link lost next to nothing: the test shows nothing')
        // 5% of 7,300 segments are lost, reordering deceives now and then, and no more than that goes again.
        assert.ok(a.get('tcp.retransmitted') < 1500, `${a.get('tcp.retransmitted')} retransmissions`)
      })

  test('both directions at once', () => {
    const network = new TestNetwork({ seed: 6, loss: 0.05, duplicate: 0.02, reorder: 0.05 })
    const { client, server } = network.open()
    const data = pattern(2 * MEBIBYTE)
    client.send(data, true)
    server.send(data, true)
    assert.ok(network.run(() => server.has('closed') && client.has('closed')))
    assert.ok(Buffer.concat(server.chunks).equals(data))
    assert.ok(Buffer.concat(client.chunks).equals(data))
  })

  test('a narrow link with a short queue is kept busy, and little is sent in vain', () => {
    const rate = 1_000_000
    const network = new TestNetwork({ rate, queue: 30_000 })
    const { client, server } = network.open()
    const size = 10 * MEBIBYTE
    const start = network.now
    client.send(pattern(size), true)
    assert.ok(network.run(() => server.has('end')))
    const taken = (network.now - start) / 1e6
    assert.ok(taken < (1.25 * size) / rate, `${taken} s for ${size / rate} s worth of data`)
    assert.ok(network.counters.a.get('tcp.retransmitted') < 400)
  })

  test('ten connections share a link, and all finish', () => {
    const network = new TestNetwork({ rate: 2_000_000, queue: 50_000, seed: 12 })
    const received = new Map<number, number>()
    network.b.listen({
      port: 80,
      onConnection: (c) => {
        c.onEvent = (_, now) => {
          const data = c.read(1 << 20, now)
          if (data !== undefined) received.set(c.remotePort, (received.get(c.remotePort) ?? 0) + data.length)
        }
      },
    })
    const data = pattern(500_000)
    for (let i = 0; i < 10; i++)
      network.a.connect({ destination: network.addresses.b, port: 80 }, network.now).write(data, network.now)
    assert.ok(
      network.run(() => received.size === 10 && [...received.values()].every((n) => n === data.length)),
    )
  })
})
