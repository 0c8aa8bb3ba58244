/** One packet, one line, as OpenBSD's tcpdump prints it; with -x or -X the dump below it. */
import { type Instant, readUint16 } from '../../base/index.js'
import { EtherType } from '../../wire/numbers.js'
import { FlowTable } from '../flows.js'
import { type DumpForm, hexDump } from '../hex.js'
import {
  LINUX_SLL_HEADER_LENGTH,
  LinkType,
  linkHeaderLength,
  loopbackFamily,
  NULL_HEADER_LENGTH,
  networkEtherType,
} from '../link-type.js'
import type { Opener } from '../opener.js'
import { printArp } from './arp.js'
import { printEthernet } from './ethernet.js'
import { printIp } from './ip.js'
import { printIp6 } from './ip6.js'
import { etherTypeText } from './names.js'
import type { Printing } from './printing.js'
import { hex } from './text.js'
import { type TimeFormat, TimeStamps } from './time.js'

/** Bytes of a packet that OpenBSD's tcpdump captures when nobody says -s. */
export const DEFAULT_SNAPLEN = 116

export interface TcpdumpOptions {
  /** How many -v. */
  readonly verbose?: number
  /** -n. */
  readonly numeric?: boolean
  /** -e. */
  readonly link?: boolean
  /** -q. */
  readonly quick?: boolean
  /** -S. */
  readonly absolute?: boolean
  /** -X: 'hexl'; -x: 'hex'; -A: 'ascii'. With -e from the link header on, else from the network header. */
  readonly dump?: DumpForm
  /** -s: what is behind so many bytes is treated as not captured. */
  readonly snaplen?: number
  /** -t, -tt, … Without a time given to the packet there is no stamp. */
  readonly timeFormat?: TimeFormat
  /** Keys: ESP that it can open is followed, as OpenBSD's tcpdump -E does. */
  readonly opener?: Opener
  /** Seconds east of UTC of the local zone at a moment. */
  readonly utcOffset?: (epochSeconds: number) => number
}

export interface PacketFacts {
  /** Microseconds since 1970. */
  readonly time?: Instant
  /** Length on the wire, where it is more than what was captured. */
  readonly originalLength?: number
}

/** Prints the packets of one capture: it remembers TCP conversations and the time before. */
export class TcpdumpPrinter {
  readonly options: TcpdumpOptions
  readonly flows: FlowTable = new FlowTable()
  readonly #stamps: TimeStamps

  constructor(options: TcpdumpOptions = {}) {
    this.options = options
    this.#stamps = new TimeStamps(options.timeFormat ?? 'time', options.utcOffset)
  }

  /** The packet's line, and its dump below if that was asked for; no newline at the end. Never throws. */
  line(bytes: Uint8Array, linkType: number, facts: PacketFacts = {}): string {
    const { options } = this
    const length = Math.max(bytes.length, facts.originalLength ?? 0)
    const end = Math.min(bytes.length, options.snaplen ?? bytes.length)
    const p: Printing = {
      bytes,
      opener: options.opener,
      end,
      flows: this.flows,
      verbose: options.verbose ?? 0,
      numeric: options.numeric ?? false,
      link: options.link ?? false,
      quick: options.quick ?? false,
      absolute: options.absolute ?? false,
      dumped: options.dump !== undefined,
      frameAt: -1,
      depth: 0,
      out: facts.time === undefined ? '' : this.#stamps.text(facts.time),
    }
    printLink(p, linkType, length)
    if (options.dump === undefined) return p.out
    const from = p.link ? 0 : Math.min(end, linkHeaderLength(linkType))
    const dump = hexDump(bytes.subarray(from, end), { form: options.dump })
    return dump === '' ? p.out : `${p.out}\n${dump}`
  }
}

/** One packet by itself; TCP sequence numbers are absolute, as for the first segment of a conversation. */
export const tcpdumpLine = (
  bytes: Uint8Array,
  linkType: number,
  options: TcpdumpOptions & PacketFacts = {},
): string => new TcpdumpPrinter(options).line(bytes, linkType, options)

function printLink(p: Printing, linkType: number, length: number): void {
  if (linkType === LinkType.ethernet) {
    printEthernet(p, 0, length)
    return
  }
  const header = linkHeaderLength(linkType)
  if (p.end < header) {
    p.out += linkType === LinkType.linuxSll ? '[|sll]' : '[|null]'
    return
  }
  const etherType = networkEtherType(p.bytes, linkType, 0, p.end)
  if (p.link) p.out += headerText(p, linkType, etherType, length)
  switch (etherType) {
    case EtherType.ipv4:
      printIp(p, header, length - header)
      return
    case EtherType.ipv6:
      printIp6(p, header, length - header)
      return
    case EtherType.arp:
      printArp(p, header, length - header)
      return
    default:
      if (linkType === LinkType.linuxSll)
        p.out += `sll ${etherTypeText(etherType, p.numeric)} ${length - header}`
      else if (header === NULL_HEADER_LENGTH) p.out += `AF ${loopbackFamily(p.bytes, 0)} ${length - header}`
      else if (p.end === 0) p.out += '[|ip]'
      else p.out += `bad-ip-version ${p.bytes[0]! >> 4}`
  }
}

function headerText(p: Printing, linkType: number, etherType: number, length: number): string {
  if (linkType === LinkType.linuxSll) {
    const way = ['in', 'bcast', 'mcast', 'other', 'out'][readUint16(p.bytes, 0)] ?? '?'
    const address =
      hex(readUint16(p.bytes, 6), 4) + hex(readUint16(p.bytes, 8), 4) + hex(readUint16(p.bytes, 10), 4)
    const type = etherTypeText(readUint16(p.bytes, LINUX_SLL_HEADER_LENGTH - 2), p.numeric)
    return `${way} ${address.replace(/(..)(?=.)/g, '$1:')} ${type} ${length}: `
  }
  if (linkHeaderLength(linkType) !== NULL_HEADER_LENGTH || p.numeric) return ''
  return etherType === EtherType.ipv4
    ? 'ip: '
    : etherType === EtherType.ipv6
      ? 'ip6: '
      : `AF ${loopbackFamily(p.bytes, 0)}: `
}
