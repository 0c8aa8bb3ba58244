/** Segmentation and coalescing of IP packets in Ethernet frames, with tags and without. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { concatBytes, fromHex } from '../../base/index.js'
import { PacketBlock } from './block.js'
import { COALESCER_ROOM, Coalescer } from './coalesce.js'
import { Segmenter } from './segment.js'
import { type SegmentShape, segmentsOf, tcpPacket } from './testing.js'
import { readVnetHeader, type VnetHeader, writeVnetHeader } from './vnet-header.js'

const bytesOf = (hex: string): Uint8Array => fromHex(hex)!
const PLAIN: Uint8Array = bytesOf('020000000002020000000001')
const V4: Uint8Array = bytesOf('0800')
const V6: Uint8Array = bytesOf('86dd')
const TAG: Uint8Array = bytesOf('81000007')
const headersOf = (kind: 4 | 6): readonly Uint8Array[] => {
  const type = kind === 4 ? V4 : V6
  return [concatBytes(PLAIN, type), concatBytes(PLAIN, TAG, type), concatBytes(PLAIN, TAG, TAG, type)]
}

const shapeOf = (kind: 4 | 6): SegmentShape => ({
  kind,
  port: 40_000,
  identification: 0xfffe,
  dontFragment: false,
  trafficClass: 2,
  ttl: 9,
  sequence: 0xffff_ff00,
  acknowledgment: 5,
  flags: 0x18,
  options: new Uint8Array(12).fill(1),
})
const payload = new Uint8Array(4_001).map((_, i) => i * 31)
const SIZE = 997

/** What the kernel says of a frame in one piece. */
function describePiece(kind: 4 | 6, link: number): VnetHeader {
  const transport = kind === 4 ? 20 : 40
  return {
    flags: 1,
    gsoType: kind === 4 ? 1 : 4,
    hdrLen: link + transport + 32,
    gsoSize: SIZE,
    csumStart: link + transport,
    csumOffset: 16,
  }
}

function cut(header: VnetHeader, frame: Uint8Array, link: number): Uint8Array[] | undefined {
  const block = new PacketBlock(new Uint8Array(12 + frame.length + 64))
  writeVnetHeader(block.view, 2, header)
  block.bytes.set(frame, 12)
  const segmenter = new Segmenter(block)
  if (!segmenter.begin(12, 12 + frame.length, link)) return undefined
  const made: Uint8Array[] = []
  while (segmenter.next()) made.push(block.bytes.slice(segmenter.start, segmenter.end))
  return made
}

interface Written {
  readonly header: VnetHeader
  readonly bytes: Uint8Array
  readonly packets: number
  readonly length: number
}

function join(frames: readonly Uint8Array[], kind: 4 | 6, link: number): Written[] {
  const total = frames.reduce((sum, { length }) => sum + length + 1, 0)
  const block = new PacketBlock(new Uint8Array(COALESCER_ROOM + total))
  const written: Written[] = []
  const coalescer = new Coalescer(block, 0, 0, (iov, count, packets, length) => {
    const pieces = Array.from({ length: count }, (_, i) => {
      const from = Number(block.view.getBigUint64(iov + 16 * i, true))
      return block.bytes.slice(from, from + Number(block.view.getBigUint64(iov + 16 * i + 8, true)))
    })
    const [first, ...rest] = pieces
    const header = readVnetHeader(new DataView(first!.buffer), 0)
    written.push({ header, bytes: concatBytes(...rest), packets, length })
  })
  let at = COALESCER_ROOM
  for (const frame of frames) {
    block.bytes.set(frame, at)
    coalescer.add(at + link, at + frame.length, kind, link)
    at += frame.length + 1
  }
  coalescer.flush()
  return written
}

for (const kind of [4, 6] as const)
  describe(`frames of IPv${kind}`, () => {
    const segments = segmentsOf(shapeOf(kind), payload, SIZE)
    for (const ethernet of headersOf(kind)) {
      const link = ethernet.length
      const frames = segments.map((segment) => concatBytes(ethernet, segment))
      test(`a piece behind ${link} bytes is cut into frames with the same ones`, () => {
        const piece = concatBytes(ethernet, tcpPacket(shapeOf(kind), payload))
        assert.deepEqual(cut(describePiece(kind, link), piece, link), frames)
        assert.equal(
          cut(describePiece(kind, link - 4), piece, link),
          undefined,
          'a header that contradicts it',
        )
      })

      test(`frames behind ${link} bytes are joined, and cut again are the same`, () => {
        const written = join(frames, kind, link)
        assert.equal(written.length, 1)
        const { header, bytes, packets, length } = written[0]!
        assert.deepEqual(header, describePiece(kind, link))
        assert.equal(packets, frames.length)
        assert.equal(
          length,
          frames.reduce((sum, frame) => sum + frame.length, 0),
        )
        assert.deepEqual(cut(header, bytes, link), frames)
      })

      test(`of two Ethernets behind ${link} bytes none is joined with the other`, () => {
        const other = frames.map((frame) => {
          const copy = frame.slice()
          copy[link - 3]! ^= 1
          return copy
        })
        const mixed = frames.flatMap((frame, i) => [frame, other[i]!])
        const written = join(mixed, kind, link)
        assert.deepEqual(
          written.map(({ header, bytes }) => cut(header, bytes, link)),
          [frames, other],
        )
      })
    }
  })
