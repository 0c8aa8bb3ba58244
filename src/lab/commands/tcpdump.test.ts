import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressedPair } from './net/testing.js'

test('gif in verbose hexadecimal: the headers of the article, cut at 116 bytes of the frame', async () => {
  const { lab, alice, bob, ok, start } = await addressedPair()
  for (const [machine, me, peer] of [
    [alice, 1, 2],
    [bob, 2, 1],
  ] as const)
    await ok(
      machine,
      `ifconfig gif0 create tunnel 192.168.1.${me} 192.168.1.${peer}; ifconfig gif0 alias 172.16.0.${me} 172.16.0.${peer}`,
    )
  await ok(alice, 'ping -c1 172.16.0.2') // who is where is known from now on
  const wire = await start(bob, 'tcpdump -XXvvv -c1 -i vio0 ip proto 4')
  const inner = await start(alice, 'tcpdump -n -c1 -i gif0')
  await ok(alice, 'ping -c1 172.16.0.2')
  const { stdout } = await lab.clock.run(wire.result)
  const [head = '', ...dump] = stdout.trimEnd().split('\n')
  assert.match(
    head,
    /^\S+ 192\.168\.1\.1 > 192\.168\.1\.2: 172\.16\.0\.1 > 172\.16\.0\.2: icmp: echo request \(id:[0-9a-f]{4} seq:0\) \(ttl 255, id \d+, len 84\) \(ttl 64, id \d+, len 104\)$/,
  )
  assert.equal(dump.length, 7)
  assert.match(dump[0]!, /0000: 4500 0068 [0-9a-f]{4} 0000 4004 [0-9a-f]{4} c0a8 0101 {2}E\.\.h/)
  assert.match(dump[4]!, /0040: [0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{4} 1819 1a1b 1c1d 1e1f/)
  assert.match(dump[6]!, /0060: 3031 3233 3435 +012345$/)
  const seen = await lab.clock.run(inner.result)
  assert.match(seen.stderr, /^tcpdump: listening on gif0, link-type LOOP\n/)
  assert.match(seen.stdout, / 172\.16\.0\.1 > 172\.16\.0\.2: icmp: echo request\n$/)
})

test('-e, -t, -D and a filter', async () => {
  const { lab, alice, ok, start } = await addressedPair()
  const dump = await start(alice, 'tcpdump -net -D out -c1 -i vio0 icmp and host 192.168.1.2')
  await ok(alice, 'ping -c1 192.168.1.2')
  assert.equal(
    (await lab.clock.run(dump.result)).stdout,
    'fe:e1:bb:d1:2a:01 fe:e1:bb:d1:2a:02 0800 98: 192.168.1.1 > 192.168.1.2: icmp: echo request\n',
  )
})

test('what cannot be: no such interface or file, a word that no filter knows', async () => {
  const { alice, run } = await addressedPair()
  const error = async (text: string): Promise<string> => {
    const { stderr, exitCode } = await run(alice, text)
    assert.equal(exitCode, 1, text)
    return stderr
  }
  assert.equal(await error('tcpdump -i bridge0'), 'tcpdump: bridge0: No such device exists\n')
  assert.equal(await error('tcpdump -i vio1'), 'tcpdump: vio1: No such device exists (did you mean vio0?)\n')
  assert.equal(await error('tcpdump -r /nix'), 'tcpdump: /nix: No such file or directory\n')
  assert.match(
    await error('tcpdump -r /etc/hosts'),
    /^tcpdump: \/etc\/hosts: neither a pcap nor a pcapng file/,
  )
  assert.match(await error('tcpdump icmpp'), /^tcpdump: filter .*did you mean icmp/)
  assert.match(await error('tcpdump -Z'), /^tcpdump: unknown option -- Z\nUsage: tcpdump/)
})
