import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { addToSum, foldSum, pseudoHeaderSum } from '../../base/index.js'
import { PacketBlock } from './block.js'
import { COALESCER_ROOM, Coalescer } from './coalesce.js'
import { Segmenter } from './segment.js'
import { type SegmentShape, sealChecksums, segmentsOf, tcpPacket } from './testing.js'
import { readVnetHeader, type VnetHeader, writeVnetHeader } from './vnet-header.js'

const AT = 64
const NONE: VnetHeader = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 }

const anyShape: fc.Arbitrary<SegmentShape> = fc.record({
  kind: fc.constantFrom(4 as const, 6 as const),
  port: fc.integer({ min: 1, max: 0xffff }),
  identification: fc.integer({ min: 0, max: 0xffff }),
  dontFragment: fc.boolean(),
  trafficClass: fc.integer({ min: 0, max: 255 }),
  ttl: fc.integer({ min: 1, max: 255 }),
  sequence: fc.integer({ min: 0, max: 0xffff_ffff }),
  acknowledgment: fc.integer({ min: 0, max: 0xffff_ffff }),
  // ACK, and any of FIN, PSH, ECE, CWR.
  flags: fc.integer({ min: 0, max: 255 }).map((flags) => (flags & 0xc9) | 0x10),
  options: fc.constantFrom(0, 4, 12, 20, 40).map((length) => new Uint8Array(length).fill(1)),
})

/** What the kernel would hand over: one packet with only the pseudo-header's sum in its checksum field. */
function superPacket(shape: SegmentShape, payload: Uint8Array, size: number): [VnetHeader, Uint8Array] {
  const bytes = tcpPacket(shape, payload)
  const view = new DataView(bytes.buffer)
  const transport = shape.kind === 4 ? 20 : 40
  const [at, length] = shape.kind === 4 ? ([12, 4] as const) : ([8, 16] as const)
  view.setUint16(transport + 16, foldSum(pseudoHeaderSum(bytes, at, length, 6, bytes.length - transport)))
  const header = {
    flags: 1,
    gsoType: (shape.kind === 4 ? 1 : 4) | (shape.flags & 0x80),
    hdrLen: bytes.length - payload.length,
    gsoSize: size,
    csumStart: transport,
    csumOffset: 16,
  }
  return [header, bytes]
}

/** All packets that the segmenter makes of it, or nothing where it refuses. */
function cut(header: VnetHeader, packet: Uint8Array, at = AT): Uint8Array[] | undefined {
  const block = new PacketBlock(new Uint8Array(at + packet.length + 64))
  writeVnetHeader(block.view, at - 10, header)
  block.bytes.set(packet, at)
  const segmenter = new Segmenter(block)
  if (!segmenter.begin(at, at + packet.length)) return undefined
  const made: Uint8Array[] = []
  while (segmenter.next()) made.push(block.bytes.slice(segmenter.start, segmenter.end))
  return made
}

/** What the coalescer writes for packets that come in one batch. */
function join(
  packets: readonly Uint8Array[],
  phase = 0,
): { header: VnetHeader; bytes: Uint8Array; packets: number }[] {
  const total = packets.reduce((sum, packet) => sum + packet.length + 8, 0)
  const block = new PacketBlock(new Uint8Array(COALESCER_ROOM + phase + total))
  const written: { header: VnetHeader; bytes: Uint8Array; packets: number }[] = []
  const coalescer = new Coalescer(block, 0, 0, (iov, count, packetsIn, length) => {
    const pieces: Uint8Array[] = []
    for (let i = 0; i < count; i++) {
      const from = Number(block.view.getBigUint64(iov + 16 * i, true))
      pieces.push(block.bytes.slice(from, from + Number(block.view.getBigUint64(iov + 16 * i + 8, true))))
    }
    const [first, ...rest] = pieces
    assert.equal(first!.length, 10)
    const bytes = new Uint8Array(Buffer.concat(rest))
    const header = readVnetHeader(new DataView(first!.buffer), 0)
    assert.equal(length, bytes.length + (packetsIn - 1) * header.hdrLen, 'the lengths that they came with')
    written.push({ header, bytes, packets: packetsIn })
  })
  let at = COALESCER_ROOM + phase
  for (const packet of packets) {
    block.bytes.set(packet, at)
    coalescer.add(at, at + packet.length, packet[0]! >>> 4 === 4 ? 4 : 6)
    at += packet.length + 1
  }
  coalescer.flush()
  return written
}

const payloadOf = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >>> 8)) & 0xff)

const base: SegmentShape = {
  kind: 4,
  port: 40_000,
  identification: 7,
  dontFragment: true,
  trafficClass: 0,
  ttl: 64,
  sequence: 0xffff_ff00,
  acknowledgment: 5,
  flags: 0x10,
  options: new Uint8Array(12).fill(1),
}
const three = (change: Partial<SegmentShape> = {}): Uint8Array[] =>
  segmentsOf({ ...base, ...change }, payloadOf(300), 100)
/** Flips bits and puts the checksums right again. */
const altered = (packet: Uint8Array, at: number, flip: number): Uint8Array => {
  const copy = packet.slice()
  copy[at]! ^= flip
  sealChecksums(copy)
  return copy
}

describe('sums of a block', () => {
  test('are those of the plain sum, wherever they begin and end', () => {
    const bytes = new Uint8Array(70_000).map((_, i) => (i * 197 + (i >>> 7)) & 0xff)
    const block = new PacketBlock(bytes)
    const offset = fc.integer({ min: 0, max: 9 })
    fc.assert(
      fc.property(offset, fc.oneof(offset, fc.integer({ min: 0, max: 69_990 })), (start, length) => {
        const sum = foldSum(addToSum(0, bytes, start, start + length))
        assert.equal(block.sum(start, start + length), sum)
      }),
    )
  })

  test('of nothing but ones do not overflow', () => {
    const bytes = new Uint8Array(262_144).fill(0xff)
    assert.equal(new PacketBlock(bytes).sum(0, bytes.length), 0xffff)
    assert.equal(new PacketBlock(bytes).sum(3, bytes.length), foldSum(addToSum(0, bytes, 3, bytes.length)))
  })
})

describe('segmentation', () => {
  test('makes the packets that a stack without offload would send', () => {
    fc.assert(
      fc.property(
        anyShape,
        fc.integer({ min: 1, max: 4000 }),
        fc.integer({ min: 1, max: 1500 }),
        fc.integer({ min: 0, max: 3 }),
        (shape, length, size, phase) => {
          const payload = payloadOf(length)
          const [header, packet] = superPacket(shape, payload, size)
          assert.deepEqual(cut(header, packet, AT + phase), segmentsOf(shape, payload, size))
        },
      ),
    )
  })

  test('of the longest packet', () => {
    const payload = payloadOf(65_535 - 52)
    const [header, packet] = superPacket(base, payload, 1448)
    assert.deepEqual(cut(header, packet), segmentsOf(base, payload, 1448))
  })

  test('copies IPv4 options into each', () => {
    const plain = tcpPacket(base, payloadOf(250))
    const packet = new Uint8Array(plain.length + 8)
    packet.set(plain.subarray(0, 20))
    packet.set([0x94, 4, 0, 0, 1, 1, 1, 1], 20)
    packet.set(plain.subarray(20), 28)
    packet[0] = 0x47
    const made = cut({ ...NONE, flags: 1, gsoType: 1, gsoSize: 100, csumStart: 28, csumOffset: 16 }, packet)!
    assert.deepEqual(
      made.map(({ length }) => length),
      [160, 160, 110],
    )
    for (const segment of made) {
      const copy = segment.slice()
      new DataView(copy.buffer).setUint16(2, copy.length)
      sealChecksums(copy)
      assert.deepEqual(segment, copy)
      assert.deepEqual(segment.subarray(20, 28), packet.subarray(20, 28))
    }
  })

  test('copies IPv6 extension headers into each', () => {
    const plain = tcpPacket({ ...base, kind: 6 }, payloadOf(150))
    const packet = new Uint8Array(plain.length + 8)
    packet.set(plain.subarray(0, 40))
    packet[6] = 60
    packet.set([6, 0, 1, 4, 0, 0, 0, 0], 40)
    packet.set(plain.subarray(40), 48)
    const made = cut({ ...NONE, flags: 1, gsoType: 4, gsoSize: 100, csumStart: 48, csumOffset: 16 }, packet)!
    assert.equal(made.length, 2)
    for (const segment of made) {
      assert.deepEqual(segment.subarray(40, 48), packet.subarray(40, 48))
      assert.equal(new DataView(segment.buffer).getUint16(4), segment.length - 40)
      const pseudo = pseudoHeaderSum(segment, 8, 16, 6, segment.length - 48)
      assert.equal(foldSum(addToSum(pseudo, segment, 48, segment.length)), 0xffff)
    }
  })

  test('of UDP (USO): length and checksum of each', () => {
    for (const kind of [4, 6] as const) {
      const transport = kind === 4 ? 20 : 40
      const plain = tcpPacket({ ...base, kind, options: new Uint8Array(0) }, payloadOf(250))
      const packet = new Uint8Array(plain.length - 12)
      packet.set(plain.subarray(0, transport + 8))
      packet[kind === 4 ? 9 : 6] = 17
      packet.set(plain.subarray(transport + 20), transport + 8)
      const made = cut(
        { ...NONE, flags: 1, gsoType: 5, gsoSize: 100, csumStart: transport, csumOffset: 6 },
        packet,
      )!
      assert.deepEqual(
        made.map(({ length }) => length - transport - 8),
        [100, 100, 50],
      )
      for (const [i, segment] of made.entries()) {
        const view = new DataView(segment.buffer)
        assert.equal(view.getUint16(transport + 4), segment.length - transport)
        if (kind === 4) assert.equal(view.getUint16(4), 7 + i)
        const copy = segment.slice()
        sealChecksums(copy, 17)
        assert.deepEqual(segment, copy)
      }
    }
  })

  test('completes the checksum of a packet that stays whole', () => {
    const whole = tcpPacket(base, payloadOf(101))
    const [, packet] = superPacket(base, payloadOf(101), 1)
    assert.deepEqual(cut({ ...NONE, flags: 1, csumStart: 20, csumOffset: 16 }, packet), [whole])
    assert.deepEqual(cut(NONE, packet), [packet], 'what nobody asks for is left alone')
  })

  test('refuses headers that contradict the packet', () => {
    const [header, packet] = superPacket(base, payloadOf(200), 100)
    for (const wrong of [
      { gsoSize: 0 },
      { gsoType: 4 },
      { gsoType: 3 },
      { gsoType: 9 },
      { csumStart: 24 },
      { csumStart: 65_535 },
      { gsoType: 0, csumStart: 250 },
    ])
      assert.equal(cut({ ...header, ...wrong }, packet), undefined, JSON.stringify(wrong))
    const long = packet.slice(0, 50)
    assert.equal(cut(header, long), undefined, 'TCP header longer than the packet')
  })

  test('never throws nor leaves its packet, whatever it is handed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 11, maxLength: 300 }), (bytes) => {
        const block = new PacketBlock(bytes.slice())
        const segmenter = new Segmenter(block)
        if (!segmenter.begin(10, bytes.length)) return
        for (let i = 0; segmenter.next(); i++) {
          assert.ok(segmenter.start >= 10 && segmenter.end <= bytes.length && i < 300)
        }
      }),
    )
  })
})

describe('coalescing', () => {
  test('undoes segmentation', () => {
    fc.assert(
      fc.property(
        anyShape,
        fc.integer({ min: 2, max: 5000 }),
        fc.integer({ min: 60, max: 1500 }),
        fc.integer({ min: 0, max: 3 }),
        (shape, length, size, phase) => {
          const payload = payloadOf(length)
          const [header, packet] = superPacket(shape, payload, size)
          const written = join(segmentsOf(shape, payload, size), phase)
          assert.equal(written.length, 1)
          const [only] = written
          if (length <= size) {
            assert.deepEqual(only!.bytes, tcpPacket(shape, payload))
            assert.deepEqual(only!.header, { ...NONE, flags: 2 })
            return
          }
          assert.deepEqual(only!.header, header)
          // The kernel does not look at the checksum's complement: only at the pseudo-header's sum.
          assert.deepEqual(only!.bytes, packet)
          assert.deepEqual(cut(only!.header, only!.bytes), segmentsOf(shape, payload, size))
        },
      ),
    )
  })

  test('whatever comes, cutting again gives the same packets in the same order of each connection', () => {
    const anyPacket = fc.record({
      flow: fc.integer({ min: 0, max: 9 }),
      length: fc.constantFrom(100, 100, 100, 60, 0),
      flags: fc.constantFrom(0x10, 0x10, 0x10, 0x18, 0x11, 0x50, 0x90, 0x02, 0x14, 0x30),
      gap: fc.constantFrom(0, 0, 0, 0, 5),
      flip: fc.constantFrom(0, 0, 0, 0, 0, 1),
      kind: fc.constantFrom(4 as const, 4 as const, 6 as const),
      identification: fc.integer({ min: 0, max: 2 }),
      dontFragment: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(anyPacket, { maxLength: 60 }), (list) => {
        const next = new Map<number, number>()
        const sent = list.map((p) => {
          const sequence = (next.get(p.flow) ?? 0xffff_fff0) + p.gap
          next.set(p.flow, (sequence + p.length) >>> 0)
          const { flags, kind, identification, dontFragment } = p
          const shape = {
            ...base,
            flags,
            kind,
            identification,
            dontFragment,
            port: 1000 + p.flow,
            sequence: sequence >>> 0,
          }
          const packet = tcpPacket(shape, payloadOf(p.length))
          packet[packet.length - 1]! ^= p.flip
          return packet
        })
        const got = join(sent).flatMap(({ header, bytes }) => cut(header, bytes)!)
        // Identification of what must not be fragmented means nothing, and is not kept.
        const text = (packet: Uint8Array): string => {
          const copy = packet.slice()
          if (copy[0] === 0x45 && copy[6] === 0x40) copy.fill(0, 4, 6).fill(0, 10, 12)
          return Buffer.from(copy).toString('hex')
        }
        const portOf = (packet: Uint8Array): number =>
          new DataView(packet.buffer, packet.byteOffset).getUint16(packet[0]! >>> 4 === 4 ? 20 : 40)
        for (const flow of next.keys()) {
          for (const kind of [4, 6]) {
            const mine = (packet: Uint8Array): boolean =>
              portOf(packet) === 1000 + flow && packet[0]! >>> 4 === kind
            assert.deepEqual(got.filter(mine).map(text), sent.filter(mine).map(text))
          }
        }
        assert.equal(got.length, sent.length)
      }),
    )
  })

  test('of connections that are mixed', () => {
    const [a, b] = [three(), three({ port: 40_001 })]
    const written = join([a[0]!, b[0]!, a[1]!, b[1]!, a[2]!, b[2]!])
    assert.deepEqual(
      written.map(({ packets }) => packets),
      [3, 3],
    )
  })

  test('more connections than it follows lose nothing', () => {
    const packets = Array.from({ length: 20 }, (_, i) => tcpPacket({ ...base, port: i + 1 }, payloadOf(50)))
    const hex = (list: readonly Uint8Array[]): string[] =>
      list.map((b) => Buffer.from(b).toString('hex')).sort()
    assert.deepEqual(hex(join(packets).map(({ bytes }) => bytes)), hex(packets))
  })

  test('CWR begins a packet', () => {
    const [first, second, third] = three()
    const written = join([first!, altered(second!, 33, 0x80), third!])
    assert.deepEqual(
      written.map(({ header, packets }) => [packets, header.gsoType]),
      [
        [1, 0],
        [2, 0x81],
      ],
    )
  })

  test('PSH, FIN and a shorter segment end a packet', () => {
    for (const flags of [0x18, 0x11]) {
      const [first, second, third] = three()
      const written = join([first!, altered(second!, 33, flags ^ 0x10), third!])
      assert.deepEqual(
        written.map(({ packets }) => packets),
        [2, 1],
      )
      assert.equal(written[0]!.bytes[33], flags)
    }
    const short = segmentsOf(base, payloadOf(150), 100)
    const after = tcpPacket({ ...base, sequence: (base.sequence + 150) >>> 0 }, payloadOf(100))
    assert.deepEqual(
      join([...short, after]).map(({ packets }) => packets),
      [2, 1],
    )
  })

  test('stays below what IP can carry', () => {
    const payload = payloadOf(80_000)
    const written = join(segmentsOf(base, payload, 1448))
    assert.deepEqual(
      written.map(({ packets }) => packets),
      [45, 11],
    )
  })

  const differences: [string, number, number][] = [
    ['traffic class', 1, 0x04],
    ['ECN', 1, 0x03],
    ['TTL', 8, 1],
    ['DF', 6, 0x40],
    ['sequence', 27, 1],
    ['acknowledgment', 31, 1],
    ['a reserved bit', 32, 1],
    ['URG', 33, 0x20],
    ['RST', 33, 0x04],
    ['SYN', 33, 0x02],
    ['ECE', 33, 0x40],
    ['window', 35, 1],
    ['urgent pointer', 39, 1],
    ['an option', 45, 1],
  ]
  for (const [what, at, flip] of differences)
    test(`leaves apart what differs: ${what}`, () => {
      const [first, second, third] = three()
      const other = altered(second!, at, flip)
      const written = join([first!, other, third!])
      assert.deepEqual(
        written.map(({ bytes }) => bytes),
        [first, other, third],
      )
    })

  test('leaves alone what is not its matter', () => {
    const [first, second, third] = three()
    const badTcp = second!.slice()
    badTcp[60]! ^= 1
    const badIp = second!.slice()
    badIp[10]! ^= 1
    const udp = altered(second!, 9, 6 ^ 17)
    const fragment = altered(second!, 6, 0x60)
    const lastFragment = altered(second!, 7, 0x10)
    const padded = new Uint8Array(second!.length + 2)
    padded.set(second!)
    const bare = tcpPacket({ ...base, sequence: (base.sequence + 100) >>> 0 }, new Uint8Array(0))
    for (const [what, other] of Object.entries({ badTcp, badIp, fragment, lastFragment, padded, bare })) {
      const written = join([first!, other, third!])
      assert.deepEqual(
        written.map(({ bytes }) => bytes),
        [first, other, third],
        what,
      )
      assert.equal(written[1]!.header.flags, 0, `${what} is the kernel's to judge`)
    }
    // Another protocol says nothing about the connection: it may pass by.
    const written = join([first!, udp, second!, third!])
    assert.deepEqual(
      written.map(({ packets }) => packets),
      [1, 3],
    )
  })

  test('never throws, and keeps every packet, whatever it is handed', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 20, maxLength: 120 }), { maxLength: 12 }), (list) => {
        for (const packet of list) packet[0] = packet[0]! < 128 ? 0x45 : 0x60
        const legal = list.filter((packet) => packet[0] === 0x45 || packet.length >= 40)
        assert.equal(
          join(legal).reduce((sum, { packets }) => sum + packets, 0),
          legal.length,
        )
      }),
    )
  })
})
