/** `--keys` of dump and explain: what opens, who may read the file, and that no key is ever printed. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { after, describe, test } from 'node:test'
import { concatBytes } from '../base/index.js'
import { ikeCapture } from '../inspect/ike/testing.js'
import { LinkType, PcapWriter, parseEspSa } from '../inspect/index.js'
import { formatEspSa } from '../inspect/keys/esp-sa.js'
import { formatIkev2Table, parseIkev2Table } from '../inspect/keys/ikev2-table.js'
import { hexBytes, keysOf, linuxVectors } from '../inspect/keys/testing.js'
import { listenForControl } from '../linux/control-socket.js'
import { run as dump } from './dump.js'
import { run as explain } from './explain.js'
import type { CliIo } from './io.js'

const folder = mkdtempSync(join(tmpdir(), 'warren-keys-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const path = (name: string): string => join(folder, name)

class Sink extends Writable {
  text = ''
  override _write(chunk: Buffer | string, _encoding: string, done: () => void): void {
    this.text += chunk
    done()
  }
}

async function call(
  verb: (args: string[], io: CliIo) => Promise<number>,
  args: string[],
): Promise<{ code: number; out: string; err: string }> {
  const [stdout, stderr] = [new Sink(), new Sink()]
  const code = await verb(args, { stdout, stderr, stdin: Readable.from([]), env: {} })
  await new Promise((resolve) => stdout.end(resolve))
  return { code, out: stdout.text, err: stderr.text }
}

const vector = linuxVectors.find(
  ({ encryption, mode }) => encryption === 'ENCR_AES_GCM_16' && mode === 'tunnel',
)!
const writer = new PcapWriter({ linkType: LinkType.raw })
const capture = path('esp.pcap')
const packets = vector.packets.map(({ outer }) => hexBytes(outer))
writeFileSync(
  capture,
  concatBytes(
    writer.header(),
    ...packets.map((bytes) => writer.packet({ bytes, seconds: 1, nanoseconds: 0 })),
  ),
)
const keys = path('esp_sa')
writeFileSync(keys, formatEspSa([keysOf(vector)]), { mode: 0o600 })
const hidesKeys = (...texts: string[]): void => {
  for (const text of texts) assert.ok(!text.includes(vector.encryptionKey.slice(0, 16)))
}

describe('--keys', () => {
  test('dump prints what is inside; explain names it; JSON has both', async () => {
    const lines = await call(dump, ['-ntr', capture, '--keys', keys])
    assert.equal(lines.code, 0)
    assert.match(
      lines.out,
      /esp spi 0x00001000 seq 1 len 88: 10\.1\.0\.1\.12345 > 10\.2\.0\.1\.12346: udp 26/,
    )
    const explained = await call(explain, [`--keys=${keys}`, capture])
    assert.match(explained.out, /decrypted: ENCR_AES_GCM_16; ICV correct/)
    const one = await call(explain, ['--keys', keys, vector.packets[0]!.outer])
    assert.match(one.out, /ICV correct/)
    const json = await call(dump, ['-r', capture, '--json', '--explain', '--keys', keys])
    const names = (JSON.parse(json.out) as { explanation: { layers: { name: string }[] } }[]).map(
      ({ explanation: { layers } }) => layers.map(({ name }) => name).join(' '),
    )
    assert.deepEqual(names, new Array(packets.length).fill('ipv4 esp ipv4 udp payload espTrailer'))
    hidesKeys(lines.out, lines.err, explained.out, one.out, json.out)
  })
  test('without them nothing of it', async () => {
    assert.doesNotMatch((await call(dump, ['-ntr', capture])).out, /12345/)
  })
  test('a file that others can read is refused', async () => {
    const open = path('open')
    writeFileSync(open, formatEspSa([keysOf(vector)]), { mode: 0o644 })
    for (const result of [
      await call(dump, ['-r', capture, '--keys', open]),
      await call(explain, ['--keys', open, capture]),
    ]) {
      assert.equal(result.code, 1)
      assert.match(result.err, /readable.*found mode 0644.*chmod 600/)
      assert.equal(result.out, '')
    }
  })
  test('a file that is not there, one that is wrong', async () => {
    assert.match(
      (await call(dump, ['-r', capture, '--keys', path('none')])).err,
      /could not read the keys: found ENOENT/,
    )
    const wrong = path('wrong')
    writeFileSync(wrong, formatEspSa([keysOf(vector)]).replace('with 16 octet', 'with 17 octet'), {
      mode: 0o600,
    })
    const { code, err } = await call(explain, ['--keys', wrong, capture])
    assert.equal(code, 1)
    assert.match(err, /wrong:1: no such encryption/)
    hidesKeys(err)
  })
  test('wrong words', async () => {
    for (const [verb, args] of [
      [dump, ['-r', capture, '--keys']],
      [dump, ['-r', capture, '--unverified']],
      [explain, ['--unverified', capture]],
      [explain, [capture, '--keys']],
      [dump, ['-r', capture, '--kes', keys]],
    ] as const) {
      const { code, err } = await call(verb, [...args])
      assert.equal(code, 2)
      assert.match(err, /--keys/)
    }
  })
  test('-w writes them beside the capture, for its owner alone, whatever stood there', async () => {
    const copy = path('copy.pcapng')
    const trap = path('trap')
    writeFileSync(trap, 'not to be written to')
    symlinkSync(trap, `${copy}.esp_sa`)
    const { code, err } = await call(dump, ['-r', capture, '-w', copy, '--keys', keys])
    assert.equal(code, 0)
    assert.match(err, /wireshark -C warren -o esp\.enable_encryption_decode:TRUE/)
    hidesKeys(err)
    assert.equal(statSync(`${copy}.esp_sa`).mode & 0o777, 0o600)
    assert.equal(readFileSync(trap, 'utf8'), 'not to be written to')
    assert.deepEqual(parseEspSa(readFileSync(`${copy}.esp_sa`, 'latin1'), 'x'), [keysOf(vector)])
    assert.match((await call(dump, ['-r', copy, '--keys', `${copy}.esp_sa`, '-n'])).out, /10\.1\.0\.1\.12345/)
    // The file that the keys are from is left as its owner wrote it.
    writeFileSync(`${copy}.esp_sa`, `# mine\n${formatEspSa([keysOf(vector)])}`)
    await call(dump, ['-r', capture, '-w', copy, '--keys', `${copy}.esp_sa`])
    assert.match(readFileSync(`${copy}.esp_sa`, 'utf8'), /^# mine/)
  })
  test('the keys of a running one, over its socket', async () => {
    const socket = path('warren.sock')
    const asked: string[] = []
    const server = await listenForControl(socket, async (verb) => {
      asked.push(verb)
      const encryption = { id: vector.encryption, key: vector.encryptionKey }
      return [{ protocol: 'esp', spi: vector.spi, source: '192.0.2.1', destination: '192.0.2.2', encryption }]
    })
    try {
      const { out } = await call(dump, ['-nr', capture, '--keys', `running:${socket}`])
      assert.match(out, /10\.1\.0\.1\.12345/)
      assert.deepEqual(asked, ['keys'])
    } finally {
      server.close()
    }
    const gone = await call(dump, ['-nr', capture, '--keys', `running:${path('nobody')}`])
    assert.equal(gone.code, 1)
    assert.match(gone.err, /no warren is running/)
  })
})

describe('--keys with IKE', () => {
  const exchange = ikeCapture()
  const ike = path('ike.pcap')
  writeFileSync(
    ike,
    concatBytes(
      writer.header(),
      ...exchange.packets.map((bytes) => writer.packet({ bytes, seconds: 1, nanoseconds: 0 })),
    ),
  )
  const table = path('ikev2_decryption_table')
  writeFileSync(table, formatIkev2Table(exchange.keys), { mode: 0o600 })
  const [secret] = exchange.keys.map(({ encryptionKeys }) => Buffer.from(encryptionKeys[0]).toString('hex'))

  test('dump -v lists what is encrypted, explain names it; files of both kinds at once', async () => {
    const lines = await call(dump, ['-ntvr', ike, '--keys', keys, '--keys', table])
    assert.equal(lines.code, 0)
    assert.match(lines.out, /payload: E len: \d+ \[icv ok\]\n\t {4}payload: IDi .*host2\.example/)
    const explained = await call(explain, [`--keys=${table}`, ike])
    assert.match(explained.out, /decrypted: ENCR_AES_GCM_16; ICV correct/)
    assert.match(explained.out, /Identification data +host1\.example/)
    const both = await call(dump, ['-ntr', capture, '--keys', table, '--keys', keys])
    assert.match(both.out, /10\.1\.0\.1\.12345/)
    for (const { out, err } of [lines, explained, both]) assert.ok(!`${out}${err}`.includes(secret!))
  })
  test('-w writes each kind into its own file', async () => {
    const copy = path('both.pcapng')
    const { code, err } = await call(dump, ['-r', ike, '-w', copy, '--keys', keys, '--keys', table])
    assert.equal(code, 0)
    assert.match(
      err,
      /both\.pcapng\.esp_sa and .*both\.pcapng\.ikev2_decryption_table: who has them reads the packets/,
    )
    assert.match(
      err,
      /install -D -m 600 \S+ ~\/\.config\/wireshark\/profiles\/warren\/ikev2_decryption_table/,
    )
    for (const name of ['esp_sa', 'ikev2_decryption_table'])
      assert.equal(statSync(`${copy}.${name}`).mode & 0o777, 0o600)
    assert.deepEqual(
      parseIkev2Table(readFileSync(`${copy}.ikev2_decryption_table`, 'latin1'), 'x'),
      exchange.keys,
    )
    const alone = path('alone.pcap')
    await call(dump, ['-r', ike, '-w', alone, '--keys', table])
    assert.throws(() => statSync(`${alone}.esp_sa`))
  })
})
