/**
 * IKEv2 in tshark: with the table that we write beside a capture it opens what we open, for every encryption, through the
 * whole life of an SA and in fragments; and it sees the same payloads, notifies, identities and selectors in it.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { concatBytes } from '../src/base/index.js'
import { nodeProvider } from '../src/crypto/index.js'
import {
  IKE_SUITES,
  type IkeCapture,
  ikeCapture,
  signedCapture,
  testCertificate,
  wholeLife,
} from '../src/inspect/ike/testing.js'
import {
  dissectOpened,
  formatIkev2Table,
  IkeOpener,
  type Layer,
  LinkType,
  PcapWriter,
  parseIkev2Table,
} from '../src/inspect/index.js'
import { ikePayloadNames } from '../src/wire/ike/index.js'
import { Daemon } from './lib/daemon.js'
import type { Said } from './lib/ike-speaker.js'
import { missing } from './lib/need.js'
import { Charon } from './lib/peers/strongswan.js'
import { twoHosts } from './lib/two-hosts.js'

const skip = missing('tshark')
const skipCharon = missing('tshark', '/usr/sbin/charon-systemd', 'swanctl', 'unshare')

/** Where a value of ours has its like in tshark. */
const VALUES = {
  'isakmp.exchangetype': ['ike', 'exchangeType'],
  'isakmp.messageid': ['ike', 'messageId'],
  'isakmp.notify.msgtype': ['ikePayload', 'type', 'Notify message type'],
  'isakmp.tf.type': ['ikeTransform', 'type'],
  'isakmp.tf.id.encr': ['ikeTransform', 'id', 'ENCR'],
  'isakmp.ts.start_ipv4': ['ikeSelector', 'startAddress'],
  'isakmp.ts.end_ipv4': ['ikeSelector', 'endAddress'],
  'isakmp.id.data.fqdn': ['ikePayload', 'data', 'Identification data'],
  'isakmp.nonce': ['ikePayload', 'data', 'Nonce'],
  'isakmp.key_exchange.data': ['ikePayload', 'data', 'Key exchange data'],
  'isakmp.auth.method': ['ikePayload', 'method', 'Auth method'],
  'isakmp.delete.spi': ['ikePayload', 'deletedSpi'],
  'isakmp.spi': ['', 'spi'],
} as const
type Column = keyof typeof VALUES
const COLUMNS = ['isakmp.typepayload', 'isakmp.enc.decrypted', ...(Object.keys(VALUES) as Column[])]

const typeOf = new Map(Object.entries(ikePayloadNames).map(([type, name]) => [name, type]))

/** The types of payloads, proposals (2) and transforms (3), as tshark numbers them. */
function typesOf(layers: readonly Layer[]): string[] {
  return layers.flatMap(({ name, title }) => {
    if (title.endsWith(', continued')) return []
    if (name === 'ikeProposal') return ['2']
    if (name === 'ikeTransform') return ['3']
    if (name !== 'ikePayload') return []
    return [typeOf.get(title.replace('Payload: ', ''))!]
  })
}

function valuesOf(layers: readonly Layer[], column: Column): string[] {
  const [name, field, label] = VALUES[column]
  return layers
    .filter((layer) => name === '' || layer.name === name)
    .flatMap(({ fields }) => fields)
    .filter((one) => one.field === field)
    .filter((one) => label === undefined || one.label === label || one.meaning?.startsWith(label))
    .map(({ value }) => value)
}

const normal = (column: string, value: string): string =>
  column === 'isakmp.messageid' ? String(Number(value)) : value.replaceAll(':', '')

describe('IKEv2 in tshark', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'warren-ike-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  let count = 0

  /** A row a packet, its columns as lists. */
  function tshark({ packets, keys }: IkeCapture): Record<string, string[]>[] {
    const home = join(folder, String(count++))
    const profile = join(home, 'profiles', 'warren')
    mkdirSync(profile, { recursive: true })
    writeFileSync(join(profile, 'ikev2_decryption_table'), formatIkev2Table(keys), { mode: 0o600 })
    const writer = new PcapWriter({ linkType: LinkType.raw })
    const file = join(home, 'ike.pcap')
    const records = packets.map((bytes, i) => writer.packet({ bytes, seconds: i, nanoseconds: 0 }))
    writeFileSync(file, concatBytes(writer.header(), ...records))
    const columns = COLUMNS.flatMap((column) => ['-e', column])
    const out = execFileSync(
      'tshark',
      ['-C', 'warren', '-r', file, '-T', 'json', '--no-duplicate-keys', ...columns],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        env: { ...process.env, WIRESHARK_CONFIG_DIR: home },
        maxBuffer: 1 << 26,
      },
    )
    const rows = JSON.parse(out) as { _source: { layers: Record<string, string[]> } }[]
    return rows.map(({ _source: { layers } }) => layers)
  }

  function same(capture: IkeCapture, decrypts = true): void {
    const theirs = tshark(capture)
    assert.equal(theirs.length, capture.packets.length)
    const opener = new IkeOpener(capture.keys, nodeProvider)
    for (const [i, packet] of capture.packets.entries()) {
      const row = theirs[i]!
      const { layers } = dissectOpened(packet, LinkType.raw, decrypts ? { opener } : {})
      assert.deepEqual(row['isakmp.typepayload'], typesOf(layers), `packet ${i}`)
      for (const column of Object.keys(VALUES) as Column[])
        assert.deepEqual(
          (row[column] ?? []).map((value) => normal(column, value)),
          valuesOf(layers, column),
          `packet ${i}, ${column}`,
        )
      const isSealed = typesOf(layers).includes('46')
      if (isSealed) assert.equal(row['isakmp.enc.decrypted'] !== undefined, decrypts, `packet ${i}`)
    }
  }

  for (const suite of IKE_SUITES) {
    const { name, keyBits } = suite.encryption[0]!
    // Debian 12's has no ChaCha20 for IKE: it sees what we see without keys.
    test(`the same in ${name} ${keyBits} ${suite.integrity.join()}`, () =>
      same(
        ikeCapture({ ...wholeLife, policy: { ...wholeLife.policy, ikeSuites: [suite] } }),
        name !== 'ENCR_CHACHA20_POLY1305',
      ))
  }

  test('the same on port 4500', () => same(ikeCapture({ policy: { forceUdp: true } })))

  test('the same in fragments: tshark lists the payloads with the last, we each where it begins', () => {
    const capture = signedCapture(testCertificate())
    const rows = tshark(capture)
    const opener = new IkeOpener(capture.keys, nodeProvider)
    const all = capture.packets.map((packet) =>
      typesOf(dissectOpened(packet, LinkType.raw, { opener }).layers),
    )
    const inside = (lists: readonly string[][]): string[] => lists.flat().filter((type) => type !== '53')
    const theirs = rows.map((row) => row['isakmp.typepayload']!)
    assert.ok(inside(theirs).includes('37'))
    assert.deepEqual(inside(theirs), inside(all))
    assert.equal(
      theirs.flat().filter((type) => type === '53').length,
      all.flat().filter((type) => type === '53').length,
    )
  })

  test('the same between Warren and strongSwan: from the first message to the last delete', {
    skip: skipCharon,
  }, async () => {
    const capture = await withStrongswan()
    // Two IKE SAs: the second took over from the first.
    assert.equal(capture.keys.length, 2)
    assert.ok(capture.packets.length >= 10)
    same(capture)
  })
})

/** The other end of `policyOf(1)`. */
const SWANCTL = `connections {
  tunnel {
    version = 2
    local_addrs = 192.168.1.2
    remote_addrs = 192.168.1.1
    proposals = aes256-sha256-x25519
    encap = yes
    rekey_time = 0
    local {
      auth = psk
      id = host2.example
    }
    remote {
      auth = psk
      id = host1.example
    }
    children {
      tunnel {
        local_ts = 172.16.2.0/24
        remote_ts = 172.16.1.0/24
        esp_proposals = aes256gcm16
        rekey_time = 0
      }
    }
  }
}
secrets {
  ike-1 {
    secret = "dont_use_psk_its_a_bad_idea"
  }
}
`

async function withStrongswan(): Promise<IkeCapture> {
  const hosts = twoHosts('wi')
  try {
    // Its routes have a source inside.
    hosts.net.run(hosts.b.namespace, 'ip addr add 172.16.2.1/32 dev lo')
    const charon = await Charon.start(hosts.b.namespace, {
      folder: hosts.net.folder,
      name: 'b',
      swanctl: SWANCTL,
    })
    const speaker = Daemon.start(hosts.a.namespace, [
      process.execPath,
      fileURLToPath(new URL('./lib/ike-speaker.js', import.meta.url)),
    ])
    try {
      await speaker.until(/"established"/)
      await charon.daemon.until(/CHILD_SA tunnel\{1\} established/)
      await charon.swanctl('--rekey', '--child', 'tunnel')
      await charon.swanctl('--rekey', '--ike', 'tunnel')
      await speaker.until(/"rekeyed"/)
      await setTimeout(500)
      await charon.swanctl('--terminate', '--ike', 'tunnel')
      await setTimeout(500)
      const said = speaker.log
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Said)
      assert.deepEqual(
        said.filter((one) => 'problem' in one),
        [],
      )
      return {
        packets: said.flatMap((one) =>
          'packet' in one ? [new Uint8Array(Buffer.from(one.packet, 'hex'))] : [],
        ),
        keys: said.flatMap((one) => ('keys' in one ? parseIkev2Table(one.keys, 'speaker') : [])),
      }
    } finally {
      await speaker.stop()
      await charon.daemon.stop()
    }
  } finally {
    hosts.net.close()
  }
}
