/** Golden lines in OpenBSD's wording, one a kind of packet. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { concatBytes, instantAt } from '../../base/index.js'
import { buildTcpOptions, neighborAdvertisement, neighborSolicitation } from '../../wire/index.js'
import { sourceLinkLayerAddress, targetLinkLayerAddress } from '../../wire/nd-options.js'
import { LinkType } from '../link-type.js'
import {
  alice6,
  aliceMac,
  arpFrame,
  bob6,
  bobInside,
  bobMac,
  counting,
  echo,
  eoipOf,
  etheripOf,
  frame,
  greOf,
  icmp6Message,
  icmpMessage,
  inner,
  ip4Packet,
  ip6Packet,
  outer,
  outer6,
  sealedIcmp6,
  tagged,
  tcpSegment,
  udpDatagram,
} from '../testing/packets.js'
import { type TcpdumpOptions, TcpdumpPrinter, tcpdumpLine } from './line.js'

const raw = (bytes: Uint8Array, options: TcpdumpOptions = {}): string =>
  tcpdumpLine(bytes, LinkType.raw, { numeric: true, ...options })
const eth = (bytes: Uint8Array, options: TcpdumpOptions = {}): string =>
  tcpdumpLine(bytes, LinkType.ethernet, { numeric: true, ...options })

const ping = ip4Packet(inner, 1, echo(), { ttl: 255, identification: 45_558 })

describe('tunnels, as the article prints them', () => {
  test('gif: only what is inside, and (encap)', () => {
    assert.equal(raw(ip4Packet(outer, 4, ping)), '172.16.0.1 > 172.16.0.2: icmp: echo request (encap)')
  })
  test('gif with -v: both headers', () => {
    assert.equal(
      raw(ip4Packet(outer, 4, ping), { verbose: 1 }),
      '192.168.1.1 > 192.168.1.2: 172.16.0.1 > 172.16.0.2: icmp: echo request (id:aa08 seq:1) [icmp cksum ok] (ttl 255, id 45558, len 84) (ttl 64, id 4711, len 104)',
    )
  })
  test('gre', () => {
    const packet = ip4Packet(outer, 47, greOf({ protocol: 0x0800 }, ping))
    assert.equal(raw(packet), '192.168.1.1 > 192.168.1.2: gre 172.16.0.1 > 172.16.0.2: icmp: echo request')
    assert.match(raw(packet, { verbose: 1 }), /^192\.168\.1\.1 > 192\.168\.1\.2: gre \[\] 172\.16\.0\.1 > /)
  })
  test('gre with key, sequence number and checksum', () => {
    const packet = ip4Packet(
      outer,
      47,
      greOf({ protocol: 0x0800, checksum: 0xbeef, key: 0x0102030a, sequence: 5 }, ping),
    )
    assert.match(raw(packet, { verbose: 1 }), /: gre \[CKS\] sum 0xbeef key=16909066\|66051\+0a seq 5 172/)
  })
  test('gre keepalive, unknown protocol, unknown version', () => {
    assert.match(raw(ip4Packet(outer, 47, greOf({ protocol: 0 }, new Uint8Array(0)))), /: gre keep-alive$/)
    assert.match(raw(ip4Packet(outer, 47, greOf({ protocol: 0x1234 }, ping))), /: gre unknown-proto-1234$/)
    assert.match(raw(ip4Packet(outer, 47, Uint8Array.of(0, 3, 8, 0))), /: gre-unknown-version=3$/)
  })
  test('eoip, its keepalive and a wrong length', () => {
    const packet = ip4Packet(outer, 47, eoipOf(100, frame(0x0800, ping)))
    assert.equal(
      raw(packet),
      '192.168.1.1 > 192.168.1.2: eoip 100: 172.16.0.1 > 172.16.0.2: icmp: echo request',
    )
    assert.match(raw(packet, { verbose: 1 }), /: eoip len=98 tunnel-id=100: 172/)
    assert.match(raw(ip4Packet(outer, 47, eoipOf(7, new Uint8Array(0)))), /: eoip 7: keepalive$/)
    const short = ip4Packet(outer, 47, eoipOf(7, frame(0x0800, ping)).subarray(0, 60))
    assert.match(raw(short), /: eoip 7 truncated-eoip - 46 bytes missing!: /)
  })
  test('etherip over both families, and its wrong version', () => {
    const packet = etheripOf(frame(0x0800, ping))
    const inside = 'ver 3 len 100: 172.16.0.1 > 172.16.0.2: icmp: echo request'
    assert.equal(raw(ip4Packet(outer, 97, packet)), `etherip 192.168.1.1 > 192.168.1.2 ${inside}`)
    assert.equal(
      raw(ip6Packet(outer6, 97, packet)),
      `etherip fd3e:62ee:99db:bb1a::1 > fd3e:62ee:99db:bb1a::2 ${inside}`,
    )
    assert.match(raw(ip4Packet(outer, 97, Uint8Array.of(0x40, 0))), / ver unknown len 2$/)
  })
  test('a thousand tunnels in each other end somewhere', () => {
    let packet = ping
    for (let i = 0; i < 1000; i++) packet = ip4Packet(outer, 4, packet)
    assert.match(raw(packet), /\[nested too deep\]/)
  })
})

describe('link layer', () => {
  test('arp', () => {
    assert.equal(eth(arpFrame(1)), 'arp who-has 192.168.1.2 tell 192.168.1.1')
    assert.equal(eth(arpFrame(2)), 'arp reply 192.168.1.1 is-at fe:e1:ba:d0:00:01')
  })
  test('arp whose sender is not the frame’s', () => {
    const bytes = arpFrame(1)
    bytes[11] = 9
    assert.equal(eth(bytes), 'arp who-has 192.168.1.2 tell 192.168.1.1 (fe:e1:ba:d0:00:01)')
  })
  test('-e', () => {
    const bytes = frame(0x0800, ping)
    assert.match(eth(bytes, { link: true }), /^fe:e1:ba:d0:00:01 fe:e1:ba:d0:00:02 0800 98: 172/)
    assert.match(
      tcpdumpLine(bytes, LinkType.ethernet, { link: true }),
      /^fe:e1:ba:d0:00:01 fe:e1:ba:d0:00:02 ip 98: 172/,
    )
  })
  test('vlan', () => {
    assert.equal(
      eth(tagged(frame(0x0800, ping), 10, 5)),
      '802.1Q vid 10 pri 5 172.16.0.1 > 172.16.0.2: icmp: echo request',
    )
  })
  test('an unknown EtherType shows its bytes', () => {
    assert.equal(
      eth(frame(0x88cc, Uint8Array.of(2, 7, 4))),
      'fe:e1:ba:d0:00:01 fe:e1:ba:d0:00:02 88cc 17: \n\t\t\t 0207 04',
    )
  })
})

describe('tcp', () => {
  const ports = [40_000, 80] as const
  const back = [outer[1], outer[0]] as const
  test('a conversation: absolute at first, then relative', () => {
    const printer = new TcpdumpPrinter({ numeric: true })
    const options = buildTcpOptions({ maximumSegmentSize: 1460, sackPermitted: true, windowScale: 6 })
    const show = (bytes: Uint8Array): string => printer.line(bytes, LinkType.raw)
    assert.equal(
      show(ip4Packet(outer, 6, tcpSegment(outer, ports, { syn: true, options }))),
      '192.168.1.1.40000 > 192.168.1.2.80: S 1000:1000(0) win 16384 <mss 1460,nop,nop,sackOK,nop,wscale 6>',
    )
    assert.equal(
      show(
        ip4Packet(
          back,
          6,
          tcpSegment(back, [80, 40_000], {
            syn: true,
            ack: true,
            sequenceNumber: 5000,
            acknowledgmentNumber: 1001,
          }),
        ),
      ),
      '192.168.1.2.80 > 192.168.1.1.40000: S 5000:5000(0) ack 1001 win 16384',
    )
    const push = { ack: true, psh: true, sequenceNumber: 1001, acknowledgmentNumber: 5001 }
    assert.equal(
      show(ip4Packet(outer, 6, tcpSegment(outer, ports, push, counting(10)), { dontFragment: true })),
      '192.168.1.1.40000 > 192.168.1.2.80: P 1:11(10) ack 1 win 16384 (DF)',
    )
    const answer = { ack: true, fin: true, sequenceNumber: 5001, acknowledgmentNumber: 1011 }
    assert.equal(
      show(ip4Packet(back, 6, tcpSegment(back, [80, 40_000], answer))),
      '192.168.1.2.80 > 192.168.1.1.40000: F 1:1(0) ack 11 win 16384',
    )
  })
  test('names of ports, -q and -S', () => {
    const bytes = ip4Packet(outer, 6, tcpSegment(outer, [40_000, 22], { ack: true, acknowledgmentNumber: 5 }))
    assert.equal(tcpdumpLine(bytes, LinkType.raw), '192.168.1.1.40000 > 192.168.1.2.ssh: . ack 5 win 16384')
    assert.equal(raw(bytes, { quick: true }), '192.168.1.1.40000 > 192.168.1.2.22: tcp 0')
  })
  test('a wrong checksum is said with both values', () => {
    const bytes = ip4Packet(outer, 6, tcpSegment(outer, ports, { rst: true }))
    assert.match(raw(bytes, { verbose: 1 }), /: R \[tcp sum ok\] 1000:1000\(0\) win 16384 \(ttl/)
    bytes[20 + 16]! ^= 0xff
    assert.match(raw(bytes, { verbose: 1 }), /\[bad tcp cksum [0-9a-f]+! -> [0-9a-f]+\]/)
  })
  test('bad header length, bad option, cut off in the options', () => {
    const segment = tcpSegment(outer, ports, {
      syn: true,
      options: buildTcpOptions({ maximumSegmentSize: 536 }),
    })
    const bytes = ip4Packet(outer, 6, segment)
    assert.match(
      tcpdumpLine(bytes.subarray(0, 41), LinkType.raw, { originalLength: 44 }),
      /<mss?\[\|tcp\]>|<\[\|tcp\]>/,
    )
    bytes[20 + 21] = 9
    assert.match(raw(bytes), /<\[bad opt\]>$/)
    bytes[20 + 12] = 0xf0
    assert.match(raw(bytes), /\[bad hdr length\]$/)
  })
})

describe('udp, icmp, icmp6', () => {
  test('udp', () => {
    const bytes = ip4Packet(outer, 17, udpDatagram(outer, [514, 514], counting(20)))
    assert.equal(tcpdumpLine(bytes, LinkType.raw), '192.168.1.1.syslog > 192.168.1.2.syslog: udp 20')
    assert.match(raw(bytes, { verbose: 1 }), /: \[udp sum ok\] udp 20 \(ttl/)
    bytes[27]! ^= 1
    assert.match(raw(bytes, { verbose: 1 }), /: \[bad udp cksum [0-9a-f]{4}! -> [0-9a-f]{4}\] udp 20 \(ttl/)
    bytes[26] = 0
    bytes[27] = 0
    assert.match(raw(bytes, { verbose: 1 }), /: \[no udp cksum\] udp 20 \(ttl/)
  })
  const icmpErrors: readonly (readonly [number, number, object, string])[] = [
    [3, 0, {}, 'net 172.16.0.2 unreachable'],
    [3, 1, {}, 'host 172.16.0.2 unreachable'],
    [3, 2, {}, '172.16.0.2 protocol 17 unreachable'],
    [3, 3, {}, '172.16.0.2 udp port 9999 unreachable'],
    [3, 4, { nextHopMtu: 1400 }, '172.16.0.2 unreachable - need to frag (mtu 1400)'],
    [3, 13, {}, 'host 172.16.0.2 unreachable - admin prohibited filter'],
    [3, 99, {}, '#99 172.16.0.2 unreachable'],
    [5, 1, { gateway: bobInside }, 'redirect 172.16.0.2 to host 172.16.0.2'],
    [11, 0, {}, 'time exceeded in-transit'],
    [11, 1, {}, 'ip reassembly time exceeded'],
    [12, 0, { pointer: 20 }, 'parameter problem - octet 20'],
  ]
  const quoted = ip4Packet(inner, 17, udpDatagram(inner, [1000, 9999], counting(4)))
  for (const [type, code, more, text] of icmpErrors)
    test(`icmp ${type}/${code}: ${text}`, () => {
      const bytes = ip4Packet(outer, 1, icmpMessage({ type, code, ...more }, quoted))
      assert.equal(raw(bytes), `192.168.1.1 > 192.168.1.2: icmp: ${text}`)
    })
  test('-vv shows what an error quotes', () => {
    const bytes = ip4Packet(outer, 1, icmpMessage({ type: 3, code: 1 }, quoted))
    assert.match(
      raw(bytes, { verbose: 2 }),
      /unreachable \[icmp cksum ok\] for 172\.16\.0\.1\.1000 > 172\.16\.0\.2\.9999: \[udp sum ok\] udp 4 \(ttl/,
    )
  })
  test('neighbour discovery', () => {
    const to = neighborSolicitation.toBytes({ target: bob6, options: [sourceLinkLayerAddress(aliceMac)] })
    const asked = ip6Packet(outer6, 58, sealedIcmp6(outer6, to), { hopLimit: 255 })
    const addresses = 'fd3e:62ee:99db:bb1a::1 > fd3e:62ee:99db:bb1a::2'
    assert.equal(raw(asked), `${addresses}: icmp6: neighbor sol: who has fd3e:62ee:99db:bb1a::2`)
    assert.equal(
      raw(asked, { verbose: 1 }),
      `${addresses}: icmp6: neighbor sol: who has fd3e:62ee:99db:bb1a::2(src lladdr: fe:e1:ba:d0:00:01) [icmp6 cksum ok] (len 32, hlim 255)`,
    )
    const told = neighborAdvertisement.toBytes({
      router: false,
      solicited: true,
      override: true,
      target: alice6,
      options: [targetLinkLayerAddress(bobMac)],
    })
    assert.match(
      raw(ip6Packet(outer6, 58, sealedIcmp6(outer6, told)), { verbose: 1 }),
      /icmp6: neighbor adv: tgt is fd3e:62ee:99db:bb1a::1\(SO\)\(tgt lladdr: fe:e1:ba:d0:00:02\) \[icmp6 cksum ok\]/,
    )
  })
  test('icmp6 echo and errors', () => {
    const message = icmp6Message(outer6, { type: 128, code: 0, identifier: 0xbeef, sequence: 3 }, counting(8))
    assert.match(raw(ip6Packet(outer6, 58, message)), /: icmp6: echo request$/)
    assert.match(
      raw(ip6Packet(outer6, 58, message), { verbose: 1 }),
      /: icmp6: echo request \(id:beef seq:3\) \[icmp6 cksum ok\] \(len 16, hlim 64\)$/,
    )
    const big = icmp6Message(outer6, { type: 2, code: 0, mtu: 1280 }, counting(40))
    assert.match(raw(ip6Packet(outer6, 58, big)), /: icmp6: too big 1280$/)
  })
})

describe('fragments, flags, lengths', () => {
  test('fragments of IPv4', () => {
    const first = ip4Packet(outer, 1, echo(8, 24), { moreFragments: true })
    assert.equal(raw(first), '192.168.1.1 > 192.168.1.2: icmp: echo request (frag 4711:32@0+)')
    const later = ip4Packet(outer, 1, counting(16), { fragmentOffset: 4 })
    assert.equal(raw(later), '192.168.1.1 > 192.168.1.2: (frag 4711:16@32)')
  })
  test('fragments of IPv6', () => {
    const header = (offset: number): Uint8Array =>
      Uint8Array.of(58, 0, offset >> 8, offset & 0xff, 0, 0, 0, 7)
    const later = ip6Packet(outer6, 44, concatBytes(header(64), counting(16)))
    assert.match(raw(later), /: frag \(64\|16\)$/)
    const first = ip6Packet(
      outer6,
      44,
      concatBytes(header(1), icmp6Message(outer6, { type: 128, code: 0 }, counting(8))),
    )
    assert.match(raw(first, { verbose: 1 }), /: frag \(0x00000007:0\|16\) icmp6: echo request/)
  })
  test('tos, ttl, options, a bad checksum', () => {
    assert.match(raw(ip4Packet(inner, 1, echo(), { dscp: 46, ecn: 3 })), / \[tos 0xbb \(EC\)\]$/)
    assert.match(raw(ip4Packet(inner, 1, echo(), { ttl: 1 })), / \[ttl 1\]$/)
    const alert = ip4Packet(inner, 1, echo(), { options: [{ kind: 148, data: new Uint8Array(2) }] })
    assert.match(raw(alert, { verbose: 1 }), /, len 88, optlen=4 IPOPT-148\{4\}\)$/)
    const wrong = ping.slice()
    wrong[10]! ^= 1
    assert.match(raw(wrong, { verbose: 1 }), /bad ip cksum [0-9a-f]+! -> [0-9a-f]+\)$/)
  })
  test('cut off, and too short for what it claims', () => {
    assert.equal(raw(ping.subarray(0, 10)), '[|ip]')
    assert.match(raw(ping.subarray(0, 40)), /^truncated-ip - 44 bytes missing!172/)
    assert.equal(
      tcpdumpLine(ping.subarray(0, 21), LinkType.raw, { originalLength: 84 }),
      '172.16.0.1 > 172.16.0.2: [|icmp]',
    )
    assert.equal(raw(Uint8Array.of(0x90)), 'bad-ip-version 9')
  })
})

describe('time and dump', () => {
  const at = instantAt(1_579_455_906_630_247)
  const stamped = (timeFormat: NonNullable<TcpdumpOptions['timeFormat']>): string =>
    tcpdumpLine(ping, LinkType.raw, { timeFormat, time: at }).slice(0, 28)
  test('formats', () => {
    assert.match(stamped('time'), /^17:45:06\.630247 172/)
    assert.match(stamped('none'), /^172/)
    assert.match(stamped('epoch'), /^1579455906\.630247 172/)
    assert.match(stamped('date'), /^Jan 19 17:45:06\.630247 172/)
  })
  test('the local zone', () => {
    assert.match(tcpdumpLine(ping, LinkType.raw, { time: at, utcOffset: () => 3600 }), /^18:45:06\.630247 /)
  })
  test('since the packet before, since the first', () => {
    for (const [timeFormat, third] of [
      ['delta', '0.500000'],
      ['elapsed', '2.000000'],
    ] as const) {
      const printer = new TcpdumpPrinter({ timeFormat })
      const lines = [0, 1_500_000, 2_000_000].map((later) =>
        printer.line(ping, LinkType.raw, { time: instantAt(at + later) }),
      )
      assert.match(lines[0]!, /^0\.000000 /)
      assert.match(lines[1]!, /^1\.500000 /)
      assert.equal(lines[2]!.slice(0, 8), third)
    }
  })
  test('-X begins at the network header, with -e at the link header; -s cuts it', () => {
    const bytes = frame(0x0800, ping)
    assert.match(eth(bytes, { dump: 'hexl' }), /\n {2}0000: 4500 0054 b1f6 /)
    assert.match(eth(bytes, { dump: 'hexl', link: true }), /\n {2}0000: fee1 bad0 0002 fee1 /)
    const dump = eth(bytes, { dump: 'hexl', snaplen: 34 }).split('\n')
    assert.equal(dump.length, 3)
    assert.match(dump[0]!, /\[\|icmp\]$/)
  })
})
