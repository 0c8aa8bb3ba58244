/** ESP, ESP in UDP, and AH: what is in clear, and with keys what is inside, in the words of OpenBSD's -E. */
import { readUint16, readUint32 } from '../../base/index.js'
import { AH_HEADER_LENGTH, ah, ahLength } from '../../wire/ah.js'
import { ESP_HEADER_LENGTH, ESP_TRAILER_LENGTH, esp, udpEncapsulated } from '../../wire/esp.js'
import { IpProtocol } from '../../wire/numbers.js'
import type { IcvVerdict, Opener } from '../opener.js'
import { printIcmp } from './icmp.js'
import { printIcmp6 } from './icmp6.js'
import { printIke } from './ike.js'
import { printIp } from './ip.js'
import { printIp6 } from './ip6.js'
import { has, nested, type Printing } from './printing.js'
import { printTcp } from './tcp.js'
import { hex } from './text.js'
import { printUdp } from './udp.js'

const atEsp = esp.offset
const atAh = ah.offset

/** The IP header in front: its addresses stand for what is inside as well, and say whose keys these are. */
export interface Carried {
  readonly ip: number
  readonly family: 4 | 6
  /** A fragment, or cut short of what its IP header claims: what an ICV covers is not all here. */
  readonly isPartial: boolean
}

export function printEsp(p: Printing, at: number, length: number, carried: Carried): void {
  if (length < ESP_HEADER_LENGTH || !has(p, at, ESP_HEADER_LENGTH)) {
    p.out += '[|esp]'
    return
  }
  const spi = hex(readUint32(p.bytes, at + atEsp.spi), 8)
  p.out += `esp spi 0x${spi} seq ${readUint32(p.bytes, at + atEsp.sequence)} len ${length}`
  if (p.opener !== undefined && !carried.isPartial) printOpened(p, p.opener, at, length, carried)
}

const ICV_TEXT: Readonly<Record<IcvVerdict, string>> = {
  correct: '',
  wrong: ' [bad icv]',
  unchecked: ' [icv not checked]',
}

function printOpened(p: Printing, opener: Opener, at: number, length: number, carried: Carried): void {
  const end = at + length
  if (!has(p, at, length)) {
    p.out += ' [|esp]'
    return
  }
  const { ip, family } = carried
  const opened = opener.openEsp({ bytes: p.bytes, start: at, end, ip, family })
  if (typeof opened !== 'object') return
  p.out += opened.icv === 'correct' && p.verbose > 0 ? ' [icv ok]' : ICV_TEXT[opened.icv]
  if (opened.bytes === undefined) return
  const sealed = p.bytes
  const trailer = end - opened.icvLength - ESP_TRAILER_LENGTH
  const padLength = opened.bytes[trailer]!
  const start = at + ESP_HEADER_LENGTH + opened.ivLength
  if (trailer - padLength < start) {
    p.out += ' [bad pad]'
    return
  }
  if (p.verbose > 1) p.out += ` pad ${padLength}`
  p.out += ': '
  const { bytes } = opened
  nested(p, () => {
    p.bytes = bytes
    printInside(p, start, trailer - padLength - start, bytes[trailer + 1]!, carried, '')
    p.bytes = sealed
  })
  if (p.verbose > 0) p.out += ' (esp)'
}

/** UDP port 4500 (RFC 3948); `at` and `length` are of the datagram's data. */
export function printEncapsulated(p: Printing, at: number, length: number, carried: Carried): void {
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
      p.out += 'udpencap: '
      printIke(p, at + 4, length - 4, carried.isPartial)
      return
    case 'esp':
      p.out += 'udpencap: '
      printEsp(p, at, length, carried)
  }
}

export function printAh(p: Printing, at: number, length: number, carried: Carried): void {
  if (length < AH_HEADER_LENGTH || !has(p, at, AH_HEADER_LENGTH)) {
    p.out += '[|ah]'
    return
  }
  const spi = hex(readUint32(p.bytes, at + atAh.spi), 8)
  p.out += `ah spi 0x${spi} seq ${readUint32(p.bytes, at + atAh.sequence)} len ${length}`
  if (p.opener !== undefined && !carried.isPartial && has(p, at, length)) {
    const { ip, family } = carried
    const verified = p.opener.verifyAh({ bytes: p.bytes, start: at, end: at + length, ip, family })
    if (typeof verified === 'object')
      p.out += verified.icv === 'correct' && p.verbose > 0 ? ' [icv ok]' : ICV_TEXT[verified.icv]
  }
  if (p.verbose === 0) return
  if (readUint16(p.bytes, at + atAh.reserved) !== 0) p.out += ' (reserved not zero)'
  p.out += '\n\t[ '
  const headerLength = ahLength(p.bytes[at + atAh.payloadLength]!)
  if (length <= headerLength || headerLength < AH_HEADER_LENGTH) p.out += 'truncated'
  else
    nested(p, () => printInside(p, at + headerLength, length - headerLength, p.bytes[at]!, carried, 'len '))
  p.out += ' ]'
}

/** `unit`: what OpenBSD says before the length of a protocol that it does not know. */
function printInside(
  p: Printing,
  at: number,
  length: number,
  protocol: number,
  carried: Carried,
  unit: string,
): void {
  const { ip, family } = carried
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
      printEsp(p, at, length, carried)
      return
    case IpProtocol.ah:
      printAh(p, at, length, carried)
      return
    default:
      p.out += `ip-proto-${protocol} ${unit}${length}`
  }
}
