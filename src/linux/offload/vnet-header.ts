/**
 * struct virtio_net_hdr (VIRTIO 1.2 section 5.1.6, the legacy form of 10 bytes), which stands before every packet of a
 * TUN interface with IFF_VNET_HDR: what the kernel left to us of a packet, and what we leave to it. Its numbers are
 * in the machine's own order.
 */
import { LITTLE_ENDIAN } from '../ffi.js'

export const VNET_LENGTH = 10

/** Offsets of the fields; the last four are 16-bit. */
export const VNET_FLAGS = 0
export const VNET_GSO_TYPE = 1
/** Length of all headers: a hint. */
export const VNET_HDR_LEN = 2
/** Payload of one segment. */
export const VNET_GSO_SIZE = 4
/** Where the checksum begins to count, from the packet's start. */
export const VNET_CSUM_START = 6
/** Where the checksum stands, from `csum_start`. */
export const VNET_CSUM_OFFSET = 8

/** The checksum field holds the pseudo-header's sum only. */
export const VNET_F_NEEDS_CSUM = 1
/** Somebody has verified the checksum. */
export const VNET_F_DATA_VALID = 2

export const VNET_GSO_NONE = 0
export const VNET_GSO_TCPV4 = 1
export const VNET_GSO_TCPV6 = 4
export const VNET_GSO_UDP_L4 = 5
/** A bit beside the type: the first segment carries CWR (RFC 3168 section 6.1.2). */
export const VNET_GSO_ECN = 0x80

export interface VnetHeader {
  readonly flags: number
  readonly gsoType: number
  readonly hdrLen: number
  readonly gsoSize: number
  readonly csumStart: number
  readonly csumOffset: number
}

export function writeVnetHeader(view: DataView, at: number, header: VnetHeader): void {
  view.setUint8(at + VNET_FLAGS, header.flags)
  view.setUint8(at + VNET_GSO_TYPE, header.gsoType)
  view.setUint16(at + VNET_HDR_LEN, header.hdrLen, LITTLE_ENDIAN)
  view.setUint16(at + VNET_GSO_SIZE, header.gsoSize, LITTLE_ENDIAN)
  view.setUint16(at + VNET_CSUM_START, header.csumStart, LITTLE_ENDIAN)
  view.setUint16(at + VNET_CSUM_OFFSET, header.csumOffset, LITTLE_ENDIAN)
}

export function readVnetHeader(view: DataView, at: number): VnetHeader {
  return {
    flags: view.getUint8(at + VNET_FLAGS),
    gsoType: view.getUint8(at + VNET_GSO_TYPE),
    hdrLen: view.getUint16(at + VNET_HDR_LEN, LITTLE_ENDIAN),
    gsoSize: view.getUint16(at + VNET_GSO_SIZE, LITTLE_ENDIAN),
    csumStart: view.getUint16(at + VNET_CSUM_START, LITTLE_ENDIAN),
    csumOffset: view.getUint16(at + VNET_CSUM_OFFSET, LITTLE_ENDIAN),
  }
}
