/** Any capture file: its first four bytes say whether it is pcap or pcapng. */
import { toHex, WarrenError } from '../../base/index.js'
import { isPcap, PcapReader } from './pcap.js'
import { isPcapng, PcapngReader } from './pcapng.js'
import { type CapturedPacket, type CaptureReader, copyPacket } from './record.js'

/** The reader for a file that begins with `firstBytes` (at least 4); they are not consumed: `push` them too. */
export function openCapture(firstBytes: Uint8Array, file = 'capture'): CaptureReader {
  if (isPcap(firstBytes) === true) return new PcapReader(file)
  if (isPcapng(firstBytes) === true) return new PcapngReader(file)
  throw new WarrenError('INSPECT_NOT_A_CAPTURE', 'neither a pcap nor a pcapng file', {
    where: file,
    found:
      firstBytes.length < 4
        ? `${firstBytes.length} bytes in all`
        : `first bytes ${toHex(firstBytes.subarray(0, 4))}`,
    expected: 'a1b2c3d4, a1b23c4d (in either byte order) or 0a0d0d0a',
  })
}

/**
 * All packets of a whole file in memory. Where the file is bad the packets before are still delivered; then the
 * generator throws the reader's `WarrenError`.
 */
export function* readCapture(
  bytes: Uint8Array,
  file = 'capture',
): Generator<CapturedPacket, void, undefined> {
  const reader = openCapture(bytes.subarray(0, 4), file)
  reader.push(bytes)
  while (reader.advance()) yield copyPacket(reader)
  reader.finish()
}
