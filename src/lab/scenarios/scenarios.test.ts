import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesEqual } from '../../base/index.js'
import type { BridgeFrame } from '../lab.js'
import { runScenario } from '../run.js'
import { scenarios } from './index.js'
import type { Scenario } from './scenario.js'

for (const scenario of scenarios)
  test(`scenario ${scenario.name}: ${scenario.heading}`, async () => {
    const { error, ok, packets } = await runScenario(scenario)
    assert.equal(error, null)
    assert.equal(ok, true)
    assert.ok(packets >= 12, `${packets} packets`)
  })

const named = (name: string): Scenario => scenarios.find((one) => one.name === name)!

/** The scenario with one thing wrong in what is typed; its checks stay. */
const broken = (name: string, from: string | RegExp, to: string): Scenario => {
  const scenario = named(name)
  const script = scenario.script.replace(from, to)
  assert.notEqual(script, scenario.script)
  return { ...scenario, script }
}

for (const [what, scenario, message] of [
  [
    'bob has another peer',
    broken('gif', 'tunnel 192.168.1.2 192.168.1.1', 'tunnel 192.168.1.2 192.168.1.9'),
    /ping/,
  ],
  [
    'no tunnel at all: alice pings the inner address as a second address of bob',
    broken(
      'gif',
      /^[\s\S]*(?=# on the host\ntcpdump -i)/,
      '# on alice\nifconfig vio0 alias 172.16.0.1/24\n# on bob\nifconfig vio0 alias 172.16.0.2/24\n',
    ),
    /0 packets, expected at least \d+: the tunnel did not carry them/,
  ],
  ['gre is not allowed on bob', broken('gre', '# on both virtual machine\n', '# on alice\n'), /ping/],
  ['the keys differ', broken('gre', 'ifconfig gre0 create up', 'ifconfig gre0 create vnetid 7 up'), /ping/],
  [
    'the tunnel ids differ',
    broken('eoip', 'ifconfig eoip0 create tunnel', 'ifconfig eoip0 create vnetid 7 tunnel'),
    /ping/,
  ],
  ['etherip is not bridged', broken('etherip', 'add vether0 add etherip0 up', 'add vether0 up'), /ping/],
  [
    'gif6 over IPv4 is not gif6',
    broken('gif6', /(^|\n)ifconfig gif0 (-tunnel|tunnel fd)[^\n]*/g, ''),
    /ethernet ipv6 ipv4 icmp/,
  ],
  [
    'the keys of ESP differ in one digit',
    broken('esp-manual', 'enckey 0x1f8b', 'enckey 0x2f8b'),
    /ping -c3 -I 172\.16\.1\.1/,
  ],
  [
    'alice has SAs and no flows: her packets leave in clear',
    broken('esp-manual', /flow esp from 172[^\n]*\nflow esp from fd3e[^\n]*\n/, ''),
    /ping/,
  ],
  ['esp is switched off', broken('esp-manual', 'net.inet.esp.enable=1', 'net.inet.esp.enable=0'), /ping/],
  [
    'the pre-shared keys differ',
    broken('ikev2-psk', 'psk "dont_use_psk_its_a_bad_idea"', 'psk "it_is"'),
    /ping -c1 172\.16\.1\.2/,
  ],
  [
    'iked is not started on bob',
    broken('ikev2-psk', /rcctl start iked\n(?=\n# on alice\ncat)/, ''),
    /IKE_SA_INIT|ping/,
  ],
  [
    'bob’s file has no flow for IPv6',
    broken('ikev2-ipv6', /(# on bob\nifconfig vether0 inet6[^\n]*\n)[\s\S]*?\nEOF\n/, '$1'),
    /ping6 -c1/,
  ],
  [
    'bob’s key is not where alice looks for it',
    broken(
      'ikev2-pubkey',
      'alice:/etc/iked/pubkeys/ipv4/192.168.1.2',
      'alice:/etc/iked/pubkeys/ipv4/192.168.1.3',
    ),
    /ping -c1 172\.16\.1\.2/,
  ],
  [
    'the key that alice has for bob is her own',
    broken('ikev2-pubkey', 'scp /etc/ked.local.pub alice:', 'scp alice:/etc/iked/local.pub alice:'),
    /ping -c1 172\.16\.1\.2/,
  ],
  ['the router does not translate', broken('ikev2-natt', 'nat-to 192.168.1.254', ''), /ping/],
  [
    'there is no router between, and no NAT',
    broken('ikev2-natt', /ifconfig vio0 inet 192\.168\.1\.2 delete[\s\S]*?10\.0\.0\.1\n/, ''),
    /ping|iked/,
  ],
] as const)
  test(`a scenario fails if ${what}`, async () => {
    const { ok, error } = await runScenario(scenario)
    assert.equal(ok, false)
    assert.match(error ?? '', message)
  })

test('the same seed is the same run, byte for byte; another seed is another', async () => {
  const frames = async (seed: number): Promise<readonly BridgeFrame[]> =>
    (await runScenario(named('eoip'), { seed })).frames
  const [first, second, other] = [await frames(5), await frames(5), await frames(6)]
  const same = (a: readonly BridgeFrame[], b: readonly BridgeFrame[]): boolean =>
    a.length === b.length &&
    a.every((frame, i) => frame.at === b[i]!.at && bytesEqual(frame.bytes, b[i]!.bytes))
  assert.equal(same(first, second), true)
  assert.equal(same(first, other), false)
})

test('all of it takes far less than three seconds of one processor', async () => {
  const begun = process.cpuUsage()
  for (const scenario of scenarios) await runScenario(scenario)
  const { user, system } = process.cpuUsage(begun)
  const took = (user + system) / 1_000
  assert.ok(took < 3_000, `${took} ms`)
})
