import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ETHERNET, IPV4, instantAt, PacketBuffer, type PacketKind } from '../base/index.js'
import { gif4 } from './article.testdata.js'
import { EoipMachine } from './eoip/index.js'
import { EtheripMachine } from './etherip/index.js'
import { GifMachine } from './gif/index.js'
import { GreMachine } from './gre/index.js'
import { type Machine, PASS, type Transform } from './machine.js'
import { drain, ipOf } from './testing.js'
import { createTransforms } from './transforms.js'
import type { TunnelEvent } from './tunnel-machine.js'

const outer = { local: ipOf('192.168.1.1'), remote: ipOf('192.168.1.2') }

test('a transform that nobody knows is refused by name', () => {
  assert.throws(() => createTransforms({ protocol: 'vxlan' }), {
    code: 'TUNNEL_TRANSFORM',
    message: 'no such transform: found vxlan, expected gif, gre, eoip, etherip, esp',
  })
})

/** Heap growth of `packets` calls, a packet. */
function allocatedBy(transform: Transform, bytes: Uint8Array, kind: PacketKind, packets: number): number {
  const buffer = new PacketBuffer(new Uint8Array(2048))
  buffer.load(bytes, kind)
  const { start, end } = buffer
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) {
      buffer.reset(start, end, kind)
      if (transform.process(buffer) !== PASS) throw new Error('refused')
    }
  }
  run(20_000) // until it is compiled
  const before = process.memoryUsage().heapUsed
  run(packets)
  return (process.memoryUsage().heapUsed - before) / packets
}

const machines: [name: string, machine: Machine<TunnelEvent>, bytes: Uint8Array, kind: PacketKind][] = [
  ['gif', new GifMachine({ outer }), gif4.subarray(20), IPV4],
  ['gre', new GreMachine({ outer, key: 42 }), gif4.subarray(20), IPV4],
  ['eoip', new EoipMachine({ outer, tunnelId: 1 }), new Uint8Array(60), ETHERNET],
  ['etherip', new EtheripMachine({ outer }), new Uint8Array(60), ETHERNET],
]
for (const [name, machine, bytes, kind] of machines) {
  test(`nothing is allocated a packet: ${name}`, () => {
    machine.start(instantAt(0))
    const path = drain(machine).flatMap((output) => (output.kind === 'install' ? [output.path] : []))[0]!
    const { outbound, inbound } = createTransforms(path.transform)
    const sent = PacketBuffer.copyOf(bytes, kind)
    outbound.process(sent)
    for (const [transform, input, of] of [
      [outbound, bytes, kind],
      [inbound, sent.copy(), 0],
    ] as const) {
      // The compiler's own garbage falls into one run or another, the transform's into every one; the smallest
      // object would be 12 bytes.
      const least = Math.min(...[1, 2, 3].map(() => allocatedBy(transform, input, of, 200_000)))
      assert.ok(least < 4, `${least} bytes a packet`)
    }
  })
}
