/** The data plane with virtio headers: pieces that the kernel hands over, and pieces that it is given. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { Counters, concatBytes, type PacketBuffer } from '../base/index.js'
import { EtheripMachine } from '../proto/etherip/index.js'
import { GifMachine } from '../proto/gif/index.js'
import { GreMachine } from '../proto/gre/index.js'
import { Arena } from './arena.js'
import type { Carrier } from './carrier.js'
import { readVnetHeader, type VnetHeader, writeVnetHeader } from './offload/index.js'
import { type SegmentShape, segmentsOf, tcpPacket } from './offload/testing.js'
import { Outbound } from './outbound.js'
import { PlanePath } from './path.js'
import { PlaneInterface } from './plane-interface.js'
import { LOCAL, packetOf, pathsOf, planeBed, put, REMOTE, Sockets, takeAll } from './testing.js'

const skip = process.platform === 'linux' ? false : 'needs Linux'

const outer = { local: LOCAL, remote: REMOTE }
const shape: SegmentShape = {
  kind: 4,
  port: 40_000,
  identification: 7,
  dontFragment: true,
  trafficClass: 0,
  ttl: 64,
  sequence: 0xffff_ff00,
  acknowledgment: 5,
  flags: 0x18,
  options: new Uint8Array(12).fill(1),
}
const HEADERS = 52
const WHOLE: VnetHeader = { flags: 0, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 }
const payloadOf = (length: number, seed = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >>> 8) + seed) & 0xff)

function withHeader(header: VnetHeader, packet: Uint8Array): Uint8Array {
  const bytes = concatBytes(new Uint8Array(10), packet)
  writeVnetHeader(new DataView(bytes.buffer), 0, header)
  return bytes
}

/** As the kernel hands over a TCP piece: the checksum is left to us. */
const piece = (packet: Uint8Array, gsoSize: number): Uint8Array =>
  withHeader({ flags: 1, gsoType: 1, hdrLen: HEADERS, gsoSize, csumStart: 20, csumOffset: 16 }, packet)

function headerOf(bytes: Uint8Array): { header: VnetHeader; packet: Uint8Array } {
  return { header: readVnetHeader(new DataView(bytes.buffer), 0), packet: bytes.subarray(10) }
}

describe('the data plane with offloads', { skip }, () => {
  const sockets = new Sockets()
  after(() => sockets.close())
  const bed = (): ReturnType<typeof planeBed> =>
    planeBed(sockets, pathsOf(new GifMachine({ outer })), { offload: true })
  const wrap = (inner: Uint8Array): Uint8Array => packetOf('192.168.1.2', '192.168.1.1', inner, 4)

  test('out: a piece leaves as the segments that it stands for, in its place among the others', () => {
    const { plane, inside, outside } = bed()
    const payload = payloadOf(4_111)
    const before = packetOf('172.16.0.1', '172.16.0.2', payloadOf(33))
    const behind = packetOf('172.16.0.1', '172.16.0.2', payloadOf(34))
    put(inside, withHeader(WHOLE, before))
    put(inside, piece(tcpPacket(shape, payload), 1000))
    put(inside, withHeader(WHOLE, behind))
    plane.round(100)
    const sent = takeAll(outside).map((bytes) => bytes.subarray(20))
    assert.deepEqual(sent, [before, ...segmentsOf(shape, payload, 1000), behind])
    const [path] = plane.counts().paths
    const bytes = sent.reduce((sum, packet) => sum + packet.length, 0)
    assert.deepEqual(path!.outbound, { packets: 7, bytes, drops: {} })
  })

  test('out: a checksum that the kernel left half done is completed', () => {
    const { plane, inside, outside } = bed()
    const good = tcpPacket(shape, payloadOf(100))
    const half = good.slice()
    // Only the sum of the pseudo-header.
    let sum = 6 + half.length - 20
    for (let i = 12; i < 20; i += 2) sum += (half[i]! << 8) | half[i + 1]!
    sum = (sum & 0xffff) + (sum >>> 16)
    new DataView(half.buffer).setUint16(36, sum)
    put(inside, withHeader({ ...WHOLE, flags: 1, csumStart: 20, csumOffset: 16 }, half))
    plane.round(100)
    assert.deepEqual(takeAll(outside)[0]!.subarray(20), good)
  })

  test('out: a header that contradicts its packet is dropped and counted', () => {
    const { plane, inside, outside } = bed()
    const packet = tcpPacket(shape, payloadOf(100))
    for (const header of [
      { flags: 1, gsoType: 4, hdrLen: 0, gsoSize: 50, csumStart: 20, csumOffset: 16 },
      { flags: 1, gsoType: 1, hdrLen: 0, gsoSize: 0, csumStart: 20, csumOffset: 16 },
      { flags: 1, gsoType: 1, hdrLen: 0, gsoSize: 50, csumStart: 24, csumOffset: 16 },
      { flags: 1, gsoType: 9, hdrLen: 0, gsoSize: 50, csumStart: 20, csumOffset: 16 },
      { flags: 1, gsoType: 0, hdrLen: 0, gsoSize: 0, csumStart: 152, csumOffset: 0 },
    ])
      put(inside, withHeader(header, packet))
    plane.round(100)
    assert.deepEqual(takeAll(outside), [])
    assert.deepEqual(plane.counts().paths[0]!.outbound.drops, { 'interface.offload': 5 })
    assert.equal(plane.counts().paths[0]!.outbound.packets, 0)
  })

  test('in: the segments of a batch are one piece, what is none of them goes untouched and in its order', () => {
    const { plane, inside, outside } = bed()
    const payload = payloadOf(3_500)
    const segments = segmentsOf(shape, payload, 1000)
    const datagram = packetOf('172.16.0.2', '172.16.0.1', payloadOf(33))
    const fragment = packetOf('172.16.0.2', '172.16.0.1', payloadOf(40), 6)
    fragment[6] = 0x20
    const other = packetOf('172.16.0.2', '172.16.0.1', payloadOf(40), 132)
    for (const inner of [datagram, ...segments, other, fragment]) put(outside, wrap(inner))
    plane.round(100)
    const given = takeAll(inside).map(headerOf)
    assert.deepEqual(
      given.map(({ header }) => header.gsoType),
      [0, 1, 0, 0],
    )
    assert.deepEqual([given[0]!.packet, given[2]!.packet, given[3]!.packet], [datagram, other, fragment])
    const { header, packet } = given[1]!
    assert.deepEqual(header, {
      flags: 1,
      gsoType: 1,
      hdrLen: HEADERS,
      gsoSize: 1000,
      csumStart: 20,
      csumOffset: 16,
    })
    assert.deepEqual(packet.subarray(HEADERS), payload)
    const bytes = [datagram, ...segments, other, fragment].reduce((sum, { length }) => sum + length, 0)
    assert.deepEqual(plane.counts().paths[0]!.inbound, { packets: 7, bytes, drops: {} })
  })

  test('in: a segment whose checksum is wrong is joined with nothing, and the kernel is left to refuse it', () => {
    const { plane, inside, outside } = bed()
    const segments = segmentsOf(shape, payloadOf(3_000), 1000)
    segments[1]![HEADERS + 5]! ^= 1
    for (const segment of segments) put(outside, wrap(segment))
    plane.round(100)
    const given = takeAll(inside).map(headerOf)
    assert.deepEqual(
      given.map(({ packet }) => packet),
      segments,
    )
    assert.equal(given[1]!.header.flags, 0, 'nobody says that it is valid')
  })

  test('in: what the source filter refuses is joined with nothing', () => {
    const { plane, inside, outside } = bed()
    const segments = segmentsOf(shape, payloadOf(2_000), 1000)
    const foreign = segments[1]!
    foreign[12] = 11
    for (const segment of segments) put(outside, wrap(segment))
    plane.round(100)
    assert.deepEqual(
      takeAll(inside).map((bytes) => headerOf(bytes).packet),
      [segments[0]],
    )
    assert.deepEqual(plane.counts().paths[0]!.inbound.drops, { 'inner.source': 1 })
  })

  test('frames: their IP packets are cut and joined, all else goes as it is', () => {
    const { plane, inside, outside } = planeBed(sockets, pathsOf(new EtheripMachine({ outer })), {
      layer: 'ethernet',
      offload: true,
    })
    const ethernet = Uint8Array.of(2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0)
    const etherip = Uint8Array.of(0x30, 0)
    const payload = payloadOf(3_500)
    const frames = segmentsOf(shape, payload, 1000).map((segment) => concatBytes(ethernet, segment))
    const arp = concatBytes(ethernet.subarray(0, 12), Uint8Array.of(8, 6), payloadOf(46))
    const runt = ethernet.slice()
    const piece = concatBytes(ethernet, tcpPacket(shape, payload))
    const header = { flags: 1, gsoType: 1, hdrLen: 66, gsoSize: 1000, csumStart: 34, csumOffset: 16 }
    put(inside, withHeader(WHOLE, arp))
    put(inside, withHeader(header, piece))
    plane.round(100)
    const sent = takeAll(outside).map((bytes) => bytes.subarray(20))
    assert.deepEqual(
      sent,
      [arp, ...frames].map((frame) => concatBytes(etherip, frame)),
    )
    for (const frame of [arp, ...frames, runt])
      put(outside, packetOf('192.168.1.2', '192.168.1.1', concatBytes(etherip, frame), 97))
    plane.round(100)
    const given = takeAll(inside).map(headerOf)
    assert.deepEqual(
      given.map((one) => one.header),
      [WHOLE, header, WHOLE],
    )
    assert.deepEqual([given[0]!.packet, given[2]!.packet], [arp, runt])
    assert.deepEqual(given[1]!.packet.subarray(66), payload)
  })

  test('in: joined packets that the interface refuses are counted one by one', () => {
    const { plane, outside } = bed()
    // The socket in the interface's place takes nothing longer than UDP does.
    const long = Array.from({ length: 46 }, (_, i) =>
      tcpPacket({ ...shape, flags: 0x10, sequence: 1 + i * 1424 }, payloadOf(i === 45 ? 1_403 : 1424)),
    )
    const sum = long.reduce((total, packet) => total + packet.length - HEADERS, HEADERS)
    assert.ok(sum > 65_507 - 10 && sum <= 65_535)
    for (const segment of long) put(outside, wrap(segment))
    plane.round(100)
    assert.deepEqual(plane.counts().paths[0]!.inbound, {
      packets: 0,
      bytes: 0,
      drops: { 'interface.EMSGSIZE': 46 },
    })
  })
})

describe('outbound, with a carrier that looks on', { skip }, () => {
  const sockets = new Sockets()
  after(() => sockets.close())

  /** Keeps where the packets lie, and copies them only at the flush. */
  class Onlooker implements Carrier {
    readonly spec = {} as Carrier['spec']
    readonly paths: PlanePath[] = []
    readonly drops: Counters = new Counters()
    loops = false
    readonly flushed: Uint8Array[][] = []
    #waiting: { bytes: Uint8Array; start: number; end: number }[] = []

    mtu(): number {
      return 1500
    }
    push(_path: PlanePath, { bytes, start, end }: PacketBuffer): void {
      this.#waiting.push({ bytes, start, end })
    }

    flush(): void {
      this.flushed.push(this.#waiting.map(({ bytes, start, end }) => bytes.slice(start, end)))
      this.#waiting = []
    }

    receive(): boolean {
      return false
    }
  }

  test('what is pushed stays as it is until the flush, also where the room for segments ends', () => {
    const [tun, inside] = sockets.pair()
    const arena = new Arena(66_240)
    const side = new PlaneInterface(
      { id: 1, name: 'gre0', fd: tun, index: 7, layer: 'ip', mtu: 1476, offload: true },
      () => undefined,
    )
    const carrier = new Onlooker()
    const [{ id, takes, transform }] = pathsOf(new GreMachine({ outer })) as [ReturnType<typeof pathsOf>[0]]
    const path = new PlanePath({ id, interfaceId: 1, carrierId: 2, takes, transform }, side, carrier)
    for (const kind of takes) side.byKind[kind] = path
    const outbound = new Outbound(arena, new Counters())
    const expected: Uint8Array[] = []
    for (let i = 0; i < 8; i++) {
      const payload = payloadOf(9_000, i)
      const whole = packetOf('172.16.0.1', '172.16.0.2', payloadOf(700, i))
      put(inside, withHeader(WHOLE, whole))
      put(inside, piece(tcpPacket(shape, payload), 1000))
      expected.push(whole, ...segmentsOf(shape, payload, 1000))
    }
    assert.equal(outbound.turn(side, 0), undefined)
    assert.ok(carrier.flushed.length > 1, 'the room ended')
    assert.deepEqual(
      carrier.flushed.flat().map((bytes) => bytes.subarray(4)),
      expected,
    )
  })
})
