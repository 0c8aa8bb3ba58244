/**
 * A packet in the middle of a larger block: bytes in front to prepend headers into, bytes behind for a trailer.
 *
 * One buffer carries a packet through every transform of its way, in place. `start` and `end` move; nothing is
 * allocated and nothing copied. The metadata beside the bytes is what one layer tells the next: what a socket's
 * control messages would say.
 */
export class PacketBuffer {
  readonly bytes: Uint8Array
  /** Offset of the packet's first byte. */
  start: number
  /** Offset one past the packet's last byte. */
  end: number

  /**
   * What the bytes are: 4 or 6 for an IP packet (IANA protocol numbers 4 and 41 name the same), `ETHERNET` for a
   * frame, `OPAQUE` where only the carrier knows.
   */
  kind: PacketKind = OPAQUE

  /** Traffic class of the header outside these bytes: DSCP in the high six bits, ECN in the low two. */
  outerTrafficClass = 0
  /** TTL or hop limit of the header outside these bytes; 0 is the host's default. */
  outerTtl = 0
  /** True if the header outside must forbid fragmentation (IPv4's DF). */
  outerDontFragment = false
  /** Flow label of the header outside (IPv6 only). */
  outerFlowLabel = 0
  /** Identification of the header outside (IPv4 only), which AH covers; outbound, 0 is the host's choice. */
  outerIdentification = 0
  /**
   * Inbound: offset of the outer IP header, where the carrier left it whole in front of `start`; -1 where it did not.
   * Only transforms that need its options or extension headers (IPsec in transport mode, AH) ask.
   */
  outerHeaderStart = -1
  /** How many tunnels this packet already went through on this host: what stops endless nesting. */
  nesting = 0
  /** Its bytes are nobody's word (ESP without integrity): no ICMP error may be made of them (CVE-2005-0039). */
  unauthenticated = false

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = bytes
    this.start = start
    this.end = end
  }

  /** A fresh buffer that holds a copy of `packet` with room on both sides. */
  static copyOf(
    packet: Uint8Array,
    kind: PacketKind,
    headroom: number = HEADROOM,
    tailroom: number = TAILROOM,
  ): PacketBuffer {
    const bytes = new Uint8Array(headroom + packet.length + tailroom)
    bytes.set(packet, headroom)
    const buffer = new PacketBuffer(bytes, headroom, headroom + packet.length)
    buffer.kind = kind
    return buffer
  }

  get length(): number {
    return this.end - this.start
  }

  /** The packet's bytes: a view, valid until the buffer is used again. */
  view(): Uint8Array {
    return this.bytes.subarray(this.start, this.end)
  }

  /** The packet's bytes, copied: for whoever keeps them. */
  copy(): Uint8Array {
    return this.bytes.slice(this.start, this.end)
  }

  /** Makes the buffer hold `packet` with `headroom` bytes in front, and forgets the metadata. False: no room. */
  load(packet: Uint8Array, kind: PacketKind, headroom: number = HEADROOM): boolean {
    if (headroom + packet.length > this.bytes.length) return false
    this.bytes.set(packet, headroom)
    this.reset(headroom, headroom + packet.length, kind)
    return true
  }

  /** Names the bytes `[start, end)` as the packet and forgets the metadata. */
  reset(start: number, end: number, kind: PacketKind): void {
    this.start = start
    this.end = end
    this.kind = kind
    this.outerTrafficClass = 0
    this.outerTtl = 0
    this.outerDontFragment = false
    this.outerFlowLabel = 0
    this.outerIdentification = 0
    this.outerHeaderStart = -1
    this.nesting = 0
    this.unauthenticated = false
  }
}

export type PacketKind = 0 | 1 | 4 | 6
export const OPAQUE = 0
export const ETHERNET = 1
export const IPV4 = 4
export const IPV6 = 6

/** Room in front that holds the deepest stack of headers of any protocol here, with reserve (IPv6 + options, UDP, ESP). */
export const HEADROOM = 128
/** Room behind for the longest trailer (ESP padding, next header, a 32-byte ICV). */
export const TAILROOM = 320
