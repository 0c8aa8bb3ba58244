/** UDP carriers over the loopback, which cuts and joins datagrams as a card does; and against kernels that refuse. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { Counters, type IpAddress, PacketBuffer, parseIpAddress, SeededRandom } from '../base/index.js'
import { Arena } from './arena.js'
import type { MtuLookup } from './carrier.js'
import { Errno, LITTLE_ENDIAN, type Libc, libc } from './ffi.js'
import type { CarrierSpec } from './messages.js'
import { uint32 } from './netlink.js'
import type { PlanePath } from './path.js'
import { sendDatagram } from './send.js'
import {
  AF_INET6,
  decodeSockaddr,
  encodeSockaddr,
  IP_MTU_DISCOVER,
  IPPROTO_IP,
  MMSGHDR_LENGTH,
  MSG_IOVLEN,
  PMTUDISC_DO,
  PMTUDISC_DONT,
  SOCK_DGRAM,
} from './sockaddr.js'
import { UdpCarrier } from './udp-carrier.js'
import { UdpMessages } from './udp-messages.js'
import { openUdpSocket, setJoined } from './udp-socket.js'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const random = new SeededRandom(1)

interface Taken {
  readonly bytes: Uint8Array
  readonly ttl: number
  readonly trafficClass: number
  readonly flowLabel: number
  /** Between this datagram and the one before it in memory; 0: joined. */
  readonly gap: number
}

describe('UDP carriers', { skip }, () => {
  const arena = skip === false ? new Arena() : (undefined as never)
  const opened: number[] = []
  after(() => {
    for (const fd of opened) libc().close(fd)
  })

  /** A port that nobody has. */
  function freePort(address: IpAddress): number {
    const c = libc()
    const fd = c.socket(address.family === 4 ? 2 : AF_INET6, SOCK_DGRAM, 0)
    const name = encodeSockaddr(address)
    assert.equal(c.bind(fd, name, name.length), 0)
    assert.equal(c.getsockname(fd, name, uint32(name.length)), 0)
    c.close(fd)
    return decodeSockaddr(name)!.port
  }

  interface Options {
    readonly mtu?: number
    readonly mtuOf?: MtuLookup
    readonly libc?: Partial<Libc>
    readonly joined?: boolean
  }

  interface Bed {
    readonly carrier: UdpCarrier
    readonly path: PlanePath
    readonly fd: number
    readonly peer: UdpCarrier
    readonly peerFd: number
    readonly messages: UdpMessages
    /** Numbers of datagrams of each message, as they were sent with success. */
    readonly sent: number[]
    push(length: number, outer?: Partial<PacketBuffer>): Uint8Array
    takeAll(): Taken[]
    drops(): Record<string, number>
  }

  function bed(text: string, options: Options = {}): Bed {
    const address = parseIpAddress(text)!
    const [localPort, remotePort] = [freePort(address), freePort(address)]
    const ends = { kind: 'udp', protocol: 17, local: address, remote: address } as const
    const fd = openUdpSocket({ ...ends, localPort, remotePort })
    const peerFd = openUdpSocket(
      { ...ends, localPort: remotePort, remotePort: localPort },
      { joined: options.joined ?? true },
    )
    opened.push(fd, peerFd)
    const spec = (socket: number): CarrierSpec => ({
      id: socket,
      kind: 'udp',
      fd: socket,
      family: address.family,
      protocol: 17,
      local: address.bytes,
      remote: address.bytes,
      defaultTtl: 61,
    })
    const messages = new UdpMessages(address.family, arena)
    const sent: number[] = []
    const real = libc()
    const c: Libc = {
      ...real,
      sendmmsg(socket, at, count, flags) {
        const result = (options.libc?.sendmmsg ?? real.sendmmsg)(socket, at, count, flags)
        for (let i = 0; i < result; i++) sent.push(datagramsAt(messages, at + i * MMSGHDR_LENGTH))
        return result
      },
      ...(options.libc?.errno === undefined ? {} : { errno: options.libc.errno }),
    }
    const carrier = new UdpCarrier(spec(fd), arena, {
      libc: c,
      messages,
      mtuOf: options.mtuOf ?? (() => options.mtu ?? 1500),
    })
    const peer = new UdpCarrier(spec(peerFd), arena)
    const counters = new Counters()
    const path = { transforms: { outbound: { drops: counters } } } as unknown as PlanePath
    const packet = new PacketBuffer(arena.bytes, 0, 0)
    let room = arena.segments
    return {
      carrier,
      path,
      fd,
      peer,
      peerFd,
      messages,
      sent,
      push(length, outer = {}) {
        const bytes = random.fill(new Uint8Array(length))
        arena.bytes.set(bytes, room)
        packet.reset(room, room + length, 0)
        Object.assign(packet, outer)
        carrier.push(path, packet, 0)
        room += length + 7
        return bytes
      },
      takeAll() {
        const all: Taken[] = []
        let last = 0
        const arrived = new PacketBuffer(arena.bytes, 0, 0)
        for (;;) {
          const before = all.length
          peer.receive(
            arrived,
            (_carrier, { start, end, outerTtl, outerTrafficClass, outerFlowLabel }) => {
              all.push({
                bytes: arena.bytes.slice(start, end),
                ttl: outerTtl,
                trafficClass: outerTrafficClass,
                flowLabel: outerFlowLabel,
                gap: start - last,
              })
              last = end
            },
            0,
          )
          if (all.length === before) return all
        }
      },
      drops: () => counters.toJSON(),
    }
  }

  /** How many datagrams the message at an address holds. */
  const datagramsAt = ({ memory }: UdpMessages, address: number): number =>
    memory.view.getUint32(address - memory.base + MSG_IOVLEN, LITTLE_ENDIAN)

  const bytesOf = (taken: readonly Taken[]): Uint8Array[] => taken.map(({ bytes }) => bytes)

  for (const address of ['127.0.0.1', '::1']) {
    test(`${address}: datagrams of one length are one message, joined again, in order and whole`, () => {
      const { carrier, push, sent, takeAll, drops } = bed(address)
      const lengths = [
        ...new Array<number>(40).fill(1400),
        300,
        300,
        200,
        900,
        ...new Array<number>(70).fill(80),
      ]
      const wanted = lengths.map((length) => push(length))
      carrier.flush()
      assert.deepEqual(
        sent,
        [41, 2, 2, 64, 5],
        'a shorter one is the last, a longer one the first, and 64 are the most',
      )
      const taken = takeAll()
      assert.deepEqual(bytesOf(taken), wanted)
      assert.deepEqual(drops(), {})
      assert.ok(taken.filter(({ gap }) => gap === 0).length > 40, 'the kernel has joined them')
      assert.ok(
        taken.every(({ ttl }) => ttl === 61),
        'the TTL that the carrier has where nobody says one',
      )
    })

    test(`${address}: TTL, DSCP, ECN and flow label are each datagram's own`, () => {
      const { carrier, push, sent, takeAll } = bed(address)
      const outer = [
        { outerTrafficClass: 0xb9, outerTtl: 9 },
        { outerTrafficClass: 0xb9, outerTtl: 9 },
        { outerTrafficClass: 0xbb, outerTtl: 9 },
        { outerTrafficClass: 0xbb, outerTtl: 255 },
        { outerTrafficClass: 0, outerTtl: 1, outerFlowLabel: address === '::1' ? 0xabcde : 0 },
      ]
      for (const one of outer) push(100, one)
      carrier.flush()
      assert.deepEqual(sent, [2, 1, 1, 1])
      assert.deepEqual(
        takeAll().map(({ ttl, trafficClass, flowLabel }) => ({ ttl, trafficClass, flowLabel })),
        outer.map(({ outerTtl, outerTrafficClass, outerFlowLabel = 0 }) => ({
          ttl: outerTtl,
          trafficClass: outerTrafficClass,
          flowLabel: outerFlowLabel,
        })),
      )
    })

    test(`${address}: a keepalive leaves from the carrier's own port`, () => {
      const { fd, takeAll } = bed(address)
      const local = parseIpAddress(address)!
      const carrier = {
        kind: 'udp',
        protocol: 17,
        local,
        remote: local,
        localPort: 1,
        remotePort: 2,
      } as const
      const payload = Uint8Array.of(0xff)
      assert.equal(sendDatagram(fd, { carrier, payload, ttl: 33, trafficClass: 0x28 }, 64), undefined)
      const [taken, ...more] = takeAll()
      assert.equal(more.length, 0)
      assert.deepEqual([taken!.bytes, taken!.ttl, taken!.trafficClass], [payload, 33, 0x28])
    })

    test(`${address}: an ICMP error is told once and counted, and costs no datagram`, () => {
      const { carrier, peerFd, push, drops } = bed(address)
      libc().close(peerFd)
      opened.splice(opened.indexOf(peerFd), 1)
      push(10)
      carrier.flush()
      const packet = new PacketBuffer(arena.bytes, 0, 0)
      assert.equal(
        carrier.receive(packet, () => assert.fail('nothing has arrived'), 0),
        false,
      )
      assert.deepEqual(carrier.drops.toJSON(), { 'outer.icmp.ECONNREFUSED': 1 })
      push(10)
      carrier.flush()
      push(10)
      carrier.flush()
      assert.deepEqual(carrier.drops.toJSON(), { 'outer.icmp.ECONNREFUSED': 2 })
      assert.deepEqual(drops(), {})
    })

    test(`${address}: what one IP packet cannot carry is refused, and no train is longer than one`, () => {
      const { carrier, push, sent, takeAll, drops } = bed(address, { mtu: 65_536 })
      const wanted = [push(9000), ...new Array<number>(9).fill(9000).map((length) => push(length))]
      push(65_530)
      carrier.flush()
      assert.deepEqual(sent, [7, 3])
      assert.deepEqual(bytesOf(takeAll()), wanted)
      assert.deepEqual(drops(), { 'outer.tooBig': 1 })
    })
  }

  test('a batch has an end: more trains and more datagrams than it takes go out as well', () => {
    const { carrier, push, sent, takeAll } = bed('127.0.0.1')
    const lengths = Array.from({ length: 700 }, (_, i) => 20 + (i % 2))
    const wanted = lengths.map((length) => push(length))
    const more = Array.from({ length: 600 }, () => push(30))
    carrier.flush()
    assert.deepEqual(bytesOf(takeAll()), [...wanted, ...more])
    assert.equal(
      sent.reduce((sum, count) => sum + count, 0),
      1300,
    )
  })

  test('DF is as each datagram wants it; without, what is too long goes in fragments, else it is refused', () => {
    const { carrier, fd, push, sent, takeAll, drops } = bed('127.0.0.1', { mtu: 576 })
    const discovery = (): number => {
      const value = uint32(0)
      assert.equal(libc().getsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, value, uint32(4)), 0)
      return value[0]!
    }
    const df = { outerDontFragment: true }
    const wanted = [push(100, df), push(100, df), push(100)]
    push(549, df)
    wanted.push(push(548, df), push(549), push(549), push(500))
    carrier.flush()
    assert.equal(discovery(), PMTUDISC_DONT)
    push(10, df)
    carrier.flush()
    assert.equal(discovery(), PMTUDISC_DO)
    assert.deepEqual(sent, [2, 1, 1, 1, 1, 1, 1], 'fragments are not cut from trains')
    assert.deepEqual(bytesOf(takeAll()).slice(0, -1), wanted)
    assert.deepEqual(drops(), { 'outer.tooBig': 1 })
  })

  test('from nobody but the peer', () => {
    const { peerFd, peer, takeAll, push, carrier } = bed('127.0.0.1')
    const c = libc()
    const stranger = c.socket(2, SOCK_DGRAM, 0)
    opened.push(stranger)
    const name = encodeSockaddr(parseIpAddress('127.0.0.1')!)
    assert.equal(c.getsockname(peerFd, name, uint32(16)), 0)
    assert.equal(c.connect(stranger, name, 16), 0)
    assert.equal(c.send(stranger, Uint8Array.of(1, 2, 3), 3, 0), 3)
    const wanted = push(20)
    carrier.flush()
    assert.deepEqual(bytesOf(takeAll()), [wanted])
    assert.deepEqual(peer.drops.toJSON(), {})
  })

  test('where there has to be room in front, the kernel joins nothing', () => {
    const { carrier, push, takeAll, peerFd } = bed('127.0.0.1', { joined: false })
    const wanted = [push(100), push(100), push(100)]
    carrier.flush()
    const taken = takeAll()
    assert.deepEqual(bytesOf(taken), wanted)
    assert.ok(taken.every(({ gap }) => gap !== 0))
    setJoined(peerFd, true)
    push(100)
    push(100)
    carrier.flush()
    assert.equal(takeAll()[1]!.gap, 0)
  })

  for (const refusal of ['EIO', 'EINVAL', 'EOPNOTSUPP'] as const)
    test(`a kernel that cuts nothing (${refusal}) gets single datagrams, and none is lost`, () => {
      let errno = 0
      const messages: { of?: UdpMessages } = {}
      const { carrier, push, sent, takeAll, drops, ...rest } = bed('127.0.0.1', {
        libc: {
          sendmmsg(fd, at, count, flags) {
            for (let i = 0; i < count; i++)
              if (datagramsAt(messages.of!, at + i * MMSGHDR_LENGTH) > 1) {
                if (i > 0) return libc().sendmmsg(fd, at, i, flags)
                errno = Errno[refusal]
                return -1
              }
            return libc().sendmmsg(fd, at, count, flags)
          },
          errno: () => errno,
        },
      })
      messages.of = rest.messages
      const wanted = [50, 100, 100, 100, 200, 200, 70].map((length) => push(length))
      carrier.flush()
      assert.equal(carrier.cuts, false)
      wanted.push(push(90), push(90))
      carrier.flush()
      assert.deepEqual(sent, [1, 1, 1, 1, 1, 1, 1, 1, 1])
      assert.deepEqual(bytesOf(takeAll()), wanted)
      assert.deepEqual(drops(), {})
      assert.deepEqual(carrier.drops.toJSON(), {})
    })

  test('a path MTU that has become too small for the segments is no reason to stop cutting', () => {
    let asked = 0
    const { carrier, push, drops } = bed('127.0.0.1', {
      mtuOf: () => (asked++ === 0 ? 1500 : 576),
      libc: { sendmmsg: () => -1, errno: () => Errno.EINVAL },
    })
    push(1000)
    push(1000)
    carrier.flush()
    assert.equal(carrier.cuts, true)
    assert.deepEqual(drops(), { 'outer.EINVAL': 2 })
  })

  test('a queue that stays full costs what does not fit, datagram by datagram', () => {
    const { carrier, push, drops } = bed('127.0.0.1', {
      libc: { sendmmsg: () => -1, errno: () => Errno.ENOBUFS },
    })
    for (let i = 0; i < 5; i++) push(100)
    push(200)
    carrier.flush()
    assert.deepEqual(drops(), { 'outer.queue': 6 })
  })
})
