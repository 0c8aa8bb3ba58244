import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { after, describe, test } from 'node:test'
import { concatBytes } from '../base/index.js'
import { PcapngWriter, PcapWriter, readCapture } from '../inspect/index.js'
import { articlePackets } from '../inspect/testing/article.js'
import { samplePackets } from '../inspect/testing/packets.js'
import { run as dump, help as dumpHelp } from './dump.js'
import { run as explain, help as explainHelp } from './explain.js'
import type { CliIo } from './io.js'

const folder = mkdtempSync(join(tmpdir(), 'warren-dump-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const path = (name: string): string => join(folder, name)

class Sink extends Writable {
  readonly #chunks: Buffer[] = []
  override _write(chunk: Buffer | string, _encoding: string, done: () => void): void {
    this.#chunks.push(Buffer.from(chunk))
    // As a pipe does: later.
    setImmediate(done)
  }
  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}

interface Result {
  readonly code: number
  readonly out: string
  readonly bytes: Uint8Array
  readonly err: string
}

async function call(
  verb: (args: string[], io: CliIo) => Promise<number>,
  args: string[],
  input: Uint8Array | string = '',
): Promise<Result> {
  const stdout = new Sink()
  const stderr = new Sink()
  const code = await verb(args, { stdout, stderr, stdin: Readable.from([Buffer.from(input)]), env: {} })
  await new Promise((resolve) => stdout.end(resolve))
  await new Promise((resolve) => stderr.end(resolve))
  return { code, out: stdout.bytes.toString('utf8'), bytes: stdout.bytes, err: stderr.bytes.toString('utf8') }
}

const frames = samplePackets().filter(({ linkType }) => linkType === 1)
const record = (bytes: Uint8Array, i: number): Parameters<PcapWriter['packet']>[0] => ({
  bytes,
  seconds: 1_579_455_906,
  nanoseconds: 1000 * i,
})
const writer = new PcapWriter({ linkType: 1 })
const capture = concatBytes(writer.header(), ...frames.map(({ bytes }, i) => writer.packet(record(bytes, i))))
const file = path('samples.pcap')
writeFileSync(file, capture)

describe('warren dump', () => {
  test('a line a packet; the common ones and the others in the order of the file', async () => {
    const { code, out, err } = await call(dump, ['-r', file, '-nt'])
    assert.deepEqual([code, err], [0, ''])
    const lines = out.split('\n').filter((line) => !line.startsWith('\t') && line !== '')
    assert.equal(lines.length, frames.length)
    const at = (name: string): string => lines[frames.findIndex((frame) => frame.name === name)]!
    assert.equal(at('4 in 4'), '172.16.0.1 > 172.16.0.2: icmp: echo request (encap)')
    assert.equal(at('gre'), '192.168.1.1 > 192.168.1.2: gre 172.16.0.1 > 172.16.0.2: icmp: echo request')
    assert.equal(at('arp request'), 'arp who-has 192.168.1.2 tell 192.168.1.1')
  })

  test('from standard input, with a filter, a count and joined letters', async () => {
    const { code, out } = await call(
      dump,
      ['-ntr', '-', '-c1', 'icmp6', 'and', 'host', 'fd3e:62ee:99db:bb1a::1'],
      capture,
    )
    assert.equal(code, 0)
    assert.equal(out, 'fd3e:62ee:99db:bb1a::1 > fd3e:62ee:99db:bb1a::2: icmp6: echo request\n')
  })

  test('-X -v -s: as the article calls it', async () => {
    const { out } = await call(dump, ['-XXvvvnt', '-s', '116', '-r', file, 'ip proto 4'])
    const lines = out.split('\n')
    assert.match(
      lines[0]!,
      /^192\.168\.1\.1 > 192\.168\.1\.2: 172\.16\.0\.1 > 172\.16\.0\.2: icmp: echo request \(id:aa08 seq:1\) \(ttl 64, id 4711, len 84\) \(ttl 64, id 4711, len 104\)$/,
    )
    assert.equal(lines[1], '  0000: 4500 0068 1267 0000 4004 e4d7 c0a8 0101  E..h.g..@.......')
    assert.match(lines[7]!, /^ {2}0060: [0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{4} {27}.{6}$/)
  })

  test('--json: an array, one value; with --explain every byte', async () => {
    const { out } = await call(dump, ['--json', '-n', '-r', file, 'etherip'])
    const packets = JSON.parse(out) as { number: number; time: string; line: string; length: number }[]
    assert.equal(packets.length, 2)
    assert.match(packets[0]!.line, /^etherip 192\.168\.1\.1 > /)
    assert.match(packets[0]!.time, /^1579455906\.0000\d{5}$/)
    assert.deepEqual(JSON.parse((await call(dump, ['--json', '-r', file, 'port 9'])).out), [])
    const explained = JSON.parse((await call(dump, ['--json', '--explain', '-r', file, '-c1'])).out) as {
      explanation: { layers: { name: string }[] }
    }[]
    assert.deepEqual(
      explained[0]!.explanation.layers.map(({ name }) => name),
      ['ethernet', 'ipv4', 'icmp', 'payload'],
    )
  })

  test('--explain', async () => {
    const { out } = await call(dump, ['--explain', '-nt', '-r', file, '-c', '2', 'gre'])
    assert.equal(out.match(/^ *Generic Routing Encapsulation/gm)!.length, 2)
  })

  test('-w writes pcap or pcapng, cut by -s, and - is standard output', async () => {
    await call(dump, ['-r', file, '-w', path('out.pcap'), '-s', '40', 'icmp6'])
    const written = [...readCapture(readFileSync(path('out.pcap')))]
    assert.ok(written.length > 1)
    assert.ok(written.every(({ bytes, originalLength }) => bytes.length === 40 && originalLength > 40))
    await call(dump, ['-r', file, '-w', path('out.pcapng')])
    const all = [...readCapture(readFileSync(path('out.pcapng')))]
    assert.deepEqual(
      all.map(({ bytes }) => bytes),
      frames.map(({ bytes }) => bytes),
    )
    assert.equal(all[3]!.nanoseconds, 3000)
    const { bytes } = await call(dump, ['-r', file, '-w', '-', 'arp'])
    assert.equal([...readCapture(bytes)].length, 2)
  })

  test('packets longer than the buffers are written, shown and explained whole', async () => {
    const long = new Uint8Array(200_000).fill(0x41)
    long.set(frames[0]!.bytes.subarray(0, 14))
    const big = concatBytes(writer.header(), ...[0, 1, 2].map((i) => writer.packet(record(long, i))))
    await call(dump, ['-r', '-', '-w', path('big.pcap')], big)
    assert.deepEqual(new Uint8Array(readFileSync(path('big.pcap'))), big)
    assert.deepEqual(new Uint8Array((await call(dump, ['-r', '-', '-w', '-'], big)).bytes), big)
    const { out } = await call(dump, ['-nX', '-r', '-'], big)
    assert.equal(out.match(/^ {2}[0-9a-f]{4,5}: /gm)!.length, 3 * Math.ceil((200_000 - 14) / 16))
    assert.match((await call(dump, ['--explain', '-r', '-'], big)).out, /4141414141414141/)
  })

  test('several link types do not fit into one pcap file', async () => {
    const ng = new PcapngWriter()
    const mixed = concatBytes(
      ng.header(),
      ng.interface({ linkType: 1 }),
      ng.interface({ linkType: 101 }),
      ng.packet({ ...record(frames[0]!.bytes, 0), interfaceId: 0 }),
      ng.packet({ ...record(frames[0]!.bytes.subarray(14), 0), interfaceId: 1 }),
    )
    const { out } = await call(dump, ['-nt', '-r', '-'], mixed)
    assert.equal(out, '172.16.0.1 > 172.16.0.2: icmp: echo request\n'.repeat(2))
    const refused = await call(dump, ['-r', '-', '-w', path('mixed.pcap')], mixed)
    assert.equal(refused.code, 1)
    assert.match(refused.err, /name it \.pcapng/)
    assert.equal((await call(dump, ['-r', '-', '-w', path('mixed.pcapng')], mixed)).code, 0)
  })

  test('a file that ends too soon: its packets, then the place, exit 1', async () => {
    const { code, out, err } = await call(dump, ['-nt', '-r', '-'], capture.subarray(0, capture.length - 3))
    assert.equal(code, 1)
    assert.ok(out.includes('echo request'))
    assert.match(err, /^warren dump: standard input: byte \d+: the file ends inside a packet/)
  })

  test('what cannot be: exit 1', async () => {
    for (const [args, input, pattern] of [
      [['-r', path('nosuch')], '', /nosuch: could not read the file: found ENOENT/],
      [['-r', '-'], 'hello world', /neither a pcap nor a pcapng file/],
      [['-r', '-'], '', /0 bytes in all/],
      [['-r', file, '-w', join(folder, 'no', 'such')], '', /could not write the file/],
    ] as const) {
      const { code, err } = await call(dump, [...args], input)
      assert.equal(code, 1)
      assert.match(err, pattern)
    }
  })

  test('wrong words: exit 2, with what was meant', async () => {
    for (const [args, pattern] of [
      [[], /no source: give -r FILE or -i INTERFACE/],
      [['-r', file, '-i', 'eth0'], /two sources/],
      [['-r', file, '-Z'], /no option -Z/],
      [['-r', file, '--jsom'], /did you mean --json\?/],
      [['-r', file, '-c', '0'], /-c needs a whole number from 1 on, not "0"/],
      [['-r'], /-r needs a capture file's name/],
      [['-r', file, '-w', 'x', '--json'], /leave out --explain and --json/],
      [['-r', file, 'hots', '10.0.0.1'], /did you mean host\?/],
    ] as const) {
      const { code, out, err } = await call(dump, [...args])
      assert.deepEqual([code, out], [2, ''])
      assert.match(err, pattern)
    }
    assert.equal(existsSync('x'), false)
  })

  test('--help', async () => {
    assert.deepEqual((await call(dump, ['--help'])).out, dumpHelp)
    assert.match(dumpHelp, /Example/)
  })

  test('many packets, to a slow reader, all arrive', async () => {
    const many = concatBytes(
      writer.header(),
      ...Array.from({ length: 20_000 }, (_, i) => writer.packet(record(frames[0]!.bytes, i))),
    )
    const { out } = await call(dump, ['-nr', '-'], many)
    const lines = out.split('\n')
    assert.equal(lines.length, 20_001)
    assert.match(lines[19_999]!, /:\d\d\.019999 172\.16\.0\.1 > /)
  })
})

describe('warren explain', () => {
  const [request] = articlePackets as [(typeof articlePackets)[0]]
  const digits = request.dump.replace(/^.*?: ((?:[0-9a-f]{2,4} )+).*$/gm, '$1').replace(/\s/g, '')

  test('bare digits, in one word or several', async () => {
    assert.equal(digits.length, 204)
    const one = await call(explain, [digits])
    assert.equal(one.code, 0)
    assert.match(one.out, /the rest of the 104 bytes is not in this dump/)
    assert.equal((await call(explain, digits.match(/..../g)!)).out, one.out)
  })

  test("the article's block, pasted", async () => {
    const pasted = await call(explain, ['-'], `${request.verbose}\n${request.dump}\n`)
    assert.equal(pasted.out, (await call(explain, [digits])).out)
    writeFileSync(
      path('paste.txt'),
      articlePackets.map(({ verbose, dump: block }) => `${verbose}\n${block}\n`).join('\n'),
    )
    const all = JSON.parse((await call(explain, ['--json', path('paste.txt')])).out) as { line: string }[]
    assert.equal(all.length, 4)
    assert.match(all[3]!.line, /flowlabel 0xc/)
  })

  test('a capture file, whole and cut off', async () => {
    const { code, out } = await call(explain, ['--json', file])
    assert.equal(code, 0)
    assert.equal((JSON.parse(out) as unknown[]).length, frames.length)
    const cut = await call(explain, ['-'], capture.subarray(0, capture.length - 1))
    assert.equal(cut.code, 1)
    assert.match(cut.err, /ends inside a packet/)
    assert.match(cut.out, /Ethernet II/)
    const json = await call(explain, ['--json', '-'], capture.subarray(0, capture.length - 1))
    assert.deepEqual([json.code, (JSON.parse(json.out) as unknown[]).length], [1, frames.length - 1])
    const none = await call(explain, ['--json', '-'], writer.header())
    assert.deepEqual([none.code, none.out], [1, ''])
  })

  test('--json of one packet is one object', async () => {
    const value = JSON.parse((await call(explain, ['--json', digits])).out) as { layers: { name: string }[] }
    assert.deepEqual(
      value.layers.map(({ name }) => name),
      ['ipv4', 'ipv4', 'icmp', 'payload'],
    )
  })

  test('--link, guessed or said', async () => {
    const hex = Buffer.from(frames[0]!.bytes).toString('hex')
    assert.match((await call(explain, [hex])).out, /^.*\n.*link type EN10MB/)
    assert.match((await call(explain, ['--link', 'ipv6', hex])).out, /link type IPV6/)
    const none = await call(explain, ['1234'])
    assert.equal(none.code, 1)
    assert.match(none.err, /say it with --link/)
  })

  test('a file of raw bytes is one packet', async () => {
    writeFileSync(path('packet.bin'), frames[0]!.bytes)
    assert.match((await call(explain, [path('packet.bin')])).out, /Ethernet II/)
  })

  test('what cannot be read: 1; wrong words: 2', async () => {
    for (const [args, code, pattern] of [
      [['nosuch.pcap'], 1, /neither hexadecimal nor a file: found "nosuch\.pcap"/],
      [['450'], 1, /half a byte/],
      [[], 2, /expected HEX, FILE or -/],
      [['--lnik', 'x'], 2, /did you mean --link\?/],
      [['--link', 'ehternet', '00'], 2, /did you mean ethernet\?/],
      [['--link'], 2, /--link needs a type/],
    ] as const) {
      const result = await call(explain, [...args])
      assert.equal(result.code, code)
      assert.match(result.err, pattern)
    }
    assert.equal((await call(explain, ['--help'])).out, explainHelp)
  })
})
