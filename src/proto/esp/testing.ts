/** For the tests of ESP and AH: SAs with keys of a counter, and a carrier between the two ends. */
import { fromHex, type IpAddress, PacketBuffer } from '../../base/index.js'
import {
  AEADS,
  CIPHERS,
  type EncryptionName,
  isAead,
  isCipher,
  MACS,
  type MacName,
} from '../../crypto/index.js'
import type { Carrier, Transform, Verdict } from '../machine.js'
import { ipOf } from '../testing.js'
import { outerSpec } from '../tunnel-metadata.js'
import type { SaSpec } from './sa.js'

type Ends = readonly [IpAddress, IpAddress]
export const ENDS: Readonly<Record<4 | 6, Ends>> = {
  4: [ipOf('192.0.2.1'), ipOf('192.0.2.2')],
  6: [ipOf('2001:db8::1'), ipOf('2001:db8::2')],
}

export interface TestSuite {
  readonly encryption?: EncryptionName
  readonly integrity?: MacName
}

/** Every suite that there is. */
export const SUITES: readonly TestSuite[] = [
  ...(Object.keys(AEADS) as (keyof typeof AEADS)[]).map((encryption) => ({ encryption })),
  ...(Object.keys(CIPHERS) as (keyof typeof CIPHERS)[]).flatMap((encryption) =>
    (Object.keys(MACS) as MacName[]).map((integrity) => ({ encryption, integrity })),
  ),
]

const counted = (length: number, from: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (from + 7 * i) & 0xff)

/** Keys of the longest length of each algorithm. */
export function keysOf({ encryption, integrity }: TestSuite): SaSpec['keys'] {
  const cipher =
    encryption === undefined
      ? undefined
      : isAead(encryption)
        ? AEADS[encryption]
        : isCipher(encryption)
          ? CIPHERS[encryption]
          : undefined
  return {
    ...(cipher === undefined
      ? {}
      : { encryption: counted(cipher.keyLengths.at(-1)! + cipher.saltLength, 1) }),
    ...(integrity === undefined ? {} : { integrity: counted(MACS[integrity].keyLengths[0]!, 99) }),
  }
}

export interface SaOptions extends Partial<Omit<SaSpec, 'local' | 'remote' | 'outer'>> {
  readonly family?: 4 | 6
  /** Seen from the other end. */
  readonly reverse?: boolean
  readonly dontFragment?: boolean
}

/** An SA from the first end to the second, as the first (or, reversed, the second) has it. */
export function saOf({ family = 4, reverse = false, dontFragment, ...rest }: SaOptions = {}): SaSpec {
  const [local, remote] = reverse ? [ENDS[family][1], ENDS[family][0]] : ENDS[family]
  const suite = rest.suite ?? { encryption: 'ENCR_AES_GCM_16' as const }
  return {
    spi: 0x1001,
    protocol: 'esp',
    mode: 'tunnel',
    suite,
    keys: keysOf(suite),
    esn: false,
    window: 64,
    lifetimes: {},
    ...rest,
    local: local.bytes,
    remote: remote.bytes,
    outer: outerSpec({ local, remote, ...(dontFragment === undefined ? {} : { dontFragment }) }, 50, 'ip'),
  }
}

export const carrierOf = (family: 4 | 6, protocol: number): Carrier => ({
  kind: 'ip',
  protocol,
  local: ENDS[family][0],
  remote: ENDS[family][1],
})

export const hex = (text: string): Uint8Array => {
  const bytes = fromHex(text)
  if (bytes === undefined) throw new Error('no hexadecimal')
  return bytes
}

/** Where the payload of an outer IP packet starts, and its metadata, as a carrier says them. */
export function received(packet: Uint8Array, payloadAt: number, keepHeader: boolean): PacketBuffer {
  const headroom = 128
  const buffer = PacketBuffer.copyOf(packet, 0, headroom)
  const isV4 = packet[0]! >>> 4 === 4
  buffer.outerTrafficClass = isV4 ? packet[1]! : ((packet[0]! & 15) << 4) | (packet[1]! >>> 4)
  buffer.outerTtl = packet[isV4 ? 8 : 7]!
  buffer.outerDontFragment = isV4 && (packet[6]! & 0x40) !== 0
  buffer.outerIdentification = isV4 ? packet[4]! * 256 + packet[5]! : 0
  buffer.outerFlowLabel = isV4 ? 0 : ((packet[1]! & 15) << 16) | (packet[2]! << 8) | packet[3]!
  // Where the carrier does not keep it, what stands there is of no meaning.
  if (keepHeader) buffer.outerHeaderStart = headroom
  else buffer.bytes.fill(0xa5, headroom, headroom + payloadAt)
  buffer.start = headroom + payloadAt
  return buffer
}

/** The carrier's payload through another transform, with the metadata it would have there. */
export function hand(
  transform: Transform,
  sent: PacketBuffer,
  change?: (bytes: Uint8Array) => void,
): {
  verdict: Verdict
  packet: PacketBuffer
} {
  const packet = PacketBuffer.copyOf(sent.view(), 0)
  packet.outerTrafficClass = sent.outerTrafficClass
  packet.outerTtl = sent.outerTtl
  packet.outerDontFragment = sent.outerDontFragment
  packet.outerIdentification = sent.outerIdentification
  packet.outerFlowLabel = sent.outerFlowLabel
  change?.(packet.view())
  return { verdict: transform.process(packet), packet }
}

/** A UDP datagram of `data` bytes between the two ends, with its IP header. */
export function packetOf(
  family: 4 | 6,
  data: number,
  ends: readonly [{ bytes: Uint8Array }, { bytes: Uint8Array }] = ENDS[family],
): Uint8Array {
  const udp = [0x30, 0x39, 0x30, 0x3a, (8 + data) >> 8, (8 + data) & 255, 0, 0]
  const payload = [...udp, ...Array.from({ length: data }, (_, i) => (i * 31) & 255)]
  const [source, destination] = ends
  if (family === 6) {
    const length = payload.length
    return Uint8Array.from([
      ...[0x6b, 0x81, 0x23, 0x45, length >> 8, length & 255, 17, 63],
      ...source.bytes,
      ...destination.bytes,
      ...payload,
    ])
  }
  const total = 20 + payload.length
  const header = [
    ...[0x45, 0xb8, total >> 8, total & 255, 0x12, 0x34, 0x40, 0, 63, 17, 0, 0],
    ...source.bytes,
    ...destination.bytes,
  ]
  let sum = 0
  for (let i = 0; i < 20; i += 2) sum += header[i]! * 256 + header[i + 1]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  header[10] = (~sum & 0xffff) >> 8
  header[11] = ~sum & 0xff
  return Uint8Array.from([...header, ...payload])
}
