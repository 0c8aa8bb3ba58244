/** ESP, ESP in UDP, and AH: what is in clear. */
import { readUint16, readUint32 } from '../../base/index.js'
import { AH_HEADER_LENGTH, ah, ahLength } from '../../wire/ah.js'
import { ESP_HEADER_LENGTH, esp, udpEncapsulated } from '../../wire/esp.js'
import { IpProtocol } from '../../wire/numbers.js'
import { printIcmp } from './icmp.js'
import { printIcmp6 } from './icmp6.js'
import { printIp } from './ip.js'
import { printIp6 } from './ip6.js'
import { has, nested, type Printing } from './printing.js'
import { printTcp } from './tcp.js'
import { hex } from './text.js'
import { printUdp } from './udp.js'

const atEsp = esp.offset
const atAh = ah.offset

export function printEsp(p: Printing, at: number, length: number): void {
  if (length < ESP_HEADER_LENGTH || !has(p, at, ESP_HEADER_LENGTH)) {
    p.out += '[|esp]'
    return
  }
  const spi = hex(readUint32(p.bytes, at + atEsp.spi), 8)
  p.out += `esp spi 0x${spi} seq ${readUint32(p.bytes, at + atEsp.sequence)} len ${length}`
}

/** UDP port 4500 (RFC 3948); `at` and `length` are of the datagram's data. */
export function printEncapsulated(p: Printing, at: number, length: number): void {
  if (!has(p, at, Math.min(length, 4))) {
    p.out += '[|udpencap]'
    return
  }
  switch (udpEncapsulated(p.bytes, at, at + length)) {
    case 'keepalive':
      p.out += 'NAT-T Keepalive'
      return
    case 'short':
      p.out += '[|udpencap]'
      return
    case 'ike':
      p.out += 'udpencap: isakmp'
      return
    case 'esp':
      p.out += 'udpencap: '
      printEsp(p, at, length)
  }
}

/** `ip`: where the IP header of `family` is, whose addresses stand for what is inside as well. */
export function printAh(p: Printing, at: number, length: number, ip: number, family: 4 | 6): void {
  if (length < AH_HEADER_LENGTH || !has(p, at, AH_HEADER_LENGTH)) {
    p.out += '[|ah]'
    return
  }
  const spi = hex(readUint32(p.bytes, at + atAh.spi), 8)
  p.out += `ah spi 0x${spi} seq ${readUint32(p.bytes, at + atAh.sequence)} len ${length}`
  if (p.verbose === 0) return
  if (readUint16(p.bytes, at + atAh.reserved) !== 0) p.out += ' (reserved not zero)'
  p.out += '\n\t[ '
  const headerLength = ahLength(p.bytes[at + atAh.payloadLength]!)
  if (length <= headerLength || headerLength < AH_HEADER_LENGTH) p.out += 'truncated'
  else nested(p, () => printInside(p, at + headerLength, length - headerLength, p.bytes[at]!, ip, family))
  p.out += ' ]'
}

function printInside(
  p: Printing,
  at: number,
  length: number,
  protocol: number,
  ip: number,
  family: 4 | 6,
): void {
  switch (protocol) {
    case IpProtocol.ipip:
      printIp(p, at, length)
      return
    case IpProtocol.ipv6:
      printIp6(p, at, length)
      return
    case IpProtocol.icmp:
      printIcmp(p, at, length, ip)
      return
    case IpProtocol.icmpv6:
      printIcmp6(p, at, length, ip)
      return
    case IpProtocol.tcp:
      printTcp(p, at, length, ip, family)
      return
    case IpProtocol.udp:
      printUdp(p, at, length, ip, family)
      return
    case IpProtocol.esp:
      printEsp(p, at, length)
      return
    case IpProtocol.ah:
      printAh(p, at, length, ip, family)
      return
    default:
      p.out += `ip-proto-${protocol} len ${length}`
  }
}
