import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressedPair } from './net/testing.js'

test('sizes: fragments, the time stamp that has no room, the DF bit', async () => {
  const { alice, ok, run } = await addressedPair()
  assert.match(
    await ok(alice, 'ping -c1 -s 3000 192.168.1.2'),
    /\n3008 bytes from 192\.168\.1\.2: icmp_seq=0 /,
  )
  assert.match(
    await ok(alice, 'ping -c1 -s 8 192.168.1.2'),
    /\n16 bytes from 192\.168\.1\.2: icmp_seq=0 ttl=255\n/,
  )
  assert.match(await ok(alice, 'ping -c1 -D -s 1472 192.168.1.2'), /1 packets received/)
  const { stderr, stdout, exitCode } = await run(alice, 'ping -c1 -w1 -D -s 1473 192.168.1.2')
  assert.equal(exitCode, 1)
  assert.equal(stderr, 'ping: sendmsg: Message too long\n')
  assert.match(stdout, /\nping: wrote 192\.168\.1\.2 1481 chars, ret=-1\n/)
})

test('-q prints the statistics alone; -p fills; -i sets the pace; -I must be ours', async () => {
  const { lab, alice, ok, run } = await addressedPair()
  assert.match(
    await ok(alice, 'ping -q -c2 192.168.1.2'),
    /^PING 192\.168\.1\.2 \(192\.168\.1\.2\): 56 data bytes\n\n--- 192\.168\.1\.2 ping statistics ---\n2 packets/,
  )
  assert.match(await ok(alice, 'ping -p abc -c1 192.168.1.2'), /^PATTERN: 0xab0c\nPING /)
  const before = lab.clock.now()
  await ok(alice, 'ping -c11 -i 0.1 192.168.1.2')
  const took = (lab.clock.now() - before) / 1e6
  assert.ok(took >= 1 && took < 1.1, `10 pauses of 0.1 s took ${took} s`)
  await ok(alice, 'ping -c1 -I vio0 192.168.1.2')
  assert.equal(
    (await run(alice, 'ping -c1 -I 10.9.9.9 192.168.1.2')).stderr,
    "ping: bind: Can't assign requested address\n",
  )
})

test('nobody answers: 10 seconds, then the sender is told that the host is down', async () => {
  const { lab, alice, run } = await addressedPair()
  const before = lab.clock.now()
  const { stdout, exitCode } = await run(alice, 'ping -c1 192.168.1.9')
  assert.equal(exitCode, 1)
  assert.match(stdout, /\n1 packets transmitted, 0 packets received, 100\.0% packet loss\n$/)
  assert.equal((lab.clock.now() - before) / 1e6, 10)
  assert.match((await run(alice, 'ping -w1 -c6 192.168.1.9')).stderr, /^(ping: sendmsg: Host is down\n)+$/)
})

test('duplicates are counted and marked', async () => {
  const { alice, ok } = await addressedPair()
  await ok(alice, 'ping -c1 192.168.1.2')
  const link = alice.device('vio0')!
  // A driver that hands everything in twice.
  const { stack } = alice
  const input = stack.input.bind(stack)
  stack.input = (ifc, packet, now) => {
    const copy = packet.copy()
    input(ifc, packet, now)
    if (ifc === link.interface) {
      packet.load(copy, 1)
      input(ifc, packet, now)
    }
  }
  const said = await ok(alice, 'ping -c2 192.168.1.2')
  assert.match(said, /icmp_seq=0 ttl=255 time=[\d.]+ ms \(DUP!\)\n/)
  assert.match(said, /2 packets transmitted, 2 packets received, 2 duplicates, 0\.0% packet loss\n/)
})

test('a router on the way: time exceeded is shown with -v alone', async () => {
  const { alice, bob, ok, run } = await addressedPair()
  await ok(bob, 'sysctl net.inet.ip.forwarding=1; ifconfig vether0 create 10.7.0.1/24')
  await ok(alice, 'route add 10.7.0.0/16 192.168.1.2')
  const quiet = await run(alice, 'ping -c1 -w1 -t1 10.7.0.9')
  assert.doesNotMatch(quiet.stdout, /exceeded/)
  const loud = await run(alice, 'ping -v -c1 -w1 -t1 10.7.0.9')
  assert.match(loud.stdout, /\n\d+ bytes from 192\.168\.1\.2: Time to live exceeded\n/)
  assert.equal(loud.exitCode, 1)
})

test('names of /etc/hosts, and link-local addresses with their zone', async () => {
  const { alice, ok } = await addressedPair()
  await ok(alice, 'echo "192.168.1.2 bob.my.domain bob" >> /etc/hosts')
  assert.match(
    await ok(alice, 'ping -c1 bob'),
    /^PING bob \(192\.168\.1\.2\): 56 data bytes\n64 bytes from 192\.168\.1\.2: /,
  )
  const peer = 'fe80::fce1:bbff:fed1:2a02%vio0'
  assert.match(await ok(alice, `ping6 -c1 ${peer}`), new RegExp(`64 bytes from ${peer}: icmp_seq=0 hlim=64`))
})

test('^C ends it, with the statistics', async () => {
  const { lab, alice, ok, start } = await addressedPair()
  const ping = await start(alice, 'ping 192.168.1.2')
  await ok(alice, 'sleep 2.5')
  ping.stop()
  const { stdout, exitCode } = await lab.clock.run(ping.result)
  assert.match(stdout, /\n3 packets transmitted, 3 packets received, 0\.0% packet loss\n/)
  assert.equal(exitCode, 0)
})

test('-T sets the traffic class; what the lab has not is said', async () => {
  const { lab, alice, ok, run, start } = await addressedPair()
  const dump = await start(alice, 'tcpdump -n -v -c1 -i vio0 icmp')
  await ok(alice, 'ping -c1 -T ef 192.168.1.2')
  assert.match((await lab.clock.run(dump.result)).stdout, /\[tos 0xb8\]/)
  assert.equal(
    (await run(alice, 'ping -T eff 192.168.1.2')).stderr,
    'ping: illegal tos value eff (did you mean ef?)\n',
  )
  assert.equal(
    (await run(alice, 'ping -R 192.168.1.2')).stderr,
    'ping: -R: no record route option in the lab\n',
  )
})
