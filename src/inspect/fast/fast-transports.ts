/** UDP and TCP of the fast printer: everything from the addresses on. */

import { IKE_PORT, UDP_ENCAPSULATION_PORT } from '../../wire/esp.js'
import { ipv4 } from '../../wire/ipv4.js'
import { ipv6 } from '../../wire/ipv6.js'
import { TCP_FLAGS_OFFSET, TCP_HEADER_LENGTH, TcpFlag, tcp } from '../../wire/tcp.js'
import { TcpOption } from '../../wire/tcp-options.js'
import { UDP_HEADER_LENGTH, udp } from '../../wire/udp.js'
import type { FlowTable } from '../flows.js'
import { tcpPortNames, udpPortNames } from '../print/names.js'
import { ascii, type ByteWriter, uint32 } from './byte-writer.js'

const source4At = ipv4.offset.source
const destination4At = ipv4.offset.destination
const source6At = ipv6.offset.source
const destination6At = ipv6.offset.destination
const udpLengthAt = udp.offset.length
const sequenceAt = tcp.offset.sequenceNumber
const acknowledgmentAt = tcp.offset.acknowledgmentNumber
const dataOffsetAt = tcp.offset.dataOffset
const windowAt = tcp.offset.window
const urgentAt = tcp.offset.urgentPointer
const { fin: FIN, syn: SYN, rst: RST, psh: PSH, ack: ACK, urg: URG, ece: ECE, cwr: CWR } = TcpFlag

/** Two no-operations and timestamps (RFC 7323 appendix A): what nearly every segment of a connection has. */
const STAMPS_ONLY = 0x0101080a
const STAMPED_HEADER_LENGTH: number = TCP_HEADER_LENGTH + 12

const text = {
  to: ascii(' > '),
  colon: ascii(': '),
  udp: ascii('udp '),
  ack: ascii(' ack '),
  win: ascii(' win '),
  urg: ascii(' urg '),
  mss: ascii('mss '),
  nop: ascii('nop'),
  wscale: ascii('wscale '),
  sackOk: ascii('sackOK'),
  sack: ascii('sack '),
  stamps: ascii(' <nop,nop,timestamp '),
  timestamp: ascii('timestamp '),
}

const portTexts = (names: ReadonlyMap<number, string>): (Uint8Array | undefined)[] => {
  const table = new Array<Uint8Array | undefined>(65_536).fill(undefined)
  for (const [port, name] of names) table[port] = ascii(name)
  return table
}

/** Each method: false before anything has changed but what was written, for a packet that is not printed here. */
export class FastTransports {
  readonly #out: ByteWriter
  readonly #flows: FlowTable
  readonly #absolute: boolean
  readonly #tcpNames: (Uint8Array | undefined)[] | undefined
  readonly #udpNames: (Uint8Array | undefined)[] | undefined

  constructor(
    out: ByteWriter,
    flows: FlowTable,
    options: { readonly numeric: boolean; readonly absolute: boolean },
  ) {
    this.#out = out
    this.#flows = flows
    this.#absolute = options.absolute
    this.#tcpNames = options.numeric ? undefined : portTexts(tcpPortNames)
    this.#udpNames = options.numeric ? undefined : portTexts(udpPortNames)
  }

  /** `a.port > b.port: `. */
  #endpoints(
    bytes: Uint8Array,
    ports: number,
    ip: number,
    six: boolean,
    names: (Uint8Array | undefined)[] | undefined,
  ): void {
    const out = this.#out
    if (six) out.ip6(bytes, ip + source6At)
    else out.ip4(bytes, ip + source4At)
    this.#port((bytes[ports]! << 8) | bytes[ports + 1]!, names)
    out.text(text.to)
    if (six) out.ip6(bytes, ip + destination6At)
    else out.ip4(bytes, ip + destination4At)
    this.#port((bytes[ports + 2]! << 8) | bytes[ports + 3]!, names)
    out.text(text.colon)
  }

  #port(port: number, names: (Uint8Array | undefined)[] | undefined): void {
    this.#out.byte(0x2e)
    const name = names?.[port]
    if (name === undefined) this.#out.decimal(port)
    else this.#out.text(name)
  }

  udp(bytes: Uint8Array, at: number, end: number, length: number, ip: number, six: boolean): boolean {
    if (at + UDP_HEADER_LENGTH > end || length < UDP_HEADER_LENGTH) return false
    if (((bytes[at + udpLengthAt]! << 8) | bytes[at + udpLengthAt + 1]!) > length) return false
    // ESP and IKE in UDP are the general printer's.
    if (isIpsec(bytes, at) || isIpsec(bytes, at + 2)) return false
    this.#endpoints(bytes, at, ip, six, this.#udpNames)
    this.#out.text(text.udp)
    this.#out.decimal(length - UDP_HEADER_LENGTH)
    return true
  }

  tcp(bytes: Uint8Array, at: number, end: number, length: number, ip: number, six: boolean): boolean {
    if (at + TCP_HEADER_LENGTH > end || length < TCP_HEADER_LENGTH) return false
    const headerLength = 4 * (bytes[at + dataOffsetAt]! >> 4)
    if (headerLength < TCP_HEADER_LENGTH || headerLength > length || at + headerLength > end) return false
    const flags = bytes[at + TCP_FLAGS_OFFSET]!
    // From `relate` on nothing may fail: the conversation would be counted twice.
    const stampsOnly =
      headerLength === STAMPED_HEADER_LENGTH && uint32(bytes, at + TCP_HEADER_LENGTH) === STAMPS_ONLY
    if (headerLength > TCP_HEADER_LENGTH && !stampsOnly && !knownOptions(bytes, at, headerLength, flags))
      return false
    const out = this.#out
    this.#endpoints(bytes, at, ip, six, this.#tcpNames)
    if (flags & (SYN | FIN | RST | PSH | CWR | ECE)) {
      if (flags & SYN) out.byte(0x53)
      if (flags & FIN) out.byte(0x46)
      if (flags & RST) out.byte(0x52)
      if (flags & PSH) out.byte(0x50)
      if (flags & CWR) out.byte(0x57)
      if (flags & ECE) out.byte(0x45)
    } else out.byte(0x2e)
    let sequence = uint32(bytes, at + sequenceAt)
    let acknowledgment = uint32(bytes, at + acknowledgmentAt)
    const flows = this.#flows
    const relative = !this.#absolute && (flags & ACK) !== 0
    if (relative) {
      const source = ip + (six ? source6At : source4At)
      const destination = ip + (six ? destination6At : destination4At)
      const syn = (flags & SYN) !== 0
      flows.relate(bytes, source, destination, six ? 16 : 4, at, sequence, acknowledgment, syn)
      sequence = (sequence - flows.sequenceBase) >>> 0
      acknowledgment = (acknowledgment - flows.acknowledgmentBase) >>> 0
    }
    const data = length - headerLength
    if (data > 0 || flags & (SYN | FIN | RST)) {
      out.byte(0x20)
      out.decimal(sequence)
      out.byte(0x3a)
      out.decimal((sequence + data) >>> 0)
      out.byte(0x28)
      out.decimal(data)
      out.byte(0x29)
    }
    if (flags & ACK) {
      out.text(text.ack)
      out.decimal(acknowledgment)
    }
    out.text(text.win)
    out.decimal((bytes[at + windowAt]! << 8) | bytes[at + windowAt + 1]!)
    if (flags & URG) {
      out.text(text.urg)
      out.decimal((bytes[at + urgentAt]! << 8) | bytes[at + urgentAt + 1]!)
    }
    if (headerLength > TCP_HEADER_LENGTH)
      this.#tcpOptions(bytes, at, headerLength, relative ? flows.sackBase : 0)
    return true
  }

  /** Options that `knownOptions` has checked. */
  #tcpOptions(bytes: Uint8Array, at: number, headerLength: number, sackBase: number): void {
    const out = this.#out
    const to = at + headerLength
    out.byte(0x20)
    let separator = 0x3c
    for (let here = at + TCP_HEADER_LENGTH; here < to; ) {
      out.byte(separator)
      separator = 0x2c
      const kind = bytes[here]!
      if (kind === TcpOption.noOperation) {
        out.text(text.nop)
        here++
        continue
      }
      const length = bytes[here + 1]!
      if (kind === TcpOption.timestamps) {
        out.text(text.timestamp)
        out.decimal(uint32(bytes, here + 2))
        out.byte(0x20)
        out.decimal(uint32(bytes, here + 6))
      } else if (kind === TcpOption.maximumSegmentSize) {
        out.text(text.mss)
        out.decimal((bytes[here + 2]! << 8) | bytes[here + 3]!)
      } else if (kind === TcpOption.windowScale) {
        out.text(text.wscale)
        out.decimal8(bytes[here + 2]!)
      } else if (kind === TcpOption.sackPermitted) out.text(text.sackOk)
      else this.#sack(bytes, here + 2, here + length, sackBase)
      here += length
    }
    out.byte(0x3e)
  }

  #sack(bytes: Uint8Array, from: number, to: number, base: number): void {
    const out = this.#out
    out.text(text.sack)
    out.decimal((to - from) >> 3)
    out.byte(0x20)
    for (let at = from; at < to; at += 8) {
      out.byte(0x7b)
      out.decimal((uint32(bytes, at) - base) >>> 0)
      out.byte(0x3a)
      out.decimal((uint32(bytes, at + 4) - base) >>> 0)
      out.byte(0x7d)
      out.byte(0x20)
    }
  }
}

/** Whether every option is one of the common kinds, with the length that is its own. */
function knownOptions(bytes: Uint8Array, at: number, headerLength: number, flags: number): boolean {
  const to = at + headerLength
  for (let here = at + TCP_HEADER_LENGTH; here < to; ) {
    const kind = bytes[here]!
    if (kind === TcpOption.noOperation) {
      here++
      continue
    }
    const length = here + 1 < to ? bytes[here + 1]! : 0
    const known =
      (kind === TcpOption.timestamps && length === 10) ||
      (kind === TcpOption.maximumSegmentSize && length === 4) ||
      (kind === TcpOption.windowScale && length === 3) ||
      (kind === TcpOption.sackPermitted && length === 2) ||
      (kind === TcpOption.sack && length > 2 && (length - 2) % 8 === 0 && (flags & ACK) !== 0)
    if (!known || here + length > to) return false
    here += length
  }
  return true
}

function isIpsec(bytes: Uint8Array, at: number): boolean {
  const port = (bytes[at]! << 8) | bytes[at + 1]!
  return port === IKE_PORT || port === UDP_ENCAPSULATION_PORT
}
