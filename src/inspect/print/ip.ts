/** IPv4, in OpenBSD's order: the protocol's own words first, then fragment, flags, tos, ttl and, with -v, the rest. */
import { readUint16 } from '../../base/index.js'
import { IPV4_HEADER_LENGTH, ipv4, ipv4Checksum } from '../../wire/ipv4.js'
import { IpProtocol } from '../../wire/numbers.js'
import { printAh, printEsp } from './esp.js'
import { printEtherip } from './etherip.js'
import { printGre } from './gre.js'
import { printIcmp } from './icmp.js'
import { printIp6 } from './ip6.js'
import { has, nested, type Printing } from './printing.js'
import { printTcp } from './tcp.js'
import { hex, ip4Text } from './text.js'
import { printUdp } from './udp.js'

const at4 = ipv4.offset

/** `length`: bytes that the carrier says belong to the packet; they may not all be captured. */
export function printIp(p: Printing, at: number, length: number): void {
  if (!has(p, at, IPV4_HEADER_LENGTH)) {
    p.out += '[|ip]'
    return
  }
  const { bytes } = p
  const version = bytes[at]! >> 4
  if (version !== 4) {
    p.out += `bad-ip-version ${version}`
    return
  }
  const totalLength = readUint16(bytes, at + at4.totalLength)
  let whole = totalLength
  if (length < totalLength) {
    p.out += `truncated-ip - ${totalLength - length} bytes missing!`
    whole = length
  }
  const headerLength = 4 * (bytes[at]! & 15)
  if (headerLength < IPV4_HEADER_LENGTH || headerLength > whole) {
    p.out += `bad-hlen ${headerLength}`
    return
  }
  const rest = whole - headerLength
  const fragment = readUint16(bytes, at + at4.reserved)
  const firstFragment = (fragment & 0x1fff) === 0
  if (firstFragment && printPayload(p, at, at + headerLength, rest)) return
  if ((fragment & 0x3fff) !== 0) {
    if (!firstFragment) p.out += `${addresses(p, at)}:`
    const more = fragment & 0x2000 ? '+' : ''
    const id = readUint16(bytes, at + at4.identification)
    p.out += ` (frag ${id}:${rest}@${(fragment & 0x1fff) * 8}${more})`
  }
  if (fragment & 0x4000) p.out += ' (DF)'
  const trafficClass = bytes[at + at4.dscp]!
  if (trafficClass !== 0) {
    p.out += ` [tos 0x${hex(trafficClass)}`
    if (trafficClass & 3) p.out += ` (${trafficClass & 2 ? 'E' : ''}${trafficClass & 1 ? 'C' : ''})`
    p.out += ']'
  }
  const ttl = bytes[at + at4.ttl]!
  if (ttl <= 1) p.out += ` [ttl ${ttl}]`
  if (p.verbose > 0) printDetails(p, at, headerLength, fragment, totalLength)
}

/** The payload of a first fragment. True: nothing more is to be said of this header (encapsulation without -v). */
function printPayload(p: Printing, at: number, payload: number, rest: number): boolean {
  const { bytes } = p
  const protocol = bytes[at + at4.protocol]!
  const isPartial =
    (readUint16(bytes, at + at4.reserved) & 0x3fff) !== 0 ||
    payload + rest < at + readUint16(bytes, at + at4.totalLength)
  switch (protocol) {
    case IpProtocol.tcp:
      printTcp(p, payload, rest, at, 4)
      return false
    case IpProtocol.udp:
      printUdp(p, payload, rest, at, 4)
      return false
    case IpProtocol.icmp:
      printIcmp(p, payload, rest, at)
      return false
    case IpProtocol.ipip:
    case IpProtocol.ipv6:
      if (p.verbose > 0) p.out += `${addresses(p, at)}: `
      nested(p, () => (protocol === IpProtocol.ipip ? printIp(p, payload, rest) : printIp6(p, payload, rest)))
      if (p.verbose > 0) return false
      p.out += ' (encap)'
      return true
    case IpProtocol.gre:
      p.out += `${addresses(p, at)}: `
      nested(p, () => printGre(p, payload, rest))
      // Like IP in IP: the outer header is told only with -v.
      return p.verbose === 0
    case IpProtocol.etherip:
      nested(p, () => printEtherip(p, payload, rest, addresses(p, at)))
      return false
    case IpProtocol.esp:
      p.out += `${addresses(p, at)}: `
      printEsp(p, payload, rest, { ip: at, family: 4, isPartial })
      return false
    case IpProtocol.ah:
      p.out += `${addresses(p, at)}: `
      printAh(p, payload, rest, { ip: at, family: 4, isPartial })
      return false
    default:
      p.out += `${addresses(p, at)}: ip-proto-${protocol} ${rest}`
      return false
  }
}

const addresses = ({ bytes }: Printing, at: number): string =>
  `${ip4Text(bytes, at + at4.source)} > ${ip4Text(bytes, at + at4.destination)}`

function printDetails(
  p: Printing,
  at: number,
  headerLength: number,
  fragment: number,
  totalLength: number,
): void {
  const { bytes } = p
  const parts: string[] = []
  const ttl = bytes[at + at4.ttl]!
  if (ttl > 1) parts.push(`ttl ${ttl}`)
  if ((fragment & 0x3fff) === 0) parts.push(`id ${readUint16(bytes, at + at4.identification)}`)
  parts.push(`len ${totalLength}`)
  if (has(p, at, headerLength)) {
    const { found, expected } = ipv4Checksum(bytes, at)
    if (found !== expected) parts.push(`bad ip cksum ${hex(found)}! -> ${hex(expected)}`)
  }
  if (headerLength > IPV4_HEADER_LENGTH)
    parts.push(
      `optlen=${headerLength - IPV4_HEADER_LENGTH}${optionsText(p, at + IPV4_HEADER_LENGTH, at + headerLength)}`,
    )
  p.out += ` (${parts.join(', ')})`
}

const routeOptions: Readonly<Record<number, string>> = { 7: 'RR', 131: 'LSRR', 137: 'SSRR' }

function optionsText(p: Printing, from: number, to: number): string {
  const { bytes } = p
  let text = ''
  for (let at = from; at < to; ) {
    if (!has(p, at, 1)) return `${text}[|ip]`
    const kind = bytes[at]!
    if (kind === 0) return `${text} EOL${at + 1 < to ? `-${to - at - 1}` : ''}`
    if (kind === 1) {
      text += ' NOP'
      at++
      continue
    }
    if (!has(p, at, 2)) return `${text}[|ip]`
    const length = bytes[at + 1]!
    if (length < 2) return `${text}[|ip op len ${length}]`
    if (at + length > to || !has(p, at, length)) return `${text}[|ip]`
    const route = routeOptions[kind]
    if (kind === 68) text += ` TS{${length}}`
    else if (kind === 130) text += ` SECURITY{${length}}`
    else if (route !== undefined) text += routeText(p, route, at, length)
    else text += ` IPOPT-${kind}{${length}}`
    at += length
  }
  return text
}

function routeText({ bytes }: Printing, name: string, at: number, length: number): string {
  const pointer = length > 2 ? bytes[at + 2]! - 1 : 0
  let text = `${name === 'RR' ? ` RR{${length}}=` : ''} ${name}{`
  if ((length + 1) & 3) text += ` [bad length ${length}]`
  let separator = ''
  let hop = 3
  for (; hop + 4 <= length; hop += 4) {
    text += `${pointer === hop ? '#' : separator}${ip4Text(bytes, at + hop)}`
    separator = ' '
  }
  return `${text}${pointer === hop ? '#' : ''}}`
}
