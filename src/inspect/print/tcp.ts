/** TCP: flags, relative sequence numbers, options in angle brackets. */
import { readUint16, readUint32 } from '../../base/index.js'
import { ipv4 } from '../../wire/ipv4.js'
import { ipv6 } from '../../wire/ipv6.js'
import { IpProtocol } from '../../wire/numbers.js'
import { TCP_FLAGS_OFFSET, TCP_HEADER_LENGTH, TcpFlag, tcp } from '../../wire/tcp.js'
import { tcpPort } from './names.js'
import { has, type Printing } from './printing.js'
import { hex } from './text.js'
import { addressTexts, transportMismatch } from './udp.js'

const at = tcp.offset
const { fin: FIN, syn: SYN, rst: RST, psh: PSH, ack: ACK, urg: URG, ece: ECE, cwr: CWR } = TcpFlag

/** In the order OpenBSD prints them; ACK is told by the number, URG by its pointer. */
const flagLetters: readonly (readonly [number, string])[] = [
  [SYN, 'S'],
  [FIN, 'F'],
  [RST, 'R'],
  [PSH, 'P'],
  [CWR, 'W'],
  [ECE, 'E'],
]

export function printTcp(p: Printing, start: number, length: number, ip: number, family: 4 | 6): void {
  const { bytes } = p
  if (!has(p, start, TCP_HEADER_LENGTH)) {
    p.out += '[|tcp]'
    return
  }
  if (length < TCP_HEADER_LENGTH) {
    p.out += `truncated-tcp ${length}`
    return
  }
  const [source, destination] = addressTexts(bytes, ip, family)
  const sourcePort = tcpPort(readUint16(bytes, start + at.sourcePort), p.numeric)
  const destinationPort = tcpPort(readUint16(bytes, start + at.destinationPort), p.numeric)
  p.out += `${source}.${sourcePort} > ${destination}.${destinationPort}: `
  const headerLength = 4 * (bytes[start + at.dataOffset]! >> 4)
  if (p.quick) {
    p.out += `tcp ${length - headerLength}`
    return
  }
  const flags = bytes[start + TCP_FLAGS_OFFSET]!
  const letters = flagLetters.map(([bit, letter]) => (flags & bit ? letter : '')).join('')
  p.out += letters === '' ? '.' : letters
  let sequence = readUint32(bytes, start + at.sequenceNumber)
  let acknowledgment = readUint32(bytes, start + at.acknowledgmentNumber)
  const relative = !p.absolute && (flags & ACK) !== 0
  if (relative) {
    relate(p, start, ip, family, sequence, acknowledgment, (flags & SYN) !== 0)
    sequence = (sequence - p.flows.sequenceBase) >>> 0
    acknowledgment = (acknowledgment - p.flows.acknowledgmentBase) >>> 0
  }
  if (headerLength > length || headerLength < TCP_HEADER_LENGTH) {
    p.out += ' [bad hdr length]'
    return
  }
  if (p.verbose > 0 && has(p, start, length)) {
    const wrong = transportMismatch(bytes, start, length, ip, family, IpProtocol.tcp, at.checksum)
    p.out +=
      wrong === undefined
        ? ' [tcp sum ok]'
        : ` [bad tcp cksum ${hex(wrong.found)}! -> ${hex(wrong.expected)}]`
  }
  const data = length - headerLength
  if (data > 0 || flags & (SYN | FIN | RST)) p.out += ` ${sequence}:${(sequence + data) >>> 0}(${data})`
  if (flags & ACK) p.out += ` ack ${acknowledgment}`
  p.out += ` win ${readUint16(bytes, start + at.window)}`
  if (flags & URG) p.out += ` urg ${readUint16(bytes, start + at.urgentPointer)}`
  if (headerLength > TCP_HEADER_LENGTH)
    printOptions(p, start + TCP_HEADER_LENGTH, start + headerLength, flags, relative ? p.flows.sackBase : 0)
}

function relate(
  p: Printing,
  start: number,
  ip: number,
  family: 4 | 6,
  sequence: number,
  acknowledgment: number,
  syn: boolean,
): void {
  const { offset } = family === 4 ? ipv4 : ipv6
  const addressLength = family === 4 ? 4 : 16
  p.flows.relate(
    p.bytes,
    ip + offset.source,
    ip + offset.destination,
    addressLength,
    start,
    sequence,
    acknowledgment,
    syn,
  )
}

/** Kinds whose value is 32-bit numbers: name and how many. */
const numberOptions: Readonly<Record<number, readonly [string, number]>> = {
  6: ['echo', 1],
  7: ['echoreply', 1],
  8: ['timestamp', 2],
  11: ['cc', 1],
  12: ['ccnew', 1],
  13: ['ccecho', 1],
}

function printOptions(p: Printing, from: number, to: number, flags: number, sackBase: number): void {
  const { bytes } = p
  p.out += ' '
  let separator = '<'
  for (let here = from; here < to; ) {
    p.out += separator
    separator = ','
    if (!has(p, here, 1)) {
      fail(p, '[|tcp]')
      return
    }
    const kind = bytes[here]!
    if (kind === 0) {
      p.out += 'eol'
      break
    }
    if (kind === 1) {
      p.out += 'nop'
      here++
      continue
    }
    if (here + 1 >= to) {
      fail(p, '[bad opt]')
      return
    }
    if (!has(p, here, 2)) {
      fail(p, '[|tcp]')
      return
    }
    const length = bytes[here + 1]!
    if (length < 2 || here + length > to) {
      fail(p, '[bad opt]')
      return
    }
    if (!has(p, here, length)) {
      fail(p, `${optionName(kind)}[|tcp]`)
      return
    }
    p.out += optionText(bytes, here, kind, length, flags, sackBase)
    here += length
  }
  p.out += '>'
}

function fail(p: Printing, what: string): void {
  p.out += `${what}>`
}

const optionName = (kind: number): string =>
  kind === 2
    ? 'mss'
    : kind === 3
      ? 'wscale'
      : kind === 5
        ? 'sack'
        : (numberOptions[kind]?.[0] ?? `opt-${kind}:`)

function optionText(
  bytes: Uint8Array,
  start: number,
  kind: number,
  length: number,
  flags: number,
  sackBase: number,
): string {
  const data = start + 2
  const wrong = ` [len ${length}]`
  if (kind === 2) return length === 4 ? `mss ${readUint16(bytes, data)}` : `mss${wrong}`
  if (kind === 3) return length === 3 ? `wscale ${bytes[data]}` : `wscale${wrong}`
  if (kind === 4) return `sackOK${length === 2 ? '' : `[len ${length}]`}`
  if (kind === 5) {
    if ((length - 2) % 8 !== 0 || !(flags & ACK)) return `malformed sack [len ${length - 2}] `
    let text = `sack ${(length - 2) / 8} `
    for (let i = data; i < start + length; i += 8) {
      const left = (readUint32(bytes, i) - sackBase) >>> 0
      const right = (readUint32(bytes, i + 4) - sackBase) >>> 0
      text += `{${left}:${right}} `
    }
    return text
  }
  const numbers = numberOptions[kind]
  if (numbers !== undefined) {
    const [name, count] = numbers
    if (length !== 2 + 4 * count) return `${name}${wrong}`
    let text = name
    for (let i = 0; i < count; i++) text += ` ${readUint32(bytes, data + 4 * i)}`
    return text
  }
  let text = `opt-${kind}:`
  for (let i = data; i < start + length; i++) text += hex(bytes[i]!, 2)
  return text
}
