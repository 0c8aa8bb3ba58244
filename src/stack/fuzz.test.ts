/**
 * A stranger who knows the formats: headers that are mostly right, in every combination, in fragments, with bits
 * turned and checksums mended. Nothing throws, and the honest go on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concatBytes, milliseconds, type Random, SeededRandom, seconds, writeUint16 } from '../base/index.js'
import { sealIcmpChecksum } from '../wire/icmp.js'
import { sealIpv4Checksum } from '../wire/ipv4.js'
import { fragmentIpv4, fragmentIpv6 } from './fragment.js'
import {
  address,
  configure,
  echoRequest,
  rawFragmentHeader,
  rawIpv4,
  rawIpv6,
  rawUdp,
  TestNetwork,
} from './testing.js'

const PACKETS = 4000
const ADDRESSES_V4 = [
  '10.0.0.1',
  '10.0.0.2',
  '10.0.0.77',
  '10.0.0.255',
  '172.16.0.1',
  '192.168.1.2',
  '203.0.113.1',
  '224.0.0.1',
  '255.255.255.255',
]
const ADDRESSES_V6 = ['fd00::1', 'fd00::2', 'fd00::77', 'fd02::2', 'fe80::1', 'ff02::1', '2001:db8::1']

class Stranger {
  readonly random: Random

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  one<T>(of: readonly T[]): T {
    return of[this.random.below(of.length)]!
  }

  chance(of: number): boolean {
    return this.random.below(of) === 0
  }

  noise(length: number): Uint8Array {
    return this.random.fill(new Uint8Array(length))
  }

  /** The packets of one datagram, whole or cut. */
  datagram(family: 4 | 6): Uint8Array[] {
    const packets = family === 4 ? this.#ipv4() : this.#ipv6()
    if (this.chance(4)) packets.reverse()
    return packets.map((packet) => this.#spoil(packet, family))
  }

  #ipv4(): Uint8Array[] {
    const protocol = this.one([1, 1, 17, 6, 47, 2, 4, 200])
    const payload = this.#payload(4)
    if (protocol === 1 && payload.length >= 4 && !this.chance(4)) sealIcmpChecksum(payload, 0, payload.length)
    const whole = rawIpv4(
      {
        source: this.one(ADDRESSES_V4),
        destination: this.one(ADDRESSES_V4),
        protocol,
        ttl: this.one([0, 1, 2, 64, 255]),
        identification: this.random.below(4),
        dontFragment: this.chance(4),
        moreFragments: this.chance(8),
        offset: this.chance(8) ? 8 * this.random.below(20) : 0,
        options: this.chance(6)
          ? [{ kind: this.one([7, 68, 131, 137, 148, 30]), data: this.noise(this.random.below(20)) }]
          : [],
      },
      payload,
    )
    return this.chance(4) ? fragmentIpv4(whole, 28 + this.random.below(80)) : [whole]
  }

  #ipv6(): Uint8Array[] {
    let nextHeader = this.one([58, 58, 17, 6, 47, 200])
    let payload = this.#payload(6)
    for (let count = this.random.below(4); count > 0; count--) {
      const kind = this.one([0, 60, 43, 44])
      const header = kind === 44 ? this.#fragmentHeader(nextHeader) : this.#extension(kind, nextHeader)
      payload = concatBytes(header, payload)
      nextHeader = kind
    }
    const source = this.one(ADDRESSES_V6)
    const hopLimit = this.one([0, 1, 2, 64, 255, 255])
    const whole = rawIpv6({ source, destination: this.one(ADDRESSES_V6), nextHeader, hopLimit }, payload)
    return this.chance(4) ? fragmentIpv6(whole, 60 + this.random.below(80), this.random.below(4)) : [whole]
  }

  #fragmentHeader(nextHeader: number): Uint8Array {
    const offset = this.chance(2) ? 8 * this.random.below(10) : 0
    return rawFragmentHeader(nextHeader, offset, this.chance(2), this.random.below(4))
  }

  #extension(kind: number, nextHeader: number): Uint8Array {
    const header = this.noise(8 * (1 + this.random.below(3)))
    header[0] = nextHeader
    header[1] = header.length / 8 - 1
    if (kind === 43) header[2] = this.one([0, 2, 4])
    else if (this.chance(2)) header.fill(0, 2)
    return header
  }

  #payload(family: 4 | 6): Uint8Array {
    const [ours, theirs] = family === 4 ? ['10.0.0.1', '10.0.0.2'] : ['fd00::1', 'fd00::2']
    switch (this.random.below(6)) {
      case 0:
        return this.noise(this.random.below(100))
      case 1:
        return echoRequest(family, this.random.below(300))
      case 2: {
        const message = this.noise(8 + this.random.below(60))
        message[0] = this.one([1, 2, 3, 4, 5, 11, 12, 128, 134, 135, 136, 137])
        return message
      }
      case 3: {
        const head = this.noise(8)
        head[0] = this.one([1, 2, 3, 11])
        head[1] = this.random.below(6)
        const quoted = { source: ours, destination: theirs }
        return concatBytes(
          head,
          family === 4
            ? rawIpv4({ ...quoted, protocol: this.one([6, 17, 47]) }, this.noise(20))
            : rawIpv6({ ...quoted, nextHeader: this.one([0, 6, 17, 44, 60]) }, this.noise(40)),
        )
      }
      case 4:
        return rawUdp(theirs, ours, 9, 7, this.noise(this.random.below(50)))
      default: {
        const segment = this.noise(20 + 4 * this.random.below(5))
        writeUint16(segment, 2, 8888)
        segment[12] = segment.length << 2
        return segment
      }
    }
  }

  #spoil(packet: Uint8Array, family: 4 | 6): Uint8Array {
    const bytes = packet.slice()
    for (let turns = this.chance(2) ? this.random.below(3) : 0; turns > 0; turns--) {
      const at = this.random.below(bytes.length)
      bytes[at] = bytes[at]! ^ (1 << this.random.below(8))
    }
    if (family === 4 && this.chance(2) && 4 * (bytes[0]! & 15) <= bytes.length && (bytes[0]! & 15) >= 5)
      sealIpv4Checksum(bytes, 0)
    return this.chance(8) ? bytes.subarray(0, this.random.below(bytes.length + 1)) : bytes
  }
}

for (const seed of [1, 2, 3])
  test(`a stranger who knows the formats, seed ${seed}`, () => {
    const stranger = new Stranger(seed)
    const network = new TestNetwork(seed)
    const alice = network.stack('alice')
    const bob = network.stack('bob')
    const [a, b] = network.cable(alice, bob)
    configure(a, '192.168.1.1/24', 'fd02::1/64')
    configure(b, '192.168.1.2/24', 'fd02::2/64')
    const wire = network.probe(alice, { kind: 'ethernet' })
    configure(wire, '10.0.0.1/24', 'fd00::1/64')
    const tunnel = network.probe(alice)
    configure(tunnel, '172.16.0.1/32 172.16.0.2')
    alice.settings.forwarding4 = true
    alice.settings.forwarding6 = true
    alice.udp.bind({ port: 7, onDatagram: () => {} })
    alice.tcp.listen({ port: 8888, onConnection: () => {} })
    // A handler that changes what it is lent, even where it does not take it.
    alice.handle(47, (packet) => {
      packet.view().fill(0xee)
      packet.start = Math.min(packet.end, packet.start + 4)
      return stranger.chance(2)
    })
    for (let i = 0; i < PACKETS; i++) {
      const family = stranger.one([4, 6] as const)
      for (const packet of stranger.datagram(family)) {
        if (stranger.chance(2)) {
          tunnel.inject(packet)
          continue
        }
        const to = stranger.chance(8) ? new Uint8Array(6).fill(0xff) : wire.ifc.mac!.bytes
        const from = Uint8Array.of(2, 0, 0, 0, 0, stranger.random.below(4))
        wire.inject(concatBytes(to, from, Uint8Array.of(...(family === 4 ? [8, 0] : [0x86, 0xdd])), packet))
      }
      if (stranger.chance(20)) {
        const destination = address(stranger.one(ADDRESSES_V4))
        const payload = stranger.noise(stranger.random.below(3000))
        const dontFragment = stranger.chance(2)
        network.send(alice, { protocol: stranger.one([1, 17, 47]), destination, payload, dontFragment })
      }
      if (stranger.chance(200)) network.advance(stranger.one([milliseconds(10), seconds(1), seconds(40)]))
    }
    network.advance(seconds(100))
    assert.equal(network.ping(alice, '192.168.1.2').replied, true)
    assert.equal(network.ping(bob, 'fd02::1').replied, true)
    assert.equal(network.ping(bob, '192.168.1.1', { size: 3000 }).replied, true)
    // It was no idle stranger: most of what can be wrong was.
    assert.ok(Object.keys(alice.counters.toJSON()).length > 70)
  })
