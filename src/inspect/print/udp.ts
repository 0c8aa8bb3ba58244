/** UDP: with -v its checksum is said, right or wrong. */
import { pseudoHeaderSum, readUint16 } from '../../base/index.js'
import { headerOfUdpPort } from '../../wire/bindings.js'
import { type ChecksumMismatch, checksumMismatch } from '../../wire/checksum.js'
import { UDP_ENCAPSULATION_PORT } from '../../wire/esp.js'
import { ipv4 } from '../../wire/ipv4.js'
import { ipv6 } from '../../wire/ipv6.js'
import { IpProtocol } from '../../wire/numbers.js'
import { UDP_HEADER_LENGTH, udp } from '../../wire/udp.js'
import { printEncapsulated } from './esp.js'
import { printIke } from './ike.js'
import { udpPort } from './names.js'
import { has, type Printing } from './printing.js'
import { hex, ip4Text, ip6Text } from './text.js'

const at = udp.offset

export function printUdp(p: Printing, start: number, length: number, ip: number, family: 4 | 6): void {
  const { bytes } = p
  const [source, destination] = addressTexts(bytes, ip, family)
  if (!has(p, start, UDP_HEADER_LENGTH)) {
    p.out += `${source} > ${destination}: [|udp]`
    return
  }
  if (length < UDP_HEADER_LENGTH) {
    p.out += `${source} > ${destination}: truncated-udp ${length}`
    return
  }
  const sourcePort = udpPort(readUint16(bytes, start + at.sourcePort), p.numeric)
  const destinationPort = udpPort(readUint16(bytes, start + at.destinationPort), p.numeric)
  p.out += `${source}.${sourcePort} > ${destination}.${destinationPort}: `
  const claimed = readUint16(bytes, start + at.length)
  if (length < claimed) p.out += ` truncated-udp - ${claimed - length} bytes missing!`
  if (p.verbose > 0 && has(p, start, length)) p.out += checksumText(p, start, length, ip, family)
  const data = start + UDP_HEADER_LENGTH
  const rest = length - UDP_HEADER_LENGTH
  const ports = [readUint16(bytes, start + at.sourcePort), readUint16(bytes, start + at.destinationPort)]
  if (ports.includes(UDP_ENCAPSULATION_PORT))
    printEncapsulated(p, data, rest, { ip, family, isPartial: length < claimed })
  else if (ports.some((port) => headerOfUdpPort[port] === 'ike'))
    printIke(p, data, Math.min(rest, Math.max(0, claimed - UDP_HEADER_LENGTH)), length < claimed)
  else p.out += `udp ${rest}`
}

function checksumText({ bytes }: Printing, start: number, length: number, ip: number, family: 4 | 6): string {
  const found = readUint16(bytes, start + at.checksum)
  if (found === 0) return family === 4 ? '[no udp cksum] ' : '[invalid udp cksum 0] '
  const wrong = transportMismatch(bytes, start, length, ip, family, IpProtocol.udp, at.checksum)
  return wrong === undefined
    ? '[udp sum ok] '
    : `[bad udp cksum ${hex(wrong.found, 4)}! -> ${hex(wrong.expected, 4)}] `
}

export function addressTexts(bytes: Uint8Array, ip: number, family: 4 | 6): [string, string] {
  return family === 4
    ? [ip4Text(bytes, ip + ipv4.offset.source), ip4Text(bytes, ip + ipv4.offset.destination)]
    : [ip6Text(bytes, ip + ipv6.offset.source), ip6Text(bytes, ip + ipv6.offset.destination)]
}

/** What is wrong with the checksum at `field` of `length` bytes of a transport header and its data. */
export function transportMismatch(
  bytes: Uint8Array,
  start: number,
  length: number,
  ip: number,
  family: 4 | 6,
  protocol: number,
  field: number,
): ChecksumMismatch | undefined {
  const addresses = ip + (family === 4 ? ipv4.offset.source : ipv6.offset.source)
  const pseudo = pseudoHeaderSum(bytes, addresses, family === 4 ? 4 : 16, protocol, length)
  return checksumMismatch(bytes, start, start + length, start + field, pseudo)
}
