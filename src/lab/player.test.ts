import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Lab } from './lab.js'
import { type PlayedCommand, Player } from './player.js'
import { testbedLab } from './run.js'
import {
  ADDRESSES,
  EOIP,
  GIF,
  GIF_PING,
  GIF_VERBOSE,
  GIF6,
  GRE,
  GRE_PING,
  HOST,
  PINGS,
} from './scenarios/article.js'

const play = async (script: string, keepGoing = true): Promise<PlayedCommand[]> =>
  new Player(await testbedLab(), { keepGoing }).play(script)

const find = (played: readonly PlayedCommand[], host: string, command: string): PlayedCommand => {
  const found = played.find((one) => one.host === host && one.command === command)
  assert.ok(found !== undefined, `${host}: ${command}`)
  return found
}

test("all of the article's blocks up to EtherIP, one after the other, as they stand", async () => {
  const lab = await Lab.bare()
  const blocks = [
    HOST,
    ADDRESSES,
    PINGS,
    GIF,
    GIF_PING,
    GIF_VERBOSE,
    GIF6,
    GRE,
    GRE_PING,
    'tcpdump -i bridge0\n',
    EOIP,
  ]
  const played = await new Player(lab).play(blocks.join('\n'))
  assert.deepEqual(
    played.filter(({ exit }) => exit !== 0),
    [],
  )
  assert.equal(played.length, 72)
  // Its slips are met, and said.
  const listen = played.filter(({ command }) => command === 'tcpdump -i bridge0')
  assert.deepEqual(
    listen.map(({ host }) => host),
    ['host', 'host'],
  )
  assert.match(listen[0]!.stderr, /bridge0: no such interface; the only bridge here is bridge1/)
  assert.match(listen[1]!.stderr, /bob has no bridge/)
  assert.match(
    find(played, 'alice', 'ifconfig gre0 inet 172.16.0.1 172.16.0.2').stderr,
    /gif0 has .* gre0 is meant/,
  )
  // The pings after that go by GRE: the machines' other tunnel is not in the way.
  assert.match(find(played, 'alice', 'ping -c3 172.16.0.2').stdout, / 3 packets received/)
})

test('a command without an end keeps its terminal; what it printed is its output', async () => {
  const played = await play('# on the host\ntcpdump -n -i bridge1 icmp\n# on alice\nping -c2 192.168.1.2\n')
  const dump = find(played, 'host', 'tcpdump -n -i bridge1 icmp')
  assert.equal(dump.exit, 0)
  assert.equal(dump.stdout.trimEnd().split('\n').length, 4)
  assert.match(dump.stdout, /192\.168\.1\.1 > 192\.168\.1\.2: icmp: echo request/)
})

test('it ends when a later section runs the same program there', async () => {
  const script = `# on the host
tcpdump -n -i bridge1 icmp
# on alice
ping -c1 192.168.1.2
# on the host
tcpdump -n -i bridge1 icmp
# on bob
ping -c2 192.168.1.1
`
  const dumps = (await play(script)).filter(({ host }) => host === 'host')
  assert.deepEqual(
    dumps.map(({ stdout }) => stdout.trimEnd().split('\n').length),
    [2, 4],
  )
})

test("nc on both sides, as in the article's later sections", async () => {
  const played = await play(
    '# on alice\nuname -a | nc -l6 8888\n# on bob\nuname -a | nc -6 fd3e:62ee:99db:bb1a::1 8888\n',
  )
  assert.deepEqual(
    played.map(({ stdout }) => stdout),
    ['OpenBSD bob.my.domain 6.6 GENERIC#353 amd64\n', 'OpenBSD alice.my.domain 6.6 GENERIC#353 amd64\n'],
  )
})

test('the first failure ends a script, unless it is to keep going', async () => {
  const script = '# on both\nfalse\n# on the host\necho after\n'
  assert.deepEqual(
    (await play(script, false)).map(({ host, command, exit }) => [host, command, exit]),
    [['alice', 'false', 1]],
  )
  assert.deepEqual(
    (await play(script)).map(({ host, exit }) => [host, exit]),
    [
      ['alice', 1],
      ['bob', 1],
      ['host', 0],
    ],
  )
})

test('directory, variables and functions stay with the terminal', async () => {
  const played = await play(
    '# on alice\ncd /etc\nX=7\nf() {\n  echo f$1\n}\npwd; echo $X; f 3\n# on bob\necho "[$X]"; pwd\n',
  )
  assert.equal(played[3]?.stdout, '/etc\n7\nf3\n')
  assert.equal(played[4]?.stdout, '[]\n/root\n')
})

test('a machine that does not run is said', async () => {
  const [played] = await new Player(await Lab.bare(), { keepGoing: true }).play('# on alice\nls\n')
  assert.deepEqual(
    [played?.host, played?.exit, played?.stderr],
    ['alice', 255, 'alice does not run: on the host, vmctl start alice\n'],
  )
})

test('an unknown command is said as ksh says it', async () => {
  const [played] = await play('# on bob\niffconfig vio0\n')
  assert.deepEqual(
    [played?.exit, played?.stderr],
    [127, 'ksh: iffconfig: not found (did you mean ifconfig?)\n'],
  )
})

test('timeout, sleep and date go by the virtual clock', async () => {
  const begun = performance.now()
  const played = await play('# on alice\ndate +%s\nsleep 86400\ndate +%s\ntimeout 60 tcpdump -i vio0\n')
  assert.equal(Number(played[2]?.stdout) - Number(played[0]?.stdout), 86400)
  assert.equal(played[3]?.exit, 124)
  assert.ok(performance.now() - begun < 3_000)
})

test('a loop that never ends does not keep the script', async () => {
  const played = await play(`# on alice
while true; do ping -c1 -w1 192.168.1.2 > /dev/null; sleep 1; done
# on bob
ping -c1 192.168.1.1
`)
  assert.match(played[1]!.stdout, / 1 packets received/)
  assert.equal(played[0]?.exit, 130)
})

test('who looks at what a command writes finds it written', async () => {
  const played = await play(`# on the host
tcpdump -n -i bridge1 icmp > /tmp/out
tcpdump -i bridge1 -w /tmp/out.pcap
# on alice
ping -c1 192.168.1.2
# on the host
wc -l < /tmp/out
tcpdump -n -r /tmp/out.pcap icmp
`)
  assert.equal(played[3]?.stdout.trim(), '2')
  assert.equal(played[4]?.stdout.trimEnd().split('\n').length, 2)
})

test('what the shell itself ends is said in words of the lab, with what to do', async () => {
  const [, deep] = await play('# on alice\nf() { f; }\nf\n')
  assert.equal(deep?.exit, 126)
  assert.match(
    deep?.stderr ?? '',
    /^ksh: f: maximum recursion depth \(\d+\) exceeded: the lab ends a command line there\n$/,
  )
})
