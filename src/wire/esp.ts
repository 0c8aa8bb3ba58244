/**
 * The Encapsulating Security Payload (RFC 4303): what of it is in clear, and the trailer that decryption shows. Between
 * the two stand IV, ciphertext and padding, behind them the ICV; their lengths only the security association knows.
 */
import { defineHeader, type Header, uint } from './layout.js'
import { ipProtocolNames } from './numbers.js'

export interface EspHeader {
  spi: number
  /** The low 32 bits, where numbers are extended. */
  sequence: number
}

export const ESP_HEADER_LENGTH = 8

/** RFC 4303 section 2.1: 0 is for local use, to 255 IANA's. In UDP it is the non-ESP marker (RFC 3948 section 2.2). */
const spiMeaning = (spi: number): string | undefined =>
  spi === 0 ? 'never on the wire' : spi < 256 ? 'reserved' : undefined

export const esp: Header<EspHeader> = defineHeader<EspHeader>({
  name: 'esp',
  title: 'Encapsulating Security Payload',
  ref: 'RFC 4303 section 2',
  fields: {
    spi: uint(32, 'Security parameters index (SPI)', { show: 'hex', meaning: spiMeaning }),
    sequence: uint(32, 'Sequence number'),
  },
})

export interface EspTrailer {
  /** Bytes of padding in front of this. */
  padLength: number
  nextHeader: number
}

export const ESP_TRAILER_LENGTH = 2

/** The last two bytes of the plaintext. */
export const espTrailer: Header<EspTrailer> = defineHeader<EspTrailer>({
  name: 'espTrailer',
  title: 'ESP trailer',
  ref: 'RFC 4303 section 2',
  fields: {
    padLength: uint(8, 'Pad length'),
    nextHeader: uint(8, 'Next header', {
      meaning: (protocol) => (protocol === 59 ? 'a dummy packet' : ipProtocolNames[protocol]),
    }),
  },
})

/** IANA: IKE by itself. */
export const IKE_PORT = 500
/** IANA: ESP and IKE in UDP (RFC 3948). */
export const UDP_ENCAPSULATION_PORT = 4500

/** What a datagram of port 4500 holds: RFC 3948 sections 2.1 to 2.3. */
export function udpEncapsulated(
  bytes: Uint8Array,
  start: number,
  end: number,
): 'keepalive' | 'ike' | 'esp' | 'short' {
  if (end - start === 1 && bytes[start] === 0xff) return 'keepalive'
  if (end - start < 4) return 'short'
  return bytes[start] === 0 && bytes[start + 1] === 0 && bytes[start + 2] === 0 && bytes[start + 3] === 0
    ? 'ike'
    : 'esp'
}
