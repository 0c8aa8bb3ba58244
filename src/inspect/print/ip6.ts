/** IPv6 and its extension headers. */
import { readUint16, readUint32 } from '../../base/index.js'
import { IPV6_HEADER_LENGTH, ipv6 } from '../../wire/ipv6.js'
import { IpProtocol } from '../../wire/numbers.js'
import { printAh, printEsp } from './esp.js'
import { printEtherip } from './etherip.js'
import { printGre } from './gre.js'
import { printIcmp6 } from './icmp6.js'
import { printIp } from './ip.js'
import { has, nested, type Printing } from './printing.js'
import { printTcp } from './tcp.js'
import { hex, ip6Text } from './text.js'
import { printUdp } from './udp.js'

const at6 = ipv6.offset
/** Extension headers followed in one packet; real ones have at most a handful. */
const MAXIMUM_EXTENSIONS = 16

export function printIp6(p: Printing, at: number, length: number): void {
  const { bytes } = p
  if (!has(p, at, IPV6_HEADER_LENGTH)) {
    p.out += '[|ip6]'
    return
  }
  if (length < IPV6_HEADER_LENGTH) {
    p.out += `truncated-ip6 ${length}`
    return
  }
  const version = bytes[at]! >> 4
  if (version !== 6) {
    p.out += `bad-ip6-version ${version}`
    return
  }
  const payloadLength = readUint16(bytes, at + at6.payloadLength)
  if (length < payloadLength + IPV6_HEADER_LENGTH)
    p.out += `truncated-ip6 - ${payloadLength + IPV6_HEADER_LENGTH - length} bytes missing!`
  printChain(p, at, payloadLength)
  const flow = readUint32(bytes, at)
  if (flow & 0x0ff00000) p.out += ` [class 0x${hex((flow >>> 20) & 0xff)}]`
  if (flow & 0x000fffff) p.out += ` [flowlabel 0x${hex(flow & 0xfffff)}]`
  const hopLimit = bytes[at + at6.hopLimit]!
  if (hopLimit <= 1) p.out += ` [hlim ${hopLimit}]`
  if (p.verbose > 0) p.out += ` (len ${payloadLength}${hopLimit > 1 ? `, hlim ${hopLimit}` : ''})`
}

function printChain(p: Printing, at: number, payloadLength: number): void {
  const { bytes } = p
  const end = at + IPV6_HEADER_LENGTH + payloadLength
  const addresses = `${ip6Text(bytes, at + at6.source)} > ${ip6Text(bytes, at + at6.destination)}`
  let next = bytes[at + at6.nextHeader]!
  let here = at + IPV6_HEADER_LENGTH
  let isFragment = false
  if (next !== IpProtocol.tcp && next !== IpProtocol.udp && next !== IpProtocol.etherip)
    p.out += `${addresses}: `
  for (let count = 0; count < MAXIMUM_EXTENSIONS; count++) {
    const rest = end - here
    switch (next) {
      case IpProtocol.hopByHop:
      case IpProtocol.destinationOptions:
      case IpProtocol.routing: {
        if (!has(p, here, 8)) {
          p.out += next === IpProtocol.routing ? '[|srcrt]' : '[|opt]'
          return
        }
        p.out += extensionText(bytes, here, next)
        next = bytes[here]!
        here += 8 * (bytes[here + 1]! + 1)
        break
      }
      case IpProtocol.fragment: {
        if (!has(p, here, 8)) {
          p.out += '[|frag]'
          return
        }
        const offset = readUint16(bytes, here + 2) & 0xfff8
        const id = p.verbose > 0 ? `0x${hex(readUint32(bytes, here + 4), 8)}:` : ''
        p.out += `frag (${id}${offset}|${rest - 8})`
        if (offset !== 0) return
        isFragment ||= (bytes[here + 3]! & 1) !== 0
        p.out += ' '
        next = bytes[here]!
        here += 8
        break
      }
      case IpProtocol.tcp:
        printTcp(p, here, rest, at, 6)
        return
      case IpProtocol.udp:
        printUdp(p, here, rest, at, 6)
        return
      case IpProtocol.icmpv6:
        printIcmp6(p, here, rest, at)
        return
      case IpProtocol.ipip:
        nested(p, () => printIp(p, here, rest))
        return
      case IpProtocol.ipv6:
        nested(p, () => printIp6(p, here, rest))
        return
      case IpProtocol.gre:
        nested(p, () => printGre(p, here, rest))
        return
      case IpProtocol.etherip:
        nested(p, () => printEtherip(p, here, rest, addresses))
        return
      case IpProtocol.esp:
        printEsp(p, here, rest, { ip: at, family: 6, isPartial: isFragment })
        return
      case IpProtocol.ah:
        printAh(p, here, rest, { ip: at, family: 6, isPartial: isFragment })
        return
      case IpProtocol.noNextHeader:
        p.out += 'no next header'
        return
      default:
        p.out += `ip-proto-${next} ${rest}`
        return
    }
    if (here > p.end) {
      p.out += '[|ip6]'
      return
    }
  }
  p.out += '[too many extension headers]'
}

function extensionText(bytes: Uint8Array, at: number, kind: number): string {
  if (kind === IpProtocol.hopByHop) return 'HBH '
  if (kind === IpProtocol.destinationOptions) return 'DSTOPT '
  return `srcrt (len=${bytes[at + 1]}, type=${bytes[at + 2]}, segleft=${bytes[at + 3]}) `
}
