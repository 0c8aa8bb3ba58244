/** The IP Authentication Header (RFC 4302): its fixed part; the ICV follows, as long as its algorithm makes it. */
import { defineHeader, type Header, uint } from './layout.js'
import { ipProtocolNames } from './numbers.js'

export interface AhHeader {
  nextHeader: number
  /** Of the whole header, ICV and padding too, in words of 32 bits, less 2. */
  payloadLength: number
  reserved?: number
  spi: number
  /** The low 32 bits, where numbers are extended. */
  sequence: number
}

/** Without the ICV. */
export const AH_HEADER_LENGTH = 12

/** Bytes of the whole header as its length field says (RFC 4302 section 2.2). */
export const ahLength = (payloadLength: number): number => 4 * (payloadLength + 2)

export const ah: Header<AhHeader> = defineHeader<AhHeader>({
  name: 'ah',
  title: 'Authentication Header',
  ref: 'RFC 4302 section 2',
  fields: {
    nextHeader: uint(8, 'Next header', { codes: ipProtocolNames }),
    payloadLength: uint(8, 'Payload length', { meaning: (words) => `${ahLength(words)} bytes` }),
    reserved: uint(16, 'Reserved', { meaning: (bits) => (bits ? 'must be zero' : undefined) }),
    spi: uint(32, 'Security parameters index (SPI)', { show: 'hex' }),
    sequence: uint(32, 'Sequence number'),
  },
})
