/** ICMP for IPv4. With -v the checksum is said, with -vv also the datagram that an error quotes. */
import { readUint16, readUint32 } from '../../base/index.js'
import { icmpErrorTypes } from '../../wire/bindings.js'
import { ICMP_HEADER_LENGTH, IcmpType, IcmpUnreachable, icmp, icmpChecksum } from '../../wire/icmp.js'
import { IPV4_HEADER_LENGTH, ipv4 } from '../../wire/ipv4.js'
import { IpProtocol } from '../../wire/numbers.js'
import { printIp } from './ip.js'
import { tcpPort, udpPort } from './names.js'
import { has, nested, type Printing } from './printing.js'
import { hex, ip4Text } from './text.js'

const at = icmp.offset
const at4 = ipv4.offset

export function printIcmp(p: Printing, start: number, length: number, ip: number): void {
  const { bytes } = p
  p.out += `${ip4Text(bytes, ip + at4.source)} > ${ip4Text(bytes, ip + at4.destination)}: `
  const text = has(p, start, 2) ? messageText(p, start) : undefined
  if (text === undefined) {
    p.out += '[|icmp]'
    return
  }
  p.out += `icmp: ${text}`
  if (p.verbose > 0 && length >= ICMP_HEADER_LENGTH && has(p, start, length)) {
    const wrong = icmpChecksum(bytes, start, start + length)
    p.out +=
      wrong === undefined
        ? ' [icmp cksum ok]'
        : ` [bad icmp cksum ${hex(wrong.found)}! -> ${hex(wrong.expected)}]`
  }
  const quoted = start + ICMP_HEADER_LENGTH
  if (p.verbose > 1 && icmpErrorTypes.includes(bytes[start]!) && has(p, quoted, IPV4_HEADER_LENGTH)) {
    p.out += ' for '
    nested(p, () => printIp(p, quoted, readUint16(bytes, quoted + at4.totalLength)))
  }
}

const plainNames: Readonly<Record<number, string>> = {
  0: 'echo reply',
  4: 'source quench',
  8: 'echo request',
  10: 'router solicitation',
  13: 'time stamp request',
  14: 'time stamp reply',
  15: 'information request',
  16: 'information reply',
  17: 'address mask request',
}

/** Texts around the destination of the quoted datagram. */
const unreachable: Readonly<Record<number, readonly [string, string]>> = {
  0: ['net ', ' unreachable'],
  1: ['host ', ' unreachable'],
  5: ['', ' unreachable - source route failed'],
  6: ['net ', ' unreachable - unknown'],
  7: ['host ', ' unreachable - unknown'],
  8: ['', ' unreachable - source host isolated'],
  9: ['net ', ' unreachable - admin prohibited'],
  10: ['host ', ' unreachable - admin prohibited'],
  11: ['net ', ' unreachable - tos prohibited'],
  12: ['host ', ' unreachable - tos prohibited'],
  13: ['host ', ' unreachable - admin prohibited filter'],
  14: ['host ', ' unreachable - host precedence violation'],
  15: ['host ', ' unreachable - precedence cutoff'],
}

const redirects: Readonly<Record<number, readonly [string, string]>> = {
  0: ['redirect ', ' to net '],
  1: ['redirect ', ' to host '],
  2: ['redirect-tos ', ' to net '],
  3: ['redirect-tos ', ' to net '],
}

/** `undefined`: the captured bytes end before what the message's text needs. */
function messageText(p: Printing, start: number): string | undefined {
  const { bytes } = p
  const type = bytes[start]!
  const code = bytes[start + 1]!
  if (p.quick) return `${type} ${code}`
  const quoted = start + ICMP_HEADER_LENGTH
  switch (type) {
    case IcmpType.echo:
    case IcmpType.echoReply: {
      const name = plainNames[type]!
      if (p.verbose === 0) return name
      if (!has(p, start, ICMP_HEADER_LENGTH)) return undefined
      const identifier = hex(readUint16(bytes, start + at.identifier), 4)
      return `${name} (id:${identifier} seq:${readUint16(bytes, start + at.sequence)})`
    }
    case IcmpType.destinationUnreachable:
      if (!has(p, quoted, IPV4_HEADER_LENGTH)) return undefined
      return unreachableText(p, start, code, quoted)
    case IcmpType.redirect: {
      if (!has(p, quoted, IPV4_HEADER_LENGTH)) return undefined
      const [before, between] = redirects[code] ?? [`redirect-#${code} `, ' to net ']
      return `${before}${ip4Text(bytes, quoted + at4.destination)}${between}${ip4Text(bytes, start + at.gateway)}`
    }
    case IcmpType.routerAdvertisement:
      return routerAdvertisementText(p, start)
    case IcmpType.timeExceeded:
      if (!has(p, quoted, IPV4_HEADER_LENGTH)) return undefined
      if (code === 0) return 'time exceeded in-transit'
      return code === 1 ? 'ip reassembly time exceeded' : `time exceeded-#${code}`
    case IcmpType.parameterProblem:
      if (code === 1) return 'requested option absent'
      if (!has(p, start, ICMP_HEADER_LENGTH)) return undefined
      return `${code === 2 ? 'bad length' : 'parameter problem - octet'} ${bytes[start + at.pointer]}`
    case 18:
      if (!has(p, start, 12)) return undefined
      return `address mask is 0x${hex(readUint32(bytes, start + 8), 8)}`
    default:
      return plainNames[type] ?? `type-#${type}`
  }
}

function unreachableText(p: Printing, start: number, code: number, quoted: number): string | undefined {
  const { bytes } = p
  const destination = ip4Text(bytes, quoted + at4.destination)
  const protocol = bytes[quoted + at4.protocol]!
  switch (code) {
    case IcmpUnreachable.protocol:
      return `${destination} protocol ${protocol} unreachable`
    case IcmpUnreachable.port: {
      const ports = quoted + 4 * (bytes[quoted]! & 15)
      if (!has(p, ports, 4)) return undefined
      const port = readUint16(bytes, ports + 2)
      if (protocol === IpProtocol.tcp)
        return `${destination} tcp port ${tcpPort(port, p.numeric)} unreachable`
      if (protocol === IpProtocol.udp)
        return `${destination} udp port ${udpPort(port, p.numeric)} unreachable`
      return `${destination} protocol ${protocol} port ${port} unreachable`
    }
    case IcmpUnreachable.fragmentationNeeded: {
      const mtu = readUint16(bytes, start + at.nextHopMtu)
      return `${destination} unreachable - need to frag${mtu === 0 ? '' : ` (mtu ${mtu})`}`
    }
    default: {
      const [before, after] = unreachable[code] ?? [`#${code} `, ' unreachable']
      return `${before}${destination}${after}`
    }
  }
}

/** RFC 1256 section 3: count, entry size, lifetime, then address and preference of each router. */
function routerAdvertisementText(p: Printing, start: number): string | undefined {
  const { bytes } = p
  if (!has(p, start, ICMP_HEADER_LENGTH)) return undefined
  const count = bytes[start + 4]!
  const size = bytes[start + 5]!
  const two = (value: number): string => String(value).padStart(2, '0')
  const lifetime = readUint16(bytes, start + 6)
  const minutes = Math.floor(lifetime / 60)
  const text =
    lifetime < 60
      ? String(lifetime)
      : lifetime < 3600
        ? `${minutes}:${two(lifetime % 60)}`
        : `${Math.floor(lifetime / 3600)}:${two(minutes % 60)}:${two(lifetime % 60)}`
  let out = `router advertisement lifetime ${text} ${count}:`
  if (size !== 2) return `${out} [size ${size}]`
  for (let i = 0, entry = start + ICMP_HEADER_LENGTH; i < count; i++, entry += 8) {
    if (!has(p, entry, 8)) return undefined
    out += ` {${ip4Text(bytes, entry)} ${readUint32(bytes, entry + 4)}}`
  }
  return out
}
