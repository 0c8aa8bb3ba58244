/** Packets for the tests of this folder, built with the emitters of src/wire; lengths and checksums are right. */
import {
  concatBytes,
  type IpAddress,
  Ipv4Address,
  Ipv6Address,
  MacAddress,
  readUint16,
  writeUint16,
} from '../../base/index.js'
import {
  arp,
  eoip,
  etherip,
  ethernet,
  type GreHeader,
  gre,
  type IcmpHeader,
  type Icmpv6Header,
  type Ipv4Header,
  type Ipv6Header,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  sealIcmpChecksum,
  sealIcmpv6Checksum,
  sealIpv4Checksum,
  sealTcpChecksum,
  sealUdpChecksum,
  type TcpHeader,
  tcp,
  udp,
} from '../../wire/index.js'

import { everyPayloadMessage, fragmentMessage, version1Message } from './ike.js'

export const ip = (text: string): Ipv4Address => Ipv4Address.parse(text)!
export const ip6 = (text: string): Ipv6Address => Ipv6Address.parse(text)!
export const mac = (text: string): MacAddress => MacAddress.parse(text)!

export const alice: Ipv4Address = ip('192.168.1.1')
export const bob: Ipv4Address = ip('192.168.1.2')
export const alice6: Ipv6Address = ip6('fd3e:62ee:99db:bb1a::1')
export const bob6: Ipv6Address = ip6('fd3e:62ee:99db:bb1a::2')
export const aliceInside: Ipv4Address = ip('172.16.0.1')
export const bobInside: Ipv4Address = ip('172.16.0.2')
export const aliceMac: MacAddress = mac('fe:e1:ba:d0:00:01')
export const bobMac: MacAddress = mac('fe:e1:ba:d0:00:02')

export type Pair<A> = readonly [A, A]
export const outer: Pair<Ipv4Address> = [alice, bob]
export const outer6: Pair<Ipv6Address> = [alice6, bob6]
export const inner: Pair<Ipv4Address> = [aliceInside, bobInside]

export function ip4Packet(
  [source, destination]: Pair<Ipv4Address>,
  protocol: number,
  payload: Uint8Array,
  more: Partial<Ipv4Header> = {},
): Uint8Array {
  const header: Ipv4Header = {
    totalLength: 0,
    dscp: 0,
    ecn: 0,
    identification: 4711,
    dontFragment: false,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: 64,
    protocol,
    source,
    destination,
    ...more,
  }
  const length = ipv4.lengthOf(header)
  const bytes = new Uint8Array(length + payload.length)
  ipv4.emit({ ...header, totalLength: bytes.length }, bytes)
  sealIpv4Checksum(bytes, 0)
  bytes.set(payload, length)
  return bytes
}

export function ip6Packet(
  [source, destination]: Pair<Ipv6Address>,
  nextHeader: number,
  payload: Uint8Array,
  more: Partial<Ipv6Header> = {},
): Uint8Array {
  const header: Ipv6Header = {
    dscp: 0,
    ecn: 0,
    flowLabel: 0,
    payloadLength: payload.length,
    nextHeader,
    hopLimit: 64,
    source,
    destination,
    ...more,
  }
  return concatBytes(ipv6.toBytes(header), payload)
}

export const counting = (length: number, from = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => from + i)

export function icmpMessage(header: IcmpHeader, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = concatBytes(icmp.toBytes(header), data)
  sealIcmpChecksum(bytes, 0, bytes.length)
  return bytes
}

export const echo = (type: 0 | 8 = 8, length = 56): Uint8Array =>
  icmpMessage({ type, code: 0, identifier: 0xaa08, sequence: 1 }, counting(length))

export function icmp6Message(
  pair: Pair<Ipv6Address>,
  header: Icmpv6Header,
  data: Uint8Array = new Uint8Array(0),
): Uint8Array {
  return sealedIcmp6(pair, concatBytes(icmpv6.toBytes(header), data))
}

export function sealedIcmp6([source, destination]: Pair<Ipv6Address>, message: Uint8Array): Uint8Array {
  sealIcmpv6Checksum(message, 0, message.length, source, destination)
  return message
}

export function udpDatagram(
  [source, destination]: Pair<IpAddress>,
  ports: Pair<number>,
  data: Uint8Array,
): Uint8Array {
  const header = { sourcePort: ports[0], destinationPort: ports[1], length: 8 + data.length }
  const bytes = concatBytes(udp.toBytes(header), data)
  sealUdpChecksum(bytes, 0, bytes.length, source, destination)
  return bytes
}

export function tcpSegment(
  [source, destination]: Pair<IpAddress>,
  ports: Pair<number>,
  header: Partial<TcpHeader>,
  data: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const whole: TcpHeader = {
    sourcePort: ports[0],
    destinationPort: ports[1],
    sequenceNumber: 1000,
    acknowledgmentNumber: 0,
    window: 16_384,
    ...header,
  }
  const bytes = concatBytes(tcp.toBytes(whole), data)
  sealTcpChecksum(bytes, 0, bytes.length, source, destination)
  return bytes
}

export function frame(
  etherType: number,
  payload: Uint8Array,
  pair: Pair<MacAddress> = [aliceMac, bobMac],
): Uint8Array {
  return concatBytes(ethernet.toBytes({ source: pair[0], destination: pair[1], etherType }), payload)
}

export const greOf = (header: GreHeader, payload: Uint8Array): Uint8Array =>
  concatBytes(gre.toBytes(header), payload)

export const eoipOf = (tunnelId: number, payload: Uint8Array): Uint8Array =>
  concatBytes(eoip.toBytes({ payloadLength: payload.length, tunnelId }), payload)

export const etheripOf = (payload: Uint8Array): Uint8Array => concatBytes(etherip.toBytes({}), payload)

export function arpFrame(operation: 1 | 2, pair: Pair<Ipv4Address> = outer): Uint8Array {
  const request = operation === 1
  const packet = arp.toBytes({
    operation,
    senderHardware: aliceMac,
    senderProtocol: pair[0],
    targetHardware: request ? mac('00:00:00:00:00:00') : bobMac,
    targetProtocol: pair[1],
  })
  return frame(0x0806, packet, [aliceMac, request ? MacAddress.broadcast : bobMac])
}

/** A frame with one 802.1Q tag between its addresses and its EtherType. */
export function tagged(whole: Uint8Array, vlanId: number, priority = 0): Uint8Array {
  const tag = new Uint8Array(4)
  writeUint16(tag, 0, (priority << 13) | vlanId)
  writeUint16(tag, 2, readUint16(whole, 12))
  const result = concatBytes(whole.subarray(0, 14), tag, whole.subarray(14))
  writeUint16(result, 12, 0x8100)
  return result
}

export interface NamedPacket {
  readonly name: string
  readonly bytes: Uint8Array
  readonly linkType: number
}

const tcpPorts: Pair<number> = [40_000, 80]

/** One Ethernet frame or bare packet of every kind that the printers know. */
export function samplePackets(): NamedPacket[] {
  const ping = ip4Packet(inner, 1, echo())
  const ping6 = ip6Packet(
    outer6,
    58,
    icmp6Message(outer6, { type: 128, code: 0, identifier: 1, sequence: 2 }, counting(8)),
  )
  const segment = (pair: Pair<IpAddress>): Uint8Array =>
    tcpSegment(pair, tcpPorts, { ack: true, psh: true, acknowledgmentNumber: 7 }, counting(10))
  const ethernetOf: readonly (readonly [string, number, Uint8Array])[] = [
    ['icmp', 0x0800, ping],
    ['icmp6', 0x86dd, ping6],
    ['tcp', 0x0800, ip4Packet(outer, 6, segment(outer), { dontFragment: true })],
    ['tcp over IPv6', 0x86dd, ip6Packet(outer6, 6, segment(outer6))],
    ['udp', 0x0800, ip4Packet(outer, 17, udpDatagram(outer, [514, 514], counting(20)), { dscp: 4 })],
    [
      'udp over IPv6',
      0x86dd,
      ip6Packet(outer6, 17, udpDatagram(outer6, [53, 40_000], counting(20)), { flowLabel: 0xbeef1 }),
    ],
    ['4 in 4', 0x0800, ip4Packet(outer, 4, ping)],
    ['6 in 4', 0x0800, ip4Packet(outer, 41, ping6)],
    ['4 in 6', 0x86dd, ip6Packet(outer6, 4, ping, { flowLabel: 0xe })],
    ['6 in 6', 0x86dd, ip6Packet(outer6, 41, ping6, { dscp: 8 })],
    ['gre', 0x0800, ip4Packet(outer, 47, greOf({ protocol: 0x0800 }, ping))],
    [
      'gre with key',
      0x0800,
      ip4Packet(outer, 47, greOf({ protocol: 0x86dd, key: 4242, sequence: 9 }, ping6)),
    ],
    ['gre over IPv6', 0x86dd, ip6Packet(outer6, 47, greOf({ protocol: 0x0800 }, ping))],
    ['gre bridged', 0x0800, ip4Packet(outer, 47, greOf({ protocol: 0x6558 }, frame(0x0800, ping)))],
    ['gre keepalive', 0x0800, ip4Packet(outer, 47, greOf({ protocol: 0 }, new Uint8Array(0)))],
    ['eoip', 0x0800, ip4Packet(outer, 47, eoipOf(100, frame(0x0800, ping)))],
    ['eoip keepalive', 0x0800, ip4Packet(outer, 47, eoipOf(100, new Uint8Array(0)))],
    ['etherip', 0x0800, ip4Packet(outer, 97, etheripOf(frame(0x0800, ping)))],
    ['etherip over IPv6', 0x86dd, ip6Packet(outer6, 97, etheripOf(arpFrame(1, inner)))],
    [
      'first fragment',
      0x0800,
      ip4Packet(outer, 17, udpDatagram(outer, [1, 2], counting(24)), { moreFragments: true }),
    ],
    ['later fragment', 0x0800, ip4Packet(outer, 17, counting(16), { fragmentOffset: 4 })],
    ['unreachable', 0x0800, ip4Packet(outer, 1, icmpMessage({ type: 3, code: 3 }, ping))],
    ['esp', 0x0800, ip4Packet(outer, 50, counting(40))],
    ['unknown protocol', 0x0800, ip4Packet(outer, 200, counting(11))],
    [
      'hop limit 1',
      0x86dd,
      ip6Packet(outer6, 58, icmp6Message(outer6, { type: 129, code: 0 }), { hopLimit: 1 }),
    ],
    ['unknown EtherType', 0x88cc, counting(30)],
    ['ike', 0x0800, ip4Packet(outer, 17, udpDatagram(outer, [500, 500], everyPayloadMessage()))],
    ['ike over IPv6', 0x86dd, ip6Packet(outer6, 17, udpDatagram(outer6, [40_001, 500], fragmentMessage()))],
    ['ike of version 1', 0x0800, ip4Packet(outer, 17, udpDatagram(outer, [500, 500], version1Message()))],
    [
      'ike on port 4500',
      0x0800,
      ip4Packet(
        outer,
        17,
        udpDatagram(outer, [4500, 4500], concatBytes(new Uint8Array(4), everyPayloadMessage())),
      ),
    ],
  ]
  return [
    ...ethernetOf.map(([name, etherType, packet]) => ({
      name,
      bytes: frame(etherType, packet),
      linkType: 1,
    })),
    { name: 'arp request', bytes: arpFrame(1), linkType: 1 },
    { name: 'arp reply', bytes: arpFrame(2), linkType: 1 },
    { name: 'vlan', bytes: tagged(frame(0x0800, ping), 10, 5), linkType: 1 },
    { name: 'raw IPv4', bytes: ping, linkType: 101 },
    { name: 'raw IPv6', bytes: ping6, linkType: 101 },
    { name: 'loopback', bytes: concatBytes(Uint8Array.of(0, 0, 0, 2), ping), linkType: 108 },
    {
      name: 'loopback, other byte order',
      bytes: concatBytes(Uint8Array.of(24, 0, 0, 0), ping6),
      linkType: 0,
    },
    {
      name: 'cooked',
      bytes: concatBytes(Uint8Array.of(0, 4, 0, 1, 0, 6, ...aliceMac.bytes, 0, 0, 8, 0), ping),
      linkType: 113,
    },
  ]
}
