/**
 * The data plane over UDP sockets of the loopback: they are read and written as TUN devices and raw sockets are, and
 * need no right.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { concatBytes, type Random, SeededRandom } from '../base/index.js'
import { EtheripMachine } from '../proto/etherip/index.js'
import { GifMachine } from '../proto/gif/index.js'
import { GreMachine } from '../proto/gre/index.js'
import type { PathSpec } from '../proto/machine.js'
import { ipv4 } from '../wire/ipv4.js'
import { type Bed, LOCAL, packetOf, pathsOf, planeBed, put, REMOTE, Sockets, takeAll } from './testing.js'

const skip = process.platform === 'linux' ? false : 'needs Linux'

describe('the data plane', { skip }, () => {
  const sockets = new Sockets()
  after(() => sockets.close())

  const bed = (paths: readonly PathSpec[], mtu = 1500, layer: 'ip' | 'ethernet' = 'ip'): Bed =>
    planeBed(sockets, paths, { mtu, layer })

  const outer = { local: LOCAL, remote: REMOTE }

  const random: Random = new SeededRandom(1)
  const bytesOf = (length: number): Uint8Array => random.fill(new Uint8Array(length))

  test('out: the outer header is the one that its table reads', () => {
    const { plane, inside, outside } = bed(pathsOf(new GifMachine({ outer })))
    const inner = packetOf('172.16.0.1', '172.16.0.2', bytesOf(100))
    put(inside, inner)
    plane.round(100)
    const [sent, ...more] = takeAll(outside)
    assert.equal(more.length, 0)
    const header = ipv4.parse(sent!, 0)
    assert.deepEqual(
      { ...header, source: `${header.source}`, destination: `${header.destination}`, checksum: 0 },
      {
        ...ipv4.parse(inner, 0),
        totalLength: 140,
        identification: 0,
        protocol: 4,
        ttl: 64,
        checksum: 0,
        source: '192.168.1.1',
        destination: '192.168.1.2',
      },
      'DSCP and ECN are copied (RFC 6040 section 4.1); identification and checksum are the kernel’s',
    )
    assert.deepEqual(sent!.subarray(20), inner)
    const [path] = plane.counts().paths
    assert.deepEqual(path!.outbound, { packets: 1, bytes: 120, drops: {} })
  })

  test('out: what is longer than the path MTU goes in fragments that make the whole again', () => {
    const { plane, inside, outside } = bed(pathsOf(new GifMachine({ outer })), 576)
    const inner = packetOf('172.16.0.1', '172.16.0.2', bytesOf(1260))
    for (let i = 0; i < 3; i++) put(inside, inner)
    plane.round(100)
    const fragments = takeAll(outside)
    assert.equal(fragments.length, 9)
    for (const [i, identification] of [0xffff, 1, 2].entries()) {
      const parts = fragments.slice(3 * i, 3 * i + 3)
      const whole = new Uint8Array(inner.length)
      for (const [k, part] of parts.entries()) {
        const header = ipv4.parse(part, 0)
        assert.ok(part.length <= 576)
        assert.equal(header.totalLength, part.length)
        assert.equal(header.identification, identification, 'one a packet, and never 0')
        assert.equal(header.moreFragments, k < 2)
        whole.set(part.subarray(20), 8 * header.fragmentOffset)
      }
      assert.deepEqual(whole, inner)
    }
  })

  test('out: with DF it is dropped instead, and counted', () => {
    const { plane, inside, outside } = bed(
      pathsOf(new GifMachine({ outer: { ...outer, dontFragment: true } })),
      576,
    )
    put(inside, packetOf('172.16.0.1', '172.16.0.2', bytesOf(1260)))
    put(inside, packetOf('172.16.0.1', '172.16.0.2', bytesOf(10)))
    plane.round(100)
    const sent = takeAll(outside)
    assert.equal(sent.length, 1)
    assert.equal(ipv4.parse(sent[0]!, 0).dontFragment, true)
    assert.deepEqual(plane.counts().paths[0]!.outbound.drops, { 'outer.tooBig': 1 })
  })

  test('in: only from the peer, only with a source that belongs inside (CVE-2020-10136)', () => {
    const { plane, inside, outside } = bed(pathsOf(new GifMachine({ outer })))
    const good = packetOf('172.16.0.2', '172.16.0.1', bytesOf(30))
    const wrap = (inner: Uint8Array, from = '192.168.1.2'): Uint8Array =>
      packetOf(from, '192.168.1.1', inner, 4)
    put(outside, wrap(good, '192.168.1.66'))
    put(outside, wrap(packetOf('10.6.6.6', '172.16.0.1', bytesOf(30))))
    put(outside, wrap(good.subarray(0, 25)))
    put(outside, bytesOf(3))
    put(outside, wrap(good))
    plane.round(100)
    assert.deepEqual(takeAll(inside), [good])
    const { paths, drops } = plane.counts()
    assert.deepEqual(paths[0]!.inbound, {
      packets: 1,
      bytes: 50,
      drops: { 'inner.ipv4.totalLength': 1, 'inner.source': 1 },
    })
    assert.deepEqual(drops, { 'outer.ipv4': 1, 'outer.source': 1 })
  })

  test('in: any bytes at all change nothing but counts, and the honest packet still arrives', () => {
    const { plane, inside, outside } = bed(pathsOf(new GreMachine({ outer, key: 7 })))
    const inner = packetOf('172.16.0.2', '172.16.0.1', bytesOf(30))
    const gre = concatBytes(Uint8Array.of(0x20, 0, 8, 0, 0, 0, 0, 7), inner)
    let arrived = 0
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 10; i++) {
        const hostile = gre.slice(0, random.below(gre.length))
        for (let k = 0; k < 3 && hostile.length > 0; k++)
          hostile[random.below(Math.min(hostile.length, 30))] = random.below(256)
        put(outside, packetOf('192.168.1.2', '192.168.1.1', hostile, 47))
      }
      put(outside, packetOf('192.168.1.2', '192.168.1.1', gre, 47))
      plane.round(100)
      const last = takeAll(inside).at(-1)
      if (last !== undefined && Buffer.compare(last, inner) === 0) arrived++
    }
    assert.equal(arrived, 40)
  })

  test('another key of the same carrier is nobody’s, a keepalive is the machine’s, and its queue has an end', () => {
    const { plane, inside, outside, control } = bed(pathsOf(new GreMachine({ outer, key: 7 })))
    const wrap = (gre: number[]): Uint8Array =>
      packetOf('192.168.1.2', '192.168.1.1', Uint8Array.from(gre), 47)
    put(outside, wrap([0x20, 0, 8, 0, 0, 0, 0, 8, 1]))
    for (let i = 0; i < 3; i++) put(outside, wrap([0x20, 0, 0, 0, 0, 0, 0, 7, i]))
    plane.round(100)
    assert.deepEqual(takeAll(inside), [])
    assert.deepEqual(plane.counts().drops, { 'path.none': 1 })
    assert.deepEqual(control[1], Uint8Array.of(0x20, 0, 0, 0, 0, 0, 0, 7, 1), 'the payload as it came')
    assert.deepEqual(plane.counts().paths[0]!.inbound.drops, { 'control.queue': 1 })
  })

  test('frames of an Ethernet tunnel are not asked for their source', () => {
    const { plane, inside, outside } = bed(pathsOf(new EtheripMachine({ outer })), 1500, 'ethernet')
    const frame = bytesOf(60)
    put(inside, frame)
    put(outside, packetOf('192.168.1.2', '192.168.1.1', concatBytes(Uint8Array.of(0x30, 0), frame), 97))
    plane.round(100)
    assert.deepEqual(takeAll(outside)[0]!.subarray(20), concatBytes(Uint8Array.of(0x30, 0), frame))
    assert.deepEqual(takeAll(inside), [frame])
  })

  test('an interface that does not run drops what is sent into it, and leaks nothing', () => {
    const { plane, inside, outside } = bed(pathsOf(new GifMachine({ outer })))
    plane.setRunning(1, false)
    put(inside, packetOf('172.16.0.1', '172.16.0.2', bytesOf(10)))
    plane.round(100)
    assert.deepEqual(takeAll(outside), [])
    assert.deepEqual(plane.counts().paths[0]!.outbound.drops, { notRunning: 1 })
    plane.removePath(1, 'ipv4')
    plane.setRunning(1, true)
    put(inside, packetOf('172.16.0.1', '172.16.0.2', bytesOf(10)))
    plane.round(100)
    assert.deepEqual(takeAll(outside), [])
    assert.deepEqual(plane.counts().drops, { 'send.noPath': 1 })
  })

  test('more than a batch goes through in order', () => {
    const { plane, inside, outside } = bed(pathsOf(new GifMachine({ outer })))
    const inners = Array.from({ length: 150 }, (_, i) =>
      packetOf('172.16.0.1', '172.16.0.2', Uint8Array.of(i)),
    )
    for (const inner of inners) put(inside, inner)
    for (let i = 0; i < 4; i++) plane.round(0)
    assert.deepEqual(
      takeAll(outside).map((bytes) => bytes[40]),
      inners.map((_, i) => i),
    )
  })
})
