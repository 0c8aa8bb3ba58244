/**
 * Fragments that our own kernel made, whole again. A packet that is longer than the interface's MTU is cut before it
 * comes to us, and transport mode is for whole datagrams (RFC 4303 section 3.3.4): they are joined, sealed, and cut
 * outside. The kernel hands over the fragments of a datagram in their order, so any other order is refused.
 */
import {
  type Counters,
  IPV4,
  IPV6,
  internetChecksum,
  type PacketBuffer,
  readUint16,
  writeUint16,
} from '../base/index.js'
import { IpProtocol } from '../wire/numbers.js'

/** Datagrams that are under way; the longest unheard one makes room. */
const PENDING = 8
/** What is not whole by then never will be: identifications come again. */
const AGE_MS = 1000
const LONGEST = 65_535
const IPV4_HEADER = 20
const IPV6_HEADER = 40
const FRAGMENT_HEADER = 8
const MORE4 = 0x2000
const OFFSET4 = 0x1fff
const MORE6 = 1
const OFFSET6 = 0xfff8

/** Whether the packet is a part of a datagram; of IPv6 one whose fragment header comes first. */
export function isFragment({ bytes, start, end, kind }: PacketBuffer): boolean {
  if (kind === IPV4) return end - start >= IPV4_HEADER && (readUint16(bytes, start + 6) & 0x3fff) !== 0
  return (
    kind === IPV6 && end - start >= IPV6_HEADER + FRAGMENT_HEADER && bytes[start + 6] === IpProtocol.fragment
  )
}

/** A datagram of which the first fragments are there. */
class Pending {
  readonly bytes: Uint8Array = new Uint8Array(IPV6_HEADER + LONGEST)
  /** What tells datagrams apart (RFC 791: addresses, protocol, identification; RFC 8200: addresses, identification). */
  readonly identity: Uint8Array = new Uint8Array(IPV6_HEADER)
  kind: 4 | 6 = IPV4
  headerLength = 0
  end = 0
  heardMs = Number.NEGATIVE_INFINITY
  open = false
}

export class Joiner {
  readonly #drops: Counters
  /** Made when they are first needed. */
  readonly #pending: Pending[] = []
  readonly #identity = new Uint8Array(IPV6_HEADER)
  /** The datagram that the last fragment made whole. */
  bytes: Uint8Array = new Uint8Array(0)
  length = 0

  /** Counts `fragment.order` and `fragment.length`. */
  constructor(drops: Counters) {
    this.#drops = drops
  }

  /** Takes a fragment (`isFragment`). True: with it `bytes[0, length)` is a whole packet, until the next fragment. */
  add(packet: PacketBuffer, nowMs: number): boolean {
    const { bytes, start, end } = packet
    const kind = packet.kind === IPV4 ? IPV4 : IPV6
    const headerLength = kind === IPV4 ? 4 * (bytes[start]! & 15) : IPV6_HEADER
    const word = readUint16(bytes, start + (kind === IPV4 ? 6 : IPV6_HEADER + 2))
    const offset = kind === IPV4 ? 8 * (word & OFFSET4) : word & OFFSET6
    const more = (word & (kind === IPV4 ? MORE4 : MORE6)) !== 0
    const data = start + headerLength + (kind === IPV4 ? 0 : FRAGMENT_HEADER)
    if (headerLength < IPV4_HEADER || data > end) return this.#drop('fragment.length')
    this.#identify(packet, kind)
    const pending = offset === 0 ? this.#begin(packet, kind, headerLength) : this.#find(kind, nowMs)
    if (pending === undefined || pending.end - pending.headerLength !== offset)
      return this.#drop('fragment.order')
    pending.heardMs = nowMs
    const room = (kind === IPV4 ? LONGEST : IPV6_HEADER + LONGEST) - pending.end
    if (end - data > room) {
      pending.open = false
      return this.#drop('fragment.length')
    }
    for (let i = data; i < end; i++) pending.bytes[pending.end++] = bytes[i]!
    if (more) return false
    pending.open = false
    this.#finish(pending)
    return true
  }

  #identify({ bytes, start }: PacketBuffer, kind: 4 | 6): void {
    const identity = this.#identity
    identity.fill(0)
    const addresses = start + (kind === IPV4 ? 12 : 8)
    const length = kind === IPV4 ? 8 : 32
    for (let i = 0; i < length; i++) identity[i] = bytes[addresses + i]!
    const at = start + (kind === IPV4 ? 4 : IPV6_HEADER + 4)
    for (let i = 0; i < (kind === IPV4 ? 2 : 4); i++) identity[32 + i] = bytes[at + i]!
    if (kind === IPV4) identity[36] = bytes[start + 9]!
  }

  #matches(pending: Pending, kind: 4 | 6): boolean {
    if (!pending.open || pending.kind !== kind) return false
    for (let i = 0; i < IPV6_HEADER; i++) if (pending.identity[i] !== this.#identity[i]) return false
    return true
  }

  #find(kind: 4 | 6, nowMs: number): Pending | undefined {
    for (let i = 0; i < this.#pending.length; i++) {
      const pending = this.#pending[i]!
      if (this.#matches(pending, kind) && nowMs - pending.heardMs < AGE_MS) return pending
    }
    return undefined
  }

  /** A first fragment begins its datagram anew: what there was of another with its identification is old. */
  #begin({ bytes, start }: PacketBuffer, kind: 4 | 6, headerLength: number): Pending {
    let chosen = this.#pending.length < PENDING ? undefined : this.#pending[0]!
    for (let i = 0; i < this.#pending.length; i++) {
      const pending = this.#pending[i]!
      if (this.#matches(pending, kind)) {
        chosen = pending
        break
      }
      if (!pending.open) chosen = pending
      else if (chosen?.open && pending.heardMs < chosen.heardMs) chosen = pending
    }
    if (chosen === undefined) {
      chosen = new Pending()
      this.#pending.push(chosen)
    }
    chosen.kind = kind
    chosen.open = true
    chosen.headerLength = headerLength
    chosen.identity.set(this.#identity)
    for (let i = 0; i < headerLength; i++) chosen.bytes[i] = bytes[start + i]!
    // RFC 8200 section 4.5: the fragment header names what is behind it.
    if (kind === IPV6) chosen.bytes[6] = bytes[start + IPV6_HEADER]!
    chosen.end = headerLength
    return chosen
  }

  #finish({ bytes, kind, headerLength, end }: Pending): void {
    if (kind === IPV4) {
      writeUint16(bytes, 2, end)
      writeUint16(bytes, 6, readUint16(bytes, 6) & ~(MORE4 | OFFSET4))
      writeUint16(bytes, 10, 0)
      writeUint16(bytes, 10, internetChecksum(bytes, 0, headerLength))
    } else writeUint16(bytes, 4, end - IPV6_HEADER)
    this.bytes = bytes
    this.length = end
  }

  #drop(reason: string): false {
    this.#drops.add(reason)
    return false
  }
}
