/** One SA under the hands of several threads: real ones, all at once. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { SaSpec } from './sa.js'
import { shareSa } from './shared.js'
import { saOf } from './testing.js'

const THREADS = 4
const EACH = 50_000

/** A thread waits for the others, then does `body`, which has the modules, its SA and `most`; answers what it gives. */
const THREAD = (body: string): string => `
  const { parentPort, workerData } = require('node:worker_threads')
  const { spec, gate, urls, most } = workerData
  Promise.all(urls.map((url) => import(url))).then((modules) => {
    const { SequenceCounter, EspOutbound, PacketBuffer, nodeProvider } = Object.assign({}, ...modules)
    Atomics.add(gate, 0, 1)
    while (Atomics.load(gate, 0) < ${THREADS}) {}
    parentPort.postMessage((() => { ${body} })())
  })`

async function race<T>(spec: SaSpec, most: number, body: string): Promise<T[]> {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const urls = ['./sequence.js', './outbound.js', '../../base/index.js', '../../crypto/index.js'].map(
    (path) => new URL(path, import.meta.url).href,
  )
  return await Promise.all(
    shareSa(spec, THREADS).map(
      (own) =>
        new Promise<T>((resolve, reject) => {
          const worker = new Worker(THREAD(body), { eval: true, workerData: { spec: own, gate, urls, most } })
          worker.once('message', resolve)
          worker.once('error', reject)
        }),
    ),
  )
}

const TAKE = `
  const counter = new SequenceCounter(spec.esn, spec.sequence, spec.shared)
  const taken = []
  for (let i = 0; i < most && counter.next(); i++) taken.push(counter.high * 2 ** 32 + counter.low)
  return taken`

test('RFC 4303 section 3.3.3: no sequence number twice, also where the low half begins again', async () => {
  const start = { high: 7, low: 0xffff_ffff - EACH }
  const lists = await race<number[]>(saOf({ esn: true, sequence: start }), EACH, TAKE)
  const all = lists.flat()
  assert.equal(all.length, THREADS * EACH)
  assert.equal(new Set(all).size, all.length, 'each once')
  const first = start.high * 2 ** 32 + start.low
  // The numbers that were given up are those of threads that stood in the middle of the step.
  assert.ok(all.every((number) => number > first))
  assert.ok(all.reduce((most, one) => Math.max(most, one), 0) <= first + all.length + THREADS)
  for (const list of lists) assert.ok(list.every((number, i) => i === 0 || number > list[i - 1]!))
})

test('the last number of 32 bits, and of 64, is sent once; then every thread is at the end', async () => {
  for (const esn of [false, true]) {
    const last = { high: esn ? 0xffff_ffff : 0, low: 0xffff_ffff - EACH }
    const low = await race<number[]>(
      saOf({ esn, sequence: last }),
      EACH,
      TAKE.replace('counter.high * 2 ** 32 + counter.low', 'counter.low'),
    )
    assert.equal(low.flat().length, EACH, 'as many as were left')
    assert.equal(new Set(low.flat()).size, EACH, 'each once')
    assert.ok(low.flat().includes(0xffff_ffff))
  }
})

/** Seals until it is refused; the IVs, the sequence numbers, and whether this thread tells of the limit. */
const SEAL = `
  const sa = new EspOutbound(spec, nodeProvider)
  const sent = []
  const bytes = new Uint8Array(400)
  for (let i = 0; i < most; i++) {
    bytes.fill(0).set([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1], 200)
    const packet = new PacketBuffer(bytes, 200, 240)
    packet.kind = 4
    if (sa.process(packet) !== 0) break
    sent.push(Buffer.from(bytes.subarray(packet.start + 4, packet.start + 16)).toString('hex'))
  }
  return { sent, reached: sa.lifetime.reached, drops: sa.drops.toJSON(), tells: sa.lifetime.tells(sa.lifetime.reached) }`

interface Sealed {
  readonly sent: string[]
  readonly reached: number
  readonly drops: Record<string, number>
  readonly tells: boolean
}

test('no IV twice, and the hard limit is passed by no more than a packet a thread', async () => {
  const hardPackets = 6000
  const spec = saOf({ lifetimes: { hardPackets, softPackets: 1000 }, ivSeed: new Uint8Array(8).fill(0x5a) })
  const threads = await race<Sealed>(spec, EACH, SEAL)
  const sent = threads.flatMap((one) => one.sent)
  assert.ok(sent.length >= hardPackets && sent.length < hardPackets + THREADS, `${sent.length} packets`)
  assert.equal(new Set(sent.map((one) => one.slice(0, 8))).size, sent.length, 'sequence numbers')
  assert.equal(new Set(sent.map((one) => one.slice(8))).size, sent.length, 'IVs')
  for (const { reached, drops } of threads) {
    assert.equal(reached, 2)
    assert.deepEqual(drops, { 'esp.lifetime': 1 })
  }
  assert.equal(threads.filter(({ tells }) => tells).length, 1, 'one tells')
})

test('the end of the sequence numbers ends the SA for all, and one tells of it', async () => {
  const threads = await race<Sealed>(saOf({ sequence: { high: 0, low: 0xffff_ffff - 3000 } }), EACH, SEAL)
  const sent = threads.flatMap((one) => one.sent)
  assert.equal(new Set(sent).size, 3000)
  assert.equal(sent.length, 3000)
  for (const { reached, drops } of threads) {
    assert.equal(reached, 3)
    assert.deepEqual(drops, { 'esp.overflow': 1 })
  }
  assert.equal(threads.filter(({ tells }) => tells).length, 1)
})
