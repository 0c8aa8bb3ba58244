/**
 * EoIP, MikroTik's Ethernet over IP, as eoip(4) of OpenBSD speaks it: enhanced GRE (version 1, RFC 2637 section 4.1)
 * with a protocol type of its own, and a key that holds the payload's length and the tunnel's number. The number is
 * little-endian, the only such field here.
 */
import { defineHeader, type Header, uint } from './layout.js'
import { EtherType, etherTypeNames } from './numbers.js'

export interface EoipHeader {
  /** 0x2001: key present, version 1. */
  flags?: number
  /** 0x6400. */
  protocol?: number
  /** Bytes of the frame that follows; 0 is a keepalive. */
  payloadLength: number
  tunnelId: number
}

export const EOIP_HEADER_LENGTH = 8
export const EOIP_FLAGS = 0x2001

export const eoip: Header<EoipHeader> = defineHeader<EoipHeader>({
  name: 'eoip',
  title: 'Ethernet over IP (MikroTik)',
  ref: 'RFC 2637 section 4.1, eoip(4)',
  fields: {
    flags: uint(16, 'Flags and version', {
      show: 'hex',
      must: EOIP_FLAGS,
      codes: { [EOIP_FLAGS]: 'key present, version 1' },
    }),
    protocol: uint(16, 'Protocol type', { show: 'hex', must: EtherType.eoip, codes: etherTypeNames }),
    payloadLength: uint(16, 'Payload length', { meaning: (bytes) => (bytes === 0 ? 'keepalive' : 'bytes') }),
    tunnelId: uint(16, 'Tunnel identifier', {
      littleEndian: true,
      meaning: () => 'least significant byte first',
    }),
  },
  extent: { field: 'payloadLength', of: ({ payloadLength }) => EOIP_HEADER_LENGTH + payloadLength },
})
