import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { FromWorker, PlaneInterfaceSpec } from './messages.js'
import { Sockets } from './testing.js'
import { defaultWorkers, PlaneWorkers } from './workers.js'

const skip = process.platform === 'linux' ? false : 'needs Linux'

test('two cores have one thread, more have one fewer than there are, and not too many', () => {
  assert.deepEqual([1, 2, 3, 4, 64].map(defaultWorkers), [1, 1, 2, 3, 4])
})

describe('threads of the data plane', { skip }, () => {
  const sockets = new Sockets()
  after(() => sockets.close())

  const specOf = (id: number): PlaneInterfaceSpec => ({
    id,
    name: `t${id}`,
    fd: sockets.pair()[0],
    index: 100 + id,
    layer: 'ip',
    mtu: 1500,
    offload: false,
  })

  /** Interfaces of each thread, as the threads say themselves: those that were given policies. */
  async function heldBy(workers: PlaneWorkers, answers: [number, FromWorker][]): Promise<number[][]> {
    workers.postAll({ kind: 'counters', request: 1 })
    const held: number[][] = []
    while (answers.length < workers.count) await new Promise((resolve) => setTimeout(resolve, 5))
    for (const [worker, message] of answers)
      if (message.kind === 'counters') held[worker] = message.policies.map(({ interfaceId }) => interfaceId)
    return held
  }

  function workersOf(limit: number): [PlaneWorkers, [number, FromWorker][]] {
    const answers: [number, FromWorker][] = []
    const workers = new PlaneWorkers({
      limit,
      hear: (message, worker) => {
        if (message.kind === 'counters') answers.push([worker, message])
      },
      failed: (error) => assert.fail(error),
    })
    return [workers, answers]
  }

  test('tunnels are spread, but for those that share a socket; what was said before waits in its order', async () => {
    const [workers, answers] = workersOf(2)
    try {
      for (const id of [1, 2, 3, 4]) {
        workers.addInterface(specOf(id))
        workers.postTo(id, { kind: 'policies', interfaceId: id, policies: [] })
      }
      assert.equal(workers.count, 0, 'nothing to do yet')
      assert.equal(workers.settle(1), 0)
      assert.equal(workers.settle(2, 0), 0, 'with who has the socket')
      assert.equal(workers.settle(3), 1)
      assert.equal(workers.settle(3, 0), 1, 'it stays')
      // The fourth has no socket.
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
      assert.deepEqual(await heldBy(workers, answers), [
        [1, 2],
        [3, 4],
      ])
    } finally {
      await workers.stop()
    }
  })

  test('one thread takes all, and at once', async () => {
    const [workers, answers] = workersOf(1)
    try {
      for (const id of [1, 2]) {
        workers.addInterface(specOf(id))
        workers.postTo(id, { kind: 'policies', interfaceId: id, policies: [] })
      }
      workers.removeInterface(1)
      assert.deepEqual(await heldBy(workers, answers), [[2]])
    } finally {
      await workers.stop()
    }
  })

  test('after the end nothing is started', async () => {
    const [workers] = workersOf(2)
    workers.addInterface(specOf(1))
    await workers.stop()
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    assert.equal(workers.count, 0)
  })
})
