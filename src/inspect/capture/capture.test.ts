import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, WarrenError } from '../../base/index.js'
import { openCapture, readCapture } from './open.js'
import { type ByteOrder, PcapReader, PcapWriter } from './pcap.js'
import { PcapngReader, PcapngWriter } from './pcapng.js'
import { type CapturedPacket, type CaptureReader, copyPacket } from './record.js'

const packetArbitrary = fc.record({
  bytes: fc.uint8Array({ maxLength: 100 }),
  missing: fc.nat(50),
  seconds: fc.nat(0x7fffffff),
  microseconds: fc.nat(999_999),
  nanoseconds: fc.nat(999),
})
const orders: readonly ByteOrder[] = ['little', 'big']

/** Feeds `file` to the reader in pieces of `size` bytes. */
function readInPieces(reader: CaptureReader, file: Uint8Array, size: number): CapturedPacket[] {
  const found: CapturedPacket[] = []
  // The same memory for every chunk: the reader must have copied.
  const chunk = new Uint8Array(size)
  for (let at = 0; at < file.length; at += size) {
    const part = file.subarray(at, at + size)
    chunk.set(part)
    reader.push(chunk.subarray(0, part.length))
    while (reader.advance()) found.push(copyPacket(reader))
    chunk.fill(0xee)
  }
  reader.finish()
  return found
}

describe('pcap', () => {
  for (const byteOrder of orders)
    for (const nanoseconds of [false, true])
      test(`round trip, ${byteOrder}-endian, ${nanoseconds ? 'nano' : 'micro'}seconds, in pieces of any size`, () => {
        fc.assert(
          fc.property(
            fc.array(packetArbitrary, { maxLength: 8 }),
            fc.integer({ min: 1, max: 300 }),
            (packets, size) => {
              const wanted = packets.map(({ bytes, missing, seconds, microseconds, nanoseconds: rest }) => ({
                bytes,
                originalLength: bytes.length + missing,
                seconds,
                nanoseconds: 1000 * microseconds + (nanoseconds ? rest : 0),
                linkType: 101,
                interfaceId: 0,
              }))
              const writer = new PcapWriter({ linkType: 101, byteOrder, nanoseconds })
              const file = concatBytes(writer.header(), ...wanted.map((packet) => writer.packet(packet)))
              assert.deepEqual([...readCapture(file)], wanted)
              assert.deepEqual(readInPieces(new PcapReader(), file, size), wanted)
            },
          ),
        )
      })

  test('the bytes of a big-endian file of nanoseconds', () => {
    const writer = new PcapWriter({ linkType: 1, byteOrder: 'big', nanoseconds: true, snapLength: 96 })
    const header = [0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 96, 0, 0, 0, 1]
    assert.deepEqual([...writer.header()], header)
    const packet = writer.packet({ bytes: Uint8Array.of(9), seconds: 1, nanoseconds: 258, originalLength: 7 })
    assert.deepEqual([...packet], [0, 0, 0, 1, 0, 0, 1, 2, 0, 0, 0, 1, 0, 0, 0, 7, 9])
  })

  const file = (): Uint8Array => {
    const writer = new PcapWriter({ linkType: 1 })
    const packet = writer.packet({ bytes: new Uint8Array(20), seconds: 0, nanoseconds: 0 })
    return concatBytes(writer.header(), packet, packet)
  }

  test('cut off anywhere: the packets before are delivered, then the offset is said', () => {
    const whole = file()
    for (let length = 4; length < whole.length; length++) {
      // At the end of a record nothing is missing.
      if ((length - 24) % 36 === 0 && length >= 24) continue
      const packets: CapturedPacket[] = []
      assert.throws(
        () => {
          for (const packet of readCapture(whole.subarray(0, length), 'x.pcap')) packets.push(packet)
        },
        (error) => {
          assert.ok(error instanceof WarrenError)
          assert.equal(error.code, 'INSPECT_TRUNCATED_FILE')
          const begun = length < 24 ? 0 : 24 + 36 * Math.floor((length - 24) / 36)
          assert.equal(error.details.where, `x.pcap: byte ${begun}`)
          return true
        },
      )
      assert.equal(packets.length, Math.max(0, Math.floor((length - 24) / 36)))
    }
  })

  test('an impossible length is refused at once', () => {
    const bytes = file()
    bytes.set([0xff, 0xff, 0xff, 0x7f], 24 + 36 + 8)
    const packets: CapturedPacket[] = []
    assert.throws(
      () => {
        for (const packet of readCapture(bytes)) packets.push(packet)
      },
      { code: 'INSPECT_PCAP_LENGTH' },
    )
    assert.equal(packets.length, 1)
  })

  test('an unknown link type, an unknown version, no capture at all', () => {
    const other = new PcapWriter({ linkType: 147 }).header()
    assert.throws(() => [...readCapture(other)], { code: 'INSPECT_LINK_TYPE' })
    const old = file()
    old[4] = 9
    assert.throws(() => [...readCapture(old)], { code: 'INSPECT_PCAP_VERSION' })
    assert.throws(() => openCapture(Uint8Array.of(1, 2, 3, 4)), { code: 'INSPECT_NOT_A_CAPTURE' })
    assert.throws(() => openCapture(Uint8Array.of(1)), /1 bytes in all/)
  })

  test('DLT_RAW as systems number it is LINKTYPE_RAW', () => {
    for (const number of [12, 14, 101]) {
      const writer = new PcapWriter({ linkType: number })
      const packet = writer.packet({ bytes: Uint8Array.of(0x45), seconds: 0, nanoseconds: 0 })
      assert.equal([...readCapture(concatBytes(writer.header(), packet))][0]!.linkType, 101)
    }
  })
})

/** Blocks made by hand, so that what our writer never writes is read too. */
function block(byteOrder: ByteOrder, type: number, body: readonly number[] | Uint8Array): Uint8Array {
  const length = 12 + body.length + (-body.length & 3)
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  const little = byteOrder === 'little'
  view.setUint32(0, type, little)
  view.setUint32(4, length, little)
  bytes.set(body, 8)
  view.setUint32(length - 4, length, little)
  return bytes
}

function words(byteOrder: ByteOrder, ...parts: readonly (readonly [16 | 32, number])[]): number[] {
  return parts.flatMap(([bits, value]) => {
    const bytes = Array.from({ length: bits / 8 }, (_, i) => Math.floor(value / 256 ** i) % 256)
    return byteOrder === 'little' ? bytes : bytes.reverse()
  })
}

const section = (byteOrder: ByteOrder): Uint8Array =>
  block(byteOrder, 0x0a0d0d0a, [
    ...words(byteOrder, [32, 0x1a2b3c4d], [16, 1], [16, 0]),
    ...new Array<number>(8).fill(0xff),
  ])
const interfaceBlock = (
  byteOrder: ByteOrder,
  linkType: number,
  options: readonly number[] = [],
): Uint8Array => block(byteOrder, 1, [...words(byteOrder, [16, linkType], [16, 0], [32, 0]), ...options])
const resolution = (byteOrder: ByteOrder, value: number): number[] => [
  ...words(byteOrder, [16, 9], [16, 1]),
  ...[value, 0, 0, 0],
  ...words(byteOrder, [16, 0], [16, 0]),
]
const enhanced = (byteOrder: ByteOrder, id: number, ticks: bigint, data: readonly number[]): Uint8Array =>
  block(byteOrder, 6, [
    ...words(
      byteOrder,
      [32, id],
      [32, Number(ticks >> 32n)],
      [32, Number(ticks & 0xffffffffn)],
      [32, data.length],
      [32, data.length],
    ),
    ...data,
  ])

describe('pcapng', () => {
  for (const byteOrder of orders) {
    test(`round trip, ${byteOrder}-endian, two interfaces, in pieces of any size`, () => {
      fc.assert(
        fc.property(
          fc.array(packetArbitrary, { maxLength: 8 }),
          fc.integer({ min: 1, max: 300 }),
          (packets, size) => {
            const wanted = packets.map(({ bytes, missing, seconds, microseconds, nanoseconds }, i) => ({
              bytes,
              originalLength: bytes.length + missing,
              seconds,
              nanoseconds: 1000 * microseconds + (i % 2 === 1 ? nanoseconds : 0),
              linkType: i % 2 === 1 ? 101 : 1,
              interfaceId: i % 2,
            }))
            const writer = new PcapngWriter({ byteOrder })
            const file = concatBytes(
              writer.header(),
              writer.interface({ linkType: 1, name: 'vio0' }),
              writer.interface({ linkType: 101, name: 'gif0', nanoseconds: true }),
              ...wanted.map((packet) => writer.packet(packet)),
            )
            assert.equal(file.length % 4, 0)
            assert.deepEqual([...readCapture(file)], wanted)
            assert.deepEqual(readInPieces(new PcapngReader(), file, size), wanted)
          },
        ),
      )
    })

    test(`${byteOrder}-endian: simple and old packets, names, statistics and custom blocks, clocks of any resolution`, () => {
      const old = block(byteOrder, 2, [
        ...words(byteOrder, [16, 1], [16, 0], [32, 0], [32, 2_000_000], [32, 1], [32, 1]),
        7,
      ])
      const simple = block(byteOrder, 3, [...words(byteOrder, [32, 3]), 1, 2, 3])
      const file = concatBytes(
        section(byteOrder),
        interfaceBlock(byteOrder, 1),
        interfaceBlock(byteOrder, 101),
        interfaceBlock(byteOrder, 229, resolution(byteOrder, 0x80 | 10)),
        block(byteOrder, 4, [0, 0, 0, 0]),
        simple,
        block(byteOrder, 5, new Uint8Array(12)),
        old,
        block(byteOrder, 0xbad, [1, 2, 3, 4, 5]),
        enhanced(byteOrder, 2, 3n * 1024n + 512n, [0x60]),
      )
      const found = [...readCapture(file)]
      assert.deepEqual(
        found.map(({ linkType, seconds, nanoseconds, bytes }) => [
          linkType,
          seconds,
          nanoseconds,
          [...bytes],
        ]),
        [
          [1, 0, 0, [1, 2, 3]],
          [101, 2, 0, [7]],
          [229, 3, 500_000_000, [0x60]],
        ],
      )
    })
  }

  test('a second section of the other byte order numbers its interfaces anew', () => {
    const file = concatBytes(
      section('little'),
      interfaceBlock('little', 1),
      enhanced('little', 0, 1n, [1]),
      section('big'),
      interfaceBlock('big', 101),
      enhanced('big', 0, 2n, [2]),
    )
    assert.deepEqual(
      [...readCapture(file)].map(({ linkType, nanoseconds }) => [linkType, nanoseconds]),
      [
        [1, 1000],
        [101, 2000],
      ],
    )
  })

  test('an offset of the clock (if_tsoffset) is added', () => {
    const options = [
      ...words('big', [16, 14], [16, 8]),
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      100,
      ...words('big', [16, 0], [16, 0]),
    ]
    const file = concatBytes(
      section('big'),
      interfaceBlock('big', 1, options),
      enhanced('big', 0, 5_000_000n, [1]),
    )
    assert.equal([...readCapture(file)][0]!.seconds, 105)
  })

  const faults: readonly (readonly [string, Uint8Array, string])[] = [
    [
      'an interface that is not described',
      concatBytes(section('big'), enhanced('big', 3, 0n, [])),
      'INSPECT_PCAPNG_INTERFACES',
    ],
    [
      'a link type that is not read',
      concatBytes(section('big'), interfaceBlock('big', 9), enhanced('big', 0, 0n, [])),
      'INSPECT_LINK_TYPE',
    ],
    [
      'a block length that is no multiple of 4',
      concatBytes(section('big'), Uint8Array.of(0, 0, 0, 6, 0, 0, 0, 13, 0, 0, 0, 0, 0)),
      'INSPECT_PCAPNG_LENGTH',
    ],
    [
      'a huge block',
      concatBytes(section('big'), Uint8Array.of(0, 0, 0, 6, 0x7f, 0, 0, 0, 0, 0, 0, 0)),
      'INSPECT_PCAPNG_LENGTH',
    ],
    [
      'a file that ends in a block',
      concatBytes(section('big'), interfaceBlock('big', 1).subarray(0, 15)),
      'INSPECT_TRUNCATED_FILE',
    ],
    ['a section without its magic', block('big', 0x0a0d0d0a, new Uint8Array(16)), 'INSPECT_NOT_A_CAPTURE'],
    [
      'an enhanced packet that is too short',
      concatBytes(section('big'), block('big', 6, new Uint8Array(8))),
      'INSPECT_PCAPNG_LENGTH',
    ],
  ]
  for (const [name, file, code] of faults)
    test(`refused: ${name}`, () => {
      assert.throws(() => [...readCapture(file)], { code })
    })

  test('two lengths that differ, and a packet longer than its block', () => {
    const good = concatBytes(section('big'), interfaceBlock('big', 1), enhanced('big', 0, 0n, [1, 2, 3, 4]))
    const trailer = good.slice()
    trailer[trailer.length - 1]! ^= 4
    assert.throws(() => [...readCapture(trailer)], /two lengths of a block differ: found 32, expected 36/)
    const longer = good.slice()
    longer[28 + 20 + 8 + 15] = 5
    assert.throws(() => [...readCapture(longer)], /a packet is longer than its block/)
  })

  test('random damage throws a WarrenError or nothing', () => {
    const good = concatBytes(
      section('little'),
      interfaceBlock('little', 1),
      enhanced('little', 0, 0n, [1, 2, 3, 4]),
    )
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
        const bad = good.slice()
        bad[at] = value
        try {
          for (const _ of readCapture(bad));
        } catch (error) {
          assert.ok(error instanceof WarrenError)
        }
      }),
    )
  })
})
