/** Segmentation and coalescing of the longest TCP packet, and the sums inside them, in ns for 64 KiB. */
import { addToSum } from '../src/base/index.js'
import {
  COALESCER_ROOM,
  Coalescer,
  PacketBlock,
  Segmenter,
  writeVnetHeader,
} from '../src/linux/offload/index.js'
import { segmentsOf, tcpPacket } from '../src/linux/offload/testing.js'

const ROUNDS = 4000
const MSS = 1428

const shape = {
  kind: 4 as const,
  port: 40_000,
  identification: 1,
  dontFragment: true,
  trafficClass: 0,
  ttl: 64,
  sequence: 1,
  acknowledgment: 1,
  flags: 0x10,
  options: new Uint8Array(12).fill(1),
}

function measure(name: string, once: () => void): void {
  for (let i = 0; i < ROUNDS / 4; i++) once()
  const began = process.hrtime.bigint()
  const heap = process.memoryUsage().heapUsed
  for (let i = 0; i < ROUNDS; i++) once()
  const ns = Number(process.hrtime.bigint() - began) / ROUNDS
  const grown = Math.max(0, process.memoryUsage().heapUsed - heap) / ROUNDS
  console.log(
    `${name.padEnd(44)} ${Math.round(ns).toLocaleString('en').padStart(8)} ns  ${((65_536 * 8) / ns).toFixed(1).padStart(6)} Gbit/s  ${grown.toFixed(1)} B of heap`,
  )
}

export async function run(): Promise<void> {
  const payload = new Uint8Array(45 * MSS).map((_, i) => i)
  const packet = tcpPacket(shape, payload)
  const at = 12
  const header = { flags: 1, gsoType: 1, hdrLen: 52, gsoSize: MSS, csumStart: 20, csumOffset: 16 }
  const source = new PacketBlock(new Uint8Array(1 << 17))
  measure('sum, a byte at a time', () => void addToSum(0, packet, 0, packet.length))
  for (const start of [at, at + 1])
    measure(`sum, words, from offset ${start}`, () => void source.sum(start, start + packet.length))

  const segmenter = new Segmenter(source)
  const target = 1 << 17
  const slots = new Uint8Array(1 << 18)
  slots.set(packet, at)
  const block = new PacketBlock(slots)
  const copying = new Segmenter(block)
  source.bytes.set(packet, at)
  writeVnetHeader(source.view, at - 10, header)
  writeVnetHeader(block.view, at - 10, header)
  measure('segment, in place', () => {
    segmenter.begin(at, at + packet.length)
    while (segmenter.next());
  })
  measure('segment, each copied to a slot', () => {
    copying.begin(at, at + packet.length)
    let slot = target
    while (copying.next()) {
      slots.copyWithin(slot, copying.start, copying.end)
      slot += 2048
    }
  })

  const segments = segmentsOf(shape, payload, MSS)
  const received = new PacketBlock(new Uint8Array(COALESCER_ROOM + segments.length * 2048))
  const starts = segments.map((_, i) => COALESCER_ROOM + i * 2048)
  for (const [i, segment] of segments.entries()) received.bytes.set(segment, starts[i]!)
  const pristine = segments[0]!.subarray(0, 52)
  let packets = 0
  const coalescer = new Coalescer(received, 0, 0, (_iov, _count, joined) => {
    packets += joined
  })
  const coalesce = (): void => {
    // What the last round wrote into the headers of the first.
    received.bytes.set(pristine, starts[0]!)
    for (let i = 0; i < segments.length; i++) coalescer.add(starts[i]!, starts[i]! + segments[i]!.length, 4)
    coalescer.flush()
  }
  measure('coalesce, a list of pieces', coalesce)
  const joined = new Uint8Array(1 << 16)
  measure('coalesce, payloads moved together', () => {
    coalesce()
    for (let i = 0; i < segments.length; i++) {
      const start = starts[i]!
      joined.set(received.bytes.subarray(start + 52, start + segments[i]!.length), i * MSS)
    }
  })
  if (packets === 0) throw new Error('nothing was joined')
}
