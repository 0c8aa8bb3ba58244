import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pattern, TestNetwork } from './testing.js'

const MEGABYTE = 1 << 20

describe('transfer', () => {
  for (const seed of [1, 2, 3]) {
    test(`10 MiB through 5% loss, reordering and duplication (seed ${seed})`, () => {
      const network = new TestNetwork({ seed, loss: 0.05, duplicate: 0.02, reorder: 0.05 })
      const { client, server } = network.open()
      const data = pattern(10 * MEGABYTE)
      client.send(data, true)
      assert.ok(
        network.run(() => server.has('end')),
        `stuck at ${server.received} bytes`,
      )
      assert.equal(server.received, data.length)
      assert.ok(Buffer.concat(server.chunks).equals(data), 'the bytes differ')
      console.log(network.now / 1e6, network.counters.a.toJSON(), network.counters.b.toJSON())
    })
  }
})
