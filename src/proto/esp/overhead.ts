/** How large a packet may be so that, protected, it still fits: for the MTU of an interface in front of SAs. */
import { encryptionAlgorithm, isAead, macAlgorithm } from '../../crypto/index.js'
import { AH_FIXED, ESP_HEADER, type SaSpec } from './sa.js'

const UDP_HEADER = 8
/** Pad length and next header. */
const ESP_TRAILER = 2

/** The largest inner packet that makes an outer one of at most `mtu` bytes. */
export function largestInside(sa: SaSpec, mtu: number): number {
  const header = sa.local.length === 4 ? 20 : 40
  // In transport mode the inner packet's own header is the outer one.
  const own = sa.mode === 'transport' ? header : 0
  const room = mtu - header - (sa.udpEncapsulation === true ? UDP_HEADER : 0)
  if (sa.protocol === 'ah') return room - ahLength(sa) + own
  const { ivLength, icvLength, alignment } = lengthsOf(sa)
  const text = room - ESP_HEADER - ivLength - icvLength
  return text - (text % alignment) - ESP_TRAILER + own
}

function ahLength({ suite, local, ahAlignment }: SaSpec): number {
  const icv = suite.integrity === undefined ? 0 : macAlgorithm(suite.integrity).icvLength
  // RFC 4302 section 2.6: over IPv6 a multiple of 8.
  const alignment = local.length === 16 ? 8 : (ahAlignment ?? 4)
  return Math.ceil((AH_FIXED + icv) / alignment) * alignment
}

function lengthsOf({ suite }: SaSpec): { ivLength: number; icvLength: number; alignment: number } {
  const name = suite.encryption ?? 'ENCR_NULL'
  const algorithm = encryptionAlgorithm(name)
  const mac = suite.integrity === undefined ? 0 : macAlgorithm(suite.integrity).icvLength
  return {
    ivLength: algorithm.ivLength,
    icvLength: isAead(name) && 'icvLength' in algorithm ? algorithm.icvLength : mac,
    // RFC 4303 section 2.4: whole blocks, and at least whole words.
    alignment: Math.max(4, algorithm.blockLength),
  }
}
