/** ICMPv6 and neighbour discovery. The addresses of the packet stand before it already. */
import { readUint16, readUint32 } from '../../base/index.js'
import { ICMPV6_HEADER_LENGTH, Icmpv6Type, Icmpv6Unreachable, icmpv6 } from '../../wire/icmpv6.js'
import { IPV6_HEADER_LENGTH, ipv6 } from '../../wire/ipv6.js'
import {
  ndRedirect,
  neighborAdvertisement,
  neighborSolicitation,
  routerAdvertisement,
} from '../../wire/nd.js'
import { NdOption } from '../../wire/nd-options.js'
import { IpProtocol } from '../../wire/numbers.js'
import { tcpPort, udpPort } from './names.js'
import { has, type Printing } from './printing.js'
import { hex, ip6Text, macText } from './text.js'
import { transportMismatch } from './udp.js'

const at = icmpv6.offset
const at6 = ipv6.offset
const INFINITE_LIFETIME = 0xffffffff

export function printIcmp6(p: Printing, start: number, length: number, ip: number): void {
  const { bytes } = p
  const text = has(p, start, 2) ? messageText(p, start, start + length) : undefined
  if (text === undefined) {
    p.out += '[|icmp6]'
    return
  }
  p.out += text
  if (p.verbose > 0 && length >= 4 && has(p, start, length)) {
    const wrong = transportMismatch(bytes, start, length, ip, 6, IpProtocol.icmpv6, at.checksum)
    p.out +=
      wrong === undefined
        ? ' [icmp6 cksum ok]'
        : ` [bad icmp6 cksum ${hex(wrong.found)}! -> ${hex(wrong.expected)}]`
  }
}

/** `undefined`: the captured bytes end before what the message's text needs. */
function messageText(p: Printing, start: number, end: number): string | undefined {
  const { bytes } = p
  const type = bytes[start]!
  const code = bytes[start + 1]!
  const quoted = start + ICMPV6_HEADER_LENGTH
  const quotedThere = has(p, quoted, IPV6_HEADER_LENGTH)
  switch (type) {
    case Icmpv6Type.destinationUnreachable:
      return quotedThere ? unreachableText(p, code, quoted) : undefined
    case Icmpv6Type.packetTooBig:
      return has(p, start, ICMPV6_HEADER_LENGTH)
        ? `icmp6: too big ${readUint32(bytes, start + at.mtu)}`
        : undefined
    case Icmpv6Type.timeExceeded:
      if (!quotedThere) return undefined
      if (code === 0) return `icmp6: time exceeded in-transit for ${ip6Text(bytes, quoted + at6.destination)}`
      return code === 1 ? 'icmp6: ip6 reassembly time exceeded' : `icmp6: time exceeded code-#${code}`
    case Icmpv6Type.parameterProblem: {
      if (!quotedThere) return undefined
      const what = ['erroneous', 'next header', 'option'][code]
      if (what === undefined) return `icmp6: parameter problem code-#${code}`
      return `icmp6: parameter problem ${what} - octet ${readUint32(bytes, start + at.pointer)}`
    }
    case Icmpv6Type.echoRequest:
    case Icmpv6Type.echoReply: {
      const name = `icmp6: echo ${type === Icmpv6Type.echoRequest ? 'request' : 'reply'}`
      if (p.verbose === 0) return name
      if (!has(p, start, ICMPV6_HEADER_LENGTH)) return undefined
      const identifier = hex(readUint16(bytes, start + at.identifier), 4)
      return `${name} (id:${identifier} seq:${readUint16(bytes, start + at.sequence)})`
    }
    case Icmpv6Type.mldQuery:
      return `icmp6: multicast listener query ${listenerText(p, start)}`
    case Icmpv6Type.mldReport:
      return `icmp6: multicast listener report ${listenerText(p, start)}`
    case Icmpv6Type.mldDone:
      return `icmp6: multicast listener done ${listenerText(p, start)}`
    case Icmpv6Type.mldv2Report:
      if (!has(p, start, 8)) return undefined
      return `icmp6: multicast listener report v2, ${readUint16(bytes, start + 6)} group record(s)`
    case Icmpv6Type.routerSolicitation:
      return `icmp6: router solicitation ${p.verbose > 0 ? optionsText(p, start + 8, end) : ''}`
    case Icmpv6Type.routerAdvertisement:
      return routerAdvertisementText(p, start, end)
    case Icmpv6Type.neighborSolicitation: {
      const length = neighborSolicitation.minimumLength
      if (!has(p, start, length)) return undefined
      const target = ip6Text(bytes, start + neighborSolicitation.offset.target)
      return `icmp6: neighbor sol: who has ${target}${p.verbose > 0 ? optionsText(p, start + length, end) : ''}`
    }
    case Icmpv6Type.neighborAdvertisement: {
      const length = neighborAdvertisement.minimumLength
      if (!has(p, start, length)) return undefined
      const target = ip6Text(bytes, start + neighborAdvertisement.offset.target)
      const text = `icmp6: neighbor adv: tgt is ${target}`
      if (p.verbose === 0) return text
      const flags = bytes[start + neighborAdvertisement.offset.router]!
      const letters = (flags & 0x80 ? 'R' : '') + (flags & 0x40 ? 'S' : '') + (flags & 0x20 ? 'O' : '')
      return `${text}${letters === '' ? '' : `(${letters})`}${optionsText(p, start + length, end)}`
    }
    case Icmpv6Type.redirect: {
      const length = ndRedirect.minimumLength
      if (!has(p, start, length)) return undefined
      const destination = ip6Text(bytes, start + ndRedirect.offset.destination)
      const target = ip6Text(bytes, start + ndRedirect.offset.target)
      const options = p.verbose > 0 ? optionsText(p, start + length, end) : ''
      return `icmp6: redirect ${destination} to ${target}${options}`
    }
    default:
      return `icmp6: type-#${type}`
  }
}

function unreachableText(p: Printing, code: number, quoted: number): string | undefined {
  const { bytes } = p
  const destination = ip6Text(bytes, quoted + at6.destination)
  switch (code) {
    case Icmpv6Unreachable.noRoute:
      return `icmp6: ${destination} unreachable route`
    case Icmpv6Unreachable.administrativelyProhibited:
      return `icmp6: ${destination} unreachable prohibited`
    case Icmpv6Unreachable.beyondScope:
      return `icmp6: ${destination} beyond scope of source address ${ip6Text(bytes, quoted + at6.source)}`
    case Icmpv6Unreachable.address:
      return `icmp6: ${destination} unreachable address`
    case Icmpv6Unreachable.port: {
      const ports = quoted + IPV6_HEADER_LENGTH
      if (!has(p, ports, 4)) return undefined
      const port = readUint16(bytes, ports + 2)
      const protocol = bytes[quoted + at6.nextHeader]!
      if (protocol === IpProtocol.tcp)
        return `icmp6: ${destination} tcp port ${tcpPort(port, p.numeric)} unreachable`
      if (protocol === IpProtocol.udp)
        return `icmp6: ${destination} udp port ${udpPort(port, p.numeric)} unreachable`
      return `icmp6: ${destination} protocol ${protocol} port ${port} unreachable`
    }
    default:
      return `icmp6: ${destination} unreachable code-#${code}`
  }
}

/** RFC 2710 section 3: maximum response delay and multicast address. */
function listenerText(p: Printing, start: number): string {
  if (!has(p, start, 24)) return ''
  return `max resp delay: ${readUint16(p.bytes, start + 4)} addr: ${ip6Text(p.bytes, start + 8)}`
}

/** RFC 4191 section 2.2: the two bits of the default router preference. */
const preferences: readonly string[] = ['medium', 'high', 'rsv', 'low']

function routerAdvertisementText(p: Printing, start: number, end: number): string | undefined {
  const { bytes } = p
  const text = 'icmp6: router advertisement'
  if (p.verbose === 0) return text
  const length = routerAdvertisement.minimumLength
  if (!has(p, start, length)) return undefined
  const at = routerAdvertisement.offset
  const flags = bytes[start + at.managed]!
  const letters = (flags & 0x80 ? 'M' : '') + (flags & 0x40 ? 'O' : '')
  return (
    `${text}(chlim=${bytes[start + at.curHopLimit]}, ${letters === '' ? '' : `${letters}, `}` +
    `pref=${preferences[(flags >> 3) & 3]}, router_ltime=${readUint16(bytes, start + at.routerLifetime)}, ` +
    `reachable_time=${readUint32(bytes, start + at.reachableTime)}, ` +
    `retrans_time=${readUint32(bytes, start + at.retransTimer)})${optionsText(p, start + length, end)}`
  )
}

function optionsText(p: Printing, from: number, end: number): string {
  const { bytes } = p
  let text = ''
  for (let here = from; here < end; ) {
    if (!has(p, here, 2)) return text
    const kind = bytes[here]!
    const units = bytes[here + 1]!
    if (units === 0 || !has(p, here, 8 * units)) return `${text}[ndp opt]`
    text += optionText(bytes, here, kind, units)
    here += 8 * units
  }
  return text
}

function optionText(bytes: Uint8Array, here: number, kind: number, units: number): string {
  const odd = (expected: number): string => (units === expected ? '' : '!')
  const lifetime = (seconds: number): string => (seconds === INFINITE_LIFETIME ? 'infinity' : String(seconds))
  switch (kind) {
    case NdOption.sourceLinkLayerAddress:
      return `(src lladdr: ${macText(bytes, here + 2)}${odd(1)})`
    case NdOption.targetLinkLayerAddress:
      return `(tgt lladdr: ${macText(bytes, here + 2)}${odd(1)})`
    case NdOption.prefixInformation: {
      if (units < 4) return '[ndp opt]'
      const flags = bytes[here + 3]!
      const letters = (flags & 0x80 ? 'L' : '') + (flags & 0x40 ? 'A' : '') + (flags === 0 ? '' : ' ')
      return (
        `(prefix info: ${letters}valid_ltime=${lifetime(readUint32(bytes, here + 4))}, ` +
        `preferred_ltime=${lifetime(readUint32(bytes, here + 8))}, ` +
        `prefix=${ip6Text(bytes, here + 16)}/${bytes[here + 2]}${odd(4)})`
      )
    }
    case NdOption.redirectedHeader:
      return '(redirect)'
    case NdOption.mtu:
      return `(mtu: mtu=${readUint32(bytes, here + 4)}${odd(1)})`
    case NdOption.rdnss: {
      let text = `(rdnss: lifetime=${readUint32(bytes, here + 4)}s`
      if (units < 3) text += '!'
      for (let i = 0; i < (units - 1) >> 1; i++) text += `, addr=${ip6Text(bytes, here + 8 + 16 * i)}`
      return `${text})`
    }
    default:
      return `(unknown opt_type=${kind}, opt_len=${units})`
  }
}
