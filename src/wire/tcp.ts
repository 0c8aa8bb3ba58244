/** TCP (RFC 9293), with the ECN flags of RFC 3168. Its options, typed, are tcp-options.ts. */
import type { IpAddress } from '../base/index.js'
import { type ChecksumMismatch, checksumMismatch, pseudoSum, sealChecksum } from './checksum.js'
import { defineHeader, flag, type Header, uint, type WireOption } from './layout.js'
import { IpProtocol, portNames } from './numbers.js'
import { tcpOptionLayout } from './tcp-options.js'

export interface TcpHeader {
  sourcePort: number
  destinationPort: number
  sequenceNumber: number
  acknowledgmentNumber: number
  /** Header length in 4-byte words; derived when emitted. */
  dataOffset?: number
  reserved?: number
  cwr?: boolean
  ece?: boolean
  urg?: boolean
  ack?: boolean
  psh?: boolean
  rst?: boolean
  syn?: boolean
  fin?: boolean
  window: number
  /** 0 until `sealTcpChecksum` fills it. */
  checksum?: number
  urgentPointer?: number
  options?: readonly WireOption[]
}

export const TCP_HEADER_LENGTH = 20

/** Offset of the byte that holds the flags, and the flags in it. */
export const TCP_FLAGS_OFFSET = 13
export const TcpFlag = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
} as const

export const tcp: Header<TcpHeader> = defineHeader<TcpHeader>({
  name: 'tcp',
  title: 'Transmission Control Protocol',
  ref: 'RFC 9293 section 3.1',
  fields: {
    sourcePort: uint(16, 'Source port', { meaning: (port) => portNames[port] }),
    destinationPort: uint(16, 'Destination port', { meaning: (port) => portNames[port] }),
    sequenceNumber: uint(32, 'Sequence number'),
    acknowledgmentNumber: uint(32, 'Acknowledgment number', {
      meaning: (_, { ack }: TcpHeader) => (ack ? undefined : 'not valid without ACK'),
    }),
    dataOffset: uint(4, 'Data offset', { meaning: (words) => `header of ${4 * words} bytes` }),
    reserved: uint(4, 'Reserved', { meaning: (bits) => (bits === 0 ? undefined : 'should be zero') }),
    cwr: flag('Congestion window reduced (CWR)', { ref: 'RFC 3168 section 6.1' }),
    ece: flag('ECN-Echo (ECE)', { ref: 'RFC 3168 section 6.1' }),
    urg: flag('Urgent (URG)'),
    ack: flag('Acknowledgment (ACK)'),
    psh: flag('Push (PSH)'),
    rst: flag('Reset (RST)'),
    syn: flag('Synchronize (SYN)'),
    fin: flag('Finish (FIN)'),
    window: uint(16, 'Window', { meaning: () => 'bytes, before scaling' }),
    checksum: uint(16, 'Checksum', { show: 'hex' }),
    urgentPointer: uint(16, 'Urgent pointer', {
      meaning: (_, { urg }: TcpHeader) => (urg ? undefined : 'not valid without URG'),
    }),
  },
  length: { field: 'dataOffset', of: (bytes, start) => 4 * (bytes[start + 12]! >>> 4) },
  options: tcpOptionLayout,
  derive: (_, optionBytes) => ({ dataOffset: (TCP_HEADER_LENGTH + optionBytes) / 4 }),
})

/** What is wrong with the checksum of the segment `bytes[start, end)`; `undefined` if nothing is. */
export const tcpChecksum = (
  bytes: Uint8Array,
  start: number,
  end: number,
  source: IpAddress,
  destination: IpAddress,
): ChecksumMismatch | undefined =>
  checksumMismatch(bytes, start, end, start + 16, pseudoSum(source, destination, IpProtocol.tcp, end - start))

/** Computes and writes the checksum of the segment `bytes[start, end)` (RFC 9293 section 3.1). */
export const sealTcpChecksum = (
  bytes: Uint8Array,
  start: number,
  end: number,
  source: IpAddress,
  destination: IpAddress,
): void =>
  sealChecksum(bytes, start, end, start + 16, pseudoSum(source, destination, IpProtocol.tcp, end - start))
