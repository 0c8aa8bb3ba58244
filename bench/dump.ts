/**
 * `warren dump -r` beside `tshark -r` on one file of 1,000,000 packets: gif, gre, TCP and ICMP in equal parts. Both
 * write to /dev/null; they take turns, three times; medians and their ratio are printed.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { Ipv4Address, MacAddress, writeUint16, writeUint32 } from '../src/base/index.js'
import { LinkType, PcapWriter } from '../src/inspect/index.js'
import {
  buildTcpOptions,
  ethernet,
  gre,
  icmp,
  ipv4,
  sealIcmpChecksum,
  sealIpv4Checksum,
  sealTcpChecksum,
  tcp,
} from '../src/wire/index.js'

const PACKETS = 1_000_000
const ROUNDS = 3
/** What the README promises. */
const WANTED_RATIO = 10

const outer = [Ipv4Address.parse('192.168.1.1')!, Ipv4Address.parse('192.168.1.2')!] as const
const inner = [Ipv4Address.parse('172.16.0.1')!, Ipv4Address.parse('172.16.0.2')!] as const
const macs = [MacAddress.parse('fe:e1:ba:d0:00:01')!, MacAddress.parse('fe:e1:ba:d0:00:02')!] as const

type Addresses = readonly [Ipv4Address, Ipv4Address]

function ipPacket([source, destination]: Addresses, protocol: number, payload: Uint8Array): Uint8Array {
  const totalLength = 20 + payload.length
  const bytes = new Uint8Array(totalLength)
  ipv4.emit(
    {
      totalLength,
      identification: 4711,
      dscp: 0,
      ecn: 0,
      dontFragment: false,
      moreFragments: false,
      fragmentOffset: 0,
      ttl: 64,
      protocol,
      source,
      destination,
    },
    bytes,
  )
  sealIpv4Checksum(bytes, 0)
  bytes.set(payload, 20)
  return bytes
}

function echo(): Uint8Array {
  const bytes = new Uint8Array(64)
  icmp.emit({ type: 8, code: 0, identifier: 0xaa08, sequence: 1 }, bytes)
  for (let i = 8; i < bytes.length; i++) bytes[i] = i - 8
  sealIcmpChecksum(bytes, 0, bytes.length)
  return bytes
}

function segment([source, destination]: Addresses): Uint8Array {
  const options = buildTcpOptions({ timestamps: { value: 4_000_000, echoReply: 3_999_000 } })
  const header = {
    sourcePort: 40_000,
    destinationPort: 80,
    sequenceNumber: 1,
    acknowledgmentNumber: 1,
    window: 256,
  }
  const bytes = new Uint8Array(32 + 100)
  tcp.emit({ ...header, ack: true, psh: true, options }, bytes)
  sealTcpChecksum(bytes, 0, bytes.length, source, destination)
  return bytes
}

function frame(packet: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(14 + packet.length)
  ethernet.emit({ destination: macs[1], source: macs[0], etherType: 0x0800 }, bytes)
  bytes.set(packet, 14)
  return bytes
}

function greOf(packet: Uint8Array): Uint8Array {
  const header = gre.toBytes({ protocol: 0x0800 })
  const bytes = new Uint8Array(header.length + packet.length)
  bytes.set(header)
  bytes.set(packet, header.length)
  return bytes
}

/** The file's packets repeat four frames; identification, sequence numbers and ports change from one to the next. */
function writeFile(name: string): void {
  const frames = [
    frame(ipPacket(outer, 4, ipPacket(inner, 1, echo()))),
    frame(ipPacket(outer, 47, greOf(ipPacket(inner, 6, segment(inner))))),
    frame(ipPacket(outer, 6, segment(outer))),
    frame(ipPacket(outer, 1, echo())),
  ]
  /** Offset of the TCP header, where there is one. */
  const tcpAt = [undefined, 14 + 20 + 4 + 20, 14 + 20, undefined]
  const writer = new PcapWriter({ linkType: LinkType.ethernet })
  const fd = openSync(name, 'w')
  try {
    writeSync(fd, writer.header())
    for (let n = 0; n < PACKETS; ) {
      const block: Uint8Array[] = []
      for (const stop = Math.min(PACKETS, n + 10_000); n < stop; n++) {
        const bytes = frames[n % frames.length]!
        writeUint16(bytes, 18, n & 0xffff)
        const at = tcpAt[n % frames.length]
        if (at !== undefined) {
          writeUint16(bytes, at, 40_000 + (n % 1000))
          writeUint32(bytes, at + 4, (n * 100) >>> 0)
        }
        const microseconds = n * 25
        block.push(
          writer.packet({
            bytes,
            seconds: 1_579_455_000 + Math.floor(microseconds / 1_000_000),
            nanoseconds: (microseconds % 1_000_000) * 1000,
          }),
        )
      }
      writeSync(fd, Buffer.concat(block))
    }
  } finally {
    closeSync(fd)
  }
}

/** Seconds that a command takes; throws if it fails. */
function time(command: string, args: readonly string[]): number {
  const sink = openSync('/dev/null', 'w')
  const begun = performance.now()
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', sink, 'ignore'] })
  const seconds = (performance.now() - begun) / 1000
  closeSync(sink)
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${command} ended with ${status}`)
  return seconds
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!

export async function run(): Promise<void> {
  if (spawnSync('tshark', ['--version']).status !== 0) {
    console.log('dump: skipped, tshark is not installed')
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'warren-bench-'))
  const file = join(folder, 'packets.pcap')
  const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url))
  try {
    writeFile(file)
    const ours: number[] = []
    const theirs: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(time(process.execPath, [main, 'dump', '-r', file, '-n']))
      theirs.push(time('tshark', ['-n', '-r', file]))
    }
    const ratio = median(theirs) / median(ours)
    console.log(`dump: ${PACKETS} packets (gif, gre, tcp, icmp), median of ${ROUNDS}`)
    console.log(`  warren dump -r FILE -n  ${median(ours).toFixed(2)} s`)
    console.log(`  tshark -n -r FILE       ${median(theirs).toFixed(2)} s`)
    console.log(`  ratio                   ${ratio.toFixed(1)} (wanted: at least ${WANTED_RATIO})`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
