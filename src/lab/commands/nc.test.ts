import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressedPair } from './net/testing.js'

test('the article: both ends send and hear, and ^C ends them', async () => {
  const { lab, alice, bob, ok, start } = await addressedPair()
  const a = await start(alice, 'uname -a | nc -l6 8888')
  const b = await start(bob, 'uname -a | nc -6 fd3e:62ee:99db:bb1a::1 8888')
  await ok(bob, 'sleep 1')
  assert.match(await ok(alice, 'netstat -an'), /\ntcp6 .*\.8888 .*ESTABLISHED\n/)
  b.stop()
  a.stop()
  assert.equal((await lab.clock.run(a.result)).stdout, 'OpenBSD bob.my.domain 6.6 GENERIC#353 amd64\n')
  assert.equal((await lab.clock.run(b.result)).stdout, 'OpenBSD alice.my.domain 6.6 GENERIC#353 amd64\n')
})

test('-k hears one after the other; -v says who; a range is scanned', async () => {
  const { lab, alice, bob, ok, run, start } = await addressedPair()
  const listener = await start(alice, 'nc -lkv 77')
  await ok(bob, 'echo one | nc -N 192.168.1.1 77; echo two | nc -N 192.168.1.1 77')
  const scan = await run(bob, 'nc -vz 192.168.1.1 76-78')
  assert.equal(scan.exitCode, 0)
  assert.equal(
    scan.stderr,
    'nc: connect to 192.168.1.1 port 76 (tcp) failed: Connection refused\n' +
      'Connection to 192.168.1.1 77 port [tcp/*] succeeded!\n' +
      'nc: connect to 192.168.1.1 port 78 (tcp) failed: Connection refused\n',
  )
  assert.equal((await run(bob, 'nc -z 192.168.1.1 78')).stderr, '')
  listener.stop()
  const { stdout, stderr } = await lab.clock.run(listener.result)
  assert.equal(stdout, 'one\ntwo\n')
  assert.match(stderr, /^Listening on 0\.0\.0\.0 77\n(Connection received on 192\.168\.1\.2 \d+\n){3}$/)
})

test('a long text arrives whole', async () => {
  const { lab, alice, bob, ok, start } = await addressedPair()
  const listener = await start(alice, 'nc -l 9 > /tmp/heard')
  const said = Array.from({ length: 40_000 }, (_, i) => `${i}\n`).join('')
  await bob.fs.writeFile('/tmp/said', said)
  await ok(bob, 'nc -N 192.168.1.1 9 < /tmp/said')
  await lab.clock.run(listener.result)
  assert.equal(await ok(alice, 'cat /tmp/heard'), said)
})

test('no newline is added; characters cut by a segment are whole again', async () => {
  const { lab, alice, bob, ok, start } = await addressedPair()
  const listener = await start(alice, 'nc -l 9 > /tmp/heard')
  const said = 'é'.repeat(20_000)
  await bob.fs.writeFile('/tmp/said', said)
  await ok(bob, 'nc -N 192.168.1.1 9 < /tmp/said')
  await lab.clock.run(listener.result)
  assert.equal(await ok(alice, 'cat /tmp/heard'), said)
})

test('what cannot be: no port, a taken port, no route, options of other labs', async () => {
  const { alice, run, start } = await addressedPair()
  const error = async (text: string): Promise<string> => (await run(alice, text)).stderr
  const first = await start(alice, 'nc -l 5')
  assert.equal(await error('nc -l 5'), 'nc: Address already in use\n')
  first.stop()
  assert.match(await error('nc -l'), /^usage: nc /)
  assert.equal(await error('nc 192.168.1.2 70000'), 'nc: port number too large: 70000\n')
  assert.equal(await error('nc 192.168.1.2 no-such'), 'nc: service "no-such" unknown\n')
  assert.equal(
    await error('nc -v 10.9.9.9 80'),
    'nc: connect to 10.9.9.9 port 80 (tcp) failed: No route to host\n',
  )
  assert.equal(await error('nc -c 192.168.1.2 443'), 'nc: -c: no TLS in the lab\n')
})

test('sysctl net.inet.tcp.ecn=1: the connection asks for ECN and marks its packets (RFC 3168)', async () => {
  const { lab, alice, bob, ok, start } = await addressedPair()
  /** Of segments with SYN. */
  const flags: number[] = []
  const classes = new Set<number>()
  alice.device('vio0')!.interface.taps.add((frame) => {
    if (frame[12] !== 8 || frame[23] !== 6) return
    if ((frame[47]! & 2) !== 0) flags.push(frame[47]!)
    classes.add(frame[15]! & 3)
  })
  const once = async (): Promise<void> => {
    flags.length = 0
    classes.clear()
    const listener = await start(alice, 'nc -l 9')
    await ok(bob, 'echo hello | nc -N 192.168.1.1 9')
    await lab.clock.run(listener.result)
  }
  await once()
  assert.deepEqual([flags, [...classes]], [[0x02, 0x12], [0]])
  assert.match(await ok(alice, 'sysctl net.inet.tcp.ecn=1'), /0 -> 1/)
  await ok(bob, 'sysctl net.inet.tcp.ecn=1')
  await once()
  // SYN with ECE and CWR, its answer with ECE.
  assert.deepEqual(flags, [0xc2, 0x52])
  assert.ok(classes.has(2))
})
