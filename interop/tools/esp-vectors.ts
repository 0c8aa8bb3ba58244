/**
 * Makes src/proto/esp/linux.testdata.ts: packets that a real Linux kernel sealed with keys that we know.
 *
 *     netns w: br0 --- tapu --- [UML: vec0 192.0.2.1, 2001:db8::1; inner 10.1.0.1, fd00:1::1]
 *
 * The kernel is user-mode Linux. For each case it gets one outbound SA and a policy, then sends packets of ours, whole
 * with their IP header, through a raw socket; what it makes of them is captured on the bridge. Run as root:
 * `node dist/interop/tools/esp-vectors.js > src/proto/esp/linux.testdata.ts`, then format.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { toHex } from '../../src/base/index.js'
import { readCapture } from '../../src/inspect/index.js'
import { Netns } from '../lib/netns.js'
import { UmlPeer } from '../lib/uml.js'
import {
  ahSuite,
  kernelAlgorithms,
  keyOf,
  suiteName,
  suiteOf,
  XFRM_MODULES,
  type XfrmSuite,
} from '../lib/xfrm.js'

const gcm256 = suiteOf('ENCR_AES_GCM_16')
const cbc256 = suiteOf('ENCR_AES_CBC', 'AUTH_HMAC_SHA2_256_128')
const MACS = [
  'AUTH_HMAC_SHA1_96',
  'AUTH_HMAC_SHA2_256_128',
  'AUTH_HMAC_SHA2_384_192',
  'AUTH_HMAC_SHA2_512_256',
  'AUTH_AES_XCBC_96',
  'AUTH_AES_CMAC_96',
] as const
const espSuites: XfrmSuite[] = [
  suiteOf('ENCR_AES_GCM_16', undefined, 128),
  suiteOf('ENCR_AES_GCM_16', undefined, 192),
  gcm256,
  suiteOf('ENCR_AES_GCM_12'),
  suiteOf('ENCR_AES_GCM_8', undefined, 128),
  suiteOf('ENCR_AES_CCM_16', undefined, 128),
  suiteOf('ENCR_AES_CCM_12'),
  suiteOf('ENCR_AES_CCM_8', undefined, 192),
  suiteOf('ENCR_CHACHA20_POLY1305'),
  suiteOf('ENCR_NULL_AUTH_AES_GMAC'),
  ...MACS.map((mac) => suiteOf('ENCR_AES_CBC', mac, 128)),
  cbc256,
  suiteOf('ENCR_AES_CTR', 'AUTH_HMAC_SHA2_256_128', 128),
  suiteOf('ENCR_AES_CTR', 'AUTH_HMAC_SHA2_512_256'),
  suiteOf('ENCR_3DES', 'AUTH_HMAC_SHA1_96'),
  suiteOf('ENCR_NULL', 'AUTH_HMAC_SHA2_256_128'),
]

interface Case extends XfrmSuite {
  readonly protocol: 'esp' | 'ah'
  readonly mode: 'tunnel' | 'transport'
  readonly outer: 4 | 6
  readonly inner: 4 | 6
  readonly esn: boolean
  readonly encap: boolean
  /** The last sequence number before the first packet: [high, low]. */
  readonly from: readonly [number, number]
  /** Packets with IPv4 options or IPv6 extension headers. */
  readonly options: boolean
}
const usual = {
  protocol: 'esp',
  mode: 'tunnel',
  outer: 4,
  inner: 4,
  esn: false,
  encap: false,
  from: [0, 0],
  options: false,
} as const
const wrap = { esn: true, from: [1, 0xfffffffe] } as const

const cases: Case[] = [
  ...espSuites.map((suite): Case => ({ ...usual, ...suite })),
  ...espSuites.map((suite): Case => ({ ...usual, ...suite, mode: 'transport', outer: 6, inner: 6, ...wrap })),
  ...[gcm256, cbc256].flatMap((suite): Case[] => [
    { ...usual, ...suite, outer: 4, inner: 6 },
    { ...usual, ...suite, outer: 6, inner: 4 },
    { ...usual, ...suite, outer: 6, inner: 6 },
    { ...usual, ...suite, mode: 'transport' },
    { ...usual, ...suite, mode: 'transport', options: true },
    { ...usual, ...suite, mode: 'transport', outer: 6, inner: 6, options: true },
    { ...usual, ...suite, ...wrap },
    { ...usual, ...suite, encap: true },
    { ...usual, ...suite, encap: true, mode: 'transport' },
    { ...usual, ...suite, encap: true, outer: 6, inner: 6 },
  ]),
  ...MACS.flatMap((mac): Case[] => {
    const suite = { ...usual, ...ahSuite(mac), protocol: 'ah' as const }
    return [suite, { ...suite, mode: 'transport', outer: 6, inner: 6, ...wrap }]
  }),
  ...(['tunnel', 'transport'] as const).flatMap((mode): Case[] => {
    const suite = { ...usual, ...ahSuite(MACS[1]), protocol: 'ah' as const, mode, options: true }
    return [suite, { ...suite, outer: 6, inner: 6 }]
  }),
]

const OUTER = { 4: ['192.0.2.1', '192.0.2.2'], 6: ['2001:db8::1', '2001:db8::2'] } as const
const INNER = { 4: ['10.1.0.1', '10.2.0.1'], 6: ['fd00:1::1', 'fd00:2::1'] } as const

function addressBytes(text: string): number[] {
  if (!text.includes(':')) return text.split('.').map(Number)
  const [head = '', tail = ''] = text.split('::')
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((w) => Number.parseInt(w, 16))
  const [a, b] = [words(head), words(tail)]
  return [...a, ...new Array<number>(8 - a.length - b.length).fill(0), ...b].flatMap((w) => [w >> 8, w & 255])
}

/** A UDP datagram of `data` letters with its IP header; `options` adds what AH has to look into. */
function packetOf(
  family: 4 | 6,
  [from, to]: readonly [string, string],
  data: number,
  options: boolean,
): number[] {
  const udp = [...[0x30, 0x39, 0x30, 0x3a], ...[(8 + data) >> 8, (8 + data) & 255, 0, 0]]
  const payload = [...udp, ...Array.from({ length: data }, (_, i) => 97 + (i % 26))]
  if (family === 6) {
    // Hop-by-hop: router alert, and an option whose data may change (0x3e); destination options: padding.
    const extensions = options
      ? [...[60, 1, 5, 2, 0, 0, 0x3e, 6, 1, 2, 3, 4, 5, 6, 1, 0], ...[17, 0, 1, 4, 0, 0, 0, 0]]
      : []
    const length = extensions.length + payload.length
    const next = options ? 0 : 17
    return [
      ...[0x6b, 0x81, 0x23, 0x45, length >> 8, length & 255, next, 63],
      ...addressBytes(from),
      ...addressBytes(to),
      ...extensions,
      ...payload,
    ]
  }
  // Router alert (RFC 2113), which does not change on the way; an experiment (RFC 4727, 0x5e), which AH zeroes.
  const extra = options ? [0x94, 4, 0, 0, 0x5e, 6, 1, 2, 3, 4, 0, 0] : []
  const total = 20 + extra.length + payload.length
  const header = [
    ...[0x45 + extra.length / 4, 0xb8, total >> 8, total & 255, 0x12, 0x34, 0x40, 0, 63, 17, 0, 0],
    ...addressBytes(from),
    ...addressBytes(to),
    ...extra,
  ]
  let sum = 0
  for (let i = 0; i < header.length; i += 2) sum += header[i]! * 256 + header[i + 1]!
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  header[10] = (~sum & 0xffff) >> 8
  header[11] = ~sum & 0xff
  return [...header, ...payload]
}

const sendLine = (family: 4 | 6, from: string, to: string, packet: number[]): string => {
  const hex = packet.map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const socket =
    family === 4
      ? `socket(S,2,3,255)||die $!; bind(S,pack_sockaddr_in(0,inet_aton("${from}"))); $a=pack_sockaddr_in(0,inet_aton("${to}"));`
      : `socket(S,10,3,255)||die $!; bind(S,pack_sockaddr_in6(0,inet_pton(10,"${from}"))); $a=pack_sockaddr_in6(0,inet_pton(10,"${to}"));`
  return `perl -MSocket=:all -e '${socket} send(S,pack("H*","${hex}"),0,$a)||die $!'`
}

async function main(): Promise<void> {
  const netns = new Netns('ev')
  const w = netns.add('w')
  netns.run(
    w,
    'ip tuntap add dev tapu mode tap; ip link add br0 address 02:00:00:00:00:02 type bridge; ' +
      'ip link set tapu master br0; ip link set tapu up; ip link set br0 up',
  )
  const file = join(netns.folder, 'capture.pcap')
  const dump = spawn('ip', ['netns', 'exec', w, 'tcpdump', '-i', 'tapu', '-U', '-w', file], {
    stdio: 'ignore',
  })
  const peer = await UmlPeer.boot({
    namespace: w,
    tap: 'tapu',
    modules: XFRM_MODULES,
  })
  const made: { row: Case; spi: number; encryptionKey: string; integrityKey: string; inner: string[] }[] = []
  try {
    await peer.must(
      [
        'ip link set vec0 mtu 1500',
        'ethtool -K vec0 tx off tso off gso off 2>/dev/null || true',
        `ip addr add ${OUTER[4][0]}/24 dev vec0; ip addr add ${OUTER[6][0]}/64 dev vec0 nodad`,
        `ip addr add ${INNER[4][0]}/32 dev vec0; ip addr add ${INNER[6][0]}/128 dev vec0 nodad`,
        `ip neigh add ${OUTER[4][1]} lladdr 02:00:00:00:00:02 dev vec0`,
        `ip neigh add ${OUTER[6][1]} lladdr 02:00:00:00:00:02 dev vec0`,
        `ip route add default via ${OUTER[4][1]}; ip -6 route add default via ${OUTER[6][1]}`,
      ].join('; '),
    )
    for (const [i, row] of cases.entries()) {
      const spi = 0x1000 + i
      const encryptionKey = toHex(keyOf(`encryption ${i}`, row.encryptionKey))
      const integrityKey = toHex(keyOf(`integrity ${i}`, row.integrityKey))
      const [a, b] = OUTER[row.outer]
      const [from, to] = row.mode === 'tunnel' ? INNER[row.inner] : OUTER[row.outer]
      const sequence = row.esn
        ? `replay-window 64 replay-oseq ${row.from[1]} replay-oseq-hi ${row.from[0]} flag esn`
        : ''
      const encap = row.encap ? 'encap espinudp 4500 4500 0.0.0.0' : ''
      const bits = row.inner === 4 ? 32 : 128
      const flag = row.mode === 'tunnel' && row.outer !== row.inner ? 'flag af-unspec' : ''
      const set = [
        'ip xfrm state flush; ip xfrm policy flush',
        `ip xfrm state add src ${a} dst ${b} proto ${row.protocol} spi ${spi} reqid 1 mode ${row.mode} ${sequence || flag} ${kernelAlgorithms(row, encryptionKey, integrityKey)} ${encap}`,
        `ip xfrm policy add src ${from}/${bits} dst ${to}/${bits} dir out tmpl src ${a} dst ${b} proto ${row.protocol} reqid 1 mode ${row.mode}`,
      ].join(' && ')
      const told = await peer.run(set)
      if (told.exit !== 0) {
        process.stderr.write(`${suiteName(row)}: ${told.output}`)
        continue
      }
      const inner = [26, 53].map((data) => packetOf(row.inner, [from, to], data, row.options))
      for (const packet of inner) {
        const sent = await peer.run(sendLine(row.inner, from, to, packet))
        if (sent.exit !== 0) process.stderr.write(`${JSON.stringify(row)}: ${sent.output}`)
      }
      made.push({ row, spi, encryptionKey, integrityKey, inner: inner.map((p) => toHex(Uint8Array.from(p))) })
    }
    await new Promise((resolve) => setTimeout(resolve, 500))
  } finally {
    await peer.halt()
    dump.kill('SIGTERM')
  }
  const packets = ipPackets(readFileSync(file))
  netns.close()
  const rows = made.flatMap(({ row, spi, encryptionKey, integrityKey, inner }) => {
    const outer = packets.filter((packet) => spiOf(packet) === spi).map(toHex)
    if (outer.length !== inner.length) {
      process.stderr.write(`spi ${spi}: ${outer.length} packets (${JSON.stringify(row)})\n`)
      return []
    }
    const { protocol, mode, encryption, integrity, esn, encap, from } = row
    return [
      {
        spi,
        protocol,
        mode,
        family: row.outer,
        ...(encryption === undefined ? {} : { encryption }),
        ...(integrity === undefined ? {} : { integrity }),
        encryptionKey,
        integrityKey,
        esn,
        encap,
        from,
        packets: inner.map((packet, i) => ({ inner: packet, outer: outer[i]! })),
      },
    ]
  })
  process.stdout.write(`${HEADER}${JSON.stringify(rows, undefined, 1)}\n`)
}

const HEADER = `/**
 * Packets that Linux 6.1 (user-mode Linux) sealed, with their keys and what went in. Made by interop/tools/esp-vectors.ts.
 */
export interface LinuxVector {
  readonly spi: number
  readonly protocol: 'esp' | 'ah'
  readonly mode: 'tunnel' | 'transport'
  /** Outside. */
  readonly family: 4 | 6
  readonly encryption?: string
  readonly integrity?: string
  /** Hexadecimal, the salt at its end. */
  readonly encryptionKey: string
  readonly integrityKey: string
  readonly esn: boolean
  /** In UDP, port 4500. */
  readonly encap: boolean
  /** The sequence number before the first packet's, high and low 32 bits. */
  readonly from: readonly [number, number]
  /** Whole IP packets. */
  readonly packets: readonly { readonly inner: string; readonly outer: string }[]
}
export const linuxVectors: readonly LinuxVector[] = `

/** The IP packets of a capture of Ethernet frames. */
function ipPackets(capture: Uint8Array): Uint8Array[] {
  return Array.from(readCapture(capture), ({ bytes }) => bytes.subarray(14))
}

/** Of ESP, ESP in UDP port 4500, or AH, behind hop-by-hop options; or destination options; undefined for another packet. */
function spiOf(packet: Uint8Array): number | undefined {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength)
  let at = packet[0]! >> 4 === 4 ? 4 * (packet[0]! & 15) : 40
  let protocol = packet[packet[0]! >> 4 === 4 ? 9 : 6]!
  while (protocol === 0 || protocol === 60) {
    protocol = packet[at]!
    at += 8 * (packet[at + 1]! + 1)
  }
  if (protocol === 17 && view.getUint16(at) === 4500) return view.getUint32(at + 8)
  if (protocol === 50) return view.getUint32(at)
  if (protocol === 51) return view.getUint32(at + 4)
  return undefined
}

await main()
