/** Packets for the tests, and the plain way to do what the data plane does fast. */
import { internetChecksum, pseudoHeaderSum } from '../../base/index.js'

export interface SegmentShape {
  readonly kind: 4 | 6
  readonly port: number
  readonly identification: number
  readonly dontFragment: boolean
  readonly trafficClass: number
  readonly ttl: number
  readonly sequence: number
  readonly acknowledgment: number
  readonly flags: number
  /** Bytes of TCP options: a multiple of 4. */
  readonly options: Uint8Array
}

/** A TCP segment in an IP packet, both checksums right. */
export function tcpPacket(shape: SegmentShape, payload: Uint8Array): Uint8Array {
  const v4 = shape.kind === 4
  const transport = v4 ? 20 : 40
  const headers = transport + 20 + shape.options.length
  const bytes = new Uint8Array(headers + payload.length)
  const view = new DataView(bytes.buffer)
  if (v4) {
    bytes[0] = 0x45
    bytes[1] = shape.trafficClass
    view.setUint16(2, bytes.length)
    view.setUint16(4, shape.identification)
    view.setUint16(6, shape.dontFragment ? 0x4000 : 0)
    bytes[8] = shape.ttl
    bytes[9] = 6
    bytes.set([10, 1, 0, 1, 10, 1, 0, 2], 12)
  } else {
    view.setUint32(0, 0x60000000 | (shape.trafficClass << 20))
    view.setUint16(4, bytes.length - 40)
    bytes[6] = 6
    bytes[7] = shape.ttl
    for (let i = 8; i < 40; i++) bytes[i] = i * 7
  }
  view.setUint16(transport, shape.port)
  view.setUint16(transport + 2, 5201)
  view.setUint32(transport + 4, shape.sequence)
  view.setUint32(transport + 8, shape.acknowledgment)
  bytes[transport + 12] = ((headers - transport) / 4) << 4
  bytes[transport + 13] = shape.flags
  view.setUint16(transport + 14, 501)
  bytes.set(shape.options, transport + 20)
  bytes.set(payload, headers)
  sealChecksums(bytes)
  return bytes
}

/** Computes the checksums of a TCP or UDP packet anew. */
export function sealChecksums(bytes: Uint8Array, protocol: 6 | 17 = 6): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const v4 = bytes[0]! >>> 4 === 4
  const transport = v4 ? 4 * (bytes[0]! & 15) : 40
  if (v4) {
    view.setUint16(10, 0)
    view.setUint16(10, internetChecksum(bytes, 0, transport))
  }
  const pseudo = pseudoHeaderSum(bytes, v4 ? 12 : 8, v4 ? 4 : 16, protocol, bytes.length - transport)
  const field = transport + (protocol === 6 ? 16 : 6)
  view.setUint16(field, 0)
  const sum = internetChecksum(bytes, transport, bytes.length, pseudo)
  view.setUint16(field, protocol === 17 ? sum || 0xffff : sum)
}

/** The segments that a TCP stack without offload would have sent for `payload`: the oracle. */
export function segmentsOf(shape: SegmentShape, payload: Uint8Array, size: number): Uint8Array[] {
  const segments: Uint8Array[] = []
  for (let at = 0; at < payload.length; at += size) {
    const last = at + size >= payload.length
    const flags = shape.flags & (last ? 0xff : ~0x09) & (at === 0 ? 0xff : ~0x80)
    segments.push(
      tcpPacket(
        {
          ...shape,
          flags,
          identification: (shape.identification + at / size) & 0xffff,
          sequence: (shape.sequence + at) >>> 0,
        },
        payload.subarray(at, at + size),
      ),
    )
  }
  return segments
}
