/** What a compiled filter looks at: one packet, in place. */
import { EtherType } from '../../wire/numbers.js'
import { LinkType, linkHeaderLength, networkEtherType } from '../link-type.js'

/**
 * Like BPF: a load beyond the captured bytes rejects the packet as a whole, whatever the rest of the expression
 * would say. `aborted` remembers that.
 */
export class FilterContext {
  bytes: Uint8Array = new Uint8Array(0)
  start = 0
  end = 0
  linkType = 0
  /** Length on the wire. */
  length = 0
  aborted = false

  load8(offset: number): number {
    const at = this.start + offset
    if (offset < 0 || at >= this.end) return this.#abort()
    return this.bytes[at]!
  }

  load16(offset: number): number {
    const at = this.start + offset
    if (offset < 0 || at + 2 > this.end) return this.#abort()
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!
  }

  load32(offset: number): number {
    const at = this.start + offset
    if (offset < 0 || at + 4 > this.end) return this.#abort()
    const { bytes } = this
    return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  }

  /** Whether the bytes from `offset` are these; every one that is looked at must have been captured. */
  matches(offset: number, wanted: Uint8Array, mask?: Uint8Array): boolean {
    const at = this.start + offset
    if (offset < 0 || at + wanted.length > this.end) {
      this.#abort()
      return false
    }
    for (let i = 0; i < wanted.length; i++) {
      const byte = mask === undefined ? this.bytes[at + i]! : this.bytes[at + i]! & mask[i]!
      if (byte !== wanted[i]) return false
    }
    return true
  }

  /** The EtherType behind `tags` VLAN tags; 0 where the link layer has none. */
  etherType(tags: number): number {
    if (tags === 0) {
      // An Ethernet header that was cut off is a load out of bounds; other link types have fixed ones.
      if (this.linkType === LinkType.ethernet) return this.load16(12)
      return networkEtherType(this.bytes, this.linkType, this.start, this.end)
    }
    return this.linkType === LinkType.ethernet ? this.load16(12 + 4 * tags) : 0
  }

  /** Offset of the network header behind `tags` VLAN tags. */
  network(tags: number): number {
    return linkHeaderLength(this.linkType) + 4 * tags
  }

  isIp4(tags: number): boolean {
    return this.etherType(tags) === EtherType.ipv4
  }

  isIp6(tags: number): boolean {
    return this.etherType(tags) === EtherType.ipv6
  }

  #abort(): number {
    this.aborted = true
    return 0
  }
}
