/**
 * ESP in UDP from end to end: two data planes whose carriers are UDP sockets of the loopback, which cuts and joins
 * datagrams as a card does. What is joined is decrypted where it lies, and joined again.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { concatBytes, type IpAddress, internetChecksum, parseIpAddress, readUint16 } from '../base/index.js'
import { ManualSaMachine, type SaSpec } from '../proto/esp/index.js'
import { type SaOptions, saOf } from '../proto/esp/testing.js'
import type { PolicySpec, UdpCarrier } from '../proto/machine.js'
import { libc } from './ffi.js'
import { uint32 } from './netlink.js'
import { readVnetHeader, VNET_LENGTH, type VnetHeader, writeVnetHeader } from './offload/index.js'
import { type SegmentShape, sealChecksums, segmentsOf, tcpPacket } from './offload/testing.js'
import { DataPlane } from './plane.js'
import { AF_INET6, decodeSockaddr, encodeSockaddr, SOCK_DGRAM } from './sockaddr.js'
import type { RouteLookup } from './source-filter.js'
import { pathsOf, put, Sockets, takeAll } from './testing.js'
import { openUdpSocket } from './udp-socket.js'

const skip = process.platform === 'linux' ? false : 'needs Linux'
const TUNNEL = 7
/** What a segment with its ESP in an Ethernet's MTU holds, and its IP and TCP headers. */
const SEGMENT = 1340
const HEADERS = 52

const shape: SegmentShape = {
  kind: 4,
  port: 40_000,
  identification: 7,
  dontFragment: true,
  trafficClass: 0,
  ttl: 64,
  sequence: 1,
  acknowledgment: 5,
  flags: 0x18,
  options: new Uint8Array(12).fill(1),
}
const everything = (direction: 'in' | 'out', { family, bytes }: IpAddress): PolicySpec => ({
  direction,
  action: 'require',
  family,
  source: { address: bytes, length: 0 },
  destination: { address: bytes, length: 0 },
  paths: ['sa'],
})
/** Only the inner addresses lead into the tunnel. */
const routeTo: RouteLookup = (address) =>
  `${address}`.startsWith('10.1.') ? { interfaceIndex: TUNNEL, type: 1 } : undefined
const payloadOf = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >>> 8) + 17 * seed) & 0xff)

interface End {
  readonly plane: DataPlane
  readonly inside: number
}

describe('ESP in UDP between two data planes', { skip }, () => {
  const sockets = new Sockets()
  const opened: number[] = []
  after(() => {
    sockets.close()
    for (const fd of opened) libc().close(fd)
  })

  function freePort(address: IpAddress): number {
    const c = libc()
    const fd = c.socket(address.family === 4 ? 2 : AF_INET6, SOCK_DGRAM, 0)
    const name = encodeSockaddr(address)
    assert.equal(c.bind(fd, name, name.length), 0)
    assert.equal(c.getsockname(fd, name, uint32(name.length)), 0)
    c.close(fd)
    return decodeSockaddr(name)!.port
  }

  function ends(text: string, options: SaOptions, offload: boolean, mtu = 1500): [End, End] {
    const loopback = parseIpAddress(text)!
    const ports = [freePort(loopback), freePort(loopback)]
    const sa = (spi: number): SaSpec => ({
      ...saOf({ udpEncapsulation: true, window: 8192, ...options, spi }),
      local: loopback.bytes,
      remote: loopback.bytes,
    })
    return [0, 1].map((i): End => {
      const [tun, inside] = sockets.pair()
      const [wake] = sockets.pair()
      const plane = new DataPlane(wake, routeTo, {
        control: () => assert.fail('nothing is for the machine'),
        reached: () => assert.fail('no limit is reached'),
        refused: () => assert.fail('nothing is refused'),
        lost: (_id, reason) => assert.fail(reason),
      })
      const carrier: UdpCarrier = {
        kind: 'udp',
        protocol: 17,
        local: loopback,
        remote: loopback,
        localPort: ports[i]!,
        remotePort: ports[1 - i]!,
      }
      const fd = openUdpSocket(carrier, { joined: options.mode !== 'transport' })
      opened.push(fd)
      plane.addInterface({ id: 1, name: 'enc0', fd: tun, index: TUNNEL, layer: 'ip', mtu: 1400, offload })
      plane.addCarrier(
        {
          id: 2,
          kind: 'udp',
          fd,
          family: loopback.family,
          protocol: 17,
          local: loopback.bytes,
          remote: loopback.bytes,
          defaultTtl: 64,
        },
        1,
        () => mtu,
      )
      plane.addPath({
        ...pathsOf(
          new ManualSaMachine({
            paths: [{ id: 'sa', carrier, outbound: sa(0x1000 + i), inbound: [sa(0x1001 - i)] }],
          }),
        )[0]!,
        interfaceId: 1,
        carrierId: 2,
      })
      // Of a packet between the ends themselves the routes would say that it belongs elsewhere.
      if (options.mode === 'transport')
        plane.setPolicies(
          1,
          (['in', 'out'] as const).map((direction) => everything(direction, loopback)),
        )
      return { plane, inside }
    }) as [End, End]
  }

  /** Until nothing more comes out at the far end. */
  function carry(from: End, to: End, give: () => void): Uint8Array[] {
    give()
    const all: Uint8Array[] = []
    for (let quiet = 0; quiet < 2; ) {
      from.plane.round(20)
      to.plane.round(20)
      const taken = takeAll(to.inside)
      all.push(...taken)
      quiet = taken.length === 0 ? quiet + 1 : 0
    }
    return all
  }

  const suites: Readonly<Record<string, SaOptions>> = {
    'AES-GCM': {},
    'AES-GCM with extended sequence numbers': { esn: true },
    'ChaCha20-Poly1305': { suite: { encryption: 'ENCR_CHACHA20_POLY1305' } },
    'AES-CBC and SHA-1': { suite: { encryption: 'ENCR_AES_CBC', integrity: 'AUTH_HMAC_SHA1_96' } },
    'NULL and SHA-256': { suite: { encryption: 'ENCR_NULL', integrity: 'AUTH_HMAC_SHA2_256_128' } },
  }

  for (const [name, options] of Object.entries(suites))
    for (const address of ['127.0.0.1', '::1'])
      test(`${name} over ${address}: pieces of TCP come out as they went in`, () => {
        const [a, b] = ends(address, options, true)
        for (const [from, to] of [
          [a, b],
          [b, a],
        ] as const) {
          const payloads = [30_000, 777, 29_480, 12_000].map(payloadOf)
          const taken = carry(from, to, () => {
            for (const [i, payload] of payloads.entries()) {
              const header: VnetHeader = {
                flags: 1,
                gsoType: payload.length > SEGMENT ? 1 : 0,
                hdrLen: HEADERS,
                gsoSize: payload.length > SEGMENT ? SEGMENT : 0,
                csumStart: 20,
                csumOffset: 16,
              }
              const packet = tcpPacket({ ...shape, port: 40_000 + i }, payload)
              const bytes = concatBytes(new Uint8Array(VNET_LENGTH), packet)
              writeVnetHeader(new DataView(bytes.buffer), 0, header)
              // The kernel leaves the sum of the pseudo-header alone.
              let sum = 6 + packet.length - 20
              for (let k = 12; k < 20; k += 2) sum += (packet[k]! << 8) | packet[k + 1]!
              while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
              new DataView(bytes.buffer).setUint16(VNET_LENGTH + 36, sum)
              put(from.inside, bytes)
            }
          })
          const byPort = new Map<number, Uint8Array[]>()
          for (const bytes of taken) {
            const { gsoSize } = readVnetHeader(new DataView(bytes.buffer), 0)
            const packet = bytes.slice(VNET_LENGTH)
            assert.ok(packet.length - HEADERS <= SEGMENT || gsoSize === SEGMENT)
            const port = (packet[20]! << 8) | packet[21]!
            byPort.set(port, [...(byPort.get(port) ?? []), packet.subarray(HEADERS)])
          }
          for (const [i, payload] of payloads.entries())
            assert.deepEqual(concatBytes(...byPort.get(40_000 + i)!), payload)
          assert.ok(taken.length < 15, `${taken.length} pieces`)
          const [path] = to.plane.counts().paths
          assert.deepEqual([path!.inbound.drops, path!.outbound.drops], [{}, {}])
        }
      })

  for (const offload of [false, true])
    test(`what does not fit the path is answered with what would${offload ? ', with offloads as well' : ''}`, () => {
      const [a, b] = ends('127.0.0.1', { copyDf: true }, offload, 1300)
      const header = new Uint8Array(offload ? VNET_LENGTH : 0)
      const segment = (length: number, dontFragment = true): Uint8Array =>
        tcpPacket({ ...shape, dontFragment }, payloadOf(length, 1))
      const tooBig = segment(1200)
      for (let i = 0; i < 3; i++) put(a.inside, concatBytes(header, tooBig))
      a.plane.round(20)
      const [answer, ...more] = takeAll(a.inside)
      assert.equal(more.length, 0, 'one answer for what comes at once')
      const error = answer!.subarray(header.length)
      assert.equal(internetChecksum(error, 0, 20), 0)
      assert.equal(internetChecksum(error, 20, error.length), 0)
      assert.deepEqual([...error.subarray(12, 22)], [10, 1, 0, 2, 10, 1, 0, 1, 3, 4])
      const largest = readUint16(error, 26)
      // 20 of IP, 8 of UDP, 16 of ESP and IV, 16 of ICV, and whole words with the trailer.
      assert.equal(largest, 1238)
      assert.equal(error.length, 576)
      assert.deepEqual(error.subarray(28), tooBig.subarray(0, 548))
      const fitting = [segment(largest - HEADERS), segment(1200, false)]
      const taken = carry(a, b, () => {
        for (const packet of fitting) put(a.inside, concatBytes(header, packet))
      })
      assert.deepEqual(
        taken.map((bytes) => bytes.subarray(header.length)),
        fitting,
        'with DF what fits, without what has to go in fragments',
      )
      assert.deepEqual(a.plane.counts().paths[0]!.outbound.drops, { 'outer.tooBig': 3 })
    })

  for (const mode of ['tunnel', 'transport'] as const)
    test(`${mode} mode, packet by packet: every byte of every header is the one that was sent`, () => {
      const [a, b] = ends('127.0.0.1', { mode, esn: true }, false)
      const packets = segmentsOf(shape, payloadOf(40_000, 3), 1200)
      if (mode === 'transport')
        for (const packet of packets) {
          packet.set([127, 0, 0, 1, 127, 0, 0, 1], 12)
          // What a datagram's header does not say cannot be made again.
          packet.set([0, 0, 0, 0], 4)
          sealChecksums(packet)
        }
      const taken = carry(a, b, () => {
        for (const packet of packets) put(a.inside, packet)
      })
      assert.deepEqual(taken, packets)
    })
})
