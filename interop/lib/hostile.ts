/** Packets of a stranger: whole IP packets, whatever their source says. */
import { execFileSync } from 'node:child_process'
import { createCipheriv } from 'node:crypto'
import {
  concatBytes,
  type IpAddress,
  internetChecksum,
  PacketBuffer,
  toHex,
  writeUint16,
  writeUint32,
} from '../../src/base/index.js'
import { nodeProvider } from '../../src/crypto/index.js'
import { createEspTransforms } from '../../src/proto/esp/transforms.js'
import { PASS } from '../../src/proto/index.js'
import { addressOf, keysOf, type Layout, saSpec, type XfrmSa } from './xfrm.js'

/** IPv4 (RFC 791) or IPv6 (RFC 8200) in front of a payload. */
export function ipPacket(
  source: string,
  destination: string,
  protocol: number,
  payload: Uint8Array,
): Uint8Array {
  const [from, to]: IpAddress[] = [addressOf(source), addressOf(destination)]
  if (from!.family === 6) {
    const header = new Uint8Array(40)
    header.set([0x60, 0, 0, 0, payload.length >> 8, payload.length & 255, protocol, 64])
    header.set(from!.bytes, 8)
    header.set(to!.bytes, 24)
    return concatBytes(header, payload)
  }
  const header = new Uint8Array(20)
  header.set([0x45, 0, 0, 0, 0x66, 0x66, 0, 0, 64, protocol])
  writeUint16(header, 2, 20 + payload.length)
  header.set(from!.bytes, 12)
  header.set(to!.bytes, 16)
  writeUint16(header, 10, internetChecksum(header, 0, 20))
  return concatBytes(header, payload)
}

/** ESP in UDP from port 4500 to port 4500; over IPv4 without a checksum (RFC 3948 section 2.1). */
export function udp4500(payload: Uint8Array): Uint8Array {
  const header = new Uint8Array(8)
  header.set([0x11, 0x94, 0x11, 0x94])
  writeUint16(header, 4, 8 + payload.length)
  return concatBytes(header, payload)
}

/** What the holder of an SA's keys seals: the carrier's payload for each inner packet, numbers from `first` on. */
export function sealed(
  sa: XfrmSa,
  layout: Layout,
  inner: readonly Uint8Array[],
  first = 1,
  change: (spec: ReturnType<typeof saSpec>) => ReturnType<typeof saSpec> = (spec) => spec,
): Uint8Array[] {
  const spec = change(saSpec({ ...sa, sequence: { high: 0, low: first - 1 } }, layout, true))
  const { outbound } = createEspTransforms({ protocol: 'esp', outbound: spec, inbound: [] }, nodeProvider)
  return inner.map((packet) => {
    const buffer = PacketBuffer.copyOf(packet, packet[0]! >>> 4 === 4 ? 4 : 6, 256)
    if (outbound!.process(buffer) !== PASS) throw new Error('not sealed')
    return buffer.copy()
  })
}

/**
 * ESP of AES-GCM (RFC 4106) around whatever plaintext, its trailer included: what no honest sender would put there, with
 * an ICV that is right.
 */
export function sealedAsIs(sa: XfrmSa, sequence: number, plaintext: Uint8Array): Uint8Array {
  const { encryption } = keysOf(sa)
  const header = new Uint8Array(16)
  writeUint32(header, 0, sa.spi)
  writeUint32(header, 4, sequence)
  writeUint32(header, 12, sequence)
  const nonce = concatBytes(encryption.subarray(-4), header.subarray(8))
  const cipher = createCipheriv('aes-256-gcm', encryption.subarray(0, -4), nonce)
  cipher.setAAD(header.subarray(0, 8))
  const sealed = concatBytes(cipher.update(plaintext), cipher.final())
  return concatBytes(header, sealed, cipher.getAuthTag())
}

/** Sends whole IP packets from a namespace (raw(7): IPPROTO_RAW takes the header as it is). */
export function sendRaw(namespace: string, destination: string, packets: readonly Uint8Array[]): void {
  const to = addressOf(destination)
  const script = `use strict; use Socket qw(:all);
    my ($v4, $to) = @ARGV;
    socket(my $s, $v4 ? AF_INET : AF_INET6, SOCK_RAW, 255) or die "socket: $!";
    my $address = $v4 ? pack_sockaddr_in(0, inet_aton($to)) : pack_sockaddr_in6(0, inet_pton(AF_INET6, $to));
    while (<STDIN>) { chomp; defined send($s, pack("H*", $_), 0, $address) or die "send: $!" }`
  execFileSync(
    'ip',
    ['netns', 'exec', namespace, 'perl', '-e', script, to.family === 4 ? '1' : '', `${to}`],
    { input: packets.map((packet) => `${toHex(packet)}\n`).join(''), stdio: ['pipe', 'pipe', 'pipe'] },
  )
}
