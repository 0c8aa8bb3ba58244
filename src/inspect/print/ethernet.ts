/** Ethernet frames, 802.1Q tags and ARP. */
import { readUint16 } from '../../base/index.js'
import { ETHERNET_HEADER_LENGTH, ethernet, vlan } from '../../wire/ethernet.js'
import { EtherType } from '../../wire/numbers.js'
import { hexDump } from '../hex.js'
import { printArp } from './arp.js'
import { printIp } from './ip.js'
import { printIp6 } from './ip6.js'
import { etherTypeText } from './names.js'
import { has, type Printing } from './printing.js'
import { hex, macText } from './text.js'

/** Above it the type field is an EtherType; up to it, an IEEE 802.3 length. */
const MAXIMUM_802_3_LENGTH = 1500
/** Tags on tags that are followed. */
const MAXIMUM_TAGS = 4
const REVARP = 0x8035

/** `length`: of the whole frame as its carrier knows it. */
export function printEthernet(p: Printing, at: number, length: number): void {
  if (!has(p, at, ETHERNET_HEADER_LENGTH)) {
    p.out += '[|ether]'
    return
  }
  if (p.link) printHeader(p, at, length)
  const outer = p.frameAt
  p.frameAt = at
  const etherType = readUint16(p.bytes, at + ethernet.offset.etherType)
  printPayload(p, at, etherType, at + ETHERNET_HEADER_LENGTH, length - ETHERNET_HEADER_LENGTH, length)
  p.frameAt = outer
}

function printHeader(p: Printing, at: number, length: number): void {
  const { bytes } = p
  const source = macText(bytes, at + ethernet.offset.source)
  const destination = macText(bytes, at + ethernet.offset.destination)
  const type = p.quick
    ? ''
    : ` ${etherTypeText(readUint16(bytes, at + ethernet.offset.etherType), p.numeric)}`
  p.out += `${source} ${destination}${type} ${length}: `
}

function printPayload(
  p: Printing,
  frame: number,
  etherType: number,
  at: number,
  length: number,
  frameLength: number,
  tags = 0,
): void {
  switch (etherType) {
    case EtherType.ipv4:
      printIp(p, at, length)
      return
    case EtherType.ipv6:
      printIp6(p, at, length)
      return
    case EtherType.arp:
    case REVARP:
      printArp(p, at, length)
      return
    case EtherType.vlan:
    case EtherType.qinq:
      if (tags >= MAXIMUM_TAGS) break
      if (!has(p, at, vlan.minimumLength)) {
        p.out += '[|vlan]'
        return
      }
      p.out += tagText(p, etherType, at)
      printPayload(
        p,
        frame,
        readUint16(p.bytes, at + vlan.offset.etherType),
        at + vlan.minimumLength,
        length - vlan.minimumLength,
        frameLength,
        tags + 1,
      )
      return
  }
  printUnknown(p, frame, etherType, at, frameLength)
}

function tagText({ bytes }: Printing, etherType: number, at: number): string {
  const tag = readUint16(bytes, at)
  const name = etherType === EtherType.qinq ? 'QinQ s' : '802.1Q '
  return `${name}vid ${tag & 0xfff} pri ${tag >> 13}${tag & 0x1000 ? ' cfi' : ''} `
}

/** What no printer knows: the link header, if it was not printed, and the bytes, if no dump will follow. */
function printUnknown(p: Printing, frame: number, etherType: number, at: number, frameLength: number): void {
  if (!p.link) printHeader(p, frame, frameLength)
  if (etherType <= MAXIMUM_802_3_LENGTH && has(p, at, 3)) {
    const [dsap, ssap, control] = [p.bytes[at]!, p.bytes[at + 1]!, p.bytes[at + 2]!]
    p.out += `llc dsap ${hex(dsap, 2)} ssap ${hex(ssap, 2)} ctrl ${hex(control, 2)}`
  }
  if (!p.dumped && !p.quick) {
    const dump = hexDump(p.bytes.subarray(at, p.end), { form: 'hex' })
    if (dump !== '') p.out += `\n${dump}`
  }
}
