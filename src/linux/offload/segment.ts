/**
 * What the kernel hands over in one piece (TCP or UDP segmentation offload), cut into the packets that it would have
 * sent; and checksums that it left half done, completed.
 *
 * Each packet is made where its payload lies: its header is written just before it, over the tail of the payload that
 * was taken before. So a packet stands only until the next one is asked for, and must be left as it is until then:
 * who takes it copies it, or seals it into other memory.
 *
 *     read:     [header][payload 1        ][payload 2        ][payload 3]
 *     1st:      [header][payload 1        ]
 *     2nd:                         [header][payload 2        ]
 *     3rd:                                            [header][payload 3]
 */
import { foldSum } from '../../base/index.js'
import { LITTLE_ENDIAN } from '../ffi.js'
import type { PacketBlock } from './block.js'
import {
  VNET_CSUM_OFFSET,
  VNET_CSUM_START,
  VNET_F_NEEDS_CSUM,
  VNET_FLAGS,
  VNET_GSO_ECN,
  VNET_GSO_NONE,
  VNET_GSO_SIZE,
  VNET_GSO_TCPV4,
  VNET_GSO_TCPV6,
  VNET_GSO_TYPE,
  VNET_GSO_UDP_L4,
  VNET_LENGTH,
} from './vnet-header.js'

const IPV4_LENGTH = 20
const IPV6_LENGTH = 40
const UDP_LENGTH = 8
const TCP_LENGTH = 20
const IP_PROTOCOL_TCP = 6
const IP_PROTOCOL_UDP = 17
/** FIN and PSH say something about the end: they belong to the last segment. */
const FIN_PSH = 0x09
const CWR = 0x80

export class Segmenter {
  /** The packet that `next()` made. */
  start = 0
  end = 0
  readonly #block: PacketBlock
  #whole = false
  #done = true
  #v4 = false
  #tcp = false
  /** Where the next payload begins, and where the last one ends. */
  #payload = 0
  #limit = 0
  #size = 0
  /** Bytes before the IP header: those of Ethernet. */
  #link = 0
  /** From the IP header's start. */
  #transport = 0
  /** All that stands before the payload. */
  #headers = 0
  #identification = 0
  #sequence = 0
  #flags = 0
  /** Sums of what stays the same in every segment's header. */
  #ipSum = 0
  #transportSum = 0

  constructor(block: PacketBlock) {
    this.#block = block
  }

  /** True: more than one packet may come of it, and they stand one after the other in the same place. */
  get cuts(): boolean {
    return !this.#whole
  }

  /**
   * Takes the packet `[start, end)` with the virtio header before it; its IP header begins `link` bytes behind `start`.
   * False: the header contradicts the packet, or is of a kind that was not asked for.
   */
  begin(start: number, end: number, link = 0): boolean {
    const { bytes, view } = this.#block
    const vnet = start - VNET_LENGTH
    const type = bytes[vnet + VNET_GSO_TYPE]! & ~VNET_GSO_ECN
    const checksumStart = view.getUint16(vnet + VNET_CSUM_START, LITTLE_ENDIAN)
    this.start = start
    this.end = end
    this.#done = true
    if (type === VNET_GSO_NONE) {
      this.#whole = true
      this.#done = false
      if ((bytes[vnet + VNET_FLAGS]! & VNET_F_NEEDS_CSUM) === 0) return true
      const field = start + checksumStart + view.getUint16(vnet + VNET_CSUM_OFFSET, LITTLE_ENDIAN)
      if (field + 2 > end) {
        this.#done = true
        return false
      }
      // The field itself holds the pseudo-header's sum. A zero would say "no checksum" (RFC 768).
      view.setUint16(field, ~this.#block.sum(start + checksumStart, end) & 0xffff || 0xffff)
      return true
    }
    this.#whole = false
    const ip = start + link
    const transport = checksumStart - link
    if (end - ip < IPV4_LENGTH) return false
    const version = bytes[ip]! >>> 4
    this.#v4 = version === 4
    this.#tcp = type === VNET_GSO_TCPV4 || type === VNET_GSO_TCPV6
    if (!this.#tcp && type !== VNET_GSO_UDP_L4) return false
    if (type === VNET_GSO_TCPV4 ? version !== 4 : type === VNET_GSO_TCPV6 ? version !== 6 : false)
      return false
    if (this.#v4 ? transport !== 4 * (bytes[ip]! & 15) || transport < IPV4_LENGTH : transport < IPV6_LENGTH)
      return false
    if (version !== 4 && version !== 6) return false
    if (ip + transport + (this.#tcp ? TCP_LENGTH : UDP_LENGTH) > end) return false
    const length = this.#tcp ? 4 * (bytes[ip + transport + 12]! >>> 4) : UDP_LENGTH
    this.#size = view.getUint16(vnet + VNET_GSO_SIZE, LITTLE_ENDIAN)
    this.#link = link
    this.#transport = transport
    this.#headers = link + transport + length
    this.#payload = start + this.#headers
    this.#limit = end
    if (this.#size === 0 || (this.#tcp && length < TCP_LENGTH) || this.#payload > end) return false
    this.#sumHeaders(ip)
    this.#done = false
    return true
  }

  /** Makes the next packet: `start` and `end`. False: there is none. */
  next(): boolean {
    if (this.#done) return false
    if (this.#whole) {
      this.#done = true
      return true
    }
    const { bytes, view } = this.#block
    const first = this.#payload === this.start + this.#headers && this.end === this.#limit
    const payload = this.#payload
    const end = Math.min(payload + this.#size, this.#limit)
    const at = payload - this.#headers
    if (!first) bytes.copyWithin(at, this.start, this.start + this.#headers)
    this.start = at
    this.end = end
    this.#payload = end
    this.#done = end === this.#limit
    const ip = at + this.#link
    if (this.#v4) {
      view.setUint16(ip + 2, end - ip)
      view.setUint16(ip + 4, this.#identification)
      view.setUint16(ip + 10, ~foldSum(this.#ipSum + (end - ip) + this.#identification) & 0xffff)
      this.#identification = (this.#identification + 1) & 0xffff
    } else view.setUint16(ip + 4, end - ip - IPV6_LENGTH)
    const transport = ip + this.#transport
    const length = end - transport
    // The payload begins at an even distance from the pseudo-header, so its sum is added as it is.
    const sum = this.#transportSum + length + this.#block.sum(payload, end)
    if (this.#tcp) {
      const flags = this.#flags & (this.#done ? 0xff : ~FIN_PSH) & (first ? 0xff : ~CWR)
      view.setUint32(transport + 4, this.#sequence)
      bytes[transport + 13] = flags
      const fields = (this.#sequence >>> 16) + (this.#sequence & 0xffff) + flags
      view.setUint16(transport + 16, ~foldSum(sum + fields) & 0xffff)
      this.#sequence = (this.#sequence + end - payload) >>> 0
    } else {
      view.setUint16(transport + 4, length)
      view.setUint16(transport + 6, ~foldSum(sum + length) & 0xffff || 0xffff)
    }
    return true
  }

  #sumHeaders(ip: number): void {
    const { bytes, view } = this.#block
    const transport = ip + this.#transport
    if (this.#v4) {
      this.#identification = view.getUint16(ip + 4)
      view.setUint16(ip + 2, 0)
      view.setUint16(ip + 4, 0)
      view.setUint16(ip + 10, 0)
      this.#ipSum = this.#block.sum(ip, transport)
    }
    const addresses = this.#v4 ? this.#block.sum(ip + 12, ip + 20) : this.#block.sum(ip + 8, ip + 40)
    const protocol = this.#tcp ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP
    if (this.#tcp) {
      this.#sequence = view.getUint32(transport + 4)
      this.#flags = bytes[transport + 13]!
      view.setUint32(transport + 4, 0)
      bytes[transport + 13] = 0
      view.setUint16(transport + 16, 0)
    } else {
      view.setUint16(transport + 4, 0)
      view.setUint16(transport + 6, 0)
    }
    this.#transportSum = addresses + protocol + this.#block.sum(transport, ip + this.#headers - this.#link)
  }
}
