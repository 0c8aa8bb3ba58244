import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { nodeProvider } from '../crypto/index.js'
import {
  dissectOpened,
  EspOpener,
  joinKeys,
  KeyOpener,
  parseEspSa,
  parseKeys,
  readCapture,
} from '../inspect/index.js'
import { scenarios } from '../lab/index.js'
import { run } from './lab.js'

interface Called {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function warrenLab(args: string[], input = ''): Promise<Called> {
  const streams = { stdout: new PassThrough(), stderr: new PassThrough() }
  const stdin = new PassThrough()
  stdin.end(input)
  const code = await run(args, { ...streams, stdin, env: { NO_COLOR: '1' } })
  const text = (stream: PassThrough): string => String(stream.read() ?? '')
  return { code, stdout: text(streams.stdout), stderr: text(streams.stderr) }
}

test('warren lab --json: every scenario with the facts that CLI.md names', async () => {
  const { code, stdout } = await warrenLab(['--json'])
  assert.equal(code, 0)
  const results = JSON.parse(stdout) as Record<string, unknown>[]
  assert.deepEqual(
    results.map(({ name, ok, error }) => [name, ok, error]),
    scenarios.map(({ name }) => [name, true, null]),
  )
  for (const result of results) {
    assert.deepEqual(Object.keys(result), [
      'name',
      'heading',
      'ok',
      'error',
      'packets',
      'virtualMs',
      'wallMs',
    ])
    assert.ok(Number(result.packets) > 0 && Number(result.virtualMs) > 0 && Number(result.wallMs) > 0)
  }
})

test('warren lab: a line each', async () => {
  const { code, stdout } = await warrenLab([])
  assert.equal(code, 0)
  assert.equal(stdout.trimEnd().split('\n').length, scenarios.length)
  assert.match(stdout, /^gre +ok {2}\d+ packets, [\d.]+ s virtual, \d+ ms wall$/m)
})

test('warren lab NAME shows commands with prompts, their output, and the packets', async () => {
  const { code, stdout } = await warrenLab(['gif'])
  assert.equal(code, 0)
  assert.match(stdout, /^alice# ifconfig gif0 tunnel 192\.168\.1\.1 192\.168\.1\.2$/m)
  assert.match(stdout, /^64 bytes from 172\.16\.0\.2: icmp_seq=0 ttl=255 time=/m)
  assert.match(
    stdout,
    /^ {2}bridge1 \| [\d:.]+ 172\.16\.0\.1 > 172\.16\.0\.2: icmp: echo request \(encap\)$/m,
  )
  assert.match(stdout, /^ok {2}\d+ packets/m)
})

test('warren lab list', async () => {
  const { stdout } = await warrenLab(['list', '--json'])
  const list = JSON.parse(stdout) as { name: string; heading: string }[]
  assert.equal(list.find(({ name }) => name === 'gre')?.heading, 'Configuring a GRE tunnel')
})

test('warren lab play: a script from a file or standard input, with its exit', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'warren-'))
  try {
    const script = '# on alice\nping -c1 192.168.1.2\n# on the host\nfalse\necho not reached\n'
    const file = join(directory, 'script')
    const pcap = join(directory, 'out.pcapng')
    await writeFile(file, script)
    const played = await warrenLab(['play', file, '--json', '--pcap', pcap])
    assert.equal(played.code, 1)
    const results = JSON.parse(played.stdout) as Record<string, unknown>[]
    assert.deepEqual(
      results.map(({ host, command, exit }) => [host, command, exit]),
      [
        ['alice', 'ping -c1 192.168.1.2', 0],
        ['host', 'false', 1],
      ],
    )
    for (const result of results)
      assert.deepEqual(Object.keys(result), ['host', 'command', 'stdout', 'stderr', 'exit'])
    const packets = [...readCapture(await readFile(pcap))]
    assert.ok(packets.length >= 2)
    const kept = await warrenLab(['play', '-', '--keep-going'], script)
    assert.equal(kept.code, 1)
    assert.match(kept.stdout, /host# echo not reached\nnot reached\n$/)
    const bare = await warrenLab(['play', '-', '--bare'], 'ls /etc/vm.conf\n')
    assert.equal(bare.code, 1)
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('what the words get wrong is exit 2, with what was meant', async () => {
  for (const [args, message] of [
    [['gff'], /no scenario "gff": did you mean gif/],
    [['--jsn'], /unknown option --jsn: did you mean --json/],
    [['play'], /play takes one FILE/],
    [['gif', 'gre'], /one scenario at a time/],
    [['gif', '--bare'], /--bare is for play and console/],
    [['--seed', 'x'], /--seed x: a number/],
    [['--pcap'], /--pcap needs a value/],
  ] as const) {
    const { code, stderr } = await warrenLab([...args])
    assert.equal(code, 2, args.join(' '))
    assert.match(stderr, message)
  }
})

test('a script that is not there, and a place that cannot be written, are exit 1', async () => {
  const missing = await warrenLab(['play', '/nowhere/script'])
  assert.deepEqual(
    [missing.code, missing.stderr],
    [1, 'warren lab: /nowhere/script: cannot read the script: found ENOENT\n'],
  )
  const unwritable = await warrenLab(['play', '-', '--pcap', '/nowhere/x.pcapng'], 'true\n')
  assert.equal(unwritable.code, 1)
  assert.match(unwritable.stderr, /cannot write the packets/)
})

test('warren lab console reads commands and goes from machine to machine', async () => {
  const { code, stdout } = await warrenLab(
    ['console', 'alice'],
    'uname -n\non bob\nuname -n\nfor i in 1 2\ndo echo $i; done\non nobody\nexit\nuname -n\n',
  )
  assert.equal(code, 0)
  assert.equal(stdout, 'alice.my.domain\nbob.my.domain\n1\n2\n')
})

test('--pcap puts the keys of what was sealed beside the packets', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'warren-'))
  try {
    const [pcap, clear] = ['esp.pcapng', 'clear.pcapng'].map((name) => join(directory, name)) as [
      string,
      string,
    ]
    const { code, stderr } = await warrenLab(['esp-manual', '--json', '--pcap', pcap])
    assert.equal(code, 0)
    assert.match(stderr, /esp\.pcapng\.esp_sa: who has it reads the packets/)
    assert.equal((await stat(`${pcap}.esp_sa`)).mode & 0o777, 0o600)
    const keys = parseEspSa(await readFile(`${pcap}.esp_sa`, 'latin1'), 'esp_sa')
    assert.deepEqual(
      keys.map(({ spi }) => Number(spi)),
      [0x1000, 0x1001, 0x2000, 0x2001],
    )
    const opener = new EspOpener(keys, nodeProvider)
    const insides = [...readCapture(await readFile(pcap))]
      .map(({ bytes, linkType }) =>
        dissectOpened(bytes, linkType, { opener })
          .layers.map(({ name }) => name)
          .join(' '),
      )
      .filter((names) => names.includes('esp'))
    assert.ok(insides.includes('ethernet ipv4 esp ipv4 icmp payload espTrailer'))
    assert.ok(insides.includes('ethernet ipv6 esp icmpv6 payload espTrailer'))
    assert.ok(insides.every((names) => names.endsWith(' espTrailer')))
    assert.equal((await warrenLab(['gif', '--json', '--pcap', clear])).stderr, '')
    await assert.rejects(stat(`${clear}.esp_sa`))
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('--pcap puts the keys of iked’s SAs beside the packets, of IKE and of ESP', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'warren-'))
  try {
    const pcap = join(directory, 'iked.pcapng')
    const conf = (words: string): string =>
      `echo 'ikev2 ${words} psk "dont_use_psk_its_a_bad_idea"' > /etc/iked.conf\nchmod 600 /etc/iked.conf\nrcctl -f start iked\n`
    const flow = 'esp from 192.168.1.0/24 to 192.168.1.0/24 local 192.168.1'
    const script = `# on alice\n${conf(`passive ${flow}.1`)}# on bob\n${conf(`active ${flow}.2 peer 192.168.1.1`)}ping -c1 192.168.1.1\n`
    const { code, stderr } = await warrenLab(['play', '-', '--pcap', pcap], script)
    assert.equal(code, 0, stderr)
    assert.match(stderr, /iked\.pcapng\.ikev2_decryption_table: who has them reads the packets/)
    const files = ['esp_sa', 'ikev2_decryption_table'].map((name) => `${pcap}.${name}`)
    for (const file of files) assert.equal((await stat(file)).mode & 0o777, 0o600)
    const texts = await Promise.all(files.map((file) => readFile(file, 'latin1')))
    const opener = new KeyOpener(joinKeys(texts.map((text) => parseKeys(text, 'keys'))), nodeProvider)
    const notes = [...readCapture(await readFile(pcap))].flatMap(({ bytes, linkType }) =>
      dissectOpened(bytes, linkType, { opener }).layers.flatMap(({ name, note }) =>
        ['esp', 'ikePayload'].includes(name) && note !== undefined ? [note] : [],
      ),
    )
    assert.ok(notes.length >= 4)
    for (const note of notes) assert.match(note, /^decrypted: .*; ICV correct/)
  } finally {
    await rm(directory, { recursive: true })
  }
})
