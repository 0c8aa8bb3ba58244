/** GRE of RFC 2784 and RFC 2890, RFC 1701's routing said by name, and version 1: PPTP and EoIP. */
import { readUint16, readUint32 } from '../../base/index.js'
import { EtherType } from '../../wire/numbers.js'
import { printEthernet } from './ethernet.js'
import { printIp } from './ip.js'
import { printIp6 } from './ip6.js'
import { has, type Printing } from './printing.js'
import { hex } from './text.js'

const flag = {
  checksum: 0x8000,
  routing: 0x4000,
  key: 0x2000,
  sequence: 0x1000,
  strict: 0x0800,
  acknowledgment: 0x80,
}
const PPP = 0x880b

export function printGre(p: Printing, at: number, length: number): void {
  if (!has(p, at, 2)) {
    p.out += '[|gre]'
    return
  }
  const flags = readUint16(p.bytes, at)
  const version = flags & 7
  if (version === 0) printVersion0(p, at, length, flags)
  else if (version === 1) printVersion1(p, at, length, flags)
  else p.out += `gre-unknown-version=${version}`
}

function printVersion0(p: Printing, at: number, length: number, flags: number): void {
  const { bytes } = p
  p.out += 'gre'
  if (p.verbose > 0) p.out += ` [${flagLetters(flags)}]`
  let next = at + 4
  /** Takes `count` bytes, or says that they were not captured. */
  const take = (count: number): number | undefined => {
    const here = next
    if (!has(p, here, count)) {
      p.out += '[|gre]'
      return undefined
    }
    next += count
    return here
  }
  if (!has(p, at, 4)) {
    p.out += '[|gre]'
    return
  }
  const protocol = readUint16(bytes, at + 2)
  if (flags & (flag.checksum | flag.routing)) {
    const here = take(4)
    if (here === undefined) return
    if (flags & flag.checksum && p.verbose > 0) p.out += ` sum 0x${hex(readUint16(bytes, here))}`
    if (flags & flag.routing) p.out += ` off 0x${hex(readUint16(bytes, here + 2))}`
  }
  if (flags & flag.key) {
    const here = take(4)
    if (here === undefined) return
    const key = readUint32(bytes, here)
    // The second form splits it as NVGRE does: a virtual subnet of 24 bits, and 8 bits of flow.
    p.out += ` key=${key}|${key >>> 8}+${hex(key & 0xff, 2)}`
  }
  if (flags & flag.sequence) {
    const here = take(4)
    if (here === undefined) return
    p.out += ` seq ${readUint32(bytes, here)}`
  }
  if (flags & flag.routing) {
    p.out += ' (source routes)'
    return
  }
  p.out += ' '
  const rest = length - (next - at)
  switch (protocol) {
    case 0:
      p.out += 'keep-alive'
      return
    case EtherType.ipv4:
      printIp(p, next, rest)
      return
    case EtherType.ipv6:
      printIp6(p, next, rest)
      return
    case EtherType.transparentEthernetBridging:
      printEthernet(p, next, rest)
      return
    default:
      p.out += `unknown-proto-${hex(protocol, 4)}`
  }
}

function printVersion1(p: Printing, at: number, length: number, flags: number): void {
  if (!has(p, at, 4)) {
    p.out += '[|gre1]'
    return
  }
  const protocol = readUint16(p.bytes, at + 2)
  if (protocol === EtherType.eoip) printEoip(p, at, length, flags)
  else if (protocol === PPP) printPptp(p, at, flags)
  else p.out += `unknown-gre1-proto-${hex(protocol, 4)}`
}

/** MikroTik's: the key holds the frame's length, and the tunnel id in little-endian order. */
function printEoip(p: Printing, at: number, length: number, flags: number): void {
  const { bytes } = p
  p.out += 'eoip'
  if ((flags & ~7) !== flag.key) {
    p.out += ` unknown-eoip-flags-${hex(flags & ~7, 4)}!`
    return
  }
  if (!has(p, at + 4, 4)) {
    p.out += '[|eoip]'
    return
  }
  const frameLength = readUint16(bytes, at + 4)
  const tunnelId = bytes[at + 6]! | (bytes[at + 7]! << 8)
  p.out += p.verbose > 0 ? ` len=${frameLength} tunnel-id=${tunnelId}` : ` ${tunnelId}`
  const rest = length - 8
  if (rest < frameLength) p.out += ` truncated-eoip - ${frameLength - rest} bytes missing!`
  p.out += ': '
  if (frameLength === 0) p.out += 'keepalive'
  else printEthernet(p, at + 8, Math.min(frameLength, rest))
}

/** RFC 2637 section 4.1. */
function printPptp(p: Printing, at: number, flags: number): void {
  const { bytes } = p
  p.out += 'pptp'
  if (p.verbose > 0) p.out += ` [${flagLetters(flags)}${flags & flag.acknowledgment ? 'A' : ''}]`
  if (flags & flag.checksum) p.out += ' cpset!'
  else if (flags & flag.routing) p.out += ' rpset!'
  else if (!(flags & flag.key)) p.out += ' kpunset!'
  else if (flags & flag.strict) p.out += ' spset!'
  else {
    if (!has(p, at + 4, 4)) {
      p.out += '[|pptp]'
      return
    }
    if (p.verbose > 0) p.out += ` len ${readUint16(bytes, at + 4)}`
    p.out += ` callid ${readUint16(bytes, at + 6)}`
    let next = at + 8
    for (const [bit, name] of [
      [flag.sequence, 'seq'],
      [flag.acknowledgment, 'ack'],
    ] as const) {
      if (!(flags & bit)) continue
      if (!has(p, next, 4)) {
        p.out += '[|pptp]'
        return
      }
      p.out += ` ${name} ${readUint32(bytes, next)}`
      next += 4
    }
  }
}

const flagLetters = (flags: number): string =>
  (flags & flag.checksum ? 'C' : '') +
  (flags & flag.routing ? 'R' : '') +
  (flags & flag.key ? 'K' : '') +
  (flags & flag.sequence ? 'S' : '') +
  (flags & flag.strict ? 's' : '')
