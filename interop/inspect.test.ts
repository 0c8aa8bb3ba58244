/**
 * Our filters held against libpcap's, and our capture files against the readers of tcpdump and tshark, over one
 * packet of every kind that the printers know.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { concatBytes } from '../src/base/index.js'
import { compileFilter, explain, PcapngWriter, PcapWriter } from '../src/inspect/index.js'
import { samplePackets } from '../src/inspect/testing/packets.js'
import { missing } from './lib/need.js'

const skip = missing('tcpdump', 'tshark')

const frames = samplePackets().filter(({ linkType }) => linkType === 1)
const record = (
  bytes: Uint8Array,
  i: number,
): { bytes: Uint8Array; seconds: number; nanoseconds: number } => ({
  bytes,
  seconds: 1_579_455_906,
  nanoseconds: 1000 * i,
})

/** Microseconds of the packets that tcpdump lets through: they number the packets. */
function chosenByTcpdump(file: string, filter: string): number[] {
  const out = execFileSync('tcpdump', ['-n', '-tt', '-q', '-r', file, filter], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return [...out.matchAll(/^1579455906\.(\d{6}) /gm)].map(([, digits]) => Number(digits))
}

const filters: readonly string[] = [
  ...[
    'ip',
    'ip6',
    'arp',
    'icmp',
    'icmp6',
    'tcp',
    'udp',
    'esp',
    'proto 47',
    'ip6 proto 47',
    'proto 97',
    'vlan',
  ],
  ...['host 192.168.1.1', 'src host 192.168.1.1', 'dst host 172.16.0.2', 'src or dst host 192.168.1.2'],
  ...['ip6 host fd3e:62ee:99db:bb1a::1', 'net 192.168.1.0/24', 'src net 192.168', 'net fd00::/8'],
  ...[
    'port 80',
    'udp port 500',
    'portrange 50-90',
    'tcp or udp port 53',
    'port domain',
    'not port 80 and not port 500',
  ],
  ...['ether host fe:e1:ba:d0:00:01', 'ether broadcast', 'ether proto 0x88cc', 'ip multicast'],
  ...['tcp[tcpflags] & (tcp-syn|tcp-push) != 0', 'icmp[icmptype] = icmp-unreach', 'ip[6:2] & 0x1fff != 0'],
  ...['ip[0] & 0xf = 5', 'ether[0] & 1 = 1', 'udp[4:2] > 20', 'ip[2:2] = len - 14', 'not icmp[1000] = 1'],
  ...[
    'vlan and icmp',
    'vlan 10 and host 172.16.0.1',
    'vlan 11',
    'greater 100',
    'less 60',
    'len > 90 and len < 200',
  ],
  ...['icmp or tcp and ip6', '(icmp or icmp6) and not host 192.168.1.1', 'not (ip or ip6)'],
]

describe('beside tcpdump and tshark', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'warren-inspect-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  const write = (name: string, ...parts: Uint8Array[]): string => {
    const file = join(folder, name)
    writeFileSync(file, concatBytes(...parts))
    return file
  }
  const writer = new PcapWriter({ linkType: 1 })
  const capture = (): string =>
    write('all.pcap', writer.header(), ...frames.map(({ bytes }, i) => writer.packet(record(bytes, i))))

  for (const filter of filters)
    test(`the filter "${filter}" chooses what libpcap's chooses`, () => {
      const ours = compileFilter(filter)
      const chosen = frames.flatMap(({ bytes }, i) => (ours(bytes, 1) ? [i] : []))
      assert.deepEqual(chosen, chosenByTcpdump(capture(), filter))
    })

  for (const byteOrder of ['little', 'big'] as const)
    test(`files that we write, ${byteOrder}-endian, are read whole`, () => {
      const ng = new PcapngWriter({ byteOrder })
      const pcap = new PcapWriter({ linkType: 1, byteOrder, nanoseconds: true })
      const files = [
        write('a.pcap', pcap.header(), ...frames.map(({ bytes }, i) => pcap.packet(record(bytes, i)))),
        write(
          'a.pcapng',
          ng.header(),
          ng.interface({ linkType: 1, name: 'vio0', nanoseconds: true }),
          ...frames.map(({ bytes }, i) => ng.packet(record(bytes, i))),
        ),
      ]
      for (const file of files) {
        const out = execFileSync(
          'tshark',
          ['-r', file, '-T', 'fields', '-e', 'frame.time_epoch', '-e', 'frame.len'],
          {
            encoding: 'utf8',
            stdio: ['ignore', 'pipe', 'ignore'],
          },
        )
        const read = out
          .trim()
          .split('\n')
          .map((line) => line.split('\t'))
        assert.deepEqual(
          read.map(([time, length]) => [Math.round((Number(time) % 1) * 1e6), Number(length)]),
          frames.map(({ bytes }, i) => [i, bytes.length]),
        )
      }
    })

  test('checksums that explain calls right are right to tshark too', () => {
    const checks = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`])
    const fields = [
      'ip.checksum.status',
      'tcp.checksum.status',
      'udp.checksum.status',
      'icmp.checksum.status',
    ]
    const out = execFileSync(
      'tshark',
      ['-r', capture(), ...checks, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    )
    for (const [i, line] of out.replace(/\n$/, '').split('\n').entries()) {
      const { name, bytes } = frames[i]!
      const wrongToTshark = /(^|[\t,])(0|Bad)([\t,]|$)/.test(line)
      const wrongToUs = explain(bytes, 1, bytes.length).problems.some((problem) => /checksum/.test(problem))
      assert.equal(wrongToUs, wrongToTshark, `${name}: ${line}`)
    }
  })
})
