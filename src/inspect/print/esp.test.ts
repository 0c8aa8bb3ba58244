/** ESP, AH and port 4500: what a line says and what every byte is. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { concatBytes } from '../../base/index.js'
import { ah, esp } from '../../wire/index.js'
import { dissect } from '../dissect/dissect.js'
import { explain } from '../explain.js'
import { LinkType } from '../link-type.js'
import {
  counting,
  echo,
  inner,
  ip4Packet,
  ip6Packet,
  outer,
  outer6,
  sealedIcmp6,
  tcpSegment,
  udpDatagram,
} from '../testing/packets.js'
import { type TcpdumpOptions, tcpdumpLine } from './line.js'

const line = (bytes: Uint8Array, options: TcpdumpOptions = {}): string =>
  tcpdumpLine(bytes, LinkType.raw, { numeric: true, snaplen: 2000, ...options })
const names = (bytes: Uint8Array): string =>
  dissect(bytes, LinkType.raw)
    .map(({ name }) => name)
    .join(' ')

const sealed = concatBytes(esp.toBytes({ spi: 0x927eb88c, sequence: 2 }), counting(128))
const inUdp = (data: Uint8Array, source = 4500, destination = 4500): Uint8Array =>
  ip4Packet(outer, 17, udpDatagram(outer, [source, destination], data))

const covered = (nextHeader: number, payload: Uint8Array, icv = 16): Uint8Array =>
  concatBytes(
    ah.toBytes({ nextHeader, payloadLength: (12 + icv) / 4 - 2, spi: 0x1234, sequence: 7 }),
    counting(icv),
    payload,
  )

test('ESP as the article prints it, over IPv4 and IPv6', () => {
  assert.match(
    line(ip4Packet(outer, 50, sealed)),
    /192\.168\.1\.1 > 192\.168\.1\.2: esp spi 0x927eb88c seq 2 len 136$/,
  )
  assert.match(line(ip6Packet(outer6, 50, sealed)), /esp spi 0x927eb88c seq 2 len 136$/)
  assert.match(line(ip4Packet(outer, 50, sealed.subarray(0, 7))), /\[\|esp\]$/)
})

describe('UDP port 4500 (RFC 3948)', () => {
  test('ESP, by either port', () => {
    const expected = 'udpencap: esp spi 0x927eb88c seq 2 len 136'
    assert.ok(line(inUdp(sealed)).endsWith(`192.168.1.1.4500 > 192.168.1.2.4500: ${expected}`))
    assert.ok(line(inUdp(sealed, 31_337)).endsWith(expected))
    assert.ok(line(inUdp(sealed, 4500, 31_337)).endsWith(expected))
    assert.equal(names(inUdp(sealed)), 'ipv4 udp esp')
  })
  test('a keepalive, IKE, and what is too short for either', () => {
    assert.match(line(inUdp(Uint8Array.of(0xff))), /: NAT-T Keepalive$/)
    assert.match(line(inUdp(new Uint8Array(31))), /: udpencap: \[\|isakmp\]$/)
    assert.match(
      line(inUdp(new Uint8Array(32))),
      /: udpencap: isakmp v0\.0 exchange NONE\n\tcookie: 0{16}->0{16} /,
    )
    assert.match(line(inUdp(Uint8Array.of(1, 2))), /: \[\|udpencap\]$/)
    assert.equal(names(inUdp(Uint8Array.of(0xff))), 'ipv4 udp payload')
    assert.equal(names(inUdp(new Uint8Array(32))), 'ipv4 udp marker ike')
    assert.equal(names(inUdp(Uint8Array.of(1, 2))), 'ipv4 udp payload')
  })
  test('cut off by the snap length', () => {
    assert.match(line(inUdp(sealed), { snaplen: 28 }), /\[\|udpencap\]$/)
    assert.match(line(inUdp(sealed), { snaplen: 33 }), /udpencap: \[\|esp\]$/)
  })
})

describe('AH', () => {
  const tunnel = ip4Packet(outer, 51, covered(4, ip4Packet(inner, 1, echo())))
  test('SPI, number and length; with -v what is inside, in brackets', () => {
    assert.match(line(tunnel), /192\.168\.1\.1 > 192\.168\.1\.2: ah spi 0x00001234 seq 7 len 112$/)
    assert.match(
      line(tunnel, { verbose: 1 }),
      /len 112\n\t\[ 172\.16\.0\.1 > 172\.16\.0\.2: icmp: echo request.* \]/,
    )
  })
  test('transport mode: the addresses are those outside', () => {
    const verbose = (protocol: number, payload: Uint8Array): string =>
      line(ip4Packet(outer, 51, covered(protocol, payload)), { verbose: 1 })
    assert.match(
      verbose(17, udpDatagram(outer, [1, 2], counting(9))),
      /\[ 192\.168\.1\.1\.1 > 192\.168\.1\.2\.2: \[udp sum ok\] udp 9 \]/,
    )
    assert.match(
      verbose(6, tcpSegment(outer, [5, 80], { syn: true })),
      /\[ 192\.168\.1\.1\.5 > 192\.168\.1\.2\.80: S/,
    )
    assert.match(verbose(50, sealed), /\[ esp spi 0x927eb88c seq 2 len 136 \]/)
    assert.match(verbose(51, covered(99, counting(3))), /\[ ah spi .*\n\t\[ ip-proto-99 len 3 \] \]/)
    assert.match(verbose(99, new Uint8Array(0)), /\[ truncated \]/)
    assert.match(line(ip4Packet(outer, 51, covered(1, echo()).subarray(0, 11))), /\[\|ah\]$/)
  })
  test('over IPv6', () => {
    const message = sealedIcmp6(outer6, Uint8Array.of(128, 0, 0, 0, 0, 1, 0, 1))
    const packet = ip6Packet(outer6, 51, covered(58, message))
    assert.match(line(packet, { verbose: 1 }), /ah spi 0x00001234 seq 7 len 36\n\t\[ .*icmp6: echo request/)
    assert.equal(names(packet), 'ipv6 ah icmpv6')
  })
  test('every byte of it has its field, and what is inside is followed', () => {
    assert.equal(names(tunnel), 'ipv4 ah ipv4 icmp payload')
    assert.deepEqual(explain(tunnel, LinkType.raw).problems, [])
    const layer = dissect(tunnel, LinkType.raw)[1]!
    assert.equal(layer.end - layer.start, 28)
    assert.deepEqual(
      layer.fields.map(({ field, value }) => `${field} ${value}`),
      [
        'nextHeader 4',
        'payloadLength 5',
        'reserved 0',
        'spi 0x00001234',
        'sequence 7',
        `icv ${Buffer.from(counting(16)).toString('hex')}`,
      ],
    )
  })
  test('a length that cannot be is said and not followed; a header that is cut off ends there', () => {
    const wrong = covered(4, ip4Packet(inner, 1, echo()))
    wrong[1] = 0
    const packet = ip4Packet(outer, 51, wrong)
    assert.equal(names(packet), 'ipv4 ah payload')
    assert.equal(explain(packet, LinkType.raw).problems.length, 1)
    assert.equal(names(ip4Packet(outer, 51, covered(4, counting(0)).subarray(0, 20))), 'ipv4 ah')
  })
  test('a long chain of them ends', () => {
    let payload: Uint8Array = counting(4)
    for (let i = 0; i < 3000; i++) payload = covered(51, payload, 0)
    assert.ok(dissect(ip4Packet(outer, 51, payload), LinkType.raw).length < 300)
    assert.match(line(ip4Packet(outer, 51, payload), { verbose: 1, snaplen: 65_535 }), /nested too deep/)
  })
})
