/** The sockets of UDP carriers over the loopback, which need no right. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { Counters, parseIpAddress } from '../base/index.js'
import { type SaOptions, saOf } from '../proto/esp/testing.js'
import type { PathSpec, UdpCarrier } from '../proto/machine.js'
import { libc } from './ffi.js'
import type { CarrierSpec } from './messages.js'
import { uint32 } from './netlink.js'
import {
  decodeSockaddr,
  encodeSockaddr,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
} from './sockaddr.js'
import { CarrierSockets } from './sockets.js'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const LOOPBACK = parseIpAddress('127.0.0.1')!

describe('the sockets of carriers', { skip }, () => {
  const opened: number[] = []
  after(() => {
    for (const fd of opened) libc().close(fd)
  })

  function bed(): {
    sockets: CarrierSockets
    specs: CarrierSpec[]
    released: number[]
    counters: Counters
  } {
    const specs: CarrierSpec[] = []
    const released: number[] = []
    const counters = new Counters()
    let id = 10
    const sockets = new CarrierSockets({
      counters,
      nextId: () => id++,
      opened: (spec) => {
        specs.push(spec)
        opened.push(spec.fd)
      },
      released: (which) => released.push(which),
    })
    return { sockets, specs, released, counters }
  }

  /** A non-blocking UDP socket of everybody's, shared as IKE's is; port 0: a free one. */
  function everybody(port = 0): { fd: number; port: number } {
    const c = libc()
    const fd = c.socket(2, SOCK_DGRAM | SOCK_NONBLOCK, 0)
    opened.push(fd)
    for (const option of [SO_REUSEADDR, SO_REUSEPORT])
      assert.equal(c.setsockopt(fd, SOL_SOCKET, option, uint32(1), 4), 0)
    const name = encodeSockaddr(LOOPBACK, port)
    assert.equal(c.bind(fd, name, 16), 0)
    assert.equal(c.getsockname(fd, name, uint32(16)), 0)
    return { fd, port: decodeSockaddr(name)!.port }
  }

  function received(fd: number): number[] {
    const buffer = new Uint8Array(100)
    const all: number[] = []
    while (libc().recv(fd, buffer, buffer.length, 0) >= 0) all.push(buffer[0]!)
    return all
  }

  const carrierOf = (localPort: number, remotePort: number): UdpCarrier => ({
    kind: 'udp',
    protocol: 17,
    local: LOOPBACK,
    remote: LOOPBACK,
    localPort,
    remotePort,
  })
  const pathOf = (carrier: UdpCarrier, options: SaOptions = {}): Pick<PathSpec, 'carrier' | 'transform'> => ({
    carrier,
    transform: { protocol: 'esp', outbound: saOf(options), inbound: [saOf(options)] },
  })
  const joins = (fd: number): boolean => {
    const value = uint32(0)
    assert.equal(libc().getsockopt(fd, SOL_UDP, UDP_GRO, value, uint32(4)), 0)
    return value[0] === 1
  }

  test('paths of one carrier share a socket, which goes with the last of them', () => {
    const { sockets, specs, released } = bed()
    const [a, b] = [everybody().port, everybody().port]
    const first = sockets.acquire(pathOf(carrierOf(a, 9)))
    assert.equal(sockets.acquire(pathOf(carrierOf(a, 9))), first)
    const second = sockets.acquire(pathOf(carrierOf(b, 9)))
    assert.notEqual(second, first)
    assert.equal(specs.length, 2)
    assert.deepEqual([specs[0]!.kind, specs[0]!.protocol, specs[0]!.family], ['udp', 17, 4])
    sockets.giveBack(carrierOf(a, 9))
    assert.deepEqual(released, [])
    sockets.giveBack(carrierOf(a, 9))
    sockets.giveBack(carrierOf(a, 9))
    assert.deepEqual(released, [first])
    assert.notEqual(sockets.acquire(pathOf(carrierOf(a, 9))), first)
  })

  test('datagrams may arrive joined, until a path comes that needs the room between them', () => {
    const { sockets, specs } = bed()
    const { port } = everybody()
    const carrier = carrierOf(port, 9)
    sockets.acquire(pathOf(carrier))
    assert.equal(joins(specs[0]!.fd), true)
    sockets.acquire(pathOf(carrier, { mode: 'transport' }))
    assert.equal(joins(specs[0]!.fd), false)
    assert.equal(specs.length, 1)
    const other = carrierOf(everybody().port, 9)
    sockets.acquire(pathOf(other, { mode: 'transport' }))
    assert.equal(joins(specs[1]!.fd), false)
  })

  test("the peer's datagrams are the carrier's, and everybody else's are the socket's of everybody", () => {
    const { sockets, specs } = bed()
    const ike = everybody()
    const [peer, stranger] = [everybody(), everybody()]
    sockets.acquire(pathOf(carrierOf(ike.port, peer.port)))
    const c = libc()
    const to = encodeSockaddr(LOOPBACK, ike.port)
    for (const [i, { fd }] of [peer, stranger].entries()) {
      assert.equal(c.connect(fd, to, 16), 0)
      assert.equal(c.send(fd, Uint8Array.of(i + 1), 1, 0), 1)
    }
    assert.deepEqual(received(specs[0]!.fd), [1])
    assert.deepEqual(received(ike.fd), [2])
  })

  test("a machine's own datagram leaves from the carrier's port, whether it stands or not", () => {
    const { sockets, counters } = bed()
    const [own, peer] = [everybody(), everybody()]
    const c = libc()
    // What does not come from that port is not heard.
    assert.equal(c.connect(peer.fd, encodeSockaddr(LOOPBACK, own.port), 16), 0)
    const carrier = carrierOf(own.port, peer.port)
    sockets.transmit({ carrier, payload: Uint8Array.of(1) })
    sockets.acquire(pathOf(carrier))
    sockets.transmit({ carrier, payload: Uint8Array.of(2), ttl: 5 })
    assert.deepEqual(received(peer.fd), [1, 2])
    assert.deepEqual(counters.toJSON(), {})
  })

  test('what cannot be sent is counted by reason', () => {
    const { sockets, counters } = bed()
    const elsewhere = { ...carrierOf(4500, 4500), local: parseIpAddress('192.0.2.77')! }
    sockets.transmit({ carrier: elsewhere, payload: Uint8Array.of(1) })
    assert.throws(() => sockets.acquire(pathOf(elsewhere)), { code: 'LINUX_EADDRNOTAVAIL' })
    const carrier = carrierOf(everybody().port, 9)
    sockets.transmit({ carrier, payload: new Uint8Array(65_530) })
    sockets.transmit({ carrier, payload: new Uint8Array(65_537) })
    assert.deepEqual(counters.toJSON(), {
      'transmit.LINUX_EADDRNOTAVAIL': 1,
      'transmit.EMSGSIZE': 1,
      'transmit.length': 1,
    })
  })
})
