/** Policies and SAs in the lab, by IP in IP, which needs no keys: what is enforced is the same for ESP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seconds } from '../../base/index.js'
import type { Lab } from '../lab.js'
import { Player } from '../player.js'
import { testbedLab } from '../run.js'
import { onTheWire, type WirePacket } from '../scenarios/scenario.js'
import { echoRequest, ipPacket, join, Stranger } from '../testing.js'

const conf = (own: number, other: number): string => {
  const spis = own === 1 ? '0x1000:0x1001' : '0x1001:0x1000'
  return `ifconfig vether0 create
ifconfig vether0 inet 172.16.${own}.1/24 up
route add 172.16.${other}.0/24 192.168.1.${other}
cat > /etc/ipsec.conf << EOF
flow ipip from 172.16.${own}.0/24 to 172.16.${other}.0/24 local 192.168.1.${own} peer 192.168.1.${other} type require
ipip from 192.168.1.${own} to 192.168.1.${other} spi ${spis}
EOF
chmod 600 /etc/ipsec.conf
ipsecctl -f /etc/ipsec.conf
`
}
const BOTH = `# on alice\n${conf(1, 2)}\n# on bob\n${conf(2, 1)}`
const PING = 'ping -c2 -I 172.16.1.1 172.16.2.1'
const PING_SHORT = 'ping -c2 -w1 -I 172.16.1.1 172.16.2.1'
const BACK = 'ping -c2 -I 172.16.2.1 172.16.1.1'

async function play(script: string): Promise<{ lab: Lab; outputs: Map<string, string>; wire: WirePacket[] }> {
  const lab = await testbedLab()
  const before = lab.frames.length
  const outputs = new Map<string, string>()
  for (const { command, stdout, stderr, exit } of await new Player(lab, { keepGoing: true }).play(script))
    outputs.set(command.trim(), `${stdout}${stderr}${exit}`)
  return { lab, outputs, wire: onTheWire(lab.frames.slice(before)) }
}

const inClear = (wire: readonly WirePacket[]): WirePacket[] =>
  wire.filter(({ addresses }) => /^172\.16\./.test(addresses(0)?.destination ?? ''))

test('what the policy requires goes through the SA, both ways, and ipsecctl shows it', async () => {
  const { outputs, wire } = await play(
    `${BOTH}\n# on alice\n${PING}\nipsecctl -sa\nipsecctl -s sa -v\n# on bob\n${BACK}`,
  )
  assert.match(outputs.get(PING) ?? '', /2 packets transmitted, 2 packets received/)
  assert.match(outputs.get(BACK) ?? '', /2 packets received/)
  assert.equal(wire.filter(({ headers }) => headers === 'ethernet ipv4 ipv4 icmp').length, 8)
  assert.deepEqual(inClear(wire), [])
  assert.equal(
    outputs.get('ipsecctl -sa'),
    `FLOWS:
flow ipip in from 172.16.2.0/24 to 172.16.1.0/24 local 192.168.1.1 peer 192.168.1.2 type require
flow ipip out from 172.16.1.0/24 to 172.16.2.0/24 local 192.168.1.1 peer 192.168.1.2 type require

SAD:
ipip from 192.168.1.1 to 192.168.1.2 spi 0x00001000
ipip from 192.168.1.2 to 192.168.1.1 spi 0x00001001
0`,
  )
  assert.match(
    outputs.get('ipsecctl -s sa -v') ?? '',
    /\tlifetime_cur: alloc 0 bytes 168 add \d+ first \d+\n/,
  )
})

test('without the SA nothing leaves, in clear or otherwise; without the policy it does', async () => {
  const { lab, outputs, wire } = await play(`${BOTH}
# on alice
grep ^ipip /etc/ipsec.conf > /etc/sa.conf
chmod 600 /etc/sa.conf
ipsecctl -df /etc/sa.conf
${PING_SHORT}
`)
  assert.equal(outputs.get('ipsecctl -df /etc/sa.conf')?.at(-1), '0')
  assert.match(outputs.get(PING_SHORT) ?? '', / 0 packets received|Permission denied/)
  assert.deepEqual(inClear(wire), [])
  assert.equal(wire.filter(({ headers }) => /icmp/.test(headers)).length, 0)
  assert.ok(lab.machine('alice')!.ipsec.counters.get('spd.require') > 0)
  const open = await play(`${BOTH}\n# on alice\nipsecctl -F\n# on bob\nipsecctl -F\n# on alice\n${PING}`)
  assert.match(open.outputs.get(PING) ?? '', /2 packets received/)
  assert.equal(inClear(open.wire).length, 4)
})

test('what arrives in clear, or by an SA that it does not belong to, is dropped without an answer', async () => {
  const { lab } = await play(BOTH)
  const bob = lab.machine('bob')!
  const stranger = new Stranger(lab)
  const { counters } = bob.ipsec
  await lab.clock.advance(seconds(2))
  /** How many frames there were beside the stranger's own. */
  const send = async (packet: Uint8Array): Promise<number> => {
    const before = lab.frames.length
    stranger.send('bob', packet)
    await lab.clock.advance(seconds(2))
    return lab.frames.length - before - 1
  }
  const toBob = (protocol: number, payload: Uint8Array): Uint8Array =>
    ipPacket('192.168.1.1', '192.168.1.2', protocol, payload)
  assert.equal(await send(ipPacket('172.16.1.1', '172.16.2.1', 1, echoRequest(7))), 0)
  assert.equal(counters.get('spd.clear'), 1)
  const inner = (source: string, destination: string): Uint8Array =>
    toBob(4, ipPacket(source, destination, 1, echoRequest(8)))
  // By the SA, but from a network that it is not for; and to where no policy leads.
  assert.equal(await send(inner('172.16.9.1', '172.16.2.1')), 0)
  assert.equal(await send(inner('172.16.1.1', '192.168.1.2')), 0)
  assert.equal(counters.get('ipsec.policy'), 2)
  // ESP and AH of nobody: no protocol unreachable.
  const esp = join(Uint8Array.of(0, 0, 9, 9, 0, 0, 0, 5), new Uint8Array(40))
  assert.equal(await send(toBob(50, esp)), 0)
  assert.equal(await send(toBob(50, new Uint8Array(7))), 0)
  assert.equal(await send(toBob(51, new Uint8Array(40))), 0)
  assert.deepEqual([counters.get('esp.spi'), counters.get('esp.short'), counters.get('ah.spi')], [1, 1, 1])
  const [last] = bob.ipsec.audit.records.filter(({ reason }) => reason === 'esp.spi')
  assert.deepEqual([last?.spi, last?.sequence, String(last?.source)], [0x909, 5, '192.168.1.1'])
  // Switched off, it is not even looked up.
  bob.sysctls.set('net.inet.esp.enable', '0')
  assert.equal(await send(toBob(50, new Uint8Array(40))), 0)
  assert.equal(counters.get('esp.disabled'), 1)
})

test('the audit has a bounded rate and says what it left out', async () => {
  const { lab } = await play(BOTH)
  const bob = lab.machine('bob')!
  const stranger = new Stranger(lab)
  await lab.clock.advance(seconds(2))
  const bad = ipPacket('192.168.1.1', '192.168.1.2', 50, new Uint8Array(16))
  for (let i = 0; i < 100; i++) stranger.send('bob', bad)
  await lab.clock.advance(seconds(1))
  assert.equal(bob.ipsec.counters.get('esp.spi'), 100)
  assert.equal(bob.ipsec.audit.records.length, 10)
  await lab.clock.advance(seconds(60))
  stranger.send('bob', bad)
  await lab.clock.advance(seconds(1))
  assert.equal(bob.ipsec.audit.records.at(-1)?.suppressed, 90)
  const logged = (await bob.fs.readFile('/var/log/messages')).trimEnd().split('\n')
  assert.equal(logged.length, 11)
  assert.match(
    logged.at(-1)!,
    / bob \/bsd: esp\.spi: 192\.168\.1\.1 > 192\.168\.1\.2 spi 0x00000000 seq 0 \(90 more before it\)$/,
  )
})

test('ipsecctl says what it refuses: modes, syntax, what is not ours', async () => {
  const { outputs } = await play(`# on alice
echo 'flow from 10.0.0.1 to 10.0.0.2 tpye use' > /etc/a.conf
ipsecctl -f /etc/a.conf
chmod 600 /etc/a.conf
ipsecctl -nf /etc/a.conf
ipsecctl -f /etc/none.conf
echo 'ipip from 10.0.0.1 to 10.0.0.2 spi 0x1000' > /etc/b.conf
chmod 600 /etc/b.conf
ipsecctl -f /etc/b.conf
ipsecctl -nvf /etc/b.conf
ipsecctl -s none
ipsecctl
ipsecctl -s all
`)
  assert.match(
    outputs.get('ipsecctl -f /etc/a.conf') ?? '',
    /group\/world readable.*chmod 600 .*\n.*not loaded\n1$/,
  )
  assert.match(
    outputs.get('ipsecctl -nf /etc/a.conf') ?? '',
    /\/etc\/a\.conf:1:32: syntax error.*did you mean type\?/,
  )
  assert.match(outputs.get('ipsecctl -f /etc/none.conf') ?? '', /No such file or directory/)
  assert.match(outputs.get('ipsecctl -f /etc/b.conf') ?? '', /between others[\s\S]*failed to add rule 0\n1$/)
  assert.match(
    outputs.get('ipsecctl -nvf /etc/b.conf') ?? '',
    /^ipip from 10\.0\.0\.1 to 10\.0\.0\.2 spi 0x00001000\n/,
  )
  assert.match(outputs.get('ipsecctl -s none') ?? '', /Unknown show modifier 'none'/)
  assert.match(outputs.get('ipsecctl') ?? '', /^usage: ipsecctl/)
  assert.equal(outputs.get('ipsecctl -s all'), 'FLOWS:\nNo flows\n\nSAD:\nNo entries\n0')
})
