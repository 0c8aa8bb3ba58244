import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Instant, instantAt, parseIpAddress, readUint16, seconds } from '../../base/index.js'
import type { Lab } from '../lab.js'
import { Player } from '../player.js'
import { testbedLab } from '../run.js'
import { parsePfConf } from './parse.js'
import { showStatement } from './rules.js'

const ROUTER = `# on the host
ifconfig bridge1 del tap1
ifconfig vether1 create
ifconfig vether1 inet 192.168.1.254/24 up
ifconfig bridge1 add vether1
ifconfig vether2 create
ifconfig vether2 inet 10.0.0.1/24 up
ifconfig bridge2 create
ifconfig bridge2 add vether2 add tap1 up
echo "match out on vether1 inet from 10.0.0.0/24 to any nat-to (vether1)" >> /etc/pf.conf
pfctl -f /etc/pf.conf
# on bob
ifconfig vio0 inet 192.168.1.2 delete
ifconfig vio0 inet 10.0.0.2/24
route add default 10.0.0.1
`

async function routed(): Promise<{ lab: Lab; run(text: string): Promise<string> }> {
  const lab = await testbedLab()
  const run = async (text: string): Promise<string> => {
    const played = await new Player(lab, { keepGoing: true }).play(text)
    return played.map(({ stdout, stderr }) => stdout + stderr).join('')
  }
  await run(ROUTER)
  return { lab, run }
}

test('nat-to: pings, UDP and TCP from inside come back; nobody outside sees who they are from', async () => {
  const { lab, run } = await routed()
  const before = lab.frames.length
  assert.match(await run('# on bob\nping -c3 192.168.1.1\n'), /3 packets received/)
  const talk = await run(
    '# on alice\necho from alice | nc -l 7777\n# on bob\necho from bob | nc -N 192.168.1.1 7777\n',
  )
  assert.match(talk, /from bob/)
  assert.match(talk, /from alice/)
  const heard: string[] = []
  const [alice, bob] = ['alice', 'bob'].map((name) => lab.machine(name)!.stack) as [
    NonNullable<ReturnType<Lab['machine']>>['stack'],
    NonNullable<ReturnType<Lab['machine']>>['stack'],
  ]
  const server = alice.udp.bind({
    port: 9000,
    onDatagram: ({ source, sourcePort, data }, now) => {
      heard.push(`${source} ${sourcePort > 50_000}`)
      server.send(data, source, sourcePort, now)
    },
  })
  const client = bob.udp.bind({
    port: 4500,
    onDatagram: ({ source, sourcePort, data }) => heard.push(`${source} ${sourcePort} ${data.length}`),
  })
  client.send(new Uint8Array(33), parseIpAddress('192.168.1.1')!, 9000, lab.clock.now())
  await lab.clock.advance(seconds(1))
  assert.deepEqual(heard, ['192.168.1.254 true', '192.168.1.1 9000 33'])
  for (const { bridge, bytes } of lab.frames.slice(before)) {
    if (bridge !== 'bridge1' || readUint16(bytes, 12) !== 0x0800) continue
    assert.notEqual(bytes[26], 10)
    assert.notEqual(bytes[30], 10)
  }
})

test('a mapping that nobody uses is forgotten; what then comes for it is nobody’s', async () => {
  const { lab } = await routed()
  const alice = lab.machine('alice')!.stack
  const bob = lab.machine('bob')!.stack
  let port = 0
  let heard = 0
  const server = alice.udp.bind({
    port: 9000,
    onDatagram: ({ sourcePort }) => {
      port = sourcePort
    },
  })
  const client = bob.udp.bind({ port: 4500, onDatagram: () => heard++ })
  const at = (): Instant => instantAt(lab.clock.now())
  client.send(new Uint8Array(1), parseIpAddress('192.168.1.1')!, 9000, at())
  await lab.clock.advance(seconds(30))
  server.send(new Uint8Array(1), parseIpAddress('192.168.1.254')!, port, at())
  await lab.clock.advance(seconds(59))
  assert.equal(heard, 1)
  await lab.clock.advance(seconds(2))
  server.send(new Uint8Array(1), parseIpAddress('192.168.1.254')!, port, at())
  await lab.clock.advance(seconds(1))
  assert.equal(heard, 1)
})

test('what has no ports does not leave with the address inside', async () => {
  const { lab, run } = await routed()
  const before = lab.frames.length
  await run('# on bob\nping -c1 -w1 -s 3000 192.168.1.1 || true\n')
  assert.ok(!lab.frames.slice(before).some(({ bridge, bytes }) => bridge === 'bridge1' && bytes[23] === 1))
  assert.ok(lab.host.pf.counters.get('nat-unsupported') > 0)
})

test('rules with nat-to, as pfctl shows them; what is not translated here is refused', () => {
  const show = (text: string): string[] => parsePfConf(text, 'pf.conf').statements.map(showStatement)
  assert.deepEqual(show('match out on em0 inet from 10.0.0.0/24 to any nat-to (em0)'), [
    'match out on em0 inet from 10.0.0.0/24 to any nat-to (em0)',
  ])
  assert.deepEqual(show('pass out on em0 inet from 10.0.0.0/24 nat-to 192.0.2.1'), [
    'pass out on em0 inet from 10.0.0.0/24 to any flags S/SA nat-to 192.0.2.1',
  ])
  for (const rule of [
    'match in on em0 nat-to 192.0.2.1',
    'match out on em0 inet6 nat-to 2001:db8::1',
    'match out on em0 nat-to 192.0.2.0/24',
    'match out on em0 nat-to any',
  ])
    assert.throws(() => show(rule), { code: 'LAB_PF_UNSUPPORTED' })
})
