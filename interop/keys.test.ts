/**
 * Keys in Wireshark's form: with the file that we write tshark sees the same inside as we do, for every algorithm that
 * it has, of packets that we sealed and of packets that Linux sealed; where it verifies, it finds the same.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import {
  concatBytes,
  IPV4,
  IPV6,
  type Ipv4Address,
  type Ipv6Address,
  PacketBuffer,
} from '../src/base/index.js'
import { type EncryptionName, type MacName, nodeProvider } from '../src/crypto/index.js'
import {
  EspOpener,
  explain,
  explanationToJson,
  formatEspSa,
  LinkType,
  PcapWriter,
  parseEspSa,
  type SaKeys,
} from '../src/inspect/index.js'
import { hexBytes, linuxVectors, keysOf as vectorKeys, vectorName } from '../src/inspect/keys/testing.js'
import {
  counting,
  ip,
  ip4Packet,
  ip6,
  ip6Packet,
  type Pair,
  udpDatagram,
} from '../src/inspect/testing/packets.js'
import { ENDS, keysOf, SUITES, saOf, type TestSuite } from '../src/proto/esp/testing.js'
import { PASS } from '../src/proto/machine.js'
import { createTransforms } from '../src/proto/transforms.js'
import { missing } from './lib/need.js'
import { Netns } from './lib/netns.js'
import { startWarren, WARREN, type WarrenProcess } from './lib/warren.js'

const skip = missing('tshark')
/** What Debian 12's tshark has not; newer ones have ChaCha20. */
const NOT_IN_TSHARK: readonly (EncryptionName | undefined)[] = [
  'ENCR_AES_CCM_8',
  'ENCR_AES_CCM_12',
  'ENCR_AES_CCM_16',
  'ENCR_NULL_AUTH_AES_GMAC',
  'ENCR_CHACHA20_POLY1305',
]
const NOT_VERIFIED: readonly (MacName | undefined)[] = ['AUTH_AES_XCBC_96', 'AUTH_AES_CMAC_96']

interface Sample {
  readonly name: string
  readonly keys: SaKeys
  /** A whole IP packet. */
  readonly packet: Uint8Array
  readonly verifiable: boolean
}

const inner4: Pair<Ipv4Address> = [ip('10.1.0.1'), ip('10.2.0.1')]
const inner6: Pair<Ipv6Address> = [ip6('fd01::1'), ip6('fd02::1')]

/** A packet of ours, sealed. */
function sealed(suite: TestSuite, mode: 'tunnel' | 'transport', family: 4 | 6, spi: number): Sample {
  const spec = saOf({ suite, mode, family, spi })
  const { outbound } = createTransforms(
    { protocol: 'esp', outbound: spec, inbound: [] },
    { crypto: nodeProvider },
  )
  const ends = ENDS[family]
  const data = counting(spi % 50)
  const four = family === 4 ? (ends as Pair<Ipv4Address>) : inner4
  const six = family === 6 ? (ends as Pair<Ipv6Address>) : inner6
  const inside =
    mode === 'tunnel' || family === 4
      ? ip4Packet(
          mode === 'tunnel' ? inner4 : four,
          17,
          udpDatagram(mode === 'tunnel' ? inner4 : four, [12345, 12346], data),
        )
      : ip6Packet(six, 17, udpDatagram(six, [12345, 12346], data))
  const buffer = PacketBuffer.copyOf(inside, inside[0]! >>> 4 === 4 ? IPV4 : IPV6)
  assert.equal(outbound.process(buffer), PASS)
  const payload = buffer.copy()
  const keys = keysOf(suite)
  return {
    name: `${suite.encryption} ${suite.integrity ?? ''} ${mode} over IPv${family}`,
    keys: {
      family,
      source: String(ends[0]),
      destination: String(ends[1]),
      spi: `0x${spi.toString(16).padStart(8, '0')}`,
      encryption: suite.encryption ?? 'ENCR_NULL',
      encryptionKey: keys.encryption ?? new Uint8Array(0),
      ...(suite.integrity === undefined ? {} : { integrity: suite.integrity }),
      integrityKey: keys.integrity ?? new Uint8Array(0),
    },
    packet:
      family === 4
        ? ip4Packet(ends as Pair<Ipv4Address>, 50, payload)
        : ip6Packet(ends as Pair<Ipv6Address>, 50, payload),
    verifiable: !NOT_VERIFIED.includes(suite.integrity),
  }
}

let spi = 0x5000
const ours: Sample[] = SUITES.filter(({ encryption }) => !NOT_IN_TSHARK.includes(encryption)).flatMap(
  (suite) =>
    (['tunnel', 'transport'] as const).flatMap((mode) =>
      ([4, 6] as const).map((family) => sealed(suite, mode, family, spi++)),
    ),
)

const fromLinux: Sample[] = linuxVectors
  .filter(
    ({ protocol, encryption }) => protocol === 'esp' && !NOT_IN_TSHARK.includes(encryption as EncryptionName),
  )
  .flatMap((vector) =>
    vector.packets.map(({ outer }) => ({
      name: vectorName(vector),
      keys: vectorKeys(vector),
      packet: hexBytes(outer),
      // This tshark knows nothing of extended sequence numbers: it decrypts, and calls the ICV wrong.
      verifiable: !vector.esn && !NOT_VERIFIED.includes(vector.integrity as MacName | undefined),
    })),
  )

interface Fields {
  readonly [field: string]: unknown
}
interface JsonLayer {
  readonly name: string
  readonly fields: readonly { readonly field: string; readonly value: string; readonly bytes: string }[]
}

/** What we say in JSON of what is inside, in tshark's words. */
function oursOf({ packet }: Sample, opener: EspOpener): Fields {
  const { layers } = explanationToJson(explain(packet, LinkType.raw, undefined, opener)) as {
    layers: readonly JsonLayer[]
  }
  const seal = layers.findIndex(({ name }) => name === 'esp')
  const of = (name: string, field: string): string =>
    layers
      .slice(seal)
      .find((layer) => layer.name === name)
      ?.fields.find((one) => one.field === field)?.bytes ?? ''
  const number = (name: string, field: string): string => String(Number.parseInt(of(name, field), 16))
  return {
    next: number('espTrailer', 'nextHeader'),
    pad: number('espTrailer', 'padLength'),
    iv: of('esp', 'iv'),
    icv: of('espTrailer', 'icv'),
    source: number('udp', 'sourcePort'),
    destination: number('udp', 'destinationPort'),
    length: number('udp', 'length'),
    data: of('payload', 'data'),
  }
}

const COLUMNS = [
  'esp.protocol',
  'esp.pad_len',
  'esp.iv',
  'esp.icv',
  'udp.srcport',
  'udp.dstport',
  'udp.length',
  'data.data',
  'esp.icv_good',
  'esp.icv_bad',
]

describe('the keys that we write, in tshark', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'warren-keys-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  function tshark(name: string, samples: readonly Sample[]): string[][] {
    const home = join(folder, name)
    mkdirSync(join(home, 'profiles', 'warren'), { recursive: true })
    const text = formatEspSa(samples.map(({ keys }) => keys))
    writeFileSync(join(home, 'profiles', 'warren', 'esp_sa'), text, { mode: 0o600 })
    const writer = new PcapWriter({ linkType: LinkType.raw })
    const capture = join(home, 'esp.pcap')
    writeFileSync(
      capture,
      concatBytes(
        writer.header(),
        ...samples.map(({ packet }, i) => writer.packet({ bytes: packet, seconds: i, nanoseconds: 0 })),
      ),
    )
    const options = ['enable_encryption_decode', 'enable_authentication_check'].flatMap((option) => [
      '-o',
      `esp.${option}:TRUE`,
    ])
    const out = execFileSync(
      'tshark',
      [
        ...[
          '-C',
          'warren',
          ...options,
          '-r',
          capture,
          '-T',
          'fields',
          '-E',
          'separator=|',
          '-E',
          'occurrence=l',
        ],
        ...COLUMNS.flatMap((column) => ['-e', column]),
      ],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        env: { ...process.env, WIRESHARK_CONFIG_DIR: home },
      },
    )
    return out
      .replace(/\n$/, '')
      .split('\n')
      .map((line) => line.split('|'))
  }

  for (const [name, samples] of [
    ['ours', ours],
    ['linux', fromLinux],
  ] as const)
    test(`the same inside: ${samples.length} packets, ${name}`, () => {
      const seen = tshark(name, samples)
      assert.equal(seen.length, samples.length)
      const opener = new EspOpener(
        parseEspSa(formatEspSa(samples.map(({ keys }) => keys)), name),
        nodeProvider,
      )
      for (const [i, sample] of samples.entries()) {
        const [next, pad, iv, icv, source, destination, length, data, good, bad] = seen[i]!
        const hex = (text: string | undefined): string => (text ?? '').replaceAll(':', '')
        const theirs: Fields = {
          next: String(Number(next)),
          pad,
          iv: hex(iv),
          icv: hex(icv),
          source,
          destination,
          length,
          data: hex(data),
        }
        assert.deepEqual(theirs, oursOf(sample, opener), sample.name)
        if (sample.verifiable) assert.deepEqual([good, bad], ['1', '0'], sample.name)
      }
    })
})

describe('the keys of a running warren up', { skip: missing('ping') }, () => {
  let net: Netns | undefined
  after(() => net?.close())

  test('a live dump shows what is inside; beside a capture they let it be read later', async () => {
    const lab = new Netns('ky')
    net = lab
    const [a, b] = [lab.add('a'), lab.add('b')]
    lab.veth(a, 'eth0', b, 'eth0')
    const key = (bytes: number): string => `0x${randomBytes(bytes).toString('hex')}`
    const started: WarrenProcess[] = []
    const sa = `esp from 192.168.1.1 to 192.168.1.2 spi 0x1001:0x1002 enc aes-256-gcm enckey ${key(36)}:${key(36)}`
    const back = sa
      .replace('from 192.168.1.1 to 192.168.1.2', 'from 192.168.1.2 to 192.168.1.1')
      .replace(/spi (\S+):(\S+)/, 'spi $2:$1')
      .replace(/enckey (\S+):(\S+)/, 'enckey $2:$1')
    try {
      for (const [i, host] of [a, b].entries()) {
        const [own, other] = [1 + i, 2 - i]
        lab.run(host, `ip addr add 192.168.1.${own}/24 dev eth0; ip addr add 10.1.${own}.1/24 dev lo`)
        const file = join(lab.folder, `${host}.ipsec.conf`)
        const flow = `flow esp from 10.1.${own}.0/24 to 10.1.${other}.0/24 peer 192.168.1.${other}`
        writeFileSync(file, `${i === 0 ? sa : back}\n${flow}\n`, { mode: 0o600 })
        started.push(await startWarren(lab, host, [file]))
      }
      const socket = /control at (\S+)/.exec(started[0]!.log())![1]!
      const capture = join(lab.folder, 'live.pcapng')
      const ping = 'sleep 2; ping -c2 -i0.2 -w5 -I 10.1.1.1 10.1.2.1 >&2'
      const dump = (rest: string): string =>
        lab.run(a, `timeout 20 ${process.execPath} ${WARREN} dump -n ${rest}`)
      const live = lab.run(
        a,
        `timeout 20 ${process.execPath} ${WARREN} dump -nti eth0 -c4 --keys running:${socket} esp & ${ping}; wait`,
      )
      const line = (from: number, to: number, spi: string, seq: number, what: string): RegExp =>
        new RegExp(
          `192\\.168\\.1\\.${from} > 192\\.168\\.1\\.${to}: esp spi 0x0000${spi} seq ${seq} len \\d+: 10\\.1\\.${from}\\.1 > 10\\.1\\.${to}\\.1: icmp: echo ${what}`,
        )
      const lines = live.split('\n')
      for (const [i, expected] of [
        line(1, 2, '1001', 1, 'request'),
        line(2, 1, '1002', 1, 'reply'),
        line(1, 2, '1001', 2, 'request'),
        line(2, 1, '1002', 2, 'reply'),
      ].entries())
        assert.match(lines[i]!, expected)
      lab.run(
        a,
        `timeout 20 ${process.execPath} ${WARREN} dump -i eth0 -c2 -w ${capture} --keys running:${socket} esp & ${ping}; wait`,
      )
      assert.match(
        dump(`-r ${capture} --keys ${capture}.esp_sa`),
        /seq 3 len \d+: 10\.1\.1\.1 > 10\.1\.2\.1: icmp/,
      )
      for (const warren of started) {
        const said = warren.log() + (await warren.status('--json'))
        for (const secret of sa.match(/[0-9a-f]{72}/g)!) assert.ok(!said.includes(secret))
      }
    } finally {
      for (const warren of started) await warren.stop()
    }
  })
})
