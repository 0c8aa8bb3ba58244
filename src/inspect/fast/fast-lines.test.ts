/** The fast printer prints what the general one prints, or nothing. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, Ipv6Address, instantAt } from '../../base/index.js'
import { buildTcpOptions } from '../../wire/index.js'
import { LinkType } from '../link-type.js'
import { TcpdumpPrinter } from '../print/line.js'
import {
  counting,
  echo,
  frame,
  greOf,
  icmp6Message,
  inner,
  ip4Packet,
  ip6Packet,
  outer,
  outer6,
  samplePackets,
  tcpSegment,
  udpDatagram,
} from '../testing/packets.js'
import { ByteWriter } from './byte-writer.js'
import { FastLines } from './fast-lines.js'

interface Given {
  readonly bytes: Uint8Array
  readonly linkType: number
  readonly missing?: number
  readonly microseconds?: number
}

const seconds = 1_579_455_906
const utcOffset = (): number => 3600

/** Both printers over the same packets in the same order; how many the fast one took. */
function compare(packets: readonly Given[], options: { numeric: boolean; absolute: boolean }): number {
  const general = new TcpdumpPrinter({ ...options, utcOffset })
  const own = new TcpdumpPrinter({ ...options, utcOffset })
  const out = new ByteWriter(1 << 16)
  const fast = new FastLines(out, own.flows, { ...options, stamps: true, utcOffset })
  let taken = 0
  for (const { bytes, linkType, missing = 0, microseconds = 0 } of packets) {
    const originalLength = bytes.length + missing
    const facts = { time: instantAt(seconds * 1_000_000 + microseconds), originalLength }
    const expected = general.line(bytes, linkType, facts)
    out.at = 0
    const buffer = concatBytes(new Uint8Array(5), bytes, new Uint8Array(3).fill(0xff))
    if (fast.write(buffer, 5, 5 + bytes.length, linkType, originalLength, seconds, 1000 * microseconds)) {
      taken++
      assert.equal(new TextDecoder().decode(out.bytes.subarray(0, out.at)), `${expected}\n`)
    } else {
      assert.equal(out.at, 0, 'what is not printed leaves nothing behind')
      // As the command does: the general printer, over the same table of conversations.
      assert.equal(own.line(bytes, linkType, facts), expected)
    }
  }
  return taken
}

const samples = samplePackets()

describe('the samples', () => {
  for (const numeric of [true, false])
    test(`all of them, whole and cut off anywhere, ${numeric ? 'with' : 'without'} -n`, () => {
      const packets = samples.flatMap(({ bytes, linkType }) =>
        Array.from({ length: bytes.length + 1 }, (_, length) => ({
          bytes: bytes.subarray(0, length),
          linkType,
          missing: bytes.length - length,
        })),
      )
      assert.ok(compare(packets, { numeric, absolute: false }) > 500)
    })

  test('the common ones are really taken', () => {
    const common = [
      'icmp',
      'icmp6',
      'tcp',
      'tcp over IPv6',
      'udp',
      'udp over IPv6',
      '4 in 4',
      '6 in 4',
      '4 in 6',
    ]
    const tunnels = [
      '6 in 6',
      'gre',
      'gre with key',
      'gre over IPv6',
      'gre keepalive',
      'raw IPv4',
      'raw IPv6',
    ]
    const wanted = samples.filter(({ name }) => [...common, ...tunnels].includes(name))
    assert.equal(compare(wanted, { numeric: true, absolute: false }), common.length + tunnels.length)
  })
})

const port = fc.oneof(fc.nat(65_535), fc.constantFrom(22, 53, 80, 443, 500))
const number32 = fc.oneof(
  fc.nat(0xffffffff),
  fc.constantFrom(0, 1, 999, 1000, 999_999, 1_000_000, 0x7fffffff, 0xffffffff),
)
const optionBytes = fc.oneof(
  fc.constant(new Uint8Array(0)),
  fc
    .record({
      maximumSegmentSize: fc.option(fc.nat(65_535), { nil: undefined }),
      windowScale: fc.option(fc.nat(14), { nil: undefined }),
      sackPermitted: fc.boolean(),
      timestamps: fc.option(fc.record({ value: number32, echoReply: number32 }), { nil: undefined }),
      sack: fc.option(
        fc.array(fc.record({ left: number32, right: number32 }), { minLength: 1, maxLength: 2 }),
        {
          nil: undefined,
        },
      ),
    })
    .map(({ maximumSegmentSize, windowScale, sackPermitted, timestamps, sack }) =>
      buildTcpOptions({
        ...(maximumSegmentSize === undefined ? {} : { maximumSegmentSize }),
        ...(windowScale === undefined ? {} : { windowScale }),
        sackPermitted,
        ...(timestamps === undefined ? {} : { timestamps }),
        ...(sack === undefined ? {} : { sack }),
      }),
    ),
)
const addresses6 = fc
  .array(fc.constantFrom(0, 0, 0, 1, 0xff, 0xffff, 0x12ab), { minLength: 8, maxLength: 8 })
  .map((words) => new Ipv6Address(Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]))))

const transports = fc.oneof(
  fc
    .record({
      ports: fc.tuple(port, port),
      sequenceNumber: number32,
      acknowledgmentNumber: number32,
      flags: fc.nat(255),
      options: optionBytes,
      data: fc.nat(50),
    })
    .map(({ ports, flags, data, options, ...numbers }) => ({
      protocol: 6,
      payload: (pair: Parameters<typeof tcpSegment>[0]) => {
        const list = options instanceof Uint8Array ? [] : options
        const segment = tcpSegment(
          pair,
          ports,
          { ...numbers, options: list, urgentPointer: 77 },
          counting(data),
        )
        segment[13] = flags
        return segment
      },
    })),
  fc.record({ ports: fc.tuple(port, port), data: fc.nat(300) }).map(({ ports, data }) => ({
    protocol: 17,
    payload: (pair: Parameters<typeof udpDatagram>[0]) => udpDatagram(pair, ports, counting(data)),
  })),
)

/** Packets of the shapes that the fast printer knows, tunnels in tunnels up to a depth that it does not. */
const packetArbitrary = fc
  .record({
    transport: transports,
    ping: fc.boolean(),
    six: fc.boolean(),
    pair6: fc.tuple(addresses6, addresses6),
    tos: fc.nat(255),
    flowLabel: fc.nat(0xfffff),
    ttl: fc.constantFrom(1, 2, 64, 64, 255, 255),
    dontFragment: fc.boolean(),
    tunnels: fc.array(fc.constantFrom('ipip', 'ip6', 'gre', 'gre key', 'gre seq'), { maxLength: 5 }),
    ethernet: fc.boolean(),
    cut: fc.nat(40),
    damage: fc.option(fc.tuple(fc.nat(60), fc.nat(255)), { nil: undefined, freq: 2 }),
    microseconds: fc.nat(999_999),
  })
  .map((given): Given => {
    const ip4 = { dscp: given.tos >> 2, ecn: given.tos & 3, ttl: given.ttl, dontFragment: given.dontFragment }
    const ip6Fields = {
      dscp: given.tos >> 2,
      ecn: given.tos & 3,
      hopLimit: given.ttl,
      flowLabel: given.flowLabel,
    }
    let six = given.six
    let packet: Uint8Array
    if (six) {
      const payload = given.ping
        ? icmp6Message(given.pair6, { type: 129, code: 0 }, counting(8))
        : given.transport.payload(given.pair6)
      packet = ip6Packet(given.pair6, given.ping ? 58 : given.transport.protocol, payload, ip6Fields)
    } else {
      const payload = given.ping ? echo(0) : given.transport.payload(inner)
      packet = ip4Packet(inner, given.ping ? 1 : given.transport.protocol, payload, ip4)
    }
    for (const tunnel of given.tunnels) {
      const etherType = six ? 0x86dd : 0x0800
      if (tunnel === 'ip6') packet = ip6Packet(outer6, six ? 41 : 4, packet, { flowLabel: given.flowLabel })
      else if (tunnel === 'ipip') packet = ip4Packet(outer, six ? 41 : 4, packet)
      else {
        const key = tunnel === 'gre key' ? { key: 0x01020304 * (given.tos & 7) } : {}
        const sequence = tunnel === 'gre seq' ? { sequence: given.flowLabel } : {}
        packet = ip4Packet(outer, 47, greOf({ protocol: etherType, ...key, ...sequence }, packet), ip4)
      }
      six = tunnel === 'ip6'
    }
    const whole = given.ethernet ? frame(six ? 0x86dd : 0x0800, packet) : packet
    const bytes = given.cut < 20 ? whole.slice() : whole.slice(0, Math.max(0, whole.length - given.cut))
    if (given.damage !== undefined && given.damage[0] < bytes.length) bytes[given.damage[0]] = given.damage[1]
    return {
      bytes,
      linkType: given.ethernet ? LinkType.ethernet : LinkType.raw,
      missing: whole.length - bytes.length,
      microseconds: given.microseconds,
    }
  })

test('random packets of every shape, one after the other over one table of conversations', () => {
  let taken = 0
  let all = 0
  fc.assert(
    fc.property(
      fc.array(packetArbitrary, { minLength: 1, maxLength: 6 }),
      fc.boolean(),
      fc.boolean(),
      (packets, numeric, absolute) => {
        taken += compare(packets, { numeric, absolute })
        all += packets.length
      },
    ),
    { numRuns: 1500 },
  )
  assert.ok(taken > all / 5, `the fast printer took ${taken} of ${all}`)
})

test('numbers of every length', () => {
  const out = new ByteWriter(64)
  const text = (write: () => void): string => {
    out.at = 0
    write()
    return new TextDecoder().decode(out.bytes.subarray(0, out.at))
  }
  fc.assert(
    fc.property(number32, (value) => {
      assert.equal(
        text(() => out.decimal(value)),
        String(value),
      )
      const low = value & 0xffff
      assert.equal(
        text(() => out.hex16(low)),
        low.toString(16),
      )
    }),
  )
  fc.assert(
    fc.property(addresses6, (address) => {
      if (!address.isIpv4Mapped)
        assert.equal(
          text(() => out.ip6(address.bytes, 0)),
          String(address),
        )
    }),
  )
})
